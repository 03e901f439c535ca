/** `AUTH_SECRET`: a function that should give a user name or password failed, or gave an unusable value. */
export type AuthErrorCode = 'AUTH_SECRET'

/**
 * Credentials could not be had when a request needed them. Nothing has been sent.
 *
 * There is no `cause`, on purpose: what a user's function throws may quote the secret (`JSON.parse` does).
 */
export class AuthError extends Error {
  override name = 'AuthError'
  /** Stable within a major version: branch on this, not on the message. */
  readonly code: AuthErrorCode

  constructor(code: AuthErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
