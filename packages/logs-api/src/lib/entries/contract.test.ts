import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { ObjectClient } from '@hcp/objects'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Refusal } from '../http/refusal.ts'
import { startTestService, type TestService } from '../http/service.testing.ts'
import { bearer } from '../http/token.testing.ts'
import { dialects, Stores } from '../store/stores.testing.ts'
import { formatTime, parseTime } from '../time.ts'
import { admin, type Answer, type Asked, asker, system, user } from './api.testing.ts'
import type { NewEntry } from './entry.ts'

const threshold = 100
const long = 'long '.repeat(100)
const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}$/

type Row = Readonly<Record<string, unknown>>
interface TaskList {
  readonly logs: readonly Row[]
}
interface Page {
  readonly logs: readonly (Row & { readonly log_id: string })[]
  readonly next_cursor: string | null
}

let stores: Stores
let hcp: Emulator
let objects: ObjectClient
beforeAll(async () => {
  stores = new Stores()
  hcp = await startEmulator()
  objects = new ObjectClient(
    new Target(`n1.m.${hcp.domain}`, {
      authorization: new NativeAuthorization('n', 'n01'),
      port: hcp.ports.http,
      tls: false,
      addresses: [...hcp.nodes],
    }),
  )
})
afterAll(async () => {
  await objects.close()
  await hcp.close()
  await stores[Symbol.asyncDispose]()
})

