import { parseArgs } from 'node:util'
import { startEmulator } from '@hcp/emulator'
import { isFlawless, runFailover, table } from './failover.ts'

const usage = `usage: node apps/failover/src/main.ts [--calm MS] [--workers N]

Starts two HCP systems on loopback, writes to them and reads without pause while the first one dies, is failed over, comes
back and is failed back; then looks for every object on both.

  --calm MS     how long each phase lasts, default 1500
  --workers N   writers and readers at a time, default 4
`

const { values } = parseArgs({
  options: { calm: { type: 'string' }, workers: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
})
const [calm, workers] = [values.calm ?? '1500', values.workers ?? '4'].map(Number) as [number, number]
if (values.help === true) console.log(usage)
else if (![calm, workers].every((number) => Number.isInteger(number) && number > 0)) {
  console.error(`--calm and --workers take whole numbers above 0\n\n${usage}`)
  process.exitCode = 2
} else {
  await using hcp = await startEmulator({ replicaDomain: 'hcp2.test' })
  const report = await runFailover(hcp, { calm, workers, log: (line) => console.log(line) })
  console.log(`\n${table(report)}`)
  if (!isFlawless(report)) process.exitCode = 1
}
