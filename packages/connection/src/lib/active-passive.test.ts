import { NativeAuthorization } from '@hcp/auth'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { expect, test } from 'vitest'
import { Connection, type HcpResponse, ReplicaStrategy, type SystemName, Target } from '../index.ts'

// One side of an active/passive link takes no writes: the replica's before the failover, the primary's from then until its recovery.

const { readAllowed, readOnFailover, writeOnFailover } = ReplicaStrategy
const config = {
  tenants: [{ name: 'm', namespaces: [{ name: 'n1' }], users: [{ user: 'n', password: 'n01' }] }],
  systemUsers: [{ user: 'sysadmin', password: 's01' }],
  links: [{ name: 'link', type: 'OUTBOUND' }],
} as const

const start = (): Promise<Emulator> => startEmulator({ replicaDomain: 'hcp2.test', nodes: 2, config })

function targetOf(hcp: Emulator, strategy: readonly number[]): Target {
  return new Target('n1.m.hcp1.test', {
    port: hcp.ports.https,
    tls: { ca: hcp.ca },
    nameServers: [hcp.dns],
    authorization: new NativeAuthorization('n', 'n01'),
    replica: {
      fqdn: 'n1.m.hcp2.test',
      strategy,
      failover: { failures: 2, successes: 2, minProbe: 20, maxProbe: 100_000 },
    },
  })
}

/** As an operator does it, at the system that survives. */
async function act(hcp: Emulator, action: 'failOver' | 'beginRecovery' | 'completeRecovery'): Promise<void> {
  const { replica, link } = hcp.ready
  await using target = new Target('admin.hcp2.test', {
    port: replica?.ports.mapi ?? 0,
    tls: { ca: hcp.ca },
    addresses: [...(replica?.nodes ?? [])],
    authorization: new NativeAuthorization('sysadmin', 's01'),
  })
  await using connection = new Connection(target)
  const path = `/mapi/services/replication/links/${link}`
  for (let tries = 0; ; tries++) {
    const response = await connection.post(path, undefined, { params: { [action]: '' } })
    await response.dump()
    if (response.ok) return
    // A step is refused until the one before it is done.
    if (tries === 200) expect.fail(`${action}: ${response.status} ${response.errorMessage}`)
    await pause()
  }
}

const pause = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 20)
  })

/** Writes new objects until one has been stored by this system. All others have to be refused as read-only. */
async function writeUntil(
  connection: Connection,
  system: SystemName,
  stored: Set<string>,
): Promise<HcpResponse[]> {
  const refused: HcpResponse[] = []
  for (let tries = 0; tries < 400; tries++) {
    const path = `/rest/passive/${stored.size}-${tries}`
    const response = await connection.put(path, path)
    await response.dump()
    if (response.ok) stored.add(path)
    else expect(response).toMatchObject({ status: 403 })
    if (response.ok && response.system === system) return refused
    refused.push(response)
    await pause()
  }
  return expect.fail(`no write came to the ${system}`)
}

test.each([
  ['of a primary that died', true, [readOnFailover, writeOnFailover]],
  ['on purpose, the primary being well', false, [readAllowed, writeOnFailover]],
])(
  'a failover %s: writes are refused until then, and follow it both ways',
  async (_, dies, strategy) => {
    await using hcp = await start()
    await using target = targetOf(hcp, strategy)
    await using connection = new Connection(target, { retry: { minDelay: 1, maxDelay: 5 } })
    const stored = new Set<string>()
    await writeUntil(connection, 'primary', stored)
    await hcp.replicated()
    if (dies) {
      await hcp.stopCluster('primary')
      await connection.put('/rest/passive/x', 'x').catch(() => undefined)
      await connection.put('/rest/passive/x', 'x').catch(() => undefined)
      expect(await connection.put('/rest/passive/x', 'x')).toMatchObject({ status: 403, system: 'replica' })
    }
    await act(hcp, 'failOver')
    await writeUntil(connection, 'replica', stored)
    expect(connection.failover?.state).not.toBe('primary')
    if (dies) await hcp.startCluster('primary')
    await act(hcp, 'beginRecovery')
    await act(hcp, 'completeRecovery')
    await writeUntil(connection, 'primary', stored)
    expect(connection.failover?.state).toBe('primary')

    await hcp.replicated()
    for (const path of stored)
      expect(await (await connection.get(path, { system: 'primary' })).text()).toBe(path)
    const made = hcp.requests().filter(({ method, found }) => method === 'PUT' && found === 201)
    expect(made.map(({ path }) => path).toSorted()).toEqual([...stored].toSorted())
  },
  60_000,
)
