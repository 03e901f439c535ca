import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NativeAuthorization } from '@hcp/auth'
import { type Connection, Target } from '@hcp/connection'
import { type Emulator, type EmulatorConfig, type FaultKind, startEmulator } from '@hcp/emulator'
import { query } from '@hcp/ips'
import { NamespaceInfo, type NamespaceStatistics } from '@hcp/namespace'
import { ObjectClient } from '@hcp/objects'
import { PathBuilder } from '@hcp/pathbuilder'
import { Checks } from './checks.ts'
import { inBytes, Phase, phaseTable } from './figures.ts'
import { type LocalFile, makeFile } from './files.ts'
import { inParallel } from './in-parallel.ts'
import { keep } from './keep.ts'
import { permissionsLine, settingsLine, statisticsLine } from './namespace-facts.ts'
import { ProgressBar } from './progress-bar.ts'
import { overwrite, retain, share, type Tell, version } from './scenes.ts'
import { transferTree } from './tree.ts'
import { verify } from './verify.ts'
import type { KeptFile, Work } from './work.ts'

export interface DemoOptions {
  readonly files: readonly LocalFile[]
  /** Percentage of the objects that are stored when a node is stopped, 0 to 99. */
  readonly killAt: number
  /** Ends the demonstration early: it rejects with the signal's reason, and leaves nothing behind. */
  readonly signal: AbortSignal
}

/** A namespace without versions and one with; a user who may do everything in both, and one who may do nothing. */
const config: EmulatorConfig = {
  tenants: [
    {
      name: 'm',
      namespaces: [
        { name: 'n1', aclUsage: 'ENFORCED', retentionClasses: [{ name: 'tax', value: 'A+10y' }] },
        { name: 'n2', versioning: true },
      ],
      users: [
        { user: 'n', password: 'n01' },
        { user: 'anna', password: 'a01', permissions: [] },
      ],
    },
  ],
}

/** Operations that are under way at a time, each over a connection of its own. */
const inFlight = 16
const mebibyte = 1024 * 1024
const largeFiles = 2
const largeSize = 16 * mebibyte
/** Answers that are lost, or refusals, of each kind. */
const faults = 3
const listedFailures = 20

const say = (text = ''): void => console.log(text)
const tell: Tell = (what, outcome) => say(`  ${what.padEnd(48)}${outcome}`)

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
    await using hcp = await startEmulator({ replicaDomain: 'hcp2.test', config })
    return await new Demonstration(hcp, folder, all, killAt, signal).run()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

class Demonstration {
  readonly #hcp: Emulator
  /** To work in. */
  readonly #folder: string
  readonly #files: readonly LocalFile[]
  readonly #killAt: number
  readonly #signal: AbortSignal
  readonly #checks = new Checks()
  readonly #phases: Phase[] = []
  /** The node that was stopped; nothing if there is none to spare. */
  #stopped: { readonly number: number; readonly address: string } | undefined

  constructor(
    hcp: Emulator,
    folder: string,
    files: readonly LocalFile[],
    killAt: number,
    signal: AbortSignal,
  ) {
    this.#hcp = hcp
    this.#folder = folder
    this.#files = files
    this.#killAt = killAt
    this.#signal = signal
  }

  async run(): Promise<boolean> {
    await this.#introduce()
    const before = await this.#describe()
    const kept = await this.#store()
    await this.#rules(kept)
    await this.#tree()
    await this.#readBack(kept)
    await this.#delete(kept, before)
    return this.#conclude(kept)
  }

