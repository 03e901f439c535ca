import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Body, HcpBodyError, HcpError } from '@hcp/connection'
import {
  bodyHash,
  checkBoolean,
  checkOptions,
  checkSignal,
  checkString,
  requestPath,
} from '@hcp/connection/support'
import type { Conditions } from './conditions.ts'
import { ObjectConditionError, ObjectConflictError, ObjectNotFoundError } from './errors.ts'
import type { Journal } from './journal.ts'
import { contentOf, inMemory, type LocalFile, localFile, wholeContent } from './local-files.ts'
import { type LocalEntry, localEntries } from './local-tree.ts'
import { comparableHash, type ObjectMetadata } from './metadata.ts'
import type { ObjectClient } from './object-client.ts'
import { checkPath } from './object-requests.ts'
import { inParallel } from './parallel.ts'
import type { PutOptions } from './put.ts'
import { LocalFileError } from './transfer-errors.ts'
import {
  checkTreeOptions,
  Tally,
  type TransferSummary,
  type TreeOptions,
  treeOptions,
} from './transfer-summary.ts'
import { openTreeJournal, withJournal } from './tree-journal.ts'

/** A local file that is about to be sent. */
export interface FileToUpload {
  /** Below the folder, with `/` between folders. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly modified: Date
}

/** How to store one file of a tree: all of `PutOptions` that the transfer does not see to itself. */
export type FilePutOptions = Omit<
  PutOptions,
  keyof Conditions | 'size' | 'encoded' | 'signal' | 'acceptIdentical' | 'onProgress'
>

export interface UploadTreeOptions extends TreeOptions {
  /**
   * Names the object of a file, instead of the file's own name: gives a path below the one of the upload, for example
   * `(file) => builder.getUnique(file.name).objectPath`. Asked once for each file; the answer is in the journal before anything is
   * sent, so that a later run takes the same. Needs a `journal`.
   */
  readonly name?: (file: FileToUpload) => string | Promise<string>
  /**
   * How to store a file: retention, annotation and the like. An object that is there already with the file's content is left as it
   * is: neither its settings nor its annotation are looked at.
   */
  readonly put?: (file: FileToUpload) => FilePutOptions | Promise<FilePutOptions>
  /**
   * What to do where an object of this name has other content: let the file fail (`fail`, the default), or store a new version of it
   * (`version`), where the namespace keeps versions.
   */
  readonly existing?: 'fail' | 'version'
  /** Make empty folders too. Default true; without effect together with `name`. */
  readonly emptyFolders?: boolean
}

const knownUpload: ReadonlySet<string> = new Set([...treeOptions, 'name', 'put', 'existing', 'emptyFolders'])
/** Options of a PUT that are the transfer's own. */
const notForFiles: ReadonlySet<string> = new Set([
  'ifMatch',
  'ifNoneMatch',
  'ifModifiedSince',
  'ifUnmodifiedSince',
  'size',
  'encoded',
  'signal',
  'acceptIdentical',
  'onProgress',
])
/** Of a name that somebody is writing: HCP says to wait a second or two (Using a Namespace, "Failed HTTP write operations"). */
const busyAttempts = 6
const busyPause = (attempt: number): number => Math.min(3_200, 200 * 2 ** attempt) * (0.5 + Math.random() / 2)

/** What the journal says of a file. */
interface Entry {
  /** Percent-encoded. */
  readonly path: string
  readonly size: number
  readonly modified: number
  readonly done: boolean
}

/**
 * Stores all files below a local folder, so many at a time, under `path` with the names they have in the folder or with names of your
 * own. Nothing is ever stored twice, however often it is run or interrupted: every PUT is on the condition that there is no such
 * object, and one that is there is compared by content. A file that changes while it is sent is not stored.
 *
 * Symbolic links are not followed. One file that fails does not end the transfer: it is in the summary.
 *
 * @param path For example `/rest/archive`; made if it is not there.
 * @throws {LocalFileError} if the folder cannot be read. @throws {JournalError} if the journal cannot be opened.
 * @throws {TransferStoppedError} after `maxFailures`, or a failure that all other files would meet; it has the summary.
 */
export async function uploadTree(
  client: ObjectClient,
  folder: string,
  path: string,
  options: UploadTreeOptions = {},
): Promise<TransferSummary> {
  checkOptions('uploadTree', options, knownUpload)
  const {
    concurrency = 8,
    signal,
    journal: file,
    name,
    put,
    existing = 'fail',
    emptyFolders = true,
  } = options
  checkTreeOptions(options)
  checkPath(path)
  const root = requestPath(path, false).replace(/\/+$/, '')
  const base = resolve(checkString('folder', folder))
  for (const [option, value] of Object.entries({ name, put }))
    if (value !== undefined && typeof value !== 'function')
      throw new TypeError(`${option} must be a function`)
  if (existing !== 'fail' && existing !== 'version')
    throw new RangeError('existing must be "fail" or "version"')
  checkBoolean('emptyFolders', emptyFolders)
  if (name !== undefined && file === undefined)
    throw new TypeError(
      'name needs a journal: without one, a second run would give new names and store all again',
    )
  checkSignal(signal)?.throwIfAborted()

  const subject = {
    transfer: 'upload of a tree',
    namespace: client.connection.target.fqdn,
    path: root,
    folder: base,
    names: name === undefined ? 'mirrored' : 'own',
  }
  const { journal, entries } = await openTreeJournal<Entry>(file, subject)
  const tally = new Tally(options)
  const upload = new Upload({ client, base, root, journal, entries, tally, name, put, existing })
  await withJournal(journal, tally, () =>
    inParallel(
      concurrency,
      signal,
      () => tally.counting(localEntries(base), ({ kind }) => kind === 'file' || kind === 'unusable'),
      (entry, either) => upload.entry(entry, emptyFolders && name === undefined, either),
    ),
  )
  return tally.summary()
}

interface UploadParts {
  readonly client: ObjectClient
  /** Absolute path of the folder. */
  readonly base: string
  /** Percent-encoded path of what it becomes on HCP. */
  readonly root: string
  readonly journal: Journal | undefined
  readonly entries: Map<string, Entry>
  readonly tally: Tally
  readonly name: UploadTreeOptions['name']
  readonly put: UploadTreeOptions['put']
  readonly existing: 'fail' | 'version'
}

type Outcome = 'stored' | 'identical' | 'resumed'

class Upload {
  readonly #parts: UploadParts

