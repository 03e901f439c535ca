import type { Change, Namespace, Version } from './namespace.ts'

/** What all versions of an object have in common, whichever was current when it was set. */
const shared = ['hold', 'labels', 'owner', 'domain', 'acl'] as const

/** The change that puts `version` in the place of the current version, and what is not of one version alone into all. */
export function updateOf(namespace: Namespace, path: string, before: Version, version: Version): Change {
  const changed = shared.filter((field) => before[field] !== version[field])
  const entry = changed.length === 0 ? undefined : namespace.find(path)
  const old =
    entry?.kind === 'object' ? entry.versions.filter(({ id, marker }) => id !== version.id && !marker) : []
  if (old.length === 0) return { op: 'update', path, version }
  const fields = Object.fromEntries(changed.map((field) => [field, version[field]]))
  return { op: 'update', path, version, others: old.map((each) => ({ ...each, ...fields })) }
}
