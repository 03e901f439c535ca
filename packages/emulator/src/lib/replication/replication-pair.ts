import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LinkConfig } from '../config.ts'
import type { Configured } from '../configuration.ts'
import type { Namespace } from '../namespace.ts'
import { Refusal } from '../refusal.ts'
import type { System } from '../system.ts'
import type { Tenant } from '../tenant.ts'
import { differences } from './differences.ts'
import type { LinkAction, LinkState, Member } from './link.ts'
import { Link, newLinkState } from './link.ts'
import { LinkFaults } from './link-faults.ts'
import { OutgoingLine } from './outgoing-line.ts'
import { ServerCertificates } from './server-certificates.ts'
import type { CertificatesState } from './server-certificates.ts'
import type { Side, SideName } from './side.ts'
import { otherSide, sideNames } from './side.ts'
import type { Work } from './transfers.ts'
import { Transfers } from './transfers.ts'

/** Settings of a system's replication service, as the management API names them. */
export interface ServiceSettings {
  readonly allowTenantsToMonitorNamespaces: boolean
  readonly enableDNSFailover: boolean
  readonly enableDomainAndCertificateSynchronization: boolean
  readonly network: string
  readonly connectivityTimeoutSeconds: number
  readonly verification: 'ON' | 'ONCE' | 'OFF'
}

/** How replication goes on, as the control port sets it. */
export interface ReplicationBehaviour {
  /** Milliseconds from a change until it is carried over. Default 20. */
  readonly lagMs?: number
  /** Nothing is carried over, though nobody says so. Default false. */
  readonly paused?: boolean
  /** Milliseconds that completing a recovery takes at least, by the emulator's clock. Default 0. */
  readonly recoveryMs?: number
}

export interface PairOptions {
  readonly primary: System
  readonly replica: System | undefined
  /** Where links are kept; nowhere if there is none. */
  readonly directory: string | undefined
  /** Those of the first start. */
  readonly links: readonly LinkConfig[]
  readonly nodes: (side: SideName) => readonly string[]
  readonly live: (side: SideName) => readonly string[]
  readonly certificate: (side: SideName) => Promise<string>
}

interface ConfigurationChange {
  readonly at: number
  readonly change: Configured
}

interface KeptPair {
  readonly format: 'hcp-emulator links'
  readonly links: readonly LinkState[]
  readonly services: Readonly<Record<SideName, ServiceSettings>>
  readonly shutDown: Readonly<Record<SideName, string | null>>
  readonly certificates: Readonly<Record<SideName, CertificatesState>>
  readonly configurations: Readonly<Record<SideName, readonly ConfigurationChange[]>>
}

const usualService: ServiceSettings = {
  allowTenantsToMonitorNamespaces: false,
  enableDNSFailover: true,
  enableDomainAndCertificateSynchronization: true,
  network: '[hcp_system]',
  connectivityTimeoutSeconds: 0,
  verification: 'OFF',
}

export const replicationPort = 5748

/** Two systems, the links between them, and what goes over these; or one system that could have links and has none. */
export class ReplicationPair {
  readonly faults: LinkFaults = new LinkFaults()
  /** In the order in which they were made. */
  readonly links: Link[] = []
  readonly services: Record<SideName, ServiceSettings> = { primary: usualService, replica: usualService }
  /** Why a side has shut down all links, if it has. */
  readonly shutDown: Record<SideName, string | null> = { primary: null, replica: null }
  readonly certificates: Readonly<Record<SideName, ServerCertificates>>
  readonly transfers: Transfers
  readonly #options: PairOptions
  readonly #systems: Partial<Record<SideName, System>>
  readonly #configurations: Record<SideName, ConfigurationChange[]> = { primary: [], replica: [] }
  /** Changes that came from the other side. */
  readonly #relayed = new WeakSet<Configured>()
  #behaviour: Required<ReplicationBehaviour> = { lagMs: 20, paused: false, recoveryMs: 0 }
  #lostSince: number | undefined
  #deadline = Infinity
  #started = false
  #saving: Promise<void> = Promise.resolve()
  #saveWanted = false

  private constructor(options: PairOptions, certificates: Record<SideName, ServerCertificates>) {
    this.#options = options
    const { primary, replica } = options
    this.#systems = replica === undefined ? { primary } : { primary, replica }
    this.certificates = certificates
    this.transfers = new Transfers({
      faults: this.faults,
      lag: () => this.#behaviour.lagMs,
      full: (link, side) => {
        link.state.storageFull = side
        void this.update()
      },
      idle: () => this.settle(),
    })
  }

