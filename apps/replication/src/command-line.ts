import { parseArgs } from 'node:util'
import type { FailoverGoal } from '@hcp/mapi-replication'
import type { RealSystems } from './systems.ts'

export const usage = `usage: node apps/replication/src/main.ts [options] [links | watch | failover] [LINK]

  links            show the links of the system (the default)
  watch            tell the changes of a link as they come
  failover         lead through a failover, or back, and ask before each step

Two emulated systems are started unless there is a real one:
  --system HOST    admin.<domain> of the system that is asked, and that takes over
  --other HOST     admin.<domain> of the other one, so that it is looked at, too
  --user NAME      a system account; its password is taken from HCP_PASSWORD
  --port N         of the management API (default 9090)
  --ca FILE        the certificate authority of the systems, PEM
  --dns HOST:PORT  a name server to ask instead of this machine's; may be given more than once

  --goal GOAL      failOver, return, or roundTrip (default: what the link's state suggests)
  --force          fail over although the other system still works
  --yes            do not ask
  --interval S     seconds between two looks (default 5)
  --items N        end a watch after so many lines
  -h, --help       show this
`

/** The command line cannot be worked with: exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

export interface CommandLine {
  readonly command: 'links' | 'watch' | 'failover'
  readonly link: string | undefined
  /** `undefined`: emulated ones. */
  readonly systems: RealSystems | undefined
  readonly goal: FailoverGoal | undefined
  readonly force: boolean
  readonly yes: boolean
  /** Milliseconds. */
  readonly interval: number
  readonly items: number
}

/** @returns `help` if that is asked for. @throws {UsageError} */
export function readCommandLine(args: readonly string[], password: string | undefined): CommandLine | 'help' {
  const { values, positionals } = readArguments(args)
  if (values.help === true) return 'help'
  const [command = 'links', link, ...more] = positionals
  if (command !== 'links' && command !== 'watch' && command !== 'failover') {
    throw new UsageError(`There is no command '${command}'.`)
  }
  if (more.length > 0) throw new UsageError('Name one link at most.')
  const { system, other, user, ca, dns = [], goal, force = false, yes = false } = values
  const port = number('port', values.port, 1, 65_535)
  if (system === undefined && other !== undefined) throw new UsageError('--other needs --system.')
  if (system !== undefined && (user === undefined || password === undefined)) {
    throw new UsageError('A real system needs --user, and the password in HCP_PASSWORD.')
  }
  const systems =
    system === undefined || user === undefined || password === undefined
      ? undefined
      : { system, other, user, password, port, ca, nameServers: dns }
  return {
    command,
    link,
    systems,
    goal: goalOf(goal),
    force,
    yes,
    interval: Math.round(number('interval', values.interval, 0.01, 86_400) * 1000),
    items: number('items', values.items, 1, Number.MAX_SAFE_INTEGER),
  }
}

function goalOf(text: string | undefined): FailoverGoal | undefined {
  if (text === undefined || text === 'failOver' || text === 'return' || text === 'roundTrip') return text
  throw new UsageError(`--goal is failOver, return or roundTrip, not '${text}'.`)
}

function readArguments(args: readonly string[]): ReturnType<typeof parse> {
  try {
    return parse(args)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

const parse = (args: readonly string[]) =>
  parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      system: { type: 'string' },
      other: { type: 'string' },
      user: { type: 'string' },
      port: { type: 'string', default: '9090' },
      ca: { type: 'string' },
      dns: { type: 'string', multiple: true },
      goal: { type: 'string' },
      force: { type: 'boolean' },
      yes: { type: 'boolean' },
      interval: { type: 'string', default: '5' },
      items: { type: 'string', default: String(Number.MAX_SAFE_INTEGER) },
      help: { type: 'boolean', short: 'h' },
    },
  })

function number(name: string, text: string, minimum: number, maximum: number): number {
  const value = Number(text)
  if (/^\d+(?:\.\d+)?$/.test(text) && value >= minimum && value <= maximum) return value
  const range = maximum === Number.MAX_SAFE_INTEGER ? `${minimum} up` : `${minimum} to ${maximum}`
  throw new UsageError(`--${name} takes a number from ${range}, not '${text}'.`)
}
