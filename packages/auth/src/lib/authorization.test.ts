import { once } from 'node:events'
import { request } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ActiveDirectoryAuthorization,
  AnonymousAuthorization,
  AuthError,
  LocalSwiftAuthorization,
  NativeAuthorization,
  type Authorization,
  type Secret,
} from '../index.ts'

const facts = { method: 'GET', host: 'n1.m.hcp1.test', path: '/rest/a', headers: {} }

// Computed with base64 and md5sum, not with this code.
const tokens: [user: string, password: string, token: string][] = [
  ['opsadmin', 'Blue-Kite-42', 'b3BzYWRtaW4=:3a098180a24f87ce2f5e762cbe81a613'],
  ['logreader', 'Sand+Dune 7', 'bG9ncmVhZGVy:fd2496fdd30ea048d8a972c6731c9d89'],
  ['käthe', 'Grün1', 'a8OkdGhl:ca39d58fbe7edd080901d0651865a820'],
  ['alice', 'Secret#1', 'YWxpY2U=:b39656d265d4b4b433d970d2e5019218'],
  ['lgreen', 'p4ssw0rd', 'bGdyZWVu:2a9d119df47ff993b662a8ef36f9ea20'],
  ['a:b', 'x', 'YTpi:9dd4e461268c8034f5c8564e155c67a6'],
]

describe('headers', () => {
  test.each(tokens)('a native account sends base64 of %s and the MD5 of %s', (user, password, token) => {
    expect(new NativeAuthorization(user, password).headers(facts)).toEqual({ authorization: `HCP ${token}` })
  })

  test('the legacy cookie carries the same token, when asked for', () => {
    expect(new NativeAuthorization('käthe', 'Grün1', { cookie: true }).headers()).toEqual({
      authorization: 'HCP a8OkdGhl:ca39d58fbe7edd080901d0651865a820',
      cookie: 'hcp-ns-auth=a8OkdGhl:ca39d58fbe7edd080901d0651865a820',
    })
    expect(new NativeAuthorization('käthe', 'Grün1', { cookie: false }).headers()).not.toHaveProperty(
      'cookie',
    )
  })

  test('local Swift sends the token as X-Auth-Token', () => {
    expect(new LocalSwiftAuthorization('käthe', 'Grün1').headers()).toEqual({
      'x-auth-token': 'HCP a8OkdGhl:ca39d58fbe7edd080901d0651865a820',
    })
  })

  test('Active Directory sends user and password as they are', () => {
    expect(new ActiveDirectoryAuthorization('ann@corp.test', 'a:b c').headers()).toEqual({
      authorization: 'AD ann@corp.test:a:b c',
    })
  })

  test('anonymous sends nothing, or names all_users when asked', () => {
    expect(new AnonymousAuthorization().headers(facts)).toEqual({})
    expect(new AnonymousAuthorization({ explicit: true }).headers()).toEqual({
      authorization: 'HCP all_users:',
    })
  })

  test("what Active Directory gives is UTF-8 on the wire, written by Node's own client", async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const headers = await new ActiveDirectoryAuthorization('käthe@corp.test', 'Grün€😀').headers()
    const outgoing = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', headers })
    outgoing.end()
    const [socket] = await once(server, 'connection')
    let head = ''
    while (!head.includes('\r\n\r\n')) head += (await once(socket, 'data'))[0].toString('utf8')
    socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
    await once(outgoing, 'response')
    server.close()
    expect(head).toContain('authorization: AD käthe@corp.test:Grün€😀\r\n')
  })
})

describe('plain secrets', () => {
  const fixed: [string, Authorization][] = [
    ['native', new NativeAuthorization('u', 'p', { cookie: true })],
    ['Active Directory', new ActiveDirectoryAuthorization('u', 'p')],
    ['local Swift', new LocalSwiftAuthorization('u', 'p')],
    ['anonymous', new AnonymousAuthorization()],
  ]
  test.each(fixed)('%s gives one frozen object, without a promise', (_name, authorization) => {
    const headers = authorization.headers(facts)
    expect(headers).not.toBeInstanceOf(Promise)
    expect(Object.isFrozen(headers)).toBe(true)
    expect(authorization.headers({ ...facts, method: 'PUT' })).toBe(headers)
  })
})

