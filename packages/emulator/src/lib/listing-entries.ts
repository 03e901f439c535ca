import type { Version } from './namespace.ts'
import { annotationList } from './object-headers.ts'
import { encodeBytes } from './request-target.ts'
import { retentionString } from './retention.ts'
import { listingTime, zonedTime } from './times.ts'
import { escaped, plain } from './xml-text.ts'

type Attributes = readonly (readonly [name: string, value: string | number | boolean])[]

/** Objects that were made together have all but their names in common. */
let last: { readonly version: Version; readonly replicated: boolean; readonly text: string } | undefined

/** An object in the listing of its directory. */
export function objectEntry(name: string, version: Version, replicated: boolean): string {
  if (last?.version !== version || last.replicated !== replicated)
    last = { version, replicated, text: textOf(inDirectory(version, replicated)) }
  return `  <entry urlName="${encodeBytes(name)}" utf8Name="${plain(name)}" type="object" ${last.text}/>\n`
}

/** A version in the list of an object's versions. */
export function versionEntry(name: string, version: Version, replicated: boolean): string {
  const text = textOf(inVersions(version, replicated))
  return `  <entry urlName="${encodeBytes(name)}" utf8Name="${plain(name)}" type="object" ${text}/>\n`
}

function textOf(attributes: Attributes): string {
  return attributes.map(([name, value]) => `${name}="${value}"`).join(' ')
}

/** The two documents have the same attributes, each in its own order. */
function inDirectory(version: Version, replicated: boolean): Attributes {
  return [
    ...dataOf(version),
    ['etag', version.data.md5],
    ...retentionOf(version),
    ['ingestTime', Math.floor(version.ingest / 1000)],
    ['ingestTimeMilliseconds', version.ingest],
    ['ingestTimeString', listingTime(version.ingest)],
    ...flagsOf(version),
    ['version', version.id],
    ['replicated', replicated],
    ...changeOf(version),
    ...ownerOf(version),
    ['state', version.marker ? 'deleted' : 'created'],
  ]
}

function inVersions(version: Version, replicated: boolean): Attributes {
  return [
    ...dataOf(version),
    ...retentionOf(version),
    ...flagsOf(version),
    ['replicated', replicated],
    ...ownerOf(version),
    ['state', version.marker ? 'deleted' : 'created'],
    ['version', version.id],
    ['ingestTime', Math.floor(version.ingest / 1000)],
    ['ingestTimeString', listingTime(version.ingest)],
    ...changeOf(version),
    ['etag', version.data.md5],
  ]
}

function dataOf({ data }: Version): Attributes {
  const [scheme = '', digest = ''] = data.hash.split(' ')
  return [
    ['size', data.size],
    ['hashScheme', scheme],
    ['hash', digest],
  ]
}

function retentionOf({ retention, retentionClass }: Version): Attributes {
  return [
    ['retention', retention],
    ['retentionString', retentionString(retention)],
    ['retentionClass', retentionClass],
  ]
}

function flagsOf(version: Version): Attributes {
  return [
    ['hold', version.hold],
    ['shred', version.shred],
    ['dpl', version.dpl],
    ['index', version.index],
    ['customMetadata', version.annotations.length > 0],
    ['customMetadataAnnotations', annotationList(version)],
  ]
}

function changeOf({ change }: Version): Attributes {
  return [
    ['changeTimeMilliseconds', `${change}.00`],
    ['changeTimeString', zonedTime(change)],
  ]
}

function ownerOf({ owner, domain, acl }: Version): Attributes {
  return [
    ['owner', escaped(owner)],
    ['domain', escaped(domain)],
    ['hasAcl', acl !== undefined],
  ]
}
