import type { Account } from './authentication.ts'
import type { Documents } from './namespace.ts'
import type { AccountState, NamespaceState, TenantState } from './tenant.ts'
import { accountOf, Tenant } from './tenant.ts'

/**
 * A change of what a system has, as the journal keeps it: how one thing is from now on, or that it is no more (null).
 * `tenant` is an id; without it an account is one of the system.
 */
export type Configured =
  | { readonly set: 'tenant'; readonly id: string; readonly value: TenantState | null }
  | {
      readonly set: 'namespace'
      readonly tenant: string
      readonly id: string
      readonly value: NamespaceState | null
    }
  | {
      readonly set: 'account'
      readonly tenant?: string
      readonly id: string
      readonly value: AccountState | null
    }
  | { readonly set: 'system'; readonly id: string; readonly value: Documents }

/** What a system has: tenants with their namespaces and accounts, its own accounts, and its own documents. */
export class Configuration {
  readonly tenants: Map<string, Tenant>
  readonly administrators: Map<string, Account>
  documents: Documents = {}
  readonly #tenantsById = new Map<string, Tenant>()
  readonly #removed = new Map<string, Tenant>()
  readonly #administratorsById = new Map<string, Account>()
  /** The last change of everything that was changed, in the order of the first ones: what is in a tenant comes after it. */
  readonly #changed = new Map<string, Configured>()

  constructor(tenants: Map<string, Tenant>, administrators: Map<string, Account>) {
    this.tenants = tenants
    this.administrators = administrators
    for (const tenant of tenants.values()) this.#tenantsById.set(tenant.id, tenant)
    for (const account of administrators.values()) this.#administratorsById.set(account.state.id, account)
  }

  tenantById(id: string): Tenant | undefined {
    return this.#tenantsById.get(id)
  }

  /** How the thing that a change is about is at present, as a change that brings that back. */
  present(change: Configured): Configured {
    switch (change.set) {
      case 'tenant':
        return { ...change, value: this.#tenantsById.get(change.id)?.state ?? null }
      case 'namespace': {
        const namespace = this.#tenantsById.get(change.tenant)?.namespaceById(change.id)
        if (namespace === undefined) return { ...change, value: null }
        const { id, created, settings, documents } = namespace
        return { ...change, value: { id, created, settings, documents } }
      }
      case 'account': {
        const account =
          change.tenant === undefined
            ? this.#administratorsById.get(change.id)
            : this.#tenantsById.get(change.tenant)?.accountById(change.id)
        return { ...change, value: account?.state ?? null }
      }
      case 'system':
        break
    }
    return { set: 'system', id: change.id, value: this.documents }
  }

  apply(change: Configured): void {
    this.#changed.set(`${change.set} ${change.id}`, change)
    switch (change.set) {
      case 'tenant':
        this.#applyTenant(change.id, change.value)
        break
      case 'namespace': {
        const tenant = this.#tenantsById.get(change.tenant)
        if (change.value === null) tenant?.removeNamespace(change.id)
        else tenant?.setNamespace(change.value)
        break
      }
      case 'account': {
        if (change.tenant === undefined) this.#applyAdministrator(change.value)
        else {
          const tenant = this.#tenantsById.get(change.tenant)
          if (change.value === null) tenant?.removeAccount(change.id)
          else tenant?.setAccount(change.value)
        }
        break
      }
      case 'system':
        this.documents = change.value
    }
  }

  /** The changes that lead from the configuration file to the present. */
  records(): Iterable<Configured> {
    return this.#changed.values()
  }

  #applyTenant(id: string, value: TenantState | null): void {
    let tenant = this.#tenantsById.get(id)
    // Another may have its name for as long as a journal is replayed.
    if (tenant !== undefined) {
      for (const [key, each] of this.tenants) if (each === tenant) this.tenants.delete(key)
    }
    if (value === null) {
      this.#tenantsById.delete(id)
      if (tenant !== undefined) this.#removed.set(id, tenant)
      return
    }
    // One whose removal could not be kept has its accounts again.
    tenant ??= this.#removed.get(id) ?? new Tenant(value)
    tenant.configure(value)
    this.#tenantsById.set(id, tenant)
    this.tenants.set(value.name.toLowerCase(), tenant)
  }

  #applyAdministrator(value: AccountState | null): void {
    // They are not made and not removed, but for a password that is changed.
    if (value === null) return
    const account = accountOf(value)
    this.#administratorsById.set(value.id, account)
    this.administrators.set(value.user, account)
  }
}
