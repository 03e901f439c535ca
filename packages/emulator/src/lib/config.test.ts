import { describe, expect, test } from 'vitest'
import { defaultConfig, validateConfig } from './config.ts'
import type { EmulatorConfig } from './config.ts'
import { permissionNames } from './namespace.ts'

const every = [...permissionNames]

test('the default content is one tenant, two namespaces, three users', () => {
  const { tenants, systemUsers, release } = defaultConfig()
  expect(release).toBe('9.6')
  expect(tenants.map(({ name }) => name)).toEqual(['m'])
  expect(
    tenants[0]!.namespaces.map(({ name, versioning, http, https }) => [name, versioning, http, https]),
  ).toEqual([
    ['n1', false, true, true],
    ['n2', true, true, true],
  ])
  expect(tenants[0]!.users).toEqual([
    { user: 'n', password: 'n01', roles: [], permissions: { n1: every, n2: every } },
    {
      user: 'admin',
      password: 'a01',
      roles: ['MONITOR', 'ADMINISTRATOR', 'SECURITY', 'COMPLIANCE'],
      permissions: { n1: [], n2: [] },
    },
  ])
  expect(systemUsers).toEqual([
    {
      user: 'sysadmin',
      password: 's01',
      roles: ['MONITOR', 'ADMINISTRATOR', 'SECURITY', 'SERVICE', 'COMPLIANCE', 'SEARCH'],
    },
  ])
})

test('every default of a namespace is filled in', () => {
  const { tenants } = validateConfig({ tenants: [{ name: 't', namespaces: [{ name: 'a' }] }] })
  expect(tenants[0]!.namespaces[0]).toEqual({
    name: 'a',
    description: '',
    versioning: false,
    pruneDays: null,
    quotaBytes: 50 * 1024 ** 3,
    softQuotaPercent: 85,
    hashScheme: 'SHA-256',
    dpl: 2,
    retentionMode: 'enterprise',
    defaultRetention: '0',
    minimumRetentionAfterInitialUnspecified: null,
    defaultShred: false,
    defaultIndex: true,
    searchEnabled: true,
    retentionClasses: [],
    dispositionEnabled: false,
    checkXml: false,
    annotationsUnderRetention: 'ADD',
    ownerChangeUnderRetention: false,
    aclUsage: 'NOT_ENABLED',
    http: true,
    https: true,
    authenticatedPermissions: [],
    anonymousPermissions: [],
    authenticationRequired: false,
    acceptRedirectedRequests: true,
    readFromReplica: true,
  })
})

test('what is given is kept, and the given object is left alone', () => {
  const namespace = {
    name: 'A-1',
    versioning: true,
    quotaBytes: 10,
    hashScheme: 'MD5',
    pruneDays: 7,
  } as const
  const retentionClasses = [{ name: 'TAX_10', value: 'A+10y', autoDelete: true }]
  const config: EmulatorConfig = {
    tenants: [{ name: 't', namespaces: [{ ...namespace, retentionClasses }] }],
    release: '8.2.1',
  }
  const before = JSON.stringify(config)
  const checked = validateConfig(config)
  expect(checked.release).toBe('8.2.1')
  expect(checked.tenants[0]!.namespaces[0]).toMatchObject(namespace)
  expect(checked.tenants[0]!.namespaces[0]!.retentionClasses).toEqual([
    { ...retentionClasses[0], description: '' },
  ])
  expect(JSON.stringify(config)).toBe(before)
})

test.each([
  '0',
  '-1',
  '-2',
  '1700000000',
  'A+7y',
  'R+1y+6M',
  'N+30d-12h',
  '+1s',
  '2030-01-01T00:00:00+0000',
  'C+tax',
])('the default retention %s is taken', (defaultRetention) => {
  const given = { name: 'a', defaultRetention, retentionClasses: [{ name: 'TAX', value: 'A+10y' }] }
  const { tenants } = validateConfig({ tenants: [{ name: 't', namespaces: [given] }] })
  expect(tenants[0]!.namespaces[0]!.defaultRetention).toBe(defaultRetention)
})

describe('permissions of a user', () => {
  function permissionsOf(user: object): unknown {
    const account = { user: 'u', password: 'p', ...user }
    const namespaces = [{ name: 'a' }, { name: 'B' }]
    return validateConfig({ tenants: [{ name: 't', namespaces, users: [account] }] }).tenants[0]!.users[0]!
      .permissions
  }

  test.each([
    ['nothing said: everything', {}, { a: every, B: every }],
    ['roles only: nothing', { roles: ['MONITOR'] }, { a: [], B: [] }],
    ['a list: the same everywhere', { permissions: ['write'] }, { a: ['write'], B: ['write'] }],
    ['an empty list: nothing', { permissions: [] }, { a: [], B: [] }],
    ['by namespace, in any letter case', { permissions: { b: ['write'] } }, { a: [], B: ['write'] }],
    [
      'with what a permission brings',
      { permissions: { a: ['search', 'purge'] } },
      {
        a: ['browse', 'read', 'delete', 'purge', 'search'],
        B: [],
      },
    ],
    [
      'in the spelling of the management API',
      { permissions: ['READ_ACL', 'CHOWN', 'DELETE'] },
      {
        a: ['readAcl', 'changeOwner', 'delete'],
        B: ['readAcl', 'changeOwner', 'delete'],
      },
    ],
  ])('%s', (_what, user, expected) => {
    expect(permissionsOf(user)).toEqual(expected)
  })
})

