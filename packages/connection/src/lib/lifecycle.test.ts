import { readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { AnonymousAuthorization, NativeAuthorization } from '@hcp/auth'
import { startEmulator } from '@hcp/emulator'
import { describe, expect, test } from 'vitest'
import { answer, hangUp, raw, reply, scriptServer, stall } from '../../test/script-server.ts'
import { Connection, FileBody, type HcpError, Target } from '../index.ts'

const quick = { headersTimeout: 300, bodyTimeout: 300, retry: { minDelay: 1, maxDelay: 5 } }
const failure = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => Promise.reject(new Error('expected a failure')),
    (error: unknown) => error,
  )
const never = new Promise<never>(() => {})
const soon = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })
const large = Buffer.alloc(3_000_000, 7)

describe('an answer that is given up', () => {
  test('is an error for who is reading it, and never looks whole', async () => {
    await using server = await scriptServer(
      reply(200, {}, large),
      reply(200, {}, large),
      reply(200, {}, large),
    )
    await using connection = new Connection(server.target, quick)
    const first = await connection.get('/rest/a')
    const text = failure(first.text())
    await first.dump()
    expect(await text).toMatchObject({ code: 'HCP_CLOSED', method: 'GET', attempts: 1 })

    const second = await connection.get('/rest/b')
    const streaming = failure(second.body.toArray())
    await second.dump()
    expect(await streaming).toMatchObject({ code: 'HCP_CLOSED' })

    const third = await connection.get('/rest/c')
    const whole = third.bytes()
    // A second reader is refused, and the first is not harmed by it.
    await expect(third[Symbol.asyncIterator]().next()).rejects.toThrow(TypeError)
    expect((await whole).length).toBe(large.length)
  })

  test('is read to its end when its scope ends with the reading not awaited', async () => {
    await using server = await scriptServer(reply(200, {}, large))
    await using connection = new Connection(server.target, quick)
    const read = async (): Promise<Uint8Array> => {
      await using response = await connection.get('/rest/a')
      // oxlint-disable-next-line typescript/return-await -- that is what is tried here
      return response.bytes()
    }
    expect((await read()).length).toBe(large.length)
  })
})

