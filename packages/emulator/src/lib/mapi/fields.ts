import { Refusal } from '../refusal.ts'
import type { DocumentFields, DocumentValue } from './resource.ts'

/** A property of a document that clients may send: how its value is read, refusing what is not allowed with 400. */
export type Field = (raw: unknown, name: string) => DocumentValue

export type Fields = Readonly<Record<string, Field>>

/** Reads a document of a request; a property that it does not have is refused. */
export function readFields(
  raw: Readonly<Record<string, unknown>>,
  fields: Fields,
): Record<string, DocumentValue> {
  const result: Record<string, DocumentValue> = {}
  for (const [name, value] of Object.entries(raw)) {
    if (value === undefined) continue
    if (!Object.hasOwn(fields, name))
      throw new Refusal(400, `The property '${name}' is not known, or not valid for this request.`)
    result[name] = fields[name]!(value, name)
  }
  return result
}

function bad(name: string, why: string): Refusal {
  return new Refusal(400, `The value of the property '${name}' is invalid: ${why}.`)
}

/** A single value as text, without the white space around it. */
export function scalar(raw: unknown, name: string): string {
  if (typeof raw === 'string') return raw.trim()
  if (typeof raw === 'number' || typeof raw === 'boolean') return String(raw)
  throw bad(name, 'it must be a single value')
}

/** Characters, not halves of them. */
export function lengthOf(value: string): number {
  return Array.from(value).length
}

/** Text of so many characters at most. */
export function text(maximum = 1_024, minimum = 0): Field {
  return (raw, name) => {
    const value = scalar(raw, name)
    const length = lengthOf(value)
    if (length > maximum || length < minimum) {
      throw bad(name, `it must have ${minimum > 0 ? `${minimum} to` : 'at most'} ${maximum} characters`)
    }
    return value
  }
}

export function matching(pattern: RegExp, what: string): Field {
  return (raw, name) => {
    const value = scalar(raw, name)
    if (pattern.test(value)) return value
    throw bad(name, `it must be ${what}`)
  }
}

/** `true`, `t` and `1` are true, everything else is false. */
export function isTrue(value: string | undefined): boolean {
  return value === 'true' || value === 't' || value === '1'
}

export const boolean: Field = (raw, name) => isTrue(scalar(raw, name))

export function integer(minimum: number, maximum: number): Field {
  return (raw, name) => {
    const value = scalar(raw, name)
    if (/^-?\d{1,15}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum)
      return Number(value)
    throw bad(name, `it must be a whole number from ${minimum} to ${maximum}`)
  }
}

/** One of these words, in any letter case. */
export function choice(...values: readonly string[]): Field {
  return (raw, name) => {
    const value = scalar(raw, name).toLowerCase()
    const found = values.find((each) => each.toLowerCase() === value)
    if (found === undefined) throw bad(name, `it must be one of ${values.join(', ')}`)
    return found
  }
}

/** One of these words, as they are. */
export function exactly(...values: readonly string[]): Field {
  return (raw, name) => {
    const value = scalar(raw, name)
    if (!values.includes(value)) throw bad(name, `it must be one of ${values.join(', ')}`)
    return value
  }
}

/** A wrapper with repeated elements, which are kept as a list, each once. */
export function list(element: string, item: Field, most = 10_000): Field {
  return (raw, name) => {
    if (raw === '' || raw === null) return { [element]: [] }
    if (!isRecord(raw)) throw bad(name, `it must have ${element} elements`)
    for (const key of Object.keys(raw)) if (key !== element) throw bad(name, `it has no ${key}`)
    const given = raw[element]
    const entries: unknown[] =
      given === undefined || given === '' ? [] : Array.isArray(given) ? given : [given]
    if (entries.length > most) throw bad(name, `it must have at most ${most} elements`)
    const values = entries.map((each) => item(each, element))
    return { [element]: typeof values[0] === 'string' ? [...new Set(values)] : values }
  }
}

