import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NativeAuthorization } from '@hcp/auth'
import { Connection, Target } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { query } from '@hcp/ips'
import { NamespaceInfo, type NamespaceStatistics } from '@hcp/namespace'
import { PathBuilder } from '@hcp/pathbuilder'
import { Checks } from './checks.ts'
import { cleanUp } from './clean-up.ts'
import { inBytes, nodeTable, PhaseFigures, timeTable } from './figures.ts'
import { type LocalFile, makeFile } from './files.ts'
import { inParallel } from './in-parallel.ts'
import { ingest } from './ingest.ts'
import { permissionsLine, settingsLine, statisticsLine } from './namespace-facts.ts'
import { ProgressBar } from './progress-bar.ts'
import { verify } from './verify.ts'
import type { StoredObject, Work } from './work.ts'
import { tryToOverwrite } from './worm.ts'

export interface DemoOptions {
  readonly files: readonly LocalFile[]
  /** Percentage of the objects that are stored when a node is stopped, 0 to 99. */
  readonly killAt: number
  /** Ends the demonstration early: it rejects with the signal's reason, and leaves nothing behind. */
  readonly signal: AbortSignal
}

/** Requests that are under way at a time, each over a connection of its own. */
const inFlight = 16
const largeFiles = 2
const largeSize = 32 * 1024 * 1024
const listedFailures = 20

const say = (text = ''): void => console.log(text)

/**
 * Stores files on an HCP on loopback, reads them back while a node goes and comes, deletes them, and tells about it.
 *
 * @returns Whether everything was as it should be.
 */
