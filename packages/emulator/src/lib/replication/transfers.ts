import type { CommonBlobs } from './blob-transfer.ts'
import type { Link } from './link.ts'
import type { LinkFaults } from './link-faults.ts'
import type { Waiting } from './outgoing-line.ts'
import { LinkLost, reconcile } from './reconcile.ts'
import type { Channel, Side, SideName } from './side.ts'
import { otherSide, sideNames } from './side.ts'

/** A namespace on a link, and the work on it. */
export interface Work {
  readonly channel: Channel
  readonly link: Link
  readonly tenantId: string
  readonly busy: Set<string>
}

export interface TransferOptions {
  readonly faults: LinkFaults
  /** Milliseconds from a change until it is carried over. */
  readonly lag: () => number
  /** A side's disk is full. */
  readonly full: (link: Link, side: SideName) => void
  /** The last of what could be carried over has been. */
  readonly idle: () => void
}

/** Pieces of work at a time, over all namespaces. */
const parallel = 8
/** Milliseconds until what failed or could not be done yet is tried again. */
const retryAfter = 50

/** Carries over what waits, oldest first, many paths at a time but each by itself. Without work it does nothing at all. */
export class Transfers {
  readonly #options: TransferOptions
  readonly #works = new Map<string, Work>()
  readonly #common: CommonBlobs = new Map()
  readonly #notBefore = new WeakMap<Waiting, number>()
  #running = 0
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity
  #scheduled = false
  #closed = false
  #drained: (() => void)[] = []

  constructor(options: TransferOptions) {
    this.#options = options
  }

  get works(): IterableIterator<Work> {
    return this.#works.values()
  }

  has(name: string): boolean {
    return this.#works.has(name)
  }

  add(work: Work): void {
    this.#works.set(work.channel.name, work)
    for (const side of sideNames) work.channel[side].line.onSafe = () => this.wake()
  }

  /** Ends all work but that on these. */
  keep(names: ReadonlySet<string>): void {
    for (const [name, { channel }] of this.#works) {
      if (names.has(name)) continue
      this.#works.delete(name)
      for (const side of sideNames) channel[side].line.onSafe = undefined
    }
  }

  /** Something may have to be done now: called whenever anything changes. */
  wake(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  /** Whether nothing waits that could be carried over as things are. */
  get isIdle(): boolean {
    for (const work of this.#works.values()) {
      if (work.busy.size > 0) return false
      for (const side of sideNames)
        if (this.#sends(work, side) && work.channel[side].line.size > 0) return false
    }
    return true
  }

  /** Resolves when nothing waits that could be carried over. */
  async drained(): Promise<void> {
    while (!this.isIdle && !this.#closed) {
      this.wake()
      await new Promise<void>((resolve) => this.#drained.push(resolve))
    }
  }

  /** No more work is begun; resolves when none is under way. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#tell()
    while (this.#running > 0) await new Promise<void>((resolve) => this.#drained.push(resolve))
  }

  #sends({ link, tenantId }: Work, side: SideName): boolean {
    return link.sends(side) && !link.isPaused(tenantId)
  }

  #pump(): void {
    if (this.#closed) return
    const now = performance.now()
    let next = Infinity
    for (const work of this.#works.values()) {
      for (const side of sideNames) {
        if (!this.#sends(work, side)) continue
        next = Math.min(next, this.#begin(work, work.channel[side].line, now))
      }
    }
    if (next < Infinity) this.#later(next)
    if (this.#running === 0 && this.isIdle) this.#options.idle()
    if (this.isIdle) this.#tell()
  }

  /** Begins what is due; says when the next is. */
  #begin(work: Work, line: Iterable<Waiting>, now: number): number {
    const lag = this.#options.lag()
    for (const waiting of line) {
      if (this.#running >= parallel) return Infinity
      if (waiting.unsafe > 0 || work.busy.has(waiting.path)) continue
      const due = Math.max(waiting.at + lag, this.#notBefore.get(waiting) ?? 0)
      if (due > now) return due
      this.#running += 1
      work.busy.add(waiting.path)
      void this.#carry(work, waiting.path)
    }
    return Infinity
  }

  async #carry(work: Work, path: string): Promise<void> {
    const { channel, link } = work
    const isCut = (): boolean =>
      this.#closed ||
      this.#works.get(channel.name) !== work ||
      !sideNames.some((side) => this.#sends(work, side))
    let again = false
    try {
      const outcome = await reconcile(channel, path, {
        carry: this.#options.faults.carrier(isCut),
        common: this.#common,
        isBusy: (each) => work.busy.has(each),
        isCut,
        sent: (to, objects, bytes) => link.statistics[otherSide(to.name)].sent(objects, bytes),
      })
      again = outcome === 'later'
    } catch (error) {
      again = true
      // What is deleted while it is on its way is no error.
      const gone = (error as NodeJS.ErrnoException).code === 'BLOB_MISSING'
      if (!gone && !(error instanceof LinkLost)) this.#failed(work, path, error)
    }
    work.busy.delete(path)
    this.#running -= 1
    if (again) this.#postpone(work, path)
    this.wake()
    if (this.#closed) this.#tell()
  }

  #postpone({ channel }: Work, path: string): void {
    for (const side of sideNames) {
      const { line } = channel[side]
      const waiting = line.get(path)
      if (waiting === undefined) continue
      line.postpone(waiting)
      this.#notBefore.set(waiting, performance.now() + retryAfter)
    }
  }

  #failed({ link, channel }: Work, path: string, error: unknown): void {
    const full = sideNames.find((side) => isFull(channel[side]))
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' && full !== undefined) this.#options.full(link, full)
    for (const side of sideNames)
      if (channel[side].line.get(path) !== undefined) link.statistics[side].failed()
  }

  #later(at: number): void {
    if (at >= this.#timerAt && this.#timer !== undefined) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#timerAt = Infinity
        this.wake()
      },
      Math.min(2 ** 31 - 1, Math.max(1, Math.ceil(at - performance.now()))),
    ).unref()
  }

  #tell(): void {
    for (const resolve of this.#drained.splice(0)) resolve()
  }
}

function isFull({ system }: Side): boolean {
  return system.blobs.isFull
}
