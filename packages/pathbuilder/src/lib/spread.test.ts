import { describe, expect, test } from 'vitest'
import { PathBuilder } from '../index.ts'
import { NameSource } from './name-source.ts'

const FOLDERS = 65_536
const NAMES = 16 * FOLDERS

/** Counts how many of the names each folder of the two levels gets. */
function countFolders(next: () => string): Uint32Array {
  const counts = new Uint32Array(FOLDERS)
  const builder = new PathBuilder({ initialPath: '/' })
  for (let index = 0; index < NAMES; index++) {
    const path = builder.getPath(next())
    counts[Number.parseInt(path.slice(1, 3) + path.slice(4, 6), 16)]! += 1
  }
  return counts
}

/**
 * Pearson's chi-square against a flat distribution, as a distance from its expectation in standard deviations.
 *
 * Names of one millisecond lie in successive folders: a run of them hits that many folders together, which makes the
 * statistic as uncertain as one with so many times fewer degrees of freedom.
 */
function deviation(counts: Uint32Array, run: number): number {
  const expected = NAMES / FOLDERS
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  const freedom = FOLDERS - 1
  return (chiSquare - freedom) / Math.sqrt(2 * freedom * run)
}

/** Repeatable numbers from 0 to below 1 (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A source on a clock of its own that goes on by so many milliseconds after each run of names. */
function paced(milliseconds: number, run: number, firstTick?: () => number): () => string {
  const random = randomNumbers(9562)
  let [made, now] = [0, 1_795_000_000_000]
  const source = new NameSource({
    node: Buffer.from('98fe94437d8c', 'hex'),
    clockSequence: 1,
    now: () => (made++ % run === 0 ? (now += milliseconds) : now),
    firstTick: firstTick ?? (() => Math.floor(random() * 10_000)),
  })
  return () => source.next()
}

describe('the 65,536 folders fill evenly', () => {
  const paces: [string, milliseconds: number, run: number][] = [
    ['a name each millisecond', 1, 1],
    ['a name a second', 1_000, 1],
    ['50 names each millisecond', 1, 50],
    ['500 names each millisecond', 1, 500],
    ['200 names at once, every second', 1_000, 200],
  ]
  test.each(paces)('at %s', (_pace, milliseconds, run) => {
    const counts = countFolders(paced(milliseconds, run))
    expect(Math.min(...counts)).toBeGreaterThan(0)
    expect(deviation(counts, run)).toBeLessThan(5)
  })

  test('at full speed', () => {
    const builder = new PathBuilder()
    const mostInOneMillisecond = 10_000
    const counts = countFolders(() => builder.getUnique('a').name)
    expect(deviation(counts, mostInOneMillisecond)).toBeLessThan(5)
  })
})

test('256 successive names lie in 256 first-level folders', () => {
  const builder = new PathBuilder({ initialPath: '/' })
  const next = paced(1, 256)
  const folders = new Set(Array.from({ length: 256 }, () => builder.getPath(next()).slice(1, 3)))
  expect(folders.size).toBe(256)
})

test('the statistic notices names that all begin their millisecond at tick 0', () => {
  const atTickZero = paced(1, 1, () => 0)
  const counts = countFolders(atTickZero)
  expect(counts.filter((count) => count > 0)).toHaveLength(4_096)
  expect(deviation(counts, 1)).toBeGreaterThan(1_000)
})
