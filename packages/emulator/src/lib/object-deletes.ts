import type { Answer, Exchange } from './answer.ts'
import { need } from './answer.ts'
import { hasConditions } from './conditions.ts'
import type { Change, Directory, Namespace, StoredObject, Version } from './namespace.ts'
import { currentOf, isEmpty } from './namespace.ts'
import { Refusal } from './refusal.ts'
import type { Query } from './request-target.ts'
import { booleanParameter, decodeText } from './request-target.ts'
import { readForm } from './request-form.ts'
import { isOnHold, isUnderRetention } from './retention.ts'
import { parseVersion, versionsOf } from './version-values.ts'

const deletable = new Set(['purge', 'privileged', 'reason', 'version'])

/** DELETE of an object, a version, or an empty directory. */
export async function deleteObject(exchange: Exchange): Promise<Answer> {
  const { namespace, target, headers, system } = exchange
  if (hasConditions(headers)) throw new Refusal(400, 'DELETE takes no conditional headers.')
  const inBody = await readForm(exchange)
  if (inBody.size > 0 && target.query.size > 0) {
    throw new Refusal(400, 'Parameters come in the query or in the body, not in both.')
  }
  const query = inBody.size > 0 ? inBody : target.query
  for (const name of query.keys()) {
    if (!deletable.has(name)) throw new Refusal(400, `The parameter ${name} is not valid for this request.`)
  }
  const purge = booleanParameter(query, 'purge') ?? false
  const privileged = booleanParameter(query, 'privileged') ?? false
  need(exchange, 'delete')
  if (purge) need(exchange, 'purge')
  if (purge && query.has('version')) throw new Refusal(400, 'A purge removes all versions.')
  if (privileged) checkPrivileged(exchange, query)
  const entry = namespace.find(target.path)
  if (entry === undefined) throw new Refusal(404)
  const now = system.now()
  if (entry.kind !== 'object' && query.has('version')) throw new Refusal(404)
  if (entry.kind === 'directory') await deleteDirectory(exchange, entry, now)
  else if (entry.kind === 'symlink')
    await system.commit(namespace, { op: 'remove', path: target.path, at: now })
  else if (query.has('version')) await deleteVersion(exchange, entry, query.get('version')!, privileged, now)
  else await deleteCurrent(exchange, entry, { purge, privileged, now })
  return { status: 200, headers: [] }
}

function checkPrivileged(exchange: Exchange, query: Query): void {
  need(exchange, 'privileged')
  const reason = decodeText(query.get('reason') ?? '')
  const length = Array.from(reason).length
  if (length < 1 || length > 1_024) {
    throw new Refusal(400, 'A privileged delete needs a reason of 1 to 1,024 characters.')
  }
  if (exchange.namespace.settings.retentionMode !== 'enterprise') {
    throw new Refusal(403, 'Privileged deletes need enterprise mode.')
  }
}

async function deleteDirectory(
  { namespace, target, system }: Exchange,
  entry: Directory,
  now: number,
): Promise<void> {
  if (entry.deleted) throw new Refusal(404)
  if (target.path === '') throw new Refusal(403, 'The root directory cannot be deleted.')
  const inside = `${target.path}/`
  const busy = [...namespace.writing.keys()].some((path) => path.startsWith(inside))
  if (!isEmpty(entry)) throw new Refusal(403, 'The directory is not empty.')
  if (busy) throw new Refusal(409, 'Something is being written in the directory.')
  const keep = namespace.settings.versioning ? { keep: true as const } : {}
  await system.commit(namespace, { op: 'remove', path: target.path, at: now, ...keep })
}

function checkDeletable(version: Version, privileged: boolean, now: number): void {
  if (isOnHold(version)) throw new Refusal(403, 'The object is on hold.')
  if (!privileged && isUnderRetention(version, now)) throw new Refusal(403, 'The object is under retention.')
}

async function deleteCurrent(
  { namespace, target, system }: Exchange,
  entry: StoredObject,
  { purge, privileged, now }: { purge: boolean; privileged: boolean; now: number },
): Promise<void> {
  const { path } = target
  const current = currentOf(entry)
  if (namespace.writing.has(path)) throw new Refusal(409, 'The object is being written.')
  if (purge) {
    for (const version of entry.versions)
      if (version.marker === undefined) checkDeletable(version, privileged, now)
    await system.commit(namespace, { op: 'remove', path, at: now })
    return
  }
  if (current === undefined) throw new Refusal(404)
  checkDeletable(current, privileged, now)
  await system.commit(namespace, deletionOf(namespace, path, entry, current, now))
}

/** The change that deletes the current version: without versioning the object goes, with it a delete marker comes. */
export function deletionOf(
  namespace: Namespace,
  path: string,
  { versions }: StoredObject,
  current: Version,
  now: number,
): Change {
  // Old versions may be there from a time with versioning: they stay, and the one below does not come up again.
  if (!namespace.settings.versioning && versions.length === 1) return { op: 'remove', path, at: now }
  const id = namespace.nextVersionId(path, now)
  const ingest = Math.floor((id - 1) / 64)
  const version: Version = { ...current, id, marker: true, ingest, change: now, annotations: [] }
  return { op: 'put', path, version }
}

async function deleteVersion(
  { namespace, target, system }: Exchange,
  entry: StoredObject,
  text: string,
  privileged: boolean,
  now: number,
): Promise<void> {
  if (!namespace.settings.versioning) throw new Refusal(400, 'Versioning is off.')
  if (namespace.writing.has(target.path)) throw new Refusal(409, 'The object is being written.')
  const versions = versionsOf(entry.versions, parseVersion(text))
  if (versions.length === 0) throw new Refusal(404)
  // All or none.
  for (const version of versions) {
    if (version.marker !== undefined) continue
    checkDeletable(version, privileged, now)
    const everKept = version.retention !== 0 && version.retention * 1000 > version.ingest
    if (
      version !== entry.versions.at(-1) &&
      everKept &&
      !privileged &&
      !system.choices.deleteOldAfterRetention
    )
      throw new Refusal(403, 'The version was under retention: it goes with a purge only.')
  }
  const ids = versions.map(({ id }) => id)
  await system.commit(namespace, { op: 'remove-versions', path: target.path, ids, at: now })
}
