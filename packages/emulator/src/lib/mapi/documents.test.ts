import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import { writeDocument } from './documents.ts'
import type { DocumentValue } from './resource.ts'
import { MapiTester } from './mapi.testing.ts'
import { parseXml } from './xml-input.ts'

const name = fc.stringMatching(/^[a-z][A-Za-z0-9]{0,8}$/).filter((text) => text !== 'toString')
const leaf = fc
  .string({ unit: 'grapheme' })
  .map((text) => text.trim())
  .filter((text) => !/[\p{Cc}\ufffe\uffff\ufeff]/u.test(text))
/** Documents that lose nothing in XML: a list has two or more entries, and an object has something. */
const value = fc.letrec<{ node: DocumentValue }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.dictionary(name, tie('node'), { minKeys: 1, maxKeys: 4 }),
    fc.dictionary(name, fc.array(leaf, { minLength: 2, maxLength: 4 }), { minKeys: 1, maxKeys: 2 }),
  ),
})).node

describe('XML', () => {
  test('what is written is read as the same', () => {
    fc.assert(
      fc.property(fc.dictionary(name, value, { minKeys: 2, maxKeys: 4 }), fc.boolean(), (fields, pretty) => {
        const { body } = writeDocument('application/xml', 'root', fields, pretty, undefined)
        const read = parseXml(body.toString())
        expect(JSON.parse(JSON.stringify(read))).toEqual({ root: 'root', value: fields })
      }),
    )
  })

  test('JSON, pretty or not, is JSON', () => {
    fc.assert(
      fc.property(fc.dictionary(name, value), fc.boolean(), (fields, pretty) => {
        const { body } = writeDocument('application/json', 'root', fields, pretty, undefined)
        expect(JSON.parse(body.toString())).toEqual(JSON.parse(JSON.stringify(fields)))
      }),
    )
  })

  test('a count above 2^53 keeps all its digits', () => {
    const fields = { bytes: 2n ** 63n - 1n }
    expect(writeDocument('application/json', 'r', fields, false, undefined).body.toString()).toBe(
      '{"bytes":9223372036854775807}',
    )
  })

  const read: [string, unknown][] = [
    ['<a/>', ''],
    ['\ufeff<?xml version="1.0"?>\n<!-- c --><a> x </a>\n<!-- d -->', 'x'],
    ['<a><b>1</b><c/><b>2</b></a>', { b: ['1', '2'], c: '' }],
    ['<a><![CDATA[<b>&amp;</b>]]></a>', '<b>&amp;</b>'],
    ['<a>&lt;&amp;&#65;&#x1F600;</a>', '<&A\u{1F600}'],
    ['<a xmlns="x" b=\'c\'><d/></a >', { d: '' }],
    ['<a><__proto__><x>1</x></__proto__></a>', JSON.parse('{"__proto__":{"x":"1"}}')],
  ]
  test.each(read)('%s', (text, expected) => {
    expect(JSON.parse(JSON.stringify(parseXml(text).value))).toEqual(expected)
  })

  const refused = [
    '',
    'text',
    '<a>',
    '<a></b>',
    '<a></a><b></b>',
    '<a/>text',
    '<a>x<b/></a>',
    '<a b></a>',
    '<a b="<"></a>',
    '<a>&nothing;</a>',
    '<a>&amp</a>',
    '<a>&#0;</a>',
    '<a>&#xD800;</a>',
    '<a>&#x110000;</a>',
    '<!DOCTYPE a><a/>',
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<a><!-- </a>',
    '<a><![CDATA[ </a>',
    '<a><? </a>',
    `${'<a>'.repeat(17)}${'</a>'.repeat(17)}`,
  ]
  test.each(refused)('refuses %s', (text) => {
    expect(() => parseXml(text)).toThrow(/not well-formed XML/)
  })

  test('any text is read or refused in time that its length allows', () => {
    const piece = fc.constantFrom(
      '<a>',
      '</a>',
      '<a/>',
      '<a b="',
      '"',
      '&',
      'amp;',
      '<!--',
      '-->',
      ' ',
      'x',
      '<',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
        try {
          parseXml(pieces.join(''))
        } catch (error) {
          expect((error as Error).name).toBe('Refusal')
        }
      }),
    )
  })
})

