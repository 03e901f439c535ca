import type { Body } from './body.ts'
import { Calls } from './calls.ts'
import { checkConnectionOptions, type ConnectionOptions } from './connection-options.ts'
import { HcpClosedError } from './errors.ts'
import type { FailoverState } from './failover.ts'
import { type BodyOptions, knownBody, knownRequest, noOptions, type RequestOptions } from './request-plan.ts'
import type { HcpResponse } from './response.ts'
import { SystemChoice } from './system-choice.ts'
import { SystemClient } from './system-client.ts'
import { replicaOf, Target } from './target.ts'

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
  readonly #calls = new Calls()
  readonly #primary: SystemClient
  /** Which system is asked, for a target with a replica. */
  readonly #choice: SystemChoice | undefined
  #closed: Closing | undefined

  /** @throws {TypeError | RangeError} for options that are unknown, of the wrong type or out of range, by name. */
  constructor(target: Target, options: ConnectionOptions = {}) {
    if (!(target instanceof Target)) throw new TypeError('Connection: the first argument must be a Target')
    this.target = target
    const replica = replicaOf(target)
    const checked = checkConnectionOptions(options, replica)
    this.#choice = replica && new SystemChoice(target, replica, checked, this.#calls)
    this.#primary = this.#choice?.primary ?? new SystemClient(target, 'primary', checked, this.#calls)
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
    return this.#calls.last
  }

  /** Whether the primary counts as failed over; `undefined` if the target has no replica. All connections of a target share it. */
  get failover(): FailoverState | undefined {
    return replicaOf(this.target)?.failover.snapshot
  }

  /** Open sockets by node address, those to the replica included. */
  get sockets(): ReadonlyMap<string, number> {
    if (this.#choice === undefined) return this.#primary.sockets
    const counts = new Map(this.#primary.sockets)
    for (const [address, count] of this.#choice.replica.sockets) {
      counts.set(address, (counts.get(address) ?? 0) + count)
    }
    return counts
  }

  /**
   * Closes idle sockets to a node, so that requests from the next turn of the event loop on go to the nodes after it: for a caller
   * who has found an answer damaged. Does not count as a failure of the node, whose other answers may be right.
   *
   * @param address IP address, as in `HcpResponse.address`.
   */
  avoid(address: string): void {
    this.#leave(address)
    // The socket of an answer that has just ended is idle a moment later.
    setImmediate(() => this.#leave(address))
  }

  #leave(address: string): void {
    this.#primary.leave(address)
    this.#choice?.replica.leave(address)
  }

  get closed(): boolean {
    return this.#calls.closing
  }

  /**
   * Lets calls under way finish, with their repetitions, gives up answers that nobody has begun to read, and closes all sockets.
   * Further calls are refused. Leaves the target alone.
   */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = this.#close()
      void this.#closeWhenIdle()
    }
    return this.#closed.promise
  }

  #close(): Closing {
    this.#calls.closing = true
    this.#choice?.stop()
    return Promise.withResolvers<void>()
  }

  async #closeWhenIdle(): Promise<void> {
    for (const response of this.#calls.open.values()) if (!response.bodyUsed) void response.dump()
    await this.#calls.idle()
    await this.#shut()
  }

  /** Closes at once: calls under way are rejected with an `HcpClosedError` whose `cause` is `reason`. */
  async destroy(reason?: Error): Promise<void> {
    this.#closed ??= this.#close()
    for (const call of this.#calls.running) {
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
    await Promise.all([this.#primary.destroy(), this.#choice?.replica.destroy()])
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
      const plan = this.#primary.plan(method, path, body, options, known)
      return this.#choice === undefined ? this.#primary.tries(plan) : this.#choice.answer(plan)
    } catch (error) {
      return Promise.reject(error)
    }
  }
}

interface Closing {
  readonly promise: Promise<void>
  readonly resolve: () => void
}
