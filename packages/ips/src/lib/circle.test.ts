import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import {
  addresses,
  closedPort,
  rcode,
  record,
  reply,
  scriptedNameServer,
  silence,
  type Script,
} from '../../test/scripted-name-server.ts'
import { Circle, type CircleOptions } from './circle.ts'
import { IpsError } from './errors.ts'
import { query } from './query.ts'

const NAME = 'n1.t1.hcp1.test'
const FOUR = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']

/** A clock that stands still until it is moved, in milliseconds. */
function clock(): { now: () => number; move: (ms: number) => void } {
  let time = 0
  return {
    now: () => time,
    move: (ms) => {
      time += ms
    },
  }
}

/** The next address, which must be a plain value, as it is once there is a list. */
function turn(circle: Circle): string {
  const address = circle.next()
  if (typeof address !== 'string') throw new TypeError('next() had no address at hand')
  return address
}

function turns(circle: Circle, count: number): string[] {
  return Array.from({ length: count }, () => turn(circle))
}

function withTtl(ttl: number, ...list: readonly string[]): Script {
  return (_, request) => [
    reply(
      request,
      list.map((address) => record(NAME, address, ttl)),
    ),
  ]
}

describe('the list', () => {
  test('is asked for at first use, once for all callers, and then handed out as plain values', async () => {
    await using server = await scriptedNameServer(addresses(...FOUR))
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4 })
    expect(circle.addresses).toEqual([])
    expect(server.asked).toEqual([])
    const first = await Promise.all(FOUR.map(async () => (await circle.next()) ?? ''))
    expect(first.toSorted()).toEqual(FOUR)
    expect(turns(circle, 4)).toEqual(first)
    expect(circle.addresses).toEqual(first)
    expect(server.asked).toHaveLength(1)
  })

  test('holds addresses of both families', async () => {
    await using server = await scriptedNameServer(addresses('127.0.0.1', '::1'))
    using circle = new Circle(NAME, { nameServers: [server.address] })
    await circle.refresh()
    expect(turns(circle, 2).toSorted()).toEqual(['127.0.0.1', '::1'])
  })

  test.each(['127.0.0.7', '::1', '[::1]'])('of the address %s is that address for ever', async (address) => {
    const { now, move } = clock()
    await using server = await scriptedNameServer(silence)
    using circle = new Circle(address, { nameServers: [server.address], now })
    const bare = address.replace(/[[\]]/g, '')
    expect(circle.addresses).toEqual([bare])
    expect(circle.next()).toBe(bare)
    move(10 ** 12)
    expect(circle.next()).toBe(bare)
    expect(await circle.refresh()).toEqual([bare])
    circle.failed(bare)
    expect(circle.next()).toBe(bare)
    expect(server.asked).toEqual([])
  })

  test('comes from the system when caches are allowed', async () => {
    using circle = new Circle('localhost', { cache: true, family: 4 })
    expect(await circle.next()).toBe('127.0.0.1')
  })

  test('is looked up anew by the next caller when the first look-up failed', async () => {
    await using server = await scriptedNameServer(rcode('SERVFAIL'))
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4 })
    const failing = Promise.allSettled([circle.next(), circle.next(), circle.refresh()])
    for (const outcome of await failing) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'IPS_SERVER_FAILURE', fqdn: NAME },
      })
    }
    expect(server.asked).toHaveLength(1)
    server.script = addresses('127.0.0.1')
    expect(await circle.next()).toBe('127.0.0.1')
  })
})

