import { expect, test } from 'vitest'
import { readmeExamples } from './readme.ts'

test('takes every ```ts block, with the line that its code begins at, and no other', () => {
  const markdown = [
    '# A',
    '```sh',
    'npm i',
    '```',
    '```ts',
    'first()',
    '',
    'more()',
    '```',
    '```json',
    '{}',
    '```',
    '```ts',
    '```',
  ].join('\n')
  expect(readmeExamples(markdown)).toEqual([
    { line: 6, code: 'first()\n\nmore()\n' },
    { line: 14, code: '' },
  ])
})

test('a fence within a line is none, and Windows line ends do not matter', () => {
  expect(readmeExamples('a ```ts\r\nno()\r\n```\r\n\r\n```ts\r\nyes()\r\n```\r\n')).toEqual([
    { line: 6, code: 'yes()\r\n' },
  ])
})
