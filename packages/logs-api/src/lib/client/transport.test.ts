import { createServer } from 'node:net'
import { execFile } from 'node:child_process'
import { inspect, promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { LogsApiError } from './errors.ts'
import { LogsClient } from './logs-client.ts'
import { sayJson, scriptServer } from './script-server.testing.ts'
import type { LogsClientOptions } from './transport.ts'

const token = 'very-secret-token'
const quick = { token, retry: { minDelay: 1, maxDelay: 5 } }

async function failure(call: Promise<unknown>): Promise<LogsApiError> {
  const error = await call.then(
    () => expect.unreachable('it succeeded'),
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(LogsApiError)
  return error as LogsApiError
}

describe('repetition', () => {
  test.each([429, 503])('%s is asked again, not before Retry-After', async (status) => {
    await using server = await scriptServer((_, response, number) =>
      number === 0
        ? sayJson(response, status, { code: status, error: 'busy' }, { 'retry-after': '1' })
        : sayJson(response, 200, { log_id: 'a', data: 'x' }),
    )
    await using client = new LogsClient(server.url, quick)
    const began = performance.now()
    expect(await client.entries.get('a')).toEqual({ log_id: 'a', data: 'x' })
    expect(performance.now() - began).toBeGreaterThanOrEqual(990)
    expect(server.asked).toHaveLength(2)
  })

  test('a POST is repeated under one key, made for it; another call gets another key', async () => {
    await using server = await scriptServer((_, response, number) => {
      if (number % 2 === 0) response.destroy()
      else sayJson(response, 201, { result: `id${number}` })
    })
    await using client = new LogsClient(server.url, quick)
    expect(await client.entries.add({ data: 'x' })).toBe('id1')
    expect(await client.entries.addTo('d', { data: 'y' })).toBe('id3')
    const keys = server.asked.map(({ headers }) => headers['idempotency-key'])
    expect(keys[0]).toBeTypeOf('string')
    expect(keys[1]).toBe(keys[0])
    expect(keys[3]).toBe(keys[2])
    expect(keys[2]).not.toBe(keys[0])
    expect(server.asked[1]!.body).toBe(server.asked[0]!.body)
  })

  test('a POST whose first sending is still at work is asked for its answer', async () => {
    await using server = await scriptServer((_, response, number) =>
      number === 0
        ? sayJson(response, 409, { code: 409, error: 'still at work' }, { 'retry-after': '0' })
        : sayJson(response, 201, { result: 'id' }),
    )
    await using client = new LogsClient(server.url, quick)
    expect(await client.entries.add({ data: 'x' }, { idempotencyKey: 'k' })).toBe('id')
    expect(server.asked.map(({ headers }) => headers['idempotency-key'])).toEqual(['k', 'k'])
  })

  test('a change without a key is not sent again when its answer is lost', async () => {
    await using server = await scriptServer((_, response) => void response.destroy())
    await using client = new LogsClient(server.url, quick)
    const error = await failure(client.operations.change('a-b', { status: 'success' }))
    expect(error).toMatchObject({ code: 'LOGS_API_SOCKET', sent: true, attempts: 1 })
    expect(server.asked).toHaveLength(1)
  })

  test.each([400, 401, 403, 404, 409, 413, 422, 500])('%s is final', async (status) => {
    await using server = await scriptServer((_, response) => sayJson(response, status, {}))
    await using client = new LogsClient(server.url, quick)
    expect(await failure(client.entries.add({ data: 'x' }))).toMatchObject({
      code: 'LOGS_API_RESPONSE',
      status,
      attempts: 1,
    })
  })

  test('what cannot be connected to is tried as often as said, and nothing was sent', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    await new Promise((resolve) => server.close(resolve))
    await using client = new LogsClient(`http://127.0.0.1:${port}`, {
      ...quick,
      retry: { ...quick.retry, attempts: 3 },
    })
    expect(await failure(client.entries.add({ data: 'x' }))).toMatchObject({
      code: 'LOGS_API_CONNECT',
      sent: false,
      attempts: 3,
      retryable: true,
    })
  })

  test('a Retry-After beyond the deadline is not waited for', async () => {
    await using server = await scriptServer((_, response) =>
      sayJson(response, 429, {}, { 'retry-after': '3600' }),
    )
    await using client = new LogsClient(server.url, quick)
    const error = await failure(client.entries.get('a', { deadline: 5_000 }))
    expect(error).toMatchObject({ status: 429, retryAfter: 3_600_000, retryable: true })
    expect(server.asked).toHaveLength(1)
  })

  test('the deadline ends a call that gets no answer', async () => {
    await using server = await scriptServer(() => {})
    await using client = new LogsClient(server.url, { token, deadline: 50 })
    expect(await failure(client.entries.get('a'))).toMatchObject({
      code: 'LOGS_API_TIMEOUT',
      retryable: true,
    })
  })

  test('an abort rejects with its reason, also of the signal of the whole client', async () => {
    const reason = new Error('enough')
    for (const whole of [true, false]) {
      const stop = new AbortController()
      await using server = await scriptServer(() => stop.abort(reason))
      await using client = new LogsClient(server.url, { token, ...(whole ? { signal: stop.signal } : {}) })
      await expect(client.entries.get('a', whole ? {} : { signal: stop.signal })).rejects.toBe(reason)
    }
  })

  test('close lets a call in flight finish; further ones are refused', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using server = await scriptServer(async (_, response) => {
      resolve()
      await new Promise((later) => setTimeout(later, 50))
      sayJson(response, 200, { log_id: 'a', data: '' })
    })
    const client = new LogsClient(server.url, quick)
    const call = client.entries.get('a')
    await promise
    await client.close()
    expect(await call).toEqual({ log_id: 'a', data: '' })
    expect(await failure(client.entries.get('a'))).toMatchObject({ code: 'LOGS_API_CLOSED' })
  })
})

