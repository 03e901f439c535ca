import { type ByteCount, extraOf, type Fact, factsOf, single, toBoolean, toWholeNumber } from './values.ts'
import type { XmlElement } from './xml-document.ts'

/**
 * How much a namespace holds and may hold.
 *
 * @see Using a Namespace, "Listing namespace statistics"
 */
export interface NamespaceStatistics {
  readonly namespaceName: string
  /** The hard quota, in bytes. */
  readonly totalCapacityBytes: ByteCount
  /** Bytes in use, metadata and the copies of the data protection level included. */
  readonly usedCapacityBytes: ByteCount
  /** Per cent of the quota from which on HCP warns its administrators. */
  readonly softQuotaPercent: number
  readonly objectCount: number
  /** Deleted objects that wait for being shredded. */
  readonly shredObjectCount: number
  readonly shredObjectBytes: ByteCount
  /** Objects with annotations. */
  readonly customMetadataObjectCount: number
  readonly customMetadataObjectBytes: ByteCount
}

/**
 * How a namespace is set up.
 *
 * @see Using a Namespace, "Listing accessible namespaces"
 */
export interface NamespaceSettings {
  readonly name: string
  /** The name as it appears in host names, where it is not ASCII. */
  readonly nameIDNA: string
  readonly versioningEnabled: boolean
  readonly searchEnabled: boolean
  /** `enterprise` or `compliance`. */
  readonly retentionMode: string
  readonly defaultShredValue: boolean
  readonly defaultIndexValue: boolean
  /** A number where HCP sends one (0, -1, -2, epoch seconds), else HCP's text: an offset (`A+10y`), a class (`C+name`), a date. */
  readonly defaultRetentionValue: number | string
  /** For example `SHA-256`. */
  readonly hashScheme: string
  /** Data protection level: the number of copies. Text where HCP names a kind instead. */
  readonly dpl: number | string
  /** HCP's text cut at each degree sign `°`, blanks trimmed; empty if there is none. */
  readonly description: readonly string[]
}

/**
 * A named retention setting.
 *
 * @see Using a Namespace, "Listing retention classes"
 */
export interface RetentionClass {
  readonly name: string
  /** As `defaultRetentionValue` of a namespace. */
  readonly value: number | string
  /** HCP deletes objects of this class when their retention ends, if the namespace has disposition on. */
  readonly autoDelete: boolean
  readonly description: string
}

/**
 * What may be done with a namespace's data.
 *
 * @see Using a Namespace, "Listing namespace and user permissions"
 */
export interface Permissions {
  readonly browse: boolean
  readonly read: boolean
  readonly write: boolean
  readonly readAcl: boolean
  readonly writeAcl: boolean
  readonly changeOwner: boolean
  readonly delete: boolean
  readonly privileged: boolean
  readonly purge: boolean
  readonly search: boolean
}

/** Permissions by where they come from. */
export interface PermissionDomains {
  /** The namespace's own mask. */
  readonly namespacePermissions: Permissions
  /** What the masks of system, tenant and namespace leave. */
  readonly namespaceEffectivePermissions: Permissions
  /** What was given to the user. */
  readonly userPermissions: Permissions
  /** What the user can really do: all of them together. */
  readonly userEffectivePermissions: Permissions
}

/** What is wrong with a document's content, in words. */
class ContentError extends Error {
  override name = 'ContentError'
}

/** A documented field: how it is read, and what to call it where it cannot be. */
interface Field<Value> {
  /** `undefined` for what is not of this kind. */
  readonly read: (fact: Fact) => Value | undefined
  readonly kind: string
  /** Instead of a field that is not there; without it that is an error. */
  readonly absent?: Value
}

/** What is documented of an element, by name. */
type Schema<Shape> = { readonly [Name in keyof Shape]-?: Field<Shape[Name]> }

const plain = (fact: Fact): string => (typeof fact === 'string' ? fact : fact.text.trim())

/** For `number` fields: none of them can be so large that it is rounded. */
function toNumber(text: string): number | undefined {
  const value = toWholeNumber(text)
  return typeof value === 'number' ? value : undefined
}

const text: Field<string> = { kind: 'text', read: plain }
const boolean: Field<boolean> = { kind: 'true or false', read: (fact) => toBoolean(plain(fact)) }
const count: Field<number> = { kind: 'a whole number below 2^53', read: (fact) => toNumber(plain(fact)) }
const bytes: Field<ByteCount> = { kind: 'a whole number', read: (fact) => toWholeNumber(plain(fact)) }
const numberOrText: Field<number | string> = {
  kind: 'a number or text',
  read: (fact) => toNumber(plain(fact)) ?? plain(fact),
}
const optionalText: Field<string> = { ...text, absent: '' }
const list: Field<readonly string[]> = {
  kind: 'text',
  read: (fact) => (plain(fact) === '' ? [] : plain(fact).split('°')).map((part) => part.trim()),
  absent: [],
}

