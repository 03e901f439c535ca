import type { HcpResponse } from '@hcp/connection'
import { type Conflict, describe, factsOf, ObjectConflictError } from './errors.ts'
import { comparableHash, type ObjectMetadata, objectMetadata } from './metadata.ts'
import type { CallOptions, ObjectRequests } from './object-requests.ts'

/** Lower-case hex and bytes of the content that was to be stored; `undefined` where that cannot be told any more. */
type ContentHasher = (scheme: string) => Promise<{ readonly hex: string; readonly size: number } | undefined>

const hints: Readonly<Record<Conflict, string>> = {
  identical: 'there is an object with this very content',
  different: 'there is an object with other content, and it cannot be overwritten; take another name',
  unknown: 'there is an object, whose content could not be compared',
  occupied: 'the name is that of a directory or symbolic link; take another',
  busy: 'somebody is writing an object of this name: try again later; or a folder of the path has the name of an object',
}

/**
 * Finds out what stands in the way of a PUT that was answered 409, or 412 to `If-None-Match: *`.
 *
 * @param hash Of the content that was to be stored.
 */
export async function conflictError(
  requests: ObjectRequests,
  path: string,
  response: HcpResponse,
  options: CallOptions,
  hash: ContentHasher,
): Promise<ObjectConflictError> {
  await response.dump()
  const { system } = response
  let conflict: Conflict = 'unknown'
  let existing: ObjectMetadata | undefined
  try {
    const head = await requests.send('HEAD', path, { ...options, system }, { accept: [404] })
    if (head.status !== 200) conflict = 'busy'
    else if (head.header('x-hcp-type') === 'directory' || head.header('x-hcp-symlinktarget') !== undefined)
      conflict = 'occupied'
    else {
      existing = objectMetadata(head)
      const known = comparableHash(existing)
      const ours = known === undefined ? undefined : await hash(known.scheme)
      if (ours !== undefined)
        conflict = ours.size === existing.size && ours.hex === known?.hex ? 'identical' : 'different'
    }
  } catch (cause) {
    // The conflict is the answer, whether or not more can be learned of it.
    options.signal?.throwIfAborted()
    return make(response, 'unknown', existing, cause)
  }
  return make(response, conflict, existing)
}

const make = (
  response: HcpResponse,
  conflict: Conflict,
  existing: ObjectMetadata | undefined,
  cause?: unknown,
): ObjectConflictError =>
  new ObjectConflictError(
    conflict,
    existing,
    response.status,
    response.errorMessage,
    describe(response, hints[conflict]),
    { ...factsOf(response), cause },
  )