describe('refusals keep the words of the API', () => {
  test.each([
    [403, { code: 403, error: 'attr not found' }, 403, 'attr not found'],
    [404, { itemNotFound: { code: 404, message: 'gone' } }, 'itemNotFound', 'gone'],
    [
      401,
      { error: { code: 401, title: 'Unauthorized', message: 'requires authentication' } },
      'error',
      'requires authentication',
    ],
    [404, { error_code: 'iMetal.0100', error_msg: 'no server' }, 'iMetal.0100', 'no server'],
    [
      400,
      { type: 'about:blank', title: 'Bad Request', status: 400, detail: 'no cursor' },
      'about:blank',
      'no cursor',
    ],
    [400, '<html>', undefined, undefined],
  ])('%s %j', async (status, body, apiCode, apiText) => {
    await using server = await scriptServer((_, response) => {
      response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
    })
    await using client = new LogsClient(server.url, quick)
    const error = await failure(client.entries.get('a'))
    expect(error).toMatchObject({ status, apiCode, apiText })
    if (apiText !== undefined) expect(error.message).toContain(apiText)
  })
})

describe('answers', () => {
  test('one that is larger than maxAnswer is given up', async () => {
    await using server = await scriptServer((_, response) =>
      sayJson(response, 200, { a: 'x'.repeat(200_000) }),
    )
    await using client = new LogsClient(server.url, { token, maxAnswer: 100_000 })
    expect(await failure(client.entries.find())).toMatchObject({ code: 'LOGS_API_SIZE', retryable: false })
  })

  test('one that is no JSON, or lacks what it must have, is an error', async () => {
    await using server = await scriptServer((_, response, number) =>
      number === 0 ? void response.end('<html>') : sayJson(response, 201, {}),
    )
    await using client = new LogsClient(server.url, quick)
    expect(await failure(client.entries.get('a'))).toMatchObject({ code: 'LOGS_API_PROTOCOL' })
    expect(await failure(client.entries.add({ data: '' }))).toMatchObject({ code: 'LOGS_API_PROTOCOL' })
  })

  test('a redirection is not followed', async () => {
    await using server = await scriptServer(
      (_, response) => void response.writeHead(302, { location: 'http://other.example/' }).end(),
    )
    await using client = new LogsClient(server.url, quick)
    expect(await failure(client.entries.get('a'))).toMatchObject({ status: 302, retryable: false })
  })
})

