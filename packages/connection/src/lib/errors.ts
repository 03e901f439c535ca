import type { SystemName } from './replica-strategy.ts'

/** What went wrong, as a word to branch on. Stable within a major version. */
export type HcpErrorCode =
  | 'HCP_AMBIGUOUS'
  | 'HCP_AUTHORIZATION'
  | 'HCP_BODY'
  | 'HCP_CERTIFICATE'
  | 'HCP_CLOSED'
  | 'HCP_CONNECT'
  | 'HCP_DNS'
  | 'HCP_HASH'
  | 'HCP_PROTOCOL'
  | 'HCP_REPLICA'
  | 'HCP_REPLICA_INIT'
  | 'HCP_RESPONSE'
  | 'HCP_SOCKET'
  | 'HCP_TIMEOUT'
  | 'HCP_TLS'
  | 'HCP_TRUNCATED'

/** One try that did not succeed: which node, what happened, when (milliseconds after the call began). */
export interface AttemptFailure {
  /** The node's address, or `undefined` when no connection to a node had been made. */
  readonly address: string | undefined
  /** An {@link HcpErrorCode}, `HTTP_503` and the like for an answer that was tried again, or Node's code (`ECONNREFUSED`) for a connect. */
  readonly code: string
  readonly message: string
  readonly at: number
  /** The system that was asked. */
  readonly system?: SystemName | undefined
}

/** Facts that every error of a request carries. Nothing in it is secret: no headers, no query. */
export interface ErrorFacts {
  readonly method?: string | undefined
  /** Scheme, host, port and path of the request, without query. */
  readonly url?: string | undefined
  /** The node that was talked to last. */
  readonly address?: string | undefined
  /** The system that was asked last. */
  readonly system?: SystemName | undefined
  /** How often the request was tried. */
  readonly attempts?: number | undefined
  readonly failures?: readonly AttemptFailure[] | undefined
  readonly sent?: boolean | undefined
  readonly cause?: unknown
}

const codes: ReadonlySet<unknown> = new Set<HcpErrorCode>([
  'HCP_AMBIGUOUS',
  'HCP_AUTHORIZATION',
  'HCP_BODY',
  'HCP_CERTIFICATE',
  'HCP_CLOSED',
  'HCP_CONNECT',
  'HCP_DNS',
  'HCP_HASH',
  'HCP_PROTOCOL',
  'HCP_REPLICA',
  'HCP_REPLICA_INIT',
  'HCP_RESPONSE',
  'HCP_SOCKET',
  'HCP_TIMEOUT',
  'HCP_TLS',
  'HCP_TRUNCATED',
])

/**
 * The base of all errors of a request. Branch on `code`, read `message`, look into `cause` and `failures`.
 * Wrong arguments are not of this kind: they are a `TypeError` or `RangeError`, thrown before anything is sent.
 */
export class HcpError extends Error {
  override name = 'HcpError'
  readonly code: HcpErrorCode
  /** May succeed later. Says nothing about whether it is safe to send the request a second time. */
  readonly retryable: boolean
  readonly method: string | undefined
  readonly url: string | undefined
  readonly address: string | undefined
  /** The system that was asked last: the target's own, or its replica. */
  readonly system: SystemName | undefined
  readonly attempts: number
  readonly failures: readonly AttemptFailure[]
  /** Whether bytes of the request went out. If so, and it was not a mere read, HCP may have carried it out. */
  readonly sent: boolean

  constructor(code: HcpErrorCode, message: string, retryable: boolean, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = code
    this.retryable = retryable
    this.method = facts.method
    this.url = facts.url
    this.address = facts.address
    this.system = facts.system
    this.attempts = facts.attempts ?? 0
    this.failures = facts.failures ?? []
    this.sent = facts.sent ?? false
  }

  /** For logs: everything but the stack and the cause. */
  toJSON(): Record<string, unknown> {
    return Object.fromEntries([...Object.entries(this), ['message', this.message]])
  }

  /** True for errors of this family, also when another installed copy of the package made them. */
  static isInstance(value: unknown): value is HcpError {
    return value instanceof Error && 'code' in value && codes.has(value.code)
  }
}

/** No node could be connected to. Nothing was sent. `failures` tells what each node said. */
export class HcpConnectError extends HcpError {
  override name = 'HcpConnectError'
  constructor(message: string, facts?: ErrorFacts) {
    super('HCP_CONNECT', message, true, facts)
  }
}

/** The name could not be resolved and no addresses were known from before; `cause` is an `IpsError`. Nothing was sent. */
export class HcpDnsError extends HcpError {
  override name = 'HcpDnsError'
  constructor(message: string, facts?: ErrorFacts) {
    super('HCP_DNS', message, true, facts)
  }
}

/** The TLS handshake failed for another reason than the certificate, for example no common protocol version. Nothing was sent. */
export class HcpTlsError extends HcpError {
  override name = 'HcpTlsError'
  constructor(message: string, facts?: ErrorFacts) {
    super('HCP_TLS', message, false, facts)
  }
}

