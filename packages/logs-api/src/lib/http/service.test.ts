import type { IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Validator } from '@seriousme/openapi-schema-validator'
import { startPostgres } from '@hcp/postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { routeAccess } from './access.ts'
import { createLogsService } from './service.ts'
import { startTestService, type TestService } from './service.testing.ts'
import { bearer, options as auth } from './token.testing.ts'

const admin = bearer({ roles: ['admin'] })

test('a service has every route of the table and describes them all', async () => {
  await using running = await startTestService({ database: 'sqlite::memory:' })
  const { app } = running.service
  const routes = Object.keys(routeAccess).map((route) => route.split(' ') as [string, string])
  expect(routes.filter(([method, url]) => !app.hasRoute({ method, url }))).toEqual([])

  const answer = await fetch(`${running.url}/openapi.json`)
  expect(answer.status).toBe(200)
  const description = (await answer.json()) as {
    openapi: string
    paths: Record<string, Record<string, { security: unknown[]; responses: object }>>
    components: { securitySchemes: object }
  }
  expect(description.openapi).toMatch(/^3\.1\./)
  const { valid, errors } = await new Validator().validate(description)
  expect({ valid, errors }).toEqual({ valid: true, errors: undefined })
  expect(Object.keys(description.components.securitySchemes)).toEqual(['bearer', 'authToken'])
  for (const [method, url] of routes) {
    const operation = description.paths[url.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]
    expect(operation, `${method} ${url}`).toBeDefined()
    expect(operation?.responses, `${method} ${url}`).toHaveProperty('default')
    const { roles } = routeAccess[`${method} ${url}`] ?? {}
    expect(operation?.security).toEqual(roles === 'open' ? [] : [{ bearer: [] }, { authToken: [] }])
  }
})

test('the description tells what streams, which bodies may be left out, and that any POST may have a key', async () => {
  await using running = await startTestService({ database: 'sqlite::memory:' })
  interface Described {
    parameters?: { in: string; name: string }[]
    requestBody?: { required: boolean; content: object }
    responses: Record<string, { content?: object }>
  }
  const { paths } = (await (await fetch(`${running.url}/openapi.json`)).json()) as {
    paths: Record<string, { get: Described; post: Described }>
  }
  const exports = '/v1/{project}/physicalservers/{server}/logs/exports'
  const types = (path: string, status = 200) =>
    Object.keys(paths[path]?.get.responses[status]?.content ?? {}).toSorted()
  expect(types('/v2/logs/tail')).toEqual(['text/event-stream'])
  expect(types('/v2/exports/{export_id}/events')).toEqual(['text/event-stream'])
  expect(types(`${exports}/{export_id}/content`)).toEqual(['application/octet-stream'])
  expect(types(`${exports}/{export_id}/content`, 206)).toEqual(['application/octet-stream'])
  const bodies = Object.entries(paths).flatMap(([path, { post }]) =>
    post === undefined
      ? []
      : [[path, Object.keys(post.requestBody?.content ?? {}), post.requestBody?.required]],
  )
  const json = ['application/json']
  expect(Object.fromEntries(bodies.map(([path, ...rest]) => [path, rest]))).toEqual({
    '/logs': [json, true],
    '/datasets/{dataset_id}/logs': [json, true],
    '/v2/logs/bulk': [['application/x-ndjson', 'application/json'], true],
    '/v1/logs': [['application/x-protobuf', 'application/json'], true],
    '/v2/operations': [json, true],
    [exports]: [json, false],
    '/v2/retention/run': [json, false],
  })
  for (const { post } of Object.values(paths)) {
    if (post === undefined) continue
    expect(post.parameters).toContainEqual(
      expect.objectContaining({ in: 'header', name: 'Idempotency-Key', required: false }),
    )
  }
})

test('options that cannot be right are refused before anything is opened', async () => {
  const database = 'sqlite:/nowhere/at/all/logs.db'
  for (const wrong of [{ auth: { issuer: 'x', secret: '' } }, { maxPage: 0 }, { maxPage: 1.5 }]) {
    await expect(createLogsService({ database, auth, ...wrong })).rejects.toThrow(TypeError)
  }
})

