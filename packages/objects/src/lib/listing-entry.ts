import { requestPath } from '@hcp/connection/support'
import { annotationSizes, type ObjectMetadata } from './metadata.ts'
import { checkPath } from './object-requests.ts'
import { retentionState } from './retention.ts'
import type { XmlElement } from './xml-reader.ts'

/** What every entry of a listing has. */
interface EntryFacts {
  /** Last part of the path, as text. Bytes that are no UTF-8 are U+FFFD in it. */
  readonly name: string
  /** As text, from `/rest/` on. */
  readonly path: string
  /** The same, percent-encoded: exact for every name. To be used with `encoded: true`. */
  readonly encodedPath: string
  /** Whether it is here no more, which only listings with `deleted: true` tell. */
  readonly deleted: boolean
  /**
   * Last change of content or metadata; of a directory when it was made, unless `mostRecentDirTimes` was asked for. `undefined` where
   * HCP does not say.
   */
  readonly changeTime: Date | undefined
  /** Attributes that are not among these, as they came: those of later releases. */
  readonly other: Readonly<Record<string, string>>
}

/** An object in the listing of its directory. */
export interface ObjectEntry
  extends
    EntryFacts,
    Pick<
      ObjectMetadata,
      | 'type'
      | 'size'
      | 'hash'
      | 'etag'
      | 'versionId'
      | 'ingestTime'
      | 'retention'
      | 'retentionClass'
      | 'hold'
      | 'shred'
      | 'index'
      | 'dpl'
      | 'annotations'
      | 'hasAcl'
      | 'owner'
      | 'domain'
      | 'replicated'
    > {}

export interface SubdirectoryEntry extends EntryFacts {
  readonly type: 'directory'
}

/** A link made through NFS. */
export interface SymlinkEntry extends EntryFacts {
  readonly type: 'symlink'
  /** As it was given when the link was made. */
  readonly symlinkTarget: string | undefined
}

/** What a directory has; `type` tells which. */
export type DirectoryEntry = ObjectEntry | SubdirectoryEntry | SymlinkEntry

/** A version of an object. Of one that is `deleted`, `ingestTime` is the time of the deletion and the rest that of what was deleted. */
export interface VersionEntry extends ObjectEntry {
  readonly versionId: string
}

/** A path in both of its forms, without a slash at the end. */
export interface Place {
  readonly path: string
  readonly encodedPath: string
}

/** @throws {TypeError | RangeError} if it is no path below `/rest`. */
export function placeOf(path: string, encoded: boolean = false): Place {
  checkPath(path)
  const encodedPath = withoutSlash(requestPath(path, encoded))
  return { path: encoded ? textOf(encodedPath) : withoutSlash(path), encodedPath }
}

const withoutSlash = (path: string): string => path.replace(/\/+$/, '')

/** Says what is wrong with a listing. */
type Fail = (what: string) => Error

/** The entry that an element of a directory's listing is. @throws what `fail` makes. */
export function directoryEntry({ attributes }: XmlElement, directory: Place, fail: Fail): DirectoryEntry {
  const { encoded, name } = nameOf(attributes, fail)
  const encodedPath = `${directory.encodedPath}/${encoded}`
  const path = `${directory.path}/${name}`
  switch (attributes['type']) {
    case 'object':
      return objectEntry(attributes, name, path, encodedPath, fail)
    case 'directory':
      return { type: 'directory', ...facts(attributes, name, path, encodedPath, ofAll) }
    case 'symlink': {
      const target = attributes['utf8SymlinkTarget'] ?? attributes['symlinkTarget']
      return {
        type: 'symlink',
        symlinkTarget: target === undefined ? undefined : own(target),
        ...facts(attributes, name, path, encodedPath, ofSymlinks),
      }
    }
    default:
      throw fail(`has an entry of type ${JSON.stringify(attributes['type'])}`)
  }
}

/** The entry that an element of a list of versions is. @param object The one whose versions these are. */
export function versionEntry({ attributes }: XmlElement, object: Place, fail: Fail): VersionEntry {
  const name = object.path.slice(object.path.lastIndexOf('/') + 1)
  const entry = objectEntry(attributes, name, object.path, object.encodedPath, fail)
  const { versionId } = entry
  if (versionId === undefined || !/^\d+$/.test(versionId)) throw fail('has a version without an id')
  return { ...entry, versionId }
}

type Attributes = XmlElement['attributes']

