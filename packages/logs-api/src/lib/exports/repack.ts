import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { LogPackage, LogPackageError } from '@hcp/mapi-logs'
import { type Pack, pack } from 'tar-stream'

/** HCP's archives in the package are compressed already: more effort would gain next to nothing. */
const level = 3

/**
 * Packs the files of a ZIP into a `tar.gz`, one after another, without unpacking anything to disk. The same ZIP gives the same bytes.
 *
 * @param target A file that is not there yet; in the end it is on the disk, not just on the way.
 * @param onBytes Told of bytes of the ZIP's content.
 * @returns Bytes, and their SHA-256 in hexadecimal digits.
 * @throws {LogPackageError} for names that lead out of the archive or come twice, and for damaged content.
 */
export async function repack(
  zip: string,
  target: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void = () => {},
): Promise<{ size: number; sha256: string }> {
  const source = await LogPackage.open(zip)
  const ended = new AbortController()
  const either = AbortSignal.any([signal, ended.signal])
  const archive = pack()
  const hash = createHash('sha256')
  let size = 0
  const writing = pipeline(
    async function* () {
      yield* archive
    },
    createGzip({ level }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk)
        size += chunk.length
        yield chunk
      }
    },
    createWriteStream(target, { flags: 'wx', flush: true }),
    { signal },
  )
  let failure: unknown
  writing.catch((error: unknown) => {
    failure ??= error
    ended.abort(error)
  })
  try {
    await addAll(source, archive, either, onBytes)
    archive.finalize()
  } catch (error) {
    failure ??= error
    ;(archive as unknown as { destroy(error: unknown): void }).destroy(error)
  } finally {
    await source.close()
  }
  await writing.catch(() => undefined)
  signal.throwIfAborted()
  if (failure !== undefined) throw failure
  return { size, sha256: hash.digest('hex') }
}

async function addAll(
  source: LogPackage,
  archive: Pack,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const names = new Set<string>()
  for await (const entry of source.entries({ signal })) {
    const { path, size, modified } = entry
    if (names.has(path)) throw new LogPackageError(path, 'name', 'it is in the package twice')
    names.add(path)
    const time = modified !== undefined && modified.getTime() >= 0 ? modified : new Date(0)
    const file = archive.entry({ name: path, size, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: time })
    // It ends with the archive, whose error counts.
    file.on('error', () => {})
    for await (const chunk of entry) {
      onBytes(chunk.length)
      if (!file.write(chunk)) await once(file, 'drain', { signal })
    }
    const closed = once(file, 'close', { signal })
    file.end(null)
    await closed
  }
}