describe('refresh', () => {
  test.each([
    ['its TTL', 60, {}, 60],
    ['the least time when the TTL is shorter', 0, {}, 5],
    ['the longest time when the TTL is longer', 86_400, {}, 300],
    ['the least time given', 10, { minTtl: 20 }, 20],
    ['the longest time given', 60, { maxTtl: 30 }, 30],
  ])('happens in the background after %s', async (_, ttl, bounds, seconds) => {
    const { now, move } = clock()
    await using server = await scriptedNameServer(withTtl(ttl, '127.0.0.1'))
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4, now, ...bounds })
    await circle.next()
    move(seconds * 1000 - 1)
    expect(circle.next()).toBe('127.0.0.1')
    server.script = withTtl(ttl, '127.0.0.2')
    move(1)
    expect([circle.next(), circle.next()]).toEqual(['127.0.0.1', '127.0.0.1'])
    // Shares the look-up under way, so it shows when that has ended and starts none.
    await circle.refresh()
    expect(circle.next()).toBe('127.0.0.2')
    expect(server.asked).toHaveLength(2)
  })

  test('on demand follows changes: new addresses join, gone ones leave (W10)', async () => {
    await using server = await scriptedNameServer(addresses('127.0.0.1', '127.0.0.2'))
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4 })
    await circle.refresh()
    circle.failed('127.0.0.2')
    server.script = addresses('127.0.0.2', '127.0.0.3')
    expect((await circle.refresh()).toSorted()).toEqual(['127.0.0.2', '127.0.0.3'])
    expect([circle.next(), circle.next()]).toEqual(['127.0.0.3', '127.0.0.3'])
    expect(circle.health().find(({ address }) => address === '127.0.0.2')?.state).toBe('failed')
  })

  test('of the same addresses keeps the turn, so that none is starved (W10)', async () => {
    let rotation = 0
    await using server = await scriptedNameServer((question, request) => {
      rotation += 1
      return addresses(...FOUR.slice(rotation % 4), ...FOUR.slice(0, rotation % 4))(question, request)
    })
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4 })
    const taken = []
    for (let round = 0; round < 12; round += 1) {
      await circle.refresh()
      taken.push(turn(circle))
    }
    expect(taken.slice(4)).toEqual(taken.slice(0, 8))
    expect(taken.slice(0, 4).toSorted()).toEqual(FOUR)
  })

  test('is one look-up for all who ask at the same time', async () => {
    await using server = await scriptedNameServer(addresses(...FOUR))
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4 })
    await Promise.all([circle.refresh(), circle.next(), circle.refresh(), circle.next()])
    expect(server.asked).toHaveLength(1)
    await circle.refresh()
    expect(server.asked).toHaveLength(2)
  })

  test.each<[string, Script, string]>([
    ['no such name', rcode('NXDOMAIN'), 'IPS_NOT_FOUND'],
    ['no addresses', addresses(), 'IPS_NO_DATA'],
    ['a failure', rcode('SERVFAIL'), 'IPS_SERVER_FAILURE'],
    ['silence', silence, 'IPS_TIMEOUT'],
    ['garbage', () => [Buffer.from('garbage')], 'IPS_BAD_ANSWER'],
  ])('that brings %s keeps the list, rejects, and blocks nothing (W9)', async (_, script, code) => {
    const limits = { timeout: 300, deadline: 300 }
    await using server = await scriptedNameServer(addresses(...FOUR))
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4, ...limits })
    const before = await circle.refresh()
    server.script = script
    for (let round = 0; round < 2; round += 1) {
      const failing = circle.refresh()
      expect(circle.next()).toBe(before[round])
      await expect(failing).rejects.toMatchObject({ name: 'IpsError', code })
      expect(circle.addresses).toEqual(before)
    }
    server.script = addresses('127.0.0.9')
    expect(await circle.refresh()).toEqual(['127.0.0.9'])
  })

  test('in the background that fails is tried again later and later, up to the longest time (W9)', async () => {
    const { now, move } = clock()
    await using server = await scriptedNameServer(withTtl(5, '127.0.0.1'))
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4, now, maxTtl: 40 })
    await circle.next()
    server.script = rcode('SERVFAIL')
    for (const [failures, seconds] of [5, 5, 10, 20, 40, 40].entries()) {
      move(seconds * 1000 - 1)
      expect(circle.next()).toBe('127.0.0.1')
      move(1)
      expect(circle.next()).toBe('127.0.0.1')
      // Shares the look-up under way, so it shows when that has failed and starts none.
      await expect(circle.refresh()).rejects.toThrow(IpsError)
      expect(server.asked).toHaveLength(failures + 2)
    }
    expect(circle.addresses).toEqual(['127.0.0.1'])

    // Once it has worked, the next failure starts with the shortest wait again.
    server.script = withTtl(5, '127.0.0.1')
    await circle.refresh()
    server.script = rcode('SERVFAIL')
    await expect(circle.refresh()).rejects.toThrow(IpsError)
    const { length } = server.asked
    move(5000)
    turn(circle)
    await server.seen(length + 1)
  })

  test('in the background that fails disturbs nobody (W9)', async () => {
    const { now, move } = clock()
    await using server = await scriptedNameServer(withTtl(5, '127.0.0.1'))
    const nameServers = [server.address]
    using circle = new Circle(NAME, { nameServers, family: 4, now })
    await circle.next()
    server.script = rcode('SERVFAIL')
    move(5000)
    turn(circle)
    await server.seen(2)
    // Asked later, answered later: the refresh has failed by then. A rejection left alone would fail the run.
    await query(NAME, { nameServers, family: 4 })
    move(4999)
    expect(circle.next()).toBe('127.0.0.1')
    expect(server.asked).toHaveLength(3)
  })

  test('that was aborted by one caller goes on for the others', async () => {
    const answer = addresses('127.0.0.1')
    await using server = await scriptedNameServer((question, request) =>
      server.asked.length === 1 ? [] : answer(question, request),
    )
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4, timeout: 50 })
    const abort = new AbortController()
    const reason = new Error('enough')
    const patient = circle.refresh()
    const { signal } = abort
    const impatient = [circle.refresh({ signal }), Promise.resolve(circle.next({ signal }))]
    abort.abort(reason)
    for (const outcome of await Promise.allSettled(impatient)) expect(outcome).toMatchObject({ reason })
    expect(circle.addresses).toEqual([])
    expect(await patient).toEqual(['127.0.0.1'])
    expect(() => circle.next({ signal })).toThrow(reason)
    await expect(circle.refresh({ signal })).rejects.toBe(reason)
  })
})

