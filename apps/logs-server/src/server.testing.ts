import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

export interface Ready {
  readonly ready: true
  readonly url: string
  readonly metrics: string
}

/** The program, running. */
export interface Server extends AsyncDisposable {
  readonly child: ChildProcess
  readonly output: { stdout: string; stderr: string }
  /** Its one line. Rejects when it ends before. */
  ready(): Promise<Ready>
  /** Its exit code, or the signal that ended it. */
  ended(): Promise<number | NodeJS.Signals>
  /** Resolves when standard error has this. */
  says(text: string): Promise<void>
}

export function startServer(
  args: readonly string[],
  program: string = main,
  environment: Readonly<Record<string, string>> = {},
): Server {
  const env = { ...process.env, ...environment }
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += String(chunk)))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += String(chunk)))
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) {
      const more = Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data')])
      const over = await Promise.race([more.then(() => false), closed.then(() => true)])
      if (over && !holds()) throw new Error(`the program has ended: ${JSON.stringify(output)}`)
    }
  }
  const ended = async (): Promise<number | NodeJS.Signals> => {
    const [code, signal] = await closed
    return code ?? signal!
  }
  return {
    child,
    output,
    ready: async () => {
      await until(() => output.stdout.includes('\n'))
      return JSON.parse(output.stdout) as Ready
    },
    says: (text: string) => until(() => output.stderr.includes(text)),
    ended,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await closed
    },
  }
}
