import { once } from 'node:events'
import type { networkInterfaces } from 'node:os'
import { Worker } from 'node:worker_threads'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PathBuilder } from '../index.ts'
import { NameSource } from './name-source.ts'
import { macAddress, nameSource, threadClockSequence } from './node.ts'

const here = new URL('.', import.meta.url).href
const card = Buffer.from('98fe94437d8c', 'hex')
const node = (name: string): string => name.slice(24)
const clockSequence = (name: string): string => name.slice(19, 23)
/** Names of one source, compared in the order in which they were made. */
const time = (name: string): string => `${name.slice(15, 18)}${name.slice(9, 13)}${name.slice(0, 8)}`

describe('one process', () => {
  test('a million names of several path builders are a million names', () => {
    const builders = [
      new PathBuilder(),
      new PathBuilder({ initialPath: '/rest/x' }),
      new PathBuilder({ node: 'random' }),
    ]
    const names = new Set<string>()
    for (let index = 0; index < 1_000_000; index++) {
      names.add(builders[index % builders.length]!.getUnique('a').name)
    }
    expect(names.size).toBe(1_000_000)
  })

  test('however the clock steps, each name is later than the one before', () => {
    const clock = fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -1e9, max: 1e9 })))
    fc.assert(
      fc.property(clock, fc.array(fc.integer({ min: 0, max: 9_999 }), { minLength: 1 }), (steps, ticks) => {
        let [now, drawn] = [1_795_000_000_000, 0]
        const firstTick = (): number => ticks[drawn++ % ticks.length]!
        const source = new NameSource({ node: card, clockSequence: 1, now: () => now, firstTick })
        let last = time(source.next())
        for (const step of steps) {
          now += step
          const name = source.next()
          expect(time(name) > last).toBe(true)
          expect([clockSequence(name), node(name)]).toEqual(['8001', '98fe94437d8c'])
          last = time(name)
        }
      }),
    )
  })

  test('a clock that stands still does not exhaust the names', () => {
    const source = new NameSource({ node: card, clockSequence: 1, now: () => 1_795_000_000_000 })
    const names = new Set<string>()
    for (let index = 0; index < 50_000; index++) names.add(source.next())
    expect(names.size).toBe(50_000)
  })

  test('a clock that stepped back is followed again once it has caught up', () => {
    let now = 1_795_000_000_000
    const source = new NameSource({ node: card, clockSequence: 1, now: () => now, firstTick: () => 5_000 })
    source.next()
    now -= 60_000
    source.next()
    now += 60_001
    const same = new NameSource({ node: card, clockSequence: 1, now: () => now, firstTick: () => 5_000 })
    expect(source.next()).toBe(same.next())
  })
})

/** Runs an expression in so many threads, each with modules of its own, and collects the names that it gives. */
async function inThreads(threads: number, expression: string): Promise<string[]> {
  const script = `
    const { parentPort } = require('node:worker_threads')
    const at = (file) => import('${here}' + file)
    ;(async () => parentPort.postMessage(await (${expression})(at)))()`
  const answers = Array.from({ length: threads }, async () => {
    const [names] = await once(new Worker(script, { eval: true }), 'message')
    return names as string[]
  })
  return (await Promise.all(answers)).flat()
}

describe('worker threads', () => {
  test('never make the same name at random', async () => {
    const names = await inThreads(
      4,
      `async (at) => {
        const { PathBuilder } = await at('path-builder.ts')
        const builder = new PathBuilder()
        return Array.from({ length: 100_000 }, () => builder.getUnique('a').name)
      }`,
    )
    expect(new Set(names).size).toBe(400_000)
    expect(new Set(names.map(node)).size).toBe(4)
  })

  test('never make the same name with one card at the same ticks', async () => {
    const names = await inThreads(
      4,
      `async (at) => {
        const [{ NameSource }, { threadClockSequence }] = await Promise.all([at('name-source.ts'), at('node.ts')])
        const node = Buffer.from('98fe94437d8c', 'hex')
        const source = new NameSource({
          node, clockSequence: threadClockSequence(), now: () => 1_795_000_000_000, firstTick: () => 0,
        })
        return Array.from({ length: 20_000 }, () => source.next())
      }`,
    )
    expect(new Set(names.map(time)).size).toBe(20_000)
    expect(new Set(names).size).toBe(80_000)
  })

  test('16,384 threads in a row have clock sequences of their own', () => {
    const sequences = Array.from({ length: 16_384 }, (_, thread) => threadClockSequence(thread + 9))
    expect(new Set(sequences).size).toBe(16_384)
    expect(Math.max(...sequences)).toBe(0x3fff)
    expect(Math.min(...sequences)).toBe(0)
  })
})

describe('the node field', () => {
  type Interfaces = ReturnType<typeof networkInterfaces>
  const entry = (mac: string, internal = false): NonNullable<Interfaces[string]> => [
    { address: '192.0.2.1', netmask: '255.255.255.0', family: 'IPv4', mac, internal, cidr: '192.0.2.1/24' },
  ]
  const loopback = entry('00:00:00:00:00:00', true)

  test('is marked as no card when it is random, and another in each copy of the package', async () => {
    const nodes = new Set<string>()
    for (let copy = 0; copy < 32; copy++) {
      const loaded = (await import(`${here}node.ts?random=${copy}`)) as { nameSource: typeof nameSource }
      nodes.add(node(loaded.nameSource('random').next()))
    }
    expect(nodes.size).toBe(32)
    for (const node of nodes) expect(Number.parseInt(node.slice(0, 2), 16) & 1).toBe(1)
  })

  const cards: [string, Interfaces, string][] = [
    ['the card', { lo: loopback, eth0: entry('98:fe:94:43:7d:8c') }, '98fe94437d8c'],
    [
      "the manufacturer's address first",
      { br0: entry('02:42:00:00:00:01'), en0: entry('98:fe:94:43:7d:8c') },
      '98fe94437d8c',
    ],
    [
      'a virtual card if there is no other',
      { lo: loopback, eth0: entry('02:fc:00:00:00:01') },
      '02fc00000001',
    ],
    [
      'a card, not a tunnel',
      { tun0: entry('00:00:00:00:00:00'), eth0: entry('98:fe:94:43:7d:8c') },
      '98fe94437d8c',
    ],
  ]
  test.each(cards)("is, for 'mac', %s", (_what, interfaces, address) => {
    expect(macAddress(interfaces).toString()).toBe(Buffer.from(address, 'hex').toString())
  })

  test.each([{}, { lo: loopback }, { tun0: entry('00:00:00:00:00:00') }])(
    '%o holds no card',
    (interfaces) => {
      expect(() => macAddress(interfaces)).toThrow(
        expect.objectContaining({ name: 'PathBuilderError', code: 'PATHBUILDER_NODE' }),
      )
    },
  )

  const hasCard = (() => {
    try {
      return macAddress().length > 0
    } catch {
      return false
    }
  })()
  test.runIf(hasCard)("is this machine's card for 'mac', with the clock sequence of this thread", () => {
    const { name } = new PathBuilder({ node: 'mac' }).getUnique('a')
    expect(node(name)).toBe(Buffer.from(macAddress()).toString('hex'))
    expect(Number.parseInt(clockSequence(name), 16) & 0x3fff).toBe(threadClockSequence())
  })

  test.runIf(hasCard)('with one card, a second copy of the package goes on where the first is', async () => {
    const copy = (await import(`${here}node.ts?mac`)) as {
      nameSource: typeof nameSource
    }
    expect(copy.nameSource).not.toBe(nameSource)
    expect(copy.nameSource('mac')).toBe(nameSource('mac'))
  })
})
