import type { Kysely } from 'kysely'
import type { Tables } from './schema.ts'

export type Dialect = 'sqlite' | 'postgres'

/** An open store. */
export interface Database extends AsyncDisposable {
  readonly dialect: Dialect
  /** For queries that change nothing: they wait for no writer. A query that takes too long is refused with 503. */
  readonly read: Kysely<Tables>
  /** For changes and transactions. On SQLite one at a time. */
  readonly write: Kysely<Tables>
  /** Names this process among those that share the store. */
  readonly holder: string
  /**
   * Inserts many rows by one message to the database: the way for large batches. Gives the number of rows that were inserted.
   *
   * @param trx `write`, or a transaction of it.
   */
  insertMany(trx: Kysely<Tables>, batch: RowBatch): Promise<number>
  close(): Promise<void>
}

/** Rows of one table. */
export interface RowBatch {
  /** `entry_words` (`rowid`, `words`) is on SQLite only. */
  readonly table: keyof Tables | 'entry_words'
  /** `seq` of `entries` is on SQLite only, `words` of `entries` on PostgreSQL only: the text of a `tsvector`. */
  readonly columns: readonly string[]
  /** Values in the order of the columns. */
  readonly rows: readonly (readonly (string | number | null)[])[]
  /** Leaves out rows whose key is there already. Default: that is an error. */
  readonly ignoreKnown?: boolean
}
