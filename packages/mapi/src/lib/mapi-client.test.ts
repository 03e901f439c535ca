import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import { NativeAuthorization } from '@hcp/auth'
import { Connection, HcpError, HcpResponseError, Target } from '@hcp/connection'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  MapiConflictError,
  MapiDocumentError,
  MapiError,
  MapiForbiddenError,
  MapiNotFoundError,
  MapiRedirectError,
  MapiRequestError,
  MapiUnavailableError,
} from './errors.ts'
import { MapiClient } from './mapi-client.ts'
import { type MapiPath, mapiPath } from './mapi-path.ts'
import { boolean, document, integer, list, long, optional, record, text } from './schema.ts'
import { json, raw, reply, type ScriptServer, scriptServer, xml } from './script-server.testing.ts'

const thing = document(
  'thing',
  record({ name: text(), size: optional(long()), on: optional(boolean()), tags: list('tag', text()) }),
)
const things = mapiPath('things')
const path = mapiPath('things', 'a b')
const document1 = '<thing><name>a b</name><size>9007199254740993</size><tags><tag>x</tag></tags></thing>'
const value1 = { name: 'a b', size: 9007199254740993n, tags: ['x'] }

let server: ScriptServer
let mapi: MapiClient
beforeAll(async () => {
  server = await scriptServer()
  mapi = new MapiClient(server.target(), { retry: { attempts: 3, minDelay: 1, maxDelay: 2 } })
})
beforeEach(() => server.play(reply(200)))
afterAll(async () => {
  await mapi.close()
  await server[Symbol.asyncDispose]()
})

describe('a target', () => {
  const authorization = new NativeAuthorization('u', 'p')
  test.each([80, 443, 8000, 8888])('on port %i is refused, with the right one in the message', (port) => {
    const target = new Target('admin.hcp.test', { port, tls: true, authorization })
    expect(() => new MapiClient(target)).toThrow(RangeError)
    expect(() => new MapiClient(target)).toThrow('9090')
  })

  test('without TLS is refused', () => {
    const target = new Target('admin.hcp.test', { port: 9090, tls: false, authorization })
    expect(() => new MapiClient(target)).toThrow(/TLS only.*9090/)
  })

  test('is told by its host name', async () => {
    for (const [fqdn, level] of [
      ['admin.hcp.test', 'system'],
      ['m.hcp.test', 'tenant'],
      ['10.1.2.3', undefined],
    ] as const) {
      await using client = new MapiClient(new Target(fqdn, { port: 9090, authorization }))
      expect(client.level).toBe(level)
    }
  })

  test.each<[string, string | undefined, object]>([
    ['no target', undefined, {}],
    ['an option that nobody knows', 'target', { retries: 3 }],
    ['verifyHash, which says nothing here', 'target', { verifyHash: true }],
    ['a format that HCP does not have', 'target', { format: 'yaml' }],
    ['options of a connection for one that is made', 'connection', { connections: 3 }],
  ])('%s is a TypeError or RangeError', async (_, what, options) => {
    const target = new Target('admin.hcp.test', { port: 9090, authorization })
    await using connection = new Connection(target)
    const source = what === 'target' ? target : what === 'connection' ? connection : undefined
    expect(() => new MapiClient(source as Target, options)).toThrow(/MapiClient|format/)
  })
})

test('a connection of the caller stays open, one of its own is closed', async () => {
  await using connection = new Connection(server.target())
  const client = new MapiClient(connection, { format: 'json' })
  expect(client.connection).toBe(connection)
  await client.close()
  expect(connection.closed).toBe(false)
  const own = new MapiClient(server.target())
  await own.close()
  expect(own.connection.closed).toBe(true)
})

