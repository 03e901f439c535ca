import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { ObjectClient, ObjectNotFoundError } from '@hcp/objects'
import { assert, integer, property, string } from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { BodyOptions } from '../http/options.ts'
import type { Database } from '../store/database.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import { nowMicroseconds } from '../time.ts'
import { moreCharacters } from './bodies.ts'
import type { EntryStore } from './entry-store.ts'
import { entry, entryStore, texts } from './entry-store.testing.ts'
import { derivedLogId } from './log-id.ts'
import { parseWords } from './words.ts'

const asc = { order: 'asc', data: true } as const
const soon = (): AbortSignal => AbortSignal.timeout(20_000)
const long = `needle ${'x'.repeat(20)}`
const second = 1_000_000
const day = 86_400 * second

const stores = new Stores()
let hcp: Emulator
let objects: ObjectClient
let versioned: ObjectClient
let clock = 0
beforeAll(async () => {
  hcp = await startEmulator({ now: () => Date.now() + clock })
  objects = clientOf('n1')
  versioned = clientOf('n2')
})
afterAll(async () => {
  await objects.close()
  await versioned.close()
  await hcp.close()
  await stores[Symbol.asyncDispose]()
})
afterEach(async () => {
  await hcp.clearFaults()
  clock = 0
})

function clientOf(namespace: string): ObjectClient {
  const target = new Target(`${namespace}.m.${hcp.domain}`, {
    authorization: new NativeAuthorization('n', 'n01'),
    port: hcp.ports.http,
    tls: false,
    addresses: [...hcp.nodes],
  })
  return new ObjectClient(target, {
    headersTimeout: 2_000,
    bodyTimeout: 2_000,
    retry: { minDelay: 1, maxDelay: 5 },
  })
}

test('characters are counted as code points', () => {
  expect(moreCharacters('x'.repeat(10), 10)).toBe(false)
  expect(moreCharacters('x'.repeat(11), 10)).toBe(true)
  expect(moreCharacters('🔥'.repeat(10), 10)).toBe(false)
  expect(moreCharacters('🔥'.repeat(11), 10)).toBe(true)
  assert(
    property(string({ unit: 'binary' }), integer({ min: 0, max: 20 }), (text, most) => {
      expect(moreCharacters(text, most)).toBe(Array.from(text).length > most)
    }),
  )
})