describe('hostile bodies', () => {
  let hcp: Emulator
  let mapi: MapiTester
  beforeAll(async () => {
    hcp = await startEmulator({ nodes: 1 })
    mapi = new MapiTester(hcp)
  })
  afterAll(async () => {
    await mapi[Symbol.asyncDispose]()
    await hcp.close()
  })

  const mebibyte = 1024 ** 2
  const lol = Array.from({ length: 9 }, (_, index) => `<!ENTITY l${index + 1} "${`&l${index};`.repeat(10)}">`)
  const bodies: [string, string, string][] = [
    ['XML of 8 MiB', 'application/xml', `<contactInfo>${' '.repeat(8 * mebibyte)}</contactInfo>`],
    ['JSON of 8 MiB', 'application/json', `{"city":"${'x'.repeat(8 * mebibyte)}"}`],
    ['XML of 300,000 levels', 'application/xml', '<a>'.repeat(300_000)],
    ['JSON of a million levels', 'application/json', '['.repeat(mebibyte)],
    ['objects in objects', 'application/json', '{"a":'.repeat(200_000)],
    ['a DOCTYPE', 'application/xml', '<!DOCTYPE x SYSTEM "file:///etc/passwd"><contactInfo/>'],
    [
      'entities in entities',
      'application/xml',
      `<!DOCTYPE x [<!ENTITY l0 "lol">${lol.join('')}]><contactInfo><city>&l9;</city></contactInfo>`,
    ],
    [
      'a million ampersands',
      'application/xml',
      `<contactInfo><city>${'&'.repeat(1_000_000)}</city></contactInfo>`,
    ],
    ['attributes without end', 'application/xml', `<contactInfo ${'a="b" '.repeat(150_000)}`],
    ['blanks in a tag', 'application/xml', `<contactInfo${' '.repeat(1_000_000)}`],
    ['comments without end', 'application/xml', '<!--'.repeat(200_000)],
    ['truncated JSON', 'application/json', '{"city":"Par'],
    ['truncated XML', 'application/xml', '<contactInfo><city>Par'],
    ['an array', 'application/json', '[]'],
    ['null', 'application/json', 'null'],
    ['another root', 'application/xml', '<tenant/>'],
    ['an unknown property', 'application/json', '{"planet":"Mars"}'],
    ['a property of all objects', 'application/json', '{"constructor":"x"}'],
    ['the prototype', 'application/json', '{"__proto__":{"city":"x"}}'],
    ['a list for a text', 'application/json', '{"city":["a","b"]}'],
    ['an object for a text', 'application/xml', '<contactInfo><city><a/></city></contactInfo>'],
    ['a text that is too long', 'application/json', `{"city":"${'x'.repeat(257)}"}`],
  ]
  test.each(bodies)('%s', async (_, type, body) => {
    const started = performance.now()
    const reply = await mapi.call({
      method: 'POST',
      path: '/tenants/m/contactInfo',
      host: 'm',
      body,
      headers: { 'content-type': type },
    })
    expect(reply.status).toBe(400)
    expect(performance.now() - started).toBeLessThan(2_000)
    expect((await mapi.read('/tenants/m/contactInfo', 'm'))['city']).toBe('')
  })

  test('bytes that are no UTF-8', async () => {
    const { ports, nodes } = hcp
    const { Agent, request } = await import('undici')
    const dispatcher = new Agent({ connect: { ca: hcp.ca, servername: 'm.hcp1.test' } })
    const answer = await request(`https://${nodes[0]}:${ports.mapi}/mapi/tenants/m/contactInfo`, {
      method: 'POST',
      dispatcher,
      headers: { host: 'm.hcp1.test', authorization: 'AD admin:a01', 'content-type': 'application/json' },
      body: Buffer.from('{"city":"\xff"}', 'latin1'),
    })
    expect(answer.statusCode).toBe(400)
    await answer.body.dump()
    await dispatcher.close()
  })
})
