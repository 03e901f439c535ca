import { isUtf8 } from 'node:buffer'

/** The text of one entry, or why there is none. */
export type Piece = string | { readonly error: string }

/** Cuts a body that comes in chunks into the texts of its entries. */
export interface Splitter {
  push(chunk: Buffer, emit: (piece: Piece) => void): void
  /** The body is at its end. */
  end(emit: (piece: Piece) => void): void
}

/** Bytes of one entry in a bulk request. */
export const maxEntryBytes: number = 64 * 1024 * 1024

/** The text of one entry, put together from the chunks that it came in. */
export class Remainder {
  readonly #limit: number
  #chunks: Buffer[] = []
  #length = 0
  #tooLong = false

  constructor(limit: number) {
    this.#limit = limit
  }

  get empty(): boolean {
    return this.#length === 0
  }

  add(chunk: Buffer): void {
    this.#length += chunk.length
    if (this.#length > this.#limit) {
      this.#tooLong = true
      this.#chunks = []
    } else if (chunk.length > 0) {
      this.#chunks.push(chunk)
    }
  }

  /** What has been added since the last time. */
  take(): Piece {
    const [only] = this.#chunks
    const bytes = this.#chunks.length === 1 ? only! : Buffer.concat(this.#chunks)
    const piece = this.#tooLong ? { error: `The entry is longer than ${this.#limit} bytes.` } : decode(bytes)
    this.#chunks = []
    this.#length = 0
    this.#tooLong = false
    return piece
  }
}

export function decode(bytes: Buffer): Piece {
  return isUtf8(bytes) ? bytes.toString() : { error: 'The entry is not valid UTF-8.' }
}

const newline = 0x0a

/** Of NDJSON: a piece for each line, blank ones included, since lines are counted. */
export class LineSplitter implements Splitter {
  readonly #limit: number
  readonly #rest: Remainder

  constructor(limit: number = maxEntryBytes) {
    this.#limit = limit
    this.#rest = new Remainder(limit)
  }

  push(chunk: Buffer, emit: (piece: Piece) => void): void {
    const first = chunk.indexOf(newline)
    if (first === -1) {
      this.#rest.add(chunk)
      return
    }
    this.#rest.add(chunk.subarray(0, first))
    emit(this.#rest.take())
    const last = chunk.lastIndexOf(newline)
    if (last > first) this.#whole(chunk.subarray(first + 1, last), emit)
    this.#rest.add(chunk.subarray(last + 1))
  }

  end(emit: (piece: Piece) => void): void {
    if (!this.#rest.empty) emit(this.#rest.take())
  }

  /** Lines that lie in one chunk are decoded all at once, which is faster by far than one by one. */
  #whole(lines: Buffer, emit: (piece: Piece) => void): void {
    if (lines.length > this.#limit || !isUtf8(lines)) {
      let start = 0
      while (start <= lines.length) {
        const found = lines.indexOf(newline, start)
        const end = found === -1 ? lines.length : found
        this.#rest.add(lines.subarray(start, end))
        emit(this.#rest.take())
        start = end + 1
      }
      return
    }
    for (const text of lines.toString().split('\n')) emit(text)
  }
}
