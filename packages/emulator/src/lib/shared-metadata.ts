import type { Change, Namespace, Version } from './namespace.ts'

/** What all versions of an object have in common, whichever was current when it was set. */
const shared = ['hold', 'labels', 'owner', 'domain', 'acl'] as const

/** The object's other versions with these fields as `version` has them; none where nothing is to be changed. */
export function othersOf(
  namespace: Namespace,
  path: string,
  version: Version,
  fields: readonly (typeof shared)[number][],
): { readonly others?: readonly Version[] } {
  const entry = fields.length === 0 ? undefined : namespace.find(path)
  const old =
    entry?.kind === 'object' ? entry.versions.filter(({ id, marker }) => id !== version.id && !marker) : []
  if (old.length === 0) return {}
  const values = Object.fromEntries(fields.map((field) => [field, version[field]]))
  return { others: old.map((each) => ({ ...each, ...values })) }
}

/** The change that puts `version` in the place of the current version, and what is not of one version alone into all. */
export function updateOf(namespace: Namespace, path: string, before: Version, version: Version): Change {
  const changed = shared.filter((field) => before[field] !== version[field])
  return { op: 'update', path, version, ...othersOf(namespace, path, version, changed) }
}
