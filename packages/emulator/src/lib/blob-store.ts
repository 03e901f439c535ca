import { createHash, hash, randomUUID } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { closeSync, createReadStream, fstatSync, openSync, readFileSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { makeTemporaryFolder, removeTemporaryFolder } from './temporary-folder.ts'

/** The hash algorithms an HCP namespace can be made with, by the names HCP uses. */
export type HashScheme = 'MD5' | 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512' | 'RIPEMD-160'

/** Stored bytes: plain data, fit for the journal. */
export interface Blob {
  readonly id: string
  /** Bytes. */
  readonly size: number
  /** MD5 in lower-case hex. */
  readonly md5: string
  /** As in `X-HCP-Hash`: the algorithm, a blank, upper-case hex. */
  readonly hash: string
  /** Many objects may have it: when one goes it stays, until a start at which nobody has it. */
  readonly shared?: true
}

/**
 * - `BLOB_MISSING`: no such blob (any more)
 * - `BLOB_DAMAGED`: the file is not as long as it was written
 * - `BLOB_CLOSED`: the store is closed
 * - `ENOSPC`: the disk is full, or plays full
 */
export type BlobErrorCode = 'BLOB_MISSING' | 'BLOB_DAMAGED' | 'BLOB_CLOSED' | 'ENOSPC'

export class BlobError extends Error {
  override name = 'BlobError'
  readonly code: BlobErrorCode

  constructor(code: BlobErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

export interface BlobStoreOptions {
  /** Where blobs are kept for good. Default: none, all are gone with `close()`. */
  readonly directory?: string | undefined
  /**
   * Bytes of small blobs held in memory; the rest lies in files. Default: 256 MiB without a directory, 64 MiB (as a
   * cache) with one.
   */
  readonly memory?: number
  /** With a directory: wait until data has reached the disk (`fsync`), for power cuts. Default: false. */
  readonly sync?: boolean
}

/** Blobs up to this size are handled in one piece and may live in memory. */
export const smallBlob: number = 256 * 1024

/** Bytes gathered before they go to the file in one call, while the next are being gathered. */
const writeUnit = 512 * 1024
const writeChunks = 1024
const readUnit = 256 * 1024
const mebibyte = 1024 * 1024

const algorithms: Readonly<Record<HashScheme, string>> = {
  MD5: 'md5',
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
  'RIPEMD-160': 'ripemd160',
}

/**
 * The bytes of objects and annotations. Small ones are in memory (within a bound), all others in files; however long a
 * body is, only about a mebibyte of it is in memory at a time. A write that fails leaves nothing behind.
 */
export class BlobStore implements AsyncDisposable {
  readonly #directory: string | undefined
  readonly #memory: number
  readonly #sync: boolean
  /** Small blobs in memory; with a directory the least recently used come first and may be dropped. */
  readonly #held = new Map<string, Buffer>()
  #heldBytes = 0
  #spool: string | undefined
  readonly #folders = new Set<string>()
  #written = false
  #full = false
  #closing: Promise<void> | undefined

  private constructor(options: BlobStoreOptions) {
    this.#directory = options.directory
    this.#memory = options.memory ?? (options.directory === undefined ? 256 : 64) * mebibyte
    this.#sync = options.directory !== undefined && (options.sync ?? false)
  }

  /** Opens a store; with a directory, its blobs of earlier runs are there again. */
  static async open(options: BlobStoreOptions = {}): Promise<BlobStore> {
    if (options.directory !== undefined) await mkdir(options.directory, { recursive: true })
    return new BlobStore(options)
  }

  /**
   * Takes all of `source` and resolves when it is stored. The chunks must not be changed afterwards.
   *
   * @throws {BlobError} `BLOB_CLOSED`, `ENOSPC`; whatever the source or the file system throws is passed on.
   */
  async write(source: AsyncIterable<Uint8Array>, hashScheme: HashScheme): Promise<Blob> {
    if (!Object.hasOwn(algorithms, hashScheme)) throw new TypeError(`hashScheme: unknown "${hashScheme}"`)
    this.#written = true
    const id = randomUUID()
    const start: Uint8Array[] = []
    let size = 0
    let file: BlobFile | undefined
    let sums: Sums | undefined
    try {
      for await (const chunk of source) {
        this.#checkWritable()
        size += chunk.length
        if (file === undefined || sums === undefined) {
          start.push(chunk)
          if (size <= smallBlob) continue
          file = await BlobFile.create(await this.#place(id))
          sums = new Sums(hashScheme)
          for (const early of start.splice(0)) {
            sums.update(early)
            await file.write(early)
          }
        } else {
          sums.update(chunk)
          await file.write(chunk)
        }
      }
      this.#checkWritable()
      if (file !== undefined && sums !== undefined) {
        await file.finish(this.#sync)
        return { id, size, ...sums.digests() }
      }
      return await this.#writeSmall(id, joined(start, size), hashScheme)
    } catch (error) {
      await file?.discard()
      throw error
    }
  }

  async #writeSmall(id: string, data: Buffer, hashScheme: HashScheme): Promise<Blob> {
    const fits = this.#heldBytes + data.length <= this.#memory
    if (this.#directory !== undefined || !fits) {
      const file = await BlobFile.create(await this.#place(id))
      try {
        await file.write(data)
        await file.finish(this.#sync)
      } catch (error) {
        await file.discard()
        throw error
      }
    }
    if (this.#directory !== undefined || fits) this.#hold(id, data)
    const md5 = hash('md5', data, 'hex')
    const digest = hashScheme === 'MD5' ? md5 : hash(algorithms[hashScheme], data, 'hex')
    return { id, size: data.length, md5, hash: `${hashScheme} ${digest.toUpperCase()}` }
  }

  /**
   * The whole of a small blob, at once; `undefined` for one that is not small (use `read`). Not to be changed.
   *
   * @throws {BlobError} `BLOB_MISSING`, `BLOB_DAMAGED`
   */
  buffer(blob: Blob): Buffer | undefined {
    const held = this.#held.get(blob.id)
    if (held !== undefined) {
      if (this.#directory !== undefined) {
        this.#held.delete(blob.id)
        this.#held.set(blob.id, held)
      }
      return held
    }
    if (blob.size > smallBlob) return undefined
    const data = existing(blob, () => readFileSync(this.#pathOf(blob)))
    checkLength(blob, data.length)
    if (this.#directory !== undefined) this.#hold(blob.id, data)
    return data
  }

  /**
   * A stream of the blob or of a part of it, offsets in bytes, the end included. It can be read to its end even if the
   * blob is deleted meanwhile; read it to its end or destroy it, it holds a file open.
   *
   * @throws {RangeError} for a part outside the blob
   * @throws {BlobError} `BLOB_MISSING`, `BLOB_DAMAGED`
   */
  read(blob: Blob, start: number = 0, endInclusive: number = blob.size - 1): Readable {
    if (!(start >= 0 && start <= endInclusive + 1 && endInclusive < blob.size)) {
      throw new RangeError(`bytes ${start}-${endInclusive} are outside a blob of ${blob.size} bytes`)
    }
    const small = this.buffer(blob)
    if (small !== undefined) return streamOf(small.subarray(start, endInclusive + 1))
    const fd = existing(blob, () => openSync(this.#pathOf(blob), 'r'))
    try {
      checkLength(blob, fstatSync(fd).size)
    } catch (error) {
      closeSync(fd)
      throw error
    }
    if (endInclusive < start) {
      closeSync(fd)
      return streamOf(Buffer.alloc(0))
    }
    return createReadStream('', { fd, start, end: endInclusive, highWaterMark: readUnit })
  }

  /** Removes a blob; one that is not there (any more), or cannot be removed, is no error. */
  async delete(blob: Blob): Promise<void> {
    const held = this.#held.get(blob.id)
    if (held !== undefined) {
      this.#held.delete(blob.id)
      this.#heldBytes -= held.length
    }
    const inFile = this.#directory !== undefined || (held === undefined && this.#spool !== undefined)
    // One that cannot be removed goes at the next start.
    if (inFile) await rm(this.#pathOf(blob), { force: true }).catch(() => undefined)
  }

  /** Whether it plays a full disk. */
  get isFull(): boolean {
    return this.#full
  }

  /** From now on every write fails with `ENOSPC`, those under way too; or no more. */
  setFull(full: boolean): void {
    this.#full = full
  }

  /**
   * Removes every file in the directory that is none of `ids`, such as those of a write that a kill cut off. To be
   * called once the ids are known, before the first write.
   *
   * @returns How many files were removed, and the ids that have no file.
   */
  async keep(ids: ReadonlySet<string>): Promise<{ removed: number; missing: readonly string[] }> {
    if (this.#written) throw new Error('keep: only before the first write')
    const missing = new Set(ids)
    let removed = 0
    const directory = this.#directory
    if (directory === undefined) return { removed, missing: [...missing] }
    for (const folder of await readdir(directory, { withFileTypes: true })) {
      if (!folder.isDirectory()) continue
      for (const name of await readdir(join(directory, folder.name))) {
        if (missing.delete(name) || ids.has(name)) continue
        await rm(join(directory, folder.name, name), { force: true })
        removed += 1
      }
    }
    return { removed, missing: [...missing] }
  }

  /** Ends the store; writes under way fail with `BLOB_CLOSED`. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#held.clear()
    this.#heldBytes = 0
    const spool = this.#spool
    if (spool === undefined) return
    await removeTemporaryFolder(spool)
  }

  #checkWritable(): void {
    if (this.#closing) throw new BlobError('BLOB_CLOSED', 'the store is closed')
    if (this.#full) throw new BlobError('ENOSPC', 'no space left on device')
  }

  #hold(id: string, data: Buffer): void {
    if (data.length > this.#memory || this.#closing) return
    this.#held.set(id, data)
    this.#heldBytes += data.length
    for (const [oldest, { length }] of this.#held) {
      if (this.#heldBytes <= this.#memory) break
      this.#held.delete(oldest)
      this.#heldBytes -= length
    }
  }

  /** Folders of 1/256 each, so that none grows too long. */
  #pathOf({ id }: { readonly id: string }): string {
    const root = this.#directory ?? this.#spool
    if (root === undefined) throw missingError(id)
    return join(root, id.slice(0, 2), id)
  }

  async #place(id: string): Promise<string> {
    this.#checkWritable()
    if (this.#directory === undefined) this.#spool ??= makeTemporaryFolder()
    const path = this.#pathOf({ id })
    const folder = dirname(path)
    if (!this.#folders.has(folder)) {
      await mkdir(folder, { recursive: true })
      this.#folders.add(folder)
    }
    return path
  }
}

/** A file that appears under its name only when it is complete. */
class BlobFile {
  readonly #path: string
  readonly #temporary: string
  readonly #handle: FileHandle
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #writing: Promise<void> = Promise.resolve()

  private constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#temporary = `${path}.new`
    this.#handle = handle
  }

  static async create(path: string): Promise<BlobFile> {
    return new BlobFile(path, await open(`${path}.new`, 'wx', 0o600))
  }

  /** Resolves when the next chunk may come, which is when at most one unit is on its way to the file. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#gathered.push(chunk)
    this.#gatheredBytes += chunk.length
    if (this.#gatheredBytes >= writeUnit || this.#gathered.length >= writeChunks) await this.#flush()
  }

  async finish(sync: boolean): Promise<void> {
    await this.#flush()
    await this.#writing
    if (sync) await this.#handle.sync()
    await this.#handle.close()
    await rename(this.#temporary, this.#path)
  }

  async discard(): Promise<void> {
    await this.#writing.catch(() => undefined)
    await this.#handle.close().catch(() => undefined)
    await rm(this.#temporary, { force: true })
  }

  async #flush(): Promise<void> {
    await this.#writing
    const chunks = this.#gathered
    this.#gathered = []
    this.#gatheredBytes = 0
    if (chunks.length === 0) return
    this.#writing = writeAll(this.#handle, chunks)
    // A failure is met at the next flush; until then it must not count as unhandled.
    this.#writing.catch(() => undefined)
  }
}

async function writeAll(handle: FileHandle, chunks: Uint8Array[]): Promise<void> {
  const total = chunks.reduce((sum, { length }) => sum + length, 0)
  let { bytesWritten } = await handle.writev(chunks)
  if (bytesWritten === total) return
  const rest = Buffer.concat(chunks)
  while (bytesWritten < total) bytesWritten += (await handle.write(rest, bytesWritten)).bytesWritten
}

class Sums {
  readonly #scheme: HashScheme
  readonly #md5: Hash = createHash('md5')
  readonly #other: Hash | undefined

  constructor(scheme: HashScheme) {
    this.#scheme = scheme
    this.#other = scheme === 'MD5' ? undefined : createHash(algorithms[scheme])
  }

  update(chunk: Uint8Array): void {
    this.#md5.update(chunk)
    this.#other?.update(chunk)
  }

  digests(): { md5: string; hash: string } {
    const md5 = this.#md5.digest('hex')
    const digest = this.#other?.digest('hex') ?? md5
    return { md5, hash: `${this.#scheme} ${digest.toUpperCase()}` }
  }
}

/** A copy without slack: chunks from a socket are small views of large buffers. */
function joined(chunks: readonly Uint8Array[], size: number): Buffer {
  const data = Buffer.allocUnsafeSlow(size)
  let offset = 0
  for (const chunk of chunks) {
    data.set(chunk, offset)
    offset += chunk.length
  }
  return data
}

function streamOf(data: Buffer): Readable {
  return new Readable({
    read() {
      if (data.length > 0) this.push(data)
      this.push(null)
    },
  })
}

function existing<T>(blob: Blob, operation: () => T): T {
  try {
    return operation()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw missingError(blob.id)
  }
}

function missingError(id: string): BlobError {
  return new BlobError('BLOB_MISSING', `there is no blob ${id}`)
}

function checkLength(blob: Blob, found: number): void {
  if (found === blob.size) return
  throw new BlobError('BLOB_DAMAGED', `blob ${blob.id}: ${found} bytes instead of ${blob.size}`)
}
