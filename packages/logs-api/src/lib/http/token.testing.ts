import { createHmac } from 'node:crypto'
import type { AuthOptions } from './options.ts'

export const issuer = 'https://identity.example'
export const secret = 'a secret of tests that is long enough'
/** The `auth` of a service that takes the tokens made here. */
export const options: AuthOptions = { issuer, secret }

export interface TokenParts {
  /** Default `somebody`. */
  readonly sub?: string
  readonly roles?: readonly string[]
  readonly groups?: readonly string[]
  readonly project_id?: string
  /** `preferred_username`. */
  readonly user?: string
  /** Seconds since 1970. Default: in an hour. */
  readonly expires?: number
}

/** A token of HS256 that holds these claims. */
export function token({ sub = 'somebody', user, expires, ...claims }: TokenParts = {}): string {
  const now = Math.floor(Date.now() / 1000)
  return signed({
    iss: issuer,
    iat: now,
    exp: expires ?? now + 3600,
    sub,
    ...(user === undefined ? {} : { preferred_username: user }),
    ...claims,
  })
}

/** For headers of requests. */
export function bearer(parts: TokenParts = {}): { authorization: string } {
  return { authorization: `Bearer ${token(parts)}` }
}

/** Signs any claims, also wrong ones. */
export function signed(claims: object, header: object = {}, key: string = secret): string {
  const head = encoded({ alg: 'HS256', typ: 'JWT', ...header })
  const body = encoded(claims)
  const hash = 'alg' in header && header.alg === 'HS512' ? 'sha512' : 'sha256'
  return `${head}.${body}.${createHmac(hash, key).update(`${head}.${body}`).digest('base64url')}`
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
