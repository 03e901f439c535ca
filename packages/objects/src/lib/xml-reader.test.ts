import { HcpProtocolError, type HcpResponse } from '@hcp/connection'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { childElements, longestElement, type XmlElement } from './xml-reader.ts'

const response = {
  method: 'GET',
  url: 'http://n1.m.hcp.test/rest/a',
  address: '127.0.0.1',
  attempts: 1,
} as HcpResponse

async function* bytes(...chunks: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
}

/** The elements that come before the end or the error, and the error. */
async function read(body: AsyncIterable<Uint8Array>): Promise<{ elements: XmlElement[]; error: unknown }> {
  const elements: XmlElement[] = []
  try {
    for await (const some of childElements(response, 'list', body)) elements.push(...some)
    return { elements, error: undefined }
  } catch (error) {
    return { elements, error }
  }
}

const element = (
  name: string,
  attributes: Record<string, string> = {},
  text = '',
  children: XmlElement[] = [],
): XmlElement => ({
  name,
  attributes: Object.assign(Object.create(null) as Record<string, string>, attributes),
  text,
  children,
})

describe('what a document may be', () => {
  test.each<[string, string, XmlElement[]]>([
    ['an empty root', '<list/>', []],
    [
      'a root with white space',
      '\uFEFF<?xml version="1.0" encoding="utf-8"?>\n<?xml-stylesheet href="x"?><!-- x -->\n<list a="1">\n</list>\n',
      [],
    ],
    [
      'attributes',
      `<list><e a="1" b='&lt;&amp;&#x20AC;&#9;"'/></list>`,
      [element('e', { a: '1', b: '<&€\t"' })],
    ],
    [
      'names of any object',
      '<list><e __proto__="1" toString="2"/></list>',
      [element('e', { ['__proto__']: '1', toString: '2' })],
    ],
    [
      'text and CDATA',
      '<list><e> a &gt;<![CDATA[<b>]]> </e>text of the root<f/></list>',
      [element('e', {}, ' a ><b> '), element('f')],
    ],
    [
      'levels',
      '<list><e>1<f><g>2</g></f>3</e></list>',
      [element('e', {}, '13', [element('f', {}, '', [element('g', {}, '2')])])],
    ],
    [
      'names and text outside ASCII',
      '<list><größe x="𝄞">日本</größe></list>',
      [element('größe', { x: '𝄞' }, '日本')],
    ],
  ])('%s', async (_, text, elements) => {
    expect(await read(bytes(text))).toEqual({ elements, error: undefined })
  })
})

const deep = (levels: number): string => `<list>${'<e>'.repeat(levels)}${'</e>'.repeat(levels)}</list>`

describe('what a document must not be', () => {
  test.each<[string, string | Uint8Array, string]>([
    ['nothing', '', 'has no end'],
    ['no XML', 'Service Unavailable', 'no XML'],
    ['HTML', '<html><body>x</body></html>', 'is a <html>'],
    ['another document', '<lists/>', 'is a <lists>'],
    ['cut short in a tag', '<list><e a="', 'has no end'],
    ['cut short between entries', '<list><e/>', 'has no end'],
    ['cut short before the last character', '<list></list', 'has no end'],
    ['cut short in a character', Buffer.from('<list><e a="ü').subarray(0, -1), 'has no end'],
    ['two documents', '<list/><list/>', 'one root'],
    ['followed by more', '<list/>x', 'outside of root'],
    ['ill-formed', '<list><e></list></e>', 'close tag'],
    ['with an attribute twice', '<list><e a="1" a="2"/></list>', 'duplicate'],
    ['with a control character', '<list><e a="\u0001"/></list>', 'disallowed'],
    ['with a lone ampersand', '<list>a & b</list>', 'no end'],
    ['with an unknown entity', '<list><e>&nbsp;</e></list>', 'entity'],
    ['with an entity of a name that objects have', '<list><e>&constructor;</e></list>', 'entity'],
    ['with a DOCTYPE', '<!DOCTYPE list><list/>', 'DOCTYPE'],
    [
      'with entities of its own',
      '<!DOCTYPE list [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><list>&c;</list>',
      'DOCTYPE',
    ],
    ['with entities from elsewhere', '<!DOCTYPE list SYSTEM "file:///etc/passwd"><list/>', 'DOCTYPE'],
    ['in another encoding', '<?xml version="1.0" encoding="ISO-8859-1"?><list/>', 'ISO-8859-1'],
    [
      'with bytes that are no UTF-8',
      Buffer.from([...Buffer.from('<list><e a="'), 0xff, ...Buffer.from('"/></list>')]),
      'no XML',
    ],
    ['in UTF-16', Buffer.from('\uFEFF<list/>', 'utf16le'), 'no XML'],
    ['too deep', deep(16), 'levels'],
  ])('%s', async (_, document, words) => {
    const { error } = await read(bytes(document))
    expect(error).toBeInstanceOf(HcpProtocolError)
    expect(error).toMatchObject({
      code: 'HCP_PROTOCOL',
      url: response.url,
      address: '127.0.0.1',
      attempts: 1,
    })
    expect((error as Error).message).toContain(words)
  })

  test('fifteen levels below the root are none too many', async () => {
    expect((await read(bytes(deep(15)))).error).toBeUndefined()
  })

  test('what came before the fault is given first', async () => {
    const { elements, error } = await read(bytes('<list><e/><f/><', '>'))
    expect(elements.map(({ name }) => name)).toEqual(['e', 'f'])
    expect(error).toBeInstanceOf(HcpProtocolError)
  })

  test('an error of the body is given as it is', async () => {
    const broken = new Error('connection lost')
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('<list><e/>')
      throw broken
    }
    expect((await read(body())).error).toBe(broken)
  })
})

