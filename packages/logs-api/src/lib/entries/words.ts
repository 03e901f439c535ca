import { Refusal } from '../http/refusal.ts'
import type { WordQuery } from './entry.ts'

/*
 * Both stores get their words from here, so that they find the same. A word is a run of letters and digits, in lower case. Signs of scripts that are
 * written without blanks are each a word of their own: what is looked for is then a phrase, found anywhere.
 */

/** Of a text. What stands behind them is not found. */
const mostWords = 10_000
/** UTF-16 units of a text that are looked at for them. */
const mostText = 1024 * 1024
/** Characters of a word that count. */
const longestWord = 64
/** PostgreSQL keeps so many places of a word in a text; further ones stand for no word, on SQLite too. */
const mostPlaces = 255
/** A `tsvector` ends at 1 MiB. */
const mostBytes = 900_000
/** Of a query. */
const mostAsked = 64
/** Takes the place of a word that is not kept. No query can name it: it is no letter. */
const filler = '\uE000'

const unspaced =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}'
const word = new RegExp(`(?=[\\p{L}\\p{N}])[${unspaced}]|[[\\p{L}\\p{N}]--[${unspaced}]]+`, 'gv')
const ascii = /^[\0-\x7f]*$/
const asciiWord = /[a-z0-9]+/g

/** Short and plain: SQLite parts it into the same words by itself. */
const mostPlain = 2 * mostPlaces
const long = new RegExp(`[A-Za-z0-9]{${longestWord + 1}}`)

function split(text: string): string[] {
  const lower = text.slice(0, mostText).toLowerCase()
  if (ascii.test(lower)) return lower.match(asciiWord) ?? []
  return lower.normalize('NFC').match(word) ?? []
}

function cut(found: string): string {
  if (found.length <= longestWord) return found
  return Array.from(found.slice(0, 2 * longestWord))
    .slice(0, longestWord)
    .join('')
}

/** The words of a text by their place, with fillers. */
function wordsOf(text: string): string[] {
  const words = split(text).slice(0, mostWords).map(cut)
  if (words.length > mostPlaces) limit(words)
  return words
}

function limit(words: string[]): void {
  const counts = new Map<string, number>()
  let bytes = 0
  for (const [index, found] of words.entries()) {
    const count = (counts.get(found) ?? 0) + 1
    counts.set(found, count)
    if (count > mostPlaces) words[index] = filler
    else bytes += 8 + (count === 1 ? Buffer.byteLength(found) : 0)
    if (bytes > mostBytes) {
      words.length = index
      return
    }
  }
}

/** For the index of SQLite: words with blanks between them. */
export function ftsWords(text: string): string {
  if (text.length <= mostPlain && ascii.test(text) && !text.includes('\0') && !long.test(text)) return text
  return wordsOf(text).join(' ')
}

/** For the index of PostgreSQL: a `tsvector` as text. */
export function vectorWords(text: string): string {
  const places = new Map<string, string>()
  for (const [index, found] of wordsOf(text).entries()) {
    if (found === filler) continue
    const before = places.get(found)
    places.set(found, before === undefined ? `${index + 1}` : `${before},${index + 1}`)
  }
  let vector = ''
  for (const [found, at] of places) vector += `'${found}':${at} `
  return vector
}

/**
 * Reads a search: words, `"phrases"`, and either with `-` before it for what must not be there. What holds several words, such as `disk-quota`,
 * is a phrase.
 *
 * @throws {Refusal} 400 if there is no word in it, or more than 64.
 */
export function parseWords(q: string): WordQuery {
  const all: string[][] = []
  const none: string[][] = []
  let count = 0
  for (const [, minus, phrase, single] of q.matchAll(/(-?)(?:"([^"]*)(?:"|$)|([^\s"]+))/gu)) {
    const words = split(phrase ?? single ?? '').map(cut)
    if (words.length === 0) continue
    count += words.length
    ;(minus === '-' ? none : all).push(words)
  }
  if (count === 0) throw new Refusal(400, 'q must have at least one word: letters or digits')
  if (count > mostAsked) throw new Refusal(400, `q must have at most ${mostAsked} words, not ${count}`)
  return { all, none }
}

/** Of FTS5: one for what must be there and one for what must not; undefined where nothing was said. */
export function ftsQueries({ all, none }: WordQuery): { all: string | undefined; none: string | undefined } {
  const phrases = (parts: WordQuery['all'], operator: string): string | undefined =>
    parts.length === 0 ? undefined : parts.map((words) => `"${words.join(' ')}"`).join(` ${operator} `)
  return { all: phrases(all, 'AND'), none: phrases(none, 'OR') }
}

/** A `tsquery` as text. */
export function tsQuery({ all, none }: WordQuery): string {
  const phrase = (words: readonly string[]): string => `(${words.map((found) => `'${found}'`).join(' <-> ')})`
  return [...all.map(phrase), ...none.map((words) => `!${phrase(words)}`)].join(' & ')
}

/** Whether a text would be found, as the stores find it. */
export function holdsWords(text: string, { all, none }: WordQuery): boolean {
  const words = wordsOf(text)
  const holds = (phrase: readonly string[]): boolean =>
    words.some((_, start) => phrase.every((found, index) => words[start + index] === found))
  return all.every(holds) && !none.some(holds)
}
