import { describe, expect, test } from 'vitest'
import { below, houseRuleProblems } from './house-rules.ts'
import { temporaryFolder } from './temporary-folder.ts'

const exports = { '.': './src/index.ts' }
const good = {
  'package.json': { devDependencies: { vitest: '1' } },
  'packages/ips/package.json': { name: '@hcp/ips', exports, dependencies: { dns2: '1' } },
  'packages/ips/src/index.ts': "export { query } from './lib/query.ts'",
  'packages/ips/src/lib/query.ts': "import 'dns2'\nimport 'node:fs'\nexport const query = 1",
  'packages/auth/package.json': { name: '@hcp/auth', exports },
  'packages/auth/src/index.ts': "export { a } from './lib/a.ts'",
  'packages/auth/src/lib/a.ts': 'export const a = 1',
  'packages/emulator/package.json': { name: '@hcp/emulator', exports, devDependencies: { undici: '1' } },
  'packages/emulator/src/index.ts': "export { e } from './lib/e.ts'",
  'packages/emulator/src/lib/e.ts': 'export const e = 1',
  'packages/emulator/src/lib/e.test.ts': "import 'undici'\nimport 'vitest'",
  'packages/connection/package.json': {
    name: '@hcp/connection',
    exports,
    dependencies: { '@hcp/ips': 'workspace:^' },
    devDependencies: { '@hcp/emulator': 'workspace:^' },
  },
  'packages/connection/src/index.ts': "export { c } from './lib/c.ts'",
  'packages/connection/src/lib/c.ts': "import { query } from '@hcp/ips'\nexport const c = query",
  'packages/connection/src/lib/c.test.ts': "import '@hcp/emulator'\nawait using x = await open()",
  // Tests take what makes credentials, names and servers, whoever brings it along.
  'packages/objects/package.json': {
    name: '@hcp/objects',
    exports,
    dependencies: { '@hcp/connection': 'workspace:^' },
    devDependencies: { '@hcp/auth': 'workspace:^', '@hcp/emulator': 'workspace:^' },
  },
  'packages/objects/src/index.ts': "export { o } from './lib/o.ts'",
  'packages/objects/src/lib/o.ts': "import { c } from '@hcp/connection'\nexport const o = c",
  'packages/objects/src/lib/o.test.ts': "import '@hcp/auth'\nimport '@hcp/emulator'",
  'apps/demo/package.json': {
    name: '@hcp/demo',
    dependencies: { '@hcp/connection': '1', '@hcp/emulator': '1' },
  },
  'apps/demo/src/main.ts': "import '@hcp/connection'\nimport '@hcp/emulator'\nawait using x = await open()",
}

async function problemsWith(files: Record<string, unknown>): Promise<string[]> {
  await using folder = await temporaryFolder({ ...good, ...files })
  return houseRuleProblems(folder.path)
}

test('a workspace that keeps the rules has no problems', async () => {
  expect(await problemsWith({})).toEqual([])
})

test('below a package is all that it brings along', () => {
  expect([...below('@hcp/mapi')].toSorted()).toEqual(['@hcp/auth', '@hcp/connection', '@hcp/ips'])
  expect([...below('@hcp/emulator')]).toEqual([])
})

