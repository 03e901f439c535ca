import type { XmlElement } from './xml-document.ts'

/** Bytes, exact whatever their number: a `bigint` where a `number` would be rounded, from 2^53 on. */
export type ByteCount = number | bigint

/** What a release of HCP says beyond what is documented: by what it looks like. */
export type ExtraValue =
  | string
  | number
  | bigint
  | boolean
  | readonly ExtraValue[]
  | { readonly [name: string]: ExtraValue }

/** A whole number as HCP writes it: no leading zero, no plus sign. Those are text. */
const wholeNumber = /^(?:0|-?[1-9][0-9]*)$/

/** `undefined` for text that is no whole number. */
export function toWholeNumber(text: string): number | bigint | undefined {
  if (!wholeNumber.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}

export function toBoolean(text: string): boolean | undefined {
  return text === 'true' ? true : text === 'false' ? false : undefined
}

export function toValue(text: string): string | number | bigint | boolean {
  return toBoolean(text) ?? toWholeNumber(text) ?? text
}

/** An element that nobody told us of: its text, or, if it has parts, a record of them. */
export function toExtra(element: XmlElement): ExtraValue {
  const text = element.text.trim()
  const names = factsOf(element)
  if (names.size === 0) return toValue(text)
  const parts = [...names].map(([name, values]): [string, ExtraValue] => [name, single(values.map(extraOf))])
  return Object.fromEntries(text === '' ? parts : [...parts, ['#text', text]])
}

/** One of an element's attributes or children. */
export type Fact = string | XmlElement

export const extraOf = (fact: Fact): ExtraValue => (typeof fact === 'string' ? toValue(fact) : toExtra(fact))

export const single = (values: readonly ExtraValue[]): ExtraValue =>
  values.length === 1 ? (values[0] as ExtraValue) : values

/** An element's attributes and children by name, in document order, without those that only serve the XML itself. */
export function factsOf({ attributes, children }: XmlElement): Map<string, Fact[]> {
  const facts = new Map<string, Fact[]>()
  const add = (name: string, fact: Fact): void => {
    const before = facts.get(name)
    if (before === undefined) facts.set(name, [fact])
    else before.push(fact)
  }
  for (const [name, value] of attributes) if (!/^(?:xmlns(?::|$)|xsi:)/.test(name)) add(name, value)
  for (const child of children) add(child.name, child)
  return facts
}
