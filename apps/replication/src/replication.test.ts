import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readCommandLine } from './command-line.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the program to its end. */
function run(
  args: readonly string[],
  input?: string,
  onOutput?: (stdout: string) => boolean,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, ...args], (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr })
    })
    child.stdin?.end(input ?? '')
    let seen = ''
    child.stdout?.on('data', (chunk: string) => {
      seen += chunk
      if (onOutput?.(seen) === true && !child.killed) child.kill('SIGINT')
    })
  })
}

describe('the program', () => {
  test('shows the links of two emulated systems', async () => {
    const { code, stdout, stderr } = await run([])
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toContain('admin.hcp2.test has one link.')
    expect(stdout).toMatch(/^hcp1-hcp2 {2}ACTIVE_ACTIVE {2}GOOD: Synchronizing data \(replicating\)$/m)
    expect(stdout).toContain('admin.hcp1.test says: GOOD: Synchronizing data')
  })
  test('leads over and back, with the other system switched off and on', async () => {
    const { code, stdout, stderr } = await run(['failover', '--yes', '--interval', '0.1'])
    expect(stderr).toBe('')
    expect(code, stdout).toBe(0)
    const told = [
      'admin.hcp1.test is switched off.',
      'done: Fail over to',
      'switched on again',
      'done: Fail back',
      'done: Wait until the link replicates as before (GOOD: Synchronizing data)',
    ]
    let place = 0
    for (const line of told) {
      expect(stdout.indexOf(line, place), line).toBeGreaterThan(-1)
      place = stdout.indexOf(line, place)
    }
  })
  test('does nothing without a yes', async () => {
    for (const input of ['n\n', '']) {
      const { code, stdout } = await run(['failover', '--interval', '0.1'], input)
      expect(code).toBe(3)
      expect(stdout).toContain('Stopped before: Fail over to admin.hcp2.test')
      expect(stdout).not.toContain('done:')
    }
  })
  test('goes only as far as is said yes', async () => {
    const { code, stdout } = await run(['failover', '--interval', '0.1'], 'y\nno\n')
    expect(code).toBe(3)
    expect(stdout).toContain('done: Fail over')
    expect(stdout).toContain('Stopped before: Fail back')
  })
  test('does not fail over while the other system works', async () => {
    const { code, stderr } = await run(['failover', '--goal', 'failOver', '--yes'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^FAILED: The link "hcp1-hcp2" should not be failed over .* still answers/)
  })
  test('watches until Ctrl-C', async () => {
    const { code, stdout, stderr } = await run(['watch', '--interval', '0.1'], '', (seen) =>
      seen.includes('GOOD'),
    )
    expect([code, stderr]).toEqual([130, ''])
    expect(stdout).toMatch(/Watching hcp1-hcp2.*\n.*GOOD: Synchronizing data\n/)
  })
  test('says what is wrong with its arguments', async () => {
    const { code, stderr } = await run(['shout'])
    expect(code).toBe(2)
    expect(stderr).toContain("There is no command 'shout'.")
    expect(stderr).toContain('usage:')
  })
})

test.each([
  [['watch', 'a', 'b'], 'Name one link at most.'],
  [['--goal', 'x'], '--goal is failOver'],
  [['--interval', '0'], '--interval takes a number'],
  [['--items', '1e3'], '--items takes a number from 1 up'],
  [['--system', 'admin.x.test'], 'HCP_PASSWORD'],
  [['--other', 'admin.x.test'], '--other needs --system.'],
  [['--what'], '--what'],
])('arguments that cannot be worked with: %j', (args, message) => {
  expect(() => readCommandLine(args, undefined)).toThrow(message)
})
