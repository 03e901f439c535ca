import { describe, expect, test } from 'vitest'
import { parseXml } from './xml-document.ts'

const parse = (text: string): ReturnType<typeof parseXml> => parseXml(Buffer.from(text))

describe('a document that is in order', () => {
  test('comes as it is, with declaration, stylesheet, comments and CDATA', () => {
    const text = `\uFEFF<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="/static/xsl/proc-namespaces.xsl"?>
<!-- before -->
<list one="1" two='"2"'>
  <entry name="a>b"/><!-- between --><text>x<![CDATA[ <!DOCTYPE y>&amp; ]]>z</text>
</list>\n\n`
    const root = parse(text)
    expect(root.name).toBe('list')
    expect(root.attributes).toEqual([
      ['one', '1'],
      ['two', '"2"'],
    ])
    expect(root.children).toEqual([
      { name: 'entry', attributes: [['name', 'a>b']], children: [], text: '' },
      { name: 'text', attributes: [], children: [], text: 'x <!DOCTYPE y>&amp; z' },
    ])
  })

  test('has its references decoded, by name and by number, once', () => {
    const root = parse('<a b="&lt;&#233;&#x1F4E6;&quot;">&amp;lt; &apos;&gt;</a>')
    expect(root.attributes).toEqual([['b', '<é📦"']])
    expect(root.text).toBe("&lt; '>")
  })

  test('keeps names that mean something to JavaScript', () => {
    expect(parse('<a __proto__="1" constructor="2" toString="3"/>').attributes).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
      ['toString', '3'],
    ])
  })

  test('may be of any size that 10,000 namespaces take', () => {
    const entry = `<namespace name="n"><description><![CDATA[${'x'.repeat(1024)}]]></description></namespace>`
    expect(parse(`<namespaces>${entry.repeat(10_000)}</namespaces>`).children).toHaveLength(10_000)
  })
})

describe('is refused:', () => {
  test.each([
    ['nothing', ''],
    ['blanks', ' \n'],
    ['text', 'no document'],
    ['a declaration alone', '<?xml version="1.0"?>'],
    ['a tag that is not closed', '<a><b></b>'],
    ['a tag cut in two', '<a b="1"'],
    ['a value cut in two', '<a b="1'],
    ['CDATA cut in two', '<a><![CDATA[x</a>'],
    ['a comment cut in two', '<a><!-- x</a>'],
    ['tags that do not match', '<a><b></a></b>'],
    ['a closing tag too many', '<a/></a>'],
    ['two roots', '<a/><b/>'],
    ['two roots with content', '<a>1</a><b>2</b>'],
    ['text after the root', '<a/>more'],
    ['text and a comment after the root', '<a/>more<!-- -->'],
    ['text before the root', 'more<a/>'],
    ['CDATA before the root', '<![CDATA[x]]><a/>'],
    ['CDATA after the root', '<a/><![CDATA[x]]>'],
    ['an attribute given twice', '<a b="1" b="2"/>'],
    ['an attribute without value', '<a b/>'],
    ['an attribute without quotes', '<a b=1/>'],
    ['HTML', '<!DOCTYPE html><html><body><p>Sign in<br></body></html>'],
    ['a DOCTYPE', '<!DOCTYPE a><a/>'],
    ['a DOCTYPE within the root', '<a><!DOCTYPE b [<!ENTITY c "d">]>&c;</a>'],
    ['a DOCTYPE in small letters', '<!doctype a><a/>'],
    ['a declaration within the root', '<a><!ENTITY b "c"></a>'],
    ['an external entity', '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'],
    ['entities of entities', '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'],
    ['a reference that nothing declares', '<a>&nbsp;</a>'],
    ['a reference that is none', '<a>a & b</a>'],
    ['a reference that is none in a value', '<a b="c & d"/>'],
    ['a reference to no character', '<a>&#0;</a>'],
    ['a reference to half a character', '<a>&#xD800;</a>'],
    ['a reference beyond all characters', '<a>&#x110000;</a>'],
    ['a name that JavaScript reserves', '<__proto__/>'],
    ['more levels than any document of HCP has', '<a>'.repeat(40) + '</a>'.repeat(40)],
    ['levels without end', '<a>'.repeat(200_000)],
    ['more elements than any document of HCP has', `<a>${'<b/>'.repeat(300_000)}</a>`],
    ['a text of a million characters', `<a>${'x'.repeat(1_000_000)}</a>`],
    ['a tag of a million characters', `<a ${'b="" '.repeat(200_000)}/>`],
  ])('%s', (_, text) => {
    expect(() => parse(text)).toThrow(Error)
  })

  test.each([
    ['UTF-16', Buffer.from('\uFEFF<a/>', 'utf16le')],
    ['Latin-1 outside ASCII', Buffer.from('<a>é</a>', 'latin1')],
    ['compressed bytes', Buffer.from('1f8b0800000000000003', 'hex')],
  ])('%s', (_, bytes) => {
    expect(() => parseXml(bytes)).toThrow(TypeError)
  })
})
