import { checkBoolean, checkInteger, checkMilliseconds, checkOptions } from './arguments.ts'
import { ReplicaStrategy } from './replica-strategy.ts'
import type { Replica } from './replica.ts'
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
  /**
   * Asks the replica as well when a read has not been answered by the primary after this while, and takes the first good answer; the
   * other request is given up. Draws on the budget of repetition. Only for targets whose replica has `readAllowed`. Default: off.
   */
  readonly hedge?: HedgeOptions
}

export interface HedgeOptions {
  /** Milliseconds, or `p95`: longer than 95 of 100 of the last reads took; nothing is hedged before 20 were seen. */
  readonly after: number | 'p95'
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
  'hedge',
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
  readonly hedge: HedgeOptions['after'] | undefined
  /** The target has a replica. */
  readonly replica: boolean
}

/** @throws {TypeError | RangeError} for options that are unknown, of the wrong type or out of range, by name. */
export function checkConnectionOptions(
  options: ConnectionOptions,
  replica: Replica | undefined,
): CheckedOptions {
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
    hedge,
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
    hedge: hedge === undefined ? undefined : checkHedge(hedge, replica),
    replica: replica !== undefined,
  }
}

function checkHedge(hedge: HedgeOptions, replica: Replica | undefined): HedgeOptions['after'] {
  checkOptions('hedge', hedge, new Set(['after']))
  if (replica === undefined || (replica.strategy & ReplicaStrategy.readAllowed) === 0) {
    throw new RangeError('hedge needs a target with a replica whose strategy has ReplicaStrategy.readAllowed')
  }
  return hedge.after === 'p95' ? 'p95' : checkMilliseconds('hedge.after', hedge.after)
}
