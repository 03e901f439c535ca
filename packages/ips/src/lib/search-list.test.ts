import { expect, test } from 'vitest'
import { parseHostName } from './host-name.ts'
import { candidates, parseSearchList } from './search-list.ts'

test.each([
  ['', []],
  ['nameserver 127.0.0.1\n', []],
  ['search a.example  b.example.\n', ['a.example', 'b.example']],
  ['search a.example\r\ndomain c.example\r\n', ['c.example']],
  ['  search\ta.example', ['a.example']],
  ['# search a.example\n;search b.example', []],
  ['search .', []],
])('the search list of %j is %j', (text, expected) => {
  expect(parseSearchList(text)).toEqual(expected)
})

test.each([
  ['n1.t1', ['n1.t1', 'n1.t1.a.example', 'n1.t1.b.example']],
  ['n1', ['n1.a.example', 'n1.b.example', 'n1']],
  ['n1.', ['n1']],
  [`${'a.'.repeat(122)}a`, [`${'a.'.repeat(122)}a`]],
])('%s is asked for as %j', (name, expected) => {
  expect(candidates(parseHostName(name), ['a.example', 'b.example'])).toEqual(expected)
})
