import { expect, test } from 'vitest'
import { pythonList, pythonPairs, pythonText } from './python-form.ts'

test.each([
  ['plain', "'plain'"],
  ['', "''"],
  ["it's", `"it's"`],
  ['"quoted"', `'"quoted"'`],
  [`it's "both"`, `'it\\'s "both"'`],
  ['back\\slash', "'back\\\\slash'"],
  ['two\nlines', "'two\\nlines'"],
])('writes the text %j as Python does', (text, expected) => {
  expect(pythonText(text)).toBe(expected)
})

test('writes a list on one line', () => {
  expect(pythonList([])).toBe('[]')
  expect(pythonList(['192.0.2.1', '192.0.2.2'])).toBe("['192.0.2.1', '192.0.2.2']")
})

test('writes pairs one below the other, and breaks those that pass 80 columns', () => {
  expect(pythonPairs([])).toBe('[]')
  // With the blank before it and the comma behind it, the second pair takes 80 columns, the third 81.
  const fits = 'x'.repeat(69)
  expect(
    pythonPairs([
      ['a', '1'],
      ['b', fits],
      ['c', `${fits}x`],
      ['d', ''],
    ]),
  ).toBe(`[('a', '1'),\n ('b', '${fits}'),\n ('c',\n  '${fits}x'),\n ('d', '')]`)
})
