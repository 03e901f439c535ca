import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { validateConfig } from './config.ts'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import { Namespace } from './namespace.ts'
import type { WireRequest } from './wire.testing.ts'
import { ask, credentials, statusOf } from './wire.testing.ts'

const config = {
  tenants: [
    {
      name: 'm',
      namespaces: [
        { name: 'n1' },
        { name: 'n2', versioning: true, aclUsage: 'ENFORCED' as const },
        { name: 'plain', versioning: true },
      ],
      users: [
        { user: 'n', password: 'n01' },
        { user: 'bob', password: 'b01', permissions: ['browse' as const] },
      ],
    },
  ],
}

let hcp: Emulator
let folder: string
let counter = 0
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 1, config })
})
afterAll(() => hcp.close())

/** A new folder with a file and a folder in it, and links to both. */
async function fresh(links: Readonly<Record<string, string>> = {}, host = 'n1.m.hcp1.test'): Promise<string> {
  folder = `links/${++counter}`
  await ask(hcp, { method: 'PUT', path: `/rest/${folder}/data/a.txt?index=false`, host, body: 'hello hcp\n' })
  const namespace = host.split('.').slice(0, 2).join('.')
  for (const [name, target] of Object.entries({ file: 'data/a.txt', dir: 'data', ...links }))
    await hcp.addSymlink({ namespace, path: `${folder}/${name}`, target })
  return `/rest/${folder}`
}

