import type { Readable } from 'node:stream'
import type { AuthorizationHeaders } from '@hcp/auth'
import { type Body, type BodySource, discardBody, type OpenBody } from './body.ts'
import { type Call, withFacts } from './call.ts'
import { type CheckedOptions, checkConnectionOptions, type ConnectionOptions } from './connection-options.ts'
import { contentHash } from './content-hash.ts'
import {
  errorChannel,
  type RequestEvent,
  requestChannel,
  responseChannel,
  retryChannel,
} from './diagnostics.ts'
import { Dialer } from './dialer.ts'
import { Doubt } from './doubt.ts'
import {
  HcpAmbiguousError,
  HcpAuthorizationError,
  HcpBodyError,
  HcpClosedError,
  HcpError,
  HcpHashError,
  HcpTimeoutError,
} from './errors.ts'
import { Exchange } from './exchange.ts'
import { type ContentHash, hashOf, namedHashes } from './hash.ts'
import { NodePool } from './node-pool.ts'
import { isBusy, isConflict, isPassing, mayRepeat, mustSettle } from './repetition.ts'
import {
  type BodyOptions,
  knownBody,
  knownRequest,
  noOptions,
  type Plan,
  type RequestOptions,
  requestPlan,
} from './request-plan.ts'
import { HcpResponse } from './response.ts'
import { retryAfter } from './retry.ts'
import { findingOf, settledAnswer } from './settlement.ts'
import type { Finding } from './stored-object.ts'
import { Target } from './target.ts'

/** An answer to other methods than GET is taken in up to this size without a reader. */
const smallAnswer = 1024 * 1024
const noSchemes: readonly string[] = []

/**
 * Requests to one target over persistent connections to all its nodes. Opens nothing before the first request; may be used
 * by any number of callers at a time; to be closed when no longer needed.
 *
 * A node that cannot be connected to is passed over for the next, whatever the request. After bytes of a request went out it
 * is repeated only where that is safe. Every HTTP status is an answer; what throws is an {@link HcpError} or the reason of an
 * abort.
 *
 * @example
 *   await using connection = new Connection(target)
 *   const response = await connection.put('/rest/folder/name', 'content')
 */
export class Connection implements AsyncDisposable {
  readonly target: Target
  readonly #options: CheckedOptions
  readonly #pool: NodePool
  readonly #dialer: Dialer
  readonly #origin: string
  /** Calls that are under way, those included whose answer is still coming in. */
  readonly #calls = new Set<Call>()
  /** Answers that were returned before their end. */
  readonly #open = new Map<Exchange, HcpResponse>()
  /** Told when the last call ends, while the connection is closing. */
  #onIdle: (() => void) | undefined
  #closed: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined
  #last: HcpResponse | undefined
  /** The namespace's hash algorithm, as seen in answers. */
  #hashScheme: string | undefined
  #authorized: { readonly headers: AuthorizationHeaders; readonly pairs: readonly string[] } | undefined

  /** @throws {TypeError | RangeError} for options that are unknown, of the wrong type or out of range, by name. */
  constructor(target: Target, options: ConnectionOptions = {}) {
    if (!(target instanceof Target)) throw new TypeError('Connection: the first argument must be a Target')
    this.target = target
    this.#options = checkConnectionOptions(options)
    this.#origin = target.origin
    this.#dialer = new Dialer(target, this.#options)
    this.#pool = new NodePool(this.#origin, this.#dialer, this.#options)
  }

  /** Reads an object, a listing or a document. */
  get(path: string, options?: RequestOptions): Promise<HcpResponse> {
    return this.#request('GET', path, undefined, options, knownRequest)
  }

  /** The head of what GET would answer. */
  head(path: string, options?: RequestOptions): Promise<HcpResponse> {
    return this.#request('HEAD', path, undefined, options, knownRequest)
  }

  /** Stores `body` under `path`; without versioning HCP refuses to overwrite and answers 409. */
  put(path: string, body?: Body | null, options?: BodyOptions): Promise<HcpResponse> {
    return this.#request('PUT', path, body, options, knownBody)
  }

  /** Changes metadata. `new URLSearchParams({ retention: 'A+1y' })` as body sends a form, as HCP documents it. */
  post(path: string, body?: Body | null, options?: BodyOptions): Promise<HcpResponse> {
    return this.#request('POST', path, body, options, knownBody)
  }

  /** Deletes. A repetition after a lost answer may find nothing left and answer 404: see `attempts`. */
  delete(path: string, options?: RequestOptions): Promise<HcpResponse> {
    return this.#request('DELETE', path, undefined, options, knownRequest)
  }

  /** Any method. */
  request(
    method: string,
    path: string,
    options: BodyOptions & { readonly body?: Body | null } = {},
  ): Promise<HcpResponse> {
    const { body, ...rest } = options ?? {}
    return this.#request(method, path, body, rest, knownBody)
  }

