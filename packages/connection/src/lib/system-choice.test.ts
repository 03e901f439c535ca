import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Readable } from 'node:stream'
import { AnonymousAuthorization, NativeAuthorization } from '@hcp/auth'
import { describe, expect, test } from 'vitest'
import {
  answer,
  hangUp,
  reply,
  type ScriptServer,
  scriptServer,
  stall,
  type Step,
} from '../../test/script-server.ts'
import {
  Connection,
  type ConnectionOptions,
  HcpAmbiguousError,
  HcpConnectError,
  HcpError,
  HcpReplicaError,
  type ReplicaOptions,
  ReplicaStrategy,
  type RetryEvent,
  RetryBudget,
  RS_READ_ALLOWED,
  RS_READ_ON_FAILOVER,
  RS_WRITE_ALLOWED,
  RS_WRITE_ON_FAILOVER,
  Target,
} from '../index.ts'

const { readAllowed, readOnFailover, writeAllowed, writeOnFailover } = ReplicaStrategy
const everything = [readAllowed, readOnFailover, writeAllowed, writeOnFailover]
const onFailover = [readOnFailover, writeOnFailover]
const authorization = new AnonymousAuthorization()
const own = { 'X-HCP-ServicedBySystem': 'hcp1.test' }
const others = { 'X-HCP-ServicedBySystem': 'hcp2.test' }

/** Two systems on loopback; as their ports differ, only answers tell one from the other. */
interface Pair {
  readonly primary: ScriptServer
  readonly replica: ScriptServer
  readonly connection: Connection
}

async function withPair(
  [ofPrimary, ofReplica]: readonly [readonly Step[] | 'down', readonly Step[] | 'down'],
  strategy: readonly number[],
  use: (pair: Pair) => Promise<void>,
  options: ConnectionOptions = {},
  settings: Partial<ReplicaOptions> = {},
): Promise<void> {
  const primary = await scriptServer(...(ofPrimary === 'down' ? [] : ofPrimary))
  const replica = await scriptServer(...(ofReplica === 'down' ? [] : ofReplica))
  const refused = await refusedPort()
  await using target = new Target('n.t.hcp1.test', {
    addresses: ['127.0.0.1'],
    port: ofPrimary === 'down' ? refused : primary.port,
    tls: false,
    authorization,
    replica: {
      fqdn: 'n.t.hcp2.test',
      addresses: ['127.0.0.1'],
      port: ofReplica === 'down' ? refused + 1 : replica.port,
      strategy,
      failover: { failures: 2, minProbe: 1, maxProbe: 1, successes: 2 },
      ...settings,
    },
  })
  const connection = new Connection(target, {
    headersTimeout: 300,
    retry: { minDelay: 1, maxDelay: 2 },
    ...options,
  })
  try {
    await use({ primary, replica, connection })
  } finally {
    await connection.destroy()
    for (const server of [primary, replica]) await server[Symbol.asyncDispose]()
  }
}

/** A port at which nobody listens, and the one after it. */
async function refusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

const failure = (promise: Promise<unknown>): Promise<HcpError> =>
  promise.then(
    () => expect.fail('expected a failure'),
    (error: unknown) => error as HcpError,
  )
const paths = ({ seen }: ScriptServer): string[] => seen.map(({ method, path }) => `${method} ${path}`)

describe('bodies', () => {
  test('a stream of which nothing was sent goes to the replica whole, once', async () => {
    await withPair(['down', [reply(201)]], everything, async ({ replica, connection }) => {
      const response = await connection.put('/rest/a', Readable.from(['one ', 'two']))
      expect(response).toMatchObject({ status: 201, system: 'replica' })
      expect(replica.seen[0]?.body.toString()).toBe('one two')
      expect(paths(replica)).toEqual(['PUT /rest/a'])
    })
  })

  test('what may have reached the primary never goes to the replica, though all is allowed', async () => {
    await withPair([[hangUp(), reply(503), reply(503)], []], everything, async ({ replica, connection }) => {
      const error = await failure(connection.put('/rest/a', 'body', { retry: 2 }))
      expect(error).toBeInstanceOf(HcpAmbiguousError)
      expect(error).toMatchObject({ system: 'primary', sent: true })
      expect(replica.seen).toEqual([])
    })
  })

  test('a settlement stays on the system that the PUT went to', async () => {
    // SHA-256 of "body".
    const hash = 'SHA-256 230D8358DC8E8890B4C58DEEB62912EE2F20357AE92A5CC861B98E68FE31ACB5'
    const head = reply(200, { 'X-HCP-Hash': hash, 'X-HCP-Size': '4' })
    await withPair(['down', [hangUp(), head]], everything, async ({ replica, connection }) => {
      const response = await connection.put('/rest/a', 'body')
      expect(response).toMatchObject({ status: 201, settled: true, system: 'replica' })
      expect(paths(replica)).toEqual(['PUT /rest/a', 'HEAD /rest/a'])
    })
  })
})

