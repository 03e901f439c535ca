import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { BlockList, isIP, isIPv6 } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { DnsBehaviour } from './dns-server.ts'
import type { Fault } from './faults.ts'
import type { LogSeed } from './logs/invented-history.ts'
import type { LinkFault } from './replication/link-faults.ts'
import type { ReplicationBehaviour } from './replication/replication-pair.ts'
import type { RequestRecord } from './request-log.ts'
import type { Seed } from './seed.ts'
import type { SymlinkSeed } from './symlinks.ts'

export type ClusterName = 'primary' | 'replica'

/** Which certificate the nodes show. */
export interface TlsBehaviour {
  readonly mode: 'ok' | 'expired' | 'wrong-name' | 'other-ca'
}

/** How many preparations of logs are to fail. */
export interface LogFailures {
  readonly count?: number
  readonly cluster?: ClusterName
}

/**
 * What the control port can do. Methods throw `TypeError` for a value of a wrong type and `RangeError` for one that is
 * out of range, such as the number of a node that is not there.
 */
export interface ControlSurface {
  /** Everything there is to know, fit for JSON. */
  state(): object
  /** @param node Counted from 1. */
  stopNode(node: number, cluster: ClusterName): void | Promise<void>
  startNode(node: number, cluster: ClusterName): void | Promise<void>
  stopCluster(cluster: ClusterName): void | Promise<void>
  startCluster(cluster: ClusterName): void | Promise<void>
  addFault(fault: Fault): { readonly id: number }
  /** Whether there was such a fault. */
  removeFault(id: number): boolean | Promise<boolean>
  clearFaults(): void | Promise<void>
  setDns(behaviour: DnsBehaviour): void | Promise<void>
  setTls(behaviour: TlsBehaviour): void | Promise<void>
  setDisk(disk: { readonly full: boolean }): void | Promise<void>
  /** Many objects with the same data; says how many were made. */
  seed(seed: Seed & { readonly cluster?: ClusterName }): object | Promise<object>
  /** Disposition and pruning; says how much they did. */
  runServices(): object | Promise<object>
  /** A history of access logs that nobody made. */
  seedLogs(seed: LogSeed & { readonly cluster?: ClusterName }): void
  failLogs(failures: LogFailures): void
  addSymlink(symlink: SymlinkSeed & { readonly cluster?: ClusterName }): void | Promise<void>
  /** Only where there is a second system. */
  setReplication?(behaviour: ReplicationBehaviour): void | Promise<void>
  addLinkFault?(fault: LinkFault): { readonly id: number }
  /** Whether there was such a fault. */
  removeLinkFault?(id: number): boolean | Promise<boolean>
  clearLinkFaults?(): void | Promise<void>
  /** Resolves when nothing waits on links that carry something. */
  replicated?(): Promise<void>
  /** Requests served, with a `sequence` above `since`. */
  requests(since: number): readonly RequestRecord[]
}

export interface ControlServerOptions {
  /** A loopback address. */
  readonly address: string
  /** 0 is any that is free. */
  readonly port: number
  readonly surface: ControlSurface
}

export interface ControlServer {
  readonly port: number
  close(): Promise<void>
}

interface Reply {
  readonly status: number
  readonly body: unknown
}

type Handler = (match: readonly string[], request: IncomingMessage) => Reply | Promise<Reply>

interface Route {
  readonly path: RegExp
  readonly methods: Readonly<Record<string, Handler>>
}

const largestBody = 1024 * 1024
const done: Reply = { status: 200, body: {} }

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** An answer that is not the one hoped for. */
class Failure extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

/**
 * Starts the control port: what can be done to an emulator, by HTTP and JSON, for tests in any language. It listens on
 * loopback only, and serves only requests that were meant for it: a page in a browser cannot reach it, neither by a
 * name that resolves to loopback nor from another origin.
 *
 * @throws {RangeError} if the address is not a loopback address.
 */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const { address, port, surface } = options
  if (!isLoopback(address))
    throw new RangeError(`address: the control port is for loopback only, not for ${address}`)
  const routes = routesOf(surface)
  const server = createServer((request, response) => {
    void answer(routes, request, response)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, resolve)
  })
  let closing: Promise<void> | undefined
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      return (closing ??= new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }))
    },
  }
}

/** Where the control port belongs when the nodes are at `address`: there too, if that is loopback. */
export function controlAddress(address: string): string {
  return isLoopback(address) ? address : '127.0.0.1'
}

