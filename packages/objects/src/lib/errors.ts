import {
  type ErrorFacts,
  HcpError,
  HcpHashError,
  HcpProtocolError,
  type HcpResponse,
  HcpResponseError,
  HcpTimeoutError,
} from '@hcp/connection'
import type { ObjectMetadata } from './metadata.ts'

/** What was asked for is not there: status 404, or 204 where HCP says so of a delete marker or an annotation. */
export class ObjectNotFoundError extends HcpResponseError {
  override name = 'ObjectNotFoundError'
}

/** A condition did not hold: 304 where what the caller has is still current, 412 otherwise. */
export class ObjectConditionError extends HcpResponseError {
  override name = 'ObjectConditionError'
}

/**
 * Why a PUT met a conflict: the name has an object with just this content (`identical`), with other content (`different`) or with
 * content that could not be compared (`unknown`), it is a directory's or symbolic link's (`occupied`), or somebody is writing it
 * at this moment, or a folder of its path has the name of an object (`busy`: try again later).
 */
export type Conflict = 'identical' | 'different' | 'unknown' | 'occupied' | 'busy'

/** The name is taken: HCP overwrites nothing in a namespace without versioning. */
export class ObjectConflictError extends HcpResponseError {
  override name = 'ObjectConflictError'
  readonly conflict: Conflict
  /** The object that has the name. */
  readonly existing: ObjectMetadata | undefined
  constructor(
    conflict: Conflict,
    existing: ObjectMetadata | undefined,
    status: number,
    reason: string | undefined,
    message: string,
    facts?: ErrorFacts,
  ) {
    super(status, reason, message, facts)
    this.conflict = conflict
    this.existing = existing
  }
}

/** What to do about a status, in a few words. */
const advice: Readonly<Record<number, string>> = {
  302: 'a browser is expected here; check host name and credentials',
  401: 'the user has no access to this namespace',
  403: 'check host name, credentials and permissions of the user, and whether retention or a hold forbids it',
  404: 'there is nothing of this name',
  405: 'it is just being deleted, or cannot be read; try again later',
  409: 'the name is taken or being written',
  410: 'the data is not on this system; ask the other one of the replication pair',
  413: 'the quota of the namespace is used up, or the content is larger than HCP takes',
  414: 'the path is longer than 4,095 bytes',
  416: 'the range begins at or after the end of the object',
}

export const factsOf = ({ method, url, address, system, attempts }: HcpResponse): ErrorFacts => ({
  method,
  url,
  address,
  system,
  attempts,
  sent: true,
})

/** The error that an answer with a status of failure is. @param hint What to do, where the status alone does not say. */
export function responseError(response: HcpResponse, hint?: string): HcpResponseError {
  const { status, errorMessage: reason } = response
  const facts = factsOf(response)
  const message = describe(response, hint)
  if (status === 404 || status === 204) return new ObjectNotFoundError(status, reason, message, facts)
  if (status === 304 || status === 412) return new ObjectConditionError(status, reason, message, facts)
  return new HcpResponseError(status, reason, message, facts)
}

export function describe(response: HcpResponse, hint?: string): string {
  const { status, statusText, method, url, errorMessage } = response
  const said = errorMessage === undefined ? '' : ` (HCP says: ${errorMessage})`
  const todo = hint ?? advice[status]
  return `${method} ${url}: ${status} ${statusText}${said}${todo === undefined ? '' : `; ${todo}`}`
}

/** @throws {HcpProtocolError} if the content is compressed, though nobody asked for that: its size and hash are those of other bytes. */
export function checkIsPlain(response: HcpResponse): void {
  const coding = response.header('content-encoding') || 'identity'
  if (coding === 'identity') return
  void response.dump()
  throw new HcpProtocolError(
    describe(response, `the answer is in ${coding}, which was not asked for`),
    factsOf(response),
  )
}

/** Whether the transfer broke in a way that another GET may mend. */
export function mayGoOn(error: unknown): boolean {
  if (!(error instanceof HcpError) || !error.retryable) return false
  if (error instanceof HcpResponseError || error instanceof HcpHashError) return false
  return !(error instanceof HcpTimeoutError && error.phase === 'deadline')
}

/** Whether the content came whole, but is not what it has to be. */
export const isDamage = (error: unknown): boolean => error instanceof HcpHashError && error.retryable
