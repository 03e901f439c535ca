export type { MetadataChanges } from './lib/change-metadata.ts'
export type { Conditions } from './lib/conditions.ts'
export type { CopyOptions, CopySource } from './lib/copy.ts'
export type { DeleteOptions } from './lib/delete.ts'
export type { ListOptions } from './lib/directory-listing.ts'
export {
  type Conflict,
  ObjectConditionError,
  ObjectConflictError,
  ObjectNotFoundError,
} from './lib/errors.ts'
export type { ByteRange, GetOptions } from './lib/get.ts'
export type { HeadOptions } from './lib/head.ts'
export type {
  DirectoryEntry,
  ObjectEntry,
  SubdirectoryEntry,
  SymlinkEntry,
  VersionEntry,
} from './lib/listing-entry.ts'
export type { AnnotationSize, DirectoryMetadata, LabeledHold, ObjectMetadata } from './lib/metadata.ts'
export { ObjectClient } from './lib/object-client.ts'
export type { ObjectReader } from './lib/object-reader.ts'
export type { CallOptions } from './lib/object-requests.ts'
export type { OnProgress, Progress } from './lib/progress.ts'
export type { PutOptions, StoredObject } from './lib/put.ts'
export type { AnnotationInPut } from './lib/put-with-annotation.ts'
export {
  deletionAllowed,
  deletionProhibited,
  formatRetention,
  initialUnspecified,
  parseRetention,
  type Retention,
  retentionClass,
  type RetentionOffset,
  type RetentionPeriod,
  type RetentionState,
  retainFor,
  retainUntil,
} from './lib/retention.ts'
export type { ObjectSettings } from './lib/settings.ts'
export type { VersionListOptions } from './lib/version-listing.ts'
