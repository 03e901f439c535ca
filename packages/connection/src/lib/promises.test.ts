import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { AnonymousAuthorization } from '@hcp/auth'
import { describe, expect, test } from 'vitest'
import {
  answer,
  early,
  hangUp,
  raw,
  reply,
  type ScriptServer,
  scriptServer,
  stall,
} from '../../test/script-server.ts'
import {
  Connection,
  type ConnectionOptions,
  FileBody,
  type HcpError,
  HcpProtocolError,
  type HcpResponse,
  HcpSocketError,
  HcpTimeoutError,
  type RetryEvent,
  RetryBudget,
  Target,
} from '../index.ts'

const quick: ConnectionOptions = {
  headersTimeout: 300,
  bodyTimeout: 300,
  connectTimeout: 1_000,
  retry: { minDelay: 1, maxDelay: 5 },
}

async function withServer(
  steps: Parameters<typeof scriptServer>,
  use: (connection: Connection, server: ScriptServer) => Promise<void>,
  options: ConnectionOptions = {},
): Promise<void> {
  const server = await scriptServer(...steps)
  const connection = new Connection(server.target, { ...quick, ...options })
  try {
    await use(connection, server)
  } finally {
    await connection.destroy()
    await server[Symbol.asyncDispose]()
  }
}

const failure = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`expected a failure, got ${String((value as HcpResponse).status)}`)
    },
    (error: unknown) => error,
  )

async function eachRetry(use: () => Promise<void>): Promise<RetryEvent[]> {
  const events: RetryEvent[] = []
  const listen = (event: unknown): void => void events.push(event as RetryEvent)
  subscribe('hcp:retry', listen)
  try {
    await use()
  } finally {
    unsubscribe('hcp:retry', listen)
  }
  return events
}

test.each([
  ['at once', [reply(404)], false],
  ['after HCP was busy and did nothing', [reply(503), reply(404)], false],
  ['after an answer was lost', [hangUp(), reply(404)], true],
  ['after HCP failed at it', [reply(500), reply(404)], true],
  ['after HCP was silent', [stall(), reply(404)], true],
] as const)(
  'an answer %s tells whether an earlier try may have been carried out',
  async (_, steps, doubtful) => {
    await withServer([...steps], async (connection) => {
      expect(await connection.delete('/rest/a')).toMatchObject({
        status: 404,
        doubtful,
        attempts: steps.length,
      })
    })
  },
)

