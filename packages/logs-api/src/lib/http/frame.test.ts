import { once } from 'node:events'
import { connect } from 'node:net'
import { brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import type { AddressInfo } from 'node:net'
import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Group, routeAccess } from './access.ts'
import { Authenticator } from './authenticate.ts'
import type { Caller } from './context.ts'
import type { FrameOptions } from './frame.ts'
import { groupOf } from './groups.ts'
import { Refusal } from './refusal.ts'
import { testApp, type TestApp } from './service.testing.ts'
import { bearer, issuer, token } from './token.testing.ts'

/** Every route of the table that the frame does not bring itself; each answers what `answer` says. */
function allRoutes(answer: (request: { body: unknown; caller: Caller }) => unknown = () => ({})) {
  return (): FastifyPluginAsync => async (app) => {
    for (const [route, { group }] of Object.entries(routeAccess)) {
      const [method = '', url = ''] = route.split(' ')
      if (group !== 'open') app.route({ method, url, handler: async (request) => answer(request) })
    }
  }
}

const rights = {
  check: async (caller: Caller, dataset: string, right: string) => {
    if (caller.groups.includes(`${right} ${dataset}`)) return
    throw new Refusal(403, 'attr not found')
  },
} as never

function framed(
  answer?: Parameters<typeof allRoutes>[0],
  options: Partial<FrameOptions> = {},
): Promise<TestApp> {
  return testApp([allRoutes(answer)], { rights }, options)
}

const pathOfGroup: Readonly<Record<Exclude<Group, 'open'>, string>> = {
  entries: '/logs',
  operations: '/v1/p/operation_logs',
  exports: '/v1/p/physicalservers/s/logs/exports',
  otlp: '/v1/logs',
  v2: '/v2/operations',
}
const problem = (status: number, title: string, detail: unknown = expect.any(String)) => ({
  type: 'about:blank',
  title,
  status,
  detail,
})

describe('the routes', () => {
  test('that are not in the table cannot be added', async () => {
    const plugin = (): FastifyPluginAsync => async (app) => {
      app.get('/v2/secret', async () => ({}))
    }
    await expect(testApp([plugin])).rejects.toThrow(/GET \/v2\/secret/)
  })

  test.each(Object.entries(routeAccess))('%s is open to those of the table alone', async (route, access) => {
    await using frame = await framed()
    const [method = '', pattern = ''] = route.split(' ')
    const url = pattern.replace(/:\w+/g, 'x')
    expect(groupOf(url)).toBe(access.group)
    const asked = async (headers: Record<string, string>): Promise<number> => {
      const { statusCode } = await frame.app.inject({ method: method as 'GET', url, headers })
      return statusCode
    }
    if (access.roles === 'open') return expect(await asked({})).toBe(200)
    expect(await asked({})).toBe(access.group === 'entries' ? 403 : 401)
    expect(await asked(bearer())).toBe(403)
    for (const role of ['admin', 'system', 'user'] as const) {
      const may = access.roles === 'any' || access.roles.includes(role)
      const groups = [`${access.right} x`]
      expect([role, await asked(bearer({ roles: [role], groups }))]).toEqual([role, may ? 200 : 403])
      // Without the right to the dataset.
      const alone = may && (access.right === undefined || role === 'admin')
      expect([role, await asked(bearer({ roles: [role] }))]).toEqual([role, alone ? 200 : 403])
    }
    return undefined
  })

  test('of datasets are open to the role system when the service says so, whatever the rights', async () => {
    await using frame = await framed(undefined, { systemOnDatasets: true })
    const ask = (role: string, url: string) =>
      frame.app.inject({ method: 'DELETE', url, headers: bearer({ roles: [role] }) })
    expect((await ask('system', '/datasets/d/logs')).statusCode).toBe(200)
    expect((await ask('user', '/datasets/d/logs')).statusCode).toBe(403)
    expect((await ask('system', '/v2/datasets/d/rights')).statusCode).toBe(403)
  })
})

