import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MapiConflictError, MapiForbiddenError, MapiNotFoundError } from './errors.ts'
import { MapiClient } from './mapi-client.ts'
import { quotaBytes } from './quota.ts'
import { json, reply, type ScriptServer, scriptServer, xml } from './script-server.testing.ts'
import type { TenantChanges } from './tenant-settings.ts'
import { createTenant, type InitialAccount, listTenants, Tenant } from './tenants.ts'

let server: ScriptServer
let mapi: MapiClient
let tenant: Tenant
beforeAll(async () => {
  server = await scriptServer(reply(200))
  mapi = new MapiClient(server.target(), { retry: false })
  tenant = new Tenant(mapi, 'fin/ance')
})
beforeEach(() => server.play(reply(200)))
afterAll(async () => {
  await mapi.close()
  await server[Symbol.asyncDispose]()
})

/** As a system of release 9 answered it, values replaced. */
const live =
  '{ "name" : "finance", "systemVisibleDescription" : "", "softQuota" : 85, "hardQuota" : "400.00 GB", "namespaceQuota" : "None", "authenticationTypes" : { "authenticationType" : [ "LOCAL" ] }, "tags" : { "tag" : [] }, "managementNetwork" : "[hcp_system]", "fullyQualifiedName" : "finance.hcp.test", "searchConfigurationEnabled" : true, "creationTime" : "2021-05-03T14:07:09+0200", "id" : "7d0f0c4e-6b9b-4a39-9f0e-5a1c2c0f7b11" }'
const liveXml =
  '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><tenant><name>finance</name><systemVisibleDescription/><softQuota>85</softQuota><hardQuota>400.00 GB</hardQuota><namespaceQuota>None</namespaceQuota><authenticationTypes><authenticationType>LOCAL</authenticationType></authenticationTypes><tags/><managementNetwork>[hcp_system]</managementNetwork><fullyQualifiedName>finance.hcp.test</fullyQualifiedName><searchConfigurationEnabled>true</searchConfigurationEnabled><creationTime>2021-05-03T14:07:09+0200</creationTime><id>7d0f0c4e-6b9b-4a39-9f0e-5a1c2c0f7b11</id></tenant>'
const settings = {
  name: 'finance',
  systemVisibleDescription: '',
  softQuota: 85,
  hardQuota: '400.00 GB',
  namespaceQuota: 'None',
  authenticationTypes: ['LOCAL'],
  tags: [],
  managementNetwork: '[hcp_system]',
  fullyQualifiedName: 'finance.hcp.test',
  searchConfigurationEnabled: true,
  creationTime: new Date('2021-05-03T12:07:09Z'),
  id: '7d0f0c4e-6b9b-4a39-9f0e-5a1c2c0f7b11',
}

describe('reading', () => {
  test.each([
    ['XML', xml(liveXml)],
    ['JSON', json(live)],
  ])('settings come typed from %s, and what HCP did not say is not there', async (_, step) => {
    server.play(step)
    expect(await tenant.settings({ verbose: true })).toEqual(settings)
    expect(server.seen).toMatchObject([{ method: 'GET', path: '/mapi/tenants/fin%2Fance?verbose=true' }])
  })

  test('the default tenant has few of them, and no name', async () => {
    server.play(json('{"systemVisibleDescription":"","snmpLoggingEnabled":false,"namespaceQuota":"5"}'))
    expect(await tenant.settings()).toEqual({
      systemVisibleDescription: '',
      snmpLoggingEnabled: false,
      namespaceQuota: 5,
    })
  })

  test('statistics are counts that are exact', async () => {
    const names = [
      'objectCount',
      'ingestedVolume',
      'storageCapacityUsed',
      'customMetadataCount',
      'customMetadataSize',
    ]
    const all = [...names, 'shredCount', 'shredSize', 'somethingNew']
    server.play(json(`{${all.map((name) => `"${name}":9223372036854775807`).join()}}`))
    expect(await tenant.statistics()).toEqual(
      Object.fromEntries(all.map((name) => [name, 9223372036854775807n])),
    )
    await tenant.namespaceStatistics('n 1')
    expect(server.seen.map(({ path }) => path)).toEqual([
      '/mapi/tenants/fin%2Fance/statistics',
      '/mapi/tenants/fin%2Fance/namespaces/n%201/statistics',
    ])
  })

  test('a namespace comes typed', async () => {
    server.play(
      xml(
        '<namespace><name>n1</name><hardQuota>50.00 GB</hardQuota><enterpriseMode>true</enterpriseMode><authMinimumPermissions/><tags><tag>1</tag></tags></namespace>',
      ),
    )
    expect(await tenant.namespace('n1')).toEqual({
      name: 'n1',
      hardQuota: '50.00 GB',
      enterpriseMode: true,
      authMinimumPermissions: [],
      tags: ['1'],
    })
  })

  test('names of tenants and namespaces come one by one', async () => {
    server.play(xml('<tenants><name>a</name></tenants>'), xml('<namespaces><name>n1</name></namespaces>'))
    expect(await Array.fromAsync(listTenants(mapi))).toEqual(['a'])
    expect(await Array.fromAsync(tenant.namespaces({ filter: 'n' }))).toEqual(['n1'])
    expect(server.seen.map(({ path }) => path.split('?')[0])).toEqual([
      '/mapi/tenants',
      '/mapi/tenants/fin%2Fance/namespaces',
    ])
  })

  test('names of namespaces are for COMPLIANCE, too', async () => {
    server.play(reply(403))
    await expect(Array.fromAsync(tenant.namespaces())).rejects.toThrow(
      'the role MONITOR, ADMINISTRATOR or COMPLIANCE of a tenant account',
    )
  })

  test('whether there is one', async () => {
    server.play(reply(200), reply(302))
    expect(await tenant.exists()).toBe(true)
    expect(await tenant.exists()).toBe(false)
  })
})

