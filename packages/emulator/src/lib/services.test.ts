import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NamespaceConfig } from './config.ts'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { WireRequest } from './wire.testing.ts'
import { ask, statusOf } from './wire.testing.ts'

const day = 86_400_000
const start = Date.UTC(2026, 0, 1)
const retentionClasses = [
  { name: 'Gone', value: 'A+1d', autoDelete: true },
  { name: 'kept', value: 'A+1d' },
]
const namespaces: NamespaceConfig[] = [
  { name: 'off', retentionClasses },
  { name: 'on', retentionClasses, dispositionEnabled: true },
  { name: 'versions', retentionClasses, dispositionEnabled: true, versioning: true },
  { name: 'prune', versioning: true, pruneDays: 3 },
  { name: 'once', versioning: true, pruneDays: 0 },
]
const config = { tenants: [{ name: 'm', namespaces, users: [{ user: 'n', password: 'n01' }] }] }

let data: string
let clock: number
let hcp: Emulator
const open = (): Promise<Emulator> => startEmulator({ nodes: 1, now: () => clock, config, data })
beforeEach(async () => {
  clock = start
  data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  hcp = await open()
})
afterEach(async () => {
  await hcp.close()
  await rm(data, { recursive: true, force: true })
})

const hostOf = (namespace: string): string => `${namespace}.m.hcp1.test`
const send = (namespace: string, request: WireRequest): Promise<number> =>
  statusOf(hcp, { host: hostOf(namespace), ...request })

async function put(namespace: string, path: string, query = ''): Promise<string> {
  const answer = await ask(hcp, { method: 'PUT', path: path + query, body: 'x', host: hostOf(namespace) })
  expect(answer.status).toBe(201)
  return answer.headers['x-hcp-versionid']!
}

async function text(namespace: string, path: string): Promise<string> {
  return (await ask(hcp, { path, host: hostOf(namespace) })).text
}

async function count(namespace: string): Promise<number> {
  return Number(/objectCount="(\d+)"/.exec(await text(namespace, '/proc/statistics'))![1])
}

describe('disposition', () => {
  test('deletes what its class deletes, once its retention has ended, and nothing else', async () => {
    for (const [name, query] of [
      ['gone', '?retention=C+gone'],
      ['kept', '?retention=C+kept'],
      ['dated', '?retention=N%2B1d'],
      ['none', ''],
      ['held', '?retention=C+gone&hold=true'],
      ['labeled', `?retention=C+gone&label_hold=${encodeURIComponent('[{"id":"a","hold":true}]')}`],
    ]) {
      await put('on', `/rest/d/${name}`, query)
    }
    await put('off', '/rest/d/gone', '?retention=C+gone')
    clock += day - 1
    expect(await hcp.runServices()).toEqual({ disposed: 0, pruned: 0 })
    clock += 1
    expect(await hcp.runServices()).toEqual({ disposed: 1, pruned: 0 })
    expect(await hcp.runServices()).toEqual({ disposed: 0, pruned: 0 })
    expect(await send('on', { path: '/rest/d/gone' })).toBe(404)
    expect([await count('on'), await count('off')]).toEqual([5, 1])
    expect(await send('on', { method: 'POST', path: '/rest/d/held', body: 'hold=false' })).toBe(200)
    expect(await hcp.runServices()).toEqual({ disposed: 1, pruned: 0 })
  })

  test.each<[string, WireRequest, number]>([
    ['GET', {}, 404],
    ['HEAD', { method: 'HEAD' }, 404],
    ['POST', { method: 'POST', body: 'index=false' }, 404],
    ['DELETE', { method: 'DELETE' }, 404],
    ['PUT', { method: 'PUT', body: 'new' }, 201],
    ['an annotation', { path: '/rest/d/gone?type=custom-metadata' }, 404],
  ])('comes before whoever looks at the object: %s', async (_, request, status) => {
    await put('on', '/rest/d/gone', '?retention=C+gone')
    clock += day
    expect(await send('on', { path: '/rest/d/gone', ...request })).toBe(status)
    expect(await count('on')).toBe(status === 201 ? 1 : 0)
  })

  test('comes before a listing, and before the DELETE of a directory', async () => {
    for (const name of ['a', 'b', 'c']) await put('on', `/rest/d/${name}`, '?retention=C+gone')
    await put('on', '/rest/d/z')
    clock += day
    expect(await text('on', '/rest/d')).not.toMatch(/urlName="[abc]"/)
    expect(await count('on')).toBe(1)
    await put('on', '/rest/e/a', '?retention=C+gone')
    expect(await send('on', { method: 'DELETE', path: '/rest/e' })).toBe(403)
    clock += day
    expect(await send('on', { method: 'DELETE', path: '/rest/e' })).toBe(200)
  })

  test('comes before a copy of the object, and before the statistics', async () => {
    await put('on', '/rest/gone', '?retention=C+gone')
    clock += day
    expect(await text('on', '/proc/statistics')).toContain('objectCount="0"')
    await put('on', '/rest/gone', '?retention=C+gone')
    clock += day
    const headers = { 'X-HCP-CopySource': 'on.m/gone' }
    expect(await send('off', { method: 'PUT', path: '/rest/copy', headers })).toBe(404)
  })

  test('leaves a delete marker where there are versions, and is still done after a new start', async () => {
    const id = await put('versions', '/rest/a', '?retention=C+gone')
    clock += day
    expect(await send('versions', { path: '/rest/a' })).toBe(404)
    await hcp.close()
    clock = start
    hcp = await open()
    expect(await send('versions', { path: '/rest/a' })).toBe(404)
    expect(await send('versions', { path: `/rest/a?version=${id}` })).toBe(200)
    expect(await text('versions', '/rest/a?version=list&deleted=true')).toContain('state="deleted"')
  })
})

