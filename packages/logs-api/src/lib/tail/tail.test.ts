import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { startPostgres, type Postgres } from '@hcp/postgres'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { bucketOf, newLogId } from '../entries/log-id.ts'
import { startTestService, testApp, type TestApp, type TestService } from '../http/service.testing.ts'
import { bearer } from '../http/token.testing.ts'
import { nowMicroseconds } from '../time.ts'
import { tailRoutes, type TailOptions } from './routes.ts'
import { readSocket, readTail, type TestTail } from './tail.testing.ts'

let postgres: Postgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(async () => {
  await postgres[Symbol.asyncDispose]()
})

const admin = bearer({ roles: ['admin'] })

async function start(store: 'sqlite' | 'postgres'): Promise<TestService> {
  return startTestService({ database: store === 'sqlite' ? 'sqlite::memory:' : await postgres.database() })
}

async function post(url: string, ...entries: object[]): Promise<void> {
  const body = entries.map((entry) => JSON.stringify(entry)).join('\n')
  const response = await fetch(`${url}/v2/logs/bulk`, { method: 'POST', headers: admin, body })
  expect(await response.json()).toMatchObject({ accepted: entries.length })
}

const texts = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `entry ${from + index}`)
const entries = (from: number, to: number): object[] =>
  texts(from, to).map((data) => ({ data, dataset_id: 'd1' }))

/** As a transaction does that began some seconds ago and commits now. */
async function commitLate(
  { service: { context } }: TestService,
  data: string,
  seconds: number,
): Promise<void> {
  const bucket = bucketOf('d1')
  const arrived = nowMicroseconds() - seconds * 1_000_000
  await context.database.write
    .insertInto('entries')
    .values({
      bucket,
      log_id: newLogId(bucket),
      dataset_id: 'd1',
      task_id: null,
      name: 'log',
      timestamp: arrived,
      arrived,
      severity: null,
      data,
      body: null,
      fields: null,
    })
    .execute()
}

/** The tail alone on the store of a service, with other options. */
async function tailOf({ service }: TestService, options: TailOptions): Promise<TestApp & { url: string }> {
  const app = await testApp([(context) => tailRoutes(context, options)], {
    ...service.context,
    metrics: new Registry(),
  })
  const url = await app.app.listen({ port: 0 })
  return { ...app, url }
}

