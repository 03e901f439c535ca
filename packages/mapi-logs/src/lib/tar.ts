import { extract, type Header } from 'tar-stream'
import type { Bytes } from './bytes.ts'

export class TarError extends Error {
  override name = 'TarError'
}

export interface TarEntry {
  readonly name: string
  readonly type: Header['type']
  /** Bytes. */
  readonly size: number
  readonly modified: Date | undefined
  /** To be read, whole or in part, before the next entry is asked for. */
  readonly content: Bytes
}

/** Whether content begins as a tar archive does: by the mark in its header, or by the checksum of an old one. */
export function looksLikeTar(head: Buffer): boolean {
  if (head.length < 512) return false
  if (head.toString('latin1', 257, 262) === 'ustar') return true
  const noted = Number.parseInt(head.toString('latin1', 148, 156).replaceAll('\0', ' ').trim(), 8)
  let sum = 8 * 32
  for (let at = 0; at < 512; at++) if (at < 148 || at >= 156) sum += head[at] as number
  // An archive of nothing is two blocks of zeroes.
  return head[0] === 0 ? head.every((byte) => byte === 0) : sum === noted
}

/**
 * Reads a tar archive entry by entry, no faster than the reader.
 *
 * @throws {TarError} if it is none, or is cut off.
 */
export async function* readTar(source: Bytes): AsyncGenerator<TarEntry, void> {
  // Old archives have no mark in their headers.
  const options = { highWaterMark: 65_536, allowUnknownFormat: true }
  const archive = extract(options)
  let sourceFailure: { readonly error: unknown } | undefined
  let broken: unknown
  let closed = false
  archive.on('error', (error: unknown) => (broken = error))
  archive.on('close', () => (closed = true))
  const feeding = (async (): Promise<void> => {
    try {
      for await (const chunk of source) {
        if (closed) return
        if (!archive.write(chunk)) await oneOf(archive, ['drain', 'close'])
      }
      archive.end(null)
    } catch (error) {
      sourceFailure = { error }
      archive.destroy(new TarError('the content of the archive cannot be read'))
    }
  })()
  try {
    for await (const entry of archive) {
      const { name, type, size, mtime } = entry.header
      let ended = false
      entry.on('end', () => (ended = true))
      entry.on('close', () => (ended = true))
      // Not by the stream's own iterator: leaving that early would end the whole archive.
      async function* content(): AsyncGenerator<Uint8Array, void> {
        for (let left = size; left > 0;) {
          const chunk = entry.read() as Uint8Array | null
          if (chunk === null) {
            if (sourceFailure !== undefined) throw sourceFailure.error
            if (ended || closed) throw new TarError('the archive ends within an entry')
            await oneOf(entry, ['readable', 'end', 'close', 'error'])
          } else {
            left -= chunk.length
            yield chunk
          }
        }
      }
      yield {
        name,
        type,
        size,
        modified: Number.isFinite(mtime.getTime()) ? mtime : undefined,
        content: content(),
      }
      entry.resume()
    }
    if (broken !== undefined) throw broken
  } catch (error) {
    if (sourceFailure !== undefined) throw sourceFailure.error
    if (error instanceof TarError) throw error
    throw new TarError('this is no whole tar archive', { cause: error })
  } finally {
    archive.destroy()
    await feeding
  }
}

function oneOf(emitter: NodeJS.EventEmitter, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of events) emitter.off(event, done)
      resolve()
    }
    for (const event of events) emitter.on(event, done)
  })
}