  /** The answer that came last, whoever asked for it. */
  get lastResponse(): HcpResponse | undefined {
    return this.#last
  }

  /** Open sockets by node address. */
  get sockets(): ReadonlyMap<string, number> {
    return this.#pool.sockets
  }

  /**
   * Closes idle sockets to a node, so that requests from the next turn of the event loop on go to the nodes after it: for a caller
   * who has found an answer damaged. Does not count as a failure of the node, whose other answers may be right.
   *
   * @param address IP address, as in `HcpResponse.address`.
   */
  avoid(address: string): void {
    this.#pool.leave(address)
    // The socket of an answer that has just ended is idle a moment later.
    setImmediate(() => this.#pool.leave(address))
  }

  get closed(): boolean {
    return this.#closed !== undefined
  }

  /**
   * Lets calls under way finish, with their repetitions, gives up answers that nobody has begun to read, and closes all sockets.
   * Further calls are refused. Leaves the target alone.
   */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = Promise.withResolvers<void>()
      void this.#closeWhenIdle()
    }
    return this.#closed.promise
  }

  async #closeWhenIdle(): Promise<void> {
    for (const response of this.#open.values()) if (!response.bodyUsed) void response.dump()
    if (this.#calls.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
    await this.#shut()
  }

  /** Closes at once: calls under way are rejected with an `HcpClosedError` whose `cause` is `reason`. */
  async destroy(reason?: Error): Promise<void> {
    this.#closed ??= Promise.withResolvers<void>()
    for (const call of this.#calls) {
      call.abort(
        new HcpClosedError(
          `The connection was closed before ${call.method} ${call.url} was done`,
          call.facts(undefined, reason),
        ),
      )
    }
    await this.#shut()
  }

  async #shut(): Promise<void> {
    this.#dialer.close()
    await this.#pool.destroy()
    this.#closed?.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #request(
    method: string,
    path: string,
    body: unknown,
    options: BodyOptions = noOptions,
    known: ReadonlySet<string> = knownBody,
  ): Promise<HcpResponse> {
    try {
      if (this.closed) throw new HcpClosedError('The connection is closed: make a new one')
      return this.#tries(this.#plan(method, path, body, options, known))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #plan(
    method: unknown,
    path: unknown,
    body: unknown,
    options: BodyOptions,
    known: ReadonlySet<string>,
  ): Plan {
    const plan = requestPlan(this.#origin, this.#options, method, path, body, options, known, this.#callEnded)
    this.#calls.add(plan.call)
    return plan
  }

  /** Tries until there is an answer to return, or an error that repetition cannot or must not mend. */
  async #tries(plan: Plan): Promise<HcpResponse> {
    const { call } = plan
    const doubt = new Doubt(plan.headers)
    try {
      for (;;) {
        call.attempts++
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
          this.#last = verdict
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
      call.end()
      if (error instanceof HcpError && errorChannel.hasSubscribers) {
        errorChannel.publish({ ...eventOf(call, error.address), code: error.code, message: error.message })
      }
      throw error
    }
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
    const late =
      after !== undefined && (after > retry.maxRetryAfter || after >= (call.left ?? Number.POSITIVE_INFINITY))
    if (!replayable || late || call.attempts >= retry.attempts || !retry.budget.take(5)) {
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
      delay: after ?? retry.delay(call.attempts),
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
    if (!error.retryable) throw error
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
    if (call.attempts >= retry.attempts || !retry.budget.take(cost)) throw error
    call.spent = cost
    // With another node to ask there is no reason to wait, once.
    const other = exchange.started && this.target.circle.health().some((node) => node.state === 'healthy')
    return {
      code: error.code,
      message: error.message,
      delay: other && call.attempts === 1 ? 0 : retry.delay(call.attempts),
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
      const look = this.#plan(
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
      head = await this.#tries({ ...look, retry })
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

  readonly #callEnded = (call: Call): void => {
    this.#calls.delete(call)
    if (this.#calls.size === 0) this.#onIdle?.()
  }

  #ended(exchange: Exchange, error: HcpError | undefined): void {
    const response = this.#open.get(exchange)
    if (response === undefined) return
    this.#open.delete(exchange)
    this.#finished(response, exchange, error)
  }

  /** Follows an answer that is returned, to its last byte. */
  #watch(exchange: Exchange, response: HcpResponse): void {
    if (exchange.ended) {
      this.#finished(response, exchange, undefined)
      return
    }
    this.#open.set(exchange, response)
    exchange.call.onAbort((reason) => exchange.stop(reason))
    // Who asked before the connection was closed may still read; but nobody may have to.
    if (this.closed && !response.bodyUsed) setImmediate(() => void (response.bodyUsed || response.dump()))
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

const eventOf = (call: Call, address: string | undefined): RequestEvent => ({
  method: call.method,
  url: call.url,
  attempt: call.attempts,
  address,
})
