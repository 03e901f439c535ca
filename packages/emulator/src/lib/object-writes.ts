import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { Answer, Exchange } from './answer.ts'
import { need } from './answer.ts'
import { annotationName, checkAnnotation } from './annotations.ts'
import type { Blob } from './blob-store.ts'
import { maximumAnnotationSize, maximumFormSize, maximumObjectSize } from './choices.ts'
import { checkConditions, hasConditions } from './conditions.ts'
import { contentTypeOf } from './content-types.ts'
import type { Annotation, Directory, Namespace, StoredObject, Version } from './namespace.ts'
import { currentOf, isEmpty } from './namespace.ts'
import { Refusal } from './refusal.ts'
import type { Query } from './request-target.ts'
import { booleanParameter, decodeText, encodeBytes, parseQuery } from './request-target.ts'
import type { Retention } from './retention.ts'
import { checkRetentionChange, isUnderRetention, parseRetention } from './retention.ts'

/** System metadata as a request sets it; what is missing stays or comes from the namespace. */
interface Settings {
  readonly retention: Retention | undefined
  readonly hold: boolean | undefined
  readonly shred: boolean | undefined
  readonly index: boolean | undefined
}

/** PUT of an object or of a version of it, with `whole` also of one annotation. */
export async function putObject(exchange: Exchange, whole: boolean): Promise<Answer> {
  const { namespace, target, headers, system, body } = exchange
  const { path, query } = target
  need(exchange, 'write')
  if (path === '') throw new Refusal(409, 'The root directory exists.')
  const encoding = contentEncoding(exchange)
  const arrived = system.now()
  const name = whole ? annotationName(query) : ''
  const dataSize = whole ? wholeObjectSize(exchange) : undefined
  const before = checkName(namespace, path)
  const settings = readSettings(exchange, query, arrived)
  if (settings.hold !== undefined) need(exchange, 'privileged')
  checkAcl(query)
  if (namespace.writing.has(path) && (hasConditions(headers) || !namespace.settings.versioning)) {
    throw new Refusal(409, 'The object is being written.')
  }
  checkConditions(headers, before, false)
  checkOverwrite(namespace, before, arrived)
  const room = roomFor(namespace, body.announced ?? 0)

  const id = namespace.nextVersionId(path, arrived)
  const release = namespace.reserve(path, id)
  const written: Blob[] = []
  try {
    const sized = encoding === undefined && body.announced !== undefined
    const source = sized ? body : limited(encoding === 'gzip' ? gunzipped(body) : body, room)
    let version: Version
    let refused: Refusal | undefined
    if (dataSize === undefined) {
      const data = await store(exchange, source, written)
      version = newVersion(exchange, id, before, settings, data, [])
    } else {
      const parts = splitAt(source, dataSize)
      const data = await store(exchange, parts.first, written)
      if (data.size < dataSize) throw new Refusal(400, 'X-HCP-Size is larger than the content.')
      const annotation = await store(exchange, limited(parts.rest, maximumAnnotationSize), written)
      refused = await checkAnnotation(exchange, name, annotation)
      version = refused
        ? {
            ...newVersion(exchange, id, before, settings, await leftover(exchange, written), []),
            leftBehind: true,
          }
        : newVersion(exchange, id, before, settings, data, [
            { name, blob: annotation, change: seconds(arrived) },
          ])
    }
    // Others may have been faster with a directory, or with this very name, since the first look.
    const now = checkName(namespace, path)
    checkOverwrite(namespace, now, arrived)
    const replaces = now !== undefined && !namespace.settings.versioning
    const used = new Set([version.data.id, ...version.annotations.map(({ blob }) => blob.id)])
    await system.commit(namespace, { op: replaces ? 'replace' : 'put', path, version })
    for (const blob of written.splice(0)) if (!used.has(blob.id)) void system.blobs.delete(blob)
    if (refused !== undefined) throw refused
    return created(exchange, version)
  } finally {
    release()
    // What is still listed here belongs to no version.
    for (const blob of written) void system.blobs.delete(blob)
  }
}

