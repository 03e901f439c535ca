import { createHash } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { HcpHashError, HcpProtocolError } from '@hcp/connection'
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
  type ContentHash,
  requestPath,
} from '@hcp/connection/support'
import { ObjectConditionError, ObjectNotFoundError } from './errors.ts'
import { lockFile } from './file-lock.ts'
import type { GetOptions } from './get.ts'
import { checkVersion } from './head.ts'
import { Journal } from './journal.ts'
import { factsOf, fileExists, moveIntoPlace, syncFolderOf, verifyContent, writeAt } from './local-files.ts'
import { comparableHash, type ObjectMetadata } from './metadata.ts'
import type { ObjectClient } from './object-client.ts'
import type { ObjectReader } from './object-reader.ts'
import { type CallOptions, checkPath } from './object-requests.ts'
import { inParallel } from './parallel.ts'
import { checkProgress, type OnProgress } from './progress.ts'
import { JournalError, LocalFileError, onDisk, systemError } from './transfer-errors.ts'

export interface DownloadOptions extends Omit<CallOptions, 'deadline'> {
  /** A version's id, or `@` and epoch milliseconds for the version that was current then (release 8.2 and later). Default: the current one. */
  readonly version?: string
  /** Parts at a time, each over a socket of its own and so over several nodes. Default 4. */
  readonly concurrency?: number
  /** Bytes of a part. An object that is no larger is fetched by one GET. Default 16 MiB, at least 64 KiB. */
  readonly partSize?: number
  /** Replace a file that is there. Default false: nothing is sent then. */
  readonly overwrite?: boolean
  /** Go on from what an earlier call for this very version left. Default true. */
  readonly resume?: boolean
  /** Called as content comes in; what an earlier call left counts. */
  readonly onProgress?: OnProgress
}

/** A file that has the whole content of an object. */
export interface DownloadedFile {
  readonly path: string
  readonly file: string
  /** Bytes. */
  readonly size: number
  /** What the file's content was compared with. `undefined` for objects stored in parts: HCP has no hash of them. */
  readonly hash: ContentHash | undefined
  readonly versionId: string | undefined
  /** Bytes that an earlier call had left and that were not fetched again. */
  readonly resumedBytes: number
}

const knownDownload: ReadonlySet<string> = new Set([
  'signal',
  'encoded',
  'headersTimeout',
  'bodyTimeout',
  'retry',
  'version',
  'concurrency',
  'partSize',
  'overwrite',
  'resume',
  'onProgress',
])

/**
 * Fetches an object into a file, large ones by ranges in parallel. The file has its name only when its content is whole and has HCP's
 * hash; until then it is `<file>.hcp-part`, with a journal beside it of what is done, so that a call after a failure, or after the
 * end of the process, fetches what is missing. All parts are of one version.
 *
 * @param file Its folder must be there.
 * @throws {LocalFileError} if the file is there already, cannot be written, or another call on this machine is fetching it.
 * @throws {ObjectConditionError} if the object changed on the way and the version that was begun is gone.
 * @throws {HcpHashError} if the content does not have HCP's hash, also after it was fetched anew.
 */
export async function download(
  client: ObjectClient,
  path: string,
  file: string,
  options: DownloadOptions = {},
): Promise<DownloadedFile> {
  checkOptions('download', options, knownDownload)
  const { overwrite = false, concurrency, partSize, resume, signal } = options
  checkPath(path)
  checkVersion(options.version)
  const target = resolve(checkString('file', file))
  checkBoolean('overwrite', overwrite)
  if (concurrency !== undefined) checkInteger('concurrency', concurrency, 1, 254)
  if (partSize !== undefined) checkInteger('partSize (bytes)', partSize, 65_536, Number.MAX_SAFE_INTEGER)
  if (resume !== undefined) checkBoolean('resume', resume)
  checkProgress(options.onProgress)
  requestPath(path, checkBoolean('encoded', options.encoded ?? false))
  checkSignal(signal)?.throwIfAborted()

  await checkTarget(target, overwrite)
  const part = partOf(target)
  const release = await onDisk(target, 'write', lockFile(part))
  if (release === undefined)
    throw new LocalFileError(target, 'busy', `another call is fetching ${target} at this moment`)
  try {
    const { metadata, hash, resumedBytes } = await fetchInto(client, path, part, options)
    await moveIntoPlace(part, target, overwrite)
    await rm(partJournal(part), { force: true })
    await syncFolderOf(target)
    return { path, file: target, size: metadata.size, hash, versionId: metadata.versionId, resumedBytes }
  } finally {
    await release()
  }
}