describe('uploads', () => {
  test('a file is sent from its beginning again when a try is repeated, and never cut', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hcp-promises-'))
    const path = join(folder, 'five-thousand')
    const content = Buffer.alloc(5_000, 'abc')
    await writeFile(path, content)
    await withServer([hangUp(), reply(404), reply(201)], async (connection, server) => {
      const response = await connection.put('/rest/f', new FileBody(path))
      expect(response.status).toBe(201)
      expect(server.seen.map((one) => one.method)).toEqual(['PUT', 'HEAD', 'PUT'])
      expect(server.seen[0]?.body.equals(content) && server.seen[2]?.body.equals(content)).toBe(true)
      expect(server.seen[2]?.headers['content-length']).toBe('5000')
    })
    await rm(folder, { recursive: true })
  })

  test('the part of a file that was asked for is sent, no more', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hcp-promises-'))
    const path = join(folder, 'letters')
    await writeFile(path, 'abcdefgh')
    await withServer([], async (connection, server) => {
      await connection.put('/rest/f', new FileBody(path, { start: 2, end: 4 }))
      await connection.put('/rest/f', new FileBody(path, { start: 8 }))
      expect(server.seen.map((one) => one.body.toString())).toEqual(['cde', ''])
      expect(await failure(connection.put('/rest/f', new FileBody(path, { end: 8 })))).toMatchObject({
        code: 'HCP_BODY',
      })
      expect(await failure(connection.put('/rest/f', new FileBody(folder)))).toMatchObject({
        code: 'HCP_BODY',
      })
      expect(await failure(connection.put('/rest/f', new FileBody(join(folder, 'none'))))).toMatchObject({
        code: 'HCP_BODY',
        sent: false,
        cause: { code: 'ENOENT' },
      })
      expect(server.seen).toHaveLength(2)
    })
    await rm(folder, { recursive: true })
  })

  test('a stream is never sent a second time', async () => {
    await withServer([hangUp(), reply(404)], async (connection, server) => {
      const error = await failure(connection.put('/rest/s', Readable.from(['one', 'two'])))
      expect(error).toBeInstanceOf(HcpSocketError)
      expect(error).toMatchObject({ sent: true, attempts: 1 })
      expect(server.seen.map((one) => one.method)).toEqual(['PUT', 'HEAD'])
    })
  })

  test.each([
    ['shorter', 10],
    ['longer', 4],
  ])('a body that is %s than announced fails, and no whole request goes out', async (_name, size) => {
    await withServer([], async (connection, server) => {
      const error = await failure(connection.put('/rest/s', Readable.from(['12345']), { size }))
      expect(error).toMatchObject({ code: 'HCP_BODY', retryable: false })
      expect(server.seen).toHaveLength(0)
    })
  })

  test.each([
    ['iterable', () => failing()],
    ['stream', () => Readable.from(failing())],
    ['function', () => () => failing()],
    [
      'function that throws',
      () => () => {
        throw new TypeError('source broke')
      },
    ],
  ])('an error in the caller’s own %s ends the call once, as an error of the body', async (_name, make) => {
    await withServer([], async (connection, server) => {
      const error = await failure(connection.put('/rest/s', make() as never))
      expect(error).toMatchObject({ code: 'HCP_BODY', attempts: 1, cause: { message: 'source broke' } })
      expect(server.connections).toBeLessThanOrEqual(1)
      expect(server.seen).toHaveLength(0)
    })
  })

  test('a piece of a body that is no bytes is refused', async () => {
    await withServer([], async (connection) => {
      expect(await failure(connection.put('/rest/s', [1, 2] as never))).toMatchObject({ code: 'HCP_BODY' })
    })
  })

  test('an answer that comes while the body is still going out is noticed and returned', async () => {
    await withServer([early(answer(413, { Connection: 'close' }, 'too large'))], async (connection) => {
      let given = 0
      const endless = async function* (): AsyncGenerator<Buffer> {
        for (;;) {
          given += 65_536
          yield Buffer.alloc(65_536)
          await new Promise((resolve) => {
            setImmediate(resolve)
          })
        }
      }
      const response = await connection.put('/rest/s', endless())
      expect(response.status).toBe(413)
      expect(await response.text()).toBe('too large')
      expect(given).toBeGreaterThan(0)
    })
  })

  test.each([
    ['string', () => 'grün', 'grün', '5'],
    ['bytes', () => new Uint8Array([104, 105]), 'hi', '2'],
    ['array buffer', () => new Uint8Array([104, 105]).buffer, 'hi', '2'],
    ['blob', () => new Blob(['he', 'llo']), 'hello', '5'],
    ['form', () => new URLSearchParams({ retention: 'A+1y' }), 'retention=A%2B1y', '16'],
    ['stream', () => Readable.from(['a', 'b']), 'ab', undefined],
    ['web stream', () => new Blob(['web']).stream(), 'web', undefined],
    ['iterable', () => [Buffer.from('x'), 'y'], 'xy', undefined],
    ['nothing', () => undefined, '', '0'],
    ['empty string', () => '', '', '0'],
  ])('a %s arrives whole, with a length where it is known', async (_name, make, text, length) => {
    await withServer([], async (connection, server) => {
      await connection.put('/rest/s', make() as never)
      expect(server.seen[0]?.body.toString()).toBe(text)
      expect(server.seen[0]?.headers['content-length']).toBe(length)
      expect(server.seen[0]?.headers['transfer-encoding']).toBe(length === undefined ? 'chunked' : undefined)
    })
  })
})

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(10)
  throw new TypeError('source broke')
}

