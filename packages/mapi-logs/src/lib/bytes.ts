import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Content as it comes. Nothing is read ahead of the reader, whatever the content's size. */
export type Bytes = AsyncIterable<Uint8Array>

/** Content whose first bytes have been looked at; `whole` begins with them. */
export interface Peeked {
  /** At most as many as asked for; fewer if the content is shorter. */
  readonly head: Buffer
  readonly whole: Bytes
  /** Gives up what has not been read, also if nobody has begun to. */
  readonly close: () => Promise<void>
}

/** Looks at the beginning of content that can be read only once. */
export async function peek(source: Bytes, length: number): Promise<Peeked> {
  const iterator = source[Symbol.asyncIterator]()
  const first: Uint8Array[] = []
  let size = 0
  let ended = false
  while (size < length && !ended) {
    const { done, value } = await iterator.next()
    if (done === true) ended = true
    else {
      first.push(value)
      size += value.length
    }
  }
  let closed = false
  async function close(): Promise<void> {
    if (ended || closed) return
    closed = true
    await iterator.return?.()
  }
  async function* whole(): AsyncGenerator<Uint8Array, void> {
    try {
      yield* first
      while (!ended) {
        // Not just an end: what there is so far is not the whole.
        if (closed)
          throw new TypeError('this has been passed over; read a file before the next one is asked for')
        const { done, value } = await iterator.next()
        if (done === true) ended = true
        else yield value
      }
    } finally {
      await close()
    }
  }
  return { head: Buffer.concat(first).subarray(0, length), whole: whole(), close }
}

/** What comes out of a stream that content is fed to. Leaving the loop ends both. */
export async function* through(source: Bytes, transform: Duplex): AsyncGenerator<Uint8Array, void> {
  // What goes wrong on the way in is what the way out ends with.
  const feeding = pipeline(source, transform).catch(() => undefined)
  try {
    yield* transform as AsyncIterable<Uint8Array>
  } finally {
    transform.destroy()
    await feeding
  }
}
