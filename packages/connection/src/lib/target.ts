import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import {
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  type SecureVersion,
} from 'node:tls'
import type { Authorization } from '@hcp/auth'
import { Circle } from '@hcp/ips'
import { checkBoolean, checkInteger, checkOptions, checkString } from './arguments.ts'
import { checkFailover, Failover } from './failover.ts'
import {
  initReplica,
  knownReplica,
  type Replica,
  type ReplicaOptions,
  type ReplicaSettings,
} from './replica.ts'
import { checkStrategy } from './replica-strategy.ts'

/** The ports of HCP (Using a Namespace; Administering HCP). */
export const Port: {
  readonly http: 80
  readonly https: 443
  readonly management: 8000
  readonly search: 8888
  readonly mapi: 9090
} = { http: 80, https: 443, management: 8000, search: 8888, mapi: 9090 }

/** How the server proves who it is, and how we do. Without options: the system's certificate authorities, and the name. */
export interface TlsOptions {
  /** Certificate authorities to trust instead of the system's, PEM. HCP systems usually have a certificate of their own. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[]
  /**
   * SHA-256 fingerprints of certificates of which the server must present one, 64 hex digits, colons allowed. With `ca`
   * both must hold; without it the fingerprint alone decides, so that a self-signed certificate can be used safely.
   */
  readonly fingerprint256?: string | readonly string[]
  /** Client certificate and its private key, PEM, for systems that ask for one. */
  readonly cert?: string | Uint8Array
  readonly key?: string | Uint8Array
  /** Lowest protocol version. Default: Node's, `TLSv1.2`. */
  readonly minVersion?: SecureVersion
  /**
   * Talks to whoever answers: credentials and data can be read and changed on the way. Makes Node print a warning.
   * Prefer `ca` or `fingerprint256`. Default false.
   */
  readonly dangerouslyAcceptAnyCertificate?: boolean
}

export interface TargetOptions {
  /** Credentials, from `@hcp/auth`; `new AnonymousAuthorization()` for none. */
  readonly authorization: Authorization
  /** TCP port. Default 443; 80 for plain HTTP, 9090 for the management API. */
  readonly port?: number
  /** TLS on or off, and its settings. Default: on, except on ports 80 and 8888. */
  readonly tls?: boolean | TlsOptions
  /** The nodes' addresses, where no name server knows them; certificates are still checked for the name. Default: ask DNS. */
  readonly addresses?: readonly string[]
  /** Name servers to ask, `address` or `address:port`. Default: the system's. */
  readonly nameServers?: readonly string[]
  /** Resolve through the system resolver, which may cache and reads the hosts file. Default false: past every cache. */
  readonly cache?: boolean
  /** Use only IPv4 (4) or IPv6 (6) addresses. Default both. */
  readonly family?: 4 | 6
  /** The ring of node addresses to use, shared with others or made with own settings. Default: one of its own for `fqdn`. */
  readonly circle?: Circle
  /** Another system that has the same content, and when to use it. Default: none. */
  readonly replica?: ReplicaOptions
}

const known: ReadonlySet<string> = new Set([
  'authorization',
  'port',
  'tls',
  'addresses',
  'nameServers',
  'cache',
  'family',
  'circle',
  'replica',
])
const knownTls: ReadonlySet<string> = new Set([
  'ca',
  'fingerprint256',
  'cert',
  'key',
  'minVersion',
  'dangerouslyAcceptAnyCertificate',
])

/** What the connector needs for a handshake; made once for a target. */
export interface TlsSettings {
  readonly context: SecureContext
  /** Reject a certificate whose chain or name is not in order. */
  readonly verify: boolean
  /** Lower-case hex without colons; empty: none pinned. */
  readonly pins: ReadonlySet<string>
  readonly servername: string
  readonly checkName: (certificate: PeerCertificate) => Error | undefined
}

/** Settings of the handshake with a target's nodes, or `undefined` for plain HTTP. For `Connection` only. */
export let tlsOf: (target: Target) => TlsSettings | undefined

/** The replica with all that belongs to it. For `Connection` only. */
export let replicaOf: (target: Target) => ReplicaSettings | undefined

/**
 * What to talk to and how: a name, a port, credentials, TLS, and the ring of the nodes' addresses. Opens nothing by itself;
 * the name is resolved at first use. Share one target among all connections of a program to the same namespace or system.
 *
 * @example
 *   const target = new Target('ns1.ten1.hcp.example.com', { authorization: new NativeAuthorization(user, password) })
 */
