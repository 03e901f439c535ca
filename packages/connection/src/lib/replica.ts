import type { Authorization } from '@hcp/auth'
import { HcpReplicaError } from './errors.ts'
import type { Failover, FailoverOptions } from './failover.ts'
import type { ReplicaStrategy } from './replica-strategy.ts'
import type { Target, TlsOptions } from './target.ts'

/** The system to use beside, or instead of, the target's own, and when. */
export interface ReplicaOptions {
  /** Name of the namespace or tenant on the other system. */
  readonly fqdn?: string
  /** Or a target of its own, which is left open when the primary's is closed. */
  readonly target?: Target
  /** When to use it: constants of `ReplicaStrategy`, as a list or joined by `|`. */
  readonly strategy: ReplicaStrategy | readonly ReplicaStrategy[]
  /** A connection's first request waits until the replica's name is resolved, and fails if it is not. Default false. */
  readonly eager?: boolean
  /** With `fqdn`: default the primary's. */
  readonly authorization?: Authorization
  readonly port?: number
  readonly tls?: boolean | TlsOptions
  readonly nameServers?: readonly string[]
  readonly cache?: boolean
  readonly family?: 4 | 6
  /** With `fqdn`: the nodes' addresses, where no name server knows them. */
  readonly addresses?: readonly string[]
  /**
   * Both systems are behind the same addresses, those of a load balancer. Else a primary's name that leads to an address of the
   * replica is taken for a DNS failover. Default false.
   */
  readonly sharedAddresses?: boolean
  /** When the primary counts as failed over, and when as back. */
  readonly failover?: FailoverOptions
}

export const knownReplica: ReadonlySet<string> = new Set([
  'fqdn',
  'target',
  'strategy',
  'eager',
  'authorization',
  'port',
  'tls',
  'nameServers',
  'cache',
  'family',
  'addresses',
  'sharedAddresses',
  'failover',
])

/** A target's replica. */
export interface Replica {
  readonly target: Target
  /** Constants of `ReplicaStrategy` joined by `|`. */
  readonly strategy: ReplicaStrategy
  readonly eager: boolean
}

/** What a connection needs beyond that. */
export interface ReplicaSettings extends Replica {
  readonly sharedAddresses: boolean
  readonly failover: Failover
}

/** @throws {HcpReplicaError} `HCP_REPLICA_INIT`, with the cause. */
export async function initReplica({ target }: Replica, signal?: AbortSignal): Promise<void> {
  try {
    await target.resolve(signal === undefined ? {} : { signal })
  } catch (cause) {
    signal?.throwIfAborted()
    throw notInitialised(target, cause)
  }
}

export const notInitialised = (target: Target, cause: unknown): HcpReplicaError =>
  new HcpReplicaError(
    `The replica ${target.fqdn} cannot be used: ${(cause as Error).message}`,
    { system: 'replica', cause },
    'HCP_REPLICA_INIT',
  )
