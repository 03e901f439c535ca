import type { ServiceLog } from '../http/context.ts'
import type { Database } from './database.ts'
import { openPostgres } from './open-postgres.ts'
import { openSqlite } from './open-sqlite.ts'

export interface OpenOptions {
  /** SQLite: threads that read, default 2. PostgreSQL: connections, default 10. */
  readonly readers?: number
  /** Milliseconds after which a query that reads is refused with 503. Default 30,000. */
  readonly readTimeout?: number
  /** Default: nothing is logged. */
  readonly log?: ServiceLog
}

/**
 * Opens a store and makes its tables or brings them up to date.
 *
 * @param url `sqlite:FILE`, `sqlite::memory:` (a new store, gone when it is closed) or `postgres://user:password@host:port/database`.
 * @throws {TypeError} It is no such URL.
 */
export async function openDatabase(
  url: string,
  { readers, readTimeout = 30_000, log }: OpenOptions = {},
): Promise<Database> {
  // What is wrong with it is told without the text itself: there may be a password in it.
  if (url.startsWith('sqlite:')) {
    const file = url.slice('sqlite:'.length)
    if (file === '')
      throw new TypeError('The URL `sqlite:` needs the path of a file, such as `sqlite:./logs.db`.')
    return openSqlite(file, { readers: readers ?? 2, readTimeout })
  }
  if (/^postgres(?:ql)?:\/\//.test(url)) {
    if (!URL.canParse(url))
      throw new TypeError(
        'The URL of the PostgreSQL database cannot be read. It has the form `postgres://user:password@host:port/database`, with special characters of user and password as `%40`.',
      )
    return openPostgres(url, { connections: readers ?? 10, readTimeout, log })
  }
  throw new TypeError('The URL of the database must begin with `sqlite:` or `postgres://`.')
}
