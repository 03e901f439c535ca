import { Agent } from 'undici'
import type { Emulator } from '../emulator.ts'
import { credentials } from '../wire.testing.ts'

/** An answer of the management API. */
export interface MapiReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly message: string
  readonly text: string
  /** The body, where it is JSON. */
  readonly json: Readonly<Record<string, unknown>>
}

export interface MapiCall {
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | 'OPTIONS'
  /** Below `/mapi`. */
  readonly path: string
  /** First part of the host's name, or the whole of it. Default `admin`. */
  readonly host?: string
  /** Default: `sysadmin` at `admin`, and `admin` elsewhere. */
  readonly as?: readonly [user: string, password: string] | null
  /** Sent as JSON, or as it is where it is a text: XML. */
  readonly body?: object | string
  readonly headers?: Readonly<Record<string, string>>
}

/** A client of an emulator's management API that takes nothing for granted. */
export class MapiTester implements AsyncDisposable {
  readonly #hcp: Emulator
  readonly #agent: Agent

  constructor(hcp: Emulator) {
    this.#hcp = hcp
    this.#agent = new Agent({ connect: { ca: hcp.ca, servername: `admin.${hcp.domain}` } })
  }

  async call(call: MapiCall): Promise<MapiReply> {
    const { method = 'GET', path, host = 'admin', body, headers } = call
    const { as = host === 'admin' ? ['sysadmin', 's01'] : ['admin', 'a01'] } = call
    const { ports, nodes, domain } = this.#hcp
    const type = typeof body === 'string' ? 'application/xml' : 'application/json'
    const sent: Record<string, string> = {
      host: host.includes('.') ? host : `${host}.${domain}`,
      accept: 'application/json',
      ...(as === null ? {} : { authorization: credentials(...(as as [string, string])) }),
      ...(body === undefined ? {} : { 'content-type': type }),
      ...headers,
    }
    for (const [name, value] of Object.entries(sent)) if (value === '') delete sent[name]
    const answer = await this.#agent.request({
      origin: `https://${nodes[0]}:${ports.mapi}`,
      path: path.startsWith('/mapi') ? path : `/mapi${path}`,
      method,
      headers: sent,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await answer.body.text()
    const isJson = String(answer.headers['content-type']).startsWith('application/json')
    return {
      status: answer.statusCode,
      headers: answer.headers,
      message: String(answer.headers['x-hcp-errormessage'] ?? ''),
      text,
      json: isJson && text !== '' ? (JSON.parse(text) as Record<string, unknown>) : {},
    }
  }

  /** The document under a path, of which the request must succeed. */
  async read(path: string, host?: string, as?: MapiCall['as']): Promise<Record<string, unknown>> {
    const reply = await this.call({ path, ...(host && { host }), ...(as && { as }) })
    if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${reply.message}`)
    return reply.json
  }

  /** Changes something, which must succeed. */
  async change(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: object, host?: string): Promise<void> {
    const reply = await this.call({ method, path, ...(body && { body }), ...(host && { host }) })
    if (reply.status !== 200) throw new Error(`${method} ${path}: ${reply.status} ${reply.message}`)
    if (reply.text !== '') throw new Error(`${method} ${path} has a body`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.close()
  }
}
