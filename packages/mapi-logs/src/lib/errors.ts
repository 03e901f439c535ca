/** What went wrong with HCP's logs, as a word to branch on. Stable within a major version. */
export type LogsErrorCode =
  | 'LOGS_AMBIGUOUS'
  | 'LOGS_DAMAGED'
  | 'LOGS_DEADLINE'
  | 'LOGS_FAILED'
  | 'LOGS_FILE'
  | 'LOGS_IN_PROGRESS'
  | 'LOGS_LOST'
  | 'LOGS_NOT_READY'
  | 'LOGS_PACKAGE'

/**
 * The base of what this package adds to the errors of `@hcp/mapi` and `@hcp/connection`, which pass through as they are. Wrong
 * arguments are a `TypeError` or `RangeError`, thrown before anything is sent.
 */
export class LogsError extends Error {
  override name = 'LogsError'
  readonly code: LogsErrorCode
  /** May succeed later, as it is. */
  readonly retryable: boolean
  constructor(code: LogsErrorCode, message: string, retryable: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.retryable = retryable
  }
}

/** There is no package to download: nothing has been prepared, or it is still being prepared. `cause` is HCP's answer. */
export class LogsNotReadyError extends LogsError {
  override name = 'LogsNotReadyError'
  constructor(message: string, retryable: boolean, cause?: unknown) {
    super('LOGS_NOT_READY', message, retryable, cause)
  }
}

/** HCP has one log job per system, and there is one already, or a download is running. `cause` is HCP's answer, if it gave one. */
export class LogsInProgressError extends LogsError {
  override name = 'LogsInProgressError'
  constructor(message: string, cause?: unknown) {
    super('LOGS_IN_PROGRESS', message, true, cause)
  }
}

/** HCP says that preparing or downloading failed. Cancel the job and prepare again. */
export class LogsFailedError extends LogsError {
  override name = 'LogsFailedError'
  constructor(message: string, cause?: unknown) {
    super('LOGS_FAILED', message, true, cause)
  }
}

/** The job is gone, though nobody here cancelled it: somebody else did, or it was a day old. */
export class LogsLostError extends LogsError {
  override name = 'LogsLostError'
  constructor(message: string, cause?: unknown) {
    super('LOGS_LOST', message, true, cause)
  }
}

/** The answer to a prepare was lost, and it cannot be told whose job HCP has now. Nothing was cancelled. */
export class LogsAmbiguousError extends LogsError {
  override name = 'LogsAmbiguousError'
  constructor(message: string, cause?: unknown) {
    super('LOGS_AMBIGUOUS', message, false, cause)
  }
}

/** The time that the caller gave for the whole has passed. */
export class LogsDeadlineError extends LogsError {
  override name = 'LogsDeadlineError'
  /** Milliseconds. */
  readonly limit: number
  constructor(limit: number, message: string) {
    super('LOGS_DEADLINE', message, true)
    this.limit = limit
  }
}

/** What was downloaded is not a whole package: cut off, garbled, or something else. Nothing of it is kept. */
export class LogsDamagedError extends LogsError {
  override name = 'LogsDamagedError'
  /** Bytes received. */
  readonly received: number
  constructor(message: string, received: number, cause?: unknown) {
    super('LOGS_DAMAGED', message, true, cause)
    this.received = received
  }
}

/** Why a local file cannot be used: there is one already (`exists`), it is something else (`kind`), or the system refuses (`system`). */
export type LogsFileProblem = 'exists' | 'kind' | 'system'

/** A local file cannot be read or written; `cause` is the system's error, for example with the code `ENOSPC` or `EACCES`. */
export class LogsFileError extends LogsError {
  override name = 'LogsFileError'
  readonly file: string
  readonly problem: LogsFileProblem
  constructor(file: string, problem: LogsFileProblem, message: string, cause?: unknown) {
    super('LOGS_FILE', message, false, cause)
    this.file = file
    this.problem = problem
  }
}

/**
 * What is wrong in a package: its content is not whole, or packed in a way that is not read here (`damaged`), it names a file outside of
 * the package or in no usable way (`name`), or it holds more than was allowed (`limit`).
 */
export type LogPackageProblem = 'damaged' | 'name' | 'limit'

/** A package, or an archive in it, cannot be read. */
export class LogPackageError extends LogsError {
  override name = 'LogPackageError'
  /** Where: the path in the package, archives counting as folders; empty for the package itself. */
  readonly place: string
  readonly problem: LogPackageProblem
  constructor(place: string, problem: LogPackageProblem, what: string, cause?: unknown) {
    super('LOGS_PACKAGE', `${place === '' ? 'the package' : place}: ${what}`, false, cause)
    this.place = place
    this.problem = problem
  }
}

/** Makes a refusal of the system a {@link LogsFileError} that says what was tried. @param doing For example `write`. */
export async function onDisk<Result>(file: string, doing: string, work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (cause) {
    throw systemError(file, doing, cause)
  }
}

export function systemError(file: string, doing: string, cause: unknown): LogsFileError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new LogsFileError(file, 'system', `cannot ${doing} ${file}: ${reason}`, cause)
}

/** Node's code of a refusal of the system, for example `ENOSPC`. */
export function systemCode(error: unknown): string | undefined {
  const cause = error instanceof LogsFileError ? error.cause : error
  return cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined
}