function routesOf(surface: ControlSurface): readonly Route[] {
  return [
    {
      path: /^\/$/,
      methods: { GET: () => ({ status: 200, body: surface.state() }) },
    },
    {
      path: /^\/nodes\/([1-9]\d{0,4})\/(stop|start)$/,
      methods: {
        async POST([node, action], request) {
          const { cluster = 'primary' } = await readFields<{ cluster?: ClusterName }>(request, ['cluster'])
          checkCluster(cluster)
          await existing(() => surface[action === 'stop' ? 'stopNode' : 'startNode'](Number(node), cluster))
          return done
        },
      },
    },
    {
      path: /^\/clusters\/(primary|replica)\/(stop|start)$/,
      methods: {
        async POST([cluster, action], request) {
          await readFields(request, [])
          await existing(() =>
            surface[action === 'stop' ? 'stopCluster' : 'startCluster'](cluster as ClusterName),
          )
          return done
        },
      },
    },
    {
      path: /^\/faults$/,
      methods: {
        async POST(_match, request) {
          const { id } = surface.addFault((await readObject(request)) as unknown as Fault)
          return { status: 201, body: { id } }
        },
        async DELETE() {
          await surface.clearFaults()
          return done
        },
      },
    },
    {
      path: /^\/faults\/(\d{1,15})$/,
      methods: {
        async DELETE([id]) {
          if (!(await surface.removeFault(Number(id)))) throw new Failure(404, `there is no fault ${id}`)
          return done
        },
      },
    },
    {
      path: /^\/dns$/,
      methods: {
        async PUT(_match, request) {
          await surface.setDns(
            await readFields<DnsBehaviour>(request, ['mode', 'addresses', 'ttl'], ['mode']),
          )
          return done
        },
      },
    },
    {
      path: /^\/tls$/,
      methods: {
        async PUT(_match, request) {
          await surface.setTls(await readFields<TlsBehaviour>(request, ['mode'], ['mode']))
          return done
        },
      },
    },
    {
      path: /^\/disk$/,
      methods: {
        async PUT(_match, request) {
          await surface.setDisk(await readFields<{ full: boolean }>(request, ['full'], ['full']))
          return done
        },
      },
    },
    {
      path: /^\/seed$/,
      methods: {
        async POST(_match, request) {
          const known = ['namespace', 'directory', 'count', 'size', 'prefix', 'cluster'] as const
          const seed = await readFields<Seed & { cluster?: ClusterName }>(request, known, [
            'namespace',
            'count',
          ])
          if (seed.cluster !== undefined) checkCluster(seed.cluster)
          return { status: 201, body: await surface.seed(seed) }
        },
      },
    },
    {
      path: /^\/symlinks$/,
      methods: {
        async POST(_match, request) {
          const symlink = await readFields<SymlinkSeed & { cluster?: ClusterName }>(
            request,
            ['namespace', 'path', 'target', 'cluster'],
            ['namespace', 'path', 'target'],
          )
          if (symlink.cluster !== undefined) checkCluster(symlink.cluster)
          await surface.addSymlink(symlink)
          return { status: 201, body: {} }
        },
      },
    },
    {
      path: /^\/logs\/seed$/,
      methods: {
        async POST(_match, request) {
          const known = ['bytes', 'days', 'cluster'] as const
          const seed = await readFields<LogSeed & { cluster?: ClusterName }>(request, known, ['bytes'])
          if (seed.cluster !== undefined) checkCluster(seed.cluster)
          surface.seedLogs(seed)
          return { status: 201, body: {} }
        },
      },
    },
    {
      path: /^\/logs\/fail$/,
      methods: {
        async POST(_match, request) {
          const failures = await readFields<LogFailures>(request, ['count', 'cluster'])
          if (failures.cluster !== undefined) checkCluster(failures.cluster)
          surface.failLogs(failures)
          return done
        },
      },
    },
    {
      path: /^\/services\/run$/,
      methods: {
        async POST(_match, request) {
          await readFields(request, [])
          return { status: 200, body: await surface.runServices() }
        },
      },
    },
    {
      path: /^\/replication$/,
      methods: {
        async PUT(_match, request) {
          const known = ['lagMs', 'paused', 'recoveryMs'] as const
          const behaviour = await readFields<ReplicationBehaviour>(request, known)
          if (surface.setReplication === undefined) throw unlinked()
          await surface.setReplication(behaviour)
          return done
        },
      },
    },
    {
      path: /^\/replication\/wait$/,
      methods: {
        async POST(_match, request) {
          await readFields(request, [])
          if (surface.replicated === undefined) throw unlinked()
          await surface.replicated()
          return done
        },
      },
    },
    {
      path: /^\/replication\/faults$/,
      methods: {
        async POST(_match, request) {
          const fault = (await readObject(request)) as unknown as LinkFault
          if (surface.addLinkFault === undefined) throw unlinked()
          return { status: 201, body: { id: surface.addLinkFault(fault).id } }
        },
        async DELETE() {
          if (surface.clearLinkFaults === undefined) throw unlinked()
          await surface.clearLinkFaults()
          return done
        },
      },
    },
    {
      path: /^\/replication\/faults\/(\d{1,15})$/,
      methods: {
        async DELETE([id]) {
          if (!(await surface.removeLinkFault?.(Number(id))))
            throw new Failure(404, `there is no fault ${id}`)
          return done
        },
      },
    },
    {
      path: /^\/requests$/,
      methods: {
        GET(_match, request) {
          const since = new URL(request.url!, 'http://control').searchParams.get('since') ?? '0'
          if (!/^\d{1,15}$/.test(since)) throw new Failure(400, 'since: must be a whole number, 0 or more')
          return { status: 200, body: surface.requests(Number(since)) }
        },
      },
    },
  ]
}