describe('without a token that holds', () => {
  let frame: TestApp
  beforeAll(async () => {
    frame = await framed()
  })
  afterAll(() => frame.app.close())

  const keystone = {
    error: {
      code: 401,
      title: 'Unauthorized',
      message: 'The request you have made requires authentication.',
    },
  }
  const expected: Record<keyof typeof pathOfGroup, [number, unknown]> = {
    entries: [403, { code: 403, error: 'authentication failed' }],
    operations: [401, keystone],
    exports: [401, { error_code: 'iMetal.0003', error_msg: 'Unauthorized' }],
    otlp: [401, { message: expect.any(String) }],
    v2: [401, problem(401, 'Unauthorized')],
  }
  const groups = Object.keys(pathOfGroup) as (keyof typeof pathOfGroup)[]

  test.each(groups)('%s refuses in its own shape', async (group) => {
    const method = group === 'otlp' ? 'POST' : 'GET'
    for (const headers of [
      {},
      { authorization: `Bearer ${token({ expires: 1000 })}` },
      { 'x-auth-token': 'x' },
    ]) {
      const answer = await frame.app.inject({ method, url: pathOfGroup[group], headers })
      expect([answer.statusCode, answer.json()]).toEqual(expected[group])
      expect(answer.headers['www-authenticate']).toEqual(
        group === 'entries' ? undefined : expect.stringMatching(/^Bearer realm=/),
      )
      expect(answer.headers['x-request-id']).toMatch(/^req-[0-9a-f-]{36}$/)
    }
  })

  test.each(groups)('%s takes the token in either header, but no two different ones', async (group) => {
    const method = group === 'otlp' ? 'POST' : 'GET'
    const ask = (headers: Record<string, string>) =>
      frame.app.inject({ method, url: pathOfGroup[group], headers })
    const one = token({ roles: ['admin'] })
    expect((await ask({ 'x-auth-token': one })).statusCode).toBe(200)
    expect((await ask({ authorization: `bearer ${one}` })).statusCode).toBe(200)
    expect((await ask({ authorization: `bearer ${one}`, 'x-auth-token': one })).statusCode).toBe(200)
    const answer = await ask({ ...bearer({ roles: ['admin'], sub: 'other' }), 'x-auth-token': one })
    expect(answer.statusCode).toBe(400)
    const text = expect.stringContaining('different tokens')
    expect(answer.json()).toEqual(
      {
        entries: { code: 400, error: text },
        operations: { badRequest: { code: 400, message: text } },
        exports: { error_code: 'iMetal.0001', error_msg: text },
        otlp: { message: text },
        v2: problem(400, 'Bad Request', text),
      }[group],
    )
  })

  test.each([
    ['/logs', { code: 403, error: 'authorization failed' }],
    [
      '/v1/p/operation_logs',
      { forbidden: { code: 403, message: "Policy doesn't allow operation_log:list to be performed." } },
    ],
    [
      '/v1/p/operation_logs/x',
      { forbidden: { code: 403, message: "Policy doesn't allow operation_log:get to be performed." } },
    ],
    [
      '/v1/p/physicalservers/s/logs/exports',
      { error_code: 'iMetal.0004', error_msg: 'Insufficient permissions' },
    ],
    ['/v2/logs', problem(403, 'Forbidden')],
  ])('of a needed role %s refuses in its own shape', async (url, body) => {
    const answer = await frame.app.inject({ url, headers: bearer() })
    expect([answer.statusCode, answer.json()]).toEqual([403, body])
  })

  test('OTLP in protobuf is refused in protobuf', async () => {
    const answer = await frame.app.inject({
      method: 'POST',
      url: '/v1/logs',
      headers: { 'content-type': 'application/x-protobuf' },
    })
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([401, 'application/x-protobuf'])
    const [field, length] = answer.rawPayload
    expect([field, length]).toEqual([0x12, answer.rawPayload.length - 2])
    expect(answer.rawPayload.subarray(2).toString()).toContain('Send a token')
  })

  test('nothing is known while the keys of the provider cannot be fetched: 503, and when to come again', async () => {
    const authenticator = new Authenticator({ issuer, jwksUrl: 'http://127.0.0.1:1/keys' })
    await using other = await framed(undefined, { authenticator })
    const head = Buffer.from('{"alg":"RS256"}').toString('base64url')
    const answer = await other.app.inject({ url: '/logs', headers: { 'x-auth-token': `${head}.e30.AAAA` } })
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '5'])
    expect(answer.json()).toEqual({ code: 503, error: expect.stringContaining('identity provider') })
  })
})

