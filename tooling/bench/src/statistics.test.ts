import { describe, expect, test } from 'vitest'
import { median, quantile, ratioOfRounds } from './statistics.ts'

describe('median', () => {
  test.each([
    [[7], 7],
    [[10, 9, 100], 10],
    [[4, 1, 3, 2], 2.5],
  ])('of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected)
  })

  test('leaves the order of what it was given', () => {
    const values = [3, 1, 2]
    median(values)
    expect(values).toEqual([3, 1, 2])
  })
})

describe('quantile', () => {
  const hundred = Array.from({ length: 101 }, (_, index) => 100 - index)

  test.each([
    [0, 0],
    [0.5, 50],
    [0.99, 99],
    [1, 100],
  ])('%d of 0 to 100 is %d', (share, expected) => {
    expect(quantile(hundred, share)).toBe(expected)
  })

  test('lies between two values where no value is at the place itself', () => {
    expect(quantile([10, 20], 0.25)).toBe(12.5)
  })

  test('refuses to say anything of nothing, and shares that are none', () => {
    expect(() => quantile([], 0.5)).toThrow(RangeError)
    expect(() => quantile([1], 99)).toThrow(RangeError)
  })
})

describe('ratioOfRounds', () => {
  test('is the median of the ratios, so that one slow round of the machine does not count', () => {
    expect(ratioOfRounds([100, 10, 120], [100, 10, 100])).toBe(1)
  })

  test('is not the ratio of the medians', () => {
    expect(ratioOfRounds([1, 4, 9], [1, 2, 10])).toBe(1)
  })

  test('refuses rounds that are not the same', () => {
    expect(() => ratioOfRounds([1], [1, 2])).toThrow(RangeError)
  })
})
