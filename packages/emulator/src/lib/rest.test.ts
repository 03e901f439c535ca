import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { WireRequest } from './wire.testing.ts'
import { ask, credentials, requestBytes, statusOf, Wire } from './wire.testing.ts'

const n2 = 'n2.m.hcp1.test'
/** A condition that nothing meets. */
const none = { 'If-Match': '"none"' }
const day = 86_400

let hcp: Emulator
let clock = Date.UTC(2026, 0, 1)
beforeAll(async () => {
  hcp = await startEmulator({
    nodes: 1,
    now: () => clock,
    config: {
      tenants: [
        {
          name: 'm',
          namespaces: [
            { name: 'n1' },
            { name: 'n2', versioning: true },
            { name: 'xml', checkXml: true },
            { name: 'small', quotaBytes: 1000 },
            { name: 'quota', quotaBytes: 1000 },
            { name: 'notes', quotaBytes: 1000 },
            { name: 'strict', retentionMode: 'compliance', annotationsUnderRetention: 'NONE' },
            {
              name: 'classes',
              defaultRetention: 'A+1d',
              retentionClasses: [{ name: 'TAX', value: 'A+10y' }],
              annotationsUnderRetention: 'ALL',
            },
          ],
          users: [
            { user: 'n', password: 'n01' },
            { user: 'reader', password: 'r01', permissions: ['read'] },
            { user: 'writer', password: 'w01', permissions: ['write'] },
          ],
        },
      ],
    },
  })
})
afterAll(() => hcp.close())

let counter = 0
/** A path that nobody has used, stored with this content where one is given. */
async function fresh(content?: string | Buffer, query = '', host?: string): Promise<string> {
  const path = `/rest/fresh/${++counter}`
  if (content !== undefined) {
    const put = { method: 'PUT', path: path + query, body: content, ...(host === undefined ? {} : { host }) }
    expect(await statusOf(hcp, put)).toBe(201)
  }
  return path
}

describe('PUT', () => {
  test('an object is stored once where there is no versioning', async () => {
    const path = await fresh('one')
    expect(await statusOf(hcp, { method: 'PUT', path, body: 'two' })).toBe(409)
    expect((await ask(hcp, { path })).text).toBe('one')
  })

  test('makes the directories on the way, and refuses what they forbid', async () => {
    const path = await fresh('x')
    expect(await statusOf(hcp, { method: 'PUT', path: '/rest/fresh', body: 'x' })).toBe(409)
    expect(await statusOf(hcp, { method: 'PUT', path: `${path}/below`, body: 'x' })).toBe(409)
    expect(await statusOf(hcp, { method: 'PUT', path: '/rest/', body: 'x' })).toBe(409)
  })

  test('names are bytes', async () => {
    await ask(hcp, { method: 'PUT', path: '/rest/%FF', body: 'ff' })
    await ask(hcp, { method: 'PUT', path: '/rest/%FE', body: 'fe' })
    expect((await ask(hcp, { path: '/rest/%ff' })).text).toBe('ff')
    expect((await ask(hcp, { path: '/rest/%FE' })).text).toBe('fe')
    // The same name, encoded in different ways.
    await ask(hcp, { method: 'PUT', path: '/rest/stra%C3%9Fe+%20x', body: 'street' })
    expect((await ask(hcp, { path: '/rest/%73tra%c3%9fe%2B%20x' })).text).toBe('street')
    expect(await statusOf(hcp, { path: '/rest/stra%C3%9Fe%20%20x' })).toBe(404)
  })

  test.each<[string, WireRequest, number]>([
    ['a path of 4,095 bytes', { path: `/rest/${'x'.repeat(4094)}` }, 201],
    ['a path of 4,096 bytes', { path: `/rest/${'x'.repeat(4095)}` }, 414],
    ['4,095 bytes that are encoded', { path: `/rest/${'%C3%A4'.repeat(2047)}` }, 201],
    ['4,097 bytes that are encoded', { path: `/rest/${'%C3%A4'.repeat(2048)}` }, 414],
    ['a head that is too large', { path: `/rest/${'x'.repeat(70_000)}` }, 414],
    ['a bad percent-encoding', { path: '/rest/a%zz' }, 400],
    ['a percent sign at the end', { path: '/rest/a%4' }, 400],
    ['a NUL byte', { path: '/rest/a%00b' }, 400],
    ['a dot', { path: '/rest/a/./b' }, 400],
    ['two dots', { path: '/rest/a/%2e%2E/b' }, 400],
    ['a reserved name', { path: '/rest/a/.directory-metadata' }, 400],
    ['an unknown parameter', { path: '/rest/p?foo=1' }, 400],
    ['a parameter of another method', { path: '/rest/p?purge=true' }, 400],
    ['a parameter twice', { path: '/rest/p?index=true&index=false' }, 400],
    ['a boolean that is none', { path: '/rest/p?index=True' }, 400],
    ['a type that is none', { path: '/rest/p?type=file' }, 400],
    ['a retention that is none', { path: '/rest/p?retention=tomorrow' }, 400],
    ['an unknown class', { path: '/rest/p?retention=C%2BNONE' }, 400],
    ['an ACL where there are none', { path: '/rest/p?acl=all_read' }, 400],
    ['brotli', { path: '/rest/p', headers: { 'Content-Encoding': 'br' } }, 415],
    ['something else as gzip', { path: '/rest/p', headers: { 'Content-Encoding': 'gzip' } }, 400],
    ['another root', { path: '/other/p' }, 404],
    ['REST in capitals', { path: '/REST/p' }, 404],
    ['If-Match on nothing', { path: '/rest/p', headers: { 'If-Match': '*' } }, 412],
    ['more than the quota', { host: 'small.m.hcp1.test', path: '/rest/p', body: 'x'.repeat(1001) }, 413],
    [
      'more than the quota, chunked',
      {
        host: 'small.m.hcp1.test',
        path: '/rest/p',
        headers: { 'Transfer-Encoding': 'chunked' },
        body: `3e9\r\n${'x'.repeat(1001)}\r\n0\r\n\r\n`,
      },
      413,
    ],
    ['exactly the quota', { host: 'small.m.hcp1.test', path: '/rest/p', body: 'x'.repeat(1000) }, 201],
    ['a user who only reads', { path: '/rest/p', authorization: credentials('reader', 'r01') }, 403],
    ['a user who only writes', { path: '/rest/w', authorization: credentials('writer', 'w01') }, 201],
    [
      'a hold without the right',
      { path: '/rest/w2?hold=true', authorization: credentials('writer', 'w01') },
      403,
    ],
  ])('%s', async (_, request, status) => {
    const answer = await ask(hcp, { method: 'PUT', body: 'data', ...request })
    expect(answer.status).toBe(status)
    if (status >= 400) expect(await statusOf(hcp, { method: 'HEAD', path: '/rest/p' })).toBe(404)
    if (status === 400 || status === 403)
      expect(answer.headers['x-hcp-errormessage']).toMatch(/^[\x20-\x7e]+$/)
  })

  test('an unknown parameter is named', async () => {
    const answer = await ask(hcp, { method: 'PUT', path: '/rest/p?tracing=1', body: '' })
    expect(answer.headers['x-hcp-errormessage']).toContain('tracing')
  })

  test.each([
    ['sized', {}, gzipSync('hello hcp\n')],
    [
      'chunked',
      { 'Transfer-Encoding': 'chunked' },
      Buffer.concat([
        Buffer.from(`${gzipSync('hello hcp\n').length.toString(16)}\r\n`),
        gzipSync('hello hcp\n'),
        Buffer.from('\r\n0\r\n\r\n'),
      ]),
    ],
  ])('a gzip body (%s) is stored decompressed', async (_, headers, body) => {
    const path = await fresh()
    const put = await ask(hcp, {
      method: 'PUT',
      path,
      headers: { ...headers, 'Content-Encoding': 'gzip' },
      body,
    })
    expect(put.headers['etag']).toBe('"1deda6a3fe1cdde8832d2b6c8f71e3ef"')
    const got = await ask(hcp, { path })
    expect(got.headers['content-length']).toBe('10')
    expect(got.text).toBe('hello hcp\n')
  })

  test('a chunked body is stored as one', async () => {
    const path = await fresh()
    const body = '5\r\nhello\r\n1\r\n \r\n3\r\nhcp\r\n0\r\n\r\n'
    await ask(hcp, { method: 'PUT', path, headers: { 'Transfer-Encoding': 'chunked' }, body })
    expect((await ask(hcp, { path })).text).toBe('hello hcp')
  })

  test('an object may be empty', async () => {
    const path = await fresh('')
    const got = await ask(hcp, { path })
    expect(got).toMatchObject({
      status: 200,
      text: '',
      headers: { 'content-length': '0', 'x-hcp-size': '0' },
    })
  })
})

