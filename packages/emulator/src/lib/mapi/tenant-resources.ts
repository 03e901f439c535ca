import { randomUUID } from 'node:crypto'
import { Refusal } from '../refusal.ts'
import type { AccountState, Tenant } from '../tenant.ts'
import { zonedTime } from '../times.ts'
import { checkPassword } from './account-resources.ts'
import type { Fields } from './fields.ts'
import {
  boolean,
  choice,
  countOrNone,
  entriesOf,
  integer,
  isTrue,
  lengthOf,
  list,
  matching,
  need,
  needParameter,
  quota,
  quotaBytes,
  readFields,
  text,
  textOf,
} from './fields.ts'
import { paged } from './paging.ts'
import type { DocumentFields, MapiAnswer, MapiExchange, Resource } from './resource.ts'
import {
  bothChange,
  bothRead,
  changeTenant,
  picked,
  systemChanges,
  systemReads,
  tenantOf,
} from './surroundings.ts'

const label = /^(?!xn--)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i
/** Names that are those of hosts of the system. */
const reserved = new Set(['admin', 'api', 'www', 'default'])

export const networkName: ReturnType<typeof text> = text(64, 1)

/** What the system sets. */
const systemFields: Fields = {
  name: matching(label, '1 to 63 letters, digits and hyphens, no hyphen first or last'),
  systemVisibleDescription: text(),
  hardQuota: quota,
  softQuota: integer(0, 100),
  namespaceQuota: countOrNone(10_000),
  authenticationTypes: list('authenticationType', choice('LOCAL', 'RADIUS', 'EXTERNAL')),
  complianceConfigurationEnabled: boolean,
  versioningConfigurationEnabled: boolean,
  searchConfigurationEnabled: boolean,
  replicationConfigurationEnabled: boolean,
  erasureCodingSelectionEnabled: boolean,
  servicePlanSelectionEnabled: boolean,
  servicePlan: text(64, 1),
  dataNetwork: networkName,
  managementNetwork: networkName,
  tags: list('tag', matching(/^[^,]{1,64}$/u, '1 to 64 characters without comma')),
}

/** What the tenant sets. */
const tenantFields: Fields = {
  tenantVisibleDescription: text(),
  administrationAllowed: boolean,
  maxNamespacesPerUser: integer(0, 10_000),
  snmpLoggingEnabled: boolean,
  syslogLoggingEnabled: boolean,
}

/** What a tenant has that nothing else was said about. */
const defaults: DocumentFields = {
  systemVisibleDescription: '',
  hardQuota: '50.00 GB',
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
  tags: { tag: [] },
  tenantVisibleDescription: '',
  administrationAllowed: false,
  maxNamespacesPerUser: 100,
  snmpLoggingEnabled: false,
  syslogLoggingEnabled: false,
}

/** All properties of a tenant that can be set. */
export function tenantProperties(tenant: Tenant): DocumentFields {
  return { name: tenant.name, ...defaults, ...tenant.documents['tenant'] }
}

/** What the tenant sees of the system's settings when it asks for all. */
const alsoSeen = Object.keys(systemFields).filter(
  (name) =>
    !['systemVisibleDescription', 'servicePlan', 'dataNetwork', 'managementNetwork', 'tags'].includes(name),
)

function documentOf(exchange: MapiExchange, tenant: Tenant): DocumentFields {
  const { verbose, bySystem, byTenant, system } = exchange
  const all = tenantProperties(tenant)
  const own = byTenant ? Object.keys(tenantFields) : []
  const systems = bySystem ? Object.keys(systemFields) : verbose ? alsoSeen : []
  const shown = picked(all, [...systems, ...own])
  if (all['servicePlanSelectionEnabled'] === true) delete shown['servicePlan']
  if (!verbose) return shown
  return {
    ...shown,
    id: tenant.id,
    creationTime: zonedTime(tenant.created),
    fullyQualifiedName: `${tenant.name.toLowerCase()}.${system.domain}`,
  }
}

function listTenants({ system, query }: MapiExchange): MapiAnswer {
  const entries = [...system.tenants.values()].map((tenant) => {
    const { hardQuota, tags } = tenantProperties(tenant)
    return {
      name: tenant.name,
      sort: { name: tenant.name, hardQuota: quotaBytes(textOf(hardQuota)) },
      filter: { name: [tenant.name], tag: entriesOf(tags, 'tag') },
    }
  })
  const names = paged(query, entries, ['name', 'hardQuota'], ['name', 'tag']).map(({ name }) => name)
  return { document: { root: 'tenants', value: { name: names } } }
}

