import { text } from 'node:stream/consumers'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import { credentials, Wire } from '../wire.testing.ts'
import type { MapiCall } from './mapi.testing.ts'
import { MapiTester } from './mapi.testing.ts'
import { resources } from './resources.ts'

const systemRoles = ['MONITOR', 'ADMINISTRATOR', 'SECURITY', 'SERVICE', 'COMPLIANCE', 'SEARCH'] as const
const tenantRoles = ['MONITOR', 'ADMINISTRATOR', 'SECURITY', 'COMPLIANCE'] as const

let hcp: Emulator
let mapi: MapiTester
beforeAll(async () => {
  const users = tenantRoles.map((role) => ({ user: role, password: 'pass01', roles: [role] }))
  hcp = await startEmulator({
    nodes: 1,
    config: {
      tenants: [
        {
          name: 'm',
          namespaces: [{ name: 'n1', retentionClasses: [{ name: 'c1', value: 'A+1d' }] }],
          users: [
            ...users,
            { user: 'n', password: 'n01' },
            { user: 'admin', password: 'a01', roles: [...tenantRoles] },
          ],
        },
        { name: 'open', users: [{ user: 'admin', password: 'a01', roles: [...tenantRoles] }] },
        { name: 'closed', mapiEnabled: false, users: [{ user: 'admin', password: 'a01' }] },
      ],
      systemUsers: [
        { user: 'sysadmin', password: 's01' },
        ...systemRoles.map((role) => ({ user: role, password: 'pass01', roles: [role] })),
      ],
    },
  })
  mapi = new MapiTester(hcp)
  await mapi.change('POST', '/tenants/open', { administrationAllowed: true }, 'open')
})
afterAll(async () => {
  await mapi[Symbol.asyncDispose]()
  await hcp.close()
})

describe('who asks', () => {
  const admin = credentials('sysadmin', 's01')
  const cases: [string, MapiCall, number, RegExp][] = [
    ['a header', { path: '/tenants' }, 200, /^$/],
    [
      'hex digits in capitals',
      { path: '/tenants', headers: { authorization: upperDigits(admin) } },
      200,
      /^$/,
    ],
    [
      'AD and a clear password',
      { path: '/tenants', headers: { authorization: 'AD sysadmin:s01' } },
      200,
      /^$/,
    ],
    ['a bare token', { path: '/tenants', headers: { authorization: admin.slice(4) } }, 200, /^$/],
    [
      'the cookie of the older form',
      { path: '/tenants', as: null, headers: { cookie: `a=b; hcp-api-auth=${admin.slice(4)}` } },
      200,
      /^$/,
    ],
    [
      'the cookie for data',
      { path: '/tenants', as: null, headers: { cookie: `hcp-ns-auth=${admin.slice(4)}` } },
      403,
      /Credentials are missing/,
    ],
    ['nobody', { path: '/tenants', as: null }, 403, /Credentials are missing/],
    ['a wrong password', { path: '/tenants', as: ['sysadmin', 's02'] }, 403, /credentials are wrong/],
    ['all_users', { path: '/tenants', headers: { authorization: 'AD all_users:' } }, 403, /wrong/],
    ['a tenant account at admin', { path: '/tenants', as: ['admin', 'a01'] }, 403, /wrong/],
    [
      'a system account at a tenant',
      { path: '/tenants/m', host: 'm', as: ['sysadmin', 's01'] },
      403,
      /wrong/,
    ],
    ['one with leave', { path: '/tenants/open', host: 'open', as: ['sysadmin', 's01'] }, 200, /^$/],
    [
      'a host of no tenant',
      { path: '/tenants', host: 'none', as: ['sysadmin', 's01'] },
      403,
      /no such tenant/,
    ],
    ['a tenant without MAPI', { path: '/tenants/closed', host: 'closed' }, 403, /not enabled/],
    [
      'a host with a port',
      { path: '/tenants', host: 'ADMIN.hcp1.test:9090', as: ['sysadmin', 's01'] },
      200,
      /^$/,
    ],
    ['another tenant', { path: '/tenants/open', host: 'm' }, 403, /of that tenant/],
    ['a tenant that is not there', { path: '/tenants/none', host: 'm' }, 403, /of that tenant/],
  ]
  test.each(cases)('%s', async (_, call, status, message) => {
    const reply = await mapi.call(call)
    expect(reply).toMatchObject({ status, message: expect.stringMatching(message) as string })
  })

  test('a host of no system', async () => {
    using wire = await Wire.toTls(hcp, 1, hcp.ports.mapi)
    const request = { path: '/mapi/tenants', host: 'admin.other.test' }
    expect(
      (await wire.send({ ...request, authorization: credentials('sysadmin', 's01') }).answer()).status,
    ).toBe(403)
  })

  test('names in a path are found whatever their case, its keywords are not', async () => {
    expect((await mapi.read('/tenants/OPEN/userAccounts/ADMIN'))['username']).toBe('admin')
    expect((await mapi.call({ path: '/tenants/OPEN/useraccounts/admin' })).status).toBe(404)
    expect((await mapi.call({ path: '/Tenants' })).status).toBe(404)
    expect((await mapi.call({ path: '/supportAccesscredentials' })).status).toBe(200)
  })

  test('the log of requests knows the account', () => {
    expect(hcp.requests().find(({ port }) => port === 'mapi')?.user).toBe('admin')
  })
})

