import type { Grant } from './access-control-list.ts'
import type { Account } from './authentication.ts'
import type { Blob } from './blob-store.ts'
import { Children } from './children.ts'
import type { CheckedNamespace } from './config.ts'
import type { DocumentFields } from './mapi/resource.ts'
import { Refusal } from './refusal.ts'
import type { OutgoingLine } from './replication/outgoing-line.ts'
import { Usage } from './usage.ts'

export const permissionNames = [
  'browse',
  'read',
  'write',
  'readAcl',
  'writeAcl',
  'changeOwner',
  'delete',
  'privileged',
  'purge',
  'search',
] as const
export type Permission = (typeof permissionNames)[number]

export interface Annotation {
  readonly name: string
  readonly blob: Blob
  /** Epoch milliseconds. */
  readonly change: number
}

/** One version of an object: plain data (it goes into the journal as it is) that is replaced, never changed. */
export interface Version {
  /** Create time in milliseconds times 64 plus 1, or more: always above the version before. */
  readonly id: number
  /** A delete marker; it has no data. */
  readonly marker?: true
  readonly data: Blob
  /** Epoch milliseconds. */
  readonly ingest: number
  /** Epoch milliseconds. */
  readonly change: number
  /** `0`, `-1`, `-2` or epoch seconds. */
  readonly retention: number
  readonly retentionClass: string
  readonly hold: boolean
  /** Labeled holds that are set; missing where there are none. */
  readonly labels?: readonly string[] | undefined
  readonly shred: boolean
  readonly index: boolean
  readonly dpl: number
  readonly owner: string
  readonly domain: string
  readonly contentType: string
  readonly annotations: readonly Annotation[]
  readonly acl?: readonly Grant[] | undefined
  /** The empty object that a refused whole-object PUT leaves behind: the next PUT may replace it. */
  readonly leftBehind?: true
  /** Of what changed on two linked systems, the higher is the later; missing where nothing changed since the version was made. */
  readonly revision?: number
  /** It had another name, which an object of the other system has now. */
  readonly collision?: true | undefined
}

export interface StoredObject {
  readonly kind: 'object'
  /** Oldest first. */
  readonly versions: Version[]
}

export interface Directory {
  readonly kind: 'directory'
  readonly children: Children
  /** Epoch milliseconds. */
  created: number
  /** Latest of: created, deleted, an object added, an object deleted; epoch milliseconds. */
  change: number
  /** Removed, but still holding old versions of what was in it. */
  deleted: boolean
}

/** Made by NFS clients only. */
export interface Symlink {
  readonly kind: 'symlink'
  /** As it was given: relative to its directory, or from the root of the namespace on. */
  readonly target: string
  /** Epoch milliseconds. */
  readonly created: number
  /** It goes for good. */
  readonly deleted: false
}

export type Entry = StoredObject | Directory | Symlink

/** A change of a namespace's content: what the journal keeps, one line each. */
export type Change =
  | { readonly op: 'replace'; readonly path: string; readonly version: Version }
  /** `others`: further versions of the object that have what all of its versions share, such as a hold. */
  | {
      readonly op: 'put' | 'update'
      readonly path: string
      readonly version: Version
      readonly others?: readonly Version[]
    }
  /** Objects of these names in the directory, all with this one version. */
  | {
      readonly op: 'fill'
      readonly path: string
      readonly names: readonly string[]
      readonly version: Version
    }
  /** `keep`: a directory stays as a deleted one even if nothing is in it. */
  | { readonly op: 'remove'; readonly path: string; readonly at: number; readonly keep?: true }
  | { readonly op: 'remove-version'; readonly path: string; readonly id: number; readonly at: number }
  | {
      readonly op: 'remove-versions'
      readonly path: string
      readonly ids: readonly number[]
      readonly at: number
    }
  /** `change` where it is not that of the making: what a snapshot says of a directory after what is in it. */
  | { readonly op: 'directory'; readonly path: string; readonly at: number; readonly change?: number }
  | { readonly op: 'symlink'; readonly path: string; readonly target: string; readonly at: number }
  /** The object has exactly these versions, oldest first; it goes if there are none. */
  | {
      readonly op: 'versions'
      readonly path: string
      readonly versions: readonly Version[]
      readonly at: number
    }
  /** All or none. */
  | { readonly op: 'batch'; readonly path: string; readonly changes: readonly Change[]; readonly at: number }

/** Documents of the management API, by the resource, in the JSON form. */
export type Documents = Readonly<Record<string, DocumentFields>>

