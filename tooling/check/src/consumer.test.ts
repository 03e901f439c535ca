import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { compileExamples, runExample, useAlone, writeExamples } from './consumer.ts'
import { type TemporaryFolder, temporaryFolder } from './temporary-folder.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Tarballs of packages with one file and the given dependencies, by name. */
async function tarballs(packages: Record<string, { code?: string; dependencies?: object }>): Promise<{
  readonly folder: TemporaryFolder
  readonly files: ReadonlyMap<string, string>
}> {
  const directories = Object.entries(packages).map(([name, value], index) => ({
    name,
    directory: `${index}`,
    ...value,
  }))
  const folder = await temporaryFolder(
    Object.fromEntries(
      directories.flatMap(({ name, directory, code = 'export const a = 1', dependencies = {} }) => [
        [`${directory}/package/index.js`, code],
        [
          `${directory}/package/package.json`,
          { name, version: '1.0.0', type: 'module', exports: { '.': './index.js' }, dependencies },
        ],
      ]),
    ),
  )
  for (const { directory } of directories) {
    execFileSync('tar', ['-czf', `${directory}.tgz`, '-C', directory, 'package'], { cwd: folder.path })
  }
  return {
    folder,
    files: new Map(directories.map(({ name, directory }) => [name, join(folder.path, `${directory}.tgz`)])),
  }
}

test('a package with what is below it installs and imports', async () => {
  const { folder, files } = await tarballs({
    '@hcp/connection': { code: "export { a } from '@hcp/ips'", dependencies: { '@hcp/ips': '^1.0.0' } },
    '@hcp/ips': {},
    '@hcp/emulator': {},
  })
  await using _ = folder
  await useAlone(root, join(folder.path, 'alone'), '@hcp/connection', files)
})

test('finds a package that brings along what is not below it', async () => {
  const { folder, files } = await tarballs({
    '@hcp/connection': { dependencies: { '@hcp/emulator': '^1.0.0' } },
    '@hcp/emulator': {},
  })
  await using _ = folder
  await expect(useAlone(root, join(folder.path, 'alone'), '@hcp/connection', files)).rejects.toThrow(
    '@hcp/connection brings @hcp/emulator along',
  )
})

test.for([
  ['cannot be imported', "import '@hcp/auth'\nexport const a = 1", /ERR_MODULE_NOT_FOUND/],
  ['exports nothing', '', /exports nothing/],
  ['cannot be required', 'export const a = await 1', /ERR_REQUIRE_ASYNC_MODULE/],
] as const)('finds a package that %s', async ([, code, problem]) => {
  const { folder, files } = await tarballs({ '@hcp/ips': { code } })
  await using _ = folder
  await expect(useAlone(root, join(folder.path, 'alone'), '@hcp/ips', files)).rejects.toThrow(problem)
})

test("runs the examples of an installed package's README, and finds one that throws and one that is not there", async () => {
  await using folder = await temporaryFolder({
    'package.json': { type: 'module' },
    'node_modules/@hcp/ips/README.md':
      "```ts\nconst a: number = await 1\n```\n\n```ts\nthrow new Error('told you')\n```\n",
  })
  const files = await writeExamples(folder.path, '@hcp/ips')
  expect(files).toEqual(['ips-2.ts', 'ips-6.ts'])
  await runExample(root, folder.path, files[0])
  await expect(runExample(root, folder.path, files[1])).rejects.toThrow(/told you/)
  const [none] = await writeExamples(folder.path, '@hcp/auth')
  await expect(runExample(root, folder.path, none)).rejects.toThrow(/no ```ts example/)
})

test('finds an example that does not compile against the declarations', async () => {
  await using folder = await temporaryFolder({
    'package.json': { type: 'module' },
    'good.ts': "import { a } from 'dependency'\nconst b: number = a\nprocess.exitCode = b",
    'bad.ts': "import { a } from 'dependency'\nconst b: string = a",
    'node_modules/dependency/package.json': { name: 'dependency', type: 'module', exports: './index.js' },
    'node_modules/dependency/index.d.ts': 'export declare const a: number',
  })
  await compileExamples(root, folder.path, ['good.ts'])
  await expect(compileExamples(root, folder.path, ['good.ts', 'bad.ts'])).rejects.toThrow(/bad\.ts.*TS2322/)
})
