import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { admin, asker, system, user } from '../entries/api.testing.ts'
import { startTestService, type TestService } from '../http/service.testing.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import { defaultPolicy } from './policy.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

describe.each(dialects)('/v2/retention on %s', (dialect) => {
  let service: TestService
  let ask: ReturnType<typeof asker>
  beforeAll(async () => {
    service = await startTestService({
      database: await stores.url(dialect),
      retention: { intervalSeconds: 86_400 },
    })
    ask = asker(service.url)
  })
  afterAll(() => service[Symbol.asyncDispose]())

  test('tells the rules, the next run and the last one', async () => {
    await expect
      .poll(async () => (await ask('GET /v2/retention')).json, { timeout: 10_000 })
      .toMatchObject({
        ...defaultPolicy,
        interval_seconds: 86_400,
        next_run: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/) as string,
        last_run: null,
      })
  })

  test('is for admins', async () => {
    for (const route of ['GET /v2/retention', 'PUT /v2/retention', 'POST /v2/retention/run'])
      for (const by of [system, user]) expect((await ask(route, { by })).status, route).toBe(403)
  })

  const rule = { name: 'stdlog', dataset_id: null, days: 1 }
  test.each([
    ['{', /JSON/],
    [[], 'The body must be a JSON object with rules.'],
    [{}, 'rules must be a list of rules.'],
    [{ rules: ['x'] }, 'A rule must be a JSON object with name, days and perhaps dataset_id.'],
    [{ rules: [{ name: 'x' }] }, /^days of a rule must be a number of days from 0 to 36525/],
    [{ rules: [{ ...rule, days: -1 }] }, /^days of a rule must be/],
    [{ rules: [{ ...rule, days: '3' }] }, /^days of a rule must be/],
    [{ rules: [{ ...rule, name: '' }] }, 'name of a rule must be text of 1 to 255 characters.'],
    [{ rules: [{ ...rule, name: 'a\0' }] }, 'name of a rule must be well-formed text.'],
    [{ rules: [{ ...rule, dataset: 'd' }] }, 'A rule has no field "dataset".'],
    [{ rules: [], operations_days: 'never' }, /^operations_days must be a number of days/],
    [{ rules: [], dry_run: 'yes' }, 'dry_run must be true or false.'],
    [{ rules: Array.from({ length: 101 }, () => rule) }, 'There can be 100 rules at most.'],
  ])('refuses a wrong policy, %#', async (body, detail) => {
    const before = (await ask('GET /v2/retention')).json
    const answer = await ask('PUT /v2/retention', { body })
    expect([answer.status, answer.headers['content-type']]).toEqual([
      400,
      expect.stringContaining('application/problem+json'),
    ])
    expect((answer.json as { detail: string }).detail).toMatch(detail)
    expect((await ask('GET /v2/retention')).json).toEqual(before)
  })

  test('sets rules, tells before what would go, and removes it when told to', async () => {
    const lines = [
      { data: 'old', name: 'stdlog', timestamp: '2020-01-01T00:00:00Z' },
      { data: 'kept', name: 'audit', timestamp: '2020-01-01T00:00:00Z' },
      { data: 'new', name: 'stdlog' },
    ]
    await ask('POST /v2/logs/bulk', { body: lines, headers: { 'content-type': 'application/json' } })
    const policy = {
      rules: [
        { name: 'audit', days: null },
        { name: '*', days: 30 },
      ],
      operations_days: 100,
    }
    const counts = {
      removed: { entries: 1, operations: 0, bodies: 0 },
      by_rule: [
        { name: 'audit', dataset_id: null, days: null, entries: 0 },
        { name: '*', dataset_id: null, days: 30, entries: 1 },
      ],
    }
    for (const tried of [
      await ask('PUT /v2/retention?dry_run=true', { body: policy }),
      await ask('PUT /v2/retention', { body: { ...policy, dry_run: true } }),
    ])
      expect([tried.status, tried.json]).toEqual([200, { ...counts, dry_run: true }])
    expect((await ask('GET /v2/retention')).json).toMatchObject(defaultPolicy)

    const saved = await ask('PUT /v2/retention', { body: policy })
    const rules = policy.rules.map((one) => ({ ...one, dataset_id: null }))
    expect([saved.status, saved.json]).toEqual([200, expect.objectContaining({ ...policy, rules })])

    const dry = await ask('POST /v2/retention/run?dry_run=true')
    expect([dry.status, dry.json]).toEqual([200, { ...counts, dry_run: true }])
    const run = await ask('POST /v2/retention/run')
    expect([run.status, run.json]).toEqual([200, { ...counts, dry_run: false }])
    const found = (await ask('GET /v2/logs?order=asc')).json as { logs: { data: string }[] }
    expect(found.logs.map(({ data }) => data)).toEqual(['kept', 'new'])
    expect((await ask('GET /v2/retention')).json).toMatchObject({
      last_run: { status: 'success', removed: counts.removed },
    })
    const operations = await ask('GET /v2/operations?operation_type=retention_purge')
    expect(operations.json).toMatchObject({ operation_logs: [{ project_id: 'system', status: 'success' }] })
  })

  test('what was read can be written back', async () => {
    const { json } = await ask('GET /v2/retention', { by: admin })
    const written = await ask('PUT /v2/retention', { body: json })
    expect([written.status, written.json]).toEqual([200, json])
  })
})