describe('reading', () => {
  test('asks for XML and reads it by its schema', async () => {
    server.play(xml(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n${document1}\n`))
    expect(await mapi.read(path, thing, { verbose: true, params: { x: 'a+b' } })).toEqual(value1)
    expect(server.seen[0]).toMatchObject({ method: 'GET', path: '/mapi/things/a%20b?verbose=true&x=a%2Bb' })
    expect(server.seen[0]?.headers).toMatchObject({ accept: 'application/xml' })
    expect(server.seen[0]?.headers.authorization).toMatch(/^HCP /)
  })

  test('asks for JSON if wanted and reads the same from it', async () => {
    server.play(json('{"name":"a b","size":9007199254740993,"tags":{"tag":["x"]}}'))
    expect(await mapi.read(path, thing, { format: 'json' })).toEqual(value1)
    expect(server.seen[0]?.headers).toMatchObject({ accept: 'application/json' })
  })

  test('goes by what the answer says it is', async () => {
    server.play(xml(document1))
    expect(await mapi.read(path, thing, { format: 'json' })).toEqual(value1)
    server.play(reply(200, {}, document1))
    expect(await mapi.read(path, thing)).toEqual(value1)
  })

  test('is repeated while HCP is busy, and when the answer breaks off', async () => {
    const cut = `HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 900\r\n\r\n<thing>`
    server.play(reply(503), raw(cut), xml(document1))
    expect(await mapi.read(path, thing)).toEqual(value1)
    expect(server.seen).toHaveLength(3)
  })

  test('an answer that breaks off each time is an error, never a shorter document', async () => {
    server.play(
      raw(`HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 900\r\n\r\n${document1}`),
    )
    await expect(mapi.read(path, thing)).rejects.toMatchObject({ code: 'HCP_TRUNCATED' })
    expect(server.seen).toHaveLength(3)
  })

  test('a document that is wrong is not asked for again', async () => {
    server.play(xml('<thing>'))
    await expect(mapi.read(path, thing)).rejects.toBeInstanceOf(MapiDocumentError)
    expect(server.seen).toHaveLength(1)
  })

  test('ends with its deadline, and with its signal', async () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 900\r\n\r\n<thing>'
    server.play(raw(head, 'stay'))
    const late = mapi.read(path, thing, { deadline: 100 })
    await expect(late).rejects.toMatchObject({ code: 'HCP_TIMEOUT', phase: 'deadline' })
    const reason = new Error('enough')
    const controller = new AbortController()
    const ended = mapi.read(path, thing, { signal: controller.signal })
    void delay(50).then(() => controller.abort(reason))
    await expect(ended).rejects.toBe(reason)
  })

  test.each([
    ['a path that mapiPath did not make', () => mapi.read('/rest/a' as MapiPath, thing)],
    ['an unknown option', () => mapi.read(path, thing, { single: true } as object)],
    ['a verbose that is no boolean', () => mapi.read(path, thing, { verbose: 'yes' as unknown as boolean })],
    ['a format that HCP does not have', () => mapi.read(path, thing, { format: 'csv' as 'xml' })],
    ['an action without a name', () => mapi.act(path, '')],
    ['a change without a document', () => mapi.change(path, undefined as never)],
    ['a document that cannot be written', () => mapi.create(things, { root: 'thing', value: { a: '\0' } })],
  ])('%s is refused before anything is sent', async (_, call) => {
    await expect(call()).rejects.toThrow(/must|option|cannot|required|empty|character/)
    expect(server.seen).toHaveLength(0)
  })
})

describe('existence', () => {
  test.each([
    [200, true],
    [302, false],
    [404, false],
  ])('HEAD answered with %i means %s, and a redirection is not followed', async (status, there) => {
    server.play(reply(status, { Location: 'https://admin.hcp.test:8000/' }))
    expect(await mapi.exists(path)).toBe(there)
    expect(server.seen).toMatchObject([{ method: 'HEAD', path: '/mapi/things/a%20b' }])
  })

  test('anything else is an error', async () => {
    server.play(reply(403))
    await expect(mapi.exists(path)).rejects.toBeInstanceOf(MapiForbiddenError)
  })
})

describe('changing', () => {
  const given = { root: 'thing', value: { name: 'a&b', tags: { tag: [] }, on: false, none: undefined } }

  test('creates by PUT, changes by POST, in either form', async () => {
    await mapi.create(things, given)
    await mapi.change(path, given, { format: 'json' })
    await mapi.create(mapiPath('links', 'l', 'tenants', 't'), undefined)
    expect(server.seen).toMatchObject([
      {
        method: 'PUT',
        path: '/mapi/things',
        headers: { 'content-type': 'application/xml' },
        body: '<?xml version="1.0" encoding="UTF-8"?><thing><name>a&amp;b</name><tags/><on>false</on></thing>',
      },
      {
        method: 'POST',
        path: '/mapi/things/a%20b',
        headers: { 'content-type': 'application/json' },
        body: '{"name":"a&b","tags":{"tag":[]},"on":false}',
      },
      { method: 'PUT', path: '/mapi/links/l/tenants/t', body: '' },
    ])
    expect(server.seen[2]?.headers).not.toHaveProperty('content-type')
  })

  test('acts without a document, or with an empty one where that is wanted', async () => {
    await mapi.act(path, 'suspend')
    await mapi.act(path, 'mark', 'a b & c')
    await mapi.act(path, 'resetPasswords', 'x', { emptyDocument: 'userAccounts' })
    await mapi.act(path, 'retire', '', { emptyDocument: 'ecTopology', format: 'json' })
    expect(server.seen).toMatchObject([
      { method: 'POST', path: '/mapi/things/a%20b?suspend=', body: '' },
      { path: '/mapi/things/a%20b?mark=a%20b%20%26%20c', body: '' },
      {
        path: '/mapi/things/a%20b?resetPasswords=x',
        body: '<?xml version="1.0" encoding="UTF-8"?><userAccounts/>',
      },
      { path: '/mapi/things/a%20b?retire=', body: '{}' },
    ])
    expect(server.seen[0]?.headers).not.toHaveProperty('content-type')
  })

  test.each([
    ['create', (client: MapiClient) => client.create(things, given)],
    ['change', (client: MapiClient) => client.change(path, given)],
    ['act', (client: MapiClient) => client.act(path, 'failOver')],
    ['remove', (client: MapiClient) => client.remove(path)],
    ['open', (client: MapiClient) => client.open('POST', path)],
  ])('%s is sent once, whatever happens', async (_, call) => {
    server.play(raw('', 'reset'))
    await expect(call(mapi)).rejects.toSatisfy((error) => HcpError.isInstance(error))
    expect(server.seen).toHaveLength(1)
    server.play(reply(503, { 'Retry-After': '0' }))
    await expect(call(mapi)).rejects.toBeInstanceOf(MapiUnavailableError)
    expect(server.seen).toHaveLength(1)
  })

  test('any 2xx is a success', async () => {
    server.play(reply(201), reply(204))
    await mapi.create(things, given)
    await mapi.remove(path)
  })

  test('a web page is none, whatever its status; an empty answer that calls itself one is', async () => {
    const type = { 'Content-Type': 'text/html; charset=UTF-8' }
    server.play(reply(200, type, ' \n<html>Login</html>'))
    const calls = [
      () => mapi.create(things, given),
      () => mapi.change(path, given),
      () => mapi.act(path, 'failOver'),
      () => mapi.remove(path),
    ]
    for (const call of calls) {
      // oxlint-disable-next-line no-await-in-loop -- one server
      await expect(call()).rejects.toSatisfy(
        (error) => error instanceof MapiDocumentError && error.sent && /web page/.test(error.message),
      )
    }
    expect(server.seen).toHaveLength(calls.length)
    server.play(reply(200, type), reply(200, type, '\r\n'))
    await mapi.create(things, given)
    await mapi.remove(path)
  })

  test.each<[string, (client: MapiClient) => Promise<unknown>, RegExp]>([
    ['no document', (client) => client.change(path, null as never), /document must be an object/],
    ['text', (client) => client.create(path, '<thing/>' as never), /document must be an object/],
    ['a list', (client) => client.create(path, { root: 'a', value: [] as never }), /object of named parts/],
    ['no schema', (client) => client.read(path, record({}) as never), /a schema made by document\(\)/],
    [
      'no list',
      (client) => Array.fromAsync(client.names(path, null as never)),
      /how the collection is called/,
    ],
  ])('%s is refused in words before anything is sent', async (_, call, words) => {
    await expect((async () => call(mapi))()).rejects.toSatisfy(
      (error) => error instanceof TypeError && words.test(error.message),
    )
    expect(server.seen).toHaveLength(0)
  })
})

describe('what HCP refuses', () => {
  test.each([
    [400, MapiRequestError],
    [414, MapiRequestError],
    [415, MapiRequestError],
    [403, MapiForbiddenError],
    [404, MapiNotFoundError],
    [409, MapiConflictError],
    [302, MapiRedirectError],
    [307, MapiRedirectError],
    [405, MapiError],
    [500, MapiError],
  ])('%i is an error of its own, with the words of HCP', async (status, kind) => {
    server.play(
      reply(status, { 'X-HCP-ErrorMessage': "'name' is missing", Location: '/login' }, '<html>no</html>'),
    )
    const error: unknown = await mapi.act(path, 'x', 'secret').catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(kind)
    expect(error).toBeInstanceOf(MapiError)
    expect(error).toBeInstanceOf(HcpResponseError)
    const { message, ...facts } = error as MapiError
    expect(facts).toMatchObject({ code: 'HCP_RESPONSE', status, reason: "'name' is missing", method: 'POST' })
    expect(message).toMatch(
      new RegExp(
        `^POST https://admin.hcp.test:\\d+/mapi/things/a%20b was answered with ${status} Status \\('name' is missing\\)\\.`,
      ),
    )
    expect(JSON.stringify(error)).not.toMatch(/secret|password/)
    expect(server.seen).toHaveLength(1)
  })

  test('a password that HCP repeats is in no error', async () => {
    const password = 'Top Secret/1'
    for (const repeated of ['Top Secret/1', 'Top%20Secret%2F1', 'Top+Secret%2F1']) {
      server.play(raw(`HTTP/1.1 400 ${repeated}\r\nX-HCP-ErrorMessage: '${repeated}' is weak\r\n\r\n`))
      for (const call of [
        () => mapi.create(things, undefined, { params: { username: 'u', password } }),
        () => mapi.act(path, 'resetPasswords', password),
      ]) {
        // oxlint-disable-next-line no-await-in-loop -- one server
        const error = (await call().catch((caught: unknown) => caught)) as MapiRequestError
        expect(error.reason).toBe("'***' is weak")
        expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/Secret/)
      }
    }
  })

  const roles = { system: ['ADMINISTRATOR', 'SERVICE'] }
  const refused = (client: MapiClient, needs: object): Promise<MapiForbiddenError> =>
    client.act(path, 'x', '', { roles: needs }).then(
      () => expect.unreachable(),
      (error: unknown) => error as MapiForbiddenError,
    )

  test('403 tells what is needed, and what is likely', async () => {
    server.play(reply(403))
    await using fresh = new MapiClient(server.target())
    const unknown = await refused(fresh, roles)
    expect(unknown).toMatchObject({ likely: 'unknown', roles, status: 403 })
    expect(unknown.message).toMatch(
      /password may be wrong.*the role ADMINISTRATOR or SERVICE of a system account/,
    )

    server.play(reply(200))
    await fresh.act(path, 'y')
    server.play(reply(403))
    const role = await refused(fresh, roles)
    expect(role).toMatchObject({ likely: 'role' })
    expect(role.message).toMatch(
      /credentials are right.*the role ADMINISTRATOR or SERVICE of a system account/,
    )

    const none = await refused(fresh, { tenant: ['MONITOR'], system: ['SERVICE'] })
    expect(none.message).toContain(
      'the role SERVICE of a system account, or the role MONITOR of a tenant account',
    )

    const tenants = await refused(fresh, { tenant: ['SECURITY'] })
    expect(tenants).toMatchObject({ likely: 'level' })
    expect(tenants.message).toContain('asked of the host <tenant>.<domain>, not of admin.hcp.test')

    await using tenant = new MapiClient(server.target('m.hcp.test'))
    const system = await refused(tenant, roles)
    expect(system).toMatchObject({ likely: 'level' })
    expect(system.message).toContain('admin.<domain of the system>, not of m.hcp.test')
  })
})

