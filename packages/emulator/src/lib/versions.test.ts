import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { XMLParser } from 'fast-xml-parser'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { WireRequest } from './wire.testing.ts'
import { ask, credentials, statusOf, Wire } from './wire.testing.ts'

const host = 'n2.m.hcp1.test'
const start = Date.UTC(2026, 0, 1)
let clock = start
let hcp: Emulator

beforeAll(async () => {
  hcp = await startEmulator({
    nodes: 1,
    now: () => clock,
    config: {
      tenants: [
        {
          name: 'm',
          namespaces: [{ name: 'n1' }, { name: 'n2', versioning: true }],
          users: [
            { user: 'n', password: 'n01' },
            { user: 'browser', password: 'b01', permissions: ['browse'] },
            { user: 'writer', password: 'w01', permissions: ['write', 'delete'] },
          ],
        },
      ],
    },
  })
})
afterAll(() => hcp.close())

let counter = 0
const fresh = (): string => `/rest/docs/${++counter}.txt`

function send(request: WireRequest): Promise<number> {
  return statusOf(hcp, { host, ...request })
}

/** Stores a version a second after the one before; gives its id. */
async function put(path: string, body: string, query = ''): Promise<number> {
  clock += 1_000
  const answer = await ask(hcp, { method: 'PUT', path: path + query, body, host })
  expect(answer.status).toBe(201)
  return Number(answer.headers['x-hcp-versionid'])
}

interface Listed {
  readonly [attribute: string]: string
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseAttributeValue: false,
  isArray: (name) => name === 'entry',
})

async function list(path: string, query = ''): Promise<Listed & { readonly entry?: readonly Listed[] }> {
  const answer = await ask(hcp, { path: `${path}?version=list${query}`, host })
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/xml'])
  return (parser.parse(answer.text) as { versions: Listed }).versions
}

const ids = async (path: string): Promise<number[]> =>
  ((await list(path, '&deleted=true')).entry ?? []).map(({ version }) => Number(version))

describe('a list of versions', () => {
  test('has every version with its attributes, oldest first', async () => {
    const path = '/rest/docs/a%20%26%20b.txt'
    const one = await put(path, 'hello hcp\n', '?index=false')
    const annotation = `${path}?type=custom-metadata&annotation=ticket`
    await send({ method: 'PUT', path: annotation, body: '<a/>' })
    const two = await put(path, 'second')
    clock += 1_000
    expect(await send({ method: 'DELETE', path })).toBe(200)
    const document = await list(path, '&deleted=true')
    expect(document).toMatchObject({
      path,
      utf8Path: '/rest/docs/a & b.txt',
      parentDir: '/rest/docs',
      utf8ParentDir: '/rest/docs',
      deleted: 'true',
      showDeleted: 'true',
      namespaceName: 'n2',
      utf8NamespaceName: 'n2',
    })
    const common = {
      urlName: 'a%20%26%20b.txt',
      utf8Name: 'a & b.txt',
      type: 'object',
      owner: 'n',
      index: 'false',
    }
    expect(document.entry).toMatchObject([
      {
        ...common,
        version: String(one),
        state: 'created',
        size: '10',
        customMetadataAnnotations: 'ticket;4',
      },
      { ...common, version: String(two), state: 'created', size: '6', customMetadata: 'true' },
      { ...common, state: 'deleted', size: '6', customMetadataAnnotations: 'ticket;4' },
    ])
    const marker = document.entry![2]!
    expect(Number(marker['ingestTime'])).toBe(clock / 1_000)
    expect(Object.keys(document.entry![0]!).join(' ')).toBe(
      'urlName utf8Name type size hashScheme hash retention retentionString retentionClass hold shred dpl ' +
        'index customMetadata customMetadataAnnotations replicated owner domain hasAcl state version ' +
        'ingestTime ingestTimeString changeTimeMilliseconds changeTimeString etag',
    )
    expect((await list(path)).entry).toHaveLength(2)
  })

  test('of an object that is there says so', async () => {
    const path = fresh()
    await put(path, 'x')
    expect(await list(path)).toMatchObject({ deleted: 'false', showDeleted: 'false' })
    const zipped = await ask(hcp, {
      path: `${path}?version=list`,
      host,
      headers: { 'Accept-Encoding': 'gzip' },
    })
    expect(gunzipSync(zipped.body).toString()).toContain('</versions>')
    const head = await ask(hcp, { method: 'HEAD', path: `${path}?version=list`, host })
    expect(head).toMatchObject({ status: 200, headers: { 'content-type': 'text/xml' } })
  })

  test.each<[string, WireRequest, number]>([
    ['versioning is off', { host: 'n1.m.hcp1.test' }, 400],
    ['there is no such object', { path: '/rest/none?version=list' }, 404],
    ['it is a directory', { path: '/rest/docs?version=list' }, 404],
    ['browse is missing', { authorization: credentials('writer', 'w01') }, 403],
    ['browse is all there is', { authorization: credentials('browser', 'b01') }, 200],
    ['deleted is no word for it', { path: '/rest/docs/listed?version=list&deleted=yes' }, 400],
    [
      'one version fails the condition',
      { headers: { 'If-Match': '"9dd4e461268c8034f5c8564e155c67a6"' } },
      412,
    ],
    ['all versions pass the condition', { headers: { 'If-None-Match': '"none"' } }, 200],
    ['none is newer', { headers: { 'If-Modified-Since': new Date(start + 3_600_000).toUTCString() } }, 304],
  ])('when %s', async (_, request, status) => {
    const path = '/rest/docs/listed'
    if ((await send({ method: 'HEAD', path })) === 404) {
      for (const body of ['x', 'y']) await put(path, body)
    }
    expect(await send({ path: `${path}?version=list`, ...request })).toBe(status)
  })

  test('is whole whatever its length', async () => {
    const path = fresh()
    for (let index = 0; index < 400; index++) await send({ method: 'PUT', path, body: 'x' })
    expect(await ids(path)).toHaveLength(400)
  })
})

