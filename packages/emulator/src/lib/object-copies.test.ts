import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmulatorConfig } from './config.ts'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { WireAnswer, WireRequest } from './wire.testing.ts'
import { ask, credentials, requestBytes, statusOf, Wire } from './wire.testing.ts'

const n2 = 'n2.m.hcp1.test'
const config: EmulatorConfig = {
  tenants: [
    {
      name: 'm',
      namespaces: [
        { name: 'n1' },
        { name: 'n2', versioning: true },
        { name: 'xml', checkXml: true },
        { name: 'md5', hashScheme: 'MD5', defaultRetention: 'A+1d', defaultIndex: false },
        { name: 'small', quotaBytes: 20 },
      ],
      users: [
        { user: 'n', password: 'n01' },
        { user: 'to', password: 't01', permissions: { n1: ['write'], n2: ['read', 'write'] } },
        { user: 'from', password: 'f01', permissions: { n1: ['read'], n2: ['write'] } },
      ],
    },
    { name: 'other', namespaces: [{ name: 'n1' }], users: [{ user: 'n', password: 'n01' }] },
  ],
}

let hcp: Emulator
let clock = Date.UTC(2026, 0, 1)
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 1, now: () => clock, config })
})
afterAll(() => hcp.close())

let counter = 0
/** A path that nobody has used, without `/rest`. */
const free = (): string => `made/${++counter}`

async function store(content = 'hello hcp\n', host = 'n1.m.hcp1.test', query = ''): Promise<string> {
  const path = free()
  expect(await statusOf(hcp, { method: 'PUT', path: `/rest/${path}${query}`, host, body: content })).toBe(201)
  return path
}

function copy(source: string, path: string, request: WireRequest = {}): Promise<WireAnswer> {
  const headers = { 'X-HCP-CopySource': source, ...request.headers }
  return ask(hcp, { method: 'PUT', path: `/rest/${path}`, ...request, headers })
}

async function annotate(path: string, name: string, body: string, host?: string): Promise<void> {
  const request = { method: 'PUT', path: `/rest/${path}?type=custom-metadata&annotation=${name}`, body }
  expect(await statusOf(hcp, host === undefined ? request : { ...request, host })).toBe(201)
}