  /** Links two systems as they were linked before, or as the configuration says. */
  static async open(options: PairOptions): Promise<ReplicationPair> {
    const kept = options.directory === undefined ? undefined : await readKept(options.directory)
    const certificates = {} as Record<SideName, ServerCertificates>
    for (const side of sideNames) {
      if (side === 'replica' && options.replica === undefined) certificates[side] = new ServerCertificates('')
      else {
        const state = kept?.certificates[side]
        certificates[side] =
          state === undefined || state.server === ''
            ? new ServerCertificates(await options.certificate(side))
            : new ServerCertificates(state.server, state.uploaded)
      }
    }
    const pair = new ReplicationPair(options, certificates)
    for (const side of sideNames) {
      const system = pair.#systems[side]
      if (system === undefined) continue
      system.replication = { pair, side }
      system.listeners.add((change) => pair.#configured(side, change))
    }
    if (options.replica !== undefined) {
      if (kept !== undefined && kept.certificates.replica.server !== '') pair.#restore(kept)
      else pair.#makeConfigured()
    } else if (kept !== undefined) pair.services.primary = kept.services.primary
    pair.#refresh()
    pair.#started = true
    await pair.update()
    return pair
  }

  #restore({ links, services, shutDown, configurations }: KeptPair): void {
    for (const state of links) this.links.push(this.#linkOf(state))
    Object.assign(this.services, services)
    Object.assign(this.shutDown, shutDown)
    for (const side of sideNames) this.#configurations[side].push(...configurations[side])
  }

  #makeConfigured(): void {
    for (const side of sideNames) this.certificates[side].add(this.certificates[otherSide(side)].server)
    for (const { name, type = 'ACTIVE_ACTIVE', tenants, description = '' } of this.#options.links) {
      const { primary } = this.#options
      const members = [...primary.tenants.values()]
        .filter((tenant) => tenants === undefined || tenants.some((each) => sameName(each, tenant.name)))
        .map(({ id }): Member => ({ id, paused: undefined }))
      const mode = type === 'ACTIVE_ACTIVE' ? 'ACTIVE_ACTIVE' : 'ACTIVE_PASSIVE'
      const source = type === 'INBOUND' ? 'replica' : 'primary'
      const hosts = { primary: this.#hostOf('primary'), replica: this.#hostOf('replica') }
      this.links.push(this.#linkOf(newLinkState({ name, mode, source, hosts, description, members })))
    }
  }

  #hostOf(side: SideName): { host: string; port: number } {
    return { host: [...new Set(this.#options.nodes(side))].join(', '), port: replicationPort }
  }

  #linkOf(state: LinkState): Link {
    const { now, choices } = this.#options.primary
    return new Link(state, {
      now,
      refusedAction: choices.refusedAction,
      lostSince: () => this.#lostSince,
      recoveryMs: () => this.#behaviour.recoveryMs,
      isShutDown: () => sideNames.some((side) => this.shutDown[side] !== null),
      paused: () => this.#behaviour.paused,
      certificatesShared: () => this.certificatesShared,
      isUp: (side) => this.isUp(side),
      connectivityTimeout: (side) => this.services[side].connectivityTimeoutSeconds,
      waiting: (link, side) => this.waiting(link, side),
      resend: (link, side) => {
        for (const { channel } of this.worksOf(link)) channel[side].line.addAll()
      },
    })
  }

  /** Whether there are two systems. */
  get isLinked(): boolean {
    return this.#options.replica !== undefined
  }

  get behaviour(): Required<ReplicationBehaviour> {
    return this.#behaviour
  }

  get connected(): boolean {
    return this.#lostSince === undefined && this.isLinked
  }

  /** Each side has what the other identifies itself with. */
  get certificatesShared(): boolean {
    return sideNames.every((side) => this.certificates[side].has(this.certificates[otherSide(side)].server))
  }

  system(side: SideName): System | undefined {
    return this.#systems[side]
  }

  nodesOf(side: SideName): readonly string[] {
    return this.#systems[side] === undefined ? [] : this.#options.nodes(side)
  }

  isUp(side: SideName): boolean {
    return this.#systems[side] !== undefined && this.#options.live(side).length > 0
  }

  /** Whatever the letter case. */
  link(name: string): Link | undefined {
    return this.links.find(({ state }) => sameName(state.name, name))
  }

  worksOf(link: Link, tenantId?: string): Work[] {
    return [...this.transfers.works].filter(
      (work) => work.link === link && (tenantId === undefined || work.tenantId === tenantId),
    )
  }

  /** How many paths wait on a side, since when, and how many bytes their current versions have. */
  waiting(
    link: Link,
    side: SideName,
    tenantId?: string,
  ): { readonly count: number; readonly since: number | undefined; readonly bytes: number } {
    let [count, bytes, since] = [0, 0, Infinity]
    for (const { channel } of this.worksOf(link, tenantId)) {
      const { line, namespace } = channel[side]
      count += line.size
      for (const waiting of line) {
        since = Math.min(since, waiting.since)
        bytes += namespace.current(waiting.path)?.data.size ?? 0
      }
    }
    return { count, since: since === Infinity ? undefined : since, bytes }
  }

  /** @throws {TypeError} for a value of a wrong type, {RangeError} for one out of range. */
  setBehaviour(behaviour: ReplicationBehaviour): void {
    const { lagMs = this.#behaviour.lagMs, paused = this.#behaviour.paused } = behaviour
    const { recoveryMs = this.#behaviour.recoveryMs } = behaviour
    for (const name of Object.keys(behaviour))
      if (!Object.hasOwn(this.#behaviour, name)) throw new TypeError(`${name}: unknown field`)
    for (const [name, value] of Object.entries({ lagMs, recoveryMs })) {
      if (typeof value !== 'number') throw new TypeError(`${name}: must be a number`)
      if (!(value >= 0 && value <= 2 ** 31 - 1))
        throw new RangeError(`${name}: must be a number of milliseconds from 0 to 2147483647`)
    }
    if (typeof paused !== 'boolean') throw new TypeError('paused: must be true or false')
    this.#behaviour = { lagMs, paused, recoveryMs }
    void this.update()
  }

  /** Resolves when nothing waits on links that carry something. */
  async replicated(): Promise<void> {
    this.settle()
    await this.#flushConfigurations()
    await this.transfers.drained()
  }

  /** Does what time has brought by now. */
  settle(): void {
    const now = this.#options.primary.now()
    if (now < this.#deadline) return
    let changed = false
    for (const link of this.links) changed = link.settle() || changed
    if (changed) void this.update()
    else this.#setDeadline()
  }

  #setDeadline(): void {
    this.#deadline = Math.min(Infinity, ...this.links.map(({ deadline }) => deadline))
  }

  /** What changed has its effect: on who may write, on names, on what moves; resolves when it is kept. */
  update(): Promise<void> {
    const connected = this.isUp('primary') && this.isUp('replica') && !this.faults.broken
    if (!connected && this.isLinked) this.#lostSince ??= this.#options.primary.now()
    else this.#lostSince = undefined
    for (const side of sideNames) {
      const system = this.#systems[side]
      if (system === undefined) continue
      system.forgetHosts()
      const readOnly = new Set(
        this.links.flatMap((link) => (link.isReadOnly(side) ? link.state.members.map(({ id }) => id) : [])),
      )
      for (const tenant of system.tenants.values()) {
        for (const namespace of tenant.namespaces.values())
          namespace.readOnly = readOnly.has(tenant.id) && isReplicable(namespace)
      }
    }
    this.#setDeadline()
    this.transfers.wake()
    void this.#flushConfigurations()
    return this.#save()
  }

  /** There is room again: what was suspended for lack of it goes on. */
  storageFreed(): void {
    for (const { state } of this.links) state.storageFull = undefined
    void this.update()
  }

  /** Addresses that a side's names lead to. */
  addressesOf(side: SideName): readonly string[] {
    this.settle()
    const other = otherSide(side)
    const over =
      this.services[side].enableDNSFailover && this.links.some(({ replacedSide }) => replacedSide === side)
    return this.#options.live(over ? other : side)
  }

  /** A namespace that a side serves under the other's names, after a failover. */
  redirected(side: SideName, host: string): { tenant: Tenant; namespace: Namespace } | undefined {
    const system = this.#systems[side]
    const replaced = otherSide(side)
    const domain = this.#systems[replaced]?.domain
    if (system === undefined || domain === undefined || !host.endsWith(`.${domain}`)) return undefined
    if (!this.services[replaced].enableDNSFailover) return undefined
    const [first = '', second = '', ...more] = host.slice(0, -domain.length - 1).split('.')
    const tenant = system.tenants.get(second)
    const namespace = tenant?.namespaces.get(first)
    if (tenant === undefined || namespace === undefined || more.length > 0) return undefined
    const over = this.links.some(
      ({ replacedSide, state }) =>
        replacedSide === replaced && state.members.some(({ id }) => id === tenant.id),
    )
    return over && isReplicable(namespace) && namespace.settings.acceptRedirectedRequests
      ? { tenant, namespace }
      : undefined
  }

  async act(link: Link, action: LinkAction, side: SideName): Promise<void> {
    link.act(action, side)
    await this.update()
    this.settle()
  }

  async addLink(state: LinkState): Promise<Link> {
    const link = this.#linkOf(state)
    this.links.push(link)
    await this.update()
    return link
  }

  async removeLink(link: Link): Promise<void> {
    this.links.splice(this.links.indexOf(link), 1)
    this.#refresh()
    await this.update()
  }

  /** The link that a tenant is on. */
  linkOfTenant(tenantId: string): Link | undefined {
    return this.links.find(({ state }) => state.members.some(({ id }) => id === tenantId))
  }

  /** Puts a tenant of a side on a link; the other side gets it with its namespaces and accounts where it is not there. */
  async addMember(link: Link, tenant: Tenant, side: SideName): Promise<void> {
    const other = this.#systems[otherSide(side)]!
    const known = other.tenants.get(tenant.name.toLowerCase())
    if (known === undefined) await this.#relay(otherSide(side), changesOf(tenant))
    const paused = known !== undefined && known.id !== tenant.id ? 'auto' : undefined
    link.state.members.push({ id: tenant.id, paused })
    this.#refresh()
    await this.update()
  }

  async removeMember(link: Link, tenantId: string): Promise<void> {
    const at = link.state.members.findIndex(({ id }) => id === tenantId)
    if (at !== -1) link.state.members.splice(at, 1)
    this.#refresh()
    await this.update()
  }

  /** Stops or continues what moves of one tenant. */
  async setPaused(member: Member, paused: boolean): Promise<void> {
    if (!paused && member.paused === 'auto' && this.#hasNameCollision(member.id))
      throw new Refusal(
        this.#options.primary.choices.refusedAction,
        'Each system has a tenant of its own with this name.',
      )
    member.paused = paused ? 'user' : undefined
    this.#refresh()
    await this.update()
  }

  #hasNameCollision(tenantId: string): boolean {
    const [one, other] = sideNames.map((side) => tenantById(this.#systems[side], tenantId))
    return one === undefined || other === undefined
  }

  /** Makes a channel of every namespace that both sides have on a link, and ends those that are on none any more. */
  #refresh(): void {
    const wanted = new Set<string>()
    const lined = new Set<Namespace>()
    for (const side of this.isLinked ? sideNames : []) {
      for (const tenant of this.#systems[side]!.tenants.values()) {
        for (const namespace of tenant.namespaces.values())
          namespace.numbering = side === 'primary' ? 'odd' : 'even'
      }
    }
    for (const link of this.links) {
      for (const { id } of link.state.members) {
        const [one, other] = sideNames.map((side) => tenantById(this.#systems[side], id))
        for (const namespace of one?.namespaces.values() ?? []) {
          const twin = other?.namespaceById(namespace.id)
          if (twin === undefined || !isReplicable(namespace) || !isReplicable(twin)) continue
          wanted.add(namespace.id)
          lined.add(namespace).add(twin)
          if (!this.transfers.has(namespace.id)) this.#join(link, id, namespace, twin)
        }
      }
    }
    this.transfers.keep(wanted)
    for (const system of Object.values(this.#systems)) {
      for (const tenant of system.tenants.values()) {
        for (const namespace of tenant.namespaces.values())
          if (!lined.has(namespace)) namespace.line = undefined
      }
    }
  }

  #join(link: Link, tenantId: string, one: Namespace, other: Namespace): void {
    const sideOf = (name: SideName, namespace: Namespace): Side => {
      const system = this.#systems[name]!
      const line = (namespace.line ??= new OutgoingLine(namespace, system.now))
      line.replayed()
      return { name, system, namespace, line }
    }
    const [primary, replica] = [sideOf('primary', one), sideOf('replica', other)]
    const { id: linkId, source } = link.state
    const channel = { linkId, source, name: one.id, primary, replica }
    for (const { side, path } of differences(primary, replica)) side.line.add(path)
    this.transfers.add({ channel, link, tenantId, busy: new Set() })
  }

  /** The management API has changed something on a side. */
  async #configured(side: SideName, change: Configured): Promise<void> {
    if (!this.isLinked || !this.#started || this.#relayed.has(change)) return
    if (change.set === 'system' || (change.set === 'account' && change.tenant === undefined)) return
    const tenantId = change.set === 'tenant' ? change.id : change.tenant!
    const link = this.linkOfTenant(tenantId)
    if (link !== undefined) {
      // A tenant that is deleted on one side stays on the other, and both are free of the link.
      if (change.set === 'tenant' && change.value === null) await this.removeMember(link, tenantId)
      else {
        this.#configurations[side].push({ at: this.#systems[side]!.now(), change })
        await this.#flushConfigurations()
      }
    }
    this.#refresh()
    await this.update()
  }

  /** Tells each side what was set on the other while it could not be told; what was set later wins. */
  async #flushConfigurations(): Promise<void> {
    const due: { side: SideName; change: Configured }[] = []
    const latest = new Map<string, number>()
    for (const side of sideNames) {
      for (const { at, change } of this.#configurations[side]) {
        const key = `${change.set} ${change.id}`
        latest.set(key, Math.max(latest.get(key) ?? 0, at))
      }
    }
    for (const side of sideNames) {
      const kept: ConfigurationChange[] = []
      for (const each of this.#configurations[side]) {
        const { change, at } = each
        const tenantId = change.set === 'tenant' ? change.id : 'tenant' in change ? change.tenant : ''
        const link = this.linkOfTenant(tenantId)
        if (link === undefined) continue
        if (!link.sends(side) || link.isPaused(tenantId)) kept.push(each)
        else if (at >= latest.get(`${change.set} ${change.id}`)!) due.push({ side, change })
      }
      this.#configurations[side] = kept
    }
    if (due.length === 0) return
    for (const each of due) {
      const { side, change } = each
      try {
        await this.#relay(otherSide(side), [change])
      } catch {
        // Its disk is full: it is tried again with whatever changes next.
        this.#configurations[side].unshift({ at: this.#systems[side]!.now(), change })
      }
    }
    this.#refresh()
    this.transfers.wake()
  }

  async #relay(to: SideName, changes: readonly Configured[]): Promise<void> {
    const own = changes.map((change) => ({ ...change }))
    for (const change of own) this.#relayed.add(change)
    await this.#systems[to]!.configure(...own)
  }

  /** Carries nothing over any more, and keeps what is to be kept. */
  async close(): Promise<void> {
    await this.transfers.close()
    await this.#save()
  }

  /** Many changes at a time are kept at once. */
  #save(): Promise<void> {
    const { directory } = this.#options
    if (directory === undefined || !this.#started) return Promise.resolve()
    if (!this.#saveWanted) {
      this.#saveWanted = true
      this.#saving = this.#saving.then(async () => {
        this.#saveWanted = false
        const kept: KeptPair = {
          format: 'hcp-emulator links',
          links: this.links.map(({ state }) => state),
          services: this.services,
          shutDown: this.shutDown,
          certificates: {
            primary: this.certificates.primary.state,
            replica: this.certificates.replica.state,
          },
          configurations: this.#configurations,
        }
        const file = join(directory, 'links.json')
        // Where it cannot be written, the next change tries again.
        await writeFile(`${file}.new`, JSON.stringify(kept))
          .then(() => rename(`${file}.new`, file))
          .catch(() => undefined)
      })
    }
    return this.#saving
  }
}

/** Whether a namespace takes part in the replication of its tenant. */
function isReplicable({ documents }: Namespace): boolean {
  return documents['namespace']?.['replicationEnabled'] !== false
}

function tenantById(system: System | undefined, id: string): Tenant | undefined {
  for (const tenant of system?.tenants.values() ?? []) if (tenant.id === id) return tenant
  return undefined
}

/** What makes another system have a tenant. */
function changesOf(tenant: Tenant): Configured[] {
  const { id, state, namespaces, accounts } = tenant
  return [
    { set: 'tenant', id, value: state },
    ...[...namespaces.values()].map(({ id: namespace, created, settings, documents }): Configured => ({
      set: 'namespace',
      tenant: id,
      id: namespace,
      value: { id: namespace, created, settings, documents },
    })),
    ...[...accounts.values()].map((account): Configured => ({
      set: 'account',
      tenant: id,
      id: account.state.id,
      value: account.state,
    })),
  ]
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}

async function readKept(directory: string): Promise<KeptPair | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, 'links.json'), 'utf8')) as KeptPair
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