function objectEntry(
  attributes: Attributes,
  name: string,
  path: string,
  encodedPath: string,
  fail: Fail,
): ObjectEntry {
  const size = attributes['size'] ?? ''
  if (!/^\d{1,16}$/.test(size)) throw fail(`has an object without a size: ${encodedPath}`)
  const { hash, hashScheme, etag, version, dpl, replicated } = attributes
  const { ingestTimeMilliseconds, ingestTime } = attributes
  const { other, deleted, changeTime } = facts(attributes, name, path, encodedPath, ofObjects)
  return {
    type: 'object',
    name,
    path,
    encodedPath,
    deleted,
    size: Number(size),
    hash:
      hash && hashScheme
        ? { scheme: own(hashScheme.toUpperCase()), hex: own(hash.toLowerCase()) }
        : undefined,
    etag: etag ? own(etag.replaceAll('"', '').toLowerCase()) : undefined,
    versionId: version ? own(version) : undefined,
    ingestTime: timeOf(ingestTimeMilliseconds, 1) ?? timeOf(ingestTime, 1_000),
    changeTime,
    retention: retentionState(attributes['retention']),
    retentionClass: textOrNone(attributes['retentionClass']),
    hold: attributes['hold'] === 'true',
    shred: attributes['shred'] === 'true',
    index: attributes['index'] === 'true',
    dpl: dpl !== undefined && /^\d{1,3}$/.test(dpl) ? Number(dpl) : undefined,
    annotations: annotationSizes(textOrNone(attributes['customMetadataAnnotations'])),
    hasAcl: attributes['hasAcl'] === 'true',
    owner: textOrNone(attributes['owner']),
    domain: textOrNone(attributes['domain']),
    replicated: replicated === undefined ? undefined : replicated === 'true',
    other,
  }
}

/** Attributes that have been looked at, or that say in local time what others say in UTC. */
const ofAll: ReadonlySet<string> = new Set([
  'urlName',
  'urlname',
  'utf8Name',
  'utf8name',
  'type',
  'state',
  'changeTimeMilliseconds',
  'changeTimeString',
])
const ofSymlinks: ReadonlySet<string> = new Set([...ofAll, 'symlinkTarget', 'utf8SymlinkTarget'])
const ofObjects: ReadonlySet<string> = new Set([
  ...ofAll,
  'size',
  'hashScheme',
  'hash',
  'etag',
  'retention',
  'retentionString',
  'retentionClass',
  'ingestTime',
  'ingestTimeMilliseconds',
  'ingestTimeString',
  'hold',
  'shred',
  'dpl',
  'index',
  'customMetadata',
  'customMetadataAnnotations',
  'version',
  'replicated',
  'owner',
  'domain',
  'hasAcl',
])

const nothing: Readonly<Record<string, string>> = Object.freeze({})

function facts(
  attributes: Attributes,
  name: string,
  path: string,
  encodedPath: string,
  known: ReadonlySet<string>,
): EntryFacts {
  const { state } = attributes
  let other: Record<string, string> | undefined
  for (const attribute in attributes) {
    if (known.has(attribute)) continue
    other ??= Object.create(null) as Record<string, string>
    other[own(attribute)] = own(attributes[attribute]!)
  }
  return {
    name,
    path,
    encodedPath,
    deleted: state === 'deleted',
    changeTime: timeOf(attributes['changeTimeMilliseconds'], 1),
    other: other ?? nothing,
  }
}

/** The name, which must be that of one thing in the directory, nowhere else. */
function nameOf(attributes: Attributes, fail: Fail): { encoded: string; name: string } {
  const given = attributes['urlName'] ?? attributes['urlname'] ?? ''
  if (/^[\w~-][\w.~-]*$/.test(given)) {
    const name = own(given)
    return { encoded: name, name }
  }
  // What HCP might leave as it is: anything but its percent signs is encoded.
  const encoded = given.replaceAll(/[^\w.~%-]/gu, encodeURIComponent)
  const name = textOf(encoded)
  const wrong =
    encoded === '' || name === '.' || name === '..' || /%(?![0-9A-Fa-f]{2})|%2F|%00/i.test(encoded)
  if (wrong) throw fail(`has an entry with a name that cannot be: ${JSON.stringify(given.slice(0, 300))}`)
  return { encoded: own(encoded), name }
}

/** The text that was percent-encoded, as UTF-8. */
function textOf(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    const bytes = encoded.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(parseInt(hex, 16)),
    )
    return Buffer.from(bytes, 'latin1').toString()
  }
}

/** Of epoch seconds or milliseconds. HCP writes a dot and two digits after some, which only make the time unique. */
function timeOf(text: string | undefined, unit: 1 | 1_000): Date | undefined {
  if (text === undefined || !/^\d{1,16}(?:\.\d*)?$/.test(text)) return undefined
  const time = new Date(Number.parseInt(text, 10) * unit)
  return Number.isNaN(time.getTime()) ? undefined : time
}

const textOrNone = (text: string | undefined): string | undefined =>
  text === undefined || text === '' ? undefined : own(text)

const scratch = Buffer.allocUnsafeSlow(16_384)
/** A part of a string that is this long keeps the whole string in memory (V8). */
const shared = 13

/** The same text, without the piece of the document that it was cut from: who keeps an entry must not keep its whole listing. */
function own(text: string): string {
  if (text.length < shared || text.length * 3 > scratch.length) return text
  return scratch.toString('utf8', 0, scratch.write(text, 'utf8'))
}