describe('a link', () => {
  test.each<[string, (folder: string) => string]>([
    ['to what is beside it', () => 'data/a.txt'],
    ['with steps back', () => '../../links/./x/../' + String(counter) + '/data/a.txt'],
    ['from the root', (at) => `/${at}/data/a.txt`],
    ['to another link', () => 'file'],
  ])('%s stands for its target', async (_, targetOf) => {
    const path = await fresh()
    const target = targetOf(folder)
    await hcp.addSymlink({ namespace: 'n1.m', path: `${folder}/latest`, target })
    for (const method of ['GET', 'HEAD']) {
      const got = await ask(hcp, { method, path: `${path}/latest` })
      expect(got).toMatchObject({
        status: 200,
        text: method === 'GET' ? 'hello hcp\n' : '',
        headers: { 'x-hcp-symlinktarget': target, 'x-hcp-type': 'object', 'x-hcp-size': '10' },
      })
    }
    expect((await ask(hcp, { path: `${path}/data/a.txt` })).headers).not.toHaveProperty('x-hcp-symlinktarget')
  })

  test('is asked without conditions', async () => {
    const path = await fresh()
    const { headers } = await ask(hcp, { method: 'HEAD', path: `${path}/file` })
    for (const method of ['GET', 'HEAD']) {
      const condition = { 'If-None-Match': headers['etag']! }
      expect(await statusOf(hcp, { method, path: `${path}/data/a.txt`, headers: condition })).toBe(304)
      expect(await statusOf(hcp, { method, path: `${path}/file`, headers: condition })).toBe(200)
    }
    const remove = { method: 'DELETE', path: `${path}/file`, headers: { 'If-Match': '*' } }
    expect(await statusOf(hcp, remove)).toBe(400)
  })

  test('to a directory lists it, as the last part of a path only', async () => {
    const path = await fresh()
    for (const at of ['dir', 'dir/']) {
      const got = await ask(hcp, { path: `${path}/${at}` })
      expect(got.headers).toMatchObject({ 'x-hcp-type': 'directory', 'x-hcp-symlinktarget': 'data' })
      expect(got.text).toContain('urlName="a.txt"')
    }
    for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'DELETE']) {
      expect([method, await statusOf(hcp, { method, path: `${path}/dir/a.txt` })]).toEqual([method, 404])
    }
  })

  test('is listed as one, and keeps its directory from being empty', async () => {
    const path = await fresh({ 'ä & b': '../ö.txt' })
    const { text } = await ask(hcp, { path })
    expect(text).toContain(
      '<entry urlName="%C3%A4%20%26%20b" utf8Name="ä &amp; b" type="symlink" ' +
        'symlinkTarget="../%C3%B6.txt" utf8SymlinkTarget="../ö.txt" state="created"/>',
    )
    await hcp.addSymlink({ namespace: 'n1.m', path: `${folder}/only/link`, target: 'x' })
    expect(await statusOf(hcp, { method: 'DELETE', path: `${path}/only` })).toBe(403)
    expect(await statusOf(hcp, { method: 'DELETE', path: `${path}/only/link` })).toBe(200)
    expect(await statusOf(hcp, { method: 'DELETE', path: `${path}/only` })).toBe(200)
  })

  test('is what a DELETE deletes, not its target', async () => {
    const path = await fresh()
    expect(await statusOf(hcp, { method: 'DELETE', path: `${path}/file?version=1` })).toBe(404)
    for (const name of ['file', 'dir']) {
      expect(await statusOf(hcp, { method: 'DELETE', path: `${path}/${name}` })).toBe(200)
      expect(await statusOf(hcp, { method: 'DELETE', path: `${path}/${name}` })).toBe(404)
    }
    expect(await statusOf(hcp, { method: 'HEAD', path: `${path}/data/a.txt` })).toBe(200)
    expect(await statusOf(hcp, { method: 'PUT', path: `${path}/file`, body: 'x' })).toBe(201)
  })

  test.each<[string, WireRequest, string, number]>([
    ['an object in its place', { method: 'PUT', body: 'x' }, '', 409],
    ['a directory in its place', { method: 'PUT' }, '?type=directory', 409],
    ['a directory by a slash', { method: 'PUT' }, '/', 409],
    [
      'a whole object in its place',
      { method: 'PUT', headers: { 'X-HCP-Size': '1' }, body: 'x<a/>' },
      '?type=whole-object',
      409,
    ],
    ['a copy in its place', { method: 'PUT', headers: { 'X-HCP-CopySource': 'n1.m/links' } }, '', 409],
    ['settings of the target', { method: 'POST', body: 'index=true' }, '', 200],
    ['an annotation of the target', { method: 'PUT', body: '<a/>' }, '?type=custom-metadata', 201],
    ['no annotation of the target', {}, '?type=custom-metadata', 204],
    ['no list of annotations', {}, '?type=custom-metadata-info', 204],
  ])('and %s', async (_, request, query, status) => {
    const path = await fresh()
    expect(await statusOf(hcp, { ...request, path: `${path}/file${query}` })).toBe(status)
    const { headers, text } = await ask(hcp, { path: `${path}/data/a.txt` })
    expect(text).toBe('hello hcp\n')
    expect(headers).toMatchObject({
      'x-hcp-index': String(request.method === 'POST'),
      'x-hcp-custom-metadata': String(query.endsWith('custom-metadata') && request.method === 'PUT'),
    })
  })

  test('cannot be the source of a copy', async () => {
    const path = await fresh()
    for (const [name, status] of [
      ['file', 400],
      ['dir', 400],
      ['dir/a.txt', 404],
    ] as const) {
      const headers = { 'X-HCP-CopySource': `n1.m/${folder}/${name}` }
      expect(await statusOf(hcp, { method: 'PUT', path: `${path}/copy`, headers })).toBe(status)
    }
  })

  test.each([
    ['to nothing', { bad: 'none' }],
    ['to itself', { bad: 'bad' }],
    ['in a circle', { bad: 'worse', worse: 'bad' }],
    ['above the root', { bad: '../../../a' }],
    ['below another link', { bad: 'dir/a.txt' }],
    ['below an object', { bad: 'data/a.txt/b' }],
  ])('%s leads nowhere', async (_, links) => {
    const path = await fresh(links)
    for (const request of [{ method: 'GET' }, { method: 'HEAD' }, { method: 'POST', body: 'index=true' }])
      expect(await statusOf(hcp, { ...request, path: `${path}/bad` })).toBe(404)
  })

  test('never tells of an access control list, but is under it', async () => {
    const host = 'n2.m.hcp1.test'
    const authorization = credentials('bob', 'b01')
    const path = await fresh({}, host)
    expect(await statusOf(hcp, { path: `${path}/file`, host, authorization })).toBe(403)
    const acl = JSON.stringify({
      grant: [{ grantee: { type: 'user', name: 'bob' }, permissions: { permission: ['READ'] } }],
    })
    const put = { method: 'PUT', path: `${path}/data/a.txt?type=acl`, host, body: acl }
    expect(await statusOf(hcp, { ...put, headers: { 'Content-Type': 'application/json' } })).toBe(201)
    const got = await ask(hcp, { path: `${path}/file`, host, authorization })
    expect(got).toMatchObject({ status: 200, headers: { 'x-hcp-acl': 'false' } })
    expect((await ask(hcp, { path: `${path}/file?version=list`, host })).text).toContain('hasAcl="true"')
  })
})