export interface Identity {
  readonly id: string
  readonly created: number
  readonly documents: Documents
}

/** The content of one namespace: a tree of directories with objects and their versions in it. */
export class Namespace {
  tenant: string
  settings: CheckedNamespace
  readonly id: string
  /** Epoch milliseconds. */
  readonly created: number
  /** What the management API has told it beside the settings. */
  documents: Documents
  /** What a client without credentials may do, and what every account of the tenant may do. */
  anonymous: ReadonlySet<Permission> = new Set()
  authenticated: ReadonlySet<Permission> = new Set()
  #mask: ReadonlySet<Permission> = new Set(permissionNames)
  /** Those of accounts that have asked; an account that changes is another. */
  #permissions = new WeakMap<Account, ReadonlySet<Permission>>()
  readonly usage: Usage = new Usage(this)
  readonly root: Directory = directory(0)
  /** Paths with a PUT in progress: how many, and the highest id that one of them has. */
  readonly writing: Map<string, { count: number; lastId: number }> = new Map()
  /** There is, or has been, a symbolic link. */
  hasLinks = false
  /** What the other system is to be told; there is one where the namespace is on a replication link. */
  line: OutgoingLine | undefined
  /** On a link of which this side only reads at present. */
  readOnly = false
  /** Where two systems give numbers, each has its own half of them. */
  numbering: 'odd' | 'even' | undefined
  usedBytes = 0
  objectCount = 0
  customMetadataObjectCount = 0
  customMetadataObjectBytes = 0

