import { channel } from 'node:diagnostics_channel'
import { Readable } from 'node:stream'

/** What the body needs of the exchange it belongs to. */
export interface Flow {
  pause(): void
  resume(): void
  /** Gives the answer up: the socket is closed. */
  abandon(): void
  /** For a reader whose answer is given up. */
  givenUp(): Error
}

/** Held back for a reader that has not begun or is slow; then the socket waits. */
const highWaterMark = 128 * 1024
/** A rest of at most this size is read and dropped, which keeps the connection; a larger one costs the connection. */
const worthDraining = 128 * 1024

type Mode = 'wait' | 'collect' | 'stream' | 'drop'

/** The bytes of one answer on their way from the socket to the reader; bounded unless all are asked for at once. */
export class AnswerBody {
  #mode: Mode
  #chunks: Buffer[] = []
  #queued = 0
  #received = 0
  #paused = false
  #ended = false
  #error: Error | undefined
  #used = false
  /** Calls of `read` that wait. */
  #reading = 0
  #stream: Readable | undefined
  #waiting: (() => void) | undefined
  readonly #flow: Flow
  readonly #collectLimit: number

  /** @param collectLimit Up to this many bytes are taken in without a reader, so that a small answer frees its connection by itself. */
  constructor(flow: Flow, collectLimit: number) {
    this.#flow = flow
    this.#collectLimit = Math.max(collectLimit, highWaterMark)
    this.#mode = 'wait'
  }

  get received(): number {
    return this.#received
  }

  get used(): boolean {
    return this.#used
  }

  get ended(): boolean {
    return this.#ended
  }

  // What the exchange reports.

  push(chunk: Buffer): void {
    this.#received += chunk.length
    if (this.#mode === 'drop') {
      if (this.#received > this.#queued + worthDraining) this.#flow.abandon()
      return
    }
    if (this.#mode === 'stream') {
      if (!(this.#stream as Readable).push(chunk)) this.#pause()
      return
    }
    this.#chunks.push(chunk)
    this.#queued += chunk.length
    if (this.#mode === 'wait' && this.#queued >= this.#collectLimit) this.#pause()
    this.#wake()
  }

  finish(): void {
    this.#ended = true
    this.#stream?.push(null)
    this.#wake()
  }

  fail(error: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#chunks = []
    this.#stream?.destroy(error)
    this.#wake()
  }

  // What the reader asks for.

  /** All bytes. */
  async bytes(): Promise<Buffer> {
    this.#use()
    this.#mode = 'collect'
    this.#go()
    while (!this.#ended) await this.#news()
    if (this.#error !== undefined) throw this.#error
    const chunks = this.#chunks
    this.#chunks = []
    const only = chunks.length === 1 ? (chunks[0] as Buffer) : undefined
    // A small piece must not keep the large buffer alive that it was read into.
    if (only !== undefined) return only.length * 2 > only.buffer.byteLength ? only : Buffer.from(only)
    return gather(chunks)
  }

  /** Up to `size` bytes, as many as are there, at least one; an empty buffer at the end. */
  async read(size: number): Promise<Buffer> {
    if (this.#used && (this.#mode !== 'wait' || this.#stream !== undefined)) this.#use()
    this.#used = true
    while (this.#chunks.length === 0 && !this.#ended) {
      this.#go()
      this.#reading++
      await this.#news()
      this.#reading--
    }
    if (this.#error !== undefined) throw this.#error
    let taken = 0
    const parts: Buffer[] = []
    while (taken < size) {
      const first = this.#chunks[0]
      if (first === undefined) break
      const part = first.subarray(0, size - taken)
      if (part.length === first.length) this.#chunks.shift()
      else this.#chunks[0] = first.subarray(part.length)
      parts.push(part)
      taken += part.length
    }
    this.#queued -= taken
    if (this.#queued < highWaterMark) this.#go()
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
  }

  stream(): Readable {
    if (this.#stream !== undefined) return this.#stream
    this.#use()
    const stream = new Readable({
      highWaterMark,
      read: () => this.#go(),
      destroy: (error, callback) => {
        if (!this.#ended) {
          this.#mode = 'drop'
          this.#flow.abandon()
        }
        callback(error)
      },
    })
    this.#stream = stream
    this.#mode = 'stream'
    const chunks = this.#chunks
    this.#chunks = []
    if (this.#error !== undefined) stream.destroy(this.#error)
    else {
      for (const chunk of chunks) stream.push(chunk)
      if (this.#ended) stream.push(null)
    }
    return stream
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void> {
    let chunk = await this.read(highWaterMark)
    try {
      while (chunk.length > 0) {
        yield chunk
        chunk = await this.read(highWaterMark)
      }
    } finally {
      this.drop()
    }
  }

  /** Somebody has asked for all bytes. */
  get collecting(): boolean {
    return this.#mode === 'collect'
  }

  /**
   * Lets the rest go: a small one is read off so that the connection can be used again, a large one closes it. A reader that is at
   * it fails: what it has is not the whole.
   */
  drop(): void {
    if (this.#ended || this.#mode === 'drop') return
    // Somebody waits for bytes, or has the stream, right now.
    if (this.#mode === 'collect' || this.#mode === 'stream' || this.#reading > 0) {
      this.fail(this.#flow.givenUp())
      this.#mode = 'drop'
      this.#flow.abandon()
      return
    }
    this.#used = true
    this.#mode = 'drop'
    this.#chunks = []
    this.#queued = this.#received
    this.#go()
  }

  /** Resolves when the last byte has come; rejects with what cut the answer short. */
  async whole(): Promise<void> {
    while (!this.#ended) await this.#news()
    if (this.#error !== undefined) throw this.#error
  }

  #use(): void {
    if (this.#used) throw new TypeError('The body of this answer has been read already')
    this.#used = true
  }

  #pause(): void {
    this.#paused = true
    this.#flow.pause()
  }

  #go(): void {
    if (!this.#paused || this.#ended) return
    this.#paused = false
    // Not at once: the parser that is to go on may be the one that called us, about another answer.
    queueMicrotask(() => this.#flow.resume())
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#waiting
      this.#waiting = () => {
        before?.()
        resolve()
      }
    })
  }

  #wake(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    waiting()
  }
}

const chunkChannel = channel('undici:request:bodyChunkReceived')

/**
 * Copies the pieces into one buffer, and gives back at once the memory that they were read into. Left to the collector, those
 * buffers of up to 64 KiB make it run so often that it takes half of a reader's time.
 *
 * Nobody else holds them: they are reads of a socket that carries one answer at a time, this answer has ended, and its pieces
 * were given to no reader. What Node cuts from its shared pool is smaller than half of that, and is left alone.
 */
function gather(pieces: readonly Buffer[]): Buffer {
  let length = 0
  for (const piece of pieces) length += piece.length
  const whole = Buffer.allocUnsafeSlow(length)
  const buffers = new Set<ArrayBufferLike>()
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
    if (piece.length > Buffer.poolSize / 2) buffers.add(piece.buffer)
  }
  if (!chunkChannel.hasSubscribers) {
    for (const buffer of buffers) if (buffer instanceof ArrayBuffer) buffer.transfer(0)
  }
  return whole
}
