import { assert, bigInt, double, jsonValue, property } from 'fast-check'
import { expect, test } from 'vitest'
import { parseExactly } from './exact-json.ts'

test.each([
  '12345678901234567890',
  '-12345678901234567890',
  '9007199254740993',
  '1e400',
  '-1E+400',
  '1e-400',
  '0.12345678901234567890',
  '123456789012345.678901',
])('%s comes out as it went in, wherever it is', (number) => {
  for (const text of [number, `[${number}]`, `{"a":{"b":[1,${number}]}}`])
    expect(JSON.stringify(parseExactly(text))).toBe(text)
})

test.each([
  '1',
  '-0.5',
  '1e3',
  '9007199254740991',
  '1.5e-7',
  '0',
  '0e5',
  '100000000000000000000',
  '0.1000000000000000',
])('%s is a number', (number) => {
  expect(parseExactly(number)).toBe(Number(number))
})

test('whatever JSON.parse can read without rounding is read alike', () => {
  assert(
    property(jsonValue(), (value) => {
      const text = JSON.stringify(value)
      expect(parseExactly(text)).toEqual(JSON.parse(text))
    }),
  )
  assert(
    property(double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(parseExactly(JSON.stringify([value]))).toEqual(JSON.parse(JSON.stringify([value])))
    }),
  )
})

test('whole numbers of any size stay as they are', () => {
  assert(
    property(bigInt(), (value) => {
      expect(JSON.stringify(parseExactly(`{"n":${value}}`))).toBe(`{"n":${value}}`)
    }),
  )
})
