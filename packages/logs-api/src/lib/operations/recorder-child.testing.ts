import { HttpSink } from './http-sink.ts'
import { OperationRecorder } from './recorder.ts'

// A program of its own for tests: begins an operation, says so, and works until it is killed.
const [folder = '', url = '', token = ''] = process.argv.slice(2)
const sink = new HttpSink({ url, token })
const recorder = await OperationRecorder.open({ sink, folder, patience: 500, onWarning: () => {} })
await recorder.record({ operation_type: 'failover', plan_id: 'plan' }, async (log) => {
  console.log(log.id)
  await new Promise((resolve) => setInterval(resolve, 60_000))
})
