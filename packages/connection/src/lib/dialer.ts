import { connect as connectTcp, type Socket, type TcpNetConnectOpts } from 'node:net'
import { performance } from 'node:perf_hooks'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import {
  type AttemptFailure,
  HcpCertificateError,
  HcpClosedError,
  HcpConnectError,
  HcpDnsError,
  type HcpError,
  HcpReplicaError,
  HcpTimeoutError,
  HcpTlsError,
} from './errors.ts'
import type { SystemName } from './replica-strategy.ts'
import { type Target, type TlsSettings, tlsOf } from './target.ts'

/** A socket to a node, ready for requests, and what it took (milliseconds). */
export interface Dialled {
  readonly socket: Socket
  readonly address: string
  readonly times: { readonly dns: number; readonly connect: number; readonly tls: number }
}

interface DialOptions {
  /** Milliseconds for one node: TCP and TLS handshake together. */
  readonly connectTimeout: number
  /** Milliseconds of silence before TCP keep-alive probes, 0 for none. */
  readonly tcpKeepAlive: number
}

/** Addresses that a name server may give for the target's name though they are another system's: after a DNS failover. */
export interface Strangers {
  /** What is to be waited for before `has` can tell; never rejects. */
  ready(): Promise<void> | undefined
  has(address: string): boolean
}

/**
 * A node that has not answered after this many milliseconds, or three times what nodes usually take, gets company: the next node is
 * dialled beside it and the first to be ready wins (the idea of RFC 8305, section 5). So a silent node costs a fraction of a second,
 * not a whole time limit.
 */
const headStart = 300

/** Milliseconds that connections to a target took lately, smoothed. */
const usualTimes = new WeakMap<Target, number>()

/** Connects to a target's nodes: the next healthy address of the ring, and the others after it. */
export class Dialer {
  readonly #target: Target
  readonly #tls: TlsSettings | undefined
  readonly #options: DialOptions
  /** TLS sessions by node, so that a second connection needs no full handshake. */
  readonly #sessions = new Map<string, Buffer>()
  readonly #closing = new AbortController()
  readonly #system: SystemName
  readonly #strangers: Strangers | undefined

  constructor(target: Target, options: DialOptions, system: SystemName, strangers: Strangers | undefined) {
    this.#target = target
    this.#tls = tlsOf(target)
    this.#options = options
    this.#system = system
    this.#strangers = strangers
  }

  /** Gives up what is being dialled. */
  close(): void {
    this.#closing.abort()
  }

