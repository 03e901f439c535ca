import { type Postgres, startPostgres } from '@hcp/postgres'
import type { Database } from './database.ts'
import { type OpenOptions, openDatabase } from './open-database.ts'

export const dialects = ['sqlite', 'postgres'] as const

/** New empty stores of both kinds, and one PostgreSQL for all of them. */
export class Stores implements AsyncDisposable {
  #postgres: Promise<Postgres> | undefined

  async postgres(): Promise<Postgres> {
    return (this.#postgres ??= startPostgres())
  }

  async url(dialect: (typeof dialects)[number]): Promise<string> {
    return dialect === 'sqlite' ? 'sqlite::memory:' : (await this.postgres()).database()
  }

  async open(dialect: (typeof dialects)[number], options?: OpenOptions): Promise<Database> {
    // Each reader of SQLite is a thread, which takes its time to start.
    const few = dialect === 'sqlite' ? { readers: 1 } : {}
    return openDatabase(await this.url(dialect), { ...few, ...options })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#postgres)?.stop()
  }
}
