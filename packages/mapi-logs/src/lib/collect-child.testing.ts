import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { Logs } from './logs.ts'

// A process of its own, so that it can be killed and its memory measured: collects logs, prints how far it is, and at last its result.

/** What it is to do, as JSON in the first argument. */
export interface CollectWork {
  readonly port: number
  readonly dns: string
  readonly ca: string
  readonly folder: string
  readonly days: number
}

if (process.argv[2] !== undefined) await collect(JSON.parse(process.argv[2]) as CollectWork)

async function collect({ port, dns, ca, folder, days }: CollectWork): Promise<void> {
  const say = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
  using target = new Target('admin.hcp1.test', {
    authorization: new NativeAuthorization('sysadmin', 's01'),
    port,
    nameServers: [dns],
    tls: { ca },
  })
  await using logs = new Logs(target)
  let last = 0
  try {
    const result = await logs.collect({
      startDate: new Date(Date.now() - days * 86_400_000),
      endDate: new Date(),
      folder,
      interval: 20,
      onProgress: (progress) => {
        const bytes = 'bytes' in progress ? progress.bytes : 0
        if (progress.phase === 'downloading' && bytes - last < 65_536 && bytes > last) return
        last = bytes
        say({ phase: progress.phase, bytes })
      },
    })
    say({ result, peak: process.resourceUsage().maxRSS * 1024 })
  } catch (error) {
    say({ error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) })
  }
}
