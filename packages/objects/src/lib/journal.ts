import { type FileHandle, open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { lockFile } from './file-lock.ts'
import { JournalError } from './transfer-errors.ts'

/** What a transfer is of: the first line of its journal. A journal with another first line is refused. */
export type JournalSubject = Readonly<Record<string, string | number | boolean | null>>

/** Bytes: far more than a record with two paths of 4,095 bytes needs. */
const longestLine = 1 << 20

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * A file of JSON lines that remembers what a transfer has done, so that the next run goes on from there: the first line says of which
 * transfer, each further one is a record. Written by appending only. A last line that was cut off by a crash is dropped.
 */
export class Journal {
  /** Absolute. */
  readonly file: string
  readonly #handle: FileHandle
  readonly #release: () => Promise<void>
  #lines: string[] = []
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #failure: JournalError | undefined

  private constructor(file: string, handle: FileHandle, release: () => Promise<void>) {
    this.file = file
    this.#handle = handle
    this.#release = release
  }

  /**
   * Opens a journal or begins one. It is this transfer's alone until it is closed.
   *
   * @param onRecord Called for each record of earlier runs, in order.
   * @throws {JournalError} if it is that of another transfer, damaged, in use, or cannot be opened.
   */
  static async open(
    path: string,
    subject: JournalSubject,
    onRecord: (record: unknown) => void,
  ): Promise<Journal> {
    const file = resolve(path)
    const release = await lockFile(file).catch((cause: unknown) => {
      throw systemJournalError(file, cause)
    })
    if (release === undefined)
      throw new JournalError(file, 'busy', `the journal ${file} is in use by another transfer`)
    let handle: FileHandle | undefined
    try {
      handle = await open(file, 'a+')
      const first = `${JSON.stringify(subject)}\n`
      const end = await readRecords(file, handle, first, subject, onRecord)
      await handle.truncate(end)
      if (end === 0) {
        await handle.appendFile(first)
        await handle.datasync()
      }
      return new Journal(file, handle, release)
    } catch (error) {
      await handle?.close()
      await release()
      throw error instanceof JournalError ? error : systemJournalError(file, error)
    }
  }

  /**
   * Adds a record. It outlives the end of this process, not at once that of the machine.
   *
   * @throws {JournalError} if an earlier one could not be written.
   */
  note(record: object): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#lines.push(`${JSON.stringify(record)}\n`)
    this.#writing ??= this.#write()
  }

  /** Adds a record and waits until it, with all before it, is on the disk. Calls that come together share one wait. */
  commit(record: object): Promise<void> {
    return new Promise((resolve, reject) => {
      this.note(record)
      this.#waiting.push({ resolve, reject })
    })
  }

  async #write(): Promise<void> {
    // The records of this turn go out together.
    await Promise.resolve()
    while (this.#lines.length > 0) {
      const lines = this.#lines
      const waiting = this.#waiting
      this.#lines = []
      this.#waiting = []
      try {
        await this.#handle.appendFile(lines.join(''))
        if (waiting.length > 0) await this.#handle.datasync()
        for (const { resolve } of waiting) resolve()
      } catch (cause) {
        this.#failure = systemJournalError(this.file, cause)
        for (const { reject } of [...waiting, ...this.#waiting]) reject(this.#failure)
        this.#lines = []
        this.#waiting = []
      }
    }
    this.#writing = undefined
  }

  /** Writes what is left and gives the journal free. @throws {JournalError} if not all of it could be written. */
  async close(): Promise<void> {
    await this.#writing
    try {
      if (this.#failure === undefined) await this.#handle.datasync()
    } finally {
      await this.#handle.close()
      await this.#release()
    }
    if (this.#failure !== undefined) throw this.#failure
  }
}

/** @returns Where the last whole record ends: 0 where not even the first line is whole. */
async function readRecords(
  file: string,
  handle: FileHandle,
  first: string,
  subject: JournalSubject,
  onRecord: (record: unknown) => void,
): Promise<number> {
  let rest: Buffer = Buffer.alloc(0)
  let number = 0
  let end = 0
  // Of a line that cannot be read: fine at the end, where a crash may have torn several of them.
  let broken: number | undefined
  for await (const chunk of handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 1 << 20 })) {
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer])
    let from = 0
    for (let at = rest.indexOf(10); at >= 0; at = rest.indexOf(10, from)) {
      number++
      const line = rest.toString('utf8', from, at)
      const length = at + 1 - from
      from = at + 1
      if (number === 1) checkSubject(file, line, first, subject)
      else {
        const record = parsed(line)
        if (record === undefined) {
          broken ??= number
          continue
        }
        if (broken !== undefined)
          throw new JournalError(file, 'damaged', `line ${broken} of the journal ${file} is damaged`)
        onRecord(record)
      }
      end += length
    }
    rest = rest.subarray(from)
    if (rest.length > longestLine) throw notOurs(file)
  }
  if (number === 0 && !first.startsWith(rest.toString())) throw notOurs(file)
  return end
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown
  } catch {
    return undefined
  }
}

function checkSubject(file: string, line: string, first: string, subject: JournalSubject): void {
  if (`${line}\n` === first) return
  const found = parsed(line)
  if (typeof found !== 'object' || found === null || !('transfer' in found)) throw notOurs(file)
  const facts = found as Record<string, unknown>
  const differs = Object.keys(subject).filter((name) => facts[name] !== subject[name])
  const list = differs.map(
    (name) => `${name} ${JSON.stringify(facts[name])} instead of ${JSON.stringify(subject[name])}`,
  )
  const message = `the journal ${file} is that of another transfer: ${list.join(', ')}; give each transfer its own`
  throw new JournalError(file, 'other', message)
}

const notOurs = (file: string): JournalError =>
  new JournalError(file, 'damaged', `${file} is not the journal of a transfer; it is left as it is`)

function systemJournalError(file: string, cause: unknown): JournalError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new JournalError(file, 'system', `the journal ${file} cannot be used: ${reason}`, cause)
}
