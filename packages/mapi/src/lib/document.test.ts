import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readDocument } from './document-reader.ts'
import { type DocumentValue, writeDocument } from './document-writer.ts'
import {
  boolean,
  commaList,
  decimal,
  document,
  epochMillis,
  integer,
  list,
  long,
  mapped,
  nameList,
  optional,
  record,
  repeated,
  type Schema,
  text,
  timestamp,
} from './schema.ts'

const bytes = (content: string): Uint8Array => new TextEncoder().encode(content)
const fromXml = <T>(schema: Schema<T>, content: string): T =>
  readDocument(bytes(`<a>${content}</a>`), 'xml', document('a', schema))
const fromJson = <T>(schema: Schema<T>, content: string): T =>
  readDocument(bytes(content), 'json', document('a', schema))
const one = <T>(schema: Schema<T>): Schema<{ readonly v: T }> =>
  record({ v: schema }) as Schema<{ readonly v: T }>

const escaped = (value: string): string =>
  value.replaceAll(/[&<>"'\t\n\r]/g, (each) => `&#${each.codePointAt(0)};`)

describe('a value', () => {
  test.each<[string, Schema<unknown>, string, unknown]>([
    ['text', text(), 'x', 'x'],
    ['text with white space around it', text(), ' \n x  y\t', 'x  y'],
    ['no text', text(), '', ''],
    ['a boolean', boolean(), 'true', true],
    ['a boolean in capitals', boolean(), 'False', false],
    ['a number', integer(), '85', 85],
    ['a negative number', integer(), '-2', -2],
    ['the largest number', integer(), '9007199254740991', 9007199254740991],
    ['a count', long(), '0', 0],
    ['a count of 2^53', long(), '9007199254740992', 9007199254740992n],
    ['a count of 2^53+1', long(), '9007199254740993', 9007199254740993n],
    ['the largest count of 64 bits', long(), '9223372036854775807', 9223372036854775807n],
    ['a rate', decimal(), '0.0', 0],
    ['a large rate', decimal(), '1.5E9', 1.5e9],
    ['a time in summer', timestamp(), '2021-05-03T14:07:09+0200', new Date('2021-05-03T12:07:09Z')],
    ['a time west of London', timestamp(), '2021-12-31T23:59:59-0330', new Date('2022-01-01T03:29:59Z')],
    ['a time with a colon', timestamp(), '2021-05-03T14:07:09+02:00', new Date('2021-05-03T12:07:09Z')],
    ['a time in UTC', timestamp(), '2021-05-03T14:07:09.25Z', new Date('2021-05-03T14:07:09.250Z')],
    ['the first year', timestamp(), '0001-01-01T00:00:00+0000', new Date('0001-01-01T00:00:00Z')],
    ['a leap day', timestamp(), '0004-02-29T23:30:00-0100', new Date('0004-03-01T00:30:00Z')],
    ['milliseconds', epochMillis(), '1620043629412', new Date(1620043629412)],
    ['a list with commas', commaList(), ' 10.1.0.11, 10.1.0.12 ', ['10.1.0.11', '10.1.0.12']],
    ['an empty list with commas', commaList(), '', []],
    [
      'one of our own',
      mapped(text(), 'a or b', (found) => (/^[ab]$/.test(found) ? found : undefined)),
      'a',
      'a',
    ],
  ])('%s is the same from XML and from JSON', (_, schema, written, value) => {
    expect(fromXml(one(schema), `<v>${written}</v>`)).toEqual({ v: value })
    expect(fromJson(one(schema), `{"v":${JSON.stringify(written)}}`)).toEqual({ v: value })
    if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
      expect(fromJson(one(schema), `{"v" : ${written.toLowerCase()}}`)).toEqual({ v: value })
    }
  })

  test.each<[string, Schema<unknown>, string]>([
    ['a word for a boolean', boolean(), 'yes'],
    ['a number for a boolean', boolean(), '1'],
    ['nothing for a boolean', boolean(), ''],
    ['a fraction for a number', integer(), '1.5'],
    ['a number that would be rounded', integer(), '9007199254740992'],
    ['nothing for a number', integer(), ''],
    ['a word for a count', long(), 'many'],
    ['an octal count', long(), '007'],
    ['an endless count', long(), '9'.repeat(5000)],
    ['infinity for a rate', decimal(), '1e999'],
    ['a word for a rate', decimal(), 'fast'],
    ['a time without a zone', timestamp(), '2021-05-03T14:07:09'],
    ['a day that does not exist', timestamp(), '2021-02-30T14:07:09+0000'],
    ['an hour that does not exist', timestamp(), '2021-02-03T24:07:09+0000'],
    ['a zone that does not exist', timestamp(), '2021-02-03T23:07:09+9999'],
    ['a zone of too many minutes', timestamp(), '2021-02-03T23:07:09+0160'],
    ['milliseconds out of range', epochMillis(), '9007199254740992'],
    [
      'what is none of our own',
      mapped(text(), 'a or b', (found) => (found === 'a' ? found : undefined)),
      'c',
    ],
  ])('%s is an error that says where', (_, schema, written) => {
    expect(() => fromXml(one(schema), `<v>${written}</v>`)).toThrow(/^a\.v is ".*, not (?:a|true|text)/)
    expect(() => fromJson(one(schema), `{"v":${JSON.stringify(written)}}`)).toThrow(/^a\.v is "/)
  })

  test.each<[string, string, string, string]>([
    ['that is missing', '', '{}', 'a.v is missing'],
    ['that is null', '', '{"v":null}', 'a.v is missing'],
    ['that is there twice', '<v>1</v><v>2</v>', '{"v":[1,2]}', 'a.v is there 2 times'],
    ['that is an element', '<v><w/></v>', '{"v":{"w":1}}', 'a.v is an element, not text'],
  ])('%s is an error', (_, content, object, message) => {
    expect(() => fromXml(one(text()), content)).toThrow(message)
    expect(() => fromJson(one(text()), object)).toThrow(message)
  })

  test('is not in messages when it is long', () => {
    expect(() => fromXml(one(integer()), `<v>${'x'.repeat(5000)}</v>`)).toThrow(/^.{0,200}$/)
  })
})

describe('a list', () => {
  const tags = record({ tags: list('tag', text()) })
  test.each<[string, string, string, readonly string[]]>([
    ['missing', '', '{}', []],
    ['empty', '<tags/>', '{"tags":{"tag":[]}}', []],
    ['an empty object', '<tags></tags>', '{"tags":{}}', []],
    ['an empty text', '<tags> </tags>', '{"tags":""}', []],
    ['of one', '<tags><tag>a</tag></tags>', '{"tags":{"tag":["a"]}}', ['a']],
    ['of one without an array', '<tags><tag>a</tag></tags>', '{"tags":{"tag":"a"}}', ['a']],
    [
      'of numbers, which stay text',
      '<tags><tag>007</tag><tag>1</tag></tags>',
      '{"tags":{"tag":["007",1]}}',
      ['007', '1'],
    ],
    [
      'indented',
      '\n<tags>\n  <tag>a</tag>\n  <tag>b</tag>\n</tags>\n',
      '{"tags":{"tag":["a","b"]}}',
      ['a', 'b'],
    ],
  ])('is always a list: %s', (_, content, object, items) => {
    expect(fromXml(tags, content)).toEqual({ tags: items })
    expect(fromJson(tags, object)).toEqual({ tags: items })
  })

  test('that is text is an error', () => {
    expect(() => fromXml(tags, '<tags>a,b</tags>')).toThrow('a.tags is "a,b", not a list of <tag>')
    expect(() => fromXml(record({ n: list('i', integer()) }), '<n><i>1</i><i>x</i></n>')).toThrow(
      'a.n.i[1] is "x"',
    )
  })

  test('may be the whole document, or come without a wrapper', () => {
    const names = nameList('links', 'name')
    expect(readDocument(bytes('<links><name>a</name></links>'), 'xml', names)).toEqual(['a'])
    expect(readDocument(bytes('<links/>'), 'xml', names)).toEqual([])
    expect(readDocument(bytes('{"name":["a"]}'), 'json', names)).toEqual(['a'])
    const rows = record({ row: repeated(record({ n: integer() })) })
    expect(fromXml(rows, '<row><n>1</n></row>')).toEqual({ row: [{ n: 1 }] })
    expect(fromJson(rows, '{"row":[{"n":1},{"n":2}]}')).toEqual({ row: [{ n: 1 }, { n: 2 }] })
    expect(fromJson(rows, '{}')).toEqual({ row: [] })
    const perhaps = record({ tags: optional(list('tag', text())) })
    expect(fromJson(perhaps, '{"tags":[]}')).toEqual({ tags: [] })
    expect(fromJson(perhaps, '{"tags":null}')).toEqual({})
  })
})

describe('a record', () => {
  const schema = record(
    {
      name: text(),
      limit: optional(integer()),
      note: optional(text()),
      inner: optional(record({ x: integer() })),
    },
    { naem: 'name' },
  )

  test('leaves out what is missing, and what is empty and cannot be', () => {
    expect(fromXml(schema, '<name>a</name>')).toEqual({ name: 'a' })
    expect(fromXml(schema, '<name>a</name><limit/><inner/><note/>')).toEqual({ name: 'a', note: '' })
    expect(fromJson(schema, '{"name":"a","limit":"","inner":{},"note":""}')).toEqual({ name: 'a', note: '' })
    expect(() => fromXml(schema, '<name>a</name><limit>x</limit>')).toThrow('a.limit is "x"')
    expect(() => fromXml(schema, '<name>a</name><inner><y/></inner>')).toThrow('a.inner.x is missing')
  })

  test('keeps what it does not know, by its look', () => {
    const expected = {
      name: 'a',
      newer: true,
      size: 9007199254740993n,
      version: '9.6',
      parts: { part: ['x', 2], rest: '' },
    }
    expect(
      fromXml(
        schema,
        '<name>a</name><newer>true</newer><size>9007199254740993</size><version>9.6</version><parts><part>x</part><part>2</part><rest/></parts>',
      ),
    ).toEqual(expected)
    expect(
      fromJson(
        schema,
        '{"name":"a","newer":true,"size":9007199254740993,"version":9.6,"parts":{"part":["x",2],"rest":""}}',
      ),
    ).toEqual(expected)
  })

  test('reads names that HCP has written otherwise', () => {
    expect(fromXml(schema, '<NAME>a</NAME><Inner><X>1</X></Inner>')).toEqual({ name: 'a', inner: { x: 1 } })
    expect(fromXml(schema, '<naem>a</naem>')).toEqual({ name: 'a' })
    expect(fromXml(schema, '<Name>b</Name><name>a</name>')).toEqual({ name: 'a', Name: 'b' })
    expect(readDocument(bytes('<A><name>a</name></A>'), 'xml', document('a', schema))).toEqual({ name: 'a' })
  })

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'is not fooled by a part called %s',
    (trap) => {
      const check = (found: object): void => {
        expect(Object.getPrototypeOf(found)).toBe(Object.prototype)
        expect(Object.entries(found)).toEqual([
          ['name', 'a'],
          [trap, { x: 1 }],
        ])
        expect('x' in found).toBe(false)
      }
      check(fromJson(schema, `{"name":"a","${trap}":{"x":1}}`))
      const viaXml = (): object => fromXml(schema, `<name>a</name><${trap}><x>1</x></${trap}>`)
      if (trap === '__proto__' || trap === 'constructor') expect(viaXml).toThrow('Invalid name')
      else check(viaXml())
    },
  )

  test('that is text is an error', () => {
    expect(() => fromXml(schema, 'hello')).toThrow('a is "hello", not an element')
  })
})

describe('XML that is refused', () => {
  const deep = (levels: number): string => '<b>'.repeat(levels) + '</b>'.repeat(levels)
  test.each<[string, string | Uint8Array, RegExp]>([
    ['nothing', '', /./],
    ['white space', '  \n', /./],
    ['text', 'hello', /./],
    ['HTML', '<!DOCTYPE html><html><body>Login<br></body></html>', /./],
    ['cut short', '<a><v>x</v>', /./],
    ['cut within a tag', '<a><v', /./],
    ['tags that cross', '<a><v><w></v></w></a>', /./],
    ['two roots', '<a/><a/>', /./],
    ['something after the root', '<a></a>x', /follows|root|Extra/i],
    ['another root', '<b/>', /its root element is <b>/],
    ['a DOCTYPE', '<!DOCTYPE a><a/>', /DOCTYPE|declaration/],
    ['an entity', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', /DOCTYPE|declaration/],
    [
      'a billion laughs',
      `<!DOCTYPE a [<!ENTITY l0 "lol">${Array.from({ length: 10 }, (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`).join('')}]><a>&l10;</a>`,
      /DOCTYPE|declaration/,
    ],
    [
      'an entity of a file',
      '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
      /External entities are not supported/,
    ],
    ['an entity without a DOCTYPE', '<a><v>&nbsp;</v></a>', /reference that means nothing: &nbsp;/],
    ['a bare ampersand', '<a><v>a & b</v></a>', /reference that means nothing|char/],
    ['a reference to no character', '<a><v>&#0;</v></a>', /reference that means nothing/],
    ['a reference beyond Unicode', '<a><v>&#x110000;</v></a>', /reference that means nothing/],
    ['nesting', `<a>${deep(100)}</a>`, /./],
    ['nesting beyond all measure', `<a>${deep(50_000)}</a>`, /./],
    ['too many elements', `<a>${'<b/>'.repeat(500_001)}</a>`, /more than 250000 elements/],
    ['a text without an end', `<a>${'x'.repeat(1024 * 1024 + 1)}</a>`, /piece of more than/],
    ['bytes that are no UTF-8', Uint8Array.of(0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e), /./],
    ['another encoding', '<?xml version="1.0" encoding="ISO-8859-1"?><a/>', /something else than UTF-8/],
  ])('%s', (_, content, message) => {
    const given = typeof content === 'string' ? bytes(content) : content
    expect(() => readDocument(given, 'xml', document('a', record({})))).toThrow(message)
  })

  test('but comments within, CDATA and a byte order mark are not', () => {
    const found = readDocument(
      bytes('\uFEFF<?xml version="1.0"?><!-- x --><a><!-- y --><v><![CDATA[<b>&amp;]]></v></a>\n'),
      'xml',
      document('a', one(text())),
    )
    expect(found).toEqual({ v: '<b>&amp;' })
  })
})

describe('JSON that is refused', () => {
  test.each<[string, string | Uint8Array, RegExp]>([
    ['nothing', '', /./],
    ['a list', '["a"]', /not a JSON object/],
    ['null', 'null', /not a JSON object/],
    ['a number', '7', /not a JSON object/],
    ['cut short', '{"v":"x"', /./],
    ['something after the object', '{"v":"x"} x', /./],
    ['single quotes', "{'v':'x'}", /./],
    ['a callback', 'call({"v":"x"})', /./],
    ['nesting', `${'{"b":'.repeat(100)}1${'}'.repeat(100)}`, /levels deep/],
    ['nesting beyond all measure', '['.repeat(1_000_000), /levels deep/],
    ['a list of lists', '{"v":[["x"]]}', /array within an array/],
    ['too many values', `{"v":[${'1,'.repeat(250_001)}1]}`, /more than 250000 values/],
    ['bytes that are no UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), /./],
  ])('%s', (_, content, message) => {
    const given = typeof content === 'string' ? bytes(content) : content
    expect(() => readDocument(given, 'json', document('a', record({})))).toThrow(message)
  })

  test('but brackets in texts are not', () => {
    expect(fromJson(one(text()), `{"v":"${'[{\\"'.repeat(1000)}"}`)).toEqual({ v: '[{"'.repeat(1000) })
  })
})

describe('what is written', () => {
  const name = fc.stringMatching(/^[a-zA-Z][A-Za-z0-9]{0,8}$/).filter((each) => !(each in {}))
  const word = fc
    .string({ unit: 'grapheme', maxLength: 30 })
    .map((each) => each.trim())
    .filter((each) => !/[\p{Cc}\uFFFE\uFFFF]/u.test(each))

  test('is read as it was, from either form, whatever the texts', () => {
    const schema = document(
      'thing',
      record({
        name: text(),
        count: long(),
        on: optional(boolean()),
        at: optional(timestamp()),
        tags: list('tag', text()),
        inner: optional(record({ note: text() })),
      }),
    )
    fc.assert(
      fc.property(
        fc.record(
          {
            name: word,
            count: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
            on: fc.boolean(),
            at: fc
              .date({ min: new Date('1970-01-01'), max: new Date('9999-12-30'), noInvalidDate: true })
              .map((date) => new Date(Math.floor(date.getTime() / 1000) * 1000)),
            tags: fc.array(word, { maxLength: 4 }),
            inner: fc.record({ note: word }),
          },
          { requiredKeys: ['name', 'count', 'tags'] },
        ),
        fc.constantFrom('xml' as const, 'json' as const),
        (given, format) => {
          const value = { ...given, tags: { tag: given.tags } }
          const written = writeDocument({ root: 'thing', value }, format)
          const count =
            BigInt(Number(given.count)) === given.count && Number.isSafeInteger(Number(given.count))
              ? Number(given.count)
              : given.count
          expect(readDocument(bytes(written), format, schema)).toEqual({ ...given, count })
        },
      ),
    )
  })

  test('is read to the same value from both forms, also what no schema knows', () => {
    const leaf = fc.oneof(word, fc.boolean(), fc.bigInt({ min: 0n, max: 2n ** 64n }), fc.maxSafeInteger())
    const tree = fc.letrec<{ value: DocumentValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        leaf as fc.Arbitrary<DocumentValue>,
        fc.dictionary(name, tie('value'), {
          maxKeys: 3,
          noNullPrototype: true,
        }),
      ),
    })).value
    fc.assert(
      fc.property(fc.dictionary(name, tree, { maxKeys: 4, noNullPrototype: true }), (value) => {
        // An empty object is an empty element, and that reads as an empty text.
        const schema = document('a', record({}))
        const viaXml = readDocument(bytes(writeDocument({ root: 'a', value }, 'xml')), 'xml', schema)
        const viaJson = readDocument(bytes(writeDocument({ root: 'a', value }, 'json')), 'json', schema)
        expect(viaJson).toEqual(viaXml)
      }),
    )
  })

  test.each<[string, DocumentValue | undefined]>([
    ['null', null as unknown as string],
    ['a function', (() => {}) as unknown as string],
    ['no number', Number.NaN],
    ['a number that is not exact', 2 ** 60],
    ['a date that is none', new Date(Number.NaN)],
    ['a character that XML does not have', 'a\u0000b'],
    ['half of a surrogate pair', 'a\uD800b'],
    ['a list of lists', [['a']]],
    ['null in a list', [null as unknown as string]],
    ['a name that is none', { 'a b': '1' }],
    ['a name that would be markup', { 'a><b': '1' }],
  ])('cannot be %s, in XML as in JSON', (_, value) => {
    for (const format of ['xml', 'json'] as const) {
      expect(() => writeDocument({ root: 'a', value: { v: value } }, format)).toThrow(
        /a\.v|cannot be the name|date must/,
      )
    }
  })

  test('has a root that is a name', () => {
    expect(() => writeDocument({ root: 'a b', value: {} }, 'xml')).toThrow(RangeError)
  })

  test('keeps a carriage return, and texts that look like markup', () => {
    const value = { v: 'a\rb ]]> <c> & " \' &amp;' }
    const written = writeDocument({ root: 'a', value }, 'xml')
    expect(readDocument(bytes(written), 'xml', document('a', one(text())))).toEqual(value)
  })
})

test('escaped texts come as they are', () => {
  const characters = fc
    .string({ unit: 'grapheme', maxLength: 40 })
    .filter((value) => !/[\p{Cc}\uFFFE\uFFFF]/u.test(value))
  fc.assert(
    fc.property(fc.array(fc.oneof(characters, fc.constantFrom('\t', '\n', '\r', ']]>', '&lt;'))), (parts) => {
      const value = parts.join('')
      expect(fromXml(one(text()), `<v>${escaped(value)}</v>`)).toEqual({ v: value.trim() })
    }),
  )
})
