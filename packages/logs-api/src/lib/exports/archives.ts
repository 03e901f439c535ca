import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Readable } from 'node:stream'
import { parseRetention } from '@hcp/objects'
import { PathBuilder } from '@hcp/pathbuilder'
import type { BodyOptions } from '../http/options.ts'
import type { ArchiveFile, ExportArchive } from './export-task.ts'
import { repack } from './repack.ts'

/** Bytes of a file, both ends included. */
export interface Extent {
  readonly start: number
  readonly end: number
}

/** An archive is no longer where it was. */
export class ArchiveGoneError extends Error {
  override name = 'ArchiveGoneError'
}

/** A package on its way into the archives: both forms are on disk here. */
export interface Made {
  readonly archive: ExportArchive
  /** The files, in the order ZIP, tar. */
  readonly files: readonly [zip: string, tar: string]
}

/** Where archives are kept: in a namespace of HCP where there is one, else in a folder. */
export class Archives {
  readonly #directory: string
  readonly #bodies: BodyOptions | undefined
  readonly #paths: PathBuilder | undefined

  constructor(directory: string, bodies: BodyOptions | undefined) {
    this.#directory = directory
    this.#bodies = bodies
    if (bodies !== undefined) {
      const { path = '/rest/logs' } = bodies
      this.#paths = new PathBuilder({ initialPath: `${path.replace(/\/$/, '')}/exports` })
    }
  }

