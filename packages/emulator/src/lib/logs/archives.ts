import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { constants, createGzip, gzip } from 'node:zlib'
import type { ZlibOptions } from 'node:zlib'
import { pack } from 'tar-stream'
import type { Pack } from 'tar-stream'

/** How the archives in a package are made, which is also how their names end. */
export type ArchiveKind = 'tar.gz' | 'tar'

export interface ArchiveEntry {
  readonly name: string
  readonly content: Buffer
}

const gzipped = promisify(gzip) as (data: Buffer, options?: ZlibOptions) => Promise<Buffer>
const pieceSize = 256 * 1024

/**
 * An archive that is made while it is read. The bytes of one are the same each time: they depend on the entries and the
 * time alone.
 *
 * It is not compressed a second time: what is large in it are archives.
 */
export function streamArchive(kind: ArchiveKind, entries: AsyncIterable<ArchiveEntry>, time: Date): Readable {
  const tar = Readable.from(packed(entries, time), { objectMode: false, highWaterMark: pieceSize })
  if (kind === 'tar') return tar
  const stored = createGzip({ level: constants.Z_NO_COMPRESSION, chunkSize: pieceSize })
  // Not a pipeline, which throws when what it leads to is destroyed.
  tar.on('error', (error) => stored.destroy(error))
  stored.once('close', () => tar.destroy())
  return tar.pipe(stored)
}

/**
 * A small archive as a whole.
 *
 * @param stored Not compressed, also where it has the form of what is.
 */
export async function makeArchive(
  kind: ArchiveKind,
  entries: readonly ArchiveEntry[],
  time: Date,
  stored = false,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of packed(entries, time)) chunks.push(chunk)
  const tar = Buffer.concat(chunks)
  if (kind === 'tar') return tar
  if (!stored) return gzipped(tar)
  // In one piece, for which there are a few bytes more in every 64 KiB.
  return gzipped(tar, {
    level: constants.Z_NO_COMPRESSION,
    chunkSize: tar.length + (tar.length >> 10) + 1024,
  })
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