describe('GET', () => {
  test.each<[string, number, string, string | undefined]>([
    ['bytes=0-4', 206, '01234', 'bytes 0-4/10'],
    ['bytes=3-3', 206, '3', 'bytes 3-3/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=-100', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=5-100', 206, '56789', 'bytes 5-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=10-12', 416, '', 'bytes */10'],
    ['bytes=5-3', 416, '', 'bytes */10'],
    ['bytes=-0', 416, '', 'bytes */10'],
    ['bytes=0-1,3-4', 200, '0123456789', undefined],
    ['items=0-4', 200, '0123456789', undefined],
    ['bytes=-', 200, '0123456789', undefined],
  ])('Range: %s', async (range, status, text, contentRange) => {
    const path = await fresh('0123456789')
    const got = await ask(hcp, { path, headers: { Range: range } })
    expect(got).toMatchObject({ status, text })
    expect(got.headers['content-range']).toBe(contentRange)
    if (status === 206) expect(got.headers['x-hcp-size']).toBe('10')
  })

  test('a range of an empty object cannot be satisfied', async () => {
    expect(await statusOf(hcp, { path: await fresh(''), headers: { Range: 'bytes=0-' } })).toBe(416)
  })

  test.each<[string | undefined, number, boolean]>([
    [undefined, 200, false],
    ['', 200, false],
    ['identity', 200, false],
    ['gzip', 200, true],
    ['gzip, deflate, br', 200, true],
    ['*', 200, true],
    ['GZip;q=0.5', 200, true],
    ['deflate', 406, false],
    ['gzip;q=0', 406, false],
    ['identity, gzip;q=0', 200, false],
  ])('Accept-Encoding: %s', async (accepted, status, compressed) => {
    const path = await fresh('hello hcp\n')
    const got = await ask(hcp, {
      path,
      headers: accepted === undefined ? {} : { 'Accept-Encoding': accepted },
    })
    expect(got.status).toBe(status)
    expect(got.headers['content-encoding']).toBe(compressed ? 'gzip' : undefined)
    if (!compressed) return
    expect(got.headers).toMatchObject({ 'transfer-encoding': 'chunked', 'x-hcp-contentlength': '10' })
    expect(got.headers).not.toHaveProperty('content-length')
    expect(gunzipSync(got.body).toString()).toBe('hello hcp\n')
  })

  test.each([
    ['a.txt', 'text/plain'],
    ['a.XML', 'text/xml'],
    ['a.jpg', 'image/jpeg'],
    ['a', 'application/octet-stream'],
    ['a.b/c', 'application/octet-stream'],
    ['a.constructor', 'application/octet-stream'],
  ])('the name %s means %s', async (name, type) => {
    const path = `/rest/types/${name}`
    await ask(hcp, { method: 'PUT', path, body: 'x', headers: { 'Content-Type': 'image/png' } })
    expect((await ask(hcp, { path })).headers['content-type']).toBe(type)
  })

  test.each(['/rest/nothing', '/rest/nothing/below', '/rest/fresh/1/below', '/rest/%FD'])(
    '%s is not there',
    async (path) => {
      for (const method of ['GET', 'HEAD', 'DELETE']) expect(await statusOf(hcp, { method, path })).toBe(404)
      expect(await statusOf(hcp, { method: 'POST', path, body: 'index=true' })).toBe(404)
    },
  )

  test('a method that is none is a 405', async () => {
    expect(await statusOf(hcp, { method: 'PATCH', path: '/rest/a' })).toBe(405)
  })
})

test('of two uploads that each fit the quota, only one is stored if both do not', async () => {
  const host = 'quota.m.hcp1.test'
  using one = await Wire.to(hcp)
  using other = await Wire.to(hcp)
  const body = 'x'.repeat(600)
  const halves = [one, other].map((wire, index) => {
    const bytes = requestBytes({ method: 'PUT', path: `/rest/${index}`, host, body })
    wire.socket.write(bytes.subarray(0, -1))
    return bytes.subarray(-1)
  })
  // Each has been let in when a third finds its name taken.
  for (const index of [0, 1]) {
    while ((await statusOf(hcp, { method: 'PUT', path: `/rest/${index}`, host, headers: none })) !== 409);
  }
  one.socket.write(halves[0]!)
  expect((await one.answer()).status).toBe(201)
  other.socket.write(halves[1]!)
  expect((await other.answer()).status).toBe(413)
})

describe('conditions', () => {
  const tag = '"1deda6a3fe1cdde8832d2b6c8f71e3ef"'
  const before = new Date(Date.UTC(2025, 0, 1)).toUTCString()
  const after = new Date(Date.UTC(2027, 0, 1)).toUTCString()

  test.each<[string, string, { GET: number; HEAD: number; PUT: number; missing: number }]>([
    ['If-Match', tag, { GET: 200, HEAD: 200, PUT: 201, missing: 412 }],
    ['If-Match', '1deda6a3fe1cdde8832d2b6c8f71e3ef', { GET: 200, HEAD: 200, PUT: 201, missing: 412 }],
    ['If-Match', `"x", ${tag}`, { GET: 200, HEAD: 200, PUT: 201, missing: 412 }],
    ['If-Match', '"x"', { GET: 412, HEAD: 412, PUT: 412, missing: 412 }],
    ['If-Match', '*', { GET: 200, HEAD: 200, PUT: 201, missing: 412 }],
    ['If-None-Match', tag, { GET: 304, HEAD: 304, PUT: 412, missing: 201 }],
    ['If-None-Match', '"x"', { GET: 200, HEAD: 200, PUT: 201, missing: 201 }],
    ['If-None-Match', '*', { GET: 304, HEAD: 304, PUT: 412, missing: 201 }],
    ['If-Modified-Since', before, { GET: 200, HEAD: 200, PUT: 201, missing: 201 }],
    ['If-Modified-Since', after, { GET: 304, HEAD: 304, PUT: 304, missing: 201 }],
    ['If-None-Match', `W/${tag}`, { GET: 304, HEAD: 304, PUT: 412, missing: 201 }],
    ['If-Modified-Since', 'Friday, 01-Jan-27 00:00:00 GMT', { GET: 304, HEAD: 304, PUT: 304, missing: 201 }],
    ['If-Modified-Since', 'Fri Jan  1 00:00:00 2027', { GET: 304, HEAD: 304, PUT: 304, missing: 201 }],
    ['If-Modified-Since', 'or 2030', { GET: 200, HEAD: 200, PUT: 201, missing: 201 }],
    ['If-Modified-Since', 'Fri, 99 Jan 2027 00:00:00 GMT', { GET: 200, HEAD: 200, PUT: 201, missing: 201 }],
    ['If-Unmodified-Since', '2001-01-01', { GET: 200, HEAD: 200, PUT: 201, missing: 201 }],
    ['If-Modified-Since', 'yesterday', { GET: 200, HEAD: 200, PUT: 201, missing: 201 }],
    ['If-Unmodified-Since', before, { GET: 412, HEAD: 412, PUT: 412, missing: 201 }],
    ['If-Unmodified-Since', after, { GET: 200, HEAD: 200, PUT: 201, missing: 201 }],
  ])('%s: %s', async (name, value, expected) => {
    const path = await fresh('hello hcp\n', '', n2)
    const headers = { [name]: value }
    for (const method of ['GET', 'HEAD', 'PUT'] as const) {
      const body = method === 'PUT' ? 'other' : undefined
      expect([method, await statusOf(hcp, { method, path, host: n2, headers, body })]).toEqual([
        method,
        expected[method],
      ])
    }
    const missing = { method: 'PUT', path: `${path}-missing`, host: n2, headers, body: 'x' }
    expect(await statusOf(hcp, missing)).toBe(expected.missing)
    expect(await statusOf(hcp, { method: 'DELETE', path, host: n2, headers })).toBe(400)
  })
})

describe('DELETE', () => {
  test('removes an object; the directory stays until it is removed itself', async () => {
    const request = { path: '/rest/dir/sub/a' }
    await ask(hcp, { ...request, method: 'PUT', body: 'x' })
    expect(await statusOf(hcp, { method: 'DELETE', path: '/rest/dir/sub' })).toBe(403)
    expect(await ask(hcp, { ...request, method: 'DELETE' })).toMatchObject({ status: 200, reason: 'OK' })
    expect(await statusOf(hcp, { ...request, method: 'DELETE' })).toBe(404)
    expect(await statusOf(hcp, { method: 'HEAD', path: '/rest/dir/sub' })).toBe(200)
    expect(await statusOf(hcp, { method: 'DELETE', path: '/rest/dir/sub/' })).toBe(200)
    expect(await statusOf(hcp, { method: 'HEAD', path: '/rest/dir/sub' })).toBe(404)
    expect(await statusOf(hcp, { method: 'PUT', path: '/rest/dir/sub', body: 'x' })).toBe(201)
  })

  test('the root cannot be removed', async () => {
    expect(await statusOf(hcp, { method: 'DELETE', path: '/rest/' })).toBe(403)
  })

  test.each<[string, WireRequest, number]>([
    ['privileged without a reason', { path: '?privileged=true' }, 400],
    ['privileged with a reason', { path: '?privileged=true&reason=court%20order%2012' }, 200],
    ['privileged with a reason in the body', { body: 'privileged=true&reason=court order' }, 200],
    ['parameters in both places', { path: '?privileged=true', body: 'reason=court order' }, 400],
    ['an unknown parameter', { path: '?force=true' }, 400],
    ['purge', { path: '?purge=true' }, 200],
    ['a user who only reads', { authorization: credentials('reader', 'r01') }, 403],
  ])('%s', async (_, request, status) => {
    const path = await fresh('x')
    const given = { ...request, method: 'DELETE', path: path + (request.path ?? '') }
    expect(await statusOf(hcp, given)).toBe(status)
    expect(await statusOf(hcp, { method: 'HEAD', path })).toBe(status === 200 ? 404 : 200)
  })
})

describe('directories', () => {
  test('are listed compressed where the client likes that', async () => {
    const path = await fresh('data')
    const answer = await ask(hcp, { path: '/rest/fresh', headers: { 'Accept-Encoding': 'gzip' } })
    expect(answer.headers).toMatchObject({ 'content-encoding': 'gzip', 'transfer-encoding': 'chunked' })
    expect(gunzipSync(answer.body).toString()).toContain(`urlName="${path.slice('/rest/fresh/'.length)}"`)
  })

  test.each(['deleted=x', 'mostRecentDirTimes=', 'forceEtag=1'])(
    '%s is no value, of an object either',
    async (query) => {
      expect(await statusOf(hcp, { path: `${await fresh('data')}?${query}` })).toBe(400)
    },
  )

  test('are made, found and listed', async () => {
    const path = '/rest/made/a%20%26%20b'
    const made = await ask(hcp, { method: 'PUT', path: `${path}?type=directory` })
    expect(made).toMatchObject({ status: 201, headers: { location: path } })
    expect(await statusOf(hcp, { method: 'PUT', path: `${path}?type=directory` })).toBe(409)
    await ask(hcp, { method: 'PUT', path: `${path}/%C3%A4.txt`, body: 'hello hcp\n' })
    const head = await ask(hcp, { method: 'HEAD', path })
    expect(head).toMatchObject({ status: 200, headers: { 'x-hcp-type': 'directory' } })
    const list = await ask(hcp, { path })
    expect(list.headers).toMatchObject({ 'content-type': 'text/xml', 'transfer-encoding': 'chunked' })
    expect(list.text).toContain('utf8Path="/rest/made/a &amp; b"')
    expect(list.text).toMatch(
      /<entry urlName="%C3%A4.txt" utf8Name="ä.txt" type="object" size="10" hashScheme="SHA-256"/,
    )
    expect((await ask(hcp, { path: '/rest/made' })).text).toContain('utf8Name="a &amp; b" type="directory"')
  })

  test('a name with a slash at its end is a directory', async () => {
    expect(await statusOf(hcp, { method: 'PUT', path: '/rest/slash/' })).toBe(201)
    expect((await ask(hcp, { path: '/rest/slash' })).headers['x-hcp-type']).toBe('directory')
  })
})

describe('versions', () => {
  test('a name is of an object or of a directory, and may become the other once it is deleted', async () => {
    const path = await fresh('old', '', n2)
    const send = (method: string, at: string, body?: string): Promise<number> =>
      statusOf(hcp, { method, path: at, host: n2, body })
    const count = async (): Promise<string | undefined> =>
      /objectCount="(\d+)"/.exec((await ask(hcp, { path: '/proc/statistics', host: n2 })).text)?.[1]
    const before = Number(await count())
    expect(await send('PUT', `${path}/below`, 'x')).toBe(409)
    expect(await send('PUT', `${path}?type=directory`)).toBe(409)
    expect(await send('DELETE', path)).toBe(200)
    expect(await send('PUT', `${path}/below`, 'x')).toBe(201)
    // The object's old version is gone, the one below has come.
    expect(Number(await count())).toBe(before)
    expect(await send('PUT', path, 'x')).toBe(409)
    expect(await send('DELETE', `${path}/below`)).toBe(200)
    expect(await send('DELETE', path)).toBe(200)
    expect(await send('PUT', path, 'again')).toBe(201)
    expect(Number(await count())).toBe(before)
    expect(await send('DELETE', path)).toBe(200)
    expect(await send('PUT', `${path}?type=directory`)).toBe(201)
    expect(Number(await count())).toBe(before - 1)
  })

  test('a PUT adds one, a DELETE marks, and each is still to be had by its id', async () => {
    const path = await fresh(undefined)
    const put = async (body: string): Promise<string> =>
      (await ask(hcp, { method: 'PUT', path, host: n2, body })).headers['x-hcp-versionid']!
    const [one, two] = [await put('one'), await put('two')]
    expect(Number(two)).toBeGreaterThan(Number(one))
    expect((await ask(hcp, { path, host: n2 })).text).toBe('two')
    expect(await statusOf(hcp, { method: 'DELETE', path, host: n2 })).toBe(200)
    expect(await statusOf(hcp, { path, host: n2 })).toBe(404)
    expect(await statusOf(hcp, { method: 'DELETE', path, host: n2 })).toBe(404)
    for (const [id, text] of [
      [one, 'one'],
      [two, 'two'],
    ]) {
      expect((await ask(hcp, { path: `${path}?version=${id}`, host: n2 })).text).toBe(text)
    }
    const marker = String(Number(two) + 1)
    expect(await statusOf(hcp, { path: `${path}?version=${marker}`, host: n2 })).toBe(204)
    expect(await statusOf(hcp, { path: `${path}?version=77`, host: n2 })).toBe(404)
    expect(await statusOf(hcp, { path: `${path}?version=abc`, host: n2 })).toBe(400)
    expect((await ask(hcp, { path: '/rest/fresh?deleted=true', host: n2 })).text).toContain('state="deleted"')
    await put('three')
    expect((await ask(hcp, { path, host: n2 })).text).toBe('three')
    expect(await statusOf(hcp, { method: 'DELETE', path: `${path}?version=${one}`, host: n2 })).toBe(200)
    expect(await statusOf(hcp, { path: `${path}?version=${one}`, host: n2 })).toBe(404)
    expect(await statusOf(hcp, { method: 'DELETE', path: `${path}?purge=true`, host: n2 })).toBe(200)
    expect(await statusOf(hcp, { path: `${path}?version=${two}`, host: n2 })).toBe(404)
  })

  test('are numbered as they arrive, whichever is complete first, and no DELETE comes between', async () => {
    const path = await fresh('zero', '', n2)
    const head = { method: 'PUT', path, host: n2, headers: { 'Content-Length': '3' } }
    using first = await Wire.to(hcp)
    first.socket.write(requestBytes({ ...head, body: 'on' }))
    // Another request is answered: the first has been read by then.
    await expect.poll(() => statusOf(hcp, { method: 'DELETE', path, host: n2 })).toBe(409)
    const second = await ask(hcp, { method: 'PUT', path, host: n2, body: 'two' })
    expect((await ask(hcp, { path, host: n2 })).text).toBe('two')
    first.socket.write('e')
    const answer = await first.answer()
    expect(Number(answer.headers['x-hcp-versionid'])).toBeLessThan(Number(second.headers['x-hcp-versionid']))
    expect((await ask(hcp, { path, host: n2 })).text).toBe('two')
    expect(
      (await ask(hcp, { path: `${path}?version=${answer.headers['x-hcp-versionid']}`, host: n2 })).text,
    ).toBe('one')
  })

  test('a new version has the settings and annotations of the one before', async () => {
    const path = await fresh('one', '?index=false&shred=true', n2)
    await ask(hcp, {
      method: 'PUT',
      path: `${path}?type=custom-metadata&annotation=a`,
      host: n2,
      body: '<a/>',
    })
    await ask(hcp, { method: 'PUT', path, host: n2, body: 'two' })
    expect((await ask(hcp, { path, host: n2 })).headers).toMatchObject({
      'x-hcp-index': 'false',
      'x-hcp-shred': 'true',
      'x-hcp-custommetadataannotations': 'a;4',
    })
    await ask(hcp, { method: 'DELETE', path: `${path}?type=custom-metadata&annotation=a`, host: n2 })
    expect((await ask(hcp, { path, host: n2 })).headers['x-hcp-custommetadataannotations']).toBe('')
  })
})

describe('annotations', () => {
  test('come in and go out compressed where that is said', async () => {
    const path = `${await fresh('data')}?type=custom-metadata`
    const gzip = { 'Content-Encoding': 'gzip' }
    const body = gzipSync('<a/>')
    expect(await statusOf(hcp, { method: 'PUT', path, headers: gzip, body })).toBe(201)
    expect((await ask(hcp, { path })).text).toBe('<a/>')
    for (const type of ['custom-metadata', 'custom-metadata-info']) {
      const at = path.replace('custom-metadata', type)
      const answer = await ask(hcp, { path: at, headers: { 'Accept-Encoding': 'gzip' } })
      const plain = gunzipSync(answer.body)
      expect(plain.toString()).toContain(type === 'custom-metadata' ? '<a/>' : '<size>4</size>')
      expect(answer.headers).toMatchObject({
        'content-encoding': 'gzip',
        'transfer-encoding': 'chunked',
        'x-hcp-contentlength': String(plain.length),
      })
      expect(await statusOf(hcp, { path: at, headers: { 'Accept-Encoding': 'br' } })).toBe(406)
    }
    expect(await statusOf(hcp, { method: 'PUT', path, headers: gzip, body: '<a/>' })).toBe(400)
    expect(await statusOf(hcp, { method: 'PUT', path, headers: { 'Content-Encoding': 'br' }, body })).toBe(
      415,
    )
    expect((await ask(hcp, { path })).text).toBe('<a/>')
  })

  test('that do not fit the quota are refused, whether their length is announced or not', async () => {
    const path = `${await fresh('data', '', 'notes.m.hcp1.test')}?type=custom-metadata`
    const put = { method: 'PUT', path, host: 'notes.m.hcp1.test' }
    const body = 'x'.repeat(2_000)
    expect(await statusOf(hcp, { ...put, body })).toBe(413)
    const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    expect(await statusOf(hcp, { ...put, headers: { 'Transfer-Encoding': 'chunked' }, body: chunks })).toBe(
      413,
    )
    const headers = { 'Content-Encoding': 'gzip' }
    expect(await statusOf(hcp, { ...put, headers, body: gzipSync(body) })).toBe(413)
    expect(await statusOf(hcp, { path, host: 'notes.m.hcp1.test' })).toBe(204)
  })

  const type = '?type=custom-metadata&annotation='

  test('are stored, read, replaced, listed and removed', async () => {
    const path = await fresh('data')
    expect((await ask(hcp, { path: `${path}${type}ticket` })).headers['x-hcp-errormessage']).toBe(
      'No annotation exists with name ticket.',
    )
    expect(await statusOf(hcp, { path: `${path}?type=custom-metadata-info` })).toBe(204)
    expect(await statusOf(hcp, { method: 'PUT', path: `${path}${type}ticket`, body: '<a/>' })).toBe(201)
    expect(await statusOf(hcp, { method: 'PUT', path: `${path}${type}ticket`, body: '<ab/>' })).toBe(201)
    expect(await statusOf(hcp, { method: 'PUT', path: `${path}?type=custom-metadata`, body: '' })).toBe(201)
    for (const method of ['GET', 'HEAD']) {
      const got = await ask(hcp, { method, path: `${path}${type}ticket` })
      expect(got.text).toBe(method === 'GET' ? '<ab/>' : '')
      expect(got.headers).toMatchObject({
        'content-type': 'text/xml',
        'content-length': '5',
        'x-hcp-type': 'annotation',
        'x-hcp-size': '5',
        etag: '"8d777f385d3dfec8815d20f7496026dc"',
      })
    }
    const object = await ask(hcp, { method: 'HEAD', path })
    expect(object.headers).toMatchObject({
      'x-hcp-custom-metadata': 'true',
      'x-hcp-custommetadataannotations': 'ticket;5, default;0',
    })
    const info = (await ask(hcp, { path: `${path}?type=custom-metadata-info` })).text
    expect(info).toMatch(/<name>ticket<\/name>\s*<hash>SHA-256 [0-9A-F]{64}<\/hash>/)
    expect(info).toContain('<contentType>unknown</contentType>')
    expect(await statusOf(hcp, { method: 'DELETE', path: `${path}${type}ticket` })).toBe(200)
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      expect(await statusOf(hcp, { method, path: `${path}${type}ticket` })).toBe(204)
    }
    expect((await ask(hcp, { path })).text).toBe('data')
  })

  test.each(['', 'a b', '-_.', 'x'.repeat(33), 'a/b', '\u00c3\u00a4'])('%j is no name', async (name) => {
    const path = await fresh('data')
    expect(
      await statusOf(hcp, { method: 'PUT', path: path + type + encodeURIComponent(name), body: '<a/>' }),
    ).toBe(400)
  })

  test('there are ten of an object and no more', async () => {
    const path = await fresh('data')
    for (let i = 0; i < 10; i++)
      expect(await statusOf(hcp, { method: 'PUT', path: `${path}${type}a${i}`, body: '<a/>' })).toBe(201)
    expect(await statusOf(hcp, { method: 'PUT', path: `${path}${type}a10`, body: '<a/>' })).toBe(400)
    expect(await statusOf(hcp, { method: 'PUT', path: `${path}${type}a9`, body: '<b/>' })).toBe(201)
  })

  test('belong to objects', async () => {
    expect(await statusOf(hcp, { method: 'PUT', path: `/rest/none${type}a`, body: '<a/>' })).toBe(404)
    const directory = await ask(hcp, { method: 'PUT', path: `/rest/fresh${type}a`, body: '<a/>' })
    expect(directory.status).toBe(400)
    expect(directory.headers['x-hcp-errormessage']).toContain(
      'Custom Metadatasetting is not allowed on a directory',
    )
  })

  test('are XML where the namespace wants that', async () => {
    const host = 'xml.m.hcp1.test'
    const path = await fresh('data', '', host)
    expect(await statusOf(hcp, { method: 'PUT', host, path: `${path}${type}a`, body: '<a><b></a>' })).toBe(
      400,
    )
    expect(await statusOf(hcp, { path: `${path}${type}a`, host })).toBe(204)
    expect(await statusOf(hcp, { method: 'PUT', host, path: `${path}${type}a`, body: '<a><b/></a>' })).toBe(
      201,
    )
    expect(
      await statusOf(hcp, {
        method: 'PUT',
        host,
        path: `${path}${type}a`,
        body: `<a>${'x'.repeat(1 << 20)}</a>`,
      }),
    ).toBe(413)
  })
})

