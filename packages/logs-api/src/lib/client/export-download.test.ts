import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LogsClient } from './logs-client.ts'
import { type Asked, sayJson, scriptServer, type Script } from './script-server.testing.ts'

const options = { token: 't', retry: { minDelay: 1, maxDelay: 5 } }
const place = { project: 'p-one', server: 'srv-01.x', exportId: 'e1' }
const archive = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logs-client-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Serves the archive from where it is asked for, up to `end`, then breaks off. */
function serve(asked: Asked, response: ServerResponse, end = archive.length, etag = '"one"'): void {
  const from = Number(/^bytes=(\d+)-$/.exec(asked.headers.range ?? '')?.[1] ?? 0)
  const partial = asked.headers.range !== undefined && asked.headers['if-range'] === etag
  const start = partial ? from : 0
  response.writeHead(partial ? 206 : 200, {
    etag,
    'content-length': archive.length - start,
    'content-disposition': 'attachment; filename=SN1-dump.tar.gz',
    ...(partial ? { 'content-range': `bytes ${start}-${archive.length - 1}/${archive.length}` } : {}),
  })
  const bytes = archive.subarray(start, end)
  if (end >= archive.length) response.end(bytes)
  else response.write(bytes, () => setTimeout(() => response.destroy(), 20))
}

const breaking: Script = (asked, response, number) =>
  serve(asked, response, [100_000, 100_000, 250_000][number] ?? archive.length)

test('a download that breaks goes on where it was, of the same archive', async () => {
  await using server = await scriptServer(breaking)
  await using client = new LogsClient(server.url, options)
  let received = 0
  const { body, size, fileName } = await client.exports.download(place, {
    onProgress: (progress) => void (received = progress.received),
  })
  expect({ size, fileName }).toEqual({ size: archive.length, fileName: 'SN1-dump.tar.gz' })
  const chunks = await body.toArray()
  expect(Buffer.concat(chunks as Buffer[]).equals(archive)).toBe(true)
  expect(received).toBe(archive.length)
  expect(server.asked.length).toBeGreaterThanOrEqual(3)
  expect(server.asked[1]!.headers).toMatchObject({
    'if-range': '"one"',
    range: expect.stringMatching(/^bytes=\d+-$/),
  })
  expect(server.asked[0]!.url).toBe('/v1/p-one/physicalservers/srv-01.x/logs/exports/e1/content')
})

test('downloadTo writes the whole file, and names it only then', async () => {
  await using server = await scriptServer(breaking)
  await using client = new LogsClient(server.url, options)
  const to = join(folder, 'whole.tar.gz')
  expect(await client.exports.downloadTo(place, to)).toEqual({ file: to, size: archive.length })
  expect((await readFile(to)).equals(archive)).toBe(true)
  expect(await client.exports.downloadTo(place, folder)).toMatchObject({
    file: join(folder, 'SN1-dump.tar.gz'),
  })
  expect((await readdir(folder)).toSorted()).toEqual(['SN1-dump.tar.gz', 'whole.tar.gz'])
})

test('nothing is left of a download that does not come to its end', async () => {
  await using server = await scriptServer((asked, response, number) =>
    number === 0 ? serve(asked, response, 1_000) : void response.destroy(),
  )
  await using client = new LogsClient(server.url, { ...options, retry: { ...options.retry, attempts: 2 } })
  const before = await readdir(folder)
  await expect(
    client.exports.downloadTo(place, join(folder, 'broken'), { attempts: 2 }),
  ).rejects.toMatchObject({ code: 'LOGS_API_SOCKET' })
  expect(await readdir(folder)).toEqual(before)
})

test('a file that is there is not replaced unasked, and then nothing is sent', async () => {
  await using server = await scriptServer((asked, response) => serve(asked, response))
  await using client = new LogsClient(server.url, options)
  const to = join(folder, 'there')
  await writeFile(to, 'old')
  await expect(client.exports.downloadTo(place, to)).rejects.toMatchObject({ code: 'LOGS_API_FILE' })
  expect(server.asked).toHaveLength(0)
  expect(await readFile(to, 'utf8')).toBe('old')
  await client.exports.downloadTo(place, to, { overwrite: true })
  expect((await readFile(to)).length).toBe(archive.length)
  await rm(to)
})

