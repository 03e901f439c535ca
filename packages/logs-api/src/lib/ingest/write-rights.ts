import type { Rights } from '../entries/rights.ts'
import type { Caller } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'

/** Which datasets the caller of one request may write to. Each is looked up once. */
export class WriteRights {
  /** Nothing has to be looked up. */
  readonly everywhere: boolean
  readonly #rights: Rights
  readonly #caller: Caller
  readonly #known = new Map<string, string | undefined>()

  constructor(rights: Rights, caller: Caller) {
    this.#rights = rights
    this.#caller = caller
    this.everywhere = caller.roles.has('admin') || caller.roles.has('system')
  }

  /** Why the caller may not write to it. Undefined: they may. */
  refusal(dataset: string | null): string | undefined | Promise<string | undefined> {
    if (this.everywhere) return undefined
    if (dataset === null) return 'dataset_id is missing: without one only admins and the system may write.'
    if (this.#known.has(dataset)) return this.#known.get(dataset)
    return this.#ask(dataset)
  }

  async #ask(dataset: string): Promise<string | undefined> {
    let refusal: string | undefined
    try {
      await this.#rights.check(this.#caller, dataset, 'write')
    } catch (error) {
      if (!(error instanceof Refusal) || error.status >= 500) throw error
      refusal = error.message
    }
    this.#known.set(dataset, refusal)
    return refusal
  }
}
