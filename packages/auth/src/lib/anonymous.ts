import type { Authorization, AuthorizationHeaders, AuthorizationRequest } from './authorization.ts'
import { booleanOption } from './options.ts'

export interface AnonymousAuthorizationOptions {
  /**
   * Sends `Authorization: HCP all_users:` instead of no header: needed where the namespace has Active Directory single
   * sign-on, and on the S3-compatible interface. Default false.
   */
  readonly explicit?: boolean
}

/**
 * No credentials: for namespaces that are open to everybody, and for the default namespace.
 *
 * @throws {TypeError} An option is unknown or not a boolean.
 * @see Using a Namespace, "Authentication", anonymous access
 */
export class AnonymousAuthorization implements Authorization {
  readonly #headers: AuthorizationHeaders

  constructor(options: AnonymousAuthorizationOptions = {}) {
    const headers = booleanOption(options, 'explicit') ? { authorization: 'HCP all_users:' } : {}
    this.#headers = Object.freeze(headers)
  }

  /** @returns The same frozen object each time. */
  headers(_request?: AuthorizationRequest): AuthorizationHeaders {
    return this.#headers
  }
}