describe('errors', () => {
  test('when both have failed name both, in order', async () => {
    await withPair(['down', 'down'], everything, async ({ connection }) => {
      const error = await failure(connection.get('/rest/a'))
      expect(error).toBeInstanceOf(HcpReplicaError)
      expect(HcpError.isInstance(error)).toBe(true)
      expect(error).toMatchObject({ code: 'HCP_REPLICA', sent: false, system: 'replica', method: 'GET' })
      const { errors } = error.cause as AggregateError
      expect(errors).toEqual([expect.any(HcpConnectError), expect.any(HcpConnectError)])
      expect(errors.map(({ system }) => system)).toEqual(['primary', 'replica'])
      expect(new Set(error.failures.map(({ system }) => system))).toEqual(new Set(['primary', 'replica']))
      expect(error.attempts).toBeGreaterThan(1)
    })
  })

  test('when only the replica could serve, and may not, say so', async () => {
    await withPair(['down', []], [readOnFailover], async ({ replica, connection }) => {
      expect((await connection.get('/rest/a')).system).toBe('replica')
      const error = await failure(connection.put('/rest/b', 'body'))
      expect(error).toMatchObject({ code: 'HCP_REPLICA', sent: false, cause: expect.any(HcpConnectError) })
      expect(error.message).toContain('readOnFailover')
      expect(paths(replica)).toEqual(['GET /rest/a'])
    })
  })

  test('a deadline bounds both systems together, and tells that something was sent', async () => {
    await withPair(
      [[hangUp(), hangUp()], [stall()]],
      everything,
      async ({ connection }) => {
        const began = performance.now()
        const error = await failure(connection.get('/rest/a', { deadline: 400 }))
        expect(error).toMatchObject({ code: 'HCP_TIMEOUT', phase: 'deadline', sent: true, system: 'replica' })
        expect(error.attempts).toBeGreaterThan(0)
        expect(performance.now() - began).toBeLessThan(3_000)
      },
      { headersTimeout: 30_000 },
    )
  })

  test('a signal ends a call at whichever system it is', async () => {
    await withPair(['down', [stall()]], everything, async ({ replica, connection }) => {
      const controller = new AbortController()
      const reason = new Error('enough')
      const asking = failure(connection.get('/rest/a', { signal: controller.signal }))
      await replica.until(1)
      controller.abort(reason)
      expect(await asking).toBe(reason)
    })
  })

  test('the caller’s own failures go nowhere else', async () => {
    await withPair([[], []], everything, async ({ replica, connection }) => {
      const body = (): never => {
        throw new Error('no such file')
      }
      expect(await failure(connection.put('/rest/a', body))).toMatchObject({ code: 'HCP_BODY' })
      expect(replica.seen).toEqual([])
    })
  })

  test('the budget of repetition is that of both systems', async () => {
    const budget = new RetryBudget(4)
    await withPair(
      ['down', []],
      everything,
      async ({ replica, connection }) => {
        expect(await failure(connection.get('/rest/a'))).toMatchObject({ code: 'HCP_CONNECT' })
        expect(replica.seen).toEqual([])
      },
      { retry: { budget } },
    )
  })
})