/** The server's certificate is not trusted, not for this name, out of date, or not the pinned one. Nothing was sent. */
export class HcpCertificateError extends HcpError {
  override name = 'HcpCertificateError'
  constructor(message: string, facts?: ErrorFacts) {
    super('HCP_CERTIFICATE', message, false, facts)
  }
}

/** What took too long: making a connection, the wait for the answer's head, a pause inside a body, or the whole call. */
export type TimeoutPhase = 'connect' | 'headers' | 'body' | 'deadline'

/** A time limit passed. `limit` is in milliseconds. */
export class HcpTimeoutError extends HcpError {
  override name = 'HcpTimeoutError'
  readonly phase: TimeoutPhase
  readonly limit: number
  constructor(phase: TimeoutPhase, limit: number, message: string, facts?: ErrorFacts) {
    super('HCP_TIMEOUT', message, true, facts)
    this.phase = phase
    this.limit = limit
  }
}

/** The connection was lost after the request, or a part of it, had been sent and before an answer came. */
export class HcpSocketError extends HcpError {
  override name = 'HcpSocketError'
  constructor(message: string, facts?: ErrorFacts) {
    super('HCP_SOCKET', message, true, facts)
  }
}

/** The peer answered with something that is not this request's HTTP answer. */
export class HcpProtocolError extends HcpError {
  override name = 'HcpProtocolError'
  constructor(message: string, facts?: ErrorFacts) {
    super('HCP_PROTOCOL', message, true, facts)
  }
}

/** The answer's body ended before it was whole. What was read so far is not the object. */
export class HcpTruncatedError extends HcpError {
  override name = 'HcpTruncatedError'
  /** Bytes announced, `undefined` if the answer did not say. */
  readonly expected: number | undefined
  /** Bytes received. */
  readonly received: number
  constructor(message: string, expected: number | undefined, received: number, facts?: ErrorFacts) {
    super('HCP_TRUNCATED', message, true, facts)
    this.expected = expected
    this.received = received
  }
}

/** The content's hash is not the one that HCP reports (`X-HCP-Hash`, `ETag`). */
export class HcpHashError extends HcpError {
  override name = 'HcpHashError'
  readonly expected: string | undefined
  readonly actual: string | undefined
  constructor(message: string, expected: string | undefined, actual: string | undefined, facts?: ErrorFacts) {
    // Without a hash to compare with, another try will not find one.
    super('HCP_HASH', message, expected !== undefined && actual !== undefined, facts)
    this.expected = expected
    this.actual = actual
  }
}

/** The request may or may not have been carried out, and it could not be found out which. */
export class HcpAmbiguousError extends HcpError {
  override name = 'HcpAmbiguousError'
  constructor(message: string, facts?: ErrorFacts) {
    super('HCP_AMBIGUOUS', message, false, facts)
  }
}

/** The caller's body failed: its source threw (see `cause`), or it gave more or fewer bytes than announced. Nothing is stored. */
export class HcpBodyError extends HcpError {
  override name = 'HcpBodyError'
  constructor(message: string, facts?: ErrorFacts) {
    super('HCP_BODY', message, false, facts)
  }
}

/** The authorization object could not give its headers; see `cause`. Nothing was sent. */
export class HcpAuthorizationError extends HcpError {
  override name = 'HcpAuthorizationError'
  constructor(message: string, facts?: ErrorFacts) {
    super('HCP_AUTHORIZATION', message, false, facts)
  }
}

/**
 * Primary and replica have both failed (`cause` is an `AggregateError` of the primary's failure and the replica's), or the strategy
 * forbids the system that would be needed (`cause`, if there is one, is why it would be). With the code `HCP_REPLICA_INIT`: the replica's
 * name could not be resolved.
 */
export class HcpReplicaError extends HcpError {
  override name = 'HcpReplicaError'
  constructor(message: string, facts?: ErrorFacts, code: 'HCP_REPLICA' | 'HCP_REPLICA_INIT' = 'HCP_REPLICA') {
    super(code, message, true, facts)
  }
}

/** The connection, or its target, was closed. */
export class HcpClosedError extends HcpError {
  override name = 'HcpClosedError'
  constructor(message: string, facts?: ErrorFacts) {
    super('HCP_CLOSED', message, false, facts)
  }
}

/** HCP answered with a status that means failure. Thrown by the typed packages; `Connection` itself returns every answer. */
export class HcpResponseError extends HcpError {
  override name = 'HcpResponseError'
  readonly status: number
  /** `X-HCP-ErrorMessage`, when HCP sent one. */
  readonly reason: string | undefined
  constructor(status: number, reason: string | undefined, message: string, facts?: ErrorFacts) {
    super('HCP_RESPONSE', message, status >= 500 || status === 429 || status === 408, facts)
    this.status = status
    this.reason = reason
  }
}
