import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ArraySplitter } from './array-splitter.ts'
import { LineSplitter, type Piece, type Splitter } from './line-splitter.ts'
import { BodySplitter } from './split-body.ts'

function split(splitter: Splitter, chunks: readonly Buffer[]): Piece[] {
  const pieces: Piece[] = []
  const emit = (piece: Piece): number => pieces.push(piece)
  for (const chunk of chunks) splitter.push(chunk, emit)
  splitter.end(emit)
  return pieces
}

function cutAt(body: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (body.length + 1)))].toSorted((a, b) => a - b)
  return [...ends, body.length].map((end, index) => body.subarray(index === 0 ? 0 : ends[index - 1], end))
}

const values = fc.array(fc.jsonValue({ maxDepth: 3 }), { maxLength: 6 })
const places = fc.array(fc.nat(5000), { maxLength: 12 })

test('the elements of any array are found, wherever its chunks begin', () => {
  fc.assert(
    fc.property(values, places, fc.constantFrom(undefined, 1, '\t\n'), (elements, cuts, space) => {
      const body = Buffer.from(JSON.stringify(elements, null, space))
      const pieces = split(new ArraySplitter(), cutAt(body, cuts))
      expect(pieces.map((piece) => JSON.parse(piece as string) as unknown)).toEqual(
        JSON.parse(body.toString()),
      )
    }),
  )
})

test('an array is the same to its readers when it is cut at any one place, or at all of them', () => {
  const body = Buffer.from(String.raw` [ {"a":"],\"[é\\"} , [1,[2,"}"]],"\\\\",nonsense},{"b":{}},,7 ] `)
  const whole = split(new ArraySplitter(), [body])
  expect(whole).toHaveLength(7)
  for (let place = 0; place <= body.length; place++) {
    expect(split(new ArraySplitter(), [body.subarray(0, place), body.subarray(place)])).toEqual(whole)
  }
  expect(
    split(
      new ArraySplitter(),
      [...body].map((byte) => Buffer.of(byte)),
    ),
  ).toEqual(whole)
})

const blank = { error: 'There is no entry between two commas.' }
test.each([
  ['[]', []],
  ['[ \n]', []],
  ['[1]', ['1']],
  ['[1,]', ['1', blank]],
  ['[,1]', [blank, '1']],
  ['[1}]', ['1}']],
  ['[1', [{ error: 'The array has no end: the body was cut off here.' }]],
  ['[', [{ error: 'The array has no end: the body was cut off here.' }]],
  ['[1] x', ['1', { error: 'There is text behind the end of the array: it was not read.' }]],
  ['[1]\n', ['1']],
])('of the array %j each wrong element is told, and no other is lost', (body, pieces) => {
  expect(split(new ArraySplitter(), [Buffer.from(body)])).toEqual(pieces)
})

test('the lines of any body are found, wherever its chunks begin', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 10 }),
      places,
      (texts, cuts) => {
        const lines = texts.map((text) => text.replaceAll('\n', ''))
        const body = Buffer.from(lines.map((line) => `${line}\n`).join(''))
        expect(split(new LineSplitter(), cutAt(body, cuts))).toEqual(lines)
      },
    ),
  )
})

test('a line that is not UTF-8 does not spoil those beside it', () => {
  const body = Buffer.concat([Buffer.from('one\ntwo\n'), Buffer.of(0xff), Buffer.from('\nfour\nfive')])
  const pieces = ['one', 'two', { error: 'The entry is not valid UTF-8.' }, 'four', 'five']
  expect(split(new LineSplitter(), [body])).toEqual(pieces)
  expect(
    split(
      new LineSplitter(),
      [...body].map((byte) => Buffer.of(byte)),
    ),
  ).toEqual(pieces)
})

test.each([
  ['lines', () => new LineSplitter(10), 'abc\n12345678901\ndef\n'],
  ['elements', () => new ArraySplitter(10), '[abc,12345678901,def]'],
])('%s that are too long are not kept, and those behind them are found', (_kind, splitter, text) => {
  const pieces = ['abc', { error: 'The entry is longer than 10 bytes.' }, 'def']
  expect(split(splitter(), [Buffer.from(text)])).toEqual(pieces)
  expect(
    split(
      splitter(),
      [...Buffer.from(text)].map((byte) => Buffer.of(byte)),
    ),
  ).toEqual(pieces)
})

test.each([
  ['application/x-ndjson', '[1]\n[2]\n', ['[1]', '[2]']],
  ['application/x-ndjson; charset=utf-8', ' \n{}', [' ', '{}']],
  ['application/json', ' \n [1,2]', ['1', '2']],
  ['application/json', '\uFEFF[1,2]', ['1', '2']],
  [undefined, '[1,2]', ['1', '2']],
  [undefined, '{"a":1}\n{"a":2}', ['{"a":1}', '{"a":2}']],
  ['text/plain', '\n{"a":1}\n', ['', '{"a":1}']],
  ['application/json', '', []],
])('a body of type %s that begins as %j is read as what it is', (type, body, pieces) => {
  expect(split(new BodySplitter(type), [Buffer.from(body)])).toEqual(pieces)
  expect(
    split(
      new BodySplitter(type),
      [...Buffer.from(body)].map((byte) => Buffer.of(byte)),
    ),
  ).toEqual(pieces)
})

test('a body that says it is JSON and is no array is refused', () => {
  expect(() => split(new BodySplitter('application/json'), [Buffer.from('{"data":"x"}')])).toThrow(
    'The body is no JSON array.',
  )
})
