import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, normalize } from 'node:path/posix'
import { readSyntax, type Syntax } from './syntax.ts'
import { isTest, type Package, place, readManifest, readWorkspace, sourceFiles } from './workspace.ts'

/** Who may import whom among the published packages. Apps and tooling may import all of them; nobody imports those. */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  '@hcp/ips': [],
  '@hcp/auth': [],
  '@hcp/pathbuilder': [],
  // Its own reading of the protocol: two readings check each other.
  '@hcp/emulator': [],
  '@hcp/connection': ['@hcp/ips', '@hcp/auth'],
  '@hcp/namespace': ['@hcp/connection'],
  '@hcp/objects': ['@hcp/connection'],
  '@hcp/mapi': ['@hcp/connection'],
  '@hcp/mapi-replication': ['@hcp/mapi'],
  '@hcp/mapi-logs': ['@hcp/mapi'],
  '@hcp/logs-api': ['@hcp/mapi-logs', '@hcp/objects', '@hcp/pathbuilder'],
}

/** What stands on nothing of ours: the emulator, and what tests and examples make its clients' credentials and names with. */
const foundations = Object.keys(mayImport).filter((name) => mayImport[name]?.length === 0)

/** Programs that tests of packages need, not published. */
const testServers = ['@hcp/postgres']

/** What a package of ours brings along: everything below it in the table, itself not included. */
export function below(name: string): Set<string> {
  const names = new Set(mayImport[name])
  for (const direct of names) for (const deeper of below(direct)) names.add(deeper)
  return names
}

/** Checks the imports of every source file and the dependencies of every package.json under `root`. */
export function houseRuleProblems(root: string): string[] {
  const workspace = readWorkspace(root)
  const shared = Object.keys(readManifest(join(root, 'package.json')).devDependencies ?? {})
  return workspace.flatMap((pkg) => [
    ...manifestProblems(pkg, workspace),
    ...sourceProblems(root, pkg, workspace, new Set(shared)),
  ])
}

/** Which packages of ours this one may import; `undefined` if the table does not know it. */
function allowed(
  { group, name }: Package,
  workspace: readonly Package[],
  inTest: boolean,
): Set<string> | undefined {
  if (group !== 'packages') return new Set(workspace.map((other) => other.name))
  const names = mayImport[name]
  if (names === undefined || !inTest || name === '@hcp/emulator') return names && new Set(names)
  return new Set([...below(name), ...foundations, ...testServers].filter((other) => other !== name))
}

function manifestProblems(pkg: Package, workspace: readonly Package[]): string[] {
  const { name, manifest } = pkg
  if (allowed(pkg, workspace, false) === undefined)
    return [`${name}: has no line in the table of who may import whom`]
  const fields = [
    ['dependencies', false],
    ['peerDependencies', false],
    ['optionalDependencies', false],
    ['devDependencies', true],
  ] as const
  return fields.flatMap(([field, inTest]) =>
    Object.keys(manifest[field] ?? {})
      .filter((other) => other.startsWith('@hcp/') && !allowed(pkg, workspace, inTest)?.has(other))
      .map((other) => `${name}: ${field} must not name ${other}`),
  )
}

