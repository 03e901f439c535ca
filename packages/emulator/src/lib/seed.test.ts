import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { request } from 'undici'
import { expect, test } from 'vitest'
import type { ReadyLine } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { Seed } from './seed.ts'
import { ask, credentials, requestBytes, statusOf } from './wire.testing.ts'

const namesIn = (text: string): string[] => [...text.matchAll(/urlName="([^"]*)"/g)].map(([, name]) => name!)

test('makes objects like any other, in a directory that need not be there', async () => {
  await using hcp = await startEmulator({ nodes: 1 })
  await ask(hcp, { method: 'PUT', path: '/rest/a/%C3%A4/object-00000001', body: 'mine' })
  expect(await hcp.seed({ namespace: 'N1.m', directory: '/a/ä/', count: 3, size: 12 })).toEqual({ made: 2 })
  const path = '/rest/a/%C3%A4'
  expect(namesIn((await ask(hcp, { path })).text)).toEqual([
    'object-00000000',
    'object-00000001',
    'object-00000002',
  ])
  const one = await ask(hcp, { path: `${path}/object-00000000` })
  expect(one).toMatchObject({ status: 200, text: 'hello hcp\nhe' })
  expect(one.headers).toMatchObject({ 'x-hcp-size': '12', 'x-hcp-retention': '0', 'content-length': '12' })
  expect((await ask(hcp, { path: `${path}/object-00000001` })).text).toBe('mine')
  expect(await statusOf(hcp, { method: 'PUT', path: `${path}/object-00000000`, body: 'x' })).toBe(409)
  expect((await ask(hcp, { path: '/proc/statistics' })).text).toContain('objectCount="3"')
  // One that goes leaves the others their data.
  expect(await statusOf(hcp, { method: 'DELETE', path: `${path}/object-00000000` })).toBe(200)
  expect((await ask(hcp, { path: `${path}/object-00000002` })).text).toBe('hello hcp\nhe')
})

test.each<[Record<string, unknown>, string]>([
  [{ namespace: 'n9.m' }, 'RangeError: namespace: there is no n9.m'],
  [{ namespace: 1 }, 'TypeError: namespace: must be a string'],
  [{ count: -1 }, 'RangeError: count: must be a whole number from 0'],
  [{ count: 10_000_001 }, 'RangeError: count'],
  [{ count: '3' }, 'TypeError: count: must be a number'],
  [{ size: 1.5 }, 'RangeError: size'],
  [{ size: 1024 ** 3, count: 1_000 }, 'RangeError: count: the quota'],
  [{ directory: 'a/../b' }, 'RangeError: directory: The name .. is not allowed.'],
  [{ directory: 'file/below' }, 'RangeError: directory'],
  [{ directory: 'file' }, 'RangeError: directory'],
  [{ prefix: 'a/b' }, 'RangeError: prefix'],
  [{ cluster: 'replica' }, 'RangeError: there is no replica'],
  [{ name: 'x' }, 'TypeError: name: unknown field'],
])('refuses %j and makes nothing', async (given, message) => {
  await using hcp = await startEmulator({ nodes: 1 })
  await ask(hcp, { method: 'PUT', path: '/rest/file', body: 'x' })
  const seed = { namespace: 'n1.m', count: 1, ...given } as unknown as Seed
  await expect(hcp.seed(seed).catch((error: unknown) => String(error))).resolves.toContain(message)
  expect((await ask(hcp, { path: '/proc/statistics' })).text).toContain('objectCount="1"')
})

