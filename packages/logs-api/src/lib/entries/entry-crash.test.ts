import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '@hcp/postgres'
import { expect, test } from 'vitest'
import { openDatabase } from '../store/open-database.ts'
import { dialects } from '../store/stores.testing.ts'
import { entryStore } from './entry-store.testing.ts'
import { parseWords } from './words.ts'

const program = fileURLToPath(new URL('entry-crash.testing.ts', import.meta.url))

/** Ids of the entries that a process acknowledged before it was killed under load. */
async function killedUnderLoad(url: string): Promise<string[]> {
  const child = spawn(process.execPath, [program, url], { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(child, 'close')
  const acknowledged: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(line)
    if (acknowledged.length === 400) child.kill('SIGKILL')
  }
  await gone
  // The last line may have been cut.
  return acknowledged.filter((line) => line.length === 32)
}

test.each(dialects)(
  'on %s all that was acknowledged is there, once, after the process was killed',
  async (dialect) => {
    const folder = await mkdtemp(join(tmpdir(), 'hcp-logs-crash-'))
    await using postgres = dialect === 'postgres' ? await startPostgres({ durable: true }) : undefined
    try {
      const url = (await postgres?.database()) ?? `sqlite:${join(folder, 'logs.db')}`
      const acknowledged = await killedUnderLoad(url)
      acknowledged.push(...(await killedUnderLoad(url)))
      if (postgres !== undefined) {
        // The server as well.
        await postgres.kill()
        await postgres.start()
      }
      await using database = await openDatabase(url)
      const { entries } = entryStore(database)
      const found = await Array.fromAsync(entries.read({}, { order: 'asc', data: true }))
      const ids = new Set(found.map(({ log_id }) => log_id))
      expect(ids.size).toBe(found.length)
      expect(new Set(acknowledged).size).toBe(acknowledged.length)
      expect(acknowledged.length).toBeGreaterThanOrEqual(800)
      expect(acknowledged.filter((id) => !ids.has(id))).toEqual([])
      // The words of each are there too, and none without its entry.
      const byWord = await Array.fromAsync(
        entries.read({ words: parseWords('crash') }, { order: 'asc', data: false }),
      )
      expect(byWord.map(({ log_id }) => log_id)).toEqual(found.map(({ log_id }) => log_id))
      // Three that were given together are there together.
      const triples = Map.groupBy(found, ({ data }) => data)
      for (const [data, same] of triples) {
        const count = Number(data?.split(' ')[2])
        expect(same.length % (count % 4 === 0 ? 3 : 1)).toBe(0)
      }
      await entries.add({ dataset_id: 'd', task_id: null, name: 'log', data: 'goes on' })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
  60_000,
)
