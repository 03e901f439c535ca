import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { defaultConfig } from './config.ts'
import type { Change, Directory, Version } from './namespace.ts'
import { Namespace } from './namespace.ts'

const settings = defaultConfig().tenants[0]!.namespaces[1]!

function version(id: number, annotations: readonly string[] = []): Version {
  const blob = (name: string): Version['data'] => ({ id: name, size: name.length, md5: '', hash: '' })
  return {
    id,
    data: blob(`data${id}`),
    ingest: id,
    change: id,
    retention: 0,
    retentionClass: '',
    hold: false,
    shred: false,
    index: true,
    dpl: 2,
    owner: '',
    domain: '',
    contentType: '',
    annotations: annotations.map((name) => ({ name, blob: blob(name), change: id })),
  }
}

const path = fc.constantFrom('a', 'b', 'd', 'd/a', 'd/e', 'd/e/a')
const id = fc.integer({ min: 1, max: 4 })
const made = fc
  .tuple(id, fc.array(fc.constantFrom('x', 'y'), { maxLength: 2 }), fc.boolean())
  .map(([number, names, marker]): Version => {
    const plain = version(number, marker ? [] : [...new Set(names)])
    return marker ? { ...plain, marker: true } : plain
  })
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ op: fc.constantFrom('put', 'replace', 'update'), path, version: made }),
  fc.record({ op: fc.constantFrom('put', 'update'), path, version: made }).map((each) => ({
    ...each,
    others: [1, 2].filter((other) => other !== each.version.id).map((other) => version(other, ['z'])),
  })),
  fc.record({ op: fc.constant('symlink'), path, target: fc.constant('b'), at: id }),
  fc.record({ op: fc.constant('remove'), path, at: id }),
  fc.record({ op: fc.constant('remove'), path, at: id, keep: fc.constant(true) }),
  fc.record({ op: fc.constant('remove-version'), path, id, at: id }),
  fc.record({ op: fc.constant('remove-versions'), path, ids: fc.array(id), at: id }),
  fc.record({
    op: fc.constant('fill'),
    path: fc.constantFrom('', 'd', 'd/e'),
    names: fc.array(fc.constantFrom('a', 'b', 'c')),
    version: id.map((number): Version => {
      const plain = version(number)
      return { ...plain, data: { ...plain.data, id: 'shared', shared: true } }
    }),
  }),
  fc.record({ op: fc.constant('directory'), path: fc.constantFrom('d', 'd/e', 'f'), at: id }),
) as fc.Arbitrary<Change>

/** What can be seen of a directory, in the order of the names: of a deleted one not when it was made. */
function tree({ children, created, ...seen }: Directory): unknown[] {
  const own = { ...seen, created: seen.deleted ? undefined : created }
  const inside = [...children].toSorted(([one], [other]) => (one < other ? -1 : 1))
  return [own, ...inside.map(([name, entry]) => [name, entry.kind === 'directory' ? tree(entry) : entry])]
}

const all = (namespace: Namespace): Change[] => [...namespace.snapshot()]
function counts({
  usedBytes,
  objectCount,
  customMetadataObjectBytes,
  customMetadataObjectCount,
}: Namespace): number[] {
  return [usedBytes, objectCount, customMetadataObjectBytes, customMetadataObjectCount]
}

test('a snapshot leads to the same content and the same counts', () => {
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const [one, other] = [new Namespace('m', settings), new Namespace('m', settings)]
      for (const each of changes) one.apply(each)
      for (const each of all(one)) other.apply(structuredClone(each))
      expect(all(other)).toEqual(all(one))
      expect(counts(other)).toEqual(counts(one))
    }),
  )
})

test('what comes again after a snapshot that has it already does no harm', () => {
  const compacted = fc.property(fc.array(change), fc.nat(30), (drawn, number) => {
    const [one, other] = [new Namespace('m', settings), new Namespace('m', settings)]
    const made = drawn.flatMap((each, at) => {
      const timely = inTime(one, each, at)
      if (timely !== undefined) one.apply(timely)
      return timely ?? []
    })
    for (const each of [...all(one), ...made.slice(-number)]) other.apply(structuredClone(each))
    expect(tree(other.root)).toEqual(tree(one.root))
    expect(counts(other)).toEqual(counts(one))
  })
  fc.assert(compacted)
})

