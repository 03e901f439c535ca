import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { xmlFault } from './annotation-xml.ts'

const deep = (levels: number): string => '<a>'.repeat(levels) + '</a>'.repeat(levels)

test.each<[string, string, RegExp | undefined]>([
  ['one element', '<a/>', undefined],
  [
    'a declaration, a comment and an instruction',
    '<?xml version="1.0"?><!-- <a> --><?a <b>?><a/>',
    undefined,
  ],
  ['a section', `<a><![CDATA[${deep(200)}]]></a>`, undefined],
  ['a comment', `<a><!--${deep(200)}--></a>`, undefined],
  ['brackets in attributes', `<a b="/>" c='</a>'><b c=">"/></a>`, undefined],
  ['elements of a namespace', '<x:a xmlns:x="urn:x"><x:b/></x:a>', undefined],
  ['a hundred levels', deep(100), undefined],
  ['a hundred and one', deep(101), /levels/],
  ['a hundred and one, the last of them empty', `${'<a>'.repeat(100)}<b/>${'</a>'.repeat(100)}`, /levels/],
  ['ten thousand elements', `<a>${'<b></b>'.repeat(9_999)}</a>`, undefined],
  ['one more', `<a>${'<b></b>'.repeat(10_000)}</a>`, /elements/],
  ['two roots', '<a/><b></b>', /one root/],
  ['no root', '<!-- a -->', /well-formed/],
  ['no end', '<a><b></a>', /well-formed/],
  ['no XML', 'text', /well-formed/],
])('%s', (_, text, fault) => {
  if (fault === undefined) expect(xmlFault(text)).toBeUndefined()
  else expect(xmlFault(text)).toMatch(fault)
})

test('every tree that is printed is taken', () => {
  const text = fc.constantFrom('', 'text', '&lt;a&gt;', '<!-- <x> -->', '<![CDATA[<x>]]>', '<?p <x>?>')
  const { tree } = fc.letrec<{ tree: string }>((tie) => ({
    tree: fc
      .tuple(
        fc.constantFrom('a', 'b:c', 'd-e'),
        fc.constantFrom('', ' f=">"', " f='/>'"),
        fc.array(fc.oneof(text, tie('tree')), { maxLength: 3 }),
      )
      .map(([name, attribute, inner]) =>
        inner.length === 0 ? `<${name}${attribute}/>` : `<${name}${attribute}>${inner.join('')}</${name}>`,
      ),
  }))
  fc.assert(
    fc.property(tree, (document) => {
      expect(xmlFault(document)).toBeUndefined()
      expect(xmlFault(document + document)).toMatch(/one root|well-formed/)
    }),
  )
})
