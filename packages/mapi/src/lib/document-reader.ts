import { DocumentFault } from './document-node.ts'
import type { DocumentFormat } from './document-writer.ts'
import { readJson } from './json-reader.ts'
import type { DocumentSchema } from './schema.ts'
import { readXml } from './xml-reader.ts'

/**
 * Reads a document by its schema.
 *
 * @param bytes UTF-8, of bounded size.
 * @throws {Error} that says in words what is wrong.
 */
export function readDocument<T>(bytes: Uint8Array, format: DocumentFormat, schema: DocumentSchema<T>): T {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  if (text.trim() === '') throw new DocumentFault('it is empty')
  if (format === 'json') return schema.read([readJson(text)], schema.root)
  const { root, node } = readXml(text)
  // The documents print some roots in two ways.
  if (root.toLowerCase() !== schema.root.toLowerCase()) {
    throw new DocumentFault(`its root element is <${root.slice(0, 80)}>`)
  }
  return schema.read([node], schema.root)
}
