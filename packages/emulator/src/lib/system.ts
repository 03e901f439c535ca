import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { SystemSurface } from './answer.ts'
import type { Account } from './authentication.ts'
import { Authenticator } from './authentication.ts'
import { BlobStore } from './blob-store.ts'
import type { Choices } from './choices.ts'
import type { Configured } from './configuration.ts'
import { Configuration } from './configuration.ts'
import { Journal } from './journal.ts'
import { LogService } from './logs/log-service.ts'
import { HealthChecks } from './mapi/health-checks.ts'
import type { Change, Documents, Namespace } from './namespace.ts'
import { OutgoingLine } from './replication/outgoing-line.ts'
import type { WaitingRecord } from './replication/outgoing-line.ts'
import type { ReplicationPair } from './replication/replication-pair.ts'
import type { SideName } from './replication/side.ts'
import type { ServiceReport } from './services.ts'
import { runServices } from './services.ts'
import type { Tenant } from './tenant.ts'
import { httpDate } from './times.ts'
import type { UsageRecord } from './usage.ts'

export interface SystemOptions {
  readonly domain: string
  readonly tenants: Map<string, Tenant>
  readonly administrators: Map<string, Account>
  readonly choices: Choices
  /** For example `9.6.0.142`. */
  readonly softwareVersion: string
  /** Where the content is kept; in memory if there is none. */
  readonly directory: string | undefined
  readonly now: () => number
}

/** A node, as others see it. */
export interface SystemNode {
  /** Counted from 1. */
  readonly number: number
  readonly address: string
  readonly up: boolean
  readonly connections: number
}

/** What a host name leads to. */
export interface Site {
  readonly tenant: Tenant
  readonly namespace: Namespace
  /** The name is one of the other system, which this one has taken over from. */
  readonly redirected?: true
}

const firstCompaction = 32 * 1024 * 1024
const knownHosts = 1_000

/** One HCP system: its tenants, their namespaces, and what is in them, whatever node a request comes to. */
export class System implements SystemSurface {
  readonly domain: string
  readonly tenants: ReadonlyMap<string, Tenant>
  readonly administrators: ReadonlyMap<string, Account>
  /** Are told, after it happened, what the management API changed; it is answered when all of them are done. */
  readonly listeners: Set<(change: Configured) => void | Promise<void>> = new Set()
  readonly choices: Choices
  readonly softwareVersion: string
  readonly blobs: BlobStore
  readonly now: () => number
  readonly logs: LogService
  readonly healthChecks: HealthChecks
  /** Set when the nodes are there. */
  nodes: () => readonly SystemNode[] = () => []
  /** Its links to another system, and which of the two it is. */
  replication: { readonly pair: ReplicationPair; readonly side: SideName } | undefined
  readonly #journal: Journal | undefined
  readonly #configuration: Configuration
  readonly #managers: Authenticator
  readonly #hosts = new Map<string, Site | undefined>()
  readonly #requestPrefix = randomBytes(4).toString('hex').toUpperCase()
  readonly #server: readonly string[]
  #requests = randomBytes(3).readUIntBE(0, 3)
  #compactAt = firstCompaction

  private constructor(options: SystemOptions, blobs: BlobStore, journal: Journal | undefined) {
    this.domain = options.domain
    this.tenants = options.tenants
    this.administrators = options.administrators
    this.#managers = new Authenticator(options.administrators)
    this.choices = options.choices
    this.softwareVersion = options.softwareVersion
    this.now = options.now
    this.logs = new LogService(this)
    this.healthChecks = new HealthChecks(this)
    this.blobs = blobs
    this.#journal = journal
    this.#server = options.choices.serverHeader ? ['Server', `HCP V${options.softwareVersion}`] : []
    this.#configuration = new Configuration(options.tenants, options.administrators)
  }

  /** Makes a system; with a directory, its content of earlier runs is there again. */
  static async open(options: SystemOptions): Promise<System> {
    const { directory } = options
    if (directory === undefined) return new System(options, await BlobStore.open(), undefined)
    const journal = await Journal.open(directory)
    try {
      const blobs = await BlobStore.open({ directory: join(directory, 'blobs') })
      const system = new System(options, blobs, journal)
      await system.#replay(journal)
      return system
    } catch (error) {
      await journal.close()
      throw error
    }
  }

