import { constants } from 'node:os'
import { createLogsService } from '@hcp/logs-api'
import type { Logger } from 'pino'
import type { CommandLine } from './command-line.ts'
import type { Config } from './config.ts'
import { makeParts } from './parts.ts'

const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
/** Milliseconds to stop in: whoever stops us may kill us after 15 seconds. */
const patience = 14_000

/** Runs the service until a signal ends it. */
export async function serve(config: Config, { host, port }: CommandLine, log: Logger): Promise<void> {
  const stop = Promise.withResolvers<NodeJS.Signals>()
  let ready = false
  let signalled = false
  for (const signal of signals) {
    process.on(signal, () => {
      // Before it takes requests there is nothing to finish.
      if (!ready) process.exit(0)
      if (signalled) process.exit(128 + constants.signals[signal])
      signalled = true
      stop.resolve(signal)
    })
  }
  await using parts = await makeParts(config)
  const service = await createLogsService({ ...parts.options, log })
  try {
    const { url, metricsUrl } = await service.listen({ host, port, metricsPort: config.metricsPort })
    ready = true
    log.info({ url, metrics: metricsUrl }, 'The service is ready.')
    process.stdout.write(`${JSON.stringify({ ready: true, url, metrics: metricsUrl })}\n`)
    const signal = await stop.promise
    log.info({ signal }, 'Stopping: what is under way is finished.')
    setTimeout(() => {
      log.warn({}, 'Not everything came to its end in time.')
      process.exit(0)
    }, patience).unref()
  } finally {
    await service.close()
  }
  log.info({}, 'Stopped.')
}
