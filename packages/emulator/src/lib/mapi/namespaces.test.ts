import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Emulator } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import type { WireRequest } from '../wire.testing.ts'
import { ask, credentials, statusOf } from '../wire.testing.ts'
import { MapiTester } from './mapi.testing.ts'

let hcp: Emulator
let mapi: MapiTester
beforeEach(async () => {
  const roles = ['MONITOR', 'ADMINISTRATOR', 'SECURITY', 'COMPLIANCE'] as const
  hcp = await startEmulator({
    nodes: 1,
    now: () => Date.UTC(2026, 2, 4, 5, 6, 7),
    config: {
      tenants: [
        {
          name: 'm',
          namespaces: [
            { name: 'n1', aclUsage: 'ENFORCED' },
            { name: 'n2', versioning: true },
            {
              name: 'strict',
              retentionMode: 'compliance',
              retentionClasses: [{ name: 'kept', value: '-1' }],
            },
          ],
          users: [
            { user: 'n', password: 'n01' },
            { user: 'admin', password: 'a01', roles: [...roles] },
          ],
        },
      ],
      systemUsers: [{ user: 'sysadmin', password: 's01' }],
    },
  })
  mapi = new MapiTester(hcp)
})
afterEach(async () => {
  await mapi[Symbol.asyncDispose]()
  await hcp.close()
})

const all = '/tenants/m/namespaces'
const change = (path: string, body: object): Promise<void> => mapi.change('POST', `${all}/${path}`, body, 'm')
const read = (path: string): Promise<Record<string, unknown>> => mapi.read(`${all}/${path}`, 'm')
const put = (path: string, namespace = 'n1', more: Partial<WireRequest> = {}): Promise<number> =>
  statusOf(hcp, { method: 'PUT', path, host: `${namespace}.m.hcp1.test`, body: 'content', ...more })
const get = (path: string, namespace = 'n1', more: Partial<WireRequest> = {}): Promise<number> =>
  statusOf(hcp, { path, host: `${namespace}.m.hcp1.test`, ...more })

/** Makes a namespace that the user `n` can use. */
async function createOpen(name: string, properties: object = {}): Promise<void> {
  await mapi.change('PUT', all, { name, ...properties }, 'm')
  await change(`${name}/protocols/http`, { httpEnabled: true })
  const namespacePermission = [
    { namespaceName: name, permissions: { permission: ['READ', 'WRITE', 'PURGE'] } },
  ]
  const path = '/tenants/m/userAccounts/n/dataAccessPermissions'
  await mapi.change('POST', path, { namespacePermission }, 'm')
}

