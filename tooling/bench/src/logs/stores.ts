import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '@hcp/postgres'

/** A database server or folder, and new stores in it. */
export interface Stores extends AsyncDisposable {
  readonly name: 'SQLite' | 'PostgreSQL'
  /** URL of a store that holds nothing yet. */
  fresh(): Promise<string>
}

async function sqliteStores(): Promise<Stores> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-logs-'))
  let count = 0
  return {
    name: 'SQLite',
    fresh: async () => `sqlite:${join(folder, `${count++}.db`)}`,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}

/** Waits for the disk at each commit, as SQLite does here. */
async function postgresStores(): Promise<Stores> {
  const postgres = await startPostgres({
    durable: true,
    settings: { shared_buffers: '512MB', max_wal_size: '4GB' },
  })
  return {
    name: 'PostgreSQL',
    fresh: () => postgres.database(),
    [Symbol.asyncDispose]: () => postgres.stop(),
  }
}

export const allStores: readonly (() => Promise<Stores>)[] = [sqliteStores, postgresStores]
