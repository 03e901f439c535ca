import { NativeAuthorization } from '@hcp/auth'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Connection, HcpError, ReplicaStrategy, Target } from '../index.ts'

// A link is failed over on purpose, both systems being well: the name servers give the names of the first to the second.

const { readOnFailover, writeOnFailover } = ReplicaStrategy
const authorization = new NativeAuthorization('n', 'n01')
let hcp: Emulator

beforeAll(async () => {
  hcp = await startEmulator({ replicaDomain: 'hcp2.test', nodes: 2 })
})
afterAll(() => hcp.close())

function connect(strategy?: number, socketLifetime = 1): Connection {
  const target = new Target('n1.m.hcp1.test', {
    port: hcp.ports.https,
    tls: { ca: hcp.ca },
    nameServers: [hcp.dns],
    authorization,
    ...(strategy === undefined
      ? {}
      : {
          replica: {
            fqdn: 'n1.m.hcp2.test',
            strategy,
            failover: { minProbe: 1, maxProbe: 10, successes: 2 },
          },
        }),
  })
  // Each request has a socket of its own, so that the name counts.
  return new Connection(target, { socketLifetime, connections: 1 })
}

async function link(action: 'failOver' | 'failBack'): Promise<void> {
  await using target = new Target('admin.hcp2.test', {
    port: hcp.ports.mapi,
    tls: { ca: hcp.ca },
    addresses: [...(hcp.ready.replica?.nodes ?? [])],
    authorization: new NativeAuthorization('sysadmin', 's01'),
  })
  await using connection = new Connection(target)
  const path = `/mapi/services/replication/links/${hcp.ready.link}`
  const response = await connection.post(path, undefined, { params: { [action]: '' } })
  expect([response.status, response.errorMessage]).toEqual([200, undefined])
}

const settle = async (): Promise<void> => {
  // The sockets of before are older than they may get.
  await new Promise((resolve) => {
    setTimeout(resolve, 5)
  })
}

test('what may go to the other system does, the rest is not sent, and without a replica nothing changes', async () => {
  const connections = {
    both: connect(readOnFailover | writeOnFailover),
    reads: connect(readOnFailover),
    plain: connect(),
  }
  const all = Object.values(connections)
  try {
    for (const [name, connection] of Object.entries(connections)) {
      const stored = await connection.put(`/rest/dns/before/${name}`, 'content')
      expect(stored).toMatchObject({ status: 201, system: 'primary', servicedBy: 'hcp1.test' })
    }
    await hcp.replicated()
    await link('failOver')
    for (const { target } of all) await target.circle.refresh()
    await settle()

    const { both, reads, plain } = connections
    for (const connection of [both, reads])
      await connection.head('/rest/dns/before/both').catch(() => undefined)
    await settle()
    const since = hcp.requests().at(-1)?.sequence ?? 0
    expect(await both.put('/rest/dns/during/both', 'content')).toMatchObject({
      status: 201,
      system: 'replica',
    })
    expect(await reads.get('/rest/dns/before/plain')).toMatchObject({ status: 200, servicedBy: 'hcp2.test' })
    const refused = await reads.put('/rest/dns/during/reads', 'content').catch((error: unknown) => error)
    expect(HcpError.isInstance(refused)).toBe(true)
    expect(refused).toMatchObject({ code: 'HCP_REPLICA', sent: false })
    expect(hcp.requests(since).filter(({ path }) => path === '/rest/dns/during/reads')).toEqual([])
    expect(both.failover?.state).toBe('failedOver')
    expect(await plain.put('/rest/dns/during/plain', 'content')).toMatchObject({
      status: 201,
      system: 'primary',
      servicedBy: 'hcp2.test',
    })

    await link('failBack')
    for (const connection of [both, reads]) {
      while (connection.failover?.state !== 'primary') {
        expect(await connection.head('/rest/dns/before/both')).toMatchObject({ status: 200 })
      }
    }
    const back = await both.put('/rest/dns/after/both', 'content')
    expect(back).toMatchObject({ status: 201, system: 'primary', servicedBy: 'hcp1.test' })
  } finally {
    for (const connection of all) {
      await connection.destroy()
      connection.target.close()
    }
  }
})

test('a write that the primary refuses shows that its name leads elsewhere, whatever connections are open', async () => {
  const connection = connect(readOnFailover | writeOnFailover, 100_000)
  try {
    expect(await connection.put('/rest/dns/before/kept', 'content')).toMatchObject({ system: 'primary' })
    await hcp.replicated()
    await link('failOver')
    // As the passive system of a link says it, over the connection of before.
    hcp.addFault({ kind: 'status', status: 403, method: 'PUT', cluster: 'primary', node: 'all' })
    expect(await connection.put('/rest/dns/refused/1', 'content')).toMatchObject({
      status: 403,
      system: 'primary',
    })
    for (let tries = 0; connection.failover?.state === 'primary' && tries < 500; tries++) await settle()
    expect(connection.failover).toMatchObject({ state: 'failedOver', reason: 'addresses' })
    expect(await connection.put('/rest/dns/refused/2', 'content')).toMatchObject({
      status: 201,
      system: 'replica',
    })
  } finally {
    await hcp.clearFaults()
    await link('failBack')
    await connection.destroy()
    connection.target.close()
  }
})
