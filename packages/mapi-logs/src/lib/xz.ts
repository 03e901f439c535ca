import { createRequire } from 'node:module'
import { ReadableStream } from 'node:stream/web'
import type { XzReadableStream } from 'xz-decompress'
import type { Bytes } from './bytes.ts'

export class XzError extends Error {
  override name = 'XzError'
}

const headerSize = 12
/** Bytes: the end of the content that is kept to find out how long the stream says that it is. */
const tailSize = 262_144

const require = createRequire(import.meta.url)

/**
 * The decoder lets only one stream at a time go on in each copy of its module, so that a stream within a stream would wait for ever,
 * and its memory never shrinks. So each stream gets a copy, which goes with it.
 */
function freshDecoder(): typeof XzReadableStream {
  const path = require.resolve('xz-decompress')
  delete require.cache[path]
  const loaded = require(path) as { XzReadableStream: typeof XzReadableStream }
  delete require.cache[path]
  return loaded.XzReadableStream
}

/**
 * Undoes xz as the reader asks for more.
 *
 * @throws {XzError} if the content is damaged or cut off, or goes on after the end of the first stream.
 */
export async function* unxz(source: Bytes): AsyncGenerator<Uint8Array, void> {
  const iterator = source[Symbol.asyncIterator]()
  let tail = Buffer.alloc(0)
  let size = 0
  let ended = false
  let failure: { readonly error: unknown } | undefined
  const next = async (): Promise<Uint8Array | undefined> => {
    const { done, value } = await iterator.next().catch((error: unknown) => {
      failure = { error }
      throw error
    })
    if (done === true) {
      ended = true
      return undefined
    }
    size += value.length
    tail = Buffer.concat([tail, value])
    if (tail.length > 2 * tailSize) tail = Buffer.from(tail.subarray(-tailSize))
    return value
  }
  const compressed = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const value = await next()
        // The decoder does not look for the end. It gets what cannot go on, and then says so.
        controller.enqueue(value ?? new Uint8Array(0))
      },
    },
    { highWaterMark: 0 },
  )
  const reader = new (freshDecoder())(compressed).getReader()
  let idle = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      if (value.length > 0) {
        idle = 0
        yield value
      } else if (ended && ++idle > 2) throw new XzError('this is no whole xz content: it ends too early')
    }
    while ((await next()) !== undefined);
    const length = streamLength(tail)
    // Up to the end, padding of zeroes apart.
    if (length === undefined || length > size || size - length !== paddingOf(tail))
      throw new XzError('this is not one xz stream: something follows it')
  } catch (error) {
    if (failure !== undefined) throw failure.error
    if (error instanceof XzError) throw error
    const what = ended
      ? 'it ends too early, or is damaged'
      : 'it is damaged, or made in a way that is not read here'
    throw new XzError(`this is no whole xz content: ${what}`, { cause: error })
  } finally {
    await reader.cancel().catch(() => undefined)
    if (!ended) await iterator.return?.()
  }
}

function paddingOf(tail: Buffer): number {
  let padding = 0
  while (padding < tail.length && tail[tail.length - 1 - padding] === 0) padding += 1
  return padding
}

/** How long the stream is that ends here: its footer tells where its index is, and that how long its blocks are. */
function streamLength(padded: Buffer): number | undefined {
  const tail = padded.subarray(0, padded.length - paddingOf(padded))
  if (tail.length < headerSize || tail.toString('latin1', tail.length - 2) !== 'YZ') return undefined
  const indexSize = (tail.readUInt32LE(tail.length - 8) + 1) * 4
  let at = tail.length - headerSize - indexSize
  if (at < 0) return undefined
  const number = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = tail[at++] ?? 0
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }
  if (tail[at++] !== 0) return undefined
  let blocks = 0
  for (let records = number(); records > 0 && at < tail.length; records--) {
    blocks += Math.ceil(number() / 4) * 4
    number()
  }
  return headerSize + blocks + indexSize + headerSize
}
