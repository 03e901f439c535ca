import { Packet } from 'dns2'
import { IpsError, type IpsErrorCode } from './errors.ts'
import { ask, ExchangeError, type ExchangeFailure, type Question } from './exchange.ts'
import { formatNameServer, type NameServer } from './name-server.ts'

/** What one look-up shares between its questions. */
export interface Context {
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
 * Asks one name server after the other until one has an answer: addresses, aliases, or that there are none.
 * Those that only fail are not asked again; those that stay silent are, round after round until the deadline.
 */
export async function askInTurn(question: Question, context: Context): Promise<Packet> {
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
        // The last try before the deadline may be too short for what the server does; what it did before
        // counts then.
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
  // RFC 2308 section 2.2: NS without SOA and without an answer is no "no data" but a hint whom to ask
  // instead.
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

/**
 * One error for what several name servers did: the most telling, with all of them in `cause` if there are
 * more.
 */
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

export function mostTelling(errors: readonly IpsError[]): IpsError {
  const [first] = errors.toSorted((one, other) => TELLING.indexOf(one.code) - TELLING.indexOf(other.code))
  if (first === undefined) throw new Error('there was no failure')
  return first
}
