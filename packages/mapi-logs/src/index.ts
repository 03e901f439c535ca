export type { PackageLimits } from './lib/archive-limits.ts'
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
export { type FilesOptions, type LogFile, LogPackage, type PackageOptions } from './lib/log-package.ts'
export type { PackageNode } from './lib/manifest.ts'
