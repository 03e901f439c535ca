import type { IncomingHttpHeaders } from 'node:http'
import {
  createRemoteJWKSet,
  customFetch,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
  type ProtectedHeaderParameters,
} from 'jose'
import { request } from 'undici'
import type { Role } from './access.ts'
import type { Caller } from './context.ts'
import type { AuthOptions, LogsServiceOptions } from './options.ts'
import { Refusal } from './refusal.ts'

const leeway = 60
/** Bytes. HS256 asks for as many (RFC 7518, 3.2); with fewer, who has a token can try them all out. */
const goodSecret = 32
const secretAlgorithms = ['HS256', 'HS512']
// Never both kinds: a public key is no secret, and who takes it for one lets everybody sign.
const keyAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

/** Tells callers by their tokens. */
export class Authenticator {
  /** The secret has fewer bytes than are safe. */
  readonly weak: boolean
  readonly #key: Uint8Array | JWTVerifyGetKey
  readonly #options: JWTVerifyOptions
  readonly #roles: readonly (readonly [Role, ReadonlySet<string>])[]

  /** @throws {TypeError} if `auth` does not say by what tokens are to be checked, or the secret is empty. */
  constructor(auth: AuthOptions, roles: LogsServiceOptions['roles'] = {}) {
    if (auth.issuer === '') throw new TypeError('`auth.issuer` is empty. Give the `iss` of the tokens.')
    if ((auth.secret === undefined) === (auth.jwksUrl === undefined)) {
      throw new TypeError('Give either `auth.secret` or `auth.jwksUrl`.')
    }
    if (auth.secret !== undefined) {
      this.#key = new TextEncoder().encode(auth.secret)
      if (this.#key.length === 0) throw new TypeError('`auth.secret` is empty. Give 32 bytes at least.')
    } else {
      this.#key = remoteKeys(auth.jwksUrl ?? '')
    }
    this.weak = this.#key instanceof Uint8Array && this.#key.length < goodSecret
    this.#options = {
      issuer: auth.issuer,
      ...(auth.audience === undefined ? {} : { audience: auth.audience }),
      algorithms: auth.secret === undefined ? keyAlgorithms : secretAlgorithms,
      clockTolerance: leeway,
      requiredClaims: ['exp', 'iat', 'iss'],
    }
    this.#roles = (['admin', 'system', 'user'] as const).map((role) => [role, new Set(roles[role] ?? [role])])
  }

  /** Undefined: the token does not hold. @throws {Refusal} 503 while the provider's keys cannot be fetched. */
  async caller(token: string): Promise<Caller | undefined> {
    const claims = await this.#claims(token)
    if (claims === undefined) return undefined
    const groups = texts(claims['groups'])
    const names = [...texts(claims['roles']), ...groups]
    // `/v1/logs` is a route of its own: a project of that name could not be told from it.
    const project = text(claims['project_id'])
    return {
      subject: text(claims.sub) ?? '',
      user: text(claims['preferred_username']),
      groups,
      roles: new Set(this.#roles.flatMap(([role, of]) => (names.some((name) => of.has(name)) ? [role] : []))),
      project: project === 'logs' ? undefined : project,
    }
  }

  async #claims(token: string): Promise<JWTPayload | undefined> {
    try {
      const { payload, protectedHeader } = await this.#verified(token)
      const now = Date.now() / 1000
      if (!isAccessToken(protectedHeader.typ) || (payload.iat ?? Infinity) > now + leeway) return undefined
      return payload
    } catch (error) {
      if (error instanceof Refusal) throw error
      return undefined
    }
  }

  async #verified(token: string) {
    const key = this.#key
    if (typeof key !== 'function') return await jwtVerify(token, key, this.#options)
    try {
      return await jwtVerify(token, key, this.#options)
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
      // The token does not name its key.
      for await (const candidate of error) {
        try {
          return await jwtVerify(token, candidate, this.#options)
        } catch (failed) {
          if (!(failed instanceof errors.JWSSignatureVerificationFailed)) throw failed
        }
      }
      throw error
    }
  }
}

function remoteKeys(url: string): JWTVerifyGetKey {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new TypeError('`auth.jwksUrl` is no http or https URL.')
  }
  const keys = createRemoteJWKSet(new URL(url), {
    [customFetch]: async (address, { headers, signal }) => {
      const { statusCode, body } = await request(address, { headers: Object.fromEntries(headers), signal })
      return new Response(await body.text(), { status: statusCode })
    },
  })
  return async (header, token) => {
    try {
      return await keys(header, token)
    } catch (error) {
      if (blamesToken(error)) throw error
      throw new Refusal(503, 'The keys of the identity provider cannot be fetched now. Try again later.', {
        headers: { 'retry-after': '5' },
        cause: error,
      })
    }
  }
}

function blamesToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  )
}

// Other kinds of tokens, such as those for logging out, are signed with the same keys.
function isAccessToken(type: ProtectedHeaderParameters['typ']): boolean {
  return type === undefined || /^(?:application\/)?(?:at\+)?jwt$/i.test(type)
}

// Such as a database takes.
function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.isWellFormed() && !/\p{Cc}/u.test(value) ? value : undefined
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.flatMap((each) => text(each) ?? []) : []
}

/** The token of a request. @throws {Refusal} 400 if there are two different ones. */
export function tokenOf(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
  const other = headers['x-auth-token']
  const given = typeof other === 'string' && other !== '' ? other : undefined
  if (bearer !== undefined && given !== undefined && bearer !== given) {
    throw new Refusal(400, '`Authorization` and `X-Auth-Token` hold different tokens. Send one of them.')
  }
  return bearer ?? given
}