describe('whose answer it is', () => {
  test.each([
    [
      'too many bytes of headers',
      `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(5_000)}Content-Length: 0\r\n\r\n`,
    ],
    ['one header line that is too long', `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(70_000)}\r\n\r\n`],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['an unknown version', 'HTTP/7.3 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    [
      'a length beside chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('an answer with %s is an error, never the answer before it', async (_name, bytes) => {
    const steps = [reply(200, {}, 'the first'), raw(bytes), reply(200, {}, 'the third')] as const
    await withServer(
      [...steps],
      async (connection) => {
        expect(await (await connection.get('/rest/1')).text()).toBe('the first')
        expect(await failure(connection.get('/rest/2'))).toBeInstanceOf(HcpProtocolError)
        expect(await (await connection.get('/rest/3')).text()).toBe('the third')
      },
      { connections: 1, retry: false },
    )
  })

  test('an answer that comes twice is not taken for the next one', async () => {
    const twice = answer(200, { 'X-RequestId': 'A1' }, 'first')
    // The copy comes after the next request, where nothing in HTTP tells it from an answer.
    const copy = { whole: (socket: { write(bytes: Buffer): void }) => socket.write(twice) }
    await withServer(
      [reply(200, { 'X-RequestId': 'A1' }, 'first'), copy, reply(200, { 'X-RequestId': 'A2' }, 'second')],
      async (connection, server) => {
        expect(await (await connection.get('/rest/1')).text()).toBe('first')
        const response = await connection.get('/rest/2')
        expect(await response.text()).toBe('second')
        expect(response.attempts).toBe(2)
        expect(server.connections).toBe(2)
      },
      { connections: 1 },
    )
  })

  test('bytes after an answer close the connection; the next request gets its own answer', async () => {
    const doubled = Buffer.concat([answer(200, {}, 'first'), answer(200, {}, 'first')])
    await withServer(
      [raw(doubled), reply(200, {}, 'second')],
      async (connection) => {
        expect(await (await connection.get('/rest/1')).text()).toBe('first')
        expect(await (await connection.get('/rest/2')).text()).toBe('second')
      },
      { connections: 1 },
    )
  })

  test('requests timed at the edge of the idle time get their own answers', async () => {
    const server = await scriptServer()
    const connection = new Connection(server.target, { ...quick, idleTimeout: 5, connections: 1 })
    for (let round = 0; round < 150; round++) {
      const wait = 3 + (round % 5)
      await new Promise((resolve) => {
        setTimeout(resolve, wait)
      })
      expect((await connection.get(`/rest/${round}`, { buffered: true })).status).toBe(200)
    }
    expect(server.seen.map((one) => one.path)).toEqual(
      Array.from({ length: 150 }, (_, round) => `/rest/${round}`),
    )
    expect(server.connections).toBeGreaterThan(1)
    await connection.close()
    await server[Symbol.asyncDispose]()
  })

  test('a request is not sent over a connection whose answer is still unread, and then it is sent once', async () => {
    const large = Buffer.alloc(4_000_000, 7)
    await withServer(
      [reply(200, {}, large)],
      async (connection, server) => {
        const reading = await connection.get('/rest/1')
        const posting = connection.post('/rest/1', 'change')
        await new Promise((resolve) => {
          setImmediate(resolve)
        })
        expect(server.seen).toHaveLength(1)
        expect(large.equals(await reading.bytes())).toBe(true)
        expect((await posting).status).toBe(200)
        expect(server.seen.filter((one) => one.method === 'POST')).toHaveLength(1)
      },
      { connections: 1 },
    )
  })

  test('many callers share one connection and each gets its own object', async () => {
    const echo = { whole: (socket: never, request: { path: string }) => write(socket, request.path) }
    const write = (socket: { write(bytes: Buffer): void }, path: string): void => {
      socket.write(answer(200, {}, path.repeat(1 + (path.length % 7))))
    }
    await withServer(
      Array.from({ length: 300 }, () => echo) as never,
      async (connection, server) => {
        const paths = Array.from({ length: 300 }, (_, index) => `/rest/${'x'.repeat(index % 50)}${index}`)
        const texts = await Promise.all(paths.map(async (path) => (await connection.get(path)).text()))
        expect(texts).toEqual(paths.map((path) => path.repeat(1 + (path.length % 7))))
        expect(server.connections).toBeLessThanOrEqual(4)
      },
      { connections: 4 },
    )
  })
})

describe('repetition', () => {
  test.each([
    ['GET', 200, 2],
    ['HEAD', 200, 2],
    ['DELETE', 200, 2],
    ['POST', 'HCP_SOCKET', 1],
    ['PATCH', 'HCP_SOCKET', 1],
  ])('after the answer to a %s was lost: %s', async (method, outcome, requests) => {
    await withServer([hangUp()], async (connection, server) => {
      const result: unknown = await connection.request(method, '/rest/a').catch((error: unknown) => error)
      expect((result as HcpResponse).status ?? (result as HcpError).code).toBe(outcome)
      expect(server.seen).toHaveLength(requests)
    })
  })

  test('a caller may say that a POST is idempotent, or that a GET is not', async () => {
    await withServer([hangUp(), reply(200), hangUp()], async (connection, server) => {
      expect((await connection.post('/rest/a', 'x', { idempotent: true })).attempts).toBe(2)
      expect(await failure(connection.get('/rest/a', { idempotent: false }))).toMatchObject({
        code: 'HCP_SOCKET',
      })
      expect(server.seen).toHaveLength(3)
    })
  })

  test.each([1, 2, 3])('with %s attempts a time-out leads to as many tries', async (attempts) => {
    await withServer([stall(), stall(), stall()], async (connection, server) => {
      const error = await failure(
        connection.get('/rest/a', { retry: { attempts, minDelay: 1, maxDelay: 1 } }),
      )
      expect(error).toBeInstanceOf(HcpTimeoutError)
      expect(error).toMatchObject({ phase: 'headers', limit: 300, attempts, sent: true })
      expect((error as HcpError).failures).toHaveLength(attempts - 1)
      expect(server.seen).toHaveLength(attempts)
    })
  })

  test('Retry-After decides the pause; without it pauses are jittered and bounded', async () => {
    const busy = { 'Retry-After': '1' }
    const events = await eachRetry(() =>
      withServer([reply(503, busy), reply(503), reply(429), reply(200)], async (connection) => {
        const began = performance.now()
        const response = await connection.get('/rest/a')
        expect(response).toMatchObject({ status: 200, attempts: 4 })
        expect(performance.now() - began).toBeGreaterThanOrEqual(990)
      }),
    )
    expect(events.map((event) => event.code)).toEqual(['HTTP_503', 'HTTP_503', 'HTTP_429'])
    expect(events[0]?.delay).toBe(1_000)
    expect(events[1]?.delay).toBeLessThanOrEqual(5)
  })

  test.each([
    ['longer than is waited for', '120', {}],
    ['past the deadline', '5', { deadline: 2_000 }],
  ])('an answer with a Retry-After %s is returned at once', async (_name, seconds, options) => {
    await withServer([reply(503, { 'Retry-After': seconds }, 'busy')], async (connection, server) => {
      const response = await connection.get('/rest/a', options)
      expect(response.status).toBe(503)
      expect(await response.text()).toBe('busy')
      expect(server.seen).toHaveLength(1)
    })
  })

  test('the last answer is returned when all attempts are used up, with its body', async () => {
    await withServer([reply(500), reply(503), reply(503, {}, 'still busy')], async (connection) => {
      const response = await connection.get('/rest/a', { retry: { attempts: 3 } })
      expect(response).toMatchObject({ status: 503, attempts: 3 })
      expect(await response.text()).toBe('still busy')
    })
  })

  test('a spent budget ends repetition for all who share it', async () => {
    const budget = new RetryBudget(5)
    await withServer(
      [reply(503), reply(200), reply(503), reply(503)],
      async (connection) => {
        expect((await connection.get('/rest/a')).attempts).toBe(2)
        expect(budget.left).toBe(5)
        expect(budget.take(1)).toBe(true)
        expect((await connection.get('/rest/a')).status).toBe(503)
      },
      { retry: { budget, minDelay: 1, maxDelay: 1 } },
    )
  })

  test('no status is turned into an error', async () => {
    const statuses = [200, 201, 204, 206, 301, 302, 304, 400, 401, 403, 404, 409, 410, 412, 413, 416]
    await withServer(
      statuses.map((status) => reply(status, status === 302 ? { Location: '/elsewhere' } : {})),
      async (connection, server) => {
        for (const status of statuses)
          expect((await connection.get('/rest/a', { buffered: true })).status).toBe(status)
        expect(server.seen).toHaveLength(statuses.length)
      },
    )
  })
})

describe('a PUT whose answer was lost', () => {
  const md5 = '5d41402abc4b2a76b9719d911017c592' // of "hello"
  const ours = (more: Record<string, string> = {}): Record<string, string> => ({
    'X-HCP-Type': 'object',
    'X-HCP-Size': '5',
    ETag: `"${md5}"`,
    'X-HCP-Time': '1700000000',
    'X-HCP-IngestTimeMilliseconds': '1700000000123',
    'X-HCP-VersionId': '42',
    ...more,
  })
  const head = (status: number, headers: Record<string, string> = {}): ReturnType<typeof raw> =>
    raw(answer(status, { ...headers, 'Content-Length': headers['X-HCP-Size'] ?? '0' }))

  test('is settled when HEAD shows the content: no second PUT', async () => {
    await withServer([hangUp(), head(200, ours())], async (connection, server) => {
      const response = await connection.put('/rest/a', 'hello')
      expect(response).toMatchObject({ status: 201, settled: true, attempts: 1, method: 'PUT' })
      expect(response.header('x-hcp-versionid')).toBe('42')
      expect(await response.text()).toBe('')
      expect(server.seen.map((one) => one.method)).toEqual(['PUT', 'HEAD'])
    })
  })

  test('is settled for a stream too when its hash was taken on the way', async () => {
    await withServer([hangUp(), head(200, ours())], async (connection) => {
      const response = await connection.put('/rest/a', Readable.from(['hel', 'lo']), { verifyHash: true })
      expect(response).toMatchObject({ status: 201, settled: true })
    })
  })

  test('is sent again where there is nothing, on the condition that there is still nothing', async () => {
    await withServer([hangUp(), head(404), reply(201)], async (connection, server) => {
      expect(await connection.put('/rest/a', 'hello')).toMatchObject({
        status: 201,
        settled: false,
        attempts: 2,
      })
      expect(server.seen[2]?.headers['if-none-match']).toBe('*')
    })
  })

  test('is sent again over another version, on the condition that it is still the current one', async () => {
    const other = ours({ ETag: '"00000000000000000000000000000000"' })
    await withServer([hangUp(), head(200, other), reply(201)], async (connection, server) => {
      expect(await connection.put('/rest/a', 'hello')).toMatchObject({ status: 201, attempts: 2 })
      expect(server.seen[2]?.headers['if-match']).toBe('"00000000000000000000000000000000"')
    })
  })

  test('is not taken for an older object with the same content', async () => {
    const old = ours({ 'X-HCP-IngestTimeMilliseconds': '1699990000000' })
    await withServer([hangUp(), head(200, old), reply(409), head(200, old)], async (connection) => {
      // Without versioning HCP says 409, and that is the truth: the object was there before.
      expect(await connection.put('/rest/a', 'hello', { retry: { attempts: 2 } })).toMatchObject({
        status: 409,
      })
    })
  })

  test('is settled when its repetition finds that it had come through after all', async () => {
    await withServer([hangUp(), head(404), reply(412), head(200, ours())], async (connection) => {
      expect(await connection.put('/rest/a', 'hello')).toMatchObject({ status: 201, settled: true })
    })
  })

  test('is an error of its own where the content cannot be compared', async () => {
    await withServer([hangUp(), head(200, { 'X-HCP-Size': '5' })], async (connection, server) => {
      const error = await failure(connection.put('/rest/a', 'hello'))
      expect(error).toMatchObject({ code: 'HCP_AMBIGUOUS', sent: true, retryable: false })
      expect(server.seen).toHaveLength(2)
    })
  })

  test('leaves the caller’s own conditions alone', async () => {
    await withServer([hangUp(), head(404), reply(201)], async (connection, server) => {
      await connection.put('/rest/a', 'hello', { headers: { 'If-Match': '"x"' } })
      expect(server.seen[2]?.headers).toMatchObject({ 'if-match': '"x"' })
      expect(server.seen[2]?.headers['if-none-match']).toBeUndefined()
    })
  })

  test('of an annotation is simply sent again: it replaces the whole', async () => {
    await withServer([hangUp(), reply(201)], async (connection, server) => {
      const params = { type: 'custom-metadata', annotation: 'a' }
      expect((await connection.put('/rest/a', '<a/>', { params })).attempts).toBe(2)
      expect(server.seen.map((one) => one.method)).toEqual(['PUT', 'PUT'])
    })
  })

  test('of a directory is settled by its being there', async () => {
    await withServer([hangUp(), head(200, { 'X-HCP-Type': 'directory' })], async (connection) => {
      const response = await connection.put('/rest/d', null, { params: { type: 'directory' } })
      expect(response).toMatchObject({ status: 201, settled: true })
    })
  })

  test.each([
    ['a copy', '/rest/a', { headers: { 'X-HCP-CopySource': 'n.m/a' } }],
    ['a resource of the management API', '/mapi/tenants', {}],
  ])('of %s is not repeated', async (_name, path, options) => {
    await withServer([hangUp()], async (connection, server) => {
      expect(await failure(connection.put(path, 'x', options))).toMatchObject({
        code: 'HCP_SOCKET',
        sent: true,
      })
      expect(server.seen).toHaveLength(1)
    })
  })
})

describe('answers cut short', () => {
  test.each([
    ['chunks without an end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['fewer bytes than announced', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'],
    ['no length at all', 'HTTP/1.1 200 OK\r\n\r\nhello'],
    ['no length and fewer bytes than the object has', 'HTTP/1.1 200 OK\r\nX-HCP-Size: 10\r\n\r\nhello'],
  ])('%s: an error', async (_name, bytes) => {
    await withServer([raw(bytes, 'end')], async (connection) => {
      const response = await connection.get('/rest/a')
      expect(await failure(response.bytes())).toMatchObject({ code: 'HCP_TRUNCATED', received: 5 })
    })
  })

  test('a body that ends with the connection is whole if it has the size that HCP names', async () => {
    await withServer([raw('HTTP/1.1 200 OK\r\nX-HCP-Size: 5\r\n\r\nhello', 'end')], async (connection) => {
      expect(await (await connection.get('/rest/a')).text()).toBe('hello')
    })
  })
})

describe('hashes', () => {
  const right = 'SHA-256 2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824' // of "hello"
  const wrong = right.replace('2CF2', '0000')

  test.each([
    ['the right hash', 200, { 'X-HCP-Hash': right }, undefined],
    ['another', 200, { 'X-HCP-Hash': wrong }, 'HCP_HASH'],
    ['only an ETag, right', 200, { ETag: '"5d41402abc4b2a76b9719d911017c592"' }, undefined],
    ['only an ETag, wrong', 200, { ETag: '"5d41402abc4b2a76b9719d911017c593"' }, 'HCP_HASH'],
    ['none', 200, {}, 'HCP_HASH'],
    ['the whole object’s hash on a part of it', 206, { 'X-HCP-Hash': right.replace('2C', '3D') }, undefined],
  ])('GET with %s', async (_name, status, headers, code) => {
    await withServer([reply(status, headers, 'hello')], async (connection) => {
      const response = await connection.get('/rest/a', { verifyHash: true })
      if (code === undefined) expect(await response.text()).toBe('hello')
      else expect(await failure(response.body.toArray())).toMatchObject({ code })
    })
  })

  test.each([
    ['string', () => 'hello'],
    ['stream', () => Readable.from(['he', 'llo'])],
    ['factory', () => () => Readable.from(['hello'])],
  ])('PUT of a %s compares what HCP stored with what was sent', async (_name, make) => {
    const steps = [
      reply(201, { 'X-HCP-Hash': right }),
      reply(201, { 'X-HCP-Hash': wrong }),
      reply(201),
    ] as const
    await withServer([...steps], async (connection) => {
      expect((await connection.put('/rest/a', make() as never, { verifyHash: true })).status).toBe(201)
      expect(await failure(connection.put('/rest/a', make() as never, { verifyHash: true }))).toMatchObject({
        code: 'HCP_HASH',
        expected: right.split(' ')[1]?.toLowerCase(),
      })
      expect(await failure(connection.put('/rest/a', make() as never, { verifyHash: true }))).toMatchObject({
        code: 'HCP_HASH',
      })
    })
  })

  test('a buffered answer that was damaged on its way is fetched again', async () => {
    const steps = [reply(200, { 'X-HCP-Hash': right }, 'jello'), reply(200, { 'X-HCP-Hash': right }, 'hello')]
    await withServer(steps, async (connection) => {
      const response = await connection.get('/rest/a', { buffered: true, verifyHash: true })
      expect(response.attempts).toBe(2)
      expect(await response.text()).toBe('hello')
    })
  })

  test('a namespace with another algorithm is compared by it', async () => {
    const sha512 = `SHA-512 ${'9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043'.toUpperCase()}`
    await withServer(
      [reply(201, { 'X-HCP-Hash': sha512 }), reply(200, { 'X-HCP-Hash': sha512 }, 'hello')],
      async (connection) => {
        await connection.put('/rest/a', 'hello', { verifyHash: true })
        expect(await (await connection.get('/rest/a', { verifyHash: true })).text()).toBe('hello')
      },
    )
  })
})

describe('ending a call', () => {
  const reason = new Error('enough')

  test('an aborted signal sends nothing', async () => {
    await withServer([], async (connection, server) => {
      expect(await failure(connection.get('/rest/a', { signal: AbortSignal.abort(reason) }))).toBe(reason)
      expect(server.connections).toBe(0)
    })
  })

  test('while connecting', async () => {
    // Documentation addresses are never reached; nothing leaves loopback because the call ends first.
    const target = new Target('127.0.0.1', {
      port: 9,
      tls: false,
      authorization: new AnonymousAuthorization(),
    })
    const connection = new Connection(target, { retry: { attempts: 100, minDelay: 50, maxDelay: 50 } })
    const controller = new AbortController()
    const calling = failure(connection.get('/rest/a', { signal: controller.signal }))
    controller.abort(reason)
    expect(await calling).toBe(reason)
    await connection.destroy()
    target.close()
  })

  test('while waiting for a free connection; the one in use is not harmed', async () => {
    await withServer(
      [reply(200, {}, Buffer.alloc(3_000_000))],
      async (connection) => {
        const first = await connection.get('/rest/1')
        const controller = new AbortController()
        const waiting = failure(connection.get('/rest/2', { signal: controller.signal }))
        controller.abort(reason)
        expect(await waiting).toBe(reason)
        expect((await first.bytes()).length).toBe(3_000_000)
        expect((await connection.get('/rest/3', { buffered: true })).status).toBe(200)
      },
      { connections: 1 },
    )
  })

  test('while waiting for the head', async () => {
    await withServer([stall()], async (connection, server) => {
      const controller = new AbortController()
      const calling = failure(
        connection.put('/rest/a', 'x', { signal: controller.signal, headersTimeout: 20_000 }),
      )
      await server.until(1)
      controller.abort(reason)
      expect(await calling).toBe(reason)
      expect(server.seen).toHaveLength(1)
    })
  })

  test('between two tries', async () => {
    await withServer([reply(503, { 'Retry-After': '30' })], async (connection) => {
      const controller = new AbortController()
      const events = await eachRetry(async () => {
        const listen = (): void => controller.abort(reason)
        subscribe('hcp:retry', listen)
        expect(await failure(connection.get('/rest/a', { signal: controller.signal }))).toBe(reason)
        unsubscribe('hcp:retry', listen)
      })
      expect(events).toHaveLength(1)
    })
  })

  test.each([
    ['bytes', (response: HcpResponse) => response.bytes()],
    ['body', (response: HcpResponse) => response.body.toArray()],
    [
      'read',
      async (response: HcpResponse) => {
        while ((await response.read()).length > 0);
      },
    ],
  ])('in the answer’s body, read by %s', async (_name, read) => {
    await withServer([raw('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello')], async (connection) => {
      const controller = new AbortController()
      const response = await connection.get('/rest/a', { signal: controller.signal, bodyTimeout: 20_000 })
      const reading = failure(read(response))
      controller.abort(reason)
      expect(await reading).toBe(reason)
    })
  })

  test.each([
    ['head', [stall()]],
    ['body', [raw('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello')]],
    ['pauses', [reply(503), reply(503), reply(503), reply(503), reply(503), reply(503)]],
  ])('by the deadline, in the %s', async (name, steps) => {
    await withServer(steps, async (connection) => {
      const began = performance.now()
      const options = {
        deadline: 150,
        headersTimeout: 20_000,
        bodyTimeout: 20_000,
        ...(name === 'pauses' ? { retry: { attempts: 100, minDelay: 100_000, maxDelay: 100_000 } } : {}),
      }
      const calling = connection.get('/rest/a', options).then((response) => response.bytes())
      expect(await failure(calling)).toMatchObject({ code: 'HCP_TIMEOUT', phase: 'deadline', limit: 150 })
      expect(performance.now() - began).toBeLessThan(5_000)
    })
  })

  test('a signal that is used for many calls keeps no listeners of finished ones', async () => {
    await withServer([], async (connection) => {
      const controller = new AbortController()
      for (let call = 0; call < 20; call++) {
        await connection.get('/rest/a', { signal: controller.signal, buffered: true })
      }
      expect(EventEmitter.getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    })
  })
})

describe('closing', () => {
  test('lets requests in flight finish, refuses further ones, and may be called again', async () => {
    await withServer([], async (connection) => {
      const running = connection.get('/rest/a', { buffered: true })
      const closing = connection.close()
      expect(connection.close()).toBe(closing)
      expect((await running).status).toBe(200)
      await closing
      expect(await failure(connection.get('/rest/a'))).toMatchObject({ code: 'HCP_CLOSED' })
      await connection.close()
      await connection.destroy()
    })
  })

  test('gives up an answer that nobody reads instead of waiting for ever', async () => {
    await withServer([reply(200, {}, Buffer.alloc(3_000_000))], async (connection) => {
      await connection.get('/rest/a')
      await connection.close()
    })
  })

  test('destroy rejects what is under way', async () => {
    await withServer([stall()], async (connection, server) => {
      const calling = failure(connection.get('/rest/a', { headersTimeout: 20_000 }))
      await server.until(1)
      await connection.destroy()
      expect(await calling).toMatchObject({ code: 'HCP_CLOSED' })
    })
  })

  test('leaving a loop over a body early frees the connection', async () => {
    await withServer(
      [reply(200, {}, Buffer.alloc(3_000_000)), reply(200, {}, 'next')],
      async (connection) => {
        for await (const piece of await connection.get('/rest/a')) {
          expect(piece.length).toBeGreaterThan(0)
          break
        }
        expect(await (await connection.get('/rest/b')).text()).toBe('next')
      },
      { connections: 1 },
    )
  })
})

describe('reading', () => {
  test('a body is read once, by one way', async () => {
    await withServer([reply(200, {}, 'hello'), reply(200, {}, 'hello')], async (connection) => {
      const response = await connection.get('/rest/a')
      expect(response.bodyUsed).toBe(false)
      expect(await response.text()).toBe('hello')
      expect(response.bodyUsed).toBe(true)
      await expect(response.bytes()).rejects.toThrow(TypeError)
      expect(() => response.body).toThrow(TypeError)
      await expect(response.read()).rejects.toThrow(TypeError)
    })
  })

  test('pieces of the wanted size, an empty one at the end', async () => {
    await withServer([reply(200, {}, 'hello hcp')], async (connection) => {
      const response = await connection.get('/rest/a')
      const pieces: string[] = []
      for (let piece = await response.read(4); piece.length > 0; piece = await response.read(4)) {
        pieces.push(Buffer.from(piece).toString())
      }
      expect(pieces).toEqual(['hell', 'o hc', 'p'])
      expect((await response.read(4)).length).toBe(0)
    })
  })

  test('json, and text in UTF-8', async () => {
    await withServer([reply(200, {}, '{"a":"ü"}'), reply(200, {}, 'nope')], async (connection) => {
      expect(await (await connection.get('/rest/a')).json()).toEqual({ a: 'ü' })
      await expect((await connection.get('/rest/a')).json()).rejects.toThrow(SyntaxError)
    })
  })

  test('a slow reader holds the sender back, and nothing is lost', async () => {
    const large = Buffer.alloc(8_000_000, 'abcdefg')
    await withServer([reply(200, {}, large)], async (connection, server) => {
      const response = await connection.get('/rest/a', { bodyTimeout: 20_000 })
      await new Promise((resolve) => {
        setTimeout(resolve, 50)
      })
      expect(server.seen).toHaveLength(1)
      const parts: Uint8Array[] = []
      for (let part = await response.read(7_777); part.length > 0; part = await response.read(7_777))
        parts.push(part)
      expect(Buffer.concat(parts).equals(large)).toBe(true)
    })
  })
})
