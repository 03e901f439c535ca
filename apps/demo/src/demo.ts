import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Connection } from '@hcp/connection'
import { type EmulatorConfig, startEmulator } from '@hcp/emulator'
import { NamespaceInfo, type NamespaceStatistics } from '@hcp/namespace'
import { ObjectClient } from '@hcp/objects'
import { PathBuilder } from '@hcp/pathbuilder'
import { inBytes, phaseTable } from './figures.ts'
import { type LocalFile, makeFile } from './files.ts'
import { keep } from './keep.ts'
import { permissionsLine, settingsLine, statisticsLine } from './namespace-facts.ts'
import { account, administrator, collectLogs, failOver } from './operator.ts'
import { ProgressBar } from './progress-bar.ts'
import { overwrite, retain, share, type Tell, version } from './scenes.ts'
import { faults, inFlight, Stage } from './stage.ts'
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
  systemUsers: [administrator],
}

const mebibyte = 1024 * 1024
const largeFiles = 2
const largeSize = 16 * mebibyte
const listedFailures = 20

const say = (text = ''): void => console.log(text)
const tell: Tell = (what, outcome) => say(`  ${what.padEnd(54)}${outcome}`)

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
    return await new Demonstration(new Stage(hcp, signal), folder, all, killAt).run()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

class Demonstration {
  readonly #stage: Stage
  /** To work in. */
  readonly #folder: string
  readonly #files: readonly LocalFile[]
  readonly #killAt: number
  /** The node that was stopped; nothing if there is none to spare. */
  #stopped: { readonly number: number; readonly address: string } | undefined

  constructor(stage: Stage, folder: string, files: readonly LocalFile[], killAt: number) {
    this.#stage = stage
    this.#folder = folder
    this.#files = files
    this.#killAt = killAt
  }

  async run(): Promise<boolean> {
    await this.#introduce()
    const before = await this.#describe()
    const kept = await this.#store()
    await this.#rules(kept)
    await this.#tree()
    await this.#readBack(kept)
    await this.#delete(kept, before)
    await this.#operate()
    return this.#conclude(kept)
  }

