import { createRequire } from 'node:module'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import type { HashScheme } from './blob-store.ts'
import type { Choices } from './choices.ts'
import { permissionNames } from './namespace.ts'
import type { Permission } from './namespace.ts'
import type { LinkType } from './replication/link.ts'

/** A role of a tenant's account. */
export type TenantRole = 'MONITOR' | 'ADMINISTRATOR' | 'SECURITY' | 'COMPLIANCE'

/** A role of a system's account. */
export type SystemRole = TenantRole | 'SERVICE' | 'SEARCH'

/** The content of an emulated system. Everything is explained in `config.schema.json`, with its default. */
export interface EmulatorConfig {
  readonly tenants: readonly TenantConfig[]
  readonly systemUsers?: readonly SystemUserConfig[]
  readonly release?: string
  readonly choices?: Partial<Choices>
  readonly links?: readonly LinkConfig[]
}

/** A replication link that is there from the start, where there is a second system. */
export interface LinkConfig {
  readonly name: string
  readonly type?: LinkType
  readonly tenants?: readonly string[]
  readonly description?: string
}

export interface TenantConfig {
  readonly name: string
  readonly mapiEnabled?: boolean
  readonly namespaces?: readonly NamespaceConfig[]
  readonly users?: readonly UserConfig[]
}

export interface UserConfig {
  readonly user: string
  readonly password: string
  readonly roles?: readonly TenantRole[]
  readonly permissions?: readonly Permission[] | Readonly<Record<string, readonly Permission[]>>
}

export interface SystemUserConfig {
  readonly user: string
  readonly password: string
  readonly roles?: readonly SystemRole[]
}

export interface NamespaceConfig {
  readonly name: string
  readonly description?: string
  readonly versioning?: boolean
  readonly pruneDays?: number | null
  readonly quotaBytes?: number
  readonly softQuotaPercent?: number
  readonly hashScheme?: HashScheme
  readonly dpl?: number
  readonly retentionMode?: 'enterprise' | 'compliance'
  readonly defaultRetention?: string
  readonly minimumRetentionAfterInitialUnspecified?: string | null
  readonly defaultShred?: boolean
  readonly defaultIndex?: boolean
  readonly searchEnabled?: boolean
  readonly retentionClasses?: readonly RetentionClassConfig[]
  readonly dispositionEnabled?: boolean
  readonly checkXml?: boolean
  readonly annotationsUnderRetention?: 'ADD' | 'ALL' | 'NONE'
  readonly ownerChangeUnderRetention?: boolean
  readonly aclUsage?: 'NOT_ENABLED' | 'ENFORCED' | 'NOT_ENFORCED'
  readonly http?: boolean
  readonly https?: boolean
  readonly authenticatedPermissions?: readonly Permission[]
  readonly anonymousPermissions?: readonly Permission[]
  readonly authenticationRequired?: boolean
  readonly acceptRedirectedRequests?: boolean
  readonly readFromReplica?: boolean
}

export interface RetentionClassConfig {
  readonly name: string
  readonly value: string
  readonly autoDelete?: boolean
  readonly description?: string
}

/** A configuration that has been checked, with every default in its place. */
export interface CheckedConfig extends Required<Omit<EmulatorConfig, 'links'>> {
  /** Without it there is one with all tenants. */
  readonly links?: readonly LinkConfig[]
  readonly tenants: readonly CheckedTenant[]
  readonly systemUsers: readonly Required<SystemUserConfig>[]
  readonly choices: Choices
}

export interface CheckedTenant extends Required<TenantConfig> {
  readonly namespaces: readonly CheckedNamespace[]
  readonly users: readonly CheckedUser[]
}

export interface CheckedNamespace extends Required<NamespaceConfig> {
  readonly retentionClasses: readonly Required<RetentionClassConfig>[]
}

export interface CheckedUser extends Required<UserConfig> {
  /** One entry for each namespace of the tenant, by its name as configured. */
  readonly permissions: Readonly<Record<string, readonly Permission[]>>
}

/** Hosts of the system itself, where a tenant of that name would be out of reach. */
const reservedTenants = new Set(['admin', 'api', 'www'])

