import { checkBoolean, checkOptions } from '@hcp/connection/support'
import { responseError } from './errors.ts'
import { checkVersion } from './head.ts'
import { type CallOptions, known, type ObjectRequests } from './object-requests.ts'

export interface DeleteOptions extends CallOptions {
  /**
   * Only this version, for good; or those from one to another, both included, and without `to` all from there on. Each is an id, or `@` and
   * epoch milliseconds (release 8.2). The namespace must have versioning on (release 8 and later). One of them that may not be
   * deleted keeps all.
   */
  readonly version?: string | { readonly from: string; readonly to?: string }
  /** All versions, for good. Needs the permission `purge`. Default false: with versioning on, old versions stay. */
  readonly purge?: boolean
  /**
   * Delete it though it is under retention, and have HCP log why: up to 1,024 characters. Needs the permission `privileged` and
   * a namespace in enterprise mode. A hold is stronger still.
   */
  readonly privileged?: { readonly reason: string }
}

const knownDelete = known('version', 'purge', 'privileged')

export async function deleteObject(
  requests: ObjectRequests,
  path: string,
  options: DeleteOptions = {},
): Promise<void> {
  checkOptions('delete', options, knownDelete)
  const { purge = false, privileged } = options
  checkBoolean('purge', purge)
  const version = checkVersions(options.version)
  if (purge && version !== undefined) throw new TypeError('purge is of all versions: do not name one')
  if (privileged !== undefined) checkReason(privileged)
  const response = await requests.send('DELETE', path, options, {
    params: {
      version,
      purge: purge ? 'true' : undefined,
      privileged: privileged === undefined ? undefined : 'true',
      reason: privileged?.reason,
    },
    accept: [404],
  })
  // The answer to an earlier try was lost: then it is that try that deleted the object.
  if (response.status === 404 && !response.doubtful) throw responseError(response)
}

function checkVersions(version: DeleteOptions['version']): string | undefined {
  if (typeof version !== 'object' || version === null) return checkVersion(version)
  checkOptions('delete: version', version, new Set(['from', 'to']))
  if (version.from === undefined)
    throw new TypeError('version.from must be a version id; "0" begins with the first')
  return `${checkVersion(version.from)}-${checkVersion(version.to) ?? ''}`
}

function checkReason(privileged: unknown): void {
  checkOptions('delete: privileged', privileged as object, new Set(['reason']))
  const { reason } = privileged as { reason?: unknown }
  if (typeof reason !== 'string' || reason.trim() === '' || reason.length > 1_024)
    throw new RangeError('privileged.reason must be text of 1 to 1,024 characters')
}
