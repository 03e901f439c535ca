import { NativeAuthorization } from '@hcp/auth'
import { Connection, Target } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ChargebackRecord } from './chargeback.ts'
import { MapiConflictError, MapiForbiddenError, MapiNotFoundError, MapiRequestError } from './errors.ts'
import { MapiClient } from './mapi-client.ts'
import { mapiPath } from './mapi-path.ts'
import { boolean, document, list, optional, record, text } from './schema.ts'
import { createTenant, listTenants, Tenant } from './tenants.ts'

let hcp: Emulator
const targets: Target[] = []
const clients: MapiClient[] = []

function clientFor(
  fqdn: string,
  user: string,
  password: string,
  options?: ConstructorParameters<typeof MapiClient>[1],
): MapiClient {
  const target = new Target(fqdn, {
    authorization: new NativeAuthorization(user, password),
    port: hcp.ports.mapi,
    nameServers: [hcp.dns],
    tls: { ca: hcp.ca },
  })
  targets.push(target)
  const client = new MapiClient(target, options)
  clients.push(client)
  return client
}

let system: MapiClient
let systemJson: MapiClient
let tenantAdmin: MapiClient
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 2 })
  system = clientFor('admin.hcp1.test', 'sysadmin', 's01')
  systemJson = clientFor('admin.hcp1.test', 'sysadmin', 's01', { format: 'json' })
  tenantAdmin = clientFor('m.hcp1.test', 'admin', 'a01')
})
afterAll(async () => {
  for (const client of clients) await client.close()
  for (const target of targets) target.close()
  await hcp.close()
})

const security = { username: 'sec', password: 'Start-123' }

describe('a tenant', () => {
  test('is created, read in both forms, changed and deleted', async () => {
    const given = {
      name: 'Finance-1',
      systemVisibleDescription: 'a < b & "c" — ä',
      hardQuota: '10 GB',
      softQuota: 80,
      namespaceQuota: 5,
      tags: ['x', 'y & z'],
    }
    const tenant = await createTenant(system, given, { ...security, forcePasswordChange: true })
    expect(await tenant.exists()).toBe(true)
    const settings = await tenant.settings({ verbose: true })
    expect(settings).toMatchObject({ ...given, hardQuota: '10.00 GB' })
    expect(settings.creationTime).toBeInstanceOf(Date)
    expect(settings.fullyQualifiedName).toMatch(/^finance-1\.hcp1\.test$/i)
    expect(await new Tenant(systemJson, 'finance-1').settings({ verbose: true })).toEqual(settings)

    await tenant.change({ softQuota: 90, tags: ['one'] })
    expect(await tenant.settings()).toMatchObject({ softQuota: 90, tags: ['one'], namespaceQuota: 5 })
    await new Tenant(systemJson, 'Finance-1').change({
      tags: [],
      systemVisibleDescription: '',
      namespaceQuota: 'None',
    })
    expect(await tenant.settings()).toMatchObject({
      tags: [],
      systemVisibleDescription: '',
      namespaceQuota: 'None',
    })

    // A short answer can be sent back as it is.
    const { name: _, ...short } = await tenant.settings()
    await tenant.change(short)

    await expect(createTenant(system, { name: 'finance-1' }, security)).rejects.toBeInstanceOf(
      MapiConflictError,
    )
    await tenant.delete()
    expect(await tenant.exists()).toBe(false)
    await expect(tenant.settings()).rejects.toBeInstanceOf(MapiNotFoundError)
    await expect(tenant.delete()).rejects.toBeInstanceOf(MapiNotFoundError)
  })

  test('with namespaces is not deleted, and a wrong value is refused with words', async () => {
    const tenant = new Tenant(system, 'm')
    await expect(tenant.delete()).rejects.toBeInstanceOf(MapiForbiddenError)
    const wrong = tenant.change({ softQuota: 1000 })
    await expect(wrong).rejects.toBeInstanceOf(MapiRequestError)
    await expect(wrong).rejects.toMatchObject({ status: 400, reason: expect.stringMatching(/\w/) })
  })

  test('shows its own side to its own account', async () => {
    const own = new Tenant(tenantAdmin, 'm')
    await own.change({ tenantVisibleDescription: 'ours', maxNamespacesPerUser: 7 })
    expect(await own.settings()).toMatchObject({ tenantVisibleDescription: 'ours', maxNamespacesPerUser: 7 })
    expect(await own.settings()).not.toHaveProperty('systemVisibleDescription')
    await expect(own.change({ hardQuota: '1 TB' })).rejects.toBeInstanceOf(MapiForbiddenError)
  })
})

