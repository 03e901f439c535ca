import { type HcpResponse, HcpResponseError } from '@hcp/connection'
import {
  checkInteger,
  checkOptions,
  checkSignal,
  type ContentHash,
  hashOf,
  parseHash,
  RetryPolicy,
} from '@hcp/connection/support'
import { checkAnnotationName } from './annotation-name.ts'
import { AnnotationReader } from './annotation-reader.ts'
import { checkIsDocument } from './directory-listing.ts'
import { checkIsPlain, responseError } from './errors.ts'
import { checkVersion } from './head.ts'
import { sendHinted } from './hinted.ts'
import { objectMetadata } from './metadata.ts'
import { type CallOptions, known, type ObjectRequests } from './object-requests.ts'
import { protocolError } from './protocol-error.ts'
import type { AnnotationInPut } from './put-with-annotation.ts'
import { timeLeft } from './time-left.ts'
import { childElements, type XmlElement } from './xml-reader.ts'

/** What HCP says of an annotation. */
export interface AnnotationMetadata {
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** Algorithm by HCP's name and lower-case hex. */
  readonly hash: ContentHash | undefined
  /** To the second. */
  readonly changeTime: Date | undefined
  /** `text/xml` or, where the namespace does not check for XML, `unknown`. */
  readonly contentType: string | undefined
}

/** Of which version to read annotations. */
export interface AnnotationListOptions extends CallOptions {
  /** A version's id. Default: the current version. */
  readonly version?: string
}

/** Which annotation to read. */
export interface AnnotationReadOptions extends AnnotationListOptions {
  /** Default `default`. */
  readonly name?: string
}

/** Which annotation to store or delete: one of the current version. */
export interface AnnotationWriteOptions extends CallOptions {
  /** Default `default`. */
  readonly name?: string
}

export interface AnnotationsWriteOptions extends CallOptions {
  /** Annotations sent at a time, 1 to 10, default 4. */
  readonly concurrency?: number
}

/** Some of several annotations could not be stored. `cause` is the first of their errors. */
export class AnnotationsError extends Error {
  override name = 'AnnotationsError'
  readonly code = 'HCP_ANNOTATIONS'
  /** Names of those that were stored. */
  readonly stored: readonly string[]
  /** Names and errors of those that were not. Those in neither list were not tried any more. */
  readonly failed: readonly { readonly name: string; readonly error: unknown }[]
  constructor(
    stored: readonly string[],
    failed: readonly { readonly name: string; readonly error: unknown }[],
  ) {
    const names = failed.map(({ name }) => name).join(', ')
    const rest = stored.length === 0 ? 'none was stored' : `stored: ${stored.join(', ')}`
    super(`Annotations that could not be stored: ${names}; ${rest}`, { cause: failed[0]?.error })
    this.stored = stored
    this.failed = failed
  }
}

const knownList = known('version')
const knownRead = known('name', 'version')
const knownWrite = known('name')
const knownWriteAll = known('concurrency')
/** Annotations that an object can have. */
const most = 10
/** So often an annotation is fetched anew that came broken or damaged. */
const mostFreshStarts = 2

const absent = 'the object has no annotation of this name'
const busy = 'the object is being written, or HCP is busy with annotations; try again later'
const putHints = {
  400: 'HCP takes at most 10 annotations for an object and none for a directory, and may take only well-formed XML',
  403: 'the user may not, or the object is under retention and the namespace lets annotations only be added then',
  409: busy,
  413: 'it is larger than HCP takes, or the quota of the namespace is used up',
}
const deleteHints = {
  403: 'the user may not, or the object is under retention and the namespace lets annotations only be added then',
  409: busy,
}

/**
 * The annotations of an object; an empty list if it has none.
 *
 * @throws {ObjectNotFoundError} if there is no such object.
 * @see Using a Namespace, "Listing annotations for an object"
 */
export async function listAnnotations(
  requests: ObjectRequests,
  path: string,
  options: AnnotationListOptions = {},
): Promise<readonly AnnotationMetadata[]> {
  checkOptions('annotations', options, knownList)
  const response = await requests.send('GET', path, options, {
    params: { type: 'custom-metadata-info', version: checkVersion(options.version) },
  })
  if (response.status === 204) {
    await response.dump()
    return []
  }
  await checkIsDocument(response, ['directory'], 'directories have no annotations')
  const found: AnnotationMetadata[] = []
  for await (const elements of childElements(response, 'annotations')) {
    for (const element of elements)
      if (element.name === 'annotation') found.push(annotationOf(element, response))
    // So that a list without end is no list.
    if (found.length > 100 * most)
      throw protocolError(response, 'has more annotations than an object can have')
  }
  return found
}

