import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { HcpHashError, HcpProtocolError, HcpTimeoutError, HcpTruncatedError } from '@hcp/connection'
import { describe, expect, test } from 'vitest'
import { answering } from '../../test/answering.ts'
import { quick } from '../../test/emulated.ts'
import { ObjectConditionError } from './errors.ts'
import { getObject, type GetOptions } from './get.ts'
import type { ObjectReader } from './object-reader.ts'

// What no HCP should answer, but something between us and it may: none of it may pass as an object.

type Headers = Readonly<Record<string, string>>
const object: Headers = { 'X-HCP-Type': 'object' }
const read = (reader: ObjectReader): Promise<Uint8Array> => reader.bytes()
const sha256 = (text: string): string => `SHA-256 ${createHash('sha256').update(text).digest('hex')}`

/** Answers every GET with this. */
const always =
  (status: number, headers: Headers, body: string) =>
  (_: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(status, { ...object, ...headers }).end(body)
  }

/** Answers one after the other; the last for ever. `cut`: the socket breaks after the body. */
function inTurn(
  ...answers: readonly { status?: number; headers?: Headers; body: string; cut?: boolean }[]
): (request: IncomingMessage, response: ServerResponse) => void {
  let number = 0
  return (_, response) => {
    const { status = 200, headers = {}, body, cut = false } = answers[Math.min(number++, answers.length - 1)]!
    response.writeHead(status, { ...object, ...headers })
    if (cut) response.write(body, () => response.destroy())
    else response.end(body)
  }
}

test.each<[string, number, Headers, string, GetOptions, unknown]>([
  [
    'a part where the whole was asked for',
    206,
    { 'Content-Range': 'bytes 0-2/9' },
    'abc',
    {},
    HcpProtocolError,
  ],
  [
    'the whole where a part was asked for',
    200,
    {},
    'abcdefghi',
    { range: { start: 3, end: 5 } },
    HcpProtocolError,
  ],
  ['the whole where the end was asked for', 200, {}, 'abcdefghi', { range: { last: 2 } }, HcpProtocolError],
  [
    'another part than was asked for',
    206,
    { 'Content-Range': 'bytes 0-2/9' },
    'abc',
    { range: { start: 3, end: 5 } },
    HcpProtocolError,
  ],
  [
    'less than the part that was asked for',
    206,
    { 'Content-Range': 'bytes 3-4/9' },
    'de',
    { range: { start: 3, end: 5 } },
    HcpProtocolError,
  ],
  [
    'another end than the last bytes',
    206,
    { 'Content-Range': 'bytes 3-4/9' },
    'de',
    { range: { last: 2 } },
    HcpProtocolError,
  ],
  [
    'a part of nothing',
    206,
    { 'Content-Range': 'bytes 3-2/9' },
    '',
    { range: { start: 3 } },
    HcpProtocolError,
  ],
  [
    'a part beyond the end',
    206,
    { 'Content-Range': 'bytes 3-9/9' },
    'x',
    { range: { start: 3 } },
    HcpProtocolError,
  ],
  ['a part without a place', 206, {}, 'abc', { range: { start: 3 } }, HcpProtocolError],
  [
    'two sizes of the object',
    206,
    { 'Content-Range': 'bytes 3-4/5', 'X-HCP-Size': '9' },
    'de',
    { range: { start: 3, end: 4 } },
    HcpProtocolError,
  ],
  ['compressed content', 200, { 'Content-Encoding': 'gzip', 'X-HCP-Size': '3' }, 'abc', {}, HcpProtocolError],
  [
    'fewer bytes than X-HCP-Size',
    200,
    { 'X-HCP-Size': '9', 'Content-Length': '3' },
    'abc',
    {},
    HcpTruncatedError,
  ],
  [
    'more bytes than X-HCP-Size',
    200,
    { 'X-HCP-Size': '2', 'Content-Length': '3' },
    'abc',
    {},
    HcpProtocolError,
  ],
  [
    'bytes where X-HCP-Size says none',
    200,
    { 'X-HCP-Size': '0', 'Content-Length': '3', 'X-HCP-VersionId': '1' },
    'abc',
    {},
    HcpProtocolError,
  ],
  ['another hash', 200, { 'X-HCP-Hash': sha256('else'), 'X-HCP-VersionId': '1' }, 'abc', {}, HcpHashError],
  ['half a hash', 200, { 'X-HCP-Hash': 'SHA-256 AB', 'X-HCP-VersionId': '1' }, 'abc', {}, HcpHashError],
  ['the MD5 of other content', 200, { ETag: `"${'0'.repeat(32)}"` }, 'abc', {}, HcpHashError],
])('an answer with %s is an error', async (_, status, headers, body, options, error) => {
  await using server = await answering(always(status, headers, body))
  await expect(getObject(server.requests, '/rest/a', { ...options, resumes: 0 }).then(read)).rejects.toThrow(
    error,
  )
})

test.each(['-3', '9007199254740993', '1e3', ' ', 'many'])(
  'X-HCP-Size: %j is no size, and cuts nothing off',
  async (size) => {
    await using server = await answering(always(200, { 'X-HCP-Size': size, 'Content-Length': '3' }, 'abc'))
    for (const verifyHash of [true, false])
      expect(await (await getObject(server.requests, '/rest/a', { verifyHash })).text()).toBe('abc')
  },
)

test('content whose size HCP does not say is read to its end, and never put together from parts', async () => {
  const chunked = { 'Transfer-Encoding': 'chunked', 'X-HCP-VersionId': '1' }
  await using server = await answering(
    inTurn({ headers: chunked, body: 'abc' }, { headers: chunked, body: 'abc', cut: true }),
  )
  expect(await (await getObject(server.requests, '/rest/a')).text()).toBe('abc')
  await expect(getObject(server.requests, '/rest/a').then(read)).rejects.toThrow(HcpTruncatedError)
})

