import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Emulator } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import { credentials, statusOf } from '../wire.testing.ts'
import { MapiTester } from './mapi.testing.ts'

let hcp: Emulator
let mapi: MapiTester
beforeEach(async () => {
  hcp = await startEmulator({ nodes: 1 })
  mapi = new MapiTester(hcp)
})
afterEach(async () => {
  await mapi[Symbol.asyncDispose]()
  await hcp.close()
})

const all = '/tenants/m/userAccounts'
const ann = {
  username: 'Ann',
  fullName: 'Ann Other',
  enabled: true,
  forcePasswordChange: false,
  localAuthentication: true,
}

/** Makes the account `Ann`, with the password `Ann-0001`. */
const create = (more: object = {}): Promise<void> =>
  mapi.change('PUT', `${all}?password=Ann-0001`, { ...ann, ...more }, 'm')
const change = (path: string, body: object): Promise<void> => mapi.change('POST', `${all}${path}`, body, 'm')
const put = (user: string, password: string): Promise<number> =>
  statusOf(hcp, {
    method: 'PUT',
    path: `/rest/${Math.random()}`,
    body: 'x',
    authorization: credentials(user, password),
  })

describe('a user account', () => {
  test('is there at once, with what it may do', async () => {
    await create({ roles: { role: ['monitor'] } })
    expect(await mapi.read(`${all}/ann?verbose=true`, 'm')).toEqual({
      ...ann,
      description: '',
      roles: { role: ['MONITOR'] },
      allowNamespaceManagement: false,
      userGUID: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      userID: 102,
    })
    expect((await mapi.call({ path: '/tenants/m', host: 'm', as: ['Ann', 'Ann-0001'] })).status).toBe(200)
    expect(await put('Ann', 'Ann-0001')).toBe(403)
    const grant = { namespaceName: 'N1', permissions: { permission: ['write', 'SEARCH', 'PURGE'] } }
    await change('/ann/dataAccessPermissions', { namespacePermission: [grant] })
    expect(await mapi.read(`${all}/ann/dataAccessPermissions`, 'm')).toEqual({
      namespacePermission: [
        {
          namespaceName: 'n1',
          permissions: { permission: ['BROWSE', 'DELETE', 'PURGE', 'READ', 'SEARCH', 'WRITE'] },
        },
      ],
    })
    expect(await put('Ann', 'Ann-0001')).toBe(201)
    const other = { namespacePermission: [{ namespaceName: 'n2', permissions: { permission: ['READ'] } }] }
    await change('/ann/dataAccessPermissions', other)
    expect(await put('Ann', 'Ann-0001')).toBe(201)
    const none =
      '<dataAccessPermissions><namespacePermission><namespaceName>n1</namespaceName><permissions/></namespacePermission></dataAccessPermissions>'
    const path = `${all}/ann/dataAccessPermissions`
    expect((await mapi.call({ method: 'POST', path, host: 'm', body: none })).status).toBe(200)
    expect(await put('Ann', 'Ann-0001')).toBe(403)
    expect(await mapi.read(path, 'm')).toMatchObject({ namespacePermission: [{ namespaceName: 'n2' }] })
  })

  test('that is disabled, or gone, gets in nowhere', async () => {
    expect(await put('n', 'n01')).toBe(201)
    await change('/n', { enabled: false })
    expect(await put('n', 'n01')).toBe(403)
    await change('/n', { enabled: true })
    expect(await put('n', 'n01')).toBe(201)
    await mapi.change('DELETE', `${all}/n`, undefined, 'm')
    expect(await put('n', 'n01')).toBe(403)
    expect((await mapi.call({ method: 'DELETE', path: `${all}/n`, host: 'm' })).status).toBe(404)
  })

  test('gets a new password in each of the documented ways', async () => {
    await create({ roles: { role: ['SECURITY'] } })
    const works = async (password: string): Promise<boolean> =>
      (await mapi.call({ path: all, host: 'm', as: ['Ann', password] })).status === 200
    expect(await works('Ann-0001')).toBe(true)
    const xml = { method: 'POST' as const, host: 'm', body: '<userAccount/>' }
    expect((await mapi.call({ ...xml, path: `${all}/ann?password=Ann-0002` })).status).toBe(200)
    expect([await works('Ann-0001'), await works('Ann-0002')]).toEqual([false, true])
    await change('/ann/changePassword', { newPassword: 'Ann-0003' })
    expect(await works('Ann-0003')).toBe(true)
    // All who have the role SECURITY get this one.
    await mapi.change('POST', `${all}?resetPasswords=Start+444`, {})
    expect(await works('Start 444')).toBe(true)
    expect((await mapi.call({ path: all, host: 'm', as: ['admin', 'Start 444'] })).status).toBe(200)
    expect(await put('n', 'n01')).toBe(201)
  })

  test('cannot be changed by a parameter alone: an empty document belongs to it', async () => {
    const call = { method: 'POST' as const, path: `${all}/n?password=New-0001`, host: 'm' }
    expect((await mapi.call(call)).status).toBe(415)
    expect(await put('n', 'n01')).toBe(201)
  })

  const refused: [string, string, string, object, number][] = [
    ['PUT', '?password=Good-001', 'without a full name', { ...ann, fullName: undefined }, 400],
    ['PUT', '', 'without a password', ann, 400],
    ['PUT', '?password=abcdef', 'with a password of letters', ann, 400],
    ['PUT', '?password=a1', 'with a short password', ann, 400],
    ['PUT', `?password=${'a1'.repeat(33)}`, 'with a long password', ann, 400],
    ['PUT', '?password=Good-001', 'with a name that is there', { ...ann, username: 'ADMIN' }, 409],
    ['PUT', '?password=Good-001', 'with a name that begins with [', { ...ann, username: '[x' }, 400],
    ['PUT', '?password=Good-001', 'with a role of the system', { ...ann, roles: { role: ['SERVICE'] } }, 400],
    ['POST', '/admin', 'without its role, the last of it', { roles: { role: ['MONITOR'] } }, 403],
    ['POST', '/admin', 'disabled, the last of its role', { enabled: false }, 403],
    ['POST', '/n', 'with the name of another', { username: 'admin' }, 409],
    ['POST', '/n', 'with what cannot be set', { userID: 7 }, 400],
    ['POST', '/n/changePassword', 'to no password', {}, 400],
    ['POST', '/n/changePassword', 'to a bad password', { newPassword: 'abc' }, 400],
    [
      'POST',
      '/n/dataAccessPermissions',
      'for no namespace',
      { namespacePermission: [{ namespaceName: 'x', permissions: { permission: [] } }] },
      400,
    ],
    [
      'POST',
      '/n/dataAccessPermissions',
      'with what is none',
      { namespacePermission: [{ namespaceName: 'n1', permissions: { permission: ['FLY'] } }] },
      400,
    ],
    ['POST', '/none', 'that is not there', {}, 404],
  ]
  test.each(refused)('%s %s %s', async (method, path, _, body, status) => {
    const reply = await mapi.call({ method: method as 'PUT' | 'POST', path: all + path, host: 'm', body })
    expect(reply.status).toBe(status)
    expect((await mapi.read(all, 'm'))['username']).toEqual(['admin', 'n'])
  })

  test('the last one with the role SECURITY stays', async () => {
    const call = { method: 'DELETE' as const, path: `${all}/admin`, host: 'm' }
    expect((await mapi.call(call)).status).toBe(403)
    await create({ roles: { role: ['SECURITY'] } })
    expect((await mapi.call(call)).status).toBe(200)
    const last = { ...call, path: `${all}/ann`, as: ['Ann', 'Ann-0001'] as const }
    expect((await mapi.call(last)).status).toBe(403)
  })

  test('shows and takes what the role of the asker is for', async () => {
    const viewer = async (role: string): Promise<void> => {
      const body = { ...ann, username: role, roles: { role: [role] } }
      await mapi.change('PUT', `${all}?password=View-001`, body, 'm')
    }
    for (const role of ['MONITOR', 'ADMINISTRATOR', 'SECURITY']) await viewer(role)
    const few = ['allowNamespaceManagement', 'description']
    for (const [role, keys] of [
      ['MONITOR', few],
      ['ADMINISTRATOR', few],
      ['SECURITY', ['description', ...Object.keys(ann), 'roles'].toSorted()],
    ] as const) {
      const shown = await mapi.read(`${all}/n`, 'm', [role, 'View-001'])
      expect([role, Object.keys(shown).toSorted()]).toEqual([role, keys])
    }
    for (const [role, body, status] of [
      ['ADMINISTRATOR', { allowNamespaceManagement: true }, 200],
      ['ADMINISTRATOR', { description: 'x' }, 403],
      ['SECURITY', { description: 'x' }, 200],
      ['SECURITY', { allowNamespaceManagement: true }, 403],
    ] as const) {
      const call = { method: 'POST' as const, path: `${all}/n`, host: 'm', body }
      expect([role, body, (await mapi.call({ ...call, as: [role, 'View-001'] })).status]).toEqual([
        role,
        body,
        status,
      ])
    }
    const admin = await mapi.read(`${all}/ADMINISTRATOR`, 'm')
    // Who becomes an administrator may manage namespaces.
    expect(admin['allowNamespaceManagement']).toBe(true)
  })

  test('lists come in parts', async () => {
    for (const username of ['beta', 'Alpha', 'gamma'])
      await mapi.change('PUT', `${all}?password=List-001`, { ...ann, username }, 'm')
    for (const [query, names] of [
      ['', ['admin', 'Alpha', 'beta', 'gamma', 'n']],
      ['sortType=username&sortOrder=descending&count=2', ['n', 'gamma']],
      ['offset=1&count=2', ['Alpha', 'beta']],
      ['filterType=username&filterString=AL', ['Alpha']],
    ] as const)
      expect((await mapi.read(`${all}?${query}`, 'm'))['username']).toEqual(names)
    expect((await mapi.call({ path: `${all}?sortType=name`, host: 'm' })).status).toBe(400)
  })

  test('the shortest password is the tenant own choice', async () => {
    await mapi.change('POST', '/tenants/m/consoleSecurity', { minimumPasswordLength: 12 }, 'm')
    const call = { method: 'PUT' as const, host: 'm', body: ann }
    expect((await mapi.call({ ...call, path: `${all}?password=Ann-0000001` })).status).toBe(400)
    expect((await mapi.call({ ...call, path: `${all}?password=Ann-00000001` })).status).toBe(200)
  })
})

