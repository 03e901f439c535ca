import { HcpAmbiguousError, HcpError, HcpResponseError } from '@hcp/connection'
import { checkBoolean, checkOptions, requestPath } from '@hcp/connection/support'
import { conditionHeaders, conditionOptions, type Conditions } from './conditions.ts'
import { conflictError } from './conflict.ts'
import { ObjectNotFoundError, responseError } from './errors.ts'
import { checkVersion, headObject } from './head.ts'
import { type CallOptions, checkPath, known, type ObjectRequests } from './object-requests.ts'
import { type StoredObject, stored } from './put.ts'
import { checkSettings, type ObjectSettings, settingOptions, settingParams } from './settings.ts'

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

export async function copyObject(
  requests: ObjectRequests,
  source: string | CopySource,
  path: string,
  options: CopyOptions = {},
): Promise<StoredObject> {
  checkOptions('copy', options, knownCopy)
  const from: CopySource = typeof source === 'string' ? { path: source } : source
  checkOptions('copy: source', from, knownSource)
  checkSettings(options)
  const { annotations = false, forceEtag = false } = options
  checkBoolean('annotations', annotations)
  const fqdn = requests.connection.target.fqdn
  let response
  try {
    response = await requests.send('PUT', path, options, {
      params: { ...settingParams(options), forceEtag: forceEtag ? 'true' : undefined },
      headers: {
        ...conditionHeaders(options),
        ...conditionHeaders(from.conditions ?? {}, 'X-HCP-CopySource-'),
        'X-HCP-CopySource': sourceName(from, fqdn),
        'X-HCP-MetadataDirective': annotations ? 'ALL' : 'NONE',
      },
      accept: [409],
    })
  } catch (error) {
    throw error instanceof HcpError && error.sent && !(error instanceof HcpResponseError)
      ? ambiguous(error)
      : error
  }
  if (response.status === 409) {
    throw await conflictError(requests, path, response, options, (scheme) =>
      sourceHash(requests, from, scheme, options),
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
  return stored(path, response)
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
  { path, namespace, version, encoded }: CopySource,
  scheme: string,
  { signal, deadline }: CopyOptions,
): Promise<{ readonly hex: string; readonly size: number } | undefined> {
  if (namespace !== undefined) return undefined
  const { hash, size } = await headObject(requests, path, {
    ...(version === undefined ? {} : { version }),
    ...(encoded === undefined ? {} : { encoded }),
    ...(signal === undefined ? {} : { signal }),
    ...(deadline === undefined ? {} : { deadline }),
  })
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
