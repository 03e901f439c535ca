import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  deletionAllowed,
  deletionProhibited,
  formatRetention,
  initialUnspecified,
  parseRetention,
  retainFor,
  retainUntil,
  type Retention,
  retentionClass,
  retentionState,
} from './retention.ts'

const moment = (text: string): Retention => ({ kind: 'until', until: new Date(text) })

describe('parseRetention reads what HCP documents', () => {
  test.each<[string, Retention]>([
    ['0', deletionAllowed],
    ['-0', deletionAllowed],
    ['Deletion Allowed', deletionAllowed],
    ['deletion ALLOWED', deletionAllowed],
    ['-1', deletionProhibited],
    ['Deletion Prohibited', deletionProhibited],
    ['-2', initialUnspecified],
    ['initial unspecified', initialUnspecified],
    ['1700000000', moment('2023-11-14T22:13:20Z')],
    ['2023-11-14T22:13:20+0000', moment('2023-11-14T22:13:20Z')],
    ['2023-11-14T23:13:20+0100', moment('2023-11-14T22:13:20Z')],
    ['2023-11-14T17:43:20-0430', moment('2023-11-14T22:13:20Z')],
    ['2023-11-14T22:13:20Z', moment('2023-11-14T22:13:20Z')],
    ['2023-11-33T00:00:00+0000', moment('2023-12-03T00:00:00Z')],
    ['9999-12-31T23:59:59+0000', moment('9999-12-31T23:59:59Z')],
    ['A+7y', { kind: 'offset', base: 'ingest', years: 7 }],
    ['N+30d-12h', { kind: 'offset', base: 'now', days: 30, hours: -12 }],
    ['R+1y+6M', { kind: 'offset', base: 'current', years: 1, months: 6 }],
    ['+2w', { kind: 'offset', base: 'current', weeks: 2 }],
    ['-1d+0025h', { kind: 'offset', base: 'current', days: -1, hours: 25 }],
    [
      'A+1y-1M+1w-1d+1h-1m+1s',
      retainFor({ years: 1, months: -1, weeks: 1, days: -1, hours: 1, minutes: -1, seconds: 1 }),
    ],
    ['A-0y', { kind: 'offset', base: 'ingest', years: 0 }],
    ['N', { kind: 'offset', base: 'now', seconds: 0 }],
    ['C+TAX10', { kind: 'class', name: 'TAX10' }],
    ['c+-_x', { kind: 'class', name: '-_x' }],
  ])('%s', (text, retention) => {
    expect(parseRetention(text)).toEqual(retention)
  })

  test.each([
    '',
    ' ',
    '-3',
    '+1',
    '1.5',
    'never',
    'A+1',
    'A+1m+1M',
    'A+1d+1w',
    'A+1Y',
    'a+1y',
    'A+10000y',
    'A1y',
    'C+',
    'C+with blank',
    `C+${'x'.repeat(65)}`,
    '2023-11-14',
    '2023-11-14T22:13:20',
    '2023-11-14 22:13:20+0000',
    '1969-12-31T23:59:59+0000',
    '1970-01-01T00:00:00+0000',
    '0099-01-01T00:00:00+0000',
    '00',
    '8640000000001',
    '99999999999999999999',
  ])('%j is refused', (text) => {
    expect(() => parseRetention(text)).toThrow(RangeError)
  })

  test('what is no text is refused by type', () => {
    expect(() => parseRetention(0 as unknown as string)).toThrow(TypeError)
  })
})

