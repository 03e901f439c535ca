import { expect, test } from 'vitest'
import { CommandError } from './command.ts'
import { problems, Report, type Step } from './report.ts'

const passing: Step = { name: 'passing', run: () => Promise.resolve() }
const failing: Step = {
  name: 'failing',
  run: () => Promise.reject(new CommandError('tool: ended with 1\nits output')),
}

test('counts each step, and goes on after one that fails', async () => {
  const report = new Report(() => {})
  expect(await report.run([failing, passing, problems('finding', () => ['a', 'b'])])).toBe(false)
  expect(report.summary).toBe('1 passed, 2 failed')
})

test('steps that find nothing pass, also after others have failed', async () => {
  const report = new Report(() => {})
  await report.run([failing])
  expect(await report.run([problems('finding', () => [])])).toBe(true)
})

test('prints the whole output of a step that fails, and a line alone for one that passes', async () => {
  const lines: string[] = []
  await new Report((line) => lines.push(line)).run([passing, failing], 1)
  expect(lines).toEqual([
    expect.stringMatching(/^ok {6}passing \(\d+\.\d s\)$/),
    expect.stringMatching(/^failed {2}failing \(\d+\.\d s\)\n {8}tool: ended with 1\n {8}its output$/),
  ])
})

test('steps that could not run count as failed', () => {
  const report = new Report(() => {})
  report.skip([passing, passing], 'no time')
  expect(report.summary).toBe('0 passed, 2 failed')
})

test('runs as many steps at a time as it is told', async () => {
  let running = 0
  const seen: number[] = []
  const step: Step = {
    name: 'step',
    async run() {
      seen.push((running += 1))
      await Promise.resolve()
      running -= 1
    },
  }
  await new Report(() => {}).run([step, step, step, step], 2)
  expect(Math.max(...seen)).toBe(2)
})
