import type { Change, Directory, Entry, Namespace, Version } from '../namespace.ts'
import { revisionOf, versionKey } from './version-merge.ts'

/** What a side had when both agreed the last time: a version, or that there was a directory or a symbolic link. */
export type Agreed = Version | 'directory' | 'symlink'

/** A path of which the other side does not know everything yet. */
export interface Waiting {
  readonly path: string
  /** Number of its latest change. */
  sequence: number
  /** Epoch milliseconds, by the system's clock: when the first change came. */
  since: number
  /** When the first change came, in milliseconds of `performance.now()`. */
  readonly at: number
  /** Changes that the journal does not have yet. */
  unsafe: number
  /** Number of the latest change that somebody has looked at to carry it over. */
  looked: number
  /** What changed or went since both agreed, as it was then, with the number of the change. By the key of a version, or `/`. */
  before: Map<string, { readonly sequence: number; readonly was: Agreed }[]> | undefined
}

/** A waiting path as the journal has it. */
export interface WaitingRecord {
  readonly path: string
  readonly sequence: number
  readonly since: number
  readonly before: readonly (readonly [string, readonly { sequence: number; was: Agreed }[]])[]
}

/** What the journal keeps with a change, so that what waits is known again after a new start. */
export interface Noted {
  /** The change with its number among those of its version. */
  readonly change: Change
  readonly sequence: number
  /** The journal has it, or could not take it. */
  readonly safe: () => void
}

/** The key of what a path is where it is no object. */
export const kindKey = '/'

/**
 * What waits to be told to the other system of one namespace: which paths, and what there was before. It says nothing of
 * what is there now, so that many changes of a path are one piece of work, and so that it can be done twice.
 */
export class OutgoingLine {
  readonly #namespace: Namespace
  readonly #now: () => number
  readonly #waiting = new Map<string, Waiting>()
  #sequence = 0
  /** While the journal is read, nobody knows yet which changes have been looked at. */
  #replaying = false
  /** Told when something new can be carried over. */
  onSafe: (() => void) | undefined

  constructor(namespace: Namespace, now: () => number) {
    this.#namespace = namespace
    this.#now = now
  }

  get size(): number {
    return this.#waiting.size
  }

  has(path: string): boolean {
    return this.#waiting.has(path)
  }

  get(path: string): Waiting | undefined {
    return this.#waiting.get(path)
  }

  /** Oldest first. */
  [Symbol.iterator](): IterableIterator<Waiting> {
    return this.#waiting.values()
  }

  /** What was agreed on last about a version (or, with `kindKey`, a directory or link) that has changed here since. */
  agreed(path: string, key: string): Agreed | undefined {
    return this.#waiting.get(path)?.before?.get(key)?.[0]?.was
  }

