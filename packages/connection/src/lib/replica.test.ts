import { NativeAuthorization } from '@hcp/auth'
import { type Emulator, type RequestRecord, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Connection, HcpError, type HcpResponse, ReplicaStrategy, Target } from '../index.ts'

// The table of docs/replicas.md: for each strategy and each thing that may have befallen the primary, which system a request reaches. What
// reached which is proved by the requests that the two systems have seen.

const { readAllowed, readOnFailover, writeAllowed, writeOnFailover } = ReplicaStrategy

let hcp: Emulator
const authorization = new NativeAuthorization('n', 'n01')
let number = 0

beforeAll(async () => {
  hcp = await startEmulator({ replicaDomain: 'hcp2.test', nodes: 2 })
  // What each of them has is what it was asked to store.
  hcp.setReplication({ paused: true })
})
afterAll(() => hcp.close())

const common = (): {
  port: number
  tls: false
  nameServers: string[]
  authorization: NativeAuthorization
} => ({
  port: hcp.ports.http,
  tls: false,
  nameServers: [hcp.dns],
  authorization,
})

/** Who must have answered, or the error's code. */
type Expected = 'primary' | 'replica' | 'primary 503' | `HCP_${string}`
interface Condition {
  readonly name: string
  /** By strategy alone: reads, then writes. */
  readonly reads: readonly [allowed: Expected, onFailover: Expected, neither: Expected]
  readonly writes: readonly [allowed: Expected, onFailover: Expected, neither: Expected]
  /** Failures in a row that are a failover. */
  readonly failures?: number
  /** Tries of a request. */
  readonly attempts?: number
  readonly arrange: (connections: readonly Connection[]) => Promise<void>
}

const all = { node: 'all', cluster: 'primary' } as const

const conditions: readonly Condition[] = [
  {
    name: 'the primary is well',
    reads: ['primary', 'primary', 'primary'],
    writes: ['primary', 'primary', 'primary'],
    arrange: async () => {},
  },
  {
    name: 'one node is down',
    reads: ['primary', 'primary', 'primary'],
    writes: ['primary', 'primary', 'primary'],
    arrange: () => hcp.stopNode(1),
  },
  {
    name: 'all nodes refuse',
    reads: ['replica', 'HCP_CONNECT', 'HCP_CONNECT'],
    writes: ['replica', 'HCP_CONNECT', 'HCP_CONNECT'],
    arrange: async () => void hcp.addFault({ ...all, kind: 'refuse', when: 'connect' }),
  },
  {
    // The request that makes the primary count as failed over goes on to the replica itself.
    name: 'all nodes refuse often enough',
    reads: ['replica', 'replica', 'HCP_REPLICA'],
    writes: ['replica', 'replica', 'HCP_REPLICA'],
    failures: 2,
    arrange: async () => void hcp.addFault({ ...all, kind: 'refuse', when: 'connect' }),
  },
  {
    name: 'all nodes are silent',
    reads: ['replica', 'HCP_TIMEOUT', 'HCP_TIMEOUT'],
    writes: ['HCP_', 'HCP_', 'HCP_'],
    // Time limits have a grain of a second.
    attempts: 1,
    arrange: async () => void hcp.addFault({ ...all, kind: 'hang', when: 'beforeHead' }),
  },
  {
    name: 'all nodes break the connection',
    reads: ['replica', 'HCP_SOCKET', 'HCP_SOCKET'],
    writes: ['HCP_', 'HCP_', 'HCP_'],
    arrange: async () => void hcp.addFault({ ...all, kind: 'reset', when: 'beforeHead' }),
  },
  {
    name: 'all nodes answer 503',
    reads: ['replica', 'primary 503', 'primary 503'],
    writes: ['primary 503', 'primary 503', 'primary 503'],
    arrange: async () => void hcp.addFault({ ...all, kind: 'status', status: 503 }),
  },
  {
    name: 'the name leads to the replica',
    reads: ['replica', 'replica', 'HCP_REPLICA'],
    writes: ['replica', 'replica', 'HCP_REPLICA'],
    arrange: async () => {
      hcp.setDns({ mode: 'fixed', addresses: [...(hcp.ready.replica?.nodes ?? [])] })
    },
  },
  {
    name: 'the primary counts as failed over',
    reads: ['replica', 'replica', 'HCP_REPLICA'],
    writes: ['replica', 'replica', 'HCP_REPLICA'],
    failures: 2,
    arrange: async (connections) => {
      await hcp.stopCluster()
      await Promise.all(connections.map(failOver))
    },
  },
  {
    name: 'the primary is back',
    reads: ['primary', 'primary', 'primary'],
    writes: ['primary', 'primary', 'primary'],
    failures: 2,
    arrange: async (connections) => {
      await hcp.stopCluster()
      await Promise.all(connections.map(failOver))
      await hcp.startCluster()
      await Promise.all(connections.map(comeBack))
    },
  },
]

