import type { Stats } from 'node:fs'
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FileBody, HcpHashError } from '@hcp/connection'
import { bodyHash, type ContentHash } from '@hcp/connection/support'
import { comparableHash, type ObjectMetadata } from './metadata.ts'
import { LocalFileError, onDisk, systemCode, systemError } from './transfer-errors.ts'

/** Files up to this size are sent from memory, so that a repetition does not read them again. */
export const inMemory: number = 1024 * 1024
const pieceSize = 256 * 1024

/** A regular file as it was when the transfer came to it. */
export interface LocalFile {
  /** Below the folder, with `/` between folders. */
  readonly name: string
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Epoch milliseconds. */
  readonly modified: number
}

/** @throws {LocalFileError} if it is no regular file. */
export async function localFile(name: string, path: string): Promise<LocalFile> {
  const facts = await onDisk(path, 'read', lstat(path))
  if (!facts.isFile()) throw new LocalFileError(path, 'kind', `${path} is not a regular file`)
  return { name, path, size: facts.size, modified: facts.mtimeMs }
}

/** What `lstat` says, `undefined` if there is nothing. */
export async function factsOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined
    throw systemError(path, 'look at', cause)
  }
}

/**
 * Opens a file's content to be sent: whole and of one moment, or it ends with an error before its last piece, so that HCP stores
 * nothing.
 *
 * @throws {LocalFileError} `changed` if the file is not as it was.
 */
export async function* contentOf({ path, size, modified }: LocalFile): AsyncGenerator<Uint8Array, void> {
  const handle = await onDisk(path, 'read', open(path))
  const check = async (): Promise<void> => {
    const facts = await handle.stat()
    if (facts.size !== size || facts.mtimeMs !== modified) throw changed(path)
  }
  try {
    await check()
    for (let left = size; left > 0;) {
      const length = Math.min(left, pieceSize)
      const { bytesRead, buffer } = await onDisk(
        path,
        'read',
        handle.read(Buffer.allocUnsafe(length), 0, length),
      )
      if (bytesRead === 0) throw changed(path)
      left -= bytesRead
      if (left === 0) await check()
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

const changed = (path: string): LocalFileError =>
  new LocalFileError(path, 'changed', `${path} changed while it was being read`)

export async function wholeContent(file: LocalFile): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of contentOf(file)) pieces.push(piece)
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces)
}

/** Whether a file has an object's content; `undefined` if there is no hash to tell by. */
export async function hasContent(
  file: string,
  size: number,
  object: Pick<ObjectMetadata, 'hash' | 'etag' | 'size'>,
  signal: AbortSignal | undefined,
): Promise<boolean | undefined> {
  if (size !== object.size) return false
  const expected = comparableHash(object)
  if (expected === undefined) return undefined
  const found = await onFile(file, signal, bodyHash(new FileBody(file), expected.scheme, { signal }))
  return found?.hex === expected.hex && found.size === object.size
}

/** @throws {HcpHashError} if a file does not have an object's content. @returns The hash, if there is one to tell by. */
export async function verifyContent(
  file: string,
  object: Pick<ObjectMetadata, 'hash' | 'etag' | 'size'>,
  signal: AbortSignal | undefined,
): Promise<ContentHash | undefined> {
  const expected = comparableHash(object)
  if (expected === undefined) return undefined
  const found = await onFile(file, signal, bodyHash(new FileBody(file), expected.scheme, { signal }))
  if (found?.hex === expected.hex) return expected
  const message = `What was fetched has ${expected.scheme} ${found?.hex}, but HCP reports ${expected.hex}: it was damaged on its way, or is damaged on HCP`
  throw new HcpHashError(message, expected.hex, found?.hex)
}

async function onFile<Result>(
  file: string,
  signal: AbortSignal | undefined,
  work: Promise<Result>,
): Promise<Result> {
  try {
    return await work
  } catch (cause) {
    signal?.throwIfAborted()
    throw systemError(file, 'read', cause)
  }
}

/** Writes all of it at its place in the file. */
export async function writeAt(
  handle: FileHandle,
  file: string,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await onDisk(
      file,
      'write',
      handle.write(bytes, done, bytes.length - done, position + done),
    )
    done += bytesWritten
  }
}

/**
 * Gives a finished file its name, in one step.
 *
 * @throws {LocalFileError} `exists` if there is one already and it must not be replaced.
 */
export async function moveIntoPlace(from: string, to: string, overwrite: boolean): Promise<void> {
  if (overwrite) {
    await onDisk(to, 'write', rename(from, to))
    // A rename does nothing if both are names of one file, as after a process that was killed below.
    return onDisk(from, 'remove', rm(from, { force: true }))
  }
  try {
    // Unlike a rename, a link never replaces anything.
    await link(from, to)
  } catch (cause) {
    const code = systemCode(cause)
    if (code === 'EEXIST') throw fileExists(to)
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS' || code === 'EACCES')
      throw systemError(to, 'write', cause)
    // File systems without hard links.
    if ((await factsOf(to)) !== undefined) throw fileExists(to)
    return onDisk(to, 'write', rename(from, to))
  }
  await onDisk(from, 'remove', rm(from))
}

export const fileExists = (file: string): LocalFileError =>
  new LocalFileError(file, 'exists', `${file} is there already; remove it, or say overwrite: true`)

/** Makes names in the file's folder outlive a failure of the machine, where the system can. */
export async function syncFolderOf(file: string): Promise<void> {
  try {
    const folder = await open(dirname(file))
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch {
    // Windows opens no folders; the content itself has been synced.
  }
}
