import type { Authorization, AuthorizationHeaders, AuthorizationRequest } from './authorization.ts'
import { Credentials } from './credentials.ts'
import type { Secret } from './secret.ts'
import { tokenScheme } from './token.ts'

/**
 * A local HCP account on the Swift-compatible interface (HSwift), without Keystone:
 * `X-Auth-Token: HCP base64(user):md5(password)`.
 *
 * @throws {TypeError} A credential is neither string nor function.
 * @throws {RangeError} A credential is empty or no well-formed Unicode text.
 * @see Using the HCP OpenStack Swift API, "Authentication"
 */
export class LocalSwiftAuthorization implements Authorization {
  readonly #credentials: Credentials

  /**
   * @param user Name of the account, or a function that gives it. The account belongs to the tenant in the path.
   * @param password The account's password, or a function that gives it.
   */
  constructor(user: Secret, password: Secret) {
    const scheme = tokenScheme((token) => ({ 'x-auth-token': `HCP ${token}` }))
    this.#credentials = new Credentials(scheme, user, password)
  }

  /**
   * @returns The same frozen object each time if both credentials are plain texts, else a promise of the headers,
   *   which rejects with {@link AuthError} `AUTH_SECRET` if a function fails.
   */
  headers(_request?: AuthorizationRequest): AuthorizationHeaders | Promise<AuthorizationHeaders> {
    return this.#credentials.headers()
  }
}
