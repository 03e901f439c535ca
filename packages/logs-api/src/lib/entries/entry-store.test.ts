import { assert, asyncProperty, string } from 'fast-check'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Database } from '../store/database.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import { nowMicroseconds } from '../time.ts'
import type { Deletion, Entry, EntryQuery } from './entry.ts'
import type { EntryStore } from './entry-store.ts'
import { entry, entryStore, texts } from './entry-store.testing.ts'
import { bucketOf, derivedLogId, newLogId } from './log-id.ts'
import { parseWords } from './words.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

const asc = { order: 'asc', data: true } as const
const desc = { order: 'desc', data: true } as const

describe.each(dialects)('entries on %s', (dialect) => {
  let database: Database
  let entries: EntryStore
  beforeAll(async () => {
    database = await stores.open(dialect)
  })
  afterAll(() => database.close())
  beforeEach(async () => {
    await sql`delete from entries`.execute(database.write)
    entries = entryStore(database).entries
  })

  const idsOf = (found: readonly Entry[]): string[] => found.map(({ log_id }) => log_id)
  const all = (query: EntryQuery = {}): Promise<Entry[]> => Array.fromAsync(entries.read(query, asc))

  test('an entry comes back as it was given', async () => {
    const before = nowMicroseconds()
    const given = {
      dataset_id: 'd.1',
      task_id: 't',
      name: 'stderr',
      data: 'Größe 🔥\n\t "x"\r\n',
      severity: 17,
      timestamp: 1_772_619_072_000_345,
      fields: { severity: 'error', deep: { list: [1, 2.5, null, 'é\u0000\ud800'] }, empty: '' },
    }
    const log_id = await entries.add(given)
    const { id: _, ...rest } = { ...given, id: undefined }
    const found = await entries.get(log_id)
    expect(found).toEqual({ ...rest, log_id, arrived: expect.any(Number), dataMissing: false })
    expect(found?.arrived).toBeGreaterThan(before)
    expect(await all()).toEqual([found])
  })

  test('what was not said is null, the time is now, and there are no fields', async () => {
    const before = nowMicroseconds()
    const log_id = await entries.add({ dataset_id: null, task_id: null, name: 'log', data: 'x' })
    const found = await entries.get(log_id)
    expect(found).toMatchObject({ dataset_id: null, task_id: null, severity: null, fields: {}, data: 'x' })
    expect(found?.timestamp).toBeGreaterThan(before)
    expect(found?.arrived).toBeGreaterThan(found?.timestamp ?? Number.NaN)
  })

  test('any text comes back, U+0000 and the empty one too', async () => {
    await assert(
      asyncProperty(string({ unit: 'binary' }), async (data) => {
        const log_id = await entries.add(entry({ data }))
        expect(await entries.get(log_id)).toMatchObject({ data, dataMissing: false })
      }),
      { numRuns: 30, examples: [[''], ['\0'], ['a\0b'], ['"\\u0000"'], ['\\N'], ['{}'], ['NULL']] },
    )
  })

  test('a text of 64 MiB comes back', async () => {
    const data = 'disk full '.repeat((64 * 1024 * 1024) / 10)
    const found = await entries.get(await entries.add(entry({ data })))
    expect(found?.data === data).toBe(true)
  }, 120_000)

  test('a long text comes back in a list, with small ones beside it, and only where texts are asked for', async () => {
    const data = 'äx'.repeat(1_000_000)
    await entries.addAll([entry({ data: '1' }), entry({ data }), entry({ data: '3' })])
    const found = await texts(entries.read({}, asc))
    expect(found[1] === data).toBe(true)
    expect([found[0], found[2]]).toEqual(['1', '3'])
    expect(await texts(entries.read({}, { ...asc, data: false }))).toEqual([undefined, undefined, undefined])
  })

  test('large fields come back too, whether or not the text is asked for', async () => {
    const fields = { attributes: { stack: 'y'.repeat(100_000) } }
    await entries.add(entry({ fields }))
    expect(await Array.fromAsync(entries.read({}, { ...asc, data: false }))).toMatchObject([
      { fields, data: undefined },
    ])
    expect(await all()).toMatchObject([{ fields, data: 'text' }])
  })

  test('calls that come together get ids in their order, and are read in it', async () => {
    const ids = await Promise.all(
      Array.from({ length: 300 }, (_, index) => entries.add(entry({ data: `${index}` }))),
    )
    expect(ids.toSorted()).toEqual(ids)
    const found = await all()
    expect(idsOf(found)).toEqual(ids)
    const arrivals = await entries.arrivals({}, { arrived: 0, log_id: '' }, 1_000)
    expect(idsOf(arrivals)).toEqual(ids)
  })

  test('addAll stores all or nothing', async () => {
    const bad = entry({ severity: 99 })
    await expect(entries.addAll([entry(), bad, entry()])).rejects.toThrow()
    expect(await all()).toEqual([])
    expect(await entries.addAll([])).toEqual([])
    const ids = await entries.addAll(Array.from({ length: 12_000 }, () => entry()))
    expect(new Set(ids).size).toBe(12_000)
    expect(await all()).toHaveLength(12_000)
  })

  test('a repeated request stores nothing twice and changes nothing', async () => {
    const id = (index: number) => (bucket: number) =>
      derivedLogId(1_800_000_000_000, Buffer.alloc(32, index), bucket)
    const first = await entries.addAll([entry({ id: id(1), data: 'words' }), entry({ id: id(2) })])
    const again = await entries.addAll([entry({ id: id(1), data: 'other' }), entry({ id: id(3) }), entry()])
    expect(again[0]).toBe(first[0])
    const both = await Promise.all([entries.add(entry({ id: id(4) })), entries.add(entry({ id: id(4) }))])
    expect(both[0]).toBe(both[1])
    expect(await all()).toHaveLength(5)
    expect((await entries.get(first[0] as string))?.data).toBe('words')
    expect(await all({ words: parseWords('other') })).toEqual([])
    expect(await all({ words: parseWords('words') })).toHaveLength(1)
  })

  test('an entry is found by its id alone, and under its own dataset only', async () => {
    const log_id = await entries.add(entry({ dataset_id: 'd1' }))
    expect(await entries.get(log_id, { dataset: 'd1' })).toMatchObject({ log_id })
    expect(await entries.get(log_id, { dataset: 'd2' })).toBeUndefined()
    // In the same bucket, of no dataset.
    const none = await entries.add(entry({ dataset_id: null }))
    expect(await entries.get(none, { dataset: '' })).toBeUndefined()
    for (const text of ['', 'search', log_id.toUpperCase(), newLogId(bucketOf('d1'))])
      expect(await entries.get(text)).toBeUndefined()
  })

  test('an entry is removed once, with its words, and under its own dataset only', async () => {
    const log_id = await entries.add(entry({ dataset_id: 'd1', data: 'gone' }))
    expect(await entries.remove(log_id, { dataset: 'd2' })).toBe(false)
    expect(await entries.remove(log_id, { dataset: 'd1' })).toBe(true)
    expect(await entries.remove(log_id)).toBe(false)
    expect(await entries.remove('search')).toBe(false)
    expect(await entries.get(log_id)).toBeUndefined()
    const next = await entries.add(entry({ data: 'other' }))
    expect(await all({ words: parseWords('gone') })).toEqual([])
    expect(idsOf(await all({ words: parseWords('other') }))).toEqual([next])
  })

  describe('conditions', () => {
    const at = (timestamp: number, more: Partial<ReturnType<typeof entry>>) => entry({ timestamp, ...more })
    beforeEach(async () => {
      await entries.addAll([
        at(10, { data: '1', dataset_id: 'a', name: 'stdout', severity: 9 }),
        at(20, { data: '2', dataset_id: 'a', name: 'stderr', severity: 17, task_id: 'u' }),
        at(30, { data: '3', dataset_id: 'b', name: 'stdout', severity: 20 }),
        at(40, { data: '4', dataset_id: null, name: 'stderr', task_id: null }),
        at(50, { data: '5', dataset_id: 'c', name: 'stdlog', severity: 1 }),
      ])
    })
    const many = (more: readonly string[]): string[] => [
      ...Array.from({ length: 5_000 }, (_, index) => `none${index}`),
      ...more,
    ]
    test.each<[string, EntryQuery, string]>([
      ['none', {}, '12345'],
      ['a dataset', { datasets: ['a'] }, '12'],
      ['several datasets', { datasets: ['c', 'a'] }, '125'],
      ['a dataset named twice', { datasets: ['a', 'a', 'c'] }, '125'],
      ['so many datasets that all buckets are among theirs', { datasets: many(['b', 'a']) }, '123'],
      ['an unknown dataset', { datasets: ['x'] }, ''],
      ['no dataset at all', { datasets: [] }, ''],
      ['a dataset with signs', { datasets: [`{"a",b}`, `'; drop`, 'a'] }, '12'],
      ['a task', { task: 'u' }, '2'],
      ['a task of a dataset', { datasets: ['a'], task: 't' }, '1'],
      ['a name', { name: 'stdout' }, '13'],
      ['a name in a dataset', { datasets: ['a'], name: 'stderr' }, '2'],
      ['a name in datasets', { datasets: ['a', 'b'], name: 'stdout' }, '13'],
      ['from, inclusive', { from: 20 }, '2345'],
      ['before, exclusive', { before: 20 }, '1'],
      ['both', { from: 20, before: 50 }, '234'],
      ['nothing between', { from: 20, before: 20 }, ''],
      ['a severity', { severities: [{ least: 17, most: 20 }] }, '23'],
      [
        'severities',
        {
          severities: [
            { least: 1, most: 1 },
            { least: 20, most: 24 },
          ],
        },
        '35',
      ],
      ['no severity at all', { severities: [] }, ''],
      ['words', { words: parseWords('3') }, '3'],
      ['words in a dataset', { words: parseWords('-1'), datasets: ['a'] }, '2'],
      ['words in datasets', { words: parseWords('-1'), datasets: ['a', 'b'] }, '23'],
      ['words in very many datasets', { words: parseWords('-1'), datasets: many(['a', 'b']) }, '23'],
    ])('%s', async (_, query, expected) => {
      expect((await texts(entries.read(query, asc))).join('')).toBe(expected)
      const backwards = expected.split('').toReversed().join('')
      expect((await texts(entries.read(query, desc))).join('')).toBe(backwards)
      const limited = await texts(entries.read(query, { ...desc, limit: 1 }))
      expect(limited.join('')).toBe(backwards.slice(0, 1))
      const arrived = await entries.arrivals(query, { arrived: 0, log_id: '' }, 10)
      expect(arrived.map(({ data }) => data).join('')).toBe(expected)
      const removals: Deletion[] = await Array.fromAsync(entries.removeAll(query))
      const total = expected.length
      expect(removals[0]).toEqual({ removed: 0, total })
      expect(removals.at(-1)).toEqual({ removed: total, total })
      const left = '12345'
        .split('')
        .filter((sign) => !expected.includes(sign))
        .join('')
      expect((await texts(entries.read({}, asc))).join('')).toBe(left)
    })
  })

  test('pages follow each other without loss or repetition, also within one moment', async () => {
    const given = Array.from({ length: 1_203 }, (_, index) =>
      entry({ timestamp: 1_000 + Math.floor(index / 700), dataset_id: index % 3 === 0 ? 'd' : 'e' }),
    )
    const ids = await entries.addAll(given)
    expect(idsOf(await all())).toEqual(ids)
    expect(idsOf(await all({ datasets: ['d', 'e'] }))).toEqual(ids)
    expect(idsOf(await Array.fromAsync(entries.read({}, desc)))).toEqual(ids.toReversed())
    for (const order of ['asc', 'desc'] as const) {
      for (const datasets of [undefined, ['d', 'e']]) {
        const seen: Entry[] = []
        for (;;) {
          const options = { order, data: false, limit: 100, after: seen.at(-1) }
          const page = await Array.fromAsync(entries.read({ datasets, from: 0, before: 1_002 }, options))
          seen.push(...page)
          if (page.length < 100) break
        }
        expect(idsOf(seen)).toEqual(order === 'asc' ? ids : ids.toReversed())
      }
    }
    const arrived: Entry[] = []
    for (let page: Entry[] = []; arrived.length === 0 || page.length > 0; arrived.push(...page))
      page = await entries.arrivals({}, arrived.at(-1) ?? { arrived: 0, log_id: '' }, 500)
    expect(idsOf(arrived)).toEqual(ids)
  })

  test('a limit of nothing is nothing, and more than a page is as many', async () => {
    await entries.addAll(Array.from({ length: 700 }, () => entry()))
    for (const limit of [0, 1, 500, 501, 700, 900])
      expect(await texts(entries.read({}, { ...asc, limit }))).toHaveLength(Math.min(limit, 700))
  })

  test('a reader may leave at any time', async () => {
    await entries.addAll([entry({ data: 'x'.repeat(50_000) }), entry({ data: 'y'.repeat(50_000) }), entry()])
    for await (const found of entries.read({}, asc)) {
      expect(found.data).toHaveLength(50_000)
      break
    }
    expect(await all()).toHaveLength(3)
  })

  test.each<[string, string]>([
    ['quota', '12'],
    ['QUOTA disk', '12'],
    ['"disk quota"', '1'],
    ['"quota disk"', '2'],
    ['"quota reached"', '1'],
    ['quota -reached', '2'],
    ['quota -"disk quota"', '2'],
    ['-quota', '34567'],
    ['-quota -größe', '4567'],
    ['größe', '3'],
    ['GRÖSSE', ''],
    ['grosse', ''],
    ['Gro\u0308ße', '3'],
    ['42', '3'],
    ['4', ''],
    [`${'w'.repeat(64)}zzz`, '4'],
    ['w'.repeat(64), '4'],
    ['w'.repeat(63), ''],
    ['磁盘', '5'],
    ['盘磁', ''],
    ['user@example.com', '6'],
    ['example.user', ''],
    ['"b c last"', '7'],
    ['"b a a"', '7'],
    ['"a c"', ''],
    ['last -first', '7'],
    ['nothing', ''],
  ])('the words %s find %j', async (q, expected) => {
    await entries.addAll([
      entry({ data: '1 Disk quota, reached!' }),
      entry({ data: '2 quota (disk)' }),
      entry({ data: '3 Größe: 42' }),
      entry({ data: `4th ${'w'.repeat(64)}yyy` }),
      entry({ data: '5 磁盘已满' }),
      entry({ data: '6 user@example.com' }),
      entry({ data: `7 a b ${'a '.repeat(300)}\0 a b c last` }),
    ])
    const found = await texts(entries.read({ words: parseWords(q) }, asc))
    expect(found.map((text) => text?.[0]).join('')).toBe(expected)
  })

  test('the first of each name are found in either order, cut after sorting', async () => {
    const names = ['stdout', 'stderr', 'stdout', 'log', 'stderr', 'stdout']
    await entries.addAll([
      ...names.map((name, index) => entry({ name, data: `${index}`, timestamp: 10 + index })),
      entry({ name: 'stdout', data: 'same time, later', timestamp: 15 }),
      entry({ name: 'other', task_id: 'x', timestamp: 99 }),
      entry({ name: 'other', dataset_id: 'x', timestamp: 99 }),
    ])
    const first = async (order: 'asc' | 'desc', limit?: number) =>
      (await Array.fromAsync(entries.newestPerName('d', 't', { order, data: true, limit }))).map(
        ({ data }) => data,
      )
    expect(await first('desc')).toEqual(['same time, later', '4', '3'])
    expect(await first('asc')).toEqual(['0', '1', '3'])
    expect(await first('desc', 2)).toEqual(['same time, later', '4'])
    expect(await Array.fromAsync(entries.newestPerName('d', 'none', desc))).toEqual([])
    const [found] = await Array.fromAsync(entries.newestPerName('d', 't', { order: 'desc', data: false }))
    expect(found?.data).toBeUndefined()
  })

  test('long texts of the first of each name are fetched as they are read, not all at once', async () => {
    const data = 'x'.repeat(20_000)
    await entries.addAll(Array.from({ length: 40 }, (_, index) => entry({ name: `n${index}`, data })))
    const found = entries.newestPerName('d', 't', desc)[Symbol.asyncIterator]()
    expect((await found.next()).value).toMatchObject({ data })
    await sql`delete from entries`.execute(database.write)
    const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => found })
    expect(rest.length).toBeLessThan(20)
  })

  test('removal leaves what arrives after the call, and tells each step', async () => {
    await entries.addAll(Array.from({ length: 1_201 }, () => entry({ timestamp: 5_000 })))
    const removal = entries.removeAll({ datasets: ['d'] })
    const late = await entries.addAll([entry({ timestamp: 1 }), entry({ timestamp: 9_000 })])
    const other = await entries.add(entry({ dataset_id: 'e' }))
    const steps = await Array.fromAsync(removal)
    expect(steps).toEqual([0, 500, 1_000, 1_201].map((removed) => ({ removed, total: 1_201 })))
    expect(idsOf(await all())).toEqual([late[0], late[1], other])
  })

  test('removal over all datasets goes by all their buckets, and stops with its reader', async () => {
    await entries.addAll(
      Array.from({ length: 1_100 }, (_, index) => entry({ dataset_id: `d${index}`, name: 'old' })),
    )
    await entries.add(entry())
    for await (const { removed } of entries.removeAll({ name: 'old' })) if (removed === 500) break
    expect(await all({ name: 'old' })).toHaveLength(600)
    const steps = await Array.fromAsync(entries.removeAll({ name: 'old' }))
    expect(steps.at(-1)).toEqual({ removed: 600, total: 600 })
    expect(await all()).toHaveLength(1)
  })

  test('close writes what was taken, and then takes nothing', async () => {
    const adding = Array.from({ length: 50 }, () => entries.add(entry()))
    const closed = entries.close()
    await expect(entries.add(entry())).rejects.toMatchObject({ status: 503 })
    await closed
    expect(await all()).toHaveLength(50)
    await Promise.all(adding)
  })

  test('without a namespace there is nothing to sweep', async () => {
    expect(await entries.sweep(AbortSignal.timeout(10_000))).toEqual({ removed: 0 })
  })
})
