import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import { ask, credentials, requestBytes, statusOf, Wire } from './wire.testing.ts'

let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 2 })
})
afterAll(() => hcp.close())

const names = (raw: readonly string[]): string[] => raw.filter((_, index) => index % 2 === 0)

describe('headers', () => {
  test('a PUT answers with the headers of a real answer, in their order', async () => {
    const put = await ask(hcp, { method: 'PUT', path: '/rest/docs/a.txt', body: 'hello hcp\n' })
    expect(put).toMatchObject({ status: 201, reason: 'Created' })
    expect(names(put.raw)).toEqual([
      'Date',
      'Server',
      'X-HCP-ServicedBySystem',
      'Location',
      'X-HCP-VersionId',
      'X-HCP-IngestTimeMilliseconds',
      'X-HCP-Hash',
      'ETag',
      'X-RequestId',
      'X-HCP-Time',
      'Content-Length',
    ])
    expect(put.headers).toMatchObject({
      location: '/rest/docs/a.txt',
      'x-hcp-servicedbysystem': 'hcp1.test',
      'x-hcp-hash': 'SHA-256 7C73A30C03A912013835111FDC8FDC115184608DD97BA2CB51E5AC0B6B80F0CB',
      etag: '"1deda6a3fe1cdde8832d2b6c8f71e3ef"',
    })
    const time = Number(put.headers['x-hcp-ingesttimemilliseconds'])
    expect(Number(put.headers['x-hcp-versionid'])).toBe(time * 64 + 1)
  })

  test.each(['GET', 'HEAD'])(
    'a %s answers with the headers of a real answer, in their order',
    async (method) => {
      const got = await ask(hcp, { method, path: '/rest/docs/a.txt' })
      expect(names(got.raw)).toEqual([
        'Date',
        'Server',
        'X-RequestId',
        'X-HCP-ServicedBySystem',
        'X-HCP-Time',
        'X-HCP-SoftwareVersion',
        'ETag',
        'Cache-Control',
        'Pragma',
        'Expires',
        'Content-Type',
        'Content-Length',
        'X-HCP-Type',
        'X-HCP-Size',
        'X-HCP-Hash',
        'X-HCP-VersionId',
        'X-HCP-IngestTime',
        'X-HCP-IngestTimeMilliseconds',
        'X-HCP-RetentionClass',
        'X-HCP-RetentionString',
        'X-HCP-Retention',
        'X-HCP-IngestProtocol',
        'X-HCP-RetentionHold',
        'X-HCP-Shred',
        'X-HCP-DPL',
        'X-HCP-Index',
        'X-HCP-Custom-Metadata',
        'X-HCP-ACL',
        'X-HCP-Owner',
        'X-HCP-Domain',
        'X-HCP-UID',
        'X-HCP-GID',
        'X-HCP-CustomMetadataAnnotations',
        'X-HCP-Replicated',
        'X-HCP-ReplicationCollision',
        'X-HCP-ChangeTimeMilliseconds',
        'X-HCP-ChangeTimeString',
        'Last-Modified',
      ])
      expect(got.headers).toMatchObject({
        'content-type': 'text/plain',
        'content-length': '10',
        'x-hcp-owner': 'n',
        'x-hcp-retentionstring': 'Deletion Allowed',
        'x-hcp-softwareversion': '9.6.0.142',
      })
      expect(got.text).toBe(method === 'GET' ? 'hello hcp\n' : '')
    },
  )

  test('X-HCP-Replicated is left out for a client that does not want it', async () => {
    const headers = { 'X-HCP-Get-Replicated': 'false' }
    const got = await ask(hcp, { path: '/rest/docs/a.txt', headers })
    expect(got.headers).not.toHaveProperty('x-hcp-replicated')
    expect(got.headers).toHaveProperty('x-hcp-replicationcollision')
    const other = { 'X-HCP-Get-Replicated': 'true' }
    expect((await ask(hcp, { path: '/rest/docs/a.txt', headers: other })).headers).toHaveProperty(
      'x-hcp-replicated',
    )
  })

  test('request ids are 16 digits of which the second half counts up', async () => {
    using wire = await Wire.to(hcp)
    const [one, two] = [
      (await wire.send({}).answer()).headers['x-requestid']!,
      (await wire.send({}).answer()).headers['x-requestid']!,
    ]
    expect(one).toMatch(/^[0-9A-F]{16}$/)
    expect(two.slice(0, 8)).toBe(one.slice(0, 8))
    expect(parseInt(two.slice(8), 16)).toBe(parseInt(one.slice(8), 16) + 1)
  })
})

