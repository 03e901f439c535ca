import { IpsError, type IpsErrorCode } from './errors.ts'
import { parseHostName, type HostName } from './host-name.ts'
import { resolve } from './resolve.ts'
import {
  checkOptions,
  checkSignal,
  LOOKUP_OPTIONS,
  lookupSettings,
  type LookupOptions,
  type LookupSettings,
} from './settings.ts'
import { keepAlive } from './waiting.ts'

export interface QueryOptions extends LookupOptions {
  /** Ends the look-up; the result then has the error `IPS_ABORTED` with the signal's reason as `cause`. */
  readonly signal?: AbortSignal | undefined
}

/** What a look-up brought: addresses, or why there are none. */
export interface QueryResult {
  /** The name as it was given. */
  readonly fqdn: string
  /** The addresses, each once, IPv4 before IPv6; empty if there was an error. */
  readonly ips: readonly string[]
  /** Whether the system's resolver was asked, which may have had the answer in a cache. */
  readonly cache: boolean
  /** Why there are no addresses, in words; empty if there are some. */
  readonly raised: string
  /** Why there are no addresses; `undefined` if there are some. */
  readonly error: IpsError | undefined
  /**
   * Seconds for which the addresses hold (RFC 1035 section 3.2.1); `undefined` for an address, and with
   * `cache`.
   */
  readonly ttl: number | undefined
}

/**
 * Looks up the addresses of a name, by default past every cache.
 *
 * Never throws and never rejects: what went wrong, wrong arguments included, is in `raised` and `error`. An
 * IP address answers itself.
 *
 * @param fqdn A host name: other alphabets than ASCII are turned into punycode; with a trailing dot the
 *   search list is left alone.
 * @see RFC 1035 for the questions and answers; HCP, "DNS": the name servers of a system answer every name of
 *   its domain with the addresses of the nodes that are available
 */
export async function query(fqdn: string, options: QueryOptions = {}): Promise<QueryResult> {
  let cache = false
  try {
    const { signal, settings } = checked(fqdn, options)
    cache = settings.cache
    const name = hostName(fqdn)
    try {
      const { ips, ttl } = await keepAlive(resolve(fqdn, name, settings, signal))
      return { fqdn, ips, cache, raised: '', error: undefined, ttl }
    } catch (error) {
      if (signal.aborted)
        throw new IpsError('IPS_ABORTED', fqdn, `${fqdn}: aborted`, { cause: signal.reason })
      throw error
    }
  } catch (cause) {
    const error = asIpsError(cause, fqdn, 'IPS_SERVER_FAILURE')
    return { fqdn, ips: [], cache, raised: error.message, error, ttl: undefined }
  }
}

function checked(fqdn: string, options: QueryOptions): { signal: AbortSignal; settings: LookupSettings } {
  try {
    checkOptions(options, [...LOOKUP_OPTIONS, 'signal'])
    const { signal = new AbortController().signal, ...rest } = options
    checkSignal(signal)
    return { signal, settings: lookupSettings(rest) }
  } catch (cause) {
    throw asIpsError(cause, fqdn, 'IPS_INVALID_ARGUMENT')
  }
}

function hostName(fqdn: string): HostName {
  try {
    return parseHostName(fqdn)
  } catch (cause) {
    throw asIpsError(cause, fqdn, 'IPS_INVALID_NAME')
  }
}

function asIpsError(cause: unknown, fqdn: string, code: IpsErrorCode): IpsError {
  if (IpsError.isInstance(cause)) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  return new IpsError(code, fqdn, message, { cause })
}
