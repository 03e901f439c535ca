import type { PackageLimits } from './archive-limits.ts'
import { Allowance, defaultLimits } from './archive-limits.ts'
import type { Bytes } from './bytes.ts'
import { entryName } from './entry-name.ts'
import { LogPackageError } from './errors.ts'
import { type ExtractedFiles, extractFiles } from './extract.ts'
import { nodeNumber, type PackageNode, readManifest } from './manifest.ts'
import { looksLikeTar, readTar } from './tar.ts'
import { named, packageError, unpack } from './unpack.ts'
import { ZipArchive, type ZipEntry } from './zip-file.ts'
import { ZipError } from './zip-end.ts'

export interface PackageOptions {
  /** Bounds on what the package may hold. */
  readonly limits?: PackageLimits
}

/** A file in a package, however deep it is packed. */
export interface LogFile extends AsyncIterable<Uint8Array> {
  /** From the package's top folder on; each archive on the way counts as a folder with the archive's name. */
  readonly path: string
  /** The last part of `path`, without the ending of a compression that is undone. */
  readonly name: string
  /** The General node that it is of, by the archive that it is in; `undefined` for the manifest and the like. */
  readonly node: number | undefined
  /** Bytes as far as they are known before reading: `undefined` where a compression is undone. */
  readonly size: number | undefined
  readonly modified: Date | undefined
}

/** A file of the ZIP itself. */
export interface PackedFile extends LogFile {
  readonly size: number
}

export interface FilesOptions {
  /** Only files of which this says so; the others are passed over, which is quick only at the level of the ZIP. */
  readonly filter?: (path: string) => boolean
  /** Only files of these General nodes. */
  readonly nodes?: readonly number[]
  /** Told of what cannot be read, which is passed over then. Without it, reading ends with the first such error. */
  readonly onError?: (error: LogPackageError) => void
  readonly signal?: AbortSignal
}

/** Bytes: more than the manifest of a system with hundreds of nodes. */
const largestManifest = 16 * 1024 * 1024

/**
 * A package of logs as HCP hands it out: a ZIP with a manifest and an archive per node, in which there are archives of older logs. What
 * is read streams out of all of them; nothing is unpacked to disk and memory stays bounded.
 *
 * What an archive is and how it is compressed is told by its content: tar, plain or in gzip, bzip2 or xz. Links and devices in an
 * archive are no files and are left out.
 */
export class LogPackage implements AsyncDisposable {
  readonly file: string
  /** The nodes by the manifest; empty if there is no manifest. */
  readonly nodes: readonly PackageNode[]
  readonly #zip: ZipArchive
  readonly #limits: Required<PackageLimits>

  private constructor(
    file: string,
    zip: ZipArchive,
    nodes: readonly PackageNode[],
    limits: Required<PackageLimits>,
  ) {
    this.file = file
    this.nodes = nodes
    this.#zip = zip
    this.#limits = limits
  }

  /**
   * Opens a package and reads its manifest.
   *
   * @throws {LogPackageError} if it is no ZIP, or not a whole one.
   * @throws {LogsFileError} if it cannot be read.
   */
  static async open(file: string, options: PackageOptions = {}): Promise<LogPackage> {
    if (typeof file !== 'string' || file === '') throw new TypeError('file must be the path of a package')
    const limits = checkLimits(options.limits)
    let zip: ZipArchive
    try {
      zip = await ZipArchive.open(file, limits.entries)
    } catch (error) {
      if (error instanceof ZipError)
        throw new LogPackageError('', 'damaged', `it is no whole ZIP: ${error.message}`, error)
      throw error
    }
    try {
      return new LogPackage(file, zip, await manifestOf(zip), limits)
    } catch (error) {
      zip.close()
      throw error
    }
  }

