import { rm, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kysely, PostgresDialect, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { Pool } from 'pg'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { migrate, migrations } from './migrations.ts'
import { openDatabase } from './open-database.ts'
import type { Tables } from './schema.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import { dialects, Stores } from './stores.testing.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

/** A row of each table, as the first version has them. The values of later columns are theirs by default. */
const rows: Record<keyof Tables, Record<string, string | number | null>> = {
  entries: { bucket: 3, log_id: 'ü', dataset_id: 'd', name: 'log', timestamp: 1, arrived: 2, data: 'text' },
  bodies: { bucket: 3, log_id: 'ü', path: '/rest/x', state: 'pending', changed: 1, retry_at: 2 },
  operation_logs: { id: 'i', project_id: 'p', operation_type: 'failover', created_at: 1, updated_at: 2 },
  exports: {
    id: 'i',
    project_id: 'p',
    system_id: 's',
    state: 'queued',
    percentage: 0,
    created_at: 1,
    updated_at: 2,
    request: '{}',
    caller: 'c',
    operation_id: 'o',
  },
  dataset_rights: {
    dataset_id: 'd',
    read_groups: '[]',
    write_groups: '[]',
    read_users: '[]',
    write_users: '[]',
  },
  idempotency_keys: { caller: 'c', key: 'k', route: 'r', claimed_at: 1, holder: 'h', expires_at: 2 },
  leases: { name: 'n', holder: 'h', until: 1 },
  settings: { key: 'k', value: 'v' },
}

describe.each(dialects)('on %s', (dialect) => {
  const versions = migrations(dialect)
  const names = Object.keys(versions)

  async function newUrl(): Promise<string> {
    if (dialect === 'postgres') return stores.url(dialect)
    const folder = await mkdtemp(join(tmpdir(), 'logs-api-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    return `sqlite:${join(folder, 'logs.db')}`
  }

  /** The store without our migrations. */
  function plain(url: string): Kysely<Tables> {
    return new Kysely<Tables>({
      dialect:
        dialect === 'postgres'
          ? new PostgresDialect({ pool: new Pool({ connectionString: url }) })
          : sqliteDialect({ file: url.slice('sqlite:'.length), readOnly: false, threads: 1 }),
    })
  }

  test('names of versions never change', () => {
    expect(names).toEqual(['0001-first-tables'])
    expect(names.toSorted()).toEqual(names)
  })

  test.each(names.map((name, index) => ({ name, earlier: names.slice(0, index + 1) })))(
    'a store of version $name is brought up to date with its rows',
    async ({ earlier }) => {
      const url = await newUrl()
      const old = plain(url)
      await migrate(
        old,
        dialect,
        Object.fromEntries(earlier.map((name) => [name, versions[name] as Migration])),
      )
      for (const [table, row] of Object.entries(rows)) {
        const columns = Object.keys(row).map((column) => sql.ref(column))
        await sql`insert into ${sql.table(table)} (${sql.join(columns)}) values (${sql.join(Object.values(row))})`.execute(
          old,
        )
      }
      await old.destroy()
      await using database = await openDatabase(url)
      for (const [table, row] of Object.entries(rows))
        expect(
          await database.read
            .selectFrom(table as 'entries')
            .selectAll()
            .execute(),
          table,
        ).toEqual([expect.objectContaining(row)])
    },
  )

  test('processes that start together make the tables once', async () => {
    const url = await newUrl()
    const opened = await Promise.all(Array.from({ length: 4 }, () => openDatabase(url, { readers: 1 })))
    for (const database of opened) {
      expect(await database.read.selectFrom('entries').selectAll().execute()).toEqual([])
      await database.close()
    }
  })

  test('a store of a newer version is not opened, and the error says why', async () => {
    const url = await newUrl()
    const newer = plain(url)
    await migrate(newer, dialect, { ...versions, '9999-of-tomorrow': { up: async () => undefined } })
    await newer.destroy()
    await expect(openDatabase(url)).rejects.toThrow(
      'The store was made by a newer version of this program (9999-of-tomorrow). Use that version or a later one.',
    )
  })

  test('a version that fails leaves the store as it was', async () => {
    const url = await newUrl()
    const store = plain(url)
    onTestFinished(() => store.destroy())
    await migrate(store, dialect)
    const failing: Migration = {
      async up(trx) {
        await sql`create table half (id integer)`.execute(trx)
        throw new Error('half way')
      },
    }
    await expect(migrate(store, dialect, { ...versions, '9999-fails': failing })).rejects.toThrow('half way')
    await expect(sql`select * from half`.execute(store)).rejects.toThrow(/half/)
    await migrate(store, dialect)
  })

  test('ids are in the order of their bytes', async () => {
    const url = await newUrl()
    await using database = await openDatabase(url)
    for (const id of ['b', 'B', 'ä', 'a', 'A', '_', '0'])
      await database.write
        .insertInto('dataset_rights')
        .values({ dataset_id: id, read_groups: '', write_groups: '', read_users: '', write_users: '' })
        .execute()
    const found = await database.read
      .selectFrom('dataset_rights')
      .select('dataset_id')
      .orderBy('dataset_id')
      .execute()
    expect(found.map((row) => row.dataset_id).join('')).toBe('0AB_abä')
  })
})
