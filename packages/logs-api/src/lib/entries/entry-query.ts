import { type RawBuilder, sql } from 'kysely'
import type { Dialect } from '../store/database.ts'
import type { Arrival, EntryQuery, Position } from './entry.ts'
import { bucketOf } from './log-id.ts'
import { ftsQueries, tsQuery } from './words.ts'

type Order = 'asc' | 'desc'

/** What `data` and `fields` of a row of a page may have together, in bytes; larger ones are fetched one by one. */
export const mostInPage: number = 16 * 1024
/** Up to so many datasets are each read in their order and merged. */
const mostBranches = 50

/** A row of a page. `data` and `fields` are null also where `size` is beyond `mostInPage`. */
export interface EntryRowInPage {
  readonly bucket: number
  readonly log_id: string
  readonly dataset_id: string | null
  readonly task_id: string | null
  readonly name: string
  readonly timestamp: number
  readonly arrived: number
  readonly severity: number | null
  readonly data: string | null
  readonly data_json: number
  readonly body: string | null
  readonly fields: string | null
  readonly size: number
}

/** A row in as much as it has to be known to remove it. */
export interface EntryKey extends Position {
  readonly bucket: number
  readonly body: string | null
}

export interface Page {
  readonly order: Order
  readonly after?: Position | undefined
  readonly limit: number
  /** Not those that arrived later. */
  readonly arrivedUntil?: number | undefined
}

/**
 * Queries on entries, for one of the stores.
 *
 * SQLite takes any equality with an index for better than an order with a limit, however many rows are equal. Where that is not so, a plus
 * before the column keeps it from the index.
 */
export class EntryQueries {
  readonly #dialect: Dialect

  constructor(dialect: Dialect) {
    this.#dialect = dialect
  }

  /** In the order (`timestamp`, `log_id`). */
  page(query: EntryQuery, page: Page, data: boolean): RawBuilder<EntryRowInPage> {
    const order = inOrder(page.order)
    // Rows that have to be sorted are sorted without their texts.
    if (query.words === undefined && (query.datasets?.length ?? 1) === 1)
      return sql`select ${inPage(data)} from entries where ${this.#where(query, page)} order by ${order} limit ${page.limit}`
    return sql`select ${inPage(data)} from (${this.keys(query, page)}) as found ${joined} order by ${order}`
  }

  /** The same, without texts and fields. */
  keys(query: EntryQuery, page: Page): RawBuilder<EntryKey> {
    const columns = sql`entries.bucket, entries.log_id, entries.timestamp, entries.body`
    const select = (one: EntryQuery): RawBuilder<EntryKey> =>
      sql`select ${columns} from entries where ${this.#where(one, page)} order by ${inOrder(page.order)} limit ${page.limit}`
    const { datasets } = query
    if (datasets === undefined || datasets.length < 2 || datasets.length > mostBranches) return select(query)
    const branches = [...new Set(datasets)].map(
      (dataset) => sql`select * from (${select({ ...query, datasets: [dataset] })}) as one`,
    )
    const { order, limit } = page
    return sql`select * from (${sql.join(branches, sql` union all `)}) as entries order by ${inOrder(order)} limit ${limit}`
  }

  count(query: EntryQuery, arrivedUntil: number): RawBuilder<{ total: number }> {
    return sql`select count(*) as total from entries where ${this.#where(query, { order: 'asc', arrivedUntil })}`
  }

  /** In the order (`arrived`, `log_id`). */
  arrivals(query: EntryQuery, after: Arrival, limit: number): RawBuilder<EntryRowInPage> {
    const where = [
      sql`(entries.arrived, entries.log_id) > (${after.arrived}, ${after.log_id})`,
      ...this.#ofTime(query, this.#dialect === 'sqlite'),
      ...this.#conditions(query, this.#dialect === 'sqlite'),
    ]
    const order = sql`entries.arrived, entries.log_id`
    return sql`select ${inPage(true)} from entries where ${sql.join(where, sql` and `)} order by ${order} limit ${limit}`
  }

  /** The first of each name in the order. */
  firstPerName(
    dataset: string,
    task: string,
    order: Order,
    limit: number,
    data: boolean,
  ): RawBuilder<EntryRowInPage> {
    const where = this.#where({ datasets: [dataset], task }, { order })
    const ranked = sql`select bucket, log_id, row_number() over (partition by name order by ${inOrder(order)}) as place from entries where ${where}`
    return sql`select ${inPage(data)} from (${ranked}) as found ${joined} and found.place = 1 and entries.bucket = ${bucketOf(dataset)} order by ${inOrder(order)} limit ${limit}`
  }

