import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import type { Emulator, FaultKind } from '@hcp/emulator'
import { query } from '@hcp/ips'
import { ObjectClient } from '@hcp/objects'
import { Checks } from './checks.ts'
import { Phase } from './figures.ts'
import type { LocalFile } from './files.ts'
import { inParallel } from './in-parallel.ts'
import type { ProgressBar } from './progress-bar.ts'
import type { KeptFile, Work } from './work.ts'

/** Operations that are under way at a time, each over a connection of its own. */
export const inFlight = 16
/** Requests that a fault strikes. */
export const faults = 3

/** Where the demonstration is played: the HCP, what goes wrong there, the score and the figures. */
export class Stage {
  readonly hcp: Emulator
  readonly signal: AbortSignal
  readonly checks: Checks = new Checks()
  readonly phases: Phase[] = []

  constructor(hcp: Emulator, signal: AbortSignal) {
    this.hcp = hcp
    this.signal = signal
  }

  /** The nodes that the name server names now, in order. */
  async namedByDns(): Promise<readonly string[]> {
    const { domain, dns } = this.hcp
    const { ips, raised } = await query(`n1.m.${domain}`, { nameServers: [dns], signal: this.signal })
    this.checks.that(raised === '', `DNS: ${raised}`)
    return ips.toSorted()
  }

  /** Lets some PUTs go wrong from now on. @returns Which, in words. */
  loseAnswers(): string {
    this.hcp.addFault({ kind: 'reset', method: 'PUT', count: faults })
    this.hcp.addFault({ kind: 'status', status: 503, method: 'PUT', count: faults })
    return `The next ${faults} objects are stored without an answer, the ${faults} after them are refused with 503.`
  }

  /** Ends all faults. @returns How often one of this kind has struck. */
  async endFaults(kind: FaultKind): Promise<number> {
    const left = this.hcp.state().faults.find((fault) => fault.kind === kind)?.count ?? 0
    await this.hcp.clearFaults()
    return faults - left
  }

  /** Whether each node has an address of its own, so that one can be stopped. */
  get canSpareNode(): boolean {
    const { nodes } = this.hcp
    return new Set(nodes).size === nodes.length
  }

  /** Number of the last request that HCP has had. */
  get lastRequest(): number {
    return this.hcp.requests().at(-1)?.sequence ?? 0
  }

  /** A namespace, as a user sees it. */
  targetOf(namespace: string, user = 'n', password = 'n01'): Target {
    const { domain, ports, ca, dns } = this.hcp
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
  async phase(
    name: string,
    nodes: readonly string[],
    items: number,
    run: (work: Work, phase: Phase) => Promise<void>,
  ): Promise<void> {
    const phase = new Phase(name)
    this.phases.push(phase)
    const since = this.lastRequest
    {
      using target = this.targetOf('n1')
      await using objects = new ObjectClient(target, { connections: inFlight })
      await run({ objects, checks: this.checks, signal: this.signal }, phase)
    }
    phase.served(this.hcp.requests(since))
    // With as many objects as there are connections, each node has had some to serve.
    if (items < inFlight) return
    for (const address of nodes) {
      const { requests } = phase.servedBy(this.hcp.nodes.indexOf(address) + 1)
      this.checks.that(requests > 0, `${name}: ${address} served nothing`)
    }
  }

  /** Does a step for each item, many at a time. */
  async each<Item extends LocalFile | KeptFile>(
    items: readonly Item[],
    bar: ProgressBar,
    step: (item: Item) => Promise<void>,
  ): Promise<void> {
    await inParallel(items, inFlight, async (item) => {
      this.signal.throwIfAborted()
      const { name } = 'file' in item ? item.file : item
      await this.attempt(name, () => step(item))
      bar.advance()
    })
  }

  /** What a step throws is a check that did not hold. */
  async attempt(name: string, step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      this.signal.throwIfAborted()
      this.checks.that(false, `${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}
