import type { IncomingHttpHeaders } from 'node:http'
import { maximumDocumentDepth, maximumDocumentSize } from '../choices.ts'
import { Refusal } from '../refusal.ts'
import type { RequestBody } from '../request-body.ts'
import { escaped } from '../xml-text.ts'
import type { DocumentFields, DocumentValue } from './resource.ts'
import { parseXml } from './xml-input.ts'

/** Media types that a document can be answered in; the first one where the client does not care. */
export const documentTypes = ['application/xml', 'application/json', 'application/javascript'] as const
export type DocumentType = (typeof documentTypes)[number]

const kinds = new Set([
  'application',
  'audio',
  'font',
  'image',
  'message',
  'model',
  'multipart',
  'text',
  'video',
  '*',
])

/**
 * Which of the types a client likes best; the first for a client that does not say.
 *
 * 415 if it wants none of them, 400 if what it wants is no media type at all.
 */
export function negotiated<Type extends string>(headers: IncomingHttpHeaders, types: readonly Type[]): Type {
  const { accept } = headers
  if (accept === undefined || accept.trim() === '') return types[0]!
  let best: { type: Type; quality: number } | undefined
  let unknown = false
  for (const entry of accept.split(',')) {
    const [range = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase())
    const quality = Number(parameters.find((each) => /^q\s*=/.test(each))?.replace(/^q\s*=\s*/, '') ?? 1)
    if (!isMediaType(range)) unknown = true
    const type =
      range === '*/*' || range === '*'
        ? types[0]
        : types.find(
            (each) => each === range || (range.endsWith('/*') && each.startsWith(range.slice(0, -1))),
          )
    if (type !== undefined && quality > (best?.quality ?? 0)) best = { type, quality }
  }
  if (best !== undefined) return best.type
  if (unknown) throw new Refusal(400, 'The Accept header names a media type that does not exist.')
  throw new Refusal(415, 'No media type of the Accept header is supported for this resource.')
}

function isMediaType(text: string): boolean {
  return /^[\w!#$&^.+*-]+\/[\w!#$&^.+*-]+$/.test(text) && kinds.has(text.slice(0, text.indexOf('/')))
}

/** A document's bytes and its `Content-Type`. */
export function writeDocument(
  type: DocumentType,
  root: string,
  value: DocumentFields,
  pretty: boolean,
  callback: string | undefined,
): { readonly type: string; readonly body: Buffer } {
  if (type === 'application/xml') {
    const standalone = pretty ? ' standalone="yes"' : ''
    const text = value[root]
    // A document that is one text and no more, such as `cors`.
    const element =
      typeof text === 'string' && Object.keys(value).length === 1
        ? `<${root}><![CDATA[${text.replaceAll(']]>', ']]]]><![CDATA[>')}]]></${root}>`
        : xml(root, value, pretty ? '\n' : '')
    const head = `<?xml version="1.0" encoding="UTF-8"${standalone}?>`
    return { type, body: Buffer.from(pretty ? `${head}\n${element.trimStart()}\n` : head + element) }
  }
  const text = json(value, pretty ? '\n' : '')
  if (type === 'application/json') return { type, body: Buffer.from(text) }
  return { type, body: Buffer.from(`${callbackName(callback)}(${text})`) }
}

function callbackName(name = 'callback'): string {
  if (!/^[\w$.]{1,100}$/.test(name)) throw new Refusal(400, 'The query parameter callback is no name.')
  return name
}

/** A document that is one list, and too long to be there as a whole, piece by piece. It is never indented. */
export function listPieces(
  type: DocumentType,
  root: string,
  element: string,
  entries: Iterable<DocumentFields>,
  callback: string | undefined,
): Iterable<string> {
  if (type === 'application/xml') {
    const head = `<?xml version="1.0" encoding="UTF-8"?><${root}>`
    return pieces(head, entries, (entry) => xml(element, entry, ''), '', `</${root}>`)
  }
  const [before, after] = type === 'application/json' ? ['', ''] : [`${callbackName(callback)}(`, ')']
  return pieces(
    `${before}{${JSON.stringify(element)}:[`,
    entries,
    (entry) => json(entry, ''),
    ',',
    `]}${after}`,
  )
}

function* pieces<Entry>(
  head: string,
  entries: Iterable<Entry>,
  write: (entry: Entry) => string,
  between: string,
  end: string,
): Generator<string> {
  yield head
  let first = true
  for (const entry of entries) {
    yield first ? write(entry) : between + write(entry)
    first = false
  }
  yield end
}

/** `indent`: a line end with what stands before each element, or nothing. */
function xml(name: string, value: DocumentValue, indent: string): string {
  if (isList(value)) return value.map((each) => xml(name, each, indent)).join('')
  if (typeof value !== 'object') {
    const text = escaped(String(value))
    return text === '' ? `${indent}<${name}/>` : `${indent}<${name}>${text}</${name}>`
  }
  const inner = Object.entries(value)
    .map(([key, each]) => (each === undefined ? '' : xml(key, each, indent && `${indent}    `)))
    .join('')
  return inner === '' ? `${indent}<${name}/>` : `${indent}<${name}>${inner}${indent}</${name}>`
}

function json(value: DocumentValue, indent: string): string {
  if (typeof value !== 'object') return typeof value === 'bigint' ? String(value) : JSON.stringify(value)
  const deeper = indent && `${indent}  `
  const list = isList(value)
  const parts = list
    ? value.map((each) => deeper + json(each, deeper))
    : Object.entries(value).flatMap(([name, each]) =>
        each === undefined
          ? []
          : [`${deeper}${JSON.stringify(name)}${indent && ' '}:${indent && ' '}${json(each, deeper)}`],
      )
  const [open, close] = list ? '[]' : '{}'
  return parts.length === 0 ? `${open}${close}` : `${open}${parts.join(',')}${indent}${close}`
}

function isList(value: DocumentValue): value is readonly DocumentValue[] {
  return Array.isArray(value)
}

/** Reads a request's document, which has to have one of these roots where it is XML. */
export async function readDocument(
  headers: IncomingHttpHeaders,
  body: RequestBody,
  hasBody: boolean,
  roots: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const type = bodyType(headers)
  if (!hasBody) throw new Refusal(400, 'The request body is missing.')
  const bytes = await bytesOf(body)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Refusal(400, 'The request body is not UTF-8.')
  }
  const value = type === 'application/json' ? parseJson(text) : parseRoot(text, roots)
  if (isFields(value)) return value
  throw new Refusal(400, 'The request body is no document of this resource.')
}

