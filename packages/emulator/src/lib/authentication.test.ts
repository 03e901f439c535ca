import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import { ask, credentials, statusOf } from './wire.testing.ts'

let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator({
    nodes: 1,
    config: {
      tenants: [
        {
          name: 'm',
          namespaces: [
            { name: 'n1' },
            { name: 'open', anonymousPermissions: ['read'] },
            { name: 'tls', http: false },
          ],
          users: [
            { user: 'n', password: 'n01' },
            { user: 'jürgen:x', password: 'pass:wörd' },
            { user: 'jo@ad.example.com', password: 'a:b' },
            { user: 'guest', password: 'g', permissions: { open: ['browse'] } },
            { user: 'admin', password: 'a01', roles: ['ADMINISTRATOR'] },
          ],
        },
        { name: 'other', namespaces: [{ name: 'n1' }], users: [{ user: 'o', password: 'o' }] },
      ],
      systemUsers: [{ user: 'sysadmin', password: 's01' }],
    },
  })
  expect(await statusOf(hcp, { method: 'PUT', path: '/rest/a', host: 'open.m.hcp1.test', body: 'x' })).toBe(
    201,
  )
})
afterAll(() => hcp.close())

const wire = (text: string): string => Buffer.from(text).toString('latin1')
const cookie = credentials('n', 'n01').slice(4)

describe('who may come in', () => {
  test.each<[string, string | null, Record<string, string>, number]>([
    ['a user', credentials('n', 'n01'), {}, 200],
    [
      'a user, digest in capitals',
      credentials('n', 'n01').replace(/:.*/, (text) => text.toUpperCase()),
      {},
      200,
    ],
    ['a user with a colon and umlauts', credentials('jürgen:x', 'pass:wörd'), {}, 200],
    ['a user by the older cookie', null, { Cookie: `hcp-ns-auth=${cookie}` }, 200],
    ['a cookie among others', null, { Cookie: `a=b; hcp-ns-auth=${cookie}; c=d` }, 200],
    [
      'header and cookie, the header is right',
      credentials('n', 'n01'),
      { Cookie: 'hcp-ns-auth=eA==:00' },
      200,
    ],
    [
      'header and cookie, the header is wrong',
      credentials('n', 'x'),
      { Cookie: `hcp-ns-auth=${cookie}` },
      403,
    ],
    ['an Active Directory user', wire('AD jo@ad.example.com:a:b'), {}, 200],
    ['an Active Directory user, wrong password', wire('AD jo@ad.example.com:a'), {}, 403],
    ['a wrong password', credentials('n', 'n02'), {}, 403],
    ['an unknown user', credentials('x', 'n01'), {}, 403],
    ['a user of another tenant', credentials('o', 'o'), {}, 403],
    ['a user without permission', credentials('guest', 'g'), {}, 403],
    ['an administrator of the tenant', credentials('admin', 'a01'), {}, 403],
    ['an administrator of the system', credentials('sysadmin', 's01'), {}, 403],
    ['nobody', null, {}, 403],
    ['nobody, said so', 'HCP all_users:', {}, 403],
    ['Basic', `Basic ${Buffer.from('n:n01').toString('base64')}`, {}, 403],
    ['a scheme alone', 'HCP', {}, 403],
    ['nonsense', 'HCP nonsense', {}, 403],
    ['nothing in the header', '', {}, 403],
  ])('%s', async (_, authorization, headers, status) => {
    const answer = await ask(hcp, { path: '/rest/', authorization, headers })
    expect(answer.status).toBe(status)
    expect(answer.headers).not.toHaveProperty('www-authenticate')
    if (status === 403) expect(answer.headers['x-hcp-errormessage']).toBeTruthy()
  })

  test.each<[string, string | null, string, number]>([
    ['nobody reads', null, 'GET', 200],
    ['nobody, said so, reads', 'HCP all_users:', 'GET', 200],
    ['nobody writes', null, 'PUT', 403],
    ['wrong credentials, though none are needed', credentials('n', 'x'), 'GET', 403],
    ['a guest who may only look reads too', credentials('guest', 'g'), 'GET', 200],
    ['a guest writes', credentials('guest', 'g'), 'PUT', 403],
  ])('where anybody may read: %s', async (_, authorization, method, status) => {
    expect(await statusOf(hcp, { method, path: '/rest/a', host: 'open.m.hcp1.test', authorization })).toBe(
      status,
    )
  })

  test('a protocol that is switched off is a 403', async () => {
    expect(await statusOf(hcp, { host: 'tls.m.hcp1.test' })).toBe(403)
  })
})

