import { once } from 'node:events'
import { channel } from 'node:diagnostics_channel'
import { setTimeout as pause } from 'node:timers/promises'
import { NativeAuthorization } from '@hcp/auth'
import { Connection, type FailoverEvent, type FailoverState, ReplicaStrategy, Target } from '@hcp/connection'
import type { Emulator } from '@hcp/emulator'
import { executeFailover, planFailover, ReplicationClient } from '@hcp/mapi-replication'
import { type Counts, noCounts, Traffic } from './traffic.ts'
import { type Verified, verify } from './verify.ts'

export interface FailoverOptions {
  /** How long each phase of calm lasts. Milliseconds, default 1,500. */
  readonly calm?: number
  /** Writers and readers at a time. Default 4. */
  readonly workers?: number
  /** Bytes of an object, about. Default 4,000. */
  readonly size?: number
  /** Told what happens. Default: nobody. */
  readonly log?: (line: string) => void
}

/** What became of it all. */
export interface FailoverReport {
  readonly phases: readonly { readonly name: string; readonly counts: Counts }[]
  readonly acknowledged: number
  /** Writes of which the client could not say whether they were carried out, and of how many of them the object is there, whole. */
  readonly unclear: number
  readonly unclearButThere: number
  /** Longest time in which nothing succeeded. Milliseconds. */
  readonly longestPause: number
  readonly primary: Verified
  readonly replica: Verified
  /** Paths that were stored on both systems by the client, or twice on one: there must be none. */
  readonly doubled: readonly string[]
  /** Paths whose content was read and was another: there must be none. */
  readonly damaged: readonly string[]
  /** The states that the client went through. */
  readonly states: readonly FailoverState['state'][]
}

/**
 * Writes and reads without pause while the primary is killed, its link failed over, the primary started again and the link failed
 * back; then looks for every object on both systems.
 *
 * @param hcp Two systems with an active/active link.
 */
export async function runFailover(hcp: Emulator, options: FailoverOptions = {}): Promise<FailoverReport> {
  const { calm = 1_500, workers = 4, size = 4_000, log = () => {} } = options
  const systems = systemsOf(hcp)
  const since = hcp.requests().at(-1)?.sequence ?? 0
  await using target = new Target(systems.primary.name, {
    ...systems.common,
    nameServers: [hcp.dns],
    replica: {
      fqdn: systems.replica.name,
      strategy: [ReplicaStrategy.readAllowed, ReplicaStrategy.writeOnFailover],
      // A shorter outage is none; and who watches this does not want to wait long.
      failover: { failures: 3, successes: 3, minProbe: 200, maxProbe: 1_000 },
    },
  })
  await target.resolve()
  await using connection = new Connection(target, { connections: workers, connectTimeout: 1_000 })
  using states = new States(target.fqdn, log)
  const traffic = new Traffic(connection, size)
  const phases: { name: string; counts: Counts }[] = []
  const phase = (name: string): void => {
    log(`--- ${name}`)
    traffic.counts = noCounts()
    phases.push({ name, counts: traffic.counts })
  }

  phase('both systems are well')
  const running = traffic.run(workers)
  // What goes wrong in the traffic ends the run at once.
  const orFailed = async (step: Promise<unknown>): Promise<void> => void (await Promise.race([step, running]))
  try {
    await orFailed(pause(calm))
    phase('the primary is dead')
    await hcp.stopCluster('primary')
    await orFailed(states.reached('failedOver'))
    await orFailed(failLink(hcp, 'over', log))
    phase('the replica stands in')
    await orFailed(pause(calm))
    phase('the primary is up again, its link still failed over')
    await hcp.startCluster('primary')
    await orFailed(pause(calm))
    phase('the link is failed back')
    await orFailed(failLink(hcp, 'back', log))
    await orFailed(states.reached('primary'))
    phase('both systems are well again')
    await orFailed(pause(calm))
  } finally {
    traffic.stop()
    await running
  }

  log('--- every object is looked for on both systems')
  await hcp.replicated()
  await using primary = new Target(systems.primary.name, {
    ...systems.common,
    addresses: systems.primary.nodes,
  })
  await using replica = new Target(systems.replica.name, {
    ...systems.common,
    addresses: systems.replica.nodes,
  })
  const unclear = await verify(primary, traffic.unclear)
  return {
    phases,
    acknowledged: traffic.acknowledged.length,
    unclear: traffic.unclear.length,
    unclearButThere: unclear.intact,
    longestPause: Math.round(traffic.longestPause),
    primary: await verify(primary, traffic.acknowledged),
    replica: await verify(replica, traffic.acknowledged),
    doubled: storedTwice(hcp, since),
    damaged: [...traffic.damaged, ...unclear.damaged],
    states: states.seen,
  }
}

