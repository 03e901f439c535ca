import { writeFile } from 'node:fs/promises'
import { createServer, isIPv4 } from 'node:net'
import { join, resolve } from 'node:path'
import type { CertificateAuthority } from './certificates.ts'
import { createAuthority, loadAuthority } from './certificates.ts'
import type { Choices } from './choices.ts'
import { defaultChoices, idleTime } from './choices.ts'
import { Cluster } from './cluster.ts'
import type { TlsMode } from './cluster.ts'
import type { CheckedConfig, EmulatorConfig } from './config.ts'
import { defaultConfig, validateConfig } from './config.ts'
import { administratorsOf, softwareVersion, tenantsOf } from './content.ts'
import type { ControlSurface, LogFailures } from './control-server.ts'
import { controlAddress, startControlServer } from './control-server.ts'
import type { DnsBehaviour, DnsServer } from './dns-server.ts'
import { startDnsServer } from './dns-server.ts'
import type { ActiveFault, Fault } from './faults.ts'
import { FaultTable } from './faults.ts'
import type { LogSeed } from './logs/invented-history.ts'
import { makeFolder } from './make-folder.ts'
import type { ClusterNode } from './node.ts'
import type { LinkFault } from './replication/link-faults.ts'
import type { ReplicationBehaviour } from './replication/replication-pair.ts'
import { ReplicationPair } from './replication/replication-pair.ts'
import type { ReplicationStatus } from './replication/replication-status.ts'
import { replicationStatus } from './replication/replication-status.ts'
import type { SideName } from './replication/side.ts'
import { sideNames } from './replication/side.ts'
import type { RequestRecord } from './request-log.ts'
import { RequestLog } from './request-log.ts'
import type { Seed } from './seed.ts'
import { plant } from './seed.ts'
import type { ServiceReport } from './services.ts'
import type { SymlinkSeed } from './symlinks.ts'
import { plantSymlink } from './symlinks.ts'
import { System } from './system.ts'
import { makeTemporaryFolder, removeTemporaryFolder } from './temporary-folder.ts'

/** The same as the command line's, with the same defaults. Port 0 means any free one. */
export interface EmulatorOptions {
  /** Domain of the system. Default `hcp1.test`. */
  readonly domain?: string
  /** How many nodes the system has. Default 4. */
  readonly nodes?: number
  /** IPv4 address of the first node; the others have those that follow. Default `127.0.0.1`. */
  readonly address?: string
  /** Default 0, as for all ports. */
  readonly httpPort?: number
  readonly httpsPort?: number
  /** Port of the management API. */
  readonly mapiPort?: number
  readonly dnsPort?: number
  readonly controlPort?: number
  /** Folder that keeps the content. Default: memory, and nothing is kept. */
  readonly data?: string
  /** Tenants, namespaces and accounts. Default: those that the README names. */
  readonly config?: EmulatorConfig
  /** Domain of a second system with as many nodes, on the addresses that follow. Default: there is none. */
  readonly replicaDomain?: string
  /** The release that is played, for example `9.6`. Default: the configuration's. */
  readonly release?: string
  /** What to do where Hitachi's documents are silent or disagree. */
  readonly choices?: Partial<Choices>
  /** Milliseconds after which an idle connection is closed. Default 60,000, as HCP has it. */
  readonly idleTime?: number
  /** The clock, in epoch milliseconds: tests of retention move it. Default `Date.now`. */
  readonly now?: () => number
}

export interface EmulatorPorts {
  readonly http: number
  readonly https: number
  readonly mapi: number
  readonly dns: number
  readonly control: number
}

/** A tenant, as the ready line names it. */
export interface TenantSummary {
  readonly name: string
  readonly namespaces: readonly string[]
  readonly users: readonly { readonly user: string; readonly password: string }[]
}

/** One system, as the ready line names it. */
export interface SystemSummary {
  readonly domain: string
  readonly nodes: readonly string[]
  readonly ports: EmulatorPorts
  /** `address:port` of the name server. */
  readonly dns: string
  /** Path of the certificate authority's PEM file. */
  readonly caFile: string
  readonly tenants: readonly TenantSummary[]
  /** Only where the nodes have to share one address: the ports of each. `ports` are the first one's. */
  readonly nodePorts?: readonly Pick<EmulatorPorts, 'http' | 'https' | 'mapi'>[]
}

