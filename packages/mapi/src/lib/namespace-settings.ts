import {
  boolean,
  document,
  type DocumentSchema,
  integer,
  list,
  optional,
  record,
  text,
  timestamp,
} from './schema.ts'

/**
 * A namespace's settings as the management API tells them. Many are there only where the tenant may configure them; an account that may just
 * manage namespaces of its own sees no more than name and owner.
 *
 * @see HCP Management API Reference, "namespace"
 */
export interface MapiNamespace {
  readonly name: string
  readonly description?: string
  /** Such as `50.00 GB`; `quotaBytes` reads it. */
  readonly hardQuota?: string
  /** Per cent. */
  readonly softQuota?: number
  /** With `verbose` only. */
  readonly hashScheme?: string
  readonly enterpriseMode?: boolean
  /** `NOT_ENABLED`, `ENFORCED`, `NOT_ENFORCED`. */
  readonly aclsUsage?: string
  readonly owner?: string
  /** `LOCAL` or `EXTERNAL`. */
  readonly ownerType?: string
  /** `CLOUD` or `ALL`. */
  readonly optimizedFor?: string
  readonly directoryUsage?: string
  readonly searchEnabled?: boolean
  readonly indexingEnabled?: boolean
  readonly indexingDefault?: boolean
  readonly customMetadataIndexingEnabled?: boolean
  readonly customMetadataValidationEnabled?: boolean
  readonly replicationEnabled?: boolean
  readonly readFromReplica?: boolean
  readonly allowErasureCoding?: boolean
  readonly serviceRemoteSystemRequests?: boolean
  readonly appendEnabled?: boolean
  readonly atimeSynchronizationEnabled?: boolean
  readonly allowPermissionAndOwnershipChanges?: boolean
  readonly authUsersAlwaysGrantedAllPermissions?: boolean
  readonly authMinimumPermissions?: readonly string[]
  readonly authAndAnonymousMinimumPermissions?: readonly string[]
  readonly multipartUploadAutoAbortDays?: number
  /** `HCP` or `S3`. */
  readonly retentionType?: string
  readonly s3UnversionedOverwrite?: boolean
  readonly servicePlan?: string
  readonly tags?: readonly string[]
  /** With `verbose` only, as those that follow. */
  readonly id?: string
  readonly creationTime?: Date
  readonly fullyQualifiedName?: string
  readonly mqeIndexingTimestamp?: Date
  /** Of a replicated namespace. */
  readonly replicationTimestamp?: Date
}

export const namespaceDocument: DocumentSchema<MapiNamespace> = document(
  'namespace',
  record({
    name: text(),
    description: optional(text()),
    hardQuota: optional(text()),
    softQuota: optional(integer()),
    hashScheme: optional(text()),
    enterpriseMode: optional(boolean()),
    aclsUsage: optional(text()),
    owner: optional(text()),
    ownerType: optional(text()),
    optimizedFor: optional(text()),
    directoryUsage: optional(text()),
    searchEnabled: optional(boolean()),
    indexingEnabled: optional(boolean()),
    indexingDefault: optional(boolean()),
    customMetadataIndexingEnabled: optional(boolean()),
    customMetadataValidationEnabled: optional(boolean()),
    replicationEnabled: optional(boolean()),
    readFromReplica: optional(boolean()),
    allowErasureCoding: optional(boolean()),
    serviceRemoteSystemRequests: optional(boolean()),
    appendEnabled: optional(boolean()),
    atimeSynchronizationEnabled: optional(boolean()),
    allowPermissionAndOwnershipChanges: optional(boolean()),
    authUsersAlwaysGrantedAllPermissions: optional(boolean()),
    authMinimumPermissions: optional(list('permission', text())),
    authAndAnonymousMinimumPermissions: optional(list('permission', text())),
    multipartUploadAutoAbortDays: optional(integer()),
    retentionType: optional(text()),
    s3UnversionedOverwrite: optional(boolean()),
    servicePlan: optional(text()),
    tags: optional(list('tag', text())),
    id: optional(text()),
    creationTime: optional(timestamp()),
    fullyQualifiedName: optional(text()),
    mqeIndexingTimestamp: optional(timestamp()),
    replicationTimestamp: optional(timestamp()),
  }),
)
