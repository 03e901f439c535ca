import type { IncomingHttpHeaders } from 'node:http'
import type { Choices } from './choices.ts'
import type { Version } from './namespace.ts'
import { labelList } from './labeled-holds.ts'
import { retentionString } from './retention.ts'
import { httpDate, zonedTime } from './times.ts'

/** The headers of an object's GET and HEAD, in the order of real answers, around the one that is different each time. */
export interface ObjectHeaders {
  /** `ETag` to `Content-Type`; `Content-Length` comes next. */
  readonly before: readonly string[]
  /** `X-HCP-Type` to `Last-Modified`. */
  readonly after: readonly string[]
}

const kept = new WeakMap<Version, ObjectHeaders>()

/** Text as the wire has it: UTF-8, one character for each byte. */
export function wireText(text: string): string {
  return Buffer.from(text).toString('latin1')
}

/**
 * @param sent The request's headers: `X-HCP-Get-Replicated: false` leaves `X-HCP-Replicated` out.
 * @param replicated The other system has everything of the object.
 */
export function objectHeaders(
  version: Version,
  choices: Choices,
  sent: IncomingHttpHeaders,
  replicated: boolean,
): ObjectHeaders {
  let headers = allHeaders(version, choices)
  if (replicated) {
    const place = headers.after.indexOf('X-HCP-Replicated')
    headers = { before: headers.before, after: headers.after.with(place + 1, 'true') }
  }
  if (sent['x-hcp-get-replicated'] !== 'false') return headers
  const at = headers.after.indexOf('X-HCP-Replicated')
  return { before: headers.before, after: headers.after.toSpliced(at, 2) }
}

function allHeaders(version: Version, choices: Choices): ObjectHeaders {
  let headers = kept.get(version)
  if (headers === undefined) {
    headers = { before: before(version), after: after(version, choices) }
    kept.set(version, headers)
  }
  return headers
}

export const expired: readonly string[] = ['Pragma', 'no-cache', 'Expires', 'Thu, 01 Jan 1970 00:00:00 GMT']
export const uncached: readonly string[] = ['Cache-Control', 'no-cache,no-store', ...expired]

function before({ data, contentType }: Version): string[] {
  return ['ETag', `"${data.md5}"`, ...uncached, 'Content-Type', contentType]
}

function after(version: Version, choices: Choices): string[] {
  const annotations = version.annotations
  const flags: [string, string | number | boolean][] = [
    ['X-HCP-Type', 'object'],
    ['X-HCP-Size', version.data.size],
    ['X-HCP-Hash', version.data.hash],
    ['X-HCP-VersionId', version.id],
    ['X-HCP-IngestTime', Math.floor(version.ingest / 1000)],
    ['X-HCP-IngestTimeMilliseconds', version.ingest],
    ['X-HCP-RetentionClass', version.retentionClass],
    ['X-HCP-RetentionString', retentionString(version.retention)],
    ['X-HCP-Retention', version.retention],
    ['X-HCP-IngestProtocol', 'HTTP'],
    ['X-HCP-RetentionHold', version.hold],
    ['X-HCP-LabelRetentionHold', version.labels !== undefined],
    ['X-HCP-LabelRetentionHold-Labels', labelList(version.labels)],
    ['X-HCP-Shred', version.shred],
    ['X-HCP-DPL', version.dpl],
    ['X-HCP-Index', version.index],
    ['X-HCP-Custom-Metadata', annotations.length > 0],
    ['X-HCP-ACL', version.acl !== undefined],
    ['X-HCP-Owner', wireText(version.owner)],
    ['X-HCP-Domain', wireText(version.domain)],
    ['X-HCP-UID', ''],
    ['X-HCP-GID', ''],
    ['X-HCP-CustomMetadataAnnotations', annotationList(version)],
    ['X-HCP-Replicated', false],
    ['X-HCP-ReplicationCollision', version.collision ?? false],
  ]
  const labeled = version.labels !== undefined || choices.labeledHoldHeaders === 'always'
  const list = flags.filter(([name]) => {
    if (name.startsWith('X-HCP-LabelRetentionHold')) return labeled
    return !name.endsWith('Annotations') || annotations.length > 0 || choices.emptyAnnotationsHeader
  })
  return [...list.flatMap(([name, value]) => [name, String(value)]), ...changeTimes(version.change)]
}

export function changeTimes(change: number): string[] {
  return [
    'X-HCP-ChangeTimeMilliseconds',
    `${change}.00`,
    'X-HCP-ChangeTimeString',
    zonedTime(change),
    'Last-Modified',
    httpDate(change),
  ]
}

/** `name;size, name;size`. */
export function annotationList(version: Version): string {
  return version.annotations.map(({ name, blob }) => `${name};${blob.size}`).join(', ')
}