const statisticsSchema: Schema<NamespaceStatistics> = {
  namespaceName: text,
  totalCapacityBytes: bytes,
  usedCapacityBytes: bytes,
  softQuotaPercent: count,
  objectCount: count,
  shredObjectCount: count,
  shredObjectBytes: bytes,
  customMetadataObjectCount: count,
  customMetadataObjectBytes: bytes,
}

const settingsSchema: Schema<NamespaceSettings> = {
  name: text,
  nameIDNA: text,
  versioningEnabled: boolean,
  searchEnabled: boolean,
  retentionMode: text,
  defaultShredValue: boolean,
  defaultIndexValue: boolean,
  defaultRetentionValue: numberOrText,
  hashScheme: text,
  dpl: numberOrText,
  description: list,
}

const retentionClassSchema: Schema<RetentionClass> = {
  name: text,
  value: numberOrText,
  autoDelete: boolean,
  description: optionalText,
}

const permissionsSchema: Schema<Permissions> = {
  browse: boolean,
  read: boolean,
  write: boolean,
  readAcl: boolean,
  writeAcl: boolean,
  changeOwner: boolean,
  delete: boolean,
  privileged: boolean,
  purge: boolean,
  search: boolean,
}

const permissions: Field<Permissions> = {
  kind: 'an element',
  read: (fact) => (typeof fact === 'string' ? undefined : record(fact, permissionsSchema)),
}

const domainsSchema: Schema<PermissionDomains> = {
  namespacePermissions: permissions,
  namespaceEffectivePermissions: permissions,
  userPermissions: permissions,
  userEffectivePermissions: permissions,
}

export function readStatistics(root: XmlElement): NamespaceStatistics {
  return record(root, statisticsSchema)
}

export function readNamespaces(root: XmlElement): Record<string, NamespaceSettings> {
  return recordsByName(root, 'namespace', settingsSchema)
}

/** The only one, if there is one. */
export function readNamespace(root: XmlElement): NamespaceSettings | undefined {
  const [settings, ...more] = Object.values(readNamespaces(root))
  if (more.length > 0) throw new ContentError(`it has ${more.length + 1} namespaces where one was asked for`)
  return settings
}

export function readRetentionClasses(root: XmlElement): Record<string, RetentionClass> {
  return recordsByName(root, 'retentionClass', retentionClassSchema)
}

export function readPermissions({ name, children }: XmlElement): PermissionDomains {
  return record({ name, attributes: [], children, text: '' }, domainsSchema)
}

/** The children of that name as records, in an object as `JSON.parse` makes them: whatever the names, they are its own properties. */
function recordsByName<Shape extends { readonly name: string }>(
  { children }: XmlElement,
  kind: string,
  schema: Schema<Shape>,
): Record<string, Shape> {
  const records = new Map<string, Shape>()
  for (const child of children) {
    if (child.name !== kind) continue
    const entry = record(child, schema)
    if (records.has(entry.name)) throw new ContentError(`it has two of the name ${quoted(entry.name)}`)
    records.set(entry.name, entry)
  }
  return Object.fromEntries(records)
}

/** What is documented, by the schema; and everything else, by what it looks like. */
function record<Shape>(element: XmlElement, schema: Schema<Shape>): Shape {
  const facts = factsOf(element)
  const known = new Map<string, Field<unknown>>(Object.entries(schema))
  const entries = [...facts].map(([name, values]): [string, unknown] => {
    const field = known.get(name)
    return [
      name,
      field === undefined ? single(values.map(extraOf)) : fieldOf(element.name, name, field, values),
    ]
  })
  for (const [name, field] of known) {
    if (facts.has(name)) continue
    if (field.absent === undefined) throw new ContentError(`<${element.name}> has no ${name}`)
    entries.push([name, field.absent])
  }
  return Object.fromEntries(entries) as Shape
}

function fieldOf(
  element: string,
  name: string,
  { read, kind }: Field<unknown>,
  values: readonly Fact[],
): unknown {
  const [fact, ...more] = values
  if (more.length > 0) throw new ContentError(`<${element}> has more than one ${name}`)
  const value = read(fact as Fact)
  if (value === undefined) {
    throw new ContentError(`${name} of <${element}> is ${quoted(plain(fact as Fact))}, not ${kind}`)
  }
  return value
}

const quoted = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
