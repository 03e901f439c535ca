import { xmlFault } from './annotation-xml.ts'
import type { Answer, Exchange } from './answer.ts'
import { need } from './answer.ts'
import type { Blob } from './blob-store.ts'
import { maximumAnnotations, maximumAnnotationSize, maximumCheckedAnnotationSize } from './choices.ts'
import { hasConditions } from './conditions.ts'
import { acceptsGzip, compressed, gunzipped, isGzip } from './content-coding.ts'
import type { Annotation, Version } from './namespace.ts'
import { changeTimes, uncached } from './object-headers.ts'
import { Refusal } from './refusal.ts'
import { limited } from './request-body.ts'
import type { Query } from './request-target.ts'
import { decodeText } from './request-target.ts'
import { isOnHold, isUnderRetention } from './retention.ts'
import { zonedTime } from './times.ts'
import { parseVersion, versionAt } from './version-values.ts'

/** The annotation that a request names; 400 for what cannot be a name. */
export function annotationName(query: Query): string {
  const name = decodeText(query.get('annotation') ?? 'default', 'plus')
  if (!/^[A-Za-z0-9._-]{1,32}$/.test(name) || !/[A-Za-z0-9]/.test(name)) {
    throw new Refusal(400, 'The annotation name is invalid.')
  }
  return name
}

/** Says why an annotation cannot be taken, if it cannot. */
export async function checkAnnotation(
  exchange: Exchange,
  name: string,
  blob: Blob,
): Promise<Refusal | undefined> {
  const { checkXml } = exchange.namespace.settings
  if (blob.size > annotationLimit(exchange, name)) return new Refusal(413, 'The annotation is too large.')
  if (!checkXml || blob.size === 0) return undefined
  if (blob.size > maximumCheckedAnnotationSize) return undefined
  const chunks: Buffer[] = []
  for await (const chunk of exchange.system.blobs.read(blob)) chunks.push(chunk as Buffer)
  const fault = xmlFault(Buffer.concat(chunks).toString())
  return fault === undefined ? undefined : new Refusal(400, fault)
}

/** Bytes that an annotation of this name may have. */
function annotationLimit({ namespace, system }: Exchange, name: string): number {
  const small = namespace.settings.checkXml || system.choices.smallAnnotations === 'always'
  return small && name !== 'default' ? maximumCheckedAnnotationSize : maximumAnnotationSize
}

export async function putAnnotation(exchange: Exchange): Promise<Answer> {
  const { namespace, target, system, body } = exchange
  need(exchange, 'write')
  checkNoConditions(exchange)
  const name = annotationName(target.query)
  const gzip = isGzip(exchange)
  if (namespace.find(target.path)?.kind === 'directory') {
    throw new Refusal(400, 'Custom Metadatasetting is not allowed on a directory')
  }
  checkAnnotationRoom(exchange, object(exchange), name)
  const room = Math.min(namespace.settings.quotaBytes - namespace.usedBytes, annotationLimit(exchange, name))
  if ((body.announced ?? 0) > room) throw new Refusal(413, 'The annotation is too large.')
  const source = limited(gzip ? gunzipped(body) : body, room)
  const blob = await system.blobs.write(source, namespace.settings.hashScheme)
  try {
    const refused = await checkAnnotation(exchange, name, blob)
    if (refused !== undefined) throw refused
    // The object may have been changed or deleted meanwhile.
    const before = object(exchange)
    checkAnnotationRoom(exchange, before, name)
    if (namespace.usedBytes + blob.size > namespace.settings.quotaBytes)
      throw new Refusal(413, 'The quota is exhausted.')
    const change = Math.floor(system.now() / 1000) * 1000
    const others = before.annotations.filter((annotation) => annotation.name !== name)
    await commit(exchange, before, [...others, { name, blob, change }])
  } catch (error) {
    await system.blobs.delete(blob)
    throw error
  }
  return { status: 201, headers: system.choices.annotationHash ? ['X-HCP-Hash', blob.hash] : [] }
}

export async function deleteAnnotation(exchange: Exchange): Promise<Answer> {
  const { namespace, target, headers, system } = exchange
  need(exchange, 'delete')
  if (hasConditions(headers)) throw new Refusal(400, 'DELETE takes no conditional headers.')
  const name = annotationName(target.query)
  const version = object(exchange)
  find(version, name)
  if (namespace.writing.has(target.path)) throw new Refusal(409, 'The object is being written.')
  const rule = namespace.settings.annotationsUnderRetention
  if ((isOnHold(version) || isUnderRetention(version, system.now())) && rule !== 'ALL') {
    throw new Refusal(403, 'The object is under retention: its annotations cannot be deleted.')
  }
  await commit(
    exchange,
    version,
    version.annotations.filter((annotation) => annotation.name !== name),
  )
  return { status: 200, headers: [] }
}

