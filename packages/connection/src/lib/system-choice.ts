import { performance } from 'node:perf_hooks'
import type { Call } from './call.ts'
import type { Calls } from './calls.ts'
import type { CheckedOptions } from './connection-options.ts'
import { eventOf, retryChannel } from './diagnostics.ts'
import type { Strangers } from './dialer.ts'
import {
  HcpAmbiguousError,
  HcpAuthorizationError,
  HcpBodyError,
  HcpClosedError,
  HcpConnectError,
  HcpDnsError,
  HcpError,
  HcpReplicaError,
  HcpSocketError,
  HcpTimeoutError,
} from './errors.ts'
import type { Failover } from './failover.ts'
import { RecentTimes } from './recent-times.ts'
import { isPassing } from './repetition.ts'
import { initReplica, notInitialised, type ReplicaSettings } from './replica.ts'
import { namesOf, type SystemName } from './replica-strategy.ts'
import type { Plan } from './request-plan.ts'
import { HcpResponse } from './response.ts'
import { RetryPolicy } from './retry.ts'
import { giveUp, SystemClient } from './system-client.ts'
import type { Target } from './target.ts'

/** A read goes to the other system after so many tries whose answer was lost or passing: there it may be answered at once. */
const triesOfRead = 2
/** The first request waits no longer than this to learn the replica's addresses (milliseconds); it does so to know them from the primary's. */
const longestLook = 1_000
/** A look that failed is not repeated sooner (milliseconds). */
const lookAgain = 30_000
/** Refused writes make the primary's name be looked up no oftener (milliseconds). */
const seeAgain = 1_000
/** A probe is given up after this long (milliseconds). */
const longestProbe = 5_000
/** A caller who waits less for an answer cannot tell whether the primary is silent (milliseconds). */
const shortestSilence = 1_000

const noStrangers: ReadonlySet<string> = new Set()

/** What one system has made of a request. */
interface Part {
  readonly call: Call
  readonly client: SystemClient
  readonly plan: Plan
  readonly outcome: HcpResponse | HcpError
  /** The answer to the primary's name came from another system. */
  readonly stranger: boolean
}

/** Requests to a target with a replica: which of the two is asked, and what is made of their answers. */
export class SystemChoice {
  readonly primary: SystemClient
  readonly replica: SystemClient
  readonly #settings: ReplicaSettings
  readonly #failover: Failover
  readonly #options: CheckedOptions
  readonly #calls: Calls
  readonly #hedge: CheckedOptions['hedge']
  readonly #times = new RecentTimes()
  /** The replica's name is being resolved, for `eager`. */
  #starting: Promise<void> | undefined
  /** The replica's addresses are being looked up, to know them when they turn up as the primary's. */
  #looking: Promise<void> | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #probe: AbortController | undefined
  #sawName = Number.NEGATIVE_INFINITY
  /** Until then the replica, which could not answer, is not asked for what the primary does not have. */
  #lookableAt = Number.NEGATIVE_INFINITY
  /** When the primary last answered anything. */
  #heardAt = performance.now()