async function createTenant(exchange: MapiExchange): Promise<MapiAnswer> {
  const { system, query } = exchange
  const given = readFields(await exchange.document('tenant'), { ...systemFields, ...tenantFields })
  need(given, 'name')
  for (const name of Object.keys(tenantFields)) {
    if (given[name] !== undefined)
      throw new Refusal(
        name === 'administrationAllowed' ? 400 : 403,
        `'${name}' is set by the tenant itself.`,
      )
  }
  const name = textOf(given['name'])
  checkName(exchange, name, undefined)
  checkAuthentication(given)
  const id = randomUUID()
  const now = system.now()
  const { name: _, ...properties } = given
  const documents: Record<string, DocumentFields> = { tenant: properties }
  const group = query.get('initialSecurityGroup')
  const account = query.has('username') || query.has('password') || group === undefined
  if (group !== undefined && group !== '') {
    documents['groups'] = { [group.toLowerCase()]: { groupname: group, roles: { role: ['SECURITY'] } } }
  }
  const first: AccountState | undefined = account ? firstAccount(exchange) : undefined
  await system.configure(
    { set: 'tenant', id, value: { id, name, created: now, documents } },
    ...(first === undefined ? [] : [{ set: 'account' as const, tenant: id, id: first.id, value: first }]),
  )
  return {}
}

function firstAccount({ query }: MapiExchange): AccountState {
  const user = needParameter(query, 'username')
  const password = needParameter(query, 'password')
  if (user.startsWith('[') || lengthOf(user) > 64)
    throw new Refusal(400, "The value of the parameter 'username' is invalid.")
  checkPassword(password, 'password')
  return {
    id: randomUUID(),
    number: 100,
    user,
    password,
    roles: ['SECURITY'],
    enabled: true,
    allowNamespaceManagement: false,
    properties: {
      fullName: user,
      forcePasswordChange: isTrue(query.get('forcePasswordChange')),
    },
    grants: {},
  }
}

function checkName({ system }: MapiExchange, name: string, tenant: Tenant | undefined): void {
  if (reserved.has(name.toLowerCase())) throw new Refusal(400, `The name ${name} cannot be that of a tenant.`)
  const other = system.tenants.get(name.toLowerCase())
  if (other !== undefined && other !== tenant) throw new Refusal(409, `There is a tenant ${name} already.`)
}

function checkAuthentication({ authenticationTypes }: DocumentFields): void {
  if (authenticationTypes === undefined) return
  const types = entriesOf(authenticationTypes, 'authenticationType')
  if (types.length === 0 || (types.length === 1 && types[0] === 'RADIUS'))
    throw new Refusal(400, 'RADIUS cannot be the only authentication type.')
}

async function change(exchange: MapiExchange): Promise<MapiAnswer> {
  const { bySystem, byTenant } = exchange
  const given = readFields(await exchange.document('tenant'), { ...systemFields, ...tenantFields })
  const tenant = tenantOf(exchange)
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(systemFields, name) ? !bySystem : !byTenant) {
      const whose = Object.hasOwn(systemFields, name) ? 'system' : 'tenant'
      throw new Refusal(403, `The property '${name}' is changed by accounts of the ${whose} level.`)
    }
  }
  const { name: wanted, ...properties } = given
  const name = wanted === undefined ? tenant.name : textOf(wanted)
  checkName(exchange, name, tenant)
  checkAuthentication(given)
  const { hardQuota, namespaceQuota } = properties
  if (hardQuota !== undefined && quotaBytes(textOf(hardQuota)) < allocatedBytes(tenant))
    throw new Refusal(400, "The hardQuota is below the sum of the namespaces' quotas.")
  if (typeof namespaceQuota === 'number' && namespaceQuota < tenant.namespaces.size)
    throw new Refusal(400, 'The namespaceQuota is below the number of namespaces.')
  await changeTenant(exchange, tenant, { tenant: { ...tenant.documents['tenant'], ...properties } }, name)
  return {}
}

/** The sum of what the namespaces may hold. */
export function allocatedBytes({ namespaces }: Tenant): number {
  return [...namespaces.values()].reduce((sum, { settings }) => sum + settings.quotaBytes, 0)
}

async function remove(exchange: MapiExchange): Promise<MapiAnswer> {
  const { id, namespaces } = tenantOf(exchange)
  if (namespaces.size > 0) throw new Refusal(403, 'The tenant owns namespaces.')
  await exchange.system.configure({ set: 'tenant', id, value: null })
  return {}
}

export const tenantResources: readonly Resource[] = [
  {
    path: '/tenants',
    operations: {
      GET: { allowed: systemReads, handle: listTenants },
      PUT: { allowed: systemChanges, handle: createTenant },
    },
  },
  {
    path: '/tenants/:tenant',
    operations: {
      GET: {
        allowed: bothRead,
        handle: (exchange) => ({
          document: { root: 'tenant', value: documentOf(exchange, tenantOf(exchange)) },
        }),
      },
      POST: { allowed: bothChange, handle: change },
      DELETE: { allowed: systemChanges, handle: remove },
    },
  },
]
