import { deepest, DocumentFault, type DocumentNode, leaf, mostNodes } from './document-node.ts'

/** ECMAScript's "JSON.parse source text access", which Node has since version 21 and TypeScript's library does not know yet. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown

/**
 * Reads a JSON document: an object, of bounded depth and number of values. Numbers keep all their digits.
 *
 * @throws {Error} that says in words what is wrong.
 */
export function readJson(text: string): DocumentNode {
  checkDepth(text)
  let count = 0
  const value = parseWithSource(text, (_, member, { source }) => {
    if (++count > mostNodes) throw new DocumentFault(`it has more than ${mostNodes} values`)
    // A number of 64 bits is rounded by now; what it was made from is not.
    return typeof member === 'number' ? source : member
  })
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new DocumentFault('it is not a JSON object')
  }
  return nodeOf(value)
}

function nodeOf(value: unknown): DocumentNode {
  if (Array.isArray(value)) throw new DocumentFault('it has an array within an array')
  if (value === null || typeof value !== 'object') return leaf(String(value))
  const children = new Map<string, DocumentNode[]>()
  for (const [name, member] of Object.entries(value)) {
    const items: readonly unknown[] = Array.isArray(member) ? member : [member]
    // null stands for what is not there.
    if (member !== null) children.set(name, items.filter((item) => item !== null).map(nodeOf))
  }
  return { text: '', children }
}

/** Before parsing: the parser takes any depth, and what walks through its result does not. */
function checkDepth(text: string): void {
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at)
    if (inString) {
      if (character === 0x5c) at++
      else if (character === 0x22) inString = false
    } else if (character === 0x22) inString = true
    else if (character === 0x7b || character === 0x5b) {
      // A wrapper and its array are one level of XML.
      if (++depth > 2 * deepest) throw new DocumentFault(`it is nested more than ${deepest} levels deep`)
    } else if (character === 0x7d || character === 0x5d) depth--
  }
}