describe('paths and methods', () => {
  let frame: TestApp
  beforeAll(async () => {
    frame = await framed()
  })
  afterAll(() => frame.app.close())
  const ask = (method: string, url: string) => frame.app.inject({ method: method as 'GET', url })
  const itemNotFound = { itemNotFound: { code: 404, message: 'The resource could not be found.' } }

  test.each([
    ['GET', '/logs/', 404, { code: 404, error: 'Not Found' }],
    ['GET', '/logs/a%20b', 404, { code: 404, error: 'Not Found' }],
    ['GET', '/logs/a%2Fb', 404, { code: 404, error: 'Not Found' }],
    ['GET', '/logs/a%00b', 404, { code: 404, error: 'Not Found' }],
    ['PUT', '/logs/a%20b', 404, { code: 404, error: 'Not Found' }],
    ['GET', '/logs/a/b', 404, { code: 404, error: 'Not Found' }],
    ['GET', '/datasets', 404, { code: 404, error: 'Not Found' }],
    ['GET', '/datasets/d-1.x/task/t/logs', 404, { code: 404, error: 'Not Found' }],
    ['PUT', '/logs', 405, { code: 405, error: 'Method Not Allowed' }],
    ['HEAD', '/logs', 405, undefined],
    ['OPTIONS', '/logs', 405, { code: 405, error: 'Method Not Allowed' }],
    ['PROPFIND', '/logs', 405, { code: 405, error: 'Method Not Allowed' }],
    ['PATCH', '/logs/x', 405, { code: 405, error: 'Method Not Allowed' }],
    ['GET', '/datasets/d/logs', 405, { code: 405, error: 'Method Not Allowed' }],
    ['GET', '/datasets/logs/logs/x', 403, { code: 403, error: 'authentication failed' }],
    ['POST', '/v1/p/operation_logs', 404, itemNotFound],
    ['DELETE', '/v1/p/operation_logs/x', 404, itemNotFound],
    ['PUT', '/v1/p/operation_logs.json', 404, itemNotFound],
    ['GET', '/v1/p/operation_logs/x/y', 404, itemNotFound],
    [
      'GET',
      '/v1/p/physicalservers/s/logs',
      404,
      { error_code: 'HcpLogs.0404', error_msg: expect.any(String) },
    ],
    [
      'PUT',
      '/v1/p/physicalservers/s/logs/exports',
      405,
      { error_code: 'HcpLogs.0405', error_msg: expect.any(String) },
    ],
    ['GET', '/v1/logs', 405, { message: expect.any(String) }],
    ['PATCH', '/v2/logs', 405, problem(405, 'Method Not Allowed')],
    ['GET', '/v2/nothing', 404, problem(404, 'Not Found')],
    ['GET', '/v1/p/unknown', 404, problem(404, 'Not Found')],
    ['GET', '/', 404, problem(404, 'Not Found')],
    ['POST', '/healthz', 405, problem(405, 'Method Not Allowed')],
    ['GET', '/logs/%zz', 400, { code: 400, error: expect.any(String) }],
    ['GET', '/v1/p/operation_logs/%ff', 400, { badRequest: { code: 400, message: expect.any(String) } }],
    [
      'GET',
      '/v1/p/physicalservers/%c3/logs/exports',
      400,
      { error_code: 'iMetal.0001', error_msg: expect.any(String) },
    ],
    ['GET', '/v2/operations/%', 400, problem(400, 'Bad Request')],
    ['GET', `/logs/${'x'.repeat(17_000)}`, 414, { code: 414, error: expect.any(String) }],
    ['GET', `/logs?name=${'x'.repeat(17_000)}`, 414, { code: 414, error: expect.any(String) }],
    [
      'GET',
      `/v1/p/operation_logs?x=${'x'.repeat(17_000)}`,
      414,
      { badRequest: { code: 414, message: expect.any(String) } },
    ],
    ['GET', '/v2/logs?q=a%00', 400, problem(400, 'Bad Request')],
  ] as const)('%s %s: %i', async (method, url, status, body) => {
    const answer = await ask(method, url)
    expect(answer.statusCode).toBe(status)
    if (body !== undefined) expect(answer.json()).toEqual(body)
    expect(answer.headers['x-request-id']).toMatch(/^req-/)
  })

  test('a wrong method is told the right ones', async () => {
    const allowed = async (url: string) => (await ask('PUT', url)).headers['allow']
    expect(await allowed('/logs')).toBe('GET, POST')
    expect(await allowed('/logs/x')).toBe('GET, DELETE')
    expect(await allowed('/datasets/d/logs')).toBe('POST, DELETE')
    expect(await allowed('/v1/p/physicalservers/s/logs/exports/e/content')).toBe('GET')
    expect(await allowed('/v1/p/operation_logs')).toBeUndefined()
  })

  test('of operation logs may end in .json', async () => {
    for (const url of ['/v1/p/operation_logs.json', '/v1/p/operation_logs/x.json?limit=1']) {
      const answer = await frame.app.inject({ url, headers: bearer({ roles: ['user'] }) })
      expect(answer.statusCode).toBe(200)
    }
  })
})

