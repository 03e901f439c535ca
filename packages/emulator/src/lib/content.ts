import type { Account } from './authentication.ts'
import type { CheckedConfig, CheckedTenant } from './config.ts'
import { quotaText } from './mapi/fields.ts'
import type { DocumentFields } from './mapi/resource.ts'
import type { AccountState } from './tenant.ts'
import { accountOf, configuredAt, idOf, Tenant } from './tenant.ts'

/** The tenants of a configuration, with empty namespaces. */
export function tenantsOf(config: CheckedConfig): Map<string, Tenant> {
  return new Map(config.tenants.map((tenant) => [tenant.name.toLowerCase(), tenantOf(tenant)]))
}

function tenantOf({ name, mapiEnabled, namespaces, users }: CheckedTenant): Tenant {
  const quota = namespaces.reduce((sum, { quotaBytes }) => sum + quotaBytes, 1024 ** 4)
  const documents = { access: { mapiEnabled }, tenant: configuredTenant(quota) }
  const tenant = new Tenant({ id: idOf('tenant', name), name, created: configuredAt, documents })
  const namespaceId = (namespace: string): string => idOf('namespace', `${namespace}.${name}`)
  for (const settings of namespaces) {
    tenant.setNamespace({
      id: namespaceId(settings.name),
      created: configuredAt,
      settings,
      documents: {},
    })
  }
  for (const [index, { user, password, roles, permissions }] of users.entries()) {
    const grants = Object.entries(permissions).map(([at, list]) => [namespaceId(at), list])
    tenant.setAccount({
      ...plain(user, password, roles, idOf('account', `${user} of ${name}`), index),
      grants: Object.fromEntries(grants) as AccountState['grants'],
    })
  }
  return tenant
}

/** What a tenant of the configuration may do: everything, and it has room for more. */
function configuredTenant(quota: number): DocumentFields {
  return {
    hardQuota: quotaText(quota),
    complianceConfigurationEnabled: true,
    versioningConfigurationEnabled: true,
    searchConfigurationEnabled: true,
    replicationConfigurationEnabled: true,
    erasureCodingSelectionEnabled: true,
    servicePlanSelectionEnabled: true,
  }
}

/** The system's administrators: they have no access to data. */
export function administratorsOf(config: CheckedConfig): Map<string, Account> {
  const accounts = config.systemUsers.map(({ user, password, roles }, index) =>
    accountOf(plain(user, password, roles, idOf('account', user), index)),
  )
  return new Map(accounts.map((account) => [account.user, account]))
}

function plain(
  user: string,
  password: string,
  roles: readonly string[],
  id: string,
  index: number,
): AccountState {
  return {
    id,
    number: 100 + index,
    user,
    password,
    roles,
    enabled: true,
    allowNamespaceManagement: roles.includes('ADMINISTRATOR'),
    properties: { fullName: user },
    grants: {},
  }
}

/** `9.6` is played as `9.6.0.142`; a full number stays as it is. */
export function softwareVersion(release: string): string {
  const parts = release.split('.')
  const patch = ['0', '0', '0', '142']
  return [...parts, ...patch.slice(parts.length)].join('.')
}
