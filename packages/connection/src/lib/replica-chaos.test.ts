import { Readable } from 'node:stream'
import { NativeAuthorization } from '@hcp/auth'
import { type Emulator, type Fault, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Body, Connection, HcpError, ReplicaStrategy, type SystemName, Target } from '../index.ts'

// Random faults of both systems, the same in every run: whatever was acknowledged is on the system that acknowledged it, and nothing was
// carried out on both.

const { readAllowed, readOnFailover, writeAllowed, writeOnFailover } = ReplicaStrategy
const authorization = new NativeAuthorization('n', 'n01')
let hcp: Emulator

beforeAll(async () => {
  hcp = await startEmulator({ replicaDomain: 'hcp2.test', nodes: 2 })
})
afterAll(() => hcp.close())

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const kinds: readonly Omit<Fault, 'cluster'>[] = [
  { kind: 'refuse', when: 'connect', node: 'all' },
  { kind: 'refuse', when: 'connect', node: 1 },
  { kind: 'reset', when: 'connect', node: 'all', count: 3 },
  { kind: 'reset', when: 'beforeHead', node: 'all', count: 3 },
  { kind: 'reset', when: 'beforeHead', node: 2 },
  { kind: 'reset', when: 'afterHead', node: 'all', count: 2 },
  { kind: 'status', status: 503, node: 'all' },
  { kind: 'status', status: 500, node: 'all', count: 2 },
  { kind: 'delay', ms: 20, node: 'all' },
]

const newTarget = (domain: string): Target =>
  new Target(`n1.m.${domain}`, { port: hcp.ports.http, tls: false, nameServers: [hcp.dns], authorization })

test.each([
  [1, [readOnFailover, writeOnFailover]],
  [2, [readAllowed, writeAllowed]],
  [3, [readAllowed, writeOnFailover]],
  [4, [readAllowed, readOnFailover, writeAllowed, writeOnFailover]],
])(
  'seed %i: nothing acknowledged is lost, nothing is done twice',
  async (seed, strategy) => {
    const random = randomOf(seed)
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
    await using target = new Target('n1.m.hcp1.test', {
      port: hcp.ports.http,
      tls: false,
      nameServers: [hcp.dns],
      authorization,
      replica: {
        fqdn: 'n1.m.hcp2.test',
        strategy,
        failover: { failures: 2, successes: 2, minProbe: 1, maxProbe: 5 },
      },
    })
    const connection = new Connection(target, { connections: 4, retry: { minDelay: 1, maxDelay: 4 } })
    const since = hcp.requests().at(-1)?.sequence ?? 0
    const acknowledged = new Map<string, SystemName>()
    const states = new Set<string>()
    let number = 0
    const write = async (): Promise<void> => {
      const path = `/rest/chaos/${seed}/${++number}`
      const stream = random() < 0.3
      const body: Body = stream ? Readable.from([path, ' streamed']) : path
      try {
        const response = await connection.put(path, body)
        if (response.ok) acknowledged.set(path, response.system)
        await response.dump()
      } catch (error) {
        expect(HcpError.isInstance(error)).toBe(true)
      }
      states.add(connection.failover?.state ?? '')
    }
    try {
      for (let round = 0; round < 25; round++) {
        await hcp.clearFaults()
        const cluster = random() < 0.8 ? 'primary' : 'replica'
        if (random() < 0.8) hcp.addFault({ ...pick(kinds), cluster })
        if (random() < 0.2)
          hcp.addFault({ ...pick(kinds), cluster: cluster === 'primary' ? 'replica' : 'primary' })
        await Promise.all(Array.from({ length: 4 }, write))
        await Promise.all(Array.from({ length: 4 }, write))
      }
    } finally {
      await connection.destroy()
      await hcp.clearFaults()
    }
    // Both ways were gone, and more than once.
    expect(states).toContain('failedOver')
    expect(new Set(acknowledged.values())).toEqual(new Set(['primary', 'replica']))

    const stored = hcp.requests(since).filter(({ method, found }) => method === 'PUT' && found === 201)
    const systems = new Map<string, SystemName>()
    for (const { path, cluster } of stored) {
      expect([path, systems.get(path) ?? cluster]).toEqual([path, cluster])
      systems.set(path, cluster)
    }
    for (const [system, domain] of [
      ['primary', 'hcp1.test'],
      ['replica', 'hcp2.test'],
    ] as const) {
      await using own = newTarget(domain)
      await using direct = new Connection(own, { verifyHash: true })
      for (const [path, by] of acknowledged) {
        if (by !== system) continue
        const found = await direct.get(path)
        expect([path, found.status]).toEqual([path, 200])
        expect((await found.text()).replace(' streamed', '')).toBe(path)
      }
    }
  },
  60_000,
)
