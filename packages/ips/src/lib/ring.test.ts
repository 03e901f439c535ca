import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Ring } from './ring.ts'

const FOUR = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']

function ringOf(addresses: readonly string[], random: () => number = () => 0.999): Ring {
  const ring = new Ring({ firstSkip: 1000, longestSkip: 60_000, random })
  ring.replace(addresses)
  return ring
}

function turns(ring: Ring, count: number, now = 0): string[] {
  return Array.from({ length: count }, () => ring.take(now) ?? 'none')
}

/** Numbers from 0 to below 1 that are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Pearson's statistic against an even spread. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count) / counts.length
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

describe('turns', () => {
  test('go round, each address once per round', () => {
    const ring = ringOf(FOUR)
    const round = turns(ring, 4)
    expect(round.toSorted()).toEqual(FOUR)
    expect(turns(ring, 8)).toEqual([...round, ...round])
  })

  test('start at each address equally often, and any order is as likely as any other (W10)', () => {
    const random = seeded(7)
    const orders = new Map<string, number>()
    const first = new Map<string, number>()
    for (let circle = 0; circle < 24_000; circle += 1) {
      const [start, ...rest] = turns(ringOf(FOUR, random), 4)
      first.set(start!, (first.get(start!) ?? 0) + 1)
      const order = [start, ...rest].join()
      orders.set(order, (orders.get(order) ?? 0) + 1)
    }
    expect(orders.size).toBe(24)
    // 99.9 % quantiles for 3 and 23 degrees of freedom.
    expect(chiSquare([...first.values()])).toBeLessThan(16.27)
    expect(chiSquare([...orders.values()])).toBeLessThan(49.73)
  })

  test('do not depend on the order in which the name server had the addresses', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(FOUR, { minLength: 4 }), fc.integer(), (shuffled, seed) => {
        expect(turns(ringOf(shuffled, seeded(seed)), 4)).toEqual(turns(ringOf(FOUR, seeded(seed)), 4))
      }),
    )
  })

  test('go on where they were when the same addresses come in another order', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(FOUR, { minLength: 4 }), fc.nat(7), (shuffled, before) => {
        const ring = ringOf(FOUR)
        const undisturbed = turns(ringOf(FOUR), 16)
        const taken = turns(ring, before)
        ring.replace(shuffled)
        expect([...taken, ...turns(ring, 16 - before)]).toEqual(undisturbed)
      }),
    )
  })

  test('starve no address, however often the list is refreshed', () => {
    const ring = ringOf(FOUR)
    const count = new Map<string | undefined, number>()
    for (let turn = 0; turn < 400; turn += 1) {
      ring.replace([...FOUR.slice(turn % 4), ...FOUR.slice(0, turn % 4)])
      const address = ring.take(0)
      count.set(address, (count.get(address) ?? 0) + 1)
    }
    expect([...count.values()]).toEqual([100, 100, 100, 100])
  })

  test('include new addresses within a round, leave out those gone, and keep the order of the rest', () => {
    const pool = [...FOUR, '10.0.0.5', '10.0.0.6', '2001:db8::1']
    const list = fc.shuffledSubarray(pool, { minLength: 1 })
    fc.assert(
      fc.property(list, list, fc.nat(6), fc.integer(), (before, after, taken, seed) => {
        const ring = ringOf(before, seeded(seed))
        turns(ring, taken)
        const kept = turns(ring, before.length).filter((address) => after.includes(address))
        ring.replace(after)
        const round = turns(ring, after.length)
        expect(round.toSorted()).toEqual(after.toSorted())
        expect(round.filter((address) => before.includes(address))).toEqual(kept)
      }),
    )
  })

  test('of excluded addresses pass on to the next; if all are excluded there is none', () => {
    const ring = ringOf(FOUR)
    const [first, second, third] = turns(ringOf(FOUR), 3)
    expect(ring.take(0, new Set([first!, second!]))).toBe(third)
    expect(ring.take(0, new Set(FOUR))).toBeUndefined()
    expect(ringOf([]).take(0)).toBeUndefined()
  })
})

describe('a failed address (W8)', () => {
  test('is skipped, then handed to one caller, and to nobody else until that one reports', () => {
    const ring = ringOf(FOUR)
    ring.failed('10.0.0.2', 0)
    expect(turns(ring, 30, 999)).not.toContain('10.0.0.2')
    expect(turns(ring, 40, 1000).filter((address) => address === '10.0.0.2')).toHaveLength(1)
    expect(turns(ring, 40, 30_000)).not.toContain('10.0.0.2')
    ring.succeeded('10.0.0.2')
    expect(turns(ring, 40, 30_000).filter((address) => address === '10.0.0.2')).toHaveLength(10)
  })

  test('leaves its turns evenly to the others', () => {
    const ring = ringOf(FOUR)
    ring.failed('10.0.0.2', 0)
    const others = FOUR.filter((address) => address !== '10.0.0.2')
    const taken = turns(ring, 300)
    expect(others.map((other) => taken.filter((address) => address === other).length)).toEqual([
      100, 100, 100,
    ])
  })

  test('is skipped twice as long after each failed probe, up to the longest skip', () => {
    const ring = ringOf(['10.0.0.1', '10.0.0.2'])
    const skips = []
    let now = 0
    for (let probe = 0; probe < 9; probe += 1) {
      ring.failed('10.0.0.2', now)
      const { retryAt = 0 } = ring.health().find(({ address }) => address === '10.0.0.2')!
      skips.push(retryAt - now)
      now = retryAt
      expect(turns(ring, 2, now - 1)).not.toContain('10.0.0.2')
      expect(turns(ring, 2, now)).toContain('10.0.0.2')
    }
    expect(skips).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
  })

  test('counts one failure when many requests in flight report the same outage', () => {
    const ring = ringOf(FOUR)
    for (let request = 0; request < 32; request += 1) ring.failed('10.0.0.2', request)
    const [node] = ring.health().filter(({ failures }) => failures > 0)
    expect(node).toEqual({ address: '10.0.0.2', state: 'failed', failures: 1, retryAt: 1000 })
  })

  test('is skipped for as long as its answer asked for', () => {
    const ring = ringOf(FOUR)
    ring.failed('10.0.0.2', 0, 7000)
    ring.failed('10.0.0.2', 10, 5000)
    expect(turns(ring, 8, 6999)).not.toContain('10.0.0.2')
    expect(turns(ring, 8, 7000)).toContain('10.0.0.2')
  })

  test('is probed by another one when the first never reports', () => {
    const ring = ringOf(['10.0.0.1', '10.0.0.2'])
    ring.failed('10.0.0.2', 0)
    expect(turns(ring, 2, 1000)).toContain('10.0.0.2')
    expect(turns(ring, 2, 60_999)).not.toContain('10.0.0.2')
    expect(turns(ring, 4, 61_000).filter((address) => address === '10.0.0.2')).toHaveLength(1)
  })

  test('keeps its state over a refresh, and loses it when it leaves the list', () => {
    const ring = ringOf(FOUR)
    ring.failed('10.0.0.2', 0)
    ring.replace(FOUR.toReversed())
    expect(turns(ring, 8)).not.toContain('10.0.0.2')
    ring.replace(['10.0.0.1'])
    expect(ring.health()).toEqual([{ address: '10.0.0.1', state: 'healthy', failures: 0 }])
    ring.replace(FOUR)
    expect(turns(ring, 4)).toContain('10.0.0.2')
  })

  test("that is not in the ring is nobody's concern", () => {
    const ring = ringOf(FOUR)
    ring.failed('10.9.9.9', 0)
    ring.succeeded('10.9.9.9')
    expect(ring.health().map(({ state }) => state)).toEqual(['healthy', 'healthy', 'healthy', 'healthy'])
  })

  test('tells its state', () => {
    const ring = ringOf(['10.0.0.1'])
    const states = [ring.health()]
    ring.failed('10.0.0.1', 0)
    states.push(ring.health())
    ring.take(1000)
    states.push(ring.health())
    ring.succeeded('10.0.0.1')
    states.push(ring.health())
    const address = '10.0.0.1'
    expect(states.flat()).toEqual([
      { address, state: 'healthy', failures: 0 },
      { address, state: 'failed', failures: 1, retryAt: 1000 },
      { address, state: 'probing', failures: 1, retryAt: 61_000 },
      { address, state: 'healthy', failures: 0 },
    ])
  })
})

describe('when all addresses have failed', () => {
  test('the one whose skip ends first is handed out, each one in turn', () => {
    const ring = ringOf(FOUR)
    for (const [index, address] of FOUR.entries()) ring.failed(address, index)
    expect(turns(ring, 4, 100)).toEqual(FOUR)
    expect(turns(ring, 4, 101).toSorted()).toEqual(FOUR)
  })

  test('and all but one are excluded, that one is handed out', () => {
    const ring = ringOf(FOUR)
    for (const address of FOUR) ring.failed(address, 0)
    expect(ring.take(1, new Set(FOUR.slice(1)))).toBe('10.0.0.1')
  })

  test('a first success brings that address back for everybody', () => {
    const ring = ringOf(FOUR)
    for (const address of FOUR) ring.failed(address, 0)
    ring.succeeded('10.0.0.3')
    expect(turns(ring, 3, 1)).toEqual(['10.0.0.3', '10.0.0.3', '10.0.0.3'])
  })
})

test('whatever is reported and excluded, an address that may be used is found, and the books balance', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('failed' as const), address: fc.constantFrom(...FOUR) }),
    fc.record({ do: fc.constant('succeeded' as const), address: fc.constantFrom(...FOUR) }),
    fc.record({ do: fc.constant('take' as const), exclude: fc.subarray(FOUR) }),
    fc.record({ do: fc.constant('replace' as const), list: fc.subarray(FOUR, { minLength: 1 }) }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.nat(100_000) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const ring = ringOf(FOUR)
      let list = FOUR
      let now = 0
      for (const each of steps) {
        if (each.do === 'failed') ring.failed(each.address, now)
        if (each.do === 'succeeded') ring.succeeded(each.address)
        if (each.do === 'wait') now += each.ms
        if (each.do === 'replace') ring.replace((list = each.list))
        if (each.do === 'take') {
          const healthy = ring.health().filter(({ state }) => state === 'healthy')
          const due = ring.health().filter(({ retryAt = Infinity }) => retryAt <= now)
          const usable = [...healthy, ...due].map(({ address }) => address)
          const wanted = (addresses: string[]): string[] =>
            addresses.filter((one) => !each.exclude.includes(one))
          const address = ring.take(now, new Set(each.exclude))
          const allowed = wanted(usable).length > 0 ? wanted(usable) : wanted(list)
          if (allowed.length === 0) expect(address).toBeUndefined()
          else expect(allowed).toContain(address)
        }
        expect(ring.addresses.toSorted()).toEqual(list.toSorted())
        for (const { state, failures } of ring.health()) expect(state === 'healthy').toBe(failures === 0)
      }
      for (const address of FOUR) ring.succeeded(address)
      expect(turns(ring, list.length, now).toSorted()).toEqual(list.toSorted())
    }),
  )
})

test('all addresses in the order of trying: the one whose turn it is, healthy ones, then by the end of their skip', () => {
  const ring = ringOf(FOUR)
  const [first, second, third, fourth] = ring.addresses
  expect(ring.takeAll(0)).toEqual([first, second, third, fourth])
  expect(ring.takeAll(0)).toEqual([second, third, fourth, first])
  ring.failed(third!, 0, 9000)
  ring.failed(fourth!, 0, 5000)
  expect(ring.takeAll(0)).toEqual([first, second, fourth, third])
  expect(ring.takeAll(0, new Set(FOUR))).toEqual([])
})
