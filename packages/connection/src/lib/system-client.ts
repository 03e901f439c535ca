import type { Readable } from 'node:stream'
import type { AuthorizationHeaders } from '@hcp/auth'
import { type BodySource, discardBody, type OpenBody } from './body.ts'
import { type Call, withFacts } from './call.ts'
import type { Calls } from './calls.ts'
import type { CheckedOptions } from './connection-options.ts'
import { contentHash } from './content-hash.ts'
import { errorChannel, eventOf, requestChannel, responseChannel, retryChannel } from './diagnostics.ts'
import { Dialer, type Strangers } from './dialer.ts'
import { Doubt } from './doubt.ts'
import {
  HcpAmbiguousError,
  HcpAuthorizationError,
  HcpBodyError,
  HcpClosedError,
  HcpError,
  HcpHashError,
  HcpReplicaError,
  HcpTimeoutError,
} from './errors.ts'
import { Exchange } from './exchange.ts'
import { type ContentHash, hashOf, namedHashes } from './hash.ts'
import { NodePool } from './node-pool.ts'
import { isBusy, isConflict, isPassing, mayRepeat, mustSettle } from './repetition.ts'
import type { SystemName } from './replica-strategy.ts'
import { type BodyOptions, knownBody, knownRequest, type Plan, requestPlan } from './request-plan.ts'
import { HcpResponse } from './response.ts'
import { retryAfter } from './retry.ts'
import { findingOf, settledAnswer } from './settlement.ts'
import type { Finding } from './stored-object.ts'
import type { Target } from './target.ts'

/** An answer to other methods than GET is taken in up to this size without a reader. */
const smallAnswer = 1024 * 1024
const noSchemes: readonly string[] = []

/** Requests to the nodes of one system: its sockets, and what is tried how often. */
export class SystemClient {
  readonly target: Target
  readonly system: SystemName
  readonly origin: string
  readonly #options: CheckedOptions
  readonly #calls: Calls
  readonly #pool: NodePool
  readonly #dialer: Dialer
  /** The namespace's hash algorithm, as seen in answers. */
  #hashScheme: string | undefined
  #authorized: { readonly headers: AuthorizationHeaders; readonly pairs: readonly string[] } | undefined

  constructor(
    target: Target,
    system: SystemName,
    options: CheckedOptions,
    calls: Calls,
    strangers?: Strangers,
  ) {
    this.target = target
    this.system = system
    this.origin = target.origin
    this.#options = options
    this.#calls = calls
    this.#dialer = new Dialer(target, options, system, strangers)
    this.#pool = new NodePool(this.origin, this.#dialer, options)
  }

  /** Open sockets by node address. */
  get sockets(): ReadonlyMap<string, number> {
    return this.#pool.sockets
  }

  /** Closes idle sockets to a node. */
  leave(address: string): void {
    this.#pool.leave(address)
  }

  /** Closes all sockets. */
  async destroy(): Promise<void> {
    this.#dialer.close()
    await this.#pool.destroy()
  }

  /** Checks all that a request was given, and takes it up among the calls. */
  plan(
    method: unknown,
    path: unknown,
    body: unknown,
    options: BodyOptions,
    known: ReadonlySet<string> = knownBody,
  ): Plan {
    const plan = requestPlan(
      this.origin,
      this.#options,
      method,
      path,
      body,
      options,
      known,
      this.#calls.ended,
      this.system,
    )
    this.#calls.running.add(plan.call)
    return plan
  }