describe('headers', () => {
  test('are those of each group, on errors too; answers of entries name what is wrong in the reason phrase', async () => {
    let failure: Error | undefined
    await using frame = await framed(() => {
      if (failure !== undefined) throw failure
      return {}
    })
    const ask = (url: string) => frame.app.inject({ url, headers: bearer({ roles: ['admin'] }) })
    for (const thrown of [undefined, new Refusal(404, 'Log not found')]) {
      failure = thrown
      const entries = await ask('/logs/x')
      expect(entries.statusMessage).toBe(thrown === undefined ? 'OK' : 'Log not found')
      expect(entries.headers).toMatchObject({
        'content-type': 'application/json; charset=UTF-8',
        'cache-control': 'no-store, no-cache, must-revalidate, max-age=0',
        pragma: 'no-cache',
        expires: '0',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none';",
        'x-content-type-options': 'nosniff',
      })
      const operations = await ask('/v1/p/operation_logs')
      expect(operations.headers['x-compute-request-id']).toMatch(/^req-[0-9a-f-]{36}$/)
      expect(operations.headers['x-openstack-request-id']).toBe(operations.headers['x-compute-request-id'])
      expect((await ask('/v2/logs')).headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none';",
      })
    }
    failure = new Refusal(400, 'falsch: \u{1f600}\r\nX-Evil: 1')
    const answer = await ask('/logs/x')
    expect([answer.statusMessage, answer.json()]).toEqual([
      'Bad Request',
      { code: 400, error: failure.message },
    ])
  })
})

describe('errors', () => {
  test.each([
    ['/logs', { code: 500, error: 'Internal Server Error' }],
    ['/v1/p/operation_logs', { computeFault: { code: 500, message: 'Internal Server Error' } }],
    [
      '/v1/p/physicalservers/s/logs/exports',
      { error_code: 'iMetal.0099', error_msg: 'Internal server error' },
    ],
    ['/v2/logs', problem(500, 'Internal Server Error', 'Internal Server Error')],
  ])('that nobody expected tell nothing at %s, and are logged without the token', async (url, body) => {
    const logged: object[] = []
    const log = { info: () => {}, warn: () => {}, error: (facts: object) => logged.push(facts) }
    await using frame = await testApp(
      [
        allRoutes(() => {
          throw new Error('inner secret')
        }),
      ],
      { log },
    )
    const headers = bearer({ roles: ['admin'] })
    const answer = await frame.app.inject({ url, headers })
    expect([answer.statusCode, answer.json()]).toEqual([500, body])
    expect(logged).toEqual([
      {
        requestId: answer.headers['x-request-id'],
        method: 'GET',
        route: expect.any(String),
        error: expect.objectContaining({ message: 'inner secret' }),
      },
    ])
    expect(JSON.stringify(logged)).not.toContain(headers.authorization.slice(7))
  })

  test('of a store that cannot be reached are 503, and when to come again', async () => {
    await using frame = await framed(() => {
      throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    })
    const answer = await frame.app.inject({ url: '/logs', headers: bearer({ roles: ['admin'] }) })
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '5'])
    expect(answer.json()).toEqual({ code: 503, error: expect.stringContaining('store') })
  })

  test('of exports have their code, and say which parameters were wrong', async () => {
    let failure = new Refusal(400, 'start_date')
    await using frame = await framed(() => {
      throw failure
    })
    const ask = async () =>
      (
        await frame.app.inject({
          url: '/v1/p/physicalservers/s/logs/exports',
          headers: bearer({ roles: ['admin'] }),
        })
      ).json<object>()
    expect(await ask()).toEqual({
      error_code: 'iMetal.0001',
      error_msg: 'A request parameter contains invalid or unsupported value: start_date',
    })
    failure = new Refusal(409, 'too early', { code: 'HcpLogs.0411' })
    expect(await ask()).toEqual({ error_code: 'HcpLogs.0411', error_msg: 'too early' })
  })

  test('of zod tell the first thing that is wrong', async () => {
    const plugin = (): FastifyPluginAsync => async (plain) => {
      plain.withTypeProvider<ZodTypeProvider>().route({
        method: 'POST',
        url: '/v2/operations',
        schema: { body: z.object({ a: z.string('a is missing'), b: z.string('b is missing') }) },
        handler: async () => ({}),
      })
    }
    await using frame = await testApp([plugin])
    const headers = bearer({ roles: ['admin'] })
    const answer = await frame.app.inject({ method: 'POST', url: '/v2/operations', headers, payload: {} })
    expect([answer.statusCode, answer.json()]).toEqual([400, problem(400, 'Bad Request', 'a is missing')])
  })
})