export function group(fields: Fields): Field {
  return (raw, name) => {
    if (raw === '') return {}
    if (!isRecord(raw)) throw bad(name, 'it must have elements')
    return readFields(raw, fields)
  }
}

const units: Readonly<Record<string, number>> = { MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 }
const quotaForm = /^(\d{0,9}(?:\.\d{1,2})?)\s+(MB|GB|TB)$/

/** A number and a unit, such as `50 GB`; kept as HCP prints it, with two decimals. */
export const quota: Field = (raw, name) => {
  const [, number = '', unit = ''] = quotaForm.exec(scalar(raw, name).toUpperCase()) ?? []
  if (number === '' || number === '.')
    throw bad(name, 'it must be a number with at most two decimals, a blank, and MB, GB or TB')
  const value = `${Number(number).toFixed(2)} ${unit}`
  if (quotaBytes(value) < (unit === 'TB' ? 0.01 * units['TB']! - 1 : units['GB']!))
    throw bad(name, 'it must be at least 1 GB')
  return value
}

export function quotaBytes(text: string): number {
  const [number = '', unit = ''] = text.split(' ')
  return Math.round(Number(number) * (units[unit] ?? NaN))
}

/** Bytes as a quota is printed. */
export function quotaText(bytes: number): string {
  const inUnit = (unit: string): string => `${(bytes / units[unit]!).toFixed(2)} ${unit}`
  const large = inUnit('TB')
  return bytes >= units['TB']! && quotaBytes(large) === bytes ? large : inUnit('GB')
}

/** Number of a limited count, or `None`. */
export function countOrNone(maximum: number): Field {
  const number = integer(0, maximum)
  return (raw, name) => (scalar(raw, name).toLowerCase() === 'none' ? 'None' : number(raw, name))
}

const address = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)(\/(\d{1,3}|\d{1,3}(\.\d{1,3}){3}))?$/i

const addresses: Field = (raw, name) => {
  const value = scalar(raw, name)
  const all = value.split(',').map((each) => each.trim())
  if (all.every((each) => address.test(each))) return value
  throw bad(name, 'it must be IP addresses or networks')
}

/** Who may connect. */
export function ipSettings({ deny = true, both = true }: { deny?: boolean; both?: boolean } = {}): Field {
  return group({
    allowAddresses: list('ipAddress', addresses),
    ...(deny ? { denyAddresses: list('ipAddress', addresses) } : {}),
    ...(both ? { allowIfInBothLists: boolean } : {}),
  })
}

export const everybody: DocumentFields = {
  allowAddresses: { ipAddress: ['0.0.0.0/0', '::0/0'] },
  denyAddresses: { ipAddress: [] },
  allowIfInBothLists: true,
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The texts of a list that was read. */
export function entriesOf(value: DocumentValue | undefined, element: string): readonly string[] {
  if (!isRecord(value)) return []
  const found = value[element]
  return Array.isArray(found) ? (found as readonly string[]) : []
}

/** Refuses a document without what it cannot be without. */
export function need(fields: DocumentFields, ...names: readonly string[]): void {
  for (const name of names) {
    if (fields[name] === undefined) throw new Refusal(400, `The required property '${name}' is missing.`)
  }
}

/** A single value as text; '' for what is none. */
export function textOf(value: DocumentValue | undefined): string {
  return value === undefined || typeof value === 'object' ? '' : String(value)
}

/** A required query parameter. */
export function needParameter(query: ReadonlyMap<string, string>, name: string): string {
  const value = query.get(name)
  if (value === undefined || value === '')
    throw new Refusal(400, `The required parameter '${name}' is missing.`)
  return value
}

/** A name's property of a list of the kind that a path names its members with, whatever the letter case. */
export function named<T>(entries: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  const lower = name.toLowerCase()
  return entries !== undefined && Object.hasOwn(entries, lower) ? entries[lower] : undefined
}
