import { maximumPathLength, refusedNames } from './choices.ts'
import { Refusal } from './refusal.ts'

/** A request's URL, taken apart. Names are bytes: every string here has one character (0 to 255) for each of them. */
export interface RequestTarget {
  /** First component: `rest`, `proc`, or something else. */
  readonly root: string
  /** What follows the root, decoded, without leading, doubled and trailing slashes; empty for the root itself. */
  readonly path: string
  /** The URL ended in a slash. */
  readonly slash: boolean
  readonly query: Query
}

/** The query, or a form body: names to values as they were sent. */
export type Query = ReadonlyMap<string, string>

const emptyQuery: Query = new Map()

/** The start of an absolute URL, which a client sends that takes its server for a proxy. */
const absoluteStart = /^https?:\/\/([^/?]*)/i

/** Whom a request is for: what an absolute URL says goes before the `Host` header (RFC 9112, 3.2.2). */
export function hostOf(url: string, header: string | undefined): string | undefined {
  return url.startsWith('/') ? header : (absoluteStart.exec(url)?.[1] ?? header)
}

/** Takes a request line's target apart; answers 400 where it is malformed. */
export function parseTarget(url: string): RequestTarget {
  const mark = url.indexOf('?')
  let path = mark === -1 ? url : url.slice(0, mark)
  const query = mark === -1 ? emptyQuery : parseQuery(url.slice(mark + 1))
  if (!path.startsWith('/')) {
    const start = absoluteStart.exec(path)
    if (start === null) throw new Refusal(400, 'The URL is malformed.')
    path = path.slice(start[0].length) || '/'
  }
  const end = path.indexOf('/', 1)
  const root = end === -1 ? path.slice(1) : path.slice(1, end)
  const rest = end === -1 ? '' : path.slice(end)
  const decoded = rest.includes('%') ? decodeBytes(rest) : rest
  return { root, path: trimSlashes(decoded), slash: decoded.length > 1 && decoded.endsWith('/'), query }
}

function trimSlashes(path: string): string {
  if (path.includes('//')) return path.split('/').filter(Boolean).join('/')
  return path.slice(path.startsWith('/') ? 1 : 0, path.length > 1 && path.endsWith('/') ? -1 : undefined)
}

/** Percent-decodes to bytes, one character each; 400 for a `%` that is not followed by two hex digits. */
export function decodeBytes(text: string): string {
  let out = ''
  let from = 0
  for (;;) {
    const at = text.indexOf('%', from)
    if (at === -1) return out + text.slice(from)
    const digits = text.slice(at + 1, at + 3)
    if (!/^[0-9a-f]{2}$/i.test(digits)) throw new Refusal(400, 'The URL is malformed: bad percent-encoding.')
    out += text.slice(from, at) + String.fromCharCode(parseInt(digits, 16))
    from = at + 3
  }
}

/** Checks a path's length and names. POST is exempt from the length. */
export function checkPath(path: string, method: string, reserved: 400 | 403 = 400): void {
  if (path.length + 1 > maximumPathLength && method !== 'POST') {
    throw new Refusal(414, `The path is longer than ${maximumPathLength} bytes.`)
  }
  if (path.includes('\0')) throw new Refusal(400, 'The path contains a NUL byte.')
  if (!path.includes('.')) return
  for (const name of path.split('/')) {
    if (refusedNames.has(name)) throw new Refusal(reserved, `The name ${name} is not allowed.`)
  }
}

/** Percent-encodes bytes for a URL: letters, digits and `_ . - ~ /` stay. */
export function encodeBytes(path: string): string {
  return path.replaceAll(
    /[^A-Za-z0-9_.\-~/]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

/** Takes `a=1&b=2` apart without decoding the values; a name that comes twice is a 400. */
export function parseQuery(text: string): Query {
  const query = new Map<string, string>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    const name = decodeText(at === -1 ? pair : pair.slice(0, at))
    if (query.has(name)) throw new Refusal(400, `The query parameter ${name} is given twice.`)
    query.set(name, at === -1 ? '' : pair.slice(at + 1))
  }
  return query
}

/** A query value as text: UTF-8, `+` is a space unless `plus` says that it stands for itself (as in `A+10y`). */
export function decodeText(value: string, plus: 'space' | 'plus' = 'space'): string {
  try {
    return Buffer.from(
      decodeBytes(plus === 'space' ? value.replaceAll('+', ' ') : value),
      'latin1',
    ).toString()
  } catch {
    throw new Refusal(400, 'A query parameter is malformed: bad percent-encoding.')
  }
}

/** A parameter that is `true` or `false`; anything else is a 400. */
export function booleanParameter(query: Query, name: string): boolean | undefined {
  const value = query.get(name)
  if (value === undefined) return undefined
  if (value === 'true') return true
  if (value === 'false') return false
  throw new Refusal(400, `The query parameter ${name} has an invalid value.`)
}
