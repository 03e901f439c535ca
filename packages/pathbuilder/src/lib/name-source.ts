import { v1 } from 'uuid'

export interface NameSourceParts {
  /** The six bytes of the node field. */
  readonly node: Uint8Array
  /** 14 bits that tell sources with the same node apart. */
  readonly clockSequence: number
  /** Milliseconds since 1970; may repeat and step back. */
  readonly now?: () => number
  /** At which of a millisecond's 10,000 ticks of 100 ns its first name is: 0 to 9,999. */
  readonly firstTick?: () => number
}

/**
 * Makes version-1 UUIDs that never repeat: each has a later time than the one before, whatever the clock does. In a
 * crowded millisecond, and after the clock stepped back, time goes on by one tick a name (RFC 9562, 6.1 and 6.2).
 *
 * The state is kept here, since the library's own starts every millisecond at tick 0: an application that makes a few
 * names a second would then only ever see 4,096 of the 65,536 folders.
 */
export class NameSource {
  readonly #now: () => number
  readonly #firstTick: () => number
  /** Handed to the library for each name; changed in place. All fields set, so that it adds nothing of its own. */
  readonly #time: { node: Uint8Array; clockseq: number; random: Uint8Array; msecs: number; nsecs: number }

  constructor({ node, clockSequence, now = Date.now, firstTick = anyTick }: NameSourceParts) {
    this.#now = now
    this.#firstTick = firstTick
    this.#time = { node, clockseq: clockSequence, random: new Uint8Array(16), msecs: -1, nsecs: 0 }
  }

  /** @returns 36 characters in lower case. */
  next(): string {
    const time = this.#time
    const now = this.#now()
    if (now > time.msecs) {
      time.msecs = now
      time.nsecs = this.#firstTick()
    } else if (++time.nsecs === TICKS) {
      time.msecs += 1
      time.nsecs = 0
    }
    return v1(time)
  }
}

/** 100-nanosecond ticks in a millisecond. */
const TICKS = 10_000

function anyTick(): number {
  return Math.floor(Math.random() * TICKS)
}
