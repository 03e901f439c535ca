import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { Logs } from '@hcp/mapi-logs'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { describeSelection, select } from './selection.ts'
import { Shell } from './shell.ts'

// Some start the program, which takes its time.
vi.setConfig({ testTimeout: 120_000 })

const main = fileURLToPath(new URL('main.ts', import.meta.url))

interface Session {
  readonly code: number | null
  readonly output: string
}

/**
 * Runs the shell to its end.
 *
 * @param script What is typed at once; the input stays open while `onOutput` is there, and ends with what that returns as text.
 */
function run(
  args: readonly string[],
  script: readonly string[],
  onOutput?: (output: string, type: (line: string) => void, interrupt: () => void) => void,
  env: NodeJS.ProcessEnv = { HCP_PASSWORD: 's01' },
): Promise<Session> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--no-warnings', main, ...args], {
      env: { ...process.env, ...env },
    })
    let output = ''
    const type = (line: string): void => void child.stdin.write(`${line}\n`)
    const see = (chunk: Buffer): void => {
      output += chunk.toString()
      onOutput?.(output, type, () => child.kill('SIGINT'))
    }
    child.stdout.on('data', see)
    child.stderr.on('data', see)
    child.on('close', (code) => resolve({ code, output }))
    for (const line of script) type(line)
    if (onOutput === undefined) child.stdin.end()
  })
}

interface Typing {
  /** Types a line and waits for what the shell says to it. */
  readonly line: (line: string, answer: string) => Promise<void>
  readonly end: () => Promise<{ readonly failures: number; readonly output: string }>
}

/** The same without a program around it. */
function begin(lines: readonly string[] = []): Typing {
  const input = new PassThrough()
  const output = new PassThrough({ encoding: 'utf8' })
  const logs = new Logs(target())
  const shell = new Shell(logs, { input, output, terminal: false, folder, interval: 20 })
  let said = ''
  output.on('data', (text: string) => (said += text))
  const running = shell.run()
  for (const line of lines) input.write(`${line}\n`)
  return {
    line: async (line, answer) => {
      said = ''
      input.write(`${line}\n`)
      await expect.poll(() => said, { interval: 5, timeout: 10_000 }).toContain(answer)
    },
    end: async () => {
      input.end()
      const failures = await running
      await logs.close()
      return { failures, output: said }
    },
  }
}

const type = (lines: readonly string[]): ReturnType<Typing['end']> => begin(lines).end()

let folder: string
let hcp: Emulator
let others: Logs
let real: readonly string[]

