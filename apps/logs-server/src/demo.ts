import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { dataset, exportLogs, failingTask, failover, task } from './demo-scenes.ts'
import { setStage, type Stage } from './demo-stage.ts'

const usage = `usage: npm start -- logs [--once]

Shows the logs service: two HCP systems and the service start on loopback; logs of a failing task, a replication
failover and an export of HCP's own logs go in, and are read back and checked. It then runs until Ctrl-C, to try.

  --once       end after the checks
  -h, --help   show this
`

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // Once: a second one ends the program at once.
  process.once(signal, () => stop.abort(new Error('stopped')))
}

const options = readArguments()
if (options !== undefined) {
  try {
    process.exitCode = (await demonstrate(options.once)) ? 0 : 1
  } catch (error) {
    if (stop.signal.aborted) console.error('\nStopped early; nothing is left behind.')
    else console.error('FAILED:', error)
    process.exitCode = 1
  }
}

async function demonstrate(ends: boolean): Promise<boolean> {
  await using stage = await setStage(stop.signal, (line) => console.log(line))
  for (const scene of [failingTask, failover, exportLogs]) {
    stop.signal.throwIfAborted()
    await scene(stage)
  }
  const { count, failed } = stage.checks
  console.log(
    `\n${failed.length === 0 ? 'PASSED' : 'FAILED'}: ${count - failed.length} of ${count} checks hold.`,
  )
  if (!ends) await invite(stage)
  return failed.length === 0
}

/** Leaves everything running for whoever wants to try it. */
async function invite({ url, metrics, token }: Stage): Promise<void> {
  const header = '-H "Authorization: Bearer $TOKEN"'
  console.log(`
Try it:

  TOKEN=${token}
  curl ${header} '${url}/datasets/${dataset}/tasks/${task}/logs?group=true&keys=name|timestamp'
  curl ${header} '${url}/v2/logs?q=quota&limit=10'
  curl -N ${header} '${url}/v2/logs/tail'    # and in another shell: curl ${header} -d '{"data":"hello"}' ${url}/logs

Metrics: ${metrics}
Ctrl-C ends it, and leaves nothing behind.`)
  if (!stop.signal.aborted) await once(stop.signal, 'abort')
}

function readArguments(): { readonly once: boolean } | undefined {
  try {
    const { values } = parseArgs({
      options: { once: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    })
    if (values.help !== true) return { once: values.once ?? false }
    console.log(usage)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`)
    process.exitCode = 2
  }
  return undefined
}
