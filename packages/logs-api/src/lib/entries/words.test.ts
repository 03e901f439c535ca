import { assert, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ftsQueries, ftsWords, parseWords, tsQuery, vectorWords } from './words.ts'

/** The words by their places, read back from a `tsvector`. */
function placed(vector: string): string[] {
  const words: string[] = []
  for (const [, found, places] of vector.matchAll(/'([^']+)':([\d,]+) /g))
    for (const place of (places as string).split(',')) words[Number(place) - 1] = found as string
  return words
}

/** As SQLite's tokenizer `ascii` parts it. */
const parted = (text: string): string[] => text.toLowerCase().match(/[a-z0-9\u0080-\u{10ffff}]+/gu) ?? []

describe('words of a text', () => {
  test.each([
    ['disk quota reached\n', ['disk', 'quota', 'reached']],
    ['Größe: 12 MiB, ÄÖÜ', ['größe', '12', 'mib', 'äöü']],
    ['Gro\u0308ße', ['größe']],
    ['a-b_c.d/e', ['a', 'b', 'c', 'd', 'e']],
    ['磁盘已满 error5', ['磁', '盘', '已', '满', 'error5']],
    ['ошибка диска', ['ошибка', 'диска']],
    ['ΟΔΟΣ', ['οδος']],
    ["it's 'quoted' \\ and \"so\"", ['it', 's', 'quoted', 'and', 'so']],
    ['a\0b', ['a', 'b']],
    ['🔥 … —', []],
    ['', []],
  ])('%j', (text, words) => {
    expect(placed(vectorWords(text))).toEqual(words)
    expect(parted(ftsWords(text))).toEqual(words)
  })

  test('both stores get the same words at the same places, whatever the text', () => {
    assert(
      property(string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(parted(ftsWords(text))).toEqual(placed(vectorWords(text)))
      }),
    )
  })

  test('of a long word its first 64 characters count, whole characters', () => {
    const fire = '𐐨'
    expect(placed(vectorWords(`${'x'.repeat(70)} y`))).toEqual(['x'.repeat(64), 'y'])
    expect(ftsWords(`${'x'.repeat(70)} y`)).toBe(`${'x'.repeat(64)} y`)
    expect(ftsWords(`x${fire.repeat(70)}`)).toBe(`x${fire.repeat(63)}`)
  })

  test('the first 10,000 words count', () => {
    const text = Array.from({ length: 10_005 }, (_, index) => `w${index}`).join(' ')
    expect(placed(vectorWords(text))).toHaveLength(10_000)
    expect(parted(ftsWords(text))).toHaveLength(10_000)
  })

  test('a word that comes too often for PostgreSQL leaves the places of others alone', () => {
    const text = `${'a '.repeat(300)}b`
    const words = placed(vectorWords(text))
    expect(words.filter((found) => found === 'a')).toHaveLength(255)
    expect(words.indexOf('b')).toBe(300)
    expect(parted(ftsWords(text)).indexOf('b')).toBe(300)
    expect(parted(ftsWords(text)).filter((found) => found === 'a')).toHaveLength(255)
  })

  test('a tsvector stays below 1 MiB', () => {
    const text = Array.from({ length: 10_000 }, (_, index) => `${'ж'.repeat(60)}${index}`).join(' ')
    expect(Buffer.byteLength(vectorWords(text))).toBeLessThan(1024 * 1024)
  })
})

describe('a search', () => {
  test.each([
    ['disk', { all: [['disk']], none: [] }],
    ['Disk  QUOTA', { all: [['disk'], ['quota']], none: [] }],
    ['"disk quota" -reached', { all: [['disk', 'quota']], none: [['reached']] }],
    ['-"disk quota" full', { all: [['full']], none: [['disk', 'quota']] }],
    ['disk-quota', { all: [['disk', 'quota']], none: [] }],
    ['-only', { all: [], none: [['only']] }],
    ['"open phrase', { all: [['open', 'phrase']], none: [] }],
    ['磁盘', { all: [['磁', '盘']], none: [] }],
    ['- x ""', { all: [['x']], none: [] }],
    ["'; drop & | ! <-> :*", { all: [['drop']], none: [] }],
  ])('%j', (q, query) => {
    expect(parseWords(q)).toEqual(query)
  })

  test.each(['', '   ', '"', '-', '!!! …'])('%j has no word in it and is refused', (q) => {
    expect(() => parseWords(q)).toThrow(
      expect.objectContaining({ status: 400, message: expect.stringContaining('word') }),
    )
  })

  test('has at most 64 words', () => {
    expect(() => parseWords('a '.repeat(64))).not.toThrow()
    expect(() => parseWords('a '.repeat(65))).toThrow(expect.objectContaining({ status: 400 }))
  })

  test('says the same in the languages of both stores', () => {
    const query = parseWords('a "b c" -d -"e f"')
    expect(tsQuery(query)).toBe("('a') & ('b' <-> 'c') & !('d') & !('e' <-> 'f')")
    expect(ftsQueries(query)).toEqual({ all: '"a" AND "b c"', none: '"d" OR "e f"' })
    expect(ftsQueries(parseWords('-d'))).toEqual({ all: undefined, none: '"d"' })
  })
})