  constructor(
    tenant: string,
    settings: CheckedNamespace,
    { id, created, documents }: Identity = { id: '', created: 0, documents: {} },
  ) {
    this.tenant = tenant
    this.settings = settings
    this.id = id
    this.created = created
    this.documents = documents
    this.setMask(this.#mask)
  }

  configure(settings: CheckedNamespace, documents: Documents): void {
    this.settings = settings
    this.documents = documents
    this.setMask(this.#mask)
  }

  /** Sets what anybody at all may be allowed to do. */
  setMask(mask: ReadonlySet<Permission>): void {
    this.#mask = mask
    this.#permissions = new WeakMap()
    const { anonymousPermissions, authenticatedPermissions } = this.settings
    this.anonymous = new Set(this.masked(anonymousPermissions))
    this.authenticated = new Set(this.masked([...authenticatedPermissions, ...anonymousPermissions]))
  }

  /** What an account of the tenant may do: what it was given, and what every account may. */
  permissionsOf(account: Account): ReadonlySet<Permission> {
    let found = this.#permissions.get(account)
    if (found === undefined) {
      found = new Set([...this.masked(account.state.grants[this.id] ?? []), ...this.authenticated])
      this.#permissions.set(account, found)
    }
    return found
  }

  /** Those that the masks of the namespace and its tenant let through. */
  masked(permissions: readonly Permission[]): Permission[] {
    return permissions.filter((permission) => this.#mask.has(permission))
  }

  /** What has this path: an object (possibly deleted), a directory (possibly deleted), a link, or nothing. */
  find(path: string): Entry | undefined {
    let entry: Entry | undefined = this.root
    if (path === '') return entry
    let from = 0
    while (entry !== undefined && entry.kind === 'directory') {
      const at = path.indexOf('/', from)
      if (at === -1) return entry.children.get(path.slice(from))
      entry = entry.children.get(path.slice(from, at))
      from = at + 1
    }
    return undefined
  }

  /** The current version of an object; nothing where there is none, where it is deleted, or where a directory is. */
  current(path: string): Version | undefined {
    const entry = this.find(path)
    return entry?.kind === 'object' ? currentOf(entry) : undefined
  }

  /** Refuses a path of which a parent is an object or a link. */
  checkParents(path: string): void {
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
      const entry = this.find(path.slice(0, at))
      if (entry === undefined) return
      if (entry.kind === 'symlink' || (entry.kind === 'object' && currentOf(entry) !== undefined)) {
        throw new Refusal(409, 'A part of the path is no directory.')
      }
    }
  }

  /** An id for a version that begins now: above all that the object has, or that are on their way to it. */
  nextVersionId(path: string, now: number): number {
    const entry = this.find(path)
    const last = entry?.kind === 'object' ? (entry.versions.at(-1)?.id ?? 0) : 0
    return this.ownNumber(Math.max(now * 64 + 1, last + 1, (this.writing.get(path)?.lastId ?? 0) + 1))
  }

  /** The first number from this one on that is this system's to give. */
  ownNumber(number: number): number {
    if (this.numbering === undefined) return number
    return number % 2 === (this.numbering === 'odd' ? 1 : 0) ? number : number + 1
  }

  /** Notes a PUT that begins, and gives what notes its end. */
  reserve(path: string, id: number): () => void {
    const writing = this.writing.get(path) ?? { count: 0, lastId: 0 }
    writing.count += 1
    writing.lastId = id
    this.writing.set(path, writing)
    return () => {
      writing.count -= 1
      if (writing.count === 0) this.writing.delete(path)
    }
  }

  /** Carries a change out and says which data nobody refers to any more. */
  apply(change: Change): Blob[] {
    const freed: Blob[] = []
    if (change.op === 'batch') {
      const all = change.changes.flatMap((each) => this.apply(each))
      const kept = new Set(
        change.changes.flatMap((each) => ('versions' in each ? each.versions : [])).flatMap(blobsOf),
      )
      return all.filter(({ id }) => !kept.has(id))
    }
    if (change.op === 'versions') {
      this.#setVersions(change.path, change.versions, change.at, freed)
      return this.#unshared(freed, change.path)
    }
    if (change.op === 'fill') {
      this.#fill(change.path, change.names, change.version, freed)
      return this.#unshared(freed, change.path)
    }
    if (change.path === '' && change.op === 'directory') {
      this.root.change = change.change ?? change.at
      return freed
    }
    const { name, parent } = this.#parent(change, freed)
    if (parent === undefined) return []
    const entry = parent.children.get(name)
    const drop = (version: Version): void => this.#drop(version, freed)
    switch (change.op) {
      case 'put':
      case 'replace': {
        this.#count(change.version, 1)
        parent.change = Math.max(parent.change, change.version.change)
        if (entry?.kind !== 'object') {
          if (entry !== undefined) this.#discard(entry, freed)
          parent.children.set(name, { kind: 'object', versions: [change.version] })
          break
        }
        if (change.op === 'replace') {
          entry.versions.forEach(drop)
          entry.versions.length = 0
        }
        // A journal that was compacted may tell of a version twice.
        const known = entry.versions.findIndex(({ id }) => id === change.version.id)
        if (known !== -1) entry.versions.splice(known, 1).forEach((version) => this.#count(version, -1))
        // Versions are numbered in order of arrival, which may not be the order in which they are complete.
        let at = entry.versions.length
        while (at > 0 && entry.versions[at - 1]!.id > change.version.id) at--
        entry.versions.splice(at, 0, change.version)
        if (change.op === 'put') for (const other of change.others ?? []) this.#update(entry, other, freed)
        break
      }
      case 'update':
        if (entry?.kind !== 'object') break
        for (const version of [change.version, ...(change.others ?? [])]) this.#update(entry, version, freed)
        break
      case 'remove': {
        parent.change = Math.max(parent.change, change.at)
        if (entry?.kind === 'object') entry.versions.forEach(drop)
        if (entry?.kind === 'directory' && (entry.children.size > 0 || change.keep)) {
          entry.deleted = true
          entry.change = Math.max(entry.change, change.at)
        } else {
          parent.children.delete(name)
          this.#prune(change.path)
        }
        break
      }
      case 'remove-version':
      case 'remove-versions': {
        if (entry?.kind !== 'object') break
        const ids = new Set(change.op === 'remove-version' ? [change.id] : change.ids)
        const gone = entry.versions.filter(({ id }) => ids.has(id))
        if (gone.length === 0) break
        const left = entry.versions.filter(({ id }) => !ids.has(id))
        entry.versions.splice(0, Infinity, ...left)
        gone.forEach(drop)
        if (left.length > 0) break
        parent.change = Math.max(parent.change, change.at)
        parent.children.delete(name)
        this.#prune(change.path)
        break
      }
      case 'symlink': {
        parent.change = Math.max(parent.change, change.at)
        if (entry !== undefined) this.#discard(entry, freed)
        const { target, at } = change
        parent.children.set(name, { kind: 'symlink', target, created: at, deleted: false })
        this.hasLinks = true
        break
      }
      case 'directory': {
        parent.change = Math.max(parent.change, change.at)
        if (entry?.kind === 'directory') {
          entry.deleted = false
          entry.created = change.at
          entry.change = change.change ?? change.at
        } else {
          if (entry !== undefined) this.#discard(entry, freed)
          parent.children.set(name, directory(change.at))
        }
      }
    }
    return this.#unshared(freed, change.path)
  }

  /**
   * What takes a change back that cannot be kept, as the journal's disk is full. A removal is not taken back: nobody was
   * told that it happened, and at the next start it has not.
   */
  inverse(change: Change): readonly Change[] {
    const { op, path } = change
    if (op === 'batch') return change.changes.toReversed().flatMap((each) => this.inverse(each))
    const entry = this.find(path)
    if (op === 'versions') {
      const versions = entry?.kind === 'object' ? [...entry.versions] : []
      return [{ op, path, versions, at: change.at }]
    }
    if (op === 'fill') {
      const parent = entry?.kind === 'directory' ? entry.children : undefined
      const made = change.names.filter((name) => !parent?.has(name))
      const inDirectory = path === '' ? '' : `${path}/`
      return made.map((name) => ({ op: 'remove', path: inDirectory + name, at: change.version.change }))
    }
    if (op === 'symlink') return [{ op: 'remove', path, at: change.at }]
    if (op === 'directory') {
      const keep = entry?.kind === 'directory' ? { keep: true as const } : {}
      return [{ op: 'remove', path, at: change.at, ...keep }]
    }
    if (op !== 'put' && op !== 'replace' && op !== 'update') return []
    const versions = entry?.kind === 'object' ? entry.versions : []
    const changed = [change.version, ...('others' in change ? (change.others ?? []) : [])]
    const before = changed.flatMap(({ id }) => versions.find((version) => version.id === id) ?? [])
    const restored = before.map((version): Change => ({ op: 'update', path, version }))
    if (op === 'update') return restored
    return [{ op: 'remove-version', path, id: change.version.id, at: change.version.change }, ...restored]
  }

  /** The changes that lead from nothing to the present content. */
  *snapshot(): Generator<Change> {
    yield* snapshotOf(this.root, '')
    yield { op: 'directory', path: '', at: this.root.created, change: this.root.change }
  }

  /** Directories on the way are made as live as the object is, and those that are there stay as they are otherwise. */
  #setVersions(path: string, versions: readonly Version[], at: number, freed: Blob[]): void {
    const live = versions.length > 0 && versions.at(-1)!.marker === undefined
    const parts = path.split('/')
    const name = parts.pop()!
    let parent = this.root
    for (const part of parts) {
      let next = parent.children.get(part)
      if (next?.kind !== 'directory') {
        if (versions.length === 0) return
        if (next !== undefined) this.#discard(next, freed)
        next = directory(at)
        next.deleted = !live
        parent.children.set(part, next)
      } else if (next.deleted && live) {
        next.deleted = false
        next.created = at
      }
      parent = next
    }
    const entry = parent.children.get(name)
    if (entry?.kind === 'object') for (const version of entry.versions) this.#drop(version, freed)
    else if (versions.length === 0) return
    else if (entry !== undefined) this.#discard(entry, freed)
    for (const version of versions) this.#count(version, 1)
    parent.change = Math.max(parent.change, at)
    if (versions.length > 0) parent.children.set(name, { kind: 'object', versions: [...versions] })
    else {
      parent.children.delete(name)
      this.#prune(path)
    }
  }

  #update(entry: StoredObject, version: Version, freed: Blob[]): void {
    const at = entry.versions.findIndex(({ id }) => id === version.id)
    const before = entry.versions[at]
    if (before === undefined) return
    entry.versions[at] = version
    this.#count(before, -1)
    this.#count(version, 1)
    const kept = new Set(version.annotations.map((annotation) => annotation.blob.id))
    for (const annotation of before.annotations) {
      if (!kept.has(annotation.blob.id)) freed.push(annotation.blob)
    }
  }

  /** As putting each would; a name that is there already stays as it is. */
  #fill(path: string, names: readonly string[], version: Version, freed: Blob[]): void {
    const { parent } = this.#parent({ op: 'put', path: path === '' ? 'x' : `${path}/x`, version }, freed)
    if (parent === undefined) return
    parent.change = Math.max(parent.change, version.change)
    for (const name of names) {
      if (parent.children.has(name)) continue
      parent.children.set(name, { kind: 'object', versions: [version] })
      this.#count(version, 1)
    }
  }