  /**
   * Dials until a node is ready: each address once, then the addresses anew from DNS, then those not tried yet. Addresses of another
   * system are left out.
   *
   * @throws {HcpConnectError | HcpTimeoutError | HcpTlsError | HcpCertificateError | HcpDnsError} with all failures.
   * @throws {HcpReplicaError} if the name leads to another system.
   */
  async dial(): Promise<Dialled> {
    const { circle } = this.#target
    const closing = this.#closing.signal
    const began = performance.now()
    const tried = new Set<string>()
    const failures: AttemptFailure[] = []
    const causes: DialFailure[] = []
    let refreshed = false
    let dns = 0
    const strangers = this.#strangers
    const refused: string[] = []
    await strangers?.ready()
    const nextAddress = async (): Promise<string | undefined> => {
      const asked = performance.now()
      try {
        let address = await circle.next({ exclude: tried })
        if (address === undefined && !refreshed && running.size === 0) {
          refreshed = true
          // A refresh that fails keeps the old list, and that has been tried: the nodes' failures say more.
          await circle.refresh().catch(() => undefined)
          address = await circle.next({ exclude: tried })
        }
        while (address !== undefined && strangers?.has(address) === true) {
          tried.add(address)
          refused.push(address)
          address = await circle.next({ exclude: tried })
        }
        return address
      } finally {
        dns += performance.now() - asked
      }
    }
    const running = new Map<string, Promise<Dialled | DialFailure>>()
    const open = new Map<string, { readonly abort: AbortController; readonly since: number }>()
    let fastest = Number.POSITIVE_INFINITY
    try {
      for (;;) {
        if (closing.aborted) throw new HcpClosedError('The connection was closed')
        let address: string | undefined
        try {
          address = await nextAddress()
        } catch (error) {
          if (running.size === 0) throw nameError(this.#target.fqdn, error, failures)
        }
        if (address !== undefined) {
          tried.add(address)
          const abort = new AbortController()
          open.set(address, { abort, since: performance.now() })
          running.set(address, this.#node(address, abort.signal))
        }
        if (running.size === 0) {
          // The list may be out of date in either direction.
          if (!refreshed) continue
          throw refused.length > 0
            ? takenOver(this.#target.fqdn, refused, failures)
            : this.#exhausted(failures, causes)
        }
        const usual = usualTimes.get(this.#target) ?? 0
        const patience = Math.max(headStart, 3 * usual)
        const first = await race(running.values(), address === undefined ? undefined : patience)
        if (first === undefined) continue
        running.delete(first.address)
        const since = open.get(first.address)?.since ?? 0
        open.delete(first.address)
        if (!(first instanceof DialFailure)) {
          fastest = performance.now() - since
          usualTimes.set(this.#target, usual === 0 ? fastest : usual + (fastest - usual) / 4)
          circle.succeeded(first.address)
          return { ...first, times: { ...first.times, dns } }
        }
        // What was given up by us says nothing about the node.
        if (closing.aborted) throw new HcpClosedError('The connection was closed')
        circle.failed(first.address)
        causes.push(first)
        failures.push({
          address: first.address,
          code: first.code,
          message: first.message,
          at: Math.round(performance.now() - began),
          system: this.#system,
        })
      }
    } finally {
      for (const [address, { abort, since }] of open) {
        abort.abort()
        // A node that is silent for much longer than another took is not worth the next caller's head start. One that is hardly
        // slower may be well, and the machine busy; but a probe has to be answered one way or the other.
        const silent = performance.now() - since > 3 * fastest
        if (silent || circle.health().some((node) => node.address === address && node.state === 'probing')) {
          circle.failed(address)
        }
      }
    }
  }

  /** Connects to one node. Never rejects. */
  #node(address: string, signal: AbortSignal): Promise<Dialled | DialFailure> {
    const { connectTimeout, tcpKeepAlive } = this.#options
    const tls = this.#tls
    const began = performance.now()
    const closing = this.#closing.signal
    return new Promise((resolve) => {
      let connected = 0
      let secure: TLSSocket | undefined
      let session: Buffer | undefined
      let proved = false
      // `highWaterMark` is an option of every stream; the types of `connect` leave it out.
      const options: TcpNetConnectOpts & { highWaterMark: number } = {
        host: address,
        port: this.#target.port,
        noDelay: true,
        highWaterMark: 64 * 1024,
        ...(tcpKeepAlive > 0 ? { keepAlive: true, keepAliveInitialDelay: tcpKeepAlive } : {}),
      }
      const tcp = connectTcp(options)
      const timer = setTimeout(() => {
        finish(new DialFailure(address, 'timeout', 'ETIMEDOUT', `no connection within ${connectTimeout} ms`))
      }, connectTimeout)
      const finish = (outcome: Dialled | DialFailure): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
        closing.removeEventListener('abort', onAbort)
        tcp.off('error', onError)
        secure?.off('error', onError)
        if (outcome instanceof DialFailure) {
          // The TLS socket owns the TCP socket's handle: closing that one under it would crash the process.
          ;(secure ?? tcp).on('error', ignore).destroy()
        }
        resolve(outcome)
      }
      const onAbort = (): void => finish(new DialFailure(address, 'connect', 'ECANCELED', 'given up'))
      const onError = (error: NodeJS.ErrnoException): void => {
        const kind = failureKind(error, connected > 0)
        finish(new DialFailure(address, kind, error.code ?? 'ERROR', reasonOf(error), error))
      }
      signal.addEventListener('abort', onAbort)
      closing.addEventListener('abort', onAbort)
      tcp.once('error', onError)
      tcp.once('connect', () => {
        connected = performance.now()
        if (tls === undefined) {
          finish({ socket: tcp, address, times: { dns: 0, connect: connected - began, tls: 0 } })
          return
        }
        tcp.off('error', onError).on('error', ignore)
        const known = this.#sessions.get(address)
        secure = connectTls({
          socket: tcp,
          secureContext: tls.context,
          servername: tls.servername,
          rejectUnauthorized: tls.verify,
          checkServerIdentity: (_host, certificate) => (tls.verify ? tls.checkName(certificate) : undefined),
          ALPNProtocols: ['http/1.1'],
          ...(known === undefined ? {} : { session: known }),
        })
        secure.on('session', (fresh: Buffer) => {
          session = fresh
          if (proved) this.#sessions.set(address, fresh)
        })
        secure.once('error', onError)
        secure.once('secureConnect', () => {
          const socket = secure as TLSSocket
          // A resumed session shows no certificate. It is one of a connection that was proved.
          if (!socket.isSessionReused() && !pinned(tls.pins, socket)) {
            finish(
              new DialFailure(
                address,
                'certificate',
                'FINGERPRINT_MISMATCH',
                `the certificate's SHA-256 fingerprint is not one of the ${tls.pins.size} pinned`,
              ),
            )
            return
          }
          proved = true
          if (session !== undefined) this.#sessions.set(address, session)
          finish({
            socket,
            address,
            times: { dns: 0, connect: connected - began, tls: performance.now() - connected },
          })
        })
      })
    })
  }

  #exhausted(failures: readonly AttemptFailure[], causes: readonly DialFailure[]): HcpError {
    const { fqdn, port } = this.#target
    const list = byMessage(failures)
    const facts = {
      failures,
      address: failures.at(-1)?.address,
      cause:
        causes.length === 1 ? causes[0]?.cause : new AggregateError(causes.map((one) => one.cause ?? one)),
    }
    const all = (kind: DialFailure['kind']): boolean =>
      causes.length > 0 && causes.every((one) => one.kind === kind)
    if (all('certificate')) {
      return new HcpCertificateError(
        `The certificate of ${fqdn} was refused (${list}). Give its authority as tls.ca, or pin it by tls.fingerprint256.`,
        facts,
      )
    }
    if (all('tls'))
      return new HcpTlsError(
        `No TLS connection to ${fqdn} on port ${port} (${list}). Is it a TLS port?`,
        facts,
      )
    if (all('timeout')) {
      return new HcpTimeoutError(
        'connect',
        this.#options.connectTimeout,
        `No node of ${fqdn} took a connection on port ${port} (${list})`,
        facts,
      )
    }
    return new HcpConnectError(
      `No node of ${fqdn} could be connected to on port ${port} (${list || 'no addresses'})`,
      facts,
    )
  }
}

const takenOver = (
  fqdn: string,
  addresses: readonly string[],
  failures: readonly AttemptFailure[],
): HcpReplicaError =>
  new HcpReplicaError(
    `The name ${fqdn} leads to another system now (${addresses.join(', ')}): a DNS failover. Nothing was sent there`,
    { failures },
  )

/** Why one node could not be connected to. */
class DialFailure {
  readonly address: string
  readonly kind: 'connect' | 'timeout' | 'tls' | 'certificate'
  readonly code: string
  readonly message: string
  readonly cause: Error | undefined
  constructor(address: string, kind: DialFailure['kind'], code: string, message: string, cause?: Error) {
    this.address = address
    this.kind = kind
    this.code = code
    this.message = message
    this.cause = cause
  }
}

const ignore = (): void => {}

/** Without the address, which is named beside it, and without OpenSSL's file names. */
function reasonOf(error: NodeJS.ErrnoException & { reason?: unknown }): string {
  if (typeof error.reason === 'string') return error.reason
  return error.syscall === undefined || error.code === undefined
    ? error.message
    : `${error.syscall} ${error.code}`
}

/** Nodes that say the same are named together. */
function byMessage(failures: readonly AttemptFailure[]): string {
  const nodes = new Map<string, string[]>()
  for (const { address = '', message } of failures) {
    nodes.set(message, [...(nodes.get(message) ?? []), address])
  }
  return [...nodes].map(([message, addresses]) => `${addresses.join(', ')}: ${message}`).join('; ')
}

function nameError(fqdn: string, error: unknown, failures: readonly AttemptFailure[]): HcpError {
  const code = (error as { code?: unknown }).code
  if (code === 'IPS_CLOSED') return new HcpClosedError(`The target ${fqdn} was closed`, { cause: error })
  // HCP's name servers leave out nodes that are down: a name without addresses may be a system without nodes.
  const hint = code === 'IPS_NO_DATA' ? '. Perhaps none of its nodes is up' : ''
  return new HcpDnsError(`No addresses to connect to: ${(error as Error).message}${hint}`, {
    cause: error,
    failures,
  })
}

/** A node that goes away in the middle of a handshake says nothing about its TLS. */
function failureKind(error: NodeJS.ErrnoException, connected: boolean): DialFailure['kind'] {
  if (!connected || error.code === 'ECONNRESET' || error.code === 'EPIPE') return 'connect'
  return isCertificateError(error) ? 'certificate' : 'tls'
}

function isCertificateError(error: NodeJS.ErrnoException): boolean {
  const code = error.code ?? ''
  return (
    code === 'ERR_TLS_CERT_ALTNAME_INVALID' ||
    code.startsWith('CERT_') ||
    code.startsWith('UNABLE_TO_') ||
    code.includes('SELF_SIGNED') ||
    /CERTIFICATE_VERIFY|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE/.test(code)
  )
}

function pinned(pins: ReadonlySet<string>, socket: TLSSocket): boolean {
  if (pins.size === 0) return true
  const fingerprint = socket.getPeerCertificate().fingerprint256
  return fingerprint !== undefined && pins.has(fingerprint.replaceAll(':', '').toLowerCase())
}

/** The first of the promises to settle, or `undefined` after `wait` milliseconds. */
async function race<T>(promises: Iterable<Promise<T>>, wait: number | undefined): Promise<T | undefined> {
  if (wait === undefined) return Promise.race(promises)
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, wait, undefined)
    })
    return await Promise.race([...promises, late])
  } finally {
    clearTimeout(timer)
  }
}
