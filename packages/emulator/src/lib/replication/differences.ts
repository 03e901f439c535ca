import type { Directory, Entry } from '../namespace.ts'
import type { Side } from './side.ts'
import { sameVersions } from './version-merge.ts'

/** Paths that the two sides do not have in common, each with a side that has something there. */
export function* differences(one: Side, other: Side): Generator<{ side: Side; path: string }> {
  yield* inDirectories(one, one.namespace.root, other, other.namespace.root, '')
}

function* inDirectories(
  one: Side,
  first: Directory | undefined,
  other: Side,
  second: Directory | undefined,
  path: string,
): Generator<{ side: Side; path: string }> {
  for (const [name, entry] of first?.children ?? []) {
    const inner = path === '' ? name : `${path}/${name}`
    const twin = second?.children.get(name)
    if (!isSame(entry, twin)) yield { side: one, path: inner }
    if (entry.kind === 'directory' || twin?.kind === 'directory')
      yield* inDirectories(one, directoryOf(entry), other, directoryOf(twin), inner)
  }
  for (const [name, entry] of second?.children ?? []) {
    if (first?.children.has(name)) continue
    const inner = path === '' ? name : `${path}/${name}`
    if (entry.kind !== 'directory' || !entry.deleted) yield { side: other, path: inner }
    if (entry.kind === 'directory') yield* inDirectories(one, undefined, other, entry, inner)
  }
}

function directoryOf(entry: Entry | undefined): Directory | undefined {
  return entry?.kind === 'directory' ? entry : undefined
}

function isSame(one: Entry, other: Entry | undefined): boolean {
  if (one.kind === 'directory') {
    const twin = directoryOf(other)
    return twin === undefined ? one.deleted && other === undefined : twin.deleted === one.deleted
  }
  if (one.kind === 'symlink') return other?.kind === 'symlink' && other.target === one.target
  return other?.kind === 'object' && sameVersions(one.versions, other.versions)
}
