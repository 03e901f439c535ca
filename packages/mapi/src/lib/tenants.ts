import { checkBoolean, checkOptions, checkString } from '@hcp/connection/support'
import type { HcpResponse, ParamValue } from '@hcp/connection'
import {
  chargeback,
  type ChargebackOptions,
  type ChargebackRecord,
  chargebackReport,
  type ChargebackReportOptions,
} from './chargeback.ts'
import type { Document, DocumentValue } from './document-writer.ts'
import type { MapiRoles } from './errors.ts'
import { type MapiCallOptions, MapiClient, type ReadOptions, type WriteOptions } from './mapi-client.ts'
import { type MapiPath, mapiPath } from './mapi-path.ts'
import type { Names, PageOptions } from './names.ts'
import { type MapiNamespace, namespaceDocument } from './namespace-settings.ts'
import { type MapiStatistics, statisticsDocument } from './statistics.ts'
import { changeable, type TenantChanges, tenantDocument, type TenantSettings } from './tenant-settings.ts'

/** Of methods that read a tenant. */
export interface TenantReadOptions
  extends Omit<MapiCallOptions, 'params' | 'roles'>, Pick<ReadOptions, 'format' | 'retry' | 'verbose'> {}

/** Of methods that change something. */
export type TenantWriteOptions = Omit<WriteOptions, 'params' | 'roles'>

const monitor: MapiRoles = { system: ['MONITOR', 'ADMINISTRATOR'], tenant: ['MONITOR', 'ADMINISTRATOR'] }
const administrator: MapiRoles = { system: ['ADMINISTRATOR'], tenant: ['ADMINISTRATOR'] }
const systemAdministrator: MapiRoles = { system: ['ADMINISTRATOR'] }

/**
 * The names of all tenants, in order, fetched page by page as they are asked for. For system accounts.
 *
 * @see HCP Management API Reference, `/tenants`
 */
export function listTenants(client: MapiClient, options: Omit<PageOptions, 'roles'> = {}): Names {
  return checkClient('listTenants', client).names(
    mapiPath('tenants'),
    { root: 'tenants', element: 'name' },
    { ...options, roles: { system: ['MONITOR', 'ADMINISTRATOR'] } },
  )
}

/** The first account of a new tenant, which gets the role SECURITY alone: it makes the others. */
export type InitialAccount =
  | {
      /** A local account. */
      readonly username: string
      /** It travels in the URL's query, as HCP wants it, over TLS: have it changed at first use. */
      readonly password: string
      /** At the first login. Default false. */
      readonly forcePasswordChange?: boolean
    }
  | {
      /** A group of Active Directory: `group@domain`, or its SID. */
      readonly initialSecurityGroup: string
    }

const local: ReadonlySet<string> = new Set(['username', 'password', 'forcePasswordChange'])
const external: ReadonlySet<string> = new Set(['initialSecurityGroup'])

/**
 * Creates a tenant, whose management API is on from the start. Sent once: after a lost answer ask `exists()`.
 *
 * @param account Who is to set it up.
 * @throws {MapiConflictError} if there is one of that name.
 * @see HCP Management API Reference, "Creating a tenant"
 */
export async function createTenant(
  client: MapiClient,
  settings: Omit<TenantChanges, 'administrationAllowed'> & { readonly name: string },
  account: InitialAccount,
  options: TenantWriteOptions = {},
): Promise<Tenant> {
  checkClient('createTenant', client)
  const tenant = new Tenant(client, settings?.name)
  await client.create(mapiPath('tenants'), tenantOf('createTenant', settings), {
    ...options,
    params: accountParams(account),
    roles: systemAdministrator,
  })
  return tenant
}

function accountParams(account: InitialAccount): Record<string, ParamValue | undefined> {
  if (account === null || typeof account !== 'object') {
    throw new TypeError('account must have username and password, or an initialSecurityGroup')
  }
  if ('initialSecurityGroup' in account) {
    checkOptions('account', account, external)
    return { initialSecurityGroup: checkString('initialSecurityGroup', account.initialSecurityGroup) }
  }
  checkOptions('account', account, local)
  const { username, password, forcePasswordChange } = account
  return {
    username: checkString('username', username),
    password: checkString('password', password),
    forcePasswordChange:
      forcePasswordChange === undefined
        ? undefined
        : checkBoolean('forcePasswordChange', forcePasswordChange),
  }
}

/**
 * One tenant: its settings, what it holds, what it used. Nothing is asked for before a method is called.
 *
 * @example
 *   const tenant = new Tenant(mapi, 'finance')
 *   for await (const { scope, namespaceName, storageCapacityUsed } of tenant.chargeback()) …
 */
export class Tenant {
  readonly client: MapiClient
  readonly name: string
  readonly #path: MapiPath

  /** @param client Of the system (`admin.<domain>`), or of this tenant. */
  constructor(client: MapiClient, name: string) {
    this.client = checkClient('Tenant', client)
    this.name = checkString('name', name)
    this.#path = mapiPath('tenants', name)
  }

