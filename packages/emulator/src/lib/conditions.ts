import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Version } from './namespace.ts'
import { Refusal } from './refusal.ts'
import { parseHttpDate } from './times.ts'

const names = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'] as const

/** Of a header that comes several times only the first counts; Node joins those that it takes for lists. */
export function firstConditions(request: IncomingMessage): void {
  const { headers } = request
  const joined = headers['if-match']?.includes(',') || headers['if-none-match']?.includes(',')
  if (!joined && headers['x-hcp-copysource'] === undefined) return
  const { headersDistinct } = request
  for (const prefix of ['', 'x-hcp-copysource-', 'x-hcp-copy-source-']) {
    for (const name of names) {
      const list = headersDistinct[prefix + name]
      if (list !== undefined && list.length > 1) headers[prefix + name] = list[0]
    }
  }
}

export function hasConditions(headers: IncomingHttpHeaders): boolean {
  return names.some((name) => headers[name] !== undefined)
}

export function withoutConditions(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const others = Object.entries(headers).filter(([name]) => !names.some((each) => each === name))
  return Object.fromEntries(others)
}

/**
 * Evaluates a request's conditional headers against the current version (or its absence): the two that match ETags
 * first, then the two with dates. Dates compare with the change time, in seconds.
 */
export function checkConditions(
  headers: IncomingHttpHeaders,
  version: Version | undefined,
  reads: boolean,
): void {
  if (!hasConditions(headers)) return
  const match = headers['if-match']
  if (match !== undefined && !matches(match, version)) throw new Refusal(412)
  const noneMatch = headers['if-none-match']
  if (noneMatch !== undefined && matches(noneMatch, version)) {
    throw new Refusal(reads ? 304 : 412, '', version === undefined ? [] : ['ETag', `"${version.data.md5}"`])
  }
  if (version === undefined) return
  const changed = Math.floor(version.change / 1000)
  const modifiedSince = seconds(headers['if-modified-since'])
  if (modifiedSince !== undefined && changed <= modifiedSince) throw new Refusal(304)
  const unmodifiedSince = seconds(headers['if-unmodified-since'])
  if (unmodifiedSince !== undefined && changed > unmodifiedSince) throw new Refusal(412)
}

/** ETags may come with or without quotes, or as weak ones; `*` stands for whatever is there. */
function matches(header: string, version: Version | undefined): boolean {
  if (version === undefined) return false
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, '').replaceAll('"', ''))
  return tags.includes('*') || tags.includes(version.data.md5)
}

/** A date that cannot be read is ignored (RFC 9110, section 13.1.3). */
function seconds(header: string | undefined): number | undefined {
  const time = header === undefined ? undefined : parseHttpDate(header)
  return time === undefined ? undefined : Math.floor(time / 1000)
}