async function checkTarget(target: string, overwrite: boolean): Promise<void> {
  const facts = await factsOf(target)
  if (facts === undefined) return
  if (facts.isDirectory()) throw new LocalFileError(target, 'kind', `${target} is a folder`)
  if (!overwrite) throw fileExists(target)
}

/** Beside the file. A name that has no room for the ending is shortened. */
function partOf(target: string): string {
  const name = basename(target)
  // 255 bytes is what file systems take; the journal's ending is longer still.
  const short =
    Buffer.byteLength(name) <= 240 ? name : `.${createHash('sha256').update(name).digest('hex').slice(0, 32)}`
  return join(dirname(target), `${short}.hcp-part`)
}

export const partJournal = (part: string): string => `${part}.jsonl`

/** What has been put into the file, and verified. */
export interface Fetched {
  readonly metadata: ObjectMetadata
  readonly hash: ContentHash | undefined
  readonly resumedBytes: number
}

/** Fetches an object into the file `part`, which keeps that name, and onto the disk. The caller sees to it that nobody else does. */
export async function fetchInto(
  client: ObjectClient,
  path: string,
  part: string,
  options: DownloadOptions,
): Promise<Fetched> {
  const { partSize = 16 * 1024 * 1024, resume = true, version } = options
  const call = callOf(options)
  const metadata = await client.head(path, version === undefined ? call : { ...call, version })
  if (!resume || !(metadata.size > partSize)) await removeParts(part)
  if (!(metadata.size > partSize)) {
    const fetched = await fetchWhole(client, path, part, options)
    await onDisk(part, 'write', syncFile(part))
    return fetched
  }
  const fetching: Fetching = { client, path, part, options, metadata, partSize }
  for (let anew = false; ; anew = true) {
    const resumedBytes = await fetchParts(fetching)
    try {
      const hash = await verifyContent(part, metadata, options.signal)
      return { metadata, hash, resumedBytes }
    } catch (error) {
      if (!(error instanceof HcpHashError)) throw error
      // Damaged on the way or on this disk: once more from the beginning.
      await removeParts(part)
      if (anew) throw error
    }
  }
}

