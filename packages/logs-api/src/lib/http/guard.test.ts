import { afterEach, expect, test, vi } from 'vitest'
import { Guard } from './guard.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

function guardAfter(seconds: readonly number[]): Guard {
  const guard = new Guard()
  for (const each of seconds) guard.record('GET /logs', each)
  return guard
}

test.each([
  ['few calls', [500, 500, 500], undefined],
  ['quick calls', [1, 2, 3, 59, 59], undefined],
  ['a few slow calls', [1, 1, 1, 1, 1000], undefined],
  ['a slow median', [1, 61, 61, 62], 122],
  ['a slow third quartile', [1, 2, 10, 120], 20],
])('after %s of a route', (_name, seconds, expected) => {
  const guard = guardAfter(seconds)
  vi.spyOn(Math, 'random').mockReturnValue(0)
  expect(guard.refused('GET /logs')).toBe(expected)
  expect(guard.refused('POST /logs')).toBeUndefined()
  // Not all are turned away.
  vi.spyOn(Math, 'random').mockReturnValue(0.9)
  expect(guard.refused('GET /logs')).toBeUndefined()
})

test('a route that is not slow is told so without sorting: the question comes with each request', () => {
  const sort = vi.spyOn(Array.prototype, 'sort')
  const guard = guardAfter([...Array<number>(751).fill(1), ...Array<number>(249).fill(200)])
  expect(guard.refused('GET /logs')).toBeUndefined()
  expect(sort).not.toHaveBeenCalled()
  guard.record('GET /logs', 200)
  vi.spyOn(Math, 'random').mockReturnValue(0)
  expect(guard.refused('GET /logs')).toBe(2)
})

test('what was slow more than an hour ago, or 1,000 calls ago, is forgotten', () => {
  vi.spyOn(Math, 'random').mockReturnValue(0)
  const guard = guardAfter(Array<number>(1000).fill(100))
  expect(guard.refused('GET /logs')).toBe(200)
  const now = performance.now()
  const clock = vi.spyOn(performance, 'now').mockReturnValue(now + 3_601_000)
  expect(guard.refused('GET /logs')).toBeUndefined()
  clock.mockRestore()
  for (let call = 0; call < 1000; call++) guard.record('GET /logs', 1)
  expect(guard.refused('GET /logs')).toBeUndefined()
})
