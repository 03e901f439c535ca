import { isIP, type LookupFunction } from 'node:net'
import { IpsError } from './errors.ts'
import { parseHostName, type HostName } from './host-name.ts'
import { circleLookup } from './lookup-function.ts'
import { resolve } from './resolve.ts'
import { Ring, type AddressHealth } from './ring.ts'
import {
  checkFunction,
  checkNumber,
  checkOptions,
  checkSignal,
  LOOKUP_OPTIONS,
  lookupSettings,
  type LookupOptions,
  type LookupSettings,
} from './settings.ts'
import { abortable, keepAlive } from './waiting.ts'

export interface CircleOptions extends LookupOptions {
  /** These addresses instead of asking for the name: for nodes that no name server knows. They are never refreshed. */
  readonly addresses?: readonly string[] | undefined
  /**
   * Seconds for which a list is kept at least, however short its TTL; also the wait after a failed refresh,
   * doubled with each further one (then at least 1 s). Default 5.
   */
  readonly minTtl?: number | undefined
  /** Seconds for which a list is kept at most, however long its TTL; also the longest wait. Default 300. */
  readonly maxTtl?: number | undefined
  /**
   * Milliseconds for which an address is skipped after its first failure; doubles with each further one.
   * Default 1000.
   */
  readonly failureBackoff?: number | undefined
  /** Milliseconds for which an address is skipped at most. Default 60000. */
  readonly maxFailureBackoff?: number | undefined
  /** A number from 0 to below 1; decides the order of the addresses. Default `Math.random`. */
  readonly random?: (() => number) | undefined
  /** Milliseconds of a clock that never goes back. Default `performance.now`. */
  readonly now?: (() => number) | undefined
}

export interface NextOptions {
  /** Addresses that are not wanted, such as those already tried for one request. */
  readonly exclude?: ReadonlySet<string> | undefined
  /** Ends the wait for the first list; `next` then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export interface RefreshOptions {
  /** Ends the wait, not the look-up, which others may wait for too; rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export interface FailedOptions {
  /**
   * Milliseconds for which to skip the address instead of the growing while, such as from a `Retry-After`
   * header.
   */
  readonly retryAfter?: number | undefined
}

const CIRCLE_OPTIONS: readonly string[] = [
  ...LOOKUP_OPTIONS,
  'addresses',
  'minTtl',
  'maxTtl',
  'failureBackoff',
  'maxFailureBackoff',
  'random',
  'now',
]

/** Seconds for which a list holds whose TTL nobody knows: the system's resolver tells none. */
const UNKNOWN_TTL = 30

/** Ten years in seconds: more than any TTL, and far from where adding milliseconds would lose precision. */
const LONGEST_TTL = 315_360_000

/**
 * The addresses of a name, handed out in turn.
 *
 * The list is loaded at first use and renewed in the background when its TTL ends, so that `next` waits only
 * for the first one; a list is never given up because a renewal fails. The order is random, so that many
 * circles spread evenly from their first address on, and stays the same as long as the addresses do. An
 * address whose user reports `failed` is skipped for a growing while, then tried by one caller, and back in
 * turn once that one reports `succeeded`. There are no timers: an unused circle asks nothing, and nothing
 * keeps the process alive but a caller that waits.
 *
 * For a name that is an IP address, that address is the list for ever.
 */
export class Circle implements AsyncIterable<string>, Disposable, AsyncDisposable {
  /** The name, as it was given. */
  readonly fqdn: string
  /**
   * `dns.lookup` of Node for this one name, from the circle: for the option `lookup` of `http.request`,
   * `net.connect` and undici's `connect`. With `all` the address whose turn it is comes first, skipped ones
   * last. Any other host name is refused with `IPS_INVALID_NAME`, since the addresses are not that host's.
   */
  readonly lookup: LookupFunction

  readonly #name: HostName
  readonly #settings: LookupSettings
  readonly #minTtl: number
  readonly #maxTtl: number
  readonly #now: () => number
  readonly #ring: Ring
  readonly #closing = new AbortController()
  /** The addresses were given, or the name is one: there is nothing to ask for. */
  #fixed = false
  #refreshing: Promise<readonly string[]> | undefined
  #refreshAt = 0
  #failedRefreshes = 0