  /** An annotation's data is shared by all versions that inherited it. */
  #unshared(freed: Blob[], path: string): Blob[] {
    if (freed.length === 0) return freed
    const own = freed.filter((blob) => blob.shared === undefined)
    const entry = this.find(path)
    if (entry?.kind !== 'object') return [...new Map(own.map((blob) => [blob.id, blob])).values()]
    const kept = new Set<string>()
    for (const version of entry.versions) for (const id of blobsOf(version)) kept.add(id)
    return own.filter((blob) => !kept.has(blob.id))
  }

  /** The directory that a change is about; made, with its own parents, where the change adds something. */
  #parent(change: Change, freed: Blob[]): { name: string; parent: Directory | undefined } {
    const parts = change.path.split('/')
    const name = parts.pop()!
    const adds = ['put', 'replace', 'directory', 'symlink'].includes(change.op)
    const at = 'version' in change ? change.version.change : change.at
    let parent = this.root
    for (const part of parts) {
      let next = parent.children.get(part)
      if (next?.kind !== 'directory') {
        if (!adds) return { name, parent: undefined }
        if (next !== undefined) this.#discard(next, freed)
        next = directory(at)
        parent.children.set(part, next)
      } else if (next.deleted && adds) {
        next.deleted = false
        next.created = at
      }
      parent = next
    }
    return { name, parent }
  }

  /** Deleted directories go for good with the last of what they held. */
  #prune(path: string): void {
    let end = path.lastIndexOf('/')
    while (end !== -1) {
      const entry = this.find(path.slice(0, end))
      if (entry?.kind !== 'directory' || !entry.deleted || entry.children.size > 0) return
      const start = path.lastIndexOf('/', end - 1)
      const above = this.find(path.slice(0, Math.max(0, start))) as Directory
      above.children.delete(path.slice(start + 1, end))
      end = start
    }
  }

  /** A name is of an object or of a directory: when it becomes the other, what is deleted of the one goes for good. */
  #discard(entry: Entry, freed: Blob[]): void {
    if (entry.kind === 'object') for (const version of entry.versions) this.#drop(version, freed)
    else if (entry.kind === 'directory')
      for (const child of entry.children.values()) this.#discard(child, freed)
  }

  #drop(version: Version, freed: Blob[]): void {
    this.#count(version, -1)
    if (version.marker === undefined) freed.push(version.data)
    for (const annotation of version.annotations) freed.push(annotation.blob)
  }

  #count(version: Version, sign: 1 | -1): void {
    if (version.marker !== undefined) return
    this.objectCount += sign
    this.usedBytes += sign * version.data.size
    if (version.annotations.length === 0) return
    const bytes = version.annotations.reduce((sum, annotation) => sum + annotation.blob.size, 0)
    this.usedBytes += sign * bytes
    this.customMetadataObjectCount += sign
    this.customMetadataObjectBytes += sign * bytes
  }
}

