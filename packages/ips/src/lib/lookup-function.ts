import { isIP, type LookupFunction } from 'node:net'
import { IpsError } from './errors.ts'
import { sameName } from './exchange.ts'
import { parseHostName } from './host-name.ts'

/** The addresses of one family (4 or 6) or of both (0), the one to try first at the front. */
type AddressSource = (family: number) => Promise<string[]>

/**
 * A function with the form of Node's `dns.lookup` that answers one host name.
 *
 * @see Node.js, "dns.lookup(hostname[, options], callback)"
 */
export function circleLookup(name: string, addresses: AddressSource): LookupFunction {
  const answer = async (hostname: string, family: number): Promise<string[]> => {
    if (!isName(hostname, name)) {
      const message = `lookup of ${hostname}: this circle has the addresses of ${name} only`
      throw new IpsError('IPS_INVALID_NAME', hostname, message)
    }
    const found = await addresses(family)
    if (found.length > 0) return found
    throw new IpsError('IPS_NO_DATA', hostname, `${hostname}: no IPv${family} address`)
  }

  // Node also calls it without options, or with a family number in their place.
  return (hostname, optionsOrCallback, maybeCallback?: Parameters<LookupFunction>[2]) => {
    const given: unknown = optionsOrCallback
    const callback = maybeCallback ?? (given as Parameters<LookupFunction>[2])
    const options = typeof given === 'object' && given !== null ? (given as LookupOptions) : { family: given }
    answer(hostname, familyNumber(options.family)).then(
      // Outside the promise, so that an error thrown by the callback is the caller's and not a rejection
      // here.
      (found) =>
        process.nextTick(() => {
          const [first = ''] = found
          if (options.all)
            callback(
              null,
              found.map((address) => ({ address, family: isIP(address) })),
            )
          else callback(null, first, isIP(first))
        }),
      (error: unknown) => process.nextTick(callback, error, '', 0),
    )
  }
}

/** Clients pass a name in another alphabet as it was given to them. */
function isName(hostname: string, ascii: string): boolean {
  try {
    return sameName(parseHostName(hostname).ascii, ascii)
  } catch {
    return false
  }
}

interface LookupOptions {
  readonly family?: unknown
  readonly all?: boolean
}

function familyNumber(family: unknown): number {
  if (family === 4 || family === 'IPv4') return 4
  if (family === 6 || family === 'IPv6') return 6
  return 0
}
