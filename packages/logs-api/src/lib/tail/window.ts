import type { Arrival } from '../entries/entry.ts'

/** What came before what in the order of arrival: below 0, 0 or above. */
export function compareArrivals(one: Arrival, other: Arrival): number {
  if (one.arrived !== other.arrived) return one.arrived - other.arrived
  return one.log_id < other.log_id ? -1 : one.log_id > other.log_id ? 1 : 0
}

/** Stands for a set of entries up to a place in the order of arrival. */
export interface Digest {
  /** Microseconds since 1970; exclusive. */
  readonly from: number
  readonly to: Arrival
  readonly count: number
  /** Of the ends of their ids, by exclusive or: the same in any order. */
  readonly sum: number
}

/**
 * The ids of the entries that arrived of late: of the last microseconds up to the last arrival, and not too many of them.
 */
export class Window {
  readonly #width: number
  readonly #most: number
  /** Ids by the time of arrival, nearly in its order. */
  readonly #ids = new Map<string, number>()
  #from: number
  #to: Arrival
  #sum = 0

  /** @param width Microseconds. */
  constructor(width: number, from: number, most = 100_000) {
    this.#width = width
    this.#most = most
    this.#from = from
    this.#to = { arrived: from, log_id: '' }
  }

  /** Whatever arrived after this time and was added is known. Microseconds since 1970. */
  get from(): number {
    return this.#from
  }

  /** The last arrival that was added. */
  get to(): Arrival {
    return this.#to
  }

  has(logId: string): boolean {
    return this.#ids.has(logId)
  }

  add({ arrived, log_id }: Arrival): void {
    if (arrived <= this.#from || this.#ids.has(log_id)) return
    this.#ids.set(log_id, arrived)
    this.#sum ^= ending(log_id)
    this.moveTo({ arrived, log_id })
  }

  /** Up to this arrival everything is known; what arrived too long before it is forgotten. */
  moveTo({ arrived, log_id }: Arrival): void {
    if (compareArrivals({ arrived, log_id }, this.#to) > 0) this.#to = { arrived, log_id }
    this.#narrow(this.#to.arrived - this.#width)
  }

  digest(): Digest {
    return { from: this.#from, to: this.#to, count: this.#ids.size, sum: this.#sum }
  }

  #narrow(from: number): void {
    this.#from = Math.max(this.#from, from)
    for (const [id, arrived] of this.#ids) {
      if (this.#ids.size > this.#most) this.#from = Math.max(this.#from, arrived)
      // One that came late keeps those behind it for a little longer.
      else if (arrived > this.#from) return
      this.#ids.delete(id)
      this.#sum ^= ending(id)
    }
  }
}

function ending(logId: string): number {
  return Number.parseInt(logId.slice(-8), 16) | 0
}