  constructor(target: Target, settings: ReplicaSettings, options: CheckedOptions, calls: Calls) {
    this.#settings = settings
    this.#failover = settings.failover
    this.#options = options
    this.#calls = calls
    this.#hedge = options.hedge
    const { strangers } = this.#failover
    this.primary = new SystemClient(target, 'primary', options, calls, this.#strangers(target, strangers))
    this.replica = new SystemClient(settings.target, 'replica', options, calls)
  }

  /** Gives up looking after the primary: the connection is closing. */
  stop(): void {
    this.#probe?.abort(new HcpClosedError('The connection was closed'))
  }

  /** The answer of the system that the strategy says, or the better of two. */
  async answer(plan: Plan): Promise<HcpResponse> {
    try {
      if (this.#settings.eager) await plan.call.orAborted(this.#start())
      return await this.#answer(plan)
    } catch (error) {
      giveUp(plan.call, error)
      throw error
    }
  }

  async #answer(plan: Plan): Promise<HcpResponse> {
    const { call, options } = plan
    const read = isRead(call.method)
    if (this.#failover.probeDue) this.#look()
    const wanted = options.system ?? (isManagement(plan) ? 'primary' : undefined)
    const permitted = read ? this.#failover.permitsLook : this.#failover.permits(read)
    if (wanted === 'replica' && !permitted) throw this.#forbidden(plan, undefined)
    const standsIn = this.#failover.active && this.#failover.permits(read)
    const first = wanted ?? (standsIn ? 'replica' : 'primary')
    if (read && first === 'primary' && wanted === undefined && this.#hedge !== undefined) {
      return this.#hedged(plan, this.#hedge)
    }
    const one = await this.#ask(plan, first, wanted === undefined)
    return this.#afterOne(plan, one, wanted)
  }

  async #afterOne(plan: Plan, one: Part, wanted: SystemName | undefined): Promise<HcpResponse> {
    const { call, outcome } = one
    if (this.#forbids(one)) throw await this.#served(one)
    // Who wants the primary gets the system that its name leads to.
    const mayMove =
      wanted === undefined ||
      (wanted === 'primary' && outcome instanceof HcpReplicaError && !isManagement(plan))
    if (mayMove && this.#moves(one)) {
      if (outcome instanceof HcpError) call.failed(outcome.address, outcome.code, outcome.message)
      if (retryChannel.hasSubscribers) {
        const code = outcome instanceof HcpError ? outcome.code : `HTTP_${outcome.status}`
        retryChannel.publish({ ...eventOf(call, outcome.address), code, delay: 0 })
      }
      let two: Part
      const began = performance.now()
      try {
        // What may be nowhere is not worth many tries.
        const retry = isFailure(outcome) ? plan.retry : new RetryPolicy(false, plan.retry)
        two = await this.#ask({ ...plan, retry }, call.system === 'primary' ? 'replica' : 'primary', false)
      } catch (error) {
        discard(one)
        throw error
      }
      if (!isFailure(outcome) && two.outcome instanceof HcpError) {
        // A replica that fails at once is asked on; one that is silent must not hold up all that is missing.
        const now = performance.now()
        this.#lookableAt = now + Math.min(lookAgain, 10 * (now - began))
      }
      return this.#better(plan, one, two)
    }
    if (outcome instanceof HcpResponse) return accept(one, outcome)
    const needed = call.system === 'primary' && mayMove && this.#failover.active
    if (needed && !call.sent && isElsewhere(outcome) && !this.#failover.permits(isRead(call.method)))
      throw this.#forbidden(plan, outcome)
    throw outcome
  }

  /** Has one system try. Rejects only when the caller or the deadline ends the call. */
  async #ask(plan: Plan, system: SystemName, mayLeave: boolean, client?: SystemClient): Promise<Part> {
    const { call } = plan
    if (call.aborted) throw call.reason
    const part = this.#part(plan, system, mayLeave, client)
    call.onAbort((reason) => part.call.abort(reason))
    return this.#run(part, call)
  }

  #part(
    plan: Plan,
    system: SystemName,
    mayLeave: boolean,
    client: SystemClient = this[system],
  ): Omit<Part, 'outcome' | 'stranger'> {
    const call = plan.call.part(client.origin + plan.path, system)
    if (system === 'primary') call.leaves = this.#leaving(call, mayLeave)
    return { call, client, plan: { ...plan, call } }
  }

  async #run({ call, client, plan }: Omit<Part, 'outcome' | 'stranger'>, whole: Call): Promise<Part> {
    const began = performance.now()
    let outcome: HcpResponse | HcpError
    let failure: unknown
    try {
      outcome = await client.tries(plan)
    } catch (error) {
      failure = error
      if (whole.aborted || !(error instanceof HcpError)) {
        this.#note(call, undefined, error, began)
        throw whole.aborted ? whole.reason : error
      }
      outcome = error
      if (error instanceof HcpDnsError && call.system === 'replica') {
        outcome = Object.assign(notInitialised(client.target, error), call.facts(undefined, error))
      }
    }
    const answer = outcome instanceof HcpResponse ? outcome : undefined
    const stranger = call.system === 'primary' && this.#failover.isOther(answer?.servicedBy)
    if (stranger) this.#metStranger(answer as HcpResponse)
    else this.#note(call, answer, failure, began)
    return { call, client, plan, outcome, stranger }
  }

  /**
   * Told of each try at the primary that failed; says whether the replica is to be asked at once: a read after its second try, and what
   * has not been sent as soon as no node could be connected to, if the strategy allows it by then.
   */
  #leaving(call: Call, mayLeave: boolean): (outcome: HcpError | HcpResponse) => boolean {
    let began = performance.now()
    const read = isRead(call.method)
    return (outcome) => {
      if (isConnect(outcome)) this.#failover.failed('connect', began)
      began = performance.now()
      if (!mayLeave || !this.#failover.permits(read)) return false
      if (!call.sent) return true
      return read && (call.tries >= triesOfRead || isConnect(outcome))
    }
  }