  constructor(parts: UploadParts) {
    this.#parts = parts
  }

  async entry(entry: LocalEntry, makeFolders: boolean, signal: AbortSignal): Promise<void> {
    const { tally, base, journal } = this.#parts
    const { kind, name } = entry
    if (kind === 'unusable') tally.fail(name, undefined, entry.error)
    else if (kind === 'other' || join(base, name) === journal?.file)
      tally.add('ignored', name, undefined, undefined)
    else if (kind === 'file') await this.#file(name, signal)
    else if (makeFolders) await this.#folder(name, signal)
  }

  async #file(name: string, signal: AbortSignal): Promise<void> {
    const { tally, base, entries, journal } = this.#parts
    const known = entries.get(name)
    let path = known?.path
    let done: { readonly outcome: Outcome; readonly path: string; readonly size: number }
    try {
      const local = await localFile(name, join(base, name))
      const { size, modified } = local
      if (known?.done === true && known.size === size && known.modified === modified)
        done = { outcome: 'resumed', path: known.path, size }
      else {
        path ??= await this.#name(local)
        const outcome = await this.#store(path, local, known !== undefined, signal)
        journal?.note({ file: name, path, size, modified, done: true })
        done = { outcome, path, size }
      }
    } catch (error) {
      signal.throwIfAborted()
      tally.fail(name, path && decodeURIComponent(path), ownError(error))
      return
    }
    tally.add(done.outcome, name, decodeURIComponent(done.path), done.size)
  }