describe('a failed-over name', () => {
  test('that leads to another system is found out by its answers, and what may not go there is refused', async () => {
    await withPair(
      [[reply(200, others), reply(201, others)], []],
      [writeOnFailover],
      async ({ connection }) => {
        const error = await failure(connection.get('/rest/a'))
        expect(error).toMatchObject({ code: 'HCP_REPLICA', sent: true, system: 'primary' })
        expect(error.message).toContain('hcp2.test')
        expect(connection.failover).toMatchObject({ state: 'failedOver', reason: 'servicedBy' })
        // From now on it is known by its address, and nothing is sent there.
        expect(await failure(connection.get('/rest/b'))).toMatchObject({ code: 'HCP_REPLICA', sent: false })
      },
      {},
      { failover: { minProbe: 100_000 } },
    )
  })

  test('serves what may go there, as the answer says', async () => {
    await withPair(
      [[reply(201, others)], [reply(200, others)]],
      onFailover,
      async ({ replica, connection }) => {
        const stored = await connection.put('/rest/a', 'body')
        expect(stored).toMatchObject({ status: 201, system: 'primary', servicedBy: 'hcp2.test' })
        expect(await connection.get('/rest/a')).toMatchObject({ status: 200, system: 'replica' })
        expect(paths(replica)).toEqual(['GET /rest/a'])
      },
    )
  })

  test('tells of a write that may not have gone there that it was carried out', async () => {
    await withPair([[reply(201, others)], []], [readOnFailover], async ({ connection }) => {
      const error = await failure(connection.put('/rest/a', 'body'))
      expect(error).toMatchObject({ code: 'HCP_REPLICA', sent: true })
      expect(error.message).toContain('answered 201')
    })
  })
})

describe('the caller’s own limits', () => {
  const dry = { retry: false } as const

  test.each([
    ['a deadline', () => ({ deadline: 30 })],
    ['a signal', () => ({ signal: AbortSignal.timeout(30) })],
  ])('that are short say nothing of the primary: %s', async (_, limit) => {
    const stalls = Array.from({ length: 4 }, () => stall())
    await withPair([stalls, []], onFailover, async ({ replica, connection }) => {
      for (let read = 0; read < 4; read++) await failure(connection.get('/rest/a', { ...dry, ...limit() }))
      expect(connection.failover?.state).toBe('primary')
      expect(replica.seen).toEqual([])
    })
  })

  test('say nothing while an upload goes on, and are a sign of silence when it does not', async () => {
    await withPair(
      [[stall(), stall(), stall(), stall()], []],
      onFailover,
      async ({ connection }) => {
        const slow = async function* (): AsyncGenerator<string> {
          for (let piece = 0; piece < 100; piece++) {
            yield 'piece'
            await new Promise((resolve) => {
              setTimeout(resolve, 50)
            })
          }
        }
        for (let write = 0; write < 2; write++)
          await failure(connection.put('/rest/a', slow, { ...dry, deadline: 1_200 }))
        expect(connection.failover?.state).toBe('primary')
        for (let write = 0; write < 2; write++)
          await failure(connection.put('/rest/a', 'body', { ...dry, deadline: 1_200 }))
        expect(connection.failover).toMatchObject({ state: 'failedOver', reason: 'silent' })
      },
      { headersTimeout: 30_000 },
    )
  }, 15_000)
})

describe('a look at a name that has been taken over', () => {
  const settings = { failover: { minProbe: 1, maxProbe: 1, successes: 2 } }

  test('lets nothing else through to the other system', async () => {
    await withPair(
      [[reply(200, others), stall(), reply(201, others)], []],
      [readAllowed],
      async ({ primary, connection }) => {
        await connection.get('/rest/a')
        // One of the reads sets the look off, which is not answered.
        while (primary.seen.length < 2) await connection.get('/rest/b')
        expect(await failure(connection.put('/rest/c', 'body'))).toMatchObject({
          code: 'HCP_REPLICA',
          sent: false,
        })
        expect(paths(primary)).toEqual(['GET /rest/a', 'HEAD /rest'])
      },
      { headersTimeout: 30_000 },
      settings,
    )
  })

  test('takes no management there', async () => {
    await withPair(
      [[reply(200, others)], []],
      everything,
      async ({ primary, replica, connection }) => {
        await connection.get('/rest/a')
        for (const method of ['GET', 'DELETE']) {
          const error = await failure(connection.request(method, '/mapi/tenants/t'))
          expect(error).toMatchObject({ code: 'HCP_REPLICA', sent: false })
        }
        expect([paths(primary), paths(replica)]).toEqual([['GET /rest/a'], []])
      },
      {},
      { failover: { minProbe: 100_000, maxProbe: 100_000 } },
    )
  })
})

