import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { Refusal } from '../http/refusal.ts'
import type { SqliteResult, SqliteValue } from './sqlite-server.ts'
import { SqliteError, type SqliteQuery, SqliteThread } from './sqlite-thread.ts'

export interface SqliteThreads {
  readonly file: string
  readonly readOnly: boolean
  /** How many. Writers: one. */
  readonly threads: number
  /** Milliseconds that a query may take. Undefined: as long as it needs. */
  readonly timeout?: number | undefined
}

/** Kysely on SQLite files that are opened in worker threads. */
export function sqliteDialect(threads: SqliteThreads): Dialect {
  return {
    createAdapter: () => new ThreadsAdapter(threads.threads > 1),
    createDriver: () => new ThreadsDriver(threads),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

/** A query that runs once for each row. */
export function manyRows(sql: string, rows: readonly (readonly SqliteValue[])[]): CompiledQuery {
  return CompiledQuery.raw(sql, [new ManyRows(rows)])
}

class ManyRows {
  readonly rows: readonly (readonly SqliteValue[])[]
  constructor(rows: readonly (readonly SqliteValue[])[]) {
    this.rows = rows
  }
}

class ThreadsAdapter extends SqliteAdapter {
  readonly #several: boolean
  constructor(several: boolean) {
    super()
    this.#several = several
  }

  override get supportsMultipleConnections(): boolean {
    return this.#several
  }

  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

/** Threads that were told to end and still compute, at most; beyond it queries are refused. */
const mostEnding = 4

class ThreadsDriver implements Driver {
  readonly #settings: SqliteThreads
  readonly #free: ThreadConnection[] = []
  readonly #waiting: ((connection: ThreadConnection) => void)[] = []
  #all: ThreadConnection[] = []
  #ending = 0

  constructor(settings: SqliteThreads) {
    this.#settings = settings
  }

  async init(): Promise<void> {
    this.#all = Array.from({ length: this.#settings.threads }, () => new ThreadConnection(this.#settings))
    this.#free.push(...this.#all)
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const connection =
      this.#free.pop() ?? (await new Promise<ThreadConnection>((resolve) => this.#waiting.push(resolve)))
    const dead = connection.renew(this.#ending < mostEnding)
    if (dead === 'refused') {
      this.#give(connection)
      throw tooSlow('The store is still busy with earlier queries that took too long.')
    }
    if (dead !== undefined) {
      this.#ending += 1
      void dead.ended.then(() => (this.#ending -= 1))
    }
    return connection
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(this.#settings.readOnly ? 'begin' : 'begin immediate'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(CompiledQuery.raw('rollback'))
    } catch (error) {
      // After some failures, such as a full disk, SQLite has done it by itself. The failure itself is told, not this.
      if (!(error instanceof SqliteError && error.message.includes('no transaction is active'))) throw error
    }
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    this.#give(connection as ThreadConnection)
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#all.map((connection) => connection.close()))
  }

  #give(connection: ThreadConnection): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(connection)
    else next(connection)
  }
}

class ThreadConnection implements DatabaseConnection {
  readonly #settings: SqliteThreads
  #thread: SqliteThread

  constructor(settings: SqliteThreads) {
    this.#settings = settings
    this.#thread = new SqliteThread(settings)
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { sql, parameters } = query
    const [first] = parameters
    const { columns, rows, changes } = await this.#inTime(
      first instanceof ManyRows
        ? { sql, rows: first.rows }
        : { sql, values: parameters as readonly SqliteValue[] },
    )
    return {
      numAffectedRows: BigInt(changes),
      rows: rows.map((row) => asObject(columns, row) as Row),
    }
  }

  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    yield await this.executeQuery<Row>(query)
  }

  /** Starts a new thread where the old one has ended, or is ending: then gives that. */
  renew(allowed: boolean): SqliteThread | 'refused' | undefined {
    const dead = this.#thread
    if (dead.failure === undefined) return undefined
    if (!allowed) return 'refused'
    this.#thread = new SqliteThread(this.#settings)
    return dead
  }

  async close(): Promise<void> {
    await this.#thread.close()
  }

  async #inTime(query: SqliteQuery): Promise<SqliteResult> {
    const thread = this.#thread
    const { timeout } = this.#settings
    if (timeout === undefined) return thread.send(query)
    // To start a thread takes its time too, which is not the query's.
    await thread.ready
    const timer = setTimeout(() => {
      thread.kill(tooSlow('The query took too long. Ask for a shorter time, a dataset or fewer words.'))
    }, timeout)
    try {
      return await thread.send(query)
    } finally {
      clearTimeout(timer)
    }
  }
}

function tooSlow(message: string): Refusal {
  return new Refusal(503, message, { headers: { 'retry-after': '30' } })
}

function asObject(columns: readonly string[], row: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (let index = 0; index < columns.length; index += 1) object[columns[index] as string] = row[index]
  return object
}
