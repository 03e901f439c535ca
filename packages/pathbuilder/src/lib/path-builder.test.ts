import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PathBuilder, PathBuilderError, type PathBuilderOptions } from '../index.ts'

const fromManual = '8ac8ecb4-9f1e-11e4-a524-98fe94437d8c'

describe('getPath', () => {
  test("finds the manual's example in the manual's folder", () => {
    expect(new PathBuilder({ initialPath: '/rest/mypath' }).getPath(fromManual)).toBe(
      `/rest/mypath/b4/ec/${fromManual}`,
    )
  })

  test('takes the last two bytes of the time, the fastest first, whatever the name', () => {
    const builder = new PathBuilder({ initialPath: '/' })
    fc.assert(
      fc.property(fc.uuid({ version: 1 }), (name) => {
        const bytes = Buffer.from(name.slice(0, 8), 'hex')
        const [first, second] = [bytes.subarray(3, 4), bytes.subarray(2, 3)]
        expect(builder.getPath(name)).toBe(`/${first.toString('hex')}/${second.toString('hex')}/${name}`)
      }),
    )
  })

  const noNames: [string, unknown][] = [
    ['a file name', 'abc'],
    ['nothing', ''],
    ['no string', 7],
    ['undefined', undefined],
    ['upper case', fromManual.toUpperCase()],
    ['no hyphens', fromManual.replaceAll('-', '')],
    ['braces', `{${fromManual}}`],
    ['a URN', `urn:uuid:${fromManual}`],
    ['a path', `/rest/mypath/b4/ec/${fromManual}`],
    ['an extension', `${fromManual}.txt`],
    ['a line end', `${fromManual}\n`],
    ['version 4', '8ac8ecb4-9f1e-41e4-a524-98fe94437d8c'],
    ['version 6', '8ac8ecb4-9f1e-61e4-a524-98fe94437d8c'],
    ['the nil UUID', '00000000-0000-0000-0000-000000000000'],
    ['the NCS variant', '8ac8ecb4-9f1e-11e4-7524-98fe94437d8c'],
    ["Microsoft's variant", '8ac8ecb4-9f1e-11e4-c524-98fe94437d8c'],
    ['no hexadecimal digit', '8ac8ecg4-9f1e-11e4-a524-98fe94437d8c'],
    ['path traversal', '../../..-9f1e-11e4-a524-98fe94437d8c'],
  ]
  test.each(noNames)('refuses %s', (_what, name) => {
    expect(() => new PathBuilder().getPath(name as string)).toThrow(
      expect.objectContaining({ name: 'PathBuilderError', code: 'PATHBUILDER_NAME' }),
    )
    expect(() => new PathBuilder().getPath(name as string)).toThrow(PathBuilderError)
  })
})

describe('getUnique', () => {
  test('gives folder, name and full path that belong together', () => {
    const builder = new PathBuilder()
    const { path, name, objectPath } = builder.getUnique('report.pdf')
    expect(name).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(path).toBe(`/rest/hcpsdk/${name.slice(6, 8)}/${name.slice(4, 6)}`)
    expect(objectPath).toBe(`${path}/${name}`)
    expect(builder.getPath(name)).toBe(objectPath)
  })

  test("the name's time is now", () => {
    const before = Date.now()
    const time = timeOf(new PathBuilder().getUnique('a').name)
    // A builder of this thread may have been ahead of the clock by a millisecond's worth of names.
    expect(time).toBeGreaterThanOrEqual(before)
    expect(time).toBeLessThanOrEqual(Date.now() + 2)
  })

  test.each<unknown>([undefined, null, 7, {}])('refuses %o for a file name', (filename) => {
    expect(() => new PathBuilder().getUnique(filename as string)).toThrow(TypeError)
  })
})

describe('initialPath', () => {
  const accepted: [given: string, folder: string][] = [
    ['/', ''],
    ['/rest', '/rest'],
    ['/rest/x/', '/rest/x'],
    ['/rest/a b/grüße 😀', '/rest/a b/grüße 😀'],
    ['/rest/..x/.y/z.', '/rest/..x/.y/z.'],
    ['/rest/100%', '/rest/100%'],
  ]
  test.each(accepted)('%j is the folder %j', (initialPath, folder) => {
    expect(new PathBuilder({ initialPath }).getPath(fromManual)).toBe(`${folder}/b4/ec/${fromManual}`)
  })

  test.each([
    '',
    'rest/x',
    '//',
    '/rest//x',
    '/rest/x//',
    '/rest/./x',
    '/rest/..',
    '/..',
    '/.',
    '/a\nb',
    '/a\0',
    '/a\u007f',
    '/\ud800',
    '/\uffff',
  ])('%j is out of range', (initialPath) => {
    expect(() => new PathBuilder({ initialPath })).toThrow(RangeError)
    expect(() => new PathBuilder({ initialPath })).toThrow("'initialPath'")
  })
})

const wrongOptions: [string, unknown, ErrorConstructor, RegExp][] = [
  ['unknown', { initialpath: '/x' }, TypeError, /'initialpath'; there are initialPath, annotation, node/],
  ['initialPath', { initialPath: 7 }, TypeError, /'initialPath' must be a string/],
  ['annotation', { annotation: 'yes' }, TypeError, /'annotation' must be true or false/],
  ['node', { node: 'card' }, RangeError, /'node' must be 'random' or 'mac'/],
  ['null', null, TypeError, /options must be an object/],
  ['a text', '/rest/x', TypeError, /options must be an object/],
]
test.each(wrongOptions)('options are checked: %s', (_what, options, kind, message) => {
  expect(() => new PathBuilder(options as PathBuilderOptions)).toThrow(kind)
  expect(() => new PathBuilder(options as PathBuilderOptions)).toThrow(message)
})

/** Milliseconds since 1970; RFC 9562, 5.1: ticks of 100 ns since 15 October 1582. */
function timeOf(name: string): number {
  const ticks = BigInt(`0x${name.slice(15, 18)}${name.slice(9, 13)}${name.slice(0, 8)}`)
  return Number((ticks - 0x01b21dd213814000n) / 10_000n)
}
