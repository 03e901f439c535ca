import type { PeerCertificate } from 'node:tls'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Emulator } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import { credentials, Wire } from '../wire.testing.ts'
import { MapiTester } from './mapi.testing.ts'

let hcp: Emulator
let mapi: MapiTester
beforeEach(async () => {
  hcp = await startEmulator({ nodes: 1, now: () => Date.UTC(2026, 2, 4, 5, 6, 7) })
  mapi = new MapiTester(hcp)
})
afterEach(async () => {
  await mapi[Symbol.asyncDispose]()
  await hcp.close()
})

const create = (name: string, properties: object = {}): Promise<void> =>
  mapi.change('PUT', '/tenants?username=first&password=Start123', { name, ...properties })

/** What a connection to come is shown. */
function certificate(): Promise<PeerCertificate> {
  const servername = `admin.${hcp.domain}`
  return new Promise((resolve, reject) => {
    const socket = connect({ port: hcp.ports.mapi, host: hcp.nodes[0]!, ca: hcp.ca, servername }, () => {
      resolve(socket.getPeerCertificate())
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

describe('certificates', () => {
  test('hold for all tenants that were made at the same time, whichever certificate was made first', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `side${index}`)
    await Promise.all(names.map((name) => create(name)))
    const { subjectaltname } = await certificate()
    for (const name of names) expect(subjectaltname).toContain(`*.${name}.hcp1.test`)
  })

  test('are not made anew where no name is missing: that takes long on a system of many tenants', async () => {
    await create('sales')
    const { fingerprint256 } = await certificate()
    await mapi.change('POST', '/tenants/sales', { systemVisibleDescription: 'other' })
    await mapi.change('POST', '/tenants/m/contactInfo', { city: 'Bern' }, 'm')
    await mapi.change('DELETE', '/tenants/sales')
    expect((await certificate()).fingerprint256).toBe(fingerprint256)
    await mapi.change('POST', '/tenants/m', { name: 'renamed' })
    expect((await certificate()).subjectaltname).toContain('*.renamed.hcp1.test')
  })
})

describe('a tenant', () => {
  test('is there at once, with an account that makes the others, and a certificate for its names', async () => {
    await create('Sales', { hardQuota: '100 GB', tags: { tag: ['a', 'b', 'a'] } })
    expect(await mapi.read('/tenants/sales?verbose=true')).toEqual({
      name: 'Sales',
      systemVisibleDescription: '',
      hardQuota: '100.00 GB',
      softQuota: 85,
      namespaceQuota: 'None',
      authenticationTypes: { authenticationType: ['LOCAL', 'RADIUS'] },
      complianceConfigurationEnabled: false,
      versioningConfigurationEnabled: false,
      searchConfigurationEnabled: false,
      replicationConfigurationEnabled: false,
      erasureCodingSelectionEnabled: false,
      servicePlanSelectionEnabled: false,
      servicePlan: 'Default',
      dataNetwork: '[hcp_system]',
      managementNetwork: '[hcp_system]',
      tags: { tag: ['a', 'b'] },
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      creationTime: '2026-03-04T05:06:07+0000',
      fullyQualifiedName: 'sales.hcp1.test',
    })
    const account = { username: 'ops', fullName: 'Operator', enabled: true, forcePasswordChange: false }
    const body = { ...account, localAuthentication: true, roles: { role: ['administrator'] } }
    const made = await mapi.call({
      method: 'PUT',
      path: '/tenants/sales/userAccounts?password=Operate7',
      host: 'sales',
      as: ['first', 'Start123'],
      body,
    })
    expect(made.status).toBe(200)
    const ops: [string, string] = ['ops', 'Operate7']
    const namespace = { name: 'films' }
    expect(
      await mapi.call({
        method: 'PUT',
        path: '/tenants/sales/namespaces',
        host: 'sales',
        as: ops,
        body: namespace,
      }),
    ).toMatchObject({ status: 200, text: '' })
    const open = { httpsEnabled: true }
    const path = '/tenants/sales/namespaces/films/protocols/http'
    await mapi.call({ method: 'POST', path, host: 'sales', as: ops, body: open })
    // The client checks that the certificate is one of this name.
    using wire = await Wire.toTls(hcp, 1, hcp.ports.https)
    const { connect } = await import('node:tls')
    const socket = connect({
      port: hcp.ports.https,
      host: hcp.nodes[0]!,
      ca: hcp.ca,
      servername: 'films.sales.hcp1.test',
    })
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    socket.destroy()
    const answer = await wire
      .send({ path: '/rest/', host: 'films.sales.hcp1.test', authorization: credentials('ops', 'Operate7') })
      .answer()
    expect(answer.headers['x-hcp-errormessage']).toContain('Access to the namespace is denied')
  })

  test('sees its own settings, and of those of the system what concerns it', async () => {
    const own = [
      'administrationAllowed',
      'maxNamespacesPerUser',
      'snmpLoggingEnabled',
      'syslogLoggingEnabled',
    ]
    const short = await mapi.read('/tenants/m', 'm')
    expect(Object.keys(short).toSorted()).toEqual([...own, 'tenantVisibleDescription'].toSorted())
    const all = await mapi.read('/tenants/m?verbose=true', 'm')
    expect(all).toMatchObject({
      ...short,
      name: 'm',
      hardQuota: '1124.00 GB',
      fullyQualifiedName: 'm.hcp1.test',
    })
    expect(all).not.toHaveProperty('tags')
    const before = await mapi.read('/tenants/m')
    expect(before).not.toHaveProperty('administrationAllowed')
    await mapi.change('POST', '/tenants/m', { administrationAllowed: 'true' }, 'm')
    expect(await mapi.read('/tenants/m')).toEqual({ ...before, ...short, administrationAllowed: true })
  })

  test('what a short GET shows can be sent back, what a long one shows cannot', async () => {
    for (const host of ['admin', 'm']) {
      const short = await mapi.read('/tenants/m', host)
      await mapi.change('POST', '/tenants/m', short, host)
      expect(await mapi.read('/tenants/m', host)).toEqual(short)
      const body = await mapi.read('/tenants/m?verbose=true', host)
      const { status, message } = await mapi.call({ method: 'POST', path: '/tenants/m', host, body })
      expect(status).toBe(400)
      expect(message).toMatch(/'id'|'creationTime'|'fullyQualifiedName'/)
    }
  })

  const refused: [string, string, object, number][] = [
    ['admin', 'a property of the tenant', { tenantVisibleDescription: 'x' }, 403],
    ['m', 'a property of the system', { softQuota: 50 }, 403],
    ['admin', 'a property that nobody has', { colour: 'blue' }, 400],
    ['admin', 'a percentage above 100', { softQuota: 101 }, 400],
    ['admin', 'a quota without unit', { hardQuota: '50' }, 400],
    ['admin', 'a quota with three decimals', { hardQuota: '50.123 GB' }, 400],
    ['admin', 'a quota below 1 GB', { hardQuota: '1000 MB' }, 400],
    ['admin', 'a quota below what is in use', { hardQuota: '99 GB' }, 400],
    ['admin', 'fewer namespaces than there are', { namespaceQuota: 1 }, 400],
    ['admin', 'RADIUS alone', { authenticationTypes: { authenticationType: ['RADIUS'] } }, 400],
    ['admin', 'a tag with a comma', { tags: { tag: ['a,b'] } }, 400],
    ['admin', 'a description of 1,025 characters', { systemVisibleDescription: 'x'.repeat(1_025) }, 400],
    ['admin', 'the name of a host of the system', { name: 'admin' }, 400],
    ['m', 'more namespaces than HCP has', { maxNamespacesPerUser: 10_001 }, 400],
  ]
  test.each(refused)('at %s: %s', async (host, _, body, status) => {
    const before = await mapi.read('/tenants/m', host)
    expect((await mapi.call({ method: 'POST', path: '/tenants/m', host, body })).status).toBe(status)
    expect(await mapi.read('/tenants/m', host)).toEqual(before)
  })

  test('takes every quota in the form of HCP', async () => {
    for (const [given, shown] of [
      ['1.5 TB', '1.50 TB'],
      ['2048000 MB', '2048000.00 MB'],
      ['2000.25 gb', '2000.25 GB'],
    ] as const) {
      await mapi.change('POST', '/tenants/m', { hardQuota: given })
      expect((await mapi.read('/tenants/m'))['hardQuota']).toBe(shown)
    }
  })

  test('an empty element or list removes what was there', async () => {
    await mapi.change('POST', '/tenants/m', { systemVisibleDescription: 'x', tags: { tag: ['a'] } })
    const body = '<tenant><systemVisibleDescription/><tags/></tenant>'
    expect((await mapi.call({ method: 'POST', path: '/tenants/m', body })).status).toBe(200)
    expect(await mapi.read('/tenants/m')).toMatchObject({ systemVisibleDescription: '', tags: { tag: [] } })
  })

  test('can have another name, by which everything in it is found', async () => {
    await mapi.change('POST', '/tenants/m', { name: 'Finance' })
    expect((await mapi.call({ path: '/tenants/m' })).status).toBe(404)
    expect((await mapi.read('/tenants/finance/namespaces', 'finance'))['name']).toEqual(['n1', 'n2'])
    using wire = await Wire.to(hcp)
    const put = { method: 'PUT', path: '/rest/a', body: 'x' }
    expect((await wire.send({ ...put, host: 'n1.finance.hcp1.test' }).answer()).status).toBe(201)
    expect((await wire.send({ ...put, host: 'n1.m.hcp1.test' }).answer()).status).toBe(403)
  })

  test('goes only when it owns no namespace', async () => {
    expect((await mapi.call({ method: 'DELETE', path: '/tenants/m' })).status).toBe(403)
    await create('gone')
    await mapi.change('DELETE', '/tenants/gone')
    expect((await mapi.call({ method: 'DELETE', path: '/tenants/gone' })).status).toBe(404)
    expect((await mapi.call({ method: 'HEAD', path: '/tenants/gone' })).status).toBe(302)
    expect((await mapi.call({ path: '/tenants/gone', host: 'gone', as: ['first', 'Start123'] })).status).toBe(
      403,
    )
    await create('gone')
  })

  const creations: [string, string, object, number][] = [
    ['username=a', 'no password', { name: 't' }, 400],
    ['password=Start123', 'no username', { name: 't' }, 400],
    ['', 'no account', { name: 't' }, 400],
    ['username=a&password=short', 'a password of one kind', { name: 't' }, 400],
    ['username=a&password=a1', 'a short password', { name: 't' }, 400],
    ['username=%5Ba&password=Start123', 'a name that begins with [', { name: 't' }, 400],
    [
      'username=a&password=Start123',
      'what is settled later',
      { name: 't', administrationAllowed: true },
      400,
    ],
    [
      'username=a&password=Start123',
      'what is of the tenant',
      { name: 't', tenantVisibleDescription: 'x' },
      403,
    ],
    ['username=a&password=Start123', 'a bad name', { name: '-t' }, 400],
    ['username=a&password=Start123', 'an encoded name', { name: 'xn--t' }, 400],
    ['initialSecurityGroup=ops@ad.test', 'a group instead of an account', { name: 't' }, 200],
  ]
  test.each(creations)('created with %s: %s', async (query, _, body, status) => {
    const reply = await mapi.call({ method: 'PUT', path: `/tenants?${query}`, body })
    expect(reply.status).toBe(status)
    expect((await mapi.call({ path: '/tenants/t' })).status).toBe(status === 200 ? 200 : 404)
  })
})

describe('the list of tenants', () => {
  const cases: [string, string[] | number][] = [
    ['', ['alpha', 'beta', 'Gamma', 'm']],
    ['verbose=true', ['alpha', 'beta', 'Gamma', 'm']],
    ['sortOrder=descending', ['m', 'Gamma', 'beta', 'alpha']],
    ['sortType=hardQuota', ['beta', 'alpha', 'Gamma', 'm']],
    ['sortType=hardQuota&sortOrder=descending&count=1', ['m']],
    ['offset=1&count=2', ['beta', 'Gamma']],
    ['offset=3&count=10', ['m']],
    ['offset=4', []],
    ['count=0', []],
    ['filterString=g', ['Gamma']],
    ['filterString=GAM&filterType=name', ['Gamma']],
    ['filterType=tag&filterString=bl', ['alpha', 'Gamma']],
    ['filterType=tag', ['alpha', 'beta', 'Gamma', 'm']],
    ['filterType=tag&filterString=bl&offset=1', ['Gamma']],
    ['filterString=a%2Cb', 400],
    [`filterString=${'x'.repeat(65)}`, 400],
    ['sortType=colour', 400],
    ['sortOrder=up', 400],
    ['count=many', 400],
    ['SORTORDER=descending', ['alpha', 'beta', 'Gamma', 'm']],
  ]
  test('by name or quota, in parts, by beginnings of names and tags', async () => {
    await create('beta', { hardQuota: '10 GB' })
    await create('Gamma', { hardQuota: '30 GB', tags: { tag: ['Blue', 'x'] } })
    await create('alpha', { hardQuota: '20 GB', tags: { tag: ['black'] } })
    for (const [query, expected] of cases) {
      const { status, json } = await mapi.call({ path: `/tenants?${query}` })
      const found = status === 200 ? json['name'] : status
      expect([query, found]).toEqual([query, expected])
    }
  })
})

test('documents about a tenant are kept, checked, and shown as they were sent', async () => {
  const cases: [string, object, object, object][] = [
    ['contactInfo', { firstName: 'Ada', city: 'London' }, { lastName: '' }, { city: 'x'.repeat(257) }],
    [
      'consoleSecurity',
      { minimumPasswordLength: 12, automaticUserAccoutUnlockDuration: 5 },
      { logoutOnInactive: 10 },
      { minimumPasswordLength: 1 },
    ],
    [
      'searchSecurity',
      { ipSettings: { denyAddresses: { ipAddress: ['10.0.0.0/8', '::1'] }, allowIfInBothLists: false } },
      {},
      { ipSettings: { allowAddresses: { ipAddress: ['everybody'] } } },
    ],
    [
      'emailNotification',
      {
        enabled: true,
        emailTemplate: { from: 'hcp@example.com', subject: '$type', body: 'a\nb' },
        recipients: {
          recipient: [
            { address: 'a@b.c, d@e.f', importance: 'MAJOR', severity: 'ERROR', type: 'GENERAL,SECURITY' },
          ],
        },
      },
      {},
      { recipients: { recipient: Array.from({ length: 26 }, () => ({ address: 'a@b.c' })) } },
    ],
    [
      'namespaceDefaults',
      { hardQuota: '5.00 GB', versioningSettings: { enabled: true, prune: true, pruneDays: 3 } },
      { hashScheme: 'SHA-256', optimizedFor: 'CLOUD' },
      { hashScheme: 'sha-256' },
    ],
  ]
  for (const [name, document, others, bad] of cases) {
    const path = `/tenants/m/${name}`
    await mapi.change('POST', path, document, 'm')
    expect(await mapi.read(path, 'm')).toMatchObject({ ...others, ...document })
    expect((await mapi.call({ method: 'POST', path, host: 'm', body: bad })).status).toBe(400)
    expect(await mapi.read(path, 'm')).toMatchObject(document)
  }
})

test('a new namespace is as the defaults of its tenant say', async () => {
  await mapi.change(
    'POST',
    '/tenants/m/namespaceDefaults',
    {
      description: 'usual',
      hardQuota: '5 GB',
      hashScheme: 'MD5',
      versioningSettings: { enabled: true, prune: true, pruneDays: 3 },
    },
    'm',
  )
  await mapi.change('PUT', '/tenants/m/namespaces', { name: 'fresh' }, 'm')
  expect(await mapi.read('/tenants/m/namespaces/fresh?verbose=true', 'm')).toMatchObject({
    description: 'usual',
    hardQuota: '5.00 GB',
    hashScheme: 'MD5',
  })
  expect(await mapi.read('/tenants/m/namespaces/fresh/versioningSettings', 'm')).toMatchObject({
    enabled: true,
    prune: true,
    pruneDays: 3,
  })
})

test('the defaults of namespaces that were read, but not with all there is to know, may be sent back', async () => {
  const path = '/tenants/m/namespaceDefaults'
  const defaults = await mapi.read(path, 'm')
  await mapi.change('POST', path, defaults, 'm')
  expect(await mapi.read(path, 'm')).toEqual(defaults)
  expect(await mapi.read(`${path}?verbose=true`, 'm')).toEqual({ ...defaults, effectiveDpl: 'Dynamic' })
})

test('a content class may be called __proto__', async () => {
  await mapi.change('PUT', '/tenants/m/contentClasses', { name: '__proto__' }, 'm')
  expect(await mapi.read('/tenants/m/contentClasses', 'm')).toEqual({ name: ['__proto__'] })
})

test('CORS is one text, as CDATA in XML; without any there is nothing', async () => {
  const configuration =
    '<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>'
  for (const path of ['/tenants/m/cors', '/tenants/m/namespaces/n1/cors']) {
    const call = { path, host: 'm' }
    expect((await mapi.call(call)).status).toBe(404)
    expect((await mapi.call({ ...call, method: 'DELETE' })).status).toBe(404)
    expect((await mapi.call({ ...call, method: 'PUT', body: { cors: '<x/>' } })).status).toBe(400)
    for (const odd of ['\0', '\u001b', '\ud800', '\uffff']) {
      const cors = configuration.replace('*', odd)
      expect((await mapi.call({ ...call, method: 'PUT', body: { cors } })).status).toBe(400)
    }
    const body = `<cors><![CDATA[${configuration}]]></cors>`
    expect((await mapi.call({ ...call, method: 'PUT', body })).status).toBe(200)
    expect((await mapi.call(call)).json).toEqual({ cors: configuration })
    const xml = await mapi.call({ ...call, headers: { accept: 'application/xml' } })
    expect(xml.text).toBe(`<?xml version="1.0" encoding="UTF-8"?>${body}`)
    expect((await mapi.call({ ...call, method: 'DELETE' })).status).toBe(200)
    expect((await mapi.call(call)).status).toBe(404)
  }
})

test('content classes go when they have no properties left', async () => {
  const contentProperty = [
    { name: 'doctor', expression: '/record/doctor', type: 'STRING', multivalued: false },
  ]
  const body = { name: 'Medical', contentProperties: { contentProperty }, namespaces: { name: ['n1'] } }
  await mapi.change('PUT', '/tenants/m/contentClasses', body, 'm')
  expect(await mapi.read('/tenants/m/contentClasses', 'm')).toEqual({ name: ['Medical'] })
  expect(await mapi.read('/tenants/m/contentClasses/medical', 'm')).toEqual(body)
  const call = { path: '/tenants/m/contentClasses', host: 'm', method: 'PUT' as const }
  expect((await mapi.call({ ...call, body: { name: 'medical' } })).status).toBe(409)
  expect((await mapi.call({ ...call, body: { name: 'x', namespaces: { name: ['none'] } } })).status).toBe(400)
  const path = '/tenants/m/contentClasses/medical'
  expect((await mapi.call({ method: 'DELETE', path, host: 'm' })).status).toBe(403)
  await mapi.change('POST', path, { contentProperties: { contentProperty: [] } }, 'm')
  await mapi.change('DELETE', path, undefined, 'm')
  expect((await mapi.call({ path, host: 'm' })).status).toBe(404)
})
