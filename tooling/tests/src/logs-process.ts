import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { ServiceParameters } from './logs-service.ts'

/** The logs service in a process of its own. */
export interface LogsProcess extends AsyncDisposable {
  readonly url: string
  /** Origin of the metrics' port. */
  readonly metrics: string
  /** By role: `admin`, `system`, `user`, `nobody`. */
  readonly tokens: Readonly<Record<string, string>>
  /** Ends it at once, without a chance to clean up. */
  kill(): Promise<void>
}

/** Its end by disposal must be a good one. */
export async function startLogsService(parameters: ServiceParameters): Promise<LogsProcess> {
  const program = fileURLToPath(new URL('logs-service.ts', import.meta.url))
  const child = spawn(process.execPath, [program, JSON.stringify(parameters)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (piece: Buffer) => (errors = (errors + piece.toString()).slice(-20_000)))
  const ended = once(child, 'exit') as Promise<[number | null]>
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), ended])) as [unknown]
  if (typeof line !== 'string') throw new Error(`the service ended with ${String(line)}:\n${errors}`)
  return {
    ...(JSON.parse(line) as Pick<LogsProcess, 'url' | 'metrics' | 'tokens'>),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    async [Symbol.asyncDispose]() {
      child.kill()
      const [code] = await ended
      if (code !== 0) throw new Error(`the service ended with ${code}:\n${errors}`)
    },
  }
}
