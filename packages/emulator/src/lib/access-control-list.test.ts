import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AclPermission, Grant } from './access-control-list.ts'
import { parseJson, parseXml, printJson, printXml } from './access-control-list.ts'
import type { EmulatorConfig } from './config.ts'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { WireAnswer, WireRequest } from './wire.testing.ts'
import { ask, credentials, statusOf } from './wire.testing.ts'

const many = Array.from({ length: 1_001 }, (_, index) => ({
  user: `u${index}`,
  password: 'x',
  permissions: [],
}))
const config: EmulatorConfig = {
  tenants: [
    {
      name: 'm',
      namespaces: [
        { name: 'on', aclUsage: 'ENFORCED' },
        { name: 'versions', aclUsage: 'ENFORCED', versioning: true },
        { name: 'closed', aclUsage: 'ENFORCED', authenticationRequired: true },
        { name: 'kept', aclUsage: 'NOT_ENFORCED' },
        { name: 'off' },
      ],
      users: [
        { user: 'n', password: 'n01' },
        { user: 'bob', password: 'b01', permissions: [] },
        { user: 'zoë & co', password: 'z01', permissions: [] },
        { user: 'lists', password: 'l01', permissions: ['read', 'readAcl', 'writeAcl'] },
        { user: 'writer', password: 'w01', permissions: ['write'] },
        { user: 'remover', password: 'r01', permissions: ['delete'] },
        ...many,
      ],
    },
  ],
}
const bob = credentials('bob', 'b01')
const all: readonly AclPermission[] = ['READ', 'READ_ACL', 'WRITE', 'WRITE_ACL', 'DELETE']

let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 1, config })
})
afterAll(() => hcp.close())

let counter = 0
/** A new object with this list, in the namespace `on`. */
async function fresh(grants?: readonly Grant[], query = ''): Promise<string> {
  const path = `/rest/made/${++counter}`
  expect(await send({ method: 'PUT', path: path + query, body: 'data' })).toMatchObject({ status: 201 })
  if (grants !== undefined) expect((await put(path, printXml(grants))).status).toBe(201)
  return path
}

function send(request: WireRequest): Promise<WireAnswer> {
  return ask(hcp, { host: 'on.m.hcp1.test', ...request })
}

function put(path: string, body: string | Buffer, request: WireRequest = {}): Promise<WireAnswer> {
  return send({ method: 'PUT', path: `${path}?type=acl`, body, ...request })
}

const json = { 'Content-Type': 'application/json' }
const toBob: readonly Grant[] = [{ type: 'user', name: 'bob', permissions: ['READ'] }]

