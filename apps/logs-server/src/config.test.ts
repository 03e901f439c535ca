import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig, secretsOf } from './config.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logs-server-'))
})
afterAll(() => rm(folder, { recursive: true }))

const secret = 'a secret that has thirty-two bytes'
const least = { database: 'sqlite:./logs.db', auth: { issuer: 'https://id.test', secret } }
const bodies = { fqdn: 'n1.m.hcp1.test', user: 'n', password: 'hush-1' }
const system = {
  id: 'srv-01',
  serial: 'SN1',
  project: 'p',
  fqdn: 'admin.hcp1.test',
  user: 'u',
  password: 'hush-2',
}

async function file(config: unknown): Promise<string> {
  const path = join(folder, 'config.json')
  await writeFile(path, typeof config === 'string' ? config : JSON.stringify(config))
  return path
}

test('the least that is needed, with its defaults; paths are those beside the file', async () => {
  expect(await readConfig(await file(least))).toEqual({
    database: `sqlite:${join(folder, 'logs.db')}`,
    auth: least.auth,
    systems: [],
    exports: { directory: join(folder, 'exports') },
    metricsPort: 0,
  })
})

test('all that there is', async () => {
  const whole = {
    database: 'postgres://user:p%40ss@db.test:5432/logs',
    auth: { issuer: 'i', audience: 'a', jwksUrl: 'https://id.test/keys' },
    roles: { admin: ['/tokens/admins'], system: [], user: ['staff'] },
    bodies: {
      ...bodies,
      port: 8443,
      caFile: 'ca.pem',
      nameservers: ['127.0.0.1:5353', '[::1]:53'],
      path: '/rest/logs',
      threshold: 1000,
    },
    systems: [{ ...system, port: 9090, caFile: '/etc/ca.pem', nameservers: ['10.0.0.1'] }],
    exports: { directory: '/var/exports', expiryDays: 3 },
    retention: { intervalSeconds: 60 },
    linkBase: 'https://logs.test/hcp',
    trustProxy: ['loopback', '10.0.0.0/8', '::1', 'fd00::/8'],
    metricsPort: 9102,
    maxPage: 500,
    rateLimit: { max: 600, windowSeconds: 60 },
  }
  const config = await readConfig(await file(whole))
  expect(config).toEqual({ ...whole, bodies: { ...whole.bodies, caFile: join(folder, 'ca.pem') } })
  expect(secretsOf(config).toSorted()).toEqual(['hush-1', 'hush-2', 'p%40ss', 'p@ss'])
})

test('a mark of the byte order does not matter', async () => {
  expect((await readConfig(await file(`\uFEFF${JSON.stringify(least)}`))).auth).toEqual(least.auth)
})

test('a password among the parameters of the database is a secret too', async () => {
  const config = await readConfig(await file({ ...least, database: 'postgres://h/d?password=hu%20sh' }))
  expect(secretsOf(config)).toContain('hu sh')
})

test('the database of the command line wins, and is relative to where the program was started', async () => {
  const path = await file({ auth: least.auth })
  expect((await readConfig(path, 'sqlite:x.db')).database).toBe(`sqlite:${join(process.cwd(), 'x.db')}`)
  expect((await readConfig(path, 'postgres://h/d')).database).toBe('postgres://h/d')
  await expect(readConfig(path)).rejects.toThrow('database is missing.')
  await expect(readConfig(path, 'mysql://u:hush-9@h')).rejects.toThrow(/^--database must be(?!.*hush-9)/)
})

test.each<[string, unknown, string]>([
  [
    'no field that is not known',
    { ...least, databse: 1 },
    'the configuration has a field that is not known: "databse".',
  ],
  [
    'nor deeper down',
    { ...least, bodies: { ...bodies, fqnd: 1 } },
    'bodies has a field that is not known: "fqnd".',
  ],
  ['no list', [], 'the configuration must be a JSON object.'],
  ['another database', { ...least, database: 'mysql://x' }, 'database must be sqlite:FILE or postgres://'],
  ['no auth', { database: 'sqlite:x' }, 'auth is missing.'],
  ['an empty secret', { ...least, auth: { issuer: 'i', secret: '' } }, 'auth.secret must not be empty.'],
  [
    'neither secret nor keys',
    { ...least, auth: { issuer: 'i' } },
    'auth must have either secret or jwksUrl.',
  ],
  [
    'both',
    { ...least, auth: { ...least.auth, jwksUrl: 'https://x' } },
    'auth must have either secret or jwksUrl.',
  ],
  [
    'a port that is none',
    { ...least, metricsPort: 70_000 },
    'metricsPort must be a whole number from 0 to 65535.',
  ],
  ['a text for a number', { ...least, maxPage: '1' }, 'maxPage must be a whole number from 1 to'],
  [
    'a name server without an address',
    { ...least, systems: [{ ...system, nameservers: ['dns.test'] }] },
    'systems[0].nameservers[0] must be an address and a port',
  ],
  [
    'a proxy that is no address',
    { ...least, trustProxy: ['loopback', 'proxy.test'] },
    'trustProxy[1] must be an address',
  ],
  ['a network that is none', { ...least, trustProxy: ['10.0.0.0/33'] }, 'trustProxy[0] must be an address'],
  ['an id for no path', { ...least, systems: [{ ...system, id: 'a/b' }] }, 'systems[0].id must be letters'],
  [
    'two systems of one id',
    { ...least, systems: [system, system] },
    'systems must not have two systems of one id.',
  ],
  ['no password', { ...least, bodies: { ...bodies, password: undefined } }, 'bodies.password is missing.'],
])('a configuration with %s is refused, and the field is named', async (_, config, message) => {
  const error = await readConfig(await file(config)).then(
    () => undefined,
    (error: Error) => error,
  )
  expect(error).toMatchObject({ name: 'UsageError', message: expect.stringContaining(message) })
  expect(error!.message).not.toMatch(/hush|thirty-two/)
})

test('what is not JSON is told by its place, and not quoted: there are passwords in it', async () => {
  const error = await readConfig(await file('{\n"auth": {"secret": "hush-4" oops}}')).then(
    () => undefined,
    (error: Error) => error,
  )
  expect(error!.message).toMatch(/config\.json is not JSON: look at position \d+ \(line 2 column \d+\)\.$/)
  await expect(readConfig(join(folder, 'none.json'))).rejects.toThrow(
    'The configuration cannot be read: ENOENT',
  )
})