describe('formatRetention writes what HCP takes', () => {
  test.each<[Retention, string]>([
    [deletionAllowed, '0'],
    [deletionProhibited, '-1'],
    [initialUnspecified, '-2'],
    [retainUntil(new Date(1_700_000_000_000)), '1700000000'],
    [retainUntil(new Date(1_700_000_000_001)), '1700000001'],
    [retainUntil(new Date(1)), '1'],
    [retainUntil(new Date(8.64e15)), '8640000000000'],
    [retainFor({ years: 7 }), 'A+7y'],
    [retainFor({ days: 30, hours: -12 }, 'now'), 'N+30d-12h'],
    [retainFor({ months: -0 }, 'current'), 'R+0M'],
    [retentionClass('TAX10'), 'C+TAX10'],
  ])('%j is %s', (retention, text) => {
    expect(formatRetention(retention)).toBe(text)
  })

  test.each<[unknown, typeof TypeError | typeof RangeError, string]>([
    ['A+7y', TypeError, 'parseRetention'],
    [null, TypeError, 'object'],
    [{}, RangeError, 'kind'],
    [{ kind: 'toString' }, RangeError, 'kind'],
    [{ kind: 'allowed', until: new Date() }, TypeError, '"until"'],
    [{ kind: 'until' }, TypeError, 'until'],
    [{ kind: 'until', until: '2030-01-01' }, TypeError, 'until'],
    [{ kind: 'until', until: new Date(Number.NaN) }, RangeError, 'until'],
    [{ kind: 'until', until: new Date(0) }, RangeError, '1970'],
    [{ kind: 'class' }, TypeError, 'class'],
    [{ kind: 'class', name: 'a b' }, RangeError, 'class'],
    [{ kind: 'offset', years: 1 }, RangeError, 'base'],
    [{ kind: 'offset', base: 'ingest' }, RangeError, 'part'],
    [{ kind: 'offset', base: 'ingest', year: 1 }, TypeError, '"year"'],
    [{ kind: 'offset', base: 'ingest', years: '1' }, TypeError, 'years'],
    [{ kind: 'offset', base: 'ingest', years: 1.5 }, RangeError, 'years'],
    [{ kind: 'offset', base: 'ingest', days: 10_000 }, RangeError, 'days'],
  ])('%j is refused by name', (retention, type, name) => {
    expect(() => formatRetention(retention as Retention)).toThrow(type)
    expect(() => formatRetention(retention as Retention)).toThrow(name)
  })

  test('the helpers refuse at once what cannot be sent', () => {
    expect(() => retainFor({})).toThrow(RangeError)
    expect(() => retainUntil(new Date(0))).toThrow(RangeError)
    expect(() => retentionClass('')).toThrow(RangeError)
  })
})

const amount = fc.option(fc.integer({ min: -9_999, max: 9_999 }), { nil: undefined })
const retentions: fc.Arbitrary<Retention> = fc.oneof(
  fc.constantFrom(deletionAllowed, deletionProhibited, initialUnspecified),
  fc
    .date({ min: new Date(1), max: new Date(8.64e15), noInvalidDate: true })
    .map((until) => retainUntil(until)),
  fc
    .record({
      years: amount,
      months: amount,
      weeks: amount,
      days: amount,
      hours: amount,
      minutes: amount,
      seconds: fc.integer({ min: -9_999, max: 9_999 }),
      base: fc.constantFrom('ingest', 'current', 'now'),
    })
    .map(({ base, ...parts }) => retainFor(given(parts), base)),
  fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/).map((name) => retentionClass(name)),
)

/** Without the parts that were left out. */
const given = (parts: Record<string, number | undefined>): Record<string, number> =>
  Object.fromEntries(Object.entries(parts).filter((part): part is [string, number] => part[1] !== undefined))

test('what is written reads back the same, to the second', () => {
  const normal = (retention: Retention): Retention =>
    retention.kind === 'until'
      ? retainUntil(new Date(Math.ceil(retention.until.getTime() / 1000) * 1000))
      : retention
  fc.assert(
    fc.property(retentions, (retention) => {
      expect(parseRetention(formatRetention(retention))).toEqual(normal(retention))
    }),
  )
})

test('any text is read as one setting or refused by RangeError; what was read has one way to be written', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[RANC]?([+-][0-9]{1,5}[yMwdhms]){0,7}$/),
    fc.stringMatching(/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{4}$/),
    fc.integer({ min: -5 }).map(String),
  )
  fc.assert(
    fc.property(texts, (text) => {
      let retention: Retention
      try {
        retention = parseRetention(text)
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
        return
      }
      const canonical = formatRetention(retention)
      expect(formatRetention(parseRetention(canonical))).toBe(canonical)
      expect(parseRetention(canonical)).toEqual(retention)
    }),
  )
})

test.each<[string | undefined, Retention]>([
  ['0', deletionAllowed],
  ['-1', deletionProhibited],
  ['-2', initialUnspecified],
  ['1700000000', moment('2023-11-14T22:13:20Z')],
  [undefined, initialUnspecified],
  ['', initialUnspecified],
  ['-7', initialUnspecified],
  ['A+1y', initialUnspecified],
  ['9999999999999', initialUnspecified],
])('a header %j never looks deletable without saying so', (value, state) => {
  expect(retentionState(value)).toEqual(state)
})
