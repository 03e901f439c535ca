import { afterAll, describe, expect, test } from 'vitest'
import type { Database } from '../store/database.ts'
import type { ExportState } from '../store/schema.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import { ExportStore } from './export-store.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

function rowOf(id: string, parts: { created_at?: number; system?: string; state?: ExportState } = {}) {
  const { created_at = 1_000, system = 's', state = 'queued' } = parts
  return {
    id,
    project_id: 'p',
    system_id: system,
    state,
    percentage: 0,
    created_at,
    updated_at: created_at,
    request: '{}',
    caller: 'olga',
    operation_id: `operation of ${id}`,
  }
}

async function lend(database: Database, name: string, holder: string): Promise<void> {
  await database.write.deleteFrom('leases').where('name', '=', name).execute()
  await database.write.insertInto('leases').values({ name, holder, until: 1e15 }).execute()
}

describe.each(dialects)('exports on %s', (dialect) => {
  test('the same id again is the export that is there', async () => {
    await using database = await stores.open(dialect)
    const store = new ExportStore(database)
    expect(await store.add(rowOf('a'))).toMatchObject({ added: true, row: { id: 'a', created_at: 1_000 } })
    expect(await store.add(rowOf('a', { created_at: 2_000 }))).toMatchObject({
      added: false,
      row: { id: 'a', created_at: 1_000, cancel_asked: 0, job: null },
    })
  })

  test('lists are newest first, also among equal times, page by page', async () => {
    await using database = await stores.open(dialect)
    const store = new ExportStore(database)
    for (const [id, created_at] of [
      ['b', 5],
      ['a', 5],
      ['c', 5],
      ['d', 9],
      ['e', 1],
    ] as const)
      await store.add(rowOf(id, { created_at }))
    await store.add(rowOf('other', { system: 'o' }))
    const seen: string[] = []
    let after: { created_at: number; id: string } | undefined
    for (;;) {
      const page = await store.list({ project: 'p', system: 's', after, limit: 2 })
      if (page.length === 0) break
      seen.push(...page.map(({ id }) => id))
      after = page.at(-1)
    }
    expect(seen).toEqual(['d', 'c', 'b', 'a', 'e'])
    expect((await store.list({ states: ['completed'], limit: 9 })).length).toBe(0)
    expect((await store.list({ project: 'nobody', limit: 9 })).length).toBe(0)
  })

  test('the percentage never falls, and an end is an end', async () => {
    await using database = await stores.open(dialect)
    const store = new ExportStore(database)
    await store.add(rowOf('a'))
    await store.change(['a'], { percentage: 40 })
    const [row] = await store.change(['a'], { percentage: 7, state: 'streaming' })
    expect(row).toMatchObject({ percentage: 40, state: 'streaming' })
    expect(row!.updated_at).toBeGreaterThan(1_000)
    expect(await store.change(['a'], { state: 'cancelled' })).toHaveLength(1)
    expect(await store.change(['a'], { percentage: 90, state: 'streaming' })).toEqual([])
    expect(await store.get('a')).toMatchObject({ percentage: 40, state: 'cancelled' })
  })

  test('who has lost the lease changes nothing', async () => {
    await using database = await stores.open(dialect)
    const store = new ExportStore(database)
    await store.add(rowOf('a'))
    const lease = { name: 'export:s', holder: 'one' }
    expect(await store.change(['a'], { percentage: 10 }, { lease })).toEqual([])
    await lend(database, 'export:s', 'one')
    expect(await store.change(['a'], { percentage: 10 }, { lease })).toHaveLength(1)
    await lend(database, 'export:s', 'other')
    expect(await store.change(['a'], { percentage: 20, state: 'completed' }, { lease })).toEqual([])
    expect(await store.get('a')).toMatchObject({ percentage: 10, state: 'queued' })
  })

  test('work that is open: what is not at its end, and what may have left a job on HCP; oldest first', async () => {
    await using database = await stores.open(dialect)
    const store = new ExportStore(database)
    await store.add(rowOf('young', { created_at: 3 }))
    await store.add(rowOf('old', { created_at: 1, state: 'storing' }))
    await store.add(rowOf('done', { state: 'completed' }))
    await store.add({ ...rowOf('left', { created_at: 2, state: 'cancelled' }), job: '{"tries":0}' })
    expect((await store.open('s')).map(({ id }) => id)).toEqual(['old', 'left', 'young'])
    expect(await store.open('o')).toEqual([])
    expect((await store.stillActive(['old', 'done', 'left'])).toSorted()).toEqual(['old'])
  })

  test('what is due, and what can be removed', async () => {
    await using database = await stores.open(dialect)
    const store = new ExportStore(database)
    await store.add({ ...rowOf('due', { state: 'completed' }), expires_at: 5, archive: '{}' })
    await store.add({ ...rowOf('later', { state: 'completed' }), expires_at: 4e15, archive: '{}' })
    await store.add({ ...rowOf('gone', { state: 'expired' }), archive: '{}' })
    await store.add(rowOf('empty', { state: 'failed' }))
    expect((await store.due()).map(({ id }) => id)).toEqual(['due'])
    expect((await store.removable('')).map(({ id }) => id)).toEqual(['gone'])
    expect(await store.removable('gone')).toEqual([])
    expect((await store.lastArchive('s'))?.state).toMatch(/completed|expired/)
  })
})
