import { assert, maxSafeInteger, property } from 'fast-check'
import { expect, test } from 'vitest'
import { formatInstant, formatTime, nowMicroseconds, parseBound, parseTime } from './time.ts'

test.each([
  ['2026-03-04T10:11:12.000345', 1_772_619_072_000_345],
  ['2026-03-04T10:11:12.000345Z', 1_772_619_072_000_345],
  ['2026-03-04 11:11:12.000345+01:00', 1_772_619_072_000_345],
  ['2026-03-04T05:11:12.000345678-0500', 1_772_619_072_000_345],
  ['2026-03-04T10:11:12', 1_772_619_072_000_000],
  ['2026-03-04T10:11', 1_772_619_060_000_000],
  ['2026-03-04', 1_772_582_400_000_000],
  ['1969-12-31T23:59:59.999999', -1],
])('%s is read as the instant it is', (text, time) => {
  expect(parseTime(text)?.time).toBe(time)
})

test.each([
  '',
  'now',
  '2026',
  '2026-13-01',
  '2026-02-30',
  '2026-01-01T24:00',
  '2026-01-01T10:60',
  '2026-01-01T10:00+99:00',
  '0001-01-01',
  '9999-12-31',
])('%j is no time', (text) => {
  expect(parseTime(text)).toBeUndefined()
})

test('an end of a range may be as far away as can be written', () => {
  const { time: last = 0 } = parseBound('9999-12-31T23:59:59.999999Z') ?? {}
  const { time: first = 0 } = parseBound('0001-01-01') ?? {}
  for (const time of [last, first]) expect(Number.isSafeInteger(time)).toBe(true)
  expect(last).toBeGreaterThan(parseTime('2254-12-31')?.time ?? Infinity)
  expect(first).toBeLessThan(parseTime('1686-01-01')?.time ?? -Infinity)
  expect(parseBound('2026-03-04')).toEqual(parseTime('2026-03-04'))
  expect(parseBound('9999-02-30')).toBeUndefined()
})

test('a day alone is told from an instant, and a zone from none', () => {
  expect(parseTime('2026-03-04')).toMatchObject({ wholeDay: true, zoned: false })
  expect(parseTime('2026-03-04T00:00Z')).toMatchObject({ wholeDay: false, zoned: true })
})

test('any instant survives being written and read', () => {
  assert(
    property(maxSafeInteger(), (time) => {
      expect(formatTime(time)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/)
      expect(parseTime(formatTime(time))?.time).toBe(time)
      expect(parseTime(formatInstant(time))?.time).toBe(time)
    }),
  )
})

test('no two moments of a process are the same', () => {
  const times = Array.from({ length: 10_000 }, () => nowMicroseconds())
  expect(new Set(times).size).toBe(times.length)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
})
