import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { exportJWK, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Authenticator, tokenOf } from './authenticate.ts'
import { issuer, options, secret, signed, token } from './token.testing.ts'

const now = Math.floor(Date.now() / 1000)
const claims = { iss: issuer, iat: now, exp: now + 600, sub: 'olga' }

function without(name: keyof typeof claims): object {
  const { [name]: _left, ...rest } = claims
  return rest
}

describe('a token signed with the secret', () => {
  const authenticator = new Authenticator({ ...options, audience: 'logs' })
  const good = { ...claims, aud: 'logs' }

  test.each([
    ['HS256', signed(good)],
    ['HS512', signed(good, { alg: 'HS512' })],
    ['no typ', signed(good, { typ: undefined })],
    ['typ at+jwt', signed(good, { typ: 'at+jwt' })],
    ['one audience of several', signed({ ...good, aud: ['other', 'logs'] })],
    ['expired within the leeway', signed({ ...good, exp: now - 50 })],
    ['issued by a clock that is a little ahead', signed({ ...good, iat: now + 50 })],
  ])('holds: %s', async (_name, text) => {
    expect(await authenticator.caller(text)).toMatchObject({ subject: 'olga' })
  })

  test.each([
    ['nothing', ''],
    ['no token at all', 'abc'],
    ['three empty parts', '..'],
    ['another secret', signed(good, {}, 'another secret of tests, long enough')],
    ['alg none', `${signed(good, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`],
    ['alg none with a signature', signed(good, { alg: 'none' })],
    ['HS384', signed(good, { alg: 'HS384' })],
    ['RS256 in the header', signed(good, { alg: 'RS256' })],
    ['no alg', signed(good, { alg: undefined })],
    ['wrong typ', signed(good, { typ: 'logout+jwt' })],
    ['a critical header nobody knows', signed(good, { crit: ['x'], x: 1 })],
    ['expired', signed({ ...good, exp: now - 70 })],
    ['no exp', signed({ ...without('exp'), aud: 'logs' })],
    ['no iat', signed({ ...without('iat'), aud: 'logs' })],
    ['no iss', signed({ ...without('iss'), aud: 'logs' })],
    ['exp as text', signed({ ...good, exp: String(now + 600) })],
    ['iat as text', signed({ ...good, iat: String(now) })],
    ['iat in the future', signed({ ...good, iat: now + 100 })],
    ['nbf in the future', signed({ ...good, nbf: now + 100 })],
    ['another issuer', signed({ ...good, iss: 'https://elsewhere.example' })],
    ['another audience', signed({ ...good, aud: 'other' })],
    ['no audience', signed(claims)],
    ['claims that are a list', signed([good])],
  ])('does not hold: %s', async (_name, text) => {
    expect(await authenticator.caller(text)).toBeUndefined()
  })

  test('is not changed without notice', async () => {
    const [head, , signature] = signed(good).split('.')
    const body = Buffer.from(JSON.stringify({ ...good, sub: 'eve' })).toString('base64url')
    expect(await authenticator.caller(`${head}.${body}.${signature}`)).toBeUndefined()
  })
})

describe('claims', () => {
  const authenticator = new Authenticator(options, { admin: ['/tokens/Admins', 'root'], user: ['staff'] })

  test('give a caller: roles by configured names in roles or groups, system by its own name', async () => {
    const text = token({
      sub: 'olga',
      user: 'o.l',
      roles: ['staff', 'system'],
      groups: ['/tokens/Admins'],
      project_id: 'p',
    })
    expect(await authenticator.caller(text)).toEqual({
      subject: 'olga',
      user: 'o.l',
      groups: ['/tokens/Admins'],
      roles: new Set(['admin', 'system', 'user']),
      project: 'p',
    })
    expect((await authenticator.caller(token({ roles: ['admin', 'user'] })))?.roles).toEqual(new Set())
  })

  test.each([
    [{ roles: 'root' }],
    [{ roles: { 0: 'root' } }],
    [{ roles: [['root']] }],
    [{ groups: [null, 1, { root: 'root' }] }],
    [{ sub: 5, preferred_username: ['o'], project_id: {}, groups: null }],
    [{ sub: 'a\0b', preferred_username: 'x\ud800', project_id: 'p\nq' }],
    [{ project_id: 'logs' }],
  ])('of the wrong kind count as not there: %j', async (wrong) => {
    const { sub: _sub, ...rest } = claims
    expect(await authenticator.caller(signed({ ...rest, ...wrong }))).toEqual({
      subject: '',
      user: undefined,
      groups: [],
      roles: new Set(),
      project: undefined,
    })
  })
})

