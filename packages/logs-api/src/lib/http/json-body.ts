import { Refusal } from './refusal.ts'

// What reads values by recursion would run out of stack.
const maxDepth = 200
const decoder = new TextDecoder('utf-8', { fatal: true })

/** Reads JSON. @throws {Refusal} 400 if it is none, no UTF-8, or nested too deeply. */
export function parseJson(bytes: Uint8Array): unknown {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(bytes))
  } catch (cause) {
    throw new Refusal(400, 'The body is not JSON in UTF-8.', { cause })
  }
  if (isDeeper(value, maxDepth)) throw new Refusal(400, `The body is nested deeper than ${maxDepth} levels.`)
  return value
}

/** Whether lists and objects are nested in more levels than these. */
export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  return Object.values(value).some((each) => isDeeper(each, levels - 1))
}