describe('coming back', () => {
  test('takes as many answers of the primary itself as were asked for; others do not count', async () => {
    const looks = [reply(200, others), reply(200, own), reply(503), reply(200, own), reply(200, own)]
    await withPair([[reply(200, others), ...looks], []], onFailover, async ({ primary, connection }) => {
      await connection.get('/rest/a')
      const states: string[] = []
      for (let read = 0; connection.failover?.state !== 'primary'; read++) {
        const { state = '' } = connection.failover ?? {}
        if (states.at(-1) !== state) states.push(state)
        expect((await connection.get(`/rest/${read}`)).system).toBe('replica')
      }
      expect(states).toEqual(['failedOver', 'returning', 'failedOver', 'returning'])
      expect(paths(primary).slice(1)).toEqual(looks.map(() => 'HEAD /rest'))
      expect((await connection.get('/rest/b')).system).toBe('primary')
    })
  })

  test('is looked for soon while the replica refuses writes', async () => {
    const looks = [...Array.from({ length: 12 }, () => reply(503)), reply(200, own), reply(200, own)]
    await withPair(
      [[reply(200, others), ...looks], Array.from({ length: 1_000 }, () => reply(403))],
      onFailover,
      async ({ replica, connection }) => {
        await connection.get('/rest/a')
        const began = performance.now()
        while (connection.failover?.state !== 'primary' && performance.now() - began < 4_000) {
          const { status, system } = await connection.put('/rest/b', 'body')
          expect(status).toBe(system === 'replica' ? 403 : 200)
          await new Promise((resolve) => {
            setTimeout(resolve, 1)
          })
        }
        expect(connection.failover?.state).toBe('primary')
        expect(replica.seen.length).toBeGreaterThan(0)
      },
      {},
      { failover: { minProbe: 1, maxProbe: 1_000_000, successes: 2 } },
    )
  })

  test('takes answers over connections that were opened since the name led elsewhere', async () => {
    let finish = (): void => {}
    const later: Step = { whole: (socket) => void (finish = () => socket.write(answer(200, own))) }
    await withPair(
      [[reply(200, own), later, reply(200, others)], []],
      [writeOnFailover],
      async ({ primary, connection }) => {
        await connection.get('/rest/a')
        const slow = connection.get('/rest/b')
        await primary.until(2)
        await failure(connection.get('/rest/c'))
        expect(connection.failover).toMatchObject({ state: 'failedOver', reason: 'servicedBy' })
        finish()
        expect((await slow).status).toBe(200)
        expect(connection.failover?.state).toBe('failedOver')
      },
      { headersTimeout: 30_000 },
      { failover: { minProbe: 100_000, maxProbe: 100_000, successes: 1 } },
    )
  })

  test('no look at the primary outlives the connection', async () => {
    await withPair([[reply(200, others), stall()], []], onFailover, async ({ primary, connection }) => {
      await connection.get('/rest/a')
      // One of the reads sets the look off.
      while (primary.seen.length < 2) await connection.get('/rest/b')
      const began = performance.now()
      await connection.close()
      expect(performance.now() - began).toBeLessThan(1_000)
    })
  })
})