async function failOver(connection: Connection): Promise<void> {
  while (connection.failover?.state !== 'failedOver') {
    await connection.head('/rest/nothing', { system: 'primary', retry: false }).catch(() => undefined)
  }
}

async function comeBack(connection: Connection): Promise<void> {
  while (connection.failover?.state !== 'primary') {
    await connection.head('/rest/nothing', { system: 'primary', retry: false }).catch(() => undefined)
  }
}

/** Each alone, and what they make together: of two for the same kind of request the wider one counts. */
const strategies: readonly [string, readonly number[], read: 0 | 1 | 2, write: 0 | 1 | 2][] = [
  ['readAllowed', [readAllowed], 0, 2],
  ['readOnFailover', [readOnFailover], 1, 2],
  ['writeAllowed', [writeAllowed], 2, 0],
  ['writeOnFailover', [writeOnFailover], 2, 1],
  ['readOnFailover and writeOnFailover', [readOnFailover, writeOnFailover], 1, 1],
  ['readAllowed and writeOnFailover', [readAllowed, writeOnFailover], 0, 1],
  ['readAllowed and writeAllowed', [readAllowed, writeAllowed], 0, 0],
  ['all four', [readAllowed, readOnFailover, writeAllowed, writeOnFailover], 0, 0],
]

async function recover(): Promise<void> {
  hcp.setDns({ mode: 'ok' })
  await hcp.clearFaults()
  for (const cluster of ['primary', 'replica'] as const) await hcp.startCluster(cluster)
}

/** An object that both systems have. */
async function objectOnBoth(): Promise<string> {
  const path = `/rest/table/${++number}`
  for (const domain of ['hcp1.test', 'hcp2.test']) {
    await using target = new Target(`n1.m.${domain}`, common())
    await using connection = new Connection(target)
    expect((await connection.put(path, 'content')).status).toBe(201)
  }
  return path
}

function summary(outcome: HcpResponse | HcpError): string {
  if (outcome instanceof HcpError) return outcome.code
  return outcome.status === 503 ? `${outcome.system} 503` : outcome.system
}

const methods = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'] as const

/** One connection for each strategy, all at a time. */
function connect(strategy: readonly number[], failures: number, attempts: number): Connection {
  const target = new Target('n1.m.hcp1.test', {
    ...common(),
    replica: {
      fqdn: 'n1.m.hcp2.test',
      strategy,
      failover: { failures, time: 1_000_000, minProbe: 100_000, maxProbe: 100_000, successes: 2 },
    },
  })
  return new Connection(target, {
    connectTimeout: 2_000,
    headersTimeout: 500,
    retry: { attempts, minDelay: 1, maxDelay: 2 },
  })
}

const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD'

async function check(
  connection: Connection,
  method: string,
  path: string,
  expected: Expected,
): Promise<void> {
  const since = hcp.requests().at(-1)?.sequence ?? 0
  const body =
    method === 'PUT' ? 'content' : method === 'POST' ? new URLSearchParams({ index: 'false' }) : null
  let outcome: HcpResponse | HcpError
  try {
    outcome = await connection.request(method, path, { body })
    await outcome.dump()
  } catch (error) {
    if (!(error instanceof HcpError)) throw error
    outcome = error
  }
  const said = summary(outcome)
  expect(expected === 'HCP_' ? said.slice(0, 4) : said).toBe(expected)
  if (said === 'primary' || said === 'replica') expect((outcome as HcpResponse).ok).toBe(true)
  const seen = hcp.requests(since).filter((record: RequestRecord) => record.path === path)
  const reached = new Set(seen.map(({ cluster }) => cluster))
  // Nothing but what the table says reaches the replica, and no write reaches both.
  expect(reached.has('replica')).toBe(expected === 'replica')
  if (!isRead(method)) expect(reached.size).toBeLessThanOrEqual(1)
  if (outcome instanceof HcpError) expect(outcome.sent).toBe(reached.size > 0)
}

test.each(conditions)(
  'when $name each strategy reaches what it may, and nothing else',
  async ({ reads, writes, failures = 1_000, attempts = 2, arrange }) => {
    await recover()
    const paths = new Map<string, string>()
    for (const [name] of strategies) {
      for (const method of methods) {
        const path = method === 'PUT' ? `/rest/table/${++number}` : await objectOnBoth()
        paths.set(name + method, path)
      }
    }
    const connections = strategies.map(([, strategy]) => connect(strategy, failures, attempts))
    try {
      await arrange(connections)
      const wrong: string[] = []
      const checks = strategies.map(async ([name, , read, write], index) => {
        for (const method of methods) {
          const expected = isRead(method) ? reads[read] : writes[write]
          const path = paths.get(name + method) as string
          await check(connections[index] as Connection, method, path, expected).catch((error: unknown) => {
            wrong.push(`${name}, ${method}: ${(error as Error).message}`)
          })
        }
      })
      await Promise.all(checks)
      expect(wrong).toEqual([])
    } finally {
      for (const connection of connections) {
        await connection.destroy()
        connection.target.close()
      }
    }
  },
  30_000,
)
