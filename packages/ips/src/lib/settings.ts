import dns from 'node:dns'
import { parseHostName } from './host-name.ts'
import { parseNameServer, type NameServer } from './name-server.ts'

/** How a name is looked up. */
export interface LookupOptions {
  /**
   * `true` asks the system's resolver, which may cache and which knows the hosts file; then `nameServers`,
   * `search` and `timeout` have no meaning. Default `false`: the name servers are asked, past every cache.
   */
  readonly cache?: boolean | undefined
  /**
   * Name servers to ask, in this order, as `address`, `address:port` or `[IPv6 address]:port`. Default: the
   * system's, as `dns.getServers()` of Node has them.
   */
  readonly nameServers?: readonly string[] | undefined
  /** Which addresses: 4 asks for A records, 6 for AAAA, `'any'` for both. Default `'any'`. */
  readonly family?: 4 | 6 | 'any' | undefined
  /** Milliseconds for one question to one name server; then the next one is tried. Default 1000. */
  readonly timeout?: number | undefined
  /** Milliseconds for all questions to all name servers together. Default 5000. */
  readonly deadline?: number | undefined
  /**
   * Domains tried behind the name: after the name itself if it has a dot, before it if it has none; never for
   * a name with a trailing dot. Default: the system's (`/etc/resolv.conf`), or none if `nameServers` are
   * given.
   */
  readonly search?: readonly string[] | undefined
}

/** The options, checked and with their defaults. */
export interface LookupSettings {
  readonly cache: boolean
  readonly nameServers: readonly NameServer[]
  readonly types: readonly ('A' | 'AAAA')[]
  readonly timeout: number
  readonly deadline: number
  /** `undefined`: the system's. */
  readonly search: readonly string[] | undefined
}

export const LOOKUP_OPTIONS: readonly string[] = [
  'cache',
  'nameServers',
  'family',
  'timeout',
  'deadline',
  'search',
] satisfies (keyof LookupOptions)[]

/** The longest a Node timer can wait, in milliseconds; a longer one would fire at once. */
export const LONGEST: number = 2 ** 31 - 1

/** @throws {TypeError} or {RangeError} that names the option. */
export function lookupSettings(options: LookupOptions): LookupSettings {
  const { cache = false, nameServers, family = 'any', timeout = 1000, deadline = 5000, search } = options
  if (typeof cache !== 'boolean') throw new TypeError(`cache must be true or false, got ${typeof cache}`)
  if (family !== 4 && family !== 6 && family !== 'any') {
    throw new RangeError(`family must be 4, 6 or 'any', got ${String(family)}`)
  }
  checkNumber('timeout', timeout, 1)
  checkNumber('deadline', deadline, 1)
  checkList('nameServers', nameServers)
  if (nameServers?.length === 0) {
    throw new RangeError("nameServers is empty: name at least one, or leave it out for the system's")
  }
  checkList('search', search)
  return {
    cache,
    nameServers: (nameServers ?? systemNameServers()).map(parseNameServer),
    types: family === 'any' ? ['A', 'AAAA'] : [family === 4 ? 'A' : 'AAAA'],
    timeout,
    deadline,
    search: search?.map((domain) => parseHostName(domain).ascii) ?? (nameServers ? [] : undefined),
  }
}

/** @throws {TypeError} for what is no options object, and for names that are none of `known`. */
export function checkOptions(options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new TypeError('options must be an object')
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new TypeError(`unknown option ${JSON.stringify(unknown)}; there are ${known.join(', ')}`)
  }
}

/** @throws {TypeError} or {RangeError} unless `value` is a number from `least` to `most`. */
export function checkNumber(name: string, value: number, least: number, most: number = LONGEST): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, got ${typeof value}`)
  if (!(value >= least && value <= most)) {
    throw new RangeError(`${name} must be from ${least} to ${most}, got ${value}`)
  }
}

export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw new TypeError(`${name} must be a function, got ${typeof value}`)
}

export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError('signal must be an AbortSignal')
  }
}

function systemNameServers(): string[] {
  // Not imported by name: dns.setServers() puts a new function in its place.
  return dns.getServers()
}

function checkList(name: string, value: readonly string[] | undefined): void {
  if (value !== undefined && !Array.isArray(value)) throw new TypeError(`${name} must be an array of strings`)
}