describe('a list', () => {
  const grants: readonly Grant[] = [
    { type: 'user', name: 'zoë & co', permissions: ['READ', 'WRITE'] },
    { type: 'group', name: 'all_users', permissions: ['READ'] },
  ]

  test('goes in and out as XML and as JSON, whichever it came in as', async () => {
    for (const [body, headers] of [
      [printXml(grants), { 'Content-Type': 'application/xml; charset=UTF-8' }],
      [printXml(grants), {}],
      [printJson(grants), json],
      [gzipSync(printJson(grants)), { ...json, 'Content-Encoding': 'gzip' }],
    ] as const) {
      const path = await fresh()
      expect((await put(path, body, { headers: { ...headers } })).status).toBe(201)
      const xml = await send({ path: `${path}?type=acl` })
      expect(xml.headers).toMatchObject({ 'content-type': 'application/xml', 'x-hcp-acl': 'true' })
      expect(xml.text).toContain('<name>zoë &amp; co</name>')
      expect(parseXml(xml.text)).toEqual(grants)
      const other = await send({ path: `${path}?type=acl`, headers: json })
      expect(other.headers).toMatchObject({ 'content-type': 'application/json' })
      expect(JSON.parse(other.text)).toEqual({
        grant: [
          {
            grantee: { type: 'user', name: 'zoë & co' },
            permissions: { permission: ['READ', 'WRITE'] },
          },
          { grantee: { type: 'group', name: 'all_users' }, permissions: { permission: ['READ'] } },
        ],
      })
      const small = await send({ path: `${path}?type=acl`, headers: { 'Accept-Encoding': 'gzip' } })
      expect(gunzipSync(small.body).toString()).toBe(xml.text)
    }
  })

  test('is said of an object, replaced as a whole, and removed', async () => {
    const path = await fresh()
    const headers = async (): Promise<WireAnswer['headers']> => (await send({ method: 'HEAD', path })).headers
    expect(await headers()).toMatchObject({ 'x-hcp-acl': 'false' })
    const none = await send({ method: 'HEAD', path: `${path}?type=acl` })
    expect(none).toMatchObject({ status: 200, headers: { 'x-hcp-acl': 'false', 'content-length': '0' } })
    expect(parseEmpty((await send({ path: `${path}?type=acl` })).text)).toBe(true)
    for (const permissions of [all, all.slice(0, 1)]) {
      expect((await put(path, printXml([{ type: 'user', name: 'bob', permissions }]))).status).toBe(201)
      expect(parseXml((await send({ path: `${path}?type=acl` })).text)).toEqual([
        { type: 'user', name: 'bob', permissions },
      ])
    }
    expect(await headers()).toMatchObject({ 'x-hcp-acl': 'true' })
    const head = await send({ method: 'HEAD', path: `${path}?type=acl` })
    expect(head.headers).toMatchObject({ 'x-hcp-acl': 'true', 'content-type': 'application/xml' })
    expect(Number(head.headers['content-length'])).toBeGreaterThan(0)
    const listed = (await send({ path: '/rest/made' })).text.match(
      new RegExp(`urlName="${counter}"[^>]*hasAcl="(\\w+)"`),
    )
    expect(listed?.[1]).toBe('true')
    for (let time = 0; time < 2; time++) {
      expect((await send({ method: 'DELETE', path: `${path}?type=acl` })).status).toBe(200)
      expect(await headers()).toMatchObject({ 'x-hcp-acl': 'false' })
    }
  })

  test.each(['?retention=-1', '?retention=-2', '?hold=true'])('may change under %s', async (query) => {
    const path = await fresh(toBob, query)
    expect((await send({ method: 'DELETE', path: `${path}?type=acl` })).status).toBe(200)
  })

  test('may have a thousand grants and no more', async () => {
    const grantsTo = (count: number): Grant[] =>
      many.slice(0, count).map(({ user }) => ({ type: 'user', name: user, permissions: all }))
    const path = await fresh(grantsTo(1_000))
    expect((await put(path, printXml(grantsTo(1_001)))).status).toBe(400)
    expect(parseXml((await send({ path: `${path}?type=acl` })).text)).toHaveLength(1_000)
  })

  test.each<[string, string, number | readonly Grant[]]>([
    ['all_read', 'on', [{ type: 'group', name: 'all_users', permissions: ['READ'] }]],
    ['auth_read', 'on', [{ type: 'group', name: 'authenticated', permissions: ['READ'] }]],
    ['all_read', 'kept', [{ type: 'group', name: 'all_users', permissions: ['READ'] }]],
    ['all_write', 'on', 400],
    ['', 'on', 400],
    ['all_read', 'off', 400],
  ])('acl=%s comes with an object of %s', async (name, namespace, expected) => {
    const host = `${namespace}.m.hcp1.test`
    const path = `/rest/made/${++counter}`
    const stored = await send({ method: 'PUT', path: `${path}?acl=${name}`, host, body: 'data' })
    if (typeof expected === 'number') expect(stored.status).toBe(expected)
    else expect(parseXml((await send({ path: `${path}?type=acl`, host })).text)).toEqual(expected)
  })

  test('is that of all versions, and of the next one too', async () => {
    const host = 'versions.m.hcp1.test'
    const path = `/rest/made/${++counter}`
    const one = (await send({ method: 'PUT', path, host, body: 'one' })).headers['x-hcp-versionid']!
    await send({ method: 'PUT', path, host, body: 'two' })
    expect((await put(path, printXml(toBob), { host })).status).toBe(201)
    await send({ method: 'PUT', path, host, body: 'three' })
    for (const version of ['', `?version=${one}`]) {
      const got = await send({ path: path + version, host, authorization: bob })
      expect(got).toMatchObject({ status: 200, headers: { 'x-hcp-acl': 'true' } })
    }
    const list = (await send({ path: `${path}?version=list`, host, authorization: bob })).text
    expect(list.match(/hasAcl="true"/g)).toHaveLength(3)
    await send({ method: 'PUT', path: `${path}?acl=auth_read`, host, body: 'four' })
    expect(await send({ path: `${path}?version=${one}`, host, authorization: bob })).toMatchObject({
      status: 200,
    })
    expect((await send({ method: 'DELETE', path: `${path}?type=acl`, host })).status).toBe(200)
    expect((await send({ path: `${path}?version=${one}`, host })).headers['x-hcp-acl']).toBe('false')
    // What comes after a deletion has nothing of it.
    await put(path, printXml(toBob), { host })
    await send({ method: 'DELETE', path, host })
    await send({ method: 'PUT', path, host, body: 'five' })
    expect((await send({ path, host })).headers['x-hcp-acl']).toBe('false')
  })
})

