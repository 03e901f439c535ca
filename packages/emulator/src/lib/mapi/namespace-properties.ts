import type { CheckedNamespace } from '../config.ts'
import type { Documents, Namespace } from '../namespace.ts'
import { Refusal } from '../refusal.ts'
import type { NamespaceState, Tenant } from '../tenant.ts'
import { zonedTime } from '../times.ts'
import { fromPermissions, toPermissions } from './account-resources.ts'
import type { Fields } from './fields.ts'
import {
  boolean,
  choice,
  entriesOf,
  exactly,
  group,
  integer,
  list,
  matching,
  need,
  quota,
  quotaBytes,
  quotaText,
  text,
  textOf,
} from './fields.ts'
import type { DocumentFields, DocumentValue, MapiExchange } from './resource.ts'
import { picked } from './surroundings.ts'
import { tenantProperties } from './tenant-resources.ts'

export const versioningFields: Fields = {
  enabled: boolean,
  prune: boolean,
  pruneDays: integer(0, 36_500),
  keepDeletionRecords: boolean,
  useDeleteMarkers: boolean,
  pruneOnPrimary: boolean,
  daysOnPrimary: integer(0, 36_500),
  pruneOnReplica: boolean,
  daysOnReplica: integer(0, 36_500),
}

const permissionList = list(
  'permission',
  choice('BROWSE', 'DELETE', 'PURGE', 'READ', 'READ_ACL', 'WRITE', 'WRITE_ACL'),
)

const hashScheme = exactly('MD5', 'SHA-1', 'SHA-256', 'SHA-384', 'SHA-512', 'RIPEMD-160')

/** Everything that a client may send about a namespace. */
export const namespaceFields: Fields = {
  name: matching(
    /^(?!xn--)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i,
    '1 to 63 letters, digits and hyphens, no hyphen first or last',
  ),
  description: text(),
  hardQuota: quota,
  softQuota: integer(10, 95),
  hashScheme,
  enterpriseMode: boolean,
  versioningSettings: group(versioningFields),
  aclsUsage: choice('NOT_ENABLED', 'ENFORCED', 'NOT_ENFORCED'),
  owner: text(64),
  ownerType: choice('LOCAL', 'EXTERNAL'),
  optimizedFor: choice('CLOUD', 'ALL'),
  directoryUsage: choice('Balanced', 'Unbalanced'),
  searchEnabled: boolean,
  indexingEnabled: boolean,
  indexingDefault: boolean,
  customMetadataIndexingEnabled: boolean,
  customMetadataValidationEnabled: boolean,
  replicationEnabled: boolean,
  readFromReplica: boolean,
  allowErasureCoding: boolean,
  serviceRemoteSystemRequests: boolean,
  appendEnabled: boolean,
  atimeSynchronizationEnabled: boolean,
  allowPermissionAndOwnershipChanges: boolean,
  authUsersAlwaysGrantedAllPermissions: boolean,
  authMinimumPermissions: permissionList,
  authAndAnonymousMinimumPermissions: permissionList,
  multipartUploadAutoAbortDays: integer(0, 180),
  retentionType: choice('HCP', 'S3'),
  s3UnversionedOverwrite: boolean,
  servicePlan: text(64, 1),
  tags: list('tag', matching(/^[^,]{1,64}$/u, '1 to 64 characters without comma')),
  dpl: text(16),
  isDplDynamic: boolean,
}

/** What the data side knows nothing of, and what it is unless somebody says. */
const otherDefaults: DocumentFields = {
  owner: '',
  ownerType: 'LOCAL',
  optimizedFor: 'CLOUD',
  directoryUsage: 'Unbalanced',
  indexingEnabled: false,
  customMetadataIndexingEnabled: false,
  allowErasureCoding: false,
  appendEnabled: false,
  atimeSynchronizationEnabled: false,
  authUsersAlwaysGrantedAllPermissions: true,
  multipartUploadAutoAbortDays: 30,
  retentionType: 'HCP',
  s3UnversionedOverwrite: false,
  servicePlan: 'Default',
  tags: { tag: [] },
}

