import type { Change, Directory, Entry, Namespace, StoredObject, Symlink, Version } from '../namespace.ts'
import { currentOf, isEmpty } from '../namespace.ts'
import type { Carrier, CommonBlobs } from './blob-transfer.ts'
import { localize } from './blob-transfer.ts'
import { kindKey } from './outgoing-line.ts'
import type { Channel, Side } from './side.ts'
import { mergeVersions, sameVersions, versionKey } from './version-merge.ts'
import type { VersionSide } from './version-merge.ts'

/** How the work on one path ended: both sides agree; something has to come first, or it changed meanwhile. */
export type Outcome = 'agreed' | 'later'

export interface Means {
  readonly carry: Carrier
  readonly common: CommonBlobs
  /** Somebody else works on this path. */
  readonly isBusy: (path: string) => boolean
  /** Neither side may be changed any more: a system is down, or the link is. */
  readonly isCut: () => boolean
  /** Says what went to a side: objects (versions of them) and bytes. */
  readonly sent: (to: Side, objects: number, bytes: number) => void
}

/** The work was stopped by the end of the connection between the systems. */
export class LinkLost extends Error {
  override name = 'LinkLost'
}

const none: readonly Version[] = []

/**
 * Makes both systems have the same under one path: what is new on either side goes to the other. Looks at both as they
 * are now, so that nothing depends on how often or when it is called; until both have it for good, it waits in the line.
 */
export async function reconcile(channel: Channel, path: string, means: Means): Promise<Outcome> {
  // Each turn takes one obstacle out of the way.
  for (let turn = 0; turn < 10; turn++) {
    const done = await step(channel, path, means)
    if (done !== 'again') return done
  }
  return 'later'
}

async function step(channel: Channel, path: string, means: Means): Promise<Outcome | 'again'> {
  const { primary, replica } = channel
  const sides = [primary, replica] as const
  const waiting = sides.map(({ line }) => line.get(path))
  if (waiting.some((each) => each !== undefined && each.unsafe > 0)) return 'later'
  const sequences = waiting.map((each) => each?.sequence ?? 0)
  for (const each of waiting) if (each !== undefined) each.looked = each.sequence

  const obstacle = ancestorInTheWay(primary, replica, path)
  if (obstacle !== undefined) {
    if (means.isBusy(obstacle)) return 'later'
    const cleared = await reconcile(channel, obstacle, means)
    return cleared === 'agreed' && ancestorInTheWay(primary, replica, path) !== obstacle ? 'again' : 'later'
  }
  const plan = planOf(channel, path)
  if (plan === 'later' || plan === 'again') return plan
  if (means.isCut()) throw new LinkLost('the link is interrupted')
  if (plan.kind === 'relocate') {
    await plan.side.system.commitReplicated(plan.side.namespace, plan.change, plan.notes)
    return 'again'
  }
  if (plan.kind === 'versions') return carryVersions(channel, path, plan.versions, sequences, means)
  const commits = plan.changes.map(({ side, change }) => {
    means.sent(side, change.op === 'directory' ? 0 : 1, 0)
    return side.system.commitReplicated(side.namespace, change)
  })
  await Promise.all([...commits, ...directoriesLeft(primary, replica, path)])
  acknowledge(sides, path, sequences)
  return 'agreed'
}

/** Makes the directories that came with an object, also where that has gone again since. */
function directoriesLeft(one: Side, other: Side, path: string): Promise<void>[] {
  const pairs: readonly (readonly [Side, Side])[] = [
    [one, other],
    [other, one],
  ]
  return pairs.flatMap(([from, to]) => {
    const changes = directoriesFor(from, to, path, false)
    const at = from.system.now()
    return changes.length === 0
      ? []
      : to.system.commitReplicated(to.namespace, { op: 'batch', path, changes, at })
  })
}

type Plan =
  | { readonly kind: 'versions'; readonly versions: readonly Version[] }
  | { readonly kind: 'changes'; readonly changes: readonly { side: Side; change: Change }[] }
  | {
      readonly kind: 'relocate'
      readonly side: Side
      readonly change: Change
      readonly notes: readonly string[]
    }
  | 'again'
  | 'later'

