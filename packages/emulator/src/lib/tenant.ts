import { createHash } from 'node:crypto'
import type { Account } from './authentication.ts'
import { Authenticator } from './authentication.ts'
import type { CheckedNamespace } from './config.ts'
import type { Documents } from './namespace.ts'
import { Namespace, permissionNames } from './namespace.ts'
import type { Permission } from './namespace.ts'

/** What is kept of an account: plain data, for the journal too. */
export interface AccountState {
  readonly id: string
  /** Small whole number. */
  readonly number: number
  readonly user: string
  readonly password: string
  readonly roles: readonly string[]
  readonly enabled: boolean
  readonly allowNamespaceManagement: boolean
  /** Further properties, as the management API has them. */
  readonly properties: Documents[string]
  /** Data permissions by the id of the namespace. */
  readonly grants: Readonly<Record<string, readonly Permission[]>>
}

/** What is kept of a tenant, without its accounts and namespaces. */
export interface TenantState {
  readonly id: string
  readonly name: string
  /** Epoch milliseconds. */
  readonly created: number
  readonly documents: Documents
}

/** What is kept of a namespace, without its content. */
export interface NamespaceState {
  readonly id: string
  /** Epoch milliseconds. */
  readonly created: number
  readonly settings: CheckedNamespace
  readonly documents: Documents
}

/** When what the configuration file has was made: the file does not say. */
export const configuredAt: number = Date.UTC(2020, 0, 1)

/** The same id at every start for what the configuration file has. */
export function idOf(kind: string, name: string): string {
  const digits = createHash('sha256').update(`${kind} ${name.toLowerCase()}`).digest('hex')
  return [8, 12, 16, 20].reduce(
    (text, at, index) => {
      return `${text.slice(0, at + index)}-${text.slice(at + index)}`
    },
    digits.slice(0, 32),
  )
}

/** What the masks of a tenant and a namespace, in the words of the management API, have to let through. */
const masks: Readonly<Record<Permission, string>> = {
  browse: 'READ',
  read: 'READ',
  readAcl: 'READ',
  write: 'WRITE',
  writeAcl: 'WRITE',
  changeOwner: 'WRITE',
  delete: 'DELETE',
  privileged: 'PRIVILEGED',
  purge: 'PURGE',
  search: 'SEARCH',
}

/** A tenant with its accounts and namespaces. What it is like changes by `configure` and its like only. */
export class Tenant {
  readonly id: string
  readonly created: number
  #name: string
  #documents: Documents
  readonly accounts: Map<string, Account> = new Map()
  readonly authenticator: Authenticator = new Authenticator(this.accounts)
  readonly namespaces: Map<string, Namespace> = new Map()
  /** Deleted namespaces, for what they have used. */
  readonly deleted: Namespace[] = []
  readonly #accountsById = new Map<string, Account>()
  readonly #namespacesById = new Map<string, Namespace>()

  constructor(state: TenantState) {
    this.id = state.id
    this.created = state.created
    this.#name = state.name
    this.#documents = state.documents
  }

  get name(): string {
    return this.#name
  }

  /** What the management API has told it, by the resource. */
  get documents(): Documents {
    return this.#documents
  }

  /** Accounts of the system have the rights of the tenant's. */
  get administrationAllowed(): boolean {
    return this.#documents['tenant']?.['administrationAllowed'] === true
  }

  get mapiEnabled(): boolean {
    return this.#documents['access']?.['mapiEnabled'] !== false
  }

  get state(): TenantState {
    const { id, name, created, documents } = this
    return { id, name, created, documents }
  }

  configure({ name, documents }: TenantState): void {
    this.#name = name
    this.#documents = documents
    for (const namespace of this.namespaces.values()) {
      namespace.tenant = name
      this.#mask(namespace)
    }
  }

  namespaceById(id: string): Namespace | undefined {
    return this.#namespacesById.get(id)
  }

  accountById(id: string): Account | undefined {
    return this.#accountsById.get(id)
  }

  /** Whatever the letter case. */
  account(name: string): Account | undefined {
    const lower = name.toLowerCase()
    return (
      this.accounts.get(name) ?? [...this.accounts.values()].find(({ user }) => user.toLowerCase() === lower)
    )
  }

  setNamespace(state: NamespaceState): void {
    const { id, settings, documents } = state
    let namespace = this.#namespacesById.get(id)
    if (namespace === undefined) {
      // One whose removal could not be kept is as it was.
      const at = this.deleted.findIndex((each) => each.id === id)
      namespace = at === -1 ? new Namespace(this.name, settings, state) : this.deleted.splice(at, 1)[0]!
    } else forget(this.namespaces, namespace)
    namespace.configure(settings, documents)
    this.#namespacesById.set(id, namespace)
    this.namespaces.set(settings.name.toLowerCase(), namespace)
    this.#mask(namespace)
  }

  removeNamespace(id: string): void {
    const namespace = this.#namespacesById.get(id)
    if (namespace === undefined) return
    this.#namespacesById.delete(id)
    forget(this.namespaces, namespace)
    this.deleted.push(namespace)
  }

  setAccount(state: AccountState): void {
    const before = this.#accountsById.get(state.id)
    if (before !== undefined) forget(this.accounts, before)
    const account = accountOf(state)
    this.#accountsById.set(state.id, account)
    this.accounts.set(account.user, account)
    this.authenticator.forget()
  }

  removeAccount(id: string): void {
    const account = this.#accountsById.get(id)
    if (account === undefined) return
    this.#accountsById.delete(id)
    forget(this.accounts, account)
    this.authenticator.forget()
  }

  /** A namespace lets nobody do what its tenant or itself does not. */
  #mask(namespace: Namespace): void {
    const [ofTenant, own] = [maskOf(this.#documents), maskOf(namespace.documents)]
    const mask = permissionNames.filter((name) => ofTenant.has(masks[name]) && own.has(masks[name]))
    namespace.setMask(new Set(mask))
  }
}

/** Removes an entry, unless another has taken its name. */
function forget<T>(map: Map<string, T>, value: T): void {
  for (const [key, each] of map) if (each === value) map.delete(key)
}

const fullMask: ReadonlySet<string> = new Set(Object.values(masks))

function maskOf(documents: Documents): ReadonlySet<string> {
  const list = documents['permissions']?.['permission']
  return Array.isArray(list) ? new Set(list.map(String)) : fullMask
}

/** An account as requests go by it. */
export function accountOf(state: AccountState): Account {
  const { user, password, roles, enabled, allowNamespaceManagement } = state
  return { user, password, roles: new Set(roles), enabled, allowNamespaceManagement, state }
}
