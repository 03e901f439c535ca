import { formatTimestamp } from './timestamp.ts'
import { isXmlCharacter } from '@hcp/connection/support'

/**
 * A value to send: text, a number, `true` or `false`, an instant, a list, or named parts. `undefined` is left out; an empty text or an
 * empty list clears what HCP has.
 */
export type DocumentValue =
  | string
  | number
  | bigint
  | boolean
  | Date
  | readonly DocumentValue[]
  | { readonly [name: string]: DocumentValue | undefined }

/** A document to send. */
export interface Document {
  /** Name of the root element, for example `tenant`. */
  readonly root: string
  /** As MAPI's JSON form has it: wrappers are objects, repeated elements arrays: `{ name: 'a', tags: { tag: ['x'] } }`. */
  readonly value: { readonly [name: string]: DocumentValue | undefined }
}

export type DocumentFormat = 'xml' | 'json'

export const mediaTypes: Readonly<Record<DocumentFormat, string>> = {
  xml: 'application/xml',
  json: 'application/json',
}

/**
 * The bytes of a document.
 *
 * @throws {TypeError | RangeError} for values that no document can hold, by their place in it.
 */
export function writeDocument({ root, value }: Document, format: DocumentFormat): string {
  checkName(root)
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Date)
    throw new TypeError(`The value of the document <${root}> must be an object of named parts`)
  return format === 'xml'
    ? `<?xml version="1.0" encoding="UTF-8"?>${xmlOf(root, value, root)}`
    : JSON.stringify(jsonOf(value, root))
}

/** XML 1.0 names, without those that HCP does not use. */
function checkName(name: string): void {
  if (typeof name !== 'string' || !/^[A-Za-z_][\w.-]*$/.test(name)) {
    throw new RangeError(`${JSON.stringify(name)} cannot be the name of a part of a document`)
  }
}

/** @param path For messages. */
function xmlOf(name: string, value: DocumentValue, path: string): string {
  checkName(name)
  const parts = partsOf(value, path)
  const content =
    parts === undefined
      ? escaped(textOf(value, path), path)
      : parts
          .map(([part, inner]) =>
            (Array.isArray(inner) ? (inner as readonly DocumentValue[]) : [inner])
              .map((item) => xmlOf(part, item, `${path}.${part}`))
              .join(''),
          )
          .join('')
  return content === '' ? `<${name}/>` : `<${name}>${content}</${name}>`
}

function jsonOf(value: DocumentValue, path: string): unknown {
  const parts = partsOf(value, path)
  if (parts !== undefined) {
    return Object.fromEntries(
      parts.map(([name, inner]) => {
        checkName(name)
        const items = Array.isArray(inner) ? (inner as readonly DocumentValue[]) : undefined
        const place = `${path}.${name}`
        return [name, items === undefined ? jsonOf(inner, place) : items.map((item) => jsonOf(item, place))]
      }),
    )
  }
  if (typeof value === 'string') checkText(value, path)
  const plain = textOf(value, path)
  if (typeof value === 'boolean') return value
  // A number of 64 bits that would be rounded goes as text, which HCP takes for numbers.
  return (typeof value === 'number' || typeof value === 'bigint') && String(Number(plain)) === plain
    ? Number(plain)
    : plain
}

/** The named parts of a value that has some, without those that are left out. */
function partsOf(value: DocumentValue, path: string): [string, DocumentValue][] | undefined {
  if (value === null) throw new TypeError(`${path} is null; leave it out, or give an empty text to clear it`)
  if (typeof value !== 'object' || value instanceof Date) return undefined
  if (Array.isArray(value)) throw new TypeError(`${path} is a list within a list`)
  const parts = Object.entries(value as { readonly [name: string]: DocumentValue | undefined })
  return parts.filter((part): part is [string, DocumentValue] => part[1] !== undefined)
}

function textOf(value: DocumentValue, path: string): string {
  if (value instanceof Date) return formatTimestamp(value)
  switch (typeof value) {
    case 'number':
      if (!Number.isFinite(value)) throw new RangeError(`${path} is ${value}, which no document can hold`)
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        throw new RangeError(`${path} is ${value}, which is not exact: give a bigint`)
      }
      return String(value)
    case 'string':
    case 'boolean':
    case 'bigint':
      return String(value)
    default:
      throw new TypeError(
        `${path} must be text, a number, true or false, a Date, a list or an object, not ${typeof value}`,
      )
  }
}

/** Both forms take the same texts. @throws {RangeError} for what XML cannot hold. */
function checkText(value: string, path: string): void {
  if (!value.isWellFormed())
    throw new RangeError(`${path} holds half of a surrogate pair: it is not valid text`)
  for (const character of value) {
    if (!isXmlCharacter(character.codePointAt(0) as number)) {
      throw new RangeError(`${path} has a character that no document can hold: ${JSON.stringify(character)}`)
    }
  }
}

function escaped(value: string, path: string): string {
  checkText(value, path)
  // A reader of XML takes a carriage return for a line feed unless it comes as a number.
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\r', '&#13;')
}
