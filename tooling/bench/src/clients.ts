import { NativeAuthorization } from '@hcp/auth'
import { Connection, Target } from '@hcp/connection'
import { ObjectClient } from '@hcp/objects'
import { Pool } from 'undici'
import { content } from './content.ts'
import type { Contestant } from './contest.ts'

/** Made-up credentials: every client sends the same headers. */
const authorization = new NativeAuthorization('bench', 'bench01')
export const authorizationHeaders: Record<string, string> = { ...(await authorization.headers()) }

export type Verb = 'GET' | 'PUT'

export const targetAt = (port: number): Target => new Target('127.0.0.1', { port, tls: false, authorization })

export const checked = (right: boolean, what: string): void => {
  if (!right) throw new Error(`${what} was not answered as it has to be`)
}

/** Whole objects through a `Connection` as it is used with small objects: no stream is made of the answer. */
export function connectionClient(
  port: number,
  verb: Verb,
  size: number,
  connections: number,
  options: { readonly verifyHash?: boolean } = {},
): Contestant {
  const target = targetAt(port)
  const connection = new Connection(target, { connections, ...options })
  const path = `/rest/${size}`
  const bytes = content(size)
  return {
    name: options.verifyHash === true ? 'Connection, verifyHash' : 'Connection',
    operate:
      verb === 'GET'
        ? async () => {
            const response = await connection.get(path)
            checked(response.status === 200 && (await response.bytes()).length === size, `GET ${path}`)
          }
        : async () => {
            const response = await connection.put(path, bytes)
            checked(response.status === 201, `PUT ${path}`)
          },
    async close() {
      await connection.close()
      target.close()
    },
  }
}

/** Whole objects through an `ObjectClient` with its defaults: their hash is compared. */
export function objectClient(port: number, verb: Verb, size: number, connections: number): Contestant {
  const target = targetAt(port)
  const objects = new ObjectClient(target, { connections })
  const path = `/rest/${size}`
  const bytes = content(size)
  return {
    name: 'ObjectClient',
    operate:
      verb === 'GET'
        ? async () => {
            const object = await objects.get(path)
            checked((await object.bytes()).length === size && object.verified, `GET ${path}`)
          }
        : async () => {
            const { hash } = await objects.put(path, bytes)
            checked(hash !== undefined, `PUT ${path}`)
          },
    async close() {
      await objects.close()
      target.close()
    },
  }
}

interface UndiciSettings {
  readonly name?: string
  readonly path?: string
  readonly headers?: Record<string, string>
}

/** The same with nothing but undici, in the way its documents show. */
export function undiciClient(
  port: number,
  verb: Verb,
  size: number,
  connections: number,
  { name = 'undici Pool', path = `/rest/${size}`, headers = authorizationHeaders }: UndiciSettings = {},
): Contestant {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections })
  const bytes = content(size)
  return {
    name,
    operate:
      verb === 'GET'
        ? async () => {
            const { statusCode, body } = await pool.request({ method: 'GET', path, headers })
            checked(statusCode === 200 && (await body.bytes()).length === size, `GET ${path}`)
          }
        : async () => {
            const { statusCode, body } = await pool.request({ method: 'PUT', path, headers, body: bytes })
            await body.dump()
            checked(statusCode === 201, `PUT ${path}`)
          },
    close: () => pool.close(),
  }
}