/** 415 or 400 for a body that is neither XML nor JSON by its `Content-Type`. */
function bodyType(headers: IncomingHttpHeaders): 'application/xml' | 'application/json' {
  const header = headers['content-type']
  if (header === undefined || header.trim() === '') throw new Refusal(415, 'The Content-Type is missing.')
  const [type = '', ...parameters] = header.split(';').map((part) => part.trim().toLowerCase())
  const charset = parameters
    .find((each) => each.startsWith('charset='))
    ?.slice(8)
    .replaceAll(/["']/g, '')
  if (!isMediaType(type)) throw new Refusal(400, 'The Content-Type is a media type that does not exist.')
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8')
    throw new Refusal(415, 'The charset of the Content-Type is not UTF-8.')
  if (type === 'application/xml' || type === 'application/json') return type
  throw new Refusal(415, `The Content-Type ${type} is not supported for this resource.`)
}

/** A body above the limit is a bad request like any other: MAPI has no 413. */
async function bytesOf(body: RequestBody): Promise<Buffer> {
  try {
    return await body.buffer(maximumDocumentSize)
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 413) throw error
    throw new Refusal(400, `The request body is larger than ${maximumDocumentSize} bytes.`)
  }
}

function parseRoot(text: string, roots: readonly string[]): unknown {
  const { root, value } = parseXml(text)
  if (!roots.includes(root)) {
    throw new Refusal(
      400,
      `The root element of the request body is ${root} instead of ${roots.join(' or ')}.`,
    )
  }
  if (value === '') return {}
  return typeof value === 'string' ? { [root]: value } : value
}

function parseJson(text: string): unknown {
  let depth = 0
  for (const [sign] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (sign === '{' || sign === '[') depth += 1
    else if (sign === '}' || sign === ']') depth -= 1
    if (depth > maximumDocumentDepth)
      throw new Refusal(400, 'The request body is no JSON of this resource: it is nested too deeply.')
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal(400, 'The request body is not well-formed JSON.')
  }
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
