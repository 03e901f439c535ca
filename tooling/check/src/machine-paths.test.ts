import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { machinePathProblems } from './machine-paths.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A path of somebody's machine, put together here so that this file has none. */
const path = (...parts: string[]): string => ['', ...parts, ''].join('/')

test.for([
  ['a work folder', `see ${path('work', 'main')}`, true],
  ['a home', `cd ${path('home', 'alice')}`, true],
  ['a home on macOS', `"${path('Users', 'alice')}"`, true],
  ["root's home", `(${path('root', '.npm')}`, true],
  ['a job folder', `tail ${path('tmp', 'bash_jobs.0', '1')}`, true],
  ['a path of HCP', `GET ${path('rest', 'work', 'a')}`, false],
  ['a URL', `https://example.com${path('home', 'alice')}`, false],
  ['a relative path', `cd .${path('work')}`, false],
  ['a temporary folder', `cd ${path('tmp')}`, false],
] as const)('%s in a file under version control: found is %3$s', async ([, text, found]) => {
  await using folder = await temporaryFolder({
    'docs/a.md': `first\n${text}\n`,
    'untracked.md': path('work', 'a'),
  })
  execFileSync('git', ['init', '--quiet'], { cwd: folder.path })
  execFileSync('git', ['add', 'docs'], { cwd: folder.path })
  const problems = await machinePathProblems(folder.path)
  expect(problems).toEqual(found ? [expect.stringMatching(/^docs\/a\.md:2: \//)] : [])
})
