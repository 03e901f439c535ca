import type { Entries, NewEntry } from '../entries/entry.ts'
import { parseExactly } from '../exact-json.ts'
import { newEntry } from '../entries/new-entry.ts'
import { excessOf } from '../http/json-body.ts'
import { Refusal } from '../http/refusal.ts'
import type { Piece, Splitter } from './line-splitter.ts'
import type { WriteRights } from './write-rights.ts'

export interface LineError {
  /** From 1: of the line, or of the element in an array. */
  readonly line: number
  readonly error: string
}

export interface BulkResult {
  readonly accepted: number
  readonly rejected: number
  /** At most 1,000 of them. */
  readonly errors: readonly LineError[]
}

export interface BulkOptions {
  readonly splitter: Splitter
  readonly entries: Entries
  readonly rights: WriteRights
  /** See `RequestIdentity`. */
  readonly entryId?: ((index: number) => NewEntry['id']) | undefined
  /** After each batch. */
  readonly stored?: () => void
}

const maxErrors = 1000
/** Of a batch: one transaction. */
const maxRows = 5000
/** Of a batch: characters of JSON. */
const maxLength = 4 * 1024 * 1024
/** Characters up to which reading takes no time to speak of, whatever they are. */
const longLine = 64 * 1024

/**
 * Stores the entries of a body as it comes in, batch by batch; while one batch is being written the next is read, and no more.
 * @throws {Refusal} 503 when the store fails, 400 when the body breaks off; both say how far it got.
 */
export async function storeAll(chunks: AsyncIterable<Buffer>, options: BulkOptions): Promise<BulkResult> {
  const bulk = new Bulk(options)
  try {
    for await (const chunk of whole(chunks)) {
      bulk.read(chunk)
      if (bulk.full) await bulk.store()
    }
    bulk.end()
    await bulk.store()
    await bulk.settled()
  } catch (error) {
    // What is being written shall be over, and counted, before anything is said about it.
    await bulk.settled().catch(() => {})
    throw bulk.refusal(error)
  }
  return bulk.result()
}

async function* whole(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* chunks
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(400, 'The body broke off.', { cause: error })
  }
}

interface Line {
  readonly line: number
  readonly entry: NewEntry
}

class StoreFailure extends Error {
  override name = 'StoreFailure'
}

class Bulk {
  readonly #options: BulkOptions
  readonly #errors: LineError[] = []
  #rejected = 0
  #accepted = 0
  #line = 0
  /** All lines up to this one are stored or rejected. */
  #done = 0
  #batch: Line[] = []
  #length = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(options: BulkOptions) {
    this.#options = options
  }

  get full(): boolean {
    return this.#batch.length >= maxRows || this.#length >= maxLength
  }

  read(chunk: Buffer): void {
    this.#options.splitter.push(chunk, this.#piece)
  }

  end(): void {
    this.#options.splitter.end(this.#piece)
  }

  readonly #piece = (piece: Piece): void => {
    const line = ++this.#line
    if (typeof piece !== 'string') {
      this.#reject(line, piece.error)
      return
    }
    const text = line === 1 && piece.startsWith('\uFEFF') ? piece.slice(1) : piece
    if (text.trim() === '') return
    const excess = text.length > longLine ? excessOf(Buffer.from(text)) : undefined
    if (excess !== undefined) {
      this.#reject(line, `The entry ${excess}`)
      return
    }
    let fields: unknown
    try {
      fields = parseExactly(text)
    } catch {
      this.#reject(line, 'The line is not JSON.')
      return
    }
    try {
      const entry = newEntry(fields, { own: true, id: this.#options.entryId?.(line - 1) })
      this.#batch.push({ line, entry })
      this.#length += text.length
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#reject(line, error.message)
    }
  }

  #reject(line: number, error: string): void {
    this.#rejected++
    if (this.#errors.length < maxErrors) this.#errors.push({ line, error })
  }

  /** Hands the batch over when the one before is stored. */
  async store(): Promise<void> {
    const lines = this.#batch
    const upTo = this.#line
    this.#batch = []
    this.#length = 0
    const permitted = await this.#permitted(lines).catch((error: unknown) => {
      throw new StoreFailure('The store failed.', { cause: error })
    })
    await this.#writing
    this.#writing = this.#write(permitted, upTo)
    // It is awaited later.
    this.#writing.catch(() => {})
  }

  /** When nothing is being written any more. */
  settled(): Promise<void> {
    return this.#writing
  }

  async #permitted(lines: readonly Line[]): Promise<NewEntry[]> {
    const { rights } = this.#options
    if (rights.everywhere) return lines.map(({ entry }) => entry)
    const permitted: NewEntry[] = []
    for (const { line, entry } of lines) {
      const answer = rights.refusal(entry.dataset_id)
      // A promise for each line would cost more than the rest of the work on it.
      const refusal = answer instanceof Promise ? await answer : answer
      if (refusal === undefined) permitted.push(entry)
      else this.#reject(line, refusal)
    }
    return permitted
  }

  async #write(entries: readonly NewEntry[], upTo: number): Promise<void> {
    try {
      if (entries.length > 0) await this.#options.entries.addAll(entries)
    } catch (error) {
      throw new StoreFailure('The store failed.', { cause: error })
    }
    this.#accepted += entries.length
    this.#done = upTo
    this.#options.stored?.()
  }

  result(): BulkResult {
    return {
      accepted: this.#accepted,
      rejected: this.#rejected,
      errors: this.#errors.toSorted((one, other) => one.line - other.line),
    }
  }

  /** What to tell of an error: also how far the request got. */
  refusal(error: unknown): unknown {
    const far = `${this.#accepted} entries are stored for certain, those of the first ${this.#done} lines.`
    // The rest of the body is not read.
    const headers = { connection: 'close' }
    if (error instanceof StoreFailure) {
      return new Refusal(
        503,
        `The store failed. ${far} Send the others again, or all of them with the same Idempotency-Key.`,
        { headers: { ...headers, 'retry-after': '1' }, cause: error.cause },
      )
    }
    if (!(error instanceof Refusal)) return error
    return new Refusal(error.status, `${error.message} ${far}`, {
      headers: { ...error.headers, ...headers },
      cause: error.cause,
    })
  }
}
