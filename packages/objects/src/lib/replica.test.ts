import { NativeAuthorization } from '@hcp/auth'
import { ReplicaStrategy, Target } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { ObjectClient, ObjectConflictError, ObjectNotFoundError } from '../index.ts'

let hcp: Emulator

beforeAll(async () => {
  hcp = await startEmulator({ nodes: 2, replicaDomain: 'hcp2.test' })
})
afterAll(() => hcp.close())
beforeEach(() => hcp.startCluster('primary'))

const { readAllowed, writeAllowed } = ReplicaStrategy

async function withClient(use: (client: ObjectClient) => Promise<void>): Promise<void> {
  await using target = new Target('n1.m.hcp1.test', {
    authorization: new NativeAuthorization('n', 'n01'),
    port: hcp.ports.http,
    tls: false,
    nameServers: [hcp.dns],
    replica: { fqdn: 'n1.m.hcp2.test', strategy: [readAllowed, writeAllowed] },
  })
  await target.resolve()
  await using client = new ObjectClient(target, { retry: { minDelay: 1, maxDelay: 5 } })
  await use(client)
}

test('a conflict is looked at where it was met', async () => {
  await withClient(async (client) => {
    await client.put('/rest/conflict', 'content')
    await hcp.replicated()
    await hcp.stopCluster('primary')
    const since = hcp.requests().at(-1)?.sequence ?? 0
    const error = await client.put('/rest/conflict', 'other').catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(ObjectConflictError)
    expect(error).toMatchObject({ conflict: 'different', system: 'replica' })
    const asked = hcp.requests(since).filter(({ path }) => path === '/rest/conflict')
    expect(asked.map(({ cluster, method }) => [cluster, method])).toEqual([
      ['replica', 'PUT'],
      ['replica', 'HEAD'],
    ])
    expect(await client.put('/rest/conflict', 'content', { acceptIdentical: true })).toMatchObject({
      created: false,
      system: 'replica',
    })
  })
})

test('an object that is being read goes on from the replica when the primary dies', async () => {
  await withClient(async (client) => {
    const content = Buffer.alloc(8_000_000, 'abcdefg')
    expect(await client.put('/rest/large', content)).toMatchObject({ system: 'primary' })
    await hcp.replicated()
    const reader = await client.get('/rest/large')
    expect(reader.system).toBe('primary')
    const pieces: Uint8Array[] = []
    for await (const piece of reader) {
      if (pieces.push(piece) === 1) await hcp.stopCluster('primary')
    }
    expect(Buffer.concat(pieces).equals(content)).toBe(true)
    expect(reader.resumed).toBeGreaterThan(0)
    expect(reader.verified).toBe(true)
  })
})

test('a call may name the system; what the replica alone does not have says whose answer it is', async () => {
  await withClient(async (client) => {
    hcp.setReplication({ paused: true })
    try {
      await client.put('/rest/here', 'content')
      const error = await client.head('/rest/here', { system: 'replica' }).catch((cause: unknown) => cause)
      expect(error).toBeInstanceOf(ObjectNotFoundError)
      expect(error).toMatchObject({ system: 'replica' })
    } finally {
      hcp.setReplication({ paused: false })
    }
  })
})
