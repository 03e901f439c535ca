import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Emulator } from '@hcp/emulator'
import type { CollectWork } from './collect-child.testing.ts'
import type { CollectedLogs } from './collect.ts'

export interface ChildProgress {
  readonly phase: string
  readonly bytes: number
}

export interface ChildOutcome {
  readonly result?: CollectedLogs
  /** Bytes of memory at its most. */
  readonly peak?: number
  readonly error?: string
}

/** Collects logs in a process of its own. @returns `undefined` if it was killed. */
export async function collectInChild(
  hcp: Emulator,
  folder: string,
  days: number,
  killWhen: (progress: ChildProgress) => boolean = () => false,
): Promise<ChildOutcome | undefined> {
  const work: CollectWork = { port: hcp.ports.mapi, dns: hcp.dns, ca: hcp.ca, folder, days }
  const program = fileURLToPath(new URL('collect-child.testing.ts', import.meta.url))
  // What a later child reads has been compiled by an earlier one that ended, as what users install has been.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, '..', 'compiled') }
  const child = spawn(process.execPath, ['--no-warnings', program, JSON.stringify(work)], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let outcome: ChildOutcome | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as ChildOutcome & Partial<ChildProgress>
    if (said.phase === undefined) outcome = said
    else if (killWhen(said as ChildProgress)) child.kill('SIGKILL')
  }
  return outcome
}
