import { randomUUID } from 'node:crypto'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Refusal } from '../http/refusal.ts'
import type { Database } from '../store/database.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import { nowMicroseconds } from '../time.ts'
import { OperationStore } from './operation-store.ts'
import type { NewOperation, Operation, OperationField, OperationQuery, OperationSort } from './operation.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

const sortable = [
  'id',
  'project_id',
  'operation_type',
  'plan_id',
  'status',
  'started_at',
  'ended_at',
  'error_info',
  'created_at',
  'updated_at',
] as const satisfies OperationField[]

/** Few values, so that many are alike; among them some whose order by bytes is not that of a dictionary, or of UTF-16. */
const texts = fc.constantFrom(null, 'a', 'B', 'b', 'ä', '', '\u{1f600}', '\uffee', 'a b')
const times = fc.constantFrom(null, -1, 0, 1, 1_700_000_000_000_000, 1_700_000_000_000_001)

const newOperation: fc.Arbitrary<NewOperation> = fc.record({
  id: fc.uuid(),
  project_id: fc.constantFrom('p1', 'p2'),
  operation_type: fc.constantFrom('failover', 'Failback', 'suspend'),
  plan_id: texts,
  status: texts,
  started_at: times,
  ended_at: times,
  error_info: texts,
  created_at: fc.constantFrom(5, 6, 7),
  updated_at: fc.constantFrom(5, 6, 7),
})

const sorts: fc.Arbitrary<OperationSort[]> = fc.array(
  fc.record({ field: fc.constantFrom(...sortable), direction: fc.constantFrom('asc', 'desc') }),
  { maxLength: 4 },
)

/** What rule 1 of the contract and "nulls last" say, in the simplest way. */
function sorted(operations: readonly Operation[], sort: readonly OperationSort[]): Operation[] {
  const direction = sort[0]?.direction ?? 'desc'
  const keys = [...sort, { field: 'created_at', direction } as const, { field: 'id', direction } as const]
  return operations.toSorted((one, other) => {
    for (const { field, direction } of keys) {
      const left = one[field]
      const right = other[field]
      if (left === right) continue
      if (left === null) return 1
      if (right === null) return -1
      const sign =
        typeof left === 'number'
          ? left - Number(right)
          : Buffer.compare(Buffer.from(left), Buffer.from(String(right)))
      return direction === 'asc' ? sign : -sign
    }
    return 0
  })
}

async function allPages(store: OperationStore, query: Omit<OperationQuery, 'after'>): Promise<Operation[]> {
  const found: Operation[] = []
  for (let after: Operation | undefined; ;) {
    const page = await store.list({ ...query, after })
    found.push(...page.operations)
    if (!page.more) return found
    expect(page.operations).toHaveLength(query.limit)
    after = page.operations.at(-1)
  }
}

