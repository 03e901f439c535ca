import { setTimeout as pause } from 'node:timers/promises'
import type { Arrival, Entries, Entry, EntryQuery } from '../entries/entry.ts'
import { wireEntry } from '../entries/wire-entry.ts'
import type { ServiceLog } from '../http/context.ts'
import type { Database } from '../store/database.ts'
import { nowMicroseconds } from '../time.ts'
import { arrivedIds, type ArrivedId } from './arrived-ids.ts'
import { matches } from './matches.ts'
import { compareArrivals, Window } from './window.ts'

/** An entry on its way to listeners. */
export class Arrived {
  readonly entry: Entry
  #json: string | undefined

  constructor(entry: Entry) {
    this.entry = entry
  }

  /** As it goes out, in one line: made once for all listeners. */
  get json(): string {
    return (this.#json ??= JSON.stringify(wireEntry(this.entry)))
  }
}

export interface Listener {
  readonly query: EntryQuery
  /** It wants all that arrived behind this place, and leaves out by itself what it knows of that. */
  readonly resumesAt: Arrival | undefined
  deliver(arrived: Arrived): void
  /** From this place on it is given what arrives, and what is late. */
  admitted(at: Arrival): void
}

export interface HubOptions {
  readonly entries: Entries
  readonly database: Database
  readonly log: ServiceLog
  /** Ends it. */
  readonly stopping: AbortSignal
  /** Milliseconds between questions to the store while somebody listens. */
  readonly pollInterval: number
  /** Microseconds for which late entries are looked for. */
  readonly window: number
}

interface Waiting {
  readonly listener: Listener
  resolve(): void
  reject(reason: unknown): void
}

/** Entries of a question to the store; fewer while they are large. */
const mostRows = 500
const muchText = 4 * 1024 * 1024
/** Late entries up to this number are fetched one by one. */
const fewLate = 20
/** Datasets that are named in a question; of more, all entries are read. */
const mostDatasets = 500
/** Milliseconds between questions to the store while much is written. */
const shortestPause = 10
/** Milliseconds after a failure of the store. */
const failurePause = 1000

/**
 * Reads for all listeners of this process what arrives in the store, and gives each what it asked for. An entry of a transaction that was
 * begun early and committed late, or of a process whose clock is behind, is found by looking again at the ids of the last seconds.
 */
export class TailHub {
  readonly #options: HubOptions
  readonly #listeners = new Set<Listener>()
  readonly #waiting: Waiting[] = []
  #running = false
  #wake = new AbortController()
  /** Which datasets are read; undefined: all. */
  #scope: readonly string[] | undefined = []
  #position: Arrival = { arrived: 0, log_id: '' }
  #seen: Window
  #limit = mostRows
  #lateAt = 0

  constructor(options: HubOptions) {
    this.#options = options
    this.#seen = new Window(options.window, 0)
    options.stopping.addEventListener('abort', () => this.nudge(), { once: true })
  }

