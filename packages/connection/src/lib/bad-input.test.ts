import { AnonymousAuthorization } from '@hcp/auth'
import { Circle } from '@hcp/ips'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ScriptServer, scriptServer } from '../../test/script-server.ts'
import { Connection, FileBody, RetryBudget, Target } from '../index.ts'

const authorization = new AnonymousAuthorization()

describe('a Target says what is wrong with its arguments', () => {
  test.each([
    [undefined, {}, TypeError, 'fqdn must be a string'],
    [7, {}, TypeError, 'fqdn must be a string'],
    ['', {}, RangeError, 'fqdn must not be empty'],
    ['https://n.m.hcp.test', {}, RangeError, 'without scheme, port, path'],
    ['n.m.hcp.test:443', {}, RangeError, 'without scheme, port, path'],
    ['n.m.hcp.test/rest', {}, RangeError, 'without scheme, port, path'],
    ['n m.hcp.test', {}, RangeError, 'blanks'],
    ['n\nm.hcp.test', {}, RangeError, 'blanks'],
    ['n..hcp.test', {}, RangeError, 'not a valid host name'],
    ['-n.hcp.test', {}, RangeError, 'not a valid host name'],
    [`${'a'.repeat(64)}.test`, {}, RangeError, 'not a valid host name'],
    [`${'a.'.repeat(130)}test`, {}, RangeError, 'longer than 253'],
    ['10.0.0', {}, RangeError, 'neither a name nor a whole IP address'],
    ['n.test', { authorization: undefined }, TypeError, 'authorization must be'],
    ['n.test', { authorization: 'HCP abc' }, TypeError, 'authorization must be'],
    ['n.test', { port: '443' }, TypeError, 'port must be a number'],
    ['n.test', { port: 0 }, RangeError, 'port must be a whole number from 1 to 65535'],
    ['n.test', { port: 65_536 }, RangeError, 'port must be'],
    ['n.test', { port: 1.5 }, RangeError, 'port must be'],
    ['n.test', { prot: 443 }, TypeError, 'unknown option "prot"'],
    ['n.test', { tls: { cafile: 'x' } }, TypeError, 'unknown option "cafile"'],
    ['n.test', { tls: { fingerprint256: 'abc' } }, RangeError, '64 hex digits'],
    ['n.test', { tls: { fingerprint256: [7] } }, TypeError, 'fingerprint256'],
    ['n.test', { tls: { ca: 'x', dangerouslyAcceptAnyCertificate: true } }, TypeError, 'choose one'],
    ['n.test', { tls: { dangerouslyAcceptAnyCertificate: 'yes' } }, TypeError, 'true or false'],
    ['n.test', { tls: { cert: 'x', key: 'y' } }, TypeError, 'not usable'],
    ['n.test', { tls: { ca: '/etc/ssl/ca.pem' } }, TypeError, 'tls.ca is no certificate'],
    ['n.test', { tls: { ca: [7] } }, TypeError, 'tls.ca must be PEM'],
    ['n.test', { tls: 'yes' }, TypeError, 'tls'],
    ['n.test', { circle: {} }, TypeError, 'circle must be a Circle'],
    ['n.test', { cache: 1 }, TypeError, 'cache'],
    ['n.test', { circle: new Circle('n.test'), cache: true }, TypeError, 'belong to the circle'],
    ['n.test', { addresses: [] }, RangeError, 'at least one'],
    ['n.test', { addresses: ['node1.test'] }, RangeError, 'is no IP address'],
    ['n.test', { nameServers: ['not an address'] }, Error, 'name server'],
  ])('%j, row %#', (fqdn, options, kind, words) => {
    const make = (): Target => new Target(fqdn as string, { authorization, ...options } as never)
    expect(make).toThrow(kind)
    expect(make).toThrow(words)
  })

  test('missing options', () => {
    expect(() => new Target('n.test', undefined as never)).toThrow(TypeError)
    expect(() => new Target('n.test', [] as never)).toThrow(TypeError)
  })

  test.each([
    [443, true],
    [8000, true],
    [9090, true],
    [8443, true],
    [80, false],
    [8888, false],
  ])('port %s has TLS: %s, unless said otherwise', (port, tls) => {
    expect(new Target('n.test', { authorization, port }).tls).toBe(tls)
    expect(new Target('n.test', { authorization, port, tls: !tls }).tls).toBe(!tls)
  })

  test('names are compared in lower case and without a final dot', () => {
    expect(new Target('N1.M.HCP.Test.', { authorization }).fqdn).toBe('n1.m.hcp.test')
    expect(new Target('n.test', { authorization, port: 80 }).origin).toBe('http://n.test')
    expect(new Target('::1', { authorization, port: 9090 }).origin).toBe('https://[::1]:9090')
  })
})