export async function demonstrate({ files, killAt, signal }: DemoOptions): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'hcp-demo-'))
  try {
    // Large ones, made so that uploads of them are under way when the node goes.
    const all = [...files]
    const at = Math.max(0, Math.floor((files.length * killAt) / 100) - inFlight / 2)
    for (let number = 1; number <= largeFiles; number++) {
      signal.throwIfAborted()
      all.splice(at, 0, await makeFile(folder, `large-${number}.bin`, largeSize))
    }
    await using hcp = await startEmulator({ replicaDomain: 'hcp2.test' })
    return await new Demonstration(hcp, all, killAt, signal).run()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

class Demonstration {
  readonly #hcp: Emulator
  readonly #files: readonly LocalFile[]
  readonly #killAt: number
  readonly #signal: AbortSignal
  readonly #target: Target
  readonly #checks = new Checks()
  readonly #phases: PhaseFigures[] = []
  /** The node that was stopped; nothing if there is none to spare. */
  #stopped: { readonly number: number; readonly address: string } | undefined

  constructor(hcp: Emulator, files: readonly LocalFile[], killAt: number, signal: AbortSignal) {
    this.#hcp = hcp
    this.#files = files
    this.#killAt = killAt
    this.#signal = signal
    this.#target = new Target(`n1.m.${hcp.domain}`, {
      authorization: new NativeAuthorization('n', 'n01'),
      port: hcp.ports.https,
      tls: { ca: hcp.ca },
      nameServers: [hcp.dns],
    })
  }

  async run(): Promise<boolean> {
    using _ = this.#target
    await this.#introduce()
    const before = await this.#describe()
    const objects = await this.#ingest()
    await this.#overwrite(objects)
    await this.#readBack(objects)
    await this.#delete(objects, before)
    return this.#conclude(objects)
  }

  async #introduce(): Promise<void> {
    const { domain, nodes, dns, ready } = this.#hcp
    const { fqdn } = this.#target
    const size = inBytes(this.#files.reduce((sum, file) => sum + file.size, 0))
    const { ips, ttl, raised } = await query(fqdn, { nameServers: [dns], signal: this.#signal })
    this.#checks.that(
      ips.length === new Set(nodes).size,
      `DNS names ${ips.length} nodes of ${fqdn} ${raised}`,
    )
    say(`HCP ${domain} runs on loopback: ${nodes.length} nodes, name server, TLS, write once.`)
    say(`DNS names the nodes of ${fqdn}: ${ips.toSorted().join(', ')} (for ${ttl} s).`)
    say(
      `A second system, ${ready.replica?.domain}, runs too and stays empty: replication is not part of this.`,
    )
    say(
      `To be stored: ${this.#files.length} files, ${size}; ${largeFiles} of them were made for this, of random content.`,
    )
    if (!this.#canSpareNode)
      say('This machine has one loopback address only: the nodes share it, and none is stopped.')
  }

  /** Tells what the namespace is, allows and holds. */
  async #describe(): Promise<NamespaceStatistics> {
    await using info = new NamespaceInfo(this.#target)
    const options = { signal: this.#signal }
    const [settings, classes, permissions, statistics] = await Promise.all([
      info.namespace(options),
      info.retentionClasses(options),
      info.permissions(options),
      info.statistics(options),
    ])
    this.#checks.that(settings !== undefined, 'HCP does not name the settings of the namespace')
    if (settings !== undefined) say(settingsLine(settings, classes))
    say(permissionsLine(permissions.userEffectivePermissions, this.#checks))
    say(statisticsLine(statistics))
    say()
    return statistics
  }

  async #ingest(): Promise<StoredObject[]> {
    const objects: StoredObject[] = []
    await using connection = this.#connect()
    const work = this.#phase('store', connection)
    const { length } = this.#files
    await this.#store(objects, work)
    const statistics = await new NamespaceInfo(connection).statistics({ signal: this.#signal })
    const { objectCount: all, customMetadataObjectCount: annotated } = statistics
    this.#checks.that(objects.length === length, `${objects.length} of ${length} files were stored`)
    this.#checks.that(all === objects.length, `HCP holds ${all} objects, ${objects.length} were stored`)
    this.#checks.that(annotated === all, `HCP holds ${all} objects, but ${annotated} with annotations`)
    this.#expectService(work.figures, this.#hcp.nodes, objects.length)
    const { repeated, settled } = work.figures
    say(statisticsLine(statistics))
    say(`Requests cut off and sent again: ${repeated}; found to have been carried out already: ${settled}.`)
    return objects
  }

  async #store(objects: StoredObject[], work: Work): Promise<void> {
    const { length } = this.#files
    const names = new PathBuilder({ initialPath: '/rest/demo', annotation: true })
    const killAt = Math.max(1, Math.floor((length * this.#killAt) / 100))
    using bar = new ProgressBar('storing ', length)
    let begun = 0
    await this.#each(this.#files, bar, async (file) => {
      begun += 1
      const object = await ingest(file, names, work)
      if (object !== undefined) objects.push(object)
      const done = bar.done + 1
      if (done < killAt || this.#stopped !== undefined || !this.#canSpareNode) return
      bar.say(await this.#stopNode(work.connection, begun - done))
    })
  }

  /** Stops the node that has most of the connections. */
  async #stopNode(connection: Connection, underWay: number): Promise<string> {
    const [address, sockets] = [...connection.sockets].toSorted((one, other) => other[1] - one[1])[0]!
    const number = this.#hcp.nodes.indexOf(address) + 1
    this.#stopped = { number, address }
    await this.#hcp.stopNode(number)
    return `Node ${number} (${address}) is stopped: ${underWay} files under way, ${sockets} connections cut.`
  }

  async #overwrite(objects: readonly StoredObject[]): Promise<void> {
    const [object] = objects
    if (object === undefined) return
    await using connection = this.#connect()
    const work = this.#phase('overwrite', connection)
    const before = this.#checks.failed.length
    await this.#attempt(object, () => tryToOverwrite(object, work))
    if (this.#checks.failed.length === before)
      say('Overwriting one was refused with 409, and it is as it was.')
  }

  async #readBack(objects: readonly StoredObject[]): Promise<void> {
    const stopped = this.#stopped
    const before = objects.slice(0, stopped === undefined ? 0 : Math.floor(objects.length * 0.4))
    const after = objects.slice(before.length)
    using bar = new ProgressBar('reading ', objects.length)
    if (stopped !== undefined) {
      const { number, address } = stopped
      const living = await this.#target.circle.refresh({ signal: this.#signal })
      this.#checks.that(!living.includes(address), `DNS still names node ${number}`)
      bar.say(`DNS names ${living.length} nodes: ${living.toSorted().join(', ')}.`)
      await this.#read(before, `read, node ${number} away`, bar, living)
      await this.#hcp.startNode(number)
      const again = await this.#target.circle.refresh({ signal: this.#signal })
      bar.say(`Node ${number} (${address}) is started again. DNS names ${again.length} nodes.`)
    }
    const name = stopped === undefined ? 'read' : `read, node ${stopped.number} back`
    await this.#read(after, name, bar, this.#hcp.nodes)
  }

  /** Over connections of its own: those that are open stay with their nodes, and one that has come back would get none. */
  async #read(
    objects: readonly StoredObject[],
    name: string,
    bar: ProgressBar,
    nodes: readonly string[],
  ): Promise<void> {
    await using connection = this.#connect()
    const work = this.#phase(name, connection)
    await this.#each(objects, bar, (object) => verify(object, work))
    this.#expectService(work.figures, nodes, objects.length)
  }

  /** @param before What the namespace held, and is to hold again. */
  async #delete(objects: readonly StoredObject[], before: NamespaceStatistics): Promise<void> {
    await using connection = this.#connect()
    const work = this.#phase('delete', connection)
    {
      using bar = new ProgressBar('deleting', objects.length)
      await this.#each(objects, bar, (object) => cleanUp(object, work))
    }
    const after = await new NamespaceInfo(connection).statistics({ signal: this.#signal })
    this.#checks.that(after.objectCount === 0, `HCP still holds ${after.objectCount} objects`)
    const { usedCapacityBytes } = after
    this.#checks.that(
      usedCapacityBytes === before.usedCapacityBytes,
      `${usedCapacityBytes} bytes are still in use`,
    )
    say(statisticsLine(after))
  }

  #conclude(objects: readonly StoredObject[]): boolean {
    say('\nRequests, and bytes of content, by node:\n')
    say(nodeTable(this.#phases, [...new Set(this.#hcp.nodes)]))
    say('Times in milliseconds (connect: TCP and TLS, where a connection was opened):\n')
    say(timeTable(this.#phases))
    const { count, failed } = this.#checks
    if (failed.length > 0) {
      say(`FAILED: ${failed.length} of ${count} checks did not hold:`)
      for (const failure of failed.slice(0, listedFailures)) say(`  ${failure}`)
      if (failed.length > listedFailures) say(`  and ${failed.length - listedFailures} more`)
      return false
    }
    const size = inBytes(objects.reduce((sum, { file }) => sum + file.size, 0))
    say(
      `PASSED: ${objects.length} objects, ${size}, were stored, verified and deleted; all ${count} checks held.`,
    )
    return true
  }

  get #canSpareNode(): boolean {
    const { nodes } = this.#hcp
    return new Set(nodes).size === nodes.length
  }

  #connect(): Connection {
    return new Connection(this.#target, { connections: inFlight })
  }

  #phase(name: string, connection: Connection): Work {
    const figures = new PhaseFigures(name)
    this.#phases.push(figures)
    return { connection, checks: this.#checks, figures, signal: this.#signal }
  }

  /** Does a step for each item, many at a time. */
  async #each<Item extends LocalFile | StoredObject>(
    items: readonly Item[],
    bar: ProgressBar,
    step: (item: Item) => Promise<void>,
  ): Promise<void> {
    await inParallel(items, inFlight, async (item) => {
      this.#signal.throwIfAborted()
      await this.#attempt(item, () => step(item))
      bar.advance()
    })
  }

  /** What a step throws is a check that did not hold. */
  async #attempt(item: LocalFile | StoredObject, step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      this.#signal.throwIfAborted()
      const { name } = 'file' in item ? item.file : item
      this.#checks.that(false, `${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** With as many objects as there are connections, each node has had some to serve. */
  #expectService(figures: PhaseFigures, nodes: readonly string[], objects: number): void {
    if (objects < inFlight) return
    for (const address of nodes) {
      this.#checks.that(figures.servedBy(address).requests > 0, `${figures.name}: ${address} served nothing`)
    }
  }
}