function parseEmpty(text: string): boolean {
  return /<accessControlList>\s*<\/accessControlList>/.test(text)
}

describe('a list is refused', () => {
  const grant = (type: string, name: string, permission = 'READ', more = ''): string =>
    `<grant><grantee><type>${type}</type><name>${name}</name>${more}</grantee>` +
    `<permissions><permission>${permission}</permission></permissions></grant>`
  const xml = (inner: string): string => `<accessControlList>${inner}</accessControlList>`
  const good = grant('user', 'bob')

  test.each<[string, string]>([
    ['empty', ''],
    ['not well-formed', '<accessControlList><grant></accessControlList>'],
    ['with another root', `<acl>${good}</acl>`],
    ['with two roots', xml(good) + xml(good)],
    ['with a DOCTYPE', `<!DOCTYPE a [<!ENTITY b "bob">]>${xml(grant('user', '&b;'))}`],
    ['without grants', xml('')],
    ['with something else in it', xml(`${good}<owner>n</owner>`)],
    ['without a grantee', xml('<grant><permissions><permission>READ</permission></permissions></grant>')],
    [
      'with two grantees',
      xml(good.replace('<permissions>', '<grantee><type>user</type></grantee><permissions>')),
    ],
    ['without permissions', xml('<grant><grantee><type>user</type><name>bob</name></grantee></grant>')],
    ['with no permission', xml(good.replace('<permission>READ</permission>', ''))],
    ['with an unknown permission', xml(grant('user', 'bob', 'PURGE'))],
    ['with a permission in small letters', xml(grant('user', 'bob', 'read'))],
    ['without a name', xml(good.replace('<name>bob</name>', ''))],
    ['with an empty name', xml(grant('user', ''))],
    ['with an unknown type', xml(grant('role', 'bob'))],
    ['with an unknown user', xml(grant('user', 'eve'))],
    ['with an unknown group', xml(grant('group', 'staff'))],
    ['with a user that is a group', xml(grant('user', 'all_users'))],
    ['with a group that is a user', xml(grant('group', 'bob'))],
    ['with a domain', xml(grant('user', 'bob', 'READ', '<domain>ad.example.com</domain>'))],
    ['with a grantee twice', xml(good + grant('user', 'bob', 'WRITE'))],
    ['deeper than any list', `${'<a>'.repeat(50)}${'</a>'.repeat(50)}`],
  ])('%s', async (_, body) => {
    const path = await fresh(toBob)
    const answer = await put(path, body)
    expect(answer.status).toBe(400)
    expect(answer.headers['x-hcp-errormessage']).toMatch(/./)
    expect(parseXml((await send({ path: `${path}?type=acl` })).text)).toEqual(toBob)
  })

  test.each([
    '',
    '[]',
    'null',
    '{}',
    '{"grant":[]}',
    '{"grant":[null]}',
    '{"grant":',
    '{"grant":[{"grantee":7}]}',
  ])('in JSON: %j', async (body) => {
    expect((await put(await fresh(), body, { headers: json })).status).toBe(400)
  })

  test.each<[string, WireRequest, number]>([
    ['of another type', { headers: { 'Content-Type': 'text/xml' } }, 415],
    ['as a form', { headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }, 415],
    ['compressed in another way', { headers: { 'Content-Encoding': 'br' } }, 415],
    ['not compressed though it says so', { headers: { 'Content-Encoding': 'gzip' } }, 400],
    ['for an object that is not there', { path: '/rest/none?type=acl' }, 404],
    ['for a directory', { path: '/rest/made?type=acl' }, 404],
    ['from who only writes', { authorization: credentials('writer', 'w01') }, 403],
    [
      'from who reads only',
      {
        authorization: credentials('lists', 'l01'),
        body: printXml([{ ...toBob[0]!, permissions: ['WRITE'] }]),
      },
      400,
    ],
    ['with a version', { path: '/rest/none?type=acl&version=1' }, 400],
    ['where there are none', { host: 'off.m.hcp1.test' }, 400],
  ])('%s', async (_, request, status) => {
    expect((await put(await fresh(), xml(good), request)).status).toBe(status)
  })

  test('that is longer than any', async () => {
    const path = await fresh()
    expect((await put(path, xml(' '.repeat(4 * 1024 ** 2)))).status).toBe(413)
  })
})

