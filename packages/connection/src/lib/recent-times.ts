/** So many are remembered. */
const kept = 200
/** Fewer say nothing. */
const enough = 20

/** How long the last requests took, to tell when one takes unusually long. */
export class RecentTimes {
  readonly #times: number[] = []
  #next = 0
  #p95: number | undefined

  add(milliseconds: number): void {
    this.#times[this.#next] = milliseconds
    this.#next = (this.#next + 1) % kept
    // Now and then is often enough: it has to be sorted.
    if (this.#next % enough === 0) {
      const sorted = this.#times.toSorted((a, b) => a - b)
      this.#p95 = sorted[Math.floor(sorted.length * 0.95)]
    }
  }

  /** Milliseconds within which 95 of 100 were answered; `undefined` before there were enough. */
  get p95(): number | undefined {
    return this.#p95
  }
}
