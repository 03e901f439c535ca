import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { requestPath, requestQuery } from './url.ts'

describe('a path given as text is percent-encoded once per segment', () => {
  test.each([
    ['/rest/a b', '/rest/a%20b'],
    ['/rest/a%20b', '/rest/a%2520b'],
    ['/rest/a+b', '/rest/a%2Bb'],
    ['/rest/a?x=1', '/rest/a%3Fx%3D1'],
    ['/rest/a#b', '/rest/a%23b'],
    ['/rest/100%', '/rest/100%25'],
    ['/rest/"q"<x>|^`{}', '/rest/%22q%22%3Cx%3E%7C%5E%60%7B%7D'],
    ['/rest/a\\b', '/rest/a%5Cb'],
    ['/rest/straße/日本/😀', '/rest/stra%C3%9Fe/%E6%97%A5%E6%9C%AC/%F0%9F%98%80'],
    ['/rest/a;b,c&d', '/rest/a%3Bb%2Cc%26d'],
    ['/rest//a/', '/rest//a/'],
    ['/', '/'],
    ['/rest/..a/b../.hidden', '/rest/..a/b../.hidden'],
  ])('%s', (text, wire) => {
    expect(requestPath(text, false)).toBe(wire)
  })

  test('decoding the segments gives the text back, for any text', () => {
    const segment = fc
      .string({ unit: 'grapheme', minLength: 1 })
      // A letter of the category "control" is refused as text; the table below has the cases.
      .filter((text) => !/[/\p{Cc}]/u.test(text) && text !== '.' && text !== '..')
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1 }), (segments) => {
        // A segment that reads `%2e` is a name as text, though it would be a dot segment as encoded.
        const wire = requestPath(`/${segments.join('/')}`, false)
        expect(wire).toMatch(/^[A-Za-z0-9\-._~!'()*%/]+$/)
        expect(wire.split('/').slice(1).map(decodeURIComponent)).toEqual(segments)
      }),
    )
  })
})

test('a path that is said to be encoded goes out as it is', () => {
  expect(requestPath('/rest/a%20b/%FF%0A', true)).toBe('/rest/a%20b/%FF%0A')
})

test.each([
  [undefined, false, TypeError],
  [42, false, TypeError],
  ['', false, RangeError],
  ['rest/a', false, RangeError],
  ['/rest/a\nb', false, RangeError],
  ['/rest/a\u0000b', false, RangeError],
  ['/rest/\u007f', false, RangeError],
  ['/rest/./a', false, RangeError],
  ['/rest/../a', false, RangeError],
  ['/rest/..', false, RangeError],
  ['/rest/\ud800', false, RangeError],
  ['/rest/a b', true, RangeError],
  ['/rest/%zz', true, RangeError],
  ['/rest/a?x=1', true, RangeError],
  ['/rest/ü', true, RangeError],
  ['/rest/%2e%2E/a', true, RangeError],
])('path %j (encoded: %s) is refused', (path, encoded, kind) => {
  expect(() => requestPath(path, encoded)).toThrow(kind)
})

describe('params become the query', () => {
  test.each([
    [undefined, ''],
    [{}, ''],
    [{ retention: 'A+10y', index: true }, '?retention=A%2B10y&index=true'],
    [{ reason: 'court order 12' }, '?reason=court%20order%2012'],
    [{ nowait: '' }, '?nowait='],
    [{ a: undefined, b: 0 }, '?b=0'],
    [{ a: ['x', 'y'] }, '?a=x&a=y'],
    [{ ü: 'ß&=' }, '?%C3%BC=%C3%9F%26%3D'],
    [
      [
        ['v', 1],
        ['v', 2n],
      ],
      '?v=1&v=2',
    ],
    [new URLSearchParams({ q: 'a b' }), '?q=a%20b'],
  ] as const)('row %#', (params, query) => {
    expect(requestQuery(params as never)).toBe(query)
  })

  test.each(['a=1', 1, null, { a: {} }, { a: null }, [['a']], { '': 1 }])('%j is refused', (params) => {
    expect(() => requestQuery(params as never)).toThrow(TypeError)
  })

  test('any names and values come back from a form decoder', () => {
    const text = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            text.filter((name) => name !== ''),
            text,
          ),
        ),
        (pairs) => {
          expect([...new URLSearchParams(requestQuery(pairs))]).toEqual(pairs)
        },
      ),
    )
  })
})
