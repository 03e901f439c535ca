import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompiledQuery, type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { Refusal } from '../http/refusal.ts'
import type { Database, RowBatch } from './database.ts'
import { openDatabase } from './open-database.ts'
import { probe } from './probe.ts'
import type { Tables } from './schema.ts'
import { readSetting, secretSetting, writeSetting } from './settings.ts'
import { SqliteError, SqliteThreadEnded } from './sqlite-thread.ts'
import { isStoreDown, storeRefusal } from './store-error.ts'
import { dialects, Stores } from './stores.testing.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'logs-api-'))
  onTestFinished(() => rm(made, { recursive: true, force: true }))
  return made
}

function entries(count: number, first = 0): RowBatch {
  return {
    table: 'entries',
    columns: ['bucket', 'log_id', 'dataset_id', 'name', 'timestamp', 'arrived', 'severity', 'data', 'body'],
    rows: Array.from({ length: count }, (_, index) => [
      7,
      `id-${first + index}`,
      index % 2 === 0 ? null : 'd',
      'log',
      1_700_000_000_000_000 + index,
      5,
      index % 3 === 0 ? null : 9,
      `{"quote\\": ${index}, NULL}`,
      null,
    ]),
  }
}

async function countEntries(store: Kysely<Tables>): Promise<number> {
  const { count } = await store
    .selectFrom('entries')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return count
}

describe('a URL that names no store is refused before anything is opened', () => {
  test.each([
    ['', 'must begin with'],
    ['mysql://root:topsecret@host/db', 'must begin with'],
    ['sqlite:', 'needs the path'],
    ['postgres://user:topsecret@host:notaport/db', 'cannot be read'],
    ['postgres:host', 'must begin with'],
  ])('%s', async (url, message) => {
    const error = await openDatabase(url).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).message).toContain(message)
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('topsecret')
  })

  test('a file in a folder that is not there is an error, and no hanging', async () => {
    await expect(openDatabase(`sqlite:${await folder()}/none/logs.db`)).rejects.toThrow(/folder/)
  })

  test('a PostgreSQL that is not there is an error that counts as down', async () => {
    const error = await openDatabase('postgres://u:topsecret@127.0.0.1:1/db').catch(
      (thrown: unknown) => thrown,
    )
    expect(isStoreDown(error)).toBe(true)
    expect(String(error)).not.toContain('topsecret')
  })
})

describe('an error tells whether the store is down', () => {
  const withCode = (code: string): Error => Object.assign(new Error('text'), { code })
  test.each([
    [withCode('ECONNREFUSED'), true],
    [withCode('57P01'), true],
    [withCode('57P03'), true],
    [withCode('53300'), true],
    [withCode('08006'), true],
    [withCode('25006'), true],
    [new Error('Connection terminated unexpectedly'), true],
    [new Error('timeout exceeded when trying to connect'), true],
    [new SqliteThreadEnded('ended'), true],
    [new SqliteError('database is locked', 261), true],
    [new SqliteError('disk is full', 13), true],
    [new SqliteError('UNIQUE constraint failed', 2067), false],
    [withCode('23505'), false],
    [withCode('57014'), false],
    [withCode('40P01'), false],
    [withCode('42P01'), false],
    [new TypeError('x is not a function'), false],
    ['text', false],
    [undefined, false],
  ])('%s %#', (error, down) => {
    expect(isStoreDown(error)).toBe(down)
    expect(storeRefusal(error)?.status === 503).toBe(
      down || (error instanceof Error && 'code' in error && ['57014', '40P01'].includes(String(error.code))),
    )
  })
})