describe('a namespace', () => {
  test('is there at once, with its doors closed', async () => {
    await mapi.change('PUT', all, { name: 'Films', hardQuota: '2 GB', tags: { tag: ['x'] } }, 'm')
    expect(await read('films?verbose=true')).toEqual({
      name: 'Films',
      description: '',
      hardQuota: '2.00 GB',
      softQuota: 85,
      hashScheme: 'SHA-256',
      enterpriseMode: true,
      aclsUsage: 'NOT_ENABLED',
      optimizedFor: 'CLOUD',
      directoryUsage: 'Unbalanced',
      searchEnabled: false,
      indexingEnabled: false,
      indexingDefault: true,
      customMetadataIndexingEnabled: false,
      customMetadataValidationEnabled: false,
      replicationEnabled: false,
      allowErasureCoding: false,
      serviceRemoteSystemRequests: true,
      appendEnabled: false,
      atimeSynchronizationEnabled: false,
      allowPermissionAndOwnershipChanges: false,
      authUsersAlwaysGrantedAllPermissions: true,
      authMinimumPermissions: { permission: [] },
      authAndAnonymousMinimumPermissions: { permission: [] },
      multipartUploadAutoAbortDays: 30,
      retentionType: 'HCP',
      s3UnversionedOverwrite: false,
      servicePlan: 'Default',
      tags: { tag: ['x'] },
      dpl: 'Dynamic',
      isDplDynamic: true,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      creationTime: '2026-03-04T05:06:07+0000',
      fullyQualifiedName: 'films.m.hcp1.test',
    })
    expect(await read('films/protocols/http')).toMatchObject({
      httpEnabled: false,
      httpsEnabled: false,
      restEnabled: true,
      restRequiresAuthentication: true,
    })
    const refused = await ask(hcp, { path: '/rest/', host: 'films.m.hcp1.test' })
    expect(refused.headers['x-hcp-errormessage']).toBe('The protocol is not enabled.')
    await createOpen('open')
    expect(await put('/rest/a', 'open')).toBe(201)
    expect(await get('/rest/a', 'open', { authorization: null })).toBe(403)
    await change('open/protocols/http', { httpEnabled: false })
    expect(await get('/rest/a', 'open')).toBe(403)
    await change('open/protocols/http', { httpEnabled: true })
    expect(await get('/rest/a', 'open')).toBe(200)
    await change('open/protocols/http', { restEnabled: 'false' })
    expect(await get('/rest/a', 'open')).toBe(403)
  })

  test('can have HTTPS open from the start, as one table says', async () => {
    await using other = await startEmulator({ nodes: 1, choices: { newNamespaceHttps: true } })
    await using client = new MapiTester(other)
    await client.change('PUT', all, { name: 'x' }, 'm')
    expect(await client.read(`${all}/x/protocols/http`, 'm')).toMatchObject({
      httpEnabled: false,
      httpsEnabled: true,
    })
  })

  test('takes no more than its quota, which can be changed', async () => {
    await createOpen('small', { hardQuota: '1 GB' })
    const length = { headers: { 'Content-Length': String(2 * 1024 ** 3) } }
    const large = { method: 'PUT', path: '/rest/large', host: 'small.m.hcp1.test', body: '', ...length }
    expect(await statusOf(hcp, large)).toBe(413)
    await change('small', { hardQuota: '3 GB' })
    expect(await read('small')).toMatchObject({ hardQuota: '3.00 GB' })
    const wanted = { ...large, headers: { ...length.headers, Expect: '100-continue' } }
    expect(await statusOf(hcp, wanted)).toBe(100)
  })

  test('what a short GET shows can be sent back, what a long one shows cannot', async () => {
    for (const name of ['n1', 'n2', 'strict']) {
      const short = await read(name)
      await change(name, short)
      expect(await read(name)).toEqual(short)
      const body = await read(`${name}?verbose=true`)
      expect((await mapi.call({ method: 'POST', path: `${all}/${name}`, host: 'm', body })).status).toBe(400)
    }
  })

  test('can have another name, under which its content and its permissions are', async () => {
    expect(await put('/rest/a')).toBe(201)
    await change('n1', { name: 'renamed' })
    expect(await get('/rest/a', 'renamed')).toBe(200)
    expect(await get('/rest/a')).toBe(403)
    expect((await mapi.read(all, 'm'))['name']).toEqual(['n2', 'renamed', 'strict'])
    await change('renamed/protocols/http', { hs3Enabled: true })
    const call = { method: 'POST' as const, path: `${all}/renamed`, host: 'm' }
    expect((await mapi.call({ ...call, body: { name: 'other' } })).status).toBe(403)
    expect((await mapi.call({ ...call, path: `${all}/n2`, body: { name: 'RENAMED' } })).status).toBe(409)
  })

  test('goes only when it is empty', async () => {
    await createOpen('gone')
    await put('/rest/d/a', 'gone')
    const call = { method: 'DELETE' as const, path: `${all}/gone`, host: 'm' }
    expect((await mapi.call(call)).status).toBe(403)
    const remove = (path: string): Promise<number> =>
      statusOf(hcp, { method: 'DELETE', path, host: 'gone.m.hcp1.test' })
    await remove('/rest/d/a')
    expect((await mapi.call(call)).status).toBe(403)
    await remove('/rest/d')
    expect((await mapi.call(call)).status).toBe(200)
    expect((await mapi.call(call)).status).toBe(404)
    expect(await get('/rest/', 'gone')).toBe(403)
    await createOpen('gone')
    expect(await get('/rest/d', 'gone')).toBe(404)
  })

  const creations: [string, object, number][] = [
    ['without name', {}, 400],
    ['a name that is there', { name: 'N1' }, 409],
    ['a name of 64 characters', { name: 'x'.repeat(64) }, 400],
    ['a hyphen last', { name: 'x-' }, 400],
    ['a hash scheme in small letters', { name: 'x', hashScheme: 'sha-256' }, 400],
    ['ACLs that are just ENABLED', { name: 'x', aclsUsage: 'ENABLED' }, 400],
    ['versioning without prune', { name: 'x', versioningSettings: { enabled: true } }, 400],
    ['prune without days', { name: 'x', versioningSettings: { enabled: true, prune: true } }, 400],
    ['an owner that is nobody', { name: 'x', owner: 'nobody' }, 400],
    ['indexing without search', { name: 'x', indexingEnabled: true }, 400],
    ['custom metadata indexing alone', { name: 'x', customMetadataIndexingEnabled: true }, 400],
    [
      'append and versions',
      { name: 'x', appendEnabled: true, versioningSettings: { enabled: true, prune: false } },
      400,
    ],
    ['more than the tenant has', { name: 'x', hardQuota: '1.01 TB' }, 403],
    ['a read-only property', { name: 'x', id: '1' }, 400],
    [
      'every property',
      {
        name: 'x',
        owner: 'n',
        softQuota: 10,
        enterpriseMode: false,
        searchEnabled: true,
        indexingEnabled: true,
        retentionType: 'S3',
        dpl: 'Dynamic',
        isDplDynamic: true,
      },
      200,
    ],
  ]
  test.each(creations)('created with %s', async (_, body, status) => {
    expect((await mapi.call({ method: 'PUT', path: all, host: 'm', body })).status).toBe(status)
    expect(((await mapi.read(all, 'm'))['name'] as string[]).includes('x')).toBe(status === 200)
  })

  const changes: [string, string, object, number][] = [
    ['strict', 'back from compliance mode', { enterpriseMode: true }, 403],
    ['n1', 'ACLs off again', { aclsUsage: 'NOT_ENABLED' }, 403],
    ['n1', 'another hash scheme', { hashScheme: 'MD5' }, 403],
    ['n1', 'versioning', { versioningSettings: { enabled: true, prune: false } }, 403],
    ['n1', 'a soft quota of 9', { softQuota: 9 }, 400],
    ['n1', '181 days', { multipartUploadAutoAbortDays: 181 }, 400],
    ['n1', 'an unknown permission', { authMinimumPermissions: { permission: ['FLY'] } }, 400],
    ['n1', 'into compliance mode', { enterpriseMode: false }, 200],
  ]
  test.each(changes)('%s changed: %s', async (name, _, body, status) => {
    expect((await mapi.call({ method: 'POST', path: `${all}/${name}`, host: 'm', body })).status).toBe(status)
  })

  test('the parameter resetMQECheckpoint wants an empty document beside it', async () => {
    const call = { method: 'POST' as const, host: 'm', body: '<namespace/>' }
    for (const [value, status] of [
      ['0', 200],
      ['03/04/2026', 200],
      ['yesterday', 400],
    ] as const) {
      const path = `${all}/n1?resetMQECheckpoint=${value}`
      expect((await mapi.call({ ...call, path })).status).toBe(status)
      const { body: _, ...without } = call
      expect((await mapi.call({ ...without, path })).status).toBe(415)
    }
  })

  test('a tenant configures only what the system lets it', async () => {
    await mapi.change('PUT', '/tenants?username=ops&password=Start123', { name: 'plain', namespaceQuota: 1 })
    const call = { host: 'plain', as: ['ops', 'Start123'] as const }
    const path = '/tenants/plain/namespaces'
    const roles = { roles: { role: ['SECURITY', 'ADMINISTRATOR', 'COMPLIANCE', 'MONITOR'] } }
    const user = '/tenants/plain/userAccounts/ops'
    expect((await mapi.call({ ...call, method: 'POST', path: user, body: roles })).status).toBe(200)
    for (const properties of [
      { versioningSettings: { enabled: true, prune: false } },
      { enterpriseMode: false },
      { searchEnabled: true },
      { replicationEnabled: true },
      { allowErasureCoding: true },
      { servicePlan: 'Default' },
    ]) {
      const reply = await mapi.call({ ...call, method: 'PUT', path, body: { name: 'x', ...properties } })
      expect([properties, reply.status]).toEqual([properties, 403])
    }
    const create = (name: string): Promise<{ status: number }> =>
      mapi.call({ ...call, method: 'PUT', path, body: { name } })
    expect((await create('x')).status).toBe(200)
    const shown = await mapi.read(`${path}/x`, 'plain', ['ops', 'Start123'])
    expect(Object.keys(shown)).not.toContain('servicePlan')
    expect(Object.keys(shown)).not.toContain('allowErasureCoding')
    // It may have one.
    expect((await create('y')).status).toBe(403)
  })
})

