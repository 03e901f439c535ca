import { Readable } from 'node:stream'
import { predefinedAcl } from './acl-requests.ts'
import type { Answer, Exchange } from './answer.ts'
import { need } from './answer.ts'
import { annotationName, checkAnnotation } from './annotations.ts'
import type { Blob } from './blob-store.ts'
import { maximumAnnotations, maximumAnnotationSize, maximumObjectSize } from './choices.ts'
import { checkConditions, hasConditions } from './conditions.ts'
import { gunzipped, isGzip } from './content-coding.ts'
import { contentTypeOf } from './content-types.ts'
import { changedLabels } from './labeled-holds.ts'
import type { Annotation, Change, Namespace, Version } from './namespace.ts'
import { currentOf } from './namespace.ts'
import type { Settings } from './object-settings.ts'
import { readSettings } from './object-settings.ts'
import { Refusal } from './refusal.ts'
import { limited } from './request-body.ts'
import { encodeBytes } from './request-target.ts'
import { othersOf } from './shared-metadata.ts'
import { defaultRetention, inheritedRetention, isOnHold, isUnderRetention } from './retention.ts'

/** PUT of an object or of a version of it, with `whole` also of one annotation. */
export async function putObject(exchange: Exchange, whole: boolean): Promise<Answer> {
  const { target, system, body } = exchange
  need(exchange, 'write')
  if (target.path === '') throw new Refusal(409, 'The root directory exists.')
  const gzip = isGzip(exchange)
  const arrived = system.now()
  const name = whole ? annotationName(target.query) : ''
  const dataSize = whole ? wholeObjectSize(exchange) : undefined
  const settings = readWriteSettings(exchange, arrived)
  const announced = body.announced ?? 0
  return storeVersion(exchange, { arrived, announced, settings, inherits: true }, async (written, room) => {
    const sized = !gzip && body.announced !== undefined
    const source = sized ? body : limited(gzip ? gunzipped(body) : body, room)
    if (dataSize === undefined) return { data: await store(exchange, source, written), annotations: [] }
    const parts = splitAt(source, dataSize)
    const data = await store(exchange, parts.first, written)
    if (data.size < dataSize) throw new Refusal(400, 'X-HCP-Size is larger than the content.')
    const blob = await store(exchange, limited(parts.rest, maximumAnnotationSize), written)
    const refused = await checkAnnotation(exchange, name, blob)
    if (refused !== undefined) return leftBehind(exchange, written, refused)
    return { data, annotations: [{ name, blob, change: seconds(arrived) }] }
  })
}

/** The settings that a PUT names, checked against what its sender may. */
export function readWriteSettings(exchange: Exchange, arrived: number): Settings {
  const { query } = exchange.target
  const settings = readSettings(exchange, query, arrived)
  if (settings.hold !== undefined || settings.labels !== undefined) need(exchange, 'privileged')
  return { ...settings, acl: predefinedAcl(exchange) }
}

/** What a version is made of. */
export interface Made {
  readonly data: Blob
  readonly annotations: readonly Annotation[]
  /** Goes out when the version is stored, which is an empty one that may be replaced. */
  readonly refused?: Refusal
}

export interface Storing {
  /** Epoch milliseconds. */
  readonly arrived: number
  /** Bytes that are known to come. */
  readonly announced: number
  readonly settings: Settings
  /** What the request does not say comes from the version before, and not from the namespace. */
  readonly inherits: boolean
}

/**
 * Stores a version under the request's path: as a new object, as a new version, or not at all.
 *
 * @param make Stores what it is made of, and lists that in `written`; `room` is the bytes that there is room for.
 */