describe('a version value', () => {
  test('names one by its time, for reading and HEAD', async () => {
    const path = fresh()
    const one = await put(path, 'one')
    const first = clock
    await put(path, 'second')
    clock += 1_000
    await send({ method: 'DELETE', path })
    const at = (time: number, method = 'GET'): ReturnType<typeof ask> =>
      ask(hcp, { method, path: `${path}?version=@${time}`, host })
    expect((await at(first)).text).toBe('one')
    expect((await at(first + 999)).headers['x-hcp-versionid']).toBe(String(one))
    expect((await at(first + 1_000)).text).toBe('second')
    expect((await at(first - 1)).status).toBe(404)
    expect((await at(clock)).status).toBe(204)
    expect((await at(first, 'HEAD')).headers).toMatchObject({ 'content-length': '3', 'x-hcp-size': '3' })
    expect((await at(clock, 'HEAD')).status).toBe(204)
    for (const method of ['HEAD', 'GET']) {
      expect(await send({ method, path: `${path}?version=${one}` })).toBe(200)
      expect(await send({ method, path: `${path}?version=${one + 1}` })).toBe(404)
    }
  })

  test.each(['x', '', '@', '-', '1-', '2-1', '@2-@1', '1-@2', '1-2-3', '0x1', '-1', '@1-'])(
    '%j is none that can be read',
    async (value) => {
      const path = fresh()
      await put(path, 'x')
      expect(await send({ path: `${path}?version=${value}` })).toBe(400)
      expect(await send({ method: 'HEAD', path: `${path}?version=${value}` })).toBe(400)
    },
  )

  test('is nothing that a directory has', async () => {
    await send({ method: 'PUT', path: '/rest/empty?type=directory' })
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      expect(await send({ method, path: '/rest/empty?version=1' })).toBe(404)
    }
    expect(await send({ method: 'HEAD', path: '/rest/empty' })).toBe(200)
  })
})