  /** What the end of a request at a system says of it. */
  #note(call: Call, answer: HcpResponse | undefined, failure: unknown, began: number): void {
    const write = !isRead(call.method)
    // Of an active/passive link one system takes no writes, and that may be the other one by now.
    const refused = write && answer?.status === 403
    if (call.system === 'replica') {
      // Whatever became of it: it may have changed something.
      if (write && (answer?.ok ?? call.sent)) this.#failover.wrote()
      if (refused) this.#failover.doubted()
      return
    }
    if (answer !== undefined) this.#heardAt = performance.now()
    if (refused) void this.#seeName()
    if (answer === undefined) {
      if (failure instanceof HcpReplicaError) this.#moved()
      else if (this.#isSilence(failure, call, began)) this.#failover.failed('silent', began)
    } else if (answer.status === 503) this.#failover.failed('unavailable', began)
    else if (!isPassing(answer.status)) {
      this.#failover.strangers.delete(answer.address)
      // Connections from before a DNS failover go to the primary still, and do not tell that its name does so again.
      if (call.connectedAt < this.#failover.movedAt) setImmediate(() => this.primary.leave(answer.address))
      else this.#failover.answered(began)
      if (this.#hedge === 'p95' && isRead(call.method)) this.#times.add(performance.now() - began)
    }
  }

  /** Whether the primary is silent, and not just the caller impatient. */
  #isSilence(failure: unknown, call: Call, began: number): boolean {
    // Who waits for a free socket has learned nothing of the primary.
    if (!call.sent && this.primary.sockets.size > 0) return false
    if (isLost(failure)) return true
    return isLimit(failure) && performance.now() - Math.max(began, call.wroteAt) >= shortestSilence
  }

  /** The primary's name leads to the replica: what is still connected to the primary itself is not used any more. */
  #moved(): void {
    this.#failover.moved('addresses')
    for (const address of this.primary.sockets.keys()) this.primary.leave(address)
  }

  /** Sees whether the primary's name still leads to it, which open sockets do not tell. */
  async #seeName(): Promise<void> {
    const strangers = this.#strangers(this.primary.target, noStrangers)
    if (this.#failover.active || performance.now() - this.#sawName < seeAgain) return
    this.#sawName = performance.now()
    await Promise.all([lookUp(this.primary.target), strangers.ready()])
    const { addresses } = this.primary.target
    if (addresses.length > 0 && addresses.every((address) => strangers.has(address))) this.#moved()
  }

  #metStranger({ method, address, ok }: HcpResponse): void {
    if (!this.#settings.sharedAddresses) this.#failover.strangers.add(address)
    this.#failover.moved('servicedBy')
    // The socket of an answer that has just ended is idle a moment later.
    setImmediate(() => this.primary.leave(address))
    if (!isRead(method) && ok) this.#failover.wrote()
  }

  /** Whether this answer must not be returned, because another system gave it and may not. */
  #forbids({ stranger, call, plan }: Part): boolean {
    return stranger && (isManagement(plan) || !this.#failover.permits(isRead(call.method)))
  }

  /** Whether the other system is to be asked after this. */
  #moves({ call, outcome, stranger, plan }: Part): boolean {
    const read = isRead(call.method)
    if (outcome instanceof HcpResponse && isMissing(outcome)) {
      if (!read) return false
      // From a primary that is down nothing can be learned.
      if (call.system === 'replica') return !this.#failover.down
      if (performance.now() < this.#lookableAt) return false
      return this.#failover.permitsLook && (outcome.status === 410 || this.#failover.differing)
    }
    if (call.system === 'primary' && !this.#failover.permits(read)) return false
    if (outcome instanceof HcpError) {
      if (!isElsewhere(outcome) || !(read || !call.sent)) return false
    } else if (!read || !(isPassing(outcome.status) || (stranger && outcome.status === 403))) return false
    return plan.retry.budget.take(5)
  }

  /**
   * The better answer of two. That one system does not have an object is no better than that the other could not answer: what it
   * has may not have been copied yet.
   */
  async #better(plan: Plan, one: Part, two: Part): Promise<HcpResponse> {
    if (this.#forbids(two)) {
      discard(one)
      throw await this.#served(two)
    }
    const first = one.outcome
    const second = two.outcome
    if (second instanceof HcpResponse) {
      if (first instanceof HcpError || !(isMissing(second) || isPassing(second.status))) {
        if (first instanceof HcpResponse && isMissing(first)) this.#failover.differed()
        discard(one)
        return accept(two, second)
      }
      if (isMissing(second) && isMissing(first)) this.#failover.missedByBoth()
      discard(two)
      return accept(one, first)
    }
    if (first instanceof HcpResponse) return accept(one, first)
    // Whoever has to look whether something was done has to know that.
    if (!isElsewhere(second) || (two.call.sent && !isRead(two.call.method))) throw second
    throw this.#both(plan, one, two)
  }