  /**
   * Every file, in the order of the package. A file is read, if at all, before the next one is asked for, and by one reader.
   *
   * @throws {LogPackageError} where something cannot be read, unless `onError` takes it. A limit that is passed always ends it.
   */
  async *files(options: FilesOptions = {}): AsyncGenerator<LogFile, void> {
    const { filter = () => true, nodes, onError, signal } = options
    const allowance = new Allowance(this.#limits)
    const report = (error: unknown): void => {
      signal?.throwIfAborted()
      if (!(error instanceof LogPackageError) || error.problem === 'limit' || onError === undefined)
        throw error
      onError(error)
    }
    for (const entry of this.#zip.entries) {
      signal?.throwIfAborted()
      try {
        allowance.entry(entry.name)
        const name = entryName('', entry.name)
        if (entry.folder) continue
        const node = this.#nodeOf(name)
        if (nodes !== undefined && (node === undefined || !nodes.includes(node))) continue
        allowance.ratio(name, entry.packed, entry.size)
        const content = zipContent(this.#zip, entry, name, allowance)
        const facts = { path: name, node, size: entry.size, modified: entry.modified }
        for await (const file of walk(content, facts, 1, allowance, report)) {
          if (!filter(file.path)) continue
          yield signal === undefined ? file : { ...file, [Symbol.asyncIterator]: () => until(signal, file) }
        }
      } catch (error) {
        report(error)
      }
    }
  }

  /**
   * The files of the ZIP itself, as they are packed: archives are not looked into, so that the package can be packed in another way. Each is
   * to be read, if at all, before the next one is asked for. Links are no files and are left out.
   *
   * @throws {LogPackageError} for a name that leads out of the package, and where content is damaged.
   */
  async *entries({ signal }: Pick<FilesOptions, 'signal'> = {}): AsyncGenerator<PackedFile, void> {
    const allowance = new Allowance(this.#limits)
    for (const entry of this.#zip.entries) {
      signal?.throwIfAborted()
      allowance.entry(entry.name)
      const path = entryName('', entry.name)
      if (entry.folder || isLink(entry)) continue
      allowance.ratio(path, entry.packed, entry.size)
      const content = named(zipContent(this.#zip, entry, path, allowance), path)
      const source = signal === undefined ? content : until(signal, content)
      yield {
        path,
        name: path.split('/').at(-1) ?? path,
        node: this.#nodeOf(path),
        size: entry.size,
        modified: entry.modified,
        [Symbol.asyncIterator]: () => source[Symbol.asyncIterator](),
      }
    }
  }

  /**
   * Unpacks files below a folder, each under its `path`, and never anywhere else. Nothing that is there already is replaced.
   *
   * @returns What was written, and what could not be read.
   */
  extract(folder: string, options: FilesOptions = {}): Promise<ExtractedFiles> {
    return extractFiles(this, folder, options)
  }

  #nodeOf(path: string): number | undefined {
    const listed = this.nodes.find(({ archive }) => archive === path)
    return listed === undefined ? nodeNumber(path) : listed.number
  }

  close(): Promise<void> {
    this.#zip.close()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** By the mode that Unix systems note. */
function isLink({ raw }: ZipEntry): boolean {
  return raw.versionMadeBy >>> 8 === 3 && ((raw.externalFileAttributes >>> 16) & 0o170_000) === 0o120_000
}

function checkLimits(limits: PackageLimits = {}): Required<PackageLimits> {
  for (const [name, value] of Object.entries(limits)) {
    if (!(name in defaultLimits)) throw new TypeError(`there is no limit "${name}"`)
    if (value !== undefined && !(typeof value === 'number' && value >= 1))
      throw new RangeError(`the limit ${name} must be a number from 1 on`)
  }
  return {
    ...defaultLimits,
    ...Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined)),
  }
}

async function manifestOf(zip: ZipArchive): Promise<PackageNode[]> {
  const entry = zip.entries.find(({ name }) => /^(?:[^/]+\/)?manifest\.csv$/i.test(name))
  if (entry === undefined) return []
  if (entry.size > largestManifest)
    throw new LogPackageError(entry.name, 'limit', `it is larger than ${largestManifest} bytes`)
  const pieces: Uint8Array[] = []
  for await (const piece of named(zip.content(entry), entry.name)) pieces.push(piece)
  try {
    return readManifest(Buffer.concat(pieces).toString('utf8'))
  } catch (error) {
    throw packageError(error, entry.name)
  }
}

async function* zipContent(
  zip: ZipArchive,
  entry: ZipEntry,
  place: string,
  allowance: Allowance,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of zip.content(entry)) {
    allowance.bytes(place, chunk.length)
    yield chunk
  }
}

async function* until(signal: AbortSignal, source: Bytes): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of source) {
    signal.throwIfAborted()
    yield chunk
  }
}

interface Facts {
  readonly path: string
  readonly node: number | undefined
  readonly size: number | undefined
  readonly modified: Date | undefined
}

const compressedEnding = /\.(?:gz|bz2|xz)$/i

/** Gives content as a file, or if it is an archive what is in it. */
async function* walk(
  source: Bytes,
  facts: Facts,
  depth: number,
  allowance: Allowance,
  report: (error: unknown) => void,
): AsyncGenerator<LogFile, void> {
  const { path, node } = facts
  const { compression, head, content, close } = await unpack(source, path, allowance)
  if (!looksLikeTar(head)) {
    const plain = compression === 'none'
    const name = (path.split('/').at(-1) ?? path).replace(plain ? /$^/ : compressedEnding, '')
    const size = plain ? facts.size : undefined
    try {
      yield { ...facts, name, size, [Symbol.asyncIterator]: () => content[Symbol.asyncIterator]() }
    } finally {
      // A file that nobody reads holds the package's file open.
      await close()
    }
    return
  }
  allowance.depth(path, depth + 1)
  try {
    for await (const entry of readTar(content)) {
      try {
        allowance.entry(path)
        if (entry.type === 'directory') continue
        const inner = `${path}/${entryName(path, entry.name)}`
        if (entry.type !== 'file' && entry.type !== 'contiguous-file') continue
        const { size, modified } = entry
        yield* walk(entry.content, { path: inner, node, size, modified }, depth + 1, allowance, report)
      } catch (error) {
        // What is wrong with this archive, or one around it, is not for this entry to say.
        const here =
          !(error instanceof LogPackageError) || error.place === path || path.startsWith(`${error.place}/`)
        if (here && !(error instanceof LogPackageError && error.problem === 'name')) throw error
        report(error)
      }
    }
  } catch (error) {
    throw packageError(error, path)
  }
}