describe('bodies', () => {
  let frame: TestApp
  const seen: unknown[] = []
  beforeAll(async () => {
    frame = await framed(({ body }) => {
      seen.push(body)
      return { body: body ?? null }
    })
  })
  afterAll(() => frame.app.close())
  const post = (options: InjectOptions) =>
    frame.app.inject({
      method: 'POST',
      url: '/logs',
      ...options,
      headers: { ...bearer({ roles: ['admin'] }), ...options.headers },
    })

  test.each([
    ['application/json'],
    ['text/plain'],
    ['application/x-www-form-urlencoded'],
    ['multipart/form-data; boundary=x'],
    ['nonsense'],
    [';;'],
    [undefined],
  ])('are JSON, also when the content type says %s', async (type) => {
    const headers = type === undefined ? {} : { 'content-type': type }
    const answer = await post({ payload: Buffer.from('{"data":"ü"}'), headers })
    expect([answer.statusCode, answer.json()]).toEqual([200, { body: { data: 'ü' } }])
  })

  test('come with GET too; there need be none', async () => {
    expect((await post({ method: 'GET', payload: '{"name":"x"}' })).json()).toEqual({ body: { name: 'x' } })
    expect((await post({ method: 'GET' })).json()).toEqual({ body: null })
    expect((await post({ headers: { 'content-type': 'application/json' } })).json()).toEqual({ body: null })
  })

  test('are held to what is nested and how much there is before they are read', async () => {
    const depth = async (payload: string): Promise<string> => (await post({ payload })).json().error
    expect(await depth('['.repeat(201))).toBe('The body is nested deeper than 200 levels.')
    expect(await depth('['.repeat(200))).toBe('The body is not JSON in UTF-8.')
    expect(await depth(`[${'{},'.repeat(600_000)}0]`)).toBe('The body holds more than 1000000 values.')
    const brackets = '[{'.repeat(300)
    const texts = { [`${brackets}\\"${brackets}`]: [`\\\\"${brackets}`, `${brackets}\\`] }
    expect((await post({ payload: JSON.stringify(texts) })).json()).toEqual({ body: texts })
  })

  test('of those who need no token are not read at all', async () => {
    const headers = { authorization: '' }
    for (const url of ['/healthz', '/livez', '/readyz', '/openapi.json']) {
      const answer = await post({ method: 'GET', url, payload: '{}', headers })
      expect([answer.statusCode, answer.json()]).toEqual([413, problem(413, 'Payload Too Large')])
    }
  })

  test('cannot change what objects are', async () => {
    await post({ payload: '{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}' })
    expect('admin' in {}).toBe(false)
    expect(Object.getPrototypeOf(seen.at(-1))).toBe(Object.prototype)
  })

  test.each([
    ['no JSON', '{"data":', {}, 400],
    ['a word', 'data', {}, 400],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), {}, 400],
    ['UTF-8 of a surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), {}, 400],
    ['too deep', '['.repeat(100_000) + ']'.repeat(100_000), {}, 400],
    ['a little too deep', `${'{"a":'.repeat(201)}0${'}'.repeat(201)}`, {}, 400],
    ['packed', gzipSync('{}'), { 'content-encoding': 'gzip' }, 415],
    ['more than 64 MiB', Buffer.alloc(64 * 1024 * 1024 + 1, 0x20), {}, 413],
  ])('are refused: %s', async (_name, payload, headers, status) => {
    const answer = await post({ payload, headers })
    expect([answer.statusCode, answer.json()]).toEqual([status, { code: status, error: expect.any(String) }])
  })
})

