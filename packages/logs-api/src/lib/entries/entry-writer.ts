import { type Kysely, sql } from 'kysely'
import { Counter, type Registry } from 'prom-client'
import type { Database } from '../store/database.ts'
import type { Tables } from '../store/schema.ts'
import { isStoreDown, storeRefusal } from '../store/store-error.ts'
import { nowMicroseconds } from '../time.ts'
import type { Bodies, Body } from './bodies.ts'
import { ftsWords, vectorWords } from './words.ts'

/** An entry, ready to be written. */
export interface EntryRow {
  readonly bucket: number
  readonly log_id: string
  readonly dataset_id: string | null
  readonly task_id: string | null
  readonly name: string
  readonly timestamp: number
  readonly severity: number | null
  /** The text, wherever it goes: for its words. */
  readonly text: string
  /** Path of the object that has the text. */
  readonly body: string | null
  readonly fields: string | null
  /** The same request may have stored it already: then it stays as it is. */
  readonly repeatable: boolean
}

/** Rows that are written together or not at all. */
interface Job {
  readonly rows: readonly EntryRow[]
  readonly size: number
  resolve(): void
  reject(reason: unknown): void
}

/** Of a transaction that several calls share, and of a message to the store. */
const mostRows = 5_000
/** Characters. */
const mostSize = 8 * 1024 * 1024

/**
 * Writes entries. One transaction after the other: what comes while one runs shares the next. So the wait for the disk is shared, and entries
 * are seen in the order of `arrived` among those of this process.
 */
export class EntryWriter {
  readonly #database: Database
  readonly #bodies: Bodies
  readonly #written: Counter
  readonly #batches: Counter
  readonly #queue: Job[] = []
  #running: Promise<void> | undefined
  /** Called after each commit. */
  onWritten: () => void = () => {}

  constructor(database: Database, bodies: Bodies, metrics: Registry) {
    this.#database = database
    this.#bodies = bodies
    const registers = [metrics]
    this.#written = new Counter({
      name: 'hcp_logs_entries_stored_total',
      help: 'Entries that were stored.',
      registers,
    })
    this.#batches = new Counter({
      name: 'hcp_logs_entry_transactions_total',
      help: 'Transactions that stored entries.',
      registers,
    })
  }

  /** All of them or none; committed when it resolves. */
  async write(rows: readonly EntryRow[]): Promise<void> {
    if (rows.length === 0) return
    await new Promise<void>((resolve, reject) => {
      this.#queue.push({ rows, size: sizeOf(rows), resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when all that was given is written or refused. */
  async settled(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      let jobs: Job[] = []
      try {
        await this.#database.write.transaction().execute(async (trx) => {
          // As late as can be: what came while the transaction began is in it.
          jobs = this.#take()
          await this.#insert(trx, jobs)
        })
        this.#done(jobs)
      } catch (error) {
        if (jobs.length > 1 || (jobs.length === 1 && isStoreDown(error))) await this.#writeSingly(jobs)
        // A transaction that did not even begin would not for those either that came after.
        else {
          const refused = jobs.length === 0 ? this.#queue.splice(0) : jobs
          for (const job of refused) job.reject(storeRefusal(error) ?? error)
        }
      }
    }
    this.#running = undefined
  }

  #take(): Job[] {
    let rows = 0
    let size = 0
    let count = 0
    for (const job of this.#queue) {
      rows += job.rows.length
      size += job.size
      if (count > 0 && (rows > mostRows || size > mostSize)) break
      count += 1
    }
    return this.#queue.splice(0, count)
  }

  /**
   * After a failure, which one of them may have caused, or a connection that broke: then all may be stored already. A store that fails
   * altogether is not asked for each of them.
   */
  async #writeSingly(jobs: readonly Job[]): Promise<void> {
    let down: unknown
    for (const job of jobs) {
      if (down !== undefined) {
        job.reject(down)
        continue
      }
      try {
        await this.#database.write.transaction().execute((trx) => this.#insert(trx, [job], true))
        this.#done([job])
      } catch (error) {
        const reason = storeRefusal(error) ?? error
        job.reject(reason)
        if (isStoreDown(error)) down = reason
      }
    }
  }

  #done(jobs: readonly Job[]): void {
    this.#batches.inc()
    this.onWritten()
    for (const job of jobs) {
      this.#written.inc(job.rows.length)
      job.resolve()
    }
  }

  /** @param again They may be stored already. */
  async #insert(trx: Kysely<Tables>, jobs: readonly Job[], again = false): Promise<void> {
    let rows: readonly EntryRow[] =
      jobs.length === 1 ? (jobs[0] as Job).rows : jobs.flatMap((job) => job.rows)
    if (again || rows.some((row) => row.repeatable)) rows = await withoutKnown(trx, rows, again)
    const objects: Body[] = []
    for (const { bucket, log_id, body } of rows)
      if (body !== null) objects.push({ bucket, log_id, path: body })
    if (objects.length > 0) await this.#bodies.claim(trx, objects)
    for (const part of parts(rows)) {
      if (this.#database.dialect === 'sqlite') await this.#insertOnSqlite(trx, part)
      else await this.#insertOnPostgres(trx, part, again)
    }
  }

  async #insertOnSqlite(trx: Kysely<Tables>, rows: readonly EntryRow[]): Promise<void> {
    const { last } = await trx
      .selectFrom('entries')
      .select(sql<number>`coalesce(max(seq), 0)`.as('last'))
      .executeTakeFirstOrThrow()
    let seq = last
    await this.#database.insertMany(trx, {
      table: 'entries',
      columns: ['seq', ...columns],
      rows: rows.map((row) => [(seq += 1), ...valuesOf(row)]),
    })
    seq = last
    await this.#database.insertMany(trx, {
      table: 'entry_words',
      columns: ['rowid', 'words'],
      rows: rows.map(({ text }) => [(seq += 1), ftsWords(text)]),
    })
  }

  async #insertOnPostgres(trx: Kysely<Tables>, rows: readonly EntryRow[], again: boolean): Promise<void> {
    await this.#database.insertMany(trx, {
      table: 'entries',
      columns: [...columns, 'words'],
      rows: rows.map((row) => [...valuesOf(row), vectorWords(row.text)]),
      // Another process may repeat the same request at this moment, and what is written again may be committed only now.
      ignoreKnown: again || rows.some((row) => row.repeatable),
    })
  }
}

