import { parseExactly } from '../exact-json.ts'
import { Refusal } from './refusal.ts'

// What reads values by recursion would run out of stack.
const maxDepth = 200
const maxValues = 1_000_000
const [quote, backslash, comma] = [0x22, 0x5c, 0x2c]
const [openList, closeList, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d]
const decoder = new TextDecoder('utf-8', { fatal: true })

/** Reads JSON. @throws {Refusal} 400 if it is none, no UTF-8, nested too deeply, or holds too many values. */
export function parseJson(bytes: Uint8Array): unknown {
  const excess = excessOf(bytes)
  if (excess !== undefined) throw new Refusal(400, `The body ${excess}`)
  try {
    return parseExactly(decoder.decode(bytes))
  } catch (cause) {
    throw new Refusal(400, 'The body is not JSON in UTF-8.', { cause })
  }
}

/**
 * Why JSON is not to be read, whether it is right or not: levels and values by the million take seconds, in which nothing else is done, and
 * memory many times the size of the text.
 */
export function excessOf(bytes: Uint8Array): string | undefined {
  let level = 0
  let values = 0
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case quote:
        at = endOfText(bytes, at)
        break
      case openList:
      case openObject:
        values++
        if (++level > maxDepth) return `is nested deeper than ${maxDepth} levels.`
        break
      case closeList:
      case closeObject:
        level--
        break
      case comma:
        values++
    }
  }
  return values > maxValues ? `holds more than ${maxValues} values.` : undefined
}

/** Where the quote is that ends the text, else the end of all. */
function endOfText(bytes: Uint8Array, start: number): number {
  let end = start
  for (;;) {
    end = bytes.indexOf(quote, end + 1)
    if (end === -1) return bytes.length
    let before = end
    while (bytes[before - 1] === backslash) before--
    if ((end - before) % 2 === 0) return end
  }
}

/** Whether lists and objects are nested in more levels than these. */
export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  return Object.values(value).some((each) => isDeeper(each, levels - 1))
}
