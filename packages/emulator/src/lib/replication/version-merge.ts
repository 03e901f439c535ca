import { isDeepStrictEqual } from 'node:util'
import type { Annotation, Version } from '../namespace.ts'

/** What makes two versions of an object the same one on both systems. */
export function versionKey({ id, marker, data }: Version): string {
  return marker ? `${id}` : `${id} ${data.md5} ${data.size}`
}

/** When a version was changed the last time, as a number that no other change of it has. */
export function revisionOf({ id, revision = 0 }: Version): number {
  return Math.max(id, revision)
}

/** One side's versions of an object, and what it knows of those that it has changed or removed. */
export interface VersionSide {
  /** Oldest first. */
  readonly versions: readonly Version[]
  /** As it was when both sides agreed the last time; nothing for what has not changed here since. */
  readonly agreed: (key: string) => Version | undefined
}

export interface MergeRules {
  /** Two current versions that were made apart are both kept in one history. */
  readonly versioning: boolean
  /** Whose object keeps the name if both are of the same time. */
  readonly favoured: 'one' | 'other'
}

/** What both sides are to have. The data that a version refers to may be of either side's store. */
export interface MergedVersions {
  /** Oldest first. */
  readonly versions: readonly Version[]
  /** The side whose current version has to have another name first. */
  readonly collides: 'one' | 'other' | undefined
}

/**
 * Brings two histories of one object together that may both have changed since they were the same. What was made on
 * either side is kept, what was removed on one side goes unless the other changed it meanwhile, and changes of metadata
 * are combined by HCP's rules for collisions: the later wins, but a retention period never becomes shorter and a hold
 * stays. It gives the same again when one side has taken the result already.
 */
export function mergeVersions(one: VersionSide, other: VersionSide, rules: MergeRules): MergedVersions {
  const ofOne = byKey(one.versions)
  const ofOther = byKey(other.versions)
  const merged = new Map<string, Version>()
  const fresh = { one: new Set<string>(), other: new Set<string>() }
  for (const [key, version] of ofOne) {
    const twin = ofOther.get(key)
    if (twin !== undefined) {
      merged.set(key, mergeMetadata(version, twin, one.agreed(key) ?? other.agreed(key)))
      if (revisionOf(version) > revisionOf(twin)) fresh.one.add(key)
      if (revisionOf(version) < revisionOf(twin)) fresh.other.add(key)
    } else if (survives(version, other.agreed(key))) {
      merged.set(key, version)
      fresh.one.add(key)
    }
  }
  for (const [key, version] of ofOther) {
    if (ofOne.has(key) || !survives(version, one.agreed(key))) continue
    merged.set(key, version)
    fresh.other.add(key)
  }
  const [first, second] = [one.versions.at(-1), other.versions.at(-1)]
  if (first === undefined || second === undefined) return result()
  const [firstKey, secondKey] = [versionKey(first), versionKey(second)]
  if (firstKey === secondKey) return result()
  // A deletion does not undo what the other side wrote meanwhile.
  const wrote = (side: VersionSide, keys: ReadonlySet<string>): boolean =>
    side.versions.some((each) => !each.marker && keys.has(versionKey(each)))
  if (first.marker && !second.marker && first.id > second.id && fresh.one.has(firstKey))
    if (wrote(other, fresh.other)) merged.delete(firstKey)
  if (second.marker && !first.marker && second.id > first.id && fresh.other.has(secondKey))
    if (wrote(one, fresh.one)) merged.delete(secondKey)
  const apart =
    merged.has(firstKey) && merged.has(secondKey) && !ofOther.has(firstKey) && !ofOne.has(secondKey)
  if (first.marker || second.marker || !apart || rules.versioning) return result()
  // Of two that were made in the same millisecond, that of the system where the link was made counts as the later.
  const loses = first.ingest < second.ingest || (first.ingest === second.ingest && rules.favoured === 'other')
  const [older, newer] = loses ? [first, second] : [second, first]
  if (!sameContent(older, newer)) return { versions: [], collides: loses ? 'one' : 'other' }
  merged.delete(versionKey(older))
  merged.set(versionKey(newer), withStricter(mergeMetadata(newer, older, undefined), newer))
  return result()

  function result(): MergedVersions {
    return { versions: numbered([...merged.values()]), collides: undefined }
  }
}

/** Whether both sides have the same versions with the same metadata, whatever their data is called in their stores. */
export function sameVersions(one: readonly Version[], other: readonly Version[]): boolean {
  return one.length === other.length && one.every((version, index) => sameVersion(version, other[index]!))
}

function sameVersion(one: Version, other: Version): boolean {
  if (one === other) return true
  return isDeepStrictEqual(comparable(one), comparable(other))
}

function comparable({ data, annotations, ...rest }: Version): object {
  const set = Object.entries(rest).filter(([, value]) => value !== undefined)
  return {
    ...Object.fromEntries(set),
    md5: data.md5,
    size: data.size,
    annotations: annotations.map(({ name, change, blob }) => [name, change, blob.md5, blob.size]),
  }
}