describe.each(dialects)('%s:', (dialect) => {
  let running: TestService
  let ask: (route: string, asked?: Asked) => Promise<Answer>
  beforeAll(async () => {
    running = await startTestService({
      database: await stores.url(dialect),
      bodies: { objects, threshold, path: `/rest/${dialect}` },
    })
    ask = asker(running.url)
  })
  afterAll(() => running[Symbol.asyncDispose]())

  /** A request whose answer the test reads when it likes. */
  const raw = (route: string): Socket => {
    const socket = connect(Number(new URL(running.url).port), '127.0.0.1')
    const { authorization } = bearer(admin)
    socket.write(
      `${route} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ${authorization}\r\n\r\n`,
    )
    return socket
  }
  let datasets = 0
  /** A dataset of this test alone. */
  const newDataset = (): string => `set${++datasets}`
  const add = async (entry: Row): Promise<string> => {
    const { status, json } = await ask('POST /logs', { body: entry })
    expect(status).toBe(201)
    return (json as { result: string }).result
  }
  const addAll = (entries: readonly Partial<NewEntry>[]): Promise<string[]> =>
    running.service.context.entries.addAll(
      entries.map((entry) => ({ dataset_id: null, task_id: null, name: 'log', data: '', ...entry })),
    )
  const microseconds = (text: string): number => parseTime(text)!.time
  const refused = (answer: Answer, status: number, error: string): void => {
    expect({ status: answer.status, body: answer.json }).toEqual({ status, body: { code: status, error } })
    expect(answer.reason).toBe(error)
  }
  const grant = (dataset: string, rights: object): Promise<Answer> =>
    ask(`PUT /v2/datasets/${dataset}/rights`, { body: rights })

  describe('who may use the routes of API A', () => {
    const routes: readonly [string, 'logs' | 'read' | 'write', number][] = [
      ['GET /logs?limit=1', 'logs', 200],
      ['POST /logs', 'logs', 201],
      ['GET /logs/0', 'logs', 404],
      ['DELETE /logs/0', 'logs', 200],
      ['POST /datasets/{}/logs', 'write', 201],
      ['DELETE /datasets/{}/logs', 'write', 200],
      ['GET /datasets/{}/logs/0', 'read', 404],
      ['GET /datasets/{}/tasks/t/logs', 'read', 404],
      ['DELETE /datasets/{}/tasks/t/logs', 'write', 200],
    ]
    let unlisted: string, bare: string, readers: string, writers: string, named: string
    beforeAll(async () => {
      ;[unlisted, bare, readers, writers, named] = [1, 2, 3, 4, 5].map(newDataset) as [
        string,
        string,
        string,
        string,
        string,
      ]
      await grant(unlisted, { read_groups: ['chemistry'], write_users: ['olga'] })
      await grant(readers, { read_groups: ['chemistry', 'physics'] })
      await grant(writers, { write_groups: ['physics'] })
      await grant(named, { read_users: ['otto'], write_users: ['otto'] })
    })
    const at = (route: string, dataset: string, asked: Asked = {}): Promise<Answer> =>
      ask(route.replace('{}', dataset), {
        ...asked,
        ...(route.startsWith('POST') && { body: { data: 'x' } }),
      })

    test.each(routes)(
      '%s: an admin, with or without rights of the dataset',
      async (route, _needed, status) => {
        for (const dataset of [bare, unlisted]) expect((await at(route, dataset)).status).toBe(status)
      },
    )

    test.each(routes)('%s: nobody without a token that holds', async (route) => {
      refused(await at(route, named, { by: null }), 403, 'authentication failed')
      refused(await at(route, named, { by: { ...admin, expires: 1000 } }), 403, 'authentication failed')
      refused(
        await at(route, named, { by: null, headers: { authorization: `${bearer(admin).authorization}x` } }),
        403,
        'authentication failed',
      )
      refused(await at(route, named, { by: { roles: ['guest'] } }), 403, 'authorization failed')
    })

    test.each(routes)(
      '%s: A-14: the system only where there is no dataset in the path',
      async (route, needed, status) => {
        const answer = await at(route, named, { by: system })
        if (needed === 'logs') expect(answer.status).toBe(status)
        else refused(answer, 403, 'authorization failed')
      },
    )

    test.each(routes)('%s: a user by the rights of the dataset', async (route, needed, status) => {
      const by = user
      if (needed === 'logs') return refused(await at(route, named, { by }), 403, 'authorization failed')
      refused(await at(route, bare, { by }), 403, 'attr not found')
      refused(await at(route, unlisted, { by }), 403, 'authorization failed')
      expect((await at(route, named, { by })).status).toBe(status)
      const [granted, denied] = needed === 'read' ? [readers, writers] : [writers, readers]
      expect((await at(route, granted, { by })).status).toBe(status)
      refused(await at(route, denied, { by }), 403, 'authorization failed')
      return undefined
    })

    test.each([
      'GET /datasets/d/logs',
      'PUT /logs',
      'PATCH /logs/0',
      'PUT /datasets/d/logs/0',
      'POST /datasets/d/tasks/t/logs',
    ])('%s: 405 `Method Not Allowed`', async (route) => {
      refused(await ask(route), 405, 'Method Not Allowed')
    })

    test.each([
      'GET /logs/',
      'GET /logs/a/b',
      'GET /datasets/d/logs/',
      'GET /datasets/d/tasks/t',
      'GET /logs/%20',
    ])('A-9: %s: 404 in JSON', async (route) => {
      const answer = await ask(route)
      expect(answer.status).toBe(404)
      expect(answer.json).toEqual({ code: 404, error: expect.any(String) })
      expect(answer.headers['content-security-policy']).toBe("default-src 'none'; frame-ancestors 'none';")
    })
  })

  describe('POST /logs and POST /datasets/{dataset_id}/logs', () => {
    test('answer 201 with an id of 32 hexadecimal digits', async () => {
      for (const route of ['POST /logs', `POST /datasets/${newDataset()}/logs`]) {
        const { status, json, headers } = await ask(route, { body: { data: 'x' } })
        expect(status).toBe(201)
        expect(json).toEqual({ result: expect.stringMatching(/^[0-9a-f]{32}$/) })
        expect(headers['content-type']).toBe('application/json; charset=UTF-8')
      }
    })

    test('A-5: the name is `log` where none was given, on both', async () => {
      for (const route of ['POST /logs', `POST /datasets/${newDataset()}/logs`]) {
        const { result } = (await ask(route, { body: { data: 'x' } })).json as { result: string }
        expect((await ask(`GET /logs/${result}`)).json).toMatchObject({ name: 'log' })
      }
    })

    test('the dataset of the path wins over the one in the body', async () => {
      const dataset = newDataset()
      const { result } = (
        await ask(`POST /datasets/${dataset}/logs`, { body: { data: 'x', dataset_id: 'other' } })
      ).json as { result: string }
      expect((await ask(`GET /datasets/${dataset}/logs/${result}`)).json).toMatchObject({
        dataset_id: dataset,
      })
    })

    test('A-7: log_id, timestamp and _id of a client are dropped', async () => {
      const log_id = 'a'.repeat(32)
      const sent = { data: 'x', log_id, timestamp: '1999-01-01', _id: 1, data_missing: true }
      const id = await add(sent)
      expect(id).not.toBe(log_id)
      const entry = (await ask(`GET /logs/${id}`)).json as Row
      expect(entry).toEqual({
        log_id: id,
        data: 'x',
        name: 'log',
        timestamp: expect.stringMatching(timePattern),
      })
      expect(entry['timestamp']).not.toContain('1999')
    })

    test('a body is JSON whatever its content type says', async () => {
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/octet-stream']) {
        const { status } = await ask('POST /logs', { body: { data: 'x' }, headers: { 'content-type': type } })
        expect(status).toBe(201)
      }
    })

    test.each([
      ['nothing', ''],
      ['no JSON', '{"data":'],
      ['no UTF-8', Buffer.from('7b2264617461223a22ff227d', 'hex')],
    ])('A-4: %s is refused with 400', async (_what, body) => {
      for (const route of ['POST /logs', 'POST /datasets/d/logs']) {
        const answer = await ask(route, { body })
        expect(answer.status).toBe(400)
        expect(answer.json).toEqual({ code: 400, error: expect.any(String) })
      }
    })

    test.each([[{}], [[]], [[{ data: 'x' }]], [{ name: 'stderr' }], ['null'], ['5']])(
      '%j is refused with 400 `data field not in body`',
      async (body) => {
        for (const route of ['POST /logs', 'POST /datasets/d/logs']) {
          refused(await ask(route, { body }), 400, 'data field not in body')
        }
      },
    )

    test.each([
      [{ data: null }, 'data must be text.'],
      [{ data: 5 }, 'data must be text.'],
      ['{"data":"\\ud800"}', 'data must be well-formed text: it holds one half of a surrogate pair alone.'],
      [{ data: '', name: '' }, 'name must be text of 1 to 255 characters, without control characters.'],
    ])('A-4: %j is refused with 400 `%s`', async (body, error) => {
      refused(await ask('POST /logs', { body }), 400, error)
    })

    test('Idempotency-Key: the same request again adds nothing', async () => {
      const dataset = newDataset()
      const once = { body: { data: 'x' }, headers: { 'idempotency-key': `key-of-${dataset}` } }
      const first = await ask(`POST /datasets/${dataset}/logs`, once)
      const again = await ask(`POST /datasets/${dataset}/logs`, once)
      expect([again.status, again.json]).toEqual([201, first.json])
      expect(Object.keys((await ask(`GET /logs?dataset_id=${dataset}`)).json as Row)).toHaveLength(1)
    })
  })

  describe('GET and DELETE of one entry', () => {
    test('gives all fields: log_id first, then those of the entry, then the others as they were sent', async () => {
      const dataset = newDataset()
      const others = {
        severity: 'Error',
        attributes: { a: [1, null, 2.5] },
        '': 'no name',
        text: '\u0000 \ud83d\ude00',
      }
      const id = await add({
        ...others,
        task_id: 't',
        name: 'stderr',
        dataset_id: dataset,
        data: 'line\n\u0000ä',
      })
      for (const path of [`/logs/${id}`, `/datasets/${dataset}/logs/${id}`]) {
        const { status, json } = await ask(`GET ${path}`)
        expect(status).toBe(200)
        expect(json).toEqual({
          log_id: id,
          data: 'line\n\u0000ä',
          name: 'stderr',
          dataset_id: dataset,
          task_id: 't',
          timestamp: expect.stringMatching(timePattern),
          ...others,
        })
        expect(Object.keys(json as Row)).toEqual([
          'log_id',
          'data',
          'name',
          'dataset_id',
          'task_id',
          'timestamp',
          ...Object.keys(others),
        ])
      }
    })

    test('numbers that JavaScript cannot hold come back as they were sent, one by one and in bulk', async () => {
      const dataset = newDataset()
      const numbers = '"big":12345678901234567890,"small":[1e-400,{"huge":-1e400}]'
      const line = `{"dataset_id":"${dataset}","data":"x",${numbers}}`
      for (const route of ['/logs', '/v2/logs/bulk']) {
        const answer = await fetch(running.url + route, {
          method: 'POST',
          headers: bearer(admin),
          body: line,
        })
        expect(answer.ok).toBe(true)
        await answer.text()
      }
      const found = await fetch(`${running.url}/v2/logs?dataset_id=${dataset}`, { headers: bearer(admin) })
      expect((await found.text()).split(numbers).length - 1).toBe(2)
    })

    test('has the headers of the original', async () => {
      const { headers } = await ask(`GET /logs/${await add({ data: 'x' })}`)
      expect(headers).toMatchObject({
        'content-type': 'application/json; charset=UTF-8',
        'cache-control': 'no-store, no-cache, must-revalidate, max-age=0',
        pragma: 'no-cache',
        expires: '0',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none';",
      })
    })

    test.each(['0', 'f'.repeat(32), 'tail', 'a.b-c', '0'.repeat(255)])(
      '%s is unknown: 404 `Log not found`; its deletion is 200 `{}`',
      async (id) => {
        refused(await ask(`GET /logs/${id}`), 404, 'Log not found')
        refused(await ask(`GET /datasets/d/logs/${id}`), 404, 'Log not found')
        const { status, json } = await ask(`DELETE /logs/${id}`)
        expect([status, json]).toEqual([200, {}])
      },
    )

    test('an entry of another dataset is not found', async () => {
      const id = await add({ data: 'x', dataset_id: newDataset() })
      refused(await ask(`GET /datasets/${newDataset()}/logs/${id}`), 404, 'Log not found')
      const alone = await add({ data: 'x' })
      refused(await ask(`GET /datasets/${newDataset()}/logs/${alone}`), 404, 'Log not found')
    })

    test('a deleted entry is gone', async () => {
      const id = await add({ data: 'x' })
      const { status, json } = await ask(`DELETE /logs/${id}`)
      expect([status, json]).toEqual([200, {}])
      refused(await ask(`GET /logs/${id}`), 404, 'Log not found')
    })

    test('a long text comes back; A-12: a lost one is empty, and says so', async () => {
      const id = await add({ data: long })
      expect((await ask(`GET /logs/${id}`)).json).toMatchObject({ data: long })
      await objects.delete(`/rest/${dialect}/${id.slice(30)}/${id.slice(28, 30)}/${id}`)
      const { status, json } = await ask(`GET /logs/${id}`)
      expect([status, json]).toMatchObject([200, { data: '', data_missing: true }])
    })
  })

  describe('GET /logs', () => {
    const search = async (query: string, body?: unknown): Promise<readonly Row[]> => {
      const { status, json } = await ask(`GET /logs${query}`, body === undefined ? {} : { body })
      expect(status).toBe(200)
      for (const [key, entry] of Object.entries(json as Record<string, Row>))
        expect(entry['log_id']).toBe(key)
      return Object.values(json as Record<string, Row>)
    }
    let dataset: string
    beforeAll(async () => {
      dataset = newDataset()
      await addAll(
        [
          { data: '4', name: 'stdout', timestamp: microseconds('2026-03-05T00:00:00') },
          { data: '1', name: 'stderr', timestamp: microseconds('2026-03-03T23:59:59.999999'), task_id: 't1' },
          { data: '3', name: 'stdout', timestamp: microseconds('2026-03-04T23:59:59.999999'), task_id: 't1' },
          {
            data: '2',
            name: 'stderr',
            timestamp: microseconds('2026-03-04T10:00:00'),
            fields: { severity: 3 },
          },
        ].map((entry) => ({ ...entry, dataset_id: dataset })),
      )
    })
    const found = async (query: string, body?: unknown): Promise<string> =>
      (await search(`?dataset_id=${dataset}&${query}`, body)).map((entry) => entry['data']).join('')

    test('A-8: is an object by log_id, in the order of the times', async () => {
      expect(await found('')).toBe('1234')
    })

    test('is `{}` when nothing matches', async () => {
      expect((await ask(`GET /logs?dataset_id=${newDataset()}`)).text).toBe('{}')
    })

    test('entries without task or dataset have no such keys', async () => {
      const [entry] = await search(`?dataset_id=${dataset}&from=2026-03-05`)
      expect(entry).toEqual({
        log_id: expect.any(String),
        name: 'stdout',
        data: '4',
        timestamp: '2026-03-05T00:00:00.000000',
        dataset_id: dataset,
      })
    })

    test.each([
      ['name=stderr', '12'],
      ['task_id=t1', '13'],
      ['name=stdout&task_id=t1', '3'],
      ['name=%20stdout%20&task_id=%09t1', '3'],
      ['name=&task_id=&from=&to=', '1234'],
      ['name=std', ''],
      ['name=STDERR', ''],
      ['name=stderr&name=stdout', '34'],
      ['unknown=1', '1234'],
      ['limit=2', '12'],
      ['limit=-2', '12'],
      ['limit=0', '1234'],
      ['limit=99999999999999999999', '1234'],
      ['from=2026-03-04', '234'],
      ['to=2026-03-04', '123'],
      ['from=2026-03-04T10:00:00Z', '234'],
      ['from=2026-03-04T10:00:00.000001', '34'],
      ['to=2026-03-04T10:00:00.000000', '12'],
      ['to=2026-03-04T10:00:00', '12'],
      ['to=2026-03-04T09:59:59.999999', '1'],
      ['from=2026-03-04T12:00:00%2B02:00&to=2026-03-04T12:00:00%2B02:00', '2'],
    ])('%s finds %j', async (query, expected) => {
      expect(await found(query)).toBe(expected)
    })

    test('parameters may come in a JSON body; those in the query win', async () => {
      expect(await found('', { name: 'stderr', limit: 1, task_id: null })).toBe('1')
      expect(await found('name=stdout', { name: 'stderr', limit: '1' })).toBe('3')
      expect(await search('', { dataset_id: dataset, keys: 'name', limit: 1 })).toEqual([
        { log_id: expect.any(String), name: 'stderr' },
      ])
    })

    test.each([
      ['keys=name', { name: 'stderr' }],
      ['keys=', {}],
      ['keys=severity|nothing|log_id', { severity: 3 }],
      ['keys=data|timestamp', { data: '2', timestamp: '2026-03-04T10:00:00.000000' }],
    ])('%s gives these fields and log_id', async (keys, expected) => {
      expect(
        await search(`?dataset_id=${dataset}&from=2026-03-04T10:00&to=2026-03-04T10:00&${keys}`),
      ).toEqual([{ log_id: expect.any(String), ...expected }])
    })

    test.each(['x', '', '1.5', '1e2'])(
      'A-4: limit=%s is refused with 400 `non-integer limit`',
      async (limit) => {
        refused(await ask(`GET /logs?limit=${limit}`), 400, 'non-integer limit')
      },
    )

    test.each(['[]', '"text"', '5', 'null', '{', ' '])(
      'A-4: the body %j is refused with 400',
      async (body) => {
        const answer = await ask('GET /logs', { body })
        expect(answer.status).toBe(400)
        expect(answer.json).toMatchObject({ error: expect.stringContaining('JSON') })
      },
    )

    test('a body that is no UTF-8 is refused with 400', async () => {
      const body = Buffer.from('7b226e616d65223a22ff227d', 'hex')
      expect((await ask('GET /logs', { body })).status).toBe(400)
    })

    test.each(['name', 'dataset_id', 'task_id', 'from', 'keys'])(
      'U+0000 in %s of the body is refused with 400',
      async (name) => {
        refused(
          await ask('GET /logs', { body: { [name]: 'a\0b' } }),
          400,
          `${name} must not hold the character U+0000.`,
        )
      },
    )

    test.each(['from', 'to'])('A-10: %s that is no time is refused with 400', async (name) => {
      const answer = await ask(`GET /logs?${name}=yesterday`)
      expect(answer.status).toBe(400)
      expect(answer.json).toMatchObject({ error: expect.stringContaining('2026-03-04T10:11:12.000345') })
    })

    test('long texts are there when data is among the keys, and are not fetched when it is not', async () => {
      const dataset = newDataset()
      await add({ data: long, dataset_id: dataset })
      expect(await search(`?dataset_id=${dataset}&keys=data`)).toMatchObject([{ data: long }])
      const before = hcp.requests.length
      expect(await search(`?dataset_id=${dataset}&keys=name`)).toHaveLength(1)
      expect(hcp.requests.length).toBe(before)
    })

    test('A-8: is read from the store no faster than the client takes it', async () => {
      const dataset = newDataset()
      const total = 150
      await addAll(
        Array.from({ length: total }, () => ({ dataset_id: dataset, fields: { pad: 'y'.repeat(100_000) } })),
      )
      const { entries } = running.service.context
      const read = entries.read.bind(entries)
      let count = 0
      using _ = vi.spyOn(entries, 'read').mockImplementationOnce(async function* (...parameters) {
        for await (const entry of read(...parameters)) {
          count++
          yield entry
        }
      })
      const socket = raw(`GET /logs?dataset_id=${dataset}&keys=pad`)
      await expect.poll(() => count).toBeGreaterThan(0)
      for (let before = -1; count > before;) {
        before = count
        for (let turn = 0; turn < 10; turn++) await ask('GET /logs/0')
      }
      expect(count).toBeLessThan(total)
      let length = 0
      for await (const chunk of socket as AsyncIterable<Buffer>) length += chunk.length
      expect(length).toBeGreaterThan(total * 100_000)
      expect(count).toBe(total)
    })
  })

  describe('GET /datasets/{dataset_id}/tasks/{task_id}/logs', () => {
    let path: string
    let dataset: string
    beforeAll(async () => {
      dataset = newDataset()
      path = `GET /datasets/${dataset}/tasks/t.0-1/logs`
      const entry = (second: number, name: string, more: Partial<NewEntry> = {}): NewEntry => ({
        dataset_id: dataset,
        task_id: 't.0-1',
        name,
        data: String(second),
        timestamp: microseconds('2026-03-04T10:00:00') + second * 1_000_000,
        ...more,
      })
      await addAll([
        entry(3, 'stdout'),
        entry(1, 'stdout', { fields: { host: 'n1' } }),
        entry(2, 'stderr'),
        entry(4, 'stderr'),
        entry(5, 'stdlog', { data: long }),
        entry(9, 'stdlog', { task_id: 'other' }),
      ])
    })
    const found = async (query: string): Promise<string> => {
      const { status, json } = await ask(`${path}?${query}`)
      expect(status).toBe(200)
      return (json as TaskList).logs
        .map(({ data, timestamp }) => (data === long ? 'L' : String(timestamp).slice(18, 19)))
        .join('')
    }

    test.each([
      ['', 'L4321'],
      ['order=desc', 'L4321'],
      ['order=ASC', '1234L'],
      ['num=2', 'L4'],
      ['num=2&order=asc', '12'],
      ['num=0', 'L4321'],
      ['num=', 'L4321'],
      ['num=99999999999999999999', 'L4321'],
      ['group=true', 'L43'],
      ['group=TRUE&order=asc', '12L'],
      ['group=true&num=2', 'L4'],
      ['group=1', 'L4321'],
      ['group=yes', 'L4321'],
      ['keys=timestamp|data', 'L4321'],
    ])('%s gives %s', async (query, expected) => {
      expect(await found(query)).toBe(expected)
    })

    test('by default all fields come back', async () => {
      const { logs } = (await ask(`${path}?order=asc&num=1`)).json as TaskList
      expect(logs).toEqual([
        {
          log_id: expect.any(String),
          data: '1',
          name: 'stdout',
          dataset_id: dataset,
          task_id: 't.0-1',
          timestamp: '2026-03-04T10:00:01.000000',
          host: 'n1',
        },
      ])
    })

    test('keys: only those fields, log_id not added; all unknown: empty objects', async () => {
      expect((await ask(`${path}?keys=name|host&order=asc&num=2`)).json).toEqual({
        logs: [{ name: 'stdout', host: 'n1' }, { name: 'stderr' }],
      })
      expect((await ask(`${path}?keys=nothing&num=3`)).json).toEqual({ logs: [{}, {}, {}] })
    })

    test('group: six fields by default, null for what an entry does not have', async () => {
      const { logs } = (await ask(`${path}?group=true&order=asc`)).json as TaskList
      for (const entry of logs) {
        expect(Object.keys(entry).toSorted()).toEqual(
          ['data', 'dataset_id', 'log_id', 'name', 'task_id', 'timestamp'].toSorted(),
        )
      }
      expect((await ask(`${path}?group=true&order=asc&keys=name|host`)).json).toEqual({
        logs: [
          { name: 'stdout', host: 'n1' },
          { name: 'stderr', host: null },
          { name: 'stdlog', host: null },
        ],
      })
    })

    test('A-2: a long text is there when grouping; A-3: with keys but without log_id as well', async () => {
      expect((await ask(`${path}?group=true&num=1`)).json).toMatchObject({ logs: [{ data: long }] })
      expect((await ask(`${path}?group=true&num=1&keys=data`)).json).toEqual({ logs: [{ data: long }] })
      expect((await ask(`${path}?num=1&keys=data`)).json).toEqual({ logs: [{ data: long }] })
    })

    test('no match: 404 `Log not found`', async () => {
      for (const query of ['', '?group=true', '?num=1']) {
        refused(await ask(`GET /datasets/${dataset}/tasks/none/logs${query}`), 404, 'Log not found')
      }
    })

    test.each([
      ['num=x', 'bad num param. must be int'],
      ['num=1.5', 'bad num param. must be int'],
      ['num=-1', 'bad num param. must not be negative'],
      ['order=up', 'bad order param. should be "asc" or "desc".'],
    ])('A-4: %s is refused with 400 `%s`', async (query, error) => {
      refused(await ask(`${path}?${query}`), 400, error)
    })
  })

  describe('deletion of a dataset and of a task', () => {
    const lines = (text: string): Row[] =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Row)
    const filled = async (): Promise<string> => {
      const dataset = newDataset()
      await addAll([
        { dataset_id: dataset, task_id: 't1', name: 'stdout' },
        { dataset_id: dataset, task_id: 't1', name: 'stderr', data: long },
        { dataset_id: dataset, task_id: 't2', name: 'stderr' },
        { dataset_id: dataset },
      ])
      return dataset
    }
    const left = async (dataset: string): Promise<number> =>
      Object.keys((await ask(`GET /logs?dataset_id=${dataset}&keys=`)).json as Row).length

    test('A-1: DELETE /datasets/{dataset_id}/logs tells in lines how far it is', async () => {
      const dataset = await filled()
      const other = await filled()
      const { status, headers, text } = await ask(`DELETE /datasets/${dataset}/logs`)
      expect(status).toBe(200)
      expect(headers['content-type']).toBe('application/x-ndjson')
      expect(headers['content-length']).toBeUndefined()
      expect(headers['transfer-encoding']).toBe('chunked')
      expect(text.endsWith('\n')).toBe(true)
      const told = lines(text)
      expect(told[0]).toEqual({ status: 'deleting', percent_complete: 0, total: 4 })
      expect(told.at(-1)).toEqual({ status: 'complete', percent_complete: 100, total: 4 })
      expect(told.slice(0, -1).every((line) => line['status'] === 'deleting' && line['total'] === 4)).toBe(
        true,
      )
      expect([await left(dataset), await left(other)]).toEqual([0, 4])
    })

    test('of an empty dataset: one line', async () => {
      const { text } = await ask(`DELETE /datasets/${newDataset()}/logs`)
      expect(text).toBe('{"status":"complete","percent_complete":100,"total":0}\n')
    })

    test.each([
      ['?task_id=t1', 2],
      ['?name=stderr', 2],
      ['?name=stderr&task_id=t2', 3],
      ['', 0],
      ['?name=none', 4],
    ])('%s narrows it: %i stay', async (query, expected) => {
      const dataset = await filled()
      const { text } = await ask(`DELETE /datasets/${dataset}/logs${query}`)
      expect(lines(text).at(-1)).toMatchObject({ status: 'complete', total: 4 - expected })
      expect(await left(dataset)).toBe(expected)
    })

    test.each([
      ['?task_id=', 'task_id is empty. Leave it out to remove all.'],
      ['?name=%20&task_id=t1', 'name is empty. Leave it out to remove all.'],
      ['?task=t1', 'Only task_id and name can narrow what is removed.'],
    ])('%s would remove all by mistake: it removes nothing', async (query, error) => {
      const dataset = await filled()
      const { status, json } = await ask(`DELETE /datasets/${dataset}/logs${query}`)
      expect([status, json]).toEqual([400, { code: 400, error }])
      expect(await left(dataset)).toBe(4)
    })

    test('A-1: goes on when the client leaves', async () => {
      const dataset = newDataset()
      await addAll(Array.from({ length: 5000 }, () => ({ dataset_id: dataset })))
      const socket = raw(`DELETE /datasets/${dataset}/logs`)
      await once(socket, 'data')
      socket.destroy()
      await expect.poll(() => left(dataset), { timeout: 10_000 }).toBe(0)
    })

    test('DELETE /datasets/{dataset_id}/tasks/{task_id}/logs answers 200 `{}`, also when there was nothing', async () => {
      const dataset = await filled()
      for (let time = 0; time < 2; time++) {
        const { status, json } = await ask(`DELETE /datasets/${dataset}/tasks/t1/logs`)
        expect([status, json]).toEqual([200, {}])
        expect(await left(dataset)).toBe(2)
      }
    })
  })

  describe('GET /v2/logs', () => {
    const page = async (query: string, by = admin): Promise<Page> => {
      const { status, json } = await ask(`GET /v2/logs?${query}`, { by })
      expect(json).toMatchObject({ logs: expect.any(Array) })
      expect(status).toBe(200)
      return json as Page
    }
    const pages = async (query: string, between?: () => Promise<unknown>): Promise<Page['logs'][]> => {
      const all: Page['logs'][] = []
      let cursor: string | null = ''
      do {
        const { logs, next_cursor }: Page = await page(query + (cursor === '' ? '' : `&cursor=${cursor}`))
        all.push(logs)
        cursor = next_cursor
        await between?.()
      } while (cursor !== null)
      return all
    }
    let dataset: string
    beforeAll(async () => {
      dataset = newDataset()
      await addAll(
        [
          { data: 'disk quota reached', severity: 17, fields: { severity: 'error' }, task_id: 't1', hour: 1 },
          { data: 'quota of the disk', severity: 13, fields: { severity: 13 }, task_id: 't1', hour: 2 },
          { data: 'Übertragung fertig', severity: 9, name: 'stdout', task_id: 't2', hour: 3 },
          { data: 'disk is full', severity: 21, name: 'stderr', hour: 4 },
        ].map(({ hour, ...entry }) => ({
          ...entry,
          dataset_id: dataset,
          timestamp: microseconds(`2026-03-04T0${hour}:00:00`),
        })),
      )
    })

    test('gives entries as they are everywhere, newest first', async () => {
      const { logs, next_cursor } = await page(`dataset_id=${dataset}`)
      expect(logs.map((entry) => entry['data'])).toEqual([
        'disk is full',
        'Übertragung fertig',
        'quota of the disk',
        'disk quota reached',
      ])
      expect(next_cursor).toBeNull()
      expect(logs[3]).toEqual((await ask(`GET /logs/${logs[3]!.log_id}`)).json)
    })

    test.each([
      ['order=asc', '1234'],
      ['order=desc', '4321'],
      ['task_id=t1', '21'],
      ['name=stderr', '4'],
      ['severity=error', '1'],
      ['severity=17,Warn', '21'],
      ['severity=18', ''],
      ['min_severity=warn', '421'],
      ['min_severity=warn&severity=info', ''],
      ['from=2026-03-04T02:00:00Z', '432'],
      ['to=2026-03-04T02:00:00Z', '1'],
      ['from=2026-03-04T02:00:00%2B01:00&to=2026-03-04T03:00:00%2B01:00', '1'],
      ['q=disk', '421'],
      ['q=DISK quota', '21'],
      ['q="disk quota"', '1'],
      ['q=disk -quota', '4'],
      ['q=-quota', '43'],
      ['q=übertragung', '3'],
      ['q=disk&min_severity=error&order=asc', '14'],
    ])('%s finds %j', async (query, expected) => {
      const { logs } = await page(`dataset_id=${dataset}&${query}`)
      expect(logs.map((entry) => String(entry['timestamp'])[12]).join('')).toBe(expected)
    })

    test('q finds words of long texts too', async () => {
      const dataset = newDataset()
      await add({ data: `${long} needle`, dataset_id: dataset })
      expect((await page(`dataset_id=${dataset}&q=needle`)).logs).toHaveLength(1)
    })

    test.each([
      'limit=0',
      'limit=1001',
      'limit=-1',
      'limit=',
      'limit=1.5',
      'limit=1&limit=2',
      'order=up',
      'order=',
      'from=yesterday',
      'to=2026-13-01',
      'severity=bad',
      'min_severity=1,2',
      'q=',
      'q=!',
      'dataset_id=',
      'cursor=',
      'cursor=x',
      'keys=data',
      'nmae=stderr',
    ])('%s is refused with 400 as problem JSON that names it', async (query) => {
      const { status, json, headers } = await ask(`GET /v2/logs?${query}`)
      expect(status).toBe(400)
      expect(headers['content-type']).toContain('application/problem+json')
      expect(json).toMatchObject({ status: 400, detail: expect.stringContaining(query.split('=')[0]!) })
    })

    test.each(['asc', 'desc'])(
      'pages (%s) have every entry once, in order, equal times too',
      async (order) => {
        const dataset = newDataset()
        const ids = await addAll(
          Array.from({ length: 53 }, (_, index) => ({
            dataset_id: dataset,
            timestamp: microseconds('2026-03-04') + Math.floor(index / 20),
          })),
        )
        const found = (await pages(`dataset_id=${dataset}&order=${order}&limit=7`)).flat()
        expect(found.map((entry) => entry.log_id).toSorted()).toEqual(ids.toSorted())
        const keys = found.map((entry) => `${String(entry['timestamp'])} ${entry.log_id}`)
        const sorted = keys.toSorted()
        expect(keys).toEqual(order === 'asc' ? sorted : sorted.toReversed())
      },
    )

    test('next_cursor is there only when there is a next entry', async () => {
      const dataset = newDataset()
      await addAll(Array.from({ length: 6 }, () => ({ dataset_id: dataset })))
      expect((await pages(`dataset_id=${dataset}&limit=3`)).map((logs) => logs.length)).toEqual([3, 3])
      expect((await page(`dataset_id=${dataset}&limit=6`)).next_cursor).toBeNull()
    })

    test.each(['asc', 'desc'])('pages (%s) stay whole while entries arrive', async (order) => {
      const dataset = newDataset()
      const entry = { dataset_id: dataset, data: 'x' }
      const ids = await addAll(Array.from({ length: 100 }, () => entry))
      let rounds = 0
      const found = await pages(`dataset_id=${dataset}&order=${order}&limit=9`, async () => {
        if (rounds++ < 20) await addAll([entry, { ...entry, timestamp: microseconds('2020-01-01') }])
      })
      const seen = found.flat().map((entry) => entry.log_id)
      expect(new Set(seen).size).toBe(seen.length)
      expect(ids.filter((id) => !seen.includes(id))).toEqual([])
    })

    test('a cursor counts for the same parameters alone; limit may change', async () => {
      const { next_cursor } = await page(`dataset_id=${dataset}&limit=1&from=2026-03-04`)
      const base = `dataset_id=${dataset}&from=2026-03-04&cursor=${next_cursor}`
      expect((await page(`${base}&limit=2`)).logs).toHaveLength(2)
      for (const other of [
        'order=asc',
        'q=disk',
        'name=log',
        'severity=error',
        'to=2026-03-05',
        'min_severity=1',
      ]) {
        expect((await ask(`GET /v2/logs?${base}&${other}`)).status).toBe(400)
      }
      expect((await ask(`GET /v2/logs?dataset_id=${dataset}&cursor=${next_cursor}`)).status).toBe(400)
      const changed = next_cursor!.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))
      expect((await ask(`GET /v2/logs?dataset_id=${dataset}&from=2026-03-04&cursor=${changed}`)).status).toBe(
        400,
      )
    })

    test('100 entries are a page', async () => {
      const dataset = newDataset()
      await addAll(Array.from({ length: 101 }, () => ({ dataset_id: dataset })))
      expect((await pages(`dataset_id=${dataset}`)).map((logs) => logs.length)).toEqual([100, 1])
    })

    test('admins and the system find all; a user what the rights of datasets allow', async () => {
      const [mine, other] = [newDataset(), newDataset()]
      const name = `name of ${mine}`
      await addAll([{ dataset_id: mine, name }, { dataset_id: other, name }, { name }])
      await grant(mine, { read_users: ['otto'] })
      await grant(other, { read_users: ['olga'], write_users: ['otto'] })
      const count = async (query: string, by = admin): Promise<number> => (await page(query, by)).logs.length
      for (const by of [admin, system]) {
        expect(await count(`name=${name}`, by)).toBe(3)
        expect(await count(`dataset_id=${other}`, by)).toBe(1)
      }
      expect(await count(`name=${name}`, user)).toBe(1)
      expect(await count(`dataset_id=${mine}`, user)).toBe(1)
      expect((await ask(`GET /v2/logs?dataset_id=${other}`, { by: user })).json).toMatchObject({
        status: 403,
        detail: 'authorization failed',
      })
      expect((await ask(`GET /v2/logs?dataset_id=${newDataset()}`, { by: user })).json).toMatchObject({
        status: 403,
        detail: 'attr not found',
      })
      const stranger = { sub: 'x', roles: ['user'] }
      expect(await page(`name=${name}`, stranger)).toEqual({ logs: [], next_cursor: null })
      expect((await ask('GET /v2/logs', { by: { roles: [] } })).status).toBe(403)
      expect((await ask('GET /v2/logs', { by: null })).status).toBe(401)
    })
  })

  describe('/v2/datasets/{dataset_id}/rights', () => {
    test('are set, read, replaced and taken away', async () => {
      const path = `/v2/datasets/${newDataset()}/rights`
      expect((await ask(`GET ${path}`)).status).toBe(404)
      const record = { read_groups: ['a', 'ä"%_'], write_groups: [], read_users: ['otto'], write_users: [] }
      const put = await ask(`PUT ${path}`, { body: { read_groups: ['a', 'ä"%_'], read_users: ['otto'] } })
      expect([put.status, put.json]).toEqual([200, record])
      expect((await ask(`GET ${path}`)).json).toEqual(record)
      const none = { read_groups: [], write_groups: [], read_users: [], write_users: [] }
      expect((await ask(`PUT ${path}`, { body: {} })).json).toEqual(none)
      expect((await ask(`GET ${path}`)).json).toEqual(none)
      const removed = await ask(`DELETE ${path}`)
      expect([removed.status, removed.text]).toEqual([204, ''])
      expect((await ask(`DELETE ${path}`)).status).toBe(404)
    })

    test('count at once', async () => {
      const dataset = newDataset()
      const route = `GET /datasets/${dataset}/tasks/t/logs`
      refused(await ask(route, { by: user }), 403, 'attr not found')
      await grant(dataset, { read_groups: ['physics'] })
      expect((await ask(route, { by: user })).status).toBe(404)
      await grant(dataset, {})
      refused(await ask(route, { by: user }), 403, 'authorization failed')
      await ask(`DELETE /v2/datasets/${dataset}/rights`)
      refused(await ask(route, { by: user }), 403, 'attr not found')
    })

    test.each([system, user])('are for admins alone: $sub gets 403', async (by) => {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        expect((await ask(`${method} /v2/datasets/d/rights`, { by, body: {} })).status).toBe(403)
      }
    })

    test.each([
      [[], 'The body must be a JSON object'],
      ['', 'The body must be a JSON object'],
      [{ read_groups: 'a' }, 'read_groups must be a list of texts.'],
      [{ write_users: [5] }, 'write_users must be a list of texts.'],
      [{ read_group: ['a'] }, 'There is no field "read_group"'],
    ])('%j is refused with 400', async (body, detail) => {
      const { status, json } = await ask('PUT /v2/datasets/d/rights', { body })
      expect(status).toBe(400)
      expect(json).toMatchObject({ detail: expect.stringContaining(detail) })
    })
  })

  test('a time is one instant everywhere', async () => {
    const time = 1_772_619_072_000_345
    const [id] = await addAll([{ timestamp: time }])
    expect((await ask(`GET /logs/${id}`)).json).toMatchObject({ timestamp: formatTime(time) })
  })
})