const nothing: Plan = { kind: 'changes', changes: [] }

/** What is to be done about a path, by what there is on both sides now. */
function planOf(channel: Channel, path: string): Plan {
  const { primary, replica } = channel
  const [one, other] = [primary.namespace.find(path), replica.namespace.find(path)]
  if (one?.kind === 'symlink' || other?.kind === 'symlink') return planLinks(channel, path, one, other)
  const [first, second] = [liveDirectory(one), liveDirectory(other)]
  if (first !== undefined && second !== undefined) return nothing
  if (first !== undefined) return planDirectory(channel, path, primary, first, replica, other)
  if (second !== undefined) return planDirectory(channel, path, replica, second, primary, one)
  if (one?.kind !== 'object' && other?.kind !== 'object') {
    if (one?.kind === 'directory' && other === undefined) return planDeleted(primary, one, replica, path)
    if (other?.kind === 'directory' && one === undefined) return planDeleted(replica, other, primary, path)
    return nothing
  }
  const merged = mergeVersions(versionsOf(primary, path), versionsOf(replica, path), {
    versioning: primary.namespace.settings.versioning || replica.namespace.settings.versioning,
    favoured: channel.source === 'primary' ? 'one' : 'other',
  })
  if (merged.collides === undefined) return { kind: 'versions', versions: merged.versions }
  return relocation(channel, merged.collides === 'one' ? primary : replica, path)
}

/** A directory that was made and deleted before the other side heard of it, and is still to be seen as deleted. */
function planDeleted(from: Side, { created, change }: Directory, to: Side, path: string): Plan {
  const changes: Change[] = [
    ...directoriesFor(from, to, path),
    { op: 'directory', path, at: created },
    { op: 'remove', path, at: change, keep: true },
  ]
  return { kind: 'changes', changes: [{ side: to, change: { op: 'batch', path, changes, at: change } }] }
}

/** A directory on one side, where the other has an object or nothing. */
function planDirectory(
  channel: Channel,
  path: string,
  side: Side,
  directory: Directory,
  opposite: Side,
  entry: Entry | undefined,
): Plan {
  if (entry?.kind === 'object') {
    const left = mergeVersions(
      versionsOf(opposite, path),
      { ...versionsOf(side, path), versions: none },
      { versioning: true, favoured: 'one' },
    )
    const last = left.versions.at(-1)
    if (last !== undefined && !last.marker) return relocation(channel, opposite, path)
  } else if (opposite.line.agreed(path, kindKey) === 'directory' && side.line.get(path) === undefined) {
    const { namespace } = side
    const inside = `${path}/`
    const used = !isEmpty(directory) || [...namespace.writing.keys()].some((each) => each.startsWith(inside))
    if (!used) {
      const keep = namespace.settings.versioning ? { keep: true as const } : {}
      const at = entry?.kind === 'directory' ? entry.change : opposite.system.now()
      return { kind: 'changes', changes: [{ side, change: { op: 'remove', path, at, ...keep } }] }
    }
    // What it holds may have been removed there as well.
    if (opposite.line.hasInside(path)) return 'later'
  }
  const { created, change } = directory
  const made: Change = { op: 'directory', path, at: created, change }
  const changes: Change[] = [...directoriesFor(side, opposite, path), made]
  return {
    kind: 'changes',
    changes: [{ side: opposite, change: { op: 'batch', path, changes, at: created } }],
  }
}

