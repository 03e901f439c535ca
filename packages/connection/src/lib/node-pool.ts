import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { Client, type Dispatcher, Pool } from 'undici'
import type { Dialled, Dialer } from './dialer.ts'

/** A handler that wants to know which client, and so which node, its request goes to. */
export interface NodeHandler extends Dispatcher.DispatchHandler {
  client: NodeClient | undefined
  /** When the request was handed to the pool, by `performance.now`. */
  readonly dispatchedAt: number
}

export interface PoolOptions {
  readonly connections: number
  readonly socketLifetime: number
  readonly idleTimeout: number
  readonly headersTimeout: number
  readonly bodyTimeout: number
}

/** One socket's worth of undici: a client that dials the ring's next node each time it has to connect. */
export class NodeClient extends Client {
  /** The connection in use, or the last one. */
  dialled: Dialled | undefined
  /** Requests sent over `dialled`. */
  requests = 0
  /** `X-RequestId` of the answer before: HCP never sends one twice. */
  lastRequestId: string | undefined
  /** When `dialled` was opened, by `performance.now`. */
  openedAt = 0
  readonly #socketLifetime: number

  constructor(origin: URL, dialer: Dialer, socketLifetime: number, options: Client.Options) {
    super(origin, {
      ...options,
      connect: (_options, callback) => {
        dialer.dial().then(
          (dialled) => {
            this.dialled = dialled
            this.openedAt = performance.now()
            this.requests = 0
            this.lastRequestId = undefined
            callback(null, dialled.socket)
          },
          (error: Error) => callback(error, null),
        )
      },
    })
    this.#socketLifetime = socketLifetime
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const exchange = handler as NodeHandler
    exchange.client = this
    // The last request of an old socket tells the node so; the next one dials anew.
    if (exchange.dispatchedAt - this.openedAt > this.#socketLifetime) options.reset = true
    return super.dispatch(options, handler)
  }

  get socket(): Socket | undefined {
    return this.dialled?.socket
  }
}

/** The sockets of one connection: at most `connections`, each to the node that was next and healthy when it was opened. */
export class NodePool extends Pool {
  readonly #clients: Set<NodeClient>

  constructor(origin: string, dialer: Dialer, options: PoolOptions) {
    const clients = new Set<NodeClient>()
    super(origin, {
      connections: options.connections,
      factory: (url) => {
        for (const client of clients) if (client.closed || client.destroyed) clients.delete(client)
        const client = new NodeClient(new URL(url), dialer, options.socketLifetime, {
          // One request at a time on a socket: an answer can only belong to the request before it.
          pipelining: 1,
          allowH2: false,
          keepAliveTimeout: options.idleTimeout,
          keepAliveMaxTimeout: options.idleTimeout,
          headersTimeout: options.headersTimeout,
          bodyTimeout: options.bodyTimeout,
        })
        clients.add(client)
        return client
      },
    })
    this.#clients = clients
  }

  /** Closes idle sockets to a node that failed, so that the next request goes to another one. */
  leave(address: string): void {
    for (const client of this.#clients) {
      if (client.dialled?.address === address && client.stats.size === 0) client.socket?.destroy()
    }
  }

  /** Open sockets by node address. */
  get sockets(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const client of this.#clients) {
      const address = client.dialled?.address
      if (address === undefined || client.socket?.destroyed !== false) continue
      counts.set(address, (counts.get(address) ?? 0) + 1)
    }
    return counts
  }
}