function created({ system, target }: Exchange, version: Version): Answer {
  const annotation = version.annotations.at(-1)
  const hashes = ['X-HCP-Hash', version.data.hash, 'ETag', `"${version.data.md5}"`]
  return {
    status: 201,
    headers: [
      'Location',
      `/rest/${encodeBytes(target.path)}`,
      'X-HCP-VersionId',
      String(version.id),
      system.choices.putTimeHeader,
      String(version.ingest),
      ...hashes,
      ...(target.query.get('type') === 'whole-object' && annotation !== undefined
        ? ['X-HCP-CustomMetadataHash', annotation.blob.hash]
        : []),
    ],
  }
}

function contentEncoding({ headers }: Exchange): 'gzip' | undefined {
  const encoding = headers['content-encoding']?.trim().toLowerCase()
  if (encoding === undefined || encoding === '' || encoding === 'identity') return undefined
  if (encoding !== 'gzip') throw new Refusal(415, 'The only Content-Encoding is gzip.')
  return 'gzip'
}

function wholeObjectSize({ headers, body }: Exchange): number {
  const size = headers['x-hcp-size']
  if (typeof size !== 'string' || !/^\d{1,15}$/.test(size)) {
    throw new Refusal(400, 'X-HCP-Size is missing or invalid.')
  }
  if (headers['content-encoding'] === undefined && Number(size) > (body.announced ?? Infinity)) {
    throw new Refusal(400, 'X-HCP-Size is larger than the content.')
  }
  return Number(size)
}

/** What has the name: the current version, or nothing. Refuses where a directory is in the way. */
function checkName(namespace: Namespace, path: string): Version | undefined {
  const entry = namespace.find(path)
  if (entry?.kind === 'directory') throw new Refusal(409, 'A directory with this name exists.')
  if (entry === undefined) namespace.checkParents(path)
  return entry === undefined ? undefined : currentOf(entry)
}

function checkOverwrite(namespace: Namespace, before: Version | undefined, now: number): void {
  if (before === undefined || before.leftBehind) return
  if (!namespace.settings.versioning) throw new Refusal(409, 'The object exists and versioning is off.')
  if (before.hold) throw new Refusal(403, 'The object is on hold.')
  if (isUnderRetention(before, now)) throw new Refusal(403, 'The object is under retention.')
}

/** Bytes that may still come; refuses at once what is announced as more. */
function roomFor(namespace: Namespace, announced: number): number {
  const room = Math.min(namespace.settings.quotaBytes - namespace.usedBytes, maximumObjectSize)
  if (announced > room || room <= 0) {
    throw new Refusal(
      413,
      announced > maximumObjectSize ? 'The object is too large.' : 'The quota is exhausted.',
    )
  }
  return room
}

function checkAcl(query: Query): void {
  const acl = query.get('acl')
  if (acl === undefined) return
  throw new Refusal(400, 'Access control lists are not enabled for this namespace.')
}

async function store(exchange: Exchange, source: AsyncIterable<Buffer>, written: Blob[]): Promise<Blob> {
  const { hashScheme } = exchange.namespace.settings
  const blob = await exchange.system.blobs.write(source, { hashScheme })
  written.push(blob)
  return blob
}

/** The empty data of an object whose annotation was refused. */
function leftover(exchange: Exchange, written: Blob[]): Promise<Blob> {
  return store(exchange, Readable.from([]), written)
}

async function* limited(source: AsyncIterable<Buffer>, room: number): AsyncGenerator<Buffer> {
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (size > room) throw new Refusal(413, 'The content is larger than what there is room for.')
    yield chunk
  }
}

async function* gunzipped(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip()
  pipeline(Readable.from(source), gunzip, () => {})
  try {
    yield* gunzip
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    throw code.startsWith('Z_') ? new Refusal(400, 'The content is not gzip, as announced.') : error
  }
}

/** A stream's first bytes and the others, to be read one after the other. */
function splitAt(
  source: AsyncIterable<Buffer>,
  size: number,
): { first: AsyncGenerator<Buffer>; rest: AsyncGenerator<Buffer> } {
  const chunks = source[Symbol.asyncIterator]()
  let over: Buffer | undefined
  async function* first(): AsyncGenerator<Buffer> {
    let left = size
    while (left > 0) {
      const { done, value } = await chunks.next()
      if (done === true) return
      if (value.length > left) over = value.subarray(left)
      yield value.subarray(0, left)
      left -= Math.min(left, value.length)
    }
  }
  async function* rest(): AsyncGenerator<Buffer> {
    if (over !== undefined) yield over
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value
  }
  return { first: first(), rest: rest() }
}

