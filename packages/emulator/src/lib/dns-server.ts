import { isIP, isIPv6 } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { createTCPServer, createUDPServer, Packet } from 'dns2'
import type { DnsHandler } from 'dns2'

/** A domain and the addresses of its nodes that are up. */
export interface DnsZone {
  readonly domain: string
  readonly addresses: readonly string[]
}

/** How the server answers. */
export interface DnsBehaviour {
  /**
   * - `ok`: all addresses of the zone, rotated by one per query
   * - `empty`: success without records
   * - `nxdomain`, `servfail`: that response code
   * - `silent`: no answer at all
   * - `garbage`: bytes that are no DNS message
   * - `fixed`: the given `addresses`, in their order, for every name in the zones
   */
  readonly mode: 'ok' | 'empty' | 'nxdomain' | 'servfail' | 'silent' | 'garbage' | 'fixed'
  /** What `fixed` answers with (needed there, of no effect elsewhere). */
  readonly addresses?: readonly string[]
  /** Time to live of the records in seconds (RFC 1035, 3.2.1). Default: 30. */
  readonly ttl?: number
}

export interface DnsServerOptions {
  /** IP address to listen on. */
  readonly address: string
  /** Port for UDP and TCP alike; 0 is any that is free for both. */
  readonly port: number
  /** Asked at every query, so that nodes may come and go. */
  readonly zones: () => readonly DnsZone[]
}

export interface DnsServer {
  readonly port: number
  /** Queries received so far, over UDP and TCP. */
  readonly queries: number
  /** @throws {TypeError} or {RangeError} for a behaviour that cannot be played. */
  setBehaviour(behaviour: DnsBehaviour): void
  close(): Promise<void>
}

const defaultTtl = 30
const modes = new Set(['ok', 'empty', 'nxdomain', 'servfail', 'silent', 'garbage', 'fixed'])
const { TYPE, CLASS, RCODE } = Packet

/**
 * Starts a name server (UDP and TCP, same port) that is authoritative for the zones and everything below them, as the
 * name servers on the nodes of an HCP are. Other names are refused.
 *
 * @throws {Error} with the system's code (`EADDRINUSE`, `EACCES`, ...) if the port cannot be had.
 */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { address, port, zones } = options
  let behaviour: DnsBehaviour = { mode: 'ok' }
  let queries = 0
  const rotation = new Map<string, number>()

  const handle: DnsHandler = (request, send) => {
    // A response sent to a server is at best a mistake and at worst a loop.
    if (request.header.qr === 1) return
    queries += 1
    const answer = behaviour.mode === 'silent' ? undefined : answerTo(request)
    if (answer === undefined) return
    const sent: unknown = send(answer)
    // The asker may be gone: nothing to do about that.
    if (sent instanceof Promise) sent.catch(() => undefined)
  }

  function answerTo(request: Packet): Packet | Buffer {
    if (behaviour.mode === 'garbage') return garbage(request.header.id)
    const [question] = request.questions
    if (question === undefined || request.questions.length > 1) return respond(request, RCODE.FORMERR)
    if (request.header.opcode !== 0) return respond(request, RCODE.NOTIMP)
    const zone = zoneOf(question.name, zones())
    if (zone === undefined || question.class !== CLASS.IN) return respond(request, RCODE.REFUSED)
    if (behaviour.mode === 'nxdomain') return respond(request, RCODE.NXDOMAIN, true)
    if (behaviour.mode === 'servfail') return respond(request, RCODE.SERVFAIL)

    const response = respond(request, RCODE.NOERROR, true)
    if (behaviour.mode === 'empty') return response
    if (question.type !== TYPE.A && question.type !== TYPE.AAAA) return response
    const wanted = question.type === TYPE.A ? 4 : 6
    const all = behaviour.mode === 'fixed' ? (behaviour.addresses ?? []) : zone.addresses
    const addresses = all.filter((address) => isIP(address) === wanted)
    const start = behaviour.mode === 'fixed' ? 0 : nextStart(zone.domain, wanted)
    for (let index = 0; index < addresses.length; index += 1) {
      response.answers.push({
        name: question.name,
        type: question.type,
        class: CLASS.IN,
        ttl: behaviour.ttl ?? defaultTtl,
        address: addresses[(start + index) % addresses.length]!,
      } as Packet['answers'][number])
    }
    return response
  }

  /** Counted per family: resolvers ask for A and AAAA in pairs, which would otherwise skip every second node. */
  function nextStart(domain: string, family: number): number {
    const key = `${domain.toLowerCase()}/${family}`
    const start = rotation.get(key) ?? 0
    rotation.set(key, start + 1)
    return start
  }

  const servers = await listenOnBoth(address, port, handle)
  let closing: Promise<void> | undefined
  return {
    port: servers.port,
    get queries() {
      return queries
    },
    setBehaviour(next) {
      behaviour = checkBehaviour(next)
    },
    close() {
      return (closing ??= servers.close())
    },
  }
}