describe('host names', () => {
  test.each([
    ['n1.m.hcp1.test', 200],
    ['N1.M.HCP1.Test', 200],
    ['n1.m.hcp1.test:8080', 200],
    ['n1.m.hcp1.test.', 200],
    ['n1.m.hcp1.test.:80', 200],
    ['n2.m.hcp1.test', 200],
    ['n3.m.hcp1.test', 403],
    ['n1.x.hcp1.test', 403],
    ['a.n1.m.hcp1.test', 403],
    ['n1.m.hcp2.test', 403],
    ['m.hcp1.test', 403],
    ['127.0.0.1', 403],
    ['', 403],
  ])('%s is answered with %i', async (host, status) => {
    expect(await statusOf(hcp, { host })).toBe(status)
  })

  test('no Host header at all is a namespace that does not exist', async () => {
    using wire = await Wire.to(hcp)
    wire.socket.write('GET /rest/ HTTP/1.0\r\n\r\n')
    expect((await wire.answer()).status).toBe(403)
  })
})

describe('requests of an older or an unusual form', () => {
  const account = `Authorization: ${credentials('n', 'n01')}\r\n`
  async function answered(text: string): Promise<Wire> {
    const wire = await Wire.to(hcp)
    wire.socket.write(text)
    return wire
  }
  beforeAll(async () => {
    for (const name of ['a', 'b'])
      await statusOf(hcp, { method: 'PUT', path: `/rest/form/${name}`, body: name })
  })

  test('the host of an absolute URL goes before the Host header', async () => {
    const get = (url: string, host: string): string =>
      `GET ${url} HTTP/1.1\r\nHost: ${host}\r\n${account}\r\n`
    using wire = await answered(
      get('http://N1.m.hcp1.test:80/rest/form/a', 'other.test') +
        get('http://other.test/rest/form/a', 'n1.m.hcp1.test') +
        get('https://n1.m.hcp1.test?x', 'n1.m.hcp1.test'),
    )
    expect((await wire.answer()).text).toBe('a')
    expect((await wire.answer()).status).toBe(403)
    expect((await wire.answer()).status).toBe(404)
  })

  test.each(['', 'Connection: keep-alive\r\n', 'Accept-Encoding: gzip\r\n'])(
    'HTTP/1.0 is answered without chunks, and the connection is closed (%j)',
    async (line) => {
      for (const path of ['/rest/form/a', '/rest/form']) {
        using wire = await answered(`GET ${path} HTTP/1.0\r\nHost: n1.m.hcp1.test\r\n${account}${line}\r\n`)
        const [head = '', body = ''] = (await wire.rest()).toString('latin1').split('\r\n\r\n')
        expect(head).toMatch(/^HTTP\/1\.1 200 /)
        expect(head).not.toContain('Transfer-Encoding')
        expect(head).toContain('Connection: close')
        expect(body).not.toBe('')
        expect(wire.ended).toBe('end')
      }
    },
  )

  test.each([
    ['GET', '/rest/?%0d%0aX:%20y=1&%0d%0aX:%20y=2', ''],
    ['GET', '/rest/?%E2%82%AC=1', ''],
    ['GET', '/proc?%0d%0aX:%20y=1', ''],
    ['GET', '/proc?%E2%82%AC=1', ''],
    ['POST', '/rest/form/a', '%0d%0aX:%20y=1'],
    ['DELETE', '/rest/form/a', '%0d%0aX:%20y=1'],
  ])(
    '%s %s %s: what a message quotes is no header, nor the end of the emulator',
    async (method, path, body) => {
      const answer = await ask(hcp, { method, path, ...(body === '' ? {} : { body }) })
      expect(answer.status).toBe(400)
      expect(answer.headers).not.toHaveProperty('x')
      expect(answer.headers['x-hcp-errormessage']).toMatch(/^[ -~]+$/)
    },
  )

  test('an unknown expectation is no obstacle, a tunnel is refused', async () => {
    expect(await statusOf(hcp, { path: '/rest/form/a', headers: { Expect: 'something' } })).toBe(200)
    expect(await statusOf(hcp, { method: 'CONNECT', path: 'n1.m.hcp1.test:80' })).toBe(405)
  })

  test('a malformed chunk is refused with 400 and stores nothing', async () => {
    using wire = await Wire.to(hcp)
    const headers = { 'Transfer-Encoding': 'chunked' }
    wire.send({ method: 'PUT', path: '/rest/form/chunk', headers, body: '3\r\nabc\r\nzz\r\n' })
    expect((await wire.answer()).status).toBe(400)
    expect(await statusOf(hcp, { path: '/rest/form/chunk' })).toBe(404)
  })

  test('chunk extensions and trailers are taken and left out', async () => {
    const headers = { 'Transfer-Encoding': 'chunked' }
    const body = '3;a=b\r\nabc\r\n0;c\r\nX-Trailer: 1\r\n\r\n'
    expect(await statusOf(hcp, { method: 'PUT', path: '/rest/form/trailer', headers, body })).toBe(201)
    expect((await ask(hcp, { path: '/rest/form/trailer' })).text).toBe('abc')
  })

  test('two lengths, or a length and chunks, are refused', async () => {
    for (const headers of [
      { 'Content-Length': '3', 'Transfer-Encoding': 'chunked' },
      { 'Content-Length': '3', 'content-length': '4' },
      { 'Content-Length': '-1' },
    ]) {
      expect(await statusOf(hcp, { method: 'PUT', path: '/rest/form/two', headers, body: 'abc' })).toBe(400)
    }
  })

  test('what is no request is a 400 after the answers that are due, and half a request ends with its connection', async () => {
    using wire = await Wire.to(hcp)
    wire.send({ method: 'PUT', path: '/rest/form/c', body: 'c' })
    wire.socket.write('nonsense\r\n\r\n')
    expect([(await wire.answer()).status, (await wire.answer()).status]).toEqual([201, 400])
    await wire.rest()
    expect(wire.ended).toBe('end')
    using half = await Wire.to(hcp)
    half.send({ method: 'PUT', path: '/rest/form/d', body: 'd' })
    expect((await half.answer()).status).toBe(201)
    half.socket.end('GET /rest')
    expect((await half.answer()).status).toBe(400)
    await half.rest()
    expect(half.ended).toBe('end')
  })

  test('a connection goes on after every answer that leaves nothing unread', async () => {
    using wire = await Wire.to(hcp)
    const send = (path: string, method = 'GET', more: object = {}): unknown =>
      wire.send({ method, path, ...more })
    send('/rest/none')
    send('/rest/a%')
    send('/rest/form/a?x=1')
    send('/rest/form/a', 'PATCH')
    send('/proc/none')
    send('/rest/form/a', 'PUT', { body: 'x' })
    send('/rest/form/a', 'GET', { headers: { 'Accept-Encoding': 'br' } })
    send('/rest/form/a', 'GET', { headers: { Range: 'bytes=9-' } })
    send('/rest/form/a', 'GET', { headers: { 'If-None-Match': '*' } })
    send('/rest/form/a', 'GET', { authorization: null })
    send('/rest/form/a?type=custom-metadata', 'DELETE')
    send('/rest/form/a', 'GET', { body: 'unasked' })
    const statuses: number[] = []
    for (let i = 0; i < 12; i++) statuses.push((await wire.answer()).status)
    expect(statuses).toEqual([404, 400, 400, 405, 404, 409, 406, 416, 304, 403, 204, 200])
  })
})