test.each<[string, WireRequest, number]>([
  ['HEAD by who may read', { method: 'HEAD', authorization: credentials('lists', 'l01') }, 200],
  ['GET by who may read lists', { authorization: credentials('lists', 'l01') }, 200],
  ['GET by who may not', { authorization: credentials('writer', 'w01') }, 403],
  ['GET of another type', { headers: { 'Content-Type': 'text/plain' } }, 406],
  ['GET of another coding', { headers: { 'Accept-Encoding': 'br' } }, 406],
  ['GET where there are none', { host: 'off.m.hcp1.test' }, 400],
  ['DELETE by who may delete', { method: 'DELETE', authorization: credentials('remover', 'r01') }, 200],
  ['DELETE by who may write lists', { method: 'DELETE', authorization: credentials('lists', 'l01') }, 200],
  ['DELETE by who may not', { method: 'DELETE', authorization: credentials('writer', 'w01') }, 403],
  ['DELETE with a condition', { method: 'DELETE', headers: { 'If-Match': '*' } }, 400],
  ['POST', { method: 'POST', body: '' }, 405],
])('%s', async (_, request, status) => {
  const path = await fresh(toBob)
  expect((await send({ path: `${path}?type=acl`, ...request })).status).toBe(status)
})

describe('an enforced list', () => {
  const requests: Readonly<Record<AclPermission, readonly (readonly [WireRequest, string, number])[]>> = {
    READ: [
      [{ method: 'GET' }, '', 200],
      [{ method: 'HEAD' }, '', 200],
      [{ method: 'GET' }, '?type=custom-metadata-info', 204],
    ],
    READ_ACL: [[{ method: 'GET' }, '?type=acl', 200]],
    WRITE: [
      [{ method: 'POST', body: 'index=false' }, '', 200],
      [{ method: 'PUT', body: '<a/>' }, '?type=custom-metadata', 201],
    ],
    WRITE_ACL: [
      [{ method: 'PUT', body: printXml([{ ...toBob[0]!, permissions: ['WRITE_ACL'] }]) }, '?type=acl', 201],
    ],
    DELETE: [[{ method: 'DELETE' }, '', 200]],
  }

  test.each(all)('gives %s and nothing else', async (permission) => {
    for (const other of all) {
      for (const [request, query, status] of requests[other]) {
        const path = await fresh([{ type: 'user', name: 'bob', permissions: [permission] }])
        const answer = await send({ ...request, path: path + query, authorization: bob })
        expect([other, query, answer.status]).toEqual([other, query, other === permission ? status : 403])
      }
    }
  })

  test.each<[string, string | null, number, number]>([
    ['nobody in particular', null, 200, 403],
    ['somebody', bob, 200, 200],
    ['nobody by name', 'HCP all_users:', 200, 403],
    ['somebody with a wrong password', credentials('bob', 'x'), 403, 403],
  ])('for %s', async (_, authorization, everybody, accounts) => {
    for (const [name, status] of [
      ['all_users', everybody],
      ['authenticated', accounts],
    ] as const) {
      const path = await fresh([{ type: 'group', name, permissions: ['READ'] }])
      expect((await send({ path, authorization })).status).toBe(status)
      expect((await send({ method: 'DELETE', path, authorization })).status).toBe(403)
    }
  })

  test('is for its object: not for its directory, nor for what is below or beside it', async () => {
    const path = await fresh(toBob)
    for (const at of ['/rest/made', `${path}/below`, '/rest/made/none', '/rest/']) {
      expect((await send({ path: at, authorization: bob })).status).toBe(403)
    }
  })

  test('counts for the source of a copy', async () => {
    const path = await fresh([{ type: 'user', name: 'writer', permissions: ['READ'] }])
    const closed = await fresh()
    const authorization = credentials('writer', 'w01')
    for (const [source, status] of [
      [path, 201],
      [closed, 403],
    ] as const) {
      const headers = { 'X-HCP-CopySource': `on.m/${source.slice('/rest/'.length)}` }
      expect((await send({ method: 'PUT', path: `${source}-copy`, headers, authorization })).status).toBe(
        status,
      )
      expect((await send({ path: `${source}-copy?type=acl` })).headers['x-hcp-acl']).toBe(
        status === 201 ? 'false' : undefined,
      )
    }
  })

  test('lets nobody in without credentials where these are required', async () => {
    const host = 'closed.m.hcp1.test'
    await send({ method: 'PUT', path: '/rest/a?acl=all_read', host, body: 'x' })
    expect((await send({ path: '/rest/a', host, authorization: null })).status).toBe(403)
    expect((await send({ path: '/rest/a', host, authorization: bob })).status).toBe(200)
  })
})

