import type { Account, Tenant } from './authentication.ts'
import type { CheckedConfig, CheckedTenant } from './config.ts'
import { Namespace } from './namespace.ts'

const none: Account['permissions'] = new Map()

/** The tenants of a configuration, with empty namespaces. */
export function tenantsOf(config: CheckedConfig): Map<string, Tenant> {
  return new Map(config.tenants.map((tenant) => [tenant.name.toLowerCase(), tenantOf(tenant)]))
}

function tenantOf({ name, namespaces, users }: CheckedTenant): Tenant {
  const made = namespaces.map((settings) => new Namespace(name, settings))
  const accounts = users.map(({ user, password, roles, permissions }): Account => {
    const granted = made.map(({ settings, authenticated }) => {
      const own = permissions[settings.name] ?? []
      return [settings.name, new Set([...own, ...authenticated])] as const
    })
    return {
      user,
      password,
      roles: new Set(roles),
      permissions: new Map(granted),
      enabled: true,
      allowNamespaceManagement: false,
    }
  })
  return {
    name,
    settings: { administrationAllowed: false, mapiEnabled: true },
    accounts: new Map(accounts.map((account) => [account.user, account])),
    namespaces: new Map(made.map((namespace) => [namespace.settings.name.toLowerCase(), namespace])),
  }
}

/** The system's administrators: they have no access to data. */
export function administratorsOf(config: CheckedConfig): Map<string, Account> {
  return new Map(
    config.systemUsers.map(({ user, password, roles }) => [
      user,
      {
        user,
        password,
        roles: new Set(roles),
        permissions: none,
        enabled: true,
        allowNamespaceManagement: false,
      },
    ]),
  )
}

/** `9.6` is played as `9.6.0.142`; a full number stays as it is. */
export function softwareVersion(release: string): string {
  const parts = release.split('.')
  const patch = ['0', '0', '0', '142']
  return [...parts, ...patch.slice(parts.length)].join('.')
}
