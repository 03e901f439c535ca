import { decodeXmlReferences } from '@hcp/connection/support'
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { deepest, DocumentFault, type DocumentNode, mostNodes } from './document-node.ts'

/** Between two markup characters `<`: a tag, or a text. The longest that HCP has is a CORS configuration. */
const longestPiece = 256 * 1024

const place: symbol = XMLParser.getMetaDataSymbol() as symbol

const parser: XMLParser = new XMLParser({
  preserveOrder: true,
  // MAPI's documents have none.
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  captureMetaData: true,
  maxNestedTags: deepest,
  jPath: false,
  // Names are keys of maps here; the parser refuses "__proto__" and "constructor" all the same.
  onDangerousProperty: (name) => name,
  // The parser's own decoder leaves numeric and unknown references as they are, and takes those that a DOCTYPE declares.
  entityDecoder: {
    decode: references,
    addInputEntities: () => {
      throw new DocumentFault('it has a DOCTYPE')
    },
    setExternalEntities: () => {},
    setXmlVersion: () => {},
    reset: () => {},
  },
})

/**
 * Reads an XML document: well-formed, UTF-8, without DOCTYPE, one root element and nothing after it.
 *
 * @throws {Error} that says in words what is wrong.
 */
export function readXml(text: string): { readonly root: string; readonly node: DocumentNode } {
  checkMarkup(text)
  // The parser takes mismatched tags in silence; what the check takes, the rest of this function does not.
  const fault = XMLValidator.validate(text)
  if (fault !== true) throw new DocumentFault(`${fault.err.msg} (line ${fault.err.line})`)
  const nodes = parser.parse(text) as readonly Parsed[]
  const [root, ...more] = nodes.filter((node) => typeof node['#text'] !== 'string' || !isBlank(node['#text']))
  if (root === undefined || more.length > 0 || '#text' in root) {
    throw new DocumentFault('it has no single root element')
  }
  const { endIndex } = root[place] as { endIndex?: number }
  if (endIndex === undefined || !isBlank(text.slice(endIndex))) {
    throw new DocumentFault('something follows its root element')
  }
  return { root: nameOf(root), node: nodeOf(root) }
}

/** What the parser makes of an element or text: its name or `#text` as key. */
type Parsed = Readonly<Record<string | symbol, unknown>>

const nameOf = (parsed: Parsed): string => Object.keys(parsed).find((key) => key !== ':@') as string

function nodeOf(parsed: Parsed): DocumentNode {
  const name = nameOf(parsed)
  if (name.startsWith('!')) throw new DocumentFault('it has a declaration')
  const children = new Map<string, DocumentNode[]>()
  let text = ''
  for (const child of parsed[name] as readonly Parsed[]) {
    if ('#text' in child) {
      text += child['#text'] as string
      continue
    }
    const childName = nameOf(child)
    const before = children.get(childName)
    if (before === undefined) children.set(childName, [nodeOf(child)])
    else before.push(nodeOf(child))
  }
  return { text: text.trim(), children }
}

/** The parser's time and memory grow with the number and length of what is in a document, faster than its size. */
function checkMarkup(text: string): void {
  const encoding = /^\s*<\?xml[^>]*\bencoding\s*=\s*["']([^"']*)["']/.exec(text.slice(0, 200))?.[1]
  if (encoding !== undefined && !/^(?:utf-?8|us-ascii)$/i.test(encoding)) {
    throw new DocumentFault('it calls itself something else than UTF-8')
  }
  let from = 0
  // An element has two tags.
  for (let count = 1; ; count++) {
    const found = text.indexOf('<', from)
    if ((found === -1 ? text.length : found) - from > longestPiece) {
      throw new DocumentFault(`it has a piece of more than ${longestPiece} characters`)
    }
    if (found === -1) return
    if (count > 2 * mostNodes) throw new DocumentFault(`it has more than ${mostNodes} elements`)
    from = found + 1
  }
}

const isBlank = (text: string): boolean => /^[ \t\r\n]*$/.test(text)

function references(text: string): string {
  try {
    return decodeXmlReferences(text)
  } catch (error) {
    throw new DocumentFault((error as Error).message)
  }
}
