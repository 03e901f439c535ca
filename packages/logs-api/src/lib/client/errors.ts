/**
 * What went wrong, as a word to branch on. Stable within a major version.
 *
 * - `LOGS_API_RESPONSE`: the service refused; `status`, `apiCode` and `apiText` are its own words.
 * - `LOGS_API_CONNECT`: no connection could be made. Nothing was sent.
 * - `LOGS_API_SOCKET`: the connection was lost before the answer was whole.
 * - `LOGS_API_TIMEOUT`: a time limit passed.
 * - `LOGS_API_PROTOCOL`: the answer is not what the service's description says.
 * - `LOGS_API_SIZE`: the answer is larger than `maxAnswer`.
 * - `LOGS_API_CHANGED`: an archive is not the one any more that its download began with.
 * - `LOGS_API_EXPORT`: an export has failed, was cancelled or has expired.
 * - `LOGS_API_DELETION`: a deletion ended in the middle.
 * - `LOGS_API_BODY`: the caller's own entries could not be read or written as JSON; see `cause`.
 * - `LOGS_API_TOKEN`: the token could not be got; see `cause`. Nothing was sent.
 * - `LOGS_API_FILE`: a local file cannot be written, or is there already.
 * - `LOGS_API_CLOSED`: the client was closed.
 */
export type LogsApiErrorCode =
  | 'LOGS_API_BODY'
  | 'LOGS_API_CHANGED'
  | 'LOGS_API_CLOSED'
  | 'LOGS_API_CONNECT'
  | 'LOGS_API_DELETION'
  | 'LOGS_API_EXPORT'
  | 'LOGS_API_FILE'
  | 'LOGS_API_PROTOCOL'
  | 'LOGS_API_RESPONSE'
  | 'LOGS_API_SIZE'
  | 'LOGS_API_SOCKET'
  | 'LOGS_API_TIMEOUT'
  | 'LOGS_API_TOKEN'

/** Facts of a request. Nothing in it is secret: no headers, no query. */
export interface LogsApiErrorFacts {
  readonly method?: string | undefined
  /** Scheme, host, port and path, without query. */
  readonly url?: string | undefined
  readonly status?: number | undefined
  readonly apiCode?: string | number | undefined
  readonly apiText?: string | undefined
  readonly retryAfter?: number | undefined
  readonly attempts?: number | undefined
  readonly sent?: boolean | undefined
  readonly cause?: unknown
}

/**
 * A request did not succeed. Branch on `code` (and `status`), read `message`, look into `cause`. Wrong arguments are not of this kind: they
 * are a `TypeError` or `RangeError`, thrown before anything is sent. An abort rejects with the signal's reason.
 */
export class LogsApiError extends Error {
  override name = 'LogsApiError'
  readonly code: LogsApiErrorCode
  /** May succeed later, as it is. Says nothing about whether it is safe to send it a second time. */
  readonly retryable: boolean
  readonly method: string | undefined
  readonly url: string | undefined
  /** Of the answer, if there was one. */
  readonly status: number | undefined
  /** The API's own code: a number, `itemNotFound`, `iMetal.0001`, or the `type` of a problem. */
  readonly apiCode: string | number | undefined
  /** The API's own text. */
  readonly apiText: string | undefined
  /** Milliseconds that the service asks to wait. */
  readonly retryAfter: number | undefined
  /** How often it was sent. */
  readonly attempts: number
  /** Whether bytes of it went out: then the service may have done it. */
  readonly sent: boolean

  constructor(code: LogsApiErrorCode, message: string, retryable: boolean, facts: LogsApiErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = code
    this.retryable = retryable
    this.method = facts.method
    this.url = facts.url
    this.status = facts.status
    this.apiCode = facts.apiCode
    this.apiText = facts.apiText
    this.retryAfter = facts.retryAfter
    this.attempts = facts.attempts ?? 0
    this.sent = facts.sent ?? false
  }

  /** For logs: everything but the stack and the cause. */
  toJSON(): Record<string, unknown> {
    return Object.fromEntries([...Object.entries(this), ['message', this.message]])
  }

  /** True for errors of this family, also when another installed copy of the package made them. */
  static isInstance(value: unknown): value is LogsApiError {
    return value instanceof Error && value.name === 'LogsApiError' && 'code' in value
  }
}
