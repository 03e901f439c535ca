/**
 * Why a name has no addresses. Stable within a major version.
 *
 * - `IPS_NOT_FOUND`: the name does not exist (NXDOMAIN, RFC 1035 section 4.1.1)
 * - `IPS_NO_DATA`: the name exists, but has no address of the wanted family (RFC 2308 section 2.2)
 * - `IPS_TIMEOUT`: no name server answered in time
 * - `IPS_SERVER_FAILURE`: the name servers could not answer (SERVFAIL and the like)
 * - `IPS_REFUSED`: the name servers do not answer us (REFUSED)
 * - `IPS_BAD_ANSWER`: nothing came but answers that are no answers: garbage, another question's, alias loops
 * - `IPS_NO_SERVERS`: no name server is known, or none can be reached
 * - `IPS_INVALID_NAME`: the text is no host name, so it was never asked for
 * - `IPS_INVALID_ARGUMENT`: an option is wrong (only from `query`, which never throws; `cause` says which)
 * - `IPS_CLOSED`: the `Circle` was closed
 * - `IPS_ABORTED`: the caller's signal fired (only from `query`; everything else rejects with the signal's
 *   reason)
 */
export type IpsErrorCode =
  | 'IPS_NOT_FOUND'
  | 'IPS_NO_DATA'
  | 'IPS_TIMEOUT'
  | 'IPS_SERVER_FAILURE'
  | 'IPS_REFUSED'
  | 'IPS_BAD_ANSWER'
  | 'IPS_NO_SERVERS'
  | 'IPS_INVALID_NAME'
  | 'IPS_INVALID_ARGUMENT'
  | 'IPS_CLOSED'
  | 'IPS_ABORTED'

/** A name could not be turned into addresses. `code` says why, `fqdn` for which name. */
export class IpsError extends Error {
  override name = 'IpsError'
  readonly code: IpsErrorCode
  /** The name as the caller gave it. */
  readonly fqdn: string

  constructor(code: IpsErrorCode, fqdn: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.fqdn = fqdn
  }

  /** Whether the value is an `IpsError`, also one of another installed copy of this package. */
  static isInstance(value: unknown): value is IpsError {
    return (
      value instanceof Error &&
      value.name === 'IpsError' &&
      'code' in value &&
      typeof value.code === 'string' &&
      value.code.startsWith('IPS_')
    )
  }
}
