import { HcpError, HcpResponseError } from '@hcp/connection'
import { ObjectConflictError } from '@hcp/objects'

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

  /**
   * Counts a check: HCP must refuse something.
   *
   * @param what What is tried, in words.
   * @param error The error that it must end with, for example `ObjectConflictError 409 different`.
   * @returns What it ended with, for people to read.
   */
  async refused(what: string, operation: Promise<unknown>, error: string): Promise<string> {
    const outcome = await operation.then(() => 'not refused', told)
    this.that(outcome === error, `${what}: ${outcome}, not ${error}`)
    return outcome === error ? `refused: ${error}` : outcome
  }
}

/** The facts that a program would act on. What is no error of HCP's is passed on. */
function told(error: unknown): string {
  if (!(error instanceof HcpError)) throw error
  const status = error instanceof HcpResponseError ? ` ${error.status}` : ''
  const conflict = error instanceof ObjectConflictError ? ` ${error.conflict}` : ''
  return `${error.name}${status}${conflict}`
}
