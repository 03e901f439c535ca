import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createServer, type Server } from 'node:tls'
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { selfSigned } from './self-signed.testing.ts'

/** A request as it came over the wire. */
export interface SeenRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What the server does with a request. */
export type Step = (socket: Socket, request: SeenRequest) => void

/** An answer with a length. */
export const reply =
  (status: number, headers: Readonly<Record<string, string>> = {}, body: string | Uint8Array = ''): Step =>
  (socket) => {
    const bytes = Buffer.from(body)
    const head = Object.entries({ 'Content-Length': String(bytes.length), ...headers })
    const lines = head.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} Status\r\n${lines}\r\n`, 'latin1'), bytes]))
  }

export const xml = (body: string | Uint8Array): Step =>
  reply(200, { 'Content-Type': 'application/xml' }, body)
export const json = (body: string | Uint8Array): Step =>
  reply(200, { 'Content-Type': 'application/json' }, body)

/** Exactly these bytes, and then the connection ends, breaks, or stays. */
export const raw =
  (bytes: string | Uint8Array, then: 'end' | 'reset' | 'stay' = 'end'): Step =>
  (socket) => {
    socket.write(bytes, () => {
      if (then === 'end') socket.end()
      if (then === 'reset') socket.destroy()
    })
  }

/** The head of an answer, and then the same piece again and again until nobody listens any more. */
export const endless =
  (head: string, piece: string | Uint8Array): Step =>
  (socket) => {
    socket.write(head)
    const more = (): void => {
      while (!socket.destroyed && socket.write(piece));
    }
    socket.on('drain', more)
    more()
  }

const { cert, key } = selfSigned('admin.hcp.test', 'm.hcp.test')

/** A management API made of bytes: plays one step for each request, the last one for all that follow. */
export class ScriptServer implements AsyncDisposable {
  readonly seen: SeenRequest[] = []
  readonly #steps: Step[]
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #targets: Target[] = []

  /** @internal */
  constructor(server: Server, steps: readonly Step[]) {
    this.#server = server
    this.#steps = [...steps]
    server.on('secureConnection', (socket: Socket) => this.#serve(socket))
  }

  /** What to play from now on. */
  play(...steps: readonly Step[]): void {
    this.#steps.splice(0, this.#steps.length, ...steps)
    this.seen.length = 0
  }

  target(fqdn: 'admin.hcp.test' | 'm.hcp.test' = 'admin.hcp.test'): Target {
    const target = new Target(fqdn, {
      authorization: new NativeAuthorization('user', 'password'),
      port: (this.#server.address() as AddressInfo).port,
      addresses: ['127.0.0.1'],
      tls: { ca: cert },
    })
    this.#targets.push(target)
    return target
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const target of this.#targets) target.close()
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {})
    let bytes = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      for (;;) {
        const end = bytes.indexOf('\r\n\r\n')
        if (end < 0) return
        const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
        const headers = Object.fromEntries(
          lines.map((line) => {
            const colon = line.indexOf(':')
            return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
          }),
        )
        const whole = end + 4 + Number(headers['content-length'] ?? 0)
        if (bytes.length < whole) return
        const body = bytes.subarray(end + 4, whole).toString('utf8')
        bytes = bytes.subarray(whole)
        const [method = '', path = ''] = first.split(' ')
        const request = { method, path, headers, body }
        this.seen.push(request)
        const step = this.#steps.length > 1 ? this.#steps.shift() : this.#steps[0]
        step?.(socket, request)
      }
    })
  }
}

export async function scriptServer(...steps: readonly Step[]): Promise<ScriptServer> {
  const server = createServer({ cert, key })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return new ScriptServer(server, steps)
}