describe.each(dialects)('long texts on %s', (dialect) => {
  let database: Database
  let entries: EntryStore
  let metrics: () => Promise<string>
  const open = (options: Partial<BodyOptions> = {}): EntryStore => {
    const opened = entryStore(database, { objects, path: `/rest/${dialect}`, threshold: 20, ...options })
    metrics = () => opened.metrics.metrics()
    return opened.entries
  }
  beforeAll(async () => {
    database = await stores.open(dialect)
  })
  afterAll(() => database.close())
  beforeEach(async () => {
    await database.write.deleteFrom('entries').execute()
    await database.write.deleteFrom('bodies').execute()
    entries = open()
  })

  const pathOf = (id: string): string => `/rest/${dialect}/${id.slice(30)}/${id.slice(28, 30)}/${id}`
  const rows = () => database.read.selectFrom('bodies').selectAll().execute()
  const makeDue = () => database.write.updateTable('bodies').set({ retry_at: 0 }).execute()

  test('a text of more characters than the threshold is in an object and comes back on every way', async () => {
    const data = `Größe 🔥 \0 needle${'.'.repeat(10)}`
    const [, id] = await entries.addAll([
      entry({ data: 'short', timestamp: 1 }),
      entry({ data, timestamp: 2 }),
    ])
    expect(await (await objects.get(pathOf(id as string))).text()).toBe(data)
    const row = await database.read
      .selectFrom('entries')
      .selectAll()
      .where('log_id', '=', id as string)
      .execute()
    expect(row).toMatchObject([{ data: null, body: pathOf(id as string) }])
    expect(await rows()).toEqual([])
    expect(await entries.get(id as string)).toMatchObject({ data, dataMissing: false })
    expect(await texts(entries.read({}, asc))).toEqual(['short', data])
    expect(await texts(entries.read({ words: parseWords('needle') }, asc))).toEqual([data])
    expect(
      await Array.fromAsync(entries.newestPerName('d', 't', { order: 'desc', data: true })),
    ).toMatchObject([{ data }])
    expect(await entries.arrivals({}, { arrived: 0, log_id: '' }, 9)).toMatchObject([
      { data: 'short' },
      { data },
    ])
  })

  test('exactly the threshold stays in the store, in characters and not in UTF-16 units', async () => {
    const id = await entries.add(entry({ data: '🔥'.repeat(20) }))
    expect(await objects.exists(pathOf(id))).toBe(false)
    const more = await entries.add(entry({ data: '🔥'.repeat(21) }))
    expect(await objects.exists(pathOf(more))).toBe(true)
  })

  test('where texts are not asked for no object is', async () => {
    await entries.add(entry({ data: long }))
    hcp.addFault({ kind: 'status', status: 500 })
    expect(await texts(entries.read({}, { ...asc, data: false }))).toEqual([undefined])
  })

  test('many are stored and read side by side, in their order', async () => {
    const given = Array.from({ length: 60 }, (_, index) => `${long} ${index}`)
    await entries.addAll(given.map((data) => entry({ data })))
    expect(await texts(entries.read({}, asc))).toEqual(given)
    expect(await texts(entries.read({}, { ...asc, order: 'desc', limit: 3 }))).toEqual(
      given.slice(-3).toReversed(),
    )
    for await (const { data } of entries.read({}, asc)) {
      expect(data).toBe(given[0])
      break
    }
  })

  test('an object that is gone is told, and counted', async () => {
    const id = await entries.add(entry({ data: long }))
    await entries.add(entry({ data: '' }))
    await objects.delete(pathOf(id))
    expect(await entries.get(id)).toMatchObject({ data: '', dataMissing: true })
    const found = await Array.fromAsync(entries.read({}, asc))
    expect(found.map(({ data, dataMissing }) => [data, dataMissing])).toEqual([
      ['', true],
      ['', false],
    ])
    expect(await metrics()).toMatch(/^hcp_logs_bodies_missing_total 2$/m)
  })

  test('another fault of HCP is an error and no missing text', async () => {
    const id = await entries.add(entry({ data: long }))
    hcp.addFault({ kind: 'status', status: 503, method: 'GET' })
    await expect(entries.get(id)).rejects.toMatchObject({ status: 503 })
    await expect(texts(entries.read({}, asc))).rejects.toMatchObject({ status: 503 })
    expect(await metrics()).toMatch(/^hcp_logs_bodies_missing_total 0$/m)
    await hcp.clearFaults()
    hcp.addFault({ kind: 'truncate', afterBytes: 5, method: 'GET', count: 1 })
    expect(await entries.get(id)).toMatchObject({ data: long })
  })

  test('a namespace that is no longer configured is an error', async () => {
    const id = await entries.add(entry({ data: long }))
    await expect(entryStore(database).entries.get(id)).rejects.toMatchObject({
      status: 503,
      message: expect.stringContaining('bodies'),
    })
  })

  test('when HCP does not take the text nothing is stored, and the sweep finds what was left', async () => {
    hcp.addFault({ kind: 'status', status: 503, method: 'PUT' })
    await expect(entries.addAll([entry(), entry({ data: long })])).rejects.toMatchObject({ status: 503 })
    expect(await texts(entries.read({}, asc))).toEqual([])
    const [row] = await rows()
    expect(row).toMatchObject({ state: 'pending' })
    expect(row?.retry_at).toBeGreaterThan(nowMicroseconds() + day - 60 * second)
    await hcp.clearFaults()
    await entries.add(entry({ data: long }))
    expect(await texts(entries.read({}, asc))).toEqual([long])
  })

  test('the sweep removes objects whose entry never came to be when they are a day old, and no sooner', async () => {
    const failing = entryStore(
      {
        ...database,
        insertMany: (trx, batch) =>
          batch.table === 'entries' ? Promise.reject(new Error('no')) : database.insertMany(trx, batch),
      },
      { objects, path: `/rest/${dialect}`, threshold: 20 },
    ).entries
    await expect(failing.add(entry({ data: long }))).rejects.toThrow('no')
    const [row] = await rows()
    const path = row?.path as string
    expect(await entries.sweep(soon())).toEqual({ removed: 0 })
    expect(await objects.exists(path)).toBe(true)
    await makeDue()
    expect(await entries.sweep(soon())).toEqual({ removed: 1 })
    expect(await objects.exists(path)).toBe(false)
    expect(await rows()).toEqual([])
  })

  test('the sweep leaves an object alone that an entry speaks for', async () => {
    const id = await entries.add(entry({ data: long }))
    const { bucket } = await database.read.selectFrom('entries').select('bucket').executeTakeFirstOrThrow()
    await database.write
      .insertInto('bodies')
      .values({ bucket, log_id: id, path: pathOf(id), state: 'pending', changed: 0, retry_at: 0 })
      .execute()
    expect(await entries.sweep(soon())).toEqual({ removed: 0 })
    expect(await rows()).toEqual([])
    expect(await entries.get(id)).toMatchObject({ data: long })
  })

  test('an entry whose object the sweep has taken is refused, and those beside it are not', async () => {
    const put = objects.put.bind(objects)
    using _ = vi.spyOn(objects, 'put').mockImplementationOnce(async (...given) => {
      const stored = await put(...given)
      // As the sweep of another process does with what it takes for left behind.
      await database.write.updateTable('bodies').set({ state: 'deleting' }).execute()
      return stored
    })
    const [slow, beside] = await Promise.allSettled([
      entries.add(entry({ data: long })),
      entries.add(entry({ data: 'beside' })),
    ])
    expect(slow).toMatchObject({ status: 'rejected', reason: { status: 503 } })
    expect(beside.status).toBe('fulfilled')
    expect(await texts(entries.read({}, asc))).toEqual(['beside'])
  })

  test('a repeated request stores no second object', async () => {
    const id = (bucket: number): string => derivedLogId(1_800_000_000_000, Buffer.alloc(32, 5), bucket)
    const first = await entries.add(entry({ data: long, id }))
    expect(await entries.addAll([entry({ data: long, id }), entry()])).toHaveLength(2)
    expect(await entries.get(first)).toMatchObject({ data: long })
    expect(await rows()).toEqual([])
    // As after a crash between object and entry.
    await database.write.deleteFrom('entries').execute()
    await entries.add(entry({ data: long, id }))
    expect(await texts(entries.read({}, asc))).toEqual([long])
    await entries.remove(first)
    expect(await objects.exists(pathOf(first))).toBe(false)
  })

  test('an entry that is removed takes its object with it', async () => {
    const ids = await entries.addAll(Array.from({ length: 20 }, () => entry({ data: long })))
    expect(await entries.remove(ids[0] as string)).toBe(true)
    expect(await objects.exists(pathOf(ids[0] as string))).toBe(false)
    await Array.fromAsync(entries.removeAll({ datasets: ['d'] }))
    for (const id of ids) expect(await objects.exists(pathOf(id))).toBe(false)
    expect(await rows()).toEqual([])
  })

  test('an object that HCP does not delete now is deleted by the sweep', async () => {
    const id = await entries.add(entry({ data: long }))
    hcp.addFault({ kind: 'status', status: 503, method: 'DELETE' })
    expect(await entries.remove(id)).toBe(true)
    expect(await entries.get(id)).toBeUndefined()
    expect(await rows()).toMatchObject([{ state: 'deleting', path: pathOf(id) }])
    expect(await entries.sweep(soon())).toEqual({ removed: 0 })
    await makeDue()
    expect(await entries.sweep(soon())).toEqual({ removed: 0 })
    expect(await metrics()).toMatch(/^hcp_logs_body_failures_total\{operation="delete"\} 2$/m)
    await hcp.clearFaults()
    await makeDue()
    expect(await entries.sweep(soon())).toEqual({ removed: 1 })
    expect(await objects.exists(pathOf(id))).toBe(false)
    expect(await rows()).toEqual([])
  })

  test('an object under retention is kept, and deleted when its time is over', async () => {
    entries = open({ retention: 'A+2d' })
    const id = await entries.add(entry({ data: long }))
    const { retention } = await objects.head(pathOf(id))
    const until = retention.kind === 'until' ? retention.until.getTime() * 1000 : Number.NaN
    expect(await entries.remove(id)).toBe(true)
    const [row] = await rows()
    expect(row).toMatchObject({ state: 'retained', retry_at: until + second })
    await makeDue()
    expect(await entries.sweep(soon())).toEqual({ removed: 0 })
    expect(await rows()).toMatchObject([{ state: 'retained', retry_at: until + second }])
    clock = 3 * 24 * 3_600_000
    await makeDue()
    expect(await entries.sweep(soon())).toEqual({ removed: 1 })
    await expect(objects.head(pathOf(id))).rejects.toThrow(ObjectNotFoundError)
    expect(await rows()).toEqual([])
  })

  test('an object on hold is tried again after a day', async () => {
    const id = await entries.add(entry({ data: long }))
    await objects.changeMetadata(pathOf(id), { hold: true })
    await entries.remove(id)
    const [row] = await rows()
    expect(row?.state).toBe('retained')
    expect(Math.abs((row?.retry_at ?? 0) - nowMicroseconds() - day)).toBeLessThan(60 * second)
    await objects.changeMetadata(pathOf(id), { hold: false })
    await makeDue()
    expect(await entries.sweep(soon())).toEqual({ removed: 1 })
  })

  test('with versioning on no old version stays', async () => {
    entries = open({ objects: versioned })
    const id = await entries.add(entry({ data: long }))
    const { versionId } = await versioned.head(pathOf(id))
    await entries.remove(id)
    await expect(versioned.head(pathOf(id), { version: versionId as string })).rejects.toThrow(
      ObjectNotFoundError,
    )
  })

  test('where the purge is refused the object is deleted without it', async () => {
    const ids = await entries.addAll([entry({ data: long }), entry({ data: long })])
    hcp.addFault({ kind: 'status', status: 403, method: 'DELETE', count: 1 })
    expect(await entries.remove(ids[0] as string)).toBe(true)
    expect(await entries.remove(ids[1] as string)).toBe(true)
    for (const id of ids) expect(await objects.exists(pathOf(id))).toBe(false)
    expect(await rows()).toEqual([])
  })

  test('close waits for texts that are on their way', async () => {
    hcp.addFault({ kind: 'delay', ms: 200, method: 'PUT', count: 1 })
    const adding = entries.add(entry({ data: long }))
    const closed = entries.close()
    await expect(entries.add(entry({ data: long }))).rejects.toMatchObject({ status: 503 })
    await closed
    const id = await adding
    expect(await open().get(id)).toMatchObject({ data: long })
  })

  test('an entry is removed though a repetition of its request has left a row', async () => {
    const id = await entries.add(entry({ data: long }))
    const { bucket } = await database.read.selectFrom('entries').select('bucket').executeTakeFirstOrThrow()
    await database.write
      .insertInto('bodies')
      .values({ bucket, log_id: id, path: pathOf(id), state: 'pending', changed: 0, retry_at: 0 })
      .execute()
    expect(await entries.remove(id)).toBe(true)
    expect(await objects.exists(pathOf(id))).toBe(false)
    expect(await rows()).toEqual([])
  })

  test('a repetition makes no object that the sweep is deleting, nor does the sweep take one that is made again', async () => {
    const digest = Buffer.alloc(16, 3)
    const repeated = entry({ data: long, id: (bucket) => derivedLogId(1, digest, bucket) })
    hcp.addFault({ kind: 'status', status: 503, method: 'PUT' })
    await expect(entries.add(repeated)).rejects.toMatchObject({ status: 503 })
    await makeDue()
    await expect(entries.add(repeated)).rejects.toMatchObject({ status: 503 })
    expect(await entries.sweep(soon())).toEqual({ removed: 0 })
    await hcp.clearFaults()

    await database.write.updateTable('bodies').set({ state: 'deleting' }).execute()
    await expect(entries.add(repeated)).rejects.toMatchObject({ status: 503 })
    const [row] = await rows()
    expect(await objects.exists(row?.path as string)).toBe(false)
    await makeDue()
    expect(await entries.sweep(soon())).toEqual({ removed: 1 })
    expect(await entries.get(await entries.add(repeated))).toMatchObject({ data: long })
    expect(await rows()).toEqual([])
  })

  test('the sweep stops when it is told to', async () => {
    expect(await entries.sweep(AbortSignal.abort())).toEqual({ removed: 0 })
  })
})

test('a retention that HCP would not take is refused at once', async () => {
  await using database = await stores.open('sqlite')
  expect(() => entryStore(database, { objects, retention: 'for ever' })).toThrow(RangeError)
})
