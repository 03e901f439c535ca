/** Pauses that can be cut short. */
export class Wakeup {
  readonly #sleepers = new Set<() => void>()

  /** Resolves after the milliseconds, at the abort, or when all are woken. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#sleepers.delete(done)
        resolve()
      }
      const timer = setTimeout(done, milliseconds)
      signal.addEventListener('abort', done, { once: true })
      this.#sleepers.add(done)
      if (signal.aborted) done()
    })
  }

  all(): void {
    for (const done of this.#sleepers) done()
  }
}