describe('whole-object requests', () => {
  const body = 'hello hcp\n<ticket id="7"/>'
  const whole = '?type=whole-object&annotation=ticket'

  test('data and annotation come in together and go out together', async () => {
    const path = await fresh()
    const put = await ask(hcp, { method: 'PUT', path: path + whole, headers: { 'X-HCP-Size': '10' }, body })
    expect(put.status).toBe(201)
    expect(put.headers['x-hcp-hash']).toContain('7C73A30C03A912')
    expect(put.headers['x-hcp-custommetadatahash']).toMatch(/^SHA-256 [0-9A-F]{64}$/)
    expect((await ask(hcp, { path })).text).toBe('hello hcp\n')
    expect((await ask(hcp, { path: `${path}?type=custom-metadata&annotation=ticket` })).text).toBe(
      '<ticket id="7"/>',
    )
    const got = await ask(hcp, { path: path + whole })
    expect(got.text).toBe(body)
    expect(got.headers).toMatchObject({
      'content-length': '26',
      'x-hcp-size': '10',
      'x-hcp-custommetadatafirst': 'false',
    })
    const turned = await ask(hcp, { path: path + whole, headers: { 'X-HCP-CustomMetadataFirst': 'true' } })
    expect(turned.text).toBe('<ticket id="7"/>hello hcp\n')
    const compressed = await ask(hcp, { path: path + whole, headers: { 'Accept-Encoding': 'gzip' } })
    expect(gunzipSync(compressed.body).toString()).toBe(body)
    expect(await statusOf(hcp, { path: path + whole, headers: { Range: 'bytes=0-1' } })).toBe(400)
    expect(await statusOf(hcp, { path: `${path}?type=whole-object` })).toBe(404)
  })

  test.each([
    ['no size', {}],
    ['a size that is none', { 'X-HCP-Size': 'ten' }],
    ['a size above the content', { 'X-HCP-Size': '27' }],
  ])('%s is a 400', async (_, headers) => {
    const path = await fresh()
    expect(await statusOf(hcp, { method: 'PUT', path: path + whole, headers, body })).toBe(400)
    expect(await statusOf(hcp, { path })).toBe(404)
  })

  test('an annotation that is refused leaves an empty object behind, which may be replaced', async () => {
    const host = 'xml.m.hcp1.test'
    const path = await fresh()
    const put = {
      method: 'PUT',
      host,
      path: path + whole,
      headers: { 'X-HCP-Size': '10' },
      body: 'hello hcp\n<a><b></a>',
    }
    expect(await statusOf(hcp, put)).toBe(400)
    expect((await ask(hcp, { path, host })).headers).toMatchObject({ 'x-hcp-size': '0' })
    expect(await statusOf(hcp, { method: 'PUT', host, path, body: 'again' })).toBe(201)
    expect((await ask(hcp, { path, host })).text).toBe('again')
    expect(await statusOf(hcp, { method: 'PUT', host, path, body: 'and again' })).toBe(409)
  })
})

