import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { crc32, gzip } from 'node:zlib'
import { pack } from 'tar-stream'
import type { Pack } from 'tar-stream'

/** How the archives in a package are made, which is also how their names end. */
export type ArchiveKind = 'tar.gz' | 'tar'

export interface ArchiveEntry {
  readonly name: string
  readonly content: Buffer
}

const gzipped = promisify<Buffer, Buffer>(gzip)
const largestBlock = 65_535

/**
 * An archive that is made while it is read. The bytes of one are the same each time: they depend on the entries and the
 * time alone.
 *
 * It is not compressed a second time: what is large in it are archives.
 */
export function streamArchive(kind: ArchiveKind, entries: AsyncIterable<ArchiveEntry>, time: Date): Readable {
  const tar = packed(entries, time)
  return Readable.from(kind === 'tar' ? tar : stored(tar), { objectMode: false })
}

/**
 * A small archive as a whole.
 *
 * @param compressed Whether the form of what is compressed is all it gets, or not.
 */
export async function makeArchive(
  kind: ArchiveKind,
  entries: readonly ArchiveEntry[],
  time: Date,
  compressed = true,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  const tar = packed(entries, time)
  for await (const chunk of kind === 'tar' || compressed ? tar : stored(tar)) chunks.push(chunk)
  const whole = Buffer.concat(chunks)
  return kind === 'tar' || !compressed ? whole : gzipped(whole)
}

/**
 * The form that gzip has for what is not compressed (RFC 1952, and RFC 1951, 3.2.4): blocks with their length before
 * them. A gibibyte goes through it in a fraction of the time, and of the memory, that a compressor needs at its lowest level.
 */
async function* stored(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])
  let [sum, size] = [0, 0]
  for await (const chunk of source) {
    sum = crc32(chunk, sum)
    size += chunk.length
    for (let at = 0; at < chunk.length; at += largestBlock) {
      const block = chunk.subarray(at, at + largestBlock)
      yield blockHead(block.length, false)
      yield block
    }
  }
  const end = Buffer.alloc(8)
  end.writeUInt32LE(sum)
  end.writeUInt32LE(size % 2 ** 32, 4)
  yield Buffer.concat([blockHead(0, true), end])
}

function blockHead(length: number, last: boolean): Buffer {
  const head = Buffer.alloc(5, last ? 1 : 0)
  head.writeUInt16LE(length, 1)
  head.writeUInt16LE(length ^ 0xffff, 3)
  return head
}

function packed(
  entries: AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>,
  time: Date,
): AsyncIterable<Buffer> {
  const tar = pack()
  void fill(tar, entries, time)
  return tar as AsyncIterable<Buffer>
}

/** Adds one entry after the other, each when the one before has been read; ends when the archive is not read on. */
async function fill(
  tar: Pack,
  entries: AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>,
  mtime: Date,
): Promise<void> {
  try {
    for await (const { name, content } of entries) {
      await new Promise<void>((resolve, reject) => {
        tar.entry({ name, mtime, mode: 0o644 }, content, (error) => {
          if (error === null || error === undefined) resolve()
          else reject(error)
        })
      })
    }
    tar.finalize()
  } catch (error) {
    tar.destroy(error as Error)
  }
}