describe('health (W8)', () => {
  test('a dead address is skipped, probed by exactly one caller, and back after its success', async () => {
    const { now, move } = clock()
    await using server = await scriptedNameServer(addresses(...FOUR))
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4, now, failureBackoff: 100 })
    await circle.next()
    circle.failed('127.0.0.3')
    expect(turns(circle, 20)).not.toContain('127.0.0.3')
    move(100)
    expect(turns(circle, 20).filter((address) => address === '127.0.0.3')).toHaveLength(1)
    expect(circle.health().find(({ address }) => address === '127.0.0.3')?.state).toBe('probing')
    circle.failed('127.0.0.3')
    move(199)
    expect(turns(circle, 20)).not.toContain('127.0.0.3')
    move(1)
    expect(turns(circle, 20).filter((address) => address === '127.0.0.3')).toHaveLength(1)
    circle.succeeded('127.0.0.3')
    expect(turns(circle, 20).filter((address) => address === '127.0.0.3')).toHaveLength(5)
  })

  test('a failed address can be skipped for a given time', async () => {
    const { now, move } = clock()
    await using server = await scriptedNameServer(addresses('127.0.0.1', '127.0.0.2'))
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4, now, minTtl: 300 })
    await circle.next()
    circle.failed('127.0.0.1', { retryAfter: 10_000 })
    move(9999)
    expect([circle.next(), circle.next()]).toEqual(['127.0.0.2', '127.0.0.2'])
    move(1)
    expect(turns(circle, 2).toSorted()).toEqual(['127.0.0.1', '127.0.0.2'])
  })

  test('one request walks over all addresses by excluding those it tried, then learns that there is no other', async () => {
    await using server = await scriptedNameServer(addresses(...FOUR))
    using circle = new Circle(NAME, { nameServers: [server.address], family: 4 })
    const exclude = new Set<string>()
    for (;;) {
      const address = await circle.next({ exclude })
      if (address === undefined) break
      expect(exclude.has(address)).toBe(false)
      exclude.add(address)
      circle.failed(address)
    }
    expect([...exclude].toSorted()).toEqual(FOUR)
    expect(circle.health().every(({ state }) => state === 'failed')).toBe(true)
    expect(FOUR).toContain(circle.next())
  })
})