/** The line that the command prints when it is ready. */
export interface ReadyLine extends SystemSummary {
  readonly ready: true
  readonly replica: SystemSummary | null
  /** Name of the first replication link. */
  readonly link?: string
}

/** How things stand, as the control port's `GET /` says it. */
export interface EmulatorState extends ReadyLine {
  readonly clusters: Readonly<
    Record<string, readonly { address: string; up: boolean; connections: number }[]>
  >
  readonly faults: readonly ActiveFault[]
  readonly dnsBehaviour: DnsBehaviour
  readonly tls: TlsMode
  readonly diskFull: boolean
  /** Nothing without a second system. */
  readonly replication: ReplicationStatus | null
}

const optionNames = new Set([
  'domain',
  'nodes',
  'address',
  'httpPort',
  'httpsPort',
  'mapiPort',
  'dnsPort',
  'controlPort',
  'data',
  'config',
  'replicaDomain',
  'release',
  'choices',
  'idleTime',
  'now',
])

/**
 * Starts an HCP system on loopback.
 *
 * @throws {TypeError} for an option of a wrong type, an unknown one, or a bad configuration.
 * @throws {RangeError} for a value out of range.
 */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const settings = checkedOptions(options)
  const parts: Parts = { clusters: [], closers: [] }
  try {
    return await assemble(settings, parts)
  } catch (error) {
    await dismantle(parts)
    throw error
  }
}

interface Settings extends Required<
  Omit<EmulatorOptions, 'data' | 'replicaDomain' | 'config' | 'release' | 'choices'>
> {
  readonly data: string | undefined
  readonly replicaDomain: string | undefined
  readonly config: CheckedConfig
}

/** What has been started, for taking it down again in the opposite order. */
interface Parts {
  readonly clusters: Cluster[]
  readonly closers: (() => Promise<void>)[]
}

async function dismantle({ clusters, closers }: Parts): Promise<void> {
  for (const cluster of clusters) cluster.stopAll()
  for (const close of closers.toReversed()) await close()
}

async function assemble(settings: Settings, parts: Parts): Promise<Emulator> {
  const { data, domain, replicaDomain, address, nodes } = settings
  const directory = data === undefined ? makeTemporaryFolder() : resolve(data)
  if (data === undefined) parts.closers.push(() => removeTemporaryFolder(directory))
  else await makeFolder(directory)
  const name = 'HCP emulator'
  const authority = data === undefined ? await createAuthority(name) : await loadAuthority(directory, name)
  const caFile = join(directory, 'ca.pem')
  if (data === undefined) await writeFile(caFile, authority.certificate)

  const log = new RequestLog()
  const faults = new FaultTable(nodes, () => {
    // A port that cannot be had again is told to who removes the fault, in `removeFault`.
    for (const cluster of parts.clusters) cluster.applyFaults().catch(() => undefined)
  })
  const addresses = await nodeAddresses(address, replicaDomain === undefined ? nodes : 2 * nodes)
  const domains = replicaDomain === undefined ? [domain] : [domain, replicaDomain]
  const systems: System[] = []
  for (const [index, each] of domains.entries()) {
    const cluster = index === 0 ? 'primary' : 'replica'
    const system = await System.open({
      domain: each,
      tenants: tenantsOf(settings.config),
      administrators: administratorsOf(settings.config),
      choices: settings.config.choices,
      softwareVersion: softwareVersion(settings.config.release),
      directory: data === undefined ? undefined : join(directory, cluster),
      now: settings.now,
    })
    parts.closers.push(() => system.close())
    systems.push(system)
  }
  for (const [index, system] of systems.entries()) {
    parts.clusters.push(
      await Cluster.make({
        name: index === 0 ? 'primary' : 'replica',
        system,
        addresses: addresses.slice(index * nodes, (index + 1) * nodes),
        ports: { http: settings.httpPort, https: settings.httpsPort, mapi: settings.mapiPort },
        faults,
        log,
        idleTime: settings.idleTime,
        authority,
        linked: systems[1 - index],
      }),
    )
  }
  const pair = await linkSystems(settings, systems, parts.clusters, authority, directory)
  parts.closers.push(() => pair.close())
  for (const system of systems) {
    system.listeners.add(async ({ set }) => {
      // A tenant has names of its own, which certificates have to hold for.
      if (set === 'tenant') for (const cluster of parts.clusters) await cluster.coverNames()
    })
  }
  await Cluster.listen(parts.clusters)
  await pair.update()
  const dns = await startDnsServer({
    address,
    port: settings.dnsPort,
    zones: () =>
      parts.clusters.map(({ system }, index) => ({
        domain: system.domain,
        addresses: pair.addressesOf(sideNames[index]!),
      })),
  })
  parts.closers.push(() => dns.close())
  return Emulator.make({ settings, parts, authority, caFile, dns, faults, log, pair })
}

