import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { AnonymousAuthorization } from '@hcp/auth'
import { Target } from '../src/index.ts'

/** A request as it came over the wire. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly rawHead: string
  readonly body: Buffer
  /** Number of the connection, from 0. */
  readonly connection: number
}

/** What the server does with one request; `head` runs as soon as the request's head is there. */
export interface Step {
  readonly head?: (socket: Socket) => void
  readonly whole?: (socket: Socket, request: SeenRequest) => void
}

/** Bytes of an answer with a length. */
export function answer(
  status: number,
  headers: Record<string, string> = {},
  body: string | Buffer = '',
): Buffer {
  const bytes = Buffer.from(body)
  const lines = Object.entries({ 'Content-Length': String(bytes.length), ...headers }).map(
    ([n, v]) => `${n}: ${v}\r\n`,
  )
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} Status\r\n${lines.join('')}\r\n`, 'latin1'), bytes])
}

export const reply = (status: number, headers?: Record<string, string>, body?: string | Buffer): Step => ({
  whole: (socket) => socket.write(answer(status, headers, body)),
})
/** Exactly these bytes, and then `end`, `reset` or nothing. */
export const raw = (bytes: string | Buffer, then: 'end' | 'reset' | 'stay' = 'stay'): Step => ({
  whole: (socket) => {
    socket.write(bytes, () => {
      if (then === 'end') socket.end()
      if (then === 'reset') socket.resetAndDestroy()
    })
  },
})
/** The connection breaks after the request has come whole. */
export const hangUp = (): Step => ({ whole: (socket) => socket.resetAndDestroy() })
/** Nothing is answered. */
export const stall = (): Step => ({})
/** Answers before the request's body has come. */
export const early = (bytes: Buffer): Step => ({ head: (socket) => socket.write(bytes) })

/** A server on 127.0.0.1 that speaks raw sockets and plays one step per request, then answers 200 to all others. */
export class ScriptServer implements AsyncDisposable {
  readonly seen: SeenRequest[] = []
  connections = 0
  readonly target: Target
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #steps: Step[]
  #waiting: (() => void)[] = []

  constructor(server: Server, steps: Step[]) {
    this.#server = server
    this.#steps = steps
    server.on('connection', (socket) => this.#serve(socket, this.connections++))
    this.target = new Target('127.0.0.1', {
      port: this.port,
      tls: false,
      authorization: new AnonymousAuthorization(),
    })
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** Resolves when so many requests have come. */
  async until(requests: number): Promise<void> {
    while (this.seen.length < requests) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
      })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.target.close()
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => {
      this.#server.close(resolve)
    })
  }

  #serve(socket: Socket, connection: number): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {})
    let bytes: Buffer = Buffer.alloc(0)
    let step: Step | undefined
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      for (;;) {
        const end = bytes.indexOf('\r\n\r\n')
        if (end < 0) return
        const rawHead = bytes.subarray(0, end).toString('latin1')
        const [first = '', ...lines] = rawHead.split('\r\n')
        const headers: Record<string, string> = {}
        for (const line of lines) {
          const colon = line.indexOf(':')
          headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
        }
        if (step === undefined) {
          step = this.#steps.shift() ?? reply(200)
          step.head?.(socket)
        }
        const body = takeBody(bytes.subarray(end + 4), headers)
        if (body === undefined) return
        bytes = bytes.subarray(end + 4 + body.taken)
        const [method = '', path = ''] = first.split(' ')
        const request = { method, path, headers, rawHead, body: body.content, connection }
        this.seen.push(request)
        for (const wake of this.#waiting.splice(0)) wake()
        step.whole?.(socket, request)
        step = undefined
      }
    })
  }
}

/** The body, when it is whole. */
function takeBody(
  rest: Buffer,
  headers: Readonly<Record<string, string>>,
): { content: Buffer; taken: number } | undefined {
  if (headers['transfer-encoding'] !== 'chunked') {
    const length = Number(headers['content-length'] ?? 0)
    return rest.length < length ? undefined : { content: rest.subarray(0, length), taken: length }
  }
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const line = rest.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(rest.subarray(at, line).toString('latin1'), 16)
    const start = line + 2
    if (rest.length < start + size + 2) return undefined
    if (size === 0) return { content: Buffer.concat(parts), taken: start + 2 }
    parts.push(rest.subarray(start, start + size))
    at = start + size + 2
  }
}

export async function scriptServer(...steps: Step[]): Promise<ScriptServer> {
  const server = createServer({ allowHalfOpen: false })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return new ScriptServer(server, steps)
}
