import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A program in a process of its own, and the line of JSON it printed. */
export interface Child extends AsyncDisposable {
  readonly line: unknown
}

/**
 * Starts a TypeScript program with this Node and waits for its first line.
 *
 * @throws {Error} The program ended without having printed one.
 */
export async function startChild(program: string | URL, ...parameters: readonly string[]): Promise<Child> {
  const path = fileURLToPath(program)
  const child = spawn(process.execPath, [path, ...parameters], { stdio: ['ignore', 'pipe', 'inherit'] })
  const kill = (): void => void child.kill()
  process.once('exit', kill)
  const ended = once(child, 'exit')
  const lines = createInterface(child.stdout)
  const first = await Promise.race([once(lines, 'line'), ended])
  if (typeof first[0] !== 'string') {
    process.off('exit', kill)
    throw new Error(`${path} ended with ${first[0] ?? first[1]} before it was ready`)
  }
  return {
    line: JSON.parse(first[0]),
    async [Symbol.asyncDispose]() {
      kill()
      await ended
      process.off('exit', kill)
    },
  }
}

export interface BareServer extends AsyncDisposable {
  readonly port: number
}

export async function startBareServer(): Promise<BareServer> {
  const child = await startChild(new URL('server.ts', import.meta.url))
  return { ...(child.line as { port: number }), [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() }
}
