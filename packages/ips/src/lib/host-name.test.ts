import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseHostName } from './host-name.ts'

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_'.split('')
const edge = fc.constantFrom(...letters)
const label = fc
  .tuple(edge, fc.option(fc.tuple(fc.array(fc.constantFrom(...letters, '-'), { maxLength: 61 }), edge)))
  .map(([first, rest]) => first + (rest === null ? '' : rest[0].join('') + rest[1]))
// A letter at the end keeps it from being an IPv4 address.
const name = fc
  .array(label, { minLength: 1, maxLength: 8 })
  .map((labels) => [...labels, 'x'].join('.'))
  .filter(({ length }) => length <= 253)

describe('host names', () => {
  test('every name within the limits of RFC 1035 is taken as it is, with or without the dot at its end', () => {
    fc.assert(
      fc.property(name, (text) => {
        expect(parseHostName(text)).toEqual({ ascii: text, literal: false, absolute: false })
        expect(parseHostName(`${text}.`)).toEqual({ ascii: text, literal: false, absolute: true })
      }),
    )
  })

  test('whatever the text, the outcome is an ASCII name within the limits, an address, or a RangeError', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.webAuthority(),
      name,
    )
    fc.assert(
      fc.property(text, (given) => {
        let parsed
        try {
          parsed = parseHostName(given)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
          return
        }
        expect(parsed.ascii).toMatch(parsed.literal ? /^[\da-f.:]+(%.+)?$/i : /^[\w-]{1,63}(\.[\w-]{1,63})*$/)
        expect(parsed.ascii.length).toBeLessThanOrEqual(253)
      }),
      { numRuns: 300 },
    )
  })

  test('names in other alphabets become punycode', () => {
    expect(parseHostName('bücher.example.').ascii).toBe('xn--bcher-kva.example')
    expect(parseHostName('名.例え。テスト').ascii).toBe('xn--eqr.xn--r8jz45g.xn--zckzah')
  })

  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['fe80::1%lo', 'fe80::1%lo'],
    ['１２７.０.０.１', '127.0.0.1'],
  ])('%s is an address', (text, ascii) => {
    expect(parseHostName(text)).toMatchObject({ ascii, literal: true })
  })

  test.each([
    ['', 'empty'],
    ['.', 'empty'],
    ['a..b', 'empty label'],
    ['a.b..', 'empty label'],
    ['.a', 'empty label'],
    [`${'a'.repeat(64)}.b`, '64 characters'],
    [`${'a.'.repeat(126)}bc`, '254 characters'],
    [`${'ü'.repeat(60)}.de`, 'label has'],
    ['-a.b', 'hyphen'],
    ['a-.b', 'hyphen'],
    ['a b', 'only letters'],
    ['xn--ü.de', 'only letters'],
    ['ü\u2028.de', 'only letters'],
    ['a/b', 'only letters'],
    ['http://a.b', 'only letters'],
    ['a.b:443', 'only letters'],
    ['ü%41.de', 'only letters'],
    ['ü.de/path', 'only letters'],
    ['a\0b', 'only letters'],
    ['a\r\nb', 'only letters'],
    ['a.b\n', 'only letters'],
    ['[127.0.0.1]', 'only letters'],
    ['[a.b]', 'only letters'],
  ])('%j is refused: %s', (text, complaint) => {
    expect(() => parseHostName(text)).toThrow(RangeError)
    expect(() => parseHostName(text)).toThrow(complaint)
  })

  test.each([undefined, null, 1, {}, ['a.b']])('%j is a TypeError', (value) => {
    expect(() => parseHostName(value as string)).toThrow(TypeError)
  })
})