test('what is asked of a version is answered for that one, whatever is current', async () => {
  const path = fresh()
  const one = await put(path, 'one')
  const note = '?type=custom-metadata&annotation=note'
  expect(await send({ method: 'PUT', path: path + note, body: '<a/>' })).toBe(201)
  const two = await put(path, 'second')
  expect(await send({ method: 'DELETE', path: path + note })).toBe(200)
  clock += 1_000
  expect(await send({ method: 'DELETE', path })).toBe(200)
  const marker = (await ids(path)).at(-1)!
  const statuses: Record<string, number[]> = {}
  const forms: Record<string, string> = {
    object: '?',
    'object, patient or not': '?nowait&forceEtag=true&',
    annotation: `${note}&nowait=&`,
    annotations: '?type=custom-metadata-info&',
    whole: '?type=whole-object&annotation=note&',
  }
  for (const [name, query] of Object.entries(forms)) {
    statuses[name] = []
    for (const id of [one, two, marker, marker + 1]) {
      const status = await send({ path: `${path}${query}version=${id}` })
      expect(await send({ method: 'HEAD', path: `${path}${query}version=${id}` })).toBe(status)
      statuses[name].push(status)
    }
  }
  expect(statuses).toEqual({
    object: [200, 200, 204, 404],
    'object, patient or not': [200, 200, 204, 404],
    annotation: [200, 204, 204, 404],
    annotations: [200, 204, 204, 404],
    whole: [200, 404, 204, 404],
  })
  const head = { method: 'HEAD', path: `${path}?version=${one}`, host }
  const etag = (await ask(hcp, head)).headers['etag']!
  expect(await send({ ...head, headers: { 'If-None-Match': etag } })).toBe(304)
  expect(await send({ ...head, headers: { 'If-Match': '"none"' } })).toBe(412)
})

test.each(['oldestFirst', 'newestFirst'] as const)(
  'a list in the order of the choice: %s',
  async (versionOrder) => {
    await using other = await startEmulator({ nodes: 1, choices: { versionOrder } })
    for (const body of ['1', '22', '333']) await ask(other, { method: 'PUT', path: '/rest/a', host, body })
    const { text } = await ask(other, { path: '/rest/a?version=list', host })
    const sizes = [...text.matchAll(/ size="(\d+)"/g)].map(([, size]) => Number(size))
    expect(sizes).toEqual(versionOrder === 'oldestFirst' ? [1, 2, 3] : [3, 2, 1])
  },
)

