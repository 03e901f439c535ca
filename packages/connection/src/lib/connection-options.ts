import { checkBoolean, checkInteger, checkMilliseconds, checkOptions } from './arguments.ts'
import { type RetryOptions, RetryPolicy } from './retry.ts'

export interface ConnectionOptions {
  /**
   * Sockets at most, spread evenly over the nodes as they are opened; further requests wait. 1 is one session. Default 8, at
   * most 254: HCP serves no more at a time on one node, and one node may be all that is left (Using a Namespace, "Persistent
   * connections with HTTP").
   */
  readonly connections?: number
  /**
   * A socket is replaced after this long, when its request is done: so nodes that were away or are new get their share. Milliseconds,
   * default 120,000.
   */
  readonly socketLifetime?: number
  /** An idle socket is closed after this long. Keep it below HCP's own 60 s. Milliseconds, default 30,000. */
  readonly idleTimeout?: number
  /** TCP and TLS handshake with one node. Milliseconds, default 5,000. */
  readonly connectTimeout?: number
  /** Wait for an answer's head, and for the peer to take more of a body. Milliseconds, default 30,000. */
  readonly headersTimeout?: number
  /** Longest pause inside an answer's body. Milliseconds, default 30,000. */
  readonly bodyTimeout?: number
  /**
   * A whole call with all its tries, up to the end of its answer's body. Milliseconds, default none: then the wait for a free socket,
   * which an answer that nobody reads can hold, has no limit.
   */
  readonly deadline?: number
  /** TCP keep-alive probes after this much silence, `false` for none. Milliseconds, default 60,000. */
  readonly tcpKeepAlive?: number | false
  /** Repetition: its bounds, the number of attempts, or `false` for never. */
  readonly retry?: RetryOptions | number | false
  /** Compare content with HCP's hash in every GET and PUT of a whole object; of no effect on other requests. Default false. */
  readonly verifyHash?: boolean
}

const knownConnection: ReadonlySet<string> = new Set([
  'connections',
  'socketLifetime',
  'idleTimeout',
  'connectTimeout',
  'headersTimeout',
  'bodyTimeout',
  'deadline',
  'tcpKeepAlive',
  'retry',
  'verifyHash',
])
/** All of them, checked, and defaults where nothing was said. */
export interface CheckedOptions {
  readonly connections: number
  readonly socketLifetime: number
  readonly idleTimeout: number
  readonly connectTimeout: number
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly deadline: number | undefined
  /** 0 for none. */
  readonly tcpKeepAlive: number
  readonly retry: RetryPolicy
  readonly verifyHash: boolean
}

/** @throws {TypeError | RangeError} for options that are unknown, of the wrong type or out of range, by name. */
export function checkConnectionOptions(options: ConnectionOptions): CheckedOptions {
  checkOptions('Connection', options, knownConnection)
  const {
    connections = 8,
    socketLifetime = 120_000,
    idleTimeout = 30_000,
    connectTimeout = 5_000,
    headersTimeout = 30_000,
    bodyTimeout = 30_000,
    deadline,
    tcpKeepAlive = 60_000,
    retry = {},
    verifyHash = false,
  } = options
  return {
    connections: checkInteger('connections', connections, 1, 254),
    socketLifetime: checkMilliseconds('socketLifetime', socketLifetime),
    idleTimeout: checkMilliseconds('idleTimeout', idleTimeout),
    connectTimeout: checkMilliseconds('connectTimeout', connectTimeout),
    headersTimeout: checkMilliseconds('headersTimeout', headersTimeout),
    bodyTimeout: checkMilliseconds('bodyTimeout', bodyTimeout),
    deadline: deadline === undefined ? undefined : checkMilliseconds('deadline', deadline),
    tcpKeepAlive: tcpKeepAlive === false ? 0 : checkMilliseconds('tcpKeepAlive', tcpKeepAlive),
    retry: new RetryPolicy(retry),
    verifyHash: checkBoolean('verifyHash', verifyHash),
  }
}
