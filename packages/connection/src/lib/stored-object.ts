import type { BodySource } from './body.ts'
import { type ContentHash, namedHashes, RunningHash } from './hash.ts'
import type { HcpResponse } from './response.ts'

/** What a HEAD tells about a PUT whose answer was lost. */
export type Finding =
  /** The object is there, has this request's content and is not older than the request. */
  | { readonly kind: 'stored' }
  /** There is no object. */
  | { readonly kind: 'absent' }
  /** There is an object, but not from this request. */
  | { readonly kind: 'other'; readonly etag: string | undefined }
  /** The content could not be compared. */
  | { readonly kind: 'unknown' }

/** The content that a PUT meant to store. */
export interface SentContent {
  readonly source: BodySource | undefined
  /** Hash of what went out, for sources that cannot be read again. */
  readonly sent: RunningHash | undefined
  /** Bytes of the body that are the object's data: all, or the first part of a `type=whole-object` body (`X-HCP-Size`). */
  readonly dataSize: number | undefined
}

/** X-HCP-Time and the ingest times are whole seconds in older releases, and clocks of nodes differ a little. */
const clockSlack = 3_000

/**
 * Compares the object that a HEAD found with what a PUT meant to store.
 *
 * @param elapsed Milliseconds since the PUT began: an object that is older was there before it.
 */
export async function compareStored(
  head: HcpResponse,
  content: SentContent,
  elapsed: number,
): Promise<Finding> {
  if (head.status === 404 || head.status === 204) return { kind: 'absent' }
  if (head.status !== 200) return { kind: 'unknown' }
  const etag = head.header('etag')
  const age = objectAge(head)
  if (age !== undefined && age > elapsed + clockSlack) return { kind: 'other', etag }
  const hashes = namedHashes(head.headers)
  const size = Number(head.header('x-hcp-size') ?? head.header('content-length') ?? Number.NaN)
  if (hashes.length === 0 || Number.isNaN(size)) return { kind: 'unknown' }
  const ours = await ourHash(hashes, content)
  if (ours === undefined) return { kind: 'unknown' }
  return ours.size === size && ours.same ? { kind: 'stored' } : { kind: 'other', etag }
}

/** Milliseconds between the object's creation and now, both by the clock of HCP. */
function objectAge(head: HcpResponse): number | undefined {
  const now = Number(head.header('x-hcp-time') ?? Number.NaN) * 1000
  const created = Number(
    head.header('x-hcp-ingesttimemilliseconds') ??
      head.header('x-hcp-versioncreatetimemilliseconds') ??
      Number(head.header('x-hcp-ingesttime') ?? Number.NaN) * 1000,
  )
  return Number.isNaN(now - created) ? undefined : now - created
}

async function ourHash(
  hashes: readonly ContentHash[],
  { source, sent, dataSize }: SentContent,
): Promise<{ size: number; same: boolean } | undefined> {
  if (sent !== undefined && dataSize === undefined) {
    for (const { scheme, hex } of hashes) {
      const actual = sent.hex(scheme)
      if (actual !== undefined) return { size: sent.size, same: actual === hex }
    }
  }
  const [first] = hashes
  if (first === undefined || (source !== undefined && !source.replayable)) return undefined
  const hash = new RunningHash([first.scheme])
  const limit = dataSize ?? Number.POSITIVE_INFINITY
  const add = (chunk: Uint8Array | string): void => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (hash.size < limit) hash.update(bytes.subarray(0, Math.min(bytes.byteLength, limit - hash.size)))
  }
  const content = source === undefined ? null : (await source.open()).content
  if (content instanceof Uint8Array) add(content)
  else if (content !== null) for await (const chunk of content) add(chunk as Uint8Array | string)
  return { size: hash.size, same: hash.hex(first.scheme) === first.hex }
}
