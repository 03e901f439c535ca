import type { CertificateAuthority, CertificateRequest } from './certificates.ts'
import type { FaultTable } from './faults.ts'
import type { LogNode } from './logs/log-types.ts'
import { ClusterNode, doorNames } from './node.ts'
import type { DoorName, Identity } from './node.ts'
import type { RequestLog } from './request-log.ts'
import { RequestServer } from './serving.ts'
import type { System } from './system.ts'

export type TlsMode = 'ok' | 'expired' | 'wrong-name' | 'other-ca'

export interface ClusterOptions {
  readonly name: 'primary' | 'replica'
  readonly system: System
  readonly addresses: readonly string[]
  readonly ports: Readonly<Record<DoorName, number>>
  readonly faults: FaultTable
  readonly log: RequestLog
  readonly idleTime: number
  readonly authority: CertificateAuthority
}

/** The nodes of one system. */
export class Cluster {
  readonly system: System
  readonly nodes: readonly ClusterNode[]
  readonly #options: ClusterOptions

  private constructor(options: ClusterOptions, identity: Identity) {
    const { name, system, addresses, faults, log, idleTime } = options
    this.#options = options
    this.system = system
    const requests = new RequestServer(system, faults, log)
    this.nodes = addresses.map((address, index) => {
      return new ClusterNode({
        cluster: name,
        number: index + 1,
        address,
        requests,
        faults,
        idleTime,
        identity,
      })
    })
    const numbered = (): LogNode[] => this.nodes.map(({ number, up }) => ({ node: number, up }))
    system.logs.serveFrom({ log, cluster: name, nodes: numbered })
  }

  /** Starts the nodes, all on the same ports where they have different addresses. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const identity = await makeIdentity(options, 'ok', options.authority)
    const cluster = new Cluster(options, identity)
    await cluster.#listen()
    return cluster
  }

  get ports(): Readonly<Record<DoorName, number>> {
    return this.nodes[0]!.ports
  }

  /** Addresses of the nodes that are up. */
  get live(): string[] {
    return [...new Set(this.nodes.filter((node) => node.up).map((node) => node.address))]
  }

  async startNode(node: ClusterNode): Promise<void> {
    if (node.up) return
    await node.start(node.ports)
    await this.applyFaults()
  }

  async startAll(): Promise<void> {
    for (const node of this.nodes) await this.startNode(node)
  }

  stopAll(): void {
    for (const node of this.nodes) node.stop()
  }

  /** Closes or opens listeners as the faults in force say. */
  async applyFaults(): Promise<void> {
    const { faults, name } = this.#options
    await Promise.all(this.nodes.map((node) => node.setRefusing(faults.refuses(name, node.number))))
  }

  async setTls(mode: TlsMode, otherAuthority: CertificateAuthority): Promise<void> {
    const authority = mode === 'other-ca' ? otherAuthority : this.#options.authority
    const identity = await makeIdentity(this.#options, mode, authority)
    for (const node of this.nodes) node.setIdentity(identity)
  }

  /** Any free port means one that is free on all addresses: what one node gets is tried on the others. */
  async #listen(): Promise<void> {
    const [first, ...others] = this.nodes
    const shared = others.every((node) => node.address !== first!.address)
    const fixed = doorNames.every((door) => this.#options.ports[door] !== 0)
    for (let attempt = 1; ; attempt++) {
      try {
        await first!.start(this.#options.ports)
        for (const node of others) await node.start(shared ? first!.ports : { http: 0, https: 0, mapi: 0 })
        return
      } catch (error) {
        this.stopAll()
        const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
        if (!taken || fixed || attempt === 20) throw error
      }
    }
  }
}

async function makeIdentity(
  { system }: ClusterOptions,
  mode: TlsMode,
  authority: CertificateAuthority,
): Promise<Identity> {
  const { domain, tenants } = system
  const names =
    mode === 'wrong-name'
      ? ['wrong-name.invalid']
      : [
          `*.${domain}`,
          domain,
          ...[...tenants.values()].map((tenant) => `*.${tenant.name.toLowerCase()}.${domain}`),
        ]
  const day = 86_400_000
  const request: CertificateRequest =
    mode === 'expired'
      ? { names, notBefore: new Date(Date.now() - 30 * day), notAfter: new Date(Date.now() - day) }
      : { names }
  const { certificate, key } = await authority.issue(request)
  return { cert: certificate, key }
}
