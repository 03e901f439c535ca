import { DocumentFault, type DocumentNode, leaf, quoted } from './document-node.ts'
import { parseTimestamp } from './timestamp.ts'

/**
 * How a part of a document is read: the XML form and the JSON form give the same value. Made by the functions beside it, `text()`,
 * `record()` and so on.
 */
export interface Schema<T> {
  /** For messages: "a whole number". */
  readonly kind: string
  /**
   * @param nodes All parts of that name; `undefined` if there is none.
   * @param path Where in the document, for messages.
   * @throws {Error} that says in words what is wrong.
   */
  readonly read: (nodes: readonly DocumentNode[] | undefined, path: string) => T
}

/** A part that may be missing. In a record its property is missing then, too. */
export interface OptionalSchema<T> extends Schema<T | undefined> {
  readonly optional: true
}

/** A whole document: what is in it, and what its XML form calls the root element (the JSON form does not name it). */
export interface DocumentSchema<T> extends Schema<T> {
  readonly root: string
}

/** What a schema reads. */
export type ReadBy<S> = S extends Schema<infer T> ? T : never

/** A count or a number of bytes, exact whatever its size: a `bigint` where a `number` would be rounded, from 2^53 on. */
export type Long = number | bigint

/** What HCP says beyond what a schema knows, by what it looks like. */
export type ExtraValue =
  | string
  | number
  | bigint
  | boolean
  | readonly ExtraValue[]
  | { readonly [name: string]: ExtraValue }

/** A value that is read from text. */
function scalar<T>(kind: string, convert: (text: string) => T | undefined): Schema<T> {
  return {
    kind,
    read: (nodes, path) => {
      const node = only(nodes, path)
      const value = node.children.size === 0 ? convert(node.text) : undefined
      if (value !== undefined) return value
      throw new DocumentFault(
        `${path} is ${node.children.size === 0 ? quoted(node.text) : 'an element'}, not ${kind}`,
      )
    },
  }
}

function only(nodes: readonly DocumentNode[] | undefined, path: string): DocumentNode {
  const [node, ...more] = nodes ?? []
  if (node === undefined) throw new DocumentFault(`${path} is missing`)
  if (more.length > 0) throw new DocumentFault(`${path} is there ${more.length + 1} times`)
  return node
}

/** Text, white space around it cut off; an empty element is an empty text. */
export const text = (): Schema<string> => scalar('text', (found) => found)

/** A whole number below 2^53. */
export const integer = (): Schema<number> =>
  scalar('a whole number below 2^53', (found) => {
    const value = toLong(found)
    return typeof value === 'number' ? value : undefined
  })

/** A whole number of any size: a `number` while that is exact, a `bigint` from 2^53 on. */
export const long = (): Schema<Long> => scalar('a whole number', toLong)

/** A number with a decimal point. `NaN` where HCP has no rate to tell. */
export const decimal = (): Schema<number> =>
  scalar('a number', (found) => {
    if (found === 'NaN') return Number.NaN
    const value = /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(found) ? Number(found) : Number.NaN
    return Number.isFinite(value) ? value : undefined
  })

/** `true` or `false`, whatever its case. */
export const boolean = (): Schema<boolean> =>
  scalar('true or false', (found) => toBoolean(found.toLowerCase()))

/** An instant such as `2021-05-03T14:07:09+0200`. */
export const timestamp = (): Schema<Date> => scalar('a time such as 2021-05-03T14:07:09+0200', parseTimestamp)

/** An instant in milliseconds since 1970. */
export const epochMillis = (): Schema<Date> =>
  scalar('a number of milliseconds since 1970', (found) => {
    const value = toLong(found)
    const date = new Date(typeof value === 'number' ? value : Number.NaN)
    return Number.isNaN(date.getTime()) ? undefined : date
  })

/** One text with commas between its items, as a list; empty text is an empty list. */
export const commaList = (): Schema<readonly string[]> =>
  scalar('a list with commas', (found) => (found === '' ? [] : found.split(',').map((item) => item.trim())))

/**
 * A wrapper with repeated elements: `<tags><tag>a</tag></tags>`, `{"tags":{"tag":["a"]}}`. Always a list: a wrapper that is empty or
 * missing is an empty one.
 *
 * @param element Name of the repeated elements.
 */
export function list<T>(element: string, item: Schema<T>): Schema<readonly T[]> {
  return {
    kind: `a list of <${element}>`,
    read: (nodes, path) => {
      if (nodes === undefined || nodes.length === 0) return []
      const node = only(nodes, path)
      if (node.text !== '')
        throw new DocumentFault(`${path} is ${quoted(node.text)}, not a list of <${element}>`)
      return (childrenOf(node, element) ?? []).map((child, index) =>
        item.read([child], `${path}.${element}[${index}]`),
      )
    },
  }
}

/** Elements that are repeated without a wrapper. Always a list. */
export function repeated<T>(item: Schema<T>): Schema<readonly T[]> {
  return {
    kind: `a list of ${item.kind}`,
    read: (nodes, path) => (nodes ?? []).map((node, index) => item.read([node], `${path}[${index}]`)),
  }
}

/**
 * What may be missing. An element that is there and empty counts as missing, unless an empty text, list or record is what it is.
 */
