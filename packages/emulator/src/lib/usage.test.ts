import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { UsageRecord } from './usage.ts'
import { keptHours, Usage } from './usage.ts'

const hour = 3_600_000
const measured = (): { objectCount: number; usedBytes: number; settings: { dpl: number } } => ({
  objectCount: 0,
  usedBytes: 0,
  settings: { dpl: 2 },
})

test('every request is in the hour that it was counted in, and in no other', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 5 * hour }), fc.constantFrom('GET', 'PUT', 'DELETE'))),
      (steps) => {
        const of = measured()
        const usage = new Usage(of)
        const expected = new Map<number, number>()
        let now = 1_000 * hour
        for (const [step, method] of steps) {
          now += step
          if (method === 'PUT') {
            usage.turn(now)
            of.objectCount += 1
          }
          usage.count(now, method, 1, 2)
          const at = Math.floor(now / hour)
          expected.set(at, (expected.get(at) ?? 0) + 1)
        }
        const found = usage.between(0, Infinity)
        expect(found.map((each) => [each.hour, each.reads + each.writes + each.deletes])).toEqual([
          ...expected,
        ])
        expect(found.every(({ bytesIn, bytesOut }) => bytesOut === 2 * bytesIn)).toBe(true)
        let total = 0
        for (const each of found) {
          total += each.writes
          expect(usage.at(each.hour).objectCount).toBe(total)
          expect(usage.between(each.hour, each.hour)).toEqual([each])
        }
        expect(usage.at(Math.floor(now / hour)).objectCount).toBe(total)
        expect(usage.between(found[1]?.hour ?? 0, Infinity)).toEqual(found.slice(found.length > 1 ? 1 : 0))
      },
    ),
  )
})

test('a clock that is turned back counts in the last hour', () => {
  const usage = new Usage(measured())
  usage.count(10 * hour, 'GET', 0, 0)
  usage.count(8 * hour, 'GET', 0, 0)
  expect(usage.between(0, 20)).toMatchObject([{ hour: 10, reads: 2 }])
})

test('older hours than 180 days go', () => {
  const usage = new Usage(measured())
  for (const at of [0, 1, 2, keptHours + 1]) usage.count(at * hour, 'GET', 0, 0)
  expect(usage.between(0, Infinity).map((each) => each.hour)).toEqual([1, 2, keptHours + 1])
})

/** A namespace's counts after its records were kept and read again. */
function reread(records: readonly UsageRecord[]): Usage {
  const usage = new Usage(measured())
  for (const record of records) usage.restore(JSON.parse(JSON.stringify(record)) as UsageRecord)
  return usage
}

test('after an orderly end nothing is lost; after a kill the hour that ran is incomplete, and says so', () => {
  const kept: UsageRecord[] = []
  const usage = new Usage(measured())
  usage.keep = (record) => kept.push(structuredClone(record))
  usage.count(hour, 'GET', 0, 7)
  usage.count(2 * hour, 'PUT', 3, 0)
  const killed = reread(kept)
  expect(killed.between(0, 9)).toMatchObject([
    { hour: 1, reads: 1, bytesOut: 7 },
    { hour: 2, writes: 0, incomplete: true },
  ])
  expect(killed.between(1, 1)[0]).not.toHaveProperty('incomplete')
  usage.save()
  const ended = reread(kept)
  expect(ended.between(0, 9)).toEqual(usage.between(0, 9))
  // It goes on, and is killed then.
  ended.keep = (record) => kept.push(structuredClone(record))
  ended.count(2 * hour, 'PUT', 3, 0)
  expect(ended.between(2, 2)).toMatchObject([{ writes: 2, bytesIn: 6 }])
  expect(reread(kept).between(2, 2)).toMatchObject([{ writes: 1, incomplete: true }])
  const compacted = [...ended.snapshot()]
  expect(reread(compacted).between(1, 1)).toEqual(ended.between(1, 1))
  expect(reread(compacted).between(2, 2)).toMatchObject([{ writes: 2, incomplete: true }])
  ended.save()
  expect(reread([...compacted, kept.at(-1)!]).between(0, 9)).toEqual(ended.between(0, 9))
})
