import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmulator } from '@hcp/emulator'
import { LogsClient } from '@hcp/logs-api/client'
import { startPostgres } from '@hcp/postgres'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startServer } from './server.testing.ts'

// Each test starts processes; a busy machine takes its time.
vi.setConfig({ testTimeout: 60_000 })

const issuer = 'https://id.test'
const secret = 'a secret that has thirty-two bytes'
const auth = { issuer, secret }

function token(claims: Record<string, unknown>): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer(issuer)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(Buffer.from(secret))
}

let folder: string
let admin: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logs-server-'))
  admin = await token({ sub: 'root', roles: ['admin'], project_id: 'p-one' })
})
afterAll(() => rm(folder, { recursive: true }))

async function configFile(name: string, config: object): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, JSON.stringify(config))
  return file
}

test('it prints one line when it is ready, stores beside the configuration, and stops with 0', async () => {
  const file = await configFile('least.json', { database: 'sqlite:./least.db', auth })
  await using server = startServer(['--config', file, '--port', '0'])
  const { url, metrics } = await server.ready()
  await using client = new LogsClient(url, { token: admin })
  const id = await client.entries.add({ data: 'kept', dataset_id: 'd' })
  expect(await client.health.ready()).toBe(true)
  expect(await (await fetch(metrics)).text()).toContain('http_request_duration_seconds')
  server.child.kill('SIGTERM')
  expect(await server.ended()).toBe(0)
  expect(server.output.stdout.split('\n')).toHaveLength(2)
  expect(await readdir(folder)).toContain('least.db')

  await using again = startServer(['--config', file, '--port', '0'])
  await using later = new LogsClient((await again.ready()).url, { token: admin })
  expect(await later.entries.get(id)).toMatchObject({ data: 'kept' })
})

test('what is under way when it is told to stop is finished; a tail ends', async () => {
  const file = await configFile('drain.json', { database: 'sqlite:./drain.db', auth })
  await using server = startServer(['--config', file, '--port', '0'])
  const { url } = await server.ready()
  await using client = new LogsClient(url, { token: admin, retry: false })
  const tail = client.tail({ name: 'nothing is called so' }, { patience: 1 })
  const tailing = tail.next().catch((error: unknown) => error)
  const begun = Promise.withResolvers<void>()
  const entries = async function* (): AsyncGenerator<{ data: string }, void> {
    // More than sockets hold: the service is reading when it has all gone.
    for (let count = 0; count < 20; count++) yield { data: 'x'.repeat(1_000_000) }
    server.child.kill('SIGTERM')
    await server.says('Stopping')
    begun.resolve()
    yield { data: 'the last' }
  }
  expect(await client.bulk(entries())).toMatchObject({ accepted: 21, rejected: 0 })
  await begun.promise
  expect(await server.ended()).toBe(0)
  expect(await tailing).toMatchObject({ name: 'LogsApiError' })
})

test('a second signal ends it at once', async () => {
  const file = await configFile('twice.json', { database: 'sqlite:./twice.db', auth })
  await using server = startServer(['--config', file, '--port', '0'])
  const { url } = await server.ready()
  await using client = new LogsClient(url, { token: admin, retry: false })
  const entries = async function* (): AsyncGenerator<{ data: string }, void> {
    yield { data: 'x'.repeat(100_000) }
    server.child.kill('SIGTERM')
    await server.says('Stopping')
    server.child.kill('SIGTERM')
    await server.ended()
  }
  await expect(client.bulk(entries())).rejects.toMatchObject({ code: 'LOGS_API_SOCKET' })
  expect(await server.ended()).toBe(128 + 15)
})

