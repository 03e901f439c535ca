import { Readable } from 'node:stream'
import type { Answer, Exchange } from './answer.ts'
import { need } from './answer.ts'
import { acceptsGzip, compressed } from './content-coding.ts'
import type { Directory, Entry, Namespace, Version } from './namespace.ts'
import { currentOf } from './namespace.ts'
import { annotationList, changeTimes } from './object-headers.ts'
import { Refusal } from './refusal.ts'
import { booleanParameter, encodeBytes } from './request-target.ts'
import { retentionString } from './retention.ts'
import { listingTime, zonedTime } from './times.ts'

/** PUT of a directory. */
export async function putDirectory(exchange: Exchange): Promise<Answer> {
  const { namespace, target, system } = exchange
  need(exchange, 'write')
  const entry = namespace.find(target.path)
  const exists = entry?.kind === 'object' ? currentOf(entry) !== undefined : entry?.deleted === false
  if (exists || namespace.writing.has(target.path)) throw new Refusal(409, 'The name is taken.')
  namespace.checkParents(target.path)
  await system.commit(namespace, { op: 'directory', path: target.path, at: system.now() })
  return { status: 201, headers: ['Location', `/rest/${encodeBytes(target.path)}`] }
}

/** GET (a listing) and HEAD of a directory. */
export function readDirectory(exchange: Exchange, directory: Directory): Answer {
  const { target, method, namespace, system, headers: sent } = exchange
  need(exchange, 'browse')
  const gzip = method === 'GET' && acceptsGzip(sent['accept-encoding'], system.choices)
  const deleted = booleanParameter(target.query, 'deleted') ?? false
  const recent = booleanParameter(target.query, 'mostRecentDirTimes') ?? false
  if (directory.deleted && !deleted) throw new Refusal(404)
  const change = directory.change || system.now()
  const headers = [
    'Cache-Control',
    'no-cache',
    'Pragma',
    'no-cache',
    'Expires',
    'Thu, 01 Jan 1970 00:00:00 GMT',
    'Content-Type',
    'text/xml',
    ...(gzip ? ['Content-Encoding', 'gzip'] : []),
    'X-HCP-Type',
    'directory',
    ...changeTimes(change),
  ]
  if (method === 'HEAD') return { status: 200, headers }
  const options = { path: target.path, change, deleted, recent }
  const body = Readable.from(listing(namespace, directory, options))
  return { status: 200, headers, body: gzip ? compressed(body) : body }
}

interface ListingOptions {
  readonly path: string
  readonly change: number
  readonly deleted: boolean
  readonly recent: boolean
}

/** The listing as XML, in pieces of some entries each: a directory may have a million of them. */
function* listing(
  namespace: Namespace,
  directory: Directory,
  { path, change, deleted, recent }: ListingOptions,
): Generator<Buffer> {
  const full = path === '' ? '/rest' : `/rest/${path}`
  const parent = path === '' ? '/' : full.slice(0, full.lastIndexOf('/'))
  const name = escaped(namespace.settings.name)
  let text =
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    '<?xml-stylesheet type="text/xsl" href="/static/xsl/ns-directory.xsl"?>\n' +
    '<directory xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"' +
    ' xsi:noNamespaceSchemaLocation="/static/xsd/ns-directory-6.0.xsd"' +
    ` path="${encodeBytes(full)}" utf8Path="${plain(full)}"` +
    ` parentDir="${encodeBytes(parent)}" utf8ParentDir="${plain(parent)}"` +
    ` dirDeleted="${directory.deleted}" showDeleted="${deleted}"` +
    ` namespaceName="${name}" utf8NamespaceName="${name}"` +
    ` changeTimeMilliseconds="${change}.00" changeTimeString="${zonedTime(change)}">\n`
  for (const key of [...directory.children.keys()].toSorted()) {
    const entry = directory.children.get(key)
    if (entry !== undefined) text += listingEntry(key, entry, namespace.settings.hashScheme, deleted, recent)
    if (text.length < 65_536) continue
    yield Buffer.from(text)
    text = ''
  }
  yield Buffer.from(`${text}</directory>\n`)
}

function listingEntry(
  name: string,
  entry: Entry,
  scheme: string,
  showDeleted: boolean,
  recent: boolean,
): string {
  const names = `urlName="${encodeBytes(name)}" utf8Name="${plain(name)}"`
  if (entry.kind === 'object') {
    const version = entry.versions.at(-1)!
    if (version.marker && !showDeleted) return ''
    return `  <entry ${names} type="object" ${objectAttributes(version, scheme)}/>\n`
  }
  if (entry.deleted && !showDeleted) return ''
  const change = recent || entry.deleted ? entry.change : entry.created
  return (
    `  <entry ${names} type="directory" changeTimeMilliseconds="${change}.00"` +
    ` changeTimeString="${zonedTime(change)}" state="${entry.deleted ? 'deleted' : 'created'}"/>\n`
  )
}

function objectAttributes(version: Version, scheme: string): string {
  const { data, retention, annotations } = version
  const list: [string, string | number | boolean][] = [
    ['size', data.size],
    ['hashScheme', scheme],
    ['hash', data.hash.slice(data.hash.indexOf(' ') + 1)],
    ['etag', data.md5],
    ['retention', retention],
    ['retentionString', retentionString(retention)],
    ['retentionClass', version.retentionClass],
    ['ingestTime', Math.floor(version.ingest / 1000)],
    ['ingestTimeMilliseconds', version.ingest],
    ['ingestTimeString', listingTime(version.ingest)],
    ['hold', version.hold],
    ['shred', version.shred],
    ['dpl', version.dpl],
    ['index', version.index],
    ['customMetadata', annotations.length > 0],
    ['customMetadataAnnotations', annotationList(version)],
    ['version', version.id],
    ['replicated', false],
    ['changeTimeMilliseconds', `${version.change}.00`],
    ['changeTimeString', zonedTime(version.change)],
    ['owner', escaped(version.owner)],
    ['domain', escaped(version.domain)],
    ['hasAcl', version.acl !== undefined],
    ['state', version.marker ? 'deleted' : 'created'],
  ]
  return list.map(([name, value]) => `${name}="${value}"`).join(' ')
}

/** Bytes as text for XML. */
function plain(bytes: string): string {
  return escaped(Buffer.from(bytes, 'latin1').toString())
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text for XML, in elements and attributes; what XML cannot hold becomes U+FFFD. */
export function escaped(text: string): string {
  return text
    .replaceAll(/[&<>"]/g, (character) => entities[character]!)
    .replaceAll(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replaceAll(/\p{Cc}|\ufffe|\uffff/gu, (character) => (character < ' ' ? '\ufffd' : character))
}
