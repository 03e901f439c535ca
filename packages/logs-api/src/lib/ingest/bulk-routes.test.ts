import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { gzipSync } from 'node:zlib'
import { startPostgres, type Postgres } from '@hcp/postgres'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Entries, Entry, NewEntry } from '../entries/entry.ts'
import type { BulkResult } from './bulk.ts'
import { startTestService, testApp, type TestService } from '../http/service.testing.ts'
import { bearer } from '../http/token.testing.ts'
import { IdempotencyKeys } from '../store/idempotency.ts'
import { bulkRoutes } from './bulk-routes.ts'

let postgres: Postgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(async () => {
  await postgres[Symbol.asyncDispose]()
})

const admin = bearer({ roles: ['admin'] })
const ndjson = { 'content-type': 'application/x-ndjson' }

async function start(store: 'sqlite' | 'postgres'): Promise<TestService> {
  return startTestService({ database: store === 'sqlite' ? 'sqlite::memory:' : await postgres.database() })
}

async function bulk(
  url: string,
  body: string | Buffer,
  headers: Record<string, string> = ndjson,
): Promise<{ status: number; answer: BulkResult & { detail?: string } }> {
  const response = await fetch(`${url}/v2/logs/bulk`, {
    method: 'POST',
    headers: { ...admin, ...headers },
    body,
  })
  return { status: response.status, answer: (await response.json()) as BulkResult }
}

function stored(entries: Entries): Promise<Entry[]> {
  return Array.fromAsync(entries.read({}, { order: 'asc', data: true }))
}

const lines = (count: number): string =>
  Array.from({ length: count }, (_, index) =>
    JSON.stringify({ data: `line ${index}`, dataset_id: 'd1' }),
  ).join('\n')