describe.each(dialects)('on %s', (dialect) => {
  let database: Database
  beforeAll(async () => {
    database = await stores.open(dialect)
  })
  afterAll(() => database.close())
  beforeEach(async () => {
    await database.write.deleteFrom('entries').execute()
    await database.write.deleteFrom('settings').execute()
  })

  test('what was written is read as it was, and in whole numbers', async () => {
    await database.insertMany(database.write, entries(3))
    const rows = await database.read.selectFrom('entries').selectAll().orderBy('log_id').execute()
    expect(rows).toMatchObject([
      { log_id: 'id-0', dataset_id: null, severity: null, data: '{"quote\\": 0, NULL}', data_json: 0 },
      { log_id: 'id-1', dataset_id: 'd', severity: 9, timestamp: 1_700_000_000_000_001 },
      { log_id: 'id-2', arrived: 5, body: null },
    ])
    expect(await countEntries(database.read)).toBe(3)
  })

  test('rows changed and removed are counted', async () => {
    await database.insertMany(database.write, entries(10))
    const changed = await database.write
      .updateTable('entries')
      .set({ task_id: 't' })
      .where('log_id', 'in', ['id-1', 'id-2'])
      .executeTakeFirst()
    const removed = await database.write.deleteFrom('entries').where('task_id', 'is', null).executeTakeFirst()
    const returned = await database.write.deleteFrom('entries').returning('log_id').execute()
    expect([changed.numUpdatedRows, removed.numDeletedRows, returned.length]).toEqual([2n, 8n, 2])
  })

  test('a batch is stored as a whole or not at all', async () => {
    await database.insertMany(database.write, entries(1, 50))
    await expect(database.insertMany(database.write, entries(100))).rejects.toThrow(/unique/i)
    expect(await countEntries(database.write)).toBe(1)
    await expect(
      database.write.transaction().execute(async (trx) => {
        await database.insertMany(trx, entries(100, 100))
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(await countEntries(database.write)).toBe(1)
  })

  test('a batch may leave out what is there, and tells how many were not', async () => {
    await database.insertMany(database.write, entries(10))
    const inserted = await database.insertMany(database.write, { ...entries(20), ignoreKnown: true })
    expect(inserted).toBe(10)
    expect(await database.insertMany(database.write, { ...entries(0) })).toBe(0)
  })

  test('a batch of more rows than a statement has parameters is stored', async () => {
    expect(await database.insertMany(database.write, entries(8_000))).toBe(8_000)
    expect(await countEntries(database.read)).toBe(8_000)
  })

  test('a reader sees nothing of a transaction before it ends, and does not wait for it', async () => {
    await database.write.transaction().execute(async (trx) => {
      await database.insertMany(trx, entries(1))
      expect(await countEntries(database.read)).toBe(0)
    })
    expect(await countEntries(database.read)).toBe(1)
  })

  test('transactions that begin together do not mix', async () => {
    await writeSetting(database, 'n', '0')
    await Promise.all(
      Array.from({ length: 20 }, () =>
        database.write.transaction().execute(async (trx) => {
          const lock = dialect === 'postgres' ? sql` for update` : sql``
          const { rows } = await sql<{
            value: string
          }>`select value from settings where key = 'n'${lock}`.execute(trx)
          await trx
            .updateTable('settings')
            .set({ value: `${Number(rows[0]?.value) + 1}` })
            .execute()
        }),
      ),
    )
    expect(await readSetting(database, 'n')).toBe('20')
  })

  test('a query that takes too long is refused with 503, and the next one is answered', async () => {
    await using impatient = await stores.open(dialect, { readTimeout: 500, readers: 1 })
    const long =
      dialect === 'postgres'
        ? sql`select pg_sleep(20)`
        : sql`with recursive n(i) as (select 1 union all select i + 1 from n limit 20000000) select count(*) from n`
    const error = await long.execute(impatient.read).catch((thrown: unknown) => thrown)
    const refusal = storeRefusal(error)
    expect(refusal).toBeInstanceOf(Refusal)
    expect([refusal?.status, refusal?.headers['retry-after']]).toEqual([503, '30'])
    expect(await countEntries(impatient.read)).toBe(0)
  })

  test('a secret is made once, for all that share the store', async () => {
    const secrets = await Promise.all(
      Array.from({ length: 5 }, () => secretSetting(database, 'cursor_secret')),
    )
    expect(new Set(secrets.map((secret) => secret.toString('hex'))).size).toBe(1)
    expect(secrets[0]).toHaveLength(32)
  })

  test('a probe writes and reads', async () => {
    await using own = await stores.open(dialect)
    await expect(probe(own)).resolves.toBeUndefined()
    await own.close()
    const error = await probe(own).catch((thrown: unknown) => thrown)
    expect(isStoreDown(error)).toBe(true)
  })

  test('closing twice is closing once', async () => {
    await using own = await stores.open(dialect)
    await Promise.all([own.close(), own.close()])
    await own[Symbol.asyncDispose]()
  })
})

describe('SQLite', () => {
  test('a store is as durable as the disk: every commit is synced', async () => {
    await using database = await openDatabase(`sqlite:${await folder()}/logs.db`)
    const { rows } = await sql`pragma synchronous`.execute(database.write)
    const { rows: mode } = await sql`pragma journal_mode`.execute(database.write)
    expect([rows, mode]).toEqual([[{ synchronous: 2 }], [{ journal_mode: 'wal' }]])
  })

  test('a long write-ahead log is cut as soon as no reader holds it any more', async () => {
    const path = join(await folder(), 'logs.db')
    await using store = await openDatabase(`sqlite:${path}`)
    const { columns } = entries(0)
    const long = 'x'.repeat(1024 * 1024)
    const rows = entries(70).rows.map((row) => row.map((value, index) => (index === 7 ? long : value)))
    const mebibytes = async (): Promise<number> => (await stat(`${path}-wal`)).size / 1024 / 1024
    await store.read.transaction().execute(async (trx) => {
      expect(await countEntries(trx)).toBe(0)
      await store.insertMany(store.write, { table: 'entries', columns, rows })
      expect(await mebibytes()).toBeGreaterThan(64)
    })
    expect(await countEntries(store.write)).toBe(70)
    expect(await mebibytes()).toBeLessThan(1)
  })

  test('readers cannot write', async () => {
    await using database = await stores.open('sqlite')
    await expect(database.read.deleteFrom('entries').execute()).rejects.toThrow(/readonly/)
  })

  test('the words of an entry are found, and go with it', async () => {
    await using database = await stores.open('sqlite')
    await database.insertMany(database.write, {
      ...entries(2),
      columns: ['seq', ...entries(2).columns],
      rows: entries(2).rows.map((row, index) => [index + 1, ...row]),
    })
    await database.insertMany(database.write, {
      table: 'entry_words',
      columns: ['rowid', 'words'],
      rows: [[1, 'disk quota reached']],
    })
    const find = sql`select rowid from entry_words where entry_words match '"quota reached"'`
    expect((await find.execute(database.read)).rows).toHaveLength(1)
    // The second one has no words: that is no error.
    await database.write.deleteFrom('entries').execute()
    expect((await find.execute(database.read)).rows).toHaveLength(0)
  })

  test('a store is there again when it is opened again', async () => {
    const url = `sqlite:${await folder()}/logs.db`
    {
      await using database = await openDatabase(url)
      await database.insertMany(database.write, entries(5))
    }
    await using database = await openDatabase(url)
    expect(await countEntries(database.read)).toBe(5)
  })

  test('a file that is no store is an error, and stays as it is', async () => {
    const file = join(await folder(), 'notes.txt')
    const text = 'no database '.repeat(1000)
    await writeFile(file, text)
    await expect(openDatabase(`sqlite:${file}`)).rejects.toThrow('file is not a database')
    expect(await readFile(file, 'utf8')).toBe(text)
    await expect(openDatabase(`sqlite:${await folder()}`)).rejects.toThrow('unable to open database file')
  })

  test('closing leaves one file', async () => {
    const made = await folder()
    const database = await openDatabase(`sqlite:${made}/logs.db`)
    await probe(database)
    await database.close()
    expect(await readdir(made)).toEqual(['logs.db'])
  })

  test('a transaction that breaks in its middle leaves nothing', async () => {
    await using database = await stores.open('sqlite')
    await database.insertMany(database.write, entries(1))
    const failing = database.write.transaction().execute(async (trx) => {
      await database.insertMany(trx, entries(1, 1))
      await trx.executeQuery(CompiledQuery.raw('select ?', [() => undefined]))
    })
    await expect(failing).rejects.toThrow(/could not be cloned/)
    expect(await countEntries(database.write)).toBe(1)
  })

  test('an error in SQL is an error of that query alone', async () => {
    await using database = await stores.open('sqlite')
    const error = await sql`select thing from nowhere`
      .execute(database.read)
      .catch((thrown: unknown) => thrown)
    expect(String(error)).toContain('no such table')
    expect(isStoreDown(error)).toBe(false)
    expect(await countEntries(database.read)).toBe(0)
  })
})

describe('PostgreSQL', () => {
  test('a server that is lost crashes nothing, counts as down and is used again when it is back', async () => {
    const postgres = await stores.postgres()
    await using database = await openDatabase(await postgres.database())
    await database.insertMany(database.write, entries(5))
    await postgres.kill()
    const error = await countEntries(database.read).catch((thrown: unknown) => thrown)
    expect(isStoreDown(error)).toBe(true)
    expect(storeRefusal(error)?.status).toBe(503)
    await postgres.start()
    await expect.poll(() => countEntries(database.read).catch(() => undefined), { timeout: 15_000 }).toBe(5)
  })

  test('a commit is never acknowledged before it is durable', async () => {
    await using database = await stores.open('postgres')
    // Of the server: the tests' own has it off, ours must not touch it.
    const { rows } = await sql<{ source: string }>`
      select source from pg_settings where name = 'synchronous_commit'`.execute(database.write)
    expect(rows[0]?.source).toMatch(/^(?:default|command line)$/)
  })

  test('a number that JavaScript cannot hold is an error and not another number', async () => {
    await using database = await stores.open('postgres')
    await expect(sql`select 9007199254740993::bigint`.execute(database.read)).rejects.toThrow('too large')
  })
})
