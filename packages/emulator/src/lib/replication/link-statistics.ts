/** How much went over a link in one direction. */
export interface Totals {
  objects: number
  bytes: number
  errors: number
}

const window = 10

/** Totals, and the rates of the last ten seconds. */
export class DirectionStatistics {
  readonly totals: Totals
  /** Seconds of `performance.now()`, with what happened in each. */
  readonly #seconds = new Map<number, Totals & { operations: number }>()

  constructor(totals: Totals = { objects: 0, bytes: 0, errors: 0 }) {
    this.totals = { ...totals }
  }

  sent(objects: number, bytes: number): void {
    this.totals.objects += objects
    this.totals.bytes += bytes
    const second = this.#second()
    second.objects += objects
    second.bytes += bytes
    second.operations += 1
  }

  failed(): void {
    this.totals.errors += 1
    this.#second().errors += 1
  }

  /** Bytes, operations and errors per second. */
  get rates(): { readonly bytes: number; readonly operations: number; readonly errors: number } {
    this.#forget()
    let [bytes, operations, errors] = [0, 0, 0]
    for (const second of this.#seconds.values()) {
      bytes += second.bytes
      operations += second.operations
      errors += second.errors
    }
    const round = (sum: number): number => Math.round((sum / window) * 10) / 10
    return { bytes: round(bytes), operations: round(operations), errors: round(errors) }
  }

  #second(): Totals & { operations: number } {
    this.#forget()
    const now = Math.floor(performance.now() / 1000)
    let second = this.#seconds.get(now)
    if (second === undefined) {
      second = { objects: 0, bytes: 0, errors: 0, operations: 0 }
      this.#seconds.set(now, second)
    }
    return second
  }

  #forget(): void {
    const oldest = Math.floor(performance.now() / 1000) - window
    for (const second of this.#seconds.keys()) if (second <= oldest) this.#seconds.delete(second)
  }
}