describe('a transfer that broke does not go on', () => {
  const long = 'x'.repeat(2_000_000)
  const begin = {
    headers: { 'Content-Length': String(long.length), 'X-HCP-Size': String(long.length) },
    body: long.slice(0, 1_000_000),
    cut: true,
  }
  const rest = (request: IncomingMessage): string =>
    /^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? '0'
  /** Goes on from where it is asked to, with content that may be that of another object. */
  const goingOn =
    (first: Headers, later: Headers) =>
    (request: IncomingMessage, response: ServerResponse): void => {
      if (request.headers.range === undefined) {
        inTurn({ ...begin, headers: { ...begin.headers, ...first } })(request, response)
        return
      }
      const from = Number(rest(request))
      const range = `bytes ${from}-${long.length - 1}/${long.length}`
      response
        .writeHead(206, { ...object, 'Content-Range': range, 'X-HCP-Size': String(long.length), ...later })
        .end(long.slice(from))
    }

  test.each<[string, Headers, Headers]>([
    ['whose ETag is another, though it was made a condition', { ETag: '"one"' }, { ETag: '"two"' }],
    ['that says nothing of itself', {}, {}],
    ['that says less of itself than before', { ETag: '"one"' }, {}],
    ['whose hash is another', { 'X-HCP-Hash': sha256('a') }, { 'X-HCP-Hash': sha256('b') }],
    ['of another version', { 'X-HCP-VersionId': '1' }, { 'X-HCP-VersionId': '2' }],
    ['of another size', { ETag: '"one"' }, { ETag: '"one"', 'X-HCP-Size': '5' }],
  ])('with content %s', async (_, first, later) => {
    await using server = await answering(goingOn(first, later))
    const reader = await getObject(server.requests, '/rest/a', { verifyHash: false })
    await expect(read(reader)).rejects.toThrow(ObjectConditionError)
  })

  test('with the same content, it does go on', async () => {
    await using server = await answering(goingOn({ ETag: '"one"' }, { ETag: '"one"' }))
    const reader = await getObject(server.requests, '/rest/a')
    expect((await reader.bytes()).byteLength).toBe(long.length)
    expect(reader.resumed).toBe(1)
  })

  test.each(['pause', 'request'])('after its deadline, which counts in a %s too', async (where) => {
    await using server = await answering(
      (request, response) => {
        if (request.headers.range === undefined)
          inTurn({ ...begin, headers: { ...begin.headers, ETag: '"a"' } })(request, response)
        else if (where === 'pause') response.destroy()
      },
      { ...quick, retry: false },
    )
    const began = performance.now()
    const options: GetOptions = { deadline: 300, resumes: 1_000, verifyHash: false }
    const reader = await getObject(server.requests, '/rest/a', options)
    await expect(read(reader)).rejects.toThrow(HcpTimeoutError)
    expect(performance.now() - began).toBeLessThan(1_500)
  })
})

describe('a reader that is left frees its socket', () => {
  /** More than fits between us and the server, so that only giving it up frees the socket. */
  const endless =
    (headers: Headers = {}) =>
    (_: IncomingMessage, response: ServerResponse): void => {
      response.writeHead(200, { ...object, 'Content-Length': '100000000', ...headers })
      response.on('error', () => {})
      const write = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      }
      response.on('drain', write)
      write()
    }

  test.each<[string, (reader: ObjectReader) => unknown]>([
    ['whose stream is destroyed before it is read', (reader) => reader.body.destroy()],
    ['whose iterator is returned before it is read', (reader) => reader[Symbol.asyncIterator]().return?.()],
    [
      'whose progress is told to somebody who throws',
      async (reader) => {
        await expect(reader.bytes()).rejects.toThrow('progress')
      },
    ],
  ])('%s', async (_, leave) => {
    await using server = await answering(endless(), { ...quick, connections: 1 })
    for (let times = 0; times < 3; times++) {
      const reader = await getObject(server.requests, '/rest/a', {
        onProgress: () => {
          throw new Error('progress')
        },
      })
      await leave(reader)
    }
  })

  test('that had gone on after a break', async () => {
    let number = 0
    const headers = { ETag: '"a"' }
    await using server = await answering(
      (request, response) => {
        if (number++ % 2 === 0) {
          response.writeHead(200, { ...object, 'Content-Length': '100000000', ...headers })
          response.write('x', () => response.destroy())
          return
        }
        const from = /^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? '0'
        response.writeHead(206, {
          ...object,
          ...headers,
          'Content-Range': `bytes ${from}-99999999/100000000`,
        })
        response.on('error', () => {})
        response.write('y')
      },
      { ...quick, connections: 1 },
    )
    for (let times = 0; times < 2; times++) {
      const reader = await getObject(server.requests, '/rest/a')
      const pieces = reader[Symbol.asyncIterator]()
      while (reader.resumed === 0) await pieces.next()
      const pending = pieces.next()
      await reader.dump()
      await expect(pending).rejects.toMatchObject({ code: 'HCP_CLOSED' })
    }
  })

  test('and a destroyed stream is closed at once, though HCP is silent', async () => {
    await using server = await answering((_, response) => {
      response.writeHead(200, { ...object, 'Content-Length': '10' }).write('x')
    })
    const reader = await getObject(server.requests, '/rest/a', { bodyTimeout: 60_000 })
    const { body } = reader
    expect(reader.body).toBe(body)
    body.resume()
    await once(body, 'data')
    body.destroy()
    await once(body, 'close')
  })
})
