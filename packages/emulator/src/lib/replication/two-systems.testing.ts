import { Pool } from 'undici'
import type { Dispatcher } from 'undici'
import type { Emulator, EmulatorOptions, SystemSummary } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import { credentials } from '../wire.testing.ts'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
  readonly text: string
}

export interface Asking {
  readonly namespace?: string
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** Default: the system's own. */
  readonly domain?: string
}

/** A client of one of two linked systems. */
export class Client {
  readonly cluster: 'primary' | 'replica'
  readonly domain: string
  readonly #hcp: Emulator | undefined
  readonly #origins: readonly string[]
  #pools: readonly Pool[]

  constructor(ready: SystemSummary, cluster: 'primary' | 'replica', hcp?: Emulator) {
    const { domain, nodes, ports } = ready
    this.#hcp = hcp
    this.cluster = cluster
    this.domain = domain
    this.#origins = nodes.map((node) => `http://${node}:${ports.http}`)
    this.#pools = this.#origins.map((origin) => new Pool(origin, { connections: 4 }))
  }

  /** Asks the first node. */
  async ask(method: Dispatcher.HttpMethod, path: string, asking: Asking = {}): Promise<Reply> {
    const { namespace = 'n1', body, headers, domain = this.domain } = asking
    const answer = await this.#pools[0]!.request({
      method,
      path: path.startsWith('/') ? path : `/rest/${path}`,
      headers: { host: `${namespace}.m.${domain}`, authorization: credentials('n', 'n01'), ...headers },
      body: body ?? null,
    })
    const bytes = Buffer.from(await answer.body.arrayBuffer())
    return { status: answer.statusCode, headers: answer.headers, body: bytes, text: bytes.toString() }
  }

  put(path: string, body: string | Buffer = '', namespace = 'n1'): Promise<Reply> {
    return this.ask('PUT', path, { body, namespace })
  }

  get(path: string, namespace = 'n1'): Promise<Reply> {
    return this.ask('GET', path, { namespace })
  }

  delete(path: string, namespace = 'n1'): Promise<Reply> {
    return this.ask('DELETE', path, { namespace })
  }

  /** The content, or the status where there is none. */
  async read(path: string, namespace = 'n1'): Promise<string | number> {
    const { status, text } = await this.get(path, namespace)
    return status === 200 ? text : status
  }

  async stop(): Promise<void> {
    await this.#hcp!.stopCluster(this.cluster)
    // No connection that has been cut is to be used again.
    await this.close()
    this.#pools = this.#origins.map((origin) => new Pool(origin, { connections: 4 }))
  }

  start(): Promise<void> {
    return this.#hcp!.startCluster(this.cluster)
  }

  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.destroy()))
  }

  /** Everything that there is below a directory, by its path, with what can be seen of it. */
  async everything(namespace: string, directory = ''): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    const { status, text } = await this.ask('GET', `${directory}?deleted=true`, { namespace })
    if (status !== 200) return found
    for (const [, name = '', type = ''] of text.matchAll(/<entry urlName="([^"]*)"[^>]* type="(\w+)"/g)) {
      const path = directory === '' ? name : `${directory}/${name}`
      if (type === 'directory') {
        const inside = await this.everything(namespace, path)
        const gone = new RegExp(`urlName="${name.replaceAll(/[.+]/g, '\\$&')}"[^>]*state="deleted"`).test(
          text,
        )
        found.set(`${path}/`, gone ? 'deleted' : 'directory')
        for (const [inner, what] of inside) found.set(inner, what)
      } else found.set(path, await this.#seen(namespace, path))
    }
    return found
  }

  async #seen(namespace: string, path: string): Promise<string> {
    const [data, versions, annotations, acl] = [
      await this.ask('GET', path, { namespace }),
      await this.ask('GET', `${path}?version=list&deleted=true`, { namespace }),
      await this.ask('GET', `${path}?type=custom-metadata-info`, { namespace }),
      await this.ask('GET', `${path}?type=acl`, { namespace }),
    ]
    const headers = Object.entries(data.headers).filter(
      ([name]) => (name.startsWith('x-hcp-') && !/time$|servicedby/.test(name)) || name === 'etag',
    )
    const seen = [
      data.status,
      headers,
      data.body.toString('latin1'),
      versions.text,
      annotations.text,
      acl.text,
    ]
    return JSON.stringify(seen)
  }
}

/** What a client needs to know of the second system, in the form of the first one's. */
export function replicaOf(hcp: Emulator): Emulator {
  const { domain, nodes, ports } = hcp.ready.replica!
  return { domain, nodes, ports, ca: hcp.ca } as Partial<Emulator> as Emulator
}

/** Two linked systems and a client of each. */
export class TwoSystems implements AsyncDisposable {
  readonly hcp: Emulator
  readonly one: Client
  readonly other: Client

  private constructor(hcp: Emulator) {
    this.hcp = hcp
    this.one = new Client(hcp.ready, 'primary', hcp)
    this.other = new Client(hcp.ready.replica!, 'replica', hcp)
  }

  /** With one node each, and without delay, unless it is told otherwise. */
  static async start(options: EmulatorOptions = {}): Promise<TwoSystems> {
    const hcp = await startEmulator({ nodes: 1, replicaDomain: 'hcp2.test', ...options })
    hcp.setReplication({ lagMs: 0 })
    return new TwoSystems(hcp)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.one.close(), this.other.close()])
    await this.hcp.close()
  }
}