/** GET and HEAD of an annotation. */
export function readAnnotation(exchange: Exchange): Answer {
  const { target, system, method, headers: sent } = exchange
  need(exchange, 'read')
  checkNoConditions(exchange)
  const version = object(exchange)
  const { blob, change } = find(version, annotationName(target.query))
  const gzip = method === 'GET' && acceptsGzip(sent['accept-encoding'], system.choices)
  const headers = [
    'ETag',
    `"${version.data.md5}"`,
    ...uncached,
    'Content-Type',
    'text/xml',
    ...(gzip ? ['Content-Encoding', 'gzip', 'X-HCP-ContentLength'] : ['Content-Length']),
    String(blob.size),
    'X-HCP-Type',
    'annotation',
    'X-HCP-Size',
    String(blob.size),
    'X-HCP-Hash',
    blob.hash,
    ...changeTimes(change),
  ]
  if (method === 'HEAD') return { status: 200, headers }
  const body = system.blobs.buffer(blob) ?? system.blobs.read(blob)
  return { status: 200, headers, body: gzip ? compressed(body) : body }
}

/** The list of an object's annotations. */
export function annotationInfo(exchange: Exchange): Answer {
  need(exchange, 'read')
  const version = object(exchange)
  if (version.annotations.length === 0) throw new Refusal(204)
  const type = exchange.namespace.settings.checkXml ? 'text/xml' : 'unknown'
  const entries = version.annotations.map(
    ({ name, blob, change }) => `  <annotation>
    <name>${name}</name>
    <hash>${blob.hash}</hash>
    <changeTimeMilliseconds>${change}.00</changeTimeMilliseconds>
    <changeTimeString>${zonedTime(change)}</changeTimeString>
    <size>${blob.size}</size>
    <contentType>${type}</contentType>
  </annotation>\n`,
  )
  const body = Buffer.from(
    `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<annotations>\n${entries.join('')}</annotations>\n`,
  )
  const { method, headers: sent, system } = exchange
  const gzip = method === 'GET' && acceptsGzip(sent['accept-encoding'], system.choices)
  const length = gzip ? ['Content-Encoding', 'gzip', 'X-HCP-ContentLength'] : ['Content-Length']
  const headers = [...uncached, 'Content-Type', 'text/xml', ...length, String(body.length)]
  if (method === 'HEAD') return { status: 200, headers }
  return { status: 200, headers, body: gzip ? compressed(body) : body }
}

/** The version that a request is about: the current one, or for reading the one it names. */
export function object(exchange: Exchange): Version {
  const { namespace, target } = exchange
  const text = target.query.get('version')
  const entry = namespace.find(target.path)
  if (entry?.kind !== 'object') throw new Refusal(404)
  if (text === undefined) {
    const current = entry.versions.at(-1)
    if (current === undefined || current.marker) throw new Refusal(404)
    return current
  }
  const version = versionAt(entry.versions, parseVersion(text))
  if (version === undefined) throw new Refusal(404)
  if (version.marker) throw deletedVersion(exchange, version)
  return version
}

/** What an id is answered with that is a delete marker's. */
export function deletedVersion({ system }: Exchange, { id }: Version): Refusal {
  return new Refusal(system.choices.deletedVersion, '', ['X-HCP-VersionId', String(id)])
}

function checkNoConditions({ headers, system }: Exchange): void {
  if (system.choices.annotationConditions === 'refused' && hasConditions(headers))
    throw new Refusal(400, 'Annotations take no conditional headers.')
}

function find(version: Version, name: string): Annotation {
  const annotation = version.annotations.find((annotation) => annotation.name === name)
  if (annotation === undefined) throw new Refusal(204, `No annotation exists with name ${name}.`)
  return annotation
}

function checkAnnotationRoom({ namespace, system }: Exchange, version: Version, name: string): void {
  const exists = version.annotations.some((annotation) => annotation.name === name)
  if (!exists && version.annotations.length >= maximumAnnotations) {
    throw new Refusal(400, `An object has no more than ${maximumAnnotations} annotations.`)
  }
  const rule = namespace.settings.annotationsUnderRetention
  if (
    (isOnHold(version) || isUnderRetention(version, system.now())) &&
    (rule === 'NONE' || (rule === 'ADD' && exists))
  ) {
    throw new Refusal(403, 'The object is under retention: the namespace does not allow this.')
  }
}

function commit(exchange: Exchange, before: Version, annotations: readonly Annotation[]): Promise<void> {
  const { namespace, target, system } = exchange
  const version: Version = { ...before, change: system.now(), annotations }
  return system.commit(namespace, { op: 'update', path: target.path, version })
}
