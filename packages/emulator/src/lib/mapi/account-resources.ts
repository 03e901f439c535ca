import { randomUUID } from 'node:crypto'
import type { Account } from '../authentication.ts'
import type { Namespace, Permission } from '../namespace.ts'
import { Refusal } from '../refusal.ts'
import type { AccountState, Tenant } from '../tenant.ts'
import type { Fields } from './fields.ts'
import {
  boolean,
  choice,
  entriesOf,
  isRecord,
  lengthOf,
  list,
  matching,
  need,
  needParameter,
  readFields,
  text,
  textOf,
} from './fields.ts'
import { paged } from './paging.ts'
import type { DocumentFields, MapiAnswer, MapiExchange, Operation, Resource } from './resource.ts'
import {
  accountOf,
  changeAccount,
  changeTenant,
  hasTenantRole,
  members,
  tenantChanges,
  tenantOf,
} from './surroundings.ts'

const minimumPasswordLength = 6

/** What HCP asks of a password: a length, and two of letters, digits and other characters. */
export function checkPassword(password: string, name: string, minimum: number = minimumPasswordLength): void {
  const length = lengthOf(password)
  const kinds = [/\p{L}/u, /\d/, /[^\p{L}\d]/u].filter((kind) => kind.test(password)).length
  if (length < minimum || length > 64 || kinds < 2) {
    throw new Refusal(
      400,
      `The value of '${name}' is no password: it must have ${minimum} to 64 characters, of two of the kinds letter, digit, other.`,
    )
  }
}

/** The tenant's own rule for the length of passwords. */
function minimumOf(tenant: Tenant): number {
  const minimum = tenant.documents['consoleSecurity']?.['minimumPasswordLength']
  return typeof minimum === 'number' ? minimum : minimumPasswordLength
}

const roleList = list('role', choice('MONITOR', 'ADMINISTRATOR', 'SECURITY', 'COMPLIANCE'))

