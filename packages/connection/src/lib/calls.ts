import type { Call } from './call.ts'
import type { Exchange } from './exchange.ts'
import type { HcpResponse } from './response.ts'

/** The calls of a connection, whichever system they go to. */
export class Calls {
  /** Under way, those included whose answer is still coming in. */
  readonly running: Set<Call> = new Set()
  /** Answers that were returned before their end. */
  readonly open: Map<Exchange, HcpResponse> = new Map()
  /** No further ones are taken. */
  closing = false
  /** The answer that came last. */
  last: HcpResponse | undefined
  /** Told when the last call ends. */
  #onIdle: (() => void) | undefined

  readonly ended = (call: Call): void => {
    this.running.delete(call)
    if (this.running.size === 0) this.#onIdle?.()
  }

  /** Resolves when no call is under way. */
  async idle(): Promise<void> {
    if (this.running.size === 0) return
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
  }
}