test('versions that were deleted are not there after a new start', async () => {
  const data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  try {
    const path = '/rest/a'
    const made: string[] = []
    const listed = async (other: Emulator): Promise<string[]> =>
      [
        ...(await ask(other, { path: `${path}?version=list&deleted=true`, host })).text.matchAll(
          / version="(\d+)"/g,
        ),
      ].map(([, id]) => id!)
    {
      await using other = await startEmulator({ nodes: 1, data })
      for (const body of '12345') {
        made.push((await ask(other, { method: 'PUT', path, host, body })).headers['x-hcp-versionid']!)
      }
      const range = `${path}?version=${made[1]}-${made[3]}`
      expect(await statusOf(other, { method: 'DELETE', path: range, host })).toBe(200)
    }
    await using other = await startEmulator({ nodes: 1, data })
    expect(await listed(other)).toEqual([made[0], made[4]])
    expect((await ask(other, { path: `${path}?version=${made[0]}`, host })).text).toBe('1')
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

describe('DELETE of versions', () => {
  /** Five versions, a second apart. */
  async function five(): Promise<{ path: string; made: number[]; times: number[] }> {
    const path = fresh()
    const made: number[] = []
    const times: number[] = []
    for (const body of '12345') {
      made.push(await put(path, body))
      times.push(clock)
    }
    return { path, made, times }
  }

  test.each<[string, (made: number[], times: number[]) => string, number[]]>([
    ['an id', (made) => `${made[1]}`, [0, 2, 3, 4]],
    ['a range', (made) => `${made[1]}-${made[3]}`, [0, 4]],
    ['a range between ids', (made) => `${made[1]! - 1}-${made[3]! + 1}`, [0, 4]],
    ['all', () => '0-', []],
    ['all from one on', (made) => `${made[2]}-`, [0, 1]],
    ['the version of a time', (_, times) => `@${times[2]! + 1}`, [0, 1, 3, 4]],
    ['a range of times', (_, times) => `@${times[1]}-@${times[2]}`, [0, 3, 4]],
    ['a range of times with one sign', (_, times) => `@${times[1]}-${times[2]}`, [0, 3, 4]],
    ['a range of times without end', (_, times) => `@${times[1]}-`, [0]],
  ])('takes %s', async (_, value, left) => {
    const { path, made, times } = await five()
    expect(await send({ method: 'DELETE', path: `${path}?version=${value(made, times)}` })).toBe(200)
    if (left.length === 0) expect(await send({ path: `${path}?version=list` })).toBe(404)
    else expect(await ids(path)).toEqual(left.map((index) => made[index]))
  })

  test.each<[string, string, number]>([
    ['no such id', '77', 404],
    ['none in the range', '1-2', 404],
    ['none at that time', '@1', 404],
    ['the list', 'list', 400],
    ['the wrong way round', '2-1', 400],
    ['neither id nor time', 'x', 400],
    ['with a purge', '0-&purge=true', 400],
  ])('refuses %s', async (_, value, status) => {
    const { path, made } = await five()
    expect(await send({ method: 'DELETE', path: `${path}?version=${value}` })).toBe(status)
    expect(await ids(path)).toEqual(made)
  })

  test('takes its parameters from a form, but not from both', async () => {
    const { path, made } = await five()
    expect(
      await send({ method: 'DELETE', path: `${path}?version=${made[0]}`, body: 'privileged=false' }),
    ).toBe(400)
    expect(await send({ method: 'DELETE', path, body: `version=${made[0]}-${made[1]}` })).toBe(200)
    expect(await ids(path)).toEqual(made.slice(2))
  })

  test('needs versioning', async () => {
    const path = fresh()
    const n1 = { host: 'n1.m.hcp1.test' }
    await send({ method: 'PUT', path, body: 'x', ...n1 })
    expect(await send({ method: 'DELETE', path: `${path}?version=0-`, ...n1 })).toBe(400)
  })

  test('uncovers what a delete marker hid', async () => {
    const { path } = await five()
    clock += 1_000
    await send({ method: 'DELETE', path })
    expect(await send({ path })).toBe(404)
    const marker = (await ids(path)).at(-1)
    expect(await send({ path: `${path}?version=${marker}` })).toBe(204)
    expect(await send({ method: 'DELETE', path: `${path}?version=${marker}` })).toBe(200)
    expect((await ask(hcp, { path, host })).text).toBe('5')
  })

  test('does all or nothing where one of them is under retention or on hold', async () => {
    for (const protection of ['?retention=-1', '?hold=true']) {
      const { path, made } = await five()
      const last = await put(path, 'kept', protection)
      expect(await send({ method: 'DELETE', path: `${path}?version=0-` })).toBe(403)
      expect(await ids(path)).toEqual([...made, last])
      if (protection === '?hold=true') continue
      const privileged = '&privileged=true&reason=court'
      expect(await send({ method: 'DELETE', path: `${path}?version=0-${privileged}` })).toBe(200)
    }
  })

  test.each([
    ['a hold', '?hold=true', 'x-hcp-retentionhold'],
    [
      'a labeled hold',
      `?label_hold=${encodeURIComponent('[{"id":"a","hold":true}]')}`,
      'x-hcp-labelretentionhold',
    ],
  ])('%s that comes with a new version keeps the others too', async (_, protection, header) => {
    const { path, made } = await five()
    await put(path, 'kept', protection)
    const old = `${path}?version=${made[0]}`
    expect((await ask(hcp, { path: old, host })).headers).toMatchObject({ [header]: 'true' })
    expect(await send({ method: 'DELETE', path: old })).toBe(403)
  })

  test.each([false, true])('of an old one whose retention has ended is a choice: %s', async (choice) => {
    await using other = await startEmulator({
      nodes: 1,
      now: () => clock,
      choices: { deleteOldAfterRetention: choice },
    })
    const path = '/rest/old'
    const retained = await ask(other, { method: 'PUT', path: `${path}?retention=N%2B1d`, host, body: 'x' })
    clock += 2 * 86_400_000
    await ask(other, { method: 'PUT', path: `${path}?retention=0`, host, body: 'y' })
    const old = `${path}?version=${retained.headers['x-hcp-versionid']}`
    expect(await statusOf(other, { method: 'DELETE', path: old, host })).toBe(choice ? 200 : 403)
    expect(await statusOf(other, { method: 'DELETE', path: `${path}?purge=true`, host })).toBe(200)
  })

  test('waits for nobody who is writing', async () => {
    const { path, made } = await five()
    using wire = await Wire.to(hcp)
    wire.send({ method: 'PUT', path, host, headers: { 'Content-Length': '3' }, body: 'on' })
    await expect.poll(() => send({ method: 'DELETE', path: `${path}?version=${made[0]}` })).toBe(409)
  })
})