function upperDigits(token: string): string {
  return token.replace(/:.*$/, (digits) => digits.toUpperCase())
}

describe('headers', () => {
  const always = {
    'x-hcp-softwareversion': '9.6.0.142',
    pragma: 'no-cache',
    'x-content-type-options': 'nosniff',
    'x-dns-prefetch-control': 'off',
    'x-download-options': 'noopen',
    'x-frame-options': 'SAMEORIGIN',
    'x-xss-protection': '1; mode=block',
    'content-security-policy': expect.stringContaining("frame-ancestors 'self'") as string,
  }

  test('of a success', async () => {
    const { headers } = await mapi.call({ path: '/tenants' })
    expect(headers).toMatchObject({
      ...always,
      'cache-control': 'no-cache,no-store,must-revalidate',
      expires: 'Thu, 01 Jan 1970 00:00:00 GMT',
      'content-type': 'application/json',
      'content-length': '30',
    })
  })

  test('of a failure: its message, and nothing about caches', async () => {
    const { headers, text } = await mapi.call({ path: '/tenants', as: null })
    expect(headers).toMatchObject({ ...always, 'content-length': '0' })
    expect(headers['cache-control']).toBeUndefined()
    expect(text).toBe('')
  })

  test('of a release before 8', async () => {
    await using old = await startEmulator({ nodes: 1, release: '7.1.0.10' })
    await using client = new MapiTester(old)
    const { headers } = await client.call({ path: '/tenants' })
    expect(headers).toMatchObject({ 'x-hcp-softwareversion': '7.1.0.10' })
    expect(headers['pragma']).toBeUndefined()
    expect(headers['x-frame-options']).toBeUndefined()
  })
})

