import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Refusal } from '../http/refusal.ts'
import { openCursor, sealCursor } from './cursor.ts'

const secret = Buffer.alloc(32, 7)

describe('a cursor', () => {
  test('holds any JSON value, for any scope', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.jsonValue(), (scope, value) => {
        const again: unknown = JSON.parse(JSON.stringify(value))
        expect(openCursor(secret, scope, sealCursor(secret, scope, value))).toEqual(again)
      }),
    )
  })

  test('is text that needs no escapes in a URL', () => {
    const cursor = sealCursor(secret, 'scope', ['Ünïcode?&/', 1])
    expect(encodeURIComponent(cursor)).toBe(cursor)
  })

  test('is refused with 400 when any of its characters is another', () => {
    const cursor = sealCursor(secret, 'scope', [1_772_619_072_000_345, '0123456789abcdef'])
    const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.='
    fc.assert(
      fc.property(fc.nat(cursor.length - 1), fc.constantFrom(...digits.split('')), (index, character) => {
        fc.pre(cursor[index] !== character)
        expectRefused(cursor.slice(0, index) + character + cursor.slice(index + 1))
      }),
      { numRuns: 500 },
    )
  })

  test.each(['', '.', 'x', 'é.é', 'a.b.c', 'null'])('is refused with 400 when it is %j', (text) => {
    expectRefused(text)
  })

  test('is refused with 400 when something is added or taken away', () => {
    const cursor = sealCursor(secret, 'scope', [1, 'a'])
    for (const text of [`${cursor}=`, `${cursor}.`, `${cursor}.x`, ` ${cursor}`, cursor.slice(0, -1)]) {
      expectRefused(text)
    }
  })

  test('is refused with 400 for another scope and another secret', () => {
    const cursor = sealCursor(secret, 'scope', [1, 'a'])
    expect(() => openCursor(secret, 'scope2', cursor)).toThrow(Refusal)
    expect(() => openCursor(Buffer.alloc(32, 8), 'scope', cursor)).toThrow(Refusal)
  })
})

function expectRefused(text: string): void {
  expect(() => openCursor(secret, 'scope', text)).toThrow(expect.objectContaining({ status: 400 }))
}
