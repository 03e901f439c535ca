import * as fc from 'fast-check'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { foldsNames, localName, NameGuard } from './local-names.ts'

describe('localName', () => {
  test.each([
    ['a.txt', 'a.txt'],
    ['gr%C3%B6%C3%9Fe%20%25', 'größe %'],
    ['a%0Ab', 'a\nb'],
    ['..a', '..a'],
    ['%E2%98%83', '☃'],
  ])('%s is %s', (encoded, name) => {
    expect(localName(encoded, 'linux')).toBe(name)
  })

  test.each(['', '.', '..', '%2e%2E', '.%2e', 'a%2Fb', '..%2f..', 'a%00', 'a/b', '%FF', '%ED%A0%80', '%C3'])(
    '%j can be no file',
    (encoded) => {
      expect(() => localName(encoded, 'linux')).toThrow(RangeError)
    },
  )

  test.each([
    'a%3Ab',
    'a%5Cb',
    '..%5C..',
    'con',
    'NUL.txt',
    'com1',
    'lpt9.x',
    'a.',
    'a%20',
    'a%0A',
    'a%2A',
    '%3F',
  ])('%j can be a file, but not on Windows', (encoded) => {
    expect(localName(encoded, 'darwin')).toBe(decodeURIComponent(encoded))
    expect(() => localName(encoded, 'win32')).toThrow(/Windows/)
  })

  test('whatever the name, it is refused or a single name in its folder', () => {
    const bytes = fc.uint8Array({ maxLength: 12 }).map((name) => {
      return [...name].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
    })
    fc.assert(
      fc.property(fc.oneof(bytes, fc.string({ unit: 'binary' }).map(encodeURIComponent)), (encoded) => {
        let name: string
        try {
          name = localName(encoded, 'linux')
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
          return
        }
        expect(join('/folder', name)).toBe(`/folder/${name}`)
        expect(decodeURIComponent(encoded)).toBe(name)
      }),
    )
  })
})

describe('names that a file system takes for the same', () => {
  test('the first has it, the others are told which', () => {
    const guard = new NameGuard(true)
    guard.claim('Folder/\u00c9')
    expect(() => guard.claim('folder/e\u0301')).toThrow('"Folder/\u00c9"')
    guard.claim('folder/e')
  })

  test('where it tells them apart, so do we', () => {
    const guard = new NameGuard(false)
    guard.claim('A')
    guard.claim('a')
  })

  test.skipIf(process.platform !== 'linux')('a file system is asked which it is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hcp-names-'))
    expect(await foldsNames(folder)).toBe(false)
    await rm(folder, { recursive: true })
  })
})