describe('finds an import that', () => {
  test.for([
    ['goes upwards in a test', 'packages/auth/src/lib/a.test.ts', "import '@hcp/connection'", 'must not be'],
    ['goes past the package below', 'packages/objects/src/lib/o.ts', "import '@hcp/auth'", 'must not be'],
    ['goes upwards', 'packages/auth/src/lib/a.ts', "import '@hcp/connection'", 'must not be imported here'],
    [
      'takes the emulator into a source',
      'packages/connection/src/lib/c.ts',
      "import '@hcp/emulator'",
      'must not be',
    ],
    [
      'leads out of the emulator',
      'packages/emulator/src/lib/e.ts',
      "import '@hcp/auth'",
      'must not be imported here',
    ],
    ['leads out of a test of it', 'packages/emulator/src/lib/e.test.ts', "import '@hcp/auth'", 'must not be'],
    [
      'takes types only',
      'packages/auth/src/lib/a.ts',
      "import type { A } from '@hcp/ips'",
      'must not be imported here',
    ],
    ['is within a type', 'packages/auth/src/lib/a.ts', "export type T = import('@hcp/ips').T", 'must not be'],
    ['comes late', 'packages/auth/src/lib/a.ts', "await import('@hcp/ips')", 'must not be imported here'],
    ['is an export', 'packages/auth/src/lib/a.ts', "export * from '@hcp/ips'", 'must not be imported here'],
    ['takes an app', 'packages/auth/src/lib/a.ts', "import '@hcp/demo'", 'must not be imported here'],
    ['reaches inside', 'apps/demo/src/main.ts', "import '@hcp/connection/src/lib/c.ts'", 'is no export of'],
    [
      'takes the own package by name',
      'packages/auth/src/lib/a.ts',
      "import '@hcp/auth'",
      'is this package itself',
    ],
    ['has no extension', 'packages/auth/src/lib/a.ts', "import './b'", 'must end in .ts'],
    ['names what will be built', 'packages/auth/src/lib/a.ts', "import './b.js'", 'must end in .ts'],
    [
      'leaves the package',
      'packages/auth/src/lib/a.ts',
      "import '../../../ips/src/index.ts'",
      'leaves the package',
    ],
    ['is not declared', 'packages/auth/src/lib/a.ts', "import 'undici'", 'is not in the dependencies'],
    ['is for tests only', 'packages/emulator/src/lib/e.ts', "import 'undici'", 'is not in the dependencies'],
    [
      'is not declared in a test',
      'packages/auth/src/lib/a.test.ts',
      "import 'undici'",
      'is not in any dependencies',
    ],
    [
      'hides that it is of Node',
      'packages/auth/src/lib/a.ts',
      "import 'fs/promises'",
      "must be written 'node:fs/prom",
    ],
  ] as const)('%s', async ([, file, source, problem]) => {
    expect(await problemsWith({ [file]: `\n${source}` })).toContainEqual(
      expect.stringMatching(new RegExp(`^${file}:2: .*${problem}`)),
    )
  })
})

test.for([
  [
    'a source that Node 22 cannot read',
    'packages/auth/src/lib/a.ts',
    'await using x = await open()',
    'Node 22',
  ],
  ['a default export', 'packages/auth/src/lib/a.ts', 'export default 1', 'exports have names'],
  [
    'code in an entry',
    'packages/auth/src/index.ts',
    "export { a } from './lib/a.ts'\nexport const b = 1",
    'an entry holds nothing but',
  ],
  [
    'an entry that exports all of a file',
    'packages/auth/src/index.ts',
    "export * from './lib/a.ts'",
    'an entry holds',
  ],
  [
    "a test's helper that users would get",
    'packages/auth/src/lib/helper.ts',
    'export const h = 1',
    'no entry leads here',
  ],
  ['a source that is no TypeScript', 'packages/auth/src/lib/a.ts', 'const = 1', 'cannot be parsed'],
] as const)('finds %s', async ([, file, source, problem]) => {
  expect(await problemsWith({ [file]: source })).toEqual([expect.stringContaining(problem)])
})

test.for([
  [
    'depends upwards',
    { name: '@hcp/auth', dependencies: { '@hcp/ips': '1' } },
    'dependencies must not name @hcp/ips',
  ],
  [
    'tests upwards',
    { name: '@hcp/auth', devDependencies: { '@hcp/connection': '1' } },
    'devDependencies must not name',
  ],
  ['depends on the emulator', { name: '@hcp/auth', dependencies: { '@hcp/emulator': '1' } }, 'must not name'],
  ['declares what it does not use', { name: '@hcp/auth', dependencies: { pg: '1' } }, 'no source imports pg'],
  ['is not in the table', { name: '@hcp/new' }, 'has no line in the table'],
] as const)('finds a package that %s', async ([, manifest, problem]) => {
  expect(await problemsWith({ 'packages/auth/package.json': manifest })).toContainEqual(
    expect.stringContaining(problem),
  )
})