describe('a token without end is given up, wherever it is', () => {
  const plain = (): string => 'a'.repeat(100)
  test.each<[string, string, (index: number) => string]>([
    ['an attribute', '<list><e a="', plain],
    ['the name of an attribute', '<list><e ', plain],
    ['the name of an element', '<list><', plain],
    ['text', '<list><e>', plain],
    ['text of the root', '<list>', plain],
    ['attributes', '<list><e', (index) => ` a${index}="1"`],
    ['children', '<list><e>', () => '<f/>'],
    ['a comment', '<list><!--', plain],
    ['many comments', '<list>', () => '<!---->'],
    ['an instruction', '<list><?p ', plain],
    ['CDATA', '<list><e><![CDATA[', plain],
    ['an entity', '<list>&', plain],
    ['the prolog', '<?p ', plain],
    ['a DOCTYPE', '<!DOCTYPE ', plain],
    ['the root element', '<list a="', plain],
    ['what follows the root', '<list/><!--', plain],
  ])('%s', async (_, start, part) => {
    let sent = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(start)
      for (let index = 0; ; index++) {
        const piece = Buffer.from(part(index))
        sent += piece.length
        yield piece
      }
    }
    const { error } = await read(endless())
    expect((error as Error).message).toContain(`more than ${longestElement} characters`)
    expect(sent).toBeLessThan(longestElement + 1_000)
  })

  test('one long chunk is no way around it, and the longest element passes', async () => {
    const text = (length: number): string =>
      `<list><e>${'a'.repeat(length - '<list><e></e>'.length)}</e></list>`
    expect((await read(bytes(text(longestElement)))).error).toBeUndefined()
    expect((await read(bytes(text(longestElement + 1)))).error).toBeInstanceOf(HcpProtocolError)
  })
})

const names = fc.stringMatching(/^[a-zäß日][a-z0-9]{0,5}$/u)
const texts = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .map((text) => text.replaceAll(/[^\P{C}\n]|\p{Cn}/gu, '?'))
const quoted = (text: string): string =>
  text.replaceAll(/[&<>"\n\t\r]/g, (character) => `&#${character.charCodeAt(0)};`)
const attributeLists = fc.dictionary(names, texts, { maxKeys: 5 })
const elements: fc.Arbitrary<XmlElement> = fc
  .record({
    name: names,
    attributes: attributeLists,
    text: texts,
    children: fc.array(fc.record({ name: names, text: texts })),
  })
  .map(({ name, attributes, text, children }) =>
    element(
      name,
      attributes,
      text,
      children.map((child) => element(child.name, {}, child.text)),
    ),
  )
const xml = ({ name, attributes, text, children }: XmlElement): string =>
  `<${name}${Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${quoted(value!)}"`)
    .join('')}>${quoted(text)}${children.map(xml).join('')}</${name}>`

test('however a document is cut into chunks, it has the same elements', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(elements, { maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 30 }),
      async (wanted, cuts) => {
        const document = Buffer.from(`<?xml version="1.0"?>\n<list>${wanted.map(xml).join('')}</list>`)
        const places = [...new Set(cuts.map((cut) => cut % document.length))].toSorted((a, b) => a - b)
        const chunks = [0, ...places].map((place, index) => document.subarray(place, places[index]))
        expect(await read(bytes(...chunks))).toEqual({ elements: wanted, error: undefined })
        const single = Array.from(document, (_, index) => document.subarray(index, index + 1))
        expect(await read(bytes(...single))).toEqual({ elements: wanted, error: undefined })
      },
    ),
  )
})

test('bytes of any kind are read or refused, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc
          .array(
            fc.constantFrom(
              '<',
              '>',
              '/',
              'list',
              'e',
              ' a="',
              '"',
              '&',
              ';',
              '!--',
              '-->',
              '?',
              'ü',
              '<list>',
              '<e/>',
              '</list>',
            ),
          )
          .map((parts) => Buffer.from(parts.join(''))),
      ),
      async (document) => {
        const { error } = await read(bytes(document))
        if (error !== undefined) expect(error).toBeInstanceOf(HcpProtocolError)
      },
    ),
    { numRuns: 500 },
  )
})
