import { sql } from 'kysely'
import type { Registry } from 'prom-client'
import { parseExactly } from '../exact-json.ts'
import type { ServiceLog } from '../http/context.ts'
import type { BodyOptions } from '../http/options.ts'
import { Refusal } from '../http/refusal.ts'
import type { Database } from '../store/database.ts'
import { nowMicroseconds } from '../time.ts'
import { Bodies, type Body, mostRequests } from './bodies.ts'
import type {
  Arrival,
  Deletion,
  Entries,
  Entry,
  EntryQuery,
  NewEntry,
  Position,
  ReadOptions,
} from './entry.ts'
import { type EntryKey, EntryQueries, type EntryRowInPage, mostInPage } from './entry-query.ts'
import { type EntryRow, EntryWriter } from './entry-writer.ts'
import { bucketInId, bucketOf, mayBelong, newLogId } from './log-id.ts'
import { inOrder } from './parallel.ts'

/** Rows of a page of a query, and of a step of a deletion. */
const step = 500

export interface EntryStoreOptions {
  readonly database: Database
  /** Where long texts go. Default: they stay in the database. */
  readonly bodies?: BodyOptions | undefined
  readonly metrics: Registry
  readonly log: ServiceLog
}

/** Entries in a store of either kind, with long texts in a namespace. */
export class EntryStore implements Entries {
  readonly #database: Database
  readonly #queries: EntryQueries
  readonly #bodies: Bodies
  readonly #writer: EntryWriter
  /** What waits for its objects. */
  readonly #writing = new Set<Promise<void>>()
  #closed = false

  constructor({ database, bodies, metrics, log }: EntryStoreOptions) {
    this.#database = database
    this.#queries = new EntryQueries(database.dialect)
    this.#bodies = new Bodies(database, bodies, { metrics, log })
    this.#writer = new EntryWriter(database, this.#bodies, metrics)
  }

  onWritten(listener: () => void): void {
    this.#writer.onWritten = listener
  }

  async add(entry: NewEntry): Promise<string> {
    const [logId] = await this.addAll([entry])
    return logId as string
  }