describe('answers', () => {
  const long = { text: 'a line of a log\n'.repeat(1000) }

  test.each([
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
    ['zstd', zstdDecompressSync],
  ] as const)('are packed by %s when they are long', async (encoding, unpack) => {
    await using frame = await framed(() => long)
    const headers = { ...bearer({ roles: ['admin'] }), 'accept-encoding': encoding }
    const answer = await frame.app.inject({ url: '/v2/logs', headers })
    expect(answer.headers).toMatchObject({ 'content-encoding': encoding, vary: 'accept-encoding' })
    expect(JSON.parse(unpack(answer.rawPayload).toString())).toEqual(long)
  })

  test.each([
    ['DELETE', '/datasets/d/logs'],
    ['GET', '/v1/p/physicalservers/s/logs/exports/e/content'],
    ['GET', '/v2/logs/tail'],
    ['GET', '/v2/exports/e/events'],
  ] as const)('of %s %s are not packed', async (method, url) => {
    await using frame = await framed(() => long)
    const headers = { ...bearer({ roles: ['admin'] }), 'accept-encoding': 'gzip' }
    const answer = await frame.app.inject({ method, url, headers })
    expect(answer.headers['content-encoding']).toBeUndefined()
    expect(answer.json()).toEqual(long)
  })
})

describe('limits', () => {
  test('count per subject, else per address, in the shape of the group', async () => {
    await using frame = await framed(undefined, { rateLimit: { max: 2, windowSeconds: 60 } })
    const ask = (url: string, headers = {}, remoteAddress = '10.0.0.1') =>
      frame.app.inject({ url, headers, remoteAddress })
    const admin = bearer({ sub: 'a', roles: ['admin'] })
    const first = await ask('/logs', admin)
    expect(first.headers).toMatchObject({ 'ratelimit-limit': '2', 'ratelimit-remaining': '1' })
    // Another token of the same subject, from elsewhere.
    await ask('/logs', bearer({ sub: 'a', roles: ['admin'], user: 'x' }), '10.0.0.2')
    const bodies = {
      '/logs': { code: 429, error: 'too many requests' },
      '/v1/p/operation_logs': { overLimit: { code: 429, message: expect.any(String) } },
      '/v1/p/physicalservers/s/logs/exports': { error_code: 'iMetal.0005', error_msg: 'Too many requests' },
      '/v2/logs': problem(429, 'Too Many Requests'),
    }
    for (const [url, body] of Object.entries(bodies)) {
      const answer = await ask(url, admin)
      expect([answer.statusCode, answer.json()]).toEqual([429, body])
      expect(answer.headers['retry-after']).toMatch(/^\d+$/)
      expect(answer.headers).toMatchObject({ 'ratelimit-limit': '2', 'ratelimit-remaining': '0' })
    }
    expect((await ask('/logs', bearer({ sub: 'b', roles: ['admin'] }))).statusCode).toBe(200)
    // Tokens that do not hold count by address, and so do none.
    expect((await ask('/logs')).statusCode).toBe(403)
    expect((await ask('/v2/logs', { 'x-auth-token': 'x' })).statusCode).toBe(401)
    expect((await ask('/logs')).statusCode).toBe(429)
    expect((await ask('/logs', {}, '10.0.0.9')).statusCode).toBe(403)
    expect((await ask('/healthz')).statusCode).toBe(200)
  })

  test('turn requests away when too many are in work, but not the questions for health', async () => {
    let release = () => {}
    const gate = new Promise<void>((resolve) => (release = resolve))
    await using frame = await framed(() => gate, { maxConcurrent: 2 })
    const headers = bearer({ roles: ['admin'] })
    const ask = (url: string) => frame.app.inject({ url, headers })
    const slow = [ask('/logs'), ask('/v2/logs')]
    await new Promise((resolve) => setImmediate(resolve))
    const refused = await ask('/logs')
    expect([refused.statusCode, refused.headers['retry-after'], refused.json()]).toEqual([
      503,
      '1',
      { code: 503, error: 'server overloaded' },
    ])
    expect((await ask('/healthz')).statusCode).toBe(200)
    release()
    await Promise.all(slow)
    expect((await ask('/logs')).statusCode).toBe(200)
  })
})

