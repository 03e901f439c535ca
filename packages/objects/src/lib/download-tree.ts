import { createHash } from 'node:crypto'
import { mkdir, rm, rmdir, stat, utimes } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { checkBoolean, checkOptions, checkSignal, checkString, requestPath } from '@hcp/connection/support'
import { fetchInto, fetchWhole, partJournal } from './download.ts'
import { lockFile } from './file-lock.ts'
import type { Journal } from './journal.ts'
import { factsOf, fileExists, hasContent, moveIntoPlace } from './local-files.ts'
import { foldsNames, localName, NameGuard } from './local-names.ts'
import type { ObjectClient } from './object-client.ts'
import { checkPath } from './object-requests.ts'
import { inParallel } from './parallel.ts'
import { LocalFileError, onDisk, systemCode, systemError } from './transfer-errors.ts'
import {
  checkTreeOptions,
  Tally,
  type TransferSummary,
  type TreeOptions,
  treeOptions,
} from './transfer-summary.ts'
import { openTreeJournal, withJournal } from './tree-journal.ts'
import { type Listed, listedTree, type ListedObject } from './tree-listing.ts'

export interface DownloadTreeOptions extends TreeOptions {
  /** Replace a file that has other content than the object. Default false: the object fails. */
  readonly overwrite?: boolean
  /** The time of last change that a file gets: when its object was stored (`ingest`, the default), when that last changed, or now. */
  readonly modified?: 'ingest' | 'change' | 'now'
}

const knownDownload: ReadonlySet<string> = new Set([...treeOptions, 'overwrite', 'modified'])

/** Objects that are larger are fetched in parts, which a later run can go on with. Bytes. */
const large = 64 * 1024 * 1024
/** In the folder while a transfer runs: files that are not whole yet. */
const workFolder = '.hcp-transfer'

/** What the journal says of a file that is there. */
interface Entry {
  readonly version: string | null
  readonly etag: string | null
  readonly size: number
  /** Epoch milliseconds, of the file. */
  readonly modified: number
}

/**
 * Fetches all objects below a directory into a local folder, so many at a time, each under the name that it has there. A file has its
 * name only when it is whole and has HCP's hash. One that is there with the object's content is left as it is.
 *
 * Nothing is written outside the folder: a name that cannot be a file's makes its object fail, and symbolic links in the folder are
 * not followed. Links on HCP are ignored. One object that fails does not end the transfer: it is in the summary.
 *
 * While it runs the folder has a folder `.hcp-transfer` with what is not whole yet. It stays if large files failed or the process
 * is killed, and the next run goes on from it.
 *
 * @param folder Made if it is not there.
 * @throws {ObjectNotFoundError} if there is no such directory on HCP. @throws {LocalFileError} if the folder cannot be written, or
 *   another transfer is writing it. @throws {JournalError} if the journal cannot be opened.
 * @throws {TransferStoppedError} after `maxFailures`, or a failure that all other files would meet; it has the summary.
 */
export async function downloadTree(
  client: ObjectClient,
  path: string,
  folder: string,
  options: DownloadTreeOptions = {},
): Promise<TransferSummary> {
  checkOptions('downloadTree', options, knownDownload)
  const { concurrency = 8, signal, journal: file, overwrite = false, modified = 'ingest' } = options
  checkTreeOptions(options)
  checkPath(path)
  const root = requestPath(path, false).replace(/\/+$/, '')
  const base = resolve(checkString('folder', folder))
  checkBoolean('overwrite', overwrite)
  if (modified !== 'ingest' && modified !== 'change' && modified !== 'now')
    throw new RangeError('modified must be "ingest", "change" or "now"')
  checkSignal(signal)?.throwIfAborted()

  await onDisk(base, 'make', mkdir(base, { recursive: true }))
  const work = join(base, workFolder)
  const release = await onDisk(base, 'write', lockFile(work))
  if (release === undefined)
    throw new LocalFileError(base, 'busy', `another transfer is writing the folder ${base}`)
  try {
    const subject = {
      transfer: 'download of a tree',
      namespace: client.connection.target.fqdn,
      path: root,
      folder: base,
    }
    const { journal, entries } = await openTreeJournal<Entry>(file, subject)
    const tally = new Tally(options)
    await withJournal(journal, tally, async () => {
      await makeFolder(work)
      const names = new NameGuard(await onDisk(work, 'write', foldsNames(work)))
      const parts = { client, base, root, work, journal, entries, tally, names, overwrite, modified }
      const tree = new TreeDownload(parts)
      await inParallel(
        concurrency,
        signal,
        (either) =>
          tally.counting(
            listedTree(client, root, work, either),
            ({ kind }) => kind === 'object' || kind === 'unusable',
          ),
        (entry, either) => tree.entry(entry, either),
      )
      if (tally.summary().failed.length === 0) await rm(work, { recursive: true, force: true })
      // Not while parts of large files are in it.
      else await rmdir(work).catch(() => {})
    })
    return tally.summary()
  } finally {
    await release()
  }
}

interface TreeDownloadParts {
  readonly client: ObjectClient
  /** Absolute path of the folder. */
  readonly base: string
  /** Percent-encoded path of the directory on HCP. */
  readonly root: string
  /** Where files are until they are whole. */
  readonly work: string
  readonly journal: Journal | undefined
  readonly entries: Map<string, Entry>
  readonly tally: Tally
  readonly names: NameGuard
  readonly overwrite: boolean
  readonly modified: 'ingest' | 'change' | 'now'
}

