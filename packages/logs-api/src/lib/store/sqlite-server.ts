import { statSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'

/** What a worker is started with. */
export interface SqliteSettings {
  readonly kind: 'hcp-logs-sqlite'
  readonly file: string
  readonly readOnly: boolean
}

export type SqliteValue = string | number | bigint | null | Uint8Array

export type SqliteRequest =
  | { readonly id: number; readonly sql: string; readonly values: readonly SqliteValue[] }
  /** One statement for each of many rows; a transaction of its own unless one is open. */
  | { readonly id: number; readonly sql: string; readonly rows: readonly (readonly SqliteValue[])[] }
  | { readonly id: number; readonly close: true }

export interface SqliteResult {
  readonly columns: readonly string[]
  /** Arrays: the names of the columns come but once. */
  readonly rows: readonly (readonly unknown[])[]
  readonly changes: number
}

export type SqliteAnswer =
  | ({ readonly id: number } & SqliteResult)
  | { readonly id: number; readonly error: string; readonly errcode: number | undefined }

/** Bytes of the write-ahead log beyond which readers are waited for, so that it can begin anew: else it would grow while they overlap. */
const longLog = 64 * 1024 * 1024
/** Milliseconds: so long for them, and so long from one such wait to the next. */
const readersPatience = 1000
const tidyInterval = 10_000

/** Statements kept prepared, by their text. */
const keptStatements = 200

interface Prepared {
  readonly statement: StatementSync
  /** Empty: it gives no rows. */
  readonly columns: readonly string[]
}

/** Answers requests for one connection, in their order. The answer 0, without a request, tells that it is open. */
export function serve(port: MessagePort, settings: SqliteSettings): void {
  const timeout = 10_000
  const database = new DatabaseSync(settings.file, { readOnly: settings.readOnly, timeout })
  if (!settings.readOnly) {
    database.exec(`pragma journal_mode = wal; pragma journal_size_limit = ${longLog}`)
    // Nothing that was acknowledged is lost with the power.
    database.exec('pragma synchronous = full')
  }
  database.exec('pragma foreign_keys = on; pragma temp_store = memory; pragma cache_size = -65536')
  const kept = new Map<string, Prepared>()
  let tidied = -tidyInterval

  function prepare(sql: string): Prepared {
    let prepared = kept.get(sql)
    if (prepared === undefined) {
      const statement = database.prepare(sql)
      const columns = statement.columns().map(({ name }) => name)
      statement.setReturnArrays(true)
      prepared = { statement, columns }
    }
    // The last in the map is the one that was used last.
    kept.delete(sql)
    kept.set(sql, prepared)
    if (kept.size > keptStatements) {
      const [oldest] = kept.keys()
      if (oldest !== undefined) kept.delete(oldest)
    }
    return prepared
  }

  function run(sql: string, values: readonly SqliteValue[]): SqliteResult {
    const { statement, columns } = prepare(sql)
    if (columns.length === 0) {
      const { changes } = statement.run(...values)
      return { columns, rows: [], changes: Number(changes) }
    }
    const rows = statement.all(...values) as unknown as unknown[][]
    return { columns, rows, changes: rows.length }
  }

  function runMany(sql: string, rows: readonly (readonly SqliteValue[])[]): number {
    const { statement } = prepare(sql)
    let changes = 0
    for (const row of rows) changes += Number(statement.run(...row).changes)
    return changes
  }

  function inTransaction<Result>(work: () => Result): Result {
    if (database.isTransaction) return work()
    database.exec('begin immediate')
    try {
      const result = work()
      database.exec('commit')
      return result
    } catch (error) {
      if (database.isTransaction) database.exec('rollback')
      throw error
    }
  }

  function shortenLog(): void {
    if (settings.readOnly || database.isTransaction || performance.now() < tidied + tidyInterval) return
    if ((statSync(`${settings.file}-wal`, { throwIfNoEntry: false })?.size ?? 0) <= longLog) return
    try {
      database.exec(`pragma busy_timeout = ${readersPatience}; pragma wal_checkpoint(truncate)`)
    } catch {
      // The next time, perhaps.
    }
    database.exec(`pragma busy_timeout = ${timeout}`)
    tidied = performance.now()
  }

  function answer(request: SqliteRequest): SqliteAnswer {
    const { id } = request
    try {
      if ('close' in request) {
        kept.clear()
        database.close()
        return { id, columns: [], rows: [], changes: 0 }
      }
      if ('rows' in request) {
        const changes = inTransaction(() => runMany(request.sql, request.rows))
        return { id, columns: [], rows: [], changes }
      }
      return { id, ...run(request.sql, request.values) }
    } catch (error) {
      const { message, errcode } = error as Error & { errcode?: number }
      return { id, error: message, errcode }
    }
  }

  port.postMessage({ id: 0, columns: [], rows: [], changes: 0 } satisfies SqliteAnswer)
  port.on('message', (request: SqliteRequest) => {
    port.postMessage(answer(request))
    if ('close' in request) port.close()
    else shortenLog()
  })
}

const settings = workerData as SqliteSettings | null
if (parentPort !== null && settings?.kind === 'hcp-logs-sqlite') serve(parentPort, settings)
