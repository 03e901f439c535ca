import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Refusal } from './refusal.ts'
import { decodeText, encodeBytes, parseQuery, parseTarget } from './request-target.ts'

const bytes = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((list) => Buffer.from(list).toString('latin1'))

test('every name of bytes goes through a URL and comes back', () => {
  fc.assert(
    fc.property(bytes, (name) => {
      const { root, path } = parseTarget(`/rest/${encodeBytes(name).replaceAll('/', '%2F')}`)
      expect(root).toBe('rest')
      expect(path).toBe(name.split('/').filter(Boolean).join('/'))
    }),
  )
})

test('however much of it is encoded', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0x30, max: 0x39 }), fc.boolean()), { minLength: 1 }),
      (list) => {
        const url = list
          .map(([code, encoded]) => (encoded ? `%${code.toString(16)}` : String.fromCharCode(code)))
          .join('')
        expect(parseTarget(`/rest/${url}`).path).toBe(String.fromCharCode(...list.map(([code]) => code)))
      },
    ),
  )
})

test('a URL is understood or refused with 400, and nothing else happens', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      try {
        const { path, query } = parseTarget(`/${text}`)
        expect(path.startsWith('/') || path.endsWith('/')).toBe(false)
        for (const value of query.values()) decodeText(value)
      } catch (error) {
        expect(error).toBeInstanceOf(Refusal)
        expect((error as Refusal).status).toBe(400)
      }
    }),
  )
})

test.each([
  ['/rest', 'rest', '', false],
  ['/rest/', 'rest', '', false],
  ['/rest/a', 'rest', 'a', false],
  ['/rest/a/', 'rest', 'a', true],
  ['/rest//a//b', 'rest', 'a/b', false],
  ['/', '', '', false],
  ['/proc/statistics', 'proc', 'statistics', false],
  ['http://n1.m.hcp1.test/rest/a', 'rest', 'a', false],
])('%s', (url, root, path, slash) => {
  expect(parseTarget(url)).toMatchObject({ root, path, slash })
})

test('a slash at the end is one however it is written', () => {
  for (const url of ['/rest/a/', '/rest/a%2F', '/rest/a%2f', '/rest/a//']) {
    expect(parseTarget(url)).toMatchObject({ path: 'a', slash: true })
  }
})

test('a query keeps its values as they were sent, once each', () => {
  expect([...parseQuery('a=1&b&c=A+10y&&d=%2B')]).toEqual([
    ['a', '1'],
    ['b', ''],
    ['c', 'A+10y'],
    ['d', '%2B'],
  ])
  expect(() => parseQuery('a=1&a=2')).toThrow('twice')
  expect([decodeText('A+10y', 'plus'), decodeText('A%2B10y', 'plus'), decodeText('a+b%C3%A4')]).toEqual([
    'A+10y',
    'A+10y',
    'a bä',
  ])
})
