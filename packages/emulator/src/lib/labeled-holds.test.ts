import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { WireAnswer, WireRequest } from './wire.testing.ts'
import { ask, credentials, statusOf } from './wire.testing.ts'

const host = 'n2.m.hcp1.test'
let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator({
    nodes: 1,
    config: {
      tenants: [
        {
          name: 'm',
          namespaces: [{ name: 'n1' }, { name: 'n2', versioning: true }],
          users: [
            { user: 'n', password: 'n01' },
            { user: 'writer', password: 'w01', permissions: ['read', 'write', 'delete'] },
          ],
        },
      ],
    },
  })
})
afterAll(() => hcp.close())

const labels = (...list: [id: string, hold: boolean][]): string =>
  encodeURIComponent(JSON.stringify(list.map(([id, hold]) => ({ id, hold }))))

let counter = 0
async function fresh(query = ''): Promise<string> {
  const path = `/rest/labeled/${++counter}`
  expect(await send({ method: 'PUT', path: path + query, body: 'x' })).toBe(201)
  return path
}

const send = (request: WireRequest): Promise<number> => statusOf(hcp, { host, ...request })
const head = (path: string): Promise<WireAnswer> => ask(hcp, { method: 'HEAD', path, host })
const post = (path: string, body: string): Promise<number> => send({ method: 'POST', path, body })

test.each(['label_hold', 'label-hold'])('%s sets and releases holds, each for itself', async (name) => {
  const path = await fresh(`?${name}=${labels(['one', true], ['zwei & ü', true])}`)
  expect((await head(path)).headers).toMatchObject({
    'x-hcp-retentionhold': 'false',
    'x-hcp-labelretentionhold': 'true',
    'x-hcp-labelretentionhold-labels': '[{"id":"one","hold":true},{"id":"zwei & \\u00fc","hold":true}]',
  })
  expect(await post(path, `${name}=${labels(['one', false], ['three', true], ['none', false])}`)).toBe(200)
  const { headers } = await ask(hcp, { path, host })
  expect(JSON.parse(headers['x-hcp-labelretentionhold-labels']!)).toEqual([
    { id: 'zwei & ü', hold: true },
    { id: 'three', hold: true },
  ])
  expect(await send({ method: 'DELETE', path })).toBe(403)
  expect(await post(path, `${name}=${labels(['zwei & ü', false])}`)).toBe(200)
  expect(await send({ method: 'DELETE', path })).toBe(403)
  expect(await send({ method: 'POST', path: `${path}?${name}=${labels(['three', false])}` })).toBe(200)
  expect((await head(path)).headers).not.toHaveProperty('x-hcp-labelretentionhold')
  expect(await send({ method: 'DELETE', path })).toBe(200)
})

describe('a labeled hold lets nobody', () => {
  test.each<[string, WireRequest, string, number]>([
    ['delete', { method: 'DELETE' }, '', 403],
    ['purge', { method: 'DELETE' }, '?purge=true', 403],
    ['delete with privilege', { method: 'DELETE' }, '?privileged=true&reason=order', 403],
    ['purge with privilege', { method: 'DELETE' }, '?purge=true&privileged=true&reason=order', 403],
    ['delete all versions', { method: 'DELETE' }, '?version=0-', 403],
    ['add a version', { method: 'PUT', body: 'y' }, '', 403],
    ['change retention', { method: 'POST' }, '?retention=-1', 400],
    ['change index', { method: 'POST' }, '?index=false', 400],
    ['change shred', { method: 'POST' }, '?shred=true', 400],
    ['change the owner', { method: 'POST' }, '?owner=', 400],
    [
      'change index while releasing it',
      { method: 'POST' },
      `?index=false&label_hold=${labels(['a', false])}`,
      400,
    ],
    ['delete an annotation', { method: 'DELETE' }, '?type=custom-metadata&annotation=note', 403],
    ['replace an annotation', { method: 'PUT', body: '<b/>' }, '?type=custom-metadata&annotation=note', 403],
  ])('%s', async (_, request, query, status) => {
    const path = await fresh()
    await send({ method: 'PUT', path: `${path}?type=custom-metadata&annotation=note`, body: '<a/>' })
    expect(await post(path, `label_hold=${labels(['a', true])}`)).toBe(200)
    const before = await head(path)
    expect(await send({ ...request, path: path + query })).toBe(status)
    const { headers } = await head(path)
    for (const name of [
      'x-hcp-versionid',
      'x-hcp-changetimemilliseconds',
      'x-hcp-labelretentionhold-labels',
    ]) {
      expect(headers[name]).toBe(before.headers[name])
    }
  })
})