test('roles in any letter case', () => {
  const checked = validateConfig({
    tenants: [{ name: 't', users: [{ user: 'u', password: 'p', roles: ['monitor'] }] }],
    systemUsers: [{ user: 's', password: 'p', roles: ['Service'] }],
  })
  expect(checked.tenants[0]!.users[0]!.roles).toEqual(['MONITOR'])
  expect(checked.systemUsers[0]!.roles).toEqual(['SERVICE'])
})

const namespace = (fields: object): object => ({
  tenants: [{ name: 't', namespaces: [{ name: 'a', ...fields }] }],
})
const user = (fields: object): object => ({
  tenants: [{ name: 't', namespaces: [{ name: 'a' }], users: [{ user: 'u', password: 'p', ...fields }] }],
})

test.each<[unknown, string]>([
  [undefined, 'the configuration must be an object'],
  [null, 'the configuration must be an object'],
  [[], 'the configuration must be an object'],
  ['{}', 'the configuration must be an object'],
  [{}, 'tenants: is missing'],
  [{ tenants: {} }, 'tenants: must be array'],
  [{ tenants: [{}] }, 'tenants[0].name: is missing'],
  [{ tenants: [{ name: 't' }, { name: 'T' }] }, 'tenants[1].name: "T" is there already'],
  [{ tenants: [{ name: 'Admin' }] }, 'tenants[0].name: "Admin" is the name of a host of the system'],
  [{ tenants: [{ name: 'a.b' }] }, 'tenants[0].name: must be 1 to 63 letters'],
  [{ tenants: [{ name: 'xn--a' }] }, 'tenants[0].name: must be 1 to 63 letters'],
  [{ tenants: [{ name: 'a'.repeat(64) }] }, 'tenants[0].name: must be 1 to 63 letters'],
  [{ tenants: [], tenant: [] }, 'tenant: is no field of the configuration'],
  [{ tenants: [], release: 9.6 }, 'release: must be string'],
  [{ tenants: [], release: 'new' }, 'release: must be the HCP release that is played'],
  [namespace({ name: '-a' }), 'tenants[0].namespaces[0].name: must be 1 to 63 letters'],
  [
    namespace({ versionning: true }),
    'tenants[0].namespaces[0].versionning: is no field of the configuration',
  ],
  [namespace({ versioning: 'yes' }), 'tenants[0].namespaces[0].versioning: must be boolean'],
  [namespace({ quotaBytes: 0 }), 'tenants[0].namespaces[0].quotaBytes: must be >= 1'],
  [namespace({ quotaBytes: 1.5 }), 'tenants[0].namespaces[0].quotaBytes: must be integer'],
  [
    namespace({ hashScheme: 'CRC' }),
    'tenants[0].namespaces[0].hashScheme: must be one of MD5, SHA-1, SHA-256',
  ],
  [namespace({ pruneDays: '7' }), 'tenants[0].namespaces[0].pruneDays: must be integer,null'],
  [
    namespace({ retentionClasses: [{ name: 'a b', value: '0' }] }),
    'tenants[0].namespaces[0].retentionClasses[0].name',
  ],
  [
    namespace({
      retentionClasses: [
        { name: 'a', value: '0' },
        { name: 'A', value: '0' },
      ],
    }),
    'tenants[0].namespaces[0].retentionClasses[1].name: "A" is there already',
  ],
  [namespace({ defaultRetention: 'forever' }), 'namespaces[0].defaultRetention: must be `0`, `-1`, `-2`'],
  [namespace({ defaultRetention: '' }), 'namespaces[0].defaultRetention: must NOT have fewer than 1'],
  [namespace({ defaultRetention: 'C+x' }), 'namespaces[0].defaultRetention: there is no retention class "x"'],
  [namespace({ retentionClasses: [{ name: 'x', value: 'C+x' }] }), 'retentionClasses[0].value: must be `0`'],
  [namespace({ anonymousPermissions: ['fly'] }), 'anonymousPermissions[0]: must be one of browse, read'],
  [user({ user: '' }), 'tenants[0].users[0].user: must NOT have fewer than 1 characters'],
  [user({ password: 5 }), 'tenants[0].users[0].password: must be string'],
  [user({ roles: ['KING'] }), 'tenants[0].users[0].roles[0]: must be one of MONITOR'],
  [user({ roles: ['SERVICE'] }), 'tenants[0].users[0].roles[0]: must be one of MONITOR'],
  [user({ permissions: ['fly'] }), 'tenants[0].users[0].permissions[0]: must be one of browse'],
  [user({ permissions: { a: ['fly'] } }), 'tenants[0].users[0].permissions.a[0]: must be one of browse'],
  [
    user({ permissions: { b: ['read'] } }),
    'tenants[0].users[0].permissions: the tenant has no namespace "b"',
  ],
  [user({ permissions: 'all' }), 'tenants[0].users[0].permissions: must be object'],
])('%j is a TypeError: %s', (value, message) => {
  expect(() => validateConfig(value)).toThrow(TypeError)
  expect(() => validateConfig(value)).toThrow(message)
})

test('no message shows a password', () => {
  const secret = 'Blue-Kite-42'
  for (const fields of [
    { password: [secret] },
    { user: 1, password: secret },
    { password: secret, roles: [7] },
  ]) {
    let message = ''
    try {
      validateConfig(user(fields))
    } catch (error) {
      message = String(error)
    }
    expect(message).toMatch(/^TypeError/)
    expect(message).not.toContain(secret)
  }
})
