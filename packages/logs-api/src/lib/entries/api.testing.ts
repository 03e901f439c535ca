import { request } from 'undici'
import { bearer, type TokenParts } from '../http/token.testing.ts'

export interface Answer {
  readonly status: number
  readonly reason: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The body read as JSON. Throws where it is none. */
  readonly json: unknown
}

export interface Asked {
  /** Default: an admin. `null`: no token. */
  readonly by?: TokenParts | null
  /** An object is sent as JSON, text and bytes as they are. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export const admin: TokenParts = { sub: 'anna', roles: ['admin'] }
export const system: TokenParts = { sub: 'cron', roles: ['system'] }
export const user: TokenParts = { sub: 'otto', user: 'otto', roles: ['user'], groups: ['physics'] }

/** Asks a service over a socket. */
export function asker(url: string): (route: string, asked?: Asked) => Promise<Answer> {
  return async (route, { by = admin, body, headers = {} } = {}) => {
    const [method = '', path = ''] = route.split(/ (.*)/s)
    const answer = await request(url + path, {
      method,
      headers: { ...(by !== null && bearer(by)), ...headers },
      ...(body !== undefined && { body: bytes(body) }),
    })
    const text = await answer.body.text()
    return {
      status: answer.statusCode,
      reason: answer.statusText,
      headers: answer.headers,
      text,
      get json(): unknown {
        return JSON.parse(text)
      },
    }
  }
}

function bytes(body: unknown): string | Buffer {
  return typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
}