describe('uploads that do not come to their end', () => {
  test('a body shorter than announced is refused with 503 and stores nothing', async () => {
    using wire = await Wire.to(hcp)
    wire.socket.end(
      requestBytes({ method: 'PUT', path: '/rest/short', headers: { 'Content-Length': '100' }, body: 'x' }),
    )
    const answer = await wire.answer()
    expect(answer.status).toBe(503)
    expect(answer.headers['x-hcp-errormessage']).toContain('shorter')
    expect(await statusOf(hcp, { method: 'HEAD', path: '/rest/short' })).toBe(404)
  })

  test('a chunked body without its last chunk is refused with 503 and stores nothing', async () => {
    using wire = await Wire.to(hcp)
    const headers = { 'Transfer-Encoding': 'chunked' }
    wire.socket.end(requestBytes({ method: 'PUT', path: '/rest/short', headers, body: '5\r\nhello\r\n' }))
    expect((await wire.answer()).status).toBe(503)
    expect(await statusOf(hcp, { method: 'HEAD', path: '/rest/short' })).toBe(404)
  })

  // A connection that is closed may have been closed half, by a client that still wants an answer.
  test.each([
    ['destroy', 503],
    ['resetAndDestroy', 0],
  ] as const)('a connection that breaks (%s) stores nothing and frees the name', async (how, ended) => {
    const path = `/rest/broken-${how}`
    const wire = await Wire.to(hcp)
    const before = hcp.requests().at(-1)!.sequence
    wire.socket.write(
      requestBytes({
        method: 'PUT',
        path,
        headers: { 'Content-Length': '1000000' },
        body: 'x'.repeat(5000),
      }),
    )
    // The name is taken as soon as the head is there.
    await expect.poll(() => statusOf(hcp, { method: 'PUT', path, body: 'y' })).toBe(409)
    wire.socket[how]()
    await expect
      .poll(() => hcp.requests(before).some((record) => record.path === path && record.status === ended))
      .toBe(true)
    expect(await statusOf(hcp, { method: 'HEAD', path })).toBe(404)
    expect(await statusOf(hcp, { method: 'PUT', path, body: 'y' })).toBe(201)
  })

  test('while a name is written it is taken and yet not there', async () => {
    using wire = await Wire.to(hcp)
    const path = '/rest/slow'
    wire.socket.write(requestBytes({ method: 'PUT', path, headers: { 'Content-Length': '2' }, body: 'a' }))
    await expect.poll(() => statusOf(hcp, { method: 'PUT', path, body: 'y' })).toBe(409)
    expect(await statusOf(hcp, { path }, 2)).toBe(404)
    expect(await statusOf(hcp, { method: 'DELETE', path })).toBe(404)
    wire.socket.write('b')
    expect((await wire.answer()).status).toBe(201)
    expect((await ask(hcp, { path }, 2)).text).toBe('ab')
  })
})

