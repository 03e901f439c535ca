import type { Carrier } from './blob-transfer.ts'
import { LinkLost } from './reconcile.ts'
import { setTimeout as wait } from 'node:timers/promises'

/** Something that goes wrong between two systems, while both go on serving their clients. */
export interface LinkFault {
  /**
   * - `broken`: the systems cannot reach each other
   * - `error`: what is carried over fails, and is tried again
   * - `slow`: data goes at `bytesPerSecond`
   */
  readonly kind: 'broken' | 'error' | 'slow'
  /** The rate of `slow`, of each transfer. Default 65,536. */
  readonly bytesPerSecond?: number
  /** How many transfers `error` hits before it goes away. Default null: all of them. */
  readonly count?: number | null
}

export interface ActiveLinkFault extends Required<LinkFault> {
  readonly id: number
}

const kinds = ['broken', 'error', 'slow'] as const
const known = new Set(['kind', 'bytesPerSecond', 'count'])

/** A transfer that a fault let fail. */
export class TransferFault extends Error {
  override name = 'TransferFault'
}

/** The faults in force on the links of a pair of systems. */
export class LinkFaults {
  readonly #faults = new Map<number, { fault: ActiveLinkFault; left: number }>()
  #last = 0

  /** @throws {TypeError} for a value of a wrong type, {RangeError} for one out of range. */
  add(fault: LinkFault): number {
    if (typeof fault !== 'object' || fault === null) throw new TypeError('a fault must be an object')
    for (const name of Object.keys(fault)) if (!known.has(name)) throw new TypeError(`${name}: unknown field`)
    const { kind, bytesPerSecond = 65_536, count = null } = fault
    if (!kinds.includes(kind)) throw new RangeError(`kind: must be one of ${kinds.join(', ')}`)
    if (!Number.isInteger(bytesPerSecond) || bytesPerSecond < 1)
      throw new RangeError('bytesPerSecond: must be a whole number from 1 on')
    if (count !== null && (!Number.isInteger(count) || count < 1))
      throw new RangeError('count: must be a whole number from 1 on, or null')
    const id = ++this.#last
    this.#faults.set(id, { fault: { id, kind, bytesPerSecond, count }, left: count ?? Infinity })
    return id
  }

  remove(id: number): boolean {
    return this.#faults.delete(id)
  }

  clear(): void {
    this.#faults.clear()
  }

  list(): ActiveLinkFault[] {
    return [...this.#faults.values()].map(({ fault }) => fault)
  }

  get broken(): boolean {
    return this.#first('broken') !== undefined
  }

  /** What carries the data of one piece of work; throws if a fault lets all of it fail. */
  carrier(isCut: () => boolean): Carrier {
    const failing = this.#first('error')
    if (failing !== undefined) {
      failing.left -= 1
      if (failing.left <= 0) this.#faults.delete(failing.fault.id)
      throw new TransferFault('a fault of the link')
    }
    const rate = (): number | undefined => this.#first('slow')?.fault.bytesPerSecond
    return (source) => carried(source, isCut, rate)
  }

  #first(kind: LinkFault['kind']): { fault: ActiveLinkFault; left: number } | undefined {
    for (const each of this.#faults.values()) if (each.fault.kind === kind) return each
    return undefined
  }
}

const pause = 20

async function* carried(
  source: AsyncIterable<Buffer>,
  isCut: () => boolean,
  rate: () => number | undefined,
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    for (let from = 0; from < chunk.length;) {
      if (isCut()) throw new LinkLost('the link is interrupted')
      const bytesPerSecond = rate()
      const length =
        bytesPerSecond === undefined
          ? chunk.length - from
          : Math.min(chunk.length - from, Math.max(1, Math.floor((bytesPerSecond * pause) / 1000)))
      yield chunk.subarray(from, from + length)
      from += length
      // Whoever closes waits for this: a process must not end before it.
      if (bytesPerSecond !== undefined) await wait((length * 1000) / bytesPerSecond)
    }
  }
}
