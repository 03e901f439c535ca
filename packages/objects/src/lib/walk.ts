import { checkInteger, checkOptions, checkSignal } from '@hcp/connection/support'
import { checkListOptions, type ListOptions, listOptions, listPieces } from './directory-listing.ts'
import { ObjectNotFoundError } from './errors.ts'
import { type DirectoryEntry, type Place, placeOf, type SubdirectoryEntry } from './listing-entry.ts'
import { known, type ObjectRequests } from './object-requests.ts'
import { timeLeft } from './time-left.ts'

export interface WalkOptions extends ListOptions {
  /**
   * Directories listed at a time, 1 to 64, default 4. Each holds a connection while it is read, also while the loop's body does
   * something else, so this must stay below the `connections` of the connection (default 8), for all walks on it together, where
   * the body sends requests.
   */
  readonly concurrency?: number
  /** Levels: 1 is the directory itself without its subdirectories. Default: all. */
  readonly maxDepth?: number
  /** Whether to go into a directory, which is given itself in any case. Default: into all. */
  readonly into?: (directory: SubdirectoryEntry) => boolean
}

const knownWalk = known(...listOptions, 'concurrency', 'maxDepth', 'into')

/** Directories that wait to be listed; then those listings wait that could add to them, while another can go on. */
const mostPending = 10_000

/**
 * All that is below a directory, in no particular order, except that a directory comes before what is in it. Symbolic links are
 * given and not followed. A directory that is deleted meanwhile has no entries.
 *
 * What is held in memory does not depend on the number of objects: some pieces of listings, and the paths of directories that
 * wait to be listed.
 *
 * @throws {TypeError | RangeError} at once, for wrong arguments. @throws Else as `listDirectory`; all listings are given up then,
 *   as they are when the loop is left or the signal aborts.
 */
export function walk(
  requests: ObjectRequests,
  path: string,
  options: WalkOptions = {},
): AsyncGenerator<DirectoryEntry, void> {
  checkOptions('walk', options, knownWalk)
  checkListOptions(options)
  const { concurrency = 4, maxDepth, into } = options
  checkInteger('concurrency', concurrency, 1, 64)
  if (maxDepth !== undefined) checkInteger('maxDepth', maxDepth, 1, Number.MAX_SAFE_INTEGER)
  if (into !== undefined && typeof into !== 'function')
    throw new TypeError(`into must be a function, not ${typeof into}`)
  checkSignal(options.signal)
  return entriesOf(new Walk(requests, options, concurrency), placeOf(path, options.encoded), options.signal)
}

async function* entriesOf(
  walk: Walk,
  root: Place,
  signal: AbortSignal | undefined,
): AsyncGenerator<DirectoryEntry, void> {
  walk.begin(root)
  try {
    for (;;) {
      const piece = await walk.next()
      if (piece === undefined) return
      for (const entry of piece) {
        signal?.throwIfAborted()
        yield entry
      }
    }
  } finally {
    await walk.stop()
  }
}

interface Pending {
  readonly place: Place
  /** The root has 1. */
  readonly depth: number
}

/** Lists directories side by side into one small store, from which one reader takes. */
class Walk {
  readonly #requests: ObjectRequests
  readonly #options: WalkOptions
  readonly #concurrency: number
  #current: () => WalkOptions
  readonly #stopping = new AbortController()
  readonly #signal: AbortSignal
  /** The last one is the next, so that few wait in a deep tree. */
  readonly #pending: Pending[] = []
  /** Pieces of listings for the reader. When there are two for each listing, the listings wait. */
  readonly #ready: (readonly DirectoryEntry[])[] = []
  readonly #running = new Set<Promise<void>>()
  /** Listings that wait for room. */
  #waiting = 0
  #failure: { readonly error: unknown } | undefined
  #news = Promise.withResolvers<void>()

  constructor(requests: ObjectRequests, options: WalkOptions, concurrency: number) {
    this.#requests = requests
    this.#options = options
    this.#concurrency = concurrency
    this.#current = timeLeft(options)
    const own = this.#stopping.signal
    this.#signal = options.signal === undefined ? own : AbortSignal.any([options.signal, own])
  }

  begin(root: Place): void {
    this.#current = timeLeft(this.#options)
    this.#pending.push({ place: root, depth: 1 })
  }

  /** The entries that are next, or `undefined` at the end. */
  async next(): Promise<readonly DirectoryEntry[] | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error
      while (this.#running.size < this.#concurrency && this.#pending.length > 0) {
        this.#start(this.#pending.pop()!)
      }
      const piece = this.#ready.shift()
      if (piece !== undefined) {
        this.#changed()
        return piece
      }
      if (this.#running.size === 0) return undefined
      await this.#news.promise
    }
  }

  /** Gives all listings up. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#changed()
    await Promise.all(this.#running)
  }

  #start(directory: Pending): void {
    const running = this.#list(directory)
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => {
        this.#running.delete(running)
        this.#changed()
      })
    this.#running.add(running)
  }

  async #list({ place, depth }: Pending): Promise<void> {
    const { maxDepth = Number.POSITIVE_INFINITY, into } = this.#options
    const options = { ...this.#current(), signal: this.#signal }
    try {
      for await (const piece of listPieces(this.#requests, place, options)) {
        for (const entry of piece) {
          if (entry.type !== 'directory' || depth >= maxDepth) continue
          if (into !== undefined && !into(entry)) continue
          const { path, encodedPath } = entry
          this.#pending.push({ place: { path, encodedPath }, depth: depth + 1 })
        }
        this.#ready.push(piece)
        this.#changed()
        await this.#room()
      }
    } catch (error) {
      const gone = depth > 1 && error instanceof ObjectNotFoundError && error.status === 404
      if (!gone) throw error
    }
  }

  /** Waits until more may be read. */
  async #room(): Promise<void> {
    while (this.#isFull() && !this.#signal.aborted) {
      this.#waiting++
      await this.#news.promise
      this.#waiting--
    }
  }

  #isFull(): boolean {
    if (this.#ready.length >= 2 * this.#concurrency) return true
    // One always goes on: the reader would wait for ever if all waited for directories to be listed.
    return this.#pending.length >= mostPending && this.#waiting < this.#running.size - 1
  }

  /** Wakes all who wait for anything. */
  #changed(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers<void>()
  }
}