function systemsOf(hcp: Emulator): {
  readonly common: { authorization: NativeAuthorization; port: number; tls: { ca: string } }
  readonly primary: { readonly name: string; readonly nodes: string[] }
  readonly replica: { readonly name: string; readonly nodes: string[] }
} {
  const { replica } = hcp.ready
  if (replica === null) throw new TypeError('runFailover needs an emulator with a replicaDomain')
  const common = {
    authorization: new NativeAuthorization('n', 'n01'),
    port: hcp.ports.https,
    tls: { ca: hcp.ca },
  }
  return {
    common,
    primary: { name: `n1.m.${hcp.domain}`, nodes: [...hcp.nodes] },
    replica: { name: `n1.m.${replica.domain}`, nodes: [...replica.nodes] },
  }
}

/** Fails the link over to the replica, or back, as an operator would through the management API. */
async function failLink(hcp: Emulator, goal: 'over' | 'back', log: (line: string) => void): Promise<void> {
  const { replica, link } = hcp.ready
  if (replica === null || link === undefined) throw new TypeError('runFailover needs two linked systems')
  const authorization = new NativeAuthorization('sysadmin', 's01')
  const common = { authorization, tls: { ca: hcp.ca } }
  // Addresses, not names: while the link is failed over the survivor answers to the other's names.
  await using failedTarget = new Target(`admin.${hcp.domain}`, {
    ...common,
    port: hcp.ports.mapi,
    addresses: [...hcp.nodes],
  })
  await using survivorTarget = new Target(`admin.${replica.domain}`, {
    ...common,
    port: replica.ports.mapi,
    addresses: [...replica.nodes],
  })
  await using failed = new ReplicationClient(failedTarget, { retry: false })
  await using survivor = new ReplicationClient(survivorTarget)
  const plan = await planFailover({ survivor, failed, link })
  for await (const { kind, step } of executeFailover(plan, {
    survivor,
    failed,
    interval: 100,
    confirm: () => true,
  })) {
    if (kind === 'done') log(`operator: ${step.title}`)
  }
  log(`operator: the link is failed ${goal}`)
}

/** Follows what the client takes the primary for. */
class States implements Disposable {
  readonly seen: FailoverState['state'][] = ['primary']
  readonly #fqdn: string
  readonly #log: (line: string) => void
  readonly #changes = new EventTarget()

  constructor(fqdn: string, log: (line: string) => void) {
    this.#fqdn = fqdn
    this.#log = log
    channel('hcp:failover').subscribe(this.#listen)
  }

  readonly #listen = (event: unknown): void => {
    const { fqdn, previous, state, reason } = event as FailoverEvent
    if (fqdn !== this.#fqdn) return
    this.#log(`client: ${previous} -> ${state} (${reason})`)
    this.seen.push(state)
    this.#changes.dispatchEvent(new Event('change'))
  }

  async reached(state: FailoverState['state']): Promise<void> {
    while (this.seen.at(-1) !== state) await once(this.#changes, 'change')
  }

  [Symbol.dispose](): void {
    channel('hcp:failover').unsubscribe(this.#listen)
  }
}

/** Paths that the systems stored more than once for the client. */
function storedTwice(hcp: Emulator, since: number): string[] {
  const paths = hcp
    .requests(since)
    .filter(({ method, found }) => method === 'PUT' && found === 201)
    .map(({ path }) => path)
  const seen = new Set<string>()
  return paths.filter((path) => seen.size === seen.add(path).size)
}

/** Nothing was lost, damaged or done twice. */
export const isFlawless = ({ primary, replica, doubled, damaged }: FailoverReport): boolean =>
  [primary, replica].every(({ missing, damaged: wrong }) => missing.length + wrong.length === 0) &&
  doubled.length + damaged.length === 0

/** The report as a table to print. */
export function table(report: FailoverReport): string {
  const rows = report.phases.map(({ name, counts }) => [
    name,
    `${counts.written.primary} / ${counts.written.replica}`,
    `${counts.read.primary} / ${counts.read.replica}`,
    String(counts.notYetThere),
    `${counts.notSent} / ${counts.unclear} / ${counts.failedReads}`,
  ])
  rows.unshift(['', 'written', 'read', 'not yet there', 'not sent / unclear / failed reads'])
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  const { acknowledged, unclear, unclearButThere, primary, replica, doubled, damaged, longestPause } = report
  return [
    'primary / replica',
    ...lines,
    '',
    `${acknowledged} objects acknowledged; intact on the primary ${primary.intact}, on the replica ${replica.intact}`,
    `${unclear} writes unclear, of which ${unclearButThere} are there`,
    `${doubled.length} stored twice, ${damaged.length} damaged; longest time without any success: ${longestPause} ms`,
  ].join('\n')
}