/** What a permission cannot be without, and brings. */
const implied: Partial<Record<Permission, readonly Permission[]>> = {
  read: ['browse'],
  purge: ['delete'],
  search: ['read', 'browse'],
}

/** Permissions as the management API spells them, where that is more than capitals and underscores. */
const otherSpellings: Readonly<Record<string, Permission>> = { chown: 'changeOwner' }

let validate: ValidateFunction | undefined

/**
 * Checks a configuration against `config.schema.json` and for what a schema cannot say (names that occur twice,
 * permissions for a namespace that is not there).
 *
 * @returns A copy with all defaults filled in.
 * @throws {TypeError} that names the first bad field by its path, and the reason.
 */
export function validateConfig(value: unknown): CheckedConfig {
  const text = JSON.stringify(value)
  const config: unknown = text === undefined ? undefined : JSON.parse(text)
  if (!isObject(config)) throw new TypeError('the configuration must be an object')
  unifySpelling(config)
  validate ??= new Ajv2020({ useDefaults: true, allowUnionTypes: true, verbose: true }).compile(
    createRequire(import.meta.url)('@hcp/emulator/config.schema.json') as object,
  )
  if (!validate(config)) throw new TypeError(explain(validate.errors?.[0]))
  const checked = config as unknown as CheckedConfig
  checkNames(checked)
  return {
    ...checked,
    tenants: checked.tenants.map((tenant) => ({
      ...tenant,
      namespaces: tenant.namespaces.map((namespace) => ({
        ...namespace,
        authenticatedPermissions: withImplied(namespace.authenticatedPermissions),
        anonymousPermissions: withImplied(namespace.anonymousPermissions),
      })),
      users: tenant.users.map((user) => ({ ...user, permissions: permissionsOf(user, tenant) })),
    })),
  }
}

/** One tenant with a namespace without versions, one with, a user for data, one for the tenant and one for the system. */
export function defaultConfig(): CheckedConfig {
  return validateConfig({
    tenants: [
      {
        name: 'm',
        namespaces: [{ name: 'n1' }, { name: 'n2', versioning: true }],
        users: [
          { user: 'n', password: 'n01' },
          { user: 'admin', password: 'a01', roles: ['MONITOR', 'ADMINISTRATOR', 'SECURITY', 'COMPLIANCE'] },
        ],
      },
    ],
    systemUsers: [{ user: 'sysadmin', password: 's01' }],
  })
}

/** Brings roles and permissions into the spelling of the schema, wherever the shape allows it. */
function unifySpelling(config: Record<string, unknown>): void {
  for (const user of objects(config['systemUsers'])) replace(user, 'roles', upperCase)
  for (const tenant of objects(config['tenants'])) {
    for (const user of objects(tenant['users'])) {
      replace(user, 'roles', upperCase)
      replace(user, 'permissions', permissionName)
      const byNamespace = user['permissions']
      if (!isObject(byNamespace)) continue
      for (const name of Object.keys(byNamespace)) replace(byNamespace, name, permissionName)
    }
    for (const namespace of objects(tenant['namespaces'])) {
      replace(namespace, 'authenticatedPermissions', permissionName)
      replace(namespace, 'anonymousPermissions', permissionName)
    }
  }
}

function upperCase(text: string): string {
  return text.toUpperCase()
}

function permissionName(text: string): string {
  const plain = text.replaceAll('_', '').toLowerCase()
  return otherSpellings[plain] ?? permissionNames.find((name) => name.toLowerCase() === plain) ?? text
}

function replace(holder: Record<string, unknown>, field: string, spelling: (text: string) => string): void {
  const list = holder[field]
  if (!Array.isArray(list)) return
  holder[field] = list.map((entry: unknown) => (typeof entry === 'string' ? spelling(entry) : entry))
}

