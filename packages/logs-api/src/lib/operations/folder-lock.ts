import { randomUUID } from 'node:crypto'
import { open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

/**
 * Keeps a folder to one holder among the processes of this machine. Each names itself by an empty file, `lock.<process id>.<its start>.<random>`,
 * and then looks for others, so that no two can overlook each other. Files of processes that are gone count for nothing.
 */
export class FolderLock {
  readonly #file: string

  private constructor(file: string) {
    this.#file = file
  }

  /** @throws {Error} if somebody else has it. */
  static async take(folder: string): Promise<FolderLock> {
    const name = `lock.${process.pid}.${(await startOf(process.pid)) ?? 0}.${randomUUID()}`
    const file = join(folder, name)
    await (await open(file, 'wx', 0o600)).close()
    try {
      // Of several that come at the same time, the last by name stays: the others give up within this time.
      for (let looks = 1; ; looks++) {
        const others = await holders(folder, name)
        const first = others[0]
        if (first === undefined) return new FolderLock(file)
        if (looks === 20 || others.some((other) => other.name > name)) {
          throw new Error(
            `The folder ${folder} is in use by process ${first.pid}. Give each program a folder of its own, or end that process.`,
          )
        }
        await setTimeout(25)
      }
    } catch (error) {
      await rm(file, { force: true })
      throw error
    }
  }

  async release(): Promise<void> {
    await rm(this.#file, { force: true })
  }
}

interface Holder {
  readonly name: string
  readonly pid: number
}

/** All others that are alive. Removes the files of the rest. */
async function holders(folder: string, own: string): Promise<Holder[]> {
  const alive: Holder[] = []
  for (const name of await readdir(folder)) {
    const found = /^lock\.(\d+)\.(\d+)\./.exec(name)
    if (found === null || name === own) continue
    const pid = Number(found[1])
    if (await isAlive(pid, found[2] ?? '0')) alive.push({ name, pid })
    else await rm(join(folder, name), { force: true })
  }
  return alive
}

async function isAlive(pid: number, start: string): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
  // Another process may have got the same number since.
  const current = await startOf(pid)
  return current === undefined ? process.platform !== 'linux' : start === '0' || current === start
}

/** When the process began, in ticks since the machine started. Undefined: it has ended, or this is not Linux. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The name of the program comes before, and may hold anything.
  const parts = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  const state = parts?.[0]
  return state === 'Z' || state === 'X' ? undefined : parts?.[19]
}
