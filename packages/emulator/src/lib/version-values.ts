import type { Version } from './namespace.ts'
import { Refusal } from './refusal.ts'

/** What `version=` says: one version by its id, the one current at a time, or all of a range (both ends included). */
export type VersionValue =
  | { readonly by: 'id'; readonly id: string }
  | { readonly by: 'time'; readonly at: number }
  | { readonly by: 'ids' | 'times'; readonly from: number; readonly to: number }

const single = /^(@?)(\d{1,20})$/
const range = /^(@?)(\d{1,20})-(?:(@?)(\d{1,20}))?$/

/**
 * Reads `<id>`, `@<ms>`, `<id>-<id>`, `@<ms>-@<ms>` (the second `@` may be missing) and the same without an end, which
 * means all from there on.
 */
export function parseVersion(text: string): VersionValue {
  const one = single.exec(text)
  if (one !== null) return one[1] === '' ? { by: 'id', id: text } : { by: 'time', at: Number(one[2]) }
  const [, start, from, second, to] = range.exec(text) ?? []
  const mixed = start === '' && second === '@'
  if (from === undefined || mixed) throw new Refusal(400, 'The version is invalid.')
  const value = {
    by: start === '@' ? ('times' as const) : ('ids' as const),
    from: Number(from),
    to: to === undefined ? Infinity : Number(to),
  }
  if (value.from > value.to) throw new Refusal(400, 'The range of versions ends before it begins.')
  return value
}

/** The version of a value that names one; none where there is none, 400 for a value that names several. */
export function versionAt(versions: readonly Version[], value: VersionValue): Version | undefined {
  if (value.by === 'id') return versions.find(({ id }) => String(id) === value.id)
  if (value.by === 'time') return versions.findLast(({ ingest }) => ingest <= value.at)
  throw new Refusal(400, 'Several versions cannot be had at once: list them, then ask for each.')
}

/** All that a value names. */
export function versionsOf(versions: readonly Version[], value: VersionValue): readonly Version[] {
  if (value.by === 'id' || value.by === 'time') {
    const version = versionAt(versions, value)
    return version === undefined ? [] : [version]
  }
  const { by, from, to } = value
  return versions.filter(({ id, ingest }) => {
    const place = by === 'ids' ? id : ingest
    return from <= place && place <= to
  })
}