  /** Where a package that was fetched is until it is stored: a file that is there is whole. */
  packageFile(system: string, id: string): string {
    return join(this.#directory, 'packages', system, `${id}.zip`)
  }

  /** Removes a package, and what was made of it here. */
  async removePackage(system: string, id: string): Promise<void> {
    const folder = join(this.#directory, 'packages', system)
    const names = await readdir(folder).catch((error: unknown) => {
      if (isMissing(error)) return []
      throw error
    })
    for (const name of names) {
      if (name.startsWith(id)) await rm(join(folder, name), { force: true })
    }
  }

  /** Makes the folders for a system, and removes what exports left that are at their end, or a process that is. @param active Exports that go on. */
  async prepare(system: string, active: ReadonlySet<string>): Promise<void> {
    const packages = join(this.#directory, 'packages', system)
    const archives = join(this.#directory, 'archives', system)
    for (const folder of [packages, archives]) await mkdir(folder, { recursive: true, mode: 0o700 })
    for (const name of await readdir(packages)) {
      const whole = name.endsWith('.zip') && active.has(name.slice(0, -'.zip'.length))
      if (!whole) await rm(join(packages, name), { force: true, recursive: true })
    }
    for (const name of await readdir(archives)) {
      if (name.endsWith('.part')) await rm(join(archives, name), { force: true })
    }
  }

  /** Packs the other form, and says where both will be. Nothing is there yet: `keep` brings it there. */
  async make(system: string, id: string, serial: string, signal: AbortSignal): Promise<Made> {
    const zip = this.packageFile(system, id)
    const tar = join(this.#directory, 'packages', system, `${id}-${randomUUID()}.tar.gz`)
    const repacked = await repack(zip, tar, signal).catch(async (error: unknown) => {
      // A full disk is not to stay full of what is of no use.
      await rm(tar, { force: true })
      throw error
    })
    const original = await digest(zip, signal)
    const [zipPath, tarPath] = this.#pathsOf(system, id, serial)
    return {
      archive: {
        place: this.#paths === undefined ? 'directory' : 'namespace',
        zip: { path: zipPath, ...original },
        tar: { path: tarPath, ...repacked },
      },
      files: [zip, tar],
    }
  }

  #pathsOf(system: string, id: string, serial: string): [zip: string, tar: string] {
    if (this.#paths !== undefined) {
      const { objectPath } = this.#paths.getUnique(id)
      return [`${objectPath}/${fileName(serial, 'zip')}`, `${objectPath}/${fileName(serial, 'tar.gz')}`]
    }
    return [join('archives', system, `${id}.zip`), join('archives', system, `${id}.tar.gz`)]
  }

  /** Brings both files to their places. Can be repeated. */
  async keep({ archive, files }: Made, signal: AbortSignal, onBytes: (bytes: number) => void): Promise<void> {
    const targets = [archive.zip, archive.tar]
    for (const [index, file] of files.entries()) {
      const target = targets[index] as ArchiveFile
      if (archive.place === 'namespace') await this.#put(file, target, signal, onBytes)
      else await this.#place(file, target, signal, onBytes)
    }
  }

  async #put(
    file: string,
    { path, size }: ArchiveFile,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    const { objects, retention } = this.#bodies as BodyOptions
    let reported = 0
    await objects.put(path, () => createReadStream(file), {
      size,
      signal,
      contentType: 'application/octet-stream',
      // After an answer that was lost, or a repetition.
      acceptIdentical: true,
      ...(retention === undefined ? {} : { retention: parseRetention(retention) }),
      onProgress: ({ transferred }) => {
        onBytes(Math.max(0, transferred - reported))
        reported = Math.max(reported, transferred)
      },
    })
  }

  async #place(
    file: string,
    { path, size }: ArchiveFile,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    signal.throwIfAborted()
    const target = join(this.#directory, path)
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    // The same file system: no second copy. A repetition finds it moved already.
    await rename(file, target).catch(async (error: unknown) => {
      if (!isMissing(error) || (await sizeOf(target)) !== size) throw error
    })
    await syncFolder(dirname(target))
    onBytes(size)
  }

  /**
   * Opens a file of an archive, or a part of it.
   *
   * @throws {ArchiveGoneError} if it is not there any more.
   */
  async open(
    place: ExportArchive['place'],
    file: ArchiveFile,
    extent: Extent,
    signal: AbortSignal,
  ): Promise<Readable> {
    const whole = extent.start === 0 && extent.end === file.size - 1
    if (place === 'directory') return this.#openFile(file, extent)
    if (this.#bodies === undefined)
      throw new ArchiveGoneError('The archive is in a namespace that this service no longer has.')
    try {
      const reader = await this.#bodies.objects.get(file.path, {
        signal,
        ...(whole ? {} : { range: { start: extent.start, end: extent.end } }),
      })
      return reader.body
    } catch (error) {
      if (statusOf(error) === 404) throw new ArchiveGoneError('The archive is no longer in the namespace.')
      throw error
    }
  }

  async #openFile({ path, size }: ArchiveFile, { start, end }: Extent): Promise<Readable> {
    let handle: FileHandle
    try {
      handle = await open(join(this.#directory, path))
    } catch (error) {
      if (isMissing(error)) throw new ArchiveGoneError('The archive is no longer in the folder for archives.')
      throw error
    }
    const facts = await handle.stat()
    if (facts.size !== size) {
      await handle.close()
      throw new ArchiveGoneError('The archive in the folder for archives has been changed.')
    }
    return handle.createReadStream({ start, end, highWaterMark: 256 * 1024 })
  }

  /** @returns False if it is under retention, and stays for now. */
  async remove({ place, zip, tar }: ExportArchive): Promise<boolean> {
    let all = true
    for (const { path } of [zip, tar]) {
      if (place === 'directory') await rm(join(this.#directory, path), { force: true })
      else if (this.#bodies !== undefined) {
        try {
          await this.#bodies.objects.delete(path)
        } catch (error) {
          const status = statusOf(error)
          if (status === 403) all = false
          else if (status !== 404) throw error
        }
      }
    }
    return all
  }
}

/** Of a download, and in the namespace. */
export function fileName(serial: string, ending: 'zip' | 'tar.gz'): string {
  return `${serial.replaceAll(/[^A-Za-z0-9._-]/g, '_')}-dump.${ending}`
}

async function digest(file: string, signal: AbortSignal): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256')
  let size = 0
  await pipeline(
    createReadStream(file, { highWaterMark: 256 * 1024 }),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        hash.update(chunk)
        size += chunk.length
      }
    },
    { signal },
  )
  return { size, sha256: hash.digest('hex') }
}

/** So that a name that was given survives a power cut. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  const facts = await stat(file).catch(() => undefined)
  return facts?.size
}

function isMissing(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === 'ENOENT' || code === 'ENOTDIR'
}

function statusOf(error: unknown): unknown {
  return (error as { status?: unknown }).status
}
