import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type TemporaryFolder, temporaryFolder } from './temporary-folder.ts'

const bootstrap = fileURLToPath(new URL('../../bootstrap.mjs', import.meta.url))
const lockfile = 'lockfileVersion: 9\n'
const installed = {
  'package.json': { packageManager: 'pnpm@11.2.3' },
  'pnpm-lock.yaml': lockfile,
  'node_modules/.bootstrap': createHash('sha256').update(lockfile).digest('hex'),
  // Stand for the tools: the first is the right pnpm and cannot install, the second cannot fetch anything.
  'bin/pnpm': '#!/bin/sh\n[ "$1" = --version ] && echo 11.2.3 || { echo "no install" >&2; exit 4; }\n',
  'bin/npx': '#!/bin/sh\necho "no registry" >&2; exit 1\n',
}

/** A workspace with the bootstrap, its tools and the given files. */
async function workspace(files: Record<string, unknown>): Promise<TemporaryFolder> {
  const folder = await temporaryFolder({ ...installed, ...files })
  await mkdir(join(folder.path, 'tooling'), { recursive: true })
  await copyFile(bootstrap, join(folder.path, 'tooling/bootstrap.mjs'))
  for (const tool of ['pnpm', 'npx']) await chmod(join(folder.path, 'bin', tool), 0o755)
  return folder
}

/** Those tools come first on the path. */
function environment({ path }: TemporaryFolder): NodeJS.ProcessEnv {
  const search = [join(path, 'bin'), dirname(process.execPath), process.env['PATH']].join(delimiter)
  return { ...process.env, PATH: search }
}

/** Starts it there, from somewhere else. */
function start(folder: TemporaryFolder, ...args: string[]): ChildProcess {
  const { path } = folder
  return spawn(process.execPath, [join(path, 'tooling/bootstrap.mjs'), ...args], {
    cwd: dirname(path),
    env: environment(folder),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function run(
  folder: TemporaryFolder,
  ...args: string[]
): Promise<{ code: unknown; out: string; err: string }> {
  const child = start(folder, ...args)
  const [out, err, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'close'),
  ])
  return { code, out, err }
}

test('hands its arguments to the demo as they are, and its exit code back', async () => {
  const main = 'console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7'
  await using folder = await workspace({ 'apps/demo/src/main.ts': main })
  const args = ['a b', '$HOME', '"', "'; exit 9 #", '', '--tests', '*', '\\']
  expect(await run(folder, 'start', ...args)).toEqual({ code: 7, out: `${JSON.stringify(args)}\n`, err: '' })
})

test('passes a signal on, and leaves to the demo what becomes of it', async () => {
  const main = "process.on('SIGTERM', () => process.exit(5)); setInterval(() => {}, 1_000); console.log('up')"
  await using folder = await workspace({ 'apps/demo/src/main.ts': main })
  const child = start(folder, 'start')
  await once(child.stdout!, 'data')
  child.kill('SIGTERM')
  expect(await once(child, 'close')).toEqual([5, null])
})

test('ends the demo when the shell that npm started it by has been ended', async () => {
  const main =
    "process.on('SIGTERM', () => { console.log('told'); process.exit() }); setInterval(() => {}, 1_000); console.log('up')"
  await using folder = await workspace({ 'apps/demo/src/main.ts': main })
  // The second command keeps the shell from becoming the first, as some shells would.
  const shell = spawn('sh', ['-c', `"$0" tooling/bootstrap.mjs start; exit`, process.execPath], {
    cwd: folder.path,
    env: environment(folder),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await once(shell.stdout, 'data')
  const rest = text(shell.stdout)
  shell.kill('SIGTERM')
  expect(await rest).toBe('told\n')
})

test('a demo that a signal ends gives the exit code that shells give it', async () => {
  await using folder = await workspace({ 'apps/demo/src/main.ts': "process.kill(process.pid, 'SIGKILL')" })
  expect(await run(folder, 'start')).toMatchObject({ code: 128 + 9 })
})

test('leaves the last line to the checks where they print it', async () => {
  const main = "console.log(process.argv[2]); console.log('3 passed, 0 failed'); process.send('reported')"
  await using folder = await workspace({ 'tooling/check/src/main.ts': main })
  expect(await run(folder, 'test')).toEqual({ code: 0, out: '--tests\n3 passed, 0 failed\n', err: '' })
})

test.for([
  ['the checks break', { 'tooling/check/src/main.ts': "throw new Error('broken')" }, /broken/],
  ['the checks end early', { 'tooling/check/src/main.ts': 'process.exit(0)' }, /^$/],
  ['the installation fails', { 'node_modules/.bootstrap': 'of another lockfile' }, /pnpm install failed/],
  [
    'the tools cannot be fetched',
    { 'bin/pnpm': '#!/bin/sh\necho 1.0.0\n' },
    /no registry[^]*could not fetch/,
  ],
] as const)('where %s, a test run fails and still ends with its plain line', async ([, files, message]) => {
  await using folder = await workspace(files)
  const { code, out, err } = await run(folder, 'test')
  expect({ code, out }).toEqual({ code: 1, out: '0 passed, 1 failed\n' })
  expect(err).toMatch(message)
})

test('refuses a command it does not know', async () => {
  await using folder = await workspace({})
  expect(await run(folder, 'strat')).toMatchObject({ code: 2, err: expect.stringMatching(/^usage: /) })
})
