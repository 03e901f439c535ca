import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { FolderLock } from './folder-lock.ts'
import type { NewOperation, OperationChanges } from './operation.ts'

/** Something to be written to the sink: a log, or how it ended. */
export type SpoolContent =
  | { readonly add: NewOperation & { readonly id: string } }
  | { readonly close: string; readonly changes: OperationChanges }

/** Numbered in the order in which it happened. */
export type SpoolRecord = SpoolContent & { readonly n: number }

type Line = SpoolRecord | { readonly done: number } | { readonly open: string }

/** Lines that are settled before the file is written anew. */
const slack = 1000

/**
 * Operation logs on their way, in a folder of their own: `journal.jsonl` has a line for each that is to be written, and one when it has been.
 * So what is not written yet, and which logs are open, is known after a crash as well.
 */
export class Spool {
  readonly #folder: string
  readonly #lock: FolderLock
  readonly #waiting: Map<number, SpoolRecord> = new Map()
  readonly #open: Set<string> = new Set()
  #file: FileHandle | undefined
  #lines = 0
  #count = 0
  /** A write has failed and may have left half a line. */
  #torn = false
  /** One write at a time. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(folder: string, lock: FolderLock) {
    this.#folder = folder
    this.#lock = lock
  }

  /** Makes the folder if there is none. @throws {Error} if another program has it, or it cannot be written to. */
  static async open(folder: string): Promise<Spool> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const lock = await FolderLock.take(folder)
    try {
      const spool = new Spool(folder, lock)
      await spool.#read()
      await spool.#rewrite()
      return spool
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** What is not written to the sink yet, in order. */
  get waiting(): SpoolRecord[] {
    return [...this.#waiting.values()]
  }

  /** Ids of the logs that have not been closed. */
  get open(): string[] {
    return [...this.#open]
  }

  /** `stored` resolves when it is on the disk. */
  append(content: SpoolContent): { readonly record: SpoolRecord; readonly stored: Promise<void> } {
    const numbered: SpoolRecord = { n: ++this.#count, ...content }
    this.#take(numbered)
    return { record: numbered, stored: this.#write(numbered, true) }
  }

  /** Need not reach the disk: the sink takes the same twice. */
  done(n: number): Promise<void> {
    this.#waiting.delete(n)
    return this.#write({ done: n }, false)
  }

  /** Keeps what the sink will never take, in `refused.jsonl`. */
  async setAside(record: SpoolRecord, reason: string): Promise<void> {
    const file = await open(join(this.#folder, 'refused.jsonl'), 'a', 0o600)
    try {
      await file.appendFile(`${JSON.stringify({ ...record, reason, at: new Date().toISOString() })}\n`)
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  async close(): Promise<void> {
    await this.#last
    try {
      await this.#rewrite()
    } finally {
      await this.#file?.close()
      this.#file = undefined
      await this.#lock.release()
    }
  }

  #take(line: Line): void {
    if ('done' in line) {
      this.#waiting.delete(line.done)
      return
    }
    if ('open' in line) {
      this.#open.add(line.open)
      return
    }
    this.#waiting.set(line.n, line)
    this.#count = Math.max(this.#count, line.n)
    if ('add' in line) this.#open.add(line.add.id)
    else this.#open.delete(line.close)
  }

  async #read(): Promise<void> {
    const text = await readFile(join(this.#folder, 'journal.jsonl'), 'utf8').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
      throw error
    })
    for (const part of text.split('\n')) {
      const line = parseLine(part)
      if (line !== undefined) this.#take(line)
    }
  }

  #write(line: Line, toDisk: boolean): Promise<void> {
    const written = this.#last.then(async () => {
      if (this.#file === undefined) throw new Error(`The spool in ${this.#folder} is closed.`)
      const text = `${this.#torn ? '\n' : ''}${JSON.stringify(line)}\n`
      try {
        await this.#file.appendFile(text)
        this.#torn = false
      } catch (error) {
        this.#torn = true
        throw error
      }
      this.#lines++
      if (toDisk) await this.#file.datasync()
    })
    this.#last = written
      .then(async () => {
        if (this.#lines > slack + 2 * (this.#waiting.size + this.#open.size)) await this.#rewrite()
      })
      // Whoever waits for `written` is told of it; a file that stays long does no harm.
      .catch(() => {})
    return written
  }

  /** A new file, with what still counts. */
  async #rewrite(): Promise<void> {
    const waiting = this.waiting
    // Those that are to be added come as open by that.
    const added = new Set(waiting.map((record) => ('add' in record ? record.add.id : undefined)))
    const lines: Line[] = [
      ...this.open.filter((id) => !added.has(id)).map((id) => ({ open: id })),
      ...waiting,
    ]
    const path = join(this.#folder, 'journal.jsonl')
    const file = await open(`${path}.new`, 'w', 0o600)
    try {
      await file.writeFile(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
      await file.datasync()
      await rename(`${path}.new`, path)
      await syncFolder(this.#folder)
    } catch (error) {
      await file.close()
      throw error
    }
    await this.#file?.close()
    this.#file = file
    this.#lines = lines.length
    this.#torn = false
  }
}

/** Undefined for what a crash has left of a line. */
function parseLine(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    return 'done' in value || 'open' in value || 'add' in value || 'close' in value
      ? (value as Line)
      : undefined
  } catch {
    return undefined
  }
}

/** So that a new name is there after a power cut. Windows can open no folder. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  try {
    await handle?.sync()
  } finally {
    await handle?.close()
  }
}