describe('a token signed with a key of the identity provider', () => {
  const keys = {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    PS512: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: generateKeyPairSync('ed25519'),
  }
  let answer: { status: number; body: string }
  const server = createServer((_request, response) => {
    response.writeHead(answer.status).end(answer.body)
  })
  let jwksUrl: string
  let authenticator: Authenticator

  beforeAll(async () => {
    const jwks = await Promise.all(
      Object.entries(keys).map(async ([alg, { publicKey }]) => ({
        ...(await exportJWK(publicKey)),
        kid: alg,
        alg,
      })),
    )
    answer = { status: 200, body: JSON.stringify({ keys: jwks }) }
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
    authenticator = new Authenticator({ issuer, jwksUrl })
  })
  afterAll(() => server.close())

  const sign = (alg: string, key: KeyObject, kid: string | undefined): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) }).sign(key)

  test.each(Object.entries(keys))('holds: %s', async (alg, { privateKey }) => {
    expect(await authenticator.caller(await sign(alg, privateKey, alg))).toMatchObject({ subject: 'olga' })
  })

  test('holds without the name of the key, whichever of those that fit it was', async () => {
    const two = await Promise.all(
      [keys.RS256, keys.PS512].map(async ({ publicKey }) => ({ ...(await exportJWK(publicKey)) })),
    )
    const before = answer
    answer = { status: 200, body: JSON.stringify({ keys: two }) }
    const other = new Authenticator({ issuer, jwksUrl })
    for (const { privateKey } of [keys.RS256, keys.PS512]) {
      expect(await other.caller(await sign('RS256', privateKey, undefined))).toMatchObject({
        subject: 'olga',
      })
    }
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    expect(await other.caller(await sign('RS256', stranger, undefined))).toBeUndefined()
    answer = before
  })

  test('does not hold when a public key was taken for a secret', async () => {
    for (const format of [
      { type: 'spki', format: 'pem' },
      { type: 'pkcs1', format: 'pem' },
    ] as const) {
      const pem = createPublicKey(keys.RS256.publicKey.export({ type: 'spki', format: 'pem' })).export(format)
      for (const key of [pem.toString(), pem.toString().trim()]) {
        expect(await authenticator.caller(signed(claims, { kid: 'RS256' }, key))).toBeUndefined()
      }
    }
    // The same, made by hand: no library in between.
    const head = Buffer.from('{"alg":"HS256","kid":"RS256"}').toString('base64url')
    const body = Buffer.from(JSON.stringify(claims)).toString('base64url')
    const mac = createHmac('sha256', JSON.stringify(await exportJWK(keys.RS256.publicKey)))
    expect(
      await authenticator.caller(`${head}.${body}.${mac.update(`${head}.${body}`).digest('base64url')}`),
    ).toBeUndefined()
    expect(await authenticator.caller(signed(claims, { alg: 'none', kid: 'RS256' }))).toBeUndefined()
  })

  test('does not hold with the key of another, or an unknown one', async () => {
    expect(await authenticator.caller(await sign('PS512', keys.RS256.privateKey, 'PS512'))).toBeUndefined()
    expect(await authenticator.caller(await sign('RS256', keys.RS256.privateKey, 'unknown'))).toBeUndefined()
  })

  test.each([
    ['answers with an error', { status: 500, body: '' }],
    ['answers with something else', { status: 200, body: '<html>' }],
    ['answers with no keys', { status: 200, body: '{}' }],
  ])('is not judged while the provider %s: 503', async (_name, given) => {
    const before = answer
    answer = given
    const other = new Authenticator({ issuer, jwksUrl })
    const text = await sign('RS256', keys.RS256.privateKey, 'RS256')
    await expect(other.caller(text)).rejects.toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
    answer = before
    expect(await other.caller(text)).toMatchObject({ subject: 'olga' })
  })

  test('is not judged while the provider cannot be reached: 503', async () => {
    const other = new Authenticator({ issuer, jwksUrl: 'http://127.0.0.1:1/keys' })
    await expect(other.caller(await sign('RS256', keys.RS256.privateKey, 'RS256'))).rejects.toMatchObject({
      status: 503,
    })
  })
})

test.each([
  ['an empty secret', { issuer, secret: '' }],
  ['neither secret nor keys', { issuer }],
  ['both', { issuer, secret, jwksUrl: 'https://identity.example/keys' }],
  ['no issuer', { issuer: '', secret }],
  ['an address of keys that is none', { issuer, jwksUrl: 'keys' }],
  ['an address of keys in a file', { issuer, jwksUrl: 'file:///etc/passwd' }],
])('refuses to start with %s, and says no secret', (_name, auth) => {
  expect(() => new Authenticator(auth)).toThrow(TypeError)
  expect(() => new Authenticator(auth)).not.toThrow(/xxxxx|secret of tests/)
})

describe('the token of a request', () => {
  test.each([
    [{ authorization: 'Bearer a.b.c' }, 'a.b.c'],
    [{ authorization: 'bEARER   a.b.c ' }, 'a.b.c'],
    [{ 'x-auth-token': 'a.b.c' }, 'a.b.c'],
    [{ authorization: 'Bearer a.b.c', 'x-auth-token': 'a.b.c' }, 'a.b.c'],
    [{ authorization: 'Basic YTpi', 'x-auth-token': 'a.b.c' }, 'a.b.c'],
    [{ authorization: 'Basic YTpi' }, undefined],
    [{ authorization: 'Bearer' }, undefined],
    [{ authorization: 'Bearer a b' }, undefined],
    [{ 'x-auth-token': '' }, undefined],
    [{}, undefined],
  ])('%j: %s', (headers, expected) => {
    expect(tokenOf(headers)).toBe(expected)
  })

  test('is refused when there are two different ones', () => {
    expect(() => tokenOf({ authorization: 'Bearer a', 'x-auth-token': 'b' })).toThrow(
      expect.objectContaining({ status: 400 }),
    )
  })
})
