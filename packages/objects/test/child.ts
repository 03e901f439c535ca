import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Emulator } from '@hcp/emulator'

const script = fileURLToPath(new URL('transfer-child.ts', import.meta.url))

/**
 * Runs a transfer in a process of its own.
 *
 * @param killWhen Kill it, with no chance to clean up, at the first line for which this holds.
 * @param fileSize Blocks of 512 bytes: no file it writes may be longer.
 * @returns Its last line, or `undefined` if it was killed.
 */
export async function transferInChild(
  hcp: Emulator,
  work: Readonly<Record<string, unknown>>,
  {
    killWhen,
    fileSize,
  }: { readonly killWhen?: (line: string, count: number) => boolean; readonly fileSize?: number } = {},
): Promise<Record<string, unknown> | undefined> {
  const facts = { domain: hcp.domain, addresses: [...hcp.nodes], port: hcp.ports.http, ...work }
  const limit = fileSize === undefined ? '' : `ulimit -f ${fileSize}; `
  const child: ChildProcess = spawn(
    'sh',
    ['-c', `${limit}exec "$0" --no-warnings "$1" "$2"`, process.execPath, script, JSON.stringify(facts)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const ended = once(child, 'exit')
  let lines = 0
  let last = ''
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    last = line
    if (killWhen?.(line, ++lines) === true) child.kill('SIGKILL')
  }
  const [, signal] = (await ended) as [number | null, string | null]
  return signal === null ? (JSON.parse(last) as Record<string, unknown>) : undefined
}
