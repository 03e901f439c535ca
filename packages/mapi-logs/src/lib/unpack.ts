import { createGunzip } from 'node:zlib'
import type { Allowance } from './archive-limits.ts'
import { type Bytes, peek, through } from './bytes.ts'
import { bunzip2 } from './bzip2.ts'
import { LogPackageError, LogsError } from './errors.ts'
import { unxz } from './xz.ts'

export type Compression = 'none' | 'gzip' | 'bzip2' | 'xz'

const headSize = 512

/** How content is compressed, told by its first bytes and never by its name. */
export function compressionOf(head: Buffer): Compression {
  if (head.length >= 3 && head[0] === 0x1f && head[1] === 0x8b && head[2] === 8) return 'gzip'
  if (isBzip2(head.toString('latin1', 0, 10))) return 'bzip2'
  if (head.toString('latin1', 0, 6) === '\u00FD7zXZ\0') return 'xz'
  return 'none'
}

/** Its level is followed by the magic number of a block, or of the end. */
function isBzip2(head: string): boolean {
  return /^BZh[1-9]/.test(head) && (head.endsWith('1AY&SY') || head.endsWith('\u0017rE8P\u0090'))
}

export interface Unpacked {
  readonly compression: Compression
  /** The first bytes of the content, at most 512. */
  readonly head: Buffer
  readonly content: Bytes
  /** Gives up what has not been read. */
  readonly close: () => Promise<void>
}

/**
 * Undoes the compression of content, if it has one.
 *
 * @param place What the content is called in errors.
 */
export async function unpack(source: Bytes, place: string, allowance: Allowance): Promise<Unpacked> {
  const packed = await peek(named(source, place), headSize)
  const compression = compressionOf(packed.head)
  if (compression === 'none')
    return { compression, head: packed.head, content: packed.whole, close: packed.close }
  let read = 0
  let written = 0
  async function* counted(): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of packed.whole) {
      read += chunk.length
      yield chunk
    }
  }
  async function* checked(): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of decoders[compression as keyof typeof decoders](counted())) {
      written += chunk.length
      allowance.ratio(place, read, written)
      allowance.bytes(place, chunk.length)
      yield chunk
    }
  }
  const plain = await peek(named(checked(), place), headSize)
  return { compression, head: plain.head, content: plain.whole, close: plain.close }
}

const decoders = {
  gzip: (source: Bytes): Bytes => through(source, createGunzip()),
  bzip2: bunzip2,
  xz: unxz,
}

/** Whatever goes wrong while this is read is said to be so at its place. */
export async function* named(source: Bytes, place: string): AsyncGenerator<Uint8Array, void> {
  try {
    yield* source
  } catch (error) {
    throw packageError(error, place)
  }
}

export function packageError(error: unknown, place: string): unknown {
  // What has a place already, and an abort of the caller's, goes on as it is.
  if (error instanceof LogsError || (error instanceof Error && error.name === 'AbortError')) return error
  const what = error instanceof Error ? error.message : String(error)
  return new LogPackageError(place, 'damaged', what, error)
}