describe('uploads that are refused', () => {
  const large = 'x'.repeat(1_000_000)

  test('the answer comes before the body, which is dropped, and the connection is closed', async () => {
    using wire = await Wire.to(hcp)
    wire.socket.write(
      requestBytes({ method: 'PUT', path: '/rest/docs/a.txt', headers: { 'Content-Length': '1000000' } }),
    )
    const answer = await wire.answer()
    expect(answer).toMatchObject({ status: 409, headers: { connection: 'close' } })
    await wire.rest()
    expect(wire.ended).toBe('end')
  })

  test('a client that sends all before it reads still gets the answer', async () => {
    using wire = await Wire.to(hcp)
    wire.socket.pause()
    const bytes = requestBytes({ method: 'PUT', path: '/rest/docs/a.txt', body: large })
    await new Promise((resolve) => wire.socket.write(bytes, resolve))
    wire.socket.resume()
    expect((await wire.answer()).status).toBe(409)
  })

  test('a small body is read, and the connection goes on', async () => {
    using wire = await Wire.to(hcp)
    const put = { method: 'PUT', path: '/rest/docs/a.txt', body: 'small' }
    expect((await wire.send(put).answer()).status).toBe(409)
    expect((await wire.send(put).answer()).status).toBe(409)
    expect((await wire.send({ path: '/rest/docs/a.txt' }).answer()).text).toBe('hello hcp\n')
  })

  test('a client that never stops sending is cut off', async () => {
    const wire = await Wire.to(hcp)
    wire.socket.write(
      requestBytes({ method: 'PUT', path: '/rest/docs/a.txt', headers: { 'Content-Length': '1000000000' } }),
    )
    expect((await wire.answer()).status).toBe(409)
    const piece = Buffer.alloc(65_536)
    let sent = 0
    while (!wire.socket.destroyed && sent < 500_000_000) {
      sent += piece.length
      if (!wire.socket.write(piece)) {
        await Promise.race([once(wire.socket, 'drain'), once(wire.socket, 'close')]).catch(() => {})
      }
    }
    expect(wire.socket.destroyed).toBe(true)
  })
})

