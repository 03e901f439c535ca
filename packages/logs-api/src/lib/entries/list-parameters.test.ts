import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatInstant, formatTime, parseTime } from '../time.ts'
import { listParameters } from './list-parameters.ts'
import { taskParameters } from './task-parameters.ts'

const microseconds = (text: string): number => parseTime(text)!.time

describe('parameters of GET /logs', () => {
  test('each is looked up in the query first, then in the body', () => {
    const { query, keys, limit } = listParameters(
      { name: 'query', keys: 'data' },
      { name: 'body', task_id: 't', keys: 'name', limit: 5, dataset_id: null },
    )
    expect(query).toMatchObject({ name: 'query', task: 't', datasets: undefined })
    expect([...keys]).toEqual(['log_id', 'data'])
    expect(limit).toBe(5)
  })

  test('an empty filter counts as none, in the query also against the body', () => {
    const empty = { from: '', to: '', name: '', dataset_id: '', task_id: '' }
    const none = listParameters({}).query
    expect(listParameters(empty).query).toEqual(none)
    expect(listParameters({}, empty).query).toEqual(none)
    expect(listParameters({ name: '' }, { name: 'x' }).query).toEqual(none)
  })

  test('keys are by default those of the original; empty, log_id stays', () => {
    expect([...listParameters({}).keys].toSorted()).toEqual(
      ['data', 'dataset_id', 'log_id', 'name', 'task_id', 'timestamp'].toSorted(),
    )
    expect([...listParameters({ keys: '' }).keys]).toEqual(['log_id'])
  })

  test.each([
    ['10', 10],
    ['+10', 10],
    ['-10', 10],
    [' 10 ', 10],
    [10, 10],
    [-10, 10],
    ['0', undefined],
    [0, undefined],
    ['-0', undefined],
    ['99999999999999999999', undefined],
  ])('limit %j is %j', (limit, expected) => {
    expect(listParameters({}, { limit }).limit).toBe(expected)
  })

  test.each(['', 'x', '1.5', '1e3', '0x10', ' ', 1.5, true, [], {}])(
    'A-4: limit %j is refused with 400 `non-integer limit`',
    (limit) => {
      expect(() => listParameters({}, { limit })).toThrow(
        expect.objectContaining({ status: 400, message: 'non-integer limit' }),
      )
    },
  )

  test('A-10: times are instants; `to` takes in the moment or the day that it names', () => {
    const { from, before } = listParameters({ from: '2026-03-04', to: '2026-03-04' }).query
    expect(from).toBe(microseconds('2026-03-04T00:00:00'))
    expect(before).toBe(microseconds('2026-03-05T00:00:00'))
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000_000_000 }), (time) => {
        for (const text of [formatTime(time), formatInstant(time)]) {
          const { from, before } = listParameters({ from: text, to: text }).query
          expect({ from, before }).toEqual({ from: time, before: time + 1 })
        }
      }),
    )
    expect(listParameters({ from: '2026-03-04T10:00:00+02:00' }).query.from).toBe(
      microseconds('2026-03-04T08:00:00Z'),
    )
  })

  test.each(['from', 'to'])('A-10: %s that is no time is refused with 400 that says what is', (name) => {
    expect(() => listParameters({ [name]: 'yesterday' })).toThrow(
      expect.objectContaining({
        status: 400,
        message: expect.stringContaining(`${name} must be a time such as`),
      }),
    )
  })

  test.each(['from', 'to', 'name', 'dataset_id', 'task_id', 'keys'])(
    '%s in the body that is no text is refused with 400',
    (name) => {
      expect(() => listParameters({}, { [name]: 5 })).toThrow(
        expect.objectContaining({ status: 400, message: `${name} must be text.` }),
      )
    },
  )
})

describe('parameters of the list of a task', () => {
  test.each([
    [undefined, undefined],
    ['', undefined],
    ['0', undefined],
    ['3', 3],
    ['+3', 3],
  ])('num %j is %j', (num, expected) => {
    expect(taskParameters(num === undefined ? {} : { num }).num).toBe(expected)
  })

  test.each([
    [{ num: 'x' }, 'bad num param. must be int'],
    [{ num: '1.0' }, 'bad num param. must be int'],
    [{ num: '-1' }, 'bad num param. must not be negative'],
    [{ order: 'up' }, 'bad order param. should be "asc" or "desc".'],
    [{ order: '' }, 'bad order param. should be "asc" or "desc".'],
  ])('%j is refused with 400 `%s`', (query, message) => {
    expect(() => taskParameters(query)).toThrow(expect.objectContaining({ status: 400, message }))
  })

  test.each([
    ['true', true],
    ['TRUE', true],
    ['True', true],
    ['1', false],
    ['yes', false],
    ['', false],
  ])('group=%s is %j', (group, expected) => {
    expect(taskParameters({ group }).group).toBe(expected)
  })

  test('order is desc by default, in any case', () => {
    expect(taskParameters({}).order).toBe('desc')
    expect(taskParameters({ order: 'ASC' }).order).toBe('asc')
  })

  test('keys are all by default; when grouping, six', () => {
    expect(taskParameters({}).keys).toBeUndefined()
    expect([...taskParameters({ group: 'true' }).keys!]).toEqual([
      'log_id',
      'name',
      'task_id',
      'dataset_id',
      'data',
      'timestamp',
    ])
    expect([...taskParameters({ keys: 'name|data' }).keys!]).toEqual(['name', 'data'])
  })
})