test('many circles spread their first addresses evenly, whatever the name server puts first (W10)', async () => {
  await using server = await scriptedNameServer(addresses(...FOUR))
  let seed = 1
  const random = (): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647
  }
  const counts = new Map(FOUR.map((address) => [address, 0]))
  const options: CircleOptions = { nameServers: [server.address], family: 4, random }
  for (let number = 0; number < 400; number += 1) {
    using circle = new Circle(NAME, options)
    const address = (await circle.next()) ?? ''
    counts.set(address, (counts.get(address) ?? 0) + 1)
  }
  const statistic = [...counts.values()].reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0)
  // The 99.9 % quantile of chi-square for 3 degrees of freedom.
  expect(statistic).toBeLessThan(16.27)
})

test('iterating goes round without end, until the circle is closed', async () => {
  await using server = await scriptedNameServer(addresses(...FOUR))
  const circle = new Circle(NAME, { nameServers: [server.address], family: 4 })
  const taken: string[] = []
  for await (const address of circle) {
    taken.push(address)
    if (taken.length === 8) circle.close()
  }
  expect(taken.slice(4)).toEqual(taken.slice(0, 4))
  expect(taken.slice(0, 4).toSorted()).toEqual(FOUR)
})

async function allOf(circle: Circle): Promise<string[]> {
  const taken: string[] = []
  for await (const address of circle) taken.push(address)
  return taken
}

test('iterating ends when the circle is closed before there is a list', async () => {
  await using server = await scriptedNameServer(silence)
  const circle = new Circle(NAME, { nameServers: [server.address], timeout: 60_000, deadline: 60_000 })
  const taken = allOf(circle)
  await server.seen(1)
  circle.close()
  expect(await taken).toEqual([])
})

test('iterating fails when there is no list to be had', async () => {
  await using server = await scriptedNameServer(rcode('NXDOMAIN'))
  using circle = new Circle(NAME, { nameServers: [server.address] })
  await expect(allOf(circle)).rejects.toMatchObject({ code: 'IPS_NOT_FOUND' })
})

describe('a closed circle', () => {
  test.each<[string, (circle: Circle) => unknown]>([
    ['close()', (circle) => circle.close()],
    ['using', (circle) => circle[Symbol.dispose]()],
    ['await using', async (circle) => await circle[Symbol.asyncDispose]()],
  ])('(by %s) ends the look-up under way and gives nothing any more', async (_, close) => {
    await using server = await scriptedNameServer(silence)
    const options = { nameServers: [server.address], timeout: 60_000, deadline: 60_000 }
    const circle = new Circle(NAME, options)
    const waiting = Promise.allSettled([circle.next(), circle.refresh()])
    await server.seen(1)
    await close(circle)
    for (const outcome of await waiting)
      expect(outcome).toMatchObject({ reason: { code: 'IPS_CLOSED', fqdn: NAME } })
    expect(() => circle.next()).toThrow(IpsError)
    await expect(circle.refresh()).rejects.toMatchObject({ code: 'IPS_CLOSED' })
    await close(circle)
  })

  test('keeps what it knows for reading', async () => {
    await using server = await scriptedNameServer(addresses('127.0.0.1'))
    const circle = new Circle(NAME, { nameServers: [server.address] })
    await circle.next()
    circle.close()
    expect(circle.addresses).toEqual(['127.0.0.1'])
    circle.failed('127.0.0.1')
    expect(circle.health()).toHaveLength(1)
  })
})

describe('the process', () => {
  const load = `import { Circle, query } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href)}`
  const run = async (program: string): Promise<string> => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', `${load}\n${program}`])
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await once(child, 'close')
    return output.trim()
  }

  test('stays for a caller that waits', async () => {
    await using server = await scriptedNameServer(silence)
    const options = JSON.stringify({ nameServers: [server.address], timeout: 100, deadline: 300 })
    expect(await run(`console.log((await query('a.test', ${options})).error.code)`)).toBe('IPS_TIMEOUT')
    const refresh = `await new Circle('a.test', ${options}).refresh().catch(({ code }) => console.log(code))`
    expect(await run(refresh)).toBe('IPS_TIMEOUT')
  })

  test('is not kept by a refresh in the background', async () => {
    await using server = await scriptedNameServer((question, request) => {
      const known = reply(request, [record('a.test', '127.0.0.1')])
      return server.asked.length === 1 ? [known] : silence(question, request)
    })
    const options = `{ nameServers: ['${server.address}'], family: 4, timeout: 60000, deadline: 60000, now: () => now }`
    const program = `let now = 0
      const circle = new Circle('a.test', ${options})
      await circle.next()
      now = 10 ** 9
      console.log(circle.next())`
    expect(await run(program)).toBe('127.0.0.1')
  })
})

