import { expect, test } from 'vitest'
import { count } from './unit-tests.ts'

const report = (
  passed: number,
  failed: number,
  ...files: { status: string; assertionResults: { status: string }[] }[]
) => ({
  numPassedTests: passed,
  numFailedTests: failed,
  testResults: files,
})
const broken = { status: 'failed', assertionResults: [] }
const failing = { status: 'failed', assertionResults: [{ status: 'passed' }, { status: 'failed' }] }

test.for([
  ['all tests passed', report(5, 0), true, { passed: 5, failed: 0 }],
  ['a test failed', report(4, 1, failing), false, { passed: 4, failed: 1 }],
  ['a file could not be loaded', report(4, 0, broken), false, { passed: 4, failed: 1 }],
  ['something failed outside the tests', report(5, 0), false, { passed: 5, failed: 1 }],
  ['no test was found', report(0, 0), true, { passed: 0, failed: 1 }],
  ['there is no report', undefined, true, { passed: 0, failed: 1 }],
] as const)('counts a run where %s', ([, given, exitedWell, expected]) => {
  expect(count(given, exitedWell)).toEqual(expected)
})
