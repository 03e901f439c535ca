import type { AuthorizationHeaders } from './authorization.ts'
import { AuthError } from './errors.ts'
import type { Secret } from './secret.ts'

type Part = 'user' | 'password'

/** How a user name and a password become headers. */
export interface Scheme {
  /** Says what makes a text unusable in this scheme, without quoting it; undefined if nothing does. */
  problem(part: Part, text: string): string | undefined
  headers(user: string, password: string): AuthorizationHeaders
}

/** Headers made of a user name and a password: once if both are plain texts, else whenever one of them changed. */
export class Credentials {
  readonly #scheme: Scheme
  readonly #user: Secret
  readonly #password: Secret
  readonly #fixed: AuthorizationHeaders | undefined
  #last: { user: string; password: string; headers: AuthorizationHeaders } | undefined

  constructor(scheme: Scheme, user: Secret, password: Secret) {
    refuseUnusable(scheme, 'user', user)
    refuseUnusable(scheme, 'password', password)
    this.#scheme = scheme
    this.#user = user
    this.#password = password
    if (typeof user === 'string' && typeof password === 'string') {
      this.#fixed = Object.freeze(scheme.headers(user, password))
    }
  }

  headers(): AuthorizationHeaders | Promise<AuthorizationHeaders> {
    return this.#fixed ?? this.#ask()
  }

  async #ask(): Promise<AuthorizationHeaders> {
    const [user, password] = await Promise.all([
      ask(this.#scheme, 'user', this.#user),
      ask(this.#scheme, 'password', this.#password),
    ])
    if (this.#last?.user !== user || this.#last.password !== password) {
      this.#last = { user, password, headers: Object.freeze(this.#scheme.headers(user, password)) }
    }
    return this.#last.headers
  }
}

function refuseUnusable(scheme: Scheme, part: Part, secret: unknown): void {
  if (typeof secret === 'string') {
    const problem = problemOf(scheme, part, secret)
    if (problem !== undefined) throw new RangeError(`${part} ${problem}`)
  } else if (typeof secret !== 'function') {
    throw new TypeError(`${part} must be a string, or a function that gives one, not ${kindOf(secret)}`)
  }
}

async function ask(scheme: Scheme, part: Part, secret: Secret): Promise<string> {
  if (typeof secret === 'string') return secret
  let text: unknown
  try {
    text = await secret()
  } catch (error) {
    throw new AuthError('AUTH_SECRET', `the function for ${part} failed${hintOf(error)}`)
  }
  if (typeof text !== 'string') {
    throw new AuthError('AUTH_SECRET', `the function for ${part} must give a string, not ${kindOf(text)}`)
  }
  const problem = problemOf(scheme, part, text)
  if (problem !== undefined) {
    throw new AuthError('AUTH_SECRET', `the function for ${part} gave an unusable text: ${part} ${problem}`)
  }
  return text
}

function problemOf(scheme: Scheme, part: Part, text: string): string | undefined {
  if (text === '') return 'must not be empty; AnonymousAuthorization sends no credentials'
  if (/\p{Surrogate}/u.test(text)) return 'must not hold half of a surrogate pair, which UTF-8 cannot express'
  return scheme.problem(part, text)
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value
}

/** Only what Node itself puts into `code` (ENOENT, ERR_…) is passed on: any other text may quote the secret. */
function hintOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^(?:E[A-Z0-9]{2,14}|ERR_[A-Z0-9_]+)$/.test(code) ? ` (${code})` : ''
}
