import { startEmulator } from '@hcp/emulator'
import { expect, test } from 'vitest'
import { isFlawless, runFailover, table } from './failover.ts'

test('a program that writes and reads while the primary dies and comes back loses nothing and does nothing twice', async () => {
  await using hcp = await startEmulator({ replicaDomain: 'hcp2.test', nodes: 2 })
  const lines: string[] = []
  const report = await runFailover(hcp, { calm: 300, workers: 3, log: (line) => lines.push(line) })
  expect(isFlawless(report)).toBe(true)
  expect(report).toMatchObject({
    doubled: [],
    damaged: [],
    primary: { missing: [] },
    replica: { missing: [] },
  })
  expect(report.acknowledged).toBeGreaterThan(20)
  expect(report.states[1]).toBe('failedOver')
  expect(report.states.slice(-2)).toEqual(['returning', 'primary'])
  const [before, , during] = report.phases
  expect(before?.counts.written).toMatchObject({ replica: 0 })
  expect(during?.counts.written).toMatchObject({ primary: 0 })
  expect(during?.counts.written.replica).toBeGreaterThan(0)
  expect(table(report)).toContain(`${report.acknowledged} objects acknowledged`)
  expect(lines.join('\n')).toContain('client: primary -> failedOver')
}, 60_000)