describe('statuses', () => {
  const json = { 'content-type': 'application/json' }
  const cases: [number, string, MapiCall][] = [
    [200, 'a slash at the end', { path: '/tenants/' }],
    [302, 'HEAD of what is missing', { method: 'HEAD', path: '/tenants/none' }],
    [302, 'HEAD of what may not be seen', { method: 'HEAD', path: '/tenants/open', host: 'm' }],
    [403, 'HEAD with wrong credentials', { method: 'HEAD', path: '/tenants/m', as: ['x', 'y'] }],
    [200, 'HEAD of a tenant', { method: 'HEAD', path: '/tenants/m' }],
    [200, 'HEAD of a list', { method: 'HEAD', path: '/tenants' }],
    [404, 'a resource that is not there', { path: '/tenants/none' }],
    [404, 'a path that is none', { path: '/nothing/here' }],
    [404, 'what is not below /mapi', { path: '/mapis/tenants' }],
    [404, 'the XSD', { path: '/mapi/static/mapi-9_3_0.xsd' }],
    [405, 'POST of a list of tenants', { method: 'POST', path: '/tenants', body: {} }],
    [405, 'DELETE of contactInfo', { method: 'DELETE', path: '/tenants/open/contactInfo' }],
    [405, 'PUT of a tenant', { method: 'PUT', path: '/tenants/open', body: {} }],
    [400, 'a path that is no UTF-8 by its escapes', { path: '/tenants/%zz' }],
    [400, 'a bad value of a parameter', { path: '/tenants?offset=-1' }],
    [200, 'a bad boolean, which is false', { path: '/tenants?verbose=perhaps' }],
    [200, 'a parameter that nobody knows', { path: '/tenants?color=blue' }],
    [414, 'a path of 4,096 bytes', { path: `/tenants/${'x'.repeat(4_096 - 9)}` }],
    [404, 'a path of 4,095 bytes', { path: `/tenants/${'x'.repeat(4_095 - 9)}` }],
    [
      415,
      'a body without type',
      { method: 'PUT', path: '/tenants', body: {}, headers: { 'content-type': '' } },
    ],
    [
      415,
      'a body of a type that MAPI does not take',
      { method: 'PUT', path: '/tenants', body: {}, headers: { 'content-type': 'text/plain' } },
    ],
    [
      415,
      'a body in another charset',
      {
        method: 'PUT',
        path: '/tenants',
        body: {},
        headers: { 'content-type': 'application/json; charset=latin1' },
      },
    ],
    [
      400,
      'a body of a type that does not exist',
      { method: 'PUT', path: '/tenants', body: {}, headers: { 'content-type': 'sound/json' } },
    ],
    [400, 'no body where one is needed', { method: 'PUT', path: '/tenants', headers: json }],
    [400, 'a missing property', { method: 'PUT', path: '/tenants?username=a&password=pass01', body: {} }],
    [400, 'a missing parameter', { method: 'PUT', path: '/tenants', body: { name: 't' } }],
    [
      409,
      'a PUT of what is there',
      { method: 'PUT', path: '/tenants?username=a&password=pass01', body: { name: 'M' } },
    ],
    [415, 'an Accept that MAPI cannot', { path: '/tenants', headers: { accept: 'text/html' } }],
    [400, 'an Accept that does not exist', { path: '/tenants', headers: { accept: 'application' } }],
  ]
  test.each(cases)('%i for %s', async (status, _, call) => {
    const reply = await mapi.call(call)
    expect(reply.status).toBe(status)
    if (status !== 302) return
    expect(reply.headers['location']).toMatch(/^https:\/\/(admin|m)\.hcp1\.test:8000\/$/)
    expect(reply.headers['content-length']).toBe('0')
  })

  test('a missing parameter is named in single quotes', async () => {
    const { message } = await mapi.call({ method: 'PUT', path: '/tenants?username=a', body: { name: 't' } })
    expect(message).toContain("'password'")
  })

  test('a path may have angle brackets as they are', async () => {
    using wire = await Wire.toTls(hcp, 1, hcp.ports.mapi)
    const request = {
      path: '/mapi/tenants/a--<-->--b',
      host: 'admin.hcp1.test',
      authorization: credentials('sysadmin', 's01'),
    }
    expect((await wire.send(request).answer()).status).toBe(404)
  })
})

describe('OPTIONS', () => {
  test.each(resources.map(({ path }) => [path]))('%s', async (path) => {
    const { operations } = resources.find((each) => each.path === path)!
    const reply = await mapi.call({
      method: 'OPTIONS',
      path: path.replace(':tenant', 'm').replaceAll(/:\w+/g, 'x'),
      headers: { accept: 'text/html' },
    })
    expect(reply.status).toBe(200)
    expect(reply.headers['content-type']).toBe('application/vnd.sun.wadl+xml')
    const allow = String(reply.headers['allow']).split(',')
    for (const method of Object.keys(operations)) expect(allow).toContain(method)
    expect(allow[0]).toBe('OPTIONS')
    expect(reply.text).toContain('<application xmlns="http://research.sun.com/wadl/2006/10">')
    for (const method of allow.slice(1)) expect(reply.text).toContain(`<method name="${method}"`)
  })
})