  /** Tries until there is an answer to return, or an error that repetition cannot or must not mend. */
  async tries(plan: Plan): Promise<HcpResponse> {
    const { call } = plan
    const doubt = new Doubt(plan.headers)
    try {
      for (;;) {
        call.begin()
        const starting = this.#start(plan, doubt.condition)
        const exchange = starting instanceof Promise ? await starting : starting
        let outcome: HcpResponse | HcpError
        try {
          outcome = await exchange.response
          if (plan.options.buffered === true) await exchange.whole()
        } catch (error) {
          if (call.aborted) throw call.reason
          if (!(error instanceof HcpError)) throw error
          outcome = withFacts(error, call.facts(exchange.address))
        }
        call.onAbort(undefined)
        let verdict: HcpResponse | Again
        if (!(outcome instanceof HcpResponse))
          verdict = await this.#judgeFailure(plan, exchange, outcome, doubt)
        else if (this.#isFinal(plan, outcome, doubt)) {
          // The usual case waits for nothing more.
          verdict = outcome
          this.#watch(exchange, outcome)
          if (plan.verifyHash && call.method === 'PUT' && outcome.ok) {
            const verifying = this.#verifyPut(plan, exchange, outcome)
            if (verifying !== undefined) await verifying
          }
          if (outcome.status < 500) plan.retry.budget.give(call.spent || 1)
        } else verdict = await this.#judgeAnswer(plan, exchange, outcome, doubt)
        if (verdict instanceof HcpResponse) {
          if (call.whole === undefined) this.#calls.last = verdict
          return verdict
        }
        const { code, message, delay } = verdict
        call.failed(exchange.address, code, message)
        if (retryChannel.hasSubscribers) {
          retryChannel.publish({ ...eventOf(call, exchange.address), code, delay: Math.round(delay) })
        }
        await call.pause(delay)
      }
    } catch (error) {
      if (call.whole === undefined) giveUp(call, error)
      throw error
    }
  }

  /** Follows the answer to a part of a call that was chosen to be returned. */
  accept({ call }: Plan, response: HcpResponse): void {
    const { offered } = call
    this.#calls.last = response
    // A settled answer has nothing to follow.
    if (offered === undefined) call.end()
    else this.#follow(offered, response)
  }

