import type { HcpResponse } from '@hcp/connection'
import { bareEtag, type ContentHash, hasher, parseHash } from '@hcp/connection/support'
import { type RetentionState, retentionState } from './retention.ts'

/** Name and size of an annotation. */
export interface AnnotationSize {
  readonly name: string
  /** Bytes. */
  readonly size: number
}

export interface LabeledHold {
  readonly id: string
  readonly hold: boolean
}

/**
 * What HCP says of an object or version in the head of its answers (Using a Namespace, "HCP-specific response headers"). What a
 * release does not send is `undefined`.
 */
export interface ObjectMetadata {
  readonly type: 'object'
  /** Bytes. */
  readonly size: number
  readonly contentType: string | undefined
  /** Algorithm by HCP's name and lower-case hex; objects stored in parts have none. */
  readonly hash: ContentHash | undefined
  /** MD5 of the content in lower-case hex, without quotes; old objects may have none yet. */
  readonly etag: string | undefined
  /** Decimal digits; not to be counted with. */
  readonly versionId: string | undefined
  /** When it was stored: to the millisecond where the release says so, else to the second. */
  readonly ingestTime: Date | undefined
  /** Last change of content or metadata. */
  readonly changeTime: Date | undefined
  readonly retention: RetentionState
  readonly retentionClass: string | undefined
  readonly hold: boolean
  readonly labeledHolds: readonly LabeledHold[]
  readonly shred: boolean
  readonly index: boolean
  /** Data protection level: copies that HCP keeps. */
  readonly dpl: number | undefined
  readonly annotations: readonly AnnotationSize[]
  readonly hasAcl: boolean
  /** `undefined` if nobody owns it. */
  readonly owner: string | undefined
  /** Active Directory domain of the owner. */
  readonly domain: string | undefined
  readonly uid: number | undefined
  readonly gid: number | undefined
  readonly ingestProtocol: string | undefined
  /** Whether all of it is on the other system already. */
  readonly replicated: boolean | undefined
  readonly replicationCollision: boolean | undefined
  /** IP address of the node that holds the data, where HCP is set up to tell. */
  readonly currentStorageNode: string | undefined
  /** Where the path is a symbolic link: the target as it was given when the link was made. */
  readonly symlinkTarget: string | undefined
}

export interface DirectoryMetadata {
  readonly type: 'directory'
  readonly changeTime: Date | undefined
  readonly symlinkTarget: string | undefined
}

/** Reads the head of an answer about an object or version. */
export function objectMetadata(response: Pick<HcpResponse, 'headers' | 'header'>): ObjectMetadata {
  const text = (name: string): string | undefined => response.header(name) || undefined
  const flag = (name: string): boolean | undefined => {
    const value = response.header(name)
    return value === undefined ? undefined : value === 'true'
  }
  const number = (name: string): number | undefined => decimal(response.header(name))
  const milliseconds = number('x-hcp-ingesttimemilliseconds') ?? number('x-hcp-versioncreatetimemilliseconds')
  const seconds = number('x-hcp-ingesttime')
  const etag = text('etag')
  return {
    type: 'object',
    size: sizeOf(response),
    contentType: text('content-type'),
    hash: parseHash(response.headers['x-hcp-hash']),
    etag: etag === undefined ? undefined : bareEtag(etag),
    versionId: text('x-hcp-versionid'),
    ingestTime: dateOf(milliseconds ?? (seconds === undefined ? undefined : seconds * 1000)),
    changeTime: changeTime(response),
    retention: retentionState(response.header('x-hcp-retention')),
    retentionClass: text('x-hcp-retentionclass'),
    hold: flag('x-hcp-retentionhold') ?? false,
    labeledHolds: labeledHolds(response.header('x-hcp-labelretentionhold-labels')),
    shred: flag('x-hcp-shred') ?? false,
    index: flag('x-hcp-index') ?? false,
    dpl: number('x-hcp-dpl'),
    annotations: annotationSizes(response.header('x-hcp-custommetadataannotations')),
    hasAcl: flag('x-hcp-acl') ?? false,
    owner: text('x-hcp-owner'),
    domain: text('x-hcp-domain'),
    uid: number('x-hcp-uid'),
    gid: number('x-hcp-gid'),
    ingestProtocol: text('x-hcp-ingestprotocol'),
    replicated: flag('x-hcp-replicated'),
    replicationCollision: flag('x-hcp-replicationcollision'),
    currentStorageNode: text('x-hcp-currentstoragenode'),
    symlinkTarget: text('x-hcp-symlinktarget'),
  }
}

/** The hash to compare content with: HCP's own, or the MD5 that an ETag is; `undefined` where there is none this Node can compute. */
export function comparableHash({
  hash,
  etag,
}: Pick<ObjectMetadata, 'hash' | 'etag'>): ContentHash | undefined {
  if (hash !== undefined && hasher(hash.scheme) !== undefined) return hash
  return etag !== undefined && /^[0-9a-f]{32}$/i.test(etag)
    ? { scheme: 'MD5', hex: etag.toLowerCase() }
    : undefined
}

export function directoryMetadata(response: HcpResponse): DirectoryMetadata {
  return {
    type: 'directory',
    changeTime: changeTime(response),
    symlinkTarget: response.header('x-hcp-symlinktarget') || undefined,
  }
}

/** Bytes of the whole object, also in the answer to a part of it; `NaN` where nothing in it tells. */
export function sizeOf(response: Pick<HcpResponse, 'header'>): number {
  const range = response.header('content-range')
  return (
    bytesOf(response.header('x-hcp-size')) ??
    bytesOf(response.header('x-hcp-contentlength')) ??
    bytesOf(range === undefined ? response.header('content-length') : /\/(\d+)$/.exec(range)?.[1]) ??
    Number.NaN
  )
}

/** A size must be exact: a negative or rounded one is none. */
function bytesOf(text: string | undefined): number | undefined {
  const size = decimal(text)
  return size !== undefined && size >= 0 && Number.isSafeInteger(size) ? size : undefined
}

/** `name;size, name;size`, the form of header and listing. */
export function annotationSizes(list: string | undefined): readonly AnnotationSize[] {
  if (!list) return []
  return list.split(',').flatMap((part) => {
    const [name, size] = part.trim().split(';')
    return name ? [{ name, size: decimal(size) ?? Number.NaN }] : []
  })
}

/** Milliseconds, a dot, and two digits that only make the time unique. */
function changeTime(response: Pick<HcpResponse, 'header'>): Date | undefined {
  const stamp = decimal(response.header('x-hcp-changetimemilliseconds')?.split('.')[0])
  return dateOf(stamp ?? Date.parse(response.header('last-modified') ?? ''))
}

function dateOf(milliseconds: number | undefined): Date | undefined {
  const date = new Date(milliseconds ?? Number.NaN)
  return Number.isNaN(date.getTime()) ? undefined : date
}

/** A whole number that is written as such, and exact. */
function decimal(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  return Number.isSafeInteger(number) && String(number) === text ? number : undefined
}

function labeledHolds(json: string | undefined): readonly LabeledHold[] {
  if (!json) return []
  try {
    const found: unknown = JSON.parse(json)
    return (Array.isArray(found) ? found : []).flatMap((item: unknown) => {
      const { id, hold } = (item ?? {}) as { id?: unknown; hold?: unknown }
      return typeof id === 'string' && typeof hold === 'boolean' ? [{ id, hold }] : []
    })
  } catch {
    return []
  }
}