function sourceProblems(
  root: string,
  pkg: Package,
  workspace: readonly Package[],
  shared: Set<string>,
): string[] {
  const found: string[] = []
  const used = new Set<string>()
  const leadsTo = new Map<string, string[]>()
  for (const file of sourceFiles(pkg)) {
    const syntax = readSyntax(file, readFileSync(join(pkg.folder, file), 'utf8'))
    const at = (line: number): string => `${place(root, pkg, file)}:${line}`
    const specifiers = syntax.imports.map(({ specifier }) => specifier)
    leadsTo.set(
      file,
      specifiers.filter(isRelative).map((specifier) => join(dirname(file), specifier)),
    )
    for (const error of syntax.errors) found.push(`${at(1)}: cannot be parsed: ${error}`)
    for (const { specifier, line } of syntax.imports) {
      if (!isTest(file)) used.add(packageOf(specifier))
      const problem = importProblem(specifier, file, pkg, workspace, shared)
      if (problem !== undefined) found.push(`${at(line)}: '${specifier}' ${problem}`)
    }
    if (pkg.group === 'packages') {
      found.push(
        ...publishedSyntaxProblems(file, pkg, syntax).map(([line, problem]) => `${at(line)}: ${problem}`),
      )
    }
  }
  if (pkg.group === 'packages') {
    for (const name of Object.keys(pkg.manifest.dependencies ?? {})) {
      if (!used.has(name)) found.push(`${pkg.name}: no source imports ${name}: it is no dependency`)
    }
    for (const file of unreached(pkg, leadsTo)) {
      found.push(
        `${place(root, pkg, file)}: no entry leads here: it is dead, or a test's helper that users would get`,
      )
    }
  }
  return found
}

/** The sources, tests aside, that neither an export nor a command needs. */
function unreached({ manifest }: Package, leadsTo: ReadonlyMap<string, readonly string[]>): string[] {
  const reached = new Set<string>()
  const visit = (file: string): void => {
    if (reached.has(file)) return
    reached.add(file)
    leadsTo.get(file)?.forEach(visit)
  }
  for (const entry of [...Object.values(manifest.exports ?? {}), ...Object.values(manifest.bin ?? {})]) {
    if (typeof entry === 'string') visit(normalize(entry))
  }
  return [...leadsTo.keys()].filter((file) => !isTest(file) && !reached.has(file))
}

/** Rules for the sources that users get. */
function publishedSyntaxProblems(
  file: string,
  { manifest }: Package,
  syntax: Syntax,
): [line: number, problem: string][] {
  if (isTest(file)) return []
  const entries = new Set(Object.values(manifest.exports ?? {}))
  return [
    ...syntax.usingLines.map((line): [number, string] => [line, 'Node 22 cannot read `using` declarations']),
    ...syntax.defaultExportLines.map((line): [number, string] => [line, 'exports have names here']),
    ...(entries.has(`./${file}`) ? syntax.otherThanReExportLines : []).map((line): [number, string] => [
      line,
      "an entry holds nothing but `export { name } from './lib/…'`",
    ]),
  ]
}

/** Says what is wrong with an import, if anything is. */
function importProblem(
  specifier: string,
  file: string,
  pkg: Package,
  workspace: readonly Package[],
  shared: Set<string>,
): string | undefined {
  if (isRelative(specifier)) {
    if (!/\.(?:tsx?|json)$/.test(specifier)) return 'must end in .ts'
    return join(dirname(file), specifier).startsWith('..') ? 'leaves the package' : undefined
  }
  if (specifier.startsWith('node:')) return undefined
  const name = packageOf(specifier)
  if (builtinModules.includes(name)) return `must be written 'node:${specifier}'`
  if (name === pkg.name) return 'is this package itself: import the file'
  const inTest = isTest(file)
  if (name.startsWith('@hcp/') && !allowed(pkg, workspace, inTest)?.has(name))
    return 'must not be imported here'
  const { dependencies = {}, devDependencies = {}, peerDependencies = {} } = pkg.manifest
  const declared = name in dependencies || name in peerDependencies
  if (!declared && !(inTest && (name in devDependencies || shared.has(name)))) {
    return `is not in ${inTest ? 'any dependencies' : 'the dependencies'} of ${pkg.name}`
  }
  const other = workspace.find((candidate) => candidate.name === name)
  if (other && !(`.${specifier.slice(name.length)}` in (other.manifest.exports ?? {}))) {
    return `is no export of ${name}`
  }
  return undefined
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith('.')
}

/** `@hcp/ips` of `@hcp/ips/testing`, `pg` of `pg/lib/x.js`. */
function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}