test.each([100, 8_192, 40_000, 50_000, 65_536])(
  'an answer in chunks of %s bytes comes whole, again and again',
  async (size) => {
    const content = Buffer.from(Array.from({ length: 500_000 }, (_, index) => (index * 31) % 251))
    const chunks: Buffer[] = [Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')]
    for (let at = 0; at < content.length; at += size) {
      const piece = content.subarray(at, at + size)
      chunks.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'))
    }
    const bytes = Buffer.concat([...chunks, Buffer.from('0\r\n\r\n')])
    await using server = await scriptServer(raw(bytes), raw(bytes), raw(bytes))
    await using connection = new Connection(server.target, { ...quick, connections: 1 })
    for (let round = 0; round < 3; round++) {
      expect(Buffer.compare(await (await connection.get('/rest/a')).bytes(), content)).toBe(0)
    }
  },
)

describe('a PUT whose answer was lost', () => {
  const ours = (more: Record<string, string> = {}): ReturnType<typeof raw> =>
    raw(
      answer(200, {
        'X-HCP-Type': 'object',
        'X-HCP-Size': '5',
        ETag: '"5d41402abc4b2a76b9719d911017c592"', // of "hello"
        'X-HCP-Time': '1700000000',
        'X-HCP-IngestTimeMilliseconds': '1700000000123',
        'Content-Length': '5',
        ...more,
      }),
    )

  test('went out whole when all announced bytes did, though its source lingers', async () => {
    await using server = await scriptServer(hangUp(), ours())
    await using connection = new Connection(server.target, quick)
    const lingering = async function* (): AsyncGenerator<string> {
      yield 'hello'
      await never
    }
    const response = await connection.put('/rest/a', () => lingering(), { size: 5 })
    expect(response).toMatchObject({ status: 201, settled: true })
    expect(server.seen.map((one) => one.method)).toEqual(['PUT', 'HEAD'])
  })

  test.each([
    [{ index: true }, { 'X-HCP-Index': 'false' }, false],
    [{ index: true }, { 'X-HCP-Index': 'true' }, true],
    [{ retention: 'A+7y' }, { 'X-HCP-Retention': '0' }, false],
    [{ retention: 'A+7y' }, { 'X-HCP-Retention': '1900000000' }, true],
    [{ retention: -1 }, { 'X-HCP-Retention': '-1' }, true],
    [{ retention: 'C+TAX10' }, { 'X-HCP-Retention': '1', 'X-HCP-RetentionClass': 'tax10' }, true],
    [{ retention: 'C+TAX10' }, { 'X-HCP-Retention': '1', 'X-HCP-RetentionClass': '' }, false],
    [{ acl: 'all_read' }, { 'X-HCP-ACL': 'false' }, false],
  ])('%j is not taken for an equal object with other settings: %j', async (params, headers, settled) => {
    await using server = await scriptServer(hangUp(), ours(headers), reply(201))
    await using connection = new Connection(server.target, quick)
    const response = await connection.put('/rest/a', 'hello', { params })
    expect(response).toMatchObject({ status: 201, settled })
  })

  test('was cut off in its body: a conflict with what is left of it is waited out, not believed', async () => {
    let opened = 0
    const content = (): AsyncIterable<string> =>
      (async function* () {
        yield 'hel'
        if (opened++ === 0) await never
        yield 'lo'
      })()
    const cutOff = { head: (socket: Socket): void => void socket.resetAndDestroy() }
    await using server = await scriptServer(cutOff, reply(409), reply(404), reply(201))
    await using connection = new Connection(server.target, quick)
    const response = await connection.put('/rest/a', content, { size: 5 })
    expect(response).toMatchObject({ status: 201, attempts: 3 })
    expect(server.seen.map((one) => one.method)).toEqual(['PUT', 'HEAD', 'PUT'])
    expect(server.seen.at(-1)?.body.toString()).toBe('hello')
  })

  test('keeps its doubt as the error when the body cannot be read again', async () => {
    let opened = 0
    const once = (): Readable => {
      if (opened++ > 0) throw new Error('gone')
      return Readable.from(['hello'])
    }
    await using server = await scriptServer(hangUp(), ours())
    await using connection = new Connection(server.target, quick)
    expect(await failure(connection.put('/rest/a', once))).toMatchObject({
      code: 'HCP_AMBIGUOUS',
      sent: true,
    })
  })

  test('ends by its deadline also while the body is read again', async () => {
    let opened = 0
    const slow = (): AsyncIterable<string> =>
      (async function* () {
        if (opened++ > 0) await never
        yield 'hello'
      })()
    await using server = await scriptServer(hangUp(), ours())
    await using connection = new Connection(server.target, quick)
    const error = await failure(connection.put('/rest/a', slow, { deadline: 300 }))
    expect(error).toMatchObject({ code: 'HCP_TIMEOUT', phase: 'deadline' })
  })

  test('answers 412 to the caller’s own condition', async () => {
    const other = ours({ ETag: '"00000000000000000000000000000000"' })
    await using server = await scriptServer(hangUp(), other, reply(412), other)
    await using connection = new Connection(server.target, quick)
    const response = await connection.put('/rest/a', 'hello', { headers: { 'If-None-Match': '*' } })
    expect(response).toMatchObject({ status: 412, attempts: 2 })
  })

  test('without repetition is looked after once', async () => {
    await using server = await scriptServer(reply(500), reply(500))
    await using connection = new Connection(server.target, { ...quick, retry: false })
    expect((await connection.put('/rest/a', 'hello')).status).toBe(500)
    expect(server.seen.map((one) => one.method)).toEqual(['PUT', 'HEAD'])
  })

  test('is settled also when the connection is being closed', async () => {
    await using server = await scriptServer(hangUp(), ours())
    const connection = new Connection(server.target, quick)
    const storing = connection.put('/rest/a', 'hello')
    await Promise.all([connection.close(), storing])
    expect(await storing).toMatchObject({ status: 201, settled: true })
  })
})

test('hashes are compared for whole objects alone', async () => {
  await using hcp = await startEmulator()
  await using target = new Target('n1.m.hcp1.test', {
    port: hcp.ports.http,
    tls: false,
    nameServers: [hcp.dns],
    authorization: new NativeAuthorization('n', 'n01'),
  })
  await using connection = new Connection(target, { verifyHash: true })
  await connection.put('/rest/d/a', 'hello')
  await connection.put('/rest/d/a', '<k/>', { params: { type: 'custom-metadata', annotation: 'k' } })
  for (const [path, params] of [
    ['/rest/d/a', {}],
    ['/rest/d', {}],
    ['/proc', {}],
    ['/proc/statistics', {}],
    ['/rest/d/a', { type: 'custom-metadata', annotation: 'k' }],
    ['/rest/d/a', { type: 'custom-metadata-info' }],
    ['/rest/d/a', { type: 'whole-object', annotation: 'k' }],
  ] as const) {
    const response = await connection.get(path, { params })
    expect({ path, params, size: (await response.bytes()).length > 0 }).toEqual({ path, params, size: true })
  }
})

describe('what never comes does not hold a call', () => {
  const hanging = { headers: () => never }
  test.each([
    ['authorization', (connection: Connection, options: object) => connection.get('/rest/a', options)],
    [
      'body factory',
      (connection: Connection, options: object) => connection.put('/rest/a', () => never, options),
    ],
  ])('%s: ended by deadline, signal and destroy', async (name, ask) => {
    await using server = await scriptServer()
    const target = new Target('127.0.0.1', {
      port: server.port,
      tls: false,
      authorization: name === 'authorization' ? hanging : new AnonymousAuthorization(),
    })
    const connection = new Connection(target, quick)
    expect(await failure(ask(connection, { deadline: 30 }))).toMatchObject({ phase: 'deadline' })
    const reason = new Error('enough')
    const controller = new AbortController()
    const aborted = failure(ask(connection, { signal: controller.signal }))
    controller.abort(reason)
    expect(await aborted).toBe(reason)
    const destroyed = failure(ask(connection, {}))
    await connection.destroy()
    expect(await destroyed).toMatchObject({ code: 'HCP_CLOSED' })
    target.close()
  })
})

test('any thenable is taken for a promise of headers', async () => {
  await using server = await scriptServer()
  // oxlint-disable-next-line unicorn/no-thenable -- that is what is tried here
  const thenable = { then: (resolve: (headers: object) => void) => resolve({ authorization: 'HCP x:y' }) }
  const target = new Target('127.0.0.1', {
    port: server.port,
    tls: false,
    authorization: { headers: () => thenable as never },
  })
  await using connection = new Connection(target, quick)
  await connection.head('/rest/a')
  expect(server.seen[0]?.headers['authorization']).toBe('HCP x:y')
  target.close()
})

describe('closing', () => {
  test('destroy ends a pause between tries, and each call gets its own error', async () => {
    await using server = await scriptServer(reply(503, { 'Retry-After': '30' }), stall())
    const connection = new Connection(server.target, { headersTimeout: 20_000 })
    const reason = new Error('shutting down')
    const calls = ['/rest/one', '/rest/two'].map((path) => failure(connection.get(path)))
    await server.until(2)
    await connection.destroy(reason)
    const [one, two] = (await Promise.all(calls)) as HcpError[]
    expect([one?.url, two?.url]).toEqual([
      `http://127.0.0.1:${server.port}/rest/one`,
      `http://127.0.0.1:${server.port}/rest/two`,
    ])
    expect([one?.cause, two?.cause]).toEqual([reason, reason])
  })

  test('close waits for a pause between tries', async () => {
    await using server = await scriptServer(reply(503))
    const connection = new Connection(server.target, quick)
    const asking = connection.get('/rest/a', { buffered: true })
    await server.until(1)
    await connection.close()
    expect(await asking).toMatchObject({ status: 200, attempts: 2 })
  })

  test('close that destroy overtakes is done too', async () => {
    await using server = await scriptServer(stall())
    const connection = new Connection(server.target, { headersTimeout: 20_000, connections: 1 })
    const calls = ['/rest/a', '/rest/b'].map((path) => failure(connection.get(path)))
    await server.until(1)
    const closing = connection.close()
    await connection.destroy()
    await closing
    for (const error of await Promise.all(calls)) expect(error).toMatchObject({ code: 'HCP_CLOSED' })
  })

  test('destroy gives up connections that are being made', async () => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    // Takes the TCP connection and never answers the TLS handshake.
    const accepted = once(server, 'connection') as Promise<
      [{ on(event: 'close', listener: () => void): void }]
    >
    const target = new Target('127.0.0.1', { port, authorization: new AnonymousAuthorization() })
    const connection = new Connection(target, { connectTimeout: 60_000 })
    const asking = failure(connection.get('/rest/a'))
    const [socket] = await accepted
    const closed = new Promise<void>((resolve) => {
      socket.on('close', resolve)
      ;(socket as unknown as Readable).on('error', () => {}).resume()
    })
    await connection.destroy()
    expect(await asking).toMatchObject({ code: 'HCP_CLOSED' })
    await closed
    target.close()
    server.close()
  })
})