describe('a Connection says what is wrong with its options', () => {
  const target = new Target('127.0.0.1', { port: 80, authorization })
  test.each([
    [{ connections: 0 }, RangeError, 'connections'],
    [{ connections: 255 }, RangeError, 'connections'],
    [{ connections: '8' }, TypeError, 'connections'],
    [{ idleTimeout: -1 }, RangeError, 'idleTimeout'],
    [{ idleTimeout: 0 }, RangeError, 'idleTimeout'],
    [{ connectTimeout: Number.NaN }, RangeError, 'connectTimeout'],
    [{ headersTimeout: Number.POSITIVE_INFINITY }, RangeError, 'headersTimeout'],
    [{ bodyTimeout: null }, TypeError, 'bodyTimeout'],
    [{ deadline: -5 }, RangeError, 'deadline'],
    [{ tcpKeepAlive: true }, TypeError, 'tcpKeepAlive'],
    [{ verifyHash: 1 }, TypeError, 'verifyHash'],
    [{ retries: 3 }, TypeError, 'unknown option "retries"'],
    [{ retry: { attempts: 0 } }, RangeError, 'retry.attempts'],
    [{ retry: { minDelay: -1 } }, RangeError, 'retry.minDelay'],
    [{ retry: { delay: 1 } }, TypeError, 'unknown option "delay"'],
    [{ retry: { budget: 500 } }, TypeError, 'retry.budget'],
    [{ retry: 'often' }, TypeError, 'retry'],
    [null, TypeError, 'options'],
  ])('row %#', (options, kind, words) => {
    const make = (): Connection => new Connection(target, options as never)
    expect(make).toThrow(kind)
    expect(make).toThrow(words)
  })

  test('a target that is none', () => {
    expect(() => new Connection('n.test' as never)).toThrow('must be a Target')
    expect(() => new RetryBudget(-1)).toThrow(RangeError)
    expect(() => new FileBody('')).toThrow(RangeError)
    expect(() => new FileBody('a', { start: 5, end: 4 })).toThrow(RangeError)
    expect(() => new FileBody('a', { from: 5 } as never)).toThrow('unknown option "from"')
  })
})

describe('a request with bad arguments is refused before anything is sent', () => {
  let server: ScriptServer
  let connection: Connection
  beforeAll(async () => {
    server = await scriptServer()
    connection = new Connection(server.target)
  })
  afterAll(async () => {
    expect(server.connections).toBe(0)
    await connection.close()
    await server[Symbol.asyncDispose]()
  })

  test.each([
    ['get', [undefined], TypeError, 'path must be a string'],
    ['get', [''], RangeError, 'path must not be empty'],
    ['get', ['rest'], RangeError, 'begin with "/"'],
    ['get', ['/rest/a\r\nHost: b'], RangeError, 'control character'],
    ['get', ['/rest/a\u0000'], RangeError, 'control character'],
    ['get', ['/a', { param: {} }], TypeError, 'unknown option "param"'],
    ['get', ['/a', { size: 1 }], TypeError, 'unknown option "size"'],
    ['get', ['/a', null], TypeError, 'options must be an object'],
    ['get', ['/a', { params: 'a=1' }], TypeError, 'params must be'],
    ['get', ['/a', { headers: [['a', 'b']] }], TypeError, 'headers must be an object'],
    ['get', ['/a', { headers: { 'X-A': 'b\r\nc' } }], TypeError, 'headers'],
    ['get', ['/a', { headers: { 'X-A': null } }], TypeError, 'the value of "X-A"'],
    ['get', ['/a', { headers: { 'x a': 'b' } }], TypeError, 'headers'],
    ['get', ['/a', { headers: { Authorization: 'b' } }], TypeError, 'set by the connection'],
    ['get', ['/a', { headers: { host: 'b' } }], TypeError, 'set by the connection'],
    ['get', ['/a', { headers: { 'X-A': '1', 'x-a': '2' } }], TypeError, 'given twice'],
    ['get', ['/a', { signal: 5 }], TypeError, 'signal'],
    ['get', ['/a', { deadline: -1 }], RangeError, 'deadline'],
    ['get', ['/a', { headersTimeout: 0.5 }], RangeError, 'headersTimeout'],
    ['get', ['/a', { bodyTimeout: '1' }], TypeError, 'bodyTimeout'],
    ['get', ['/a', { encoded: 'yes' }], TypeError, 'encoded'],
    ['get', ['/a', { buffered: 1 }], TypeError, 'buffered'],
    ['get', ['/a', { idempotent: 1 }], TypeError, 'idempotent'],
    ['get', ['/a', { retry: -1 }], RangeError, 'retry.attempts'],
    ['put', ['/a', 5], TypeError, 'body must be'],
    ['put', ['/a', {}], TypeError, 'body must be'],
    ['put', ['/a', 'abc', { size: 2 }], RangeError, 'size says 2 bytes, but the body has 3'],
    ['put', ['/a', undefined, { size: 2 }], TypeError, 'there is no body'],
    ['put', ['/a', 'abc', { size: -1 }], RangeError, 'size'],
    ['request', ['get', '/a'], RangeError, 'method must be upper-case'],
    ['request', ['', '/a'], RangeError, 'method'],
    ['request', ['CONNECT', '/a'], RangeError, 'method'],
    ['request', [undefined, '/a'], TypeError, 'method'],
    ['request', ['GET', '/a', { boddy: '' }], TypeError, 'unknown option "boddy"'],
  ] as const)('%s, row %#', async (method, args, kind, words) => {
    const calling = (connection[method] as (...all: readonly unknown[]) => Promise<unknown>).apply(
      connection,
      args as never,
    )
    const error: unknown = await calling.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(kind)
    expect((error as Error).message).toContain(words)
  })

  test('a stream that was read before', async () => {
    const { Readable } = await import('node:stream')
    const read = Readable.from(['a'])
    await read.toArray()
    await expect(connection.put('/a', read)).rejects.toThrow('read or closed before')
    const web = new Blob(['a']).stream()
    web.getReader()
    await expect(connection.put('/a', web)).rejects.toThrow('somebody else reads')
  })

  test('the caller’s own objects are left as they were', async () => {
    const headers = Object.freeze({ 'X-A': 'b' })
    const params = Object.freeze({ a: 1 })
    const options = Object.freeze({ headers, params })
    const other = await scriptServer()
    const own = new Connection(other.target)
    await own.put('/a', 'x', options)
    expect(other.seen[0]?.path).toBe('/a?a=1')
    expect(other.seen[0]?.headers['x-a']).toBe('b')
    expect(headers).toEqual({ 'X-A': 'b' })
    await own.close()
    await other[Symbol.asyncDispose]()
  })
})
