import { Refusal } from './refusal.ts'

// What reads values by recursion would run out of stack.
const maxDepth = 200
const [quote, backslash] = [0x22, 0x5c]
const [openList, closeList, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d]
const decoder = new TextDecoder('utf-8', { fatal: true })

/** Reads JSON. @throws {Refusal} 400 if it is none, no UTF-8, or nested too deeply. */
export function parseJson(bytes: Uint8Array): unknown {
  // Before it is read: millions of levels would take memory many times the size of the text.
  if (isNestedDeeper(bytes, maxDepth)) {
    throw new Refusal(400, `The body is nested deeper than ${maxDepth} levels.`)
  }
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch (cause) {
    throw new Refusal(400, 'The body is not JSON in UTF-8.', { cause })
  }
}

/** Whether lists and objects of JSON are nested in more levels than these. It need not be right. */
function isNestedDeeper(bytes: Uint8Array, levels: number): boolean {
  let level = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) at = endOfText(bytes, at)
    else if (byte === openList || byte === openObject) {
      if (++level > levels) return true
    } else if (byte === closeList || byte === closeObject) level--
  }
  return false
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