describe('what it is told holds for data at once', () => {
  test('versioning', async () => {
    expect(await put('/rest/a')).toBe(201)
    expect(await put('/rest/a')).toBe(409)
    await change('n1/versioningSettings', { enabled: true, prune: true, pruneDays: 30 })
    expect(await read('n1/versioningSettings')).toEqual({
      enabled: true,
      prune: true,
      pruneDays: 30,
      keepDeletionRecords: true,
      useDeleteMarkers: false,
    })
    expect(await put('/rest/a')).toBe(201)
    await mapi.change('DELETE', `${all}/n1/versioningSettings`, undefined, 'm')
    expect(await read('n1/versioningSettings')).toEqual({ enabled: false })
    expect(await put('/rest/a')).toBe(409)
  })

  test('versioning and what excludes it', async () => {
    const call = { method: 'POST' as const, host: 'm' }
    for (const protocol of ['cifs', 'nfs', 'smtp']) {
      await change(`n1/protocols/${protocol}`, { enabled: true })
      const path = `${all}/n1/versioningSettings`
      expect((await mapi.call({ ...call, path, body: { enabled: true } })).status).toBe(400)
      await change(`n1/protocols/${protocol}`, { enabled: false })
      const other = `${all}/n2/protocols/${protocol}`
      expect((await mapi.call({ ...call, path: other, body: { enabled: true } })).status).toBe(400)
    }
    const webdav = { ...call, path: `${all}/n2/protocols/http`, body: { webdavEnabled: true } }
    expect((await mapi.call(webdav)).status).toBe(400)
    const s3 = { ...call, path: `${all}/n2/protocols/http`, body: { hs3Enabled: true } }
    expect((await mapi.call(s3)).status).toBe(400)
  })

  test('retention classes', async () => {
    const path = `${all}/n1/retentionClasses`
    const call = { method: 'PUT' as const, path, host: 'm' }
    const body = { name: 'Films', value: 'A+7y', description: 'd', allowDisposition: true }
    expect((await mapi.call({ ...call, body: { name: 'x', value: 'A+7y' } })).status).toBe(400)
    expect((await mapi.call({ ...call, body: { name: 'x', value: 'soon' } })).status).toBe(400)
    expect((await mapi.call({ ...call, body: { name: 'x y', value: '0' } })).status).toBe(400)
    await mapi.change('PUT', path, body, 'm')
    expect((await mapi.call({ ...call, body: { name: 'FILMS', value: '0' } })).status).toBe(409)
    expect(await mapi.read(path, 'm')).toEqual({ name: ['Films'] })
    expect(await mapi.read(`${path}/films`, 'm')).toEqual(body)
    expect((await mapi.call({ method: 'HEAD', path: `${path}/none`, host: 'm' })).status).toBe(302)
    expect(await put('/rest/a?retention=C%2BFilms')).toBe(201)
    const { headers } = await ask(hcp, { path: '/rest/a' })
    expect(headers['x-hcp-retentionclass']).toBe('Films')
    expect(headers['x-hcp-retentionstring']).toMatch(/^2033-/)
    await mapi.change('POST', `${path}/films`, { value: 'Deletion Prohibited' }, 'm')
    expect(await mapi.read(`${path}/films`, 'm')).toMatchObject({ value: '-1' })
    await mapi.change('DELETE', `${path}/films`, undefined, 'm')
    expect((await mapi.call({ path: `${path}/films`, host: 'm' })).status).toBe(404)
    const kept = `${all}/strict/retentionClasses/kept`
    expect((await mapi.call({ method: 'DELETE', path: kept, host: 'm' })).status).toBe(403)
  })

  test('the retention class that is the default stays: without it nothing could be stored any more', async () => {
    const path = `${all}/n1/retentionClasses`
    await mapi.change('PUT', path, { name: 'Films', value: '-1' }, 'm')
    await change('n1/complianceSettings', { retentionDefault: 'C+films' })
    expect((await mapi.call({ method: 'DELETE', path: `${path}/films`, host: 'm' })).status).toBe(403)
    expect(await put('/rest/a')).toBe(201)
    await change('n1/complianceSettings', { retentionDefault: '0' })
    await mapi.change('DELETE', `${path}/films`, undefined, 'm')
  })

  test.each(['1.00 TB', '1.03 TB', '2.57 TB', '1000.00 GB', '12.50 GB'])(
    'a quota of %s is printed as it was set',
    async (hardQuota) => {
      await mapi.change('POST', '/tenants/m', { hardQuota: '9 TB' })
      await change('n1', { hardQuota })
      expect(await read('n1')).toMatchObject({ hardQuota })
    },
  )

  test('compliance settings', async () => {
    const settings = {
      retentionDefault: 'A+1y',
      minimumRetentionAfterInitialUnspecified: '19y+0M+7d',
      shreddingDefault: true,
      customMetadataChanges: 'ALL',
      dispositionEnabled: true,
    }
    await change('n1/complianceSettings', settings)
    expect(await read('n1/complianceSettings')).toEqual(settings)
    await put('/rest/a')
    const { headers } = await ask(hcp, { path: '/rest/a' })
    expect(headers['x-hcp-retentionstring']).toMatch(/^2027-/)
    expect(headers['x-hcp-shred']).toBe('true')
    await put('/rest/b?retention=-2')
    const soon = { method: 'POST', path: '/rest/b?retention=A%2B1y', host: 'n1.m.hcp1.test' }
    expect(await statusOf(hcp, soon)).toBe(400)
    const call = { method: 'POST' as const, path: `${all}/n1/complianceSettings`, host: 'm' }
    for (const body of [
      { retentionDefault: 'C+none' },
      { retentionDefault: 'for ever' },
      { minimumRetentionAfterInitialUnspecified: 'x' },
      { customMetadataChanges: 'SOME' },
    ])
      expect([body, (await mapi.call({ ...call, body })).status]).toEqual([body, 400])
  })

  test('permissions of everybody, and masks over all permissions', async () => {
    const nobody = { authorization: null }
    await put('/rest/a')
    expect(await get('/rest/a', 'n1', nobody)).toBe(403)
    await change('n1', { authAndAnonymousMinimumPermissions: { permission: ['READ'] } })
    expect(await read('n1')).toMatchObject({
      authAndAnonymousMinimumPermissions: { permission: ['BROWSE', 'READ'] },
    })
    expect(await get('/rest/a', 'n1', nobody)).toBe(200)
    await change('n1/permissions', { permission: ['PURGE', 'SEARCH'] })
    expect(await read('n1/permissions')).toEqual({ permission: ['DELETE', 'PURGE', 'READ', 'SEARCH'] })
    expect(await put('/rest/b')).toBe(403)
    expect(await get('/rest/a', 'n1', nobody)).toBe(200)
    await mapi.change('POST', '/tenants/m/permissions', { permission: ['WRITE'] }, 'm')
    expect(await get('/rest/a')).toBe(403)
    await mapi.change('POST', '/tenants/m/permissions', { permission: ['READ', 'WRITE'] }, 'm')
    await change('n1/permissions', { permission: ['READ', 'WRITE'] })
    expect(await put('/rest/b')).toBe(201)
    expect(await statusOf(hcp, { method: 'DELETE', path: '/rest/b' })).toBe(403)
    const call = { method: 'POST' as const, path: `${all}/n1/permissions`, host: 'm' }
    for (const body of [{ permission: ['read'] }, { permission: ['BROWSE'] }, { others: 1 }])
      expect((await mapi.call({ ...call, body })).status).toBe(400)
    const xml = '<permissions><permission>READ</permission></permissions>'
    expect((await mapi.call({ ...call, body: xml })).status).toBe(200)
    expect(await read('n1/permissions')).toEqual({ permission: ['READ'] })
    expect((await mapi.call({ ...call, body: '<permissions/>' })).status).toBe(200)
    expect(await get('/rest/a')).toBe(403)
  })

  test('a mask holds for what an access control list gives', async () => {
    await put('/rest/a?acl=all_read')
    expect(await get('/rest/a', 'n1', { authorization: null })).toBe(200)
    await change('n1/permissions', { permission: ['WRITE'] })
    expect(await get('/rest/a', 'n1', { authorization: null })).toBe(403)
  })

  test('XML that annotations are checked for', async () => {
    await put('/rest/a')
    const path = '/rest/a?type=custom-metadata&annotation=x'
    await change('n1', { customMetadataValidationEnabled: true })
    expect(await put(path)).toBe(400)
    await change('n1', { customMetadataValidationEnabled: false })
    expect(await put(path)).toBe(201)
  })
})

