import type { Kysely } from 'kysely'
import type { Tables } from './schema.ts'

/** An open store. */
export interface Database extends AsyncDisposable {
  readonly dialect: 'sqlite' | 'postgres'
  /** For queries that change nothing: they wait for no writer. */
  readonly read: Kysely<Tables>
  /** For changes and transactions. On SQLite one at a time. */
  readonly write: Kysely<Tables>
  /** Names this process among those that share the store. */
  readonly holder: string
  close(): Promise<void>
}