  /** Asks the replica too if the primary takes long. */
  async #hedged(plan: Plan, after: number | 'p95'): Promise<HcpResponse> {
    const { call } = plan
    const delay = after === 'p95' ? this.#times.p95 : after
    const asking = this.#ask(plan, 'primary', true)
    if (delay === undefined) return this.#afterOne(plan, await asking, undefined)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, delay, undefined)
    })
    let first: Part | undefined
    try {
      first = await Promise.race([asking, late])
    } finally {
      clearTimeout(timer)
    }
    if (first !== undefined || !plan.retry.budget.take(5)) {
      return this.#afterOne(plan, first ?? (await asking), undefined)
    }
    const abortPrimary = call.stop
    const hedge = this.#part(plan, 'replica', false)
    call.onAbort((reason) => {
      abortPrimary?.(reason)
      hedge.call.abort(reason)
    })
    const hedging = this.#run(hedge, call)
    try {
      first = await Promise.race([asking, hedging])
      const other = first.call === hedge.call ? asking : hedging
      const answer = this.#wins(first)
      if (answer !== undefined) {
        other.then(discard, () => undefined)
        if (first.call === hedge.call) {
          this.#times.add(call.elapsed)
          this.#suspect()
        }
        const loser = new HcpClosedError('The other system answered first')
        if (first.call === hedge.call) abortPrimary?.(loser)
        else hedge.call.abort(loser)
        return accept(first, answer)
      }
      const second = await other
      const [one, two] = first.call === hedge.call ? [second, first] : [first, second]
      if (this.#forbids(one)) throw await this.#served(one)
      return await this.#better(plan, one, two)
    } catch (error) {
      asking.then(discard, () => undefined)
      hedging.then(discard, () => undefined)
      throw error
    }
  }

  /** A request that is given up because the replica was faster tells nothing of the primary. If none tells anything, a probe does. */
  #suspect(): void {
    const { active, probing } = this.#failover
    if (this.#calls.closing) return
    if (!active && !probing && performance.now() - this.#heardAt >= shortestSilence) this.#look()
  }

  /** The answer, if it needs no other to compare it with. */
  #wins(part: Part): HcpResponse | undefined {
    const { outcome, call } = part
    if (!(outcome instanceof HcpResponse) || isPassing(outcome.status)) return undefined
    if (this.#forbids(part)) return undefined
    return isMissing(outcome) && (call.system === 'replica' || this.#failover.differing) ? undefined : outcome
  }

  /** Sees how the primary fares, beside the request that set this off. */
  #look(): void {
    const failover = this.#failover
    const abort = new AbortController()
    failover.probing = true
    this.#probe = abort
    const look = async (): Promise<boolean> => {
      const { target } = this.primary
      await lookUp(target)
      // Sockets of its own: it has to ask also those that are known for strangers, and nobody else may be led there by that.
      const client = new SystemClient(
        target,
        'primary',
        this.#options,
        this.#calls,
        this.#strangers(target, noStrangers),
      )
      try {
        const plan = client.plan('HEAD', target.port === 9090 ? '/mapi' : '/rest', undefined, {
          signal: abort.signal,
          deadline: longestProbe,
          retry: false,
        })
        try {
          const part = await this.#ask(plan, 'primary', false, client)
          discard(part)
          return part.outcome instanceof HcpResponse && !part.stranger && !isPassing(part.outcome.status)
        } finally {
          plan.call.end()
        }
      } finally {
        await client.destroy()
      }
    }
    void look()
      .catch(() => false)
      .then((well) => {
        failover.probing = false
        if (!abort.signal.aborted) failover.probed(well)
        this.#probe = undefined
      })
  }

  /** The replica's name is resolved before the first request; a failure is tried again with the next. */
  #start(): Promise<void> {
    this.#starting ??= initReplica(this.#settings).catch((error: unknown) => {
      this.#starting = undefined
      throw error
    })
    return this.#starting
  }

  /** How the dialer knows the replica's addresses when it meets them as the primary's. */
  #strangers(primary: Target, known: ReadonlySet<string>): Strangers {
    const { target, sharedAddresses } = this.#settings
    // Where ports differ, or both are behind a load balancer, addresses tell nothing.
    const telling = !sharedAddresses && primary.port === target.port
    return {
      ready: () => {
        if (!telling || target.addresses.length > 0) return undefined
        if (performance.now() - this.#lookedAt < lookAgain) return undefined
        this.#looking ??= lookUp(target).finally(() => {
          this.#looking = undefined
          this.#lookedAt = performance.now()
        })
        return this.#looking
      },
      has: (address) => known.has(address) || (telling && target.addresses.includes(address)),
    }
  }

  #forbidden({ call }: Plan, cause: HcpError | undefined): HcpReplicaError {
    const { target, strategy } = this.#settings
    const why = cause === undefined ? '' : `${cause.message}. `
    return new HcpReplicaError(
      `${why}The strategy of the replica ${target.fqdn} (${namesOf(strategy)}) does not allow ${call.method} there${
        this.#failover.active ? '' : ' now: the primary does not count as failed over'
      }`,
      call.facts(cause?.address, cause),
    )
  }

  /** Another system has answered to the primary's name, and may not. */
  async #served({ call, outcome }: Part): Promise<HcpReplicaError> {
    const { address, servicedBy, status, url, method } = outcome as HcpResponse
    await (outcome as HcpResponse).dump()
    const names = namesOf(this.#settings.strategy)
    const result = isRead(method)
      ? 'Its answer is not used'
      : `It answered ${status}: look there for what has become of it`
    return new HcpReplicaError(
      `${method} ${url} was served by ${servicedBy}, to which the name leads now: a DNS failover. The strategy (${names}) does not allow that. ${result}`,
      call.facts(address),
    )
  }

  #both(plan: Plan, one: Part, two: Part): HcpReplicaError {
    const [primary, replica] = one.call.system === 'primary' ? [one, two] : [two, one]
    const causes = [primary.outcome as HcpError, replica.outcome as HcpError]
    const { call } = plan
    return new HcpReplicaError(
      `Neither system could serve ${call.method} ${call.url}. The primary: ${causes[0]?.message}. The replica: ${causes[1]?.message}`,
      {
        ...call.facts(two.outcome.address, new AggregateError(causes, 'Primary and replica have failed')),
        system: two.call.system,
      },
    )
  }
}

