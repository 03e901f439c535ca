import type { Account } from '../authentication.ts'
import type { Namespace } from '../namespace.ts'
import { Refusal } from '../refusal.ts'
import type { AccountState, NamespaceState, Tenant } from '../tenant.ts'
import { isRecord } from './fields.ts'
import type { DocumentFields, DocumentValue, MapiExchange, Operation } from './resource.ts'

/** Roles of the matrix in the documents, for `allowed`. What is a tenant's may be done by the system's accounts with its leave. */
export const systemReads: Operation['allowed'] = { system: ['MONITOR', 'ADMINISTRATOR'] }
export const systemChanges: Operation['allowed'] = { system: ['ADMINISTRATOR'] }
export const tenantReads: Operation['allowed'] = { tenant: ['MONITOR', 'ADMINISTRATOR'] }
export const tenantChanges: Operation['allowed'] = { tenant: ['ADMINISTRATOR'] }
export const bothRead: Operation['allowed'] = { ...systemReads, ...tenantReads }
export const bothChange: Operation['allowed'] = { ...systemChanges, ...tenantChanges }

/** The tenant of the path; the router has seen to it that there is one. */
export function tenantOf({ system, variables }: MapiExchange): Tenant {
  const tenant = system.tenants.get(variables['tenant']!.toLowerCase())
  if (tenant === undefined) throw new Refusal(404, 'There is no such tenant.')
  return tenant
}

/** The namespace of the path. */
export function namespaceOf(exchange: MapiExchange): Namespace {
  const namespace = tenantOf(exchange).namespaces.get(exchange.variables['namespace']!.toLowerCase())
  if (namespace === undefined) throw new Refusal(404, 'There is no such namespace.')
  return namespace
}

/** The tenant's account of the path. */
export function accountOf(exchange: MapiExchange): Account {
  const account = tenantOf(exchange).account(exchange.variables['user']!)
  if (account === undefined) throw new Refusal(404, 'There is no such user account.')
  return account
}

/** Whether the one who asks has a role of a tenant: as its account, or as one of the system with the tenant's leave. */
export function hasTenantRole({ byTenant, roles }: MapiExchange, role: string): boolean {
  return byTenant && roles.has(role)
}

/** Replaces documents of a tenant; undefined removes one. */
export function changeTenant(
  { system }: MapiExchange,
  tenant: Tenant,
  documents: Readonly<Record<string, DocumentFields | undefined>>,
  name: string = tenant.name,
): Promise<void> {
  const value = { ...tenant.state, name, documents: merged(tenant.documents, documents) }
  return system.configure({ set: 'tenant', id: tenant.id, value })
}

/** Changes a namespace's settings, and replaces documents of it; undefined removes one. */
export function changeNamespace(
  { system }: MapiExchange,
  tenant: Tenant,
  namespace: Namespace,
  settings: Partial<NamespaceState['settings']>,
  documents: Readonly<Record<string, DocumentFields | undefined>> = {},
): Promise<void> {
  const { id, created } = namespace
  const value: NamespaceState = {
    id,
    created,
    settings: { ...namespace.settings, ...settings },
    documents: merged(namespace.documents, documents),
  }
  return system.configure({ set: 'namespace', tenant: tenant.id, id, value })
}

export function changeAccount(
  { system }: MapiExchange,
  tenant: Tenant | undefined,
  state: AccountState,
): Promise<void> {
  const { id } = state
  return system.configure({ set: 'account', ...(tenant && { tenant: tenant.id }), id, value: state })
}

export function merged(
  documents: Readonly<Record<string, DocumentFields>>,
  changes: Readonly<Record<string, DocumentFields | undefined>>,
): Record<string, DocumentFields> {
  const result: Record<string, DocumentFields> = {}
  for (const [name, value] of Object.entries({ ...documents, ...changes })) {
    if (value !== undefined) result[name] = value
  }
  return result
}

/** Members of a document that is a collection, such as `contentClasses`, by their names in small letters. */
export function members(document: DocumentFields | undefined): Record<string, DocumentFields> {
  const entries = Object.entries(document ?? {}).filter((entry): entry is [string, DocumentFields] =>
    isFields(entry[1]),
  )
  return Object.fromEntries(entries)
}

function isFields(value: DocumentValue | undefined): value is DocumentFields {
  return isRecord(value)
}

/** Only what has these names, in the order of the first list. */
export function picked(fields: DocumentFields, names: readonly string[]): Record<string, DocumentValue> {
  const result: Record<string, DocumentValue> = {}
  for (const name of names) {
    const value = fields[name]
    if (value !== undefined) result[name] = value
  }
  return result
}
