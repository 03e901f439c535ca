export type { CallOptions, Time, WriteOptions } from './lib/client/arguments.ts'
export type { BulkEntry, BulkOptions, BulkResult, BulkSource } from './lib/client/bulk.ts'
export type {
  DeletionProgress,
  EntriesApi,
  EntryPlaceOptions,
  FindOptions,
  RemoveDatasetOptions,
  TaskLogOptions,
} from './lib/client/entries.ts'
export type { EntryFilter, Severity } from './lib/client/entry-filter.ts'
export type { LogEntry, NewLogEntry, SelectedEntry } from './lib/client/entry.ts'
export { LogsApiError, type LogsApiErrorCode, type LogsApiErrorFacts } from './lib/client/errors.ts'
export type { DownloadedExport, DownloadToOptions } from './lib/client/export-download-to.ts'
export type { ExportDownload, ExportDownloadOptions } from './lib/client/export-download.ts'
export type {
  ExportContent,
  ExportListOptions,
  ExportPlace,
  ExportsApi,
  ExportSearchOptions,
  ExportStatus,
  ExportTask,
  ExportWaitOptions,
  StartExportOptions,
} from './lib/client/exports.ts'
export type { HealthApi } from './lib/client/health.ts'
export { LogsClient } from './lib/client/logs-client.ts'
export type {
  NewOperationLog,
  OperationFilter,
  OperationListOptions,
  OperationLog,
  OperationLogChanges,
  OperationsApi,
  OperationSearchOptions,
} from './lib/client/operations.ts'
export type { Page, Paged } from './lib/client/paged.ts'
export type {
  RemovedCounts,
  RetentionApi,
  RetentionPolicy,
  RetentionRule,
  RetentionRun,
  RetentionRunOptions,
  RetentionState,
} from './lib/client/retention.ts'
export type { RetryOptions } from './lib/client/retry.ts'
export type { DatasetRights, RightsApi } from './lib/client/rights.ts'
export type { SearchOptions } from './lib/client/search.ts'
export type { TailItem, TailOptions } from './lib/client/tail.ts'
export type { LogsClientOptions, Token } from './lib/client/transport.ts'
