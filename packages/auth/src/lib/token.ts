import { hash } from 'node:crypto'
import type { Scheme } from './credentials.ts'

/**
 * What HCP takes for a local account: base64(user) ':' md5(password), both of UTF-8, the digest as 32 lower-case
 * hexadecimal digits. No salt, no expiry: it is as good as the password until that is changed.
 *
 * @see Using a Namespace, "Authentication"; HCP Management API Reference, "Authentication"
 */
export function hcpToken(user: string, password: string): string {
  return `${Buffer.from(user, 'utf8').toString('base64')}:${hash('md5', password)}`
}

/** A scheme on top of the token. Base64 and digest can carry any text, so nothing is refused here. */
export function tokenScheme(headers: (token: string) => Record<string, string>): Scheme {
  return {
    problem: () => undefined,
    headers: (user, password) => headers(hcpToken(user, password)),
  }
}
