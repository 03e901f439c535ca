import type { HcpResponse } from '@hcp/connection'
import { SaxesParser } from 'saxes'
import { protocolError } from './protocol-error.ts'

/** An element with all that is in it. */
export interface XmlElement {
  readonly name: string
  /** Has no prototype: any name may be asked for. */
  readonly attributes: Readonly<Record<string, string | undefined>>
  /** Text of its own, without that of its children. */
  readonly text: string
  readonly children: readonly XmlElement[]
}

interface OpenElement extends XmlElement {
  text: string
  children: XmlElement[]
}

/** Characters without a child of the root coming to its end: a name has at most 4,095 bytes, each written as six or nine at worst. */
export const longestElement = 262_144
/** HCP's documents have three levels. */
const deepest = 16
/** Bytes taken in at a time: what is made of them dies young, which keeps memory low at no cost of speed. */
const pieceSize = 16_384

/**
 * The children of a document's root, while the document comes in. No more is held than one piece of the body and one child.
 *
 * The document must be UTF-8 and well-formed (XML 1.0), without DOCTYPE, with this root, and whole: what is none of that is an
 * `HcpProtocolError`, after the children that came before the fault.
 *
 * @param root Name of the root element.
 * @returns As many children at a time as a piece of the body has, at least one.
 */
export async function* childElements(
  response: HcpResponse,
  root: string,
  body: AsyncIterable<Uint8Array> = response,
): AsyncGenerator<readonly XmlElement[], void> {
  const reader = new XmlReader(response, root)
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; at += pieceSize) {
      reader.push(chunk.subarray(at, at + pieceSize))
      const found = reader.take()
      if (found.length > 0) yield found
      reader.throwIfFailed()
    }
  }
  reader.end()
  const found = reader.take()
  if (found.length > 0) yield found
  reader.throwIfFailed()
}

const none: XmlElement[] = []
/** Those of XML itself. */
const entities = { amp: '&', gt: '>', lt: '<', quot: '"', apos: "'" }

class XmlReader {
  readonly #response: HcpResponse
  readonly #root: string
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })
  readonly #parser = new SaxesParser({ xmlns: false, position: false })
  readonly #open: OpenElement[] = []
  #found: XmlElement[] = []
  #error: Error | undefined
  /** Characters of the document that have been read, and where among them the last child ended. */
  #position = 0
  #childEnd = 0

  constructor(response: HcpResponse, root: string) {
    this.#response = response
    this.#root = root
    const parser = this.#parser
    // The parser's own table has a prototype, whose names would be entities too.
    parser.ENTITIES = Object.assign(Object.create(null) as Record<string, string>, entities)
    parser.on('xmldecl', ({ encoding }) => {
      if (encoding !== undefined && encoding.toUpperCase() !== 'UTF-8')
        this.#fail(`is in ${encoding}, not in UTF-8`)
    })
    parser.on('doctype', () => this.#fail('has a DOCTYPE'))
    parser.on('opentag', ({ name, attributes }) => {
      const open = this.#open
      if (open.length === 0 && name !== this.#root)
        this.#fail(`is a <${name.slice(0, 100)}>, not the <${this.#root}> that it should be`)
      if (open.length === deepest) this.#fail(`has more than ${deepest} levels`)
      open.push({ name, attributes, text: '', children: none })
    })
    parser.on('text', (text) => this.#text(text))
    parser.on('cdata', (text) => this.#text(text))
    parser.on('closetag', () => this.#close())
  }

  /** Takes in a piece of the document; what is wrong with it is told by `throwIfFailed`. */
  push(piece: Uint8Array): void {
    this.#try('is no XML that can be read', () => {
      const text = this.#decoder.decode(piece, { stream: true })
      this.#parser.write(text)
      this.#position += text.length
      this.#checkLength(this.#position)
    })
  }

  end(): void {
    this.#try('has no end', () => {
      this.#parser.write(this.#decoder.decode())
      this.#parser.close()
    })
  }

  /** The children that have been whole since the last time. */
  take(): readonly XmlElement[] {
    const found = this.#found
    if (found.length > 0) this.#found = []
    return found
  }

  throwIfFailed(): void {
    if (this.#error !== undefined) throw this.#error
  }

  #try(otherwise: string, step: () => void): void {
    try {
      step()
    } catch (cause) {
      // Ours, or the parser's or decoder's, which know nothing of the answer.
      this.#error ??= protocolError(
        this.#response,
        `${otherwise}: ${(cause as Error).message.slice(0, 200)}`,
        cause,
      )
    }
  }

  #fail(what: string): never {
    this.#error = protocolError(this.#response, what)
    throw this.#error
  }

  #text(text: string): void {
    // Between the children of the root there are only line ends.
    if (this.#open.length > 1) this.#open[this.#open.length - 1]!.text += text
  }

  #close(): void {
    const open = this.#open
    const element = open.pop()!
    if (open.length === 1) {
      const { position } = this.#parser
      this.#checkLength(position)
      this.#childEnd = position
      this.#found.push(element)
    } else if (open.length > 1) {
      const parent = open[open.length - 1]!
      if (parent.children === none) parent.children = [element]
      else parent.children.push(element)
    }
  }

  #checkLength(position: number): void {
    if (position - this.#childEnd > longestElement)
      this.#fail(`has more than ${longestElement} characters for one element`)
  }
}
