import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { NativeAuthorization } from '@hcp/auth'
import { Port, Target } from '@hcp/connection'
import { startEmulator } from '@hcp/emulator'
import { Logs } from '@hcp/mapi-logs'
import { Shell } from './shell.ts'

const usage = `usage: node apps/log-shell/src/main.ts [options]

A shell for HCP's internal logs. Reads commands from the keyboard, or from standard input. Without --host it
starts an HCP on loopback, for a first look.

  --host NAME         admin.<domain of the system>
  --user NAME         a system account with the role ADMINISTRATOR or SERVICE; its password is taken from
                      the environment, HCP_PASSWORD
  --port N            default 9090
  --ca FILE           the system's certificate or that of its authority, PEM
  --insecure          take any certificate
  --nameserver A:P    ask this name server
  --folder FOLDER     where packages go, default: the current one
  --interval MS       pause between questions for the status, default 2000
  -h, --help          show this
`

/** The command line cannot be worked with: exit code 2. */
class UsageError extends Error {
  override name = 'UsageError'
}

try {
  await run()
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${usage}`)
    process.exitCode = 2
  } else {
    console.error('FAILED:', error)
    process.exitCode = 1
  }
}

async function run(): Promise<void> {
  const { help, folder, interval, ...system } = readArguments()
  if (help) {
    console.log(usage)
    return
  }
  await using stack = new AsyncDisposableStack()
  const target = stack.use(system.host === undefined ? await emulated(stack) : await real(system))
  const logs = stack.use(new Logs(target))
  const shell = new Shell(logs, {
    input: process.stdin,
    output: process.stdout,
    terminal: process.stdin.isTTY && process.stdout.isTTY,
    folder,
    interval,
  })
  const interrupt = (): void => shell.interrupt()
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', () => shell.end())
  console.log(`Logs of ${target.fqdn}. "help" tells the commands.`)
  const failures = await shell.run()
  process.off('SIGINT', interrupt)
  // A script wants to know; whoever types has seen it.
  if (failures > 0 && !process.stdin.isTTY) process.exitCode = 1
}

async function emulated(stack: AsyncDisposableStack): Promise<Target> {
  const hcp = stack.use(await startEmulator({ choices: { logPreparationMs: 1_500 } }))
  hcp.seedLogs({ bytes: 20_000_000 })
  return new Target('admin.hcp1.test', {
    authorization: new NativeAuthorization('sysadmin', 's01'),
    port: hcp.ports.mapi,
    nameServers: [hcp.dns],
    tls: { ca: hcp.ca },
  })
}

interface System {
  readonly host: string | undefined
  readonly user: string | undefined
  readonly port: number
  readonly ca: string | undefined
  readonly insecure: boolean
  readonly nameserver: string | undefined
}

function real({ host = '', user, port, ca, insecure, nameserver }: System): Promise<Target> {
  const password = process.env['HCP_PASSWORD']
  if (user === undefined || password === undefined || password === '')
    throw new UsageError('--host needs --user, and the password in the environment as HCP_PASSWORD.')
  const tls = insecure ? { verify: false } : ca === undefined ? true : { ca: readFileSync(ca, 'utf8') }
  const target = new Target(host, {
    authorization: new NativeAuthorization(user, password),
    port,
    tls,
    ...(nameserver === undefined ? {} : { nameServers: [nameserver] }),
  })
  return Promise.resolve(target)
}

function readArguments(): System & { help: boolean; folder: string; interval: number } {
  try {
    const { values } = parseArgs({
      options: {
        host: { type: 'string' },
        user: { type: 'string' },
        port: { type: 'string' },
        ca: { type: 'string' },
        insecure: { type: 'boolean' },
        nameserver: { type: 'string' },
        folder: { type: 'string' },
        interval: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    const { host, user, ca, insecure = false, nameserver, help = false, folder = '.' } = values
    const port = whole('port', values.port, Port.mapi, 65_535)
    const interval = whole('interval', values.interval, 2_000, 3_600_000)
    return { host, user, ca, insecure, nameserver, help, folder, port, interval }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError((error as Error).message)
  }
}

function whole(name: string, text: string | undefined, otherwise: number, largest: number): number {
  const value = Number(text ?? otherwise)
  if (Number.isInteger(value) && value >= 1 && value <= largest) return value
  throw new UsageError(`--${name} takes a whole number from 1 to ${largest}, not '${text}'.`)
}
