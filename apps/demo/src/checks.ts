/** Keeps the score: what was checked, and what did not hold. */
export class Checks {
  #held = 0
  readonly #failed: string[] = []

  get count(): number {
    return this.#held + this.#failed.length
  }

  /** What did not hold, in words. */
  get failed(): readonly string[] {
    return this.#failed
  }

  /**
   * Counts a check.
   *
   * @param otherwise What to report if it does not hold.
   * @returns Whether it holds.
   */
  that(holds: boolean, otherwise: string): boolean {
    if (holds) this.#held += 1
    else this.#failed.push(otherwise)
    return holds
  }
}