test.skipIf(process.platform !== 'linux')('files of tries that were never sent are closed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hcp-files-'))
  const path = join(folder, 'content')
  await writeFile(path, large)
  const openFiles = (): number =>
    readdirSync('/proc/self/fd').filter((descriptor) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`) === path
      } catch {
        return false
      }
    }).length
  await using server = await scriptServer(stall())
  const nobody = new Target('127.0.0.1', { port: 1, tls: false, authorization: new AnonymousAuthorization() })
  const unconnected = new Connection(nobody, quick)
  for (let call = 0; call < 5; call++) {
    expect(await failure(unconnected.put('/rest/a', new FileBody(path)))).toMatchObject({
      code: 'HCP_CONNECT',
    })
  }
  const connection = new Connection(server.target, { connections: 1 })
  const blocking = failure(connection.get('/rest/a'))
  await server.until(1)
  for (let call = 0; call < 5; call++) {
    expect(await failure(connection.put('/rest/a', new FileBody(path), { deadline: 20 }))).toMatchObject({
      phase: 'deadline',
    })
    expect(await failure(connection.put('/rest/a', new FileBody(path), { size: 7 }))).toMatchObject({
      code: 'HCP_BODY',
    })
  }
  await connection.destroy()
  await blocking
  await expect.poll(openFiles).toBe(0)
  await unconnected.close()
  nobody.close()
  await rm(folder, { recursive: true })
})

describe('sockets', () => {
  test('an old one is replaced after its request, and there are never more than asked for', async () => {
    await using server = await scriptServer()
    await using connection = new Connection(server.target, { ...quick, connections: 1, socketLifetime: 1 })
    for (let call = 0; call < 10; call++) {
      await Promise.all([connection.put('/rest/a', 'x'), connection.put('/rest/b', 'x')])
      await soon()
      await new Promise((resolve) => {
        setTimeout(resolve, 2)
      })
      expect([...connection.sockets.values()].reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(1)
    }
    expect(server.connections).toBeGreaterThan(5)
    expect(server.seen.some((one) => one.headers['connection'] === 'close')).toBe(true)
  })

  test('a node that answers 500 is not asked again while others are there', async () => {
    await using hcp = await startEmulator()
    await using target = new Target('n1.m.hcp1.test', {
      port: hcp.ports.http,
      tls: false,
      nameServers: [hcp.dns],
      authorization: new NativeAuthorization('n', 'n01'),
    })
    await using connection = new Connection(target, { connections: 8, retry: { minDelay: 1, maxDelay: 5 } })
    hcp.addFault({ kind: 'status', status: 500, node: 2 })
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => connection.put(`/rest/sick/${index}`, 'x')),
    )
    expect(answers.map((one) => one.status)).toEqual(answers.map(() => 201))
    expect(Math.max(...answers.map((one) => one.attempts))).toBeLessThanOrEqual(3)
  })

  test('a web stream that met only refusing nodes is blamed on the nodes', async () => {
    const nobody = new Target('127.0.0.1', {
      port: 1,
      tls: false,
      authorization: new AnonymousAuthorization(),
    })
    await using connection = new Connection(nobody, quick)
    const error = await failure(connection.put('/rest/a', new Blob(['x']).stream()))
    expect(error).toMatchObject({ code: 'HCP_CONNECT', attempts: 5, sent: false })
    nobody.close()
  })

  test('an answer may be read from within another one’s data event', async () => {
    await using server = await scriptServer(reply(200, {}, large), reply(200, {}, large))
    await using connection = new Connection(server.target, { ...quick, bodyTimeout: 5_000 })
    const [first, second] = await Promise.all([connection.get('/rest/a'), connection.get('/rest/b')])
    let reading: Promise<Uint8Array> | undefined
    first.body.on('data', () => {
      reading ??= second.bytes()
    })
    await once(first.body, 'end')
    expect((await reading)?.length).toBe(large.length)
  })
})

test('an error says everything in JSON too, and its parts are for programs', async () => {
  await using server = await scriptServer(hangUp())
  await using connection = new Connection(server.target, quick)
  const error = await failure(connection.post('/rest/a', 'x'))
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({
    name: 'HcpSocketError',
    code: 'HCP_SOCKET',
    message: (error as Error).message,
    method: 'POST',
    url: `http://127.0.0.1:${server.port}/rest/a`,
    address: '127.0.0.1',
    attempts: 1,
    retryable: true,
    sent: true,
    failures: [],
  })
})
