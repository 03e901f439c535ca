import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { ServiceContext } from '../http/context.ts'
import { testApp } from '../http/service.testing.ts'
import { bearer } from '../http/token.testing.ts'
import type { Database } from '../store/database.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import { OperationStore } from './operation-store.ts'
import { operationRoutes } from './routes.ts'
import type { WireOperation } from './wire-operation.ts'

interface List {
  operation_logs: WireOperation[]
  operation_logs_links?: { rel: string; href: string }[]
}

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

const user = bearer({ roles: ['user'], project_id: 'p-one' })
const admin = bearer({ roles: ['admin'], project_id: 'p-one' })
const noon = Date.UTC(2026, 4, 1, 12) * 1000
const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

describe.each(dialects)('on %s', (dialect) => {
  let database: Database
  let store: OperationStore
  let context: Partial<ServiceContext>
  let app: FastifyInstance

  beforeAll(async () => {
    database = await stores.open(dialect)
    store = new OperationStore(database)
    context = { database, operations: store, maxPage: 5 }
    app = (await testApp([operationRoutes], context)).app
    // Seven logs of the project, one each second; odd ones still run, and every third has a plan.
    for (let n = 1; n <= 7; n++) {
      await store.add({
        id: uuid(n),
        project_id: 'p-one',
        operation_type: n === 7 ? 'failover' : 'suspend',
        plan_id: n % 3 === 0 ? 'plan' : null,
        status: n % 2 === 0 ? 'success' : 'in_progress',
        started_at: noon + n * 1_000_000,
        ended_at: n % 2 === 0 ? noon + (10 - n) * 1_000_000 + 1 : null,
        extra_info: n === 1 ? '{"link": "berlin"}' : null,
        created_at: noon + n * 1_000_000,
      })
    }
    await store.add({
      id: uuid(8),
      project_id: 'p-one',
      operation_type: 'x',
      status: '5',
      started_at: noon + 60_000_000,
      created_at: 1,
    })
    await store.add({ id: uuid(9), project_id: 'p-two', operation_type: 'x', created_at: noon + 3_500_000 })
  })
  afterAll(async () => {
    await app.close()
    await database.close()
  })

  const get = async (
    path: string,
    headers: Record<string, string> = user,
    on: FastifyInstance = app,
  ): Promise<{ status: number; body: unknown }> => {
    const answer = await on.inject({ url: path, headers })
    return { status: answer.statusCode, body: answer.json() }
  }
  const list = async (query: string, headers = user, project = 'p-one'): Promise<List> => {
    const { status, body } = await get(`/v1/${project}/operation_logs${query}`, headers)
    expect({ status, body: status === 200 ? undefined : body }).toEqual({ status: 200, body: undefined })
    return body as List
  }
  const numbers = async (query: string, headers = user): Promise<number[]> =>
    (await list(query, headers)).operation_logs.map(({ id }) => Number(id.slice(-4)))

  test('a log is shown with all its fields, times without zone and extra_info as it is stored', async () => {
    expect(await get(`/v1/p-one/operation_logs/${uuid(2)}`)).toEqual({
      status: 200,
      body: {
        operation_log: {
          id: uuid(2),
          project_id: 'p-one',
          operation_type: 'suspend',
          checkpoint_id: null,
          plan_id: null,
          provider_id: null,
          restore_id: null,
          scheduled_operation_id: null,
          status: 'success',
          started_at: '2026-05-01T12:00:02.000000',
          ended_at: '2026-05-01T12:00:08.000001',
          error_info: null,
          extra_info: null,
        },
      },
    })
    const { body } = await get(`/v1/p-one/operation_logs/${uuid(1)}.json`)
    expect(body).toMatchObject({ operation_log: { id: uuid(1), extra_info: '{"link": "berlin"}' } })
  })

  test.each([
    ['that does not exist', uuid(77), 404, `Operation log ${uuid(77)} could not be found.`],
    ['of another project', uuid(9), 404, `Operation log ${uuid(9)} could not be found.`],
    ['in capitals', 'AAAAAAAA-0000-4000-8000-00000000000A', 404, undefined],
    ['without dashes', uuid(1).replaceAll('-', ''), 404, undefined],
    ['in braces', `%7B${uuid(1)}%7D`, 404, undefined],
    ['with a prefix', `urn:uuid:${uuid(1)}`, 404, undefined],
    ['that is no UUID', 'one', 400, 'Invalid operation log id provided.'],
    ['that is too short', uuid(1).slice(1), 400, 'Invalid operation log id provided.'],
  ])('an id %s', async (_, id, status, message) => {
    const expected = message ?? `Operation log ${decodeURIComponent(id)} could not be found.`
    const fault = status === 404 ? 'itemNotFound' : 'badRequest'
    const answer = { status, body: { [fault]: { code: status, message: expected } } }
    expect(await get(`/v1/p-one/operation_logs/${id}`)).toEqual(answer)
    expect(await get(`/v1/p-one/operation_logs/${id}`, admin)).toEqual(answer)
  })

  test.each([
    ['a user of another project', bearer({ roles: ['user'], project_id: 'p-two' })],
    ['an admin of another project', bearer({ roles: ['admin'], project_id: 'p-two' })],
    ['an admin without project', bearer({ roles: ['admin'] })],
  ])('the project in the path must be that of the token: %s', async (_, headers) => {
    const refusal = { status: 400, body: { badRequest: { code: 400, message: 'Malformed request url' } } }
    expect(await get('/v1/p-one/operation_logs', headers)).toEqual(refusal)
    expect(await get(`/v1/p-one/operation_logs/${uuid(1)}`, headers)).toEqual(refusal)
  })

  test.each([
    ['list', '/v1/p-one/operation_logs'],
    ['get', `/v1/p-one/operation_logs/${uuid(1)}`],
  ])('without a role the policy forbids to %s', async (action, path) => {
    const message = `Policy doesn't allow operation_log:${action} to be performed.`
    const body = { forbidden: { code: 403, message } }
    expect(await get(path, bearer({ project_id: 'p-one' }))).toEqual({ status: 403, body })
    expect((await get(path, {})).status).toBe(401)
  })

  test.each([
    ['', [7, 6, 5, 4, 3]],
    ['.json', [7, 6, 5, 4, 3]],
    ['?limit=2', [7, 6]],
    ['?limit=%2B2', [7, 6]],
    ['?limit=1&limit=3', [7, 6, 5]],
    ['?limit=1000', [7, 6, 5, 4, 3]],
    ['?limit=99999999999999999999', [7, 6, 5, 4, 3]],
    [`?marker=${uuid(3)}`, [2, 1, 8]],
    [`?marker=${uuid(3)}&offset=1`, [1, 8]],
    [`?marker=${uuid(9)}`, [3, 2, 1, 8]],
    [`?marker=${uuid(3)}&status=success`, [2]],
    ['?offset=6', [1, 8]],
    ['?offset=2147483647', []],
    ['?sort=created_at:asc', [8, 1, 2, 3, 4]],
    ['?sort=%20created_at%20:%20asc%20', [8, 1, 2, 3, 4]],
    ['?sort=created_at', [7, 6, 5, 4, 3]],
    ['?sort=created_at:', [7, 6, 5, 4, 3]],
    ['?sort=status:asc,created_at:desc', [8, 7, 5, 3, 1]],
    ['?sort=operation_type,started_at:asc', [8, 1, 2, 3, 4]],
    ['?sort=ended_at:desc', [2, 4, 6, 7, 5]],
    ['?sort=ended_at:asc', [6, 4, 2, 8, 1]],
    ['?sort=updated_at:asc', [8, 1, 2, 3, 4]],
    ['?sort_key=started_at', [8, 7, 6, 5, 4]],
    ['?sort_key=id&sort_dir=asc', [1, 2, 3, 4, 5]],
    ['?sort_dir=asc', [8, 1, 2, 3, 4]],
    ['?status=success', [6, 4, 2]],
    ['?status=5', [8]],
    ['?status=None', []],
    ['?status=%27success%27', []],
    ['?status=', []],
    ['?plan_id=plan&status=success', [6]],
    ['?checkpoint_id=c', []],
    ['?restore_id=r', []],
    ['?operation_type=failover', [7, 6, 5, 4, 3]],
    ['?nonsense=1', [7, 6, 5, 4, 3]],
    ['?all_tenants=true', [7, 6, 5, 4, 3]],
    ['?all_tenants=perhaps', [7, 6, 5, 4, 3]],
    ['?project_id=p-two', [7, 6, 5, 4, 3]],
  ])('a user lists %s', async (query, expected) => {
    expect(await numbers(query)).toEqual(expected)
  })

  test.each([
    ['?operation_type=failover', [7]],
    [`?id=${uuid(4)}`, [4]],
    ['?started_at=2026-05-01T12:00:03.000000', [3]],
    ['?started_at=2026-05-01T14:00:03%2B02:00', [3]],
    ['?project_id=p-two', [7, 6, 5, 4, 3]],
    ['?all_tenants=false', [7, 6, 5, 4, 3]],
    ['?all_tenants=NO', [7, 6, 5, 4, 3]],
    ['?all_tenants=1&sort=id', [9, 8, 7, 6, 5]],
    ['?all_tenants=Yes&sort=project_id', [9, 7, 6, 5, 4]],
    ['?all_tenants=y&project_id=p-two', [9]],
    ['?all_tenants=TRUE&operation_type=x&sort=created_at', [9, 8]],
  ])('an admin lists %s', async (query, expected) => {
    expect(await numbers(query, admin)).toEqual(expected)
  })

  const direction = "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'."
  const deprecated =
    "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter."
  test.each([
    ['?limit=0', 'limit param must be positive'],
    ['?limit=-3', 'limit param must be positive'],
    ['?limit=', 'limit param must be an integer'],
    ['?limit=ten', 'limit param must be an integer'],
    ['?limit=1.5', 'limit param must be an integer'],
    ['?offset=', 'offset must be an integer.'],
    ['?offset=x', 'offset must be an integer.'],
    ['?offset=-1', 'offset must be >= 0'],
    ['?offset=2147483648', 'offset must be <= 2147483647'],
    ['?sort=status:up', direction],
    ['?sort=status:DESC', direction],
    ['?sort_dir=up', direction],
    ['?sort_key=id&sort_dir=asc,desc', direction],
    ['?sort=id&sort_key=id', deprecated],
    ['?sort=id&sort_dir=asc', deprecated],
    ['?sort=name', /^Invalid input received: "name" is no sort key\./],
    ['?sort=deleted_at:asc', /no sort key/],
    ['?sort=holder', /no sort key/],
    ['?sort=', /^Invalid input received: "" is no sort key\./],
    ['?sort=id,', /no sort key/],
    ['?sort_key=', /no sort key/],
  ])('%s is refused', async (query, message) => {
    const { status, body } = await get(`/v1/p-one/operation_logs${query}`)
    expect(status).toBe(400)
    const expected: unknown = typeof message === 'string' ? message : expect.stringMatching(message)
    expect(body).toEqual({ badRequest: { code: 400, message: expected } })
  })

  test.each([
    ['?all_tenants=perhaps', 'Value perhaps for all_tenants is not a boolean.'],
    ['?all_tenants=', 'Value  for all_tenants is not a boolean.'],
    ['?nonsense=1', 'Invalid input received: nonsense is no field to filter by.'],
    ['?created_at=1', 'Invalid input received: created_at is no field to filter by.'],
    ['?holder=1', 'Invalid input received: holder is no field to filter by.'],
    ['?ended_at=None', 'Invalid input received: ended_at must be a time such as 2026-03-04T10:11:12.000345.'],
  ])('an admin is told what is wrong with %s', async (query, message) => {
    const answer = await get(`/v1/p-one/operation_logs${query}`, admin)
    expect(answer).toEqual({ status: 400, body: { badRequest: { code: 400, message } } })
  })

  test('a marker that is not known is 404', async () => {
    const id = randomUUID()
    const message = `Operation log ${id} could not be found.`
    expect(await get(`/v1/p-one/operation_logs?marker=${id}`)).toEqual({
      status: 404,
      body: { itemNotFound: { code: 404, message } },
    })
  })

  test('next links lead through all logs once, keep the parameters and lose the offset', async () => {
    const seen: string[] = []
    let next: string | undefined = '/v1/p-one/operation_logs?offset=1&limit=3&sort=ended_at:asc&x=1&x=%C3%A4'
    let pages = 0
    while (next !== undefined) {
      const { body } = await get(next, { ...user, host: 'logs.example:81' })
      const { operation_logs: logs, operation_logs_links: links } = body as List
      seen.push(...logs.map(({ id }) => id))
      pages++
      const link = links?.[0]
      if (links !== undefined) expect(links).toEqual([{ rel: 'next', href: expect.any(String) as string }])
      next = undefined
      if (link === undefined) continue
      const url = new URL(link.href)
      expect(url.origin).toBe('http://logs.example:81')
      expect(url.pathname).toBe('/v1/p-one/operation_logs')
      expect([...url.searchParams]).toEqual([
        ['limit', '3'],
        ['sort', 'ended_at:asc'],
        ['x', '1'],
        ['x', 'ä'],
        ['marker', logs.at(-1)?.id],
      ])
      next = `${url.pathname}${url.search}`
    }
    expect(new Set(seen).size).toBe(7)
    expect(seen).toHaveLength(7)
    expect(pages).toBe(3)
  })

  test('a last page that is full has no next link', async () => {
    expect(await list('?plan_id=plan&limit=2')).toEqual({
      operation_logs: [expect.anything(), expect.anything()],
    })
    expect((await list('?plan_id=plan&limit=1')).operation_logs_links).toHaveLength(1)
  })

  test('links are made of the configured base, whatever the request says', async () => {
    const parts = { ...context, linkBase: 'https://public.example/hcp/' }
    await using other = await testApp([operationRoutes], parts, { trustProxy: ['loopback'] })
    const headers = { ...user, 'x-forwarded-host': 'proxy.example' }
    const { body } = await get('/v1/p-one/operation_logs?limit=1', headers, other.app)
    const href = `https://public.example/hcp/v1/p-one/operation_logs?limit=1&marker=${uuid(7)}`
    expect((body as List).operation_logs_links).toEqual([{ rel: 'next', href }])
  })

  test.each([
    ['counts from a trusted proxy', ['loopback'], 'https://last.example/v1/'],
    ['is ignored from others', undefined, /^http:\/\/127\.0\.0\.1:\d+\/v1\//],
  ])('X-Forwarded-* %s', async (_, trustProxy, expected) => {
    const frame = trustProxy === undefined ? {} : { trustProxy }
    const other = await testApp([operationRoutes], context, frame)
    onTestFinished(() => other.app.close())
    const url = await other.app.listen({ host: '127.0.0.1', port: 0 })
    const answer = await fetch(`${url}/v1/p-one/operation_logs?limit=1`, {
      headers: { ...user, 'x-forwarded-host': 'first.example, last.example', 'x-forwarded-proto': 'https' },
    })
    const { operation_logs_links: links } = (await answer.json()) as List
    if (typeof expected === 'string') expect(links?.[0]?.href.startsWith(expected)).toBe(true)
    else expect(links?.[0]?.href).toMatch(expected)
  })
})