function linkSystems(
  { data, config }: Settings,
  [primary, replica]: readonly System[],
  clusters: readonly Cluster[],
  authority: CertificateAuthority,
  directory: string,
): Promise<ReplicationPair> {
  const clusterOf = (side: SideName): Cluster => clusters[side === 'primary' ? 0 : 1]!
  const first = ({ domain }: System): string => domain.split('.', 1)[0]!
  const usual =
    replica === undefined
      ? []
      : [
          {
            name: `${first(primary!)}-${first(replica)}`,
            description: `active/active link between ${primary!.domain} and ${replica.domain}`,
          },
        ]
  return ReplicationPair.open({
    primary: primary!,
    replica,
    directory: data === undefined ? undefined : directory,
    links: config.links ?? usual,
    nodes: (side) => clusterOf(side).nodes.map(({ address }) => address),
    live: (side) => clusterOf(side)?.live ?? [],
    certificate: async (side) =>
      (await authority.issue({ names: [`replication.${clusterOf(side).system.domain}`] })).certificate,
  })
}

interface Making {
  readonly settings: Settings
  readonly parts: Parts
  readonly authority: CertificateAuthority
  readonly caFile: string
  readonly dns: DnsServer
  readonly faults: FaultTable
  readonly log: RequestLog
  readonly pair: ReplicationPair
}

/** A running emulator. Made by {@link startEmulator}. */
export class Emulator implements AsyncDisposable {
  readonly domain: string
  /** Addresses of the nodes. */
  readonly nodes: readonly string[]
  readonly ports: EmulatorPorts
  /** `address:port` of the name server. */
  readonly dns: string
  /** Certificate of the authority that all certificates come from, PEM. */
  readonly ca: string
  readonly caFile: string
  readonly tenants: readonly TenantSummary[]
  /** Name of the first replication link at the start, if there is one. */
  readonly link: string | undefined
  /** The line that the command prints when it is ready. */
  readonly ready: ReadyLine
  readonly #parts: Parts
  readonly #dns: DnsServer
  readonly #faults: FaultTable
  readonly #log: RequestLog
  readonly #pair: ReplicationPair
  #dnsBehaviour: DnsBehaviour = { mode: 'ok' }
  #tls: TlsMode = 'ok'
  #diskFull = false
  #closing: Promise<void> | undefined

  private constructor(making: Making, control: number) {
    const { settings, parts, authority, caFile, dns, faults, log, pair } = making
    this.#pair = pair
    this.#parts = parts
    this.#dns = dns
    this.#faults = faults
    this.#log = log
    const tenants = settings.config.tenants.map(({ name, namespaces, users }) => ({
      name,
      namespaces: namespaces.map((namespace) => namespace.name),
      // Accounts for data: those that only administer are no use to a client of it.
      users: users
        .filter(({ permissions }) => Object.values(permissions).some((list) => list.length > 0))
        .map(({ user, password }) => ({ user, password })),
    }))
    const [primary, replica] = parts.clusters.map((cluster): SystemSummary => {
      const { http, https, mapi } = cluster.ports
      const shared = cluster.nodes.length > 1 && cluster.nodes[0]!.address === cluster.nodes[1]!.address
      return {
        domain: cluster.system.domain,
        nodes: cluster.nodes.map((node) => node.address),
        ports: { http, https, mapi, dns: dns.port, control },
        dns: `${settings.address}:${dns.port}`,
        caFile,
        tenants,
        ...(shared ? { nodePorts: cluster.nodes.map((node) => ({ ...node.ports })) } : {}),
      }
    })
    this.link = pair.links[0]?.state.name
    this.ready = {
      ready: true,
      ...primary!,
      replica: replica ?? null,
      ...(this.link === undefined ? {} : { link: this.link }),
    }
    this.domain = this.ready.domain
    this.nodes = this.ready.nodes
    this.ports = this.ready.ports
    this.dns = this.ready.dns
    this.ca = authority.certificate
    this.caFile = caFile
    this.tenants = tenants
  }