describe('a copy', () => {
  test.each<[string, (path: string) => string]>([
    ['by namespace and tenant', (path) => `n1.m/${path}`],
    ['by the full host name', (path) => `N1.m.HCP1.test/${path}`],
    ['with a slash before it', (path) => `/n1.m/${path}`],
    ['encoded in its parts', (path) => `n1.m/${path.replace('made', '%6dade')}`],
    ['encoded as a whole', (path) => encodeURIComponent(`n1.m/${path}`)],
  ])('has the data of its source, named %s', async (_, name) => {
    const path = await store()
    const target = free()
    const answer = await copy(name(path), target)
    expect(answer).toMatchObject({
      status: 201,
      headers: {
        location: `/rest/${target}`,
        etag: '"1deda6a3fe1cdde8832d2b6c8f71e3ef"',
        'x-hcp-versionid': expect.stringMatching(/^\d+$/),
      },
    })
    expect((await ask(hcp, { path: `/rest/${target}` })).text).toBe('hello hcp\n')
  })

  test('may have a name that needs encoding', async () => {
    const name = 'made/50%25%20%26%20more%3Fversion=1%2Fx%C3%A4'
    expect(await statusOf(hcp, { method: 'PUT', path: `/rest/${name}`, body: 'odd' })).toBe(201)
    const target = free()
    expect((await copy(`n1.m/${name}`, target)).status).toBe(201)
    expect((await ask(hcp, { path: `/rest/${target}` })).text).toBe('odd')
  })

  test('has the settings of its target, and those that the request names', async () => {
    const path = await store('data', 'n1.m.hcp1.test', '?shred=true&retention=-1')
    const [target, set] = [free(), free()]
    const host = 'md5.m.hcp1.test'
    expect((await copy(`n1.m/${path}`, target, { host })).status).toBe(201)
    const end = String(Math.floor(clock / 1000) + 86_400)
    expect((await ask(hcp, { path: `/rest/${target}`, host })).headers).toMatchObject({
      'x-hcp-shred': 'false',
      'x-hcp-index': 'false',
      'x-hcp-retention': end,
      'x-hcp-hash': expect.stringMatching(/^MD5 [0-9A-F]{32}$/),
      'x-hcp-owner': 'n',
    })
    const query = '?retention=0&index=true&hold=true&shred=true&forceEtag=true'
    expect((await copy(`n1.m/${path}`, set + query, { host })).status).toBe(201)
    expect((await ask(hcp, { path: `/rest/${set}`, host })).headers).toMatchObject({
      'x-hcp-shred': 'true',
      'x-hcp-index': 'true',
      'x-hcp-retention': '0',
      'x-hcp-retentionhold': 'true',
    })
  })

  test.each([
    [undefined, ''],
    ['NONE', ''],
    ['ALL', 'a;4, b;0, default;7'],
  ])('with the directive %s has the annotations %j', async (directive, list) => {
    const path = await store()
    await annotate(path, 'a', '<a/>')
    await annotate(path, 'b', '')
    await annotate(path, 'default', 'no <xml')
    const target = free()
    const headers: Record<string, string> =
      directive === undefined ? {} : { 'X-HCP-MetadataDirective': directive }
    expect((await copy(`n1.m/${path}`, target, { headers })).status).toBe(201)
    const { headers: found } = await ask(hcp, { method: 'HEAD', path: `/rest/${target}` })
    expect(found['x-hcp-custommetadataannotations']).toBe(list)
    if (list === '') return
    expect((await ask(hcp, { path: `/rest/${target}?type=custom-metadata&annotation=a` })).text).toBe('<a/>')
  })

  test('may be of an old version', async () => {
    const path = free()
    const put = { method: 'PUT', path: `/rest/${path}`, host: n2 }
    const { headers } = await ask(hcp, { ...put, body: 'one' })
    await ask(hcp, { ...put, body: 'two' })
    await ask(hcp, { ...put, method: 'DELETE' })
    const target = free()
    const id = headers['x-hcp-versionid']!
    expect((await copy(`n2.m/${path}?version=${id}`, target)).status).toBe(201)
    expect((await ask(hcp, { path: `/rest/${target}` })).text).toBe('one')
    const whole = free()
    expect((await copy(encodeURIComponent(`n2.m/${path}?version=${id}`), whole)).status).toBe(201)
    expect((await copy(`n2.m/${path}`, free())).status).toBe(404)
    expect((await copy(`n2.m/${path}?version=77`, free())).status).toBe(404)
    expect((await copy(`n2.m/${path}?version=${Number(id) + 2}`, free())).status).toBe(204)
    for (const bad of ['list', '0-', 'x']) {
      expect((await copy(`n2.m/${path}?version=${bad}`, free())).status).toBe(400)
    }
  })

  test('of a directory is an empty directory', async () => {
    const path = await store()
    const target = free()
    expect((await copy('n1.m/made', target)).status).toBe(201)
    const made = await ask(hcp, { path: `/rest/${target}` })
    expect(made.headers['x-hcp-type']).toBe('directory')
    expect(made.text).not.toContain('<entry')
    expect((await copy('n1.m/made', target)).status).toBe(409)
    expect((await copy('n1.m/made', path)).status).toBe(409)
  })

  test('over an object needs versions, and that it may be replaced', async () => {
    const path = await store('new')
    const plain = await store('old')
    expect((await copy(`n1.m/${path}`, plain)).status).toBe(409)
    expect((await copy(`n1.m/${path}`, 'made')).status).toBe(409)
    expect((await copy(`n1.m/${path}`, '')).status).toBe(409)
    const versioned = await store('old', n2, '?shred=true')
    await annotate(versioned, 'a', '<a/>', n2)
    const first = (await ask(hcp, { path: `/rest/${versioned}`, host: n2 })).headers['x-hcp-versionid']
    expect((await copy(`n1.m/${path}`, versioned, { host: n2 })).status).toBe(201)
    const { headers, text } = await ask(hcp, { path: `/rest/${versioned}`, host: n2 })
    expect(text).toBe('new')
    expect(Number(headers['x-hcp-versionid'])).toBeGreaterThan(Number(first))
    expect(headers).toMatchObject({ 'x-hcp-shred': 'false', 'x-hcp-custommetadataannotations': '' })
    for (const query of ['?retention=-1', '?hold=true', '?retention=-2']) {
      const kept = await store('old', n2, query)
      expect((await copy(`n1.m/${path}`, kept, { host: n2 })).status).toBe(403)
    }
    // An object may be copied onto itself: the old version comes up again.
    expect((await copy(`n2.m/${versioned}?version=${first}`, versioned, { host: n2 })).status).toBe(201)
    expect((await ask(hcp, { path: `/rest/${versioned}`, host: n2 })).text).toBe('old')
  })

  test.each<[string, string, Partial<WireRequest>, number]>([
    ['a source that is not there', 'n1.m/none', {}, 404],
    ['a source below an object', 'n1.m/made/one/below', {}, 404],
    ['a namespace that is not there', 'n9.m/made/one', {}, 403],
    ['another tenant', 'n1.other/made/one', {}, 403],
    ['another domain', 'n1.m.hcp2.test/made/one', {}, 400],
    ['no tenant', 'n1/made/one', {}, 400],
    ['nothing', '', {}, 400],
    ['a bad encoding', 'n1.m/made/%zz', {}, 400],
    ['two dots', 'n1.m/made/../one', {}, 400],
    ['another parameter', 'n1.m/made/one?purge=true', {}, 400],
    ['a body', 'n1.m/made/one', { body: 'x' }, 400],
    [
      'a chunked body',
      'n1.m/made/one',
      { headers: { 'Transfer-Encoding': 'chunked' }, body: '1\r\nx\r\n0\r\n\r\n' },
      400,
    ],
    [
      'an empty chunked body',
      'n1.m/made/one',
      { headers: { 'Transfer-Encoding': 'chunked' }, body: '0\r\n\r\n' },
      201,
    ],
    ['a directive that is none', 'n1.m/made/one', { headers: { 'X-HCP-MetadataDirective': 'SOME' } }, 400],
    ['a user who cannot read', 'n1.m/made/one', { authorization: credentials('to', 't01') }, 403],
    ['a user who cannot write', 'n1.m/made/one', { authorization: credentials('from', 'f01') }, 403],
    ['a user who can both', 'n1.m/made/one', { host: n2, authorization: credentials('from', 'f01') }, 201],
    ['more than the quota', 'n1.m/made/large', { host: 'small.m.hcp1.test' }, 413],
  ])('%s', async (_, source, request, status) => {
    for (const [name, body] of [
      ['one', 'data'],
      ['large', 'x'.repeat(21)],
    ]) {
      await ask(hcp, { method: 'PUT', path: `/rest/made/${name}`, body })
    }
    const target = free()
    expect((await copy(source, target, request)).status).toBe(status)
    const { host } = request
    const head = { method: 'HEAD', path: `/rest/${target}`, ...(host === undefined ? {} : { host }) }
    expect(await statusOf(hcp, head)).toBe(status === 201 ? 200 : 404)
  })
})

