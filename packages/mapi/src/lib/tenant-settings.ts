import {
  boolean,
  document,
  type DocumentSchema,
  integer,
  list,
  mapped,
  optional,
  record,
  type Schema,
  text,
  timestamp,
} from './schema.ts'

/**
 * A tenant's settings. Which of them are there depends on who asks: a system account sees those of the system, a tenant account those of the
 * tenant, `verbose` adds what cannot be set, and the default tenant has few. What is not there HCP did not say.
 *
 * @see HCP Management API Reference, "tenant"
 */
export interface TenantSettings {
  /** Missing in the short answer about the default tenant. */
  readonly name?: string
  /** The system's. */
  readonly systemVisibleDescription?: string
  /** The tenant's. */
  readonly tenantVisibleDescription?: string
  /** Such as `400.00 GB`; `quotaBytes` reads it. */
  readonly hardQuota?: string
  /** Per cent of `hardQuota` from which on HCP warns. */
  readonly softQuota?: number
  /** How many namespaces it may have. */
  readonly namespaceQuota?: number | 'None'
  /** `LOCAL`, `RADIUS`, `EXTERNAL`. */
  readonly authenticationTypes?: readonly string[]
  readonly complianceConfigurationEnabled?: boolean
  readonly versioningConfigurationEnabled?: boolean
  readonly searchConfigurationEnabled?: boolean
  readonly replicationConfigurationEnabled?: boolean
  readonly erasureCodingSelectionEnabled?: boolean
  readonly servicePlanSelectionEnabled?: boolean
  /** Where the tenant may not choose. */
  readonly servicePlan?: string
  readonly dataNetwork?: string
  readonly managementNetwork?: string
  readonly tags?: readonly string[]
  /** The tenant lets system accounts administer it. */
  readonly administrationAllowed?: boolean
  readonly maxNamespacesPerUser?: number
  readonly snmpLoggingEnabled?: boolean
  readonly syslogLoggingEnabled?: boolean
  /** With `verbose` only. */
  readonly id?: string
  /** With `verbose` only. */
  readonly creationTime?: Date
  /** With `verbose` only. */
  readonly fullyQualifiedName?: string
}

/** A number, or `None` for no limit. */
const quotaNumber: Schema<number | 'None'> = mapped(text(), 'a whole number or None', (found) =>
  /^none$/i.test(found) ? 'None' : /^\d{1,9}$/.test(found) ? Number(found) : undefined,
)

export const tenantDocument: DocumentSchema<TenantSettings> = document(
  'tenant',
  record({
    name: optional(text()),
    systemVisibleDescription: optional(text()),
    tenantVisibleDescription: optional(text()),
    hardQuota: optional(text()),
    softQuota: optional(integer()),
    namespaceQuota: optional(quotaNumber),
    authenticationTypes: optional(list('authenticationType', text())),
    complianceConfigurationEnabled: optional(boolean()),
    versioningConfigurationEnabled: optional(boolean()),
    searchConfigurationEnabled: optional(boolean()),
    replicationConfigurationEnabled: optional(boolean()),
    erasureCodingSelectionEnabled: optional(boolean()),
    servicePlanSelectionEnabled: optional(boolean()),
    servicePlan: optional(text()),
    dataNetwork: optional(text()),
    managementNetwork: optional(text()),
    tags: optional(list('tag', text())),
    administrationAllowed: optional(boolean()),
    maxNamespacesPerUser: optional(integer()),
    snmpLoggingEnabled: optional(boolean()),
    syslogLoggingEnabled: optional(boolean()),
    id: optional(text()),
    creationTime: optional(timestamp()),
    fullyQualifiedName: optional(text()),
  }),
)

/**
 * What can be changed: the first group by system accounts, the second by tenant accounts, or by system accounts where the tenant lets them.
 * What is left out stays as it is; an empty text or list clears.
 */
export interface TenantChanges {
  /** A new name. */
  readonly name?: string
  readonly systemVisibleDescription?: string
  /** A number and `MB`, `GB` or `TB`; at least 1 GB. */
  readonly hardQuota?: string
  readonly softQuota?: number
  readonly namespaceQuota?: number | 'None'
  readonly authenticationTypes?: readonly string[]
  readonly complianceConfigurationEnabled?: boolean
  readonly versioningConfigurationEnabled?: boolean
  readonly searchConfigurationEnabled?: boolean
  readonly replicationConfigurationEnabled?: boolean
  readonly erasureCodingSelectionEnabled?: boolean
  readonly servicePlanSelectionEnabled?: boolean
  readonly servicePlan?: string
  readonly dataNetwork?: string
  readonly managementNetwork?: string
  /** Replaces all. */
  readonly tags?: readonly string[]

  readonly tenantVisibleDescription?: string
  readonly administrationAllowed?: boolean
  readonly maxNamespacesPerUser?: number
  readonly snmpLoggingEnabled?: boolean
  readonly syslogLoggingEnabled?: boolean
}

/** Names of what can be changed, and of the wrapper's element where it is a list. */
export const changeable: ReadonlyMap<string, string | undefined> = new Map<
  keyof TenantChanges,
  string | undefined
>([
  ['name', undefined],
  ['systemVisibleDescription', undefined],
  ['hardQuota', undefined],
  ['softQuota', undefined],
  ['namespaceQuota', undefined],
  ['authenticationTypes', 'authenticationType'],
  ['complianceConfigurationEnabled', undefined],
  ['versioningConfigurationEnabled', undefined],
  ['searchConfigurationEnabled', undefined],
  ['replicationConfigurationEnabled', undefined],
  ['erasureCodingSelectionEnabled', undefined],
  ['servicePlanSelectionEnabled', undefined],
  ['servicePlan', undefined],
  ['dataNetwork', undefined],
  ['managementNetwork', undefined],
  ['tags', 'tag'],
  ['tenantVisibleDescription', undefined],
  ['administrationAllowed', undefined],
  ['maxNamespacesPerUser', undefined],
  ['snmpLoggingEnabled', undefined],
  ['syslogLoggingEnabled', undefined],
])