test('another archive under the same name is begun anew in a file, and is an error in a stream', async () => {
  await using server = await scriptServer((asked, response, number) => {
    if (number % 3 === 0) serve(asked, response, 1_000)
    else serve(asked, response, archive.length, '"two"')
  })
  await using client = new LogsClient(server.url, options)
  const to = join(folder, 'changed')
  expect(await client.exports.downloadTo(place, to)).toMatchObject({ size: archive.length })
  const { body } = await client.exports.download(place)
  await expect(body.toArray()).rejects.toMatchObject({ code: 'LOGS_API_CHANGED' })
  await rm(to)
})

test('a download that is given up gives its connection up', async () => {
  const { promise: gone, resolve } = Promise.withResolvers<void>()
  await using server = await scriptServer((asked, response) => {
    response.on('close', resolve)
    response.writeHead(200, { 'content-length': 10 ** 9 })
    response.write(asked.url)
  })
  await using client = new LogsClient(server.url, options)
  const { body } = await client.exports.download(place)
  body.destroy()
  await gone
})

test('what a server names its file cannot lead out of the folder', async () => {
  await using server = await scriptServer(
    (_, response) =>
      void response.writeHead(200, { 'content-disposition': 'attachment; filename="../../evil"' }).end('x'),
  )
  await using client = new LogsClient(server.url, options)
  expect(await client.exports.downloadTo(place, folder)).toEqual({ file: join(folder, 'export'), size: 1 })
})

test('waitFor asks until it is completed, through an outage, and tells how far it is', async () => {
  const answers = [10, undefined, 60, 100]
  await using server = await scriptServer((_, response, number) => {
    const progress = answers[number]
    if (progress === undefined) return void response.destroy()
    const status = progress === 100 ? 'completed' : 'processing'
    const task = { export_id: 'e1', status, percentage: `${progress}%`, created_at: '2026-05-01T08:00:00Z' }
    return sayJson(response, 200, task)
  })
  await using client = new LogsClient(server.url, { ...options, retry: false })
  const seen: number[] = []
  const task = await client.exports.waitFor(place, {
    interval: 1,
    onProgress: ({ progress }) => void seen.push(progress),
  })
  expect(task).toMatchObject({ ...place, status: 'completed', progress: 100 })
  expect(seen).toEqual([10, 60, 100])
})

test.each(['failed', 'cancelled', 'expired'])(
  'waitFor ends when the export is %s, with the cause',
  async (status) => {
    const error = { error_code: 'HcpLogs.0411', error_msg: 'HCP said no' }
    const task = { export_id: 'e1', status, percentage: '30%', created_at: '2026-05-01T08:00:00Z', error }
    await using server = await scriptServer((_, response) => sayJson(response, 200, task))
    await using client = new LogsClient(server.url, options)
    await expect(client.exports.waitFor(place)).rejects.toMatchObject({
      code: 'LOGS_API_EXPORT',
      message: expect.stringContaining('HCP said no'),
      apiCode: 'HcpLogs.0411',
    })
  },
)

test('waitFor ends at its deadline, and at its signal', async () => {
  const task = { export_id: 'e1', status: 'processing', percentage: '0%', created_at: '2026-05-01T08:00:00Z' }
  await using server = await scriptServer((_, response) => sayJson(response, 200, task))
  await using client = new LogsClient(server.url, options)
  await expect(client.exports.waitFor(place, { deadline: 50, interval: 10 })).rejects.toMatchObject({
    code: 'LOGS_API_TIMEOUT',
  })
  const stop = new AbortController()
  const reason = new Error('enough')
  const waiting = client.exports.waitFor(place, { signal: stop.signal, onProgress: () => stop.abort(reason) })
  await expect(waiting).rejects.toBe(reason)
})