describe('changing', () => {
  test('sends what is given and nothing else; empty values clear', async () => {
    await tenant.change({
      softQuota: 90,
      tags: [],
      systemVisibleDescription: '',
      name: undefined as unknown as string,
    })
    await tenant.change({ authenticationTypes: ['LOCAL', 'EXTERNAL'] })
    expect(server.seen).toMatchObject([
      {
        method: 'POST',
        path: '/mapi/tenants/fin%2Fance',
        body: '<?xml version="1.0" encoding="UTF-8"?><tenant><softQuota>90</softQuota><tags/><systemVisibleDescription/></tenant>',
      },
      {
        body: '<?xml version="1.0" encoding="UTF-8"?><tenant><authenticationTypes><authenticationType>LOCAL</authenticationType><authenticationType>EXTERNAL</authenticationType></authenticationTypes></tenant>',
      },
    ])
  })

  test('creates with a first account, whose password is in no error', async () => {
    const created = await createTenant(
      mapi,
      { name: 'new', hardQuota: '1 TB', namespaceQuota: 'None' },
      { username: 'sec&ure', password: 'pass word+1', forcePasswordChange: true },
    )
    expect(created.name).toBe('new')
    expect(server.seen).toMatchObject([
      {
        method: 'PUT',
        path: '/mapi/tenants?username=sec%26ure&password=pass%20word%2B1&forcePasswordChange=true',
        body: '<?xml version="1.0" encoding="UTF-8"?><tenant><name>new</name><hardQuota>1 TB</hardQuota><namespaceQuota>None</namespaceQuota></tenant>',
      },
    ])
    server.play(reply(409))
    const again = createTenant(mapi, { name: 'new' }, { username: 'u', password: 'pass word+1' })
    const error: unknown = await again.catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(MapiConflictError)
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toMatch(/pass/)
    await createTenant(mapi, { name: 'x' }, { initialSecurityGroup: 'g@d' }).catch(() => undefined)
    expect(server.seen.at(-1)?.path).toBe('/mapi/tenants?initialSecurityGroup=g%40d')
  })

  test('deletes', async () => {
    server.play(reply(200), reply(404), reply(403))
    await tenant.delete()
    expect(server.seen).toMatchObject([{ method: 'DELETE', path: '/mapi/tenants/fin%2Fance' }])
    await expect(tenant.delete()).rejects.toBeInstanceOf(MapiNotFoundError)
    await expect(tenant.delete()).rejects.toBeInstanceOf(MapiForbiddenError)
  })

  test.each<[string, () => unknown]>([
    ['a verbose answer', () => tenant.change(settings as TenantChanges)],
    ['nothing', () => tenant.change({})],
    ['a list that is text', () => tenant.change({ tags: 'a,b' as unknown as string[] })],
    [
      'a tenant without a name',
      () => createTenant(mapi, {} as { name: string }, { username: 'u', password: 'p' }),
    ],
    [
      'a tenant without an account',
      () => createTenant(mapi, { name: 'a' }, undefined as unknown as InitialAccount),
    ],
    [
      'an account without a password',
      () => createTenant(mapi, { name: 'a' }, { username: 'u' } as InitialAccount),
    ],
    ['a client that is none', async () => new Tenant({} as MapiClient, 'a')],
  ])('never sends %s', async (_, call) => {
    await expect(Promise.resolve().then(call)).rejects.toThrow(TypeError)
    expect(server.seen).toHaveLength(0)
  })
})

test.each([
  ['400.00 GB', 400 * 1024 ** 3],
  ['.01 TB', Math.round(0.01 * 1024 ** 4)],
  ['1MB', 1024 ** 2],
])('a quota of %s is %i bytes', (quota, bytes) => {
  expect(quotaBytes(quota)).toBe(bytes)
})

test.each(['', 'None', '50', '50 PB', '-1 GB', '1e3 GB', 'x 1 GB'])('%j is no quota', (quota) => {
  expect(() => quotaBytes(quota)).toThrow(RangeError)
})