function byKey(versions: readonly Version[]): Map<string, Version> {
  return new Map(versions.map((version) => [versionKey(version), version]))
}

/** @param agreed What the other side had, if it has removed it. */
function survives(version: Version, agreed: Version | undefined): boolean {
  return agreed === undefined || revisionOf(version) > revisionOf(agreed)
}

function sameContent(one: Version, other: Version): boolean {
  return one.data.md5 === other.data.md5 && one.data.size === other.data.size
}

/** Two versions that were made before the systems knew of each other may have the same number. */
function numbered(versions: Version[]): Version[] {
  const keyOf = new Map(versions.map((version) => [version, versionKey(version)]))
  versions.sort((one, other) => one.id - other.id || (keyOf.get(one)! < keyOf.get(other)! ? -1 : 1))
  let last = -1
  return versions.map((version) => {
    const id = Math.max(version.id, last + 1)
    last = id
    return id === version.id ? version : { ...version, id }
  })
}

type Group = readonly (keyof Version)[]

/** What HCP treats as one piece: the later change of any of it decides on all. */
const plain: Group = [
  'shred',
  'index',
  'dpl',
  'owner',
  'domain',
  'contentType',
  'labels',
  'leftBehind',
  'collision',
]

/** One version that both sides have, and may both have changed. */
function mergeMetadata(one: Version, other: Version, agreed: Version | undefined): Version {
  if (sameVersion(one, other)) return one
  const newer = isLater(one, other) ? one : other
  const pick = (group: Group): Partial<Version> => {
    const values = (version: Version): unknown[] => group.map((field) => version[field])
    const changed = (version: Version): boolean =>
      agreed === undefined || !isDeepStrictEqual(values(version), values(agreed))
    const both = changed(one) && changed(other)
    const chosen = both ? newer : changed(one) ? one : other
    return Object.fromEntries(group.map((field) => [field, chosen[field]])) as Partial<Version>
  }
  const retention = pick(['retention', 'retentionClass'])
  const hold = pick(['hold'])
  const changedBoth = (field: 'retention' | 'hold'): boolean =>
    agreed === undefined || (one[field] !== agreed[field] && other[field] !== agreed[field])
  return {
    ...newer,
    ...pick(plain),
    ...(changedBoth('retention') ? longerRetention(one, other) : retention),
    ...(changedBoth('hold') ? { hold: one.hold || other.hold } : hold),
    ...pick(['acl']),
    change: Math.max(one.change, other.change),
    revision: Math.max(revisionOf(one), revisionOf(other)),
    annotations: mergeAnnotations(one, other, newer, agreed),
  }
}

/** The metadata of two versions with the same content become those of the newer, no less protected than either. */
function withStricter(merged: Version, { id, ingest, owner, contentType }: Version): Version {
  return { ...merged, id, ingest, owner, contentType }
}

function isLater(one: Version, other: Version): boolean {
  const [first, second] = [revisionOf(one), revisionOf(other)]
  if (first !== second) return first > second
  if (one.change !== other.change) return one.change > other.change
  // Without any order in time, any order will do that both sides find.
  return JSON.stringify(comparable(one)) > JSON.stringify(comparable(other))
}

function longerRetention(one: Version, other: Version): Pick<Version, 'retention' | 'retentionClass'> {
  const chosen = lengthOf(one.retention) >= lengthOf(other.retention) ? one : other
  return { retention: chosen.retention, retentionClass: chosen.retentionClass }
}

/** Never is longest; what has not been decided yet forbids more than what may go. */
function lengthOf(retention: number): number {
  if (retention === -1) return Infinity
  return retention === -2 ? 0.5 : retention
}

function mergeAnnotations(
  one: Version,
  other: Version,
  newer: Version,
  agreed: Version | undefined,
): readonly Annotation[] {
  const names = new Set(
    [...newer.annotations, ...one.annotations, ...other.annotations].map(({ name }) => name),
  )
  return [...names].flatMap((name) => {
    const [first, second] = [annotationOf(one, name), annotationOf(other, name)]
    const before = agreed && annotationOf(agreed, name)
    if (agreed === undefined && (first === undefined || second === undefined)) return first ?? second ?? []
    const [changedOne, changedOther] = [!sameAnnotation(first, before), !sameAnnotation(second, before)]
    if (changedOne && !changedOther) return first ?? []
    if (changedOther && !changedOne) return second ?? []
    if (first !== undefined && second !== undefined && first.change !== second.change)
      return first.change > second.change ? first : second
    return annotationOf(newer, name) ?? []
  })
}

function annotationOf({ annotations }: Version, wanted: string): Annotation | undefined {
  return annotations.find(({ name }) => name === wanted)
}

function sameAnnotation(one: Annotation | undefined, other: Annotation | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return one.blob.md5 === other.blob.md5 && one.blob.size === other.blob.size && one.change === other.change
}