/** All properties of a namespace that can be set. */
export function namespaceProperties({ settings, documents, line }: Namespace): DocumentFields {
  return {
    replicationEnabled: line !== undefined,
    name: settings.name,
    description: settings.description,
    hardQuota: quotaText(settings.quotaBytes),
    softQuota: settings.softQuotaPercent,
    hashScheme: settings.hashScheme,
    enterpriseMode: settings.retentionMode === 'enterprise',
    aclsUsage: settings.aclUsage,
    searchEnabled: settings.searchEnabled,
    indexingDefault: settings.defaultIndex,
    customMetadataValidationEnabled: settings.checkXml,
    readFromReplica: settings.readFromReplica,
    serviceRemoteSystemRequests: settings.acceptRedirectedRequests,
    allowPermissionAndOwnershipChanges: settings.ownerChangeUnderRetention,
    authMinimumPermissions: { permission: fromPermissions(settings.authenticatedPermissions) },
    authAndAnonymousMinimumPermissions: { permission: fromPermissions(settings.anonymousPermissions) },
    dpl: 'Dynamic',
    isDplDynamic: true,
    ...otherDefaults,
    ...documents['namespace'],
  }
}

const readOnly = new Set(['versioningSettings', 'hashScheme'])

export function namespaceDocument(
  { verbose, system }: MapiExchange,
  tenant: Tenant,
  namespace: Namespace,
): DocumentFields {
  const all = namespaceProperties(namespace)
  const features = tenantProperties(tenant)
  const hidden = new Set(readOnly)
  if (all['replicationEnabled'] !== true) hidden.add('readFromReplica')
  if (features['erasureCodingSelectionEnabled'] !== true) hidden.add('allowErasureCoding')
  if (features['servicePlanSelectionEnabled'] !== true) hidden.add('servicePlan')
  if (all['owner'] === '') hidden.add('owner').add('ownerType')
  const shown = picked(
    all,
    Object.keys(namespaceFields).filter((name) => !hidden.has(name)),
  )
  if (!verbose) return shown
  const created = zonedTime(namespace.created)
  return {
    ...shown,
    hashScheme: all['hashScheme'],
    id: namespace.id,
    creationTime: created,
    fullyQualifiedName: `${namespace.settings.name}.${tenant.name}.${system.domain}`.toLowerCase(),
    ...(all['searchEnabled'] === true ? { mqeIndexingTimestamp: zonedTime(system.now()) } : {}),
    ...(all['replicationEnabled'] === true ? { replicationTimestamp: zonedTime(system.now()) } : {}),
  }
}

/** What a tenant may configure only if the system lets it, by the property of the tenant that says so. */
const features: readonly (readonly [property: string, feature: string])[] = [
  ['searchEnabled', 'searchConfigurationEnabled'],
  ['replicationEnabled', 'replicationConfigurationEnabled'],
  ['allowErasureCoding', 'erasureCodingSelectionEnabled'],
  ['servicePlan', 'servicePlanSelectionEnabled'],
]

/** The settings and documents that a namespace has after a change: `given` has been read. */
export function changedNamespace(
  tenant: Tenant,
  before: { readonly settings: CheckedNamespace; readonly documents: Documents },
  given: DocumentFields,
): Pick<NamespaceState, 'settings' | 'documents'> {
  checkFeatures(tenant, given)
  const { settings } = before
  const other: Record<string, DocumentValue | undefined> = {
    ...otherDefaults,
    ...flat(before.documents['namespace']),
  }
  const changes: { -readonly [Name in keyof CheckedNamespace]?: CheckedNamespace[Name] } = {}
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    switch (name) {
      case 'name':
        changes.name = textOf(value)
        break
      case 'description':
        changes.description = textOf(value)
        break
      case 'hardQuota':
        changes.quotaBytes = quotaBytes(textOf(value))
        break
      case 'softQuota':
        changes.softQuotaPercent = Number(value)
        break
      case 'hashScheme':
        changes.hashScheme = value as CheckedNamespace['hashScheme']
        break
      case 'enterpriseMode':
        changes.retentionMode = value === true ? 'enterprise' : 'compliance'
        break
      case 'aclsUsage':
        changes.aclUsage = value as CheckedNamespace['aclUsage']
        break
      case 'searchEnabled':
        changes.searchEnabled = value === true
        break
      case 'indexingDefault':
        changes.defaultIndex = value === true
        break
      case 'customMetadataValidationEnabled':
        changes.checkXml = value === true
        break
      case 'readFromReplica':
        changes.readFromReplica = value === true
        break
      case 'serviceRemoteSystemRequests':
        changes.acceptRedirectedRequests = value === true
        break
      case 'allowPermissionAndOwnershipChanges':
        changes.ownerChangeUnderRetention = value === true
        break
      case 'authMinimumPermissions':
        changes.authenticatedPermissions = toPermissions(entriesOf(value, 'permission'))
        break
      case 'authAndAnonymousMinimumPermissions':
        changes.anonymousPermissions = toPermissions(entriesOf(value, 'permission'))
        break
      case 'versioningSettings':
      case 'dpl':
      case 'isDplDynamic':
        break
      default:
        other[name] = value
    }
  }
  const after = { ...settings, ...changes }
  // Each of them needs the one before it.
  if (!after.searchEnabled) {
    if (given['indexingEnabled'] === true) throw new Refusal(400, "'indexingEnabled' needs 'searchEnabled'.")
    other['indexingEnabled'] = false
  }
  if (other['indexingEnabled'] !== true) {
    if (given['customMetadataIndexingEnabled'] === true)
      throw new Refusal(400, "'customMetadataIndexingEnabled' needs 'indexingEnabled'.")
    other['customMetadataIndexingEnabled'] = false
  }
  const s3 = other['retentionType'] === 'S3' && given['retentionType'] !== undefined
  if (s3) other['optimizedFor'] = 'CLOUD'
  if (other['appendEnabled'] === true && (after.versioning || s3))
    throw new Refusal(400, "'appendEnabled' and versioning exclude each other.")
  const documents = { ...before.documents, namespace: other }
  if (!s3) return { settings: after, documents }
  return {
    settings: { ...after, versioning: true },
    documents: { ...documents, versioning: { ...before.documents['versioning'], useDeleteMarkers: true } },
  }
}