function newVersion(
  exchange: Exchange,
  id: number,
  before: Version | undefined,
  settings: Settings,
  data: Blob,
  annotations: readonly Annotation[],
): Version {
  const { namespace, system, caller, target, headers } = exchange
  const now = system.now()
  const defaults = namespace.settings
  const parent = before?.leftBehind ? undefined : before
  const retention =
    settings.retention ??
    (parent === undefined ? defaultRetention(exchange, now) : inheritedRetention(parent))
  const type = headers['content-type']
  const added = new Set(annotations.map(({ name }) => name))
  return {
    id,
    data,
    ingest: Math.floor((id - 1) / 64),
    change: now,
    retention: retention.retention,
    retentionClass: retention.retentionClass,
    hold: settings.hold ?? false,
    shred: settings.shred ?? parent?.shred ?? defaults.defaultShred,
    dpl: defaults.dpl,
    index: settings.index ?? parent?.index ?? defaults.defaultIndex,
    owner: typeof caller === 'string' ? '' : caller.user,
    domain: '',
    contentType: type !== undefined && system.choices.contentTypeFromPut ? type : contentTypeOf(target.path),
    annotations: [...(parent?.annotations.filter(({ name }) => !added.has(name)) ?? []), ...annotations],
    ...(parent?.acl === undefined ? {} : { acl: parent.acl }),
  }
}

function inheritedRetention({ retention, retentionClass }: Version): Retention {
  return { retention, retentionClass }
}

function defaultRetention({ namespace }: Exchange, now: number): Retention {
  const found = parseRetention(namespace.settings.defaultRetention, namespace.settings, now)
  return found.retention > 0 && found.retention * 1000 <= now ? { ...found, retention: 0 } : found
}

function readSettings({ namespace }: Exchange, query: Query, now: number, current?: Version): Settings {
  const retention = query.get('retention')
  return {
    retention:
      retention === undefined
        ? undefined
        : parseRetention(decodeText(retention, 'plus'), namespace.settings, now, current),
    hold: booleanParameter(query, 'hold'),
    shred: booleanParameter(query, 'shred'),
    index: booleanParameter(query, 'index'),
  }
}

/** Annotations change on the second. */
export function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000
}

const changeable = new Set([
  'retention',
  'hold',
  'label_hold',
  'label-hold',
  'index',
  'shred',
  'owner',
  'domain',
])

/** POST: changes an object's system metadata; parameters come as form body or as query. */
export async function postObject(exchange: Exchange): Promise<Answer> {
  const { namespace, target, system } = exchange
  need(exchange, 'write')
  const query = new Map([...target.query, ...(await form(exchange))])
  for (const name of query.keys()) {
    if (!changeable.has(name)) throw new Refusal(400, `The parameter ${name} is not valid for this request.`)
  }
  if (query.has('label_hold') || query.has('label-hold'))
    throw new Refusal(400, 'Labeled holds are not played.')
  const now = system.now()
  const before = namespace.current(target.path)
  if (before === undefined) throw new Refusal(404)
  const settings = readSettings(exchange, query, now, before)
  const { retention, hold, shred, index } = settings
  if (hold !== undefined && retention !== undefined) {
    throw new Refusal(400, 'Retention and hold cannot be changed in one request.')
  }
  if (hold !== undefined) need(exchange, 'privileged')
  if (retention !== undefined) checkRetentionChange(before, retention, now)
  if (shred === false && before.shred) throw new Refusal(400, 'shred cannot be changed from true to false.')
  const owner = newOwner(exchange, query, before, now)
  const version: Version = {
    ...before,
    change: now,
    retention: retention?.retention ?? before.retention,
    retentionClass: retention?.retentionClass ?? before.retentionClass,
    hold: hold ?? before.hold,
    shred: shred ?? before.shred,
    index: index ?? before.index,
    owner: owner ?? before.owner,
  }
  await system.commit(namespace, { op: 'update', path: target.path, version })
  return { status: 200, headers: [] }
}