test('a list that is not enforced gives nothing', async () => {
  const host = 'kept.m.hcp1.test'
  await send({ method: 'PUT', path: '/rest/a?acl=all_read', host, body: 'x' })
  for (const authorization of [null, bob])
    expect((await send({ path: '/rest/a', host, authorization })).status).toBe(403)
})

test('a list is there again after a new start', async () => {
  const data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  const object = { path: '/rest/a', host: 'on.m.hcp1.test' }
  try {
    {
      await using kept = await startEmulator({ nodes: 1, data, config })
      await ask(kept, { ...object, method: 'PUT', body: 'x' })
      await ask(kept, { ...object, method: 'PUT', path: '/rest/a?type=acl', body: printXml(toBob) })
      await ask(kept, { ...object, method: 'PUT', path: '/rest/b?acl=all_read', body: 'x' })
      await ask(kept, { ...object, method: 'DELETE', path: '/rest/b?type=acl' })
    }
    await using kept = await startEmulator({ nodes: 1, data, config })
    expect(await statusOf(kept, { ...object, authorization: bob })).toBe(200)
    expect(await statusOf(kept, { ...object, path: '/rest/b', authorization: bob })).toBe(403)
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

test('what documents leave open about lists can be switched', async () => {
  const choices = { missingAcl: 204, writeStoresAcl: true } as const
  await using switched = await startEmulator({ nodes: 1, config, choices })
  const object = { path: '/rest/a', host: 'on.m.hcp1.test' }
  await ask(switched, { ...object, method: 'PUT', body: 'x' })
  expect(await statusOf(switched, { ...object, path: '/rest/a?type=acl' })).toBe(204)
  const grants = printXml([{ type: 'user', name: 'bob', permissions: ['WRITE'] }])
  const stored = { ...object, method: 'PUT', path: '/rest/a?type=acl', body: grants }
  expect(await statusOf(switched, { ...stored, authorization: credentials('writer', 'w01') })).toBe(201)
})

test('printing and parsing are inverse', () => {
  const name = fc
    .string({ unit: fc.constantFrom('a', ' ', '&', '<', '>', '"', "'", 'ä', '€', '😀'), minLength: 1 })
    .filter((text) => text === text.trim())
  const grant = fc.record({
    type: fc.constantFrom('user' as const, 'group' as const),
    name,
    permissions: fc.subarray([...all], { minLength: 1 }),
  })
  fc.assert(
    fc.property(fc.array(grant, { minLength: 1, maxLength: 5 }), (grants) => {
      expect(parseXml(printXml(grants))).toEqual(grants)
      expect(parseJson(printJson(grants))).toEqual(grants)
    }),
  )
})
