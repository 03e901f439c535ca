import { performance } from 'node:perf_hooks'
import { type AttemptFailure, type ErrorFacts, type HcpError, HcpTimeoutError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { SystemName } from './replica-strategy.ts'
import type { HcpResponse } from './response.ts'

/** One request of the caller over all its tries: its facts, its deadline and its signal. */
export class Call {
  readonly method: string
  /** Without query. */
  readonly url: string
  /** The configured system that is asked. */
  readonly system: SystemName
  readonly began: number
  /** Tries on this system. */
  tries = 0
  /** Tries on the other system before. */
  earlier = 0
  readonly failures: AttemptFailure[] = []
  /** Bytes of the request went out in some try. */
  sent = false
  /** When the last of them did, by `performance.now`; where there is one system only, when the first of the last try did. */
  wroteAt = 0
  /** When the connection was opened over which they did. */
  connectedAt = 0
  /** Some try may have been carried out though it brought no answer to return. */
  doubtful = false
  /** Set once the caller, or the deadline, has ended the call. */
  reason: unknown
  #ended = false
  #onAbort: ((reason: unknown) => void) | undefined
  readonly #deadline: number | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #signal: AbortSignal | undefined
  readonly #onEnd: (call: Call) => void
  #listener: (() => void) | undefined
  /** What the last repetition cost the budget. */
  spent = 0
  /** The call that this one is the part of that asks one system, where there are two. */
  readonly whole: Call | undefined
  /** The part that was begun last. */
  #latest: Call | undefined
  /** Of a part: told of each failed try; says whether to leave it at that, because the other system is asked next. */
  leaves: ((outcome: HcpError | HcpResponse) => boolean) | undefined
  /** Of a part: the try that brought the answer, which nobody follows before the answer is chosen. */
  offered: Exchange | undefined

  constructor(
    method: string,
    url: string,
    signal: AbortSignal | undefined,
    deadline: number | undefined,
    onEnd: (call: Call) => void,
    system: SystemName = 'primary',
    whole?: Call,
  ) {
    this.#onEnd = onEnd
    this.method = method
    this.url = url
    this.system = system
    this.whole = whole
    this.began = whole?.began ?? performance.now()
    this.#signal = signal
    this.#deadline = deadline
    if (signal !== undefined) {
      this.#listener = () => this.abort(signal.reason)
      signal.addEventListener('abort', this.#listener, { once: true })
    }
    if (deadline !== undefined) {
      this.#timer = setTimeout(() => {
        const message = `${method} ${url} was not done within its deadline of ${deadline} ms`
        this.abort(new HcpTimeoutError('deadline', deadline, message, this.facts(undefined)))
      }, deadline)
    }
  }

  /** The part of this call that asks one system: it has no limits of its own, and has to be aborted with the whole. */
  part(url: string, system: SystemName): Call {
    const part = new Call(this.method, url, undefined, undefined, () => this.end(), system, this)
    part.earlier = this.attempts
    this.#latest = part
    part.failures.push(...this.failures)
    return part
  }

  /** Another try begins. */
  begin(): void {
    this.tries++
    if (this.whole !== undefined) this.whole.earlier = Math.max(this.whole.earlier, this.attempts)
  }

  /** Bytes of the request are about to go out. */
  sends(): void {
    this.sent = true
    if (this.whole !== undefined) this.whole.sent = true
  }

  /** Tries in all, this one included. */
  get attempts(): number {
    return this.earlier + this.tries
  }

  get aborted(): boolean {
    return this.reason !== undefined
  }

  /** Milliseconds since the call began. */
  get elapsed(): number {
    return performance.now() - this.began
  }

  /** Milliseconds left before the deadline, `undefined` without one. */
  get left(): number | undefined {
    if (this.whole !== undefined) return this.whole.left
    return this.#deadline === undefined ? undefined : Math.max(0, this.#deadline - this.elapsed)
  }

  /** What is stopped when the call is ended now. */
  get stop(): ((reason: unknown) => void) | undefined {
    return this.#onAbort
  }

  /** Says what to stop when the caller or the deadline ends the call: the try that runs now, or the pause between two. */
  onAbort(stop: ((reason: unknown) => void) | undefined): void {
    this.#onAbort = stop
    if (stop !== undefined && this.aborted) stop(this.reason)
  }

  /** No more to be stopped: the body has ended, or the call has failed. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#onAbort = undefined
    clearTimeout(this.#timer)
    if (this.#listener !== undefined) this.#signal?.removeEventListener('abort', this.#listener)
    this.#onEnd(this)
  }

  facts(address: string | undefined, cause?: unknown): ErrorFacts {
    return {
      method: this.method,
      url: this.url,
      address,
      system: (this.#latest ?? this).system,
      attempts: this.attempts,
      failures: [...this.failures],
      sent: this.sent,
      cause,
    }
  }

  failed(address: string | undefined, code: string, message: string): void {
    const failure = { address, code, message, at: Math.round(this.elapsed), system: this.system }
    this.failures.push(failure)
    this.whole?.failures.push(failure)
  }

  /** Waits, unless the call is ended meanwhile: then rejects with the reason. */
  async pause(milliseconds: number): Promise<void> {
    if (this.aborted) throw this.reason
    if (milliseconds <= 0) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.onAbort(undefined)
        resolve()
      }, milliseconds)
      this.onAbort((reason) => {
        clearTimeout(timer)
        reject(reason)
      })
    })
  }

  /** Waits for something that knows nothing of the call, unless the call is ended meanwhile: then rejects with the reason. */
  async orAborted<T>(promise: Promise<T>): Promise<T> {
    const ended = new Promise<never>((_resolve, reject) => {
      this.onAbort(reject)
    })
    try {
      return await Promise.race([promise, ended])
    } finally {
      this.onAbort(undefined)
    }
  }

  /** Ends the call: it rejects with this reason. */
  abort(reason: unknown): void {
    if (this.aborted || this.#ended) return
    this.reason = reason ?? new DOMException('This operation was aborted', 'AbortError')
    const stop = this.#onAbort
    this.#onAbort = undefined
    stop?.(this.reason)
  }
}

/** Adds the facts of the call to an error that was made below, where they were not known. */
export function withFacts(error: HcpError, facts: ErrorFacts): HcpError {
  if (error.method !== undefined) return error
  const { cause: _cause, failures = [], ...rest } = facts
  const address = error.address ?? rest.address
  return Object.assign(error, { ...rest, address, failures: [...failures, ...error.failures] })
}
