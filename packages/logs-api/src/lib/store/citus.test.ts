import type { ObjectClient } from '@hcp/objects'
import { sql } from 'kysely'
import { Client } from 'pg'
import { Registry } from 'prom-client'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { entry, entryStore, quiet } from '../entries/entry-store.testing.ts'
import type { EntryStore } from '../entries/entry-store.ts'
import { parseWords } from '../entries/words.ts'
import type { ServiceContext } from '../http/context.ts'
import { OperationStore } from '../operations/operation-store.ts'
import { writePolicy } from '../retention/policy.ts'
import { Retention } from '../retention/retention.ts'
import { distributeTables, distribution, distributionStatement } from './citus.ts'
import type { Database } from './database.ts'
import { openDatabase } from './open-database.ts'
import { Stores } from './stores.testing.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())
afterEach(() => vi.restoreAllMocks())

/** Every query that is sent to PostgreSQL meanwhile. */
async function queriesOf(work: () => Promise<unknown>): Promise<string[]> {
  const spy = vi.spyOn(Client.prototype, 'query')
  await work()
  const texts = spy.mock.calls.map(([first]: unknown[]) =>
    typeof first === 'string' ? first : ((first as { text?: string }).text ?? ''),
  )
  spy.mockRestore()
  return texts.map((text) => text.replaceAll('"', '').replaceAll(/\s+/g, ' ').trim())
}

/** Searches over everything, the only queries that ask all nodes. */
const overAll: Record<string, RegExp> = {
  'entries of all datasets by time':
    /^select .* from entries where (?!.*dataset_id).* order by entries\.timestamp/,
  'the count of those': /^select count\(\*\) as total from entries where/,
  'entries of all datasets by arrival': /^select .* from entries where .* order by entries\.arrived/,
  'entries that are old enough to go':
    /^select bucket, log_id, timestamp, body from entries where timestamp < \$1 .*order by timestamp, log_id limit/,
  'the count of what would go':
    /^select count\(\*\) as entries, count\(body\) as bodies from entries where timestamp < /,
  'objects that are due':
    /^select bucket, log_id, path, state from bodies where state in \(.*\) and retry_at <= /,
  'an operation log by its id alone':
    /^(?:select .* from|update) operation_logs .*where id = \$\d+(?: returning .*)?$/,
  'operation logs of all projects': /^select .* from operation_logs order by/,
  'operation logs that are old enough to go':
    /^select (?:project_id, id|count\(\*\) as count) from operation_logs where created_at < /,
}

/** What a query is that does not name the place of its rows; undefined if it does. */
function astray(text: string): string | undefined {
  for (const table of ['entries', 'bodies', 'operation_logs'] as const) {
    const key = distribution[table]
    const named = new RegExp(String.raw`\b(?:from|into|update|join) ${table}\b`)
    if (!named.test(text)) continue
    const insert = new RegExp(String.raw`^insert into ${table} \([^)]*\b${key}\b`)
    const where = new RegExp(String.raw`where .*\b${key} (?:= (?:\$\d|any\()|in \()`)
    if (insert.test(text) || where.test(text)) continue
    const allowed = Object.values(overAll).some((pattern) => pattern.test(text))
    if (!allowed) return `${table}: ${text}`
  }
  return undefined
}