  /**
   * Asks nothing yet.
   *
   * @param fqdn A host name, as for `query`, or an IP address.
   * @throws {TypeError} or {RangeError} for what is no host name and for wrong options
   */
  constructor(fqdn: string, options: CircleOptions = {}) {
    checkOptions(options, CIRCLE_OPTIONS)
    const {
      addresses,
      minTtl = 5,
      maxTtl = Math.max(300, minTtl),
      failureBackoff = 1000,
      maxFailureBackoff = Math.max(60_000, failureBackoff),
      random = Math.random,
      now = () => performance.now(),
      ...lookupOptions
    } = options
    checkNumber('minTtl', minTtl, 0, LONGEST_TTL)
    checkNumber('maxTtl', maxTtl, minTtl, LONGEST_TTL)
    checkNumber('failureBackoff', failureBackoff, 0)
    checkNumber('maxFailureBackoff', maxFailureBackoff, failureBackoff)
    checkFunction('random', random)
    checkFunction('now', now)

    this.#name = parseHostName(fqdn)
    this.#settings = lookupSettings(lookupOptions)
    this.fqdn = fqdn
    this.#minTtl = minTtl
    this.#maxTtl = maxTtl
    this.#now = now
    this.#ring = new Ring({ firstSkip: failureBackoff, longestSkip: maxFailureBackoff, random })
    const fixed = addresses === undefined ? undefined : checkAddresses(addresses)
    if (fixed !== undefined || this.#name.literal) {
      this.#fixed = true
      this.#ring.replace(fixed ?? [this.#name.ascii])
      this.#refreshAt = Infinity
    }
    this.lookup = circleLookup(this.#name.ascii, (family) => this.#all(family))
  }

  /** The last good list, in the order in which it is handed out; empty before the first one was loaded. */
  get addresses(): readonly string[] {
    return this.#ring.addresses
  }

  /**
   * The next address to dial: round robin over those that are not skipped. If all that are not excluded are
   * being skipped, it is the one whose skip ends first. A plain value once there is a list.
   *
   * @returns `undefined` if every address is excluded.
   * @throws {IpsError} if there is no list yet and the look-up fails, or if the circle is closed
   */
  next(options?: NextOptions): string | undefined | Promise<string | undefined> {
    if (options !== undefined) checkNextOptions(options)
    options?.signal?.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    if (this.#ring.size === 0) return this.#firstOf(options)
    const now = this.#now()
    this.#renew(now)
    return this.#ring.take(now, options?.exclude)
  }

  /**
   * Looks the name up now. Calls at the same time share one look-up.
   *
   * @returns The new list.
   * @throws {IpsError} if there are no addresses; the list that was there stays
   */
  async refresh(options: RefreshOptions = {}): Promise<readonly string[]> {
    checkOptions(options, ['signal'])
    checkSignal(options.signal)
    options.signal?.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    const refreshed = this.#refreshOnce()
    return await keepAlive(options.signal ? abortable(refreshed, options.signal) : refreshed)
  }

  /**
   * Reports that an address could not be used. It is skipped for a growing while; then one caller of `next`
   * gets it as a probe, and the others go on skipping it until that one reports. An outage that several
   * report counts once.
   */
  failed(address: string, options: FailedOptions = {}): void {
    checkOptions(options, ['retryAfter'])
    const { retryAfter } = options
    if (retryAfter !== undefined) checkNumber('retryAfter', retryAfter, 0, LONGEST_TTL * 1000)
    this.#ring.failed(address, this.#now(), retryAfter)
  }

  /**
   * Reports that an address works: it is back in turn at once. Costs next to nothing while nothing had
   * failed.
   */
  succeeded(address: string): void {
    this.#ring.succeeded(address)
  }

  /** How each address fares, in the order of `addresses`. */
  health(): readonly AddressHealth[] {
    return this.#ring.health()
  }

  /** Addresses in turn, without end; closing the circle ends the loop. */
  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      let address: string | undefined
      try {
        address = await this.next()
      } catch (error) {
        if (!signal.aborted) throw error
      }
      if (address !== undefined) yield address
    }
  }

  /** Ends a look-up under way; from then on `next`, `refresh` and `lookup` fail with `IPS_CLOSED`. */
  close(): void {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new IpsError('IPS_CLOSED', this.fqdn, `the circle of ${this.fqdn} is closed`))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
    // The look-up ends at once; what it ends with is its callers' concern.
    await this.#refreshing?.catch(() => {})
  }

  async #firstOf({ exclude, signal }: NextOptions = {}): Promise<string | undefined> {
    await this.refresh(signal && { signal })
    return this.#ring.take(this.#now(), exclude)
  }

  async #all(family: number): Promise<string[]> {
    this.#closing.signal.throwIfAborted()
    if (this.#ring.size === 0) await this.refresh()
    const now = this.#now()
    this.#renew(now)
    const others = new Set(family === 0 ? [] : this.addresses.filter((address) => isIP(address) !== family))
    return this.#ring.takeAll(now, others)
  }

  /** Looks the name up in the background if the list has had its time. */
  #renew(now: number): void {
    if (now < this.#refreshAt || this.#refreshing) return
    // A failure changes nothing for those who have a list; it has set the time of the next try.
    this.#refreshOnce().catch(() => {})
  }

  #refreshOnce(): Promise<readonly string[]> {
    this.#refreshing ??= this.#load().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #load(): Promise<readonly string[]> {
    if (this.#fixed) return this.#ring.addresses
    try {
      const { signal } = this.#closing
      const { ips, ttl = UNKNOWN_TTL } = await resolve(this.fqdn, this.#name, this.#settings, signal)
      this.#ring.replace(ips)
      this.#failedRefreshes = 0
      const seconds = Math.min(this.#maxTtl, Math.max(this.#minTtl, ttl))
      this.#refreshAt = this.#now() + seconds * 1000
      return this.#ring.addresses
    } catch (error) {
      const wait = Math.max(this.#minTtl, 1) * 2 ** this.#failedRefreshes
      this.#failedRefreshes += 1
      this.#refreshAt = this.#now() + Math.min(Math.max(this.#maxTtl, 1), wait) * 1000
      throw error
    }
  }
}

function checkAddresses(addresses: readonly string[]): readonly string[] {
  if (!Array.isArray(addresses)) throw new TypeError('addresses must be a list of IP addresses')
  if (addresses.length === 0) throw new RangeError('addresses must name at least one IP address')
  for (const address of addresses) {
    if (typeof address !== 'string') throw new TypeError('addresses must be a list of IP addresses')
    if (isIP(address) === 0) throw new RangeError(`addresses: ${JSON.stringify(address)} is no IP address`)
  }
  return addresses
}

function checkNextOptions(options: NextOptions): void {
  checkOptions(options, ['exclude', 'signal'])
  checkSignal(options.signal)
  const { exclude } = options
  if (exclude !== undefined && typeof exclude.has !== 'function') throw new TypeError('exclude must be a Set')
}