describe('formats', () => {
  const xml =
    '<?xml version="1.0" encoding="UTF-8"?><tenants><name>closed</name><name>m</name><name>open</name></tenants>'
  const cases: [string | undefined, string, string][] = [
    [undefined, 'application/xml', xml],
    ['*/*', 'application/xml', xml],
    ['application/*', 'application/xml', xml],
    ['application/xml', 'application/xml', xml],
    ['application/json', 'application/json', '{"name":["closed","m","open"]}'],
    ['application/xml;q=0.2, application/json;q=0.8', 'application/json', '{"name":["closed","m","open"]}'],
    ['text/html, application/json', 'application/json', '{"name":["closed","m","open"]}'],
    ['text/html, image/gif, *; q=.2, */*; q=.2', 'application/xml', xml],
    ['application/javascript', 'application/javascript', 'callback({"name":["closed","m","open"]})'],
  ]
  test.each(cases)('Accept: %s', async (accept, type, text) => {
    const reply = await mapi.call({ path: '/tenants', headers: { accept: accept ?? '' } })
    expect(reply).toMatchObject({ status: 200, text, headers: { 'content-type': type } })
  })

  test('prettyprint indents, whatever its value', async () => {
    for (const flag of ['prettyprint', 'prettyprint=true', 'prettyprint=y']) {
      const accept = 'application/xml'
      expect((await mapi.call({ path: `/tenants?${flag}`, headers: { accept } })).text).toBe(
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<tenants>\n    <name>closed</name>\n    <name>m</name>\n    <name>open</name>\n</tenants>\n',
      )
    }
    expect((await mapi.call({ path: '/tenants?prettyprint' })).text).toBe(
      '{\n  "name" : [\n    "closed",\n    "m",\n    "open"\n  ]\n}',
    )
  })

  test('JSONP calls the function that is asked for, if that is a name', async () => {
    const headers = { accept: 'application/javascript' }
    expect((await mapi.call({ path: '/tenants?callback=a.b', headers })).text).toMatch(/^a\.b\(\{/)
    expect((await mapi.call({ path: '/tenants?callback=a(b', headers })).status).toBe(400)
  })
})

describe('roles', () => {
  const tenant = '/tenants/m'
  const namespace = '/tenants/m/namespaces/n1'
  /** Which roles the documents let do what; `system` at `admin` without the tenant's leave, `tenant` at the tenant. */
  const matrix: [MapiCall, { system?: string; tenant?: string }][] = [
    [{ path: '/tenants' }, { system: 'MONITOR ADMINISTRATOR' }],
    [{ method: 'DELETE', path: '/tenants/m' }, { system: 'ADMINISTRATOR' }],
    [{ path: tenant }, { system: 'MONITOR ADMINISTRATOR', tenant: 'MONITOR ADMINISTRATOR' }],
    [
      { method: 'POST', path: tenant, body: {} },
      { system: 'ADMINISTRATOR', tenant: 'ADMINISTRATOR' },
    ],
    [{ path: `${tenant}/namespaces` }, { tenant: 'MONITOR ADMINISTRATOR COMPLIANCE' }],
    [{ method: 'PUT', path: `${tenant}/namespaces`, body: {} }, { tenant: 'ADMINISTRATOR' }],
    [{ path: namespace }, { tenant: 'MONITOR ADMINISTRATOR' }],
    [{ method: 'POST', path: namespace, body: {} }, { tenant: 'ADMINISTRATOR' }],
    [{ path: `${namespace}/complianceSettings` }, { tenant: 'MONITOR ADMINISTRATOR COMPLIANCE' }],
    [{ method: 'POST', path: `${namespace}/complianceSettings`, body: {} }, { tenant: 'COMPLIANCE' }],
    [{ path: `${namespace}/retentionClasses/c1` }, { tenant: 'MONITOR ADMINISTRATOR COMPLIANCE' }],
    [{ method: 'POST', path: `${namespace}/retentionClasses/c1`, body: {} }, { tenant: 'COMPLIANCE' }],
    [{ path: `${namespace}/statistics` }, { tenant: 'MONITOR ADMINISTRATOR' }],
    [{ path: `${namespace}/chargebackReport` }, { tenant: 'MONITOR ADMINISTRATOR' }],
    [
      { path: `${tenant}/chargebackReport` },
      { system: 'MONITOR ADMINISTRATOR', tenant: 'MONITOR ADMINISTRATOR' },
    ],
    ...['consoleSecurity', 'searchSecurity'].flatMap((name): [MapiCall, { tenant: string }][] => [
      [{ path: `${tenant}/${name}` }, { tenant: 'SECURITY' }],
      [{ method: 'POST', path: `${tenant}/${name}`, body: {} }, { tenant: 'SECURITY' }],
    ]),
    ...[
      `${tenant}/contactInfo`,
      `${tenant}/emailNotification`,
      `${tenant}/namespaceDefaults`,
      `${tenant}/permissions`,
      `${namespace}/permissions`,
      `${namespace}/protocols/http`,
      `${namespace}/protocols/nfs`,
      `${namespace}/versioningSettings`,
      `${namespace}/replicationCollisionSettings`,
      `${namespace}/customMetadataIndexingSettings`,
    ].flatMap((path): [MapiCall, { tenant: string }][] => [
      [{ path }, { tenant: 'MONITOR ADMINISTRATOR' }],
      [{ method: 'POST', path, body: 'refused for its root' }, { tenant: 'ADMINISTRATOR' }],
    ]),
    [{ path: `${tenant}/cors` }, { system: 'MONITOR ADMINISTRATOR', tenant: 'MONITOR ADMINISTRATOR' }],
    [
      { method: 'DELETE', path: `${tenant}/cors` },
      { system: 'ADMINISTRATOR', tenant: 'ADMINISTRATOR' },
    ],
    [{ path: `${tenant}/userAccounts` }, { tenant: 'MONITOR ADMINISTRATOR SECURITY' }],
    [{ method: 'PUT', path: `${tenant}/userAccounts`, body: {} }, { tenant: 'SECURITY' }],
    [{ method: 'DELETE', path: `${tenant}/userAccounts/none` }, { tenant: 'SECURITY' }],
    [{ path: `${tenant}/userAccounts/n/dataAccessPermissions` }, { tenant: 'ADMINISTRATOR SECURITY' }],
    [
      { method: 'POST', path: `${tenant}/userAccounts/n/dataAccessPermissions`, body: {} },
      { tenant: 'ADMINISTRATOR' },
    ],
    [{ path: `${tenant}/groupAccounts` }, { tenant: 'MONITOR ADMINISTRATOR SECURITY' }],
    [{ path: '/userAccounts' }, { system: 'MONITOR ADMINISTRATOR SECURITY' }],
    [{ method: 'POST', path: '/userAccounts/n', body: {} }, { system: 'SECURITY' }],
    [{ path: '/groupAccounts' }, { system: 'MONITOR ADMINISTRATOR SECURITY' }],
    [{ path: '/nodes/statistics' }, { system: 'MONITOR ADMINISTRATOR' }],
    [{ path: '/services/statistics' }, { system: 'MONITOR ADMINISTRATOR' }],
    [{ path: '/storage/licenses' }, { system: 'MONITOR ADMINISTRATOR' }],
    [{ method: 'POST', path: '/network', body: {} }, { system: 'ADMINISTRATOR' }],
    [{ path: '/supportaccesscredentials' }, { system: 'MONITOR ADMINISTRATOR SECURITY SERVICE' }],
    [{ path: '/healthCheckReport' }, { system: 'ADMINISTRATOR SERVICE' }],
    [{ path: '/logs' }, { system: 'MONITOR ADMINISTRATOR SERVICE' }],
    [{ method: 'POST', path: '/logs', body: {} }, { system: 'ADMINISTRATOR SERVICE' }],
  ]

  test.each(matrix.map(([call, who]) => [call.method ?? 'GET', call.path, call, who] as const))(
    '%s %s',
    async (method, path, call, { system = '', tenant: ofTenant = '' }) => {
      const asked: [string, string, string][] = [
        ...systemRoles.map((role): [string, string, string] => ['admin', role, system]),
        ...tenantRoles.map((role): [string, string, string] => ['m', role, ofTenant]),
      ]
      for (const [host, role, allowed] of asked) {
        // What is allowed and deletes is not done.
        if (method === 'DELETE' && path === '/tenants/m' && allowed.includes(role)) continue
        const { status, message } = await mapi.call({ ...call, host, as: [role, 'pass01'] })
        const refused = status === 403 && message.startsWith('This needs')
        expect({ host, role, refused }).toEqual({ host, role, refused: !allowed.split(' ').includes(role) })
        if (!refused) continue
        for (const name of `${system} ${ofTenant}`.split(' ')) expect(message).toContain(name)
        expect(message.includes('system-level')).toBe(system !== '')
        expect(message.includes('tenant-level')).toBe(ofTenant !== '')
      }
    },
  )

  test('with the tenant leave, roles of the system are those of the tenant', async () => {
    const path = '/tenants/open/namespaces'
    for (const host of ['admin', 'open']) {
      expect((await mapi.call({ path, host, as: ['MONITOR', 'pass01'] })).status).toBe(200)
      expect((await mapi.call({ path, host, as: ['SERVICE', 'pass01'] })).status).toBe(403)
    }
    expect((await mapi.call({ path: '/tenants', host: 'open', as: ['MONITOR', 'pass01'] })).status).toBe(403)
  })
})

test.each([
  ['no HTTP at all', 'what is this?\r\n\r\n', 400],
  ['a head without end', `GET /mapi/${'a'.repeat(66_000)} HTTP/1.1\r\n\r\n`, 414],
  ['a tunnel', 'CONNECT admin.hcp1.test:9090 HTTP/1.1\r\nHost: admin.hcp1.test:9090\r\n\r\n', 405],
])('%s is answered as by the management API, which says its release', async (_, bytes, status) => {
  const { ca, domain, nodes, ports } = hcp
  const socket = connect({ port: ports.mapi, host: nodes[0]!, ca, servername: `admin.${domain}` })
  socket.write(bytes)
  const answer = await text(socket)
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(answer).toContain('\r\nX-HCP-SoftwareVersion: 9.6.0.142\r\nPragma: no-cache\r\n')
  expect(answer).not.toContain('X-HCP-Time')
  expect(answer).toMatch(/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n$/)
  expect((await mapi.call({ path: '/tenants' })).status).toBe(200)
})
