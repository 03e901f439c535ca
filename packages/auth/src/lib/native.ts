import type { Authorization, AuthorizationHeaders, AuthorizationRequest } from './authorization.ts'
import { Credentials } from './credentials.ts'
import { booleanOption } from './options.ts'
import type { Secret } from './secret.ts'
import { tokenScheme } from './token.ts'

export interface NativeAuthorizationOptions {
  /** Sends the token a second time as the cookie `hcp-ns-auth`, which HCP before 6.0 needs. Default false. */
  readonly cookie?: boolean
}

/**
 * A local HCP account, for namespaces and for the management API: `Authorization: HCP base64(user):md5(password)`.
 *
 * @throws {TypeError} A credential is neither string nor function, or an option is unknown.
 * @throws {RangeError} A credential is empty or no well-formed Unicode text.
 * @see Using a Namespace, "Authentication"
 */
export class NativeAuthorization implements Authorization {
  readonly #credentials: Credentials

  /**
   * @param user Name of the account, or a function that gives it.
   * @param password The account's password, or a function that gives it.
   */
  constructor(user: Secret, password: Secret, options: NativeAuthorizationOptions = {}) {
    const cookie = booleanOption(options, 'cookie')
    const scheme = tokenScheme((token) => ({
      authorization: `HCP ${token}`,
      ...(cookie ? { cookie: `hcp-ns-auth=${token}` } : {}),
    }))
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
