export {
  accessLog,
  type AccessLogOptions,
  type AccessRecord,
  formatAccessLine,
  type MalformedLine,
  parseAccessLine,
} from './lib/access-log.ts'
export type { PackageLimits } from './lib/archive-limits.ts'
export type { CalendarDate, LogDate } from './lib/calendar-date.ts'
export type { CollectedLogs, CollectOptions, CollectProgress } from './lib/collect.ts'
export type { DownloadedLogs, DownloadToOptions, TransferProgress } from './lib/download-to.ts'
export {
  LogPackageError,
  type LogPackageProblem,
  LogsAmbiguousError,
  LogsDamagedError,
  LogsDeadlineError,
  LogsError,
  type LogsErrorCode,
  LogsFailedError,
  LogsFileError,
  type LogsFileProblem,
  LogsInProgressError,
  LogsInProgressError as LogsInProgessError,
  LogsLostError,
  LogsNotReadyError,
} from './lib/errors.ts'
export type { ExtractedFiles } from './lib/extract.ts'
export type { DownloadProgress, LogDownload, OnDownloadProgress } from './lib/log-download.ts'
export {
  type FilesOptions,
  type LogFile,
  LogPackage,
  type PackageOptions,
  type PackedFile,
} from './lib/log-package.ts'
export type { LogSelection } from './lib/log-selection.ts'
export type { LogState, LogStatus } from './lib/log-status.ts'
export { type LogType, type LogTypes, logTypes } from './lib/log-type.ts'
export {
  type CallOptions,
  type DownloadOptions,
  Logs,
  type LogsSource,
  type PrepareOptions,
} from './lib/logs.ts'
export type { PackageNode } from './lib/manifest.ts'
