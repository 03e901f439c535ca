import { constants } from 'node:os'
import { readCommandLine, usage, UsageError } from './command-line.ts'
import { failover, showLinks, watch } from './commands.ts'
import { Questions } from './questions.ts'
import { emulatedSystems, realSystems } from './systems.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Once: a second one ends the program at once.
  process.once(signal, () => {
    process.exitCode = 128 + constants.signals[signal]
    stop.abort()
  })
}

try {
  await run()
} catch (error) {
  if (stop.signal.aborted) console.error('Stopped.')
  else if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${usage}`)
    process.exitCode = 2
  } else {
    console.error(`FAILED: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}

async function run(): Promise<void> {
  const { signal } = stop
  const line = readCommandLine(process.argv.slice(2), process.env['HCP_PASSWORD'])
  if (line === 'help') {
    console.log(usage)
    return
  }
  const { command, link, goal, force, yes, interval, items } = line
  await using systems = await (line.systems === undefined ? emulatedSystems() : realSystems(line.systems))
  const questions = new Questions(yes, signal)
  const print = (text: string): void => console.log(text)
  const stage = { systems, print, ask: (text: string) => questions.ask(text), signal, interval }
  try {
    if (command === 'links') await showLinks(stage)
    else if (command === 'watch') await watch(stage, link, items)
    else if (!(await failover(stage, { link, goal, force }))) process.exitCode = 3
  } finally {
    questions.close()
  }
}