describe('secrets from functions', () => {
  test('are asked for each request, so a new password counts at once', async () => {
    let password = 'Blue-Kite-42'
    const authorization = new NativeAuthorization(
      () => 'opsadmin',
      async () => password,
    )
    const first = await authorization.headers()
    expect(first).toEqual({ authorization: 'HCP b3BzYWRtaW4=:3a098180a24f87ce2f5e762cbe81a613' })
    expect(await authorization.headers()).toBe(first)
    password = 'Grün1'
    expect(await authorization.headers()).toEqual({
      authorization: 'HCP b3BzYWRtaW4=:ca39d58fbe7edd080901d0651865a820',
    })
  })

  test('give the headers that the same plain texts give', async () => {
    await fc.assert(
      fc.asyncProperty(nonEmpty, nonEmpty, async (user, password) => {
        const plain = new NativeAuthorization(user, password, { cookie: true }).headers()
        const asked = new NativeAuthorization(user, () => password, { cookie: true }).headers()
        expect(asked).toBeInstanceOf(Promise)
        expect(await asked).toEqual(plain)
      }),
    )
  })

  test('a request keeps its own credentials while another one sees the password change', async () => {
    const answers: ((password: string) => void)[] = []
    const password = (): Promise<string> => new Promise((resolve) => answers.push(resolve))
    const authorization = new ActiveDirectoryAuthorization('u', password)
    const [first, second] = [authorization.headers(), authorization.headers()]
    answers[1]!('new')
    expect(await second).toEqual({ authorization: 'AD u:new' })
    answers[0]!('old')
    expect(await first).toEqual({ authorization: 'AD u:old' })
  })

  const failing: [string, () => string | Promise<string>, RegExp][] = [
    ['throws', fail(new Error('vault sealed')), /^the function for password failed$/],
    ['rejects', () => Promise.reject(new Error('no')), /^the function for password failed$/],
    ['has a system error', fail(Object.assign(new Error('x'), { code: 'ENOENT' })), /failed \(ENOENT\)$/],
    ['throws no Error', fail('text'), /failed$/],
    ['gives undefined', giving(undefined), /must give a string, not undefined/],
    ['gives null', giving(null), /must give a string, not null/],
    ['gives a Buffer', giving(Buffer.from('x')), /must give a string, not object/],
    ['gives an empty text', () => '', /must not be empty/],
    ['gives a line end', () => 'secret\n', /control characters/],
  ]
  test.each(failing)('a function that %s is an AuthError', async (_name, password, message) => {
    const failure = await Promise.resolve(new ActiveDirectoryAuthorization('u@d', password).headers()).catch(
      (error: unknown) => error,
    )
    expect(failure).toBeInstanceOf(AuthError)
    expect(failure).toMatchObject({ name: 'AuthError', code: 'AUTH_SECRET' })
    expect((failure as AuthError).message).toMatch(message)
  })
})

describe('bad arguments are refused at once', () => {
  const wrongTypes: unknown[] = [undefined, null, 7, {}, Buffer.from('x'), ['x']]
  test.each(wrongTypes)('credentials of the wrong type: %o', (wrong) => {
    for (const Class of [NativeAuthorization, ActiveDirectoryAuthorization, LocalSwiftAuthorization]) {
      expect(() => new Class(wrong as Secret, 'p')).toThrow(/^user must be a string, or a function/)
      expect(() => new Class('u', wrong as Secret)).toThrow(/^password must be a string, or a function/)
      expect(() => new Class('u', wrong as Secret)).toThrow(TypeError)
    }
  })

  test.each(['', '\ud800', 'a\udc00b'])('credentials that no scheme can carry: %j', (text) => {
    for (const Class of [NativeAuthorization, ActiveDirectoryAuthorization, LocalSwiftAuthorization]) {
      expect(() => new Class(text, 'p')).toThrow(RangeError)
      expect(() => new Class('u', text)).toThrow(RangeError)
      expect(() => new Class(() => 'u', text)).toThrow(RangeError)
    }
  })

  const unsendable: [user: string, password: string, message: RegExp][] = [
    ['corp:ann', 'p', /^user must not hold ':'/],
    [' ann', 'p', /^user must not begin with a blank/],
    ['ann', 'p ', /^password must not end with a blank/],
    ['ann\r\nX-Evil: 1', 'p', /^user must not hold control/],
    ['ann', 'p\r\nX-Evil: 1', /^password must not hold control/],
    ['ann', 'a\0b', /^password must not hold control/],
    ['ann', 'a\tb', /^password must not hold control/],
    ['ann', 'a\u007f', /^password must not hold control/],
  ]
  test.each(unsendable)('Active Directory cannot send %j with %j', (user, password, message) => {
    expect(() => new ActiveDirectoryAuthorization(user, password)).toThrow(message)
    expect(() => new ActiveDirectoryAuthorization(user, password)).toThrow(RangeError)
  })

  test('whatever Active Directory accepts is one header value that gives both texts back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (user, password) => {
        let value: string
        try {
          value = (new ActiveDirectoryAuthorization(user, password).headers() as Record<string, string>)
            .authorization!
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
          return
        }
        expect(value).toMatch(/^AD [\x20-\x7e\x80-\xff]+$/)
        const wire = Buffer.from(value.replace(/^[ \t]+|[ \t]+$/g, ''), 'latin1')
          .toString('utf8')
          .slice('AD '.length)
        expect([wire.slice(0, wire.indexOf(':')), wire.slice(wire.indexOf(':') + 1)]).toEqual([
          user,
          password,
        ])
      }),
    )
  })

  test('options that do not exist are named', () => {
    expect(() => new NativeAuthorization('u', 'p', { cookies: true } as object)).toThrow(
      new TypeError("unknown option 'cookies'; the only option is 'cookie'"),
    )
    expect(() => new AnonymousAuthorization({ implicit: true } as object)).toThrow(
      /unknown option 'implicit'/,
    )
    expect(() => new AnonymousAuthorization({ explicit: 1 } as object)).toThrow(
      /'explicit' must be true or false/,
    )
    expect(() => new AnonymousAuthorization({ explicit: null } as object)).toThrow(TypeError)
    expect(() => new NativeAuthorization('u', 'p', null as unknown as object)).toThrow(TypeError)
    expect(() => new NativeAuthorization('u', 'p', true as unknown as object)).toThrow(TypeError)
  })
})

const nonEmpty = fc.string({ unit: 'binary', minLength: 1 })

function fail(error: unknown): () => never {
  return () => {
    throw error
  }
}

function giving(value: unknown): () => string {
  return () => value as string
}
