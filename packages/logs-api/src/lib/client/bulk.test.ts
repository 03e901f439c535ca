import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import { expect, test, vi } from 'vitest'
import type { BulkEntry } from './bulk.ts'
import { LogsClient } from './logs-client.ts'
import { sayJson, scriptServer } from './script-server.testing.ts'

const options = { token: 't', retry: { minDelay: 1, maxDelay: 5 } }
const result = { accepted: 2, rejected: 0, errors: [] }
const entries: BulkEntry[] = [
  { data: 'a\n"ä"' },
  { data: 'b', name: 'stdout', timestamp: '2026-03-04T10:11:12Z' },
]
const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('')

async function* once<Item>(items: Iterable<Item>): AsyncGenerator<Item, void> {
  yield* items
}

test.each<[string, () => Parameters<LogsClient['bulk']>[0]]>([
  ['an array', () => entries],
  ['an iterable', () => new Set(entries)],
  ['an async iterable', () => once(entries)],
  ['lines as text, in pieces of one unit', () => once(lines.split(''))],
  ['lines as bytes', () => once([Buffer.from(lines).subarray(0, 9), Buffer.from(lines).subarray(9)])],
  ['a stream', () => Readable.from([Buffer.from(lines)])],
])('%s goes out as lines of JSON', async (_, source) => {
  await using server = await scriptServer((_, response) => sayJson(response, 200, result))
  await using client = new LogsClient(server.url, options)
  expect(await client.bulk(source())).toEqual(result)
  expect(server.asked[0]).toMatchObject({ method: 'POST', url: '/v2/logs/bulk', body: lines })
  expect(server.asked[0]!.headers).toMatchObject({ 'content-type': 'application/x-ndjson' })
})

test('gzip packs it', async () => {
  let received = Buffer.alloc(0)
  const server = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])))
    request.on('end', () =>
      sayJson(response, request.headers['content-encoding'] === 'gzip' ? 200 : 415, result),
    )
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  try {
    await using client = new LogsClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, options)
    await client.bulk(once(entries), { gzip: true })
    expect(gunzipSync(received).toString()).toBe(lines)
  } finally {
    server.close()
  }
})

test('it is read no faster than the service takes it', async () => {
  const { promise: going, resolve: go } = Promise.withResolvers<void>()
  let read = 0
  const server = createServer((request, response) => {
    request.on('end', () => sayJson(response, 200, result))
    void going.then(() => request.resume())
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  try {
    await using client = new LogsClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, options)
    const data = 'x'.repeat(10_000)
    const source = async function* (): AsyncGenerator<BulkEntry, void> {
      for (; read < 10_000; read++) yield { data }
    }
    const sending = client.bulk(source())
    // Until it stands still: then all buffers on the way are full.
    await vi.waitFor(async () => {
      const before = read
      await new Promise((resolve) => setTimeout(resolve, 100))
      if (read === 0 || read !== before) throw new Error('it is still going on')
    }, 10_000)
    expect(read).toBeLessThan(9_000)
    go()
    expect(await sending).toEqual(result)
    expect(read).toBe(10_000)
  } finally {
    server.close()
  }
})

test('an array is sent again under the same key, a stream that was begun is not', async () => {
  await using server = await scriptServer((_, response, number) =>
    number === 1 ? sayJson(response, 200, result) : sayJson(response, 503, {}),
  )
  await using client = new LogsClient(server.url, options)
  expect(await client.bulk(entries)).toEqual(result)
  const [first, second] = server.asked
  expect(second!.body).toBe(first!.body)
  expect(second!.headers['idempotency-key']).toBe(first!.headers['idempotency-key'])
  await expect(client.bulk(once(entries))).rejects.toMatchObject({ status: 503, attempts: 1 })
  expect(server.asked).toHaveLength(3)
})

test('a stream that nothing was taken from waits for the connection', async () => {
  const server = createServer((request, response) => {
    request.resume().on('end', () => sayJson(response, 200, result))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  await using client = new LogsClient(`http://127.0.0.1:${port}`, {
    token: 't',
    retry: { attempts: 100, minDelay: 10, maxDelay: 20 },
  })
  for (const gzip of [false, true]) {
    const sending = client.bulk(once(entries), { gzip })
    await new Promise((resolve) => setTimeout(resolve, 50))
    server.listen(port, '127.0.0.1')
    expect(await sending).toEqual(result)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

test.each([false, true])(
  'what the entries themselves throw ends it (gzip %s), and the request with it',
  async (gzip) => {
    const { promise: gone, resolve } = Promise.withResolvers<void>()
    const { promise: there, resolve: comes } = Promise.withResolvers<void>()
    const server = createServer((request) => {
      comes()
      request.resume().on('close', resolve)
    }).listen(0, '127.0.0.1')
    await new Promise((ready) => server.once('listening', ready))
    try {
      await using client = new LogsClient(
        `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        options,
      )
      const cause = new Error('disk gone')
      const source = async function* (): AsyncGenerator<BulkEntry, void> {
        // Packed, it still fills what is on the way.
        yield { data: randomBytes(300_000).toString('base64') }
        await there
        throw cause
      }
      const sending = client.bulk(source(), { gzip })
      await expect(sending).rejects.toMatchObject({ code: 'LOGS_API_BODY', cause, retryable: false })
      await gone
      await expect(client.bulk([{ data: 5 } as never])).rejects.toMatchObject({
        code: 'LOGS_API_BODY',
        message: expect.stringContaining('entry 1.data must be a text'),
      })
    } finally {
      server.closeAllConnections()
      server.close()
    }
  },
)