describe('POST', () => {
  test.each([
    [
      'as form body',
      { body: 'index=false&shred=true', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } },
      '',
    ],
    ['as query', {}, '?index=false&shred=true'],
  ])('changes settings %s, and makes no version', async (_, request, query) => {
    const path = await fresh('x', '', n2)
    const before = await ask(hcp, { path, host: n2 })
    clock += 1000
    expect(await ask(hcp, { method: 'POST', host: n2, path: path + query, ...request })).toMatchObject({
      status: 200,
      text: '',
    })
    const { headers } = await ask(hcp, { path, host: n2 })
    expect(headers).toMatchObject({ 'x-hcp-index': 'false', 'x-hcp-shred': 'true' })
    expect(headers['x-hcp-versionid']).toBe(before.headers['x-hcp-versionid'])
    expect(headers['last-modified']).not.toBe(before.headers['last-modified'])
  })

  test.each<[string, string, string, number]>([
    ['hold and retention together', '', 'hold=true&retention=0', 400],
    ['retention of an object on hold', '?hold=true', 'retention=-1', 400],
    ['shred back to false', '?shred=true', 'shred=false', 400],
    ['an unknown parameter', '', 'color=red', 400],
    ['a later date', '?retention=2000000000', 'retention=2000000001', 200],
    ['an earlier date', '?retention=2000000000', 'retention=1999999999', 400],
    ['for ever', '?retention=2000000000', 'retention=-1', 200],
    ['from for ever', '?retention=-1', 'retention=-2', 400],
    ['from initial unspecified', '?retention=-2', 'retention=0', 200],
    ['an offset', '?retention=A%2B1y', 'retention=R+1d', 200],
    ['an offset back', '?retention=A+1y', 'retention=R-1d', 400],
    ['the owner', '', 'owner=reader', 200],
    ['no owner', '', 'owner=', 200],
    ['an owner whom nobody knows', '', 'owner=somebody', 400],
    ['a domain without an owner', '', 'domain=', 400],
    ['the owner under retention', '?retention=A+1y', 'owner=reader', 403],
  ])('%s', async (_, query, body, status) => {
    const path = await fresh('x', query)
    expect(await statusOf(hcp, { method: 'POST', path, body })).toBe(status)
  })
})

