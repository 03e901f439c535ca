import type { TransferSummary } from './transfer-summary.ts'

/**
 * What is wrong with a local file: there is one already (`exists`), it changed while it was read (`changed`), what it is called on
 * one side cannot be its name on the other (`name`), it is something else than a file, or lies beyond something else than a folder
 * (`kind`), another transfer works on it (`busy`), or the system refuses (`system`, with its error as `cause`).
 */
export type LocalFileProblem = 'exists' | 'changed' | 'name' | 'kind' | 'busy' | 'system'

/** A local file cannot be read, written or used. */
export class LocalFileError extends Error {
  override name = 'LocalFileError'
  readonly code = 'HCP_LOCAL_FILE'
  readonly file: string
  readonly problem: LocalFileProblem
  constructor(file: string, problem: LocalFileProblem, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.file = file
    this.problem = problem
  }
}

/**
 * A journal cannot be used: it belongs to another transfer (`other`), is none or is damaged (`damaged`), another transfer has it open
 * (`busy`), or the system refuses (`system`, with its error as `cause`).
 */
export type JournalProblem = 'other' | 'damaged' | 'busy' | 'system'

export class JournalError extends Error {
  override name = 'JournalError'
  readonly code = 'HCP_JOURNAL'
  readonly file: string
  readonly problem: JournalProblem
  constructor(file: string, problem: JournalProblem, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.file = file
    this.problem = problem
  }
}

/** The transfer of a tree ended before its end: `cause` tells why, `summary` what was done until then. */
export class TransferStoppedError extends Error {
  override name = 'TransferStoppedError'
  readonly code = 'HCP_TRANSFER_STOPPED'
  readonly summary: TransferSummary
  constructor(message: string, summary: TransferSummary, cause: unknown) {
    super(message, { cause })
    this.summary = summary
  }
}

/** Makes a refusal of the system a {@link LocalFileError} that says what was tried. @param doing For example `write`. */
export async function onDisk<Result>(file: string, doing: string, work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (cause) {
    throw systemError(file, doing, cause)
  }
}

export function systemError(file: string, doing: string, cause: unknown): LocalFileError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new LocalFileError(file, 'system', `cannot ${doing} ${file}: ${reason}`, cause)
}

/** Node's code of a refusal of the system, for example `ENOSPC`. */
export function systemCode(error: unknown): string | undefined {
  const cause = error instanceof LocalFileError || error instanceof JournalError ? error.cause : error
  return cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined
}
