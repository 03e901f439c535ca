import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Pool } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ReadyLine } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import { ask, credentials, statusOf } from './wire.testing.ts'

let data: string
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
})
afterEach(() => rm(data, { recursive: true, force: true }))

const n2 = 'n2.m.hcp1.test'
const authorization = credentials('n', 'n01')

/** Bytes that differ from name to name, of lengths on both sides of what is kept in one piece. */
function content(index: number): Buffer {
  const length = [0, 10, 5_000, 70_000, 300_000, 900_000][index % 6]! + index
  return Buffer.alloc(length, `object ${index} `)
}

test('a new start finds everything as it was left', async () => {
  const large = content(5)
  let first: string | undefined
  {
    await using hcp = await startEmulator({ nodes: 1, data, replicaDomain: 'hcp2.test' })
    await ask(hcp, { method: 'PUT', path: '/rest/%FF/large?retention=-2', body: large })
    await ask(hcp, { method: 'PUT', path: '/rest/%FF/large?type=custom-metadata&annotation=a', body: '<a/>' })
    await ask(hcp, { method: 'POST', path: '/rest/%FF/large?index=false' })
    await ask(hcp, { method: 'PUT', path: '/rest/gone', body: 'x' })
    await ask(hcp, { method: 'DELETE', path: '/rest/gone' })
    await ask(hcp, { method: 'PUT', path: '/rest/empty?type=directory' })
    const version = await ask(hcp, { method: 'PUT', path: '/rest/v', host: n2, body: 'one' })
    first = version.headers['x-hcp-versionid']
    await ask(hcp, { method: 'PUT', path: '/rest/v', host: n2, body: 'two' })
    await ask(hcp, { method: 'DELETE', path: '/rest/v', host: n2 })
  }
  await using hcp = await startEmulator({ nodes: 1, data, replicaDomain: 'hcp2.test' })
  const got = await ask(hcp, { path: '/rest/%FF/large' })
  expect(got.body.equals(large)).toBe(true)
  expect(got.headers).toMatchObject({
    'x-hcp-retention': '-2',
    'x-hcp-index': 'false',
    'x-hcp-custommetadataannotations': 'a;4',
  })
  expect(await statusOf(hcp, { path: '/rest/gone' })).toBe(404)
  expect(await statusOf(hcp, { method: 'HEAD', path: '/rest/empty' })).toBe(200)
  expect(await statusOf(hcp, { path: '/rest/v', host: n2 })).toBe(404)
  expect((await ask(hcp, { path: `/rest/v?version=${first}`, host: n2 })).text).toBe('one')
  expect((await ask(hcp, { path: '/proc/statistics', host: n2 })).text).toContain('objectCount="2"')
  // The authority is the same, so that clients need not be told.
  expect(hcp.caFile).toBe(join(data, 'ca.pem'))
})

test('content is found again whatever the case of the names it was configured under', async () => {
  const namespaces = [{ name: 'Photos' }]
  const config = { tenants: [{ name: 'Acme', namespaces, users: [{ user: 'n', password: 'n01' }] }] }
  const host = 'photos.acme.hcp1.test'
  {
    await using hcp = await startEmulator({ nodes: 1, data, config })
    expect(await statusOf(hcp, { method: 'PUT', path: '/rest/a', host, body: 'kept' })).toBe(201)
  }
  await using hcp = await startEmulator({ nodes: 1, data, config })
  expect((await ask(hcp, { path: '/rest/a', host })).text).toBe('kept')
})

test('the folder is taken while somebody uses it', async () => {
  await using hcp = await startEmulator({ nodes: 1, data })
  expect(hcp.ready.ready).toBe(true)
  await expect(startEmulator({ nodes: 1, data })).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' })
})

test('kill -9 loses nothing that was acknowledged, and leaves nothing that is half', async () => {
  const cli = new URL('../cli.ts', import.meta.url).pathname
  const acknowledged = new Map<string, number>()
  const removed = new Set<string>()
  let next = 0
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, [cli, '--nodes', '2', '--data', data, '--quiet'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const { ports, nodes } = JSON.parse(line) as ReadyLine
    const pools = nodes.map((node) => new Pool(`http://${node}:${ports.http}`, { connections: 8 }))
    const wanted = acknowledged.size + 120
    let killed = false
    const client = async (): Promise<void> => {
      while (!killed) {
        const index = next++
        const path = `/rest/${index % 7}/${index}`
        const request = { path, headers: { host: 'n1.m.hcp1.test', authorization } }
        const put = await pools[index % 2]!.request({ ...request, method: 'PUT', body: content(index) })
        await put.body.dump()
        if (put.statusCode === 201) acknowledged.set(path, index)
        if (index % 10 === 3) {
          // From here on it may be there or not, until the answer says that it is not.
          acknowledged.delete(path)
          const gone = await pools[index % 2]!.request({ ...request, method: 'DELETE' })
          await gone.body.dump()
          if (gone.statusCode === 200) removed.add(path)
        }
        if (acknowledged.size >= wanted && !killed) {
          killed = true
          child.kill('SIGKILL')
        }
      }
    }
    const clients = Array.from({ length: 12 }, () => client().catch(() => {}))
    await once(child, 'exit')
    await Promise.all(pools.map((pool) => pool.destroy()))
    await Promise.all(clients)
  }
  await using hcp = await startEmulator({ nodes: 1, data })
  expect(acknowledged.size).toBeGreaterThanOrEqual(360)
  expect(removed.size).toBeGreaterThan(10)
  for (let index = 0; index < next; index++) {
    const path = `/rest/${index % 7}/${index}`
    const got = await ask(hcp, { path })
    const found = got.status === 200 ? got.body.equals(content(index)) : 'missing'
    // What was not acknowledged may be there or not, but whole.
    expect([path, found]).toEqual([
      path,
      acknowledged.has(path) ? true : found === 'missing' ? 'missing' : true,
    ])
    if (removed.has(path)) expect([path, found]).toEqual([path, 'missing'])
  }
})
