import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { testApp } from '../http/service.testing.ts'
import { bearer } from '../http/token.testing.ts'
import type { Database } from '../store/database.ts'
import { IdempotencyKeys } from '../store/idempotency.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import { formatTime, nowMicroseconds } from '../time.ts'
import { OperationStore } from './operation-store.ts'
import { operationV2Routes } from './v2-routes.ts'
import type { WireOperation } from './wire-operation.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

const user = bearer({ roles: ['user'], project_id: 'p-one' })
const admin = bearer({ roles: ['admin'], sub: 'olga' })
const system = bearer({ roles: ['system'], sub: 'robot', project_id: 'p-one' })
const noon = Date.UTC(2026, 4, 1, 12) * 1000
const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

interface Answer {
  status: number
  headers: Record<string, unknown>
  body: {
    operation_log: WireOperation
    operation_logs: WireOperation[]
    next_cursor: string | null
    detail: string
  }
}

describe.each(dialects)('on %s', (dialect) => {
  let database: Database
  let store: OperationStore
  let app: FastifyInstance

  beforeAll(async () => {
    database = await stores.open(dialect)
    store = new OperationStore(database)
    const parts = { database, operations: store, linkBase: 'https://logs.example/hcp' }
    app = (await testApp([operationV2Routes], parts, { idempotency: new IdempotencyKeys(database) })).app
    for (let n = 1; n <= 6; n++) {
      await store.add({
        id: uuid(n),
        project_id: n === 6 ? 'p-two' : 'p-one',
        operation_type: n % 2 === 0 ? 'failover' : 'suspend',
        plan_id: n < 3 ? 'plan' : null,
        provider_id: n === 3 ? 'hcp1' : null,
        status: n === 4 ? null : n === 5 ? 'null' : 'success',
        created_at: noon + Math.min(n, 5) * 1_000_000,
      })
    }
  })
  afterAll(async () => {
    await app.close()
    await database.close()
  })

  const send = async (
    method: 'GET' | 'POST' | 'PATCH',
    path: string,
    headers: Record<string, string>,
    payload?: unknown,
  ): Promise<Answer> => {
    const answer = await app.inject({
      method,
      url: `/v2/operations${path}`,
      headers: { ...headers, ...(payload !== undefined && { 'content-type': 'application/json' }) },
      ...(payload !== undefined && { payload: JSON.stringify(payload) }),
    })
    return { status: answer.statusCode, headers: answer.headers, body: answer.json() }
  }
  const numbers = async (query: string, headers = admin): Promise<number[]> => {
    const { body } = await send('GET', query, headers)
    return body.operation_logs?.map(({ id }) => Number(id.slice(-4)))
  }

  test.each([
    ['', [6, 5, 4, 3, 2, 1], [5, 4, 3, 2, 1]],
    ['?project_id=p-one', [5, 4, 3, 2, 1], [5, 4, 3, 2, 1]],
    ['?project_id=p-two', [6], undefined],
    ['?order=asc', [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5]],
    ['?operation_type=failover', [6, 4, 2], [4, 2]],
    ['?status=success', [6, 3, 2, 1], [3, 2, 1]],
    ['?status=null', [5], [5]],
    ['?status_is=null', [4], [4]],
    ['?plan_id=plan', [2, 1], [2, 1]],
    ['?provider_id=hcp1', [3], [3]],
    ['?from=2026-05-01T12:00:02Z&to=2026-05-01T12:00:04Z', [3, 2], [3, 2]],
    ['?from=2026-05-01T14:00:05%2B02:00', [6, 5], [5]],
    ['?from=2026-05-01&to=2026-05-02&limit=2', [6, 5], [5, 4]],
  ])('what admin, system and user list with %s', async (query, everything, own) => {
    expect(await numbers(query)).toEqual(everything)
    expect(await numbers(query, system)).toEqual(everything)
    expect(await numbers(query, user)).toEqual(own)
    if (own === undefined) expect((await send('GET', query, user)).status).toBe(403)
  })

  test.each([
    ['?limit=0', 'limit must be a whole number from 1 to 1000.'],
    ['?limit=1001', 'limit must be a whole number from 1 to 1000.'],
    ['?limit=', 'limit must be a whole number from 1 to 1000.'],
    ['?order=up', 'order must be asc or desc.'],
    ['?from=yesterday', /^from must be a time such as/],
    ['?to=', /^to must be a time such as/],
    ['?status=a&status=b', 'status can be given once only.'],
    ['?status_is=empty', 'status_is can only be null: logs without a status.'],
    ['?status_is=null&status=success', 'status and status_is cannot be used together.'],
    ['?marker=1', 'There is no parameter "marker" here.'],
    ['?cursor=nonsense', /^cursor was changed or belongs to other parameters/],
  ])('%s is refused', async (query, detail) => {
    const { status, body } = await send('GET', query, admin)
    expect(status).toBe(400)
    if (typeof detail === 'string') expect(body.detail).toBe(detail)
    else expect(body.detail).toMatch(detail)
  })

  test.each([admin, user])(
    'cursors lead through all logs once, and hold for their parameters only',
    async (who) => {
      for (const order of ['asc', 'desc']) {
        const expected = await numbers(`?order=${order}`, who)
        const found: number[] = []
        let cursor: string | null | undefined
        while (cursor !== null) {
          const query = `?limit=2&order=${order}${cursor === undefined ? '' : `&cursor=${cursor}`}`
          const { body } = await send('GET', query, who)
          found.push(...body.operation_logs.map(({ id }) => Number(id.slice(-4))))
          cursor = body.next_cursor
          if (cursor === null) break
          expect((await send('GET', `?cursor=${cursor}&status=success&order=${order}`, who)).status).toBe(400)
          expect((await send('GET', `?cursor=A${cursor}&order=${order}`, who)).status).toBe(400)
        }
        expect(found).toEqual(expected)
      }
    },
  )

  test("a cursor of one project's does not show another's", async () => {
    const { body } = await send('GET', '?limit=1&project_id=p-one', admin)
    const path = `?cursor=${body.next_cursor}`
    const other = bearer({ roles: ['user'], project_id: 'p-two' })
    expect((await send('GET', path, other)).status).toBe(400)
    expect((await send('GET', path, user)).body.operation_logs).toHaveLength(4)
  })

  test('a log is shown to its project, to admins and to the system, and missing for others', async () => {
    for (const who of [admin, system, user]) {
      expect((await send('GET', `/${uuid(1)}`, who)).body).toMatchObject({
        operation_log: { id: uuid(1), project_id: 'p-one' },
      })
    }
    for (const [id, who] of [
      [uuid(6), user],
      [uuid(1), bearer({ roles: ['user'] })],
      [uuid(77), admin],
      ['nonsense', admin],
    ] as const) {
      const { status, body } = await send('GET', `/${id}`, who)
      expect(status).toBe(404)
      expect(body).toMatchObject({ detail: `Operation log ${id} could not be found.` })
    }
    expect((await send('GET', '', bearer({ roles: ['user'] }))).status).toBe(403)
  })

  test('a log that is added in full comes back as it was sent, at its Location too', async () => {
    const sent = {
      id: randomUUID(),
      project_id: 'p-three',
      operation_type: 'failover',
      checkpoint_id: 'c',
      plan_id: 'p',
      provider_id: 'v',
      restore_id: 'r',
      scheduled_operation_id: 's',
      status: 'in_progress',
      started_at: '2026-05-01T08:00:00.000001',
      ended_at: '2026-05-01T10:00:07.25+02:00',
      error_info: '409 "the link\nis broken"',
      extra_info: { link: 'berlin', nested: [1, null] },
      created_at: '2026-05-01',
      updated_at: '2026-05-01T23:59:59Z',
    }
    const { status, headers, body } = await send('POST', '', admin, sent)
    const { created_at: _created, updated_at: _updated, ...shown } = sent
    const expected = {
      operation_log: {
        ...shown,
        started_at: '2026-05-01T08:00:00.000001',
        ended_at: '2026-05-01T08:00:07.250000',
        extra_info: '{"link":"berlin","nested":[1,null]}',
      },
    }
    expect({ status, body }).toEqual({ status: 201, body: expected })
    expect(headers['location']).toBe(`https://logs.example/hcp/v2/operations/${sent.id}`)
    expect((await send('GET', `/${sent.id}`, admin)).body).toEqual(expected)
    expect(await store.get(sent.id)).toMatchObject({
      created_at: Date.UTC(2026, 4, 1) * 1000,
      updated_at: Date.UTC(2026, 4, 1, 23, 59, 59) * 1000,
    })
  })

  test('what is left out of a new log is filled in', async () => {
    const before = nowMicroseconds()
    const { body } = await send('POST', '', admin, { operation_type: 'suspend', extra_info: 'as it is' })
    const { operation_log: log } = body
    expect(log).toMatchObject({ project_id: 'system', status: null, ended_at: null, extra_info: 'as it is' })
    expect(log.id).toMatch(/^[\da-f]{8}-[\da-f]{4}-/)
    expect(String(log.started_at) > formatTime(before)).toBe(true)
    const other = await send('POST', '', system, { operation_type: 'x', started_at: null })
    expect(other.body).toMatchObject({ operation_log: { project_id: 'p-one', started_at: null } })
  })

  test.each([
    ['an unknown field', { operation_type: 'x', name: 'y' }, 'There is no field "name" here.'],
    ['no type', {}, 'operation_type is missing.'],
    ['an empty type', { operation_type: '' }, 'operation_type must have 1 to 255 characters.'],
    ['a type that is no text', { operation_type: 5 }, 'operation_type must be text.'],
    ['an id that is no UUID', { operation_type: 'x', id: 'one' }, 'id must be a UUID.'],
    ['a time that is none', { operation_type: 'x', ended_at: 'soon' }, /^ended_at must be a time such as/],
    ['a time as a number', { operation_type: 'x', started_at: 5 }, 'started_at must be text.'],
    ['no project', { operation_type: 'x', project_id: '' }, 'project_id must have 1 to 255 characters.'],
    [
      'a long status',
      { operation_type: 'x', status: 's'.repeat(65) },
      'status must have at most 64 characters.',
    ],
    [
      'extra_info of a number',
      { operation_type: 'x', extra_info: 5 },
      'extra_info must be text or an object.',
    ],
    ['U+0000', { operation_type: 'x', plan_id: 'a\0' }, /^plan_id must be well-formed/],
    ['half a character', { operation_type: 'x', plan_id: '\ud800' }, /^plan_id must be well-formed/],
    [
      'a list',
      [{ operation_type: 'x' }],
      'The body must be a JSON object with the fields of an operation log.',
    ],
  ])('%s in a new log is refused', async (_, sent, detail) => {
    const { status, body } = await send('POST', '', admin, sent)
    expect({ status, detail: body.detail }).toEqual({
      status: 400,
      detail: typeof detail === 'string' ? detail : (expect.stringMatching(detail) as string),
    })
  })

  test('a known id is 409, in any project', async () => {
    for (const project_id of ['p-one', 'p-two']) {
      const sent = { id: uuid(1), project_id, operation_type: 'x' }
      expect(await send('POST', '', admin, sent)).toMatchObject({
        status: 409,
        body: { detail: `There is an operation log with the id ${uuid(1)} already.` },
      })
    }
  })

  test('a change changes the fields that are given, and empties those that are null', async () => {
    const { body } = await send('POST', '', system, {
      operation_type: 'x',
      status: 'in_progress',
      plan_id: 'p',
    })
    const { id } = body.operation_log
    const changes = {
      status: 'success',
      ended_at: '2026-05-01T08:00:00Z',
      plan_id: null,
      extra_info: { a: 1 },
    }
    const changed = await send('PATCH', `/${id}`, system, changes)
    expect(changed).toMatchObject({
      status: 200,
      body: {
        operation_log: {
          ...body.operation_log,
          ...changes,
          ended_at: '2026-05-01T08:00:00.000000',
          extra_info: '{"a":1}',
        },
      },
    })
    expect((await send('GET', `/${id}`, admin)).body).toEqual(changed.body)
    const stored = await store.get(id)
    expect(stored?.updated_at).toBeGreaterThan(stored?.created_at ?? Infinity)
  })

  test.each([
    ['a log that is not there', uuid(77), { status: 'x' }, 404],
    ['an id', uuid(1), { id: uuid(2) }, 400],
    ['a project', uuid(1), { project_id: 'p' }, 400],
    ['a type that is null', uuid(1), { operation_type: null }, 400],
    ['a list', uuid(1), [], 400],
  ])('a change of %s is refused', async (_, id, sent, status) => {
    expect((await send('PATCH', `/${id}`, admin, sent)).status).toBe(status)
  })

  test('users do not write', async () => {
    expect((await send('POST', '', user, { operation_type: 'x' })).status).toBe(403)
    expect((await send('PATCH', `/${uuid(1)}`, user, { status: 'x' })).status).toBe(403)
  })

  test('the same request again under its key stores one log, also when the first answer was lost', async () => {
    const type = randomUUID()
    const sent = { operation_type: type }
    const headers = { ...admin, 'idempotency-key': randomUUID() }
    const first = await send('POST', '', headers, sent)
    expect(first.status).toBe(201)
    expect((await send('POST', '', headers, sent)).body).toEqual(first.body)
    // As after a crash between the two writes: the log is there, the answer is not.
    await database.write.updateTable('idempotency_keys').set({ status: null, expires_at: 1 }).execute()
    expect(await send('POST', '', headers, sent)).toMatchObject({ status: 201, body: first.body })
    expect((await send('POST', '', headers, { operation_type: 'other' })).status).toBe(422)
    const { body } = await send('GET', `?operation_type=${type}`, admin)
    expect(body.operation_logs).toHaveLength(1)
  })

  test('it works over a socket', async () => {
    const served = await testApp([operationV2Routes], { database, operations: store })
    onTestFinished(() => served.app.close())
    const url = `${await served.app.listen({ host: '127.0.0.1', port: 0 })}/v2/operations`
    const added = await fetch(url, { method: 'POST', headers: admin, body: '{"operation_type":"x"}' })
    expect(added.status).toBe(201)
    const location = String(added.headers.get('location'))
    expect(location.startsWith(url)).toBe(true)
    const shown = await fetch(location, { headers: admin })
    expect(await shown.json()).toEqual(await added.json())
  })
})