  /** Whether this is the answer to return. */
  #isFinal(plan: Plan, { status, address }: HcpResponse, doubt: Doubt): boolean {
    if (!isPassing(status)) this.target.circle.succeeded(address)
    if (doubt.raised && isConflict(status)) return false
    return !isPassing(status) || !mayRepeat(plan, status)
  }

  /** What to do with an answer that is perhaps not the last word: return it, or try again. */
  async #judgeAnswer(
    plan: Plan,
    exchange: Exchange,
    response: HcpResponse,
    doubt: Doubt,
  ): Promise<HcpResponse | Again> {
    const { call, retry, source } = plan
    const { status } = response
    const after = retryAfter(response.header('retry-after'))
    const refused = isConflict(status)
    if (call.method === 'PUT' && (refused || !isBusy(status)) && mustSettle(plan)) {
      // An answer so long that it holds its socket would keep the HEAD waiting; what it says is lost then.
      const lost = !exchange.ended
      if (lost) await response.dump()
      const settled = await this.#settle(plan, exchange, doubt)
      if (settled !== undefined) {
        await response.dump()
        return settled
      }
      // Somebody else's object has the name, or the caller's own condition does not hold: then this is the answer. So is a failure
      // of which nothing more could be learned.
      const answered =
        (status === 409 && doubt.finding === 'other') ||
        (status === 412 && doubt.callersOwn) ||
        (doubt.finding === 'unknown' && !refused)
      if (answered && !lost) {
        this.#watch(exchange, response)
        return response
      }
      if (answered || doubt.finding === 'unknown') {
        await response.dump()
        throw ambiguous(plan, exchange.address, undefined)
      }
    }
    const replayable = source === undefined || source.replayable
    const leaves = call.leaves?.(response) === true
    const late =
      after !== undefined && (after > retry.maxRetryAfter || after >= (call.left ?? Number.POSITIVE_INFINITY))
    if (leaves || !replayable || late || call.tries >= retry.attempts || !retry.budget.take(5)) {
      // A conflict with what may be an earlier try of this very PUT is not an answer to it.
      if (refused) {
        await response.dump()
        throw ambiguous(plan, exchange.address, undefined)
      }
      this.#watch(exchange, response)
      return response
    }
    call.spent = 5
    if (!isBusy(status)) call.doubtful = true
    await response.dump()
    if (!refused) {
      // The next try is for another node, if there is one.
      const pause = after === undefined ? {} : { retryAfter: Math.min(after, retry.maxRetryAfter) }
      this.target.circle.failed(response.address, pause)
      this.#pool.leave(response.address)
    }
    return {
      code: `HTTP_${status}`,
      message: response.errorMessage ?? response.statusText,
      delay: after ?? retry.delay(call.tries),
    }
  }

  /** What to do after a try that brought no answer: try again, or throw. */
  async #judgeFailure(
    plan: Plan,
    exchange: Exchange,
    error: HcpError,
    doubt: Doubt,
  ): Promise<HcpResponse | Again> {
    const { call, retry, source } = plan
    if (exchange.address !== undefined) this.#nodeFailed(exchange.address, error)
    // A name that another system has taken over is not asked again.
    if (!error.retryable || error instanceof HcpReplicaError || call.leaves?.(error) === true) throw error
    const replayable = source === undefined || source.replayable
    if (exchange.started) {
      call.doubtful = true
      const settles = call.method === 'PUT' && mustSettle(plan)
      // Even a try that was cut off may hold the name open for writing for a while: the next one then meets a conflict.
      if (settles) doubt.raised = true
      // Before it was whole HCP has stored nothing; after that only a look at the object tells.
      if (settles && exchange.bodySent) {
        const settled = await this.#settle(plan, exchange, doubt, error)
        if (settled !== undefined) return settled
        if (doubt.finding === 'unknown' || (doubt.finding === 'other' && !replayable)) {
          throw ambiguous(plan, exchange.address, error)
        }
      } else if (!mayRepeat(plan, undefined) && !(call.method === 'PUT' && !exchange.bodySent)) {
        throw error
      }
      if (!replayable) throw error
    }
    const cost = error instanceof HcpTimeoutError ? 10 : 5
    if (call.tries >= retry.attempts || !retry.budget.take(cost)) throw error
    call.spent = cost
    // With another node to ask there is no reason to wait, once.
    const other = exchange.started && this.target.circle.health().some((node) => node.state === 'healthy')
    return {
      code: error.code,
      message: error.message,
      delay: other && call.tries === 1 ? 0 : retry.delay(call.tries),
    }
  }

  /**
   * Finds out by HEAD whether an earlier try of this PUT stored the object.
   *
   * @returns An answer in place of the lost one if it did; else nothing, and `doubt` knows how to go on.
   */
  async #settle(
    plan: Plan,
    exchange: Exchange,
    doubt: Doubt,
    error?: HcpError,
  ): Promise<HcpResponse | undefined> {
    const { call, options, retry } = plan
    doubt.raised = true
    const { left } = call
    let finding: Finding
    let head: HcpResponse
    try {
      const look = this.plan(
        'HEAD',
        plan.path,
        undefined,
        {
          encoded: true,
          headersTimeout: plan.headersTimeout,
          ...(options.signal === undefined ? {} : { signal: options.signal }),
          ...(left === undefined ? {} : { deadline: Math.max(1, Math.ceil(left)) }),
        },
        knownRequest,
      )
      // This look is a part of the call: it has the call's policy, and is made also while the connection is closing.
      head = await this.tries({ ...look, retry })
      finding = await findingOf(plan, exchange, head)
    } catch (cause) {
      if (call.aborted) throw call.reason
      options.signal?.throwIfAborted()
      throw ambiguous(plan, exchange.address, error ?? cause)
    }
    doubt.found(finding)
    if (finding.kind !== 'stored') return undefined
    call.end()
    return settledAnswer(call, head)
  }

  /** Compares what HCP says it stored with what was sent. Content in memory is compared at once. */
  #verifyPut(plan: Plan, exchange: Exchange, response: HcpResponse): undefined | Promise<void> {
    const { call, source } = plan
    if (source === undefined || plan.headers['content-encoding'] !== undefined) return undefined
    const named = namedHashes(response.headers)
    if (named[0] !== undefined) this.#hashScheme = named[0].scheme
    if (source.bytes !== undefined) {
      for (const { scheme, hex } of named) {
        const actual = hashOf(scheme, source.bytes)
        if (actual !== undefined) return checkStored(call, response, scheme, hex, actual)
      }
      throw noHash(call, response)
    }
    return this.#verifyStream(plan, source, named, exchange, response)
  }

  async #verifyStream(
    plan: Plan,
    source: BodySource,
    named: readonly ContentHash[],
    exchange: Exchange,
    response: HcpResponse,
  ): Promise<void> {
    const { call } = plan
    for (const { scheme, hex } of named) {
      let actual = exchange.sendHash?.hex(scheme)
      if (actual === undefined) {
        try {
          actual = (await contentHash(source, scheme, call))?.hex
        } catch (cause) {
          if (call.aborted) throw call.reason
          throw bodyError(plan, cause)
        }
      }
      if (actual !== undefined) return checkStored(call, response, scheme, hex, actual)
    }
    throw noHash(call, response)
  }

  /** Starts one try; at once if body and authorization are at hand, as they usually are. */
  #start(plan: Plan, condition: Readonly<Record<string, string>> | undefined): Exchange | Promise<Exchange> {
    const { source } = plan
    let opened: OpenBody | Promise<OpenBody> | undefined
    let pairs: readonly string[] | Promise<readonly string[]>
    try {
      pairs = this.#authorize(plan)
      opened = source?.open()
    } catch (cause) {
      throw cause instanceof HcpError ? cause : bodyError(plan, cause)
    }
    if (!(pairs instanceof Promise) && !(opened instanceof Promise))
      return this.#dispatch(plan, opened, pairs, condition)
    return this.#startLater(plan, opened, pairs, condition)
  }

  async #startLater(
    plan: Plan,
    opening: OpenBody | Promise<OpenBody> | undefined,
    authorizing: readonly string[] | Promise<readonly string[]>,
    condition: Readonly<Record<string, string>> | undefined,
  ): Promise<Exchange> {
    const { call, source } = plan
    const both = Promise.allSettled([opening, authorizing])
    // What opens when the call is over already is closed again.
    void both.then(([opened]) => {
      if (call.aborted && opened.status === 'fulfilled') discardBody(source, opened.value)
    })
    const [opened, authorized] = await call.orAborted(both)
    if (opened.status === 'rejected') throw bodyError(plan, opened.reason)
    if (authorized.status === 'rejected') {
      discardBody(source, opened.value)
      throw authorized.reason
    }
    return this.#dispatch(plan, opened.value, authorized.value, condition)
  }

  #dispatch(
    plan: Plan,
    opened: OpenBody | undefined,
    pairs: readonly string[],
    condition: Readonly<Record<string, string>> | undefined,
  ): Exchange {
    const { call, options } = plan
    const headers = ['host', this.target.fqdn, ...pairs]
    for (const name in plan.headers) headers.push(name, plan.headers[name] as string)
    if (condition !== undefined) for (const name in condition) headers.push(name, condition[name] as string)
    const content = opened?.content ?? null
    if (opened?.size !== undefined && !(content instanceof Uint8Array)) {
      headers.push('content-length', String(opened.size))
    }
    const exchange = new Exchange({
      call,
      bodySize: opened?.size,
      headersTimeout: plan.headersTimeout,
      bodyTimeout: plan.bodyTimeout,
      verifyHash: plan.verifyHash,
      sendHash: this.#sendHash(plan, content),
      collectLimit:
        options.buffered === true ? Number.POSITIVE_INFINITY : call.method === 'GET' ? 0 : smallAnswer,
      bodyFault: () => plan.source?.fault(),
      onEnd: (ended, error) => {
        if (!ended.started) discardBody(plan.source, opened)
        this.#ended(ended, error)
      },
    })
    call.onAbort((reason) => exchange.stop(reason))
    if (requestChannel.hasSubscribers) requestChannel.publish(eventOf(call, undefined))
    this.#pool.dispatch(
      {
        method: call.method,
        path: plan.path + plan.query,
        headers,
        // undici takes async iterables as well; its types do not say so.
        body: content as Uint8Array | Readable | null,
        headersTimeout: plan.headersTimeout,
        bodyTimeout: plan.bodyTimeout,
        // undici closes the connection after a HEAD unless told that the server answers it properly.
        reset: false,
      },
      exchange,
    )
    return exchange
  }

  /** Header names and values of the authorization, flat. Synchronous, and made once, for fixed credentials. */
  #authorize(plan: Plan): readonly string[] | Promise<readonly string[]> {
    const { call } = plan
    const failed = (cause: unknown): HcpAuthorizationError =>
      new HcpAuthorizationError(
        `No authorization for ${call.method} ${call.url}: ${cause instanceof Error ? cause.message : 'it failed'}`,
        call.facts(undefined, cause),
      )
    try {
      const given = this.target.authorization.headers({
        method: call.method,
        host: this.target.fqdn,
        path: plan.path + plan.query,
        headers: plan.headers,
      })
      // Any thenable, of whatever realm: taken for headers it would send the request without them.
      if (!('then' in given && typeof given.then === 'function'))
        return this.#pairs(given as AuthorizationHeaders)
      return Promise.resolve(given).then(
        (headers) => this.#pairs(headers),
        (cause: unknown) => {
          throw failed(cause)
        },
      )
    } catch (cause) {
      throw failed(cause)
    }
  }

  #pairs(headers: AuthorizationHeaders): readonly string[] {
    if (this.#authorized?.headers === headers) return this.#authorized.pairs
    const pairs = Object.entries(headers).flat()
    if (Object.isFrozen(headers)) this.#authorized = { headers, pairs }
    return pairs
  }

  /** A body in memory is hashed afterwards, when the algorithm is known; a stream on its way. */
  #sendHash({ verifyHash, call }: Plan, content: OpenBody['content']): readonly string[] {
    if (!verifyHash || call.method !== 'PUT' || content === null || content instanceof Uint8Array)
      return noSchemes
    return this.#hashScheme === undefined ? ['SHA-256', 'MD5'] : [this.#hashScheme]
  }

  #ended(exchange: Exchange, error: HcpError | undefined): void {
    const response = this.#calls.open.get(exchange)
    if (response === undefined) return
    this.#calls.open.delete(exchange)
    this.#finished(response, exchange, error)
  }

  /** This answer is to be returned; where there are two systems, once it has been chosen. */
  #watch(exchange: Exchange, response: HcpResponse): void {
    if (exchange.call.whole === undefined) this.#follow(exchange, response)
    else exchange.call.offered = exchange
  }

  /** Follows an answer that is returned, to its last byte. */
  #follow(exchange: Exchange, response: HcpResponse): void {
    if (exchange.ended) {
      this.#finished(response, exchange, undefined)
      return
    }
    this.#calls.open.set(exchange, response)
    exchange.call.onAbort((reason) => exchange.stop(reason))
    // Who asked before the connection was closed may still read; but nobody may have to.
    if (this.#calls.closing && !response.bodyUsed)
      setImmediate(() => void (response.bodyUsed || response.dump()))
  }

  #finished(response: HcpResponse, exchange: Exchange, error: HcpError | undefined): void {
    const { call } = exchange
    call.end()
    if (error instanceof HcpClosedError) return
    if (error !== undefined) {
      this.#nodeFailed(response.address, error)
      if (errorChannel.hasSubscribers) {
        errorChannel.publish({ ...eventOf(call, response.address), code: error.code, message: error.message })
      }
    } else if (responseChannel.hasSubscribers) {
      const { status, servicedBy, timing } = response
      responseChannel.publish({ ...eventOf(call, response.address), status, servicedBy, timing })
    }
  }

  #nodeFailed(address: string, error: HcpError): void {
    if (!error.retryable || error instanceof HcpHashError) return
    this.target.circle.failed(address)
    this.#pool.leave(address)
  }
}