describe('the token', () => {
  test('is asked for at each try, and sent', async () => {
    await using server = await scriptServer((_, response, number) =>
      number === 0 ? sayJson(response, 503, {}) : sayJson(response, 200, {}),
    )
    let calls = 0
    await using client = new LogsClient(server.url, { ...quick, token: async () => `t${++calls}` })
    await client.entries.find()
    expect(server.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer t1', 'Bearer t2'])
  })

  test('one that cannot be got sends nothing', async () => {
    await using server = await scriptServer((_, response) => sayJson(response, 200, {}))
    const cause = new Error('identity provider down')
    await using client = new LogsClient(server.url, { token: () => Promise.reject(cause) })
    expect(await failure(client.entries.find())).toMatchObject({ code: 'LOGS_API_TOKEN', cause, sent: false })
    expect(server.asked).toHaveLength(0)
  })

  test('is in no error and no print, though the service repeats it', async () => {
    await using server = await scriptServer((asked, response) =>
      sayJson(response, 403, { code: 403, error: `bad ${asked.headers.authorization}` }),
    )
    await using client = new LogsClient(server.url, quick)
    const error = await failure(client.entries.get('a'))
    const everything = [client, client.entries, error].map((value) =>
      inspect(value, { depth: 10, showHidden: true }),
    )
    expect(everything.join() + JSON.stringify([client, error])).not.toContain(token)
  })
})

test.each<[string, string, object]>([
  ['no URL', 'logs', { token }],
  ['another scheme', 'ftp://logs', { token }],
  ['a password in the URL', 'http://user:password@logs', { token }],
  ['a query', 'http://logs?x=1', { token }],
  ['no token', 'http://logs', {}],
  ['an empty token', 'http://logs', { token: '' }],
  ['a token of two lines', 'http://logs', { token: 'a\nb' }],
  ['an option that nobody knows', 'http://logs', { token, timeout: 5 }],
  ['a time of no length', 'http://logs', { token, deadline: 0 }],
])('%s is refused at once', (_, url, options) => {
  expect(() => new LogsClient(url, options as LogsClientOptions)).toThrow(/must|unknown option/)
})

test('wrong arguments are refused before anything is sent', async () => {
  await using server = await scriptServer((_, response) => sayJson(response, 200, {}))
  await using client = new LogsClient(server.url, quick)
  const wrong: (() => unknown)[] = [
    () => client.entries.get('../logs'),
    () => client.entries.get(''),
    () => client.entries.add({} as never),
    () => client.entries.add({ data: '\ud800' }),
    () => client.entries.add({ data: 'x' }, { idempotencyKey: 'ä' }),
    () => client.entries.find({ limit: -1 }),
    () => client.entries.find({ from: new Date(Number.NaN) }),
    () => client.entries.taskLogs('d', 't', { order: 'up' as never }),
    () => client.entries.taskLogs('d', 't', { keys: ['a|b'] }),
    () => client.entries.removeDataset('a/b').next(),
    () => client.search({ limit: 5_000 }),
    () => client.search({ dataset_id: 'd' } as never),
    () => client.tail({}, { lastEventId: 'a\nb' }),
    () => client.bulk('text' as never),
    () => client.operations.list('p q'),
    () => client.operations.list('p', { filter: { colour: 'red' } as never }),
    () => client.operations.add({ status: 'success' } as never),
    () => client.exports.start('p', 's', { startDate: '5/1/2026' }),
    () => client.exports.status({ project: 'p', server: 's' } as never),
    () => client.exports.list('p', 's', { limit: 0 }),
    () => client.rights.set('d', { readers: [] } as never),
  ]
  for (const call of wrong) {
    await expect((async () => call())()).rejects.toSatisfy(
      (error) => error instanceof TypeError || error instanceof RangeError,
      call.toString(),
    )
  }
  expect(server.asked).toHaveLength(0)
})

test('a path in the URL of the service is the prefix of all paths', async () => {
  await using server = await scriptServer((_, response) => sayJson(response, 200, {}))
  await using client = new LogsClient(`${server.url}/hcp/logs-service/`, quick)
  await client.entries.find({ name: 'a b' })
  expect(server.asked[0]!.url).toBe('/hcp/logs-service/logs?name=a+b')
})

test('the client loads nothing of the service', async () => {
  const script = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })
    await import(${JSON.stringify(new URL('../../client.ts', import.meta.url).href)})
    console.log(loaded.join('\\n'))`
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script])
  expect(stdout).toContain('logs-client.ts')
  expect(stdout).not.toMatch(/node_modules\/(fastify|@fastify|pg|kysely|zod|jose|prom-client|protobufjs)\//)
  expect(stdout).not.toMatch(/logs-api\/src\/lib\/(?!client\/)/)
})
