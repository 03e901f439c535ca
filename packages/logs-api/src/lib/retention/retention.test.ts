import { array, assert, asyncProperty, constantFrom } from 'fast-check'
import { Registry } from 'prom-client'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import type { NewEntry } from '../entries/entry.ts'
import { entry, entryStore, quiet } from '../entries/entry-store.testing.ts'
import type { EntryStore } from '../entries/entry-store.ts'
import type { ServiceContext } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import { OperationStore } from '../operations/operation-store.ts'
import type { Database } from '../store/database.ts'
import { ifFree } from '../store/leases.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import { nowMicroseconds } from '../time.ts'
import { type RetentionPolicy, type RetentionRule, writePolicy } from './policy.ts'
import { Retention } from './retention.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

const day = 86_400_000_000
const ago = (days: number): number => Math.round(nowMicroseconds() - days * day)
const old = (name: string, days: number, more: Partial<NewEntry> = {}): NewEntry =>
  entry({ name, data: `${name} ${days}`, timestamp: ago(days), ...more })
const rule = (name: string, days: number | null, dataset_id: string | null = null): RetentionRule => ({
  name,
  days,
  dataset_id,
})

interface Parts {
  readonly database: Database
  readonly entries: EntryStore
  readonly operations: OperationStore
  readonly retention: Retention
}

/** What a service has, around a store. */
function around(database: Database, intervalSeconds?: number): Parts {
  const { entries } = entryStore(database)
  const operations = new OperationStore(database)
  const context = {
    database,
    entries,
    operations,
    metrics: new Registry(),
    stopping: new AbortController().signal,
    log: quiet,
  } as Partial<ServiceContext> as ServiceContext
  const retention = new Retention(context, entries, intervalSeconds === undefined ? {} : { intervalSeconds })
  onTestFinished(async () => {
    await retention.stop()
    await entries.close()
  })
  return { database, entries, operations, retention }
}

async function left(database: Database): Promise<string[]> {
  const rows = await database.write.selectFrom('entries').select('data').orderBy('data').execute()
  return rows.map(({ data }) => data ?? '')
}

async function runs(operations: OperationStore): ReturnType<OperationStore['list']> {
  return operations.list({ project: 'system', equal: { operation_type: 'retention_purge' }, limit: 100 })
}