test('accounts of the system: their passwords change, nothing else', async () => {
  expect(await mapi.read('/userAccounts')).toEqual({ username: ['sysadmin'] })
  expect(await mapi.read('/userAccounts/SYSADMIN')).toMatchObject({
    username: 'sysadmin',
    roles: { role: ['MONITOR', 'ADMINISTRATOR', 'SECURITY', 'SERVICE', 'COMPLIANCE', 'SEARCH'] },
  })
  expect((await mapi.call({ path: '/userAccounts/none' })).status).toBe(404)
  expect(await mapi.read('/groupAccounts')).toEqual({ groupname: [] })
  expect((await mapi.call({ path: '/groupAccounts/none' })).status).toBe(404)
  const path = '/userAccounts/sysadmin'
  expect((await mapi.call({ method: 'POST', path, body: { fullName: 'x' } })).status).toBe(403)
  expect((await mapi.call({ method: 'POST', path, body: {} })).status).toBe(400)
  await mapi.change('POST', `${path}?password=Sys-0001`, {})
  expect((await mapi.call({ path })).status).toBe(403)
  const call = { method: 'POST' as const, path: `${path}/changePassword`, body: { newPassword: 'Sys-0002' } }
  expect((await mapi.call({ ...call, as: ['sysadmin', 'Sys-0001'] })).status).toBe(200)
  expect((await mapi.call({ path, as: ['sysadmin', 'Sys-0002'] })).status).toBe(200)
})

