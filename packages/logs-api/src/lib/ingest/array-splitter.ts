import { maxEntryBytes, Remainder, type Piece, type Splitter } from './line-splitter.ts'

const quote = 0x22
const comma = 0x2c
const opening = 0x5b
const backslash = 0x5c
const closing = 0x5d
const openingBrace = 0x7b
const closingBrace = 0x7d

/**
 * Of a JSON array: a piece for each element. It looks for the commas between the elements alone; whether an element is JSON is for its reader to
 * find out, so that one that is none does not spoil the others.
 */
export class ArraySplitter implements Splitter {
  readonly #rest: Remainder
  #state: 'before' | 'inside' | 'after' = 'before'
  /** Brackets that are open within the element. */
  #depth = 0
  #inText = false
  #escaped = false
  /** There was something else than blanks in the element. */
  #begun = false
  #elements = 0
  #complained = false

  constructor(limit: number = maxEntryBytes) {
    this.#rest = new Remainder(limit)
  }

  push(chunk: Buffer, emit: (piece: Piece) => void): void {
    let position = 0
    if (this.#state === 'before') {
      position = chunk.indexOf(opening)
      if (position === -1) return
      position++
      this.#state = 'inside'
    }
    if (this.#state === 'inside') position = this.#inside(chunk, position, emit)
    if (this.#state === 'after') this.#after(chunk, position, emit)
  }

  end(emit: (piece: Piece) => void): void {
    if (this.#state !== 'inside') return
    this.#rest.take()
    emit({ error: 'The array has no end: the body was cut off here.' })
  }

  /** Gives the place behind what it has read. */
  #inside(chunk: Buffer, from: number, emit: (piece: Piece) => void): number {
    let start = from
    let position = from
    for (; position < chunk.length; position++) {
      const byte = chunk[position]!
      if (this.#inText) {
        if (this.#escaped) this.#escaped = false
        else if (byte === backslash) this.#escaped = true
        else if (byte === quote) this.#inText = false
        continue
      }
      if (this.#depth === 0 && (byte === comma || byte === closing)) {
        this.#rest.add(chunk.subarray(start, position))
        start = position + 1
        this.#element(byte === closing, emit)
        if (byte === closing) return start
        continue
      }
      if (!isBlank(byte)) this.#begun = true
      if (byte === quote) this.#inText = true
      else if (byte === opening || byte === openingBrace) this.#depth++
      else if ((byte === closing || byte === closingBrace) && this.#depth > 0) this.#depth--
    }
    this.#rest.add(chunk.subarray(start))
    return position
  }

  #element(last: boolean, emit: (piece: Piece) => void): void {
    const piece = this.#rest.take()
    if (last) this.#state = 'after'
    if (this.#begun) emit(piece)
    else if (!last || this.#elements > 0) emit({ error: 'There is no entry between two commas.' })
    this.#begun = false
    this.#elements++
  }

  #after(chunk: Buffer, from: number, emit: (piece: Piece) => void): void {
    if (this.#complained || chunk.subarray(from).every(isBlank)) return
    this.#complained = true
    emit({ error: 'There is text behind the end of the array: it was not read.' })
  }
}

export function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}