test('two services on one store: rights and cursors of one count at the other', async () => {
  const database = await stores.url('postgres')
  await using one = await startTestService({ database })
  await using other = await startTestService({ database })
  const [ask, askOther] = [asker(one.url), asker(other.url)]
  for (const data of ['a', 'b']) await ask('POST /datasets/d/logs', { body: { data } })
  const first = (await ask('GET /v2/logs?dataset_id=d&limit=1&order=asc')).json as Page
  const next = `GET /v2/logs?dataset_id=d&order=asc&cursor=${first.next_cursor}`
  expect((await askOther(next, { by: user })).status).toBe(403)
  await ask('PUT /v2/datasets/d/rights', { body: { read_groups: ['physics'] } })
  expect((await askOther(next, { by: user })).json).toMatchObject({
    logs: [{ data: 'b' }],
    next_cursor: null,
  })
})

describe('when the store fails or the service stops', () => {
  const entry = {
    log_id: '0'.repeat(32),
    dataset_id: 'd',
    task_id: 't',
    name: 'log',
    timestamp: 0,
    arrived: 0,
    severity: null,
    data: 'x'.repeat(100_000),
    dataMissing: false,
    fields: {},
  }
  const paths = ['/logs', '/datasets/d/tasks/t/logs', '/v2/logs']

  test.each(paths)('GET %s has the status of the failure if nothing was sent yet', async (path) => {
    await using running = await startTestService({ database: 'sqlite::memory:' })
    vi.spyOn(running.service.context.entries, 'read').mockImplementation(async function* () {
      yield* []
      throw new Refusal(503, 'busy')
    })
    expect((await asker(running.url)(`GET ${path}`)).status).toBe(503)
  })

  test.each(paths)('GET %s breaks off if something was sent, and the service goes on', async (path) => {
    await using running = await startTestService({ database: 'sqlite::memory:' })
    const ask = asker(running.url)
    using read = vi.spyOn(running.service.context.entries, 'read').mockImplementation(async function* () {
      yield entry
      throw new Error('The disk is gone.')
    })
    await expect(ask(`GET ${path}`)).rejects.toThrow()
    read.mockRestore()
    expect((await ask('GET /logs')).json).toEqual({})
  })

  test('a deletion ends with a line that says so', async () => {
    await using running = await startTestService({ database: 'sqlite::memory:' })
    let removed = 0
    vi.spyOn(running.service.context.entries, 'removeAll').mockImplementation(async function* () {
      for (; ; removed++) {
        yield { removed, total: 1_000_000 }
        await new Promise(setImmediate)
        if (removed === 10) void running.service.close()
      }
    })
    const { text } = await asker(running.url)('DELETE /datasets/d/logs')
    const last = JSON.parse(text.trimEnd().split('\n').at(-1)!) as object
    expect(last).toEqual({
      status: 'error',
      percent_complete: removed / 10_000,
      total: 1_000_000,
      error: 'The service is stopping. Repeat the request to remove the rest.',
    })
  })
})

test('A-14: the option systemOnDatasets opens the routes of datasets to the system', async () => {
  await using running = await startTestService({ database: 'sqlite::memory:', systemOnDatasets: true })
  const ask = asker(running.url)
  expect((await ask('POST /datasets/d/logs', { by: system, body: { data: 'x' } })).status).toBe(201)
  expect((await ask('GET /datasets/d/tasks/t/logs', { by: system })).status).toBe(404)
})