  async addAll(entries: readonly NewEntry[]): Promise<string[]> {
    if (this.#closed) throw new Refusal(503, 'The service is stopping; try again later')
    const rows = entries.map((entry) => this.#rowOf(entry))
    const ids = rows.map((row) => row.log_id)
    const long = rows.filter((row) => row.body !== null)
    if (long.length === 0) await this.#writer.write(rows)
    else {
      const writing = this.#writeLong(rows, long)
      this.#writing.add(writing)
      await writing.finally(() => this.#writing.delete(writing))
    }
    return ids
  }

  #rowOf(entry: NewEntry): EntryRow {
    const {
      dataset_id,
      task_id,
      name,
      data,
      timestamp = nowMicroseconds(),
      severity = null,
      fields,
      id,
    } = entry
    const bucket = bucketOf(dataset_id)
    const log_id = id?.(bucket) ?? newLogId(bucket)
    return {
      bucket,
      log_id,
      dataset_id,
      task_id,
      name,
      timestamp,
      severity,
      text: data,
      body: this.#bodies.takes(data) ? this.#bodies.pathOf(log_id) : null,
      fields: fieldsOf(fields),
      repeatable: id !== undefined,
    }
  }

  async #writeLong(rows: readonly EntryRow[], long: readonly EntryRow[]): Promise<void> {
    const known = new Set<string>()
    for (const { bucket, log_id, repeatable } of long)
      if (repeatable && (await this.#exists({ bucket, log_id }))) known.add(log_id)
    await this.#bodies.put(
      long.flatMap(({ bucket, log_id, body, text }) =>
        body === null || known.has(log_id) ? [] : [{ bucket, log_id, path: body, data: text }],
      ),
    )
    await this.#writer.write(known.size === 0 ? rows : rows.filter(({ log_id }) => !known.has(log_id)))
  }

  async get(logId: string, of?: { readonly dataset: string }): Promise<Entry | undefined> {
    const bucket = bucketInId(logId)
    if (bucket === undefined || (of !== undefined && !mayBelong(logId, of.dataset))) return undefined
    let select = this.#database.read
      .selectFrom('entries')
      .selectAll()
      .where('bucket', '=', bucket)
      .where('log_id', '=', logId)
    if (of !== undefined) select = select.where('dataset_id', '=', of.dataset)
    const row = await select.executeTakeFirst()
    return row === undefined ? undefined : this.#whole({ ...row, size: 0 }, true)
  }

  async *read(query: EntryQuery, options: ReadOptions): AsyncGenerator<Entry, void> {
    const { order, data } = options
    let after = options.after
    let left = options.limit ?? Number.POSITIVE_INFINITY
    if (query.datasets?.length === 0) return
    while (left > 0) {
      const limit = Math.min(left, step)
      const { rows } = await this.#queries
        .page(query, { order, after, limit }, data)
        .execute(this.#database.read)
      yield* this.#entriesOf(rows, data)
      if (rows.length < limit) return
      after = rows.at(-1)
      left -= rows.length
    }
  }

  async *newestPerName(
    dataset: string,
    task: string,
    { order, limit = Number.MAX_SAFE_INTEGER, data }: Omit<ReadOptions, 'after'>,
  ): AsyncGenerator<Entry, void> {
    const select = this.#queries.firstPerName(dataset, task, order, limit, data)
    const { rows } = await select.execute(this.#database.read)
    yield* this.#entriesOf(rows, data)
  }

  async arrivals(query: EntryQuery, after: Arrival, limit: number): Promise<Entry[]> {
    if (query.datasets?.length === 0) return []
    const { rows } = await this.#queries.arrivals(query, after, limit).execute(this.#database.read)
    return Array.fromAsync(this.#entriesOf(rows, true))
  }

  async remove(logId: string, of?: { readonly dataset: string }): Promise<boolean> {
    const bucket = bucketInId(logId)
    if (bucket === undefined || (of !== undefined && !mayBelong(logId, of.dataset))) return false
    const removed = await this.#database.write.transaction().execute(async (trx) => {
      let remove = trx
        .deleteFrom('entries')
        .where('bucket', '=', bucket)
        .where('log_id', '=', logId)
        .returning(['bucket', 'log_id', 'body'])
      if (of !== undefined) remove = remove.where('dataset_id', '=', of.dataset)
      const rows = await remove.execute()
      const bodies = bodiesOf(rows)
      if (bodies.length > 0) await this.#bodies.orphan(trx, bodies)
      return { count: rows.length, bodies }
    })
    await this.#bodies.delete(removed.bodies)
    return removed.count > 0
  }

  removeAll(query: EntryQuery): AsyncGenerator<Deletion, void> {
    return this.#removeUntil(query, nowMicroseconds())
  }

  async *#removeUntil(query: EntryQuery, arrivedUntil: number): AsyncGenerator<Deletion, void> {
    const nothing = query.datasets?.length === 0
    const counted = nothing
      ? 0
      : ((await this.#queries.count(query, arrivedUntil).execute(this.#database.read)).rows[0]?.total ?? 0)
    let removed = 0
    yield { removed, total: counted }
    if (nothing) return
    let after: Position | undefined
    for (;;) {
      const page = { order: 'asc', after, limit: step, arrivedUntil } as const
      const { rows } = await this.#queries.keys(query, page).execute(this.#database.read)
      if (rows.length > 0) {
        removed += await this.removeRows(rows)
        yield { removed, total: Math.max(counted, removed) }
      }
      if (rows.length === step) after = rows.at(-1)
      // What another transaction committed meanwhile may stand before the place that was reached.
      else if (after !== undefined) after = undefined
      else return
    }
  }

  /** Removes these and their texts, in one transaction. Gives how many there still were. */
  async removeRows(rows: readonly EntryKey[]): Promise<number> {
    const removed = await this.#database.write.transaction().execute(async (trx) => {
      const { rows: gone } = await sql<Pick<EntryKey, 'bucket' | 'log_id' | 'body'>>`
        delete from entries where ${ofRows(rows)} returning bucket, log_id, body`.execute(trx)
      const bodies = bodiesOf(gone)
      if (bodies.length > 0) await this.#bodies.orphan(trx, bodies)
      return { count: gone.length, bodies }
    })
    await this.#bodies.delete(removed.bodies)
    return removed.count
  }

  /** Removes objects that no entry speaks for any more, once they may be: those of entries that were never stored when they are a day old. */
  async sweep(signal: AbortSignal): Promise<{ removed: number }> {
    return { removed: await this.#bodies.sweep(signal) }
  }

  /** Takes no more entries, and writes those that it took. The store stays open. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#writing)
    await this.#writer.settled()
  }

  async *#entriesOf(rows: readonly EntryRowInPage[], data: boolean): AsyncGenerator<Entry, void> {
    const isWhole = ({ size, body }: EntryRowInPage): boolean =>
      size <= mostInPage && (!data || body === null)
    if (rows.every(isWhole)) {
      for (const row of rows) yield entryOf(row, data)
      return
    }
    const wholes = inOrder(rows, mostRequests, async (row, signal) =>
      isWhole(row) ? entryOf(row, data) : this.#whole(row, data, signal),
    )
    for await (const entry of wholes) if (entry !== undefined) yield entry
  }

  /** With what the row of a page does not have. Undefined if the entry was removed meanwhile. */
  async #whole(row: EntryRowInPage, data: boolean, signal?: AbortSignal): Promise<Entry | undefined> {
    let full = row
    if (row.size > mostInPage) {
      const rest = await this.#database.read
        .selectFrom('entries')
        .select(['fields', ...(data ? (['data'] as const) : [])])
        .where('bucket', '=', row.bucket)
        .where('log_id', '=', row.log_id)
        .executeTakeFirst()
      if (rest === undefined) return undefined
      full = { ...row, ...rest }
    }
    if (!data || row.body === null) return entryOf(full, data)
    const text = await this.#bodies.text(row.body, signal)
    if (text !== undefined) return { ...entryOf(full, false), data: text }
    if (!(await this.#exists(row))) return undefined
    this.#bodies.tellMissing(row.log_id)
    return { ...entryOf(full, false), data: '', dataMissing: true }
  }

  async #exists({ bucket, log_id }: { readonly bucket: number; readonly log_id: string }): Promise<boolean> {
    const found = await this.#database.read
      .selectFrom('entries')
      .select('log_id')
      .where('bucket', '=', bucket)
      .where('log_id', '=', log_id)
      .executeTakeFirst()
    return found !== undefined
  }
}

function fieldsOf(fields: NewEntry['fields']): string | null {
  if (fields === undefined) return null
  const text = JSON.stringify(fields)
  return text === '{}' ? null : text
}

function entryOf(row: EntryRowInPage, data: boolean): Entry {
  const { log_id, dataset_id, task_id, name, timestamp, arrived, severity, fields } = row
  return {
    log_id,
    dataset_id,
    task_id,
    name,
    timestamp,
    arrived,
    severity,
    data: data ? textOf(row) : undefined,
    dataMissing: false,
    fields: fields === null ? {} : (parseExactly(fields) as Record<string, unknown>),
  }
}

function textOf({ data, data_json }: EntryRowInPage): string {
  if (data === null) return ''
  return data_json === 1 ? (JSON.parse(data) as string) : data
}

function bodiesOf(rows: readonly Pick<EntryKey, 'bucket' | 'log_id' | 'body'>[]): Body[] {
  return rows.flatMap(({ bucket, log_id, body }) => (body === null ? [] : [{ bucket, log_id, path: body }]))
}

/** Of these and no other: by the bucket, for each that they have. */
function ofRows(rows: readonly EntryKey[]): ReturnType<typeof sql> {
  const byBucket = Map.groupBy(rows, (row) => row.bucket)
  const parts = Array.from(byBucket, ([bucket, own]) => {
    const ids = sql.join(own.map(({ log_id }) => log_id))
    return sql`(bucket = ${bucket} and log_id in (${ids}))`
  })
  return sql`(${sql.join(parts, sql` or `)})`
}