/** A symbolic link on at least one side. */
function planLinks(
  { primary, replica, linkId }: Channel,
  path: string,
  one: Entry | undefined,
  other: Entry | undefined,
): Plan {
  const make = (from: Side, { target, created }: Symlink, to: Side): Plan => {
    const change: Change = { op: 'symlink', path, target, at: created }
    const changes = [...directoriesFor(from, to, path), change]
    return { kind: 'changes', changes: [{ side: to, change: { op: 'batch', path, changes, at: created } }] }
  }
  if (one?.kind === 'symlink' && other?.kind === 'symlink') {
    if (one.target === other.target) return nothing
    const first = one.created > other.created || (one.created === other.created && one.target > other.target)
    return first ? make(primary, one, replica) : make(replica, other, primary)
  }
  const [side, link, opposite, entry] =
    one?.kind === 'symlink'
      ? ([primary, one, replica, other] as const)
      : ([replica, other as Symlink, primary, one] as const)
  const removed = opposite.line.agreed(path, kindKey) === 'symlink' && side.line.get(path) === undefined
  if (removed) {
    const change: Change = { op: 'remove', path, at: opposite.system.now() }
    const away: Plan = { kind: 'relocate', side, change, notes: [] }
    return isLive(entry) ? away : { kind: 'changes', changes: [{ side, change }] }
  }
  if (!isLive(entry)) return make(side, link, opposite)
  const to = freeName({ primary, replica, linkId }, side, path, undefined)
  const changes: Change[] = [
    { op: 'remove', path, at: link.created },
    { op: 'symlink', path: to, target: link.target, at: link.created },
  ]
  return {
    kind: 'relocate',
    side,
    change: { op: 'batch', path, changes, at: link.created },
    notes: [to],
  }
}

/** Gives the side's object another name, under which it goes to the other side like any new one. */
function relocation(
  channel: Pick<Channel, 'primary' | 'replica' | 'linkId'>,
  side: Side,
  path: string,
): Plan {
  const entry = side.namespace.find(path) as StoredObject
  const current = currentOf(entry)!
  const to = freeName(channel, side, path, entry)
  const at = side.system.now()
  const moved: Version = { ...current, change: at, collision: true }
  const left = entry.versions.slice(0, -1)
  const changes: Change[] = [
    { op: 'versions', path: to, versions: [moved], at },
    { op: 'versions', path, versions: left, at },
  ]
  return { kind: 'relocate', side, change: { op: 'batch', path, changes, at }, notes: [to, path] }
}

/** The name that HCP gives to what collides, or the first such name that nobody has. */
function freeName(
  { primary, replica, linkId }: Pick<Channel, 'primary' | 'replica' | 'linkId'>,
  { system, namespace }: Side,
  path: string,
  entry: StoredObject | undefined,
): string {
  const set = namespace.documents['replicationCollisionSettings']?.['action']
  const rename = (set ?? system.choices.collisions) === 'RENAME'
  const history = entry !== undefined && entry.versions.length > 1 ? `.${entry.versions.at(-1)!.id}` : ''
  for (let number = 0; ; number++) {
    const middle = number === 0 ? '' : `.${number}`
    const name = rename
      ? `${path}${history}${middle}.collision`
      : `.lost+found/replication/${linkId}/${path}${middle}`
    if ([primary, replica].every((side) => isFree(side.namespace, name))) return name
  }
}

function isFree(namespace: Namespace, path: string): boolean {
  if (namespace.find(path) !== undefined || namespace.writing.has(path)) return false
  try {
    namespace.checkParents(path)
    return true
  } catch {
    return false
  }
}

