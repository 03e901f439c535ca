import { HcpError } from '@hcp/connection'
import { checkInteger, checkString } from '@hcp/connection/support'
import type { OnProgress } from './progress.ts'
import { JournalError, systemCode, TransferStoppedError } from './transfer-errors.ts'

/**
 * What became of a file: it was `stored` where it was to go; the very content was there already (`identical`); the journal says that an
 * earlier run did it (`resumed`); it `failed`; or it is no file and was `ignored`.
 */
export type FileOutcome = 'stored' | 'identical' | 'resumed' | 'failed' | 'ignored'

/** One file of a tree and what became of it. */
export interface FileEvent {
  /** Below the local folder, with `/` between folders. */
  readonly file: string
  /** On HCP; `undefined` where it has no name there yet. */
  readonly path: string | undefined
  readonly outcome: FileOutcome
  /** Bytes of its content, as far as known. */
  readonly size: number | undefined
  /** Of a failed one. */
  readonly error: Error | undefined
}

/** A file that was not transferred, and why. */
export interface FailedFile {
  readonly file: string
  readonly path: string | undefined
  readonly error: Error
}

/** What became of a tree: `files` = `stored` + `identical` + `resumed` + `failed.length`. */
export interface TransferSummary {
  /** Files found; a folder that could not be read or made counts as one that failed. */
  readonly files: number
  /** Stored by this run: on HCP by an upload, in the local folder by a download. */
  readonly stored: number
  /** Left as they were: the other side had the very same content. */
  readonly identical: number
  /** Done by an earlier run, as the journal says, and unchanged since. */
  readonly resumed: number
  readonly failed: readonly FailedFile[]
  /** Symbolic links, sockets, devices: no files, and not in `files`. */
  readonly ignored: number
  /** Content of the files stored by this run. */
  readonly bytes: number
  /** Milliseconds. */
  readonly duration: number
}

/** How far the transfer of a tree is. */
export interface TransferProgress {
  /** Files that are through, whatever became of them. */
  readonly files: number
  /** Bytes transferred, those of files under way included; falls back when a file has to begin again. */
  readonly bytes: number
  /** `undefined` until all have been found. */
  readonly totalFiles: number | undefined
}

/** What both directions share. */
export interface TreeOptions {
  /** Files at a time; more than the connection's sockets wait for one. Default 8. */
  readonly concurrency?: number
  /** Ends the transfer: it rejects with the signal's reason. What was done until then is in the journal. */
  readonly signal?: AbortSignal
  /**
   * A file that remembers what is done, for a later run to go on from; made if it is not there. It holds a line for each file, and all
   * of it is in memory during a run: some 300 bytes a file. Default: none.
   */
  readonly journal?: string
  /** So many failed files end the transfer with a `TransferStoppedError`. Default: none do. */
  readonly maxFailures?: number
  readonly onProgress?: (progress: TransferProgress) => void
  /** Called for each file when it is through. */
  readonly onFile?: (event: FileEvent) => void
}

export const treeOptions = [
  'concurrency',
  'signal',
  'journal',
  'maxFailures',
  'onProgress',
  'onFile',
] as const

/** Errors of one file after which all others would fail alike. */
const ends = new Set(['HCP_CLOSED', 'HCP_AUTHORIZATION', 'HCP_CERTIFICATE'])
const diskEnds = new Set(['ENOSPC', 'EDQUOT', 'EROFS'])

interface Meter {
  readonly onProgress: OnProgress
  /** Its bytes are no longer under way. */
  readonly end: () => void
}

/** Counts what becomes of the files of a tree. */
export class Tally {
  readonly #began = performance.now()
  readonly #maxFailures: number
  readonly #onProgress: TreeOptions['onProgress']
  readonly #onFile: TreeOptions['onFile']
  readonly #counts: Record<FileOutcome, number> = {
    stored: 0,
    identical: 0,
    resumed: 0,
    failed: 0,
    ignored: 0,
  }
  readonly #failed: FailedFile[] = []
  #bytes = 0
  #underWay = 0
  #totalFiles: number | undefined

  constructor({ maxFailures = Number.POSITIVE_INFINITY, onProgress, onFile }: TreeOptions) {
    this.#maxFailures = maxFailures
    this.#onProgress = onProgress
    this.#onFile = onFile
  }

  get #files(): number {
    const { stored, identical, resumed, failed } = this.#counts
    return stored + identical + resumed + failed
  }

  add(
    outcome: Exclude<FileOutcome, 'failed'>,
    file: string,
    path: string | undefined,
    size: number | undefined,
  ): void {
    this.#counts[outcome]++
    if (outcome === 'stored') this.#bytes += size ?? 0
    this.#onFile?.({ file, path, outcome, size, error: undefined })
    this.#report()
  }

  /** @throws {TransferStoppedError} if going on makes no sense. */
  fail(file: string, path: string | undefined, thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    this.#counts.failed++
    this.#failed.push({ file, path, error })
    this.#onFile?.({ file, path, outcome: 'failed', size: undefined, error })
    this.#report()
    if (
      error instanceof JournalError ||
      (HcpError.isInstance(error) && ends.has(error.code)) ||
      diskEnds.has(systemCode(error) ?? '')
    )
      throw this.stopped('the transfer cannot go on', error)
    if (this.#failed.length >= this.#maxFailures)
      throw this.stopped(`the transfer ended after ${this.#failed.length} files that failed`, error)
  }

  /** Follows one file while it is under way. `undefined` where nobody wants to know. */
  meter(): Meter | undefined {
    if (this.#onProgress === undefined) return undefined
    let counted = 0
    const count = (transferred: number): void => {
      this.#underWay += transferred - counted
      counted = transferred
    }
    return {
      onProgress: ({ transferred }) => {
        count(transferred)
        this.#report()
      },
      end: () => count(0),
    }
  }

  /** Passes entries on; at their end it is known how many files there are. */
  async *counting<Entry>(
    entries: AsyncIterable<Entry>,
    isFile: (entry: Entry) => boolean,
  ): AsyncGenerator<Entry, void> {
    let files = 0
    for await (const entry of entries) {
      if (isFile(entry)) files++
      yield entry
    }
    this.#totalFiles = files
    this.#report()
  }

  #report(): void {
    this.#onProgress?.({
      files: this.#files,
      bytes: this.#bytes + this.#underWay,
      totalFiles: this.#totalFiles,
    })
  }

  summary(): TransferSummary {
    const { stored, identical, resumed, ignored } = this.#counts
    return {
      files: this.#files,
      stored,
      identical,
      resumed,
      failed: [...this.#failed],
      ignored,
      bytes: this.#bytes,
      duration: performance.now() - this.#began,
    }
  }

  stopped(why: string, cause: Error): TransferStoppedError {
    return new TransferStoppedError(`${why}: ${cause.message}`, this.summary(), cause)
  }
}

/** @throws {TypeError | RangeError} for options that both directions have, by name. */
export function checkTreeOptions({
  concurrency,
  journal,
  maxFailures,
  onProgress,
  onFile,
}: TreeOptions): void {
  if (concurrency !== undefined) checkInteger('concurrency', concurrency, 1, 254)
  if (journal !== undefined) checkString('journal', journal)
  if (maxFailures !== undefined && maxFailures !== Number.POSITIVE_INFINITY)
    checkInteger('maxFailures', maxFailures, 1, Number.MAX_SAFE_INTEGER)
  for (const [name, value] of Object.entries({ onProgress, onFile }))
    if (value !== undefined && typeof value !== 'function') throw new TypeError(`${name} must be a function`)
}
