import { isIP, isIPv4, isIPv6 } from 'node:net'

/** Where a name server listens. */
export interface NameServer {
  /** IPv4 or IPv6 address, without brackets. */
  readonly address: string
  readonly port: number
}

/** RFC 1035 section 4.2: the port of a name server. */
const DNS_PORT = 53

/**
 * Reads `address`, `address:port`, `[address]` or `[address]:port`; an IPv6 address with a port needs the
 * brackets.
 *
 * @throws {TypeError} if it is no string
 * @throws {RangeError} if it is no address, or the port is none
 */
export function parseNameServer(text: string): NameServer {
  if (typeof text !== 'string') throw new TypeError(`nameServers must hold strings, got ${typeof text}`)
  if (isIP(text) !== 0) return { address: text, port: DNS_PORT }

  const bracketed = /^\[([^\]]+)\](?::(.+))?$/.exec(text)
  const [, address, port] = bracketed ?? /^([^:]+):(.+)$/.exec(text) ?? []
  const valid = address !== undefined && (bracketed ? isIPv6(address) : isIPv4(address))
  if (!valid) {
    throw new RangeError(
      `name server ${JSON.stringify(text)} is no address: write 192.0.2.1, 192.0.2.1:53, 2001:db8::1 or [2001:db8::1]:53`,
    )
  }
  return { address, port: port === undefined ? DNS_PORT : parsePort(port, text) }
}

/** The form that `parseNameServer` reads, for messages. */
export function formatNameServer({ address, port }: NameServer): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`
}

function parsePort(text: string, whole: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) {
    throw new RangeError(`name server ${JSON.stringify(whole)} has no valid port: give one of 1 to 65535`)
  }
  return port
}