async function carryVersions(
  channel: Channel,
  path: string,
  versions: readonly Version[],
  sequences: readonly number[],
  means: Means,
): Promise<Outcome> {
  const { primary, replica } = channel
  const sides = [primary, replica] as const
  const seen = sides.map((side) => contentOf(side, path))
  const wanted = sides.filter((_, index) => !sameVersions(seen[index]!, versions))
  const localized = []
  try {
    for (const to of wanted) {
      const from = to === primary ? replica : primary
      localized.push({ to, from, ...(await localize(versions, { path, from, to, ...means })) })
    }
    const changed = sides.some((side, index) => {
      const now = side.line.get(path)
      const moved = contentOf(side, path).some((version, at) => version !== seen[index]![at])
      return (
        moved ||
        contentOf(side, path).length !== seen[index]!.length ||
        (now !== undefined && (now.unsafe > 0 || now.sequence > sequences[index]!))
      )
    })
    if (means.isCut()) throw new LinkLost('the link is interrupted')
    if (changed || ancestorInTheWay(primary, replica, path) !== undefined) {
      discard(localized)
      return 'later'
    }
  } catch (error) {
    discard(localized)
    throw error
  }
  const live = versions.length > 0 && !versions.at(-1)!.marker
  const commits = localized.map(({ to, from, versions: own, bytes }) => {
    const at = own.reduce((latest, { change }) => Math.max(latest, change), 0) || from.system.now()
    const before = new Set(contentOf(to, path).map(versionKey))
    const change: Change = { op: 'versions', path, versions: own, at }
    const directories = own.length > 0 ? directoriesFor(from, to, path, live) : []
    const added = own.filter((version) => !version.marker && !before.has(versionKey(version))).length
    means.sent(to, Math.max(1, added), bytes)
    return to.system.commitReplicated(
      to.namespace,
      directories.length === 0 ? change : { op: 'batch', path, changes: [...directories, change], at },
    )
  })
  const left = directoriesLeft(primary, replica, path)
  const results = await Promise.allSettled([...commits, ...left])
  for (const [index, result] of results.entries()) {
    if (result.status === 'rejected' && localized[index] !== undefined) discard([localized[index]])
  }
  const failed = results.find(({ status }) => status === 'rejected')
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
  acknowledge(sides, path, sequences)
  return 'agreed'
}

function discard(localized: readonly { to: Side; copied: readonly { id: string }[] }[]): void {
  for (const { to, copied } of localized)
    for (const blob of copied) void to.system.blobs.delete(blob as never)
}

function acknowledge(sides: readonly Side[], path: string, sequences: readonly number[]): void {
  for (const [index, { system, namespace, line }] of sides.entries()) {
    if (line.get(path) === undefined || sequences[index] === 0) continue
    line.acknowledge(path, sequences[index]!)
    system.acknowledged(namespace, path, sequences[index]!)
  }
}

function contentOf({ namespace }: Side, path: string): readonly Version[] {
  const entry = namespace.find(path)
  return entry?.kind === 'object' ? [...entry.versions] : none
}

function versionsOf(side: Side, path: string): VersionSide {
  const agreed = (key: string): Version | undefined => {
    const was = side.line.agreed(path, key)
    return typeof was === 'object' ? was : undefined
  }
  return { versions: contentOf(side, path), agreed }
}

/** Directories on the way that the one side has and the other lacks, with their times; not those it has removed, unless needed. */
function directoriesFor(from: Side, to: Side, path: string, needed = true): Change[] {
  const changes: Change[] = []
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
    const above = path.slice(0, at)
    if (liveDirectory(to.namespace.find(above)) !== undefined) continue
    const own = liveDirectory(from.namespace.find(above))
    const removed = !needed && to.line.agreed(above, kindKey) === 'directory'
    if (own !== undefined && !removed)
      changes.push({ op: 'directory', path: above, at: own.created, change: own.change })
  }
  return changes
}

/** A path on the way of which one side has a directory, and the other something else that is there. */
function ancestorInTheWay(one: Side, other: Side, path: string): string | undefined {
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
    const above = path.slice(0, at)
    const [first, second] = [one.namespace.find(above), other.namespace.find(above)]
    if (first === undefined || second === undefined) return undefined
    const kinds = [first, second].map((entry) => (entry.kind === 'directory' ? 'directory' : 'other'))
    if (kinds[0] !== kinds[1]) return above
    if (kinds[0] === 'other') return undefined
  }
  return undefined
}

function liveDirectory(entry: Entry | undefined): Directory | undefined {
  return entry?.kind === 'directory' && !entry.deleted ? entry : undefined
}

/** Something that nobody has deleted. */
function isLive(entry: Entry | undefined): boolean {
  if (entry?.kind === 'object') return currentOf(entry) !== undefined
  return entry !== undefined && !entry.deleted
}