describe('wrong arguments', () => {
  test.each<[string, object | null, typeof TypeError | typeof RangeError, RegExp]>([
    ['a..b', {}, RangeError, /empty label/],
    [1 as unknown as string, {}, TypeError, /string/],
    [NAME, null, TypeError, /object/],
    [NAME, { signal: AbortSignal.abort() }, TypeError, /"signal"/],
    [NAME, { ttl: 3 }, TypeError, /"ttl"/],
    [NAME, { nameServers: ['x'] }, RangeError, /"x"/],
    [NAME, { family: 0 }, RangeError, /family/],
    [NAME, { timeout: -1 }, RangeError, /timeout/],
    [NAME, { minTtl: -1 }, RangeError, /minTtl/],
    [NAME, { minTtl: '5' }, TypeError, /minTtl/],
    [NAME, { minTtl: 10, maxTtl: 9 }, RangeError, /maxTtl/],
    [NAME, { failureBackoff: NaN }, RangeError, /failureBackoff/],
    [NAME, { failureBackoff: 10, maxFailureBackoff: 9 }, RangeError, /maxFailureBackoff/],
    [NAME, { random: 0.5 }, TypeError, /random/],
    [NAME, { now: 0 }, TypeError, /now/],
  ])('%j with %j are refused by the constructor', (fqdn, options, kind, message) => {
    const make = (): Circle => new Circle(fqdn, options as CircleOptions)
    expect(make).toThrow(kind)
    expect(make).toThrow(message)
  })

  test('of the methods are refused', async () => {
    using circle = new Circle('127.0.0.1')
    expect(() => circle.next({ excluded: [] } as never)).toThrow('"excluded"')
    expect(() => circle.next({ exclude: ['127.0.0.1'] } as never)).toThrow('Set')
    expect(() => circle.next({ signal: 1 } as never)).toThrow('AbortSignal')
    expect(() => circle.failed('127.0.0.1', { retryAfter: -1 })).toThrow(RangeError)
    expect(() => circle.failed('127.0.0.1', { after: 1 } as never)).toThrow('"after"')
    await expect(circle.refresh({ force: true } as never)).rejects.toThrow('"force"')
  })
})

test('a name server that goes and comes back costs nothing but the refreshes meanwhile', async () => {
  const port = await closedPort()
  using circle = new Circle(NAME, { nameServers: [`127.0.0.1:${port}`], family: 4 })
  await expect(circle.next()).rejects.toMatchObject({ code: 'IPS_NO_SERVERS' })
  {
    await using server = await scriptedNameServer(addresses('127.0.0.1'), '127.0.0.1', port)
    expect(await circle.next()).toBe('127.0.0.1')
    expect(server.asked).toHaveLength(1)
  }
  await expect(circle.refresh()).rejects.toMatchObject({ code: 'IPS_NO_SERVERS' })
  expect(circle.next()).toBe('127.0.0.1')
  await using server = await scriptedNameServer(addresses('127.0.0.2'), '127.0.0.1', port)
  expect(await circle.refresh()).toEqual(['127.0.0.2'])
  expect(server.asked).toHaveLength(1)
})

test('addresses that are given are handed out in turn, and nobody is asked', async () => {
  const given = ['192.0.2.1', '192.0.2.2', '2001:db8::1']
  const circle = new Circle('n1.t1.hcp1.test', { addresses: given, nameServers: ['127.0.0.1:9'] })
  const handedOut = given.map(() => circle.next())
  expect(new Set(handedOut)).toEqual(new Set(given))
  expect(new Set(await circle.refresh())).toEqual(new Set(given))
  circle.failed('192.0.2.1')
  expect([circle.next(), circle.next(), circle.next()]).not.toContain('192.0.2.1')
  circle.close()
})

test.each([[[]], [['node1']], ['192.0.2.1'], [[7]]])('addresses %j are refused', (addresses) => {
  expect(() => new Circle('n1.t1.hcp1.test', { addresses: addresses as never })).toThrow(/addresses/)
})
