const plainPath = /^\/[A-Za-z0-9\-_.~/]*$/
const dotSegment = /\/\.{1,2}(?:\/|$)/
const encodedDotSegment = /\/(?:\.|%2[Ee]){1,2}(?:\/|$)/
// eslint-disable-next-line no-control-regex
const controlCharacter = /[\u0000-\u001f\u007f]/
const encodedPath = /^\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/

const encodeText = (name: string, text: string): string => {
  if (!text.isWellFormed())
    throw new RangeError(`${name} holds half of a surrogate pair: it is not valid text`)
  return encodeURIComponent(text)
}

/**
 * Makes the path of a request line from a path given as text: each segment is percent-encoded once, as UTF-8.
 *
 * `?`, `#`, `%`, `+` and blanks are part of a name here; a query goes into `params`. Control characters are refused as text;
 * HCP takes all but NUL in names, so such a name is given percent-encoded with `encoded: true`. HCP has no `.` and `..`
 * segments (Using a Namespace, "Object naming considerations").
 *
 * @throws {TypeError} not a string. @throws {RangeError} empty, not starting with `/`, or not addressable.
 */
export function requestPath(path: unknown, encoded: boolean): string {
  if (typeof path !== 'string') throw new TypeError(`path must be a string, not ${typeof path}`)
  if (path === '')
    throw new RangeError('path must not be empty: it begins with "/", for example "/rest/folder/name"')
  if (path.charCodeAt(0) !== 47) {
    throw new RangeError(`path must begin with "/", for example "/rest/folder/name": ${JSON.stringify(path)}`)
  }
  if ((encoded ? encodedDotSegment : dotSegment).test(path)) {
    throw new RangeError(`path must not have "." or ".." as a segment: ${JSON.stringify(path)}`)
  }
  if (plainPath.test(path)) return path
  if (encoded) {
    if (!encodedPath.test(path)) {
      throw new RangeError(
        `path is not percent-encoded (RFC 3986, section 3.3), though "encoded" says so: ${JSON.stringify(path)}`,
      )
    }
    return path
  }
  if (controlCharacter.test(path)) {
    throw new RangeError(
      `path has a control character: ${JSON.stringify(path)}; to address such a name, percent-encode it and pass encoded: true`,
    )
  }
  return path
    .split('/')
    .map((segment) => encodeText('path', segment))
    .join('/')
}

export type ParamValue = string | number | bigint | boolean

/** Query parameters: an object (an array repeats its name, `undefined` is left out), or name and value pairs, or `URLSearchParams`. */
export type Params =
  | Readonly<Record<string, ParamValue | readonly ParamValue[] | undefined>>
  | Iterable<readonly [string, ParamValue]>

/** `?name=value&…`, or an empty string. Blanks are `%20` and plus signs `%2B`, which HCP reads alike everywhere. */
export function requestQuery(params: Params | undefined): string {
  if (params === undefined) return ''
  if (params === null || typeof params !== 'object') {
    throw new TypeError('params must be an object, pairs or URLSearchParams, not text: { index: true }')
  }
  const parts: string[] = []
  const add = (name: unknown, value: unknown): void => {
    if (typeof name !== 'string' || name === '') {
      throw new TypeError('params: every name must be a string that is not empty')
    }
    const type = typeof value
    if (type !== 'string' && type !== 'number' && type !== 'boolean' && type !== 'bigint') {
      throw new TypeError(`params: the value of "${name}" must be a string, number or boolean, not ${type}`)
    }
    parts.push(`${encodeText('params', name)}=${encodeText(`params: the value of "${name}"`, String(value))}`)
  }
  if (Symbol.iterator in params) {
    for (const pair of params as Iterable<unknown>) {
      if (!Array.isArray(pair) || pair.length !== 2)
        throw new TypeError('params: pairs must be [name, value]')
      add(pair[0], pair[1])
    }
  } else {
    for (const [name, value] of Object.entries(params)) {
      if (Array.isArray(value)) for (const one of value) add(name, one)
      else if (value !== undefined) add(name, value)
    }
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}
