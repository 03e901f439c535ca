import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, Server as HttpServer, ServerOptions, ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Server as HttpsServer } from 'node:https'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { maximumHeadSize, servedConnections } from './choices.ts'
import type { ActiveFault, FaultTable } from './faults.ts'
import type { Door, RequestServer } from './serving.ts'
import { garbage } from './serving.ts'

export type DoorName = Door['port']

export const doorNames: readonly DoorName[] = ['http', 'https', 'mapi']

/** Certificate and key, PEM. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

export interface NodeOptions {
  readonly cluster: 'primary' | 'replica'
  /** Counted from 1. */
  readonly number: number
  readonly address: string
  readonly requests: RequestServer
  readonly faults: FaultTable
  /** Milliseconds after which an idle connection is closed. */
  readonly idleTime: number
  readonly identity: Identity
}

/** One node: its address, its listeners, and the connections to them. */
export class ClusterNode {
  readonly address: string
  readonly number: number
  readonly #options: NodeOptions
  readonly #servers: Readonly<Record<DoorName, HttpServer | HttpsServer>>
  readonly #listeners = new Map<DoorName, Server>()
  /** All TCP connections, by the client's address and port. */
  readonly #sockets = new Map<string, Socket>()
  /** Data connections that are being served, and those that wait for one of them to end. */
  readonly #served = new Set<Socket>()
  readonly #waiting: { socket: Socket; door: DoorName }[] = []
  /** Connections that have not sent a request yet, and what closes them. */
  readonly #silent = new WeakMap<Socket, NodeJS.Timeout>()
  readonly ports: Record<DoorName, number> = { http: 0, https: 0, mapi: 0 }
  #up = false
  #refusing = false
  /** The last opening of the listeners. */
  #settled: Promise<void> = Promise.resolve()

  constructor(options: NodeOptions) {
    this.#options = options
    this.address = options.address
    this.number = options.number
    const http: ServerOptions = {
      keepAliveTimeout: options.idleTime,
      maxHeaderSize: maximumHeadSize,
      requestTimeout: 0,
      requireHostHeader: false,
      highWaterMark: 256 * 1024,
    }
    this.#servers = {
      http: this.#wired(createHttpServer(http), 'http'),
      https: this.#wired(createHttpsServer({ ...http, ...options.identity }), 'https'),
      mapi: this.#wired(createHttpsServer({ ...http, ...options.identity }), 'mapi'),
    }
  }

  get up(): boolean {
    return this.#up
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sockets.size
  }

  /** Listens on the ports given (0: any free one) and notes them. */
  async start(ports: Readonly<Record<DoorName, number>>): Promise<void> {
    this.#up = true
    this.#refusing = false
    this.#settled = this.#open(ports)
    await this.#settled
  }

  /** A node that cannot have its ports is down. */
  async #open(ports: Readonly<Record<DoorName, number>>): Promise<void> {
    try {
      await Promise.all(
        doorNames.map(async (door) => {
          this.ports[door] = await this.#listen(door, ports[door])
        }),
      )
    } catch (error) {
      this.stop()
      throw error
    }
  }

  /** Closes the listeners and cuts all connections. */
  stop(): void {
    this.#up = false
    this.#closeListeners()
    for (const socket of this.#sockets.values()) socket.destroy()
  }

  /** Closes the listeners but leaves the connections; or opens them again, which has happened when this resolves. */
  setRefusing(refusing: boolean): Promise<void> {
    if (!this.#up) return Promise.resolve()
    if (refusing === this.#refusing) return this.#settled
    this.#refusing = refusing
    if (refusing) this.#closeListeners()
    this.#settled = refusing ? Promise.resolve() : this.#open(this.ports)
    return this.#settled
  }

  /** Certificate for connections to come. */
  setIdentity(identity: Identity): void {
    for (const door of ['https', 'mapi'] as const)
      (this.#servers[door] as HttpsServer).setSecureContext(identity)
  }

  #closeListeners(): void {
    for (const listener of this.#listeners.values()) listener.close()
    this.#listeners.clear()
  }

  #wired(server: HttpServer | HttpsServer, port: DoorName): HttpServer | HttpsServer {
    const { requests, cluster, number } = this.#options
    const door: Door = {
      cluster,
      node: number,
      port,
      transport: (socket) => this.#sockets.get(keyOf(socket)) ?? socket,
    }
    const serve = (expects: boolean) => (request: IncomingMessage, response: ServerResponse) => {
      clearTimeout(this.#silent.get(request.socket))
      requests.serve(door, request, response, expects)
    }
    server.on('request', serve(false))
    server.on('checkContinue', serve(true))
    server.on('connect', (_request: IncomingMessage, socket: Socket) => requests.tunnel(door, socket))
    // Another expectation than that need not be met (RFC 9110, 10.1.1).
    server.on('checkExpectation', serve(false))
    // Node's own idle time begins with the first answer.
    server.on(port === 'http' ? 'connection' : 'secureConnection', (socket: Socket) => {
      const timer = setTimeout(() => socket.destroy(), this.#options.idleTime).unref()
      this.#silent.set(socket, timer)
      socket.once('close', () => clearTimeout(timer))
    })
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
      requests.broken(door, error, socket),
    )
    // A client may close its side after a request and still wants the answer.
    return Object.assign(server, { httpAllowHalfOpen: true, keepAliveTimeoutBuffer: 0 })
  }

  #listen(door: DoorName, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true }
      const listener = createServer(options, (socket) => this.#accept(socket, door))
      listener.on('error', reject)
      listener.listen({ port, host: this.address, backlog: 1024, exclusive: true }, () => {
        if (this.#up && !this.#refusing) this.#listeners.set(door, listener)
        else listener.close()
        resolve((listener.address() as AddressInfo).port)
      })
    })
  }

  #accept(socket: Socket, door: DoorName): void {
    const key = keyOf(socket)
    this.#sockets.set(key, socket)
    socket.on('error', () => {
      // Whoever reads or writes it is told; a connection that nobody uses may break.
    })
    socket.once('close', () => {
      this.#sockets.delete(key)
      this.#leave(socket)
    })
    const fault = this.#options.faults.onConnection(this.#options.cluster, this.number)
    if (fault === undefined) this.#admit(socket, door)
    else this.#disturb(socket, door, fault)
  }

  #disturb(socket: Socket, door: DoorName, fault: ActiveFault): void {
    switch (fault.kind) {
      case 'reset':
        socket.resetAndDestroy()
        break
      case 'truncate':
        socket.end()
        socket.destroySoon()
        break
      case 'garbage':
        // Read what comes, or closing would reset the connection and the client might lose the bytes.
        socket.resume()
        socket.end(garbage)
        break
      case 'delay': {
        const timer = setTimeout(() => this.#admit(socket, door), fault.ms)
        socket.once('close', () => clearTimeout(timer))
        break
      }
      default:
      // It hangs: nobody reads and nobody answers.
    }
  }

  #admit(socket: Socket, door: DoorName): void {
    if (socket.destroyed) return
    if (door !== 'mapi' && this.#served.size >= servedConnections) {
      this.#waiting.push({ socket, door })
      return
    }
    if (door !== 'mapi') this.#served.add(socket)
    this.#servers[door].emit('connection', socket)
    socket.resume()
  }

  #leave(socket: Socket): void {
    if (!this.#served.delete(socket)) return
    let next = this.#waiting.shift()
    while (next?.socket.destroyed) next = this.#waiting.shift()
    if (next !== undefined) this.#admit(next.socket, next.door)
  }
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}:${socket.localPort}`
}
