import { setTimeout as sleep } from 'node:timers/promises'
import type { Transaction } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Database } from '../store/database.ts'
import { openDatabase } from '../store/open-database.ts'
import type { Tables } from '../store/schema.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import { entry, entryStore, texts } from './entry-store.testing.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

const asc = { order: 'asc', data: true } as const

describe.each(dialects)('the writer on %s', (dialect) => {
  let database: Database
  beforeAll(async () => {
    database = await stores.open(dialect)
  })
  afterAll(() => database.close())
  beforeEach(() => database.write.deleteFrom('entries').execute())

  test('calls that come together share transactions', async () => {
    const { entries, metrics } = entryStore(database)
    await Promise.all(Array.from({ length: 300 }, () => entries.add(entry())))
    const text = await metrics.metrics()
    expect(text).toMatch(/^hcp_logs_entries_stored_total 300$/m)
    const transactions = Number(/^hcp_logs_entry_transactions_total (\d+)$/m.exec(text)?.[1])
    expect(transactions).toBeLessThan(5)
  })

  test('a transaction has a bounded number of rows and characters', async () => {
    const { entries } = entryStore(database)
    const insert = vi.spyOn(database, 'insertMany')
    await Promise.all([
      ...Array.from({ length: 6_000 }, () => entries.add(entry())),
      ...Array.from({ length: 9 }, () => entries.add(entry({ data: 'x'.repeat(1024 * 1024) }))),
    ])
    const batches = insert.mock.calls.map(([, { rows }]) => rows)
    expect(Math.max(...batches.map((rows) => rows.length))).toBe(5_000)
    const sizes = batches.map((rows) =>
      rows.flat().reduce<number>((sum, value) => sum + String(value).length, 0),
    )
    expect(Math.max(...sizes)).toBeLessThan(12 * 1024 * 1024)
    expect(await texts(entries.read({}, { ...asc, data: false }))).toHaveLength(6_009)
  })

  test('an entry that the store refuses takes no other with it', async () => {
    const { entries } = entryStore(database)
    const severities = [1, 99, 2, 3, 77, 4]
    const outcomes = await Promise.allSettled([
      ...severities.map((severity) => entries.add(entry({ severity, data: `${severity}` }))),
      entries.addAll([entry({ data: '5' }), entry({ data: '6', severity: 99 })]),
      entries.addAll([entry({ data: '7' }), entry({ data: '8' })]),
    ])
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([
      true,
      false,
      true,
      true,
      false,
      true,
      false,
      true,
    ])
    expect(await texts(entries.read({}, asc))).toEqual(['1', '2', '3', '4', '7', '8'])
  })

  test('nothing is acknowledged before it is committed', async () => {
    const { entries } = entryStore(database)
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const id = await entries.add(entry({ data: `${index}` }))
        expect(await entries.get(id)).toMatchObject({ data: `${index}` })
      }),
    )
  })

  test('when the store fails all that wait are refused with 503, soon, and nothing is half there', async () => {
    let down = true
    const failing: Database = {
      ...database,
      insertMany: async (trx, batch) => {
        const count = await database.insertMany(trx, batch)
        if (down) throw Object.assign(new Error('connection lost'), { code: 'ECONNRESET' })
        return count
      },
    }
    const { entries } = entryStore(failing)
    const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => entries.add(entry())))
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { status: 503 } })
    expect(await texts(entries.read({}, asc))).toEqual([])
    down = false
    await entries.add(entry({ data: 'after' }))
    expect(await texts(entries.read({}, asc))).toEqual(['after'])
  })

  test.each([1, 30])(
    'what was committed when the connection broke is not stored twice: %i together',
    async (count) => {
      let broken = false
      const transaction = () => ({
        execute: async <Result>(work: (trx: Transaction<Tables>) => Promise<Result>): Promise<Result> => {
          const result = await database.write.transaction().execute(work)
          if (broken) return result
          broken = true
          throw Object.assign(new Error('connection lost'), { code: 'ECONNRESET' })
        },
      })
      const write = new Proxy(database.write, {
        get: (kysely, key) =>
          key === 'transaction' ? transaction : (Reflect.get(kysely, key, kysely) as unknown),
      })
      const { entries } = entryStore({ ...database, write })
      const ids = await Promise.all(Array.from({ length: count }, () => entries.add(entry())))
      const found = await Array.fromAsync(entries.read({}, asc))
      expect(found.map(({ log_id }) => log_id)).toEqual(ids)
    },
  )

  test('what is committed only after the connection broke is not stored twice, and is no error', async () => {
    const committed: Promise<unknown>[] = []
    const transaction = () => ({
      execute: async <Result>(work: (trx: Transaction<Tables>) => Promise<Result>): Promise<Result> => {
        if (committed.length > 0) return database.write.transaction().execute(work)
        const done = Promise.withResolvers<void>()
        const commit = async (trx: Transaction<Tables>): Promise<void> => {
          await work(trx)
          done.resolve()
          await sleep(100)
        }
        committed.push(database.write.transaction().execute(commit))
        await done.promise
        throw Object.assign(new Error('connection lost'), { code: 'ECONNRESET' })
      },
    })
    const write = new Proxy(database.write, {
      get: (kysely, key) =>
        key === 'transaction' ? transaction : (Reflect.get(kysely, key, kysely) as unknown),
    })
    const { entries } = entryStore({ ...database, write })
    const id = await entries.add(entry())
    await Promise.all(committed)
    const found = await Array.fromAsync(entries.read({}, asc))
    expect(found.map(({ log_id }) => log_id)).toEqual([id])
  })

  test('a store that is closed refuses', async () => {
    const other = await stores.open(dialect)
    const { entries } = entryStore(other)
    await entries.add(entry())
    await other.close()
    await expect(Promise.all([entries.add(entry()), entries.add(entry())])).rejects.toThrow()
  })
})

test('a PostgreSQL that goes refuses with 503, and takes entries when it is back', async () => {
  const postgres = await stores.postgres()
  await using database = await openDatabase(await postgres.database())
  const { entries } = entryStore(database)
  await entries.add(entry({ data: 'before' }))
  await postgres.kill()
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => entries.add(entry())))
  for (const outcome of outcomes)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { status: 503 } })
  await postgres.start()
  await entries.add(entry({ data: 'after' }))
  expect(await texts(entries.read({}, asc))).toEqual(['before', 'after'])
})
