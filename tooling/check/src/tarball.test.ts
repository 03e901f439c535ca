import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tarballProblems } from './tarball.ts'
import { temporaryFolder } from './temporary-folder.ts'

const manifest = {
  name: '@hcp/ips',
  bin: { ips: './dist/cli.js' },
  exports: {
    '.': { types: './dist/index.d.ts', default: './dist/index.js' },
    './package.json': './package.json',
  },
  dependencies: { '@hcp/auth': '^1.0.0' },
}
const good = {
  'package/package.json': manifest,
  'package/README.md': '',
  'package/LICENSE': '',
  'package/dist/index.js': '',
  'package/dist/index.js.map': '',
  'package/dist/index.d.ts': '',
  'package/dist/cli.js': '#!/usr/bin/env node\n',
  'package/dist/cli.js.map': '',
}

async function problemsWith(files: Record<string, unknown>): Promise<string[]> {
  await using folder = await temporaryFolder({ ...good, ...files })
  execFileSync('tar', ['-czf', 'ips.tgz', 'package'], { cwd: folder.path })
  return await tarballProblems(folder.path, join(folder.path, 'ips.tgz'), join(folder.path, 'unpacked'))
}

test('a tarball with what it promises and nothing else has no problems', async () => {
  expect(await problemsWith({})).toEqual([])
})

test.for([
  ['has the tests', { 'package/src/lib/a.test.ts': '' }, 'has a test: src/lib/a.test.ts'],
  ['has what tests share', { 'package/src/lib/a.testing.ts': '' }, 'has a test: src/lib/a.testing.ts'],
  ['has built tests', { 'package/dist/lib/a.test.d.ts': '' }, 'has a test: dist/lib/a.test.d.ts'],
  ["has a README's example", { 'package/.readme-ips-1.ts': '' }, 'has a leftover: .readme-ips-1.ts'],
  ['has no source map', { 'package/dist/chunk.js': '' }, 'has no source map for dist/chunk.js'],
  ['has a command that no shell can start', { 'package/dist/cli.js': '' }, 'is a command without'],
  [
    'lacks what it exports',
    { 'package/package.json': { ...manifest, exports: { '.': './dist/x.js' } } },
    'lacks ./dist/x.js',
  ],
  [
    'leads users to sources',
    {
      'package/package.json': { ...manifest, exports: { '.': './src/index.ts' } },
      'package/src/index.ts': '',
    },
    'package.json leads users to ./src/index.ts',
  ],
  [
    'was packed with npm',
    { 'package/package.json': { ...manifest, dependencies: { '@hcp/auth': 'workspace:^' } } },
    'package.json has a workspace: range',
  ],
] as const)('finds a tarball that %s', async ([, files, problem]) => {
  expect(await problemsWith(files)).toContainEqual(expect.stringContaining(problem))
})