/** By one GET, hashed as it comes. Nothing is left of it if it fails. */
export async function fetchWhole(
  client: ObjectClient,
  path: string,
  part: string,
  options: DownloadOptions,
): Promise<Fetched> {
  const { version, onProgress } = options
  const get: GetOptions = {
    ...callOf(options),
    ...(version === undefined ? {} : { version }),
    ...(onProgress === undefined ? {} : { onProgress }),
  }
  try {
    for (let anew = false; ; anew = true) {
      const reader = await client.get(path, get)
      try {
        await write(reader, part)
        const { metadata } = reader
        return { metadata, hash: reader.verified ? comparableHash(metadata) : undefined, resumedBytes: 0 }
      } catch (error) {
        await reader.dump()
        if (anew || !(error instanceof HcpHashError)) throw error
      }
    }
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

async function write(reader: ObjectReader, part: string): Promise<void> {
  const handle = await onDisk(part, 'write', createAnew(part))
  try {
    let at = 0
    for await (const chunk of reader) {
      await writeAt(handle, part, chunk, at)
      at += chunk.length
    }
  } finally {
    await handle.close()
  }
}

/** Of a process that was killed at the wrong moment the old one can still be a second name of a finished file. */
async function createAnew(file: string): Promise<FileHandle> {
  await rm(file, { force: true })
  return open(file, 'wx')
}

async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

interface Fetching {
  readonly client: ObjectClient
  readonly path: string
  readonly part: string
  readonly options: DownloadOptions
  readonly metadata: ObjectMetadata
  readonly partSize: number
}

/** @returns Bytes that were there already. */
async function fetchParts(fetching: Fetching): Promise<number> {
  const { part, options, metadata, partSize } = fetching
  const { concurrency = 4, onProgress, signal } = options
  const { size } = metadata
  const count = Math.ceil(size / partSize)
  const { journal, done } = await openParts(fetching, count)
  const handle = await onDisk(part, 'write', done.size > 0 ? open(part, 'r+') : createAnew(part))
  const lengthOf = (number: number): number => Math.min(partSize, size - number * partSize)
  let resumed = 0
  for (const number of done) resumed += lengthOf(number)
  let transferred = resumed
  const pin: Pin = { version: options.version }
  try {
    await onDisk(part, 'write', handle.truncate(size))
    onProgress?.({ transferred, total: size })
    const missing = function* (): Generator<number, void> {
      for (let number = 0; number < count; number++) if (!done.has(number)) yield number
    }
    await inParallel(Math.min(concurrency, count), signal, missing, async (number, either) => {
      let at = number * partSize
      const reader = await openPart(fetching, pin, at, lengthOf(number), either)
      for await (const chunk of reader) {
        await writeAt(handle, part, chunk, at)
        at += chunk.length
        transferred += chunk.length
        onProgress?.({ transferred, total: size })
      }
      // First the content, then the word that it is there.
      await onDisk(part, 'write', handle.datasync())
      journal.note({ part: number })
      done.add(number)
    })
    await onDisk(part, 'write', handle.sync())
  } catch (error) {
    await handle.close()
    await journal.close()
    const useless =
      done.size === 0 || error instanceof ObjectConditionError || error instanceof ObjectNotFoundError
    if (useless || options.resume === false) await removeParts(part)
    throw error
  }
  await handle.close()
  await journal.close()
  return resumed
}

/** Opens what an earlier call left for this very version, or begins anew. */
async function openParts(
  fetching: Fetching,
  count: number,
): Promise<{ readonly journal: Journal; readonly done: Set<number> }> {
  const { client, path, part, options, metadata, partSize } = fetching
  const { versionId = null, etag = null, size } = metadata
  const subject = {
    transfer: 'download of an object',
    namespace: client.connection.target.fqdn,
    path: requestPath(path, options.encoded === true),
    version: versionId,
    etag,
    size,
    partSize,
  }
  const done = new Set<number>()
  const open = (): Promise<Journal> =>
    Journal.open(partJournal(part), subject, (record) => {
      const { part: number } = record as { part?: unknown }
      if (Number.isInteger(number) && (number as number) >= 0 && (number as number) < count)
        done.add(number as number)
    })
  let journal: Journal
  try {
    const there = (await factsOf(part))?.size === size && (versionId !== null || etag !== null)
    if (!there) await removeParts(part)
    journal = await open()
  } catch (error) {
    const stale = error instanceof JournalError && (error.problem === 'other' || error.problem === 'damaged')
    if (!stale) throw error
    await removeParts(part)
    done.clear()
    journal = await open()
  }
  return { journal, done }
}

/** What says which version is meant. */
interface Pin {
  version: string | undefined
}

/** Asks for a part of the very version that the transfer began with, and checks that it is what comes. */
async function openPart(
  { client, path, options, metadata }: Fetching,
  pin: Pin,
  start: number,
  length: number,
  signal: AbortSignal,
): Promise<ObjectReader> {
  const { etag, versionId, size } = metadata
  const ask = (version: string | undefined): Promise<ObjectReader> =>
    client.get(path, {
      ...callOf(options),
      signal,
      range: { start, end: start + length - 1 },
      ...(version === undefined ? {} : { version }),
      ...(etag === undefined ? {} : { ifMatch: etag }),
    })
  let reader: ObjectReader
  const asked = pin.version
  try {
    reader = await ask(asked)
  } catch (error) {
    const gone = error instanceof ObjectConditionError || error instanceof ObjectNotFoundError
    if (!gone || versionId === undefined || asked === versionId) throw error
    // Another version is current now; the one that was begun may still be there.
    pin.version = versionId
    reader = await ask(versionId)
  }
  const same = etag === undefined ? reader.metadata.versionId === versionId : reader.metadata.etag === etag
  if (same && reader.start === start && reader.size === length && reader.metadata.size === size) return reader
  const got = `bytes ${reader.start} to ${reader.start + reader.size - 1} of ${reader.metadata.size}`
  await reader.dump()
  const wanted = `bytes ${start} to ${start + length - 1} of ${size}`
  throw new HcpProtocolError(`GET ${path}: asked for ${wanted} of one version, and got ${got} of another`, {
    method: 'GET',
    address: reader.address,
    sent: true,
  })
}

function callOf({
  signal,
  encoded,
  headersTimeout,
  bodyTimeout,
  retry,
}: DownloadOptions): Omit<CallOptions, 'deadline'> {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(encoded === undefined ? {} : { encoded }),
    ...(headersTimeout === undefined ? {} : { headersTimeout }),
    ...(bodyTimeout === undefined ? {} : { bodyTimeout }),
    ...(retry === undefined ? {} : { retry }),
  }
}

async function removeParts(part: string): Promise<void> {
  try {
    await rm(part, { force: true })
    await rm(partJournal(part), { force: true })
  } catch (cause) {
    throw systemError(part, 'remove', cause)
  }
}
