import { lookup } from 'node:dns/promises'
import { unique, type Addresses } from './addresses.ts'
import { IpsError } from './errors.ts'
import type { HostName } from './host-name.ts'
import type { LookupSettings } from './settings.ts'
import { abortable } from './waiting.ts'

/**
 * Asks the system's resolver.
 *
 * @throws {IpsError} if there are no addresses
 * @throws the signal's reason if it fires
 */
export async function askSystem(
  fqdn: string,
  name: HostName,
  { types, deadline }: LookupSettings,
  signal: AbortSignal,
): Promise<Addresses> {
  const family = types.length === 2 ? 0 : types[0] === 'A' ? 4 : 6
  // The system's resolver cannot be stopped; its late answer is dropped.
  const limit = new AbortController()
  const timer = setTimeout(() => {
    limit.abort(new IpsError('IPS_TIMEOUT', fqdn, `${fqdn}: no answer of the system within ${deadline} ms`))
  }, deadline).unref()
  try {
    const asked = name.absolute ? `${name.ascii}.` : name.ascii
    const looking = lookup(asked, { all: true, family, order: 'verbatim' })
    const found = await abortable(abortable(looking, limit.signal), signal)
    return { ips: unique(found.map(({ address }) => address)), ttl: undefined }
  } catch (error) {
    if (signal.aborted || IpsError.isInstance(error)) throw error
    throw systemError(fqdn, error)
  } finally {
    clearTimeout(timer)
  }
}

function systemError(fqdn: string, cause: unknown): IpsError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOTFOUND') return new IpsError('IPS_NOT_FOUND', fqdn, `${fqdn}: no such name`, { cause })
  // The system has addresses of the other family only, which it tells in three ways.
  if (code === 'ENODATA' || code === 'EAI_NODATA' || code === 'EAI_ADDRFAMILY') {
    return new IpsError('IPS_NO_DATA', fqdn, `${fqdn}: no address`, { cause })
  }
  return new IpsError('IPS_SERVER_FAILURE', fqdn, `${fqdn}: the system could not look it up`, { cause })
}