function objects(list: unknown): Record<string, unknown>[] {
  return Array.isArray(list) ? list.filter(isObject) : []
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function checkNames(config: CheckedConfig): void {
  checkLinks(config)
  unique(config.systemUsers, 'systemUsers', 'user')
  unique(config.tenants, 'tenants', 'name')
  for (const [index, { name, namespaces, users }] of config.tenants.entries()) {
    const path = `tenants[${index}]`
    if (reservedTenants.has(name.toLowerCase())) {
      throw new TypeError(`${path}.name: "${name}" is the name of a host of the system`)
    }
    unique(namespaces, `${path}.namespaces`, 'name')
    unique(users, `${path}.users`, 'user')
    for (const [number, { retentionClasses, defaultRetention }] of namespaces.entries()) {
      const field = `${path}.namespaces[${number}]`
      unique(retentionClasses, `${field}.retentionClasses`, 'name')
      const wanted = /^C\+(.*)$/i.exec(defaultRetention)?.[1]
      if (wanted === undefined || retentionClasses.some((entry) => sameName(entry.name, wanted))) continue
      throw new TypeError(`${field}.defaultRetention: there is no retention class "${wanted}"`)
    }
    for (const [number, { permissions }] of users.entries()) {
      if (permissions === undefined || Array.isArray(permissions)) continue
      for (const key of Object.keys(permissions)) {
        if (namespaces.some((namespace) => sameName(namespace.name, key))) continue
        throw new TypeError(`${path}.users[${number}].permissions: the tenant has no namespace "${key}"`)
      }
    }
  }
}

/** A tenant is on one link at most. */
function checkLinks({ links = [], tenants }: CheckedConfig): void {
  unique(links, 'links', 'name')
  const taken = new Set<string>()
  for (const [index, { tenants: members = tenants.map(({ name }) => name) }] of links.entries()) {
    for (const name of members) {
      if (!tenants.some((tenant) => sameName(tenant.name, name)))
        throw new TypeError(`links[${index}].tenants: there is no tenant "${name}"`)
      if (taken.has(name.toLowerCase()))
        throw new TypeError(`links[${index}].tenants: "${name}" is on another link`)
      taken.add(name.toLowerCase())
    }
  }
}

/** Names of accounts are compared like all others: HCP has no two that differ in case only. */
function unique<Field extends string>(
  entries: readonly Readonly<Record<Field, string>>[],
  path: string,
  field: Field,
): void {
  const seen = new Set<string>()
  for (const [index, entry] of entries.entries()) {
    const name = entry[field].toLowerCase()
    if (seen.has(name)) throw new TypeError(`${path}[${index}].${field}: "${entry[field]}" is there already`)
    seen.add(name)
  }
}

function permissionsOf(user: UserConfig, tenant: CheckedTenant): Record<string, readonly Permission[]> {
  const { roles = [], permissions = roles.length > 0 ? [] : permissionNames } = user
  const result: Record<string, readonly Permission[]> = {}
  for (const { name } of tenant.namespaces) {
    result[name] = withImplied(isList(permissions) ? permissions : (entryOf(permissions, name) ?? []))
  }
  return result
}

function isList(permissions: NonNullable<UserConfig['permissions']>): permissions is readonly Permission[] {
  return Array.isArray(permissions)
}

function entryOf<T>(entries: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.entries(entries).find(([key]) => sameName(key, name))?.[1]
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}

function withImplied(permissions: readonly Permission[]): readonly Permission[] {
  const all = new Set(permissions.flatMap((permission) => [permission, ...(implied[permission] ?? [])]))
  return permissionNames.filter((name) => all.has(name))
}

/** `tenants[0].users[1].password: must be string`. Values stay out of it: some are secret. */
function explain(error: ErrorObject | undefined): string {
  if (error === undefined) return 'the configuration is not valid'
  const steps = error.instancePath.split('/').slice(1)
  let path = steps
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((step) => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '')
  const parameters = error.params as Readonly<Record<string, unknown>>
  const field = parameters['additionalProperty'] ?? parameters['missingProperty']
  if (typeof field === 'string') path = path === '' ? field : `${path}.${field}`
  return `${path === '' ? 'the configuration' : path}: ${reasonOf(error, parameters)}`
}

function reasonOf(error: ErrorObject, parameters: Readonly<Record<string, unknown>>): string {
  switch (error.keyword) {
    case 'additionalProperties':
      return 'is no field of the configuration'
    case 'required':
      return 'is missing'
    case 'enum':
      return `must be one of ${(parameters['allowedValues'] as unknown[]).join(', ')}`
    case 'pattern':
      return `must be ${String(error.parentSchema?.['description'])}`
    default:
      return error.message ?? 'is not valid'
  }
}