const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD' || method === 'OPTIONS'

/** Management is each system's own. */
const isManagement = ({ path }: Plan): boolean => path.startsWith('/mapi')

const isConnect = (outcome: unknown): boolean =>
  outcome instanceof HcpConnectError ||
  outcome instanceof HcpDnsError ||
  (outcome instanceof HcpTimeoutError && outcome.phase === 'connect')

const isFailure = (outcome: HcpResponse | HcpError): boolean =>
  outcome instanceof HcpError || !isMissing(outcome)

const isMissing = ({ status }: HcpResponse): boolean => status === 404 || status === 410

const isLost = (failure: unknown): boolean =>
  failure instanceof HcpSocketError || (failure instanceof HcpTimeoutError && failure.phase === 'headers')

/** The caller's own limit for the whole. */
const isLimit = (failure: unknown): boolean =>
  // What `AbortSignal.timeout` says.
  (failure instanceof DOMException && failure.name === 'TimeoutError') ||
  (failure instanceof HcpTimeoutError && failure.phase === 'deadline')

/** Whether another system might do better: it is no failure of the caller's, nor one that leaves something to be looked at. */
const isElsewhere = (error: HcpError): boolean =>
  !(
    error instanceof HcpBodyError ||
    error instanceof HcpAuthorizationError ||
    error instanceof HcpClosedError ||
    error instanceof HcpAmbiguousError
  )

function accept({ client, plan, call }: Part, response: HcpResponse): HcpResponse {
  // Whichever was asked last: this is the one to be ended from now on.
  call.whole?.onAbort((reason) => call.abort(reason))
  client.accept(plan, response)
  return response
}

/** Gives an answer up that was not chosen. */
function discard({ outcome }: Part): void {
  if (outcome instanceof HcpResponse) void outcome.dump()
}

/** Learns a name's addresses, within reason. */
async function lookUp(target: Target): Promise<void> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), longestLook)
  await target.circle.refresh({ signal: abort.signal }).catch(() => undefined)
  clearTimeout(timer)
}
