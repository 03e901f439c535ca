import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatNameServer, parseNameServer } from './name-server.ts'

const port = fc.integer({ min: 1, max: 65_535 })

test('an address alone means port 53, an address with a port that port', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV6(), port, (v4, v6, port) => {
      expect(parseNameServer(v4)).toEqual({ address: v4, port: 53 })
      expect(parseNameServer(v6)).toEqual({ address: v6, port: 53 })
      expect(parseNameServer(`[${v6}]`)).toEqual({ address: v6, port: 53 })
      expect(parseNameServer(`${v4}:${port}`)).toEqual({ address: v4, port })
      expect(parseNameServer(`[${v6}]:${port}`)).toEqual({ address: v6, port })
    }),
  )
})

test('what is written is what was read', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), port, (address, port) => {
      expect(parseNameServer(formatNameServer({ address, port }))).toEqual({ address, port })
    }),
  )
})

test('whatever the text, the outcome is an address with a port or a RangeError', () => {
  const piece = fc.constantFrom(
    '1',
    '127.0.0.1',
    '::1',
    '[',
    ']',
    ':',
    '53',
    '.',
    '%lo',
    ' ',
    'a',
    '-1',
    '1e3',
  )
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
  )
  fc.assert(
    fc.property(text, (given) => {
      let server
      try {
        server = parseNameServer(given)
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
        return
      }
      expect(parseNameServer(formatNameServer(server))).toEqual(server)
    }),
    { numRuns: 1000 },
  )
})

test.each([
  '',
  'dns.example',
  'dns.example:53',
  '127.0.0.1:',
  '127.0.0.1:0',
  '127.0.0.1:65536',
  '127.0.0.1:5x',
  '127.0.0.1: 53',
  '127.0.0.1:53:53',
  '[::1',
  '[::1]:',
  '[::1]53',
  '[127.0.0.1]:53',
  '256.0.0.1',
])('%j is refused', (text) => {
  expect(() => parseNameServer(text)).toThrow(RangeError)
})

test('what is no string is a TypeError', () => {
  expect(() => parseNameServer(53 as unknown as string)).toThrow(TypeError)
})
