import type { ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { LogsClient } from './logs-client.ts'
import { sayJson, scriptServer } from './script-server.testing.ts'
import type { TailItem } from './tail.ts'

const options = { token: 't', retry: { minDelay: 1, maxDelay: 5 } }

function begin(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
}

const log = (id: string): string =>
  `event: log\nid: at-${id}\ndata: {"log_id":"${id}","data":"text ${id}"}\n\n`

async function take(items: AsyncIterable<TailItem>, count: number): Promise<TailItem[]> {
  const taken: TailItem[] = []
  for await (const item of items) if (taken.push(item) === count) break
  return taken
}

const ids = (items: readonly TailItem[]): string[] =>
  items.map((item) => (item.kind === 'entry' ? item.entry.log_id : `dropped ${item.count}`))

test('a tail that breaks goes on where it was, and gives nothing twice', async () => {
  await using server = await scriptServer((_, response, number) => {
    if (number === 1) return sayJson(response, 503, {})
    begin(response)
    if (number === 0)
      response.write(`${log('a')}event: ping\ndata: {}\n\n${log('b')}`, () => response.destroy())
    else response.end(log('b') + log('c'))
  })
  await using client = new LogsClient(server.url, options)
  const items = await take(client.tail({ name: 'stderr', severity: ['warn', 17] }), 3)
  expect(ids(items)).toEqual(['a', 'b', 'c'])
  expect(items[2]).toMatchObject({ kind: 'entry', id: 'at-c', entry: { data: 'text c' } })
  expect(server.asked[0]!.url).toBe('/v2/logs/tail?name=stderr&severity=warn%2C17')
  expect(server.asked.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, 'at-b', 'at-b'])
})

test('a tail that breaks before its first entry goes on where it began', async () => {
  await using server = await scriptServer((_, response, number) => {
    begin(response)
    if (number === 0) response.write('event: ping\nid: start\ndata: {}\n\n', () => response.destroy())
    else response.end(log('a'))
  })
  await using client = new LogsClient(server.url, options)
  expect(ids(await take(client.tail(), 1))).toEqual(['a'])
  expect(server.asked.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, 'start'])
})

test('events that come in pieces, of letters of several bytes too, are put together', async () => {
  await using server = await scriptServer(async (_, response) => {
    begin(response)
    for (const byte of Buffer.from('id: 1\nevent: log\ndata: {"log_id":"ä€😀"}\n\n')) {
      response.write(Buffer.of(byte))
      await new Promise(setImmediate)
    }
  })
  await using client = new LogsClient(server.url, options)
  expect(ids(await take(client.tail(), 1))).toEqual(['ä€😀'])
})

test('it is told how many were dropped', async () => {
  await using server = await scriptServer((_, response) => {
    begin(response)
    response.write(`${log('a')}event: dropped\ndata: {"count":7}\n\n`)
  })
  await using client = new LogsClient(server.url, options)
  expect(ids(await take(client.tail(), 2))).toEqual(['a', 'dropped 7'])
})

test('it begins where the caller says', async () => {
  await using server = await scriptServer((_, response) => {
    begin(response)
    response.write(log('b'))
  })
  await using client = new LogsClient(server.url, options)
  await take(client.tail({}, { lastEventId: 'at-a' }), 1)
  expect(server.asked[0]!.headers['last-event-id']).toBe('at-a')
})

test.each([400, 401, 403])('%s ends it: a repetition would not help', async (status) => {
  await using server = await scriptServer((_, response) => sayJson(response, status, { detail: 'no' }))
  await using client = new LogsClient(server.url, options)
  await expect(take(client.tail(), 1)).rejects.toMatchObject({ status })
  expect(server.asked).toHaveLength(1)
})

test('its signal ends the loop without an error, and the connection with it', async () => {
  const stop = new AbortController()
  const { promise: gone, resolve } = Promise.withResolvers<void>()
  await using server = await scriptServer((_, response) => {
    response.on('close', resolve)
    begin(response)
    response.write(log('a'))
  })
  await using client = new LogsClient(server.url, options)
  const seen: string[] = []
  for await (const item of client.tail({}, { signal: stop.signal })) {
    seen.push(...ids([item]))
    setImmediate(() => stop.abort())
  }
  expect(seen).toEqual(['a'])
  await gone
})

test('a break gives the connection up', async () => {
  const { promise: gone, resolve } = Promise.withResolvers<void>()
  await using server = await scriptServer((_, response) => {
    response.on('close', resolve)
    begin(response)
    response.write(log('a'))
  })
  await using client = new LogsClient(server.url, options)
  await take(client.tail(), 1)
  await gone
})

test('a client that is closed ends the loop with an error', async () => {
  await using server = await scriptServer((_, response) => {
    begin(response)
    response.write(log('a'))
  })
  const client = new LogsClient(server.url, options)
  const loop = async (): Promise<void> => {
    for await (const _ of client.tail()) setImmediate(() => void client.close())
  }
  await expect(loop()).rejects.toMatchObject({ code: 'LOGS_API_CLOSED' })
})

test('patience bounds how long a service that is away is asked again', async () => {
  await using server = await scriptServer((_, response) => void response.destroy())
  await using client = new LogsClient(server.url, options)
  await expect(take(client.tail({}, { patience: 100 }), 1)).rejects.toMatchObject({ code: 'LOGS_API_SOCKET' })
  expect(server.asked.length).toBeGreaterThan(2)
})
