import type {
  Body,
  BodyOptions,
  Connection,
  HcpResponse,
  ParamValue,
  RetryOptions,
  SystemName,
} from '@hcp/connection'
import { checkBoolean } from '@hcp/connection/support'
import { responseError } from './errors.ts'

/** Options of every method. */
export interface CallOptions {
  /** Ends the call: it rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /**
   * The whole call with all its requests, up to the end of the content. Milliseconds; default that of the connection, which each request
   * has for itself.
   */
  readonly deadline?: number
  /**
   * The path is percent-encoded already, as the `encodedPath` of an entry of a listing is: for names that are not text. Default false:
   * it is text.
   */
  readonly encoded?: boolean
  /** As in `ConnectionOptions`, for this call. */
  readonly headersTimeout?: number
  readonly bodyTimeout?: number
  readonly retry?: RetryOptions | number | false
  /** For targets with a replica: ask this system and no other. Default: as the replica's strategy says. */
  readonly system?: SystemName
}

export const callOptions: readonly string[] = [
  'signal',
  'deadline',
  'encoded',
  'headersTimeout',
  'bodyTimeout',
  'retry',
  'system',
]

/** Names of options that a method knows: those of every method, and its own. */
export const known = (...own: readonly string[]): ReadonlySet<string> => new Set([...callOptions, ...own])

/** What one request is made of, apart from the caller's options. */
export interface RequestParts {
  readonly params?: Readonly<Record<string, ParamValue | undefined>> | undefined
  readonly headers?: Readonly<Record<string, string | number>> | undefined
  readonly body?: Body | null | undefined
  readonly size?: number | undefined
  readonly idempotent?: boolean
  readonly buffered?: boolean
  readonly verifyHash?: boolean
  /** Statuses that are no failure for the caller, besides 200 to 299. */
  readonly accept?: readonly number[]
}

export const noOptions: CallOptions = Object.freeze({})
const noParts: RequestParts = Object.freeze({})

export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'

/** Sends requests under `/rest` and makes errors of answers that mean failure. */
export class ObjectRequests {
  readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
  }

  /**
   * @throws {RangeError} if the path is not one below `/rest`. @throws {HcpResponseError} for an answer that is neither 2xx nor
   *   among `accept`; its body has been given up.
   */
  send(
    method: Method,
    path: string,
    options: CallOptions,
    parts: RequestParts = noParts,
  ): Promise<HcpResponse> {
    try {
      return this.#send(method, path, options, parts)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #send(method: Method, path: string, options: CallOptions, parts: RequestParts): Promise<HcpResponse> {
    checkPath(path)
    const { accept } = parts
    const request: { -readonly [K in keyof BodyOptions]: BodyOptions[K] } = {}
    if (options !== noOptions) {
      const { encoded } = options
      if (encoded !== undefined) request.encoded = checkBoolean('encoded', encoded)
      if (options.signal !== undefined) request.signal = options.signal
      if (options.deadline !== undefined) request.deadline = options.deadline
      if (options.headersTimeout !== undefined) request.headersTimeout = options.headersTimeout
      if (options.bodyTimeout !== undefined) request.bodyTimeout = options.bodyTimeout
      if (options.retry !== undefined) request.retry = options.retry
      if (options.system !== undefined) request.system = options.system
    }
    if (parts.params !== undefined) request.params = parts.params
    if (parts.headers !== undefined) request.headers = parts.headers
    if (parts.size !== undefined) request.size = parts.size
    if (parts.idempotent !== undefined) request.idempotent = parts.idempotent
    if (parts.buffered !== undefined) request.buffered = parts.buffered
    if (parts.verifyHash !== undefined) request.verifyHash = parts.verifyHash
    const asking = ask(this.connection, method, path, parts.body, request)
    // The usual answer waits for nothing more than itself.
    return asking.then((response) =>
      response.ok || accept?.includes(response.status) === true ? response : refused(response),
    )
  }
}

function ask(
  connection: Connection,
  method: Method,
  path: string,
  body: Body | null | undefined,
  options: BodyOptions,
): Promise<HcpResponse> {
  if (method === 'GET') return connection.get(path, options)
  if (method === 'HEAD') return connection.head(path, options)
  if (method === 'DELETE') return connection.delete(path, options)
  return method === 'PUT' ? connection.put(path, body, options) : connection.post(path, body, options)
}

async function refused(response: HcpResponse): Promise<never> {
  await response.dump()
  throw responseError(response)
}

/** Paths are those of the wire, the form that `Connection`, path builders and listings have too. */
export function checkPath(path: unknown): asserts path is string {
  if (typeof path !== 'string') throw new TypeError(`path must be a string, not ${typeof path}`)
  if (!path.startsWith('/rest/') && path !== '/rest') {
    throw new RangeError(
      `path must begin with "/rest/", for example "/rest/folder/name"; got ${JSON.stringify(path)}`,
    )
  }
}
