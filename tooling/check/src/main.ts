// `pnpm check`: everything that must hold before a change goes in, except the tests; with `--tests` those too.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { command } from './command.ts'
import { compileExamples, createProject, runExample, useAlone, writeExamples } from './consumer.ts'
import { houseRuleProblems } from './house-rules.ts'
import { machinePathProblems } from './machine-paths.ts'
import { metadataProblems } from './metadata.ts'
import { problems, Report, type Step } from './report.ts'
import { pack, tarballProblems } from './tarball.ts'
import { runTests } from './unit-tests.ts'
import { readWorkspace } from './workspace.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** A step that runs a command of the workspace. */
function tool(name: string, program: string, ...args: string[]): Step {
  return { name, run: () => command(root, program, args, { cwd: root }) }
}

/** Checks of the working tree as it is. */
async function checkSources(report: Report): Promise<void> {
  await report.run([
    tool('types', 'turbo', 'run', 'types', '--continue', '--output-logs=errors-only'),
    tool('lint', 'oxlint', '--type-aware', '--deny-warnings'),
    tool('format', 'oxfmt', '--check'),
    problems('house import rules', () => houseRuleProblems(root)),
    problems('package metadata', () => metadataProblems(root)),
    problems('no path of one machine', () => machinePathProblems(root)),
  ])
}

/** Checks of what users would get: builds and packs everything, then installs it outside the workspace. */
async function checkPackages(report: Report, folder: string): Promise<void> {
  const published = readWorkspace(root).filter(({ group }) => group === 'packages')
  const build = tool('build', 'turbo', 'run', 'build', '--continue', '--output-logs=errors-only')
  if (!(await report.run([build]))) return report.skip([{ name: 'packaging' }], 'the build failed')

  const tarballs = new Map<string, string>()
  const packing = published.map((pkg) => ({
    name: `pack ${pkg.name}`,
    run: async () => tarballs.set(pkg.name, await pack(root, pkg, folder)),
  }))
  if (!(await report.run(packing))) return report.skip([{ name: 'packaging' }], 'there are no tarballs')

  await report.run([...tarballs].flatMap(([name, tarball]) => tarballSteps(name, tarball, folder, tarballs)))
  await checkExamples(report, join(folder, 'examples'), tarballs)
}

function tarballSteps(
  name: string,
  tarball: string,
  folder: string,
  tarballs: ReadonlyMap<string, string>,
): Step[] {
  const directory = name.replace('@hcp/', '')
  return [
    problems(`contents of ${name}`, () =>
      tarballProblems(root, tarball, join(folder, 'unpacked', directory)),
    ),
    tool(`publint ${name}`, 'publint', 'run', tarball, '--strict'),
    tool(`attw ${name}`, 'attw', tarball, '--profile', 'esm-only', '--no-emoji', '--no-color'),
    {
      name: `install and import ${name} alone`,
      run: () => useAlone(root, join(folder, 'alone', directory), name, tarballs),
    },
  ]
}

/** The READMEs' examples, in one project that has all packages, since they may use the emulator. */
async function checkExamples(
  report: Report,
  folder: string,
  tarballs: ReadonlyMap<string, string>,
): Promise<void> {
  const install = {
    name: 'install all packages together',
    run: () => createProject(root, folder, [...tarballs.values()]),
  }
  if (!(await report.run([install])))
    return report.skip([{ name: 'examples' }], 'the packages cannot be installed')
  const examples = await Promise.all(
    [...tarballs.keys()].map(async (name) => ({ name, files: await writeExamples(folder, name) })),
  )
  const all = examples.flatMap(({ files }) => files)
  await report.run([
    ...examples.map(({ name, files }) => ({
      name: `first example of ${name}`,
      run: () => runExample(root, folder, files[0]),
    })),
    { name: 'examples compile against the packed types', run: () => compileExamples(root, folder, all) },
  ])
}

const { values } = parseArgs({ options: { tests: { type: 'boolean', default: false } } })
const report = new Report()
const folder = await mkdtemp(join(tmpdir(), 'hcp-check-'))
try {
  await checkSources(report)
  if (values.tests) report.add(await runTests(root, folder))
  await checkPackages(report, folder)
} catch (error) {
  console.error(error)
  report.failed += 1
} finally {
  await rm(folder, { recursive: true, force: true })
}
console.log(report.summary)
process.exitCode = report.failed === 0 ? 0 : 1
// Tells the bootstrap that the line above has been printed.
process.send?.('reported')