describe.each(['sqlite', 'postgres'] as const)('the tail on %s', (store) => {
  let started: TestService
  let url: string
  beforeAll(async () => {
    started = await start(store)
    url = started.url
  })
  afterAll(async () => {
    await started[Symbol.asyncDispose]()
  })

  test('many writers, many readers: each entry comes to each reader once', async () => {
    const readers = await Promise.all([
      ...Array.from({ length: 4 }, () => readTail(url, admin)),
      ...Array.from({ length: 4 }, () => readSocket(url, admin, '?dataset_id=d1')),
    ])
    const writers = Array.from({ length: 10 }, async (_, writer) => {
      for (let part = 0; part < 5; part++) {
        const from = writer * 100 + part * 20
        await post(url, ...entries(from, from + 20))
      }
    })
    const got = await Promise.all(readers.map((reader) => reader.texts(1000)))
    await Promise.all(writers)
    for (const each of got) expect(each.toSorted()).toEqual(texts(0, 1000).toSorted())
    await post(url, { data: 'the next', dataset_id: 'd1' })
    for (const reader of readers) {
      expect(await reader.texts(1)).toEqual(['the next'])
      await reader[Symbol.asyncDispose]()
    }
  })

  test.each([
    ['?dataset_id=d1', ['a', 'b', 'd']],
    ['?dataset_id=d1&task_id=t1', ['a']],
    ['?name=stderr', ['b']],
    ['?severity=error', ['b']],
    ['?min_severity=warn&q=-c', ['b', 'd']],
    ['?q=B', ['b']],
    ['?to=2020-01-01', ['d']],
    ['?from=2020-01-01&dataset_id=d2', ['c']],
  ])('with %s only those come that the search finds', async (query, expected) => {
    await using reader = await readTail(url, admin, query)
    await post(
      url,
      { data: 'a', dataset_id: 'd1', task_id: 't1' },
      { data: 'b', dataset_id: 'd1', name: 'stderr', severity: 17 },
      { data: 'c', dataset_id: 'd2', severity: 'fatal' },
      { data: 'd', dataset_id: 'd1', severity: 'warn', timestamp: '2001-01-01T00:00:00Z' },
      // Found by all of them, and the last.
      {
        data: 'b end',
        dataset_id: 'd1',
        task_id: 't1',
        name: 'stderr',
        severity: 17,
        timestamp: '2020-01-01',
      },
      {
        data: 'b end',
        dataset_id: 'd2',
        task_id: 't1',
        name: 'stderr',
        severity: 17,
        timestamp: '2019-12-31',
      },
      { data: 'b end', dataset_id: 'd2', task_id: 't1', name: 'stderr', severity: 17 },
    )
    const found: string[] = []
    while (!found.includes('b end')) found.push(...(await reader.texts(1)))
    expect(found.slice(0, -1)).toEqual(expected)
  })

  test.each([
    ['events', readTail],
    ['WebSocket', readSocket],
  ])('over %s an entry comes as the search has it, with a cursor', async (_name, read) => {
    await using reader = await read(url, admin)
    await post(url, { data: 'two\nlines', dataset_id: 'd1', severity: 'info', extra: [1] })
    const told = await reader.next()
    const response = await fetch(`${url}/v2/logs?limit=1&q=%22two+lines%22`, { headers: admin })
    const { logs } = (await response.json()) as { logs: unknown[] }
    expect(told).toEqual({ type: 'log', id: expect.stringMatching(/^[\w.-]+$/) as string, data: logs[0] })
  })

  test.each([
    ['events', readTail, true],
    ['events', readTail, false],
    ['WebSocket', readSocket, false],
  ])(
    'over %s a reader that was cut off goes on behind the last event that it got',
    async (_name, read, byHeader) => {
      const first = await read(url, admin, '?dataset_id=d1')
      await post(url, ...entries(0, 20))
      let last: string | undefined
      for (let count = 0; count < 13; count++) last = (await first.next())?.id
      await first[Symbol.asyncDispose]()
      await post(url, ...entries(20, 700))
      const second = byHeader
        ? await read(url, { ...admin, 'last-event-id': last! }, '?dataset_id=d1')
        : await read(url, admin, `?dataset_id=d1&last_event_id=${last!}`)
      await post(url, ...entries(700, 720))
      expect(await second.texts(707)).toEqual(texts(13, 720))
      await second[Symbol.asyncDispose]()
    },
  )

  test.each([
    ['events', readTail],
    ['WebSocket', readSocket],
  ])('over %s a reader that was cut off before its first entry loses none', async (_name, read) => {
    const first = await read(url, admin, '?dataset_id=d1')
    const begun = await first.sign()
    await first[Symbol.asyncDispose]()
    await post(url, ...entries(0, 3))
    await using second = await read(url, admin, `?dataset_id=d1&last_event_id=${begun!}`)
    expect((await second.sign()) ?? begun).toBe(begun)
    await post(url, ...entries(3, 4))
    expect(await second.texts(4)).toEqual(texts(0, 4))
  })

  test('what becomes visible late comes all the same, once', async () => {
    await using reader = await readTail(url, admin, '?dataset_id=d1')
    await post(url, ...entries(0, 2))
    expect(await reader.texts(2)).toEqual(texts(0, 2))
    await commitLate(started, 'late', 3)
    expect(await reader.texts(1)).toEqual(['late'])
    for (let count = 0; count < 30; count++) await commitLate(started, 'later', 2)
    expect(await reader.texts(30)).toEqual(Array.from({ length: 30 }, () => 'later'))
    await post(url, ...entries(2, 3))
    expect(await reader.texts(1)).toEqual(texts(2, 3))
  })

  test('what became visible late while a reader was away is not lost to it', async () => {
    const first = await readTail(url, admin, '?dataset_id=d1')
    await post(url, ...entries(0, 3))
    await first.texts(2)
    const last = await first.next()
    await first[Symbol.asyncDispose]()
    await commitLate(started, 'late', 0)
    await post(url, ...entries(3, 4))
    await using second = await readTail(url, { ...admin, 'last-event-id': last!.id! }, '?dataset_id=d1')
    const got = await second.texts(2)
    expect(got).toEqual(expect.arrayContaining(['late', 'entry 3']))
  })

  test('users see datasets that they may read, and no others', async () => {
    const { rights } = started.service.context
    const none = { read_groups: [], write_groups: [], read_users: [], write_users: [] }
    await rights.set('mine', { ...none, read_groups: ['g'] })
    await rights.set('theirs', none)
    const user = bearer({ roles: ['user'], groups: ['g'] })
    await using reader = await readTail(url, user)
    await post(
      url,
      { data: 'secret', dataset_id: 'theirs' },
      { data: 'none' },
      { data: 'own', dataset_id: 'mine' },
    )
    expect(await reader.texts(1)).toEqual(['own'])
    await expect(readTail(url, user, '?dataset_id=theirs')).rejects.toThrow('403')
    await expect(readSocket(url, user, '?dataset_id=theirs')).rejects.toThrow('403')
    await expect(readTail(url, {})).rejects.toThrow('401')
    await expect(readSocket(url, {})).rejects.toThrow('401')
  })

  test.each([
    ['?dataset=d1', 'There is no parameter'],
    ['?severity=loud', 'severity must be'],
    ['?last_event_id=abc', 'Last-Event-ID is no id of an event of this tail.'],
  ])('%s is refused before the tail begins', async (query, message) => {
    await expect(readTail(url, admin, query)).rejects.toThrow(new RegExp(`^400 .*${message}`))
    await expect(readSocket(url, admin, query)).rejects.toThrow('400')
  })

  test('a cursor of another tail is refused', async () => {
    await using reader = await readTail(url, admin, '?dataset_id=d1')
    await post(url, ...entries(0, 1))
    const { id } = (await reader.next())!
    await expect(readTail(url, admin, `?dataset_id=d2&last_event_id=${id!}`)).rejects.toThrow('400')
  })

  test('the end of the token is the end of the tail', async () => {
    const short = bearer({ roles: ['admin'], expires: Math.floor(Date.now() / 1000) + 2 })
    await using one = await readTail(url, short)
    await using other = await readSocket(url, short)
    expect(await one.next()).toBeUndefined()
    expect(await other.next()).toBeUndefined()
  })

  test('a reader that is too slow is told how many it has missed, and holds up nobody', async () => {
    await using app = await tailOf(started, { maxEntries: 50 })
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      httpRequest(`${app.url}/v2/logs/tail?dataset_id=slow`, { headers: admin }, resolve)
        .on('error', reject)
        .end()
    })
    response.pause()
    await using quick = await readTail(app.url, admin, '?dataset_id=slow')
    const data = 'x'.repeat(60_000)
    const total = 300
    let got = 0
    for (let part = 0; part < total / 30; part++) {
      await post(
        url,
        ...Array.from({ length: 30 }, (_, index) => ({
          data,
          dataset_id: 'slow',
          number: part * 30 + index,
        })),
      )
      for (let count = 0; count < 30; count++) expect((await quick.next())?.data['number']).toBe(got++)
    }
    // Now it reads.
    let told = 0
    const numbers: number[] = []
    let rest = ''
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
      const events = (rest + chunk).split('\n\n')
      rest = events.pop()!
      for (const event of events) {
        const text = /^data: (.*)$/m.exec(event)?.[1]
        if (text === undefined) continue
        const { count, number } = JSON.parse(text) as { count?: number; number?: number }
        told += count ?? 0
        if (number !== undefined) numbers.push(number)
      }
      if (told + numbers.length === total) break
    }
    expect(told).toBeGreaterThan(0)
    // The newest are there, and nothing twice.
    expect(numbers.slice(-50)).toEqual(Array.from({ length: 50 }, (_, index) => total - 50 + index))
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  test('a sign of life comes when nothing else does', async () => {
    await using app = await tailOf(started, { pingInterval: 20 })
    const response = await fetch(`${app.url}/v2/logs/tail`, { headers: admin })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    let text = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      if (text.split('event: ping\ndata: {}\n\n').length > 2) break
    }
    const socket = new WebSocket(`${app.url.replace('http', 'ws')}/v2/logs/tail`, { headers: admin })
    const [message] = (await once(socket, 'message')) as [Buffer]
    expect(message.toString()).toMatch(/^\{"type":"ping"[,}]/)
    socket.close()
    await once(socket, 'close')
  })

  test('too many readers are refused, and who leaves makes room', async () => {
    await using app = await tailOf(started, { maxReaders: 2 })
    const one = await readTail(app.url, admin)
    await using other = await readSocket(app.url, admin)
    await expect(readTail(app.url, admin)).rejects.toThrow('503')
    await one[Symbol.asyncDispose]()
    const retry = async (): Promise<TestTail> => readTail(app.url, admin).catch(() => retry())
    await using third = await retry()
    await expect(readSocket(app.url, admin)).rejects.toThrow('503')
    await post(url, ...entries(0, 1))
    expect([await other.texts(1), await third.texts(1)]).toEqual([texts(0, 1), texts(0, 1)])
  })
})

