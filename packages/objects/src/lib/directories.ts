import type { HcpResponse } from '@hcp/connection'
import { checkOptions } from '@hcp/connection/support'
import {
  type Conflict,
  describe,
  factsOf,
  ObjectConflictError,
  ObjectNotFoundError,
  responseError,
} from './errors.ts'
import { sendHinted } from './hinted.ts'
import { placeOf } from './listing-entry.ts'
import { type DirectoryMetadata, directoryMetadata, objectMetadata } from './metadata.ts'
import { type CallOptions, known, type ObjectRequests } from './object-requests.ts'
import { timeLeft } from './time-left.ts'

export interface MakeDirectoryOptions extends CallOptions {
  /** What to do if the directory is there already: `error` (default), or `ok`: then it is as good as made. */
  readonly existing?: 'error' | 'ok'
}

const knownMake = known('existing')
const knownOthers = known()

/**
 * Makes a directory, and those above it that are missing. PUT of an object makes its directories by itself.
 *
 * @returns Whether it was made now; false only with `existing: 'ok'`.
 * @throws {ObjectConflictError} if the name is taken: by a directory, an object (its `existing`) or a link.
 * @see Using a Namespace, "Creating an empty directory"
 */
export async function makeDirectory(
  requests: ObjectRequests,
  path: string,
  options: MakeDirectoryOptions = {},
): Promise<boolean> {
  checkOptions('makeDirectory', options, knownMake)
  const { existing = 'error' } = options
  if (existing !== 'error' && existing !== 'ok')
    throw new RangeError(`existing must be "error" or "ok", not ${String(existing)}`)
  const current = timeLeft(options)
  const began = performance.now()
  // Made twice it is still one directory; a conflict is looked at below.
  const response = await requests.send('PUT', path, current(), {
    params: { type: 'directory' },
    idempotent: true,
    accept: [409],
  })
  if (response.status !== 409) return true
  const { system } = response
  const head = await requests.send('HEAD', path, { ...current(), system }, { accept: [404] })
  const isDirectory = head.ok && head.header('x-hcp-type') === 'directory' && linkOf(head) === undefined
  // The answer to an earlier try may have been lost: then it is that try that made it, unless it is older than that.
  if (isDirectory && response.doubtful && !(leastAge(head) > performance.now() - began)) return true
  if (isDirectory && existing === 'ok') return false
  throw conflict(response, head)
}

/** Clocks of nodes differ a little. Milliseconds. */
const clockSlack = 250

/** Milliseconds since the last change of a directory, at the least: HCP tells its own time in whole seconds. */
const leastAge = (head: HcpResponse): number =>
  Number(head.header('x-hcp-time')) * 1_000 -
  clockSlack -
  (directoryMetadata(head).changeTime?.getTime() ?? Number.NaN)

function conflict(response: HcpResponse, head: HcpResponse): ObjectConflictError {
  const isObject = head.ok && head.header('x-hcp-type') !== 'directory' && linkOf(head) === undefined
  const kind: Conflict = !head.ok ? 'busy' : isObject ? 'different' : 'occupied'
  const hint = !head.ok
    ? 'somebody is writing something of this name; try again later'
    : isObject
      ? 'this is the name of an object'
      : linkOf(head) === undefined
        ? 'there is a directory of this name already: existing: "ok" takes it'
        : 'this is the name of a symbolic link'
  return new ObjectConflictError(
    kind,
    isObject ? objectMetadata(head) : undefined,
    response.status,
    response.errorMessage,
    describe(response, hint),
    factsOf(response),
  )
}

const linkOf = (response: HcpResponse): string | undefined =>
  response.header('x-hcp-symlinktarget') || undefined

/**
 * Removes a directory, which must be empty. It is looked at first: what is an object or a link then is not deleted. Should somebody
 * remove the directory and store an object of its name between the look and the removal, that object goes.
 *
 * @throws {HcpResponseError} 403 if it is not empty. @throws {ObjectNotFoundError} if there is no such directory.
 * @throws {RangeError} for the root.
 * @see Using a Namespace, "Deleting an empty directory"
 */
export async function removeDirectory(
  requests: ObjectRequests,
  path: string,
  options: CallOptions = {},
): Promise<void> {
  checkOptions('removeDirectory', options, knownOthers)
  const { encodedPath } = placeOf(path, options.encoded)
  if (encodedPath === '/rest') throw new RangeError('path must not be "/rest": the root cannot be removed')
  const current = timeLeft({ ...options, encoded: true })
  const head = await requests.send('HEAD', encodedPath, current())
  checkIsDirectory(head)
  if (linkOf(head) !== undefined) throw notADirectory(head, 'this is a symbolic link: delete removes it')
  const response = await sendHinted(
    requests,
    'DELETE',
    encodedPath,
    // Where it was seen to be a directory.
    { ...current(), system: head.system },
    { accept: [404] },
    { 403: 'it is not empty, and HCP removes only empty directories; or the user may not delete' },
  )
  // The answer to an earlier try was lost: then it is that try that removed it.
  if (response.status === 404 && !response.doubtful) throw responseError(response)
}

/**
 * What is known of a directory: when it was last changed by adding or deleting something.
 *
 * @throws {ObjectNotFoundError} if there is none, or an object of that name.
 */
export async function headDirectory(
  requests: ObjectRequests,
  path: string,
  options: CallOptions = {},
): Promise<DirectoryMetadata> {
  checkOptions('directory', options, knownOthers)
  const response = await requests.send('HEAD', path, options)
  checkIsDirectory(response)
  return directoryMetadata(response)
}

/** What does not say that it is a directory is none: better a refusal than an object deleted. */
function checkIsDirectory(response: HcpResponse): void {
  if (response.header('x-hcp-type') !== 'directory')
    throw notADirectory(response, 'this is an object, not a directory')
}

function notADirectory(response: HcpResponse, hint: string): ObjectNotFoundError {
  return new ObjectNotFoundError(
    response.status,
    response.errorMessage,
    describe(response, hint),
    factsOf(response),
  )
}
