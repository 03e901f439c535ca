import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bearer } from '../http/token.testing.ts'
import type { ExportTask } from './export-task.ts'
import { base, type Bench, isOver, project, serial, server, startBench, user } from './exports.testing.ts'

let bench: Bench
let id: string
beforeAll(async () => {
  bench = await startBench()
  id = await bench.start({ content: ['ACCESS'] })
  await bench.until(id, isOver)
})
afterAll(() => bench[Symbol.asyncDispose]())

const noServer = `/v1/${project}/physicalservers/srv-99/logs/exports`
const unknown = '00000000-0000-4000-8000-000000000000'
const other = bearer({ roles: ['user'], project_id: 'p-two' })
const nobody = bearer({ roles: [], project_id: project })
const system = bearer({ roles: ['system'], sub: 'tool' })
const systemElsewhere = bearer({ roles: ['system'], project_id: 'p-two' })
const admin = bearer({ roles: ['admin'], project_id: 'p-two' })
const noProject = bearer({ roles: ['user'] })

describe('who may use them', () => {
  test.each([
    ['no token', {}, 401, 'iMetal.0003', 'Unauthorized'],
    ['no role', nobody, 403, 'iMetal.0004', 'Insufficient permissions'],
    ['another project', other, 403, 'iMetal.0004', 'Insufficient permissions'],
    ['no project', noProject, 403, 'iMetal.0004', 'Insufficient permissions'],
    ['a system of another project', systemElsewhere, 403, 'iMetal.0004', 'Insufficient permissions'],
  ])('%s', async (_name, headers, status, error_code, error_msg) => {
    for (const [method, path] of [
      ['GET', base],
      ['POST', base],
      ['GET', `${base}/${id}`],
      ['DELETE', `${base}/${id}`],
      ['GET', `${base}/${id}/content`],
    ] as const) {
      const answer = await fetch(bench.url + path, { method, headers: headers as Record<string, string> })
      expect(answer.status, `${method} ${path}`).toBe(status)
      expect(await answer.json()).toEqual({ error_code, error_msg })
    }
  })

  test.each([
    ['a system without a project', system],
    ['an admin', admin],
  ])('%s has all projects', async (_name, headers) => {
    expect((await bench.ask('GET', `${base}/${id}`, { headers })).status).toBe(200)
  })
})

describe('what is not there', () => {
  test.each([
    ['GET', noServer, 'iMetal.0100', 'Physical servers ID not found: [srv-99]'],
    ['POST', noServer, 'iMetal.0100', 'Physical servers ID not found: [srv-99]'],
    ['GET', `${base}/${unknown}`, 'HcpLogs.0404', unknown],
    ['DELETE', `${base}/${unknown}`, 'HcpLogs.0404', unknown],
    ['GET', `${base}/${unknown}/content`, 'HcpLogs.0404', unknown],
    ['GET', `${base}/..%2F..%2Fetc/content`, 'HcpLogs.0404', 'etc'],
  ])('%s %s', async (method, path, error_code, message) => {
    const { status, json } = await bench.ask(method, path)
    expect(status).toBe(404)
    expect(json).toEqual({ error_code, error_msg: expect.stringContaining(message) })
  })

  test('a server of another project is as unknown as one that there is not', async () => {
    const path = `/v1/p-two/physicalservers/${server}/logs/exports`
    const { status, json } = await bench.ask('GET', path, { headers: admin })
    expect(status).toBe(404)
    expect(json).toEqual({
      error_code: 'iMetal.0100',
      error_msg: `Physical servers ID not found: [${server}]`,
    })
  })
})

test.each([
  [{ start: 1 }, 'there is no field "start"'],
  [{ content: ['ALL'] }, 'content must be a list of ACCESS, SYSTEM, SERVICE, APPLICATION'],
  [{ end_date: '2099-01-01' }, 'end_date must not lie in the future'],
  ['[]', 'the body must be a JSON object, or empty'],
  ['{', ''],
])('a body %j is refused', async (body, message) => {
  const { status, json } = await bench.ask('POST', base, { body })
  expect(status).toBe(400)
  expect(json).toEqual({
    error_code: 'iMetal.0001',
    error_msg: expect.stringContaining(
      `A request parameter contains invalid or unsupported value: ${message}`,
    ),
  })
})

