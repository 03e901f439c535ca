declare const brand: unique symbol

/** A path of the management API, percent-encoded: made by {@link mapiPath}. */
export type MapiPath = string & { readonly [brand]: 'MapiPath' }

/** HCP takes so many bytes behind `/mapi`, the query not counted, and answers 414 to more. */
const longest = 4095

/**
 * The path of a resource below `/mapi`, from its segments as text: each is percent-encoded once, so blanks, `/`, `%` and `+` are part of
 * a name.
 *
 * @example
 *   mapiPath('services', 'replication', 'links', 'north <-> south')
 * @throws {TypeError} for segments that are no text. @throws {RangeError} for segments that no resource can have, and for a path of more
 *   than 4,095 bytes.
 * @see HCP Management API Reference, "URLs for HCP access through the management API"
 */
export function mapiPath(...segments: readonly string[]): MapiPath {
  if (segments.length === 0)
    throw new RangeError('mapiPath: give the segments behind /mapi, for example "tenants"')
  const path = segments.map(encodedSegment).join('')
  if (path.length > longest) {
    throw new RangeError(`mapiPath: the path has ${path.length} bytes behind /mapi, and HCP takes ${longest}`)
  }
  return `/mapi${path}` as MapiPath
}

function encodedSegment(segment: unknown): string {
  if (typeof segment !== 'string') {
    throw new TypeError(
      `mapiPath: a segment must be a string, not ${segment === null ? 'null' : typeof segment}`,
    )
  }
  const shown = JSON.stringify(segment.slice(0, 80))
  if (segment === '' || segment === '.' || segment === '..') {
    throw new RangeError(`mapiPath: ${shown} cannot be a segment`)
  }
  if (!segment.isWellFormed() || segment.includes('\0')) {
    throw new RangeError(`mapiPath: ${shown} holds half of a surrogate pair or a NUL: it is no name`)
  }
  return `/${encodeURIComponent(segment)}`
}

/** @throws {TypeError} for what was not made by `mapiPath`. */
export function checkPath(path: unknown): MapiPath {
  if (typeof path !== 'string' || !path.startsWith('/mapi/')) {
    throw new TypeError("path must be made by mapiPath, for example mapiPath('tenants')")
  }
  return path as MapiPath
}
