import { performance } from 'node:perf_hooks'
import { checkInteger, checkMilliseconds, checkOptions } from './arguments.ts'
import { failoverChannel } from './diagnostics.ts'
import { ReplicaStrategy } from './replica-strategy.ts'
import type { Target } from './target.ts'

/** When a primary counts as failed over, and when as back. All have defaults that suit a busy system. */
export interface FailoverOptions {
  /** So many failures in a row, none begun before the one before it was known, are a failover. Default 3. */
  readonly failures?: number
  /** Two failures in a row so far apart are one as well, however rarely anything is sent. Milliseconds, default 15,000. */
  readonly time?: number
  /** So many answers in a row, served by the primary itself, bring it back. Default 3. */
  readonly successes?: number
  /** First pause before the primary is probed, doubled up to `maxProbe` with each probe that fails. Milliseconds, default 1,000. */
  readonly minProbe?: number
  /** Longest pause between probes. Milliseconds, default 30,000. */
  readonly maxProbe?: number
  /**
   * For so long after the primary came back, or after a write went to the replica, the two systems may differ. Milliseconds, default
   * 600,000.
   */
  readonly differFor?: number
  /** The two are taken for equal again after so many objects in a row that neither had. Default 1,000. */
  readonly differReads?: number
}

/** What made the state what it is. */
export type FailoverReason =
  /** Nothing has happened yet. */
  | 'start'
  /** No node of the primary could be connected to, or its name had no addresses. */
  | 'connect'
  /** Nodes took requests, and all that were tried were silent or broke the connection. */
  | 'silent'
  /** All nodes that were tried answered 503. */
  | 'unavailable'
  /** The primary's name leads to addresses of another system. */
  | 'addresses'
  /** An answer to the primary's name came from another system (`X-HCP-ServicedBySystem`). */
  | 'servicedBy'
  /** The primary itself has answered. */
  | 'answered'

export interface FailoverState {
  /**
   * `primary`: all is well. `failedOver`: the primary counts as failed over. `returning`: it has answered again, but not often enough; what
   * goes to the replica still goes there.
   */
  readonly state: 'primary' | 'failedOver' | 'returning'
  readonly since: Date
  readonly reason: FailoverReason
}

const known: ReadonlySet<string> = new Set([
  'failures',
  'time',
  'successes',
  'minProbe',
  'maxProbe',
  'differFor',
  'differReads',
])

type Limits = Required<FailoverOptions>

/** @throws {TypeError | RangeError} by the name of what is wrong. */
export function checkFailover(options: FailoverOptions): Limits {
  checkOptions('replica.failover', options, known)
  const { failures = 3, time = 15_000, successes = 3, minProbe = 1_000 } = options
  const { maxProbe = Math.max(30_000, minProbe), differFor = 600_000, differReads = 1_000 } = options
  const limits = {
    failures: checkInteger('replica.failover.failures', failures, 1, 1_000),
    time: checkMilliseconds('replica.failover.time', time),
    successes: checkInteger('replica.failover.successes', successes, 1, 1_000),
    minProbe: checkMilliseconds('replica.failover.minProbe', minProbe),
    maxProbe: checkMilliseconds('replica.failover.maxProbe', maxProbe),
    differFor: checkMilliseconds('replica.failover.differFor', differFor),
    differReads: checkInteger('replica.failover.differReads', differReads, 1, 1_000_000_000),
  }
  if (maxProbe < minProbe) throw new RangeError('replica.failover.maxProbe must not be below minProbe')
  return limits
}

/**
 * Whether the primary counts as failed over. One for a target, so that all its connections know what one has learned.
 *
 * It is failed over
 *
 * (a) after `failures` failures in a row, or two that are `time` apart, without an answer of the primary in between. A failure is
 *     - a try that could not connect to any node, the addresses having been asked for anew (`connect`);
 *     - a request that got no answer in any of its tries, each of them ended by a time limit or a lost connection (`silent`). A
 *       deadline or signal of the caller's counts if for a second before it nothing went out any more;
 *     - a request whose last answer, after its repetitions on other nodes, was 503 (`unavailable`).
 *     Of requests that run side by side only one counts: the next failure has to have begun after the last one was known.
 * (b) at once, if the primary's name leads to addresses of the replica (`addresses`), or an answer to the primary's name names another
 *     system in `X-HCP-ServicedBySystem` (`servicedBy`): a DNS failover.
 *
 * TLS and certificate failures, refused credentials and 500 are no failover: another system does not mend them.
 *
 * It is back after `successes` answers in a row that the primary itself served, each begun after the one before was known: answers to
 * probes, which requests set off when one is due, one at a time and with growing pauses (short ones while the replica refuses writes by
 * 403, as the passive system of a link does), and answers to requests that only the
 * primary may serve. Who fails over again soon after that is probed with the longer pauses of before.
 */
export class Failover {
  readonly #limits: Limits
  readonly #primary: string
  readonly #replica: string
  readonly #strategy: number
  readonly #now: () => number
  #state: FailoverState = { state: 'primary', since: new Date(), reason: 'start' }
  /** Failures in a row. */
  #row = 0
  #rowSince = 0
  #failedAt = 0
  #successes = 0
  #succeededAt = 0
  #pause: number
  #probeAt = 0
  #backAt = Number.NEGATIVE_INFINITY
  #differUntil = Number.NEGATIVE_INFINITY
  #differReads = 0
  /** What the primary calls itself, where its name does not tell. */
  #ownName: string | undefined
  /** When it was last seen that the name leads to another system. */
  movedAt: number = Number.NEGATIVE_INFINITY
  /** A probe is under way. */
  probing = false
  /** Addresses of nodes that answered to the primary's name for another system. */
  readonly strangers: Set<string> = new Set()