  /** Whether there is such a tenant that the account may see. */
  exists(options: Omit<TenantReadOptions, 'format' | 'verbose'> = {}): Promise<boolean> {
    return this.client.exists(this.#path, { ...options, roles: monitor })
  }

  /** Its settings; with `verbose` also what cannot be set: id, creation time, full name. @throws {MapiNotFoundError} */
  settings(options: TenantReadOptions = {}): Promise<TenantSettings> {
    return this.client.read(this.#path, tenantDocument, { ...options, roles: monitor })
  }

  /**
   * Changes what is given and nothing else. Sent once. After a change of `name` make a new `Tenant`.
   *
   * @throws {MapiForbiddenError} for what this account may not set.
   */
  async change(changes: TenantChanges, options: TenantWriteOptions = {}): Promise<void> {
    const document = tenantOf('Tenant.change', changes)
    if (Object.keys(document.value).length === 0)
      throw new TypeError('Tenant.change: nothing to change was given')
    await this.client.change(this.#path, document, { ...options, roles: administrator })
  }

  /** Deletes the tenant. @throws {MapiForbiddenError} while it has namespaces. @throws {MapiNotFoundError} */
  delete(options: Omit<TenantWriteOptions, 'format'> = {}): Promise<void> {
    return this.client.remove(this.#path, { ...options, roles: systemAdministrator })
  }

  /** What it holds. Not to be asked more often than once an hour. */
  statistics(options: Omit<TenantReadOptions, 'verbose'> = {}): Promise<MapiStatistics> {
    return this.client.read(mapiPath('tenants', this.name, 'statistics'), statisticsDocument, {
      ...options,
      roles: monitor,
    })
  }

  /** Names of its namespaces. For tenant accounts, and for system accounts where the tenant lets them administer it. */
  namespaces(options: Omit<PageOptions, 'roles'> = {}): Names {
    return this.client.names(
      mapiPath('tenants', this.name, 'namespaces'),
      { root: 'namespaces', element: 'name' },
      { ...options, roles: namespaceListers },
    )
  }

  /** The settings of one of its namespaces. Who may: as for `namespaces`. */
  namespace(name: string, options: TenantReadOptions = {}): Promise<MapiNamespace> {
    return this.client.read(mapiPath('tenants', this.name, 'namespaces', name), namespaceDocument, {
      ...options,
      roles: namespaceReaders,
    })
  }

  /** What one of its namespaces holds. Not to be asked more often than once an hour. */
  namespaceStatistics(
    name: string,
    options: Omit<TenantReadOptions, 'verbose'> = {},
  ): Promise<MapiStatistics> {
    const path = mapiPath('tenants', this.name, 'namespaces', name, 'statistics')
    return this.client.read(path, statisticsDocument, { ...options, roles: namespaceReaders })
  }

  /**
   * What the tenant and its namespaces used, as records that come while the report comes in: by namespace and interval, then the totals
   * of the tenant, which are all that a system account gets without the tenant's leave. Leaving the loop ends the request.
   *
   * @throws {MapiDocumentError} for a report that is damaged, or ends before the total.
   */
  chargeback(options: ChargebackOptions = {}): AsyncIterable<ChargebackRecord> {
    return { [Symbol.asyncIterator]: () => chargeback(this.client, this.name, options) }
  }

  /** The report as HCP wrote it, in CSV, JSON or XML, as a stream that is to be read or dumped. */
  chargebackReport(options: ChargebackReportOptions = {}): Promise<HcpResponse> {
    return chargebackReport(this.client, this.name, options)
  }
}

const namespaceListers: MapiRoles = {
  tenant: ['MONITOR', 'ADMINISTRATOR', 'COMPLIANCE'],
  system: ['MONITOR', 'ADMINISTRATOR', 'COMPLIANCE'],
}

const namespaceReaders: MapiRoles = {
  tenant: ['MONITOR', 'ADMINISTRATOR'],
  system: ['MONITOR', 'ADMINISTRATOR'],
}

/** @throws {TypeError} for settings that HCP does not have, or does not let be set. */
function tenantOf(where: string, changes: TenantChanges): Document {
  checkOptions(where, changes, new Set(changeable.keys()))
  const value: Record<string, DocumentValue | undefined> = {}
  for (const [name, given] of Object.entries(changes) as [string, DocumentValue | undefined][]) {
    const element = changeable.get(name)
    if (given === undefined) continue
    if (element !== undefined && !Array.isArray(given))
      throw new TypeError(`${where}: ${name} must be a list`)
    value[name] = element === undefined ? given : { [element]: given }
  }
  return { root: 'tenant', value }
}

function checkClient(where: string, client: unknown): MapiClient {
  if (client instanceof MapiClient) return client
  throw new TypeError(`${where}: the first argument must be a MapiClient`)
}