const columns = [
  'bucket',
  'log_id',
  'dataset_id',
  'task_id',
  'name',
  'timestamp',
  'arrived',
  'severity',
  'data',
  'data_json',
  'body',
  'fields',
]

function valuesOf(row: EntryRow): (string | number | null)[] {
  const asJson = row.body === null && row.text.includes('\0')
  return [
    row.bucket,
    row.log_id,
    row.dataset_id,
    row.task_id,
    row.name,
    row.timestamp,
    nowMicroseconds(),
    row.severity,
    row.body === null ? (asJson ? JSON.stringify(row.text) : row.text) : null,
    asJson ? 1 : 0,
    row.body,
    row.fields,
  ]
}

/** Those that are not stored yet, each once. @param every Any of them may be, not the repeatable ones alone. */
async function withoutKnown(
  trx: Kysely<Tables>,
  rows: readonly EntryRow[],
  every: boolean,
): Promise<EntryRow[]> {
  const known = new Set<string>()
  const doubtful = every ? rows : rows.filter((row) => row.repeatable)
  for (const [bucket, own] of Map.groupBy(doubtful, (row) => row.bucket)) {
    for (let from = 0; from < own.length; from += 500) {
      const ids = own.slice(from, from + 500).map((row) => row.log_id)
      const found = await trx
        .selectFrom('entries')
        .select('log_id')
        .where('bucket', '=', bucket)
        .where('log_id', 'in', ids)
        .execute()
      for (const { log_id } of found) known.add(log_id)
    }
  }
  return rows.filter(({ log_id, repeatable }) => {
    if (known.has(log_id)) return false
    if (repeatable) known.add(log_id)
    return true
  })
}

/** Parts that fit into a message. */
function* parts(rows: readonly EntryRow[]): Generator<readonly EntryRow[]> {
  if (rows.length <= mostRows && sizeOf(rows) <= mostSize) {
    if (rows.length > 0) yield rows
    return
  }
  let part: EntryRow[] = []
  let size = 0
  for (const row of rows) {
    const more = sizeOfRow(row)
    if (part.length === mostRows || (part.length > 0 && size + more > mostSize)) {
      yield part
      part = []
      size = 0
    }
    part.push(row)
    size += more
  }
  yield part
}

const sizeOfRow = ({ text, fields }: EntryRow): number => text.length + (fields?.length ?? 0)

function sizeOf(rows: readonly EntryRow[]): number {
  let size = 0
  for (const row of rows) size += sizeOfRow(row)
  return size
}
