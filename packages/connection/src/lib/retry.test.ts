import { expect, test } from 'vitest'
import { retryAfter, RetryBudget, RetryPolicy } from './retry.ts'

test.each([
  [undefined, undefined],
  ['0', 0],
  ['7', 7_000],
  [' 7 ', 7_000],
  ['Sat, 21 Nov 2026 00:00:10 GMT', 10_000],
  ['Fri, 20 Nov 2026 00:00:00 GMT', 0],
  ['soon', undefined],
  ['', undefined],
])('Retry-After %j is %s ms', (value, milliseconds) => {
  expect(retryAfter(value, Date.UTC(2026, 10, 21))).toBe(milliseconds)
})

test('pauses have full jitter under a bound that doubles up to the greatest', () => {
  const policy = new RetryPolicy({ minDelay: 100, maxDelay: 1_000 })
  for (const [repetition, bound] of [
    [1, 100],
    [2, 200],
    [4, 800],
    [5, 1_000],
    [50, 1_000],
  ] as const) {
    const delays = Array.from({ length: 500 }, () => policy.delay(repetition))
    expect(Math.max(...delays)).toBeLessThanOrEqual(bound)
    expect(Math.max(...delays)).toBeGreaterThan(bound * 0.9)
    expect(Math.min(...delays)).toBeLessThan(bound * 0.1)
  }
})

test('a budget that is spent allows no more repetitions until successes have filled it', () => {
  const budget = new RetryBudget(10)
  expect([budget.take(5), budget.take(5), budget.take(5)]).toEqual([true, true, false])
  for (let success = 0; success < 5; success++) budget.give(1)
  expect(budget.take(5)).toBe(true)
  budget.give(1_000)
  expect(budget.left).toBe(10)
})

test('short forms: false never repeats, a number is the attempts, what is left out comes from the base', () => {
  const base = new RetryPolicy({ attempts: 7, minDelay: 3, maxDelay: 4, maxRetryAfter: 5 })
  expect(new RetryPolicy(false, base)).toMatchObject({ attempts: 1, minDelay: 3, budget: base.budget })
  expect(new RetryPolicy(2, base)).toMatchObject({ attempts: 2, maxDelay: 4, maxRetryAfter: 5 })
  expect(new RetryPolicy({}, base)).toMatchObject({ attempts: 7 })
})
