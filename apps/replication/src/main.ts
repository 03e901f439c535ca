import { constants } from 'node:os'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import type { FailoverGoal } from '@hcp/mapi-replication'
import { failover, showLinks, type Stage, watch } from './commands.ts'
import { emulatedSystems, realSystems, type Systems } from './systems.ts'

const usage = `usage: node apps/replication/src/main.ts [options] [links | watch | failover] [LINK]

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
  const { values, positionals } = readArguments()
  if (values.help === true) {
    console.log(usage)
    return
  }
  const [command = 'links', link, ...more] = positionals
  if (more.length > 0) throw new UsageError('Name one link at most.')
  const interval = Math.round(number('interval', values.interval, 0.01, 86_400) * 1000)
  const items = number('items', values.items, 1, Number.MAX_SAFE_INTEGER)
  const goal = goalOf(values.goal)
  const port = number('port', values.port, 1, 65_535)
  if (!['links', 'watch', 'failover'].includes(command))
    throw new UsageError(`There is no command '${command}'.`)
  await using systems = await systemsOf({ ...values, port })
  const questions = new Questions(values.yes === true)
  const stage: Stage = {
    systems,
    print: (line) => console.log(line),
    ask: (question) => questions.ask(question),
    signal: stop.signal,
    interval,
  }
  try {
    if (command === 'links') await showLinks(stage)
    else if (command === 'watch') await watch(stage, link, items)
    else if (!(await failover(stage, { link, goal, force: values.force === true }))) process.exitCode = 3
  } finally {
    questions.close()
  }
}

/** Asks on the terminal; the end of the input is a no. */
class Questions {
  readonly #yes: boolean
  #lines: { readonly iterator: AsyncIterator<string>; readonly close: () => void } | undefined

  constructor(yes: boolean) {
    this.#yes = yes
  }

  async ask(question: string): Promise<boolean> {
    process.stdout.write(`${question} [y/N] `)
    if (this.#yes) {
      console.log('y')
      return true
    }
    if (this.#lines === undefined) {
      const reader = createInterface({ input: process.stdin })
      stop.signal.addEventListener('abort', () => reader.close(), { once: true })
      this.#lines = { iterator: reader[Symbol.asyncIterator](), close: () => reader.close() }
    }
    const { done, value } = await this.#lines.iterator.next()
    if (!process.stdin.isTTY) console.log(done === true ? '' : value)
    return done !== true && /^y(?:es)?$/i.test(value.trim())
  }

  close(): void {
    this.#lines?.close()
  }
}

async function systemsOf({
  system,
  other,
  user,
  ca,
  dns = [],
  port,
}: {
  readonly system?: string | undefined
  readonly other?: string | undefined
  readonly user?: string | undefined
  readonly ca?: string | undefined
  readonly dns?: readonly string[] | undefined
  readonly port: number
}): Promise<Systems> {
  if (system === undefined) {
    if (other !== undefined) throw new UsageError('--other needs --system.')
    return emulatedSystems()
  }
  const password = process.env['HCP_PASSWORD']
  if (user === undefined || password === undefined) {
    throw new UsageError('A real system needs --user, and the password in HCP_PASSWORD.')
  }
  return realSystems({ system, other, user, password, port, ca, nameServers: dns })
}

function goalOf(text: string | undefined): FailoverGoal | undefined {
  if (text === undefined || text === 'failOver' || text === 'return' || text === 'roundTrip') return text
  throw new UsageError(`--goal is failOver, return or roundTrip, not '${text}'.`)
}

function readArguments(): ReturnType<typeof parse> {
  try {
    return parse()
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

const parse = () =>
  parseArgs({
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
  throw new UsageError(
    `--${name} takes a number from ${minimum}${maximum > 1e9 ? ' up' : ` to ${maximum}`}, not '${text}'.`,
  )
}
