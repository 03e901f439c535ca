import type { BodySource } from './body.ts'
import type { Call } from './call.ts'
import { contentHash } from './content-hash.ts'
import { type ContentHash, namedHashes, type RunningHash } from './hash.ts'
import type { HcpResponse } from './response.ts'

/** What a HEAD tells about a PUT whose answer was lost. */
export type Finding =
  /** The object is there, has this request's content and settings, and is not older than the request. */
  | { readonly kind: 'stored' }
  /** There is no object. */
  | { readonly kind: 'absent' }
  /** There is an object, but not from this request. */
  | { readonly kind: 'other'; readonly etag: string | undefined }
  /** The content could not be compared. */
  | { readonly kind: 'unknown' }

/** What a PUT meant to store. */
export interface SentObject {
  readonly source: BodySource | undefined
  /** Hash of the whole body as it went out, for sources that cannot be read again. */
  readonly sent: RunningHash | undefined
  /** Bytes of the body that are the object's data: all, or the first part of a `type=whole-object` body (`X-HCP-Size`). */
  readonly dataSize: number | undefined
  /** Query of the request: the object's settings. */
  readonly query: string
}

/** Clocks of nodes differ a little. */
const clockSlack = 250

/**
 * Compares the object that a HEAD found with what a PUT meant to store.
 *
 * @throws what the body's source throws when it is read again.
 */
export async function compareStored(head: HcpResponse, object: SentObject, call: Call): Promise<Finding> {
  if (head.status === 404 || head.status === 204) return { kind: 'absent' }
  if (head.status !== 200) return { kind: 'unknown' }
  const other: Finding = { kind: 'other', etag: head.header('etag') }
  if (leastAge(head) > call.elapsed + clockSlack) return other
  const hashes = namedHashes(head.headers)
  const size = Number(head.header('x-hcp-size') ?? head.header('content-length') ?? Number.NaN)
  if (hashes.length === 0 || Number.isNaN(size)) return { kind: 'unknown' }
  const ours = await sameContent(hashes, size, object, call)
  if (ours === undefined) return { kind: 'unknown' }
  return ours && sameSettings(head, object.query) ? { kind: 'stored' } : other
}

/**
 * Milliseconds that the object has been there at the least, by the clock of HCP: `X-HCP-Time` has whole seconds, and the ingest time has
 * only in older releases. Minus infinity where HCP does not say.
 */
function leastAge(head: HcpResponse): number {
  const now = Number(head.header('x-hcp-time') ?? Number.NaN) * 1000
  const exact =
    head.header('x-hcp-ingesttimemilliseconds') ?? head.header('x-hcp-versioncreatetimemilliseconds')
  const created =
    exact === undefined ? (Number(head.header('x-hcp-ingesttime') ?? Number.NaN) + 1) * 1000 : Number(exact)
  return Number.isNaN(now - created) ? Number.NEGATIVE_INFINITY : now - created
}

async function sameContent(
  hashes: readonly ContentHash[],
  size: number,
  { source, sent, dataSize }: SentObject,
  call: Call,
): Promise<boolean | undefined> {
  if (sent !== undefined && dataSize === undefined) {
    for (const { scheme, hex } of hashes) {
      const actual = sent.hex(scheme)
      if (actual !== undefined) return sent.size === size && actual === hex
    }
  }
  for (const { scheme, hex } of hashes) {
    const ours = await contentHash(source, scheme, call, dataSize)
    if (ours !== undefined) return ours.size === size && ours.hex === hex
  }
  return undefined
}

/**
 * Whether the object has the settings that the PUT gave it: an equal object of somebody else's, stored in the same second, may have
 * others. Of retention only the kind is compared: an offset cannot be told from the date that HCP made of it.
 */
function sameSettings(head: HcpResponse, query: string): boolean {
  const params = new URLSearchParams(query)
  for (const [param, header] of [
    ['hold', 'x-hcp-retentionhold'],
    ['index', 'x-hcp-index'],
    ['shred', 'x-hcp-shred'],
  ] as const) {
    const wanted = params.get(param)
    const found = head.header(header)
    if (wanted !== null && found !== undefined && wanted !== found) return false
  }
  if (params.has('acl') && head.header('x-hcp-acl') === 'false') return false
  const retention = params.get('retention')
  const found = head.header('x-hcp-retention')
  if (retention === null || found === undefined) return true
  const ofClass = /^C\+(.+)$/i.exec(retention.trim())?.[1]
  if (ofClass !== undefined)
    return head.header('x-hcp-retentionclass')?.toLowerCase() === ofClass.toLowerCase()
  if (/^-?\d+$/.test(retention)) return Number(retention) === Number(found)
  // An offset or a date: a time it is, then.
  return Number(found) > 0 || !/^[ARN+-]|^\d{4}-/.test(retention)
}
