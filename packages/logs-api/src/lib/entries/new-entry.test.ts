import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { newEntry } from './new-entry.ts'

const id = 'text of 1 to 255 characters'

describe('what a client sends becomes an entry', () => {
  test('with everything else that was sent, as it was sent', () => {
    const sent = {
      data: 'text',
      name: 'stderr',
      dataset_id: 'd',
      task_id: 't',
      severity: 'Error',
      attributes: { a: [1, null, { b: 'x' }] },
      host: 'n1',
    }
    expect(newEntry(sent)).toEqual({
      data: 'text',
      name: 'stderr',
      dataset_id: 'd',
      task_id: 't',
      severity: 17,
      fields: { severity: 'Error', attributes: { a: [1, null, { b: 'x' }] }, host: 'n1' },
      id: undefined,
    })
  })

  test('A-5: with the name `log`, no dataset and no task where none are given or they are null', () => {
    const none = { name: 'log', dataset_id: null, task_id: null }
    expect(newEntry({ data: '' })).toMatchObject(none)
    expect(newEntry({ data: '', name: null, dataset_id: null, task_id: null })).toMatchObject(none)
  })

  test('the dataset of the path wins, whatever the body says', () => {
    expect(newEntry({ data: '', dataset_id: 5 }, { dataset: 'path' }).dataset_id).toBe('path')
  })

  test('A-7: what the service sets itself is dropped', () => {
    const sent = { data: '', log_id: 'x', timestamp: 'no time', _id: 1, data_missing: true }
    expect(newEntry(sent)).toMatchObject({ fields: {} })
    expect(newEntry(sent).timestamp).toBeUndefined()
  })

  test('a field named __proto__ is a field as any other', () => {
    const entry = newEntry(JSON.parse('{"data":"","__proto__":{"polluted":true}}'))
    expect(JSON.stringify(entry.fields)).toBe('{"__proto__":{"polluted":true}}')
  })

  test.each([
    ['1', 1],
    [24, 24],
    ['WARNING', 13],
    ['err', 17],
    ['Emergency', 21],
    ['notice', 10],
    [0, null],
    [25, null],
    [1.5, null],
    ['no severity', null],
    [{ number: 5 }, null],
    ['constructor', null],
    [undefined, null],
  ])('severity %j counts as %j', (severity, expected) => {
    expect(newEntry({ data: '', severity }).severity).toBe(expected)
  })

  test('any well-formed text is data, and only that', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (data) => {
        expect(newEntry({ data }).data).toBe(data)
      }),
    )
  })

  test.each([[undefined], [null], ['text'], [5], [[]], [[{ data: 'x' }]], [{}], [{ name: 'x' }]])(
    '%j has no data: 400 `data field not in body`',
    (sent) => {
      expectRefused(sent, 'data field not in body')
    },
  )

  test.each([
    [{ data: null }, 'data must be text'],
    [{ data: 5 }, 'data must be text'],
    [{ data: ['x'] }, 'data must be text'],
    [{ data: 'a\ud800b' }, 'surrogate'],
    [{ data: '', name: '' }, `name must be ${id}`],
    [{ data: '', name: 5 }, `name must be ${id}`],
    [{ data: '', name: 'a\nb' }, `name must be ${id}`],
    [{ data: '', name: '\udc00' }, `name must be ${id}`],
    [{ data: '', name: 'x'.repeat(256) }, `name must be ${id}`],
    [{ data: '', dataset_id: {} }, `dataset_id must be ${id}`],
    [{ data: '', task_id: 7 }, `task_id must be ${id}`],
  ])('A-4: %j is refused with 400 that says why', (sent, message) => {
    expectRefused(sent, message)
  })

  test('fields can be nested 200 levels deep: what is written again calls itself for each', () => {
    const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
    expect(newEntry({ data: '', list: nested(199) }).fields).toEqual({ list: nested(199) })
    expectRefused({ data: '', list: nested(200) }, 'nested 200 levels deep at most')
    expectRefused({ data: '', list: nested(100_000) }, 'nested 200 levels deep at most')
  })

  test('255 characters of a name count, not the units that they are coded in', () => {
    expect(newEntry({ data: '', name: '𝒳'.repeat(255) }).name).toBe('𝒳'.repeat(255))
  })
})

describe('a sender that may set more', () => {
  test('sets the time and the severity', () => {
    const sent = { data: '', timestamp: '2026-03-04T11:00:00.5+01:00', severity: 'fatal', attributes: {} }
    expect(newEntry(sent, { own: true })).toMatchObject({
      timestamp: Date.parse('2026-03-04T10:00:00.500Z') * 1000,
      severity: 21,
      fields: { severity: 'fatal', attributes: {} },
    })
  })

  test.each([
    [{ timestamp: 'yesterday' }, 'timestamp must be a time'],
    [{ timestamp: 1_772_619_072 }, 'timestamp must be a time'],
    [{ severity: 'dreadful' }, 'severity must be a number from 1 to 24 or one of trace'],
    [{ severity: 0 }, 'severity must be'],
    [{ attributes: [1] }, 'attributes must be a JSON object'],
  ])('is refused with 400 for %j', (sent, message) => {
    expect(() => newEntry({ data: '', ...sent }, { own: true })).toThrow(
      expect.objectContaining({ status: 400, message: expect.stringContaining(message) }),
    )
  })
})

function expectRefused(sent: unknown, message: string): void {
  expect(() => newEntry(sent)).toThrow(
    expect.objectContaining({ status: 400, message: expect.stringContaining(message) }),
  )
}
