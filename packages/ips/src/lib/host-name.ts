import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'

/** A host name or address in the form in which it is asked for. */
export interface HostName {
  /** ASCII, without a trailing dot; an address without brackets. */
  readonly ascii: string
  /** An IP address, which answers itself. */
  readonly literal: boolean
  /** Written with a trailing dot: no search list. */
  readonly absolute: boolean
}

/**
 * Checks a host name and turns it into the form asked for.
 *
 * Limits are those of RFC 1035 section 2.3.4: labels of 1 to 63 octets, 253 characters in all. Characters are
 * letters, digits, hyphens (inside a label) and, since they occur in the wild, underscores. Other alphabets
 * become punycode.
 *
 * @throws {TypeError} if it is no string
 * @throws {RangeError} if it is no host name
 */
export function parseHostName(text: string): HostName {
  if (typeof text !== 'string') throw new TypeError(`fqdn must be a string, got ${typeof text}`)
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (isIP(bare) !== 0 && (bare === text || isIP(bare) === 6)) {
    return { ascii: bare, literal: true, absolute: true }
  }

  const given = toAscii(text)
  if (isIP(given) === 4) return { ascii: given, literal: true, absolute: true }
  const absolute = given.endsWith('.')
  const ascii = absolute ? given.slice(0, -1) : given
  const complaint = complaintAbout(ascii)
  if (complaint !== undefined)
    throw new RangeError(`fqdn ${JSON.stringify(text)} is no host name: ${complaint}`)
  return { ascii, literal: false, absolute }
}

function toAscii(text: string): string {
  const plain = /^[\0-\x7f]*$/
  if (plain.test(text)) return text
  // domainToASCII() reads a URL's host: it would decode %41 and cut at a slash. Only host characters may
  // reach it.
  if (/[^\w.\-\x80-\u{10ffff}]/u.test(text)) return text
  // Empty for what is no name in any alphabet.
  return domainToASCII(text) || text
}

function complaintAbout(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (name.length > 253) return `${name.length} characters, at most 253 are allowed`
  for (const label of name.split('.')) {
    if (label === '') return 'it has an empty label'
    if (label.length > 63) return `a label has ${label.length} characters, at most 63 are allowed`
    if (!/^[\w-]+$/.test(label)) return 'only letters, digits, hyphens, underscores and dots are allowed'
    if (label.startsWith('-') || label.endsWith('-')) return 'a label starts or ends with a hyphen'
  }
  return undefined
}