  async #introduce(): Promise<void> {
    const { domain, nodes, ready } = this.#stage.hcp
    const size = inBytes(this.#files.reduce((sum, file) => sum + file.size, 0))
    const named = await this.#stage.namedByDns()
    this.#stage.checks.that(named.length === new Set(nodes).size, `DNS names ${named.length} nodes`)
    say(`HCP ${domain} runs on loopback: ${nodes.length} nodes, name server, TLS, write once.`)
    say(`DNS names its nodes: ${named.join(', ')}.`)
    say(`A second system, ${ready.replica?.domain}, gets all of it over the replication link ${ready.link}.`)
    say(
      `To be stored: ${this.#files.length} files, ${size}; ${largeFiles} of them were made for this, of random content.`,
    )
    if (!this.#stage.canSpareNode)
      say('This machine has one loopback address only: the nodes share it, and none is stopped.')
  }

  /** Tells what the namespace is, allows and holds. */
  async #describe(): Promise<NamespaceStatistics> {
    using target = this.#stage.targetOf('n1')
    await using info = new NamespaceInfo(target)
    const options = { signal: this.#stage.signal }
    const [settings, classes, permissions, statistics] = await Promise.all([
      info.namespace(options),
      info.retentionClasses(options),
      info.permissions(options),
      info.statistics(options),
    ])
    this.#stage.checks.that(settings !== undefined, 'HCP does not name the settings of the namespace')
    if (settings !== undefined) say(settingsLine(settings, classes))
    say(permissionsLine(permissions.userEffectivePermissions, this.#stage.checks))
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
    await this.#stage.phase('store', this.#stage.hcp.nodes, length, async (work, phase) => {
      const { connection } = work.objects
      {
        using bar = new ProgressBar('storing ', length)
        await this.#stage.each(this.#files, bar, async (file) => {
          begun += 1
          const { kept: one, stored } = await phase.timed(() => keep(file, names, work))
          kept.push(one)
          if (stored.attempts > 1) repeated += 1
          if (stored.settled) settled += 1
          const done = bar.done + 1
          if (done < killAt || disturbed) return
          disturbed = true
          if (this.#stage.canSpareNode) bar.say(await this.#stopNode(connection, begun - done))
          bar.say(this.#stage.loseAnswers())
        })
      }
      const statistics = await new NamespaceInfo(connection).statistics({ signal: this.#stage.signal })
      const { objectCount: all, customMetadataObjectCount: annotated } = statistics
      this.#stage.checks.that(kept.length === length, `${kept.length} of ${length} files were stored`)
      this.#stage.checks.that(all === kept.length, `HCP holds ${all} objects, ${kept.length} were stored`)
      this.#stage.checks.that(
        annotated === all,
        `HCP holds ${all} objects, but ${annotated} with annotations`,
      )
      say(statisticsLine(statistics))
    })
    const lost = await this.#stage.endFaults('reset')
    this.#stage.checks.that(settled >= lost, `${lost} answers were lost, ${settled} were settled`)
    say(
      `Sent or looked for again: ${repeated} files; of these found to be stored though the answer was lost: ${settled}.`,
    )
    return kept
  }

  /** Stops the node that has most of the connections. */
  async #stopNode(connection: Connection, underWay: number): Promise<string> {
    const [address, sockets] = [...connection.sockets].toSorted((one, other) => other[1] - one[1])[0]!
    const number = this.#stage.hcp.nodes.indexOf(address) + 1
    this.#stopped = { number, address }
    await this.#stage.hcp.stopNode(number)
    return `Node ${number} (${address}) is stopped: ${underWay} files under way, ${sockets} connections cut.`
  }

  async #rules(kept: readonly KeptFile[]): Promise<void> {
    await this.#stage.phase('the rules', [], 0, async (work) => {
      const last = kept.at(-1)
      say('\nWrite once')
      if (last !== undefined) await this.#stage.attempt('write once', () => overwrite(last, work, tell))
      say('\nRetention')
      await this.#stage.attempt('retention', () => retain(work, tell))
      say('\nAnnotations and access control lists')
      using annasTarget = this.#stage.targetOf('n1', 'anna', 'a01')
      await using anna = new ObjectClient(annasTarget)
      await this.#stage.attempt('access control lists', () => share(anna, work, tell))
      say('\nVersions, in the namespace n2')
      using versioned = this.#stage.targetOf('n2')
      await using objects = new ObjectClient(versioned)
      await this.#stage.attempt('versions', () => version({ ...work, objects }, tell))
    })
  }

  async #tree(): Promise<void> {
    const { domain, dns, ca, ports } = this.#stage.hcp
    const reach = { fqdn: `n1.m.${domain}`, port: ports.https, dns, ca }
    say('\nA tree of files, under unique names, with a journal')
    say(this.#stage.loseAnswers())
    await this.#stage.phase('tree', [], 0, (work) =>
      this.#stage.attempt('tree', () => transferTree(join(this.#folder, 'transfer'), reach, work, tell)),
    )
    const lost = await this.#stage.endFaults('reset')
    this.#stage.checks.that(lost === faults, `tree: only ${lost} answers were lost`)
  }

  async #readBack(kept: readonly KeptFile[]): Promise<void> {
    const stopped = this.#stopped
    const before = kept.slice(0, stopped === undefined ? 0 : Math.floor(kept.length * 0.4))
    const after = kept.slice(before.length)
    const large = kept.find(({ file }) => file.size === largeSize)
    say('\nRead back: content, hash and annotation of each object are compared')
    if (large !== undefined)
      this.#stage.hcp.addFault({
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
        this.#stage.phase(name, nodes, objects.length, (work, phase) =>
          this.#stage.each(objects, bar, async (each) => {
            const object = await phase.timed(() => verify(each, work))
            resumed += object.resumed
          }),
        )
      if (stopped !== undefined) {
        const { number, address } = stopped
        const living = await this.#stage.namedByDns()
        this.#stage.checks.that(!living.includes(address), `DNS still names node ${number}`)
        bar.say(`DNS names ${living.length} nodes: ${living.join(', ')}.`)
        await read(before, `read, node ${number} away`, living)
        await this.#stage.hcp.startNode(number)
        const again = await this.#stage.namedByDns()
        bar.say(`Node ${number} (${address}) is started again. DNS names ${again.length} nodes.`)
      }
      await read(
        after,
        stopped === undefined ? 'read' : `read, node ${stopped.number} back`,
        this.#stage.hcp.nodes,
      )
    }
    if (large === undefined) return
    const broken = await this.#stage.endFaults('truncate')
    this.#stage.checks.that(resumed >= broken, `${broken} downloads broke off, ${resumed} went on`)
    say(`Downloads that broke off and went on from where they were: ${resumed}.`)
    await this.#stage.phase('large, by ranges', [], 0, (work, phase) =>
      this.#stage.attempt(large.file.name, () => phase.timed(() => this.#fetchByRanges(large, work))),
    )
  }

  async #fetchByRanges({ file, path }: KeptFile, { objects, signal }: Work): Promise<void> {
    const back = join(this.#folder, `${file.name}.back`)
    const since = this.#stage.lastRequest
    const { size, hash } = await objects.download(path, back, {
      partSize: 2 * mebibyte,
      concurrency: 8,
      signal,
    })
    const parts = this.#stage.hcp.requests(since).filter(({ status }) => status === 206)
    const nodes = new Set(parts.map(({ node }) => node)).size
    const same = await sameContent(back, file.path)
    this.#stage.checks.that(same, `${file.name}: what was fetched by ranges is not what the file holds`)
    say(
      `${file.name}, ${inBytes(size)}, came in ${parts.length} ranges from ${nodes} nodes; its ${hash?.scheme} is right.`,
    )
  }

  /** @param before What the namespace held, and is to hold again. */
  async #delete(kept: readonly KeptFile[], before: NamespaceStatistics): Promise<void> {
    say('\nDelete')
    await this.#stage.phase('delete', this.#stage.hcp.nodes, kept.length, async (work, phase) => {
      const { objects, checks, signal } = work
      {
        using bar = new ProgressBar('deleting', kept.length)
        await this.#stage.each(kept, bar, async ({ file, path }) => {
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

  /** What an operator does: see what was used, collect the logs, lead through a failover. */
  async #operate(): Promise<void> {
    say('\nUsed, as the management API reports it')
    await this.#stage.attempt('chargeback', () => account(this.#stage, tell))
    say("\nHCP's own logs")
    await this.#stage.attempt('logs', () => collectLogs(this.#stage, this.#folder, tell))
    if (!this.#stage.canSpareNode) return
    say('\nThe first system is lost, and comes back')
    await this.#stage.attempt('failover', () => failOver(this.#stage, tell))
  }

  #conclude(kept: readonly KeptFile[]): boolean {
    say('\nRequests and bytes of content that each node served, and milliseconds for a file:\n')
    say(phaseTable(this.#stage.phases, this.#stage.hcp.nodes.length))
    const { count, failed } = this.#stage.checks
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
}

async function sameContent(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([readFile(one), readFile(other)])
  return first.equals(second)
}
