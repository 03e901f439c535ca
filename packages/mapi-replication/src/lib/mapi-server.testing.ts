import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { ReplicationClient, type ReplicationClientOptions } from './replication-client.ts'

export interface Seen {
  readonly method: string
  /** Below `/mapi/services/replication`, as it came. */
  readonly path: string
  readonly query: string
  readonly type: string | undefined
  readonly body: string
}

export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Break the connection instead: the request was taken, its answer is lost. */
  readonly lost?: boolean
}

export type Answer = (request: Seen) => Reply | string | Promise<Reply | string>

/** A MAPI on 127.0.0.1 whose every answer is the test's. */
export class MapiServer implements AsyncDisposable {
  readonly seen: Seen[] = []
  answer: Answer
  readonly #server: Server
  readonly #targets: Target[] = []
  readonly #clients: ReplicationClient[] = []
  readonly #fingerprint: string

  static async start(answer: Answer): Promise<MapiServer> {
    const { certificate, key } = selfSigned()
    const fingerprint = createHash('sha256').update(certificate).digest('hex')
    const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
    const cert = ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----'].join('\n')
    const server = createServer({ cert, key })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new MapiServer(server, fingerprint, answer)
  }

  private constructor(server: Server, fingerprint: string, answer: Answer) {
    this.#server = server
    this.#fingerprint = fingerprint
    this.answer = answer
    server.on('request', (request, response) => void this.#serve(request, response))
  }

  /** Method, path and query of all requests but those that only read. */
  get changes(): string[] {
    return this.seen
      .filter(({ method }) => method !== 'GET' && method !== 'HEAD')
      .map(({ method, path, query }) => `${method} ${path}${query === '' ? '' : `?${query}`}`)
  }

  target(fqdn: string = 'admin.hcp1.test'): Target {
    const target = new Target(fqdn, {
      port: (this.#server.address() as AddressInfo).port,
      addresses: ['127.0.0.1'],
      authorization: new NativeAuthorization('sysadmin', 's01'),
      tls: { fingerprint256: this.#fingerprint },
    })
    this.#targets.push(target)
    return target
  }

  client(options: ReplicationClientOptions = {}, fqdn?: string): ReplicationClient {
    const retry = { attempts: 2, minDelay: 1, maxDelay: 5 }
    const client = new ReplicationClient(this.target(fqdn), { retry, ...options })
    this.#clients.push(client)
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close()
    for (const target of this.#targets) target.close()
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const piece of request) body += String(piece)
    const [path = '', query = ''] = (request.url ?? '').split('?')
    const seen = {
      method: request.method ?? '',
      path: path.replace('/mapi/services/replication', ''),
      query,
      type: request.headers['content-type'],
      body,
    }
    this.seen.push(seen)
    const answer = await this.answer(seen)
    const reply = typeof answer === 'string' ? { body: answer } : answer
    if (reply.lost === true) {
      request.socket.destroy()
      return
    }
    const type = reply.body?.startsWith('{') === true ? 'application/json' : 'application/xml'
    const headers = reply.body === undefined ? {} : { 'content-type': type }
    response.writeHead(reply.status ?? 200, { ...headers, ...reply.headers })
    response.end(reply.body ?? '')
  }
}

export interface LinkFacts {
  readonly name?: string
  readonly type?: string
  readonly status?: string
  readonly statusMessage?: string
  readonly suspended?: boolean
  readonly statistics?: Readonly<Record<string, string | number>>
}

/** A link's document. */
export function linkXml({
  name = 'north-south',
  type = 'ACTIVE_ACTIVE',
  status = 'GOOD',
  statusMessage = 'Synchronizing data',
  suspended = false,
  statistics = {},
}: LinkFacts = {}): string {
  const figures = {
    bytesPending: 0,
    bytesPendingRemote: 0,
    objectsPending: 0,
    objectsPendingRemote: 0,
    upToDateAsOfMillis: Date.now(),
    ...statistics,
  }
  const xml = Object.entries(figures).map(([key, value]) => `<${key}>${value}</${key}>`)
  return (
    `<link><name>${name}</name><type>${type}</type><status>${status}</status>` +
    `<statusMessage>${statusMessage}</statusMessage><suspended>${suspended}</suspended>` +
    `<statistics>${xml.join('')}</statistics></link>`
  )
}

/** A certificate of its own, DER, and its key, PEM (RFC 5280, 4.1). Clients know it by its fingerprint. */
function selfSigned(): { readonly certificate: Buffer; readonly key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const tagged = (tag: number, ...parts: Buffer[]): Buffer => {
    const content = Buffer.concat(parts)
    const { length } = content
    const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
    return Buffer.concat([Buffer.from([tag, ...size]), content])
  }
  const sequence = (...parts: Buffer[]): Buffer => tagged(0x30, ...parts)
  const whole = (value: number): Buffer => tagged(0x02, Buffer.from([value]))
  const ecdsaWithSha256 = sequence(tagged(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
  const commonName = sequence(tagged(0x06, Buffer.from('550403', 'hex')), tagged(0x0c, Buffer.from('test')))
  const name = sequence(tagged(0x31, commonName))
  const utc = (text: string): Buffer => tagged(0x17, Buffer.from(text))
  const toBeSigned = sequence(
    tagged(0xa0, whole(2)),
    whole(1),
    ecdsaWithSha256,
    name,
    sequence(utc('200101000000Z'), utc('491231000000Z')),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  )
  const signature = tagged(0x03, Buffer.from([0]), sign('sha256', toBeSigned, privateKey))
  return {
    certificate: sequence(toBeSigned, ecdsaWithSha256, signature),
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  }
}
