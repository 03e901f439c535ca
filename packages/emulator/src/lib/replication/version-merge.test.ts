import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Version } from '../namespace.ts'
import type { VersionSide } from './version-merge.ts'
import { mergeVersions, sameVersions, versionKey } from './version-merge.ts'

const annotation = fc.record({
  name: fc.constantFrom('a', 'b'),
  change: fc.nat(3),
  blob: fc.nat(2).map((content) => ({ id: `b${content}`, size: content, md5: `b${content}`, hash: '' })),
})

/** A version whose content follows from its number, as it does where systems number their own. */
const version: fc.Arbitrary<Version> = fc
  .record({
    id: fc.integer({ min: 1, max: 6 }),
    revision: fc.integer({ min: 1, max: 40 }),
    hold: fc.boolean(),
    retention: fc.constantFrom(0, -1, -2, 100, 200),
    index: fc.boolean(),
    annotations: fc.uniqueArray(annotation, { selector: ({ name }) => name, maxLength: 2 }),
  })
  .map(({ id, revision, hold, retention, index, annotations }) => ({
    id: id * 64 + (id % 2),
    ...(id === 6 ? { marker: true as const } : {}),
    data: { id: `d${id}`, size: id % 3, md5: `m${id % 4}`, hash: '' },
    ingest: id,
    // What differs has another number: it is one that nobody else gives.
    change: revision,
    revision:
      1000 +
      revision * 64 +
      (hold ? 1 : 0) +
      (index ? 2 : 0) +
      annotations.length * 4 +
      Math.abs(retention % 7) * 8,
    retention,
    retentionClass: '',
    hold,
    shred: false,
    index,
    dpl: 2,
    owner: '',
    domain: '',
    contentType: '',
    annotations,
  }))

const versions = fc
  .uniqueArray(version, { selector: ({ id }) => id, maxLength: 4 })
  .map((list) => list.toSorted((one, other) => one.id - other.id))

/** A side that had more versions before, some of them as they are, some others, and some that went. */
const side: fc.Arbitrary<VersionSide> = fc.tuple(versions, versions).map(([list, before]) => {
  const agreed = new Map(before.map((each) => [versionKey(each), each]))
  return { versions: list, agreed: (key) => agreed.get(key) }
})
const rules = fc.record({
  versioning: fc.boolean(),
  favoured: fc.constantFrom<('one' | 'other')[]>('one', 'other'),
})

test('what one side has taken over already, or both have, changes nothing any more', () => {
  fc.assert(
    fc.property(side, side, rules, (one, other, set) => {
      const { versions: merged, collides } = mergeVersions(one, other, set)
      if (collides !== undefined) return
      for (const [first, second] of [
        [{ ...one, versions: merged }, other],
        [one, { ...other, versions: merged }],
        [
          { ...one, versions: merged },
          { ...other, versions: merged },
        ],
      ] as const) {
        const again = mergeVersions(first, second, set)
        expect(again.collides).toBeUndefined()
        expect(sameVersions(again.versions, merged)).toBe(true)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('it makes no difference which side is looked at first', () => {
  fc.assert(
    fc.property(side, side, rules, (one, other, set) => {
      const favoured = set.favoured === 'one' ? ('other' as const) : ('one' as const)
      const there = mergeVersions(one, other, set)
      const back = mergeVersions(other, one, { ...set, favoured })
      const swapped = { one: 'other', other: 'one' } as const
      expect(back.collides).toBe(there.collides && swapped[there.collides])
      expect(back.versions.map(versionKey)).toEqual(there.versions.map(versionKey))
    }),
    { numRuns: 2_000 },
  )
})

test('a version that nobody has removed is in the result, unless another with its content is', () => {
  fc.assert(
    fc.property(side, side, rules, (one, other, set) => {
      const { versions: merged, collides } = mergeVersions(one, other, set)
      if (collides !== undefined) return
      const found = new Set(merged.map(({ data }) => data.md5))
      for (const [mine, theirs] of [
        [one, other],
        [other, one],
      ] as const) {
        for (const each of mine.versions) {
          const removed = theirs.agreed(versionKey(each)) !== undefined
          if (each.marker === undefined && !removed) expect(found).toContain(each.data.md5)
        }
      }
    }),
    { numRuns: 2_000 },
  )
})