test('group accounts are kept', async () => {
  const groups = '/tenants/m/groupAccounts'
  const body = { groupname: 'Ops@ad.test', roles: { role: ['MONITOR'] } }
  await mapi.change('PUT', groups, body, 'm')
  expect((await mapi.call({ method: 'PUT', path: groups, host: 'm', body })).status).toBe(409)
  expect(await mapi.read(groups, 'm')).toEqual({ groupname: ['Ops@ad.test'] })
  const group = `${groups}/ops%40ad.test`
  await mapi.change('POST', group, { allowNamespaceManagement: true }, 'm')
  expect(await mapi.read(group, 'm')).toEqual({ ...body, allowNamespaceManagement: true })
  const namespacePermission = [{ namespaceName: 'n1', permissions: { permission: ['BROWSE'] } }]
  await mapi.change('POST', `${group}/dataAccessPermissions`, { namespacePermission }, 'm')
  expect(await mapi.read(`${group}/dataAccessPermissions`, 'm')).toEqual({ namespacePermission })
  await mapi.change('DELETE', group, undefined, 'm')
  expect((await mapi.call({ path: group, host: 'm' })).status).toBe(404)
})

test('who may give roles to a user account may give them to a group, and nobody else', async () => {
  const make = (username: string, role: string): Promise<unknown> => {
    const account = { username, fullName: username, enabled: true, forcePasswordChange: false }
    const body = { ...account, localAuthentication: true, roles: { role: [role] } }
    return mapi.change('PUT', '/tenants/m/userAccounts?password=Change-7', body, 'm')
  }
  await make('adm', 'ADMINISTRATOR')
  await make('sec', 'SECURITY')
  await mapi.change('PUT', '/tenants/m/groupAccounts', { groupname: 'ops' }, 'm')
  const by = async (user: string, body: object): Promise<number> => {
    const call = { method: 'POST' as const, path: '/tenants/m/groupAccounts/ops', host: 'm', body }
    return (await mapi.call({ ...call, as: [user, 'Change-7'] })).status
  }
  expect(await by('adm', { roles: { role: ['SECURITY'] } })).toBe(403)
  expect(await by('sec', { roles: { role: ['SECURITY'] } })).toBe(200)
  expect(await by('sec', { allowNamespaceManagement: true })).toBe(403)
  expect(await by('adm', { allowNamespaceManagement: true })).toBe(200)
})

test.each(['__proto__', 'constructor', 'again'])(
  'a group may be called %s, and made again when it is gone',
  async (name) => {
    for (const _ of [1, 2]) {
      await mapi.change('PUT', '/tenants/m/groupAccounts', { groupname: name }, 'm')
      expect(await mapi.read('/tenants/m/groupAccounts', 'm')).toEqual({ groupname: [name] })
      await mapi.change('DELETE', `/tenants/m/groupAccounts/${name}`, undefined, 'm')
    }
  },
)