const fields: Fields = {
  username: matching(/^(?!\[)[^\p{Cc}]{1,64}$/u, '1 to 64 characters, the first not ['),
  fullName: text(64, 1),
  description: text(),
  localAuthentication: boolean,
  forcePasswordChange: boolean,
  enabled: boolean,
  roles: roleList,
  allowNamespaceManagement: boolean,
}

const reads: Operation['allowed'] = { tenant: ['MONITOR', 'ADMINISTRATOR', 'SECURITY'] }
const security: Operation['allowed'] = { tenant: ['SECURITY'] }
const securityOrAdministrator: Operation['allowed'] = { tenant: ['SECURITY', 'ADMINISTRATOR'] }

const systemReads: Operation['allowed'] = { system: ['MONITOR', 'ADMINISTRATOR', 'SECURITY'] }

function documentOf(exchange: MapiExchange, { state }: Account): DocumentFields {
  const { verbose, bySystem, byTenant } = exchange
  const {
    fullName = state.user,
    description = '',
    localAuthentication = true,
    forcePasswordChange = false,
  } = state.properties
  const all = bySystem && !byTenant
  if (!all && !hasTenantRole(exchange, 'SECURITY')) {
    return {
      ...(verbose ? { username: state.user } : {}),
      description,
      allowNamespaceManagement: state.allowNamespaceManagement,
    }
  }
  const administrates = hasTenantRole(exchange, 'ADMINISTRATOR') || (verbose && !all)
  return {
    username: state.user,
    fullName,
    description,
    localAuthentication,
    forcePasswordChange,
    enabled: state.enabled,
    roles: { role: state.roles },
    ...(administrates ? { allowNamespaceManagement: state.allowNamespaceManagement } : {}),
    ...(verbose ? { userGUID: state.id, userID: state.number } : {}),
  }
}

function listed(query: MapiExchange['query'], accounts: Iterable<Account>): MapiAnswer {
  const entries = [...accounts].map(({ user }) => ({
    name: user,
    sort: { username: user },
    filter: { username: [user] },
  }))
  const names = paged(query, entries, ['username'], ['username']).map(({ name }) => name)
  return { document: { root: 'userAccounts', value: { username: names } } }
}

async function create(exchange: MapiExchange): Promise<MapiAnswer> {
  const given = readFields(await exchange.document('userAccount'), fields)
  const tenant = tenantOf(exchange)
  need(given, 'username', 'fullName', 'enabled', 'forcePasswordChange', 'localAuthentication')
  const password = needParameter(exchange.query, 'password')
  checkPassword(password, 'password', minimumOf(tenant))
  const user = textOf(given['username'])
  if (tenant.account(user) !== undefined) throw new Refusal(409, `There is a user account ${user} already.`)
  const number = Math.max(99, ...[...tenant.accounts.values()].map(({ state }) => state.number)) + 1
  const fresh: AccountState = {
    id: randomUUID(),
    number,
    user,
    password,
    roles: [],
    enabled: true,
    allowNamespaceManagement: false,
    properties: {},
    grants: {},
  }
  await changeAccount(exchange, tenant, changed(fresh, given))
  return {}
}

function changed(state: AccountState, given: DocumentFields): AccountState {
  const { username, roles, enabled, allowNamespaceManagement, ...properties } = given
  const newRoles = roles === undefined ? state.roles : entriesOf(roles, 'role')
  const becomesAdministrator = newRoles.includes('ADMINISTRATOR') && !state.roles.includes('ADMINISTRATOR')
  return {
    ...state,
    user: username === undefined ? state.user : textOf(username),
    roles: newRoles,
    enabled: typeof enabled === 'boolean' ? enabled : state.enabled,
    allowNamespaceManagement:
      becomesAdministrator ||
      (typeof allowNamespaceManagement === 'boolean'
        ? allowNamespaceManagement
        : state.allowNamespaceManagement),
    properties: { ...state.properties, ...properties },
  }
}

async function change(exchange: MapiExchange): Promise<MapiAnswer> {
  const given = readFields(await exchange.document('userAccount'), fields)
  const tenant = tenantOf(exchange)
  const { state } = accountOf(exchange)
  const password = exchange.query.get('password')
  checkChanger(exchange, given)
  if (password !== undefined) {
    if (!hasTenantRole(exchange, 'SECURITY'))
      throw new Refusal(403, 'Changing a password needs the role SECURITY of a tenant-level account.')
    checkPassword(password, 'password', minimumOf(tenant))
  }
  const after = changed(password === undefined ? state : { ...state, password }, given)
  const other = tenant.account(after.user)
  if (other !== undefined && other.state.id !== state.id)
    throw new Refusal(409, `There is a user account ${after.user} already.`)
  if (isSecurity(state) && !isSecurity(after)) checkNotLast(tenant, state)
  await changeAccount(exchange, tenant, after)
  return {}
}

/** Who may change what of an account. */
function checkChanger(exchange: MapiExchange, given: DocumentFields): void {
  for (const name of Object.keys(given)) {
    const role = name === 'allowNamespaceManagement' ? 'ADMINISTRATOR' : 'SECURITY'
    if (!hasTenantRole(exchange, role))
      throw new Refusal(
        403,
        `Changing the property '${name}' needs the role ${role} of a tenant-level account.`,
      )
  }
}

function isSecurity({ enabled, roles, properties }: AccountState): boolean {
  return enabled && roles.includes('SECURITY') && properties['localAuthentication'] !== false
}

function checkNotLast(tenant: Tenant, state: AccountState): void {
  const others = [...tenant.accounts.values()].some(
    (each) => each.state.id !== state.id && isSecurity(each.state),
  )
  if (!others) throw new Refusal(403, 'This is the last enabled local account with the role SECURITY.')
}

async function remove(exchange: MapiExchange): Promise<MapiAnswer> {
  const tenant = tenantOf(exchange)
  const { state } = accountOf(exchange)
  if (isSecurity(state)) checkNotLast(tenant, state)
  await exchange.system.configure({ set: 'account', tenant: tenant.id, id: state.id, value: null })
  return {}
}

/** All local accounts with the role SECURITY get one password. */
async function resetPasswords(exchange: MapiExchange): Promise<MapiAnswer> {
  readFields(await exchange.document('userAccounts', 'userAccount'), {})
  const tenant = tenantOf(exchange)
  const password = needParameter(exchange.query, 'resetPasswords')
  checkPassword(password, 'resetPasswords', minimumOf(tenant))
  const states = [...tenant.accounts.values()]
    .map(({ state }) => state)
    .filter(
      ({ roles, properties }) => roles.includes('SECURITY') && properties['localAuthentication'] !== false,
    )
  await exchange.system.configure(
    ...states.map((state) => ({
      set: 'account' as const,
      tenant: tenant.id,
      id: state.id,
      value: { ...state, password },
    })),
  )
  return {}
}

async function newPassword(exchange: MapiExchange, minimum: number): Promise<string> {
  const given = readFields(await exchange.document('updatePasswordRequest'), { newPassword: text(64, 1) })
  need(given, 'newPassword')
  const password = textOf(given['newPassword'])
  checkPassword(password, 'newPassword', minimum)
  return password
}

/** Permissions for data, as the management API spells them. */
const spellings: Readonly<Record<string, Permission>> = {
  BROWSE: 'browse',
  CHOWN: 'changeOwner',
  DELETE: 'delete',
  PRIVILEGED: 'privileged',
  PURGE: 'purge',
  READ: 'read',
  READ_ACL: 'readAcl',
  SEARCH: 'search',
  WRITE: 'write',
  WRITE_ACL: 'writeAcl',
}

/** What a permission cannot be without, and brings. */
const implied: Readonly<Record<string, readonly string[]>> = {
  READ: ['BROWSE'],
  SEARCH: ['BROWSE', 'READ'],
  PURGE: ['DELETE'],
}

/** With those that the others bring, in the order of the alphabet. */
export function withImplied(names: readonly string[]): string[] {
  const all = new Set(names.flatMap((name) => [name, ...(implied[name] ?? [])]))
  return Object.keys(spellings).filter((name) => all.has(name))
}

export function toPermissions(names: readonly string[]): Permission[] {
  return withImplied(names).map((name) => spellings[name]!)
}

export function fromPermissions(permissions: readonly Permission[]): string[] {
  return Object.entries(spellings)
    .filter(([, permission]) => permissions.includes(permission))
    .map(([name]) => name)
}

const permissionList = list('permission', choice(...Object.keys(spellings)))

type Grants = Readonly<Record<string, readonly Permission[]>>

function permissionsDocument({ query }: MapiExchange, tenant: Tenant, grants: Grants): MapiAnswer {
  const entries = Object.entries(grants).flatMap(([id, permissions]) => {
    const namespace = tenant.namespaceById(id)
    if (namespace === undefined || permissions.length === 0) return []
    const { name, quotaBytes } = namespace.settings
    return [
      {
        name,
        permissions,
        sort: { name, hardQuota: quotaBytes },
        filter: { name: [name], tag: tagsOf(namespace) },
      },
    ]
  })
  const shown = paged(query, entries, ['name', 'hardQuota'], ['name', 'tag']).map(
    ({ name, permissions }) => ({
      namespaceName: name,
      permissions: { permission: fromPermissions(permissions) },
    }),
  )
  return { document: { root: 'dataAccessPermissions', value: { namespacePermission: shown } } }
}

export function tagsOf({ documents }: Namespace): readonly string[] {
  return entriesOf(documents['namespace']?.['tags'], 'tag')
}

/** The permissions that a document gives: the namespaces that it names have them from now on; the others stay. */
async function newGrants(exchange: MapiExchange): Promise<Grants> {
  const { namespacePermission, ...others } = await exchange.document('dataAccessPermissions')
  readFields(others, {})
  const tenant = tenantOf(exchange)
  const given = namespacePermission === undefined || namespacePermission === '' ? [] : namespacePermission
  const grants: Record<string, readonly Permission[]> = {}
  for (const each of Array.isArray(given) ? (given as unknown[]) : [given]) {
    if (!isRecord(each)) throw new Refusal(400, "The property 'namespacePermission' is invalid.")
    const entry = readFields(each, { namespaceName: text(63, 1), permissions: permissionList })
    need(entry, 'namespaceName', 'permissions')
    const name = textOf(entry['namespaceName'])
    const namespace = tenant.namespaces.get(name.toLowerCase())
    if (namespace === undefined) throw new Refusal(400, `There is no namespace ${name}.`)
    grants[namespace.id] = toPermissions(entriesOf(entry['permissions'], 'permission'))
  }
  return grants
}

const grantReads: Operation['allowed'] = { tenant: ['ADMINISTRATOR', 'SECURITY'] }

const users: readonly Resource[] = [
  {
    path: '/tenants/:tenant/userAccounts',
    operations: {
      GET: {
        allowed: reads,
        handle: (exchange) => listed(exchange.query, tenantOf(exchange).accounts.values()),
      },
      PUT: { allowed: security, handle: create },
      POST: { allowed: { system: ['ADMINISTRATOR'] }, handle: resetPasswords },
    },
  },
  {
    path: '/tenants/:tenant/userAccounts/:user',
    operations: {
      GET: {
        allowed: reads,
        handle: (exchange) => ({
          document: { root: 'userAccount', value: documentOf(exchange, accountOf(exchange)) },
        }),
      },
      POST: { allowed: securityOrAdministrator, handle: change },
      DELETE: { allowed: security, handle: remove },
    },
  },
  {
    path: '/tenants/:tenant/userAccounts/:user/changePassword',
    operations: {
      POST: {
        allowed: { system: ['SECURITY'], tenant: ['SECURITY'] },
        handle: async (exchange) => {
          const password = await newPassword(exchange, minimumOf(tenantOf(exchange)))
          await changeAccount(exchange, tenantOf(exchange), { ...accountOf(exchange).state, password })
          return {}
        },
      },
    },
  },
  {
    path: '/tenants/:tenant/userAccounts/:user/dataAccessPermissions',
    operations: {
      GET: {
        allowed: grantReads,
        handle: (exchange) =>
          permissionsDocument(exchange, tenantOf(exchange), accountOf(exchange).state.grants),
      },
      POST: {
        allowed: tenantChanges,
        handle: async (exchange) => {
          const added = await newGrants(exchange)
          const { state } = accountOf(exchange)
          const grants = { ...state.grants, ...added }
          await changeAccount(exchange, tenantOf(exchange), { ...state, grants })
          return {}
        },
      },
    },
  },
]

function systemAccountOf({ system, variables }: MapiExchange): Account {
  const lower = variables['user']!.toLowerCase()
  const account = [...system.administrators.values()].find(({ user }) => user.toLowerCase() === lower)
  if (account === undefined) throw new Refusal(404, 'There is no such user account.')
  return account
}

const administrators: readonly Resource[] = [
  {
    path: '/userAccounts',
    operations: {
      GET: {
        allowed: systemReads,
        handle: ({ query, system }) => listed(query, system.administrators.values()),
      },
    },
  },
  {
    path: '/userAccounts/:user',
    operations: {
      GET: {
        allowed: systemReads,
        handle: (exchange) => ({
          document: { root: 'userAccount', value: documentOf(exchange, systemAccountOf(exchange)) },
        }),
      },
      POST: {
        allowed: { system: ['SECURITY'] },
        handle: async (exchange) => {
          const given = readFields(await exchange.document('userAccount'), fields)
          if (Object.keys(given).length > 0)
            throw new Refusal(403, 'Of an account of the system level only the password can be changed.')
          const { state } = systemAccountOf(exchange)
          const password = needParameter(exchange.query, 'password')
          checkPassword(password, 'password')
          await changeAccount(exchange, undefined, { ...state, password })
          return {}
        },
      },
    },
  },
  {
    path: '/userAccounts/:user/changePassword',
    operations: {
      POST: {
        allowed: { system: ['SECURITY'] },
        handle: async (exchange) => {
          const password = await newPassword(exchange, minimumPasswordLength)
          await changeAccount(exchange, undefined, { ...systemAccountOf(exchange).state, password })
          return {}
        },
      },
    },
  },
  {
    path: '/groupAccounts',
    operations: {
      GET: {
        allowed: systemReads,
        handle: () => ({ document: { root: 'groupAccounts', value: { groupname: [] } } }),
      },
    },
  },
  {
    path: '/groupAccounts/:group',
    operations: {
      GET: {
        allowed: systemReads,
        handle: () => {
          throw new Refusal(404, 'There is no such group account.')
        },
      },
    },
  },
]

const groupFields: Fields = {
  groupname: text(256, 1),
  externalGroupID: text(256, 1),
  roles: roleList,
  allowNamespaceManagement: boolean,
}

function groupOf(exchange: MapiExchange): { key: string; group: DocumentFields } {
  const groups = members(tenantOf(exchange).documents['groups'])
  const wanted = exchange.variables['group']!.toLowerCase()
  const found = Object.entries(groups).find(
    ([key, { externalGroupID }]) => key === wanted || textOf(externalGroupID).toLowerCase() === wanted,
  )
  if (found === undefined) throw new Refusal(404, 'There is no such group account.')
  return { key: found[0], group: found[1] }
}

function setGroup(exchange: MapiExchange, key: string, group: DocumentFields | undefined): Promise<void> {
  const tenant = tenantOf(exchange)
  return changeTenant(exchange, tenant, { groups: { ...tenant.documents['groups'], [key]: group } })
}

/** They are kept and shown; without a directory service nobody is in them. */
const groups: readonly Resource[] = [
  {
    path: '/tenants/:tenant/groupAccounts',
    operations: {
      GET: {
        allowed: reads,
        handle: (exchange) => {
          const names = Object.values(members(tenantOf(exchange).documents['groups'])).map(({ groupname }) =>
            textOf(groupname),
          )
          return { document: { root: 'groupAccounts', value: { groupname: names.toSorted() } } }
        },
      },
      PUT: {
        allowed: security,
        handle: async (exchange) => {
          const given = readFields(await exchange.document('groupAccount'), groupFields)
          const name = given['groupname'] ?? given['externalGroupID']
          if (name === undefined) throw new Refusal(400, "The required property 'groupname' is missing.")
          const key = textOf(name).toLowerCase()
          if (Object.hasOwn(members(tenantOf(exchange).documents['groups']), key))
            throw new Refusal(409, `There is a group account ${textOf(name)} already.`)
          await setGroup(exchange, key, { groupname: textOf(name), roles: { role: [] }, ...given })
          return {}
        },
      },
    },
  },
  {
    path: '/tenants/:tenant/groupAccounts/:group',
    operations: {
      GET: {
        allowed: reads,
        handle: (exchange) => {
          const { grants: _, ...shown } = groupOf(exchange).group
          return { document: { root: 'groupAccount', value: shown } }
        },
      },
      POST: {
        allowed: securityOrAdministrator,
        handle: async (exchange) => {
          const { groupname: _, externalGroupID: __, ...changeable } = groupFields
          const given = readFields(await exchange.document('groupAccount'), changeable)
          checkChanger(exchange, given)
          const { key, group } = groupOf(exchange)
          await setGroup(exchange, key, { ...group, ...given })
          return {}
        },
      },
      DELETE: {
        allowed: security,
        handle: async (exchange) => {
          await setGroup(exchange, groupOf(exchange).key, undefined)
          return {}
        },
      },
    },
  },
  {
    path: '/tenants/:tenant/groupAccounts/:group/dataAccessPermissions',
    operations: {
      GET: {
        allowed: { tenant: ['MONITOR', 'ADMINISTRATOR', 'SECURITY'] },
        handle: (exchange) =>
          permissionsDocument(exchange, tenantOf(exchange), grantsOf(groupOf(exchange).group)),
      },
      POST: {
        allowed: tenantChanges,
        handle: async (exchange) => {
          const added = await newGrants(exchange)
          const { key, group } = groupOf(exchange)
          await setGroup(exchange, key, { ...group, grants: { ...grantsOf(group), ...added } })
          return {}
        },
      },
    },
  },
]

function grantsOf({ grants }: DocumentFields): Grants {
  return isRecord(grants) ? (grants as Grants) : {}
}

export const accountResources: readonly Resource[] = [...users, ...administrators, ...groups]
