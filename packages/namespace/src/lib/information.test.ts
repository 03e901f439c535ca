import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readNamespaces, readPermissions, readRetentionClasses, readStatistics } from './information.ts'
import { parseXml, type XmlElement } from './xml-document.ts'

const parse = (text: string): XmlElement => parseXml(Buffer.from(text))

/** By the book: the five names, and numbers for what a reader of XML would change. */
const escaped = (text: string): string =>
  text.replaceAll(/[&<>"\t\n\r]/g, (character) => `&#${character.codePointAt(0)};`)

const cdata = (text: string): string => `<![CDATA[\n  ${text.replaceAll(']]>', ']]]]><![CDATA[>')}\n]]>`

const tag = (name: string, attributes: Readonly<Record<string, unknown>>, content = ''): string =>
  `<${name} ${Object.entries(attributes)
    .map(([key, value]) => `${key}="${escaped(String(value))}"`)
    .join(' ')}>${content}</${name}>`

const rootOf = (name: string, content: string): XmlElement =>
  parse(
    `<?xml version="1.0"?><${name} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` +
      `xsi:noNamespaceSchemaLocation="/static/xsd/proc.xsd" namespaceName="n1">${content}</${name}>`,
  )

const statistics = {
  namespaceName: 'n1',
  totalCapacityBytes: 53687091200,
  usedCapacityBytes: 13792362496,
  softQuotaPercent: 85,
  objectCount: 402403,
  shredObjectCount: 0,
  shredObjectBytes: 0,
  customMetadataObjectCount: 380107,
  customMetadataObjectBytes: 13542405,
}
const settings = {
  name: 'n2',
  nameIDNA: 'n2',
  versioningEnabled: true,
  searchEnabled: true,
  retentionMode: 'enterprise',
  defaultShredValue: false,
  defaultIndexValue: true,
  defaultRetentionValue: 0,
  hashScheme: 'SHA-256',
  dpl: 2,
}
const permissions = {
  browse: true,
  read: true,
  write: true,
  readAcl: false,
  writeAcl: false,
  changeOwner: false,
  delete: true,
  privileged: false,
  purge: false,
  search: true,
}
const domains = [
  'namespacePermissions',
  'namespaceEffectivePermissions',
  'userPermissions',
  'userEffectivePermissions',
] as const

const namespace = (changes: Readonly<Record<string, unknown>>, content = ''): string =>
  tag('namespace', { ...settings, ...changes }, content)
const settingsOf = (changes: Readonly<Record<string, unknown>>, content = ''): Record<string, unknown> => ({
  ...Object.values(readNamespaces(rootOf('namespaces', namespace(changes, content))))[0],
})
const statisticsOf = (changes: Readonly<Record<string, unknown>>): Record<string, unknown> => ({
  ...readStatistics(parse(tag('statistics', { ...statistics, ...changes }))),
})

describe('numbers', () => {
  test.each([
    ['0', 0],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['9007199254740993', 9007199254740993n],
    ['9223372036854775808', 9223372036854775808n],
    ['340282366920938463463374607431768211457', 340282366920938463463374607431768211457n],
    ['-1', -1],
    ['-9007199254740993', -9007199254740993n],
  ])('%s bytes come exactly', (text, value) => {
    expect(statisticsOf({ usedCapacityBytes: text }).usedCapacityBytes).toBe(value)
    expect(statisticsOf({ somethingNew: text }).somethingNew).toBe(value)
  })

  test.each([
    '',
    'many',
    '1.5',
    '1e3',
    '0x10',
    '007',
    '+1',
    '1_000',
    ' 1',
    '٣',
    'NaN',
    'Infinity',
    '-',
    '-0',
  ])('%j is no number of bytes or objects', (text) => {
    expect(() => statisticsOf({ usedCapacityBytes: text })).toThrow('usedCapacityBytes of <statistics> is')
    expect(() => statisticsOf({ objectCount: text })).toThrow('objectCount of <statistics> is')
    expect(statisticsOf({ somethingNew: text }).somethingNew).toBe(text)
  })

  test('objects that are too many for a number are an error, not rounded', () => {
    expect(() => statisticsOf({ objectCount: '9007199254740992' })).toThrow('not a whole number below 2^53')
  })

  test.each([
    ['0', 0],
    ['-2', -2],
    ['1893456000', 1893456000],
    ['A+10y', 'A+10y'],
    ['C+TAX10', 'C+TAX10'],
    ['2030-01-01T00:00:00+0000', '2030-01-01T00:00:00+0000'],
    ['9007199254740993', '9007199254740993'],
  ])('a retention of %s is a number if HCP sends one, else text', (text, value) => {
    expect(settingsOf({ defaultRetentionValue: text }).defaultRetentionValue).toBe(value)
    const [found] = Object.values(
      readRetentionClasses(
        rootOf('retentionClasses', tag('retentionClass', { name: 'a', value: text, autoDelete: true })),
      ),
    )
    expect(found).toEqual({ name: 'a', value, autoDelete: true, description: '' })
  })

  test('a data protection level may be a word', () => {
    expect(settingsOf({ dpl: 'Dynamic' }).dpl).toBe('Dynamic')
  })
})

describe('text stays text', () => {
  test.each(['2015', 'true', '007', '-1', 'constructor', '__proto__', 'münchen', ''])(
    'in a namespace called %j',
    (name) => {
      const found = readNamespaces(rootOf('namespaces', namespace({ name })))
      expect(Object.keys(found)).toEqual([name])
      expect(found[name]?.name).toBe(name)
    },
  )

  test('in descriptions that look like something else', () => {
    expect(settingsOf({}, '<description>true</description>').description).toEqual(['true'])
    const content = tag(
      'retentionClass',
      { name: 'a', value: 0, autoDelete: false },
      '<description>1</description>',
    )
    expect(readRetentionClasses(rootOf('retentionClasses', content)).a?.description).toBe('1')
  })
})

test.each([
  ['<description/>', []],
  ['<description>  \n </description>', []],
  ['', []],
  ['<description>one</description>', ['one']],
  [
    '<description><![CDATA[\n replicated ° search° no versioning \n]]></description>',
    ['replicated', 'search', 'no versioning'],
  ],
  ['<description>a°°b</description>', ['a', '', 'b']],
])('the description %j is cut at the degree signs', (content, description) => {
  expect(settingsOf({}, content).description).toEqual(description)
})

describe('records by name', () => {
  test('have the same shape for none, one and many', () => {
    expect(readNamespaces(rootOf('namespaces', ''))).toEqual({})
    expect(readNamespaces(rootOf('namespaces', namespace({ name: 'a' })))).toEqual({
      a: { ...settings, name: 'a', description: [] },
    })
    const many = readNamespaces(rootOf('namespaces', namespace({ name: 'b' }) + namespace({ name: 'a' })))
    expect(Object.keys(many)).toEqual(['b', 'a'])
    expect(readRetentionClasses(rootOf('retentionClasses', ''))).toEqual({})
  })

  test('have nothing that HCP did not send', () => {
    const found = readNamespaces(rootOf('namespaces', ''))
    expect(Object.keys(found)).toEqual([])
    // Plain objects, as those of JSON: strict comparisons of theirs must not fail for a prototype.
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype)
  })

  test('do not lose one of two of the same name', () => {
    const twice = namespace({}) + namespace({})
    expect(() => readNamespaces(rootOf('namespaces', twice))).toThrow('it has two of the name "n2"')
  })
})

describe('what a newer HCP adds', () => {
  test('is kept, by what it looks like', () => {
    const added =
      '<tags><tag>a</tag><tag>2</tag></tags><limit unit="bytes">10</limit><note>true</note><none/>'
    expect(
      settingsOf({ objectLockEnabled: 'false', mode: 'x', toString: '1', ['__proto__']: '7' }, added),
    ).toEqual({
      ...settings,
      description: [],
      objectLockEnabled: false,
      mode: 'x',
      toString: 1,
      ['__proto__']: 7,
      tags: { tag: ['a', 2] },
      limit: { unit: 'bytes', '#text': '10' },
      note: true,
      none: '',
    })
  })

  test('is kept among the permissions', () => {
    const all = domains.map((name) => tag(name, { ...permissions, legalHold: true })).join('')
    const found = readPermissions(rootOf('permissions', `${all}<groupPermissions read="true" level="3"/>`))
    expect(found).toEqual({
      ...Object.fromEntries(domains.map((name) => [name, { ...permissions, legalHold: true }])),
      groupPermissions: { read: true, level: 3 },
    })
  })
})

describe('a document without what every HCP says is an error that names it:', () => {
  const without = <Shape extends object>(shape: Shape, name: keyof Shape): Shape => ({
    ...shape,
    [name]: undefined,
  })
  const some = (shape: Readonly<Record<string, unknown>>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(shape).filter(([, value]) => value !== undefined))

  test.each(Object.keys(statistics) as (keyof typeof statistics)[])('statistics without %s', (name) => {
    const text = tag('statistics', some(without(statistics, name)))
    expect(() => readStatistics(parse(text))).toThrow(`<statistics> has no ${name}`)
  })

  test.each(Object.keys(settings) as (keyof typeof settings)[])('a namespace without %s', (name) => {
    const text = tag('namespace', some(without(settings, name)))
    expect(() => readNamespaces(rootOf('namespaces', text))).toThrow(`<namespace> has no ${name}`)
  })

  test.each(domains)('permissions without %s', (name) => {
    const others = domains.filter((other) => other !== name)
    const text = others.map((other) => tag(other, permissions)).join('')
    expect(() => readPermissions(rootOf('permissions', text))).toThrow(`<permissions> has no ${name}`)
  })

  test.each([
    [
      'a permission that is no yes or no',
      { ...permissions, read: 'maybe' },
      'read of <userPermissions> is "maybe"',
    ],
    ['a permission in capitals', { ...permissions, read: 'TRUE' }, 'read of <userPermissions> is "TRUE"'],
  ])('%s', (_, changed, message) => {
    const text = domains.map((name) => tag(name, name === 'userPermissions' ? changed : permissions)).join('')
    expect(() => readPermissions(rootOf('permissions', text))).toThrow(message)
  })

  test('two descriptions', () => {
    const two = '<description>a</description><description>b</description>'
    expect(() => settingsOf({}, two)).toThrow('<namespace> has more than one description')
  })
})

describe('whatever HCP is set to comes back as it is:', () => {
  const word = fc
    .string({ unit: 'grapheme', maxLength: 20 })
    .filter((text) => !/[\p{Cc}\uFFFE\uFFFF]/u.test(text))
  const name = fc.oneof(
    word,
    fc.constantFrom('__proto__', 'constructor', 'true', '2015', '&amp;', ']]>', '<a b="c">'),
  )
  const line = word.map((text) => text.replaceAll('°', '').trim())
  const integer = fc.bigInt({ min: 0n, max: 2n ** 70n })
  const exact = (value: bigint): number | bigint => (value < 2n ** 53n ? Number(value) : value)
  const retention = fc.oneof(
    fc.integer({ min: -2 }),
    fc.stringMatching(/^A[+-]\d{1,2}[yMd]$/),
    fc.stringMatching(/^C\+[A-Za-z]{1,9}$/),
  )

  test('statistics', () => {
    const every = fc.record({
      ...Object.fromEntries(
        Object.keys(statistics).map((key) => [key, key.endsWith('Bytes') ? integer : fc.maxSafeNat()]),
      ),
      namespaceName: name,
    })
    fc.assert(
      fc.property(every, (values) => {
        const expected = Object.entries(values).map(([key, value]) => [
          key,
          typeof value === 'bigint' ? exact(value) : value,
        ])
        expect(statisticsOf(values)).toEqual(Object.fromEntries(expected))
      }),
    )
  })

  test('namespaces', () => {
    const entry = fc.record({
      name,
      nameIDNA: name,
      versioningEnabled: fc.boolean(),
      searchEnabled: fc.boolean(),
      retentionMode: fc.constantFrom('enterprise', 'compliance'),
      defaultShredValue: fc.boolean(),
      defaultIndexValue: fc.boolean(),
      defaultRetentionValue: retention,
      hashScheme: fc.constantFrom('MD5', 'SHA-1', 'SHA-256', 'SHA-384', 'SHA-512', 'RIPEMD-160'),
      dpl: fc.integer({ min: 1, max: 4 }),
      description: fc
        .array(line, { maxLength: 4 })
        .map((lines) => (lines.length === 1 && lines[0] === '' ? [] : lines)),
    })
    const entries = fc.uniqueArray(entry, { selector: (each) => each.name, maxLength: 5 })
    fc.assert(
      fc.property(entries, fc.boolean(), (list, plain) => {
        const content = list.map(({ description, ...attributes }) => {
          const text = description.join(' ° ')
          return tag(
            'namespace',
            attributes,
            `<description>${plain ? escaped(text) : cdata(text)}</description>`,
          )
        })
        const found = readNamespaces(rootOf('namespaces', content.join('\n')))
        expect(Object.values(found).toSorted(byName)).toEqual(list.toSorted(byName))
        for (const each of list) expect(found[each.name]).toEqual(each)
      }),
    )
  })

  test('retention classes', () => {
    const entry = fc.record({ name, value: retention, autoDelete: fc.boolean(), description: line })
    const entries = fc.uniqueArray(entry, { selector: (each) => each.name, maxLength: 5 })
    fc.assert(
      fc.property(entries, (list) => {
        const content = list.map(({ description, ...attributes }) =>
          tag('retentionClass', attributes, `<description>${cdata(description)}</description>`),
        )
        const found = readRetentionClasses(rootOf('retentionClasses', content.join('')))
        expect(Object.values(found).toSorted(byName)).toEqual(list.toSorted(byName))
      }),
    )
  })

  test('permissions', () => {
    const granted = fc.record(
      Object.fromEntries(Object.keys(permissions).map((each) => [each, fc.boolean()])) as Record<
        keyof typeof permissions,
        fc.Arbitrary<boolean>
      >,
    )
    fc.assert(
      fc.property(fc.tuple(granted, granted, granted, granted), (list) => {
        const content = domains.map((each, index) => tag(each, list[index]!)).join('')
        const expected = Object.fromEntries(domains.map((each, index) => [each, list[index]]))
        expect(readPermissions(rootOf('permissions', content))).toEqual(expected)
      }),
    )
  })
})

const byName = (one: { readonly name: string }, other: { readonly name: string }): number =>
  one.name < other.name ? -1 : 1