/** The call has failed for good. */
export function giveUp(call: Call, error: unknown): void {
  call.end()
  if (error instanceof HcpError && errorChannel.hasSubscribers) {
    errorChannel.publish({ ...eventOf(call, error.address), code: error.code, message: error.message })
  }
}

/** Another try is to follow. */
interface Again {
  readonly code: string
  readonly message: string
  /** Milliseconds. */
  readonly delay: number
}

function ambiguous({ call }: Plan, address: string | undefined, cause: unknown): HcpAmbiguousError {
  return new HcpAmbiguousError(
    `Whether ${call.method} ${call.url} was carried out could not be found out: look at the object before you repeat it`,
    call.facts(address, cause),
  )
}

function checkStored(
  call: Call,
  response: HcpResponse,
  scheme: string,
  stored: string,
  sent: string,
): undefined {
  if (sent === stored) return undefined
  throw new HcpHashError(
    `HCP stored ${call.url} with ${scheme} ${stored}, but the body sent has ${sent}: what is stored is not what was meant`,
    sent,
    stored,
    call.facts(response.address),
  )
}

const noHash = (call: Call, response: HcpResponse): HcpHashError =>
  new HcpHashError(
    `The answer to PUT ${call.url} names no hash that the body can be compared with`,
    undefined,
    undefined,
    call.facts(response.address),
  )

const bodyError = ({ call }: Plan, cause: unknown): HcpBodyError =>
  new HcpBodyError(
    `The body of ${call.method} ${call.url} could not be opened: ${(cause as Error).message}`,
    call.facts(undefined, cause),
  )