describe('an account that may look after namespaces of its own', () => {
  const keeper: [string, string] = ['keeper', 'Keeper77']
  beforeEach(async () => {
    const body = {
      username: 'keeper',
      fullName: 'Keeper',
      enabled: true,
      forcePasswordChange: false,
      localAuthentication: true,
      allowNamespaceManagement: true,
    }
    const path = '/tenants/m/userAccounts?password=Keeper77'
    await mapi.change('PUT', path, body, 'm')
  })

  test('makes, lists, looks at, versions and deletes them, and sees no others', async () => {
    const call = { host: 'm', as: keeper }
    expect((await mapi.call({ ...call, method: 'PUT', path: all, body: { name: 'mine' } })).status).toBe(200)
    expect((await mapi.read(all, 'm', keeper))['name']).toEqual(['mine'])
    expect(await mapi.read(`${all}/mine?verbose=true`, 'm', keeper)).toEqual({
      name: 'mine',
      owner: 'keeper',
      ownerType: 'LOCAL',
    })
    const versioning = `${all}/mine/versioningSettings`
    expect(
      (await mapi.call({ ...call, method: 'POST', path: versioning, body: { enabled: true } })).status,
    ).toBe(200)
    expect(await mapi.read(versioning, 'm', keeper)).toMatchObject({ enabled: true })
    await change('mine/protocols/http', { httpEnabled: true })
    const authorization = credentials(...keeper)
    expect(await put('/rest/a', 'mine', { authorization })).toBe(201)
    await statusOf(hcp, {
      method: 'DELETE',
      path: '/rest/a?purge=true',
      host: 'mine.m.hcp1.test',
      authorization,
    })
    for (const [method, path] of [
      ['GET', `${all}/n1`],
      ['DELETE', `${all}/n1`],
      ['GET', `${all}/n1/versioningSettings`],
      ['GET', `${all}/mine/protocols/http`],
      ['GET', '/tenants/m'],
    ] as const)
      expect([path, (await mapi.call({ ...call, method, path })).status]).toEqual([path, 403])
    expect((await mapi.call({ ...call, method: 'DELETE', path: `${all}/mine` })).status).toBe(200)
  })

  test('and no more of them than the tenant says', async () => {
    await mapi.change('POST', '/tenants/m', { maxNamespacesPerUser: 1 }, 'm')
    const call = { host: 'm', as: keeper, method: 'PUT' as const, path: all }
    expect((await mapi.call({ ...call, body: { name: 'one' } })).status).toBe(200)
    expect((await mapi.call({ ...call, body: { name: 'two' } })).status).toBe(403)
  })
})