describe('Expect: 100-continue', () => {
  const headers = { Expect: '100-continue', 'Content-Length': '5' }

  test('goes on when everything is well', async () => {
    using wire = await Wire.to(hcp)
    wire.socket.write(requestBytes({ method: 'PUT', path: '/rest/expected', headers }))
    expect((await wire.answer()).status).toBe(100)
    wire.socket.write('hello')
    expect((await wire.answer()).status).toBe(201)
    expect((await ask(hcp, { path: '/rest/expected' })).text).toBe('hello')
  })

  test.each([
    [403, { authorization: null }],
    [409, { path: '/rest/expected' }],
    [412, { headers: { ...headers, 'If-Match': '"x"' }, path: '/rest/other' }],
    [400, { path: '/rest/other?foo=1' }],
  ])('is answered with %i at once otherwise', async (status, request) => {
    using wire = await Wire.to(hcp)
    wire.socket.write(requestBytes({ method: 'PUT', headers, ...request }))
    expect((await wire.answer()).status).toBe(status)
    await wire.rest()
    expect(wire.ended).toBe('end')
  })
})

describe('connections', () => {
  test('persist without Connection and Keep-Alive headers', async () => {
    using wire = await Wire.to(hcp)
    for (let i = 0; i < 3; i++) {
      const answer = await wire.send({ path: '/rest/docs/a.txt' }).answer()
      expect(answer.status).toBe(200)
      expect(answer.headers).not.toHaveProperty('connection')
      expect(answer.headers).not.toHaveProperty('keep-alive')
    }
  })

  test('are closed when the client wants it', async () => {
    using wire = await Wire.to(hcp)
    const answer = await wire.send({ headers: { Connection: 'close' } }).answer()
    expect(answer.headers).toMatchObject({ connection: 'close' })
    await wire.rest()
    expect(wire.ended).toBe('end')
  })

  test('are closed when they have been idle', async () => {
    await using impatient = await startEmulator({ nodes: 1, idleTime: 50 })
    using wire = await Wire.to(impatient)
    await wire.send({}).answer()
    await wire.rest()
    expect(wire.ended).toBe('end')
  })

  test.each(['http', 'https'] as const)('are closed when no request comes over %s', async (door) => {
    await using impatient = await startEmulator({ nodes: 1, idleTime: 50 })
    using silent = door === 'http' ? await Wire.to(impatient) : await Wire.toTls(impatient)
    await silent.rest()
    expect(silent.ended).toBe('end')
    using slow = await Wire.to(impatient)
    slow.socket.write(requestBytes({}).subarray(0, 30))
    await slow.rest()
    expect(slow.ended).toBe('end')
  })

  test('are not closed while a first request is being served', async () => {
    await using impatient = await startEmulator({ nodes: 1, idleTime: 50 })
    impatient.addFault({ kind: 'delay', ms: 200, count: 1 })
    expect(await statusOf(impatient, {})).toBe(200)
  })

  test('a request is answered whose client has closed its side', async () => {
    using wire = await Wire.to(hcp)
    wire.socket.end(requestBytes({ method: 'PUT', path: '/rest/half', body: 'half' }))
    expect((await wire.answer()).status).toBe(201)
  })

  test('requests may come one after the other without waiting', async () => {
    using wire = await Wire.to(hcp)
    wire
      .send({ method: 'PUT', path: '/rest/pipe', body: 'x' })
      .send({ path: '/rest/pipe' })
      .send({ path: '/rest/none' })
    expect((await wire.answer()).status).toBe(201)
    expect((await wire.answer()).text).toBe('x')
    expect((await wire.answer()).status).toBe(404)
  })

  test('what is no HTTP is a 400', async () => {
    using wire = await Wire.to(hcp)
    wire.socket.write('EHLO example.com\r\n\r\n')
    expect((await wire.answer()).status).toBe(400)
  })

  test('of a node 254 are served at once; one more waits until one of them is closed', async () => {
    await using busy = await startEmulator({ nodes: 1 })
    const wires = await Promise.all(Array.from({ length: 254 }, () => Wire.to(busy)))
    const answers = await Promise.all(wires.map((wire) => wire.send({}).answer()))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    using late = await Wire.to(busy)
    late.send({})
    // Another round on the served ones: the late one would have been answered by then.
    await Promise.all(wires.map((wire) => wire.send({}).answer()))
    expect(late.socket.bytesRead).toBe(0)
    wires[7]!.socket.end()
    expect((await late.answer()).status).toBe(200)
    for (const wire of wires) wire.socket.destroy()
  })
})