  async #replay(journal: Journal): Promise<void> {
    let strangers = false
    for await (const record of journal.replay()) {
      if ('configured' in record) {
        for (const change of record['configured'] as Configured[]) this.#configuration.apply(change)
        continue
      }
      if ('usage' in record) {
        const { usage, tenant, ...hour } = record
        const namespace = this.#configuration.tenantById(String(tenant))?.namespaceById(String(usage))
        namespace?.usage.restore(hour as unknown as UsageRecord)
        continue
      }
      const { ns, line, paths, sent, sequence, waiting, ...change } = record
      // Noted as the configuration writes it, found whatever the case.
      const [name = '', tenant = ''] = String(ns).toLowerCase().split('.')
      const namespace = this.tenants.get(tenant)?.namespaces.get(name)
      if (namespace === undefined) strangers = true
      else if (sent !== undefined) namespace.line?.acknowledge(sent as string, Number(sequence))
      else if (waiting !== undefined) this.#lineOf(namespace).restore(waiting as WaitingRecord)
      else {
        const whole = change as unknown as Change
        if (paths !== undefined)
          for (const path of paths as string[]) this.#lineOf(namespace).add(path, Number(line))
        else if (line !== undefined) this.#lineOf(namespace).replay(whole, Number(line))
        namespace.apply(whole)
      }
    }
    this.#keepUsage(journal)
    // Content of a namespace that the configuration has no more stays, in case it comes back.
    if (strangers) {
      this.#compactAt = Infinity
      return
    }
    const ids = new Set<string>()
    for (const { change } of this.#snapshot()) {
      if (!('version' in change)) continue
      if (change.version.marker === undefined) ids.add(change.version.data.id)
      for (const { blob } of change.version.annotations) ids.add(blob.id)
    }
    await this.blobs.keep(ids)
    this.#compactAt = Math.max(firstCompaction, journal.size * 2)
  }

  *#snapshot(): Generator<{ ns: string; change: Change }> {
    for (const tenant of this.tenants.values()) {
      for (const namespace of tenant.namespaces.values()) {
        const ns = `${namespace.settings.name}.${tenant.name}`
        for (const change of namespace.snapshot()) yield { ns, change }
      }
    }
  }

  /** Lets what is used be kept, also by namespaces that are new. */
  #keepUsage(journal: Journal): void {
    for (const { id: tenant, namespaces } of this.tenants.values()) {
      for (const { id, usage } of namespaces.values()) {
        usage.keep ??= (hour) => {
          // What cannot be kept is not worth ending anything for.
          journal.append({ usage: id, tenant, ...hour }).catch(() => undefined)
        }
      }
    }
  }

  #lineOf(namespace: Namespace): OutgoingLine {
    return (namespace.line ??= new OutgoingLine(namespace, this.now))
  }

  *#records(): Generator<object> {
    for (const change of this.#configuration.records()) yield { configured: [change] }
    for (const { id: tenant, namespaces } of this.tenants.values()) {
      for (const { id: usage, usage: hours } of namespaces.values())
        for (const hour of hours.snapshot()) yield { usage, tenant, ...hour }
    }
    for (const { ns, change } of this.#snapshot()) yield { ns, ...change }
    for (const tenant of this.tenants.values()) {
      for (const { settings, line } of tenant.namespaces.values())
        for (const waiting of line?.snapshot() ?? []) yield { ns: `${settings.name}.${tenant.name}`, waiting }
    }
  }

  /** The namespace of a `Host` header: port and trailing dot do not count, nor does case. */
  site(host: string | undefined): Site | undefined {
    if (host === undefined) return undefined
    if (this.#hosts.has(host)) return this.#hosts.get(host)
    const name = hostName(host)
    const site = name.endsWith(`.${this.domain}`)
      ? this.#siteOf(name.slice(0, -this.domain.length - 1))
      : this.#redirected(name)
    if (this.#hosts.size >= knownHosts) this.#hosts.clear()
    this.#hosts.set(host, site)
    return site
  }

  #redirected(name: string): Site | undefined {
    const found = this.replication?.pair.redirected(this.replication.side, name)
    return found && { ...found, redirected: true }
  }

  /** What names lead to has changed. */
  forgetHosts(): void {
    this.#hosts.clear()
  }

  #siteOf(name: string): Site | undefined {
    const [first = '', second = '', ...more] = name.split('.')
    const tenant = this.tenants.get(second)
    const namespace = tenant?.namespaces.get(first)
    return tenant === undefined || namespace === undefined || more.length > 0
      ? undefined
      : { tenant, namespace }
  }

  /** What the management interface is about under a `Host` header: the system, a tenant, or nothing. */
  managed(host: string | undefined): { readonly tenant: Tenant | undefined } | undefined {
    const name = hostName(host ?? '')
    if (name === `admin.${this.domain}`) return { tenant: undefined }
    if (!name.endsWith(`.${this.domain}`)) return undefined
    const tenant = this.tenants.get(name.slice(0, -this.domain.length - 1))
    return tenant && { tenant }
  }

  /** Knows the accounts that may use the management interface: a tenant's, or the system's. */
  managers(tenant: Tenant | undefined): Authenticator {
    return tenant === undefined ? this.#managers : this.authenticator(tenant)
  }

  authenticator(tenant: Tenant): Authenticator {
    return tenant.authenticator
  }

  /** The system's own documents of the management API. */
  get documents(): Documents {
    return this.#configuration.documents
  }

  /**
   * Changes what the system has: tenants, namespaces, accounts; all of it or nothing. Requests that come after the call go
   * by it; it resolves when it will survive the end of the process.
   */
  async configure(...changes: readonly Configured[]): Promise<void> {
    const before = changes.map((change) => this.#configuration.present(change))
    this.#apply(changes)
    const journal = this.#journal
    if (journal !== undefined) {
      try {
        await journal.append({ configured: changes })
      } catch (error) {
        this.#apply(before.toReversed())
        throw error
      }
      if (journal.size > this.#compactAt) this.#compact(journal)
    }
    for (const listener of this.listeners) for (const change of changes) await listener(change)
  }

  #apply(changes: readonly Configured[]): void {
    for (const change of changes) this.#configuration.apply(change)
    this.#hosts.clear()
    this.#managers.forget()
    if (this.#journal !== undefined) this.#keepUsage(this.#journal)
  }

  /** Carries a client's change out; where the namespace is on a link, the other system is going to be told. */
  commit(namespace: Namespace, change: Change): Promise<void> {
    const noted = namespace.line?.track(change)
    if (noted === undefined) return this.#commit(namespace, change)
    return this.#commit(namespace, noted.change, { line: noted.sequence }).finally(noted.safe)
  }

  /**
   * Carries out what the other system has, or what it takes to be able to have the same.
   *
   * @param paths Of these the other system does not know yet.
   */
  commitReplicated(namespace: Namespace, change: Change, paths: readonly string[] = []): Promise<void> {
    const noted = paths.length === 0 ? undefined : namespace.line?.addMany(paths)
    if (noted === undefined) return this.#commit(namespace, change)
    return this.#commit(namespace, change, { line: noted.sequence, paths }).finally(noted.safe)
  }

  /** The other system has everything of a path up to this change. */
  acknowledged(namespace: Namespace, path: string, sequence: number): void {
    // Where this is lost it is found out again.
    this.#journal
      ?.append({ ns: `${namespace.settings.name}.${namespace.tenant}`, sent: path, sequence })
      .catch(() => undefined)
  }

  async #commit(namespace: Namespace, change: Change, noted: object = {}): Promise<void> {
    const undo = this.#journal === undefined ? [] : namespace.inverse(change)
    namespace.usage.turn(this.now())
    // Applied and put in line for the journal in one go, so that both have the changes in the same order.
    const freed = namespace.apply(change)
    const journal = this.#journal
    if (journal !== undefined) {
      try {
        await journal.append({ ns: `${namespace.settings.name}.${namespace.tenant}`, ...change, ...noted })
      } catch (error) {
        for (const each of undo) namespace.apply(each)
        throw error
      }
      if (journal.size > this.#compactAt) this.#compact(journal)
    }
    for (const blob of freed) void this.blobs.delete(blob)
  }

  /** Does what disposition and pruning have to do by now, in all namespaces. */
  async runServices(): Promise<ServiceReport> {
    let [disposed, pruned] = [0, 0]
    for (const tenant of this.tenants.values()) {
      for (const namespace of tenant.namespaces.values()) {
        const report = await runServices(this, namespace)
        disposed += report.disposed
        pruned += report.pruned
      }
    }
    return { disposed, pruned }
  }

  #compact(journal: Journal): void {
    this.#compactAt = Infinity
    journal
      .compact(() => this.#records())
      .then(
        () => {
          this.#compactAt = Math.max(firstCompaction, journal.size * 2)
        },
        () => {
          // The old records are still good; the next start tries again.
        },
      )
  }

  /** The whole head of an answer, for a method that reads or one that writes: real ones have different orders. */
  head(reads: boolean, headers: readonly string[], status: number): string[] {
    const now = this.now()
    const time = String(Math.floor(now / 1000))
    const id = this.#requestPrefix + (this.#requests++ >>> 0).toString(16).toUpperCase().padStart(8, '0')
    if (reads) {
      return [
        'Date',
        httpDate(now),
        ...this.#server,
        'X-RequestId',
        id,
        'X-HCP-ServicedBySystem',
        this.domain,
        'X-HCP-Time',
        time,
        'X-HCP-SoftwareVersion',
        this.softwareVersion,
        ...headers,
      ]
    }
    return [
      'Date',
      httpDate(now),
      ...this.#server,
      'X-HCP-ServicedBySystem',
      this.domain,
      ...headers,
      'X-RequestId',
      id,
      'X-HCP-Time',
      time,
      ...(status === 204 || status === 304 ? [] : ['Content-Length', '0']),
    ]
  }

  async close(): Promise<void> {
    for (const { namespaces } of this.tenants.values())
      for (const { usage } of namespaces.values()) usage.save()
    await this.#journal?.close()
    await this.blobs.close()
  }
}

function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '')
}
