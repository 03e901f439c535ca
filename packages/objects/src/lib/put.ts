import type { Body, HcpResponse, SystemName } from '@hcp/connection'
import {
  bareEtag,
  bodyHash,
  checkBoolean,
  checkOptions,
  checkString,
  type ContentHash,
  parseHash,
} from '@hcp/connection/support'
import { bodySize, pipedBody } from './body-chunks.ts'
import { conditionHeaders, conditionOptions, type Conditions } from './conditions.ts'
import { hasSameAnnotation } from './annotations.ts'
import { conflictError } from './conflict.ts'
import { responseError } from './errors.ts'
import type { ObjectMetadata } from './metadata.ts'
import {
  type CallOptions,
  known,
  noOptions,
  type ObjectRequests,
  type RequestParts,
} from './object-requests.ts'
import { checkProgress, counted, type OnProgress } from './progress.ts'
import { type AnnotationInPut, putWithAnnotation } from './put-with-annotation.ts'
import { checkSettings, type ObjectSettings, settingOptions, settingParams } from './settings.ts'
import { timeLeft } from './time-left.ts'

/** How to store an object. What is not said is as the namespace has it, or, for a new version, as in the version before. */
export interface PutOptions extends CallOptions, Conditions, ObjectSettings {
  /** Bytes that a stream, iterable or function will give. Needed for these only together with `annotation`. */
  readonly size?: number
  /** Media type. Before release 9.7 HCP goes by the ending of the name alone. */
  readonly contentType?: string
  /** A predefined ACL: everybody, or every user with an account, may read the object. */
  readonly acl?: 'all_read' | 'auth_read'
  /** An annotation that is stored in the same request: both are there, or neither. Name: default `default`. */
  readonly annotation?: AnnotationInPut
  /** Compare what HCP says it stored with what was sent. Default true. */
  readonly verifyHash?: boolean
  /**
   * If the name has an object with just this content already, and the same `annotation` if one was given, that is as good as stored:
   * the result then has `created: false`. Its settings are left as they are. Content that can be read only once cannot be compared.
   * Default false: an `ObjectConflictError`.
   */
  readonly acceptIdentical?: boolean
  /** Called as the content goes out. */
  readonly onProgress?: OnProgress
}

/** What HCP says of an object, or version, that it has just stored. */
export interface StoredObject {
  readonly path: string
  /** False only with `acceptIdentical`: the object was there already. */
  readonly created: boolean
  readonly versionId: string | undefined
  readonly hash: ContentHash | undefined
  /** MD5 in lower-case hex, without quotes. */
  readonly etag: string | undefined
  /** The answer was lost, and a look at the object proved that it was stored. */
  readonly settled: boolean
  /** How often the request was sent. */
  readonly attempts: number
  /** IP address of the node that answered. */
  readonly address: string
  /** The system that was asked: the target's own, or its replica. */
  readonly system: SystemName
  /** `X-HCP-ServicedBySystem`: the system that answered. */
  readonly servicedBy: string | undefined
  /** `X-RequestId`, to name the request to whoever runs the system. */
  readonly requestId: string | undefined
}

const knownPut = known(
  ...conditionOptions,
  ...settingOptions,
  'size',
  'contentType',
  'acl',
  'annotation',
  'verifyHash',
  'acceptIdentical',
  'onProgress',
)
const conflicts = [409, 412]

export async function putObject(
  requests: ObjectRequests,
  path: string,
  body: Body | null | undefined,
  options: PutOptions = noOptions,
): Promise<StoredObject> {
  if (options !== noOptions) checkOptions('put', options, knownPut)
  const { verifyHash = true, acceptIdentical = false, annotation, onProgress, size } = options
  let params: Record<string, string> | undefined
  let headers: Record<string, string> | undefined
  if (options !== noOptions) {
    checkBoolean('verifyHash', verifyHash)
    checkBoolean('acceptIdentical', acceptIdentical)
    checkProgress(onProgress)
    checkSettings(options)
    params = { ...settingParams(options), ...aclParam(options.acl) }
    headers = { ...conditionHeaders(options), ...typeHeader(options.contentType) }
  }
  const current = timeLeft(options)
  let content = body
  let length = size
  if (onProgress !== undefined && body !== null && body !== undefined) {
    const total = await bodySize(body, size)
    content = pipedBody(body, (chunks) => counted(chunks, total, onProgress))
    length = total
  }
  const parts: RequestParts = { params, headers, body: content, size: length, verifyHash, accept: conflicts }
  const response = await (annotation === undefined
    ? requests.send('PUT', path, current(), parts)
    : putWithAnnotation(requests, path, content ?? '', annotation, current(), parts))
  if (response.ok) return stored(path, response)
  if (response.status === 412 && headers?.['If-None-Match'] !== '*') throw responseError(response)
  const { system } = response
  const conflict = await conflictError(requests, path, response, current(), (scheme) =>
    bodyHash(body, scheme, { size, signal: signalOf(current()) }),
  )
  const { existing } = conflict
  const same =
    acceptIdentical &&
    conflict.conflict === 'identical' &&
    (annotation === undefined ||
      (await hasSameAnnotation(requests, path, annotation, { ...current(), system })))
  if (!same || existing === undefined) throw conflict
  return { ...stored(path, response), ...identityOf(existing), created: false }
}

/** Ends with the caller's signal, and with the deadline. */
function signalOf({ signal, deadline }: CallOptions): AbortSignal | undefined {
  if (deadline === undefined) return signal
  const timeout = AbortSignal.timeout(deadline)
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
}

export function stored(path: string, response: HcpResponse): StoredObject {
  const etag = response.header('etag')
  return {
    path,
    created: true,
    versionId: response.header('x-hcp-versionid'),
    hash: parseHash(response.headers['x-hcp-hash']),
    etag: etag === undefined ? undefined : bareEtag(etag),
    settled: response.settled,
    attempts: response.attempts,
    address: response.address,
    system: response.system,
    servicedBy: response.servicedBy,
    requestId: response.requestId,
  }
}

const identityOf = ({
  versionId,
  hash,
  etag,
}: ObjectMetadata): Pick<StoredObject, 'versionId' | 'hash' | 'etag'> => ({
  versionId,
  hash,
  etag,
})

function aclParam(acl: unknown): Record<string, string> {
  if (acl === undefined) return {}
  if (acl !== 'all_read' && acl !== 'auth_read') throw new RangeError('acl must be "all_read" or "auth_read"')
  return { acl }
}

function typeHeader(contentType: unknown): Record<string, string> {
  if (contentType === undefined) return {}
  return { 'Content-Type': checkString('contentType', contentType) }
}