  async #introduce(): Promise<void> {
    const { domain, nodes, ready } = this.#hcp
    const size = inBytes(this.#files.reduce((sum, file) => sum + file.size, 0))
    const named = await this.#namedByDns()
    this.#checks.that(named.length === new Set(nodes).size, `DNS names ${named.length} nodes`)
    say(`HCP ${domain} runs on loopback: ${nodes.length} nodes, name server, TLS, write once.`)
    say(`DNS names its nodes: ${named.join(', ')}.`)
    say(
      `A second system, ${ready.replica?.domain}, runs too and stays empty: replication is not part of this.`,
    )
    say(
      `To be stored: ${this.#files.length} files, ${size}; ${largeFiles} of them were made for this, of random content.`,
    )
    if (!this.#canSpareNode)
      say('This machine has one loopback address only: the nodes share it, and none is stopped.')
  }

  /** The nodes that the name server names now, in order. */
  async #namedByDns(): Promise<readonly string[]> {
    const { domain, dns } = this.#hcp
    const { ips, raised } = await query(`n1.m.${domain}`, { nameServers: [dns], signal: this.#signal })
    this.#checks.that(raised === '', `DNS: ${raised}`)
    return ips.toSorted()
  }

  /** Tells what the namespace is, allows and holds. */
  async #describe(): Promise<NamespaceStatistics> {
    using target = this.#targetOf('n1')
    await using info = new NamespaceInfo(target)
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
    return statistics
  }

  async #store(): Promise<KeptFile[]> {
    const { length } = this.#files
    say(`\nStore: each file under a name that never was before, with an annotation that tells its own name`)
    const kept: KeptFile[] = []
    const names = new PathBuilder({ initialPath: '/rest/demo', annotation: true })
    const killAt = Math.max(1, Math.floor((length * this.#killAt) / 100))
    let [begun, repeated, settled] = [0, 0, 0]
    let disturbed = false
    await this.#phase('store', this.#hcp.nodes, length, async (work, phase) => {
      const { connection } = work.objects
      {
        using bar = new ProgressBar('storing ', length)
        await this.#each(this.#files, bar, async (file) => {
          begun += 1
          const { kept: one, stored } = await phase.timed(() => keep(file, names, work))
          kept.push(one)
          if (stored.attempts > 1) repeated += 1
          if (stored.settled) settled += 1
          const done = bar.done + 1
          if (done < killAt || disturbed) return
          disturbed = true
          if (this.#canSpareNode) bar.say(await this.#stopNode(connection, begun - done))
          bar.say(this.#loseAnswers())
        })
      }
      const statistics = await new NamespaceInfo(connection).statistics({ signal: this.#signal })
      const { objectCount: all, customMetadataObjectCount: annotated } = statistics
      this.#checks.that(kept.length === length, `${kept.length} of ${length} files were stored`)
      this.#checks.that(all === kept.length, `HCP holds ${all} objects, ${kept.length} were stored`)
      this.#checks.that(annotated === all, `HCP holds ${all} objects, but ${annotated} with annotations`)
      say(statisticsLine(statistics))
    })
    const lost = await this.#endFaults('reset')
    this.#checks.that(settled >= lost, `${lost} answers were lost, ${settled} were settled`)
    say(
      `Sent or looked for again: ${repeated} files; of these found to be stored though the answer was lost: ${settled}.`,
    )
    return kept
  }

  /** Stops the node that has most of the connections. */
  async #stopNode(connection: Connection, underWay: number): Promise<string> {
    const [address, sockets] = [...connection.sockets].toSorted((one, other) => other[1] - one[1])[0]!
    const number = this.#hcp.nodes.indexOf(address) + 1
    this.#stopped = { number, address }
    await this.#hcp.stopNode(number)
    return `Node ${number} (${address}) is stopped: ${underWay} files under way, ${sockets} connections cut.`
  }

  #loseAnswers(): string {
    this.#hcp.addFault({ kind: 'reset', method: 'PUT', count: faults })
    this.#hcp.addFault({ kind: 'status', status: 503, method: 'PUT', count: faults })
    return `The next ${faults} objects are stored without an answer, the ${faults} after them are refused with 503.`
  }

  async #rules(kept: readonly KeptFile[]): Promise<void> {
    await this.#phase('the rules', [], 0, async (work) => {
      const last = kept.at(-1)
      say('\nWrite once')
      if (last !== undefined) await this.#attempt('write once', () => overwrite(last, work, tell))
      say('\nRetention')
      await this.#attempt('retention', () => retain(work, tell))
      say('\nAnnotations and access control lists')
      using annasTarget = this.#targetOf('n1', 'anna', 'a01')
      await using anna = new ObjectClient(annasTarget)
      await this.#attempt('access control lists', () => share(anna, work, tell))
      say('\nVersions, in the namespace n2')
      using versioned = this.#targetOf('n2')
      await using objects = new ObjectClient(versioned)
      await this.#attempt('versions', () => version({ ...work, objects }, tell))
    })
  }

  async #tree(): Promise<void> {
    const { domain, dns, ca, ports } = this.#hcp
    const reach = { fqdn: `n1.m.${domain}`, port: ports.https, dns, ca }
    say('\nA tree of files, under unique names, with a journal')
    say(this.#loseAnswers())
    await this.#phase('tree', [], 0, (work) =>
      this.#attempt('tree', () => transferTree(join(this.#folder, 'transfer'), reach, work, tell)),
    )
    const lost = await this.#endFaults('reset')
    this.#checks.that(lost === faults, `tree: only ${lost} answers were lost`)
  }

  async #readBack(kept: readonly KeptFile[]): Promise<void> {
    const stopped = this.#stopped
    const before = kept.slice(0, stopped === undefined ? 0 : Math.floor(kept.length * 0.4))
    const after = kept.slice(before.length)
    const large = kept.find(({ file }) => file.size === largeSize)
    say('\nRead back: content, hash and annotation of each object are compared')
    if (large !== undefined)
      this.#hcp.addFault({
        kind: 'truncate',
        method: 'GET',
        path: large.path,
        afterBytes: 5 * mebibyte,
        count: faults,
      })
    let resumed = 0
    {
      using bar = new ProgressBar('reading ', kept.length)
      const read = (objects: readonly KeptFile[], name: string, nodes: readonly string[]): Promise<void> =>
        this.#phase(name, nodes, objects.length, (work, phase) =>
          this.#each(objects, bar, async (each) => {
            const object = await phase.timed(() => verify(each, work))
            resumed += object.resumed
          }),
        )
      if (stopped !== undefined) {
        const { number, address } = stopped
        const living = await this.#namedByDns()
        this.#checks.that(!living.includes(address), `DNS still names node ${number}`)
        bar.say(`DNS names ${living.length} nodes: ${living.join(', ')}.`)
        await read(before, `read, node ${number} away`, living)
        await this.#hcp.startNode(number)
        const again = await this.#namedByDns()
        bar.say(`Node ${number} (${address}) is started again. DNS names ${again.length} nodes.`)
      }
      await read(after, stopped === undefined ? 'read' : `read, node ${stopped.number} back`, this.#hcp.nodes)
    }
    if (large === undefined) return
    const broken = await this.#endFaults('truncate')
    this.#checks.that(resumed >= broken, `${broken} downloads broke off, ${resumed} went on`)
    say(`Downloads that broke off and went on from where they were: ${resumed}.`)
    await this.#phase('large, by ranges', [], 0, (work, phase) =>
      this.#attempt(large.file.name, () => phase.timed(() => this.#fetchByRanges(large, work))),
    )
  }

  /** Ends all faults. @returns How often one of this kind has struck. */
  async #endFaults(kind: FaultKind): Promise<number> {
    const left = this.#hcp.state().faults.find((fault) => fault.kind === kind)?.count ?? 0
    await this.#hcp.clearFaults()
    return faults - left
  }

  async #fetchByRanges({ file, path }: KeptFile, { objects, signal }: Work): Promise<void> {
    const back = join(this.#folder, `${file.name}.back`)
    const since = this.#lastRequest
    const { size, hash } = await objects.download(path, back, {
      partSize: 2 * mebibyte,
      concurrency: 8,
      signal,
    })
    const parts = this.#hcp.requests(since).filter(({ status }) => status === 206)
    const nodes = new Set(parts.map(({ node }) => node)).size
    const same = await sameContent(back, file.path)
    this.#checks.that(same, `${file.name}: what was fetched by ranges is not what the file holds`)
    say(
      `${file.name}, ${inBytes(size)}, came in ${parts.length} ranges from ${nodes} nodes; its ${hash?.scheme} is right.`,
    )
  }

  /** @param before What the namespace held, and is to hold again. */
  async #delete(kept: readonly KeptFile[], before: NamespaceStatistics): Promise<void> {
    say('\nDelete')
    await this.#phase('delete', this.#hcp.nodes, kept.length, async (work, phase) => {
      const { objects, checks, signal } = work
      {
        using bar = new ProgressBar('deleting', kept.length)
        await this.#each(kept, bar, async ({ file, path }) => {
          await phase.timed(() => objects.delete(path, { signal }))
          const there = await objects.exists(path, { signal })
          checks.that(!there, `${file.name}: still there after its deletion`)
        })
      }
      const after = await new NamespaceInfo(objects.connection).statistics({ signal })
      const { objectCount, usedCapacityBytes } = after
      checks.that(objectCount === 0, `HCP still holds ${objectCount} objects`)
      const same = usedCapacityBytes === before.usedCapacityBytes
      checks.that(same, `${usedCapacityBytes} bytes are still in use`)
      say(statisticsLine(after))
    })
  }

  #conclude(kept: readonly KeptFile[]): boolean {
    say('\nRequests and bytes of content that each node served, and milliseconds for a file:\n')
    say(phaseTable(this.#phases, this.#hcp.nodes.length))
    const { count, failed } = this.#checks
    if (failed.length > 0) {
      say(`FAILED: ${failed.length} of ${count} checks did not hold:`)
      for (const failure of failed.slice(0, listedFailures)) say(`  ${failure}`)
      if (failed.length > listedFailures) say(`  and ${failed.length - listedFailures} more`)
      return false
    }
    const size = inBytes(kept.reduce((sum, { file }) => sum + file.size, 0))
    say(
      `PASSED: ${kept.length} objects, ${size}, were stored, verified and deleted; all ${count} checks held.`,
    )
    return true
  }

  get #canSpareNode(): boolean {
    const { nodes } = this.#hcp
    return new Set(nodes).size === nodes.length
  }

  get #lastRequest(): number {
    return this.#hcp.requests().at(-1)?.sequence ?? 0
  }

  #targetOf(namespace: string, user = 'n', password = 'n01'): Target {
    const { domain, ports, ca, dns } = this.#hcp
    return new Target(`${namespace}.m.${domain}`, {
      authorization: new NativeAuthorization(user, password),
      port: ports.https,
      tls: { ca },
      nameServers: [dns],
    })
  }

  /**
   * Does a part of the demonstration over connections of its own: those that are open stay with their nodes, and one that has come back
   * would get none.
   *
   * @param nodes Addresses of those that must have had some of the work, if there was enough of it.
   * @param items How many objects there are to be worked on.
   */
  async #phase(
    name: string,
    nodes: readonly string[],
    items: number,
    run: (work: Work, phase: Phase) => Promise<void>,
  ): Promise<void> {
    const phase = new Phase(name)
    this.#phases.push(phase)
    const since = this.#lastRequest
    {
      using target = this.#targetOf('n1')
      await using objects = new ObjectClient(target, { connections: inFlight })
      await run({ objects, checks: this.#checks, signal: this.#signal }, phase)
    }
    phase.served(this.#hcp.requests(since))
    // With as many objects as there are connections, each node has had some to serve.
    if (items < inFlight) return
    for (const address of nodes) {
      const { requests } = phase.servedBy(this.#hcp.nodes.indexOf(address) + 1)
      this.#checks.that(requests > 0, `${name}: ${address} served nothing`)
    }
  }

  /** Does a step for each item, many at a time. */
  async #each<Item extends LocalFile | KeptFile>(
    items: readonly Item[],
    bar: ProgressBar,
    step: (item: Item) => Promise<void>,
  ): Promise<void> {
    await inParallel(items, inFlight, async (item) => {
      this.#signal.throwIfAborted()
      const { name } = 'file' in item ? item.file : item
      await this.#attempt(name, () => step(item))
      bar.advance()
    })
  }

  /** What a step throws is a check that did not hold. */
  async #attempt(name: string, step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      this.#signal.throwIfAborted()
      this.#checks.that(false, `${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

async function sameContent(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([readFile(one), readFile(other)])
  return first.equals(second)
}