test('a labeled hold leaves reading, another hold and new annotations alone', async () => {
  const path = await fresh(`?label_hold=${labels(['a', true])}`)
  expect(await send({ path })).toBe(200)
  expect(await post(path, 'hold=true')).toBe(200)
  expect(await post(path, 'hold=false')).toBe(200)
  expect(
    await send({ method: 'PUT', path: `${path}?type=custom-metadata&annotation=new`, body: '<a/>' }),
  ).toBe(201)
})

describe('refused is', () => {
  const many = Array.from({ length: 101 }, (_, index): [string, boolean] => [`label ${index}`, true])
  test.each<[string, string]>([
    ['what is no JSON', 'label_hold=a'],
    ['what is no array', 'label_hold={"id":"a","hold":true}'],
    ['an entry that is none', 'label_hold=[null]'],
    ['an entry without id', 'label_hold=[{"hold":true}]'],
    ['an entry without hold', 'label_hold=[{"id":"a"}]'],
    ['a hold in quotes', 'label_hold=[{"id":"a","hold":"true"}]'],
    ['an id that is a number', 'label_hold=[{"id":1,"hold":true}]'],
    ['an entry with more', 'label_hold=[{"id":"a","hold":true,"more":1}]'],
    ['an empty id', `label_hold=${labels(['', true])}`],
    ['an id of 65 characters', `label_hold=${labels(['x'.repeat(65), true])}`],
    ['an id twice', `label_hold=${labels(['a', true], ['a', false])}`],
    ['both spellings', `label_hold=${labels(['a', true])}&label-hold=${labels(['a', true])}`],
    ['101 labels', `label_hold=${labels(...many)}`],
    ['retention in the same request', `retention=-1&label_hold=${labels(['a', true])}`],
  ])('%s', async (_, body) => {
    const path = await fresh()
    expect(await post(path, body)).toBe(400)
    expect((await head(path)).headers).not.toHaveProperty('x-hcp-labelretentionhold')
    if (body.startsWith('retention')) return
    const encoded = body.replaceAll('"', '%22').replaceAll(/[{}]/g, encodeURIComponent)
    expect(await send({ method: 'PUT', path: `/rest/labeled/bad?${encoded}`, body: 'x' })).toBe(400)
  })

  test('the 101st label', async () => {
    const path = await fresh()
    expect(await post(path, `label_hold=${labels(...many.slice(0, 100))}`)).toBe(200)
    expect(await post(path, `label_hold=${labels(many[100]!)}`)).toBe(400)
    expect(await post(path, `label_hold=${labels(many[100]!, ['label 7', false])}`)).toBe(200)
  })

  test('who may not hold', async () => {
    const path = await fresh()
    const authorization = credentials('writer', 'w01')
    const query = `?label_hold=${labels(['a', true])}`
    expect(await send({ method: 'POST', path: path + query, authorization })).toBe(403)
    expect(await send({ method: 'PUT', path: `/rest/labeled/new${query}`, authorization, body: 'x' })).toBe(
      403,
    )
  })

  test('not an id of 64 characters beyond the first plane', async () => {
    const path = await fresh()
    expect(await post(path, `label_hold=${labels(['\u{1f512}'.repeat(64), true])}`)).toBe(200)
  })
})

test('holds, labels and owner are those of all versions, and survive a new start', async () => {
  const data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  try {
    const path = '/rest/a'
    const ids: string[] = []
    const version = async (other: Emulator, id: string): Promise<WireAnswer> =>
      ask(other, { method: 'HEAD', path: `${path}?version=${id}`, host })
    {
      await using other = await startEmulator({ nodes: 1, data })
      for (const body of ['one', 'two']) {
        ids.push((await ask(other, { method: 'PUT', path, body, host })).headers['x-hcp-versionid']!)
      }
      for (const body of [`label_hold=${labels(['a', true])}`, 'hold=true']) {
        expect(await statusOf(other, { method: 'POST', path, host, body })).toBe(200)
      }
    }
    await using other = await startEmulator({ nodes: 1, data })
    for (const id of ids) {
      const { headers } = await version(other, id)
      expect(headers).toMatchObject({ 'x-hcp-retentionhold': 'true', 'x-hcp-labelretentionhold': 'true' })
    }
    expect(await statusOf(other, { method: 'DELETE', path: `${path}?version=${ids[0]}`, host })).toBe(403)
    const release = `hold=false&label_hold=${labels(['a', false])}`
    expect(await statusOf(other, { method: 'POST', path, host, body: release })).toBe(200)
    expect((await version(other, ids[0]!)).headers).toMatchObject({ 'x-hcp-retentionhold': 'false' })
    expect(await statusOf(other, { method: 'POST', path, host, body: 'owner=' })).toBe(200)
    expect((await version(other, ids[0]!)).headers).toMatchObject({ 'x-hcp-owner': '' })
    expect(await statusOf(other, { method: 'DELETE', path: `${path}?version=${ids[0]}`, host })).toBe(200)
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})
