import { lookup } from 'node:dns/promises'
import { Packet } from 'dns2'
import { IpsError, type IpsErrorCode } from './errors.ts'
import { ask, ExchangeError, sameName, type ExchangeFailure, type Question } from './exchange.ts'
import { parseHostName, type HostName } from './host-name.ts'
import { formatNameServer, type NameServer } from './name-server.ts'
import { candidates, systemSearchList } from './search-list.ts'
import type { LookupSettings } from './settings.ts'

/** Addresses of a name. */
export interface Addresses {
  readonly ips: readonly string[]
  /** Seconds for which they hold, the least of all records used; `undefined` if nobody said. */
  readonly ttl: number | undefined
}

/** Aliases followed for one name before it counts as a loop. */
const MAX_ALIASES = 16

/** Milliseconds for which the other family's answer is awaited once one family's addresses are there. */
const SECOND_FAMILY_GRACE = 300

/** What one look-up shares between its questions. */
interface Context {
  readonly fqdn: string
  readonly servers: readonly NameServer[]
  /** Servers that let a question of this look-up time out: asked last from then on. */
  readonly silent: Set<NameServer>
  readonly timeout: number
  readonly deadline: number
  readonly endsAt: number
  readonly signal: AbortSignal
}

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

/** Waits for a promise and keeps the process alive meanwhile. */
export async function keepAlive<Value>(promise: Promise<Value>): Promise<Value> {
  const timer = setInterval(() => {}, 2 ** 30)
  try {
    return await promise
  } finally {
    clearInterval(timer)
  }
}

/** Waits for a promise, at most until the signal fires; then rejects with its reason. */
export async function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([aborted, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function askSystem(
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
 * Asks for both families at once. When one has addresses the other is not awaited for long: some name servers drop
 * questions for AAAA silently.
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

/**
 * Asks one name server after the other until one has an answer: addresses, aliases, or that there are none. Those that
 * only fail are not asked again; those that stay silent are, round after round until the deadline.
 */
async function askInTurn(question: Question, context: Context): Promise<Packet> {
  const { fqdn, silent, timeout, deadline, endsAt, signal } = context
  const failures = new Map<NameServer, IpsError>()
  let servers = context.servers.toSorted((one, other) => Number(silent.has(one)) - Number(silent.has(other)))
  while (servers.length > 0) {
    for (const server of servers) {
      const left = endsAt - performance.now()
      if (left <= 0) {
        const late = `${question.name}: no answer within ${deadline} ms`
        failures.set(server, failures.get(server) ?? new IpsError('IPS_TIMEOUT', fqdn, late))
        throw summary(question, failures, fqdn)
      }
      try {
        const answer = await ask(server, question, Math.ceil(Math.min(timeout, left)), signal)
        refuseFailure(answer, server, question, fqdn)
        return answer
      } catch (error) {
        const failure = exchangeFailure(error, question, fqdn)
        if (signal.aborted || failure === undefined) throw error
        // The last try before the deadline may be too short for what the server does; what it did before counts then.
        const before = failures.get(server)
        failures.set(server, before ? mostTelling([before, failure]) : failure)
        if (tookItsTime(error)) silent.add(server)
        else servers = servers.filter((other) => other !== server)
      }
    }
  }
  throw summary(question, failures, fqdn)
}

/** @throws {IpsError} for an answer that says the server could not answer. */
function refuseFailure(
  { header, answers, authorities }: Packet,
  server: NameServer,
  question: Question,
  fqdn: string,
): void {
  const { NOERROR, NXDOMAIN, REFUSED } = Packet.RCODE
  const { rcode } = header
  const where = `${question.name}: ${formatNameServer(server)}`
  if (rcode === REFUSED) throw new IpsError('IPS_REFUSED', fqdn, `${where} refused to answer (REFUSED)`)
  if (rcode !== NOERROR && rcode !== NXDOMAIN) {
    const known = Object.entries(Packet.RCODE).find(([, code]) => code === rcode)?.[0] ?? `RCODE ${rcode}`
    throw new IpsError('IPS_SERVER_FAILURE', fqdn, `${where} could not answer (${known})`)
  }
  // RFC 2308 section 2.2: NS without SOA and without an answer is no "no data" but a hint whom to ask instead.
  const referral = rcode === NOERROR && answers.length === 0 && header.aa === 0
  const types = new Set(authorities.map(({ type }) => type))
  if (referral && types.has(Packet.TYPE.NS) && !types.has(Packet.TYPE.SOA)) {
    throw new IpsError('IPS_SERVER_FAILURE', fqdn, `${where} only names other name servers`)
  }
}

const CODES: Readonly<Record<ExchangeFailure, IpsErrorCode>> = {
  silent: 'IPS_TIMEOUT',
  lies: 'IPS_BAD_ANSWER',
  broken: 'IPS_BAD_ANSWER',
  unreachable: 'IPS_NO_SERVERS',
}

/** Whether the time-out has passed, so that asking again cannot become a busy loop. */
function tookItsTime(error: unknown): boolean {
  return error instanceof ExchangeError && (error.failure === 'silent' || error.failure === 'lies')
}

function exchangeFailure(error: unknown, question: Question, fqdn: string): IpsError | undefined {
  if (IpsError.isInstance(error)) return error
  if (!(error instanceof ExchangeError)) return undefined
  return new IpsError(CODES[error.failure], fqdn, `${question.name}: ${error.message}`, { cause: error })
}

/** One error for what several name servers did: the most telling, with all of them in `cause` if there are more. */
function summary(question: Question, failures: Map<NameServer, IpsError>, fqdn: string): IpsError {
  const errors = [...failures.values()]
  const telling = mostTelling(errors)
  if (errors.length < 2) return telling
  const cause = new AggregateError(errors, `${question.name}: ${errors.length} name servers failed`)
  return new IpsError(telling.code, fqdn, `${telling.message} (and ${errors.length - 1} more)`, { cause })
}

/** What a caller should hear of several failures, before all others. */
const TELLING: readonly IpsErrorCode[] = [
  'IPS_NOT_FOUND',
  'IPS_SERVER_FAILURE',
  'IPS_REFUSED',
  'IPS_BAD_ANSWER',
  'IPS_TIMEOUT',
  'IPS_NO_SERVERS',
  'IPS_NO_DATA',
]

function mostTelling(errors: readonly IpsError[]): IpsError {
  const [first] = errors.toSorted((one, other) => TELLING.indexOf(one.code) - TELLING.indexOf(other.code))
  if (first === undefined) throw new Error('there was no failure')
  return first
}

function unique(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses)]
}
