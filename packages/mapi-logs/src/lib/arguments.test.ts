import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { calendarDate, checkOrder, wireDate } from './calendar-date.ts'
import { packageFileName } from './file-name.ts'
import { checkSnodes, downloadDocument } from './log-selection.ts'
import { logStatus } from './log-status.ts'

describe('days', () => {
  test.each([
    ['2026-02-03', '02/03/2026'],
    [{ year: 2024, month: 2, day: 29 }, '02/29/2024'],
    [new Date(2026, 10, 20, 23, 59), '11/20/2026'],
  ])('%j is sent as %s', (given, wire) => {
    expect(wireDate(calendarDate('startDate', given))).toBe(wire)
  })

  test.each([
    '2026-02-30',
    '20.11.2026',
    '',
    '2026-1-1',
    { year: 2026, month: 13, day: 1 },
    { year: 1969, month: 1, day: 1 },
  ])('%j is none', (given) => {
    expect(() => calendarDate('startDate', given)).toThrow(RangeError)
  })
  test('what is no day at all is a TypeError', () => {
    for (const given of [5, null, true])
      expect(() => calendarDate('endDate', given as never)).toThrow(TypeError)
    expect(() => calendarDate('endDate', new Date(Number.NaN))).toThrow(RangeError)
  })

  test('the first is not after the last', () => {
    const day = (text: string) => calendarDate('day', text)
    expect(() => checkOrder(day('2026-03-01'), day('2026-02-28'))).toThrow(/after endDate/)
    checkOrder(day('2026-03-01'), day('2026-03-01'))
    checkOrder(undefined, day('2026-03-01'))
  })
})

describe('what is to be downloaded', () => {
  test('nodes that are absent are all, and an empty list is none', () => {
    expect(downloadDocument({})).not.toContain('<nodes>')
    expect(downloadDocument({ nodes: [], snodes: ['S10-1'] })).toContain('<nodes></nodes>')
    expect(downloadDocument({ nodes: [101, '103', 101] })).toContain('<nodes>101,103</nodes>')
    expect(downloadDocument({})).toContain('<content>ACCESS,SYSTEM,SERVICE,APPLICATION</content>')
    expect(downloadDocument({ content: ['SERVICE', 'SERVICE'] })).toContain('<content>SERVICE</content>')
  })

  test('names of S Series nodes are escaped', () => {
    expect(downloadDocument({ snodes: ['<a>&b'] })).toContain('<snodes>&lt;a&gt;&amp;b</snodes>')
  })

  test.each([
    { content: [] },
    { content: ['access'] },
    { content: 'ACCESS' },
    { nodes: [1.5] },
    { nodes: ['101,102'] },
    { nodes: [-1] },
    { nodes: 101 },
    { nodes: [null] },
    { nodes: [] },
    { snodes: ['a,b'] },
    { snodes: [''] },
    { snodes: 'S10' },
    { snodes: ['a\nb'] },
  ])('%j is refused', (selection) => {
    expect(() => downloadDocument(selection as never)).toThrow(
      /must|cannot|not the number|nothing to download/,
    )
  })

  test('no name breaks the document', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        let names: readonly string[]
        try {
          names = checkSnodes([name])
        } catch {
          return
        }
        const found = /<snodes>([^<>]*)<\/snodes>/.exec(downloadDocument({ snodes: names }))?.[1]
        const read = found?.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
        expect(read).toBe(name.trim())
      }),
    )
  })
})

describe('the state', () => {
  const flags = {
    readyForStreaming: false,
    streamingInProgress: false,
    started: false,
    error: false,
    content: [],
  }
  test.each([
    [{}, 'idle'],
    [{ started: true }, 'preparing'],
    [{ started: true, streamingInProgress: true }, 'streaming'],
    [{ started: true, readyForStreaming: true }, 'ready'],
    [{ started: true, readyForStreaming: true, streamingInProgress: true }, 'ready'],
    [{ started: true, readyForStreaming: true, error: true }, 'failed'],
  ])('%j is %s', (given, state) => {
    expect(logStatus({ ...flags, ...given }).state).toBe(state)
  })
  test('what is not known is kept', () => {
    expect(logStatus({ ...flags, content: ['ACCESS', ''], selectedNodes: '101' })).toMatchObject({
      unknown: { selectedNodes: '101' },
      content: ['ACCESS'],
    })
  })
})

describe('the name of a package', () => {
  test.each([
    [
      'attachment; filename=HCPLogs-admin.hcp.example.com-n17-sp20170321-1225.zip',
      'HCPLogs-admin.hcp.example.com-n17-sp20170321-1225.zip',
    ],
    ['attachment; filename="a b.zip"; size=3', 'a b.zip'],
    ["attachment; filename=x.zip; filename*=UTF-8''%e2%82%ac.zip", '€.zip'],
    ['attachment; filename="../../etc/passwd"', 'passwd'],
    ['attachment; filename=..\\..\\evil.zip', 'evil.zip'],
    ['attachment; filename=/etc/passwd', 'passwd'],
    ['attachment; filename=.bashrc', 'bashrc'],
    ['attachment; filename=..', 'HCPLogs.zip'],
    ['attachment; filename=', 'HCPLogs.zip'],
    ['attachment; filename=NUL.zip', 'HCPLogs.zip'],
    ['attachment; filename=a\u0000b\u202E.zip', 'ab.zip'],
    ['attachment', 'HCPLogs.zip'],
    [undefined, 'HCPLogs.zip'],
  ])('%j gives %j', (header, name) => {
    expect(packageFileName(header)).toBe(name)
  })

  test('is always one that can be a file in a folder', () => {
    const headers = fc.tuple(
      fc.constantFrom('attachment; filename=', 'attachment; filename="'),
      fc.string({ unit: 'binary', maxLength: 600 }),
    )
    fc.assert(
      fc.property(headers, ([start, text]) => {
        const name = packageFileName(start + text)
        expect(name).not.toMatch(/[/\\\p{Cc}]|^\.|^$/u)
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200)
        expect(name.isWellFormed() || !text.isWellFormed()).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })
})