function flat(fields: DocumentFields | undefined): Record<string, DocumentValue> {
  return picked(fields ?? {}, Object.keys(fields ?? {}))
}

export function checkFeatures(tenant: Tenant, given: DocumentFields): void {
  const allowed = tenantProperties(tenant)
  for (const [property, feature] of features) {
    const wanted = given[property]
    if (wanted !== undefined && wanted !== false && allowed[feature] !== true)
      throw new Refusal(403, `The tenant may not configure '${property}'.`)
  }
  if (given['enterpriseMode'] === false && allowed['complianceConfigurationEnabled'] !== true)
    throw new Refusal(403, "The tenant may not configure 'enterpriseMode'.")
}

export function versioningDocument({ settings, documents }: Namespace): DocumentFields {
  const { versioning: enabled, pruneDays } = settings
  if (!enabled) return { enabled }
  const prune = pruneDays !== null
  return {
    enabled,
    prune,
    ...(prune ? { pruneDays } : {}),
    keepDeletionRecords: true,
    useDeleteMarkers: false,
    ...documents['versioning'],
  }
}

/** Versioning after a change; `creating` asks for more. */
export function changedVersioning(
  tenant: Tenant,
  before: { readonly settings: CheckedNamespace; readonly documents: Documents },
  given: DocumentFields,
  creating: boolean,
): Pick<NamespaceState, 'settings' | 'documents'> {
  const {
    enabled = before.settings.versioning,
    prune = given['pruneOnPrimary'],
    pruneDays = given['daysOnPrimary'],
    keepDeletionRecords,
    useDeleteMarkers,
  } = given
  if (enabled === true) {
    if (tenantProperties(tenant)['versioningConfigurationEnabled'] !== true)
      throw new Refusal(403, 'The tenant may not configure versioning.')
    if (creating) need({ ...given, prune }, 'prune')
    if (before.documents['namespace']?.['appendEnabled'] === true)
      throw new Refusal(400, "'appendEnabled' and versioning exclude each other.")
    for (const protocol of ['cifs', 'nfs', 'smtp']) {
      if (before.documents[protocol]?.['enabled'] === true)
        throw new Refusal(400, `Versioning and the protocol ${protocol} exclude each other.`)
    }
    if (before.documents['http']?.['webdavEnabled'] === true)
      throw new Refusal(400, 'Versioning and the protocol WebDAV exclude each other.')
  }
  if (prune === true && pruneDays === undefined && before.settings.pruneDays === null)
    throw new Refusal(400, "The required property 'pruneDays' is missing.")
  const days =
    prune === false
      ? null
      : typeof pruneDays === 'number' && (prune === true || before.settings.pruneDays !== null)
        ? pruneDays
        : before.settings.pruneDays
  const rest = picked({ keepDeletionRecords, useDeleteMarkers }, ['keepDeletionRecords', 'useDeleteMarkers'])
  return {
    settings: { ...before.settings, versioning: enabled === true, pruneDays: days },
    documents: { ...before.documents, versioning: { ...before.documents['versioning'], ...rest } },
  }
}
