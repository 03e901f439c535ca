/** What was done in one hour, and what there was at its end. Plain data: it goes into the journal as it is. */
export interface UsageHour {
  /** Hours since 1970, UTC. */
  readonly hour: number
  reads: number
  writes: number
  deletes: number
  /** Bytes of bodies. */
  bytesIn: number
  bytesOut: number
  objectCount: number
  /** Bytes of data and annotations. */
  ingested: number
  /** Bytes with all copies. */
  capacity: number
  /** Not all of it was counted: the process ended within the hour. */
  incomplete?: true
}

/** What is used at a moment. */
export type Holdings = Pick<UsageHour, 'objectCount' | 'ingested' | 'capacity'>

/** What is measured. */
interface Measured {
  readonly objectCount: number
  readonly usedBytes: number
  readonly settings: { readonly dpl: number }
}

/** A record of the journal: an hour that begins has only its number. */
export type UsageRecord = Pick<UsageHour, 'hour'> & Partial<UsageHour>

const hourLength = 3_600_000

/** Hours for which statistics are kept, as documented: 180 days. */
export const keptHours: number = 180 * 24

const nothing = {
  reads: 0,
  writes: 0,
  deletes: 0,
  bytesIn: 0,
  bytesOut: 0,
  objectCount: 0,
  ingested: 0,
  capacity: 0,
}

/** Counts what is done with a namespace, hour by hour. */
export class Usage {
  /** Those before the present one in which anything was done, ascending. */
  readonly #hours: UsageHour[] = []
  readonly #of: Measured
  #current: UsageHour | undefined
  #end = 0
  /** It is kept that the present hour has begun. */
  #noted = false
  /** Notes what has to survive: that an hour has begun, and what was in it. */
  keep: ((record: UsageRecord) => void) | undefined

  constructor(of: Measured) {
    this.#of = of
  }

  /** To be called before anything changes. */
  turn(now: number): void {
    // A clock that was turned back: what is done belongs to the last hour there was.
    if (now < this.#end && this.#noted) return
    const hour = Math.max(Math.floor(now / hourLength), this.#current?.hour ?? 0)
    if (hour !== this.#current?.hour) {
      this.#close()
      this.#current = { hour, ...nothing, ...this.holdings }
      this.#end = (hour + 1) * hourLength
      while (this.#hours.length > 0 && this.#hours[0]!.hour < hour - keptHours) this.#hours.shift()
    }
    this.#noted = true
    this.keep?.({ hour })
  }

  /** Counts a request that was served. */
  count(now: number, method: string, bytesIn: number, bytesOut: number): void {
    this.turn(now)
    const current = this.#current!
    if (method === 'GET' || method === 'HEAD') current.reads += 1
    else if (method === 'DELETE') current.deletes += 1
    else current.writes += 1
    current.bytesIn += bytesIn
    current.bytesOut += bytesOut
  }

  /** Counts bytes of an answer that was counted already. */
  sent(bytes: number): void {
    if (this.#current !== undefined) this.#current.bytesOut += bytes
  }

  get holdings(): Holdings {
    const { objectCount, usedBytes, settings } = this.#of
    return { objectCount, ingested: usedBytes, capacity: usedBytes * settings.dpl }
  }

  /** The first hour of which anything is known. */
  get first(): number | undefined {
    return this.#hours[0]?.hour ?? this.#current?.hour
  }

  /** Those from one hour to another in which anything was done. */
  between(from: number, to: number): readonly UsageHour[] {
    const found = this.#hours.slice(this.#after(from - 1), this.#after(to))
    const current = this.#current
    return current !== undefined && current.hour >= from && current.hour <= to ? [...found, current] : found
  }

  /** What there was at the end of an hour. */
  at(hour: number): Holdings {
    if (this.#current === undefined || hour >= this.#current.hour) return this.holdings
    return this.#hours[this.#after(hour) - 1] ?? nothing
  }

  /** Where the hours after this one begin: a report asks for thousands of intervals. */
  #after(hour: number): number {
    let [low, high] = [0, this.#hours.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#hours[middle]!.hour <= hour) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Takes a record of the journal back. */
  restore(record: UsageRecord): void {
    const { hour } = record
    const value: UsageHour =
      record.reads === undefined
        ? { hour, ...nothing, ...(this.#current?.hour === hour ? this.#current : {}), incomplete: true }
        : { ...nothing, ...record }
    if (this.#current !== undefined && hour < this.#current.hour) {
      // A journal that was compacted may tell of an hour twice.
      const at = this.#hours.findIndex((each) => each.hour === hour)
      if (at !== -1) this.#hours[at] = value
      return
    }
    if (this.#current !== undefined && hour > this.#current.hour) this.#hours.push(this.#current)
    this.#current = value
    this.#end = (hour + 1) * hourLength
    this.#noted = false
  }

  /** What leads to the present counts. */
  *snapshot(): Generator<UsageRecord> {
    yield* this.#hours
    if (this.#current === undefined) return
    yield { ...this.#current, ...this.holdings }
    // It goes on.
    if (this.#noted) yield { hour: this.#current.hour }
  }

  /** Keeps what was counted in the present hour, before the end. */
  save(): void {
    if (this.#noted && this.#current !== undefined) this.keep?.({ ...this.#current, ...this.holdings })
  }

  #close(): void {
    if (this.#current === undefined) return
    Object.assign(this.#current, this.holdings)
    this.#hours.push(this.#current)
    this.keep?.(this.#current)
  }
}
