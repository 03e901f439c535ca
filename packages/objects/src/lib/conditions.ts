/**
 * Conditions under which HCP carries a request out (Using a Namespace, "Conditional operations"); if they do not hold, the call is
 * rejected with an `ObjectConditionError`. ETags with or without quotes; times count in whole seconds, by the change time.
 */
export interface Conditions {
  /** Only if the content has one of these ETags; `*`: only if the object exists. */
  readonly ifMatch?: string | readonly string[]
  /** Only if the content has none of these ETags; `*`: only if there is no object. */
  readonly ifNoneMatch?: string | readonly string[]
  /** Only if content or metadata changed after this. */
  readonly ifModifiedSince?: Date
  /** Only if neither content nor metadata changed after this. */
  readonly ifUnmodifiedSince?: Date
}

export const conditionOptions = ['ifMatch', 'ifNoneMatch', 'ifModifiedSince', 'ifUnmodifiedSince'] as const

/** @param prefix Of the header names: `X-HCP-CopySource-` for conditions on the source of a copy. */
export function conditionHeaders(conditions: Conditions, prefix: string = ''): Record<string, string> {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions
  const headers: Record<string, string> = {}
  if (ifMatch !== undefined) headers[`${prefix}If-Match`] = etags('ifMatch', ifMatch)
  if (ifNoneMatch !== undefined) headers[`${prefix}If-None-Match`] = etags('ifNoneMatch', ifNoneMatch)
  if (ifModifiedSince !== undefined)
    headers[`${prefix}If-Modified-Since`] = httpDate('ifModifiedSince', ifModifiedSince)
  if (ifUnmodifiedSince !== undefined)
    headers[`${prefix}If-Unmodified-Since`] = httpDate('ifUnmodifiedSince', ifUnmodifiedSince)
  return headers
}

function etags(name: string, value: unknown): string {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0) throw new RangeError(`${name} must name at least one ETag, or "*"`)
  return list
    .map((etag) => {
      if (typeof etag !== 'string') throw new TypeError(`${name} must be ETags as text, or "*"`)
      if (etag === '*' && list.length === 1) return etag
      const bare = etag.replace(/^"(.*)"$/, '$1')
      if (!/^[\x21\x23-\x7e]+$/.test(bare) || bare.includes(','))
        throw new RangeError(`${name} has ${JSON.stringify(etag)}, which is no ETag`)
      return `"${bare}"`
    })
    .join(', ')
}

function httpDate(name: string, value: unknown): string {
  if (!(value instanceof Date) || Number.isNaN(value.getTime()))
    throw new TypeError(`${name} must be a valid Date`)
  return value.toUTCString()
}