class TreeDownload {
  readonly #parts: TreeDownloadParts
  /** Folders that are known to be folders, and no links. */
  readonly #folders = new Set<string>(['.'])
  /** Names of temporary files that are free. */
  readonly #free: string[] = []
  #slots = 0

  constructor(parts: TreeDownloadParts) {
    this.#parts = parts
  }

  async entry(entry: Listed, signal: AbortSignal): Promise<void> {
    const { tally, root } = this.#parts
    const path = textOf(`${root}/${entry.below}`)
    // Until it is known what it is called here, it is called as it is there.
    let name = textOf(entry.below)
    if (entry.kind === 'symlink') {
      tally.add('ignored', name, path, undefined)
      return
    }
    let outcome: 'stored' | 'identical' | 'resumed'
    try {
      if (entry.kind === 'unusable') throw entry.error
      name = this.#nameOf(entry.below)
      if (entry.kind === 'directory') {
        await this.#folder(name)
        return
      }
      outcome = await this.#file(entry, name, signal)
    } catch (error) {
      signal.throwIfAborted()
      tally.fail(entry.kind === 'object' ? name : `${name}/`, path, error)
      return
    }
    tally.add(outcome, name, path, entry.size)
  }

  /** Below the folder, with `/` between folders. */
  #nameOf(below: string): string {
    const { base, journal, work } = this.#parts
    try {
      const name = below
        .split('/')
        .map((part) => localName(part))
        .join('/')
      const file = join(base, name)
      if (file === journal?.file || file === work || file.startsWith(work + sep))
        throw new RangeError('the transfer itself needs this name')
      return name
    } catch (error) {
      const { message } = error as Error
      throw new LocalFileError(textOf(below), 'name', `${textOf(below)} cannot be a file here: ${message}`)
    }
  }

  async #file(
    object: ListedObject,
    name: string,
    signal: AbortSignal,
  ): Promise<'stored' | 'identical' | 'resumed'> {
    const { base, entries, names, overwrite } = this.#parts
    const file = join(base, name)
    try {
      names.claim(name)
    } catch (error) {
      throw new LocalFileError(file, 'name', `${name} is not fetched: ${(error as Error).message}`)
    }
    await this.#folder(dirname(name))
    const facts = await factsOf(file)
    const known = entries.get(name)
    if (facts !== undefined) {
      const same =
        known !== undefined &&
        known.version === (object.versionId ?? null) &&
        known.etag === (object.etag ?? null) &&
        known.size === object.size
      if (same && facts.isFile() && facts.size === known.size && facts.mtimeMs === known.modified)
        return 'resumed'
      if (facts.isDirectory()) throw new LocalFileError(file, 'kind', `${file} is a folder`)
      if (facts.isFile() && (await hasContent(file, facts.size, object, signal)) === true) {
        this.#note(name, object, facts.mtimeMs)
        return 'identical'
      }
      if (!overwrite) throw fileExists(file)
    }
    await this.#fetch(object, name, file, signal)
    return 'stored'
  }

  async #fetch(object: ListedObject, name: string, file: string, signal: AbortSignal): Promise<void> {
    const { client, root, work, overwrite, modified, tally } = this.#parts
    const path = `${root}/${object.below}`
    const slot = object.size > large ? undefined : (this.#free.pop() ?? `${this.#slots++}.part`)
    const part = join(work, slot ?? `${createHash('sha256').update(name).digest('hex').slice(0, 32)}.part`)
    const meter = tally.meter()
    const options = {
      encoded: true,
      signal,
      ...(meter === undefined ? {} : { onProgress: meter.onProgress }),
    }
    try {
      const { metadata } =
        slot === undefined
          ? await fetchInto(client, path, part, options)
          : await fetchWhole(client, path, part, options)
      const time = modified === 'ingest' ? metadata.ingestTime : metadata.changeTime
      if (modified !== 'now' && time !== undefined) await onDisk(file, 'write', utimes(part, time, time))
      const written = await onDisk(file, 'read', stat(part))
      await moveIntoPlace(part, file, overwrite)
      if (slot === undefined) await rm(partJournal(part), { force: true })
      this.#note(name, metadata, written.mtimeMs)
    } finally {
      meter?.end()
      if (slot !== undefined) this.#free.push(slot)
    }
  }

  #note(
    file: string,
    { versionId, etag, size }: Pick<ListedObject, 'versionId' | 'etag' | 'size'>,
    modified: number,
  ): void {
    this.#parts.journal?.note({ file, version: versionId ?? null, etag: etag ?? null, size, modified })
  }

  /** Makes a folder below the base, with those above it. Links to folders are none. */
  async #folder(name: string): Promise<void> {
    if (this.#folders.has(name)) return
    await this.#folder(dirname(name))
    await makeFolder(join(this.#parts.base, name))
    this.#folders.add(name)
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (cause) {
    if (systemCode(cause) !== 'EEXIST') throw systemError(path, 'make', cause)
    if ((await factsOf(path))?.isDirectory() !== true)
      throw new LocalFileError(path, 'kind', `${path} should be a folder, and is something else`)
  }
}

/** To be read by people; what is not text stays encoded. */
function textOf(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}