describe.each(dialects)('on %s', (dialect) => {
  async function open(): Promise<Database> {
    const database = await stores.open(dialect)
    onTestFinished(() => database.close())
    return database
  }

  test('without a policy stdlog is kept for 31 days and the rest for a year', async () => {
    const { database, entries, retention } = around(await open())
    await entries.addAll([
      old('stdlog', 30.9),
      old('stdlog', 31.1),
      old('stdout', 31.1),
      old('stdout', 365.1),
      old('stderr', 364),
      old('other', 366, { dataset_id: null, task_id: null }),
      old('other', 300),
    ])
    const run = await retention.run()
    expect(await left(database)).toEqual(['other 300', 'stderr 364', 'stdlog 30.9', 'stdout 31.1'])
    expect(run).toEqual({
      dry_run: false,
      removed: { entries: 3, operations: 0, bodies: 0 },
      by_rule: [
        { ...rule('stdlog', 31), entries: 1 },
        { ...rule('stdout', 365), entries: 1 },
        { ...rule('stderr', 365), entries: 0 },
        { ...rule('*', 365), entries: 1 },
      ],
    })
  })

  test('the first rule that fits decides, also one that keeps', async () => {
    const { database, entries, retention } = around(await open())
    await writePolicy(database, {
      rules: [
        rule('audit*', null),
        rule('std???', 10, 'd'),
        rule('std*', 100),
        rule('*', 5, 'e'),
        rule('Audit', 0),
      ],
      operations_days: null,
    })
    await entries.addAll([
      old('audit', 900),
      old('audit', 901, { dataset_id: 'e' }),
      old('Audit', 1),
      old('stdout', 11),
      old('stdout', 12, { dataset_id: 'e' }),
      old('stdout', 13, { dataset_id: null }),
      old('stdoutput', 14),
      old('stdoutput', 101),
      old('x', 6, { dataset_id: 'e' }),
      old('x', 7),
    ])
    await retention.run()
    expect(await left(database)).toEqual([
      'audit 900',
      'audit 901',
      'stdout 12',
      'stdout 13',
      'stdoutput 14',
      'x 7',
    ])
  })

  test('a dry run counts what a run removes, and removes nothing', async () => {
    const { database, entries, operations, retention } = around(await open())
    const policy: RetentionPolicy = { rules: [rule('a*', 1), rule('*', 2)], operations_days: 1 }
    await entries.addAll([old('a', 1.5), old('a', 0.5), old('b', 1.5), old('b', 2.5), old('ab', 3)])
    await operations.add({ project_id: 'p', operation_type: 'failover', created_at: ago(2) })
    const dry = await retention.run({ dryRun: true, policy })
    expect([(await left(database)).length, (await runs(operations)).operations]).toEqual([5, []])
    const run = await retention.run({ policy })
    expect(dry).toEqual({ ...run, dry_run: true })
    expect(run.removed).toEqual({ entries: 3, operations: 1, bodies: 0 })
  })

  test('a name is matched as the pattern says, and by nothing else in it', async () => {
    const { database, entries, retention } = around(await open())
    const part = constantFrom('a', 'A', 'b', '*', '?', '%', '_', '[', ']', '^', '-', '\\', '.', 'ä', '😀')
    const text = array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''))
    const names = ['a', 'ab', 'A', '%', '_', '[a]', '\\', 'ä', '😀', 'a😀b', '[', '.a', 'a-b', '*', '?']
    await entries.addAll(names.map((name) => old(name, 2)))
    await assert(
      asyncProperty(text, async (pattern) => {
        const literal = pattern.replaceAll(/[.[\]^\\]/g, String.raw`\$&`)
        const expected = new RegExp(`^${literal.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'u')
        const policy = { rules: [rule(pattern, 1)], operations_days: null }
        const { removed } = await retention.run({ dryRun: true, policy })
        expect(removed.entries).toBe(names.filter((name) => expected.test(name)).length)
      }),
      { numRuns: 60 },
    )
    expect(await left(database)).toHaveLength(names.length)
  })

  test('more entries than a step go, and their objects with them', async () => {
    const { database, entries, retention } = around(await open())
    await entries.addAll(Array.from({ length: 1203 }, (_, index) => old('log', 400 + (index % 7))))
    await entries.add(old('log', 1))
    await database.write
      .updateTable('entries')
      .set({ body: '/rest/logs/x' })
      .where('timestamp', '<', ago(405.5))
      .execute()
    const gone: (string | null)[] = []
    const steps: number[] = []
    const recording: Pick<EntryStore, 'removeRows' | 'sweep'> = {
      async removeRows(rows) {
        steps.push(rows.length)
        gone.push(...rows.map(({ body }) => body))
        await database.write
          .deleteFrom('entries')
          .where(
            'log_id',
            'in',
            rows.map((row) => row.log_id),
          )
          .execute()
        return rows.length
      },
      sweep: async () => ({ removed: 2 }),
    }
    const context = {
      database,
      operations: new OperationStore(database),
      metrics: new Registry(),
      stopping: new AbortController().signal,
      log: quiet,
    } as Partial<ServiceContext> as ServiceContext
    const { removed } = await new Retention(context, recording).run()
    expect(steps).toEqual([500, 500, 203])
    expect(gone.filter((body) => body === '/rest/logs/x')).toHaveLength(171)
    expect(removed).toEqual({ entries: 1203, operations: 0, bodies: 173 })
    expect(await left(database)).toEqual(['log 1'])
    expect((await retention.run()).removed.entries).toBe(0)
  })

  test('operation logs go after three years, but never those in progress', async () => {
    const { operations, retention } = around(await open())
    const made = await Promise.all(
      (
        [
          ['p', 'success', 1096],
          ['q', null, 1096],
          ['p', 'in_progress', 2000],
          ['p', 'success', 1090],
        ] as const
      ).map(([project_id, status, days]) =>
        operations.add({ project_id, status, operation_type: 'failover', created_at: ago(days) }),
      ),
    )
    expect((await retention.run()).removed.operations).toBe(2)
    const found = await Promise.all(made.map(async ({ id }) => (await operations.get(id)) !== undefined))
    expect(found).toEqual([false, false, true, true])
  })

  test('each run leaves an operation log with its counts', async () => {
    const { entries, operations, retention } = around(await open())
    await entries.add(old('log', 400))
    expect(await retention.lastRun()).toBeUndefined()
    const { removed, by_rule } = await retention.run()
    const [logged] = (await runs(operations)).operations
    expect(logged).toMatchObject({ project_id: 'system', status: 'success', error_info: null })
    expect(logged?.ended_at).toBeGreaterThan(logged?.started_at ?? Number.NaN)
    expect(JSON.parse(logged?.extra_info ?? '')).toEqual({ removed, by_rule })
    expect(await retention.lastRun()).toMatchObject({ operation_id: logged?.id, status: 'success', removed })
  })

  test('a run that fails says so in its operation log, without the texts of the store', async () => {
    const { database, entries, operations, retention } = around(await open())
    await entries.add(old('log', 400))
    const failing = Object.assign(Object.create(entries) as EntryStore, {
      removeRows: () => Promise.reject(new Error('secret text of an entry')),
    })
    const context = {
      database,
      operations,
      metrics: new Registry(),
      stopping: new AbortController().signal,
      log: quiet,
    } as Partial<ServiceContext> as ServiceContext
    await expect(new Retention(context, failing).run()).rejects.toThrow()
    const [logged] = (await runs(operations)).operations
    expect(logged).toMatchObject({ status: 'fail', error_info: 'Error' })
    expect(await retention.lastRun()).toMatchObject({ status: 'fail', removed: null })
  })

  test('two runs at a time are refused, and the operation log of the first stays open', async () => {
    const { database, operations, retention } = around(await open())
    const { id } = await operations.add({
      project_id: 'system',
      operation_type: 'retention_purge',
      status: 'in_progress',
    })
    await ifFree(database, 'retention', { stopping: new AbortController().signal }, async () => {
      const error = await retention.run().catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(Refusal)
      expect((error as Refusal).status).toBe(409)
    })
    expect((await operations.get(id))?.status).toBe('in_progress')
  })

  test('whoever becomes leader closes the operation logs of runs whose process ended', async () => {
    const { operations, retention } = around(await open())
    const add = (project_id: string, operation_type: string): ReturnType<OperationStore['add']> =>
      operations.add({ project_id, operation_type, status: 'in_progress' }, 'dead')
    const dead = await add('system', 'retention_purge')
    const others = [await add('system', 'failover'), await add('p', 'retention_purge')]
    retention.start()
    await expect
      .poll(() => operations.get(dead.id), { timeout: 10_000 })
      .toMatchObject({ status: 'error', error_info: 'process ended', ended_at: expect.any(Number) as number })
    for (const { id } of others) expect((await operations.get(id))?.status).toBe('in_progress')
  })

  test('it runs by itself, again and again, in one process of several', async () => {
    const database = await open()
    const several = [around(database, 0.5), around(database, 0.5)]
    const [{ entries, operations }] = several as [Parts, Parts]
    for (const { retention } of several) retention.start()
    await entries.add(old('log', 400))
    await expect
      .poll(async () => (await runs(operations)).operations.length, { timeout: 10_000 })
      .toBeGreaterThan(2)
    expect(await left(database)).toEqual([])
    const next = await several[1]?.retention.nextRun()
    expect(next).toBeGreaterThan(nowMicroseconds() - 2_000_000)
    await Promise.all(several.map(({ retention }) => retention.stop()))
    const ended = (await runs(operations)).operations
    expect(ended.filter(({ status }) => status === 'in_progress')).toEqual([])
    const held = await database.write.selectFrom('leases').selectAll().execute()
    expect(held).toEqual([])
  })

  test('a run that is stopped ends after its step, and tells it', async () => {
    const { entries, operations, retention } = around(await open())
    await entries.addAll(Array.from({ length: 1200 }, () => old('log', 400)))
    const stop = new AbortController()
    const running = retention.run({ signal: stop.signal })
    stop.abort()
    await expect(running).rejects.toMatchObject({ status: 503 })
    expect((await runs(operations)).operations[0]).toMatchObject({ status: 'fail' })
    expect((await retention.run()).removed.entries).toBeGreaterThan(0)
  })
})

test.each([0, -1, Number.NaN, 1e9])('an interval of %d seconds is refused', async (intervalSeconds) => {
  await using database = await stores.open('sqlite')
  expect(() => around(database, intervalSeconds)).toThrow(RangeError)
})
