import { createHash, hash, type Hash } from 'node:crypto'

/** What HCP says of an object's content: `X-HCP-Hash: <algorithm> <HEX>`, or the MD5 in `ETag` where that is all there is. */
export interface ContentHash {
  /** HCP's name of the algorithm, for example `SHA-256`. */
  readonly scheme: string
  /** Lower-case hex. */
  readonly hex: string
}

const opensslNames: Readonly<Record<string, string>> = {
  MD5: 'md5',
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
  'RIPEMD-160': 'ripemd160',
}

/** A digest for HCP's algorithm name, or `undefined` where it is unknown or this Node has it not. */
export function hasher(scheme: string): Hash | undefined {
  const name = opensslNames[scheme.toUpperCase()]
  if (name === undefined) return undefined
  try {
    return createHash(name)
  } catch {
    return undefined
  }
}

/** The hash of bytes in memory, in lower-case hex; `undefined` as for {@link hasher}. Much cheaper than a digest for small ones. */
export function hashOf(scheme: string, bytes: Uint8Array): string | undefined {
  const name = opensslNames[scheme.toUpperCase()]
  if (name === undefined) return undefined
  try {
    return hash(name, bytes, 'hex')
  } catch {
    return undefined
  }
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

const hexDigits = /^[0-9A-Fa-f]+$/

/** What `X-HCP-Hash` and headers like it say; `undefined` if that is no hash that this package knows. */
export function parseHash(value: string | string[] | undefined): ContentHash | undefined {
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  const blank = text.indexOf(' ')
  const scheme = text.slice(0, Math.max(blank, 0)).toUpperCase()
  const hex = text.slice(blank + 1)
  if (opensslNames[scheme] === undefined || !hexDigits.test(hex)) return undefined
  return { scheme, hex: hex.toLowerCase() }
}

/** The MD5 that an `ETag` is, without its quotes. */
export function bareEtag(etag: string): string {
  return etag.length > 1 && etag.startsWith('"') && etag.endsWith('"') ? etag.slice(1, -1) : etag
}

/** The hashes an answer names that this Node can compute, the namespace's own first. */
export function namedHashes(headers: Headers): readonly ContentHash[] {
  const found: ContentHash[] = []
  const own = parseHash(headers['x-hcp-hash'])
  if (own !== undefined) found.push(own)
  const etag = headers['etag']
  // An annotation's ETag is that of its object (Using a Namespace, "ETags"); it says nothing of the annotation.
  if (typeof etag === 'string' && headers['x-hcp-type'] !== 'annotation') {
    const hex = bareEtag(etag)
    if (hex.length === 32 && hexDigits.test(hex)) found.push({ scheme: 'MD5', hex: hex.toLowerCase() })
  }
  return found
}

/** Hashes content as it passes; several algorithms at once where it is not known yet which will be asked for. */
export class RunningHash {
  readonly #digests: Map<string, Hash>
  #hex: Map<string, string> | undefined
  size = 0

  constructor(schemes: Iterable<string>) {
    this.#digests = new Map()
    for (const scheme of schemes) {
      const digest = hasher(scheme)
      if (digest !== undefined) this.#digests.set(scheme, digest)
    }
  }

  update(chunk: Uint8Array | string): void {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    this.size += bytes.byteLength
    for (const digest of this.#digests.values()) digest.update(bytes)
  }

  /** Lower-case hex of what has passed, or `undefined` if that algorithm was not running. Ends the hashing. */
  hex(scheme: string): string | undefined {
    this.#hex ??= new Map([...this.#digests].map(([name, digest]) => [name, digest.digest('hex')]))
    return this.#hex.get(scheme)
  }
}
