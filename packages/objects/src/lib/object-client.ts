import { type Body, Connection, type ConnectionOptions, Target } from '@hcp/connection'
import { deleteAcl, getAcl, type Grant, hasAcl, putAcl } from './acl.ts'
import type { AnnotationReader } from './annotation-reader.ts'
import {
  type AnnotationListOptions,
  type AnnotationMetadata,
  type AnnotationReadOptions,
  type AnnotationsWriteOptions,
  type AnnotationWriteOptions,
  deleteAnnotation,
  getAnnotation,
  hasAnnotation,
  headAnnotation,
  listAnnotations,
  putAnnotation,
  putAnnotations,
} from './annotations.ts'
import { changeMetadata, type MetadataChanges } from './change-metadata.ts'
import { copyObject, type CopyOptions, type CopySource } from './copy.ts'
import { deleteObject, type DeleteOptions } from './delete.ts'
import { headDirectory, makeDirectory, type MakeDirectoryOptions, removeDirectory } from './directories.ts'
import { listDirectory, type ListOptions } from './directory-listing.ts'
import { download, type DownloadedFile, type DownloadOptions } from './download.ts'
import { downloadTree, type DownloadTreeOptions } from './download-tree.ts'
import { getObject, type GetOptions } from './get.ts'
import { headObject, type HeadOptions, pathExists } from './head.ts'
import type { DirectoryEntry, VersionEntry } from './listing-entry.ts'
import type { DirectoryMetadata, ObjectMetadata } from './metadata.ts'
import type { ObjectReader } from './object-reader.ts'
import { type CallOptions, ObjectRequests } from './object-requests.ts'
import { putObject, type PutOptions, type StoredObject } from './put.ts'
import type { TransferSummary } from './transfer-summary.ts'
import { uploadTree, type UploadTreeOptions } from './upload-tree.ts'
import { listVersions, type VersionListOptions } from './version-listing.ts'
import { walk, type WalkOptions } from './walk.ts'

/** At a time, of one client; further ones wait. */
const mostListings = 64

/**
 * Objects in one namespace. Paths are those of the wire, `/rest/folder/name`, as text; every method takes a `signal`.
 *
 * All methods reject with a `TypeError` or `RangeError` for wrong arguments, before anything is sent; with an `HcpResponseError` (or
 * its subclasses here) for answers that mean failure; with another `HcpError` of `@hcp/connection` where no answer came; with the
 * signal's reason after an abort.
 *
 * @example
 *   await using objects = new ObjectClient(target)
 *   await objects.put('/rest/folder/name', 'content', { retention: retainFor({ years: 7 }) })
 */
export class ObjectClient implements AsyncDisposable {
  readonly connection: Connection
  readonly #owned: boolean
  readonly #options: ConnectionOptions | undefined
  readonly #requests: ObjectRequests
  #listings: ObjectRequests | undefined

  /**
   * @param target Where the namespace is: the client makes a connection and closes it. Or a connection, which stays the caller's.
   * @param options Of the connection that is made.
   */
  constructor(target: Target | Connection, options?: ConnectionOptions) {
    this.#owned = target instanceof Target
    if (target instanceof Target) this.connection = new Connection(target, options)
    else if (!(target instanceof Connection))
      throw new TypeError('ObjectClient: the first argument must be a Target or a Connection')
    else if (options !== undefined)
      throw new TypeError('ObjectClient: options are for a connection of its own: give a Target with them')
    else this.connection = target
    this.#options = options
    this.#requests = new ObjectRequests(this.connection)
  }

