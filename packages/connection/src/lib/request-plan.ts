import { validateHeaderName, validateHeaderValue } from 'node:http'
import { checkBoolean, checkMilliseconds, checkOptions, checkSignal, checkString } from './arguments.ts'
import { type BodySource, bodySource } from './body.ts'
import { Call } from './call.ts'
import type { CheckedOptions } from './connection-options.ts'
import type { SystemName } from './replica-strategy.ts'
import { type RetryOptions, RetryPolicy } from './retry.ts'
import { type Params, requestPath, requestQuery } from './url.ts'

export interface RequestOptions {
  /** Query parameters. A query in the path is not one: it would be part of the name. */
  readonly params?: Params
  /** Further headers. `Host`, `Authorization` and the framing headers are set by the connection. */
  readonly headers?: Readonly<Record<string, string | number>>
  /** Ends the call: it rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** The path is percent-encoded already. Default false: it is text, and is encoded once per segment. */
  readonly encoded?: boolean
  /** As in `ConnectionOptions`, for this call. */
  readonly deadline?: number
  readonly headersTimeout?: number
  readonly bodyTimeout?: number
  readonly retry?: RetryOptions | number | false
  readonly verifyHash?: boolean
  /**
   * This request may be carried out twice without harm, so it may be repeated after bytes of it went out. Default: true for GET,
   * HEAD, DELETE and for PUT of an annotation or ACL; other PUTs are settled, POST is never repeated.
   */
  readonly idempotent?: boolean
  /** Take the whole answer in before the call is done; an answer cut short is then fetched again. Default false. */
  readonly buffered?: boolean
  /**
   * Ask this system and no other, as is right for what follows from an answer (`HcpResponse.system`). The replica only where its strategy
   * allows it now. Default: as the strategy says.
   */
  readonly system?: SystemName
}

export interface BodyOptions extends RequestOptions {
  /** Bytes that a stream, iterable or function will give. It is then announced, and checked. Default: sent in chunks. */
  readonly size?: number
}

/** Options of requests without a body, and of those with one. */
export const knownRequest: ReadonlySet<string> = new Set([
  'params',
  'headers',
  'signal',
  'encoded',
  'deadline',
  'headersTimeout',
  'bodyTimeout',
  'retry',
  'verifyHash',
  'idempotent',
  'buffered',
  'system',
])
export const knownBody: ReadonlySet<string> = new Set([...knownRequest, 'size'])

export const noOptions: BodyOptions = Object.freeze({})

/** Set by the connection, or never right with it. */
const ownHeaders: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
])

/** Everything about a request that does not change from try to try. */
export interface Plan {
  readonly call: Call
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  readonly source: BodySource | undefined
  readonly options: BodyOptions
  readonly retry: RetryPolicy
  readonly verifyHash: boolean
  readonly headersTimeout: number
  readonly bodyTimeout: number
}

/**
 * Checks all that a request was given: nothing is sent before that has passed.
 *
 * @param origin Scheme, host and port. @param onEnd Told when the call is over.
 * @throws {TypeError | RangeError} by the name of what is wrong, or the reason of a signal that is aborted already.
 */
export function requestPlan(
  origin: string,
  defaults: CheckedOptions,
  method: unknown,
  path: unknown,
  body: unknown,
  options: BodyOptions,
  known: ReadonlySet<string>,
  onEnd: (call: Call) => void,
  system: SystemName = 'primary',
): Plan {
  if (options !== noOptions) checkOptions(`Connection.${String(method).toLowerCase()}`, options, known)
  const verb = checkString('method', method)
  if (!/^[A-Z]+$/.test(verb) || verb === 'CONNECT' || verb === 'TRACE') {
    throw new RangeError(`method must be upper-case letters, and one of HCP's, not ${JSON.stringify(verb)}`)
  }
  const { signal, deadline = defaults.deadline, encoded = false, buffered, idempotent } = options
  const { verifyHash, headersTimeout, bodyTimeout } = options
  const wirePath = requestPath(path, checkBoolean('encoded', encoded))
  const query = requestQuery(options.params)
  const headers = options.headers === undefined ? {} : ownCopy(options.headers)
  if (buffered !== undefined) checkBoolean('buffered', buffered)
  if (idempotent !== undefined) checkBoolean('idempotent', idempotent)
  if (verifyHash !== undefined) checkBoolean('verifyHash', verifyHash)
  if (headersTimeout !== undefined) checkMilliseconds('headersTimeout', headersTimeout)
  if (bodyTimeout !== undefined) checkMilliseconds('bodyTimeout', bodyTimeout)
  if (deadline !== undefined) checkMilliseconds('deadline', deadline)
  checkSignal(signal)
  if (options.system !== undefined) checkSystem(options.system, defaults.replica)
  const source = bodySource(body, options.size)
  if (body instanceof URLSearchParams) headers['content-type'] ??= 'application/x-www-form-urlencoded'
  const retry = options.retry === undefined ? defaults.retry : new RetryPolicy(options.retry, defaults.retry)
  signal?.throwIfAborted()
  return {
    call: new Call(verb, origin + wirePath, signal, deadline, onEnd, system),
    path: wirePath,
    query,
    headers,
    source,
    options,
    retry,
    verifyHash: (verifyHash ?? defaults.verifyHash) && isObject(wirePath, query),
    headersTimeout: headersTimeout ?? defaults.headersTimeout,
    bodyTimeout: bodyTimeout ?? defaults.bodyTimeout,
  }
}

/** Only an object's own content has the hash that HCP names: no listing, annotation, document or management resource. */
const isObject = (path: string, query: string): boolean =>
  path.startsWith('/rest/') && !/[?&]type=/.test(query)

function checkSystem(system: unknown, replica: boolean): void {
  if (system !== 'primary' && system !== 'replica') {
    throw new RangeError(`system must be "primary" or "replica", not ${JSON.stringify(system)}`)
  }
  if (system === 'replica' && !replica) {
    throw new RangeError('system is "replica", but the target has none: give it one, or leave system out')
  }
}

/** The caller's headers in an object of our own, names in lower case, checked. */
function ownCopy(headers: unknown): Record<string, string> {
  if (headers === null || typeof headers !== 'object' || Symbol.iterator in headers) {
    throw new TypeError('headers must be an object of names and values')
  }
  const copy = Object.create(null) as Record<string, string>
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw new TypeError(`headers: the value of "${name}" must be a string or number, not ${typeof value}`)
    }
    const lower = name.toLowerCase()
    if (ownHeaders.has(lower)) {
      throw new TypeError(
        `headers: "${name}" is set by the connection and its target; it cannot be given for a request`,
      )
    }
    try {
      validateHeaderName(name)
      validateHeaderValue(name, String(value))
    } catch (cause) {
      throw new TypeError(`headers: ${(cause as Error).message}`, { cause })
    }
    if (lower in copy) throw new TypeError(`headers: "${name}" is given twice`)
    copy[lower] = String(value)
  }
  return copy
}
