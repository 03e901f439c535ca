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
  /** A linked system whose names the certificates hold for too. */
  readonly linked: System | undefined
}

/** The nodes of one system. */
export class Cluster {
  readonly system: System
  readonly nodes: readonly ClusterNode[]
  readonly #options: ClusterOptions
  #tls: { readonly mode: TlsMode; readonly authority: CertificateAuthority }
  /** Names that the present certificate holds for. */
  #covered: ReadonlySet<string>
  /** The last certificate that was asked for; each is made after the one before it, so that the last one stays. */
  #renewed: Promise<void> = Promise.resolve()

  private constructor(options: ClusterOptions, names: readonly string[], identity: Identity) {
    const { name, system, addresses, faults, log, idleTime } = options
    this.#options = options
    this.#tls = { mode: 'ok', authority: options.authority }
    this.#covered = new Set(names)
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
    system.nodes = () => this.nodes
    const numbered = (): LogNode[] => this.nodes.map(({ number, up }) => ({ node: number, up }))
    system.logs.serveFrom({ log, cluster: name, nodes: numbered })
  }

  /** Makes the nodes, which do not listen yet. */
  static async make(options: ClusterOptions): Promise<Cluster> {
    const names = certifiedNames(options, 'ok')
    return new Cluster(options, names, await makeIdentity(names, 'ok', options.authority))
  }

  /**
   * Starts all nodes of some clusters on the same ports, where they have different addresses. Any free port means one that
   * is free on all of them: what the first node gets is tried on the others.
   */
  static async listen(clusters: readonly Cluster[]): Promise<void> {
    const [first, ...others] = clusters.flatMap(({ nodes }) => nodes)
    const { ports } = clusters[0]!.#options
    const shared = others.every((node) => node.address !== first!.address)
    const fixed = doorNames.every((door) => ports[door] !== 0)
    for (let attempt = 1; ; attempt++) {
      try {
        await first!.start(ports)
        for (const node of others) await node.start(shared ? first!.ports : { http: 0, https: 0, mapi: 0 })
        return
      } catch (error) {
        for (const cluster of clusters) cluster.stopAll()
        const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
        if (!taken || fixed || attempt === 20) throw error
      }
    }
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
    this.#tls = { mode, authority: mode === 'other-ca' ? otherAuthority : this.#options.authority }
    await this.#inTurn(() => this.#renew())
  }

  /** Sees to it that the certificate holds for the names that there are now. To make one for a thousand tenants takes a while. */
  async coverNames(): Promise<void> {
    if (this.#covers()) return
    await this.#inTurn(async () => {
      if (!this.#covers()) await this.#renew()
    })
  }

  #covers(): boolean {
    return certifiedNames(this.#options, this.#tls.mode).every((name) => this.#covered.has(name))
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#renewed = this.#renewed.then(work, work)
    return this.#renewed
  }

  async #renew(): Promise<void> {
    const { mode, authority } = this.#tls
    const names = certifiedNames(this.#options, mode)
    const identity = await makeIdentity(names, mode, authority)
    for (const node of this.nodes) node.setIdentity(identity)
    this.#covered = new Set(names)
  }
}

function certifiedNames({ system, linked }: ClusterOptions, mode: TlsMode): string[] {
  if (mode === 'wrong-name') return ['wrong-name.invalid']
  const common = linked !== undefined && system.choices.synchronizedCertificates ? [linked] : []
  return [system, ...common].flatMap(namesOf)
}

async function makeIdentity(
  names: readonly string[],
  mode: TlsMode,
  authority: CertificateAuthority,
): Promise<Identity> {
  const day = 86_400_000
  const request: CertificateRequest =
    mode === 'expired'
      ? { names, notBefore: new Date(Date.now() - 30 * day), notAfter: new Date(Date.now() - day) }
      : { names }
  const { certificate, key } = await authority.issue(request)
  return { cert: certificate, key }
}

function namesOf({ domain, tenants }: System): string[] {
  const ofTenants = [...tenants.values()].map((tenant) => `*.${tenant.name.toLowerCase()}.${domain}`)
  return [`*.${domain}`, domain, ...ofTenants]
}