const target = (): Target =>
  new Target('admin.hcp1.test', {
    authorization: new NativeAuthorization('sysadmin', 's01'),
    port: hcp.ports.mapi,
    nameServers: [hcp.dns],
    tls: { ca: hcp.ca },
  })

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'log-shell-'))
  hcp = await startEmulator({ choices: { logPreparationMs: 100 } })
  hcp.seedLogs({ bytes: 3_000_000 })
  others = new Logs(target())
  const system = ['--host', 'admin.hcp1.test', '--user', 'sysadmin', '--port', String(hcp.ports.mapi)]
  const reached = ['--ca', hcp.ready.caFile, '--nameserver', hcp.dns]
  real = [...system, ...reached, '--folder', folder, '--interval', '20']
})
afterEach(async () => {
  await others.close()
  await hcp[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

test('a script goes through all of it on a system that is named', async () => {
  const monthAgo = new Date(Date.now() - 30 * 86_400_000).toISOString().slice(0, 10)
  const { code, output } = await run(real, [
    '# a remark',
    'help',
    'status',
    `from ${monthAgo}`,
    'types access, sys',
    'what',
    'mark before the maintenance',
    'prepare',
    'wait',
    'download',
    'cancel',
    'status',
    'quit',
    'never reached',
  ])
  expect(code, output).toBe(0)
  for (const said of [
    'HCP has no log job.',
    `from    ${monthAgo}`,
    'types   access, system',
    'Marked.',
    'Ready to download: access, system, service, application.',
    'bytes, whole.',
  ])
    expect(output).toContain(said)
  expect(output).not.toContain('never reached')
  const [file, ...more] = await readdir(folder)
  expect([file, more]).toEqual([expect.stringMatching(/^HCPLogs-hcp1\.test-acc-sys-.*\.zip$/), []])

  const listed = await type([`list ${join(folder, file ?? '')}`])
  expect(listed.output).toMatch(/node \d+, [\d.]+: HCPLogs/)
  expect(listed.output).toMatch(/[1-9]\d* requests in its request logs\./)
})

test('Ctrl-C during a download ends it, leaves no file, and frees the job for others', async () => {
  hcp.addFault({ kind: 'throttle', bytesPerSecond: 200_000, path: '/mapi/logs/download' })
  const monthAgo = new Date(Date.now() - 30 * 86_400_000).toISOString().slice(0, 10)
  const steps = { interrupted: false, asked: false }
  const { output } = await run(
    real,
    [`from ${monthAgo}`, 'prepare', 'wait', 'download'],
    (seen, type, interrupt) => {
      if (!steps.interrupted && seen.includes('downloading')) {
        steps.interrupted = true
        interrupt()
      }
      // The shell goes on.
      if (!steps.asked && seen.includes('has been cancelled (interrupted)')) {
        steps.asked = true
        type('status')
        type('quit')
      }
    },
  )
  expect(output).toMatch(
    /Interrupted\.\nThe job that was started here has been cancelled \(interrupted\)\.\nHCP has no log job\./,
  )
  expect((await others.status()).state).toBe('idle')
  await others.prepare()
  expect(await readdir(folder)).toEqual([])
})

test('a job of somebody else is neither taken nor ended', async () => {
  await others.prepare()
  const { failures, output } = await type(['prepare', 'collect', 'clean', 'quit'])
  expect(failures).toBe(2)
  expect(output.match(/Failed: HCP has a log job already/g)).toHaveLength(2)
  expect((await others.status()).state).not.toBe('idle')
})

test('at its end it frees a job that was started here', async () => {
  const { output } = await type(['prepare'])
  expect(output).toContain('has been cancelled (quit)')
  expect((await others.status()).state).toBe('idle')
})

test.each([
  ['status', 'HCP has no log job.'],
  ['wait', 'Failed: '],
  ['download', 'Failed: '],
  ['collect', 'bytes, whole.'],
])('a job that came after ours is not ended, if %s has shown that ours is gone', async (command, answer) => {
  const typing = begin()
  await typing.line('prepare', 'is preparing')
  await others.cancel()
  await typing.line(command, answer)
  await others.prepare()
  const { output } = await typing.end()
  expect(output).not.toContain('has been cancelled')
  expect((await others.status()).state).not.toBe('idle')
})

test('without a system it starts one', async () => {
  const { code, output } = await run(['--folder', folder, '--interval', '20'], ['collect'])
  expect(code, output).toBe(0)
  expect(await readdir(folder)).toHaveLength(1)
})

test('what cannot be worked with is said', async () => {
  const named = ['--host', 'admin.hcp1.test', '--user', 'sysadmin']
  const [port, noPassword] = await Promise.all([
    run(['--port', 'x'], []),
    run(named, [], undefined, { HCP_PASSWORD: '' }),
  ])
  expect(port).toMatchObject({ code: 2 })
  expect(noPassword).toMatchObject({ code: 2, output: expect.stringContaining('HCP_PASSWORD') as string })
  const { failures, output } = await type([
    'from yesterday',
    'types some',
    'nodes a',
    'download',
    'list nowhere',
    'jump',
  ])
  expect(failures).toBe(6)
  expect(output.match(/^Failed: /gm)).toHaveLength(5)
  expect(output).toContain('There is no command "jump"')
})

test('the selection changes by what is typed', () => {
  let selection = select({}, 'nodes', '101, 103')
  selection = select(selection, 'snodes', 'S10-1 S10-2')
  selection = select(selection, 'content', 'app')
  expect(selection).toEqual({ nodes: ['101', '103'], snodes: ['S10-1', 'S10-2'], content: ['APPLICATION'] })
  expect(describeSelection(select(selection, 'nodes', 'none'))).toContain('nodes   none')
  expect(select(select(select(selection, 'nodes', 'all'), 'snodes', 'none'), 'content', 'all')).toEqual({})
})
