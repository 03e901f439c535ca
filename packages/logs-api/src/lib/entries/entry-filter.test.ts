import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Caller } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import { formatInstant, formatTime } from '../time.ts'
import { entryFilterSchema, entryQuery } from './entry-filter.ts'
import type { Rights } from './rights.ts'
import { severityNumber } from './severity.ts'

const caller = (...roles: ('admin' | 'system' | 'user')[]): Caller => ({
  subject: 's',
  user: undefined,
  groups: [],
  roles: new Set(roles),
  project: undefined,
})

const rights: Rights = {
  get: async () => undefined,
  set: async () => {},
  remove: async () => false,
  check: async (_caller, dataset) => {
    if (dataset !== 'mine') throw new Refusal(403, 'attr not found')
  },
  readable: async () => ['mine', 'ours'],
}

const query = (filter: object, by: Caller = caller('admin')) =>
  entryQuery(entryFilterSchema.parse(filter), by, rights)

describe('a filter', () => {
  test('finds everything when it is empty', async () => {
    const { datasets, severities, words, ...rest } = await query({})
    expect([datasets, severities, words, ...Object.values(rest)].every((value) => value === undefined)).toBe(
      true,
    )
  })

  test('takes any instant, `from` with it and `to` without it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 4_000_000_000_000_000 }), async (time) => {
        for (const text of [formatTime(time), formatInstant(time)]) {
          expect(await query({ from: text, to: text })).toMatchObject({ from: time, before: time })
        }
      }),
    )
  })

  test('finds exactly the severities that it names', async () => {
    const names = ['trace', 'debug', 'info', 'notice', 'warn', 'Warning', 'ERROR', 'err', 'fatal', 'critical']
    const part = fc.oneof(fc.constantFrom(...names), fc.integer({ min: 1, max: 24 }).map(String))
    const widths: Record<string, number> = { notice: 1 }
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { minLength: 1, maxLength: 4 }),
        fc.option(part, { nil: undefined }),
        async (severity, min_severity) => {
          const { severities } = await query({
            severity: severity.join(','),
            ...(min_severity && { min_severity }),
          })
          const least = min_severity === undefined ? 1 : severityNumber(min_severity)!
          for (let number = 1; number <= 24; number++) {
            const named = severity.some((text) => {
              const begin = severityNumber(text)!
              const width = /^\d/.test(text) ? 1 : (widths[text] ?? 4)
              return number >= begin && number < begin + width
            })
            const found = severities!.some((range) => number >= range.least && number <= range.most)
            expect(found).toBe(named && number >= least)
          }
        },
      ),
    )
  })

  test('a long list of severities is no long query', async () => {
    const severity = Array.from({ length: 5000 }, (_, index) => (index % 24) + 1).join(',')
    expect((await query({ severity })).severities).toHaveLength(24)
  })

  test('min_severity alone finds that and worse', async () => {
    expect((await query({ min_severity: 'error' })).severities).toEqual([{ least: 17, most: 24 }])
    expect((await query({ severity: 'debug', min_severity: 'error' })).severities).toEqual([])
  })

  test.each([
    [{ from: 'yesterday' }, 'from must be a time such as'],
    [{ to: '' }, 'to must be a time such as'],
    [{ severity: 'bad' }, 'severity must be a number from 1 to 24 or one of trace'],
    [{ severity: '' }, 'severity must be'],
    [{ severity: 'error,' }, 'severity must be'],
    [{ severity: '25' }, 'severity must be'],
    [{ min_severity: 'error,debug' }, 'min_severity must be'],
    [{ dataset_id: '' }, 'dataset_id must be text of 1 to 255'],
    [{ name: 'a\0' }, 'name must be text of 1 to 255'],
    [{ name: ['a', 'b'] }, 'name can be given once only'],
    [{ nmae: 'x' }, 'There is no parameter "nmae" here'],
  ])('%j is refused with a message that says what is wrong', (filter, message) => {
    const { error } = entryFilterSchema.safeParse(filter)
    expect(error?.issues[0]?.message).toContain(message)
  })

  test('q without a word is refused with 400', async () => {
    await expect(query({ q: '!' })).rejects.toMatchObject({ status: 400 })
  })
})

describe('what a caller finds', () => {
  test.each(['admin', 'system'] as const)('%s: all datasets, with or without rights', async (role) => {
    expect((await query({}, caller(role))).datasets).toBeUndefined()
    expect((await query({}, caller(role, 'user'))).datasets).toBeUndefined()
    expect((await query({ dataset_id: 'other' }, caller(role))).datasets).toEqual(['other'])
  })

  test('user: the datasets that they may read', async () => {
    expect((await query({}, caller('user'))).datasets).toEqual(['mine', 'ours'])
    expect((await query({ dataset_id: 'mine' }, caller('user'))).datasets).toEqual(['mine'])
    await expect(query({ dataset_id: 'other' }, caller('user'))).rejects.toMatchObject({ status: 403 })
  })

  test('nobody without a role', async () => {
    await expect(query({}, caller())).rejects.toMatchObject({ status: 403 })
  })
})