function newOwner(
  { namespace, tenant, permissions }: Exchange,
  query: Query,
  before: Version,
  now: number,
): string | undefined {
  const owner = query.get('owner')
  const domain = query.get('domain')
  if (owner === undefined && domain === undefined) return undefined
  if (!permissions.has('changeOwner')) throw new Refusal(403, 'The permission changeOwner is missing.')
  if (domain !== undefined && domain !== '') throw new Refusal(400, 'The namespace has no Active Directory.')
  if (isUnderRetention(before, now) && !namespace.settings.ownerChangeUnderRetention) {
    throw new Refusal(403, 'The owner of an object under retention cannot be changed.')
  }
  const name = decodeText(owner ?? '')
  const known = name === '' || tenant.accounts.has(name)
  if (!known) throw new Refusal(400, 'The owner is unknown.')
  return name
}

/** The form body of a POST or DELETE. */
async function form({ headers, body }: Exchange): Promise<Query> {
  const bytes = await body.buffer(maximumFormSize)
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (bytes.length === 0) return new Map()
  if (type !== undefined && type !== 'application/x-www-form-urlencoded') {
    throw new Refusal(400, 'The body must be application/x-www-form-urlencoded.')
  }
  return parseQuery(bytes.toString('latin1').trim())
}

const deletable = new Set(['purge', 'privileged', 'reason', 'version'])

/** DELETE of an object, a version, or an empty directory. */
export async function deleteObject(exchange: Exchange): Promise<Answer> {
  const { namespace, target, headers, system } = exchange
  if (hasConditions(headers)) throw new Refusal(400, 'DELETE takes no conditional headers.')
  const inBody = await form(exchange)
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
  if (privileged) checkPrivileged(exchange, query)
  const entry = namespace.find(target.path)
  if (entry === undefined) throw new Refusal(404)
  const now = system.now()
  if (entry.kind === 'directory') await deleteDirectory(exchange, entry, now)
  else if (query.has('version')) await deleteVersion(exchange, entry, query.get('version')!, privileged, now)
  else await deleteCurrent(exchange, entry, { purge, privileged, now })
  return { status: 200, headers: [] }
}

function checkPrivileged(exchange: Exchange, query: Query): void {
  need(exchange, 'privileged')
  const reason = decodeText(query.get('reason') ?? '')
  if (reason.length < 1 || reason.length > 1_024) {
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
  if (busy || !isEmpty(entry)) throw new Refusal(403, 'The directory is not empty.')
  await system.commit(namespace, { op: 'remove', path: target.path, at: now })
}

function checkDeletable(version: Version, privileged: boolean, now: number): void {
  if (version.hold) throw new Refusal(403, 'The object is on hold.')
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
  if (!namespace.settings.versioning) {
    // Old versions may be there from a time with versioning: they stay, and the one below does not come up again.
    const change = entry.versions.length === 1 ? { op: 'remove' as const, path, at: now } : undefined
    if (change !== undefined) {
      await system.commit(namespace, change)
      return
    }
  }
  const id = namespace.nextVersionId(path, now)
  const marker: Version = {
    ...current,
    id,
    marker: true,
    ingest: Math.floor((id - 1) / 64),
    change: now,
    annotations: [],
  }
  await system.commit(namespace, { op: 'put', path, version: marker })
}

async function deleteVersion(
  { namespace, target, system }: Exchange,
  entry: StoredObject,
  text: string,
  privileged: boolean,
  now: number,
): Promise<void> {
  if (!namespace.settings.versioning) throw new Refusal(400, 'Versioning is off.')
  const version = entry.versions.find(({ id }) => String(id) === text)
  if (version === undefined) {
    throw /^\d+$/.test(text) ? new Refusal(404) : new Refusal(400, 'The version is invalid.')
  }
  if (version.marker === undefined) checkDeletable(version, privileged, now)
  await system.commit(namespace, { op: 'remove-version', path: target.path, id: version.id, at: now })
}