  /** Something inside a directory waits. */
  hasInside(directory: string): boolean {
    const inside = `${directory}/`
    for (const path of this.#waiting.keys()) if (path.startsWith(inside)) return true
    return false
  }

  /** Notes a change that is about to be applied. */
  track(given: Change): Noted {
    const sequence = ++this.#sequence
    const change = this.#numbered(given)
    return { change, sequence, safe: this.#unsafeUntil(this.#note(change, sequence)) }
  }

  #unsafeUntil(touched: readonly Waiting[]): () => void {
    for (const waiting of touched) waiting.unsafe += 1
    return () => {
      for (const waiting of touched) waiting.unsafe -= 1
      this.onSafe?.()
    }
  }

  /** The same for a change that the journal tells of. */
  replay(change: Change, sequence: number): void {
    this.#replaying = true
    this.#sequence = Math.max(this.#sequence, sequence)
    this.#note(change, sequence)
  }

  /** Notes a path about which nothing is known but that the other side may lack it. */
  add(path: string, sequence: number = ++this.#sequence): Waiting {
    this.#sequence = Math.max(this.#sequence, sequence)
    const known = this.#waiting.get(path)
    if (known !== undefined) {
      known.sequence = Math.max(known.sequence, sequence)
      return known
    }
    const waiting: Waiting = {
      path,
      sequence,
      since: this.#now(),
      at: performance.now(),
      unsafe: 0,
      looked: this.#replaying ? Infinity : -1,
      before: undefined,
    }
    this.#waiting.set(path, waiting)
    return waiting
  }

  /** Notes paths as `add` does, all with one number. */
  addMany(paths: readonly string[]): Pick<Noted, 'sequence' | 'safe'> {
    const sequence = ++this.#sequence
    const touched = paths.map((path) => this.add(path, sequence))
    return { sequence, safe: this.#unsafeUntil(touched) }
  }

  /** Puts a path at the end. */
  postpone(waiting: Waiting): void {
    if (this.#waiting.delete(waiting.path)) this.#waiting.set(waiting.path, waiting)
  }

  /** The other side has everything of a path up to this change. */
  acknowledge(path: string, sequence: number): void {
    const waiting = this.#waiting.get(path)
    if (waiting === undefined) return
    if (waiting.sequence <= sequence) {
      this.#waiting.delete(path)
      return
    }
    waiting.since = this.#now()
    for (const [key, list] of waiting.before ?? []) {
      const left = list.filter((each) => each.sequence > sequence)
      if (left.length === 0) waiting.before!.delete(key)
      else waiting.before!.set(key, left)
    }
  }

  /** The journal has been read. */
  replayed(): void {
    this.#replaying = false
    for (const waiting of this.#waiting.values()) {
      waiting.looked = -1
      for (const [key, list] of waiting.before ?? []) waiting.before!.set(key, list.slice(0, 1))
    }
  }

  *snapshot(): Generator<WaitingRecord> {
    for (const { path, sequence, since, before } of this.#waiting.values())
      yield { path, sequence, since, before: [...(before ?? [])] }
  }

  restore({ path, sequence, since, before }: WaitingRecord): void {
    this.#replaying = true
    const waiting = this.add(path, sequence)
    waiting.since = since
    if (before.length > 0) waiting.before = new Map(before.map(([key, list]) => [key, [...list]]))
  }

  /** Everything that is there waits. */
  addAll(): void {
    for (const change of this.#namespace.snapshot()) {
      if (change.op === 'fill') {
        const inDirectory = change.path === '' ? '' : `${change.path}/`
        for (const name of change.names) this.add(inDirectory + name)
      } else if (change.path !== '') this.add(change.path)
    }
  }

  /** Changed versions get a number above the one they had: the clock alone does not say which came later. */
  #numbered(change: Change): Change {
    if (change.op !== 'update' && change.op !== 'put') return change
    const entry = this.#namespace.find(change.path)
    if (entry?.kind !== 'object') return change
    const number = (version: Version): Version => {
      const before = entry.versions.find(({ id }) => id === version.id)
      if (before === undefined) return version
      const least = Math.max(version.change * 64 + 1, revisionOf(before) + 1)
      // Whoever changes an object has seen that it was a collision.
      return { ...version, revision: this.#namespace.ownNumber(least), collision: undefined }
    }
    const others = change.others === undefined ? {} : { others: change.others.map(number) }
    return { ...change, version: number(change.version), ...others }
  }

  #note(change: Change, sequence: number): Waiting[] {
    const { op, path } = change
    switch (op) {
      case 'batch':
        return change.changes.flatMap((each) => this.#note(each, sequence))
      case 'fill': {
        const inDirectory = path === '' ? '' : `${path}/`
        return change.names.map((name) => this.add(inDirectory + name, sequence))
      }
      case 'remove-version':
      case 'remove-versions': {
        const ids = new Set(op === 'remove-version' ? [change.id] : change.ids)
        return [this.#noteObject(path, sequence, (version) => ids.has(version.id))]
      }
      case 'update':
      case 'put': {
        const ids = new Set([change.version, ...(change.others ?? [])].map(({ id }) => id))
        return [
          this.#noteObject(path, sequence, (version) => ids.has(version.id)),
          ...(op === 'put' ? this.#noteDiscarded(path, sequence, true) : []),
        ]
      }
      case 'directory':
        if (path === '') return []
        return [this.add(path, sequence), ...this.#noteDiscarded(path, sequence, false)]
      default:
        return [
          this.#noteObject(path, sequence, () => true),
          ...this.#noteDiscarded(path, sequence, op === 'replace'),
        ]
    }
  }

  #noteObject(path: string, sequence: number, affected: (version: Version) => boolean): Waiting {
    const waiting = this.add(path, sequence)
    const entry = this.#namespace.find(path)
    if (entry?.kind === 'object') {
      for (const version of entry.versions)
        if (affected(version)) this.#noteBefore(waiting, versionKey(version), version, sequence)
    } else if (entry?.kind === 'symlink') this.#noteBefore(waiting, kindKey, 'symlink', sequence)
    else if (entry !== undefined && !entry.deleted) this.#noteBefore(waiting, kindKey, 'directory', sequence)
    return waiting
  }

  /** What is deleted already, and goes for good because its name is used for something else. */
  #noteDiscarded(path: string, sequence: number, keepsObject: boolean): Waiting[] {
    const touched: Waiting[] = []
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
      const entry = this.#namespace.find(path.slice(0, at))
      if (entry === undefined) break
      if (entry.kind === 'object') touched.push(this.#noteObject(path.slice(0, at), sequence, () => true))
    }
    const entry = this.#namespace.find(path)
    if (entry?.kind === 'object' && !keepsObject) touched.push(this.#noteObject(path, sequence, () => true))
    if (entry?.kind === 'directory' && entry.deleted)
      for (const inner of objectsIn(entry, path)) touched.push(this.#noteObject(inner, sequence, () => true))
    return touched
  }

  #noteBefore(waiting: Waiting, key: string, was: Agreed, sequence: number): void {
    waiting.before ??= new Map()
    const list = waiting.before.get(key)
    if (list === undefined) waiting.before.set(key, [{ sequence, was }])
    else if (list.at(-1)!.sequence <= waiting.looked) list.push({ sequence, was })
  }
}

function* objectsIn(directory: Directory, path: string): Generator<string> {
  for (const [name, entry] of directory.children as ReadonlyMap<string, Entry>) {
    const inner = `${path}/${name}`
    if (entry.kind === 'object') yield inner
    else if (entry.kind === 'directory') yield* objectsIn(entry, inner)
  }
}
