import { decodeXmlReferences } from '@hcp/connection/support'
import { XMLParser, XMLValidator } from 'fast-xml-parser'

/** An element as HCP sent it: everything is text. */
export interface XmlElement {
  readonly name: string
  /** In document order. */
  readonly attributes: readonly (readonly [name: string, value: string])[]
  readonly children: readonly XmlElement[]
  /** Text and CDATA between the tags, joined, blanks included. */
  readonly text: string
}

/** Between two markup characters `<`: a tag with its attributes, or a text. HCP's descriptions have at most 1,024 characters. */
const longestPiece = 65_536
/** Characters `<` in a document. A namespace takes five; a tenant has at most 10,000. */
const mostMarkup = 250_000
/** HCP's documents have three levels. */
const deepest = 32

const prefix = '@'
const place: symbol = XMLParser.getMetaDataSymbol() as symbol

const parser: XMLParser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: prefix,
  parseTagValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  captureMetaData: true,
  maxNestedTags: deepest,
  jPath: false,
  // The parser's own decoder leaves numeric and unknown references as they are, and takes those that a DOCTYPE declares.
  entityDecoder: {
    decode: decodeXmlReferences,
    addInputEntities: () => {
      throw new SyntaxError('it has a DOCTYPE')
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
export function parseXml(bytes: Uint8Array): XmlElement {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  checkMarkup(text)
  // The parser takes mismatched tags in silence; what the check takes, the rest of this function does not.
  const fault = XMLValidator.validate(text)
  if (fault !== true) throw new SyntaxError(`${fault.err.msg} (line ${fault.err.line})`)
  const nodes = parser.parse(text) as readonly Node[]
  const [root, ...more] = nodes.filter((node) => typeof node['#text'] !== 'string' || !isBlank(node['#text']))
  if (root === undefined || more.length > 0 || '#text' in root)
    throw new SyntaxError('it has no single root element')
  const { endIndex } = root[place] as { endIndex?: number }
  if (endIndex === undefined || !isBlank(text.slice(endIndex))) {
    throw new SyntaxError('something follows its root element')
  }
  return elementOf(root)
}

/** What the parser makes of an element or text: its name or `#text` as key, attributes under `:@`. */
type Node = Readonly<Record<string | symbol, unknown>>

function elementOf(node: Node): XmlElement {
  const name = Object.keys(node).find((key) => key !== ':@') as string
  if (name.startsWith('!')) throw new SyntaxError('it has a declaration')
  const nodes = node[name] as readonly Node[]
  return {
    name,
    attributes: Object.entries((node[':@'] as Record<string, string> | undefined) ?? {}).map(
      ([key, value]) => [key.slice(prefix.length), value],
    ),
    children: nodes.filter((child) => !('#text' in child)).map(elementOf),
    text: nodes.map((child) => (child['#text'] as string | undefined) ?? '').join(''),
  }
}

/** The parser's time and memory grow with the number and length of what is in a document, faster than its size. */
function checkMarkup(text: string): void {
  let from = 0
  for (let count = 1; ; count++) {
    const found = text.indexOf('<', from)
    if ((found === -1 ? text.length : found) - from > longestPiece) {
      throw new RangeError(`it has a piece of more than ${longestPiece} characters`)
    }
    if (found === -1) return
    if (count > mostMarkup) throw new RangeError(`it has more than ${mostMarkup} tags`)
    from = found + 1
  }
}

const isBlank = (text: string): boolean => /^[ \t\r\n]*$/.test(text)
