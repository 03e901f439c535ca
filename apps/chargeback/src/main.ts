import { constants } from 'node:os'
import { parseArgs } from 'node:util'
import type { Granularity } from '@hcp/mapi'
import { printReport } from './report.ts'
import { emulatedSystem, realSystem, type ReportedSystem } from './system.ts'

const usage = `usage: node apps/chargeback/src/main.ts [options] [TENANT ...]

Prints what the tenants of a system used; only those named, or all.

An emulated system is started unless there is a real one:
  --system HOST        admin.<domain>
  --user NAME          a system account with the role MONITOR or ADMINISTRATOR; its password is taken from HCP_PASSWORD
  --port N             of the management API (default 9090)
  --ca FILE            the certificate authority of the system, PEM
  --dns HOST:PORT      a name server to ask instead of this machine's; may be given more than once

  --days N             the last N days (1 to 180, default 30)
  --granularity G      total, day or hour (default total)
  -h, --help           show this
`

/** The command line cannot be worked with: exit code 2. */
class UsageError extends Error {
  override name = 'UsageError'
}

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Once: a second one ends the program at once.
  process.once(signal, () => {
    process.exitCode = 128 + constants.signals[signal]
    stop.abort()
  })
}

try {
  await run()
} catch (error) {
  if (stop.signal.aborted) console.error('Stopped.')
  else if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${usage}`)
    process.exitCode = 2
  } else {
    console.error(`FAILED: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}

async function run(): Promise<void> {
  const { values, positionals: tenants } = readArguments()
  if (values.help === true) {
    console.log(usage)
    return
  }
  const days = wholeNumber('days', values.days, 180)
  const choice = {
    tenants,
    granularity: granularityOf(values.granularity),
    start: new Date(Date.now() - days * 86_400_000),
    signal: stop.signal,
  }
  await using system = await systemOf(values)
  const failed = await printReport(system.mapi, choice, (line) => console.log(line))
  if (failed > 0) process.exitCode = 1
}

async function systemOf({
  system,
  user,
  port,
  ca,
  dns = [],
}: ReturnType<typeof parse>['values']): Promise<ReportedSystem> {
  if (system === undefined) return emulatedSystem()
  const password = process.env['HCP_PASSWORD']
  if (user === undefined || password === undefined) {
    throw new UsageError('A real system needs --user, and the password in HCP_PASSWORD.')
  }
  return realSystem({
    host: system,
    user,
    password,
    port: wholeNumber('port', port, 65_535),
    ca,
    nameServers: dns,
  })
}

function granularityOf(text: string): Granularity {
  if (text === 'total' || text === 'day' || text === 'hour') return text
  throw new UsageError(`--granularity is total, day or hour, not '${text}'.`)
}

function readArguments(): ReturnType<typeof parse> {
  try {
    return parse()
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function parse() {
  return parseArgs({
    allowPositionals: true,
    options: {
      system: { type: 'string' },
      user: { type: 'string' },
      port: { type: 'string', default: '9090' },
      ca: { type: 'string' },
      dns: { type: 'string', multiple: true },
      days: { type: 'string', default: '30' },
      granularity: { type: 'string', default: 'total' },
      help: { type: 'boolean', short: 'h' },
    },
  })
}

function wholeNumber(name: string, text: string, maximum: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= maximum) return value
  throw new UsageError(`--${name} takes a whole number from 1 to ${maximum}, not '${text}'.`)
}
