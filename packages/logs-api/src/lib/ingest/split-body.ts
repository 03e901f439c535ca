import { Refusal } from '../http/refusal.ts'
import { ArraySplitter, isBlank } from './array-splitter.ts'
import { LineSplitter, type Piece, type Splitter } from './line-splitter.ts'
import { mediaType } from './media-type.ts'

const lineTypes = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
])
/** Blanks at the beginning of a body of unknown type are kept until it shows what it is. */
const patience = 1024 * 1024

/** Finds out by type and first byte whether a body is NDJSON or a JSON array, and splits it as that. */
export class BodySplitter implements Splitter {
  readonly #type: string
  #chosen: Splitter | undefined
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(contentType: string | undefined) {
    this.#type = mediaType(contentType)
    if (lineTypes.has(this.#type)) this.#chosen = new LineSplitter()
  }

  push(chunk: Buffer, emit: (piece: Piece) => void): void {
    if (this.#chosen !== undefined) {
      this.#chosen.push(chunk, emit)
      return
    }
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    const first = chunk.find((byte) => !isBlank(byte) && !byteOrderMark.includes(byte))
    if (first !== undefined || this.#heldBytes > patience) this.#choose(first, emit)
  }

  end(emit: (piece: Piece) => void): void {
    this.#chosen?.end(emit)
  }

  #choose(first: number | undefined, emit: (piece: Piece) => void): void {
    const isArray = first === 0x5b
    if (!isArray && this.#type === 'application/json') {
      throw new Refusal(400, 'The body is no JSON array. Send one, or lines of JSON as application/x-ndjson.')
    }
    const splitter = isArray ? new ArraySplitter() : new LineSplitter()
    this.#chosen = splitter
    for (const chunk of this.#held) splitter.push(chunk, emit)
    this.#held = []
  }
}

const byteOrderMark = Buffer.from('\uFEFF')
