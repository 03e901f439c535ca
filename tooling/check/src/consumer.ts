import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from './command.ts'
import { below } from './house-rules.ts'
import { readmeExamples } from './readme.ts'
import { ProblemsError } from './report.ts'
import { readManifest } from './workspace.ts'

/** Milliseconds that the first example of a README may take. */
const exampleTimeout = 30_000

/**
 * Installs one package into an empty npm project as a user would, and imports every export of it.
 *
 * @param tarballs Path of each package's tarball by name; what the package depends on is taken from there.
 * @throws {ProblemsError} If it brings a package of ours that is not below it, or an export cannot be imported.
 */
export async function useAlone(
  root: string,
  folder: string,
  name: string,
  tarballs: ReadonlyMap<string, string>,
): Promise<void> {
  const others = [...tarballs].filter(([other]) => other !== name)
  // Not published yet, so the registry does not have them. Of these only what is depended on gets installed.
  const overrides = Object.fromEntries(others.map(([other, file]) => [other, `file:${file}`]))
  await createProject(root, folder, [tarballs.get(name)!], { overrides })
  const installed = (await readdir(join(folder, 'node_modules', '@hcp'))).map(
    (directory) => `@hcp/${directory}`,
  )
  const wanted = below(name).add(name)
  const surplus = installed.filter((other) => !wanted.has(other))
  if (surplus.length > 0) throw new ProblemsError(surplus.map((other) => `${name} brings ${other} along`))
  await writeFile(join(folder, 'use.js'), importEverything)
  const { exports = {} } = readManifest(join(folder, 'node_modules', name, 'package.json'))
  const specifiers = Object.keys(exports).map((key) => name + key.slice(1))
  await command(root, process.execPath, ['use.js', ...specifiers], { cwd: folder })
}

/** An npm project with the given tarballs installed. */
export async function createProject(
  root: string,
  folder: string,
  tarballs: readonly string[],
  fields: object = {},
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const manifest = { name: 'consumer', private: true, type: 'module', ...fields }
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
  await command(root, 'npm', ['install', ...quiet, ...tarballs], { cwd: folder })
}

/**
 * Writes the examples of an installed package's README into the project.
 *
 * @returns Their files, in the README's order.
 */
export async function writeExamples(folder: string, name: string): Promise<string[]> {
  const readme = join(folder, 'node_modules', name, 'README.md')
  const examples = existsSync(readme) ? readmeExamples(await readFile(readme, 'utf8')) : []
  return await Promise.all(
    examples.map(async ({ line, code }) => {
      const file = `${name.replace('@hcp/', '')}-${line}.ts`
      await writeFile(join(folder, file), code)
      return file
    }),
  )
}

/** Runs an example in its project. There has to be one, and it has to end by itself and with 0. */
export async function runExample(root: string, folder: string, file: string | undefined): Promise<void> {
  if (file === undefined) throw new ProblemsError(['README.md has no ```ts example'])
  await command(root, process.execPath, [file], { cwd: folder, timeout: exampleTimeout })
}

/** Compiles the examples against the packages' declarations, as strictly as TypeScript can. */
export async function compileExamples(root: string, folder: string, files: readonly string[]): Promise<void> {
  const compilerOptions = {
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
  }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  await command(root, 'tsc', ['-p', folder], { cwd: folder })
}

const importEverything = `import { createRequire } from 'node:module'
import { deepEqual, notDeepEqual } from 'node:assert/strict'

const require = createRequire(import.meta.url)
for (const specifier of process.argv.slice(2)) {
  if (specifier.endsWith('.json')) {
    const { default: data } = await import(specifier, { with: { type: 'json' } })
    deepEqual(require(specifier), data)
  } else {
    const names = Object.keys(await import(specifier))
    notDeepEqual(names, [], specifier + ' exports nothing')
    deepEqual(Object.keys(require(specifier)), names)
  }
}
`