/** A change as it would come at this time: a new version's id is a new one, and what is updated is there. */
function inTime(namespace: Namespace, drawn: Change, at: number): Change | undefined {
  if (!('version' in drawn)) return { ...drawn, at }
  const entry = namespace.find(drawn.path)
  const known = new Set(entry?.kind === 'object' ? entry.versions.map((each) => each.id) : [])
  const number = drawn.op === 'update' ? drawn.version.id : at + 1
  if (drawn.op === 'update' && !known.has(number)) return undefined
  const made = { ...drawn.version, change: at, id: number }
  if (!('others' in drawn)) return { ...drawn, version: made }
  const kept = drawn.others?.filter((each) => each.id !== number && known.has(each.id)) ?? []
  return { ...drawn, version: made, others: kept }
}

test('data that nobody refers to is named, and no other', () => {
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const namespace = new Namespace('m', settings)
      for (const each of changes) {
        const freed = new Set(namespace.apply(each).map((blob) => blob.id))
        const entry = namespace.find(each.path)
        for (const kept of entry?.kind === 'object' ? entry.versions : []) {
          if (kept.marker === undefined) expect(freed).not.toContain(kept.data.id)
          for (const { blob } of kept.annotations) expect(freed).not.toContain(blob.id)
        }
      }
    }),
  )
})

test('a deleted directory goes with the last old version in it', () => {
  const namespace = new Namespace('m', settings)
  namespace.apply({ op: 'put', path: 'd/e/a', version: version(1) })
  namespace.apply({ op: 'put', path: 'd/e/a', version: { ...version(2), marker: true } })
  for (const path of ['d/e', 'd']) namespace.apply({ op: 'remove', path, at: 3 })
  expect(namespace.find('d/e')).toMatchObject({ deleted: true })
  namespace.apply({ op: 'remove', path: 'd/e/a', at: 4 })
  expect([namespace.find('d'), namespace.find('d/e')]).toEqual([undefined, undefined])
})

test('a change that cannot be kept is taken back', () => {
  const namespace = new Namespace('m', settings)
  namespace.apply({ op: 'put', path: 'd/a', version: version(1, ['x']) })
  namespace.apply({ op: 'put', path: 'd/b', version: version(1) })
  namespace.apply({ op: 'put', path: 'd/b', version: version(2) })
  // But for the time at which its directory changed.
  const now = (): unknown[] => [all(namespace).filter(({ op }) => op !== 'directory'), counts(namespace)]
  const before = now()
  const held = (number: number): Version => ({ ...version(number), hold: true })
  for (const each of [
    { op: 'put', path: 'd/a', version: version(2) },
    { op: 'update', path: 'd/a', version: version(1, ['x', 'y']) },
    { op: 'update', path: 'd/b', version: held(2), others: [held(1)] },
    { op: 'put', path: 'd/b', version: held(3), others: [held(1), held(2)] },
    { op: 'symlink', path: 'd/l', target: 'a', at: 3 },
    { op: 'fill', path: 'd', names: ['a', 'f', 'g'], version: version(4) },
  ] as const) {
    const undo = namespace.inverse(each)
    namespace.apply(each)
    expect(now()).not.toEqual(before)
    for (const back of undo) namespace.apply(back)
    expect(now()).toEqual(before)
  }
  const directory = { op: 'directory', path: 'd/e', at: 3 } as const
  const undo = namespace.inverse(directory)
  namespace.apply(directory)
  expect(namespace.find('d/e')).toMatchObject({ kind: 'directory' })
  for (const back of undo) namespace.apply(back)
  expect(namespace.find('d/e')).toBeUndefined()
})

test('the root directory too has its time of change again', () => {
  const [one, other] = [new Namespace('m', settings), new Namespace('m', settings)]
  one.apply({ op: 'put', path: 'a', version: version(1) })
  one.apply({ op: 'remove', path: 'a', at: 4 })
  for (const each of all(one)) other.apply(each)
  expect(other.root.change).toBe(4)
})

test('the time of change of a directory is that of objects that come or go, and not of their old versions', () => {
  const namespace = new Namespace('m', settings)
  const change = (): unknown => (namespace.find('d') as Directory).change
  namespace.apply({ op: 'put', path: 'd/a', version: version(1) })
  namespace.apply({ op: 'put', path: 'd/a', version: version(2) })
  namespace.apply({ op: 'remove-versions', path: 'd/a', ids: [1], at: 5 })
  expect(change()).toBe(2)
  namespace.apply({ op: 'remove-versions', path: 'd/a', ids: [2], at: 6 })
  expect(change()).toBe(6)
})
