export { type AclPermission, allUsers, authenticated, type Grant, type Grantee } from './lib/acl.ts'
export type { AnnotationReader } from './lib/annotation-reader.ts'
export {
  type AnnotationListOptions,
  type AnnotationMetadata,
  type AnnotationReadOptions,
  AnnotationsError,
  type AnnotationsWriteOptions,
  type AnnotationWriteOptions,
} from './lib/annotations.ts'
export type { MetadataChanges } from './lib/change-metadata.ts'
export type { Conditions } from './lib/conditions.ts'
export type { CopyOptions, CopySource } from './lib/copy.ts'
export type { DeleteOptions } from './lib/delete.ts'
export type { MakeDirectoryOptions } from './lib/directories.ts'
export type { ListOptions } from './lib/directory-listing.ts'
export type { DownloadedFile, DownloadOptions } from './lib/download.ts'
export type { DownloadTreeOptions } from './lib/download-tree.ts'
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
export {
  JournalError,
  type JournalProblem,
  LocalFileError,
  type LocalFileProblem,
  TransferStoppedError,
} from './lib/transfer-errors.ts'
export type {
  FailedFile,
  FileEvent,
  FileOutcome,
  TransferProgress,
  TransferSummary,
  TreeOptions,
} from './lib/transfer-summary.ts'
export type { FilePutOptions, FileToUpload, UploadTreeOptions } from './lib/upload-tree.ts'
export type { VersionListOptions } from './lib/version-listing.ts'
export type { WalkOptions } from './lib/walk.ts'