describe.each(dialects)('on %s', (dialect) => {
  let database: Database
  let store: OperationStore
  beforeAll(async () => {
    database = await stores.open(dialect)
    store = new OperationStore(database)
  })
  afterAll(() => database.close())

  test('paging by any fields in any directions gives the sorted list, each log once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(newOperation, { selector: ({ id }) => id, maxLength: 25 }),
        fc.array(sorts, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom('p1', undefined),
        async (news, someSorts, limit, project) => {
          await database.write.deleteFrom('operation_logs').execute()
          const added: Operation[] = []
          for (const operation of news) added.push(await store.add(operation))
          const visible = added.filter((one) => project === undefined || one.project_id === project)
          for (const sort of someSorts) {
            const found = await allPages(store, { project, sort, limit })
            expect(found).toEqual(sorted(visible, sort))
          }
        },
      ),
      { numRuns: 25 },
    )
  })

  test('a place that matches no filter, of another project, is a place all the same', async () => {
    const project = randomUUID()
    for (const created_at of [1, 3, 5]) {
      await store.add({ project_id: project, operation_type: 'x', status: 'a', created_at })
    }
    const other = await store.add({ project_id: 'other', operation_type: 'x', status: 'b', created_at: 3 })
    const page = await store.list({ project, equal: { status: 'a' }, after: other, limit: 9 })
    const behind = page.operations.map(({ created_at, id }) => created_at < 3 || id < other.id)
    expect(behind).not.toContain(false)
    expect(page.operations.map(({ created_at }) => created_at)).toContain(1)
  })

  test('a log that is added gets what is left out, and comes back as it was given', async () => {
    const before = nowMicroseconds()
    const bare = await store.add({ project_id: 'p', operation_type: 'suspend' })
    expect(bare).toMatchObject({ plan_id: null, status: null, ended_at: null, extra_info: null })
    expect(bare.created_at).toBeGreaterThan(before)
    expect(bare.started_at).toBe(bare.created_at)
    expect(bare.updated_at).toBe(bare.created_at)
    const full: Operation = {
      id: randomUUID(),
      project_id: 'p',
      operation_type: 'failover',
      checkpoint_id: 'c',
      plan_id: 'p',
      provider_id: 'v',
      restore_id: 'r',
      scheduled_operation_id: 's',
      status: 'success',
      started_at: null,
      ended_at: 9_000_000_000_000_001,
      error_info: `it's "50%" \\ ☃`,
      extra_info: '{}',
      created_at: -5,
      updated_at: 7,
    }
    expect(await store.add(full, 'this process')).toEqual(full)
    expect(await store.get(full.id)).toEqual(full)
    expect(await store.get(full.id, 'p')).toEqual(full)
    expect(await store.get(full.id, 'q')).toBeUndefined()
  })

  test('a change changes what is given and when it was changed', async () => {
    const { id, created_at } = await store.add({
      project_id: 'p',
      operation_type: 'suspend',
      status: 'in_progress',
    })
    const changed = await store.change(id, undefined, { status: 'success', ended_at: 5 })
    expect(changed).toMatchObject({ id, status: 'success', ended_at: 5, operation_type: 'suspend' })
    expect(changed?.updated_at).toBeGreaterThan(created_at)
    expect(await store.get(id)).toEqual(changed)
    expect(await store.change(id, 'p', { status: null })).toMatchObject({ status: null })
    expect(await store.change(id, 'q', { status: 'success' })).toBeUndefined()
    expect(await store.change(randomUUID(), undefined, {})).toBeUndefined()
  })

  test('an id is taken once, also by two projects at the same time', async () => {
    const id = randomUUID()
    const tries = await Promise.allSettled(
      ['p', 'q', 'p', 'r'].map((project_id) => store.add({ id, project_id, operation_type: 'x' })),
    )
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const refused = tries.filter((one) => one.status === 'rejected').map(({ reason }) => reason as Refusal)
    expect(refused.map(({ status, message }) => [status, message])).toEqual(
      Array.from({ length: 3 }, () => [409, `There is an operation log with the id ${id} already.`]),
    )
  })

  test.each(['a\0b', 'a\ud800b'])('text that no store can hold is refused: %j', async (text) => {
    const refusal = {
      status: 400,
      message: expect.stringMatching(/^error_info must be well-formed/) as string,
    }
    await expect(store.add({ project_id: 'p', operation_type: 'x', error_info: text })).rejects.toMatchObject(
      refusal,
    )
    const { id } = await store.add({ project_id: 'p', operation_type: 'x' })
    await expect(store.change(id, 'p', { error_info: text })).rejects.toMatchObject(refusal)
    await expect(store.list({ project: 'p', equal: { error_info: text }, limit: 1 })).rejects.toMatchObject(
      refusal,
    )
    expect(await store.get(text)).toBeUndefined()
    expect(await store.get(id, text)).toBeUndefined()
    expect(await store.change(text, undefined, {})).toBeUndefined()
  })
})
