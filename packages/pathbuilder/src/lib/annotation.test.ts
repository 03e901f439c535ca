import * as fc from 'fast-check'
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { describe, expect, test } from 'vitest'
import { PathBuilder, PathBuilderError } from '../index.ts'
import { annotationXml } from './annotation.ts'

const uuid = '58d477d6-e538-11f1-9908-02fc00000001'

// Made with Python 3.11: ElementTree(Element(…)).write(encoding='utf-8', xml_declaration=True), as hcpsdk does.
const vectors: [filename: string, written: string][] = [
  ['a<b>&".txt', 'a&lt;b&gt;&amp;&quot;.txt'],
  ["it's", "it's"],
  ['line\nbreak', 'line&#10;break'],
  ['tab\there', 'tab&#09;here'],
  ['cr\rhere', 'cr&#13;here'],
  ['crlf\r\nx', 'crlf&#13;&#10;x'],
  [']]>', ']]&gt;'],
  ['-->', '--&gt;'],
  ['😀 grüß.txt', '😀 grüß.txt'],
  ['&amp;', '&amp;amp;'],
  ['&#10;', '&amp;#10;'],
  ['a\u0085b\u2028c', 'a\u0085b\u2028c'],
  ['a\u00a0b', 'a\u00a0b'],
  ['\u007f', '\u007f'],
  ['  blanks  ', '  blanks  '],
  ['C:\\x\\y', 'C:\\x\\y'],
  ['', ''],
]

describe('the annotation', () => {
  test.each(vectors)('of %j is byte for byte what the Python package writes', (filename, written) => {
    expect(annotationXml(filename, '/rest/x/d6/77', uuid)).toBe(
      "<?xml version='1.0' encoding='utf-8'?>\n" +
        `<hcpsdk_fileobject filename="${written}" path="/rest/x/d6/77" uuid="${uuid}" />`,
    )
  })

  test('is there when asked for only, and tells folder and name of its object', () => {
    const { path, name, annotation } = new PathBuilder({ annotation: true }).getUnique('a.txt')
    expect(annotation).toBe(annotationXml('a.txt', path, name))
    expect(new PathBuilder().getUnique('a.txt')).not.toHaveProperty('annotation')
  })

  test('escapes the folder too', () => {
    const { path, annotation } = new PathBuilder({ annotation: true, initialPath: '/a&b "c"' }).getUnique('')
    expect(read(annotation!).path).toBe(path)
  })

  test('is well-formed, and gives every file name back that XML can hold', () => {
    const builder = new PathBuilder({ annotation: true })
    const piece = fc.constantFrom(
      '"',
      "'",
      '&',
      '<',
      '>',
      ']]>',
      '-->',
      '<!--',
      '&lt;',
      '&#65;',
      '\n',
      '\r',
      '\t',
    )
    const filename = fc
      .array(fc.oneof(piece, fc.string({ unit: 'binary' })), { maxLength: 8 })
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(filename, (filename) => {
        if (unfit.test(filename)) {
          expect(() => builder.getUnique(filename)).toThrow(PathBuilderError)
          return
        }
        const { annotation, name, path } = builder.getUnique(filename)
        expect(XMLValidator.validate(annotation!)).toBe(true)
        expect(read(annotation!)).toEqual({ filename, path, uuid: name })
      }),
      { numRuns: 1_000 },
    )
  })

  const refused: [filename: string, named: string][] = [
    ['\0', 'U+0000'],
    ['bell\u0007', 'U+0007'],
    ['\u000b', 'U+000B'],
    ['\u001f', 'U+001F'],
    ['\ufffe', 'U+FFFE'],
    ['\uffff', 'U+FFFF'],
    ['a\ud83d', 'U+D83D'],
    ['\ude00\ud83d', 'U+DE00'],
  ]
  test.each(refused)('of %j is refused, since XML cannot carry it', (filename, named) => {
    const builder = new PathBuilder({ annotation: true })
    expect(() => builder.getUnique(filename)).toThrow(
      expect.objectContaining({
        name: 'PathBuilderError',
        code: 'PATHBUILDER_FILENAME',
        message: expect.stringContaining(named) as string,
      }),
    )
    expect(new PathBuilder().getUnique(filename)).toHaveProperty('name')
  })
})

/** The characters outside XML 1.0's production Char (section 2.2). */
const unfit = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u

function read(xml: string): Record<string, string> {
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '',
    trimValues: false,
    ignoreDeclaration: true,
    parseAttributeValue: false,
    htmlEntities: true,
  })
  const document = parser.parse(xml, true) as { hcpsdk_fileobject: Record<string, string> }
  expect(Object.keys(document)).toEqual(['hcpsdk_fileobject'])
  return document.hcpsdk_fileobject
}
