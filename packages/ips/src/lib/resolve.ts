import { Packet } from 'dns2'
import { unique, type Addresses } from './addresses.ts'
import { IpsError, type IpsErrorCode } from './errors.ts'
import { sameName, type Question } from './exchange.ts'
import { parseHostName, type HostName } from './host-name.ts'
import type { NameServer } from './name-server.ts'
import { askInTurn, mostTelling, type Context } from './name-servers.ts'
import { candidates, systemSearchList } from './search-list.ts'
import type { LookupSettings } from './settings.ts'
import { askSystem } from './system-resolver.ts'

/** Aliases followed for one name before it counts as a loop. */
const MAX_ALIASES = 16

/** Milliseconds for which the other family's answer is awaited once one family's addresses are there. */
const SECOND_FAMILY_GRACE = 300

/**
 * Looks a name up. An address answers itself.
 *
 * Keeps nothing alive: a caller that waits for it holds the process, see `keepAlive`.
 *
 * @param fqdn The name as the caller gave it, for errors.
 * @throws {IpsError} if there are no addresses
 * @throws the signal's reason if it fires
 */
export async function resolve(
  fqdn: string,
  name: HostName,
  settings: LookupSettings,
  signal: AbortSignal,
): Promise<Addresses> {
  signal.throwIfAborted()
  if (name.literal) return { ips: [name.ascii], ttl: undefined }
  return settings.cache
    ? await askSystem(fqdn, name, settings, signal)
    : await askNameServers(fqdn, name, settings, signal)
}

async function askNameServers(
  fqdn: string,
  name: HostName,
  settings: LookupSettings,
  signal: AbortSignal,
): Promise<Addresses> {
  const { nameServers, types, timeout, deadline } = settings
  if (nameServers.length === 0) {
    throw new IpsError('IPS_NO_SERVERS', fqdn, `${fqdn}: the system knows no name server; give nameServers`)
  }
  const endsAt = performance.now() + deadline
  const context = {
    fqdn,
    servers: nameServers,
    silent: new Set<NameServer>(),
    timeout,
    deadline,
    endsAt,
    signal,
  }
  const search = name.absolute ? [] : (settings.search ?? (await systemSearchList()))

  let missing: unknown
  for (const candidate of candidates(name, search)) {
    try {
      return await askFamilies(candidate, types, context)
    } catch (error) {
      if (!IpsError.isInstance(error) || !isMissing(error.code)) throw error
      missing ??= error
    }
  }
  throw missing
}

function isMissing(code: IpsErrorCode): boolean {
  return code === 'IPS_NOT_FOUND' || code === 'IPS_NO_DATA'
}

/**
 * Asks for both families at once. When one has addresses the other is not awaited for long: some name servers
 * drop questions for AAAA silently.
 */
async function askFamilies(
  name: string,
  types: readonly Question['type'][],
  outer: Context,
): Promise<Addresses> {
  const enough = new AbortController()
  const signal = AbortSignal.any([outer.signal, enough.signal])
  const { promise: settled, resolve: settle } = Promise.withResolvers<void>()
  const found: Addresses[] = []
  const failures: unknown[] = []
  let timer: NodeJS.Timeout | undefined
  let open = types.length
  for (const type of types) {
    followAliases({ name, type }, { ...outer, signal })
      .then(
        (addresses) => {
          found.push(addresses)
          timer ??= setTimeout(settle, SECOND_FAMILY_GRACE).unref()
        },
        (error: unknown) => failures.push(error),
      )
      .finally(() => {
        open -= 1
        if (open === 0) settle()
      })
  }
  await settled
  clearTimeout(timer)
  enough.abort()
  outer.signal.throwIfAborted()

  if (found.length === 0) {
    throw failures.find((error) => !IpsError.isInstance(error)) ?? mostTelling(failures as IpsError[])
  }
  const ttl = Math.min(...found.map((addresses) => addresses.ttl ?? Infinity))
  return { ips: unique(found.flatMap(({ ips }) => ips)), ttl }
}

/** Asks until the answer holds addresses: an answer may end in an alias whose addresses must be asked for. */
async function followAliases({ name, type }: Question, context: Context): Promise<Addresses> {
  const { fqdn } = context
  const seen = new Set<string>()
  let current = name
  let ttl = Infinity
  for (;;) {
    const answer = await askInTurn({ name: current, type }, context)
    const asked = current
    const records = answer.answers.filter((record) => record.class === Packet.CLASS.IN)
    for (;;) {
      const alias = records.find(
        (record) => record.type === Packet.TYPE.CNAME && sameName(record.name, current),
      )
      if (alias === undefined) break
      seen.add(current.toLowerCase())
      ttl = Math.min(ttl, alias.ttl)
      current = aliasTarget(alias, fqdn)
      if (seen.has(current.toLowerCase()) || seen.size > MAX_ALIASES) {
        throw new IpsError('IPS_BAD_ANSWER', fqdn, `${name}: its aliases do not end`)
      }
    }
    if (answer.header.rcode === Packet.RCODE.NXDOMAIN) {
      throw new IpsError('IPS_NOT_FOUND', fqdn, `${current}: no such name`)
    }
    const own = records.filter(
      (record) => record.type === Packet.TYPE[type] && sameName(record.name, current),
    )
    const ips = own.flatMap(({ address }) => address ?? [])
    if (ips.length > 0) return { ips, ttl: Math.min(ttl, ...own.map((record) => record.ttl)) }
    if (current === asked) throw new IpsError('IPS_NO_DATA', fqdn, `${current}: no ${type} record`)
  }
}

function aliasTarget({ name, domain = '' }: Packet['answers'][number], fqdn: string): string {
  try {
    return parseHostName(domain).ascii
  } catch (cause) {
    throw new IpsError('IPS_BAD_ANSWER', fqdn, `${name} is an alias of what is no host name`, { cause })
  }
}