test('the list is newest first, page by page', async () => {
  const more = [await bench.start(), await bench.start(), await bench.start()]
  const list = async (query: string): Promise<string[]> => {
    const { json } = await bench.ask('GET', `${base}?${query}`)
    return (json as { exports: ExportTask[] }).exports.map(({ export_id }) => export_id)
  }
  const all = await list('')
  expect(all).toEqual([...more.toReversed(), id])
  expect(await list('limit=2')).toEqual(all.slice(0, 2))
  expect(await list(`limit=5&marker=${all[1]!}`)).toEqual(all.slice(2))
  expect(await list(`marker=${id}`)).toEqual([])
  for (const query of ['limit=0', 'limit=-1', 'limit=x', 'limit=', 'limit=1.5', `marker=${unknown}`]) {
    const { status, json } = await bench.ask('GET', `${base}?${query}`)
    expect([status, (json as { error_code: string }).error_code], query).toEqual([400, 'iMetal.0001'])
  }
  for (const each of more) await bench.ask('DELETE', `${base}/${each}`)
})

test('the same Idempotency-Key gives the same export', async () => {
  const headers = { 'idempotency-key': 'one-and-only' }
  const first = await bench.ask('POST', base, { body: {}, headers })
  const second = await bench.ask('POST', base, { body: {}, headers })
  expect(second.status).toBe(202)
  expect((second.json as ExportTask).export_id).toBe((first.json as ExportTask).export_id)
  await bench.ask('DELETE', `${base}/${(first.json as ExportTask).export_id}`)
})