function annotationOf({ children }: XmlElement, response: HcpResponse): AnnotationMetadata {
  const text = (name: string): string | undefined =>
    children.find((child) => child.name === name)?.text.trim() || undefined
  const name = text('name')
  const size = text('size')
  if (name === undefined || size === undefined || !/^\d{1,16}$/.test(size))
    throw protocolError(response, 'has an annotation without name or size')
  const changed = new Date(Number.parseInt(text('changeTimeMilliseconds') ?? '', 10))
  return {
    name,
    size: Number(size),
    hash: parseHash(text('hash')),
    changeTime: Number.isNaN(changed.getTime()) ? undefined : changed,
    contentType: text('contentType'),
  }
}

/**
 * Reads an annotation: resolves when its head is there, the content is read from what is returned.
 *
 * @throws {ObjectNotFoundError} if there is no such object (`status` 404) or it has no such annotation (204).
 * @see Using a Namespace, "Retrieving an annotation"
 */
export async function getAnnotation(
  requests: ObjectRequests,
  path: string,
  options: AnnotationReadOptions = {},
): Promise<AnnotationReader> {
  const { name, params } = readParams('annotation', options)
  const current = timeLeft(options)
  const fetch = async (): Promise<{ response: HcpResponse; metadata: AnnotationMetadata }> => {
    const response = await requests.send('GET', path, current(), { params })
    await checkIsThere(response)
    checkIsPlain(response)
    return { response, metadata: metadataOf(response, name) }
  }
  const { attempts } = new RetryPolicy(options.retry ?? {})
  return new AnnotationReader(await fetch(), fetch, Math.min(mostFreshStarts, attempts - 1))
}

/**
 * What HCP says of an annotation.
 *
 * @throws {ObjectNotFoundError} if there is no such object (`status` 404) or it has no such annotation (204).
 */
export async function headAnnotation(
  requests: ObjectRequests,
  path: string,
  options: AnnotationReadOptions = {},
): Promise<AnnotationMetadata> {
  const { name, params } = readParams('headAnnotation', options)
  const response = await requests.send('HEAD', path, options, { params })
  await checkIsThere(response)
  return metadataOf(response, name)
}

/** Whether an object has an annotation. @throws {ObjectNotFoundError} if there is no such object. */
export async function hasAnnotation(
  requests: ObjectRequests,
  path: string,
  options: AnnotationReadOptions = {},
): Promise<boolean> {
  const { params } = readParams('hasAnnotation', options)
  return (await requests.send('HEAD', path, options, { params })).status !== 204
}

/**
 * Stores an annotation, or replaces the one of that name, as a whole. Makes no new version.
 *
 * @param content XML where the namespace checks for it, else anything; text goes out as UTF-8.
 * @throws {ObjectNotFoundError} if there is no such object.
 * @throws {HcpResponseError} 400 for the eleventh one, a directory or ill-formed XML; 403 if retention forbids it.
 * @see Using a Namespace, "Storing an annotation"
 */
export async function putAnnotation(
  requests: ObjectRequests,
  path: string,
  content: string | Uint8Array,
  options: AnnotationWriteOptions = {},
): Promise<void> {
  checkOptions('putAnnotation', options, knownWrite)
  const name = nameOf(options)
  checkContent('content', content)
  await send(requests, path, name, content, timeLeft(options))
}

async function send(
  requests: ObjectRequests,
  path: string,
  name: string,
  content: string | Uint8Array,
  current: () => CallOptions,
): Promise<void> {
  const parts = { params: { type: 'custom-metadata', annotation: name }, body: content }
  try {
    await sendHinted(requests, 'PUT', path, current(), parts, putHints)
  } catch (error) {
    // An earlier try, whose answer was lost, may have stored it: where annotations can only be added, the next one is refused.
    const repeated = error instanceof HcpResponseError && error.status === 403 && error.attempts > 1
    if (!repeated) throw error
    const { system } = error
    const options = { ...current(), ...(system === undefined ? {} : { system }) }
    if (!(await hasSameAnnotation(requests, path, { name, content }, options))) throw error
  }
}

