import { setImmediate as turn } from 'node:timers/promises'
import { openCursor, sealCursor } from '../entries/cursor.ts'
import type { Arrival, Entries, EntryQuery } from '../entries/entry.ts'
import { Refusal } from '../http/refusal.ts'
import { nowMicroseconds } from '../time.ts'
import { Arrived, arrivalsFrom, type Listener, type TailHub } from './hub.ts'
import { compareArrivals, type Digest, Window } from './window.ts'

/** What is told to a reader. */
export type TailEvent =
  | { readonly type: 'log'; readonly id: string; readonly log: string }
  | { readonly type: 'dropped'; readonly count: number }

export interface ReaderOptions {
  readonly entries: Entries
  readonly hub: TailHub
  readonly query: EntryQuery
  /** Of cursors. */
  readonly secret: Buffer
  readonly scope: string
  /** Microseconds; see the hub. */
  readonly window: number
  /** Entries that wait for a slow reader, and the characters of them. */
  readonly maxEntries: number
  readonly maxLength: number
}

/** Behind all ids. */
const afterIds = 'g'
/** Who resumes gets what arrived within the window at once: so much more of it is kept. */
const catchUpFactor = 16

interface Kept {
  readonly arrived: Arrived
  /** Once it is sent, this is what the reader has got. */
  readonly state: Digest
}

/** Entries on their way to one reader, who may be slow: the oldest give way to the newest, and are counted. */
export class TailReader implements Listener {
  readonly query: EntryQuery
  readonly #options: ReaderOptions
  #queue: Kept[] = []
  #length = 0
  #dropped = 0
  #seen: Window
  #resumesAt: Arrival | undefined
  #beginning: string | undefined
  /** It gets what the store has: that is not cut short. */
  #catchingUp = false
  #closed = false
  #drained: (() => void) | undefined
  /** Called when there is something to take. */
  onEvent: () => void = () => {}
  /** Called once, at its end. */
  onClose: () => void = () => {}

  constructor(options: ReaderOptions) {
    this.#options = options
    this.query = options.query
    this.#seen = new Window(options.window, 0)
  }

  get resumesAt(): Arrival | undefined {
    return this.#resumesAt
  }

  /** A cursor of where it began, for who has got no event yet. Undefined for who resumes, and has one. */
  get beginning(): string | undefined {
    return this.#beginning
  }

  admitted(at: Arrival): void {
    if (!this.#catchingUp) {
      this.#seen = new Window(this.#options.window, at.arrived)
      this.#beginning = this.#cursor(this.#seen.digest())
    }
    this.#catchingUp = false
  }

  /** Listens to what arrives from now on. */
  async start(): Promise<void> {
    await this.#options.hub.subscribe(this)
    if (this.#closed) this.close()
  }

  /**
   * Reads what has arrived since an event, no faster than it is taken, and then listens.
   * @param place The reader's, as `openPlace` gives it.
   */
  async resume(place: Digest): Promise<void> {
    const { entries, window } = this.#options
    this.#catchingUp = true
    this.#seen = await this.#known(place)
    this.#resumesAt = { arrived: place.from, log_id: afterIds }
    for await (const entry of arrivalsFrom(entries, this.query, this.#seen.to)) {
      while (this.#queue.length > 0 && !this.#closed) await this.#drain()
      if (this.#closed) return
      // Behind this place something late may still come in between: from here on the hub watches.
      if (entry.arrived > nowMicroseconds() - window) break
      this.deliver(new Arrived(entry))
      this.#resumesAt = { arrived: entry.arrived, log_id: entry.log_id }
    }
    await this.start()
  }

  /** The ids that the reader has, if they can still be told; else from where on it gets everything again. */
  async #known(place: Digest): Promise<Window> {
    const { entries, window } = this.#options
    const found = new Window(window, place.from)
    for await (const entry of arrivalsFrom(entries, this.query, { arrived: place.from, log_id: afterIds })) {
      if (compareArrivals(entry, place.to) > 0) break
      found.add(entry)
    }
    const { count, sum, to } = found.digest()
    const same = count === place.count && sum === place.sum && compareArrivals(to, place.to) === 0
    // Something came late, or is no longer there.
    return same ? found : new Window(window, place.from)
  }

  deliver(arrived: Arrived): void {
    const { entry } = arrived
    if (this.#closed || this.#seen.has(entry.log_id)) return
    this.#seen.add(entry)
    this.#queue.push({ arrived, state: this.#seen.digest() })
    this.#length += arrived.json.length
    this.#bound()
    this.onEvent()
  }

  #bound(): void {
    const { maxEntries, maxLength } = this.#options
    const factor = this.#catchingUp ? catchUpFactor : 1
    let count = 0
    while (
      this.#queue.length - count > maxEntries * factor ||
      (this.#length > maxLength * factor && this.#queue.length - count > 1)
    ) {
      this.#length -= this.#queue[count++]!.arrived.json.length
    }
    if (count === 0) return
    this.#queue.splice(0, count)
    this.#dropped += count
  }

  /** What is to be told next. */
  take(): TailEvent | undefined {
    if (this.#dropped > 0) {
      const count = this.#dropped
      this.#dropped = 0
      return { type: 'dropped', count }
    }
    const kept = this.#queue.shift()
    if (kept === undefined) return undefined
    const { json } = kept.arrived
    this.#length -= json.length
    if (this.#queue.length === 0) this.#drained?.()
    return { type: 'log', id: this.#cursor(kept.state), log: json }
  }

  close(): void {
    if (!this.#closed) this.onClose()
    this.#closed = true
    this.#options.hub.unsubscribe(this)
    this.#queue = []
    this.#length = 0
    this.#drained?.()
  }

  async #drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#drained = resolve
    })
    this.#drained = undefined
    await turn()
  }

  #cursor({ from, to, count, sum }: Digest): string {
    const { secret, scope } = this.#options
    return sealCursor(secret, scope, [to.arrived, to.log_id, to.arrived - from, count, sum])
  }
}

/** Reads a cursor. @throws {Refusal} 400 if it is none of this tail. */
export function openPlace(secret: Buffer, scope: string, cursor: string): Digest {
  let value: unknown
  try {
    value = openCursor(secret, scope, cursor)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new Refusal(
      400,
      'Last-Event-ID is no id of an event of this tail. Send one that came with the same parameters, or begin without one.',
    )
  }
  // It is ours: nobody else could have sealed it.
  const [arrived, log_id, width, count, sum] = value as [number, string, number, number, number]
  return { from: arrived - width, to: { arrived, log_id }, count, sum }
}
