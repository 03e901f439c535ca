import { HcpAmbiguousError, HcpError, type HcpResponse, HcpResponseError } from '@hcp/connection'
import { checkBoolean, checkOptions, requestPath } from '@hcp/connection/support'
import { conditionHeaders, conditionOptions, type Conditions } from './conditions.ts'
import { conflictError } from './conflict.ts'
import { describe, factsOf, ObjectNotFoundError, responseError } from './errors.ts'
import { checkVersion } from './head.ts'
import { objectMetadata } from './metadata.ts'
import { type CallOptions, checkPath, known, type ObjectRequests } from './object-requests.ts'
import { type StoredObject, stored } from './put.ts'
import { checkSettings, type ObjectSettings, settingOptions, settingParams } from './settings.ts'
import { timeLeft } from './time-left.ts'

/** What to copy. A path alone is an object of the same namespace. */
export interface CopySource {
  readonly path: string
  /** `namespace.tenant`; of the same tenant, or the default namespace. Default: the namespace of the target. */
  readonly namespace?: string
  /** Default: the current one. */
  readonly version?: string
  /** The source's path is percent-encoded already. Default false. */
  readonly encoded?: boolean
  /** Conditions on the source. */
  readonly conditions?: Conditions
}

/** Conditions are on the target. Settings are the target's; those of the source are not copied, nor is its ACL. */
export interface CopyOptions extends CallOptions, Conditions, ObjectSettings {
  /** Copy all annotations too. Default false. */
  readonly annotations?: boolean
  /** Make HCP compute a missing ETag. */
  readonly forceEtag?: boolean
}

const knownCopy = known(...conditionOptions, ...settingOptions, 'annotations', 'forceEtag')
const knownSource: ReadonlySet<string> = new Set(['path', 'namespace', 'version', 'encoded', 'conditions'])
const knownConditions: ReadonlySet<string> = new Set(conditionOptions)

export async function copyObject(
  requests: ObjectRequests,
  source: string | CopySource,
  path: string,
  options: CopyOptions = {},
): Promise<StoredObject> {
  checkOptions('copy', options, knownCopy)
  const from: CopySource = typeof source === 'string' ? { path: source } : source
  checkOptions('copy: source', from, knownSource)
  const { conditions = {} } = from
  checkOptions('copy: source.conditions', conditions, knownConditions)
  checkSettings(options)
  const { annotations = false, forceEtag = false } = options
  checkBoolean('annotations', annotations)
  checkBoolean('forceEtag', forceEtag)
  const current = timeLeft(options)
  const fqdn = requests.connection.target.fqdn
  let response
  try {
    response = await requests.send('PUT', path, current(), {
      params: { ...settingParams(options), forceEtag: forceEtag ? 'true' : undefined },
      headers: {
        ...conditionHeaders(options),
        ...conditionHeaders(conditions, 'X-HCP-CopySource-'),
        'X-HCP-CopySource': sourceName(from, fqdn),
        'X-HCP-MetadataDirective': annotations ? 'ALL' : 'NONE',
      },
      accept: [409],
    })
  } catch (error) {
    throw error instanceof HcpError && mayBeCarriedOut(error) ? ambiguous(error) : error
  }
  if (response.status === 409) {
    throw await conflictError(requests, path, response, current(), (scheme) =>
      sourceHash(requests, from, scheme, { ...current(), system: response.system }),
    )
  }
  if (response.status === 204) {
    throw new ObjectNotFoundError(
      204,
      response.errorMessage,
      `PUT ${response.url}: the version to copy says that the object was deleted`,
    )
  }
  if (response.status !== 201) throw responseError(response)
  const copied = stored(path, response)
  const { versionId, hash, etag } = copied
  // Of a directory HCP makes an empty one, and says that all is well.
  if (versionId === undefined && hash === undefined && etag === undefined)
    await checkMadeObject(requests, path, response, current())
  return copied
}

async function checkMadeObject(
  requests: ObjectRequests,
  path: string,
  response: HcpResponse,
  options: CallOptions,
): Promise<void> {
  const head = await requests.send('HEAD', path, { ...options, system: response.system })
  if (head.header('x-hcp-type') !== 'directory') return
  const message = describe(
    response,
    'the source is a directory, of which HCP copies nothing: it made an empty directory',
  )
  throw new ObjectNotFoundError(response.status, response.errorMessage, message, factsOf(response))
}

/** Busy nodes have done nothing with a request (503, 429); another failure may be that of the answer alone. */
function mayBeCarriedOut(error: HcpError): boolean {
  if (!(error instanceof HcpResponseError)) return error.sent
  return error.retryable && error.status !== 503 && error.status !== 429
}

/** `namespace.tenant/path?version=id`, percent-encoded (Using a Namespace, "Copying an object"). */
function sourceName({ path, namespace, version, encoded = false }: CopySource, fqdn: string): string {
  checkPath(path)
  const own = fqdn.split('.').slice(0, 2).join('.')
  const named = namespace ?? own
  if (typeof named !== 'string' || !/^[^./\s]+\.[^./\s]+/.test(named) || /[/?#\s]/.test(named)) {
    throw new RangeError('source.namespace must be "namespace.tenant"')
  }
  const id = checkVersion(version)
  const wire = requestPath(path, checkBoolean('encoded', encoded)).slice('/rest'.length)
  return `${named}${wire}${id === undefined ? '' : `?version=${id}`}`
}

/** What was to be copied, as far as it is in this namespace, where we can ask for it. */
async function sourceHash(
  requests: ObjectRequests,
  { path, namespace, version, encoded = false }: CopySource,
  scheme: string,
  options: CallOptions,
): Promise<{ readonly hex: string; readonly size: number } | undefined> {
  if (namespace !== undefined) return undefined
  const params = { version: checkVersion(version) }
  const head = await requests.send('HEAD', path, { ...options, encoded }, { params })
  const { hash, size } = objectMetadata(head)
  return hash?.scheme === scheme ? { hex: hash.hex, size } : undefined
}

/** HCP goes on with a long copy though the client is gone, so the same request once more may find it done, or half done. */
const ambiguous = (cause: HcpError): HcpAmbiguousError =>
  new HcpAmbiguousError(
    `${cause.message}; whether the copy is made cannot be known: look at the target after a while, before you copy again`,
    {
      method: cause.method,
      url: cause.url,
      address: cause.address,
      attempts: cause.attempts,
      failures: cause.failures,
      sent: true,
      cause,
    },
  )
