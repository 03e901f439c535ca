import { createLogsService } from '../http/service.ts'
import { options as auth } from '../http/token.testing.ts'
import { logsOf, objectsOf, project, serial, server, type Where } from './exports.testing.ts'

// A service in a process of its own, so that it can be killed: prints where it is.

/** What it is to do, as JSON in the first argument. */
export interface ServiceWork {
  readonly where: Where
  readonly database: string
  readonly directory: string
  readonly bodies: boolean
}

if (process.argv[2] !== undefined) await serve(JSON.parse(process.argv[2]) as ServiceWork)

async function serve({ where, database, directory, bodies }: ServiceWork): Promise<void> {
  const service = await createLogsService({
    database,
    auth,
    systems: [{ id: server, serial, project, logs: logsOf(where) }],
    exports: { directory, pollInterval: 20 },
    ...(bodies ? { bodies: { objects: objectsOf(where) } } : {}),
  })
  const { url } = await service.listen()
  process.stdout.write(`${JSON.stringify({ url })}\n`)
}