export class Target implements Disposable, AsyncDisposable {
  /** Fully qualified name, for example `namespace.tenant.hcp.example.com`, in lower case and without a final dot. */
  readonly fqdn: string
  readonly port: number
  /** Whether requests go over TLS. */
  readonly tls: boolean
  readonly authorization: Authorization
  /** The ring of node addresses, with their health. */
  readonly circle: Circle
  readonly #tls: TlsSettings | undefined
  readonly #ownsCircle: boolean
  readonly #replica: ReplicaSettings | undefined
  /** The replica was made here, of a name. */
  readonly #ownsReplica: boolean

  static {
    tlsOf = (target) => target.#tls
    replicaOf = (target) => target.#replica
  }

  /**
   * @param fqdn `[namespace.]tenant.domain` or `admin.domain`; an IP address only for systems without name-based routing.
   * @throws {TypeError | RangeError} for arguments that cannot work, by name.
   */
  constructor(fqdn: string, options: TargetOptions) {
    const name = checkString('fqdn', fqdn)
    if (options === undefined) throw new TypeError('Target: options with an authorization are required')
    checkOptions('Target', options, known)
    const { authorization, port = Port.https, tls, circle, addresses, nameServers, cache, family } = options
    if (typeof authorization?.headers !== 'function') {
      throw new TypeError(
        'authorization must be an object of @hcp/auth; new AnonymousAuthorization() sends none',
      )
    }
    this.fqdn = checkFqdn(name)
    this.port = checkInteger('port', port, 1, 65_535)
    this.authorization = authorization
    if (circle !== undefined && !(typeof circle === 'object' && typeof circle?.next === 'function')) {
      throw new TypeError('circle must be a Circle of @hcp/ips')
    }
    const ringSettings = [addresses, nameServers, cache, family]
    if (circle !== undefined && ringSettings.some((setting) => setting !== undefined)) {
      throw new TypeError('addresses, nameServers, cache and family belong to the circle when one is given')
    }
    const wanted = tls ?? (port !== Port.http && port !== Port.search)
    this.#tls = wanted === false ? undefined : tlsSettings(this.fqdn, wanted === true ? {} : wanted)
    this.tls = this.#tls !== undefined
    this.#ownsCircle = circle === undefined
    this.circle =
      circle ??
      new Circle(this.fqdn, {
        addresses,
        nameServers,
        cache: cache === undefined ? undefined : checkBoolean('cache', cache),
        family,
      })
    const { replica } = options
    this.#ownsReplica = replica?.target === undefined
    this.#replica = replica === undefined ? undefined : this.#checkReplica(replica, options)
  }