describe('pruning', () => {
  const listed = async (namespace: string, path: string): Promise<string[]> =>
    [...(await text(namespace, `${path}?version=list&deleted=true`)).matchAll(/ version="(\d+)"/g)].map(
      ([, id]) => id!,
    )

  test('removes versions that have been old for so many days, and never the newest', async () => {
    const ids: string[] = []
    for (let index = 0; index < 4; index++) {
      ids.push(await put('prune', '/rest/a'))
      clock += day
    }
    // The first has been old since the second day, that is for three days now.
    expect(await listed('prune', '/rest/a')).toEqual(ids.slice(1))
    clock += 30 * day
    expect(await hcp.runServices()).toEqual({ disposed: 0, pruned: 2 })
    expect(await listed('prune', '/rest/a')).toEqual(ids.slice(3))
    expect(await count('prune')).toBe(1)
  })

  test('does not wait for a listing: a version that is due is not there', async () => {
    const old = await put('prune', '/rest/a')
    await put('prune', '/rest/a')
    clock += 3 * day - 1
    expect(await send('prune', { method: 'HEAD', path: `/rest/a?version=${old}` })).toBe(200)
    clock += 1
    expect(await send('prune', { method: 'HEAD', path: `/rest/a?version=${old}` })).toBe(404)
  })

  test('may be at once', async () => {
    await put('once', '/rest/a')
    const last = await put('once', '/rest/a')
    expect(await listed('once', '/rest/a')).toEqual([last])
  })

  test('spares what is on hold, and what a namespace without it has', async () => {
    const ids = [await put('prune', '/rest/a'), await put('prune', '/rest/a')]
    expect(await send('prune', { method: 'POST', path: '/rest/a', body: 'hold=true' })).toBe(200)
    for (let index = 0; index < 2; index++) await put('versions', '/rest/a')
    clock += 100 * day
    expect(await hcp.runServices()).toEqual({ disposed: 0, pruned: 0 })
    expect(await listed('prune', '/rest/a')).toEqual(ids)
    expect(await count('versions')).toBe(2)
    expect(await send('prune', { method: 'POST', path: '/rest/a', body: 'hold=false' })).toBe(200)
    expect(await hcp.runServices()).toEqual({ disposed: 0, pruned: 1 })
  })

  test('is found done after a new start, whatever the clock says', async () => {
    await put('prune', '/rest/a')
    const last = await put('prune', '/rest/a')
    clock += 3 * day
    expect(await listed('prune', '/rest/a')).toEqual([last])
    await hcp.close()
    clock = start
    hcp = await open()
    expect(await listed('prune', '/rest/a')).toEqual([last])
  })

  test('leaves what is current of a deleted object, its delete marker', async () => {
    await put('prune', '/rest/a')
    await send('prune', { method: 'DELETE', path: '/rest/a' })
    clock += 3 * day
    expect(await listed('prune', '/rest/a')).toHaveLength(1)
    expect(await count('prune')).toBe(0)
  })
})