test('lists of namespaces come in parts, by name or quota', async () => {
  await mapi.change('PUT', all, { name: 'Alpha', hardQuota: '1 GB', tags: { tag: ['x'] } }, 'm')
  for (const [query, names] of [
    ['', ['Alpha', 'n1', 'n2', 'strict']],
    ['sortType=hardQuota&sortOrder=descending&count=3', ['strict', 'n2', 'n1']],
    ['offset=1&count=1', ['n1']],
    ['filterType=tag&filterString=X', ['Alpha']],
    ['filterString=n', ['n1', 'n2']],
  ] as const)
    expect([query, (await mapi.read(`${all}?${query}`, 'm'))['name']]).toEqual([query, names])
})

test('settings of what is not played are kept', async () => {
  const cases: [string, object, object][] = [
    ['protocols/cifs', { caseForcing: 'LOWER', caseSensitive: false }, { caseForcing: 'SIDEWAYS' }],
    ['protocols/nfs', { uid: 500, gid: 500 }, { ipSettings: { denyAddresses: { ipAddress: ['::1'] } } }],
    ['protocols/smtp', { emailFormat: '.mbox', separateAttachments: true }, { emailFormat: '.txt' }],
    [
      'protocols/http',
      { ipSettings: { allowAddresses: { ipAddress: ['10.1.2.3/255.255.0.0'] } } },
      { ftp: true },
    ],
    [
      'replicationCollisionSettings',
      { action: 'RENAME', deleteEnabled: true, deleteDays: 7 },
      { deleteEnabled: true, deleteDays: -1 },
    ],
    [
      'customMetadataIndexingSettings',
      { contentClasses: { contentClass: ['a'] }, fullIndexingEnabled: true },
      { a: 1 },
    ],
  ]
  for (const [path, settings, bad] of cases) {
    await change(`n1/${path}`, settings)
    expect(await read(`n1/${path}`)).toMatchObject(settings)
    expect(
      (await mapi.call({ method: 'POST', path: `${all}/n1/${path}`, host: 'm', body: bad })).status,
    ).toBe(400)
    expect(await read(`n1/${path}`)).toMatchObject(settings)
  }
  const collisions = `${all}/n1/replicationCollisionSettings`
  const off = { method: 'POST' as const, path: collisions, host: 'm' }
  expect((await mapi.call({ ...off, body: { deleteEnabled: false, deleteDays: 7 } })).status).toBe(400)
  await change('n1/replicationCollisionSettings', { deleteEnabled: false })
  expect(await read('n1/replicationCollisionSettings')).toEqual({ action: 'RENAME', deleteEnabled: false })
})
