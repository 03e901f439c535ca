#!/usr/bin/env node
import { readCommandLine } from './command-line.ts'
import { readConfig, secretsOf } from './config.ts'
import { createLog } from './log.ts'
import { usage, UsageError } from './usage.ts'

try {
  process.exitCode = await run()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`hcp-logs-server: ${error.message}\n\n${usage}`)
  process.exitCode = 2
}

async function run(): Promise<number> {
  const command = readCommandLine(process.argv.slice(2))
  if (command.help) {
    console.log(usage)
    return 0
  }
  const config = await readConfig(command.config, command.database)
  const log = createLog(secretsOf(config))
  const failed = (error: unknown, what: string): void => {
    const { message, code } = error as { message?: string; code?: string }
    log.fatal({ error: message ?? String(error), ...(code === undefined ? {} : { code }) }, what)
  }
  process.on('uncaughtException', (error) => {
    failed(error, 'A fault in the program: it ends.')
    process.exit(1)
  })
  try {
    // Only now: they are most of the program, and wrong command lines are told of at once.
    if (command.citus) await (await import('./citus.ts')).distribute(config, log)
    else await (await import('./serve.ts')).serve(config, command, log)
    return 0
  } catch (error) {
    if (error instanceof UsageError) throw error
    failed(error, command.citus ? 'The tables could not be distributed.' : 'The service could not start.')
    return 1
  }
}
