import { CompiledQuery, type RawBuilder, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../store/database.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import type { EntryQuery } from './entry.ts'
import { EntryQueries, type Page } from './entry-query.ts'
import { bucketOf } from './log-id.ts'
import { parseWords } from './words.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

const rowsOfDataset = 10_000
const datasets = ['d0', 'd1', 'd2', 'd3', 'd4']
const middle = { timestamp: 25_000, log_id: '7'.repeat(32) }

/** Half of a dataset is one task; names are few. */
async function fill({ write, dialect }: Database): Promise<void> {
  const hex = dialect === 'sqlite' ? `printf('%032x', i)` : `lpad(to_hex(i), 32, '0')`
  const numbers =
    dialect === 'sqlite'
      ? `with recursive numbers (i) as (select 0 union all select i + 1 from numbers where i < ${rowsOfDataset * datasets.length - 1})`
      : `with numbers (i) as (select generate_series(0, ${rowsOfDataset * datasets.length - 1}))`
  const given = datasets.map((dataset, index) => `(${index}, ${bucketOf(dataset)}, '${dataset}')`).join(', ')
  await sql
    .raw(
      `${numbers}, given (n, bucket, dataset) as (values ${given})
       insert into entries (bucket, log_id, dataset_id, task_id, name, timestamp, arrived, severity, data)
       select bucket, ${hex}, dataset, case when i % 2 = 0 then 'busy' else 'task' || i end,
         case when i % 3 = 0 then 'stdout' else 'stderr' end, i, i, 9, 'text'
       from numbers join given on n = i % ${datasets.length}`,
    )
    .execute(write)
  if (dialect === 'postgres') await sql`analyze entries`.execute(write)
}

describe.each(dialects)('queries on %s', (dialect) => {
  let database: Database
  const queries = new EntryQueries(dialect)
  beforeAll(async () => {
    database = await stores.open(dialect)
    await fill(database)
  })
  afterAll(() => database.close())

  async function planOf(query: RawBuilder<unknown>): Promise<string> {
    const compiled = query.compile(database.read)
    const explain =
      dialect === 'sqlite' ? 'explain query plan' : 'explain (analyze, buffers, costs off, timing off)'
    const { rows } = await database.read.executeQuery<{ detail?: string; 'QUERY PLAN'?: string }>(
      CompiledQuery.raw(`${explain} ${compiled.sql}`, [...compiled.parameters]),
    )
    return rows.map((row) => row.detail ?? row['QUERY PLAN']).join('\n')
  }

  /** Pages of memory or disk that PostgreSQL looked at. */
  function pagesOf(plan: string): number {
    const [, hit = '0'] = /Buffers: shared hit=(\d+)/.exec(plan) ?? []
    const [, read = '0'] = /Buffers: shared (?:hit=\d+ )?read=(\d+)/.exec(plan) ?? []
    return Number(hit) + Number(read)
  }

  /** No more is read than what the page has, whatever there is besides. */
  function expectFlat(plan: string, index: string): void {
    expect(plan).toContain(index)
    expect(plan).not.toMatch(/Seq Scan|TEMP B-TREE|Sort|^SCAN entries$/m)
    expect(plan).not.toMatch(/^SCAN entries(?! USING)/m)
    if (dialect === 'postgres') expect(pagesOf(plan)).toBeLessThan(400)
  }

  const page = (more: Partial<Page> = {}): Page => ({ order: 'desc', limit: 100, ...more })
  test.each<[string, EntryQuery, Page, string]>([
    ['the list of a task', { datasets: ['d1'], task: 'busy' }, page(), 'entries_of_task'],
    [
      'the list of a task, oldest first',
      { datasets: ['d1'], task: 'busy' },
      page({ order: 'asc' }),
      'entries_of_task',
    ],
    [
      'a later page of a task',
      { datasets: ['d1'], task: 'busy' },
      page({ after: middle }),
      'entries_of_task',
    ],
    ['the list of a dataset', { datasets: ['d1'] }, page(), 'entries_of_dataset'],
    ['a later page of a dataset', { datasets: ['d1'] }, page({ after: middle }), 'entries_of_dataset'],
    [
      'a later page of a range of time',
      { datasets: ['d1'], from: 10, before: 49_000 },
      page({ after: middle, order: 'asc' }),
      'entries_of_dataset',
    ],
    [
      'a name in a dataset',
      { datasets: ['d1'], name: 'stdout' },
      page({ after: middle }),
      'entries_of_dataset',
    ],
    ['all entries', {}, page(), 'entries_by_time'],
    ['a later page of all entries', {}, page({ after: middle }), 'entries_by_time'],
    [
      'all entries of a range of time',
      { from: 10, before: 49_000 },
      page({ after: middle, order: 'asc' }),
      'entries_by_time',
    ],
    ['a name', { name: 'stdlog', before: 49_000 }, page({ order: 'asc' }), 'entries_by_name'],
  ])('%s is read by its index, without sorting', async (_, query, options, index) => {
    expectFlat(await planOf(queries.page(query, options, true)), index)
  })

  test('of several datasets each is read by its index, as much as a page takes', async () => {
    const plan = await planOf(queries.keys({ datasets: ['d1', 'd3'] }, page({ after: middle })))
    expect(plan.match(/using (?:index )?entries_of_dataset/gi)).toHaveLength(2)
    if (dialect === 'postgres') {
      expect(pagesOf(plan)).toBeLessThan(800)
    }
  })

  test.each<[string, EntryQuery]>([
    ['several datasets', { datasets: ['d1', 'd3'] }],
    ['words', { words: parseWords('text') }],
    ['words that are not there', { words: parseWords('-text') }],
    ['many datasets', { datasets: Array.from({ length: 60 }, (_, index) => `d${index}`) }],
  ])(
    'what was found for %s is sorted without its texts, which are then fetched by their ids',
    async (_, query) => {
      const plan = await planOf(queries.page(query, page(), true))
      expect(plan).toMatch(
        dialect === 'sqlite'
          ? /SCAN found\nSEARCH entries USING INDEX sqlite_autoindex_entries_1 \(bucket=\? AND log_id=\?\)/
          : /Index Scan using entries_pkey on entries/,
      )
      if (dialect === 'sqlite') expect(plan.match(/SCAN entries/g)?.length ?? 0).toBeLessThan(2)
    },
  )

  test('what arrived is read by its index, also of a dataset and a name', async () => {
    const recent = { arrived: 49_900, log_id: '' }
    for (const query of [
      {},
      { datasets: ['d1'] },
      { name: 'stdout' },
      { datasets: ['d1'], task: 'busy', from: 5 },
    ])
      expect(await planOf(queries.arrivals(query, recent, 500))).toContain('entries_by_arrival')
    const plan = await planOf(queries.arrivals({}, recent, 500))
    expectFlat(plan, 'entries_by_arrival')
  })

  test('a step of a removal reads as much as it removes', async () => {
    // Not many of what there are: PostgreSQL would rather sort the half of so few.
    const options = { order: 'asc', limit: 50, arrivedUntil: 1_000_000, after: middle } as const
    expectFlat(await planOf(queries.keys({ datasets: ['d1'] }, options)), 'entries_of_dataset')
    expectFlat(await planOf(queries.keys({ name: 'stdout', before: 49_000 }, options)), 'entries_by_')
  })

  test('the first of each name are found among the entries of the task alone', async () => {
    const plan = await planOf(queries.firstPerName('d1', 'busy', 'desc', 10, true))
    expect(plan).toMatch(/entries_of_(?:task|dataset)/)
    expect(plan).not.toMatch(/Seq Scan|^SCAN entries/m)
  })

  test.each<[string, EntryQuery]>([
    ['a dataset', { datasets: ['d1'] }],
    ['several', { datasets: ['d1', 'd2'] }],
    ['many', { datasets: Array.from({ length: 60 }, (_, index) => `d${index}`) }],
    ['words in a dataset', { datasets: ['d1'], words: parseWords('x -y') }],
  ])('the bucket is asked for with %s', (_, query) => {
    const all = [
      queries.page(query, page(), true),
      queries.keys(query, page()),
      queries.count(query, 1),
      queries.arrivals(query, { arrived: 0, log_id: '' }, 1),
    ]
    for (const built of all) {
      const { sql: text } = built.compile(database.read)
      const datasetTimes = text.match(/"dataset_id" (?:=|in)/g)?.length
      expect(text.match(/"bucket" (?:=|in)/g)?.length).toBe(datasetTimes)
      expect(datasetTimes).toBeGreaterThan(0)
    }
  })
})
