import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Children } from './children.ts'
import type { Entry } from './namespace.ts'

const entry: Entry = { kind: 'object', versions: [] }

/** All names, as a listing finds them. */
function listed(children: Children): string[] {
  const names: string[] = []
  for (let more = children.above(''); more.length > 0; more = children.above(more.at(-1)!))
    names.push(...more)
  return names
}

test('names are in order, each once, whatever came and went', () => {
  const name = fc.integer({ min: 0, max: 6_000 }).map(String)
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(fc.constant('set'), name) },
    fc.tuple(fc.constant('delete'), name),
  )
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5_000 }), fc.array(step, { maxLength: 300 }), (count, steps) => {
      const children = new Children()
      for (let index = 0; index < count; index++) children.set(String((index * 7_919) % 6_007), entry)
      for (const [kind, key] of steps) {
        if (kind === 'set') children.set(key, entry)
        else children.delete(key)
      }
      expect(listed(children)).toEqual([...children.keys()].toSorted())
    }),
    { numRuns: 50 },
  )
})

test('names by their bytes, of which each is one character', () => {
  const children = new Children()
  const names = ['b', 'B', '\u00e4', 'a', 'a b', 'a-', 'aa', '\u00ff']
  for (const name of names) children.set(name, entry)
  const bytes = names.map((name) => Buffer.from(name, 'latin1'))
  expect(listed(children)).toEqual(
    bytes.toSorted((a, b) => a.compare(b)).map((each) => each.toString('latin1')),
  )
})
