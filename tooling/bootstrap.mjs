// `npm start [-- arguments]` and `npm test` on a machine that may have nothing but Node 20 and npm. Runs on that Node, so
// plain JavaScript. Where the right Node and pnpm are there already, it uses them; else it has npx fetch them.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const leastNode = 24
const parent = process.ppid
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
const root = fileURLToPath(new URL('..', import.meta.url))
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const wantedPnpm = packageManager.replace(/^pnpm@/, '').replace(/\+.*$/, '')

/**
 * Runs a command to its end. Output goes to this process's own, unless `capture` is set. A signal that reaches this
 * process is passed on; the child decides what becomes of it.
 *
 * @returns {Promise<{ code: number, stdout: string, stderr: string, messages: unknown[] }>} The code is 128 + n for a
 *   child that signal n has ended, as shells have it, and 127 for a command that is not there.
 */
function run(command, args, { env = process.env, capture = false, ipc = false } = {}) {
  return new Promise((resolve) => {
    const output = capture ? 'pipe' : 'inherit'
    const stdio = ['inherit', output, output].concat(ipc ? ['ipc'] : [])
    // Windows starts .cmd files through a shell only; what goes there has no arguments of the user's.
    const shell = process.platform === 'win32' && command !== 'node'
    const child = spawn(command, args, { cwd: root, env, stdio, shell })
    // Ctrl-C at a terminal reaches the child by itself: passed on as well, it would count as two.
    const forward = (signal) => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal)
    for (const signal of signals) process.on(signal, forward)
    // A signal to npm ends npm and its shell and gets no further.
    const orphaned = setInterval(() => process.ppid === parent || child.kill('SIGTERM'), 500)
    const result = { code: 0, stdout: '', stderr: '', messages: [] }
    child.stdout?.on('data', (chunk) => (result.stdout += chunk))
    child.stderr?.on('data', (chunk) => (result.stderr += chunk))
    child.on('message', (message) => result.messages.push(message))
    const end = (code) => {
      clearInterval(orphaned)
      for (const signal of signals) process.off(signal, forward)
      resolve({ ...result, code })
    }
    child.on('error', () => end(127))
    child.on('close', (code, signal) => end(code ?? 128 + constants.signals[signal]))
  })
}

/** The environment in which `node` and `pnpm` are the ones this workspace is developed with. */
async function environment() {
  if (Number.parseInt(process.versions.node, 10) >= leastNode) {
    const found = await run('pnpm', ['--version'], { capture: true })
    if (found.code === 0 && found.stdout.trim() === wantedPnpm) return process.env
  }
  // npx is asked for the search path alone: nothing of the user's passes through a shell, and signals and exit codes
  // need no way back through npm.
  const tools = ['-p', `node@${leastNode}`, '-p', `pnpm@${wantedPnpm}`]
  const quiet = ['--yes', '--prefer-offline', '--loglevel=error']
  const fetched = await run('npx', [...quiet, ...tools, '-c', 'node -p process.env.PATH'], { capture: true })
  const path = fetched.stdout.trim()
  if (fetched.code !== 0 || path === '') {
    console.error(fetched.stderr)
    throw new Error(
      `npx could not fetch node@${leastNode} and pnpm@${wantedPnpm}: is the npm registry reachable?`,
    )
  }
  const { PATH: _, Path: __, ...rest } = process.env
  return { ...rest, PATH: path }
}

/** Installs what the lockfile says, unless that has been done already. */
async function install(env) {
  const stamp = join(root, 'node_modules', '.bootstrap')
  const lockfile = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lockfile) return
  // What another package manager left there may go without a question.
  const args = ['install', '--frozen-lockfile', '--config.confirmModulesPurge=false']
  const { code } = await run('pnpm', args, { env })
  if (code !== 0) throw new Error('pnpm install failed: its output above says why')
  writeFileSync(stamp, lockfile)
}

const [command, ...given] = process.argv.slice(2)
// `npm start -- logs` is the demonstration of the logs service; a folder of that name is `./logs`.
const ofLogs = command === 'start' && given[0] === 'logs'
const args = ofLogs ? given.slice(1) : given
const demo = ofLogs ? 'apps/logs-server/src/demo.ts' : 'apps/demo/src/main.ts'
const program = { start: demo, test: 'tooling/check/src/main.ts' }[command]
if (program === undefined) {
  console.error('usage: node tooling/bootstrap.mjs start|test [arguments]')
  process.exit(2)
}
let reported = command !== 'test'
try {
  const env = await environment()
  await install(env)
  const all = command === 'test' ? ['--tests', ...args] : args
  const { code, messages } = await run('node', [program, ...all], { env, ipc: !reported })
  reported ||= messages.includes('reported')
  process.exitCode = code
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
// The checks print this line themselves; it is owed also when they could not even begin.
if (!reported) {
  process.exitCode ||= 1
  console.log('0 passed, 1 failed')
}
