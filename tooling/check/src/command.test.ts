import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { command, CommandError } from './command.ts'

const cwd = tmpdir()
const node = (code: string, options: object = {}): Promise<string> =>
  command(cwd, process.execPath, ['-e', code], { cwd, ...options })

test('answers with what the command wrote to stdout', async () => {
  expect(await node("console.error('aside'); console.log('answer')")).toBe('answer\n')
})

test('an exit code other than 0 is an error with all that was written', async () => {
  const failure = node("console.log('one'); console.error('two'); process.exitCode = 3")
  await expect(failure).rejects.toThrow(CommandError)
  await expect(failure).rejects.toThrow(/ended with 3\n(?=[^]*one)(?=[^]*two)/)
})

test('a command that takes too long is ended, and has failed', async () => {
  await expect(node('setInterval(() => {}, 1_000)', { timeout: 300 })).rejects.toThrow(/ended with SIGTERM/)
})

test('a command that is not there is an error that names it', async () => {
  await expect(command(cwd, 'no-such-command', [], { cwd })).rejects.toThrow(/no-such-command/)
})