export function optional<T>(schema: Schema<T>): OptionalSchema<T> {
  return {
    kind: schema.kind,
    optional: true,
    read: (nodes, path) => {
      if (nodes === undefined) return undefined
      const [node, ...more] = nodes
      if (more.length > 0 || (node !== undefined && (node.text !== '' || node.children.size > 0))) {
        return schema.read(nodes, path)
      }
      try {
        return schema.read(nodes, path)
      } catch {
        return undefined
      }
    },
  }
}

/** A value made from what another schema reads. @param convert `undefined` for what is not of this kind. */
export function mapped<T, U>(
  schema: Schema<T>,
  kind: string,
  convert: (value: T) => U | undefined,
): Schema<U> {
  return {
    kind,
    read: (nodes, path) => {
      const found = schema.read(nodes, path)
      const value = convert(found)
      if (value === undefined) throw new DocumentFault(`${path} is ${quoted(String(found))}, not ${kind}`)
      return value
    },
  }
}

type Shape = Readonly<Record<string, Schema<unknown>>>

type OptionalNames<S extends Shape> = {
  [Name in keyof S]: S[Name] extends OptionalSchema<unknown> ? Name : never
}[keyof S]

/** The record that a shape of schemas reads. */
export type RecordOf<S extends Shape> = {
  readonly [Name in Exclude<keyof S, OptionalNames<S>>]: ReadBy<S[Name]>
} & {
  readonly [Name in OptionalNames<S>]?: Exclude<ReadBy<S[Name]>, undefined>
}

/**
 * An element with named parts. Parts that the shape does not name are kept under their names, their values by what they look like: what a
 * newer HCP adds is not lost. Names are compared without regard to case where HCP's is not just the shape's: it has printed some in two ways.
 *
 * @param aliases Other names, as HCP misspelt them, of parts of the shape.
 */
export function record<S extends Shape>(
  shape: S,
  aliases: Readonly<Record<string, keyof S & string>> = {},
): Schema<RecordOf<S>> {
  const known = new Map(Object.entries(shape))
  const alike = new Map([...known.keys()].map((name) => [name.toLowerCase(), name]))
  for (const [other, name] of Object.entries(aliases)) alike.set(other.toLowerCase(), name)
  return {
    kind: 'an element',
    read: (nodes, path) => {
      const node = only(nodes, path)
      if (node.text !== '' && node.children.size === 0) {
        throw new DocumentFault(`${path} is ${quoted(node.text)}, not an element`)
      }
      const found = new Map<string, unknown>()
      const taken = new Set<string>()
      for (const [name, children] of node.children) {
        const meant = known.has(name) ? name : alike.get(name.toLowerCase())
        // The right name wins over one that only looks like it.
        if (meant === undefined || (meant !== name && node.children.has(meant)) || taken.has(meant)) {
          found.set(name, extraOf(children))
          continue
        }
        taken.add(meant)
        const value = (known.get(meant) as Schema<unknown>).read(children, `${path}.${meant}`)
        if (value !== undefined) found.set(meant, value)
      }
      for (const [name, schema] of known) {
        if (taken.has(name)) continue
        const value = schema.read(undefined, `${path}.${name}`)
        if (value !== undefined) found.set(name, value)
      }
      return Object.fromEntries(found) as RecordOf<S>
    },
  }
}

/** A whole document. @param root Name of the root element. */
export function document<T>(root: string, content: Schema<T>): DocumentSchema<T> {
  return { kind: `HCP's <${root}> document`, root, read: content.read }
}

/** A whole document that is a list of names: `<links><name>a</name></links>`, `{"name":["a"]}`. */
export const nameList = (root: string, element: string): DocumentSchema<readonly string[]> =>
  document(root, list(element, text()))

/** What no schema tells of, by its look: `true`, whole numbers, records, lists of several; all else as text. */
export function extraOf(nodes: readonly DocumentNode[]): ExtraValue {
  const [node, ...more] = nodes
  if (node === undefined || more.length > 0) return nodes.map((each) => extraOf([each]))
  if (node.children.size === 0) return toBoolean(node.text) ?? toLong(node.text) ?? node.text
  const parts = [...node.children].map(([name, children]): [string, ExtraValue] => [name, extraOf(children)])
  return Object.fromEntries(node.text === '' ? parts : [...parts, ['#text', node.text]])
}

function childrenOf(node: DocumentNode, name: string): readonly DocumentNode[] | undefined {
  const exact = node.children.get(name)
  if (exact !== undefined) return exact
  for (const [other, children] of node.children)
    if (other.toLowerCase() === name.toLowerCase()) return children
  return undefined
}

const toBoolean = (found: string): boolean | undefined =>
  found === 'true' ? true : found === 'false' ? false : undefined

/** As HCP writes it: no leading zero, no plus sign. Longer than any that HCP can have is none. */
function toLong(found: string): Long | undefined {
  if (!/^(?:0|-?[1-9]\d{0,29})$/.test(found)) return undefined
  const value = Number(found)
  return Number.isSafeInteger(value) ? value : BigInt(found)
}

/** For records that come as text with names, such as lines of CSV. */
export const nodeOfTexts = (texts: Iterable<readonly [string, string]>): DocumentNode => ({
  text: '',
  children: new Map([...texts].map(([name, value]) => [name, [leaf(value)]])),
})