describe('other doors', () => {
  test('TLS works with the name server name, and without one', async () => {
    using wire = await Wire.toTls(hcp)
    expect((await wire.send({ path: '/rest/docs/a.txt' }).answer()).text).toBe('hello hcp\n')
    const plain = connect({ port: hcp.ports.https, host: '127.0.0.1' })
    await once(plain, 'connect')
    plain.end('GET / HTTP/1.1\r\n\r\n')
    await once(plain.resume(), 'close')
  })

  test('the management port knows who asks', async () => {
    const admin = credentials('sysadmin', 's01')
    const managers: [string, string | null, number][] = [
      ['admin.hcp1.test', null, 403],
      ['m.hcp1.test', 'HCP eDp4:00', 403],
      ['m.hcp1.test', credentials('n', 'n01'), 403],
      ['nobody.hcp1.test', admin, 403],
      ['admin.hcp1.test', admin, 200],
    ]
    for (const [host, authorization, status] of managers) {
      using wire = await Wire.toTls(hcp, 1, hcp.ports.mapi)
      expect((await wire.send({ path: '/mapi/tenants', host, authorization }).answer()).status).toBe(status)
    }
  })

  test('curl stores and reads, compressed and over TLS, by the name', async () => {
    const url = `https://n1.m.hcp1.test:${hcp.ports.https}/rest/curl%20file.txt`
    const common = [
      '-sS',
      '--fail',
      '--cacert',
      hcp.caFile,
      '--resolve',
      `n1.m.hcp1.test:${hcp.ports.https}:127.0.0.2`,
    ]
    const user = ['-H', `Authorization: ${credentials('n', 'n01')}`]
    const run = promisify(execFile)
    const text = await readFile(new URL(import.meta.url), 'utf8')
    await run('curl', [...common, ...user, '-T', new URL(import.meta.url).pathname, url])
    const { stdout } = await run('curl', [...common, ...user, '--compressed', url])
    expect(stdout).toBe(text)
    expect(gzipSync(text).length).toBeLessThan(text.length)
  })
})
