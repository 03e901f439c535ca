import type { Authorization, AuthorizationHeaders, AuthorizationRequest } from './authorization.ts'
import { Credentials, type Scheme } from './credentials.ts'
import type { Secret } from './secret.ts'

const scheme: Scheme = {
  // The form knows no escapes, so whatever HTTP or HCP would read otherwise than it was meant cannot be sent.
  problem(part, text) {
    // oxlint-disable-next-line no-control-regex
    if (/[\u0000-\u001f\u007f]/.test(text))
      return 'must not hold control characters: HTTP headers cannot carry them'
    if (part === 'user' && text.includes(':'))
      return "must not hold ':': HCP takes what follows for the password"
    if (part === 'user' && text.startsWith(' ')) return 'must not begin with a blank'
    if (part === 'password' && text.endsWith(' '))
      return 'must not end with a blank: HTTP strips it from the header'
    return undefined
  },
  // HTTP clients write each character of a header value as one byte: this puts UTF-8 on the wire.
  headers: (user, password) => ({
    authorization: Buffer.from(`AD ${user}:${password}`, 'utf8').toString('latin1'),
  }),
}

/**
 * An Active Directory account that HCP knows through its AD configuration: `Authorization: AD user@domain:password`.
 * HCP 7.2 and later.
 *
 * The password travels **in clear text**: use it over TLS only. Characters beyond ASCII are sent as UTF-8; the header
 * value is given as a string of one character per byte, which is how Node's HTTP clients write headers.
 *
 * @throws {TypeError} A credential is neither string nor function.
 * @throws {RangeError} A credential is empty, no well-formed Unicode text, or cannot be carried by the header: control
 *   characters, a user with `:` or a leading blank, a password with a trailing blank.
 * @see Using a Namespace, "Authentication"; the header's form: HCP Management API Reference, "Authentication"
 */
export class ActiveDirectoryAuthorization implements Authorization {
  readonly #credentials: Credentials

  /**
   * @param user `user@domain`, or a function that gives it.
   * @param password The password in the directory, or a function that gives it.
   */
  constructor(user: Secret, password: Secret) {
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