test('the end of the service is the end of its tails, at once', async () => {
  const started = await start('sqlite')
  const tails = [await readTail(started.url, admin), await readSocket(started.url, admin)]
  const begun = performance.now()
  const closed = started[Symbol.asyncDispose]()
  for (const tail of tails) expect(await tail.next()).toBeUndefined()
  await closed
  expect(performance.now() - begun).toBeLessThan(5000)
})

test('a message that is too long ends the connection, others have no meaning', async () => {
  await using started = await start('sqlite')
  const socket = new WebSocket(`${started.url.replace('http', 'ws')}/v2/logs/tail`, { headers: admin })
  await once(socket, 'open')
  expect(socket.extensions).toBe('')
  socket.send('hello')
  socket.ping()
  await once(socket, 'pong')
  socket.send('x'.repeat(2000))
  const [code] = (await once(socket, 'close')) as [number]
  expect(code).toBe(1009)
})

test('readers of two services on one store see what either stores, each once', async () => {
  const database = await postgres.database()
  await using one = await startTestService({ database })
  await using other = await startTestService({ database })
  const tails = [
    await readTail(one.url, admin),
    await readTail(other.url, admin, '?dataset_id=d1'),
    await readSocket(other.url, admin),
  ]
  const writers = [one.url, other.url, one.url, other.url].map(async (url, writer) => {
    for (let part = 0; part < 10; part++) {
      const from = writer * 250 + part * 25
      await post(url, ...entries(from, from + 25))
    }
  })
  const got = await Promise.all(tails.map((tail) => tail.texts(1000)))
  await Promise.all(writers)
  for (const each of got) expect(each.toSorted()).toEqual(texts(0, 1000).toSorted())
  for (const tail of tails) await tail[Symbol.asyncDispose]()
})