describe('what one system does not have', () => {
  const settings = { failover: { successes: 2, minProbe: 100_000, maxProbe: 100_000 }, sharedAddresses: true }

  test.each([
    ['404', 404, [readAllowed], 'primary', 404],
    ['410', 410, [readAllowed], 'replica', 200],
    ['410', 410, [writeAllowed], 'primary', 410],
  ] as const)(
    '%s is asked of the replica where it may tell more',
    async (_, status, strategy, system, expected) => {
      await withPair([[reply(status)], []], strategy, async ({ connection }) => {
        expect(await connection.get('/rest/a')).toMatchObject({ status: expected, system })
      })
    },
  )

  test('an object that the primary lacks after it came back is read from the replica', async () => {
    await withPair(
      [
        [
          reply(200, others),
          reply(200, own),
          reply(200, own),
          reply(404, own),
          reply(404, own),
          reply(404, own),
        ],
        [reply(200), reply(404)],
      ],
      [readOnFailover],
      async ({ replica, connection }) => {
        await connection.get('/rest/start')
        while (connection.failover?.state !== 'primary')
          await connection.head('/rest/x', { system: 'primary' })
        expect(await connection.get('/rest/a')).toMatchObject({ status: 200, system: 'replica' })
        // What neither has is missing on the one that was asked first.
        expect(await connection.get('/rest/b')).toMatchObject({ status: 404, system: 'primary' })
        expect(paths(replica)).toEqual(['GET /rest/a', 'GET /rest/b'])
      },
      {},
      settings,
    )
  })

  test('a look for what is missing is one look, and its failure no failure', async () => {
    await withPair(
      [
        [reply(201), reply(404), reply(404)],
        [reply(201), stall()],
      ],
      [readAllowed, writeAllowed],
      async ({ replica, connection }) => {
        // The two may differ from here on.
        await connection.put('/rest/a', 'x', { system: 'replica' })
        await connection.put('/rest/b', 'x')
        expect(await connection.get('/rest/c')).toMatchObject({ status: 404, system: 'primary' })
        // Nor does it cost every such request that time.
        expect(await connection.get('/rest/d')).toMatchObject({ status: 404, system: 'primary' })
        expect(paths(replica)).toEqual(['PUT /rest/a', 'GET /rest/c'])
      },
    )
  })

  test('the answer that was chosen ends with its signal, whichever system was asked last', async () => {
    const endless: Step = {
      whole: (socket) => socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 10000000\r\n\r\nnot'),
    }
    await withPair(
      [[endless], [reply(201), reply(404)]],
      [readAllowed, writeAllowed],
      async ({ connection }) => {
        await connection.put('/rest/a', 'x', { system: 'replica' })
        const controller = new AbortController()
        const response = await connection.get('/rest/b', { signal: controller.signal })
        expect(response).toMatchObject({ status: 404, system: 'primary' })
        const reading = failure(response.bytes())
        controller.abort(new Error('enough'))
        expect((await reading).message).toBe('enough')
      },
      { bodyTimeout: 30_000 },
    )
  })

  test('a 404 of the replica alone says whose it is', async () => {
    await withPair(['down', [reply(404)]], [readAllowed], async ({ connection }) => {
      expect(await connection.get('/rest/a')).toMatchObject({ status: 404, system: 'replica' })
    })
  })

  test('a 404 of the replica is no better than a primary that is busy', async () => {
    await withPair([[reply(503), reply(503)], [reply(404)]], [readAllowed], async ({ connection }) => {
      expect(await connection.get('/rest/a')).toMatchObject({ status: 503, system: 'primary' })
    })
  })
})

describe('a named system', () => {
  test('is asked, and no other', async () => {
    await withPair([[reply(404)], [reply(201)]], everything, async ({ primary, replica, connection }) => {
      expect(await connection.put('/rest/a', 'x', { system: 'replica' })).toMatchObject({
        status: 201,
        system: 'replica',
      })
      expect(await connection.get('/rest/b', { system: 'primary' })).toMatchObject({
        status: 404,
        system: 'primary',
      })
      expect([paths(primary), paths(replica)]).toEqual([['GET /rest/b'], ['PUT /rest/a']])
    })
    await withPair(['down', []], everything, async ({ replica, connection }) => {
      const error = await failure(connection.get('/rest/a', { system: 'primary' }))
      expect(error).toMatchObject({ code: 'HCP_CONNECT', system: 'primary' })
      expect(replica.seen).toEqual([])
    })
  })

  test('is refused where the strategy does not allow it', async () => {
    await withPair([[], []], [readAllowed, writeOnFailover], async ({ replica, connection }) => {
      const error = await failure(connection.put('/rest/a', 'x', { system: 'replica' }))
      expect(error).toMatchObject({ code: 'HCP_REPLICA', sent: false })
      expect(error.message).toContain('does not count as failed over')
      expect(replica.seen).toEqual([])
    })
  })

  test('has to be one that there is', async () => {
    await using server = await scriptServer()
    await using connection = new Connection(server.target)
    expect((await connection.get('/rest/a', { system: 'primary' })).system).toBe('primary')
    await expect(connection.get('/rest/a', { system: 'replica' })).rejects.toThrow(RangeError)
    await expect(connection.get('/rest/a', { system: 'other' as 'replica' })).rejects.toThrow(
      'system must be',
    )
    expect(connection.failover).toBeUndefined()
  })

  test('management is each system’s own', async () => {
    await withPair(['down', []], everything, async ({ replica, connection }) => {
      expect(await failure(connection.get('/mapi/tenants'))).toMatchObject({ code: 'HCP_CONNECT' })
      expect(replica.seen).toEqual([])
    })
  })
})