function directory(created: number): Directory {
  return { kind: 'directory', children: new Children(), created, change: created, deleted: false }
}

/** Names in one record of a directory that was filled. */
export const fillLength = 10_000

function* snapshotOf(of: Directory, path: string): Generator<Change> {
  const filled = new Map<Version, string[]>()
  for (const [name, entry] of of.children) {
    const inner = path === '' ? name : `${path}/${name}`
    const only = entry.kind === 'object' && entry.versions.length === 1 ? entry.versions[0] : undefined
    if (only?.data.shared) {
      const names = filled.get(only) ?? []
      names.push(name)
      filled.set(only, names.length < fillLength ? names : [])
      if (names.length >= fillLength) yield { op: 'fill', path, names, version: only }
    } else if (entry.kind === 'object') {
      for (const version of entry.versions) yield { op: 'put', path: inner, version }
    } else if (entry.kind === 'symlink') {
      yield { op: 'symlink', path: inner, target: entry.target, at: entry.created }
    } else {
      yield { op: 'directory', path: inner, at: entry.created }
      yield* snapshotOf(entry, inner)
      yield { op: 'directory', path: inner, at: entry.created, change: entry.change }
      if (entry.deleted) yield { op: 'remove', path: inner, at: entry.change, keep: true }
    }
  }
  for (const [version, names] of filled) if (names.length > 0) yield { op: 'fill', path, names, version }
}

/** Ids of all that a version is made of. */
function blobsOf({ marker, data, annotations }: Version): string[] {
  const ids = annotations.map(({ blob }) => blob.id)
  return marker === undefined ? [data.id, ...ids] : ids
}

export function currentOf(entry: StoredObject): Version | undefined {
  const last = entry.versions.at(-1)
  return last?.marker === undefined ? last : undefined
}

/** Whether anything that is not deleted is in a directory. */
export function isEmpty(of: Directory): boolean {
  for (const entry of of.children.values()) {
    if (entry.kind === 'object' ? currentOf(entry) !== undefined : !entry.deleted) return false
  }
  return true
}