describe('/proc', () => {
  const names = (text: string): string[] =>
    [...text.matchAll(/<namespace name="([^"]*)"/g)].map((match) => match[1]!)

  test('lists what the caller may see', async () => {
    const all = await ask(hcp, { path: '/proc' })
    expect(all.headers['content-type']).toBe('text/xml')
    expect(all.text).toContain('tenantHostName="m.hcp1.test" httpScheme="http"')
    expect(names(all.text)).toEqual(['n1', 'open', 'tls'])
    expect(names((await ask(hcp, { path: '/proc?single=true' })).text)).toEqual(['n1'])
    expect(
      names((await ask(hcp, { path: '/proc/', authorization: credentials('guest', 'g') })).text),
    ).toEqual(['open'])
    expect(
      names((await ask(hcp, { path: '/proc', authorization: credentials('admin', 'a01') })).text),
    ).toEqual(['open'])
    const nobody = { path: '/proc', host: 'n1.other.hcp1.test', authorization: null }
    expect((await ask(hcp, nobody)).status).toBe(403)
  })

  test('says what the namespace is like', async () => {
    const { text } = await ask(hcp, { path: '/proc?single=true' })
    for (const attribute of [
      'nameIDNA="n1"',
      'versioningEnabled="false"',
      'retentionMode="enterprise"',
      'defaultShredValue="false"',
      'defaultRetentionValue="0"',
      'hashScheme="SHA-256"',
      'dpl="2"',
    ]) {
      expect(text).toContain(attribute)
    }
  })

  test('counts what is stored', async () => {
    const host = 'n1.other.hcp1.test'
    const authorization = credentials('o', 'o')
    await ask(hcp, { method: 'PUT', path: '/rest/a', host, authorization, body: '12345' })
    const annotation = {
      method: 'PUT',
      path: '/rest/a?type=custom-metadata',
      host,
      authorization,
      body: '<a/>',
    }
    await ask(hcp, annotation)
    const counts = async (): Promise<string> =>
      (await ask(hcp, { path: '/proc/statistics', host, authorization })).text
    expect(await counts()).toMatch(
      /usedCapacityBytes="9" .* objectCount="1" .* customMetadataObjectBytes="4"\/>/,
    )
    await ask(hcp, { ...annotation, method: 'DELETE', body: undefined })
    expect(await counts()).toMatch(
      /usedCapacityBytes="5" .* objectCount="1" .* customMetadataObjectBytes="0"\/>/,
    )
    await ask(hcp, { method: 'DELETE', path: '/rest/a', host, authorization })
    expect(await counts()).toMatch(/usedCapacityBytes="0" .* objectCount="0"/)
  })

  test('tells the permissions', async () => {
    const { text } = await ask(hcp, {
      path: '/proc/permissions',
      host: 'open.m.hcp1.test',
      authorization: credentials('guest', 'g'),
    })
    expect(text).toMatch(/<namespacePermissions browse="true" read="true".*search="true"\/>/)
    expect(text).toMatch(/<userEffectivePermissions browse="true" read="(true|false)" write="false"/)
  })

  test.each<[string, string, string | null, number]>([
    ['statistics', 'n1', credentials('guest', 'g'), 401],
    ['permissions', 'n1', credentials('guest', 'g'), 401],
    ['retentionClasses', 'n1', credentials('admin', 'a01'), 401],
    ['retentionClasses', 'n1', credentials('n', 'n01'), 200],
    ['statistics', 'n1', credentials('n', 'x'), 403],
    ['statistics', 'n1', null, 403],
    ['', 'n1', null, 403],
    ['retentionClasses', 'open', null, 200],
    ['namespacePermissions', 'n1', credentials('n', 'n01'), 404],
    ['constructor', 'n1', credentials('n', 'n01'), 404],
    ['__proto__', 'n1', credentials('n', 'n01'), 404],
    ['statistics?all=true', 'n1', credentials('n', 'n01'), 400],
  ])('%s of %s', async (path, namespace, authorization, status) => {
    expect(
      await statusOf(hcp, { path: `/proc/${path}`, host: `${namespace}.m.hcp1.test`, authorization }),
    ).toBe(status)
  })
})
