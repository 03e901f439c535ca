export type {
  ChargebackFormat,
  ChargebackOptions,
  ChargebackRecord,
  ChargebackReportOptions,
  Granularity,
} from './lib/chargeback.ts'
export { type Document, type DocumentFormat, type DocumentValue } from './lib/document-writer.ts'
export {
  type ForbiddenCause,
  MapiConflictError,
  MapiDocumentError,
  MapiError,
  MapiForbiddenError,
  MapiNotFoundError,
  MapiRedirectError,
  MapiRequestError,
  type MapiRoles,
  MapiUnavailableError,
} from './lib/errors.ts'
export {
  type ActOptions,
  type MapiCallOptions,
  MapiClient,
  type MapiClientOptions,
  type OpenOptions,
  type ReadOptions,
  type WriteOptions,
} from './lib/mapi-client.ts'
export { type MapiPath, mapiPath } from './lib/mapi-path.ts'
export type { NameList, Names, PageOptions } from './lib/names.ts'
export type { MapiNamespace } from './lib/namespace-settings.ts'
export { quotaBytes } from './lib/quota.ts'
export {
  boolean,
  commaList,
  decimal,
  document,
  type DocumentSchema,
  epochMillis,
  type ExtraValue,
  integer,
  list,
  type Long,
  long,
  mapped,
  nameList,
  optional,
  type OptionalSchema,
  type ReadBy,
  record,
  type RecordOf,
  repeated,
  type Schema,
  text,
  timestamp,
} from './lib/schema.ts'
export type { MapiStatistics } from './lib/statistics.ts'
export type { TenantChanges, TenantSettings } from './lib/tenant-settings.ts'
export {
  createTenant,
  type InitialAccount,
  listTenants,
  Tenant,
  type TenantReadOptions,
  type TenantWriteOptions,
} from './lib/tenants.ts'
export { formatTimestamp, parseTimestamp } from './lib/timestamp.ts'