describe('each query names the place of its rows, save searches over everything', () => {
  let database: Database
  let entries: EntryStore
  let operations: OperationStore
  beforeAll(async () => {
    database = await stores.open('postgres')
    const texts = new Map<string, Buffer>()
    const objects = {
      put: async (path: string, data: Buffer) => void texts.set(path, data),
      get: async (path: string) => {
        const text = texts.get(path)
        if (text === undefined) throw new Error(`There is no ${path}.`)
        return { text: async () => text.toString() }
      },
      delete: async (path: string) => void texts.delete(path),
    }
    entries = entryStore(database, { objects: objects as unknown as ObjectClient, threshold: 20 }).entries
    operations = new OperationStore(database)
  })
  afterAll(async () => {
    await entries.close()
    await database.close()
  })

  async function readAll(query: Parameters<EntryStore['read']>[0]): Promise<unknown[]> {
    return [
      ...(await Array.fromAsync(entries.read(query, { order: 'desc', data: true }))),
      ...(await entries.arrivals(query, { arrived: 0, log_id: '' }, 10)),
      ...(await Array.fromAsync(entries.removeAll({ ...query, before: 1 }))),
    ]
  }

  const work: Record<string, () => Promise<unknown>> = {
    'writing entries': async () => {
      await entries.add(entry())
      await entries.addAll([entry(), entry({ data: 'a text of more than twenty characters' })])
      await entries.addAll([entry({ id: (bucket) => `0${bucket}`.padStart(32, '0') })])
    },
    'reading one': async () => {
      for await (const { log_id } of entries.read({}, { order: 'asc', data: false })) {
        await entries.get(log_id)
        await entries.get(log_id, { dataset: 'd' })
      }
    },
    'reading a dataset': () => readAll({ datasets: ['d'], task: 't', name: 'log' }),
    'reading several datasets': () => readAll({ datasets: ['d', 'e'], from: 5 }),
    'reading many datasets': () =>
      readAll({ datasets: Array.from({ length: 80 }, (_, index) => `d${index}`) }),
    'finding words': () => readAll({ datasets: ['d'], words: parseWords('text -"more than"') }),
    'reading all': () =>
      readAll({ from: 5, severities: [{ least: 9, most: 24 }], words: parseWords('text') }),
    'the newest per name': () =>
      Array.fromAsync(entries.newestPerName('d', 't', { order: 'desc', data: true })),
    'removing entries': async () => {
      const ids = [
        await entries.add(entry({ data: 'also more than twenty characters' })),
        await entries.add(entry()),
      ]
      for (const id of ids) await entries.remove(id, { dataset: 'd' })
      await Array.fromAsync(entries.removeAll({ datasets: ['d'], task: 't' }))
      await entries.sweep(new AbortController().signal)
    },
    'operation logs of a project': async () => {
      const { id } = await operations.add({ project_id: 'p', operation_type: 'failover' })
      await operations.change(id, 'p', { status: 'success' })
      await operations.get(id, 'p')
      await operations.list({ project: 'p', equal: { status: 'success' }, limit: 10 })
    },
    'operation logs of all': async () => {
      const { id } = await operations.add({ project_id: 'p', operation_type: 'failover' })
      await operations.change(id, undefined, { status: 'success' })
      await operations.get(id)
      await operations.list({ project: undefined, limit: 10 })
    },
    retention: async () => {
      const context = {
        database,
        entries,
        operations,
        metrics: new Registry(),
        stopping: new AbortController().signal,
        log: quiet,
      } as Partial<ServiceContext> as ServiceContext
      await writePolicy(database, {
        rules: ['log', 'std*', '*'].map((name) => ({ name, dataset_id: name === '*' ? 'd' : null, days: 0 })),
        operations_days: 0,
      })
      await entries.addAll([entry(), entry({ name: 'stdout' }), entry({ name: 'x' })])
      const retention = new Retention(context, entries)
      await retention.run({ dryRun: true })
      await retention.run()
    },
  }

  test.each(Object.entries(work))('%s', async (_, doWork) => {
    const texts = await queriesOf(doWork)
    expect(texts.length).toBeGreaterThan(0)
    expect(texts.map(astray).filter((text) => text !== undefined)).toEqual([])
  })

  test('a query that does not is noticed', () => {
    expect(astray('select data from entries where log_id = $1')).toBe(
      'entries: select data from entries where log_id = $1',
    )
    expect(astray('select data from entries where dataset_id = $1 order by entries.timestamp')).toBeDefined()
    expect(astray('delete from bodies where log_id = $1')).toContain('bodies')
    expect(astray('select data from entries where bucket = $1 and log_id = $2')).toBeUndefined()
  })
})

test('every table is distributed, by what is in its primary key', async () => {
  await using database = await stores.open('postgres')
  const { rows } = await sql<{ table: string; columns: string[] }>`
    select c.relname as table, array_agg(a.attname::text) as columns
    from pg_index i join pg_class c on c.oid = i.indrelid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
    where i.indisprimary and c.relnamespace = 'public'::regnamespace and c.relname not like 'logs_%'
    group by c.relname order by c.relname`.execute(database.read)
  expect(rows.map(({ table }) => table)).toEqual(Object.keys(distribution).toSorted())
  for (const { table, columns } of rows) {
    const column = distribution[table as keyof typeof distribution]
    if (column !== 'everywhere') expect(columns, table).toContain(column)
  }
})

test('the statements are those of Citus', () => {
  expect(distributionStatement('entries')).toBe(`select create_distributed_table('entries', 'bucket')`)
  expect(distributionStatement('bodies')).toBe(
    `select create_distributed_table('bodies', 'bucket', colocate_with => 'entries')`,
  )
  expect(distributionStatement('leases')).toBe(`select create_reference_table('leases')`)
})

test('a store that cannot be distributed says what is missing', async () => {
  await using sqlite = await stores.open('sqlite')
  await expect(distributeTables(sqlite)).rejects.toThrow('This one is SQLite.')
  await using postgres = await stores.open('postgres')
  await expect(distributeTables(postgres)).rejects.toThrow('This database has no extension `citus`.')
})

test('tables are distributed once, as Citus is told', async () => {
  const url = await stores.url('postgres')
  await using database = await openDatabase(url)
  // What stands in for Citus: its catalogue, and functions that write into it.
  await sql`create table pg_dist_partition (logicalrelid regclass)`.execute(database.write)
  for (const text of [
    `create function create_distributed_table(name regclass, col text, colocate_with text default '') returns void
       language sql as 'insert into pg_dist_partition values (name)'`,
    `create function create_reference_table(name regclass) returns void
       language sql as 'insert into pg_dist_partition values (name)'`,
  ])
    await sql.raw(text).execute(database.write)
  await sql`create schema standing_in`.execute(database.write)
  await sql`create table standing_in.pg_extension (extname text)`.execute(database.write)
  await sql`insert into standing_in.pg_extension values ('citus')`.execute(database.write)
  const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(database.write)
  await sql
    .raw(`alter database ${rows[0]?.name} set search_path = standing_in, public, pg_catalog`)
    .execute(database.write)
  await using again = await openDatabase(url)
  expect(await distributeTables(again)).toEqual(Object.keys(distribution))
  expect(await distributeTables(again)).toEqual([])
})
