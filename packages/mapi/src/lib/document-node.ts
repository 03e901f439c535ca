/**
 * A part of a document, the same whether it came as XML or as JSON: an element with its children, or a value as text. Elements of the
 * same name, and the items of a JSON array, are one list.
 */
export interface DocumentNode {
  /** Trimmed. Numbers have all the digits that HCP sent. */
  readonly text: string
  /** By name, in the document's order. */
  readonly children: ReadonlyMap<string, readonly DocumentNode[]>
}

/** What is wrong with a document, in words. */
export class DocumentFault extends Error {
  override name = 'DocumentFault'
}

/** Elements or values in a document. A list of 10,000 namespaces has 10,001. */
export const mostNodes = 250_000

/** HCP's documents have six levels. */
export const deepest = 32

const nothing: ReadonlyMap<string, readonly DocumentNode[]> = new Map()

export const leaf = (text: string): DocumentNode => ({ text: text.trim(), children: nothing })

/** As much of it as fits into a message. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