describe('the content', () => {
  const get = (headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${bench.url}${base}/${id}/content`, { headers: { ...user, ...headers } })

  test('parts are parts of the whole', async () => {
    const whole = await get()
    const etag = whole.headers.get('etag')!
    const bytes = Buffer.from(await whole.bytes())
    for (const [range, start, end] of [
      ['bytes=0-9', 0, 9],
      ['bytes=100-', 100, bytes.length - 1],
      ['bytes=-7', bytes.length - 7, bytes.length - 1],
    ] as const) {
      const part = await get({ range, 'if-range': etag })
      expect(part.status).toBe(206)
      expect(part.headers.get('content-range')).toBe(`bytes ${start}-${end}/${bytes.length}`)
      expect(part.headers.get('content-disposition')).toBe(`attachment; filename=${serial}-dump.tar.gz`)
      expect(Buffer.from(await part.bytes()).equals(bytes.subarray(start, end + 1))).toBe(true)
    }
    const unlike: readonly Record<string, string>[] = [
      { range: 'bytes=0-1,3-4' },
      { range: 'bytes=0-1', 'if-range': '"another"' },
      { range: 'bytes=0-1', 'if-range': 'Fri, 27 Nov 2026 10:00:00 GMT' },
      { range: 'lines=1-2' },
    ]
    for (const headers of unlike) {
      const answer = await get(headers)
      expect(answer.status).toBe(200)
      expect((await answer.bytes()).length).toBe(bytes.length)
    }
    const beyond = await get({ range: `bytes=${bytes.length}-` })
    expect(beyond.status).toBe(416)
    expect(beyond.headers.get('content-range')).toBe(`bytes */${bytes.length}`)
    expect((await get({ 'if-match': '"another"' })).status).toBe(412)
    expect((await get({ 'if-match': etag, range: 'bytes=0-9' })).status).toBe(206)
    const known = await get({ 'if-none-match': etag })
    expect([known.status, await known.text()]).toEqual([304, ''])
  })

  test('the two forms have each their own ETag, and neither is packed on the way', async () => {
    const tar = await get({ 'accept-encoding': 'gzip' })
    const zip = await get({ accept: 'application/zip', 'accept-encoding': 'gzip' })
    expect(tar.headers.get('etag')).not.toBe(zip.headers.get('etag'))
    for (const answer of [tar, zip]) {
      expect(answer.headers.get('content-encoding')).toBeNull()
      expect((await answer.bytes()).length).toBe(Number(answer.headers.get('content-length')))
    }
  })

  test('too early it is 409, and says when to come again', async () => {
    bench.hcp.addFault({ kind: 'delay', when: 'beforeHead', ms: 500, path: '/mapi/logs/prepare', count: 1 })
    const early = await bench.start()
    const { status, json, headers } = await bench.ask('GET', `${base}/${early}/content`)
    expect(status).toBe(409)
    expect(json).toMatchObject({ error_code: 'HcpLogs.0409' })
    expect(headers.get('retry-after')).toBe('1')
    await bench.ask('DELETE', `${base}/${early}`)
  })
})

describe('/v2/exports', () => {
  interface Page {
    readonly exports: readonly (ExportTask & { readonly project_id: string })[]
    readonly next_cursor: string | null
  }
  const list = async (query: string, headers = {}): Promise<Page> =>
    (await bench.ask('GET', `/v2/exports?${query}`, { headers })).json

  test('lists page by page, with filters', async () => {
    const all = (await list('')).exports.map(({ export_id }) => export_id)
    expect(all.at(-1)).toBe(id)
    const seen: string[] = []
    let cursor = ''
    do {
      const page = await list(`limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`)
      seen.push(...page.exports.map(({ export_id }) => export_id))
      cursor = page.next_cursor ?? ''
    } while (cursor !== '')
    expect(seen).toEqual(all)
    expect((await list('status=completed')).exports.map(({ export_id }) => export_id)).toEqual([id])
    expect((await list('system=none')).exports).toEqual([])
    expect((await list(`project=${project}`, admin)).exports).toHaveLength(all.length)
    expect((await list('project=p-two', system)).exports).toEqual([])
    expect((await list('', other)).exports).toEqual([])
  })

  test.each([
    ['status=Running', user, 400],
    ['limit=0', user, 400],
    ['cursor=x.y', user, 400],
    ['project=p-two', user, 403],
    ['', noProject, 403],
  ])('%s is refused', async (query, headers, expected) => {
    const { status, headers: sent } = await bench.ask('GET', `/v2/exports?${query}`, { headers })
    expect(status).toBe(expected)
    expect(sent.get('content-type')).toContain('application/problem+json')
  })

  test('shows one to whoever may see it', async () => {
    const { json } = await bench.ask('GET', `/v2/exports/${id}`)
    expect(json).toMatchObject({
      export_id: id,
      status: 'completed',
      system_id: server,
      request: { content: ['ACCESS'] },
      archive: { tar: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } },
    })
    expect((await bench.ask('GET', `/v2/exports/${id}`, { headers: other })).status).toBe(404)
    expect((await bench.ask('GET', `/v2/exports/${unknown}/events`)).status).toBe(404)
  })

  test('tells progress as events, to the end', async () => {
    const started = await bench.start()
    const answer = await fetch(`${bench.url}/v2/exports/${started}/events`, { headers: user })
    expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    const events = (await answer.text())
      .trim()
      .split('\n\n')
      .map((block) => ({
        event: /^event: (.*)$/m.exec(block)?.[1],
        data: JSON.parse(/^data: (.*)$/m.exec(block)![1]!) as ExportTask,
      }))
    expect(events.at(-1)).toMatchObject({ event: 'end', data: { export_id: started, status: 'completed' } })
    const progress = events.filter(({ event }) => event === 'progress').map(({ data }) => data.progress)
    expect(progress.length).toBeGreaterThan(1)
    expect(progress).toEqual(progress.toSorted((one, two) => one - two))
    expect(progress.at(-1)).toBe(100)
  })
})

test('all of it is in the description of the service', async () => {
  const { json } = await bench.ask('GET', '/openapi.json')
  const paths = Object.keys((json as { paths: object }).paths)
  expect(paths.filter((path) => path.includes('exports'))).toHaveLength(6)
})

test('the place of an export is under the base of links, however that ends', async () => {
  await using bench = await startBench({ options: { linkBase: 'https://logs.test/hcp/' } })
  const { headers, json } = await bench.ask('POST', base, { body: {} })
  const { export_id: id } = json as { export_id: string }
  expect(headers.get('location')).toBe(`https://logs.test/hcp${base}/${id}`)
})
