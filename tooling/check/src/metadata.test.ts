import { expect, test } from 'vitest'
import { metadataProblems } from './metadata.ts'
import { temporaryFolder } from './temporary-folder.ts'

const manifest = {
  name: '@hcp/ips',
  description: 'Names',
  license: 'MIT',
  type: 'module',
  sideEffects: false,
  engines: { node: '>=22.19' },
  files: ['dist', 'src', '!src/**/*.test.ts'],
  bin: { ips: './src/cli.ts' },
  exports: { '.': './src/index.ts', './package.json': './package.json' },
  publishConfig: {
    access: 'public',
    bin: { ips: './dist/cli.js' },
    exports: {
      '.': { types: './dist/index.d.ts', default: './dist/index.js' },
      './package.json': './package.json',
    },
  },
  dependencies: { '@hcp/auth': 'workspace:^' },
}
const good = {
  LICENSE: 'MIT',
  'packages/ips/package.json': manifest,
  'packages/ips/LICENSE': 'MIT',
  'packages/ips/README.md': '# @hcp/ips\n\n```ts\n1\n```\n',
  'packages/ips/src/index.ts': '',
  'packages/ips/src/cli.ts': '',
  'apps/demo/package.json': { name: '@hcp/demo', private: true },
}

async function problemsWith(files: Record<string, unknown>): Promise<string[]> {
  await using folder = await temporaryFolder({ ...good, ...files })
  return metadataProblems(folder.path)
}

test('a package with everything that npm and its readers need has no problems', async () => {
  expect(await problemsWith({})).toEqual([])
})

const { publishConfig } = manifest
test.for([
  [{ description: undefined }, 'description is missing'],
  [{ license: 'ISC' }, 'license must be MIT'],
  [{ private: true }, 'must not be private'],
  [{ type: 'commonjs' }, 'type must be module'],
  [{ sideEffects: undefined }, 'sideEffects must be false'],
  [{ engines: { node: '>=18' } }, 'engines.node must be >=22.19'],
  [{ files: ['dist', 'src'] }, 'files must have !src/**/*.test.ts'],
  [{ publishConfig: { ...publishConfig, access: 'restricted' } }, 'publishConfig.access must be public'],
  [{ publishConfig: { ...publishConfig, exports: undefined } }, 'publishConfig.exports must be'],
  [{ publishConfig: { ...publishConfig, bin: { ips: './src/cli.ts' } } }, 'publishConfig.bin must be'],
  [{ exports: { '.': './src/index.ts' }, publishConfig }, "exports lacks './package.json'"],
  [
    { exports: { ...manifest.exports, './x': './src/x.ts' } },
    'exports leads to "./src/x.ts", which is no file',
  ],
  [
    { bin: undefined, publishConfig: { ...publishConfig, bin: undefined } },
    'src/cli.ts is beside the entries',
  ],
  [{ dependencies: { '@hcp/auth': '^1.0.0' } }, '@hcp/auth must be workspace:^'],
] as const)('finds a package.json for which it says: %2$s', async ([fields, problem]) => {
  expect(await problemsWith({ 'packages/ips/package.json': { ...manifest, ...fields } })).toContainEqual(
    expect.stringContaining(`@hcp/ips: ${problem}`),
  )
})

test.for([
  [
    'a name that is not that of the folder',
    { 'packages/ips/package.json': { ...manifest, name: '@hcp/names' } },
    '@hcp/names: name must be @hcp/ and the folder',
  ],
  ['another license', { 'packages/ips/LICENSE': 'ISC' }, "@hcp/ips: LICENSE must be the root's"],
  ['a README without an example', { 'packages/ips/README.md': '# @hcp/ips' }, '@hcp/ips: README.md has no'],
  [
    'an app that could be published',
    { 'apps/demo/package.json': { name: '@hcp/demo' } },
    '@hcp/demo: must be private',
  ],
] as const)('finds %s', async ([, files, problem]) => {
  expect(await problemsWith(files)).toEqual([expect.stringContaining(problem)])
})