test.each<[string, object, string]>([
  ['no target', { namespace: 'n1.m', path: 'x' }, 'target: must be a string'],
  ['an empty target', { namespace: 'n1.m', path: 'x', target: '' }, 'target:'],
  ['a target of two lines', { namespace: 'n1.m', path: 'x', target: 'a\nb' }, 'target:'],
  ['an unknown field', { namespace: 'n1.m', path: 'x', target: 'a', to: 'b' }, 'to: unknown field'],
  ['an unknown namespace', { namespace: 'n9.m', path: 'x', target: 'a' }, 'namespace:'],
  ['the root', { namespace: 'n1.m', path: '/', target: 'a' }, 'path:'],
  ['two dots', { namespace: 'n1.m', path: 'a/../b', target: 'a' }, 'path:'],
  ['a name that is taken', { namespace: 'n1.m', path: 'taken', target: 'a' }, 'path: the name is taken'],
  ['a name below an object', { namespace: 'n1.m', path: 'taken/a', target: 'a' }, 'path:'],
  ['a name below a link', { namespace: 'n1.m', path: 'links/1/file/a', target: 'a' }, 'path:'],
])('%s is refused', async (_, seed, message) => {
  await ask(hcp, { method: 'PUT', path: '/rest/taken', body: 'x' })
  counter = 0
  await fresh().catch(() => undefined)
  await expect(hcp.addSymlink(seed as Parameters<Emulator['addSymlink']>[0])).rejects.toThrow(message)
})

test('links are there again after a new start', async () => {
  const data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  try {
    {
      await using kept = await startEmulator({ nodes: 1, data, config })
      await ask(kept, { method: 'PUT', path: '/rest/a', body: 'x' })
      for (const path of ['b', 'gone']) await kept.addSymlink({ namespace: 'n1.m', path, target: 'a' })
      await ask(kept, { method: 'DELETE', path: '/rest/gone' })
    }
    await using kept = await startEmulator({ nodes: 1, data, config })
    expect(await ask(kept, { path: '/rest/b' })).toMatchObject({ status: 200, text: 'x' })
    expect(await statusOf(kept, { path: '/rest/gone' })).toBe(404)
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

test('a compacted journal has them too', async () => {
  const { tenants } = validateConfig(config)
  const [before, after] = [0, 1].map(() => new Namespace('m', tenants[0]!.namespaces[0]!))
  before!.apply({ op: 'symlink', path: 'a/b', target: '../c', at: 7 })
  for (const change of before!.snapshot()) after!.apply(change)
  expect(after!.find('a/b')).toEqual(before!.find('a/b'))
  expect(after!.find('a')).toMatchObject({ change: 7 })
  expect(after!.hasLinks).toBe(true)
})
