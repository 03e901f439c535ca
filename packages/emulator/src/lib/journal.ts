import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { lockDirectory } from './data-lock.ts'

/**
 * - `JOURNAL_CORRUPT`: a line is no record; `line` says which
 * - `JOURNAL_FORMAT`: the file is no journal, or one of another version
 * - `JOURNAL_LOCKED`: another process uses the folder
 * - `JOURNAL_BROKEN`: a failed write could not be undone; nothing can be appended any more
 * - `JOURNAL_CLOSED`: the journal is closed
 */
export type JournalErrorCode =
  | 'JOURNAL_CORRUPT'
  | 'JOURNAL_FORMAT'
  | 'JOURNAL_LOCKED'
  | 'JOURNAL_BROKEN'
  | 'JOURNAL_CLOSED'

export class JournalError extends Error {
  override name = 'JournalError'
  readonly code: JournalErrorCode
  /** Number of the bad line, counted from 1. */
  readonly line: number | undefined

  constructor(code: JournalErrorCode, message: string, options?: ErrorOptions & { line?: number }) {
    super(message, options)
    this.code = code
    this.line = options?.line
  }
}

export interface JournalOptions {
  /** Wait until records have reached the disk (`fsync`), for power cuts; a kill needs no such care. Default: false. */
  readonly sync?: boolean
}

interface Pending {
  readonly line: string
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

interface Compaction {
  readonly promise: Promise<void>
  readonly records: () => Iterable<object>
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

const newline = 0x0a
const header = '{"format":"hcp-emulator journal","version":1}\n'
const block = 64 * 1024
const chunkLength = 1024 * 1024

/**
 * Records in the order they were appended, one JSON object a line, in `journal.jsonl` in a folder of its own. What has
 * been acknowledged is there again after the process was killed at any moment.
 */
export class Journal implements AsyncDisposable {
  readonly #file: string
  readonly #sync: boolean
  readonly #unlock: () => Promise<void>
  #handle: FileHandle
  #size: number
  #queue: Pending[] = []
  #compaction: Compaction | undefined
  #draining: Promise<void> | undefined
  #broken: JournalError | undefined
  #closing: Promise<void> | undefined

  private constructor(
    file: string,
    handle: FileHandle,
    size: number,
    sync: boolean,
    unlock: () => Promise<void>,
  ) {
    this.#file = file
    this.#handle = handle
    this.#size = size
    this.#sync = sync
    this.#unlock = unlock
  }

  /**
   * Opens the journal in `directory`, or starts one there. A last line that was cut off by a kill was never
   * acknowledged and is removed.
   *
   * @throws {JournalError} `JOURNAL_LOCKED`, `JOURNAL_FORMAT`
   */
  static async open(directory: string, options: JournalOptions = {}): Promise<Journal> {
    await mkdir(directory, { recursive: true })
    const unlock = await lockDirectory(directory).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EADDRINUSE') throw cause
      throw new JournalError('JOURNAL_LOCKED', cause.message, { cause })
    })
    const file = join(directory, 'journal.jsonl')
    let handle: FileHandle | undefined
    try {
      await rm(`${file}.new`, { force: true })
      handle = await openOrCreate(file)
      const size = await cutTornLine(handle)
      const journal = new Journal(file, handle, size, options.sync ?? false, unlock)
      if (size === 0) await journal.#write(header)
      else await checkHeader(handle, file)
      return journal
    } catch (error) {
      await handle?.close()
      await unlock()
      throw error
    }
  }

  /** Bytes in the file: grows with every record, until it is compacted. */
  get size(): number {
    return this.#size
  }

