import { once } from 'node:events'
import { Readable } from 'node:stream'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { extentOf, Measure, namesEtag, wantsZip } from './content.ts'

test.each([
  [undefined, false],
  ['', false],
  ['*/*', false],
  ['application/zip', true],
  ['Application/ZIP; q=0.5', true],
  ['application/zip;q=0', false],
  ['application/gzip, application/zip;q=0.9', false],
  ['application/zip, application/gzip;q=0.9', true],
  ['application/zip;q=nonsense', false],
  ['text/html, application/zip, */*;q=0.1', true],
])('Accept %j: a ZIP %j', (accept, zip) => {
  expect(wantsZip(accept)).toBe(zip)
})

describe('Range', () => {
  test.each([
    [undefined, undefined],
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=5-', { start: 5, end: 9 }],
    ['bytes=5-99', { start: 5, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-99', { start: 0, end: 9 }],
    ['Bytes = 2-3', { start: 2, end: 3 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=3-2', undefined],
    ['bytes=-', undefined],
    ['bytes=1-2,4-5', undefined],
    ['lines=1-2', undefined],
    ['bytes=a-b', undefined],
  ])('%j of ten bytes', (range, extent) => {
    expect(extentOf(range, 10)).toEqual(extent)
  })

  test('a part lies within the whole, whatever is asked for', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(), fc.nat(), fc.integer({ min: 1, max: 1e12 }), (junk, a, b, size) => {
        for (const range of [junk, `bytes=${a}-${b}`, `bytes=-${a}`, `bytes=${b}-`, `bytes=${junk}`]) {
          const extent = extentOf(range, size)
          if (extent === undefined || extent === 'unsatisfiable') continue
          expect(extent.start).toBeGreaterThanOrEqual(0)
          expect(extent.start).toBeLessThanOrEqual(extent.end)
          expect(extent.end).toBeLessThan(size)
        }
      }),
    )
  })
})

test.each([
  [undefined, false],
  ['"a"', true],
  ['W/"a"', true],
  ['"b", "a"', true],
  ['*', true],
  ['"b"', false],
  ['a', false],
])('If-None-Match %j', (header, named) => {
  expect(namesEtag(header, '"a"')).toBe(named)
})

test.each([
  [4, 'shorter'],
  [2, 'longer'],
])('content of three bytes where %i were announced ends in an error', async (announced, word) => {
  const measure = Readable.from([Buffer.from('abc')]).pipe(new Measure(announced))
  measure.resume()
  const [error] = (await once(measure, 'error')) as [Error]
  expect(error.message).toContain(word)
})
