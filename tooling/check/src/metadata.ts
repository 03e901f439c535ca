import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readmeExamples } from './readme.ts'
import { type Exports, isTest, type Manifest, type Package, readWorkspace, sourceFiles } from './workspace.ts'

/** The oldest Node that published packages run on: undici's own floor. */
const oldestNode = '>=22.19'

/** Checks what npm and its readers will see of each published package, and that the rest cannot be published. */
export function metadataProblems(root: string): string[] {
  const license = readIfThere(join(root, 'LICENSE'))
  return readWorkspace(root).flatMap((pkg) => {
    if (pkg.group !== 'packages') return pkg.manifest.private === true ? [] : [`${pkg.name}: must be private`]
    return publishedProblems(pkg, license).map((problem) => `${pkg.name}: ${problem}`)
  })
}

function publishedProblems(pkg: Package, license: string | undefined): string[] {
  const { folder, manifest, name } = pkg
  const readme = readIfThere(join(folder, 'README.md'))
  const rules: [holds: boolean, problem: string][] = [
    [folder.endsWith(join('packages', name.replace('@hcp/', ''))), 'name must be @hcp/ and the folder'],
    [(manifest.description ?? '') !== '', 'description is missing'],
    [manifest.license === 'MIT', 'license must be MIT'],
    [license !== undefined && readIfThere(join(folder, 'LICENSE')) === license, "LICENSE must be the root's"],
    [manifest.private !== true, 'must not be private'],
    [manifest.type === 'module', 'type must be module'],
    [manifest.sideEffects === false, 'sideEffects must be false'],
    [manifest.engines?.['node'] === oldestNode, `engines.node must be ${oldestNode}`],
    ...['dist', 'src', '!src/**/*.test.ts'].map((entry): [boolean, string] => [
      manifest.files?.includes(entry) ?? false,
      `files must have ${entry}`,
    ]),
    [manifest.publishConfig?.access === 'public', 'publishConfig.access must be public'],
    [readme !== undefined, 'README.md is missing'],
    [readme === undefined || readmeExamples(readme).length > 0, 'README.md has no ```ts example'],
    ...Object.entries(manifest.dependencies ?? {})
      .filter(([other]) => other.startsWith('@hcp/'))
      .map(([other, range]): [boolean, string] => [range === 'workspace:^', `${other} must be workspace:^`]),
  ]
  return [...rules.filter(([holds]) => !holds).map(([, problem]) => problem), ...exportProblems(pkg)]
}

/** In the workspace exports lead to sources, for users to what is built of the same sources. */
function exportProblems(pkg: Package): string[] {
  const { folder, manifest } = pkg
  const inside = manifest.exports ?? {}
  const bins = Object.values(manifest.bin ?? {})
  const published = manifest.publishConfig?.exports ?? {}
  const unlisted = sourceFiles(pkg)
    .filter((file) => /^src\/[^/]+$/.test(file) && !isTest(file))
    .filter((file) => !Object.values(inside).includes(`./${file}`) && !bins.includes(`./${file}`))
  return [
    ...['.', './package.json'].filter((key) => !(key in inside)).map((key) => `exports lacks '${key}'`),
    ...unlisted.map((file) => `${file} is beside the entries but is none: it belongs in src/lib`),
    ...Object.values(inside)
      .filter((file) => typeof file !== 'string' || !existsSync(join(folder, file)))
      .map((file) => `exports leads to ${JSON.stringify(file)}, which is no file`),
    ...differences('publishConfig.exports', publishedExports(inside), published),
    ...differences('publishConfig.bin', publishedBin(manifest), manifest.publishConfig?.bin ?? {}),
  ]
}

/** What users must get for exports that lead to sources. */
function publishedExports(inside: Exports): Exports {
  return mapValues(inside, (file) => {
    const base = typeof file === 'string' ? sourceBase(file) : undefined
    return base === undefined ? file : { types: `./dist/${base}.d.ts`, default: `./dist/${base}.js` }
  })
}

function publishedBin({ bin = {} }: Manifest): Record<string, string> {
  return mapValues(bin, (file) => `./dist/${sourceBase(file)}.js`)
}

/** `lib/x` of `./src/lib/x.ts`. */
function sourceBase(file: string): string | undefined {
  return /^\.\/src\/(.+)\.ts$/.exec(file)?.[1]
}

function mapValues<Value, Result>(
  record: Readonly<Record<string, Value>>,
  map: (value: Value) => Result,
): Record<string, Result> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))
}

function differences(field: string, wanted: object, actual: object): string[] {
  const right = JSON.stringify(wanted)
  return JSON.stringify(actual) === right ? [] : [`${field} must be ${right}`]
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}
