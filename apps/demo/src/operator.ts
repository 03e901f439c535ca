import { NativeAuthorization } from '@hcp/auth'
import { Connection, ReplicaStrategy, Target } from '@hcp/connection'
import type { Emulator } from '@hcp/emulator'
import { listTenants, MapiClient, Tenant } from '@hcp/mapi'
import { accessLog, LogPackage, Logs } from '@hcp/mapi-logs'
import { executeFailover, linkState, planFailover, ReplicationClient, when } from '@hcp/mapi-replication'
import { PathBuilder } from '@hcp/pathbuilder'
import { inBytes } from './figures.ts'
import type { Tell } from './scenes.ts'
import type { Stage } from './stage.ts'

/** The system's administrator, with all roles. */
export const administrator = { user: 'sysadmin', password: 's01' }

/** From one look at a job or a link to the next; real systems are asked every few seconds. Milliseconds. */
const interval = 50
const patience = 30_000

/** The management interface of one of the two systems. */
function managementOf(hcp: Emulator, system: 'primary' | 'replica'): Target {
  const { domain, nodes, ports } = system === 'primary' ? hcp.ready : hcp.ready.replica!
  return new Target(`admin.${domain}`, {
    authorization: new NativeAuthorization(administrator.user, administrator.password),
    port: ports.mapi,
    tls: { ca: hcp.ca },
    // Not by name: after a DNS failover the other system answers to this one's names.
    addresses: [...new Set(nodes)],
  })
}

/** What each namespace has used, as the management API reports it. */
export async function account({ hcp, checks, signal }: Stage, tell: Tell): Promise<void> {
  using target = managementOf(hcp, 'primary')
  await using mapi = new MapiClient(target)
  for await (const name of listTenants(mapi, { signal })) {
    for await (const record of new Tenant(mapi, name).chargeback({ signal })) {
      const { namespaceName, reads, writes, deletes, bytesIn, bytesOut } = record
      checks.that(record.valid, `chargeback: the record of ${namespaceName ?? name} is not valid`)
      tell(
        namespaceName === undefined ? `tenant ${name}` : `${namespaceName}.${name}`,
        `${writes} writes, ${reads} reads, ${deletes} deletes, ${inBytes(Number(bytesIn))} in, ${inBytes(Number(bytesOut))} out`,
      )
      if (record.scope === 'tenant') checks.that(writes > 0, 'chargeback: nothing was written')
    }
  }
}

/** Has HCP pack its logs, fetches them, and counts in them what this program has stored. */
export async function collectLogs(stage: Stage, folder: string, tell: Tell): Promise<void> {
  const { hcp, checks, signal } = stage
  const isOurs = (path: string): boolean => path.startsWith('/rest/demo/')
  // Also those whose answers were lost.
  const served = hcp.requests().filter(({ method, path, found, cluster }) => {
    return cluster === 'primary' && method === 'PUT' && found === 201 && isOurs(path)
  }).length
  using target = managementOf(hcp, 'primary')
  await using logs = new Logs(target)
  const { file, size, cancelled } = await logs.collect({
    startDate: new Date(),
    content: [Logs.L_ACCESS],
    folder,
    interval,
    deadline: patience,
    signal,
  })
  checks.that(cancelled, 'logs: the job was not freed')
  tell('prepared, downloaded, proved whole, job freed', inBytes(size))
  await using content = await LogPackage.open(file)
  let [lines, stored, malformed] = [0, 0, 0]
  const onMalformed = (): void => void (malformed += 1)
  for await (const { method, target: path, status } of accessLog(content, { onMalformed })) {
    lines += 1
    if (method === 'PUT' && status === 201 && isOurs(path)) stored += 1
  }
  checks.that(malformed === 0, `logs: ${malformed} lines are malformed`)
  checks.that(served > 0 && stored === served, `logs: ${stored} objects, HCP has served ${served}`)
  tell('requests in its archives', `${lines}, of which ${stored} stored objects of this run`)
}

/** Follows objects to the second system, loses the first, goes on with the second, and comes back. */
export async function failOver(stage: Stage, tell: Tell): Promise<void> {
  const { hcp, checks, signal } = stage
  const { link, replica: second } = hcp.ready
  if (link === undefined || second === null) throw new Error('there is no second system with a link')
  using firstTarget = managementOf(hcp, 'primary')
  using secondTarget = managementOf(hcp, 'replica')
  await using failed = new ReplicationClient(firstTarget, { retry: false })
  await using survivor = new ReplicationClient(secondTarget)
  const parties = { survivor, failed }
  const wait = { interval, deadline: patience, signal }

  using target = replicatedTarget(hcp)
  await using connection = new Connection(target, { retry: { attempts: 2, minDelay: 10, maxDelay: 100 } })
  const names = new PathBuilder({ initialPath: '/rest/replicated' })
  const store = async (what: string, system: string): Promise<string> => {
    const { objectPath } = names.getUnique('letter.txt')
    const stored = await connection.put(objectPath, what, { signal })
    checks.that(stored.status === 201, `${what}: ${stored.status}`)
    checks.that(stored.system === system, `${what}: stored by the ${stored.system}, not the ${system}`)
    return objectPath
  }
  const read = async (path: string, what: string, system: 'primary' | 'replica'): Promise<void> => {
    const answer = await connection.get(path, { signal, system })
    checks.that((await answer.text()) === what, `${what}: another content from the ${system}`)
  }

  const before = await store('written before', 'primary')
  const { type } = await survivor.waitFor(link, when.synchronized, wait)
  await read(before, 'written before', 'replica')
  tell(`an object is stored, and over the link ${link}`, `it is on ${second.domain}, too (${type})`)

  await hcp.stopCluster('primary')
  await read(before, 'written before', 'replica')
  tell(`${hcp.domain} is stopped; the object is read`, `from ${second.domain}`)
  const over = await planFailover({ ...parties, link, signal })
  for await (const { kind, step } of executeFailover(over, { ...parties, ...wait })) {
    if (kind === 'done' && step.kind === 'action') tell(step.title, 'done')
  }
  const during = await store('written meanwhile', 'replica')
  tell('another object is stored', `by ${second.domain}`)

  await hcp.startCluster('primary')
  const back = await planFailover({ ...parties, link, signal })
  for await (const { kind, step } of executeFailover(back, { ...parties, ...wait })) {
    if (kind === 'done' && step.kind === 'action') tell(step.title, 'done')
  }
  const now = await survivor.waitFor(link, when.synchronized, wait)
  checks.that(linkState(now) === 'replicating', `the link says ${now.statusMessage}`)
  for (const system of ['primary', 'replica'] as const) {
    await read(before, 'written before', system)
    await read(during, 'written meanwhile', system)
  }
  tell(`${hcp.domain} is back, the link replicates again`, 'both objects are on both systems')
  for (const path of [before, during]) {
    const { status } = await connection.delete(path, { signal, system: 'primary' })
    checks.that(status === 200, `${path}: ${status} to its deletion`)
  }
}

/** The namespace n1 of both systems: reads may always, writes after a failover, go to the second. */
function replicatedTarget({ domain, ready, ports, ca, dns }: Emulator): Target {
  const { readAllowed, writeAllowed, writeOnFailover } = ReplicaStrategy
  return new Target(`n1.m.${domain}`, {
    authorization: new NativeAuthorization('n', 'n01'),
    port: ports.https,
    tls: { ca },
    nameServers: [dns],
    replica: {
      fqdn: `n1.m.${ready.replica!.domain}`,
      port: ready.replica!.ports.https,
      strategy: [readAllowed, writeAllowed, writeOnFailover],
    },
  })
}