describe('hedged reads', () => {
  const hedge = { after: 20 }

  test('take the first good answer, and give the other request up', async () => {
    await withPair(
      [[stall()], [reply(200, {}, 'content')]],
      [readAllowed],
      async ({ primary, replica, connection }) => {
        const response = await connection.get('/rest/a')
        expect(response.system).toBe('replica')
        expect(await response.text()).toBe('content')
        expect([paths(primary), paths(replica)]).toEqual([['GET /rest/a'], ['GET /rest/a']])
        // Nothing is left that would keep the connection from closing.
        await connection.close()
      },
      { hedge, headersTimeout: 30_000 },
    )
  })

  test('do not take a replica’s 404 for the answer, nor its failure', async () => {
    for (const step of [reply(404), reply(503), hangUp()]) {
      const slow: Step = {
        whole: (socket) =>
          void setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 150),
      }
      await withPair(
        [[slow], [step, step, step, step, step]],
        [readAllowed],
        async ({ connection }) => {
          const response = await connection.get('/rest/a')
          expect(response.system).toBe('primary')
          expect(await response.text()).toBe('ok')
        },
        { hedge, headersTimeout: 30_000 },
      )
    }
  })

  test('are for reads only, and for as much as the budget allows', async () => {
    const later = (status: number): Step => ({
      whole: (socket) =>
        void setTimeout(() => socket.write(`HTTP/1.1 ${status} OK\r\nContent-Length: 0\r\n\r\n`), 60),
    })
    await withPair(
      [[later(201), later(200)], []],
      everything,
      async ({ replica, connection }) => {
        expect((await connection.put('/rest/a', 'x')).system).toBe('primary')
        expect((await connection.get('/rest/a')).system).toBe('primary')
        expect(replica.seen).toEqual([])
      },
      { hedge, retry: { budget: new RetryBudget(4) } },
    )
  })

  test('by p95 begin when it is known what is usual', async () => {
    const quick = Array.from({ length: 20 }, () => reply(200))
    await withPair(
      [[...quick, stall()], []],
      [readAllowed],
      async ({ replica, connection }) => {
        for (let read = 0; read < 20; read++) expect((await connection.get('/rest/a')).system).toBe('primary')
        expect(replica.seen).toEqual([])
        expect((await connection.get('/rest/a')).system).toBe('replica')
      },
      { hedge: { after: 'p95' }, headersTimeout: 30_000 },
    )
  })

  test('do not hide that the primary is silent', async () => {
    await withPair(
      [Array.from({ length: 1_000 }, () => stall()), []],
      [readAllowed],
      async ({ connection }) => {
        for (let read = 0; read < 400 && connection.failover?.state === 'primary'; read++)
          expect((await connection.get('/rest/a')).system).toBe('replica')
        expect(connection.failover).toMatchObject({ state: 'failedOver', reason: 'silent' })
      },
      { hedge, retry: { budget: new RetryBudget(1_000_000) } },
    )
  }, 15_000)

  test('end with their signal', async () => {
    await withPair(
      [[stall()], [stall()]],
      [readAllowed],
      async ({ replica, connection }) => {
        const controller = new AbortController()
        const asking = failure(connection.get('/rest/a', { signal: controller.signal }))
        await replica.until(1)
        controller.abort(new Error('enough'))
        expect((await asking).message).toBe('enough')
        await connection.close()
      },
      { hedge, headersTimeout: 30_000 },
    )
  })

  test.each([
    [{ after: 0 }, 'hedge.after'],
    [{ after: 'p99' }, 'hedge.after'],
    [{ delay: 1 }, 'unknown option'],
  ])('options %j are refused', async (options, message) => {
    await using server = await scriptServer()
    const target = new Target('a.test', {
      authorization,
      replica: { target: server.target, strategy: readAllowed },
    })
    expect(() => new Connection(target, { hedge: options as { after: number } })).toThrow(message)
    expect(() => new Connection(server.target, { hedge })).toThrow('readAllowed')
  })
})

describe('both pools', () => {
  test('are counted, and closed', async () => {
    await withPair([[], []], everything, async ({ primary, replica, connection }) => {
      await connection.get('/rest/a')
      await connection.get('/rest/a', { system: 'replica' })
      expect(connection.sockets.get('127.0.0.1')).toBe(2)
      connection.avoid('127.0.0.1')
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
      expect(connection.sockets.size).toBe(0)
      await connection.get('/rest/a')
      await connection.close()
      expect(connection.sockets.size).toBe(0)
      expect([primary.connections, replica.connections]).toEqual([2, 1])
    })
  })

  test('events name the system', async () => {
    const events: [string, RetryEvent][] = []
    const names = ['hcp:request', 'hcp:retry', 'hcp:response', 'hcp:error']
    const listeners = names.map(
      (name) =>
        (event: unknown): void =>
          void events.push([name, event as RetryEvent]),
    )
    for (const [index, name] of names.entries()) subscribe(name, listeners[index] as () => void)
    try {
      await withPair(['down', []], [readAllowed], async ({ connection }) => {
        await (await connection.get('/rest/a')).dump()
      })
    } finally {
      for (const [index, name] of names.entries()) unsubscribe(name, listeners[index] as () => void)
    }
    expect(events.map(([name, { system, code }]) => [name, system, code])).toEqual([
      ['hcp:request', 'primary', undefined],
      ['hcp:retry', 'primary', 'HCP_CONNECT'],
      ['hcp:request', 'replica', undefined],
      ['hcp:response', 'replica', undefined],
    ])
  })
})

