const hour = 3_600_000
const kept = 1000

interface Call {
  readonly at: number
  readonly seconds: number
}

/** Turns callers away from routes that have become slow, some of them, so that the others come through. */
export class Guard {
  readonly #calls = new Map<string, Call[]>()

  /** Remembers how long a call of a route took. */
  record(route: string, seconds: number): void {
    const calls = this.#calls.get(route) ?? []
    this.#calls.set(route, calls)
    calls.push({ at: performance.now(), seconds })
    if (calls.length > kept) calls.shift()
  }

  /** Seconds after which to come again, if this call is to be turned away. */
  refused(route: string): number | undefined {
    const since = performance.now() - hour
    const calls = this.#calls.get(route) ?? []
    let recent = 0
    let slow = 0
    for (const { at, seconds } of calls) {
      if (at <= since) continue
      recent++
      if (seconds >= 60) slow++
    }
    // Else neither can be slow. It is so nearly always, and nothing has to be sorted for it.
    if (recent < 4 || slow < recent / 4) return undefined
    const times = calls.flatMap(({ at, seconds }) => (at > since ? [seconds] : []))
    times.sort((a, b) => a - b)
    const median = times[Math.floor(times.length / 2)] ?? 0
    const thirdQuartile = times[Math.floor((times.length * 3) / 4)] ?? 0
    if (median < 60 && thirdQuartile < 120) return undefined
    return Math.random() < 0.5 ? Math.ceil(2 * median) : undefined
  }
}