export async function storeVersion(
  exchange: Exchange,
  { arrived, announced, settings, inherits }: Storing,
  make: (written: Blob[], room: number) => Promise<Made>,
): Promise<Answer> {
  const { namespace, target, headers, system } = exchange
  const { path } = target
  const before = checkName(namespace, path)
  const alone = !namespace.settings.versioning || system.choices.concurrentVersions === 'refused'
  if (namespace.writing.has(path) && (alone || hasConditions(headers))) {
    throw new Refusal(409, 'The object is being written.')
  }
  checkConditions(headers, before, false)
  checkOverwrite(namespace, before, arrived)
  const room = roomFor(namespace, announced)

  const id = namespace.nextVersionId(path, arrived)
  const release = namespace.reserve(path, id)
  const written: Blob[] = []
  try {
    const made = await make(written, room)
    // Others may have been faster with a directory, or with this very name, since the first look.
    const now = checkName(namespace, path)
    checkOverwrite(namespace, now, arrived)
    const parent = inherits ? versionBefore(namespace, path, id) : undefined
    const version = newVersion(exchange, id, parent, settings, made)
    checkQuota(namespace, version)
    const replaces = now !== undefined && !namespace.settings.versioning
    const used = new Set([version.data.id, ...version.annotations.map(({ blob }) => blob.id)])
    // A hold or a list is that of all versions.
    const set = (['hold', 'labels', 'acl'] as const).filter((field) => settings[field] !== undefined)
    const change: Change = replaces
      ? { op: 'replace', path, version }
      : { op: 'put', path, version, ...othersOf(namespace, path, version, set) }
    await system.commit(namespace, change)
    for (const blob of written.splice(0)) if (!used.has(blob.id)) void system.blobs.delete(blob)
    if (made.refused !== undefined) throw made.refused
    return created(exchange, version)
  } finally {
    release()
    // What is still listed here belongs to no version.
    for (const blob of written) void system.blobs.delete(blob)
  }
}

/** As it is now: it may have been changed since the request came. */
function versionBefore(namespace: Namespace, path: string, id: number): Version | undefined {
  const entry = namespace.find(path)
  const found = entry?.kind === 'object' ? entry.versions.findLast((version) => version.id < id) : undefined
  return found?.marker || found?.leftBehind ? undefined : found
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
  if (entry?.kind === 'object') return currentOf(entry)
  if (entry?.deleted === false) throw new Refusal(409, 'A directory or symbolic link with this name exists.')
  if (entry === undefined) namespace.checkParents(path)
  return undefined
}

function checkOverwrite(namespace: Namespace, before: Version | undefined, now: number): void {
  if (before === undefined) return
  if (isOnHold(before)) throw new Refusal(namespace.settings.versioning ? 403 : 409, 'The object is on hold.')
  if (before.leftBehind) return
  if (!namespace.settings.versioning) throw new Refusal(409, 'The object exists and versioning is off.')
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

/** Others may have taken the room meanwhile. */
function checkQuota({ settings, usedBytes }: Namespace, { data, annotations }: Version): void {
  const size = annotations.reduce((sum, { blob }) => sum + blob.size, data.size)
  if (usedBytes + size > settings.quotaBytes) throw new Refusal(413, 'The quota is exhausted.')
}

/** Stores a body, and notes that it is stored. */
export async function store(
  exchange: Exchange,
  source: AsyncIterable<Buffer>,
  written: Blob[],
): Promise<Blob> {
  const { hashScheme } = exchange.namespace.settings
  const blob = await exchange.system.blobs.write(source, hashScheme)
  written.push(blob)
  return blob
}

/** The empty object that is left where an annotation was refused. */
export async function leftBehind(exchange: Exchange, written: Blob[], refused: Refusal): Promise<Made> {
  return { data: await store(exchange, Readable.from([]), written), annotations: [], refused }
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
  parent: Version | undefined,
  settings: Settings,
  { data, annotations, refused }: Made,
): Version {
  const { namespace, system, caller, target, headers } = exchange
  const now = system.now()
  const defaults = namespace.settings
  const retention =
    settings.retention ??
    (parent === undefined ? defaultRetention(defaults, now) : inheritedRetention(parent, defaults, now))
  const added = new Set(annotations.map(({ name }) => name))
  const inherited = (system.choices.inheritAnnotations && parent?.annotations) || []
  const kept = inherited.filter(({ name }) => !added.has(name))
  if (kept.length + annotations.length > maximumAnnotations)
    throw new Refusal(400, `An object has no more than ${maximumAnnotations} annotations.`)
  const type = headers['content-type']
  const labels = changedLabels(undefined, settings.labels)
  const acl = settings.acl ?? parent?.acl
  return {
    id,
    data,
    ingest: Math.floor((id - 1) / 64),
    change: now,
    retention: retention.retention,
    retentionClass: retention.retentionClass,
    hold: settings.hold ?? false,
    ...(labels === undefined ? {} : { labels }),
    shred: settings.shred ?? parent?.shred ?? defaults.defaultShred,
    dpl: defaults.dpl,
    index: settings.index ?? parent?.index ?? defaults.defaultIndex,
    owner: typeof caller === 'string' ? '' : caller.user,
    domain: '',
    contentType: type !== undefined && system.choices.contentTypeFromPut ? type : contentTypeOf(target.path),
    annotations: [...kept, ...annotations],
    ...(acl === undefined ? {} : { acl }),
    ...(refused === undefined ? {} : { leftBehind: true as const }),
  }
}

/** Annotations change on the second. */
function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000
}