test('all tenants and namespaces are listed, by pages of any size', async () => {
  const made = ['t-b', 'T-a', 't-c']
  for (const name of made) await createTenant(system, { name }, security)
  const expected = ['m', ...made].toSorted()
  for (const pageSize of [1, 2, 3, 4, 1000]) {
    expect((await Array.fromAsync(listTenants(system, { pageSize }))).toSorted()).toEqual(expected)
    expect(await Array.fromAsync(new Tenant(tenantAdmin, 'm').namespaces({ pageSize }))).toEqual(['n1', 'n2'])
  }
  expect(await Array.fromAsync(new Tenant(tenantAdmin, 'm').namespaces({ sortOrder: 'descending' }))).toEqual(
    ['n2', 'n1'],
  )
  expect(await Array.fromAsync(new Tenant(tenantAdmin, 'm').namespaces({ filter: 'N2' }))).toEqual(['n2'])
  for (const name of made) await new Tenant(system, name).delete()
})

describe('usage', () => {
  beforeAll(async () => {
    const target = new Target('n1.m.hcp1.test', {
      authorization: new NativeAuthorization('n', 'n01'),
      port: hcp.ports.https,
      nameServers: [hcp.dns],
      tls: { ca: hcp.ca },
    })
    await using connection = new Connection(target)
    for (const name of ['a', 'b', 'c']) await connection.put(`/rest/${name}`, Buffer.alloc(1000))
    await (await connection.get('/rest/a')).dump()
    await connection.delete('/rest/c')
    target.close()
  })

  const counts = {
    objectCount: 2,
    ingestedVolume: 2000,
    bytesIn: 3000,
    bytesOut: 1000,
    reads: 1,
    writes: 3,
    deletes: 1,
  }

  test('is in the statistics of tenant and namespace', async () => {
    const tenant = new Tenant(tenantAdmin, 'm')
    expect(await tenant.statistics()).toMatchObject({ objectCount: 2, ingestedVolume: 2000 })
    expect(await tenant.namespaceStatistics('n1')).toMatchObject({ objectCount: 2, ingestedVolume: 2000 })
    expect(await tenant.namespaceStatistics('n2')).toMatchObject({ objectCount: 0 })
    expect(await tenant.namespace('n2', { verbose: true })).toMatchObject({
      name: 'n2',
      hashScheme: 'SHA-256',
    })
  })

  test('is reported by namespace, and the tenant in the end', async () => {
    const records = await Array.fromAsync(new Tenant(tenantAdmin, 'm').chargeback())
    expect(records).toMatchObject([
      { scope: 'namespace', namespaceName: 'n1', tenantName: 'm', valid: true, deleted: 'false', ...counts },
      { scope: 'namespace', namespaceName: 'n2', objectCount: 0 },
      { scope: 'tenant', tenantName: 'm', ...counts },
    ])
    for (const { startTime, endTime } of records) expect(startTime.getTime()).toBeLessThan(endTime.getTime())
  })

  test('is reported to a system account as a total, with what only it sees', async () => {
    const [total, ...more] = await Array.fromAsync(new Tenant(system, 'm').chargeback({ granularity: 'day' }))
    expect(more).toEqual([])
    expect(total).toMatchObject({ scope: 'tenant', ...counts })
    expect(total).not.toHaveProperty('namespaceName')
    expect(total).toHaveProperty('tieredObjects')
  })

  test('of one namespace, of an hour, in either zone', async () => {
    const now = Date.now()
    const start = new Date(now - 3_600_000)
    const tenant = new Tenant(tenantAdmin, 'm')
    const read = (zone: 'UTC' | 'local'): Promise<ChargebackRecord[]> =>
      Array.fromAsync(
        tenant.chargeback({
          namespace: 'n1',
          granularity: 'hour',
          start,
          end: new Date(now + 3_600_000),
          zone,
        }),
      )
    const records = await read('UTC')
    expect(records.every(({ namespaceName }) => namespaceName === 'n1')).toBe(true)
    expect(records.reduce((sum, { writes }) => sum + Number(writes), 0)).toBe(3)
    expect(await read('local')).toEqual(records)
  })

  test.each([
    ['csv', /^systemName,tenantName/],
    ['json', /^\{"chargebackData":\[\{/],
    ['xml', /<chargebackReport><chargebackData>/],
  ] as const)('comes in %s as it is', async (format, begins) => {
    const report = await new Tenant(system, 'm').chargebackReport({ format })
    expect(await report.text()).toMatch(begins)
  })
})

describe('403', () => {
  test('for a wrong password is of unknown cause', async () => {
    const client = clientFor('admin.hcp1.test', 'sysadmin', 'wrong')
    const error = await Array.fromAsync(listTenants(client)).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(MapiForbiddenError)
    expect(error).toMatchObject({ likely: 'unknown' })
    expect((error as Error).message).toContain('the role MONITOR or ADMINISTRATOR of a system account')
  })

  test('for what only the system knows is of the level', async () => {
    const error = await Array.fromAsync(listTenants(tenantAdmin)).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ name: 'MapiForbiddenError', likely: 'level' })
  })

  test('for a role that is missing is of the role', async () => {
    const users = mapiPath('tenants', 'm', 'userAccounts')
    const account = {
      username: 'watcher & co',
      fullName: 'W',
      enabled: true,
      forcePasswordChange: false,
      localAuthentication: true,
      roles: { role: ['MONITOR'] },
    }
    await tenantAdmin.create(
      users,
      { root: 'userAccount', value: account },
      { params: { password: 'Start-123' } },
    )
    const watcher = clientFor('m.hcp1.test', 'watcher & co', 'Start-123')
    const tenant = new Tenant(watcher, 'm')
    await tenant.settings()
    await expect(tenant.change({ maxNamespacesPerUser: 3 })).rejects.toMatchObject({
      name: 'MapiForbiddenError',
      likely: 'role',
      roles: { tenant: ['ADMINISTRATOR'] },
    })

    const path = mapiPath('tenants', 'm', 'userAccounts', 'watcher & co')
    const userAccount = document(
      'userAccount',
      record({
        username: text(),
        fullName: optional(text()),
        enabled: boolean(),
        roles: list('role', text()),
      }),
    )
    expect(await tenantAdmin.read(path, userAccount)).toMatchObject({
      username: 'watcher & co',
      enabled: true,
      roles: ['MONITOR'],
    })
    expect(
      await Array.fromAsync(
        tenantAdmin.names(users, { root: 'userAccounts', element: 'username' }, { pageSize: 1 }),
      ),
    ).toContain('watcher & co')
    await tenantAdmin.remove(path)
    expect(await tenantAdmin.exists(path)).toBe(false)
  })
})

test('a node that is gone is passed over, and a busy one waited for', async () => {
  await hcp.stopNode(1)
  expect(await new Tenant(system, 'm').exists()).toBe(true)
  await hcp.startNode(1)
  hcp.addFault({ kind: 'status', status: 503, retryAfter: 0, when: 'beforeHead', method: 'GET', count: 1 })
  expect(await new Tenant(system, 'm').settings()).toMatchObject({ name: 'm' })
})