  /** @internal */
  static async make(making: Making): Promise<Emulator> {
    const { settings, parts } = making
    // Nobody can have asked it anything before its port is known.
    let emulator: Emulator
    const surface: ControlSurface = {
      state: () => emulator.state(),
      stopNode: (node, cluster) => emulator.stopNode(node, cluster),
      startNode: (node, cluster) => emulator.startNode(node, cluster),
      stopCluster: (cluster) => emulator.stopCluster(cluster),
      startCluster: (cluster) => emulator.startCluster(cluster),
      addFault: (fault) => emulator.addFault(fault),
      removeFault: (id) => emulator.removeFault(id),
      clearFaults: () => emulator.clearFaults(),
      setDns: (behaviour) => emulator.setDns(behaviour),
      setTls: (behaviour) => emulator.setTls(behaviour),
      setDisk: (disk) => emulator.setDisk(disk),
      seed: (seed) => emulator.seed(seed),
      addSymlink: (symlink) => emulator.addSymlink(symlink),
      runServices: () => emulator.runServices(),
      ...(settings.replicaDomain === undefined
        ? {}
        : {
            setReplication: (behaviour: ReplicationBehaviour) => emulator.setReplication(behaviour),
            addLinkFault: (fault: LinkFault) => emulator.addLinkFault(fault),
            removeLinkFault: (id: number) => emulator.removeLinkFault(id),
            clearLinkFaults: () => emulator.clearLinkFaults(),
            replicated: () => emulator.replicated(),
          }),
      seedLogs: (seed) => emulator.seedLogs(seed),
      failLogs: (failures) => emulator.failLogs(failures),
      requests: (since) => emulator.requests(since),
    }
    const { address, controlPort: port } = settings
    const control = await startControlServer({ address: controlAddress(address), port, surface })
    parts.closers.push(() => control.close())
    emulator = new Emulator(making, control.port)
    return emulator
  }