describe('a target', () => {
  const make = (replica: unknown): Target =>
    new Target('n.t.hcp1.test', {
      authorization,
      port: 8443,
      nameServers: ['127.0.0.1:1'],
      replica: replica as ReplicaOptions,
    })

  test('hands on what the replica is not given', async () => {
    const own = new NativeAuthorization('n', 'n01')
    await using target = make({ fqdn: 'n.t.hcp2.test', strategy: RS_READ_ALLOWED | RS_WRITE_ON_FAILOVER })
    expect(target.replica).toMatchObject({ strategy: 9, eager: false })
    expect(target.replica?.target).toMatchObject({
      fqdn: 'n.t.hcp2.test',
      port: 8443,
      tls: true,
      authorization,
    })
    const given = make({
      fqdn: 'n.t.hcp2.test',
      strategy: [RS_READ_ON_FAILOVER],
      authorization: own,
      port: 80,
      tls: false,
    })
    expect(given.replica?.target).toMatchObject({ port: 80, tls: false, authorization: own })
    expect([RS_READ_ALLOWED, RS_READ_ON_FAILOVER, RS_WRITE_ALLOWED, RS_WRITE_ON_FAILOVER]).toEqual([
      1, 2, 4, 8,
    ])
  })

  test.each([
    [{ strategy: 1 }, 'give its fqdn'],
    [{ fqdn: 'a.test', target: 1, strategy: 1 }, 'give its fqdn'],
    [{ target: {}, strategy: 1 }, 'replica.target must be a Target'],
    [{ fqdn: 'a.test' }, 'replica.strategy'],
    [{ fqdn: 'a.test', strategy: [] }, 'at least one'],
    [{ fqdn: 'a.test', strategy: 'READ_ALLOWED' }, 'constants of ReplicaStrategy'],
    [{ fqdn: 'a.test', strategy: 16 }, '16'],
    [{ fqdn: 'n.t.hcp1.test', strategy: 1 }, 'the target itself'],
    [{ fqdn: 'a.test', strategy: 1, eager: 1 }, 'replica.eager'],
    [{ fqdn: 'a.test', strategy: 1, retries: 1 }, 'unknown option "retries"'],
    [{ target: new Target('a.test', { authorization }), strategy: 1, port: 80 }, 'replica.port'],
  ])('refuses a replica %# that cannot work', (replica, message) => {
    expect(() => make(replica)).toThrow(message)
  })

  test.each([false, true])(
    'whose replica has no addresses says so, eager: %s',
    async (eager) => {
      await using server = await scriptServer()
      await using target = new Target('n.t.hcp1.test', {
        authorization,
        addresses: ['127.0.0.1'],
        port: server.port,
        tls: false,
        replica: { fqdn: 'n.t.hcp2.test', nameServers: ['127.0.0.1:1'], strategy: everything, eager },
      })
      const error = await failure(target.resolve())
      expect(error).toBeInstanceOf(HcpReplicaError)
      expect(error).toMatchObject({ code: 'HCP_REPLICA_INIT', system: 'replica' })
      expect(error.cause).toHaveProperty('code', expect.stringMatching(/^IPS_/))
      const connection = new Connection(target)
      try {
        const answer = await connection.get('/rest/a').catch((cause: unknown) => cause)
        expect(answer).toMatchObject(
          eager ? { code: 'HCP_REPLICA_INIT' } : { status: 200, system: 'primary' },
        )
        const wanted = await failure(connection.get('/rest/a', { system: 'replica', retry: false }))
        expect(wanted).toMatchObject({ code: 'HCP_REPLICA_INIT' })
      } finally {
        await connection.destroy()
      }
    },
    30_000,
  )
})