  #checkReplica(replica: ReplicaOptions, primary: TargetOptions): ReplicaSettings {
    checkOptions('replica', replica, knownReplica)
    const {
      fqdn,
      target: given,
      strategy,
      eager = false,
      sharedAddresses = false,
      failover = {},
      ...own
    } = replica
    if ((fqdn === undefined) === (given === undefined))
      throw new TypeError('replica: give its fqdn, or a target of its own')
    const all = checkStrategy(strategy)
    const limits = checkFailover(failover)
    checkBoolean('replica.eager', eager)
    checkBoolean('replica.sharedAddresses', sharedAddresses)
    const { authorization, port, tls, nameServers, cache, family } = primary
    const inherited = { authorization, port, tls, nameServers, cache, family }
    if (given !== undefined && !(given instanceof Target))
      throw new TypeError('replica.target must be a Target')
    const named = Object.keys(own)[0]
    if (given !== undefined && named !== undefined)
      throw new TypeError(`replica.${named} belongs to the replica's target when one is given`)
    if (given?.replica !== undefined) throw new RangeError('replica.target must not have a replica itself')
    const target =
      given ?? new Target(fqdn as string, defined({ ...inherited, ...defined(own) }) as TargetOptions)
    if (target.fqdn === this.fqdn && target.port === this.port)
      throw new RangeError(`replica: ${target.fqdn} is the target itself`)
    return {
      target,
      strategy: all,
      eager,
      sharedAddresses,
      failover: new Failover(this, target, all, limits),
    }
  }

  /** The system that has the same content, if one was given. */
  get replica(): Replica | undefined {
    return this.#replica
  }

  /** The nodes' addresses as given or last resolved; empty before the first use. */
  get addresses(): readonly string[] {
    return this.circle.addresses
  }

  /** `https://fqdn:port`, the port left out where it is the scheme's own. */
  get origin(): string {
    const host = isIP(this.fqdn) === 6 ? `[${this.fqdn}]` : this.fqdn
    return new URL(`${this.tls ? 'https' : 'http'}://${host}:${this.port}`).origin
  }

  /**
   * Resolves the name, and the replica's, now instead of at first use: a way to learn early that a name is wrong.
   *
   * @throws {IpsError} if the name has no addresses.
   * @throws {HcpReplicaError} with the code `HCP_REPLICA_INIT` if the replica's has none.
   */
  async resolve(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
    const addresses = this.addresses.length > 0 ? this.addresses : await this.circle.refresh(options)
    if (this.#replica !== undefined) await initReplica(this.#replica, options.signal)
    return addresses
  }

  /** Stops refreshing addresses. A circle and a replica's target that were passed in are left alone. */
  close(): void {
    if (this.#ownsCircle) this.circle.close()
    if (this.#ownsReplica) this.#replica?.target.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}

const defined = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/** RFC 1035, section 2.3.4: labels of 1 to 63 bytes, 253 in all. */
function checkFqdn(name: string): string {
  if (isIP(name) !== 0) return name
  const plain = name.toLowerCase().replace(/\.$/, '')
  const fault = (why: string): RangeError =>
    new RangeError(`fqdn ${JSON.stringify(name)} ${why}; expected for example "ns1.ten1.hcp.example.com"`)
  if (/[/:@?#\s]/.test(plain)) throw fault('must be a name alone, without scheme, port, path or blanks')
  if (plain.length > 253) throw fault('is longer than 253 characters')
  if (!plain.split('.').every((part) => label.test(part))) throw fault('is not a valid host name')
  if (/^[\d.]+$/.test(plain)) throw fault('is neither a name nor a whole IP address')
  return plain
}

/** Node takes text without a certificate for an authority that nobody has signed by, in silence. */
function checkCertificate(name: string, pem: unknown): void {
  if (typeof pem !== 'string' && !(pem instanceof Uint8Array))
    throw new TypeError(`${name} must be PEM text or bytes`)
  try {
    void new X509Certificate(pem)
  } catch {
    throw new TypeError(
      `${name} is no certificate in PEM form ("-----BEGIN CERTIFICATE-----"); is it a file's name?`,
    )
  }
}

function tlsSettings(fqdn: string, options: TlsOptions): TlsSettings {
  checkOptions('Target: tls', options, knownTls)
  const { ca, cert, key, minVersion, fingerprint256, dangerouslyAcceptAnyCertificate = false } = options
  checkBoolean('tls.dangerouslyAcceptAnyCertificate', dangerouslyAcceptAnyCertificate)
  const pins = new Set<string>()
  for (const pin of typeof fingerprint256 === 'string' ? [fingerprint256] : (fingerprint256 ?? [])) {
    const hex = checkString('tls.fingerprint256', pin).replaceAll(':', '').toLowerCase()
    if (!/^[0-9a-f]{64}$/.test(hex)) {
      throw new RangeError('tls.fingerprint256 must be a SHA-256 fingerprint: 64 hex digits, colons allowed')
    }
    pins.add(hex)
  }
  if (dangerouslyAcceptAnyCertificate) {
    if (ca !== undefined || pins.size > 0) {
      throw new TypeError(
        'tls.dangerouslyAcceptAnyCertificate makes tls.ca and tls.fingerprint256 pointless: choose one',
      )
    }
    process.emitWarning(
      `The server certificate of ${fqdn} is not verified: credentials and data can be read and changed on the way.`,
      {
        type: 'SecurityWarning',
        code: 'HCP_TLS_UNVERIFIED',
        detail: 'Give tls.ca or tls.fingerprint256 instead of tls.dangerouslyAcceptAnyCertificate.',
      },
    )
  }
  for (const authority of ca === undefined ? [] : [ca].flat()) checkCertificate('tls.ca', authority)
  let context
  try {
    context = createSecureContext({
      ...(ca === undefined ? {} : { ca: ca as string }),
      ...(cert === undefined ? {} : { cert: cert as string }),
      ...(key === undefined ? {} : { key: key as string }),
      ...(minVersion === undefined ? {} : { minVersion }),
    })
  } catch (cause) {
    throw new TypeError(`tls: ca, cert, key or minVersion is not usable: ${(cause as Error).message}`, {
      cause,
    })
  }
  return {
    context,
    verify: !dangerouslyAcceptAnyCertificate && (pins.size === 0 || ca !== undefined),
    pins,
    servername: isIP(fqdn) === 0 ? fqdn : '',
    checkName: (certificate) => checkServerIdentity(fqdn, certificate),
  }
}