  /** How things stand. */
  state(): EmulatorState {
    const clusters = this.#parts.clusters.map((cluster, index) => [
      index === 0 ? 'primary' : 'replica',
      cluster.nodes.map(({ address, up, connections }) => ({ address, up, connections })),
    ])
    return {
      ...this.ready,
      clusters: Object.fromEntries(clusters) as EmulatorState['clusters'],
      faults: this.#faults.list(),
      dnsBehaviour: this.#dnsBehaviour,
      tls: this.#tls,
      diskFull: this.#diskFull,
      replication: this.#pair.isLinked ? replicationStatus(this.#pair) : null,
    }
  }

  /** Closes a node's listeners and cuts its connections; the name server names it no more. */
  async stopNode(node: number, cluster: 'primary' | 'replica' = 'primary'): Promise<void> {
    this.#node(node, cluster).stop()
    await this.#pair.update()
  }

  async startNode(node: number, cluster: 'primary' | 'replica' = 'primary'): Promise<void> {
    await this.#cluster(cluster).startNode(this.#node(node, cluster))
    await this.#pair.update()
  }

  async stopCluster(cluster: 'primary' | 'replica' = 'primary'): Promise<void> {
    this.#cluster(cluster).stopAll()
    await this.#pair.update()
  }

  async startCluster(cluster: 'primary' | 'replica' = 'primary'): Promise<void> {
    await this.#cluster(cluster).startAll()
    await this.#pair.update()
  }

  /** Lets something go wrong from now on. A listener that is to refuse is closed when this returns. */
  addFault(fault: Fault): { id: number } {
    if (fault?.cluster === 'replica') this.#cluster('replica')
    return this.#faults.add(fault)
  }

  /**
   * Ends a fault. What it has done to a connection stays done.
   *
   * @returns Whether there was such a fault.
   */
  async removeFault(id: number): Promise<boolean> {
    const removed = this.#faults.remove(id)
    await this.#settle()
    return removed
  }

  async clearFaults(): Promise<void> {
    this.#faults.clear()
    await this.#settle()
  }

  /** Changes how the name server answers. */
  setDns(behaviour: DnsBehaviour): void {
    this.#dns.setBehaviour(behaviour)
    this.#dnsBehaviour = behaviour
  }

  /** Changes the certificate that connections to come are shown, on all nodes of all systems. */
  async setTls({ mode }: { readonly mode: TlsMode }): Promise<void> {
    if (!['ok', 'expired', 'wrong-name', 'other-ca'].includes(mode)) {
      throw new RangeError('mode must be one of ok, expired, wrong-name, other-ca')
    }
    const other = await createAuthority('Another authority')
    for (const cluster of this.#parts.clusters) await cluster.setTls(mode, other)
    this.#tls = mode
  }

  /** Lets writes fail as on a full disk (503), or succeed again. */
  setDisk({ full }: { readonly full: boolean }): void {
    if (typeof full !== 'boolean') throw new TypeError('full must be true or false')
    for (const cluster of this.#parts.clusters) cluster.system.blobs.setFull(full)
    this.#diskFull = full
    if (!full) this.#pair.storageFreed()
  }

  /**
   * Changes how replication goes on: `lagMs` from a change until it is carried over (default 20), `paused` to let nothing move
   * although nobody says so, `recoveryMs` that completing a recovery takes at least by the clock `now` (default 0).
   *
   * @throws {TypeError} for a value of a wrong type, {RangeError} for one out of range or without a second system.
   */
  setReplication(behaviour: ReplicationBehaviour): void {
    this.#linked().setBehaviour(behaviour)
  }

  /**
   * Resolves when nothing waits on links that carry something: those that are suspended, failed over, paused or interrupted do
   * not count, nor does what clients change meanwhile on others.
   */
  replicated(): Promise<void> {
    return this.#linked().replicated()
  }

  /** Lets something go wrong between the two systems, while both serve their clients. */
  addLinkFault(fault: LinkFault): { id: number } {
    const pair = this.#linked()
    const id = pair.faults.add(fault)
    void pair.update()
    return { id }
  }

  /** @returns Whether there was such a fault. */
  removeLinkFault(id: number): boolean {
    const pair = this.#linked()
    const removed = pair.faults.remove(id)
    void pair.update()
    return removed
  }

  clearLinkFaults(): void {
    const pair = this.#linked()
    pair.faults.clear()
    void pair.update()
  }

  /**
   * Makes many objects in one directory, which share their data: large folders for a test in seconds. Names that are
   * there already stay as they are.
   *
   * @throws {TypeError} for a value of a wrong type, {RangeError} for one out of range or a namespace that is not there.
   */
  async seed(seed: Seed & { readonly cluster?: 'primary' | 'replica' }): Promise<{ made: number }> {
    return { made: await plant(this.#cluster(seed.cluster ?? 'primary').system, seed) }
  }

  /**
   * Makes a symbolic link, as NFS clients of HCP can and its REST clients cannot.
   *
   * @throws {TypeError} for a value of a wrong type, {RangeError} for a name that is taken or a namespace that is not there.
   */
  async addSymlink(symlink: SymlinkSeed & { readonly cluster?: 'primary' | 'replica' }): Promise<void> {
    await plantSymlink(this.#cluster(symlink.cluster ?? 'primary').system, symlink)
  }

  /**
   * Does what disposition (`dispositionEnabled` and classes with `autoDelete`) and pruning (`pruneDays`) have to do by now,
   * in all systems. Without this it is done to an object when a request looks at it, or lists its directory.
   */
  async runServices(): Promise<ServiceReport> {
    let [disposed, pruned] = [0, 0]
    this.#pair.settle()
    for (const { system } of this.#parts.clusters) {
      const report = await system.runServices()
      disposed += report.disposed
      pruned += report.pruned
    }
    return { disposed, pruned }
  }

  /**
   * Makes a history of access logs so long that a package of all of it has about so many bytes, in place of one that an
   * earlier call made. Its lines are invented while a package is downloaded, the same each time.
   *
   * @throws {TypeError} for a value of a wrong type, {RangeError} for one out of range.
   */
  seedLogs({ cluster = 'primary', ...seed }: LogSeed & { readonly cluster?: 'primary' | 'replica' }): void {
    this.#cluster(cluster).system.logs.seed(seed)
  }

  /** Lets the next `count` preparations of logs fail, also one that is under way. Default 1; 0 lets none fail. */
  failLogs({ count = 1, cluster = 'primary' }: LogFailures = {}): void {
    this.#cluster(cluster).system.logs.fail(count)
  }

  /** What was served: the records with a sequence above `since`, oldest first. The last 100,000 are kept. */
  requests(since = 0): RequestRecord[] {
    return this.#log.since(since)
  }

  /** Ends everything, open connections or not. */
  close(): Promise<void> {
    return (this.#closing ??= dismantle(this.#parts))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Listeners are open again when this resolves. */
  async #settle(): Promise<void> {
    for (const cluster of this.#parts.clusters) await cluster.applyFaults()
  }

  #linked(): ReplicationPair {
    if (!this.#pair.isLinked)
      throw new RangeError('there is no second system: give replicaDomain at the start')
    return this.#pair
  }

  #cluster(name: 'primary' | 'replica'): Cluster {
    if (name !== 'primary' && name !== 'replica') throw new RangeError('cluster must be primary or replica')
    const cluster = this.#parts.clusters[name === 'primary' ? 0 : 1]
    if (cluster === undefined) throw new RangeError('there is no replica: give replicaDomain at the start')
    return cluster
  }

  #node(number: number, cluster: 'primary' | 'replica'): ClusterNode {
    const { nodes } = this.#cluster(cluster)
    if (typeof number !== 'number') throw new TypeError('node must be a number')
    const node = nodes[number - 1]
    if (node === undefined) throw new RangeError(`node must be a whole number from 1 to ${nodes.length}`)
    return node
  }
}

function checkedOptions(options: EmulatorOptions): Settings {
  for (const name of Object.keys(options)) {
    if (!optionNames.has(name)) throw new TypeError(`unknown option: ${name}`)
  }
  const {
    domain = 'hcp1.test',
    nodes = 4,
    address = '127.0.0.1',
    data,
    replicaDomain,
    now = Date.now,
  } = options
  const {
    httpPort = 0,
    httpsPort = 0,
    mapiPort = 0,
    dnsPort = 0,
    controlPort = 0,
    idleTime: idle = idleTime,
  } = options
  const ports = { httpPort, httpsPort, mapiPort, dnsPort, controlPort }
  for (const [name, port] of Object.entries(ports)) whole(name, port, 0, 65_535)
  whole('nodes', nodes, 1, 80)
  whole('idleTime', idle, 1, 2 ** 31 - 1)
  checkDomain('domain', domain)
  if (replicaDomain !== undefined) checkDomain('replicaDomain', replicaDomain)
  if (replicaDomain?.toLowerCase() === domain.toLowerCase())
    throw new RangeError('replicaDomain is the domain itself')
  if (typeof address !== 'string') throw new TypeError('address must be a string')
  if (!isIPv4(address)) throw new RangeError('address must be an IPv4 address')
  if (data !== undefined && typeof data !== 'string') throw new TypeError('data must be a string')
  if (typeof now !== 'function') throw new TypeError('now must be a function')
  for (const name of Object.keys(options.choices ?? {})) {
    if (!(name in defaultChoices)) throw new TypeError(`unknown choice: ${name}`)
  }
  const given = options.config === undefined ? defaultConfig() : validateConfig(options.config)
  const { release = given.release } = options
  const config = validateConfig({ ...given, release, choices: { ...given.choices, ...options.choices } })
  return {
    ...ports,
    domain: domain.toLowerCase(),
    nodes,
    address,
    data,
    replicaDomain: replicaDomain?.toLowerCase(),
    config,
    idleTime: idle,
    now,
  }
}

function whole(name: string, value: unknown, minimum: number, maximum: number): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number`)
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new RangeError(`${name} must be a whole number from ${minimum} to ${maximum}`)
  }
}

function checkDomain(name: string, domain: unknown): void {
  if (typeof domain !== 'string') throw new TypeError(`${name} must be a string`)
  if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(domain)) {
    throw new RangeError(`${name} must be a domain name, such as hcp1.test`)
  }
}

/** The addresses from the first on; the first again and again where the system has no others. */
async function nodeAddresses(first: string, count: number): Promise<string[]> {
  const start = first.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const addresses = Array.from({ length: count }, (_, index) => {
    const value = start + index
    return [24, 16, 8, 0].map((bits) => Math.floor(value / 2 ** bits) % 256).join('.')
  })
  const usable = await Promise.all(addresses.map(canListen))
  if (usable.every(Boolean)) return addresses
  return Array.from({ length: count }, () => first)
}

function canListen(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(0, address, () => probe.close(() => resolve(true)))
  })
}