  #where(query: EntryQuery, { order, after, arrivedUntil }: Omit<Page, 'limit'>): RawBuilder<unknown> {
    const where: RawBuilder<unknown>[] = []
    let { from, before } = query
    if (after !== undefined) {
      const sign = sql.raw(order === 'asc' ? '>' : '<')
      where.push(sql`(entries.timestamp, entries.log_id) ${sign} (${after.timestamp}, ${after.log_id})`)
      // One bound at each end, so that the search begins at the right one.
      if (order === 'asc' && from !== undefined && from <= after.timestamp) from = undefined
      if (order === 'desc' && before !== undefined && before > after.timestamp) before = undefined
    }
    where.push(...this.#ofTime({ from, before }, false))
    if (arrivedUntil !== undefined)
      where.push(sql`${this.#column('arrived', this.#dialect === 'sqlite')} <= ${arrivedUntil}`)
    where.push(...this.#conditions(query, false))
    return where.length === 0 ? sql`1 = 1` : sql.join(where, sql` and `)
  }

  #ofTime({ from, before }: Pick<EntryQuery, 'from' | 'before'>, plain: boolean): RawBuilder<unknown>[] {
    const where: RawBuilder<unknown>[] = []
    if (from !== undefined) where.push(sql`${this.#column('timestamp', plain)} >= ${from}`)
    if (before !== undefined) where.push(sql`${this.#column('timestamp', plain)} < ${before}`)
    return where
  }

  /** All but those of time. @param plain None of them is to choose the index. */
  #conditions(query: EntryQuery, plain: boolean): RawBuilder<unknown>[] {
    const { datasets, task, name, severities, words } = query
    const where: RawBuilder<unknown>[] = []
    if (datasets !== undefined) where.push(...this.#ofDatasets(datasets, plain))
    if (task !== undefined) where.push(sql`${this.#column('task_id', plain)} = ${task}`)
    if (name !== undefined) {
      const byOther = plain || (datasets !== undefined && this.#dialect === 'sqlite')
      where.push(sql`${this.#column('name', byOther)} = ${name}`)
    }
    if (severities !== undefined) {
      const ranges = severities.map(({ least, most }) => sql`entries.severity between ${least} and ${most}`)
      where.push(ranges.length === 0 ? never : sql`(${sql.join(ranges, sql` or `)})`)
    }
    if (words !== undefined && this.#dialect === 'postgres')
      where.push(sql`entries.words @@ ${tsQuery(words)}::tsquery`)
    if (words !== undefined && this.#dialect === 'sqlite') {
      const { all, none } = ftsQueries(words)
      const seq = this.#column('seq', plain)
      if (all !== undefined) where.push(sql`${seq} in (${matching(all)})`)
      if (none !== undefined) where.push(sql`${seq} not in (${matching(none)})`)
    }
    return where
  }

  #ofDatasets(datasets: readonly string[], plain: boolean): RawBuilder<unknown>[] {
    const [first] = datasets
    if (first === undefined) return [never]
    const bucket = (byTime: boolean): RawBuilder<unknown> => this.#column('bucket', byTime)
    const dataset = (byTime: boolean): RawBuilder<unknown> => this.#column('dataset_id', byTime)
    if (datasets.length === 1)
      return [sql`${bucket(plain)} = ${bucketOf(first)}`, sql`${dataset(plain)} = ${first}`]
    const buckets = JSON.stringify([...new Set(datasets.map(bucketOf))])
    if (this.#dialect === 'sqlite') {
      // So many have a good part of all entries: it is read in its order and filtered.
      return [
        sql`${bucket(true)} in (select value from json_each(${buckets}))`,
        sql`${dataset(true)} in (select value from json_each(${JSON.stringify(datasets)}))`,
      ]
    }
    return [
      sql`${bucket(plain)} = any(${`{${buckets.slice(1, -1)}}`}::int[])`,
      sql`${dataset(plain)} = any(${[...datasets]}::text[])`,
    ]
  }

  #column(name: string, plain: boolean): RawBuilder<unknown> {
    return plain ? sql`+${sql.ref(`entries.${name}`)}` : sql.ref(`entries.${name}`)
  }
}

const never = sql`1 = 0`
/** A cross join, since SQLite keeps the order of one: it would look for each entry of the store in what was found. */
const joined = sql`cross join entries where entries.bucket = found.bucket and entries.log_id = found.log_id`

const matching = (words: string): RawBuilder<unknown> =>
  sql`select rowid from entry_words where entry_words match ${words}`

function inOrder(order: Order): RawBuilder<unknown> {
  const direction = sql.raw(order)
  return sql`entries.timestamp ${direction}, entries.log_id ${direction}`
}

const plainColumns = sql.raw(
  [
    'bucket',
    'log_id',
    'dataset_id',
    'task_id',
    'name',
    'timestamp',
    'arrived',
    'severity',
    'data_json',
    'body',
  ]
    .map((column) => `entries.${column}`)
    .join(', '),
)

function inPage(data: boolean): RawBuilder<unknown> {
  const fields = 'coalesce(octet_length(entries.fields), 0)'
  const size = data ? `(coalesce(octet_length(entries.data), 0) + ${fields})` : fields
  const small = (column: string): string =>
    `case when ${size} <= ${mostInPage} then entries.${column} end as ${column}`
  return sql`${plainColumns}, ${sql.raw(`${data ? small('data') : 'null as data'}, ${small('fields')}, ${size} as size`)}`
}