/** Also used where a behaviour arrives from outside, before anything is changed. */
export function checkBehaviour(behaviour: DnsBehaviour): DnsBehaviour {
  const { mode, addresses, ttl } = behaviour
  if (!modes.has(mode)) throw new TypeError(`mode: must be one of ${[...modes].join(', ')}`)
  if (addresses !== undefined) {
    const wrong = Array.isArray(addresses)
      ? addresses.find((address) => isIP(String(address)) === 0)
      : addresses
    if (wrong !== undefined) throw new TypeError(`addresses: "${String(wrong)}" is not an IP address`)
  }
  if (mode === 'fixed' && addresses === undefined) throw new TypeError('addresses: mode "fixed" needs them')
  if (ttl !== undefined && !(Number.isInteger(ttl) && ttl >= 0 && ttl <= 0x7fffffff)) {
    throw new RangeError('ttl: must be an integer from 0 to 2147483647 (seconds)')
  }
  return { ...behaviour }
}

function zoneOf(name: string, zones: readonly DnsZone[]): DnsZone | undefined {
  const wanted = name.toLowerCase()
  return zones.find(({ domain }) => {
    const zone = domain.toLowerCase()
    return wanted === zone || wanted.endsWith(`.${zone}`)
  })
}

function respond(request: Packet, rcode: number, authoritative = false): Packet {
  const response = Packet.createErrorResponseFromRequest(request, rcode)
  response.header.aa = authoritative ? 1 : 0
  return response
}

/** The id and the response flag are right, all that follows is not: one answer is promised, its name never ends. */
function garbage(id: number): Buffer {
  const bytes = Buffer.from(`000081800001000100000000${'ff'.repeat(20)}`, 'hex')
  bytes.writeUInt16BE(id, 0)
  return bytes
}

interface BoundServers {
  readonly port: number
  close(): Promise<void>
}

const attempts = 20

async function listenOnBoth(address: string, port: number, handle: DnsHandler): Promise<BoundServers> {
  for (let attempt = 1; ; attempt += 1) {
    const udp = createUDPServer({ type: isIPv6(address) ? 'udp6' : 'udp4' })
    udp.on('request', handle)
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject)
      udp.bind(port, address, resolve)
    })
    const bound = udp.address().port
    const tcp = createTCPServer(handle)
    const sockets = new Set<Socket>()
    tcp.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    try {
      await new Promise<void>((resolve, reject) => {
        tcp.once('error', reject)
        // By `net.Server` itself: dns2's own way would bind port 0 on all interfaces.
        tcp.listen({ port: bound, host: address }, resolve)
      })
    } catch (error) {
      await new Promise<void>((resolve) => udp.close(resolve))
      // A free UDP port may be taken for TCP: look for another.
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      if (port === 0 && taken && attempt < attempts) continue
      throw error
    }
    udp.on('error', () => undefined)
    tcp.on('error', () => undefined)
    return {
      port: (tcp.address() as AddressInfo).port,
      async close() {
        const closed = [
          new Promise<void>((resolve) => udp.close(resolve)),
          new Promise<void>((resolve) => tcp.close(() => resolve())),
        ]
        for (const socket of sockets) socket.destroy()
        await Promise.all(closed)
      },
    }
  }
}
