import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readmeExamples } from '@hcp/check/readme'
import { describe, test } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const limit = 30_000
const run = promisify(execFile)

// An example lies where its imports are found: in the package that the README is of. What the README at the top shows
// may use everything, as this package may.
const pages = globSync(['packages/*/README.md', 'packages/*/docs/*.md'], { cwd: root }).toSorted()
const readmes = ['README.md', ...pages].map((name) => ({
  name,
  folder: name === 'README.md' ? dirname(import.meta.dirname) : dirname(join(root, name)),
  examples: readmeExamples(readFileSync(join(root, name), 'utf8')),
}))

// That each package's README has an example is for the check of its metadata to say.
describe.each(readmes.filter(({ examples }) => examples.length > 0))('$name', ({ folder, examples }) => {
  // A little longer than the example itself gets, so that the failure says what it printed until then.
  const timeout = limit + 5_000
  test.for(examples)(
    'the example at line $line runs by itself and ends well',
    { timeout },
    async ({ line, code }) => {
      const example = join(folder, `.readme-${line}.ts`)
      // As far down as in the README, so that a stack trace names the line there.
      await writeFile(example, '\n'.repeat(line - 1) + code)
      try {
        await run(process.execPath, [example], { cwd: folder, timeout: limit })
      } finally {
        await rm(example)
      }
    },
  )
})
