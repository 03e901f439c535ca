import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import type { EmulatorConfig } from './config.ts'
import type { Emulator, EmulatorOptions } from './emulator.ts'

const usage = `usage: hcp-emulator [--domain hcp1.test] [--nodes 4] [--address 127.0.0.1] [--http-port 0] [--https-port 0]
                    [--mapi-port 0] [--dns-port 0] [--control-port 0] [--data DIR] [--config FILE.json]
                    [--replica-domain hcp2.test] [--quiet]
`

const help = `${usage}
Starts a Hitachi Content Platform on loopback: nodes, DNS, TLS and REST, for tests and development.

  --domain NAME          domain of the system (default hcp1.test)
  --nodes N              number of nodes (default 4)
  --address ADDRESS      address of the first node, the others follow (default 127.0.0.1)
  --http-port PORT       port for data without TLS, on every node; 0, the default of all ports, is any free one
  --https-port PORT      port for data with TLS
  --mapi-port PORT       port of the management API
  --dns-port PORT        port of the name server, UDP and TCP
  --control-port PORT    port for stopping nodes, setting faults and the like, by HTTP and JSON
  --data DIR             keep the content in this folder (default: in memory, lost at the end)
  --config FILE.json     tenants, namespaces and users (default: tenant m with n1, n2 and user n, password n01)
  --replica-domain NAME  domain of a second system (default: there is none)
  --quiet                no messages on stderr, errors excepted
  --help, --version      say this, or the version

When it is ready it prints one line of JSON on stdout. SIGTERM and SIGINT (Ctrl+C) end it.
`

const options = {
  domain: { type: 'string' },
  nodes: { type: 'string' },
  address: { type: 'string' },
  'http-port': { type: 'string' },
  'https-port': { type: 'string' },
  'mapi-port': { type: 'string' },
  'dns-port': { type: 'string' },
  'control-port': { type: 'string' },
  data: { type: 'string' },
  config: { type: 'string' },
  'replica-domain': { type: 'string' },
  quiet: { type: 'boolean' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const

const portOptions = ['http-port', 'https-port', 'mapi-port', 'dns-port', 'control-port'] as const

/** A supervisor that sent a signal waits 15 s at most: what is not closed by then is left to the system. */
const patience = 10_000

/** What the user has to change, in one line. */
class UsageError extends Error {}

/** Like it, but the fault lies in a file, which the usage says nothing about. */
class ConfigError extends Error {}

/**
 * The command `hcp-emulator`: runs until a signal ends it.
 *
 * @param args Without the interpreter and the script.
 * @returns The exit code: 0, 1 for what the system refused, 2 for bad options or a bad configuration.
 */
export async function runCommand(args: readonly string[]): Promise<number> {
  const signal = Promise.withResolvers<string>()
  // Listened to until the end: a terminal and npm may both send one, and the second must not cut the first short.
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => signal.resolve(name))
  // Who reads the ready line may close the pipe after it.
  process.stdout.on('error', () => undefined)

  let emulator: Emulator
  let say: (message: string) => void
  try {
    const values = parse(args)
    if (values.help) process.stdout.write(help)
    if (values.version && !values.help) process.stdout.write(`${version()}\n`)
    if (values.help || values.version) return 0
    say = values.quiet ? () => undefined : complain
    const options = await emulatorOptions(values)
    // Loaded only now: who asks for help or mistypes an option need not wait for the rest.
    const { startEmulator } = await import('./emulator.ts')
    emulator = await startEmulator(options)
  } catch (error) {
    return refusal(error, args)
  }

  process.stdout.write(`${JSON.stringify(emulator.ready)}\n`)
  say(welcome(emulator))
  const name = await signal.promise
  // It keeps the process alive: one that ends while something is still to be closed does not end with 0.
  const timer = setTimeout(() => process.exit(0), patience)
  say(`${name}: closing`)
  await emulator.close()
  clearTimeout(timer)
  return 0
}

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

function parse(args: readonly string[]): Values {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    // The rest explains how to pass an argument that looks like an option: there is none here.
    const [first = ''] = (error as Error).message.split(/\.\s|\n/)
    throw new UsageError(first.replace(/\.$/, ''), { cause: error })
  }
}

async function emulatorOptions(values: Values): Promise<EmulatorOptions> {
  const { domain, address, data, config: file } = values
  const ports = Object.fromEntries(portOptions.map((name) => [name, wholeNumber(values, name, 65_535)]))
  const given = {
    domain,
    address,
    data,
    nodes: wholeNumber(values, 'nodes', 80),
    httpPort: ports['http-port'],
    httpsPort: ports['https-port'],
    mapiPort: ports['mapi-port'],
    dnsPort: ports['dns-port'],
    controlPort: ports['control-port'],
    replicaDomain: values['replica-domain'],
    config: file === undefined ? undefined : await readConfig(file),
  }
  const entries = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as EmulatorOptions
}

function wholeNumber(
  values: Values,
  name: 'nodes' | (typeof portOptions)[number],
  maximum: number,
): number | undefined {
  const text = values[name]
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text) && Number(text) <= maximum) return Number(text)
  throw new UsageError(`--${name} ${text}: must be a whole number from 0 to ${maximum}`)
}

async function readConfig(file: string): Promise<EmulatorConfig> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    })
  }
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    // The parser's message quotes the text around the error, where a password may be.
    const place = /line \d+ column \d+/.exec((error as Error).message)?.[0]
    throw new ConfigError(`${file}: is not JSON${place === undefined ? '' : ` (${place})`}`)
  }
  const { validateConfig } = await import('./config.ts')
  try {
    return validateConfig(value)
  } catch (error) {
    throw new ConfigError(`${file}: ${(error as Error).message}`, { cause: error })
  }
}

function refusal(error: unknown, args: readonly string[]): number {
  const { message, code, syscall, address, port } = error as NodeJS.ErrnoException & {
    address?: string
    port?: number
  }
  if (error instanceof ConfigError) {
    complain(message)
    return 2
  }
  if (syscall === 'mkdir') {
    complain(`--data: the folder cannot be used or made (${code})`)
    return 1
  }
  if (error instanceof UsageError || error instanceof TypeError || error instanceof RangeError) {
    complain(message)
    process.stderr.write(usage)
    return 2
  }
  if (code === 'EADDRINUSE' && port !== undefined) {
    const option = optionOf(port, args)
    complain(`${option}port ${port} on ${address} is in use`)
  } else if (code === 'EACCES' && port !== undefined) {
    complain(`${optionOf(port, args)}port ${port} on ${address} may not be used by this user`)
  } else complain(message)
  return 1
}

function optionOf(port: number, args: readonly string[]): string {
  const values = parse(args)
  const name = portOptions.find((option) => Number(values[option]) === port)
  return name === undefined ? '' : `--${name}: `
}

function welcome({ domain, nodes, ports, dns }: Emulator): string {
  const { http, https, mapi, control } = ports
  const where = nodes.length === 1 ? nodes[0] : `${nodes[0]} to ${nodes.at(-1)}`
  return (
    `${domain} is ready: ${nodes.length} node${nodes.length === 1 ? '' : 's'} on ${where}, HTTP ${http}, HTTPS ${https}, MAPI ${mapi}, ` +
    `DNS ${dns}, control ${control}`
  )
}

function complain(message: string): void {
  process.stderr.write(`hcp-emulator: ${message}\n`)
}

function version(): string {
  const manifest = createRequire(import.meta.url)('@hcp/emulator/package.json') as { version: string }
  return manifest.version
}