describe('conditions of a copy', () => {
  const tag = '"1deda6a3fe1cdde8832d2b6c8f71e3ef"'
  const before = new Date(Date.UTC(2025, 0, 1)).toUTCString()
  const after = new Date(Date.UTC(2027, 0, 1)).toUTCString()

  test.each<[string, string, number]>([
    ['X-HCP-CopySource-If-Match', tag, 201],
    ['X-HCP-CopySource-If-Match', '"x"', 412],
    ['X-HCP-CopySource-If-None-Match', tag, 304],
    ['X-HCP-CopySource-If-None-Match', '*', 304],
    ['X-HCP-CopySource-If-None-Match', '"x"', 201],
    ['X-HCP-CopySource-If-Modified-Since', before, 201],
    ['X-HCP-CopySource-If-Modified-Since', after, 304],
    ['X-HCP-CopySource-If-Unmodified-Since', before, 412],
    ['X-HCP-CopySource-If-Unmodified-Since', after, 201],
    ['X-HCP-Copy-Source-If-Match', '"x"', 412],
    // These are about the target.
    ['If-Match', '*', 412],
    ['If-None-Match', '*', 201],
  ])('%s: %s', async (name, value, status) => {
    const path = await store()
    expect((await copy(`n1.m/${path}`, free(), { headers: { [name]: value } })).status).toBe(status)
  })

  test.each<[string, string, number]>([
    ['If-Match', tag, 201],
    ['If-Match', '"x"', 412],
    ['If-None-Match', '*', 412],
    ['If-Modified-Since', after, 304],
    ['If-Unmodified-Since', before, 412],
  ])('%s: %s of a target that is there', async (name, value, status) => {
    const path = await store('other')
    const target = await store('hello hcp\n', n2)
    const headers = { [name]: value }
    expect((await copy(`n1.m/${path}`, target, { host: n2, headers })).status).toBe(status)
  })
})

