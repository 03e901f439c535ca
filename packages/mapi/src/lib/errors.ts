import { type ErrorFacts, HcpProtocolError, type HcpResponse, HcpResponseError } from '@hcp/connection'

/** An answer of the management API that means failure. `reason` is HCP's own text, `X-HCP-ErrorMessage`. */
export class MapiError extends HcpResponseError {
  override name = 'MapiError'
}

/** 404: there is no such resource, or not for this account. */
export class MapiNotFoundError extends MapiError {
  override name = 'MapiNotFoundError'
}

/** Who may do it: an account of the system or of the tenant, with one of these roles. */
export interface MapiRoles {
  readonly system?: readonly string[]
  readonly tenant?: readonly string[]
}

/**
 * Why HCP refuses, as far as the client can tell:
 * - `level`: what was asked of a tenant's host is only on the system's, or the other way round;
 * - `role`: the credentials are right, since HCP has answered other requests with them, so a role or permission is missing, or the state
 *   of the resource forbids it;
 * - `unknown`: credentials, role, or the management API is switched off: HCP answers all of these alike.
 */
export type ForbiddenCause = 'level' | 'role' | 'unknown'

/** 403: wrong credentials, too few roles, the wrong host, or a state that forbids it. HCP has one status for all of these. */
export class MapiForbiddenError extends MapiError {
  override name = 'MapiForbiddenError'
  /** What the resource needs, where the client knows it. */
  readonly roles: MapiRoles | undefined
  readonly likely: ForbiddenCause
  constructor(
    likely: ForbiddenCause,
    roles: MapiRoles | undefined,
    status: number,
    reason: string | undefined,
    message: string,
    facts?: ErrorFacts,
  ) {
    super(status, reason, message, facts)
    this.likely = likely
    this.roles = roles
  }
}

/** 409: it exists already. */
export class MapiConflictError extends MapiError {
  override name = 'MapiConflictError'
}

/** 400, 414, 415: HCP does not take the request: a value, a parameter or a state that is not allowed. `reason` says which. */
export class MapiRequestError extends MapiError {
  override name = 'MapiRequestError'
}

/** A redirection, which HCP has for web browsers: never followed. HCP answers so for what does not exist or is not to be seen. */
export class MapiRedirectError extends MapiError {
  override name = 'MapiRedirectError'
}

/** 503: overload, maintenance or an upgrade. Try again later. */
export class MapiUnavailableError extends MapiError {
  override name = 'MapiUnavailableError'
}

/**
 * The answer is not the document that was asked for: malformed, too large, with a DOCTYPE, of another kind, or without what every HCP says.
 * `message` says what is wrong with it.
 */
export class MapiDocumentError extends HcpProtocolError {
  override name = 'MapiDocumentError'
}

/** What the client knows about a request that was refused. */
export interface RefusalContext {
  readonly fqdn: string
  readonly level: 'system' | 'tenant' | undefined
  readonly roles: MapiRoles | undefined
  /** Whether HCP has done something else for these credentials. */
  readonly accepted: boolean
  /** What was in the query and is for nobody's eyes. */
  readonly secrets: readonly string[]
}

export const requestOf = ({ method, url }: HcpResponse): string => `${method} ${url}`

export const factsOf = ({ method, url, address, attempts }: HcpResponse): ErrorFacts => ({
  method,
  url,
  address,
  attempts,
  sent: true,
})

/** The error for an answer that is not 2xx. Its body is the caller's to give up. */
export function mapiError(response: HcpResponse, context: RefusalContext): MapiError {
  const { status } = response
  // A server may repeat what it was asked.
  const statusText = withoutSecrets(response.statusText, context.secrets)
  const { errorMessage } = response
  const reason = errorMessage && withoutSecrets(errorMessage, context.secrets).slice(0, 1000)
  const said = reason === undefined || reason === '' ? '' : ` (${reason})`
  const answer = `${requestOf(response)} was answered with ${`${status} ${statusText.slice(0, 200)}`.trim()}${said}`
  const facts = factsOf(response)
  if (status < 400) {
    const message = `${answer}. That is a redirection for web browsers, which is not followed: there is nothing of this name, or ${context.fqdn} is no host of the management API.`
    return new MapiRedirectError(status, reason, message, facts)
  }
  switch (status) {
    case 400:
    case 414:
    case 415:
      return new MapiRequestError(status, reason, `${answer}. HCP does not take the request as it is.`, facts)
    case 403:
      return forbidden(answer, reason, context, facts)
    case 404:
      return new MapiNotFoundError(status, reason, `${answer}. There is nothing of this name.`, facts)
    case 409:
      return new MapiConflictError(status, reason, `${answer}. It exists already.`, facts)
    case 503:
      return new MapiUnavailableError(
        status,
        reason,
        `${answer}. HCP is overloaded or under maintenance: try again later.`,
        facts,
      )
    default:
      return new MapiError(status, reason, `${answer}.`, facts)
  }
}

/** Whether they come as they are, as in a URL, or as in a form. */
const withoutSecrets = (said: string, secrets: readonly string[]): string =>
  secrets
    .flatMap((secret) => [
      encodeURIComponent(secret).replaceAll('%20', '+'),
      encodeURIComponent(secret),
      secret,
    ])
    .reduce((text, secret) => text.replaceAll(secret, '***'), said)

function forbidden(
  answer: string,
  reason: string | undefined,
  { fqdn, level, roles, accepted }: RefusalContext,
  facts: ErrorFacts,
): MapiForbiddenError {
  const needs = roles === undefined ? '' : ` It needs ${needsOf(roles)}.`
  const make = (likely: ForbiddenCause, why: string): MapiForbiddenError =>
    new MapiForbiddenError(likely, roles, 403, reason, `${answer}. ${why}${needs}`, facts)
  if (roles !== undefined && level !== undefined && roles[level] === undefined) {
    const host = level === 'tenant' ? 'the host admin.<domain of the system>' : 'the host <tenant>.<domain>'
    return make('level', `This is asked of ${host}, not of ${fqdn}.`)
  }
  if (accepted) {
    return make('role', 'The credentials are right, so a role is missing, or the state of things forbids it.')
  }
  const where = level === 'tenant' ? `for the tenant of ${fqdn} and for the system` : 'for the system'
  return make(
    'unknown',
    `User name or password may be wrong, a role may be missing, or the management API be switched off ${where}: HCP does not tell which.`,
  )
}

function needsOf({ system, tenant }: MapiRoles): string {
  const one = (names: readonly string[] | undefined, whose: string): string[] => {
    if (names === undefined) return []
    const last = names.at(-1)
    const text = names.length < 2 ? String(last) : `${names.slice(0, -1).join(', ')} or ${last}`
    return [`the role ${text} of a ${whose} account`]
  }
  return [...one(system, 'system'), ...one(tenant, 'tenant')].join(', or ')
}
