import { checkInteger, checkMilliseconds, checkOptions } from './arguments.ts'

export interface RetryOptions {
  /** Tries of one request in all, the first included. Default 5; 1 never repeats. */
  readonly attempts?: number
  /** The first pause is up to this long, each further one up to twice the one before. Milliseconds, default 200. */
  readonly minDelay?: number
  /** No pause is longer. Milliseconds, default 10,000. */
  readonly maxDelay?: number
  /**
   * A `Retry-After` up to this long is waited for; an answer that asks for more is returned at once. Milliseconds, default 60,000.
   */
  readonly maxRetryAfter?: number
  /** Shared by the requests that draw on it. Default: one for each `Connection`. */
  readonly budget?: RetryBudget
}

/**
 * What all requests together may spend on repetition, so that an outage is not made worse by everybody asking again. A repetition
 * costs 5, after a time-out 10; a request that succeeds brings 1 back, or what its last repetition cost.
 */
export class RetryBudget {
  readonly capacity: number
  #left: number

  /** @param capacity Default 500: a hundred repetitions in a row. */
  constructor(capacity: number = 500) {
    this.capacity = checkInteger('capacity', capacity, 0, Number.MAX_SAFE_INTEGER)
    this.#left = capacity
  }

  get left(): number {
    return this.#left
  }

  /** Pays for a repetition. @returns false when there is not enough left: do not repeat. */
  take(cost: number): boolean {
    if (cost > this.#left) return false
    this.#left -= cost
    return true
  }

  /** Brings back what a success is worth. */
  give(amount: number): void {
    if (this.#left < this.capacity) this.#left = Math.min(this.capacity, this.#left + amount)
  }
}

const known: ReadonlySet<string> = new Set(['attempts', 'minDelay', 'maxDelay', 'maxRetryAfter', 'budget'])

/** Bounds and pauses of repetition; checked once, used by every request. */
export class RetryPolicy {
  readonly attempts: number
  readonly maxRetryAfter: number
  readonly budget: RetryBudget
  readonly minDelay: number
  readonly maxDelay: number

  /** @param base Where to take what `options` leaves out. `false` repeats nothing; a number is the number of attempts. */
  constructor(options: RetryOptions | number | false, base?: RetryPolicy) {
    const given: RetryOptions =
      options === false ? { attempts: 1 } : typeof options === 'number' ? { attempts: options } : options
    checkOptions('retry', given, known)
    const { budget } = given
    if (budget !== undefined && !(budget instanceof RetryBudget))
      throw new TypeError('retry.budget must be a RetryBudget')
    this.attempts = checkInteger('retry.attempts', given.attempts ?? base?.attempts ?? 5, 1, 100)
    this.minDelay = checkMilliseconds('retry.minDelay', given.minDelay ?? base?.minDelay ?? 200)
    this.maxDelay = checkMilliseconds('retry.maxDelay', given.maxDelay ?? base?.maxDelay ?? 10_000)
    this.maxRetryAfter = checkMilliseconds(
      'retry.maxRetryAfter',
      given.maxRetryAfter ?? base?.maxRetryAfter ?? 60_000,
    )
    this.budget = budget ?? base?.budget ?? new RetryBudget()
  }

  /**
   * Full jitter: any time from nothing to the bound, so that clients that failed together do not come back together.
   *
   * @param repetition 1 for the first. @returns Milliseconds.
   */
  delay(repetition: number): number {
    return Math.random() * Math.min(this.maxDelay, this.minDelay * 2 ** (repetition - 1))
  }
}

/** `Retry-After` in milliseconds from now: whole seconds, or a date (RFC 9110, section 10.2.3). */
export function retryAfter(value: string | undefined, now: number = Date.now()): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