describe('metrics', () => {
  test('are on a port of their own, by method, route and status, and hold no ids', async () => {
    await using running = await startTestService({ database: 'sqlite::memory:' })
    for (const path of ['/logs/secret-id-1', '/logs/secret-id-2', '/nowhere/secret-id-3']) {
      await (await fetch(running.url + path, { headers: admin })).text()
    }
    await (await fetch(`${running.url}/logs`)).text()
    const answer = await fetch(running.metricsUrl)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      expect.stringContaining('text/plain'),
    ])
    const text = await answer.text()
    expect(text).toContain(
      'http_request_duration_seconds_count{method="GET",handler="/logs/:log_id",status="404"} 2',
    )
    expect(text).toContain('http_request_duration_seconds_count{method="GET",handler="/logs",status="403"} 1')
    expect(text).toContain('process_cpu_seconds_total')
    expect(text).not.toContain('secret-id')
    expect((await fetch(`${running.url}/metrics`)).status).toBe(404)
    expect((await fetch(running.metricsUrl, { method: 'POST' })).status).toBe(405)
  })
})

describe.each(['sqlite', 'postgres'])('on %s', (dialect) => {
  let postgres: Awaited<ReturnType<typeof startPostgres>> | undefined
  let running: TestService
  let other: TestService
  beforeAll(async () => {
    if (dialect === 'postgres') postgres = await startPostgres()
    const database = (await postgres?.database()) ?? 'sqlite::memory:'
    running = await startTestService({ database })
    // A second process would do the same.
    other = postgres === undefined ? running : await startTestService({ database })
  }, 60_000)
  afterAll(async () => {
    await running?.[Symbol.asyncDispose]()
    await other?.[Symbol.asyncDispose]()
    await postgres?.[Symbol.asyncDispose]()
  })

  async function post(
    path: string,
    body: string | Buffer,
    headers: Record<string, string>,
    service: TestService = running,
  ) {
    const answer = await fetch(service.url + path, {
      method: 'POST',
      headers: { ...admin, ...headers },
      body: new Uint8Array(Buffer.from(body)),
    })
    return {
      status: answer.status,
      headers: answer.headers,
      body: (await answer.json()) as { result?: string },
    }
  }

  test('it is ready while the store is', async () => {
    const answer = await fetch(`${running.url}/readyz`)
    expect([answer.status, await answer.json()]).toEqual([200, {}])
  })

  test('a request that comes again under its key is answered as before, by any process, and done once', async () => {
    const headers = { 'idempotency-key': 'entry-1' }
    const first = await post('/logs', '{"data":"once"}', headers)
    expect([first.status, first.headers.get('idempotency-replayed')]).toEqual([201, null])
    for (const service of [running, other]) {
      const again = await post('/logs', '{"data":"once"}', headers, service)
      expect([again.status, again.body]).toEqual([201, first.body])
      expect(again.headers.get('idempotency-replayed')).toBe('true')
      expect(again.headers.get('content-type')).toBe('application/json; charset=UTF-8')
    }
    const found = await fetch(`${running.url}/logs?keys=data`, { headers: admin })
    expect(Object.keys((await found.json()) as object)).toEqual([first.body.result])

    expect((await post('/logs', '{"data":"twice"}', headers)).status).toBe(422)
    expect((await post('/datasets/d/logs', '{"data":"once"}', headers)).status).toBe(422)
    const stranger = await post('/logs', '{"data":"mine"}', {
      ...headers,
      ...bearer({ sub: 'b', roles: ['system'] }),
    })
    expect(stranger.status).toBe(201)
    expect(stranger.body).not.toEqual(first.body)
  })

  test('a body that is streamed has a key as well', async () => {
    const headers = { 'idempotency-key': 'bulk-1', 'content-type': 'application/x-ndjson' }
    const first = await post(
      '/v2/logs/bulk',
      '{"data":"a","name":"bulk"}\n{"data":"b","name":"bulk"}\n',
      headers,
    )
    expect(first).toMatchObject({ status: 200, body: { accepted: 2 } })
    const again = await post(
      '/v2/logs/bulk',
      '{"data":"a","name":"bulk"}\n{"data":"b","name":"bulk"}\n',
      headers,
      other,
    )
    expect([again.status, again.body, again.headers.get('idempotency-replayed')]).toEqual([
      200,
      first.body,
      'true',
    ])
    expect((await post('/v2/logs/bulk', '{"data":"c"}\n', headers)).status).toBe(422)
    const found = await fetch(`${running.url}/logs?name=bulk`, { headers: admin })
    expect(Object.keys((await found.json()) as object)).toHaveLength(2)
  })

  test('what a dead process has begun is done again, and stored once', async () => {
    const headers = { 'idempotency-key': 'crash-1' }
    const first = await post('/logs', '{"data":"before the crash"}', headers)
    await running.service.context.database.write
      .updateTable('idempotency_keys')
      .set({ status: null, answer: null, headers: null, expires_at: 0 })
      .where('key', '=', 'crash-1')
      .execute()
    const again = await post('/logs', '{"data":"before the crash"}', headers, other)
    expect([again.status, again.body, again.headers.get('idempotency-replayed')]).toEqual([
      201,
      first.body,
      null,
    ])
  })

  test('a request that is still at work is not done beside it: 409, and when to come again', async () => {
    await running.service.context.database.write
      .insertInto('idempotency_keys')
      .values({
        caller: 'somebody',
        key: 'slow-1',
        route: 'POST /logs',
        claimed_at: 1,
        status: null,
        body_hash: null,
        headers: null,
        answer: null,
        holder: 'another process',
        expires_at: (Date.now() + 60_000) * 1000,
      })
      .execute()
    const answer = await post('/logs', '{"data":"x"}', { 'idempotency-key': 'slow-1' })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([409, '1'])
  })

  test('a refusal of the body takes no key, so that the right body may follow', async () => {
    const headers = { 'idempotency-key': 'wrong-1' }
    expect((await post('/logs', '{"data":', headers)).status).toBe(400)
    expect((await post('/logs', '{"data":"right"}', headers)).status).toBe(201)
  })

  test.each(['', 'a b', 'ü', 'x'.repeat(256)])('the key %j is none: 400', async (key) => {
    const answer = await running.service.app.inject({
      method: 'POST',
      url: '/logs',
      headers: { ...admin, 'idempotency-key': key },
      payload: { data: 'x' },
    })
    expect(answer.statusCode).toBe(400)
  })
})

