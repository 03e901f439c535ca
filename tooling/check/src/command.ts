import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'

/** What a command needs besides its arguments. */
export interface CommandOptions {
  /** Folder to run in. */
  readonly cwd: string
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Show output as it comes, instead of keeping it for the error. Default false. */
  readonly live?: boolean
  /** Milliseconds after which the command is ended and has failed. Default 300,000. */
  readonly timeout?: number
}

/** A command that did not exit with 0; the message has its whole output. */
export class CommandError extends Error {
  override name = 'CommandError'
}

/**
 * Runs a command with the tools of the workspace's `node_modules/.bin` on its path.
 *
 * @returns What it wrote to stdout.
 * @throws {CommandError} If it could not start, was ended by a signal, or exited with another code than 0.
 */
export function command(
  root: string,
  name: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<string> {
  const { cwd, env = {}, live = false, timeout = 300_000 } = options
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const plain = live && process.stdout.isTTY ? {} : { NO_COLOR: '1' }
  const path = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env['PATH']}`
  const child = spawn(name, args, {
    cwd,
    env: {
      ...process.env,
      TURBO_TELEMETRY_DISABLED: '1',
      NO_UPDATE_NOTIFIER: '1',
      ...plain,
      ...env,
      PATH: path,
    },
    stdio: ['ignore', live ? 'inherit' : 'pipe', live ? 'inherit' : 'pipe'],
    timeout,
  })
  let stdout = ''
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    output += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.on('error', (error) => reject(new CommandError(`${name}: ${error.message}`, { cause: error })))
  child.on('close', (code, signal) => {
    if (code === 0) resolve(stdout)
    else
      reject(
        new CommandError(`${[name, ...args].join(' ')}: ended with ${code ?? signal}\n${output.trimEnd()}`),
      )
  })
  return promise
}