describe.each(['sqlite', 'postgres'] as const)('bulk on %s', (store) => {
  let started: TestService
  beforeAll(async () => {
    started = await start(store)
  })
  afterAll(async () => {
    await started[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    for await (const _ of started.service.context.entries.removeAll({}));
  })

  test('lines become entries with the time, severity and attributes that they tell', async () => {
    const line = {
      data: 'disk full',
      dataset_id: 'd1',
      task_id: 't1',
      name: 'stderr',
      timestamp: '2026-03-04T10:11:12.000345Z',
      severity: 'error',
      attributes: { disk: 3 },
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: 'b7ad6b7169203331',
    }
    const { status, answer } = await bulk(started.url, `${JSON.stringify(line)}\n\n{"data":"plain"}\n`)
    expect([status, answer]).toEqual([200, { accepted: 2, rejected: 0, errors: [] }])
    const [first, second] = await stored(started.service.context.entries)
    expect(first).toMatchObject({
      data: 'disk full',
      dataset_id: 'd1',
      task_id: 't1',
      name: 'stderr',
      timestamp: Date.parse('2026-03-04T10:11:12.000Z') * 1000 + 345,
      severity: 17,
      fields: { severity: 'error', attributes: { disk: 3 }, trace_id: line.trace_id, span_id: line.span_id },
    })
    expect(second).toMatchObject({ data: 'plain', name: 'log', dataset_id: null })
  })

  test('one bad line does not spoil the rest, and is told by its number', async () => {
    const body = Buffer.concat([
      Buffer.from('{"data":"1"}\nno json\n\n{"name":"4"}\n{"data":"'),
      Buffer.of(0xc3, 0x28),
      Buffer.from(
        '"}\n{"data":"6","timestamp":"yesterday"}\n{"data":"7","severity":99}\n{"data":"\\ud800"}\n[9]\n{"data":"10"}',
      ),
    ])
    const { status, answer } = await bulk(started.url, body)
    expect(status).toBe(200)
    expect(answer).toMatchObject({ accepted: 2, rejected: 7 })
    expect(answer.errors.map(({ line }) => line)).toEqual([2, 4, 5, 6, 7, 8, 9])
    expect((await stored(started.service.context.entries)).map(({ data }) => data)).toEqual(['1', '10'])
  })

  test('a line of millions of values or levels is refused before it is read', async () => {
    const lines = [`{"data":"x","a":[${'[],'.repeat(600_000)}0]}`, '['.repeat(100_000), '{"data":"3"}']
    expect((await bulk(started.url, lines.join('\n'))).answer).toEqual({
      accepted: 1,
      rejected: 2,
      errors: [
        { line: 1, error: 'The entry holds more than 1000000 values.' },
        { line: 2, error: 'The entry is nested deeper than 200 levels.' },
      ],
    })
  })

  test('an array, packed or not, is taken as lines are', async () => {
    const body = '[{"data":"a"},\n 7, {"data":"b"}]'
    const json = { 'content-type': 'application/json' }
    const expected = { accepted: 2, rejected: 1, errors: [{ line: 2, error: 'data field not in body' }] }
    expect((await bulk(started.url, body, json)).answer).toEqual(expected)
    const packed = await bulk(started.url, gzipSync(body), { ...json, 'content-encoding': 'gzip' })
    expect(packed.answer).toEqual(expected)
    const untyped = await bulk(started.url, Buffer.from(body), {})
    expect(untyped.answer).toEqual(expected)
  })

  test('more lines than a batch holds are all stored, in their order', async () => {
    const { answer } = await bulk(started.url, lines(7001))
    expect(answer).toEqual({ accepted: 7001, rejected: 0, errors: [] })
    const found = await stored(started.service.context.entries)
    expect(found.map(({ data }) => data)).toEqual(Array.from({ length: 7001 }, (_, index) => `line ${index}`))
  })

  test('the same request under the same key stores nothing twice', async () => {
    const headers = { ...ndjson, 'idempotency-key': 'k1' }
    const body = lines(50)
    const first = await bulk(started.url, body, headers)
    const second = await bulk(started.url, body, headers)
    expect(second).toEqual(first)
    expect(await stored(started.service.context.entries)).toHaveLength(50)
    const other = await bulk(started.url, lines(51), headers)
    expect(other.status).toBe(422)
  })

  test('what a store that failed has stored already is not stored twice by the repetition', async () => {
    const { context } = started.service
    let batches = 0
    const failing = new Proxy(context.entries, {
      get: (entries, name) => {
        if (name !== 'addAll') return Reflect.get(entries, name) as unknown
        return async (batch: readonly NewEntry[]) => {
          if (++batches === 2) throw new Error('connection lost')
          return await entries.addAll(batch)
        }
      },
    })
    await using app = await testApp(
      [bulkRoutes],
      { ...context, entries: failing, metrics: new Registry() },
      { idempotency: new IdempotencyKeys(context.database) },
    )
    const url = await app.app.listen({ port: 0 })
    const headers = { ...ndjson, 'idempotency-key': 'k2' }
    const first = await bulk(url, lines(12_000), headers)
    expect(first.status).toBe(503)
    expect(await stored(context.entries)).not.toHaveLength(0)
    const second = await bulk(url, lines(12_000), headers)
    expect(second).toMatchObject({ status: 200, answer: { accepted: 12_000, rejected: 0 } })
    expect(await stored(context.entries)).toHaveLength(12_000)
  })

  test('a user writes to datasets that they may write to, and to no others', async () => {
    const { rights, entries } = started.service.context
    await rights.set('mine', { read_groups: [], write_groups: ['g'], read_users: [], write_users: [] })
    await rights.set('theirs', { read_groups: ['g'], write_groups: [], read_users: [], write_users: [] })
    const body = ['mine', 'theirs', 'unknown', undefined, 'mine']
      .map((dataset_id) => JSON.stringify({ data: 'x', dataset_id }))
      .join('\n')
    const { status, answer } = await bulk(started.url, body, {
      ...ndjson,
      ...bearer({ roles: ['user'], groups: ['g'] }),
    })
    expect(status).toBe(200)
    expect(answer).toEqual({
      accepted: 2,
      rejected: 3,
      errors: [
        { line: 2, error: 'authorization failed' },
        { line: 3, error: 'attr not found' },
        { line: 4, error: 'dataset_id is missing: without one only admins and the system may write.' },
      ],
    })
    expect((await stored(entries)).map(({ dataset_id }) => dataset_id)).toEqual(['mine', 'mine'])
  })

  test('a body that breaks off may be stored in part, and the service goes on', async () => {
    const gone = once(started.service.app.server, 'connection').then(async ([socket]) =>
      once(socket as NodeJS.EventEmitter, 'close'),
    )
    const cut = httpRequest(`${started.url}/v2/logs/bulk`, {
      method: 'POST',
      headers: { ...admin, ...ndjson, 'content-length': '1000000' },
    })
    cut.on('error', () => {})
    await new Promise((resolve) => cut.write(lines(100), resolve))
    cut.destroy()
    await gone
    expect((await bulk(started.url, '{"data":"after"}')).answer).toMatchObject({ accepted: 1 })
  })
})

test('broken gzip is refused, saying what is stored', async () => {
  await using started = await start('sqlite')
  const packed = gzipSync(lines(100))
  const { status, answer } = await bulk(started.url, packed.subarray(0, -20), {
    ...ndjson,
    'content-encoding': 'gzip',
  })
  expect(status).toBe(400)
  expect(answer.detail).toContain('0 entries are stored for certain')
  expect((await bulk(started.url, 'x', { ...ndjson, 'content-encoding': 'br' })).status).toBe(415)
})

test('errors are all counted, and the first thousand told', async () => {
  await using started = await start('sqlite')
  const { answer } = await bulk(started.url, 'x\n'.repeat(2500))
  expect(answer).toMatchObject({ accepted: 0, rejected: 2500 })
  expect(answer.errors).toHaveLength(1000)
  expect(answer.errors.at(-1)).toMatchObject({ line: 1000 })
})

/** A store that answers when it is told to. */
function heldEntries(fails?: (batch: number) => boolean) {
  const batches: (readonly NewEntry[])[] = []
  const waiting: (() => void)[] = []
  const entries = {
    addAll: async (batch: readonly NewEntry[]) => {
      batches.push(batch)
      if (fails?.(batches.length) === true) throw new Error('disk full')
      if (fails === undefined) await new Promise<void>((resolve) => waiting.push(resolve))
      return []
    },
  }
  return { batches, waiting, entries: entries as unknown as Entries }
}

test('a store that fails in the middle is a 503 that says what is stored', async () => {
  const { batches, entries } = heldEntries((batch) => batch === 3)
  await using started = await testApp([bulkRoutes], { entries, rights: {} as never })
  const url = await started.app.listen({ port: 0 })
  const { status, answer } = await bulk(url, lines(20_000))
  expect(status).toBe(503)
  const sizes = batches.map(({ length }) => length)
  const certain = sizes[0]! + sizes[1]!
  expect(answer.detail).toContain(
    `${certain} entries are stored for certain, those of the first ${certain} lines`,
  )
  expect(sizes).toHaveLength(3)
})

test('the client waits while the store does: one batch is written and one is read ahead', async () => {
  const { batches, waiting, entries } = heldEntries()
  await using started = await testApp([bulkRoutes], { entries, rights: {} as never })
  const url = await started.app.listen({ port: 0 })
  const sent = httpRequest(`${url}/v2/logs/bulk`, { method: 'POST', headers: { ...admin, ...ndjson } })
  const line = `${JSON.stringify({ data: 'x'.repeat(10_000) })}\n`
  const chunk = line.repeat(100)
  let written = 0
  // Until the buffers on the way are full and stay so.
  while (written < 100_000_000) {
    written += chunk.length
    if (sent.write(chunk)) continue
    const drained = await Promise.race([once(sent, 'drain').then(() => true), settle(waiting)])
    if (!drained) break
  }
  expect(written).toBeLessThan(60_000_000)
  expect(batches).toHaveLength(1)
  const answered = once(sent, 'response')
  sent.end()
  const release = setInterval(() => waiting.splice(0).forEach((resolve) => resolve()), 1)
  const [response] = (await answered) as [NodeJS.ReadableStream]
  clearInterval(release)
  const { accepted } = JSON.parse(
    Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString(),
  ) as BulkResult
  expect(accepted).toBe(written / line.length)
  expect(batches.flat()).toHaveLength(accepted)
})

/** False when a batch waits in the store and nothing has moved for a while. */
async function settle(waiting: readonly unknown[]): Promise<boolean> {
  let quiet = 0
  while (quiet < 10) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    quiet = waiting.length > 0 ? quiet + 1 : 0
  }
  return false
}