/** Whether an object has this very annotation; one that cannot be compared counts as another. */
export async function hasSameAnnotation(
  requests: ObjectRequests,
  path: string,
  { name = 'default', content }: AnnotationInPut,
  options: CallOptions,
): Promise<boolean> {
  const params = { type: 'custom-metadata', annotation: name }
  const response = await requests.send('HEAD', path, options, { params, accept: [404] })
  const { hash } = metadataOf(response, name)
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  return response.status === 200 && hash !== undefined && hashOf(hash.scheme, bytes) === hash.hex
}

/**
 * Stores several annotations, by name, some at a time. After one has failed no further one is begun.
 *
 * @throws {AnnotationsError} if any could not be stored; it tells which were. @throws The signal's reason after an abort.
 */
export async function putAnnotations(
  requests: ObjectRequests,
  path: string,
  annotations: Readonly<Record<string, string | Uint8Array>>,
  options: AnnotationsWriteOptions = {},
): Promise<void> {
  checkOptions('putAnnotations', options, knownWriteAll)
  const { concurrency = 4, signal } = options
  checkInteger('concurrency', concurrency, 1, most)
  checkSignal(signal)
  if (typeof annotations !== 'object' || annotations === null || Symbol.iterator in annotations)
    throw new TypeError('annotations must be an object of names and contents')
  const waiting = Object.entries(annotations)
  if (waiting.length > most)
    throw new RangeError(`an object has at most ${most} annotations, not ${waiting.length}`)
  for (const [name, content] of waiting) checkContent(checkAnnotationName(name), content)
  const current = timeLeft(options)
  const stored: string[] = []
  const failed: { name: string; error: unknown }[] = []
  const sendSome = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && failed.length === 0; next = waiting.shift()) {
      const [name, content] = next
      try {
        await send(requests, path, name, content, current)
        stored.push(name)
      } catch (error) {
        failed.push({ name, error })
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, waiting.length) }, sendSome))
  signal?.throwIfAborted()
  const [first] = failed
  if (first === undefined) return
  // A wrong argument is no failure of annotations.
  if (first.error instanceof TypeError || first.error instanceof RangeError) throw first.error
  throw new AnnotationsError(stored, failed)
}

/**
 * Deletes an annotation of the current version.
 *
 * @returns Whether there was one; true as well if a repetition, after an answer that was lost or said 500 and the like, found none.
 * @throws {ObjectNotFoundError} if there is no such object. @throws {HcpResponseError} 403 if retention forbids it.
 * @see Using a Namespace, "Deleting an annotation"
 */
export async function deleteAnnotation(
  requests: ObjectRequests,
  path: string,
  options: AnnotationWriteOptions = {},
): Promise<boolean> {
  checkOptions('deleteAnnotation', options, knownWrite)
  const params = { type: 'custom-metadata', annotation: nameOf(options) }
  const response = await sendHinted(requests, 'DELETE', path, options, { params }, deleteHints)
  // The answer to an earlier try was lost: then it is that try that deleted it.
  return response.status !== 204 || response.doubtful
}

function readParams(
  method: string,
  options: AnnotationReadOptions,
): { name: string; params: Record<string, string | undefined> } {
  checkOptions(method, options, knownRead)
  const name = nameOf(options)
  return {
    name,
    params: { type: 'custom-metadata', annotation: name, version: checkVersion(options.version) },
  }
}

const nameOf = ({ name = 'default' }: { readonly name?: string }): string => checkAnnotationName(name)

async function checkIsThere(response: HcpResponse): Promise<void> {
  if (response.status !== 204) return
  await response.dump()
  throw responseError(response, absent)
}

function metadataOf(response: HcpResponse, name: string): AnnotationMetadata {
  const { size, hash, changeTime, contentType } = objectMetadata(response)
  return { name, size, hash, changeTime, contentType }
}

function checkContent(name: string, content: unknown): void {
  if (typeof content !== 'string' && !(content instanceof Uint8Array))
    throw new TypeError(`${name} must be a string or bytes, not ${typeof content}`)
}