function unlinked(): Failure {
  return new Failure(404, 'there is no second system')
}

async function answer(
  routes: readonly Route[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let reply: Reply & { headers?: Readonly<Record<string, string>> }
  try {
    checkOrigin(request)
    reply = await dispatch(routes, request)
  } catch (error) {
    reply = failed(error)
  }
  const body = `${JSON.stringify(reply.body)}\n`
  response.writeHead(reply.status, {
    ...reply.headers,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    // A body that was not read to its end would be taken for the next request.
    ...(request.complete ? {} : { Connection: 'close' }),
  })
  response.end(body)
}

function dispatch(routes: readonly Route[], request: IncomingMessage): Reply | Promise<Reply> {
  const path = request.url!.split('?', 1)[0]!
  for (const route of routes) {
    const match = route.path.exec(path)
    if (match === null) continue
    const method = request.method === 'HEAD' ? 'GET' : request.method!
    const handler = Object.hasOwn(route.methods, method) ? route.methods[method] : undefined
    if (handler !== undefined) return handler(match.slice(1), request)
    const allow = Object.keys(route.methods).join(', ')
    throw new Failure(405, `${path} takes ${allow}`, { Allow: allow })
  }
  throw new Failure(404, `there is nothing at ${path}`)
}

function failed(error: unknown): Reply & { headers?: Readonly<Record<string, string>> } {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof Failure) {
    return { status: error.status, body: { error: message }, headers: error.headers }
  }
  const bad = error instanceof TypeError || error instanceof RangeError
  return { status: bad ? 400 : 500, body: { error: message } }
}

/** A node or system that is not there is a path that is not there. */
async function existing(operation: () => void | Promise<void>): Promise<void> {
  try {
    await operation()
  } catch (error) {
    if (error instanceof RangeError) throw new Failure(404, error.message)
    throw error
  }
}

/** A page in a browser can have its own name resolve to loopback, or send to loopback from its own origin. */
function checkOrigin(request: IncomingMessage): void {
  const { host, origin } = request.headers
  if (host !== undefined && !isLocalUrl(`http://${host}`)) {
    throw new Failure(403, 'the control port answers to loopback addresses and to localhost only')
  }
  if (origin !== undefined && !isLocalUrl(origin)) {
    throw new Failure(403, 'the control port answers to pages from loopback only')
  }
}

function isLocalUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { hostname } = new URL(text)
  return hostname === 'localhost' || isLoopback(hostname.replace(/^\[(.*)\]$/, '$1'))
}

function isLoopback(address: string): boolean {
  return isIP(address) !== 0 && loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

function checkCluster(cluster: unknown): void {
  if (cluster !== 'primary' && cluster !== 'replica')
    throw new TypeError('cluster: must be primary or replica')
}

/** The body's fields, none of them unknown; what their values may be is for the surface to say. */
async function readFields<T extends object>(
  request: IncomingMessage,
  known: readonly (keyof T & string)[],
  required: readonly (keyof T & string)[] = [],
): Promise<T> {
  const fields = await readObject(request)
  for (const field of Object.keys(fields)) {
    if (!(known as readonly string[]).includes(field)) throw new TypeError(`${field}: unknown field`)
  }
  for (const field of required) {
    if (fields[field] === undefined) throw new TypeError(`${field}: is missing`)
  }
  return fields as T
}

/** A JSON object; no body counts as an empty one. */
async function readObject(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > largestBody) throw new Failure(413, `the body is longer than ${largestBody} bytes`)
    chunks.push(chunk)
  }
  if (size === 0) return {}
  let value: unknown
  try {
    value = JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    throw new TypeError('the body is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError('the body must be a JSON object')
  }
  return value as Record<string, unknown>
}