  /** The percent-encoded path of a file's object. One that was chosen is in the journal when this is done. */
  async #name(local: LocalFile): Promise<string> {
    const { name, root, journal } = this.#parts
    if (name === undefined) return `${root}/${encodeName(local.name)}`
    const chosen: unknown = await name(toUpload(local))
    checkPath(chosen)
    const path = requestPath(chosen, false)
    if (!path.startsWith(`${root}/`))
      throw new RangeError(`name gave ${JSON.stringify(chosen)}, which is not below the path of the upload`)
    const { size, modified } = local
    await journal?.commit({ file: local.name, path, size, modified, done: false })
    return path
  }

  async #store(path: string, local: LocalFile, known: boolean, signal: AbortSignal): Promise<Outcome> {
    const { existing, name } = this.#parts
    let condition: Conditions = { ifNoneMatch: '*' }
    // Rather one request too many than a large file sent in vain.
    if (local.size > inMemory && (known || name === undefined)) {
      const found = await this.#look(path, local, signal)
      if (found?.identical === true) return 'identical'
      if (found !== undefined) {
        if (existing === 'fail') throw conflictOf(path, found)
        condition = replacing(found.metadata)
      }
    }
    return this.#put(path, local, condition, signal)
  }

  /** What HCP has under a name, `undefined` if nothing. */
  async #look(path: string, local: LocalFile, signal: AbortSignal): Promise<Found | undefined> {
    let metadata: ObjectMetadata
    try {
      metadata = await this.#parts.client.head(path, { encoded: true, signal })
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return undefined
      throw error
    }
    const expected = comparableHash(metadata)
    if (metadata.size !== local.size) return { metadata, identical: false }
    if (expected === undefined) return { metadata, identical: undefined }
    const { size } = local
    const ours = await bodyHash(() => contentOf(local), expected.scheme, { size, signal })
    return { metadata, identical: ours?.hex === expected.hex }
  }

  async #put(path: string, local: LocalFile, first: Conditions, signal: AbortSignal): Promise<Outcome> {
    const { client, tally, existing } = this.#parts
    const { size } = local
    const options = await this.#putOptions(local)
    const small = size <= inMemory
    const body: Body = small ? await wholeContent(local) : () => contentOf(local)
    let condition = first
    for (let attempt = 1; ; attempt++) {
      const meter = small ? undefined : tally.meter()
      try {
        await client.put(path, body, {
          ...options,
          ...condition,
          encoded: true,
          signal,
          size,
          ...(meter === undefined ? {} : { onProgress: meter.onProgress }),
        })
        return 'stored'
      } catch (error) {
        if (attempt >= busyAttempts) throw error
        if (error instanceof ObjectConflictError) {
          if (error.conflict === 'identical') return 'identical'
          const mayReplace = existing === 'version' && condition.ifNoneMatch !== undefined
          if (error.conflict === 'busy' || mayTellLater(error))
            await pause(busyPause(attempt), undefined, { signal })
          else if (error.conflict === 'different' && mayReplace && error.existing !== undefined)
            condition = replacing(error.existing)
          else throw error
        } else if (error instanceof ObjectConditionError && condition.ifMatch !== undefined)
          // Somebody else stored or deleted a version meanwhile: look anew.
          condition = { ifNoneMatch: '*' }
        else throw error
      } finally {
        meter?.end()
      }
    }
  }

  async #putOptions(local: LocalFile): Promise<FilePutOptions> {
    const options = (await this.#parts.put?.(toUpload(local))) ?? {}
    for (const option of Object.keys(options))
      if (notForFiles.has(option))
        throw new TypeError(`put must not give "${option}": the upload sets it itself`)
    return options
  }

  async #folder(name: string, signal: AbortSignal): Promise<void> {
    const { client, root, tally } = this.#parts
    const path = `${root}/${encodeName(name)}`.replace(/\/$/, '')
    try {
      await client.makeDirectory(path, { existing: 'ok', encoded: true, signal })
    } catch (error) {
      signal.throwIfAborted()
      tally.fail(name, decodeURIComponent(path), error)
    }
  }
}

/** An object that has the name of a file. */
interface Found {
  readonly metadata: ObjectMetadata
  /** Whether it has the file's content; `undefined` where that cannot be told. */
  readonly identical: boolean | undefined
}

const encodeName = (name: string): string => name.split('/').map(encodeURIComponent).join('/')

const toUpload = ({ name, size, modified }: LocalFile): FileToUpload => ({
  name,
  size,
  modified: new Date(modified),
})

/** There is an object, and the look at it failed in a way that another may not. */
const mayTellLater = ({ conflict, cause }: ObjectConflictError): boolean =>
  conflict === 'unknown' && HcpError.isInstance(cause) && cause.retryable

/** Only as a version after this very one. */
const replacing = ({ etag }: ObjectMetadata): Conditions => (etag === undefined ? {} : { ifMatch: etag })

/** What the file said, rather than that the request's body failed. */
const ownError = (error: unknown): unknown =>
  error instanceof HcpBodyError && error.cause instanceof LocalFileError ? error.cause : error

function conflictOf(path: string, { metadata, identical }: Found): ObjectConflictError {
  const conflict = identical === undefined ? 'unknown' : 'different'
  const what = identical === undefined ? 'whose content could not be compared' : 'with other content'
  const message = `PUT ${decodeURIComponent(path)} was not sent: there is an object ${what}`
  return new ObjectConflictError(conflict, metadata, 409, undefined, message, { method: 'PUT', sent: false })
}