describe('opening', () => {
  test('gives the answer as it is', async () => {
    server.play(reply(200, { 'Content-Type': 'application/zip' }, 'PK'))
    const answer = await mapi.open('POST', path, {
      accept: 'application/zip',
      contentType: 'text/plain',
      body: 'words',
      params: { a: 1 },
    })
    expect(await answer.text()).toBe('PK')
    expect(server.seen).toMatchObject([
      {
        method: 'POST',
        path: '/mapi/things/a%20b?a=1',
        headers: { accept: 'application/zip', 'content-type': 'text/plain' },
        body: 'words',
      },
    ])
  })

  test('checks the status', async () => {
    server.play(reply(404))
    await expect(mapi.open('GET', path)).rejects.toBeInstanceOf(MapiNotFoundError)
    await expect(mapi.open('DELETE' as 'GET', path)).rejects.toBeInstanceOf(RangeError)
  })

  test('has a deadline only if one is given, also for the body', async () => {
    await using client = new MapiClient(server.target(), { deadline: 100, retry: false })
    const slow = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na'
    server.play((socket) => {
      socket.write(slow)
      setTimeout(() => socket.write('b'), 300)
    })
    expect(await (await client.open('GET', path)).text()).toBe('ab')
    const late = (await client.open('GET', path, { deadline: 100 })).text()
    await expect(late).rejects.toMatchObject({ code: 'HCP_TIMEOUT' })
  })
})

test('integer is there for other packages', async () => {
  server.play(xml('<a><b>7</b></a>'))
  expect(await mapi.read(path, document('a', record({ b: integer() })))).toEqual({ b: 7 })
})
