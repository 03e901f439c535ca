import type { SystemSurface } from './answer.ts'
import type { Change, Directory, Entry, Namespace, StoredObject, Version } from './namespace.ts'
import { currentOf } from './namespace.ts'
import { deletionOf } from './object-deletes.ts'
import { isOnHold, isUnderRetention } from './retention.ts'

/** What the services of a system have done. */
export interface ServiceReport {
  /** Objects deleted because their retention class deletes them when their retention ends. */
  readonly disposed: number
  /** Old versions that became too old for their namespace. */
  readonly pruned: number
}

const day = 86_400_000

/** Whether anything ever goes by itself from a namespace. Where it is read-only it goes on the other system. */
export function hasServices(namespace: Namespace): boolean {
  const { settings, readOnly } = namespace
  if (readOnly) return false
  if (collisionDays(namespace) !== undefined) return true
  return settings.dispositionEnabled || settings.pruneDays !== null
}

/**
 * What disposition and pruning do to an object by now. HCP runs them in the background; here they are carried out when
 * somebody looks at the object or at the listing of its directory, or when all are asked to run, so that nothing depends
 * on timers.
 */
export function dueChanges(namespace: Namespace, path: string, entry: StoredObject, now: number): Change[] {
  const changes: Change[] = []
  const old = prunable(namespace, entry, now)
  if (old.length > 0) changes.push({ op: 'remove-versions', path, ids: old.map(({ id }) => id), at: now })
  const current = currentOf(entry)
  if (current === undefined || !isDisposable(namespace, current, now) || namespace.writing.has(path))
    return changes
  // The versions before may have been all that there was beside it.
  const left = { ...entry, versions: entry.versions.filter((version) => !old.includes(version)) }
  changes.push(deletionOf(namespace, path, left, current, now))
  return changes
}

/** Old versions that have been old for the namespace's days of pruning; not those on hold, whatever their retention. */
function prunable({ settings }: Namespace, { versions }: StoredObject, now: number): Version[] {
  const { pruneDays } = settings
  if (pruneDays === null || versions.length < 2) return []
  return versions.filter((version, index) => {
    const next = versions[index + 1]
    return next !== undefined && next.ingest + pruneDays * day <= now && !isOnHold(version)
  })
}

/** Days after which what a collision has moved or renamed goes, if it does. */
function collisionDays({ documents }: Namespace): number | undefined {
  const { deleteEnabled, deleteDays } = documents['replicationCollisionSettings'] ?? {}
  return deleteEnabled === true ? Number(deleteDays) : undefined
}

function isDisposable(namespace: Namespace, version: Version, now: number): boolean {
  const { settings } = namespace
  const { retention, retentionClass } = version
  const days = version.collision ? collisionDays(namespace) : undefined
  if (days !== undefined && version.change + days * day <= now)
    return !isOnHold(version) && !isUnderRetention(version, now)
  if (!settings.dispositionEnabled || retentionClass === '' || isOnHold(version)) return false
  if (retention <= 0 || retention * 1000 > now) return false
  const name = retentionClass.toLowerCase()
  return settings.retentionClasses.some((each) => each.autoDelete && each.name.toLowerCase() === name)
}

/** Does what is due for one path: for an object, or for the objects in a directory. */
export async function settle(
  system: SystemSurface,
  namespace: Namespace,
  path: string,
  inside: boolean,
): Promise<void> {
  const entry = namespace.find(path)
  if (entry === undefined) return
  const now = system.now()
  const changes =
    entry.kind === 'object'
      ? dueChanges(namespace, path, entry, now)
      : inside && entry.kind === 'directory'
        ? [...objectsIn(entry, path, false)].flatMap(([at, object]) => dueChanges(namespace, at, object, now))
        : []
  await Promise.all(changes.map((change) => system.commit(namespace, change)))
}

/** Does what is due in a whole namespace. */
export async function runServices(system: SystemSurface, namespace: Namespace): Promise<ServiceReport> {
  if (!hasServices(namespace)) return { disposed: 0, pruned: 0 }
  const now = system.now()
  // All of them first: what is being walked must not change.
  const changes = [...objectsIn(namespace.root, '', true)].flatMap(([path, object]) =>
    dueChanges(namespace, path, object, now),
  )
  await Promise.all(changes.map((change) => system.commit(namespace, change)))
  const pruned = changes.reduce(
    (sum, change) => sum + (change.op === 'remove-versions' ? change.ids.length : 0),
    0,
  )
  return { disposed: changes.filter(({ op }) => op !== 'remove-versions').length, pruned }
}

function* objectsIn(
  directory: Directory,
  path: string,
  deep: boolean,
): Generator<[path: string, object: StoredObject]> {
  for (const [name, entry] of directory.children as ReadonlyMap<string, Entry>) {
    const at = path === '' ? name : `${path}/${name}`
    if (entry.kind === 'object') yield [at, entry]
    else if (deep && entry.kind === 'directory') yield* objectsIn(entry, at, true)
  }
}