describe('exit codes', () => {
  test('--help', async () => {
    await using server = startServer(['--help'])
    expect(await server.ended()).toBe(0)
    expect(server.output.stdout).toContain('usage: hcp-logs-server')
  })

  test('a wrong field', async () => {
    const file = await configFile('wrong.json', { database: 'sqlite:x', auth, bodies: { port: 'x' } })
    await using server = startServer(['--config', file])
    expect(await server.ended()).toBe(2)
    expect(server.output.stderr).toContain('bodies.port must be a whole number from 1 to 65535.')
    expect(server.output.stderr).toContain('usage: hcp-logs-server')
  })

  test('a database that is not there, whose password is told nowhere', async () => {
    const file = await configFile('down.json', { database: 'postgres://user:hush-1%40x@127.0.0.1:1/x', auth })
    await using server = startServer(['--config', file, '--port', '0'])
    expect(await server.ended()).toBe(1)
    expect(server.output.stderr).toContain('could not start')
    expect(server.output.stderr).not.toMatch(/hush/)
  })

  test('a port that is taken', async () => {
    const file = await configFile('taken.json', { database: 'sqlite::memory:', auth })
    await using first = startServer(['--config', file, '--port', '0'])
    const { port } = new URL((await first.ready()).url)
    await using second = startServer(['--config', file, '--port', port])
    expect(await second.ended()).toBe(1)
    expect(second.output.stderr).toContain('EADDRINUSE')
    expect(second.output.stdout).toBe('')
  })
})

test('on PostgreSQL, with long texts and archives in a namespace and the logs of a system, and no secret in its log', async () => {
  await using postgres = await startPostgres()
  await using hcp = await startEmulator({ choices: { logPreparationMs: 50 } })
  hcp.seedLogs({ bytes: 200_000 })
  await writeFile(join(folder, 'ca.pem'), hcp.ca)
  const nameservers = [hcp.dns]
  const file = await configFile('whole.json', {
    database: 'sqlite:unused.db',
    auth,
    roles: { admin: ['admin'], user: ['/staff'] },
    bodies: {
      fqdn: 'n1.m.hcp1.test',
      port: hcp.ports.https,
      user: 'n',
      password: 'n01',
      caFile: './ca.pem',
      nameservers,
      threshold: 1000,
    },
    systems: [
      {
        id: 'srv-01',
        serial: 'SN1',
        project: 'p-one',
        fqdn: 'admin.hcp1.test',
        port: hcp.ports.mapi,
        user: 'sysadmin',
        password: 's01',
        caFile: 'ca.pem',
        nameservers,
      },
    ],
    exports: { directory: './packages', expiryDays: 1 },
    linkBase: 'https://logs.test/hcp',
    rateLimit: { max: 1000, windowSeconds: 60 },
  })
  const database = await postgres.database()
  await using server = startServer(['--config', file, '--port', '0', '--database', database])
  const { url } = await server.ready()
  await using client = new LogsClient(url, {
    token: await token({ sub: 'o', groups: ['/staff', 'admin'], project_id: 'p-one' }),
  })
  const long = 'ä long text\n'.repeat(1000)
  const id = await client.entries.add({ data: long, dataset_id: 'd', task_id: 't', name: 'stdout' })
  expect((await client.entries.get(id)).data).toBe(long)
  expect(hcp.requests().some(({ method, path }) => method === 'PUT' && path.endsWith(id))).toBe(true)
  const task = await client.exports.start('p-one', 'srv-01')
  await client.exports.waitFor(task, { interval: 50, deadline: 60_000 })
  const archive = await client.exports.downloadTo(task, folder)
  expect(archive.file).toBe(join(folder, 'SN1-dump.tar.gz'))
  // Something that goes into the log.
  await fetch(`${url}/v2/logs?token=${admin}`, { headers: { authorization: `Bearer ${admin}x` } })
  server.child.kill('SIGINT')
  expect(await server.ended()).toBe(0)
  expect(server.output.stderr).toContain('"level":"info"')
  const password = new URL(database).password
  for (const hidden of [secret, admin, 's01', 'n01', ...(password === '' ? [] : [password])])
    expect(server.output.stderr + server.output.stdout).not.toContain(hidden)
  expect(await readdir(folder)).not.toContain('unused.db')
})