  /** When it resolves, the listener gets everything that arrives from now on. */
  async subscribe(listener: Listener): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ listener, resolve, reject })
      if (!this.#running) void this.#run()
      this.nudge()
    })
  }

  unsubscribe(listener: Listener): void {
    this.#listeners.delete(listener)
    const waiting = this.#waiting.findIndex((each) => each.listener === listener)
    if (waiting !== -1) this.#waiting.splice(waiting, 1)[0]!.resolve()
    if (this.#listeners.size === 0) this.nudge()
  }

  /** There is something new, as far as the caller knows. */
  nudge(): void {
    this.#wake.abort()
  }

  async #run(): Promise<void> {
    const { stopping, log, pollInterval } = this.#options
    this.#running = true
    while (!stopping.aborted && this.#listeners.size + this.#waiting.length > 0) {
      this.#wake = new AbortController()
      let wait = pollInterval
      try {
        if (this.#waiting.length > 0) await this.#admit()
        await this.#readNew(nowMicroseconds())
        if (performance.now() >= this.#lateAt) await this.#readLate(this.#scope)
      } catch (error) {
        log.warn({ error: String(error) }, 'The live tail could not read the store. It tries again.')
        for (const each of this.#waiting.splice(0)) each.reject(error)
        wait = failurePause
      }
      // What is written meanwhile is read together.
      await pause(shortestPause)
      await pause(wait, undefined, { signal: this.#wake.signal }).catch(() => {})
    }
    for (const each of this.#waiting.splice(0)) each.resolve()
    this.#running = false
  }

  /** Lets those who wait listen. */
  async #admit(): Promise<void> {
    const waiting = [...this.#waiting]
    const now = nowMicroseconds()
    if (this.#listeners.size === 0) {
      this.#position = { arrived: now, log_id: '' }
      this.#seen = new Window(this.#options.window, now - this.#options.window)
      this.#scope = []
    } else {
      await this.#readNew(now)
      if (this.#position.arrived < now) this.#position = { arrived: now, log_id: '' }
      this.#seen.moveTo(this.#position)
    }
    // What is in the store of the datasets that are new here is nothing new.
    const scope = union([...this.#listeners, ...waiting.map(({ listener }) => listener)])
    await this.#readLate(scope)
    this.#scope = scope
    for (const each of waiting) {
      const { listener } = each
      if (listener.resumesAt !== undefined) await this.#repeat(listener, listener.resumesAt)
      // It may have left meanwhile.
      if (!this.#waiting.includes(each)) continue
      this.#waiting.splice(this.#waiting.indexOf(each), 1)
      this.#listeners.add(listener)
      listener.admitted(this.#position)
      each.resolve()
    }
  }

  /** Gives one listener what the others have got. */
  async #repeat(listener: Listener, from: Arrival): Promise<void> {
    for await (const entry of arrivalsFrom(this.#options.entries, listener.query, from)) {
      if (compareArrivals(entry, this.#position) > 0) return
      listener.deliver(new Arrived(entry))
    }
  }

  /** @param until Microseconds since 1970: what arrives later is not waited for. */
  async #readNew(until: number): Promise<void> {
    while (this.#position.arrived < until) {
      const limit = this.#limit
      const page = await this.#options.entries.arrivals({ datasets: this.#scope }, this.#position, limit)
      for (const entry of page) {
        this.#position = { arrived: entry.arrived, log_id: entry.log_id }
        this.#deliver(entry)
      }
      this.#limit = nextLimit(limit, page)
      if (page.length < limit) return
    }
  }

  /** @param scope Datasets. What is of this, but not of the scope so far, is known from now on without having been delivered. */
  async #readLate(scope: readonly string[] | undefined): Promise<void> {
    const { database, pollInterval } = this.#options
    const begun = performance.now()
    const before = this.#scope
    const ids = await arrivedIds(database, scope, this.#seen.from, this.#position.arrived)
    const late = ids.filter((id) => {
      if (this.#seen.has(id.log_id) || compareArrivals(id, this.#position) > 0) return false
      if (before === undefined || (id.dataset_id !== null && before.includes(id.dataset_id))) return true
      this.#seen.add(id)
      return false
    })
    await this.#fetch(late)
    const duration = performance.now() - begun
    // However much arrives, this is not to be all that is done.
    this.#lateAt = begun + duration + Math.max(pollInterval, 3 * duration)
  }

  async #fetch(late: readonly ArrivedId[]): Promise<void> {
    const { entries } = this.#options
    const [first] = late
    if (first === undefined) return
    if (late.length <= fewLate) {
      for (const { log_id } of late) {
        const entry = await entries.get(log_id)
        if (entry !== undefined) this.#deliver(entry)
      }
      return
    }
    const from = { arrived: first.arrived, log_id: '' }
    for await (const entry of arrivalsFrom(entries, { datasets: this.#scope }, from)) {
      if (compareArrivals(entry, this.#position) > 0) return
      this.#deliver(entry)
    }
  }

  #deliver(entry: Entry): void {
    if (this.#seen.has(entry.log_id)) return
    this.#seen.add(entry)
    const arrived = new Arrived(entry)
    for (const listener of this.#listeners) {
      if (matches(listener.query, entry)) listener.deliver(arrived)
    }
  }
}

/** What arrived behind a place, page by page as it is read. */
export async function* arrivalsFrom(
  entries: Entries,
  query: EntryQuery,
  from: Arrival,
): AsyncGenerator<Entry, void> {
  let after = from
  let limit = mostRows
  for (;;) {
    const page = await entries.arrivals(query, after, limit)
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < limit) return
    after = { arrived: last.arrived, log_id: last.log_id }
    limit = nextLimit(limit, page)
  }
}

function nextLimit(limit: number, page: readonly Entry[]): number {
  const length = page.reduce((sum, { data }) => sum + (data?.length ?? 0), 0)
  return length > muchText ? Math.max(1, Math.floor(limit / 8)) : Math.min(mostRows, limit * 2)
}

function union(listeners: readonly Listener[]): readonly string[] | undefined {
  const datasets = new Set<string>()
  for (const { query } of listeners) {
    if (query.datasets === undefined) return undefined
    for (const dataset of query.datasets) datasets.add(dataset)
  }
  return datasets.size > mostDatasets ? undefined : [...datasets]
}