test('a service on a database that has gone says so and works again when it is back', async () => {
  await using postgres = await startPostgres()
  await using running = await startTestService({ database: await postgres.database() })
  const ready = async () => (await fetch(`${running.url}/readyz`)).status
  expect(await ready()).toBe(200)
  await postgres.kill()
  expect(await ready()).toBe(503)
  expect((await fetch(`${running.url}/livez`)).status).toBe(200)
  const refused = await fetch(`${running.url}/logs`, { headers: admin })
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
  await refused.text()
  await postgres.start()
  await expect.poll(ready, { timeout: 30_000 }).toBe(200)
}, 60_000)

describe('a service that closes', () => {
  test('lets requests in work end, takes no more, and closes once', async () => {
    const running = await startTestService({ database: 'sqlite::memory:' })
    const url = new URL(running.url)
    const socket = connect(Number(url.port), url.hostname)
    socket.setEncoding('utf8')
    const body = '{"data":"the last one"}'
    socket.write(
      `POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: ${admin.authorization}\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
    )
    await once(socket, 'data')
    const closing = running.service.close()
    expect(running.service.close()).toBe(closing)
    expect(running.service.context.stopping.aborted).toBe(true)
    socket.write(body)
    let answer = ''
    for await (const piece of socket) answer += piece
    expect(answer).toMatch(/^HTTP\/1\.1 201 Created\r\n/)
    expect(answer).toMatch(/\r\nconnection: close\r\n/i)
    await closing
    await expect(fetch(running.url)).rejects.toThrow()
    await expect(fetch(running.metricsUrl)).rejects.toThrow()
  })

  test('waits for nobody for ever', async () => {
    const running = await startTestService({ database: 'sqlite::memory:' })
    const url = new URL(running.url)
    const socket = connect(Number(url.port), url.hostname)
    socket.on('error', () => {})
    socket.write(
      `POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: ${admin.authorization}\r\nContent-Length: 9\r\n\r\n{`,
    )
    const [request] = (await once(running.service.app.server, 'request')) as [IncomingMessage]
    expect(request.url).toBe('/logs')
    const cut = once(socket, 'close')
    await running.service.close(50)
    await cut
  })
})
