import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ObjectClient } from './object-client.ts'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const table = readme.split("## HCP's operations")[1]!.split('\n## ')[0]!
const rows = table
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (?:operation|---)/.test(line))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )

test.each(rows as [string, string, string][])(
  'the table of operations names a method and a test that exist: %s',
  (_, methods, proof) => {
    if (proof === 'its own') return
    const named = [...methods.matchAll(/`(\w+)`/g)].map(([, name]) => name!)
    const own = Object.getOwnPropertyNames(ObjectClient.prototype)
    expect(named.filter((name) => own.includes(name))).not.toEqual([])
    const [, file, title] = /^`([a-z-]+\.test\.ts)`: (.+)$/.exec(proof) ?? []
    expect(readFileSync(new URL(file!, import.meta.url), 'utf8')).toContain(`'${title}'`)
  },
)

test('every method is in the table, or is made of others', () => {
  const madeOfOthers = ['constructor', 'close', 'uploadTree', 'downloadTree']
  const missing = Object.getOwnPropertyNames(ObjectClient.prototype).filter(
    (name) => !madeOfOthers.includes(name) && !table.includes(`\`${name}\``),
  )
  expect(missing).toEqual([])
})
