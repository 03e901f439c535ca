import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Window } from './window.ts'

const arrival = fc.record({
  arrived: fc.integer({ min: 1, max: 300 }),
  log_id: fc.stringMatching(/^[0-9a-f]{32}$/),
})

test('two windows tell by their digests whether the same has arrived, in whatever order it was seen', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(arrival, { minLength: 1, maxLength: 20, selector: ({ log_id }) => log_id }),
      fc.nat(19),
      (arrivals, missing) => {
        const [one, other, less] = [new Window(1000, 0), new Window(1000, 0), new Window(1000, 0)]
        const left = missing % arrivals.length
        arrivals.forEach((each, index) => {
          one.add(each)
          one.add(each)
          if (index !== left) less.add(each)
        })
        for (const each of arrivals.toReversed()) other.add(each)
        expect(one.digest()).toEqual(other.digest())
        expect(one.digest()).not.toEqual(less.digest())
      },
    ),
  )
})

test('a window forgets what arrived too long before the last, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 30 }), (arrivals) => {
      const window = new Window(100, 0)
      const sorted = arrivals.toSorted((one, other) => one.arrived - other.arrived)
      for (const each of sorted) window.add(each)
      const last = sorted.at(-1)?.arrived ?? 0
      for (const { arrived, log_id } of sorted) {
        if (arrived > last - 100) expect(window.has(log_id)).toBe(true)
      }
      expect(window.from).toBe(Math.max(0, last - 100))
      expect(window.digest().count).toBe(sorted.filter(({ arrived }) => arrived > last - 100).length)
    }),
  )
})

test('a window that gets too full knows less, and says so', () => {
  const window = new Window(1000, 0, 3)
  for (let arrived = 1; arrived <= 5; arrived++)
    window.add({ arrived, log_id: `${arrived}`.padStart(32, '0') })
  expect(window.from).toBe(2)
  expect(window.digest().count).toBe(3)
})