  /**
   * A listing holds its socket for as long as its reader takes. On the sockets of the other requests it could make them wait for it, and
   * it for the reader, who waits for them: so it has a connection of its own, where the client makes the connections.
   */
  get #forListings(): ObjectRequests {
    if (!this.#owned || this.connection.closed) return this.#requests
    this.#listings ??= new ObjectRequests(
      new Connection(this.connection.target, { ...this.#options, connections: mostListings }),
    )
    return this.#listings
  }

  /**
   * Stores an object, or a new version where versioning is on; its content is hashed on the way and compared with what HCP says it
   * stored. Directories on the way are made by HCP.
   *
   * @param body As for `Connection.put`: text, bytes, `FileBody`, Blob, stream, iterable, or a function that opens one. A stream
   *   or iterable given directly can be sent only once, so a broken transfer of it is not repeated.
   * @throws {ObjectConflictError} if the name is taken; its `conflict` tells by what.
   */
  put(path: string, body?: Body | null, options?: PutOptions): Promise<StoredObject> {
    return putObject(this.#requests, path, body, options)
  }

  /** Reads an object or version: resolves when its head is there, the content is read from what is returned. */
  get(path: string, options?: GetOptions): Promise<ObjectReader> {
    return getObject(this.#requests, path, options)
  }

  /** Metadata of an object or version. @throws {ObjectNotFoundError} if there is none, or a directory. */
  head(path: string, options?: HeadOptions): Promise<ObjectMetadata> {
    return headObject(this.#requests, path, options)
  }

  /** Whether there is an object or directory of this name. */
  exists(path: string, options?: CallOptions): Promise<boolean> {
    return pathExists(this.#requests, path, options)
  }

  /**
   * Changes settings of the current version; makes no new one. A change of retention must lengthen it (Using a Namespace, "Retention
   * settings"). Repeated after a lost answer, except `retention` relative to the current one.
   */
  changeMetadata(path: string, changes: MetadataChanges, options?: CallOptions): Promise<void> {
    return changeMetadata(this.#requests, path, changes, options)
  }

  /**
   * Deletes an object; with versioning on it becomes an old version. An empty directory of this name is deleted too. A repetition, after
   * an answer that was lost or said 500 and the like, that finds nothing left counts as done.
   *
   * @throws {HcpResponseError} 403 while it is under retention or on hold. @throws {ObjectNotFoundError}
   */
  delete(path: string, options?: DeleteOptions): Promise<void> {
    return deleteObject(this.#requests, path, options)
  }

  /**
   * Has HCP copy an object; nothing passes through this program. Not repeated after a lost answer, nor after a failure of which it cannot
   * be told how far the copy went (500, 504 and the like): an `HcpAmbiguousError` then.
   *
   * @param source A path in this namespace, or a path, version and namespace.
   */
  copy(source: string | CopySource, path: string, options?: CopyOptions): Promise<StoredObject> {
    return copyObject(this.#requests, source, path, options)
  }

  /**
   * What a directory has, one by one as the listing comes in, a million entries or more. Holds a socket until its end, or until the loop
   * is left: one beside those of other requests, unless the client was given a connection.
   */
  list(path: string, options?: ListOptions): AsyncGenerator<DirectoryEntry, void> {
    return listDirectory(this.#forListings, path, options)
  }

  /** The versions of an object, one by one. @throws {HcpResponseError} 400 where versioning is off. */
  versions(path: string, options?: VersionListOptions): AsyncGenerator<VersionEntry, void> {
    return listVersions(this.#forListings, path, options)
  }

  /**
   * All that is below a directory, its directories listed side by side: `concurrency` (default 4) of them. Each holds a socket as `list`
   * does. On a connection that was given, keep that below its `connections` where the loop sends requests itself.
   */
  walk(path: string, options?: WalkOptions): AsyncGenerator<DirectoryEntry, void> {
    return walk(this.#forListings, path, options)
  }

  /** Makes a directory and those above it. @returns Whether it was made now: false only with `existing: 'ok'`. */
  makeDirectory(path: string, options?: MakeDirectoryOptions): Promise<boolean> {
    return makeDirectory(this.#requests, path, options)
  }

  /** Removes an empty directory, and nothing that is none. @throws {HcpResponseError} 403 if it is not empty. */
  removeDirectory(path: string, options?: CallOptions): Promise<void> {
    return removeDirectory(this.#requests, path, options)
  }

  /** When a directory was last changed. @throws {ObjectNotFoundError} if there is none, or an object of that name. */
  directory(path: string, options?: CallOptions): Promise<DirectoryMetadata> {
    return headDirectory(this.#requests, path, options)
  }

  /** The annotations of an object or version; an empty list if it has none. */
  annotations(path: string, options?: AnnotationListOptions): Promise<readonly AnnotationMetadata[]> {
    return listAnnotations(this.#requests, path, options)
  }

  /** Reads an annotation: the one called `default`, or another by `name`. @throws {ObjectNotFoundError} */
  annotation(path: string, options?: AnnotationReadOptions): Promise<AnnotationReader> {
    return getAnnotation(this.#requests, path, options)
  }

  /** Size, hash and time of an annotation. @throws {ObjectNotFoundError} */
  headAnnotation(path: string, options?: AnnotationReadOptions): Promise<AnnotationMetadata> {
    return headAnnotation(this.#requests, path, options)
  }

  /** Whether an object has an annotation. @throws {ObjectNotFoundError} if there is no such object. */
  hasAnnotation(path: string, options?: AnnotationReadOptions): Promise<boolean> {
    return hasAnnotation(this.#requests, path, options)
  }

  /** Stores or replaces an annotation: the one called `default`, or another by `name`. Makes no new version. */
  putAnnotation(path: string, content: string | Uint8Array, options?: AnnotationWriteOptions): Promise<void> {
    return putAnnotation(this.#requests, path, content, options)
  }

  /** Stores several annotations by name. @throws {AnnotationsError} if some could not be stored; it tells which were. */
  putAnnotations(
    path: string,
    annotations: Readonly<Record<string, string | Uint8Array>>,
    options?: AnnotationsWriteOptions,
  ): Promise<void> {
    return putAnnotations(this.#requests, path, annotations, options)
  }

  /** Deletes an annotation. @returns Whether there was one. */
  deleteAnnotation(path: string, options?: AnnotationWriteOptions): Promise<boolean> {
    return deleteAnnotation(this.#requests, path, options)
  }

  /** The access control list of an object; empty if it has none. */
  acl(path: string, options?: CallOptions): Promise<readonly Grant[]> {
    return getAcl(this.#requests, path, options)
  }

  /** Stores or replaces the access control list of an object, 1 to 1,000 grants. */
  putAcl(path: string, grants: readonly Grant[], options?: CallOptions): Promise<void> {
    return putAcl(this.#requests, path, grants, options)
  }

  /** Whether an object has an access control list. */
  hasAcl(path: string, options?: CallOptions): Promise<boolean> {
    return hasAcl(this.#requests, path, options)
  }

  /** Deletes the access control list of an object, if it has one. */
  deleteAcl(path: string, options?: CallOptions): Promise<void> {
    return deleteAcl(this.#requests, path, options)
  }

  /**
   * Fetches an object into a file, a large one by ranges in parallel. The file has its name only when it is whole and verified; a call
   * after a failure, or after the end of the process, fetches what is missing.
   */
  download(path: string, file: string, options?: DownloadOptions): Promise<DownloadedFile> {
    return download(this, path, file, options)
  }

  /**
   * Stores all files below a local folder under `path`, several at a time. Stores nothing twice, however often it is run. What failed
   * is in the summary.
   */
  uploadTree(folder: string, path: string, options?: UploadTreeOptions): Promise<TransferSummary> {
    return uploadTree(this, folder, path, options)
  }

  /** Fetches all objects below `path` into a local folder, several at a time. What failed is in the summary. */
  downloadTree(path: string, folder: string, options?: DownloadTreeOptions): Promise<TransferSummary> {
    return downloadTree(this, path, folder, options)
  }

  /** Closes the connection if the client made it. */
  async close(): Promise<void> {
    if (this.#owned) await Promise.all([this.connection.close(), this.#listings?.connection.close()])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
