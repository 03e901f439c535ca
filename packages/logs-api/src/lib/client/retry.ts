import { checkDuration, checkNames, checkNumber } from './arguments.ts'

export interface RetryOptions {
  /** Tries of one request in all, the first included. Default 5; 1 never repeats. */
  readonly attempts?: number
  /** The first pause is up to this long, each further one up to twice the one before. Milliseconds, default 200. */
  readonly minDelay?: number
  /** No pause is longer, save where the service asks for it. Milliseconds, default 10,000. */
  readonly maxDelay?: number
}

/** Bounds and pauses of repetition. */
export class RetryPolicy {
  readonly attempts: number
  readonly #minDelay: number
  readonly #maxDelay: number

  /** @param options `false` repeats nothing; a number is the number of attempts. */
  constructor(options: RetryOptions | number | false) {
    const given: RetryOptions =
      options === false ? { attempts: 1 } : typeof options === 'number' ? { attempts: options } : options
    checkNames('retry', given, ['attempts', 'minDelay', 'maxDelay'])
    this.attempts = checkNumber('retry.attempts', given.attempts ?? 5, 1, 100)
    this.#minDelay = checkDuration('retry.minDelay', given.minDelay ?? 200)
    this.#maxDelay = checkDuration('retry.maxDelay', given.maxDelay ?? 10_000)
  }

  /**
   * Full jitter: any time from nothing to the bound, so that clients that failed together do not come back together.
   *
   * @param repetition 1 for the first. @param least What the service asks for. @returns Milliseconds.
   */
  delay(repetition: number, least = 0): number {
    return least + Math.random() * Math.min(this.#maxDelay, this.#minDelay * 2 ** (repetition - 1))
  }
}

/** `Retry-After` in milliseconds from now: whole seconds, or a date (RFC 9110, section 10.2.3). */
export function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}