describe('retention', () => {
  test.each<[string, string, string]>([
    ['0', '0', 'Deletion Allowed'],
    ['Deletion%20Prohibited', '-1', 'Deletion Prohibited'],
    ['initial+unspecified', '-2', 'Initial Unspecified'],
    ['1900000000', '1900000000', '2030-03-17T17:46:40+0000'],
    ['2030-03-17T18:46:40%2B0100', '1900000000', '2030-03-17T17:46:40+0000'],
    // What has passed is not one of the words below zero.
    ['1969-12-31T23:59:59%2B0000', '0', 'Deletion Allowed'],
    ['N-9999y', '0', 'Deletion Allowed'],
    ['253402300800', '253402300800', '10000-01-01T00:00:00+0000'],
    ['2027-11-33T00:00:00%2B0000', String(Date.UTC(2027, 11, 3) / 1000), '2027-12-03T00:00:00+0000'],
  ])('%s is %s', async (text, value, words) => {
    const path = await fresh(
      'x',
      `?retention=${text.replace('initial+unspecified', 'Initial%20Unspecified')}`,
    )
    expect((await ask(hcp, { path })).headers).toMatchObject({
      'x-hcp-retention': value,
      'x-hcp-retentionstring': words,
    })
  })

  test('never goes beyond what a date can be', async () => {
    const path = await fresh('x', '?retention=253402300800')
    const further = { method: 'POST', path, body: 'retention=R%2B9999y' }
    let status = await statusOf(hcp, further)
    for (let i = 0; i < 40 && status === 200; i++) status = await statusOf(hcp, further)
    expect(status).toBe(400)
    expect(await statusOf(hcp, { method: 'HEAD', path })).toBe(200)
  })

  test('is one of the words that are known, not one of the language', async () => {
    for (const word of ['constructor', '__proto__', 'valueOf']) {
      const put = { method: 'PUT', path: `/rest/fresh/${word}?retention=${word}`, body: 'x' }
      expect(await statusOf(hcp, put)).toBe(400)
    }
  })

  test('protects an object until its end, also from new versions', async () => {
    const path = await fresh('x', '?retention=N%2B10d', n2)
    for (const request of [{ method: 'DELETE' }, { method: 'PUT', body: 'y' }]) {
      expect(await statusOf(hcp, { ...request, path, host: n2 })).toBe(403)
    }
    expect(await statusOf(hcp, { method: 'DELETE', path: `${path}?purge=true`, host: n2 })).toBe(403)
    clock += 11 * day * 1000
    expect(await statusOf(hcp, { method: 'PUT', path, host: n2, body: 'y' })).toBe(201)
    expect(await statusOf(hcp, { method: 'DELETE', path, host: n2 })).toBe(200)
  })

  test('privileged deletes pass it in enterprise mode, and never a hold', async () => {
    const query = '?privileged=true&reason=order'
    const kept = await fresh('x', '?retention=-1')
    expect(await statusOf(hcp, { method: 'DELETE', path: kept + query })).toBe(200)
    const held = await fresh('x', '?hold=true')
    expect(await statusOf(hcp, { method: 'DELETE', path: held + query })).toBe(403)
    expect(await statusOf(hcp, { method: 'POST', path: held, body: 'hold=false' })).toBe(200)
    expect(await statusOf(hcp, { method: 'DELETE', path: held })).toBe(200)
    const host = 'strict.m.hcp1.test'
    const strict = await fresh('x', '?retention=-1', host)
    expect(await statusOf(hcp, { method: 'DELETE', path: strict + query, host })).toBe(403)
  })

  test.each([
    ['n1', 'ADD', 201, 403, 403],
    ['strict', 'NONE', 403, 403, 403],
    ['classes', 'ALL', 201, 201, 200],
  ])('annotations of %s under retention follow its rule %s', async (namespace, _, add, replace, remove) => {
    const host = `${namespace}.m.hcp1.test`
    const path = await fresh()
    const annotation = `${path}?type=custom-metadata&annotation=`
    const whole = {
      method: 'PUT',
      host,
      path: `${path}?type=whole-object&annotation=a&retention=-1`,
      headers: { 'X-HCP-Size': '0' },
    }
    expect(await statusOf(hcp, { ...whole, body: '<a/>' })).toBe(201)
    expect(await statusOf(hcp, { method: 'PUT', host, path: `${annotation}b`, body: '<b/>' })).toBe(add)
    expect(await statusOf(hcp, { method: 'PUT', host, path: `${annotation}a`, body: '<b/>' })).toBe(replace)
    expect(await statusOf(hcp, { method: 'DELETE', host, path: `${annotation}a` })).toBe(remove)
  })

  test('comes from the namespace, or from a class', async () => {
    const host = 'classes.m.hcp1.test'
    const usual = await ask(hcp, { path: await fresh('x', '', host), host })
    expect(Number(usual.headers['x-hcp-retention'])).toBe(Math.floor(clock / 1000) + day)
    const path = await fresh('x', '?retention=C+tax', host)
    const classed = await ask(hcp, { path, host })
    expect(classed.headers['x-hcp-retentionclass']).toBe('TAX')
    expect(await statusOf(hcp, { method: 'POST', path, host, body: 'retention=-1' })).toBe(400)
  })
})
