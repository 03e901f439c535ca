import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTime } from '../time.ts'
import { exportBodySchema, exportRequest } from './export-request.ts'

const now = parseTime('2026-11-27T10:00:00Z')!.time

function read(body: unknown) {
  const parsed = exportBodySchema.safeParse(body)
  if (!parsed.success) throw new Error(parsed.error.issues[0]!.message)
  return exportRequest(parsed.data, now)
}

describe('what an export is of', () => {
  const week = { start_date: '2026-11-21', end_date: '2026-11-27' }
  const all = { content: ['ACCESS', 'SYSTEM', 'SERVICE', 'APPLICATION'], snodes: [] }
  test.each([
    [undefined, { ...week, ...all }],
    [null, { ...week, ...all }],
    [{}, { ...week, ...all }],
    [{ end_date: '2026-03-03' }, { start_date: '2026-02-25', end_date: '2026-03-03', ...all }],
    [{ start_date: '2026-11-01' }, { start_date: '2026-11-01', end_date: '2026-11-27', ...all }],
    [{ start_date: '2026-11-28' }, { start_date: '2026-11-28', end_date: '2026-11-28', ...all }],
    [{ end_date: '2026-11-28' }, { start_date: '2026-11-22', end_date: '2026-11-28', ...all }],
    [{ content: ['ACCESS', 'ACCESS'] }, { ...week, content: ['ACCESS'], snodes: [] }],
    [
      { nodes: [176, 176], snodes: [1, 'two '] },
      { ...week, ...all, nodes: [176], snodes: ['1', 'two'] },
    ],
    [
      { nodes: [], snodes: [3] },
      { ...week, ...all, nodes: [], snodes: ['3'] },
    ],
  ])('%j', (body, request) => {
    expect(read(body)).toEqual(request)
  })

  test.each([
    [[], 'JSON object'],
    ['text', 'JSON object'],
    [{ start: 'x' }, '"start"'],
    [{ start_date: 1 }, 'start_date must be a day'],
    [{ start_date: '2026-02-30' }, 'start_date must be a day'],
    [{ end_date: '11/20/2026' }, 'end_date must be a day'],
    [{ end_date: '2026-11-20T10:00:00Z' }, 'end_date must be a day'],
    [{ end_date: '1969-12-31' }, 'end_date must be a day'],
    [{ start_date: '2026-11-20', end_date: '2026-11-19' }, 'after end_date'],
    [{ start_date: '2026-12-24' }, 'after end_date'],
    [{ end_date: '2026-11-29' }, 'future'],
    [{ content: [] }, 'content must name'],
    [{ content: ['access'] }, 'content must be a list of ACCESS'],
    [{ content: 'ACCESS' }, 'content must be a list of ACCESS'],
    [{ nodes: ['101'] }, 'nodes must be a list'],
    [{ nodes: [1.5] }, 'nodes must be a list'],
    [{ nodes: [0] }, 'nodes must be a list'],
    [{ nodes: 101 }, 'nodes must be a list'],
    [{ snodes: [''] }, 'snodes must be a list'],
    [{ snodes: ['a,b'] }, 'snodes must be a list'],
    [{ snodes: [true] }, 'snodes must be a list'],
    [{ nodes: [] }, 'neither nodes nor snodes'],
    [{ nodes: [], snodes: [] }, 'neither nodes nor snodes'],
  ])('%j is refused', (body, message) => {
    expect(() => read(body)).toThrow(message)
  })

  test('whatever is sent, it is refused in words or has days in order', () => {
    fc.assert(
      fc.property(
        fc.record(
          {
            start_date: fc.oneof(
              fc.string(),
              fc.date({ noInvalidDate: true }).map((date) => date.toISOString().slice(0, 10)),
            ),
            end_date: fc.oneof(
              fc.string(),
              fc.date({ noInvalidDate: true }).map((date) => date.toISOString().slice(0, 10)),
            ),
            content: fc.anything(),
            nodes: fc.array(fc.integer()),
          },
          { requiredKeys: [] },
        ),
        (body) => {
          let request
          try {
            request = read(body)
          } catch (error) {
            expect((error as Error).message).not.toMatch(/undefined|\[object/)
            return
          }
          expect(request.start_date <= request.end_date).toBe(true)
        },
      ),
    )
  })
})