describe('on a socket', () => {
  async function listening(frame: TestApp): Promise<number> {
    await frame.app.listen({ port: 0, host: '127.0.0.1' })
    return (frame.app.server.address() as AddressInfo).port
  }
  async function talk(port: number, text: string): Promise<string> {
    const socket = connect(port, '127.0.0.1')
    socket.setEncoding('utf8')
    socket.write(text)
    let answer = ''
    for await (const piece of socket) answer += piece
    return answer
  }

  test('a body is not asked for before the caller is known', async () => {
    await using frame = await framed(({ body }) => ({ body }))
    const port = await listening(frame)
    const head = (auth: string) =>
      `POST /logs HTTP/1.1\r\nHost: x\r\n${auth}Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n`
    expect(await talk(port, head(''))).toMatch(/^HTTP\/1\.1 403 authentication failed\r\n/)
    const socket = connect(port, '127.0.0.1')
    socket.setEncoding('utf8')
    socket.write(head(`Authorization: Bearer ${token({ roles: ['admin'] })}\r\n`))
    const [continued] = (await once(socket, 'data')) as [string]
    expect(continued).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('{}')
    let answer = ''
    for await (const piece of socket) answer += piece
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\{"body":\{\}\}$/)
  })

  test.each(['/logs/..', '/logs/%2e%2E', '/datasets/%2e/logs/x'])('%s leads nowhere', async (path) => {
    await using frame = await framed()
    const request = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
    const answer = await talk(await listening(frame), request)
    expect(answer).toMatch(/^HTTP\/1\.1 404 [^]*\{"code":404,"error":"Not Found"\}$/)
  })

  test.each([
    ['http://x/logs', 403, '{"code":403,"error":"authentication failed"}'],
    ['HTTP://x:80/v1/p/operation_logs.json?limit=1', 401, '"title":"Unauthorized"'],
    ['/%6cogs', 403, '{"code":403,"error":"authentication failed"}'],
    ['/%6cogs/a%20b', 404, '{"code":404,"error":"Not Found"}'],
    ['*', 404, '"type":"about:blank"'],
    ['//logs', 404, '"type":"about:blank"'],
  ])('%s is what it means, however it is written', async (url, status, body) => {
    await using frame = await framed()
    const request = `GET ${url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
    const answer = await talk(await listening(frame), request)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer).toContain(body)
  })

  test.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['a head that is too large', `GET /logs HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, 431],
    [
      'two lengths',
      'POST /logs HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
  ])('%s is refused', async (_name, text, status) => {
    await using frame = await framed()
    const answer = await talk(await listening(frame), text)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toEqual(
      problem(status, expect.any(String) as never),
    )
  })

  test('addresses are those of the last proxy that is trusted', async () => {
    const plugin = (): FastifyPluginAsync => async (app) => {
      app.get('/v2/logs', async ({ ip, host, protocol }) => ({ ip, host, protocol }))
    }
    const headers = {
      ...bearer({ roles: ['admin'] }),
      'x-forwarded-for': '1.2.3.4, 5.6.7.8',
      'x-forwarded-host': 'logs.example',
      'x-forwarded-proto': 'https',
    }
    for (const [trustProxy, expected] of [
      [['loopback'], { ip: '5.6.7.8', host: 'logs.example', protocol: 'https' }],
      [undefined, { ip: '127.0.0.1', host: expect.stringMatching(/^127/), protocol: 'http' }],
    ] as const) {
      await using frame = await testApp([plugin], {}, trustProxy === undefined ? {} : { trustProxy })
      const url = `http://127.0.0.1:${await listening(frame)}/v2/logs`
      expect(await (await fetch(url, { headers })).json()).toEqual(expected)
    }
  })
})