  /** @param now Milliseconds of a clock that never goes back. */
  constructor(
    primary: Target,
    replica: Target,
    strategy: number,
    limits: Limits,
    now: () => number = () => performance.now(),
  ) {
    this.#now = now
    this.#primary = primary.fqdn
    this.#replica = replica.fqdn
    this.#strategy = strategy
    this.#limits = limits
    this.#pause = limits.minProbe
  }

  get snapshot(): FailoverState {
    return this.#state
  }

  /** Requests for which the replica may stand in go there first. */
  get active(): boolean {
    return this.#state.state !== 'primary'
  }

  /** The primary has given no sign of life. */
  get down(): boolean {
    return this.#state.state === 'failedOver'
  }

  /** The two systems may differ: what one does not have the other may. */
  get differing(): boolean {
    return this.active || this.#now() < this.#differUntil
  }

  /** Whether a read or a write may go to the replica now, once the primary could not take it. */
  permits(read: boolean): boolean {
    const { readAllowed, readOnFailover, writeAllowed, writeOnFailover } = ReplicaStrategy
    if ((this.#strategy & (read ? readAllowed : writeAllowed)) !== 0) return true
    if ((this.#strategy & (read ? readOnFailover : writeOnFailover)) === 0) return false
    return this.active
  }

  /** Whether the replica may be asked for what the primary does not have: also for a while after the primary came back. */
  get permitsLook(): boolean {
    const { readAllowed, readOnFailover } = ReplicaStrategy
    if ((this.#strategy & readAllowed) !== 0) return true
    return (this.#strategy & readOnFailover) !== 0 && this.differing
  }

  /** A try, or a request, that began at `since` (`performance.now`) has failed. */
  failed(reason: FailoverReason, since: number): void {
    const now = this.#now()
    this.#successes = 0
    if (this.active) {
      if (this.#state.state === 'returning') this.#become('failedOver', reason)
      return
    }
    if (since < this.#failedAt) return
    this.#failedAt = now
    if (this.#row++ === 0) this.#rowSince = now
    if (this.#row >= this.#limits.failures || now - this.#rowSince >= this.#limits.time)
      this.#become('failedOver', reason)
  }

  /** The name leads to another system. */
  moved(reason: 'addresses' | 'servicedBy'): void {
    this.#successes = 0
    this.movedAt = this.#now()
    if (!this.down) this.#become('failedOver', reason)
  }

  /** The primary itself has answered a request that began at `since`. */
  answered(since: number): void {
    this.#row = 0
    if (!this.active || since < this.#succeededAt) return
    this.#succeededAt = this.#now()
    if (++this.#successes >= this.#limits.successes) this.#become('primary', 'answered')
    else if (this.down) this.#become('returning', 'answered')
  }

  /** Whether `X-HCP-ServicedBySystem` of an answer to the primary's name is another system. */
  isOther(servicedBy: string | undefined): boolean {
    if (servicedBy === undefined) return false
    const name = servicedBy.toLowerCase()
    const [own, replicas] = [labelsBefore(this.#primary, name), labelsBefore(this.#replica, name)]
    if (own !== undefined && !((replicas ?? own) < own)) {
      this.#ownName = name
      return false
    }
    if (replicas !== undefined) return true
    this.#ownName ??= name
    return this.#ownName !== name
  }

  /** A write has gone to the replica. */
  wrote(): void {
    this.#differ()
  }

  /** Neither system has an object. */
  missedByBoth(): void {
    if (++this.#differReads >= this.#limits.differReads) this.#differUntil = Number.NEGATIVE_INFINITY
  }

  /** One has an object that the other does not have. */
  differed(): void {
    this.#differReads = 0
  }

  /** Whether somebody should see now how the primary fares. */
  get probeDue(): boolean {
    return this.active && !this.probing && this.#now() >= this.#probeAt
  }

  /** The replica has refused what the primary may take: it is time to see whether that is back. */
  doubted(): void {
    this.#probeAt = Math.min(this.#probeAt, this.#now() + this.#limits.minProbe)
  }

  /** A probe has been answered by the primary itself, or has not. */
  probed(well: boolean): void {
    if (!well) this.#pause = Math.min(this.#limits.maxProbe, this.#pause * 2)
    this.#probeAt = this.#now() + (well ? this.#limits.minProbe : this.#pause)
  }

  #differ(): void {
    this.#differUntil = this.#now() + this.#limits.differFor
    this.#differReads = 0
  }

  #become(state: FailoverState['state'], reason: FailoverReason): void {
    const now = this.#now()
    const previous = this.#state.state
    this.#state = { state, since: new Date(), reason }
    if (state === 'primary') {
      this.#backAt = now
      this.strangers.clear()
      this.#differ()
    } else if (previous === 'primary') {
      // Who has been well for long is probed soon again.
      if (now - this.#backAt > 2 * this.#limits.maxProbe) this.#pause = this.#limits.minProbe
      this.#probeAt = now + this.#pause
    }
    this.#row = 0
    if (state !== 'returning') this.#successes = 0
    if (failoverChannel.hasSubscribers) {
      const { since } = this.#state
      failoverChannel.publish({ fqdn: this.#primary, replica: this.#replica, state, previous, reason, since })
    }
  }
}

/** How many labels of a name precede a domain; `undefined` if it is not of that domain. One system's may lie below the other's. */
function labelsBefore(fqdn: string, domain: string): number | undefined {
  if (fqdn !== domain && !fqdn.endsWith(`.${domain}`)) return undefined
  return fqdn.split('.').length - domain.split('.').length
}