test('what was made is there after a new start, and what was deleted of it is not', async () => {
  const data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  try {
    {
      await using hcp = await startEmulator({ nodes: 1, data })
      await hcp.seed({ namespace: 'n2.m', directory: 'd', count: 12_345, size: 300_000 })
      await ask(hcp, { method: 'DELETE', path: '/rest/d/object-00000007', host: 'n2.m.hcp1.test' })
      await ask(hcp, { method: 'POST', path: '/rest/d/object-00000008?index=false', host: 'n2.m.hcp1.test' })
    }
    for (let round = 0; round < 2; round++) {
      await using hcp = await startEmulator({ nodes: 1, data })
      const host = 'n2.m.hcp1.test'
      expect(namesIn((await ask(hcp, { path: '/rest/d', host })).text)).toHaveLength(12_344)
      const head = await ask(hcp, { method: 'HEAD', path: '/rest/d/object-00000008', host })
      expect(head.headers).toMatchObject({ 'x-hcp-index': 'false', 'content-length': '300000' })
      expect((await ask(hcp, { path: '/rest/d/object-00012344', host })).body).toHaveLength(300_000)
    }
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

test('a listing goes on through changes: nothing twice, nothing lost that stayed', async () => {
  await using hcp = await startEmulator({ nodes: 1 })
  await hcp.seed({ namespace: 'n1.m', directory: 'd', count: 30_000, size: 1 })
  const headers = { host: 'n1.m.hcp1.test', authorization: credentials('n', 'n01') }
  const url = (name: string): string => `http://127.0.0.1:${hcp.ports.http}/rest/d${name}`
  const { body } = await request(url(''), { headers })
  let text = ''
  let changed = 0
  for await (const chunk of body) {
    text += chunk
    if (changed >= 100) continue
    const number = String(29_999 - changed * 10).padStart(8, '0')
    await request(url(`/object-${number}`), { method: 'DELETE', headers }).then((answer) =>
      answer.body.dump(),
    )
    // Some before, some after the place that the listing has come to.
    for (const name of [`/a${changed}`, `/z${changed}`, `/object-${number}b`]) {
      await request(url(name), { method: 'PUT', headers, body: 'x' }).then((answer) => answer.body.dump())
    }
    changed++
  }
  expect(changed).toBe(100)
  expect(text.endsWith('</directory>\n')).toBe(true)
  const names = namesIn(text)
  expect(new Set(names).size).toBe(names.length)
  expect(names).toEqual(names.toSorted())
  const found = new Set(names)
  const stayed = Array.from({ length: 30_000 }, (_, index) => index)
    .filter((index) => (29_999 - index) % 10 !== 0 || index <= 29_999 - 1_000)
    .map((index) => `object-${String(index).padStart(8, '0')}`)
  expect(stayed.filter((name) => !found.has(name))).toEqual([])
})

test.runIf(process.platform === 'linux')(
  'a folder of any length is listed at once and in little memory',
  async () => {
    const cli = new URL('../cli.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [cli, '--nodes', '1', '--quiet'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
      const { ports } = JSON.parse(line) as ReadyLine
      const count = 300_000
      const seeded = await request(`http://127.0.0.1:${ports.control}/seed`, {
        method: 'POST',
        body: JSON.stringify({ namespace: 'n1.m', directory: 'd', count, size: 1_000 }),
      })
      expect([seeded.statusCode, await seeded.body.json()]).toEqual([201, { made: count }])
      const peak = async (): Promise<number> => {
        const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
        return Number(/VmHWM:\s*(\d+) kB/.exec(status)![1]) / 1024
      }
      const before = await peak()
      expect(before).toBeLessThan(400)
      // Twenty that ask and do not read: some 200 MB each, were they made ahead.
      const stuck = Array.from({ length: 20 }, () => connect(ports.http, '127.0.0.1').pause())
      for (const socket of stuck) socket.write(requestBytes({ path: '/rest/d' }))
      const headers = { host: 'n1.m.hcp1.test', authorization: credentials('n', 'n01') }
      const got = await request(`http://127.0.0.1:${ports.http}/rest/d`, { headers })
      let entries = 0
      for await (const chunk of got.body) entries += String(chunk).split('<entry ').length - 1
      expect(entries).toBeGreaterThan(count * 0.99)
      expect((await peak()) - before).toBeLessThan(150)
      for (const socket of stuck) socket.destroy()
    } finally {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  },
)
