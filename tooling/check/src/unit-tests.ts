import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { command, CommandError } from './command.ts'

/** Milliseconds for all tests together: one that hangs must not keep the count from being printed. */
const limit = 20 * 60_000

/** How many tests passed and failed. */
export interface Counts {
  readonly passed: number
  readonly failed: number
}

/** The part of vitest's JSON report that is read here. */
interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly assertionResults: readonly { status: string }[]
  }[]
}

/** Runs every test of the workspace, output as it comes. */
export async function runTests(root: string, folder: string): Promise<Counts> {
  const file = join(folder, 'vitest.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  let exitedWell = true
  try {
    // Tests start programs by the hundred: what one has compiled, the next need not.
    const env = { NODE_COMPILE_CACHE: join(folder, 'compiled') }
    await command(root, 'vitest', ['run', ...reporters], { cwd: root, env, live: true, timeout: limit })
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    exitedWell = false
  }
  return count(
    existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as VitestReport) : undefined,
    exitedWell,
  )
}

/**
 * Counts a report. A file that fails outside its tests counts as one; so does a run that fails outside its files, and one
 * without any test.
 */
export function count(report: VitestReport | undefined, exitedWell: boolean): Counts {
  const { numPassedTests: passed = 0, numFailedTests = 0, testResults = [] } = report ?? {}
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
  )
  const failed = numFailedTests + brokenFiles.length
  const nothing = !exitedWell || passed === 0
  return { passed, failed: failed === 0 && nothing ? 1 : failed }
}
