import * as fc from 'fast-check'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { jsonLines } from './lines.ts'
import { LogsClient } from './logs-client.ts'
import { sayJson, scriptServer } from './script-server.testing.ts'
import type { Answer } from './transport.ts'

const answerOf = (chunks: readonly Uint8Array[]): Answer => ({
  status: 200,
  headers: {},
  body: Readable.from(chunks) as unknown as Answer['body'],
  fault: (cause) => cause,
})

test('documents come whole, however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue().filter((value) => value !== null)),
      fc.array(fc.nat(60)),
      fc.boolean(),
      async (documents, lengths, ended) => {
        const text = documents.map((document) => JSON.stringify(document)).join('\n') + (ended ? '\n' : '')
        let rest = Buffer.from(text)
        const chunks: Uint8Array[] = []
        for (const length of lengths) {
          chunks.push(rest.subarray(0, length))
          rest = rest.subarray(length)
        }
        chunks.push(rest)
        const read = await Array.fromAsync(jsonLines(answerOf(chunks.filter(({ length }) => length > 0))))
        expect(JSON.stringify(read)).toBe(JSON.stringify(documents))
      },
    ),
  )
})

test('a line without an end is not read into memory', async () => {
  const endless = function* (): Generator<Buffer, void> {
    for (;;) yield Buffer.alloc(65_536, 'x')
  }
  const answer = { ...answerOf([]), body: Readable.from(endless()) as unknown as Answer['body'] }
  await expect(jsonLines(answer).next()).rejects.toMatchObject({ code: 'LOGS_API_PROTOCOL' })
})

test.each<[string, string, object]>([
  [
    'that stops in the middle',
    '{"status":"deleting","percent_complete":0,"total":2}\n{"status":"error","percent_complete":50,"total":2,"error":"disk"}\n',
    { code: 'LOGS_API_DELETION', apiText: 'disk', retryable: true },
  ],
  [
    'whose answer ends too early',
    '{"status":"deleting","percent_complete":0,"total":2}\n',
    { code: 'LOGS_API_DELETION', retryable: true },
  ],
])('a deletion %s is an error', async (_, body, error) => {
  await using server = await scriptServer((__, response) => void response.end(body))
  await using client = new LogsClient(server.url, { token: 't' })
  const seen: number[] = []
  const deletion = async (): Promise<void> => {
    for await (const { percent_complete } of client.entries.removeDataset('d')) seen.push(percent_complete)
  }
  await expect(deletion()).rejects.toMatchObject(error)
  expect(seen).toEqual([0])
  expect(server.asked).toHaveLength(1)
})

test('of a link to the next page only the marker counts: the token goes nowhere else', async () => {
  const log = { id: 'a', project_id: 'p', operation_type: 'failover' }
  await using elsewhere = await scriptServer((_, response) => sayJson(response, 200, {}))
  await using server = await scriptServer((_, response, number) => {
    const href = `${elsewhere.url}/v1/p/operation_logs?marker=a&limit=9`
    const links = number === 0 ? { operation_logs_links: [{ rel: 'next', href }] } : {}
    sayJson(response, 200, { operation_logs: [log], ...links })
  })
  await using client = new LogsClient(server.url, { token: 't' })
  expect(await Array.fromAsync(client.operations.list('p', { limit: 1 }))).toHaveLength(2)
  expect(server.asked.map(({ url }) => url)).toEqual([
    '/v1/p/operation_logs?limit=1',
    '/v1/p/operation_logs?limit=1&marker=a',
  ])
  expect(elsewhere.asked).toHaveLength(0)
})

test('a listing that leads to the same page again ends with an error', async () => {
  await using server = await scriptServer((_, response) =>
    sayJson(response, 200, { logs: [], next_cursor: 'c' }),
  )
  await using client = new LogsClient(server.url, { token: 't' })
  await expect(Array.fromAsync(client.search())).rejects.toMatchObject({ code: 'LOGS_API_PROTOCOL' })
  expect(server.asked).toHaveLength(2)
})

test('nothing is fetched before it is asked for, and no further than it is read', async () => {
  await using server = await scriptServer((_, response, number) =>
    sayJson(response, 200, { logs: [{ log_id: `${number}` }], next_cursor: `c${number}` }),
  )
  await using client = new LogsClient(server.url, { token: 't' })
  const search = client.search()
  expect(server.asked).toHaveLength(0)
  for await (const { log_id } of search) if (log_id === '2') break
  expect(server.asked).toHaveLength(3)
})
