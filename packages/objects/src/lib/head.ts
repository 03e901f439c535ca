import type { HcpResponse } from '@hcp/connection'
import { checkBoolean, checkOptions, checkString } from '@hcp/connection/support'
import { conditionHeaders, conditionOptions, type Conditions } from './conditions.ts'
import { describe, factsOf, ObjectNotFoundError, responseError } from './errors.ts'
import { type ObjectMetadata, objectMetadata } from './metadata.ts'
import { type CallOptions, known, type ObjectRequests } from './object-requests.ts'

export interface HeadOptions extends CallOptions, Conditions {
  /** A version's id, or `@` and epoch milliseconds for the version that was current then (release 8.2 and later). */
  readonly version?: string
  /** Ask whether the object is replicated; costs HCP work (release 9 and later). Default: as the system is set up. */
  readonly replicated?: boolean
}

const knownHead = known(...conditionOptions, 'version', 'replicated')

export async function headObject(
  requests: ObjectRequests,
  path: string,
  options: HeadOptions = {},
): Promise<ObjectMetadata> {
  checkOptions('head', options, knownHead)
  const { version, replicated } = options
  const response = await requests.send('HEAD', path, options, {
    params: { version: checkVersion(version) },
    headers: {
      ...conditionHeaders(options),
      ...(replicated === undefined
        ? {}
        : { 'X-HCP-Get-Replicated': String(checkBoolean('replicated', replicated)) }),
    },
  })
  checkIsObject(response)
  return objectMetadata(response)
}

/** Whether an object or directory has this name, whoever made it. Deleted ones are not there. */
export async function pathExists(
  requests: ObjectRequests,
  path: string,
  options: CallOptions = {},
): Promise<boolean> {
  checkOptions('exists', options, known())
  const response = await requests.send('HEAD', path, options, { accept: [404] })
  return response.status === 200
}

export function checkVersion(version: unknown): string | undefined {
  if (version === undefined) return undefined
  const text = checkString('version', version)
  if (!/^@?\d+$/.test(text))
    throw new RangeError(
      `version must be a version id in digits, or "@" and milliseconds, not ${JSON.stringify(text)}`,
    )
  return text
}

/** @throws {ObjectNotFoundError} if what answered is a directory, or a version that only says that the object was deleted. */
export function checkIsObject(response: HcpResponse): void {
  if (response.status === 204) throw responseError(response, 'this version says that the object was deleted')
  if (response.header('x-hcp-type') === 'directory') {
    const message = describe(response, 'this is a directory, not an object: list it, or take another path')
    throw new ObjectNotFoundError(response.status, response.errorMessage, message, factsOf(response))
  }
}