  /**
   * Reads what was written before the call, in order.
   *
   * @throws {JournalError} `JOURNAL_CORRUPT`
   */
  async *replay(): AsyncGenerator<Record<string, unknown>, void, undefined> {
    const decoder = new TextDecoder('utf-8', { fatal: true })
    let line = 1
    for await (const bytes of linesOf(this.#file, header.length, this.#size)) {
      line += 1
      let record: unknown
      try {
        record = JSON.parse(decoder.decode(bytes))
      } catch (cause) {
        throw corrupt(this.#file, line, cause)
      }
      if (typeof record !== 'object' || record === null || Array.isArray(record))
        throw corrupt(this.#file, line)
      yield record as Record<string, unknown>
    }
  }

  /**
   * Adds a record, as it is at the time of the call; resolves when the system has it. Records appended at about the
   * same time go out in one write, in the order of the calls.
   */
  append(record: object): Promise<void> {
    if (this.#closing) return Promise.reject(closed())
    const line = `${JSON.stringify(record)}\n`
    return new Promise((resolve, reject) => {
      this.#queue.push({ line, resolve, reject })
      this.#drain()
    })
  }

  /**
   * Replaces all records by those of `records`, which say the same in fewer lines. It is called (and its result read
   * to the end) in one go when every append before has been written and its caller has had a turn to act on that, so it
   * may be a generator over the state. Records appended meanwhile come after it, even if it has them already: replaying
   * one twice must do no harm. A kill leaves the old records or the new ones, whole.
   */
  compact(records: () => Iterable<object>): Promise<void> {
    if (this.#closing) return Promise.reject(closed())
    if (this.#compaction === undefined) {
      this.#compaction = { records, ...Promise.withResolvers<void>() }
      this.#drain()
    }
    return this.#compaction.promise
  }

  /** Writes what is still waiting, then closes the file. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await this.#draining
    await this.#handle.close()
    await this.#unlock()
  }

  #drain(): void {
    this.#draining ??= this.#work()
  }

  /** The only one that touches the file, so that nothing has to be guarded. */
  async #work(): Promise<void> {
    // Appends of this turn go out together.
    await Promise.resolve()
    while (this.#queue.length > 0 || this.#compaction) {
      await this.#writeQueue()
      const compaction = this.#compaction
      if (compaction === undefined) continue
      await nextTurn()
      try {
        if (this.#broken) throw this.#broken
        await this.#rewrite(compaction.records)
        compaction.resolve()
      } catch (error) {
        compaction.reject(error)
      } finally {
        this.#compaction = undefined
      }
    }
    // In the same turn as the last look at the queue: an append that comes now starts anew.
    this.#draining = undefined
  }

  async #writeQueue(): Promise<void> {
    const batch = this.#queue
    if (batch.length === 0) return
    this.#queue = []
    try {
      await this.#write(batch.map(({ line }) => line).join(''))
    } catch (error) {
      // The last first: who takes back what a record says must do so in this order.
      for (const { reject } of batch.toReversed()) reject(error)
      return
    }
    for (const { resolve } of batch) resolve()
  }

  /** All or nothing: what a failed write left behind is cut off again. */
  async #write(text: string): Promise<void> {
    if (this.#broken) throw this.#broken
    const bytes = Buffer.from(text)
    try {
      await writeFully(this.#handle, bytes, this.#size)
      if (this.#sync) await this.#handle.datasync()
    } catch (error) {
      await this.#handle.truncate(this.#size).catch((cause: unknown) => {
        this.#broken = new JournalError('JOURNAL_BROKEN', `${this.#file}: a failed write stays in it`, {
          cause,
        })
      })
      throw error
    }
    this.#size += bytes.length
  }

  async #rewrite(records: () => Iterable<object>): Promise<void> {
    const chunks = chunksOf(records())
    const temporary = `${this.#file}.new`
    const handle = await open(temporary, 'w+')
    let size = 0
    try {
      for (const chunk of chunks) {
        await writeFully(handle, chunk, size)
        size += chunk.length
      }
      // Always: a name that reaches the disk before its data would lose everything in a power cut.
      await handle.sync()
      await rename(temporary, this.#file)
    } catch (error) {
      await handle.close()
      await rm(temporary, { force: true })
      throw error
    }
    const old = this.#handle
    this.#handle = handle
    this.#size = size
    await old.close()
  }
}

async function openOrCreate(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return open(file, 'wx+')
  }
}

/** Shortens the file to its last complete line; returns its length in bytes. */
async function cutTornLine(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat()
  const buffer = Buffer.alloc(block)
  let end = size
  while (end > 0) {
    const start = Math.max(0, end - block)
    const { bytesRead } = await handle.read(buffer, 0, end - start, start)
    const last = buffer.subarray(0, bytesRead).lastIndexOf(newline)
    if (last >= 0) {
      end = start + last + 1
      break
    }
    end = start
  }
  if (end < size) await handle.truncate(end)
  return end
}

async function checkHeader(handle: FileHandle, file: string): Promise<void> {
  const buffer = Buffer.alloc(header.length)
  await handle.read(buffer, 0, header.length, 0)
  if (buffer.toString() === header) return
  throw new JournalError('JOURNAL_FORMAT', `${file} is not a journal of this version of the emulator`)
}

async function* linesOf(file: string, start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
  if (start >= end) return
  const rest: Buffer[] = []
  const stream = createReadStream(file, { start, end: end - 1, highWaterMark: chunkLength })
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let from = 0
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      const piece = chunk.subarray(from, at)
      yield rest.length > 0 ? Buffer.concat([...rest.splice(0), piece]) : piece
      from = at + 1
    }
    if (from < chunk.length) rest.push(chunk.subarray(from))
  }
}

function chunksOf(records: Iterable<object>): Buffer[] {
  const chunks: Buffer[] = []
  let text = header
  for (const record of records) {
    text += `${JSON.stringify(record)}\n`
    if (text.length < chunkLength) continue
    chunks.push(Buffer.from(text))
    text = ''
  }
  chunks.push(Buffer.from(text))
  return chunks
}

async function writeFully(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const result = await handle.write(bytes, written, bytes.length - written, position + written)
    written += result.bytesWritten
  }
}

function corrupt(file: string, line: number, cause?: unknown): JournalError {
  return new JournalError('JOURNAL_CORRUPT', `${file}: line ${line} is no record`, { cause, line })
}

function closed(): JournalError {
  return new JournalError('JOURNAL_CLOSED', 'the journal is closed')
}