test('an annotation that the target refuses leaves an empty object, which may be replaced', async () => {
  const path = await store()
  await annotate(path, 'good', '<a/>')
  await annotate(path, 'bad', '<a><b></a>')
  const target = free()
  const host = 'xml.m.hcp1.test'
  const headers = { 'X-HCP-MetadataDirective': 'ALL' }
  expect((await copy(`n1.m/${path}`, target, { host, headers })).status).toBe(400)
  expect((await ask(hcp, { path: `/rest/${target}`, host })).headers).toMatchObject({
    'x-hcp-size': '0',
    'x-hcp-custommetadataannotations': '',
  })
  expect((await copy(`n1.m/${path}`, target, { host })).status).toBe(201)
  expect((await ask(hcp, { path: `/rest/${target}`, host })).text).toBe('hello hcp\n')
})

test('a copy to a name that is being written has to wait', async () => {
  const path = await store()
  const target = free()
  using wire = await Wire.to(hcp)
  const bytes = requestBytes({ method: 'PUT', path: `/rest/${target}`, body: 'data' })
  wire.socket.write(bytes.subarray(0, -1))
  await expect.poll(() => copy(`n1.m/${path}`, target).then(({ status }) => status)).toBe(409)
  // What is still on its way is no source yet.
  expect((await copy(`n1.m/${target}`, free())).status).toBe(404)
  wire.socket.write(bytes.subarray(-1))
  expect((await wire.answer()).status).toBe(201)
})

test('a copy goes on though its client has gone', async () => {
  const path = await store('x'.repeat(1_000_000))
  const target = free()
  using wire = await Wire.to(hcp)
  wire.send({ method: 'PUT', path: `/rest/${target}`, headers: { 'X-HCP-CopySource': `n1.m/${path}` } })
  wire.socket.end()
  wire.socket.destroySoon()
  await expect.poll(() => statusOf(hcp, { method: 'HEAD', path: `/rest/${target}` })).toBe(200)
})

test('a copy and its source live and die apart, through a new start too', async () => {
  const data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  const large = Buffer.alloc(700_000, 'large ')
  try {
    {
      await using kept = await startEmulator({ nodes: 1, data })
      for (const [name, body] of [
        ['small', 'data'],
        ['large', large],
      ] as const) {
        await ask(kept, { method: 'PUT', path: `/rest/${name}`, body })
        await ask(kept, { method: 'PUT', path: `/rest/${name}?type=custom-metadata`, body: '<a/>' })
        for (const target of ['one', 'two']) {
          const headers = { 'X-HCP-CopySource': `n1.m/${name}`, 'X-HCP-MetadataDirective': 'ALL' }
          const put = { method: 'PUT', path: `/rest/${name}-${target}`, headers }
          expect(await statusOf(kept, put)).toBe(201)
        }
        for (const gone of [name, `${name}-one`])
          expect(await statusOf(kept, { method: 'DELETE', path: `/rest/${gone}` })).toBe(200)
        const left = await ask(kept, { path: `/rest/${name}-two` })
        expect(left.body.equals(Buffer.from(body))).toBe(true)
      }
    }
    await using kept = await startEmulator({ nodes: 1, data })
    expect((await ask(kept, { path: '/rest/large-two' })).body.equals(large)).toBe(true)
    expect((await ask(kept, { path: '/rest/small-two?type=custom-metadata' })).text).toBe('<a/>')
    // Two objects with an annotation each, and nothing of those that are gone.
    const blobs = await readdir(join(data, 'primary', 'blobs'), { recursive: true })
    expect(blobs.filter((name) => /[0-9a-f]{8}-/.test(name))).toHaveLength(4)
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

test('what documents leave open about copies can be switched', async () => {
  const choices = { copiedVersion: 'inherits', foreignCopySource: 400 } as const
  await using switched = await startEmulator({ nodes: 1, config, choices })
  const target = { method: 'PUT', path: '/rest/a', host: n2 }
  await ask(switched, { ...target, path: '/rest/a?shred=true', body: 'one' })
  expect(await statusOf(switched, { ...target, headers: { 'X-HCP-CopySource': 'n2.m/a' } })).toBe(201)
  expect((await ask(switched, { path: '/rest/a', host: n2 })).headers['x-hcp-shred']).toBe('true')
  expect(await statusOf(switched, { ...target, headers: { 'X-HCP-CopySource': 'n1.other/a' } })).toBe(400)
})
