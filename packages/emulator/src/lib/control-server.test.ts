import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { controlAddress, startControlServer } from './control-server.ts'
import type { ControlServer, ControlSurface } from './control-server.ts'
import { checkBehaviour } from './dns-server.ts'
import { FaultTable } from './faults.ts'

/** An emulator's surface that writes down what is asked of it; its faults and DNS behaviours are checked by the real code. */
class Recorder implements ControlSurface {
  readonly calls: unknown[][] = []
  readonly faults: FaultTable = new FaultTable(4, () => undefined)

  state(): object {
    return { domain: 'hcp1.test' }
  }
  #node(call: string, node: number, cluster: string): void {
    if (node > 4 || cluster === 'replica') throw new RangeError(`there is no node ${node} of ${cluster}`)
    this.calls.push([call, node, cluster])
  }
  stopNode(node: number, cluster: string): void {
    this.#node('stopNode', node, cluster)
  }
  startNode(node: number, cluster: string): void {
    this.#node('startNode', node, cluster)
  }
  stopCluster(cluster: string): void {
    if (cluster === 'replica') throw new RangeError('there is no replica')
    this.calls.push(['stopCluster', cluster])
  }
  startCluster(cluster: string): void {
    this.calls.push(['startCluster', cluster])
  }
  addFault(fault: Parameters<FaultTable['add']>[0]): { id: number } {
    return this.faults.add(fault)
  }
  removeFault(id: number): boolean {
    return this.faults.remove(id)
  }
  clearFaults(): void {
    this.faults.clear()
  }
  setDns(behaviour: Parameters<ControlSurface['setDns']>[0]): void {
    this.calls.push(['setDns', checkBehaviour(behaviour)])
  }
  async setTls(behaviour: object): Promise<void> {
    if (JSON.stringify(behaviour).includes('broken')) throw new Error('no certificate could be made')
    this.calls.push(['setTls', behaviour])
  }
  setDisk(disk: object): void {
    this.calls.push(['setDisk', disk])
  }
  seed(seed: object): { made: number } {
    this.calls.push(['seed', seed])
    return { made: 3 }
  }
  addSymlink(symlink: object): void {
    this.calls.push(['addSymlink', symlink])
  }
  seedLogs(seed: object): void {
    this.calls.push(['seedLogs', seed])
  }
  failLogs(failures: object): void {
    this.calls.push(['failLogs', failures])
  }

  runServices(): { disposed: number; pruned: number } {
    this.calls.push(['runServices'])
    return { disposed: 1, pruned: 2 }
  }
  requests(since: number): [] {
    this.calls.push(['requests', since])
    return []
  }
}

let surface: Recorder
let server: ControlServer

beforeEach(async () => {
  surface = new Recorder()
  server = await startControlServer({ address: '127.0.0.1', port: 0, surface })
})

afterEach(() => server.close())

async function send(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: unknown; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: server.port, method, path, headers, agent: false }
    const request = httpRequest(options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        const parsed: unknown = text === '' ? undefined : JSON.parse(text)
        resolve({ status: response.statusCode!, body: parsed, headers: response.headers })
      })
    })
    request.on('error', reject)
    request.end(typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body))
  })
}

test('GET / is the state', async () => {
  expect(await send('GET', '/')).toMatchObject({
    status: 200,
    body: { domain: 'hcp1.test' },
    headers: { 'content-type': 'application/json' },
  })
  expect((await send('HEAD', '/')).status).toBe(200)
})

test.each<[string, string, unknown, unknown[]]>([
  ['POST', '/nodes/2/stop', undefined, ['stopNode', 2, 'primary']],
  ['POST', '/nodes/2/start', '', ['startNode', 2, 'primary']],
  ['POST', '/nodes/4/stop', { cluster: 'primary' }, ['stopNode', 4, 'primary']],
  ['POST', '/clusters/primary/stop', undefined, ['stopCluster', 'primary']],
  ['POST', '/clusters/replica/start', {}, ['startCluster', 'replica']],
  ['PUT', '/dns', { mode: 'servfail' }, ['setDns', { mode: 'servfail' }]],
  [
    'PUT',
    '/dns',
    { mode: 'fixed', addresses: ['192.0.2.1'], ttl: 5 },
    ['setDns', { mode: 'fixed', addresses: ['192.0.2.1'], ttl: 5 }],
  ],
  ['PUT', '/tls', { mode: 'expired' }, ['setTls', { mode: 'expired' }]],
  ['PUT', '/disk', { full: true }, ['setDisk', { full: true }]],
  ['POST', '/services/run', undefined, ['runServices']],
  ['POST', '/logs/fail', undefined, ['failLogs', {}]],
  ['POST', '/logs/fail', { count: 2, cluster: 'replica' }, ['failLogs', { count: 2, cluster: 'replica' }]],
  ['GET', '/requests', undefined, ['requests', 0]],
  ['GET', '/requests?since=17', undefined, ['requests', 17]],
])('%s %s %j does what it says', async (method, path, body, call) => {
  expect((await send(method, path, body)).status).toBe(200)
  expect(surface.calls).toEqual([call])
})

test('POST /symlinks makes a link', async () => {
  const link = { namespace: 'n1.m', path: 'a/latest', target: '../b' }
  expect(await send('POST', '/symlinks', link)).toMatchObject({ status: 201 })
  expect(surface.calls).toEqual([['addSymlink', link]])
  for (const bad of [
    { path: 'a', target: 'b' },
    { ...link, more: 1 },
    { ...link, cluster: 'third' },
  ]) {
    expect((await send('POST', '/symlinks', bad)).status).toBe(400)
  }
})

test('POST /logs/seed makes a history', async () => {
  const seed = { bytes: 1024, days: 3, cluster: 'primary' }
  expect(await send('POST', '/logs/seed', seed)).toMatchObject({ status: 201 })
  expect(surface.calls).toEqual([['seedLogs', seed]])
  for (const bad of [{}, { ...seed, more: 1 }, { ...seed, cluster: 'third' }]) {
    expect((await send('POST', '/logs/seed', bad)).status).toBe(400)
  }
})

test('POST /seed says how many objects it made', async () => {
  const seed = { namespace: 'n1.m', directory: 'd', count: 3, size: 5, cluster: 'primary' }
  expect(await send('POST', '/seed', seed)).toMatchObject({ status: 201, body: { made: 3 } })
  expect(surface.calls).toEqual([['seed', seed]])
  for (const bad of [{ count: 3 }, { ...seed, more: 1 }, { ...seed, cluster: 'third' }]) {
    expect((await send('POST', '/seed', bad)).status).toBe(400)
  }
})

test('faults come, go one by one, and go all together', async () => {
  const fault = {
    kind: 'status',
    node: 1,
    status: 503,
    retryAfter: 1,
    method: 'PUT',
    path: '/rest/a',
    count: 2,
  }
  const first = await send('POST', '/faults', fault)
  expect(first).toMatchObject({ status: 201, body: { id: expect.any(Number) as number } })
  const { id } = first.body as { id: number }
  expect(surface.faults.list()).toMatchObject([{ ...fault, id }])
  await send('POST', '/faults', { kind: 'refuse' })
  expect((await send('DELETE', `/faults/${id}`)).status).toBe(200)
  expect(surface.faults.list()).toHaveLength(1)
  expect(await send('DELETE', `/faults/${id}`)).toMatchObject({
    status: 404,
    body: { error: `there is no fault ${id}` },
  })
  expect((await send('DELETE', '/faults')).status).toBe(200)
  expect(surface.faults.none).toBe(true)
})

test.each<[number, string, string, unknown, RegExp]>([
  [400, 'POST', '/faults', '{"kind":', /not JSON/],
  [400, 'POST', '/faults', '[]', /JSON object/],
  [400, 'POST', '/faults', 'null', /JSON object/],
  [400, 'POST', '/faults', undefined, /kind/],
  [400, 'POST', '/faults', { kind: 'explode' }, /kind/],
  [400, 'POST', '/faults', { kind: 'hang', whenever: 1 }, /whenever/],
  [400, 'POST', '/faults', { kind: 'hang', node: 5 }, /node/],
  [400, 'POST', '/faults', { kind: 'delay', ms: '5' }, /ms/],
  [400, 'PUT', '/dns', {}, /mode/],
  [400, 'PUT', '/dns', { mode: 'sometimes' }, /mode/],
  [400, 'PUT', '/dns', { mode: 'ok', colour: 1 }, /colour/],
  [400, 'PUT', '/dns', { mode: 'fixed', addresses: ['x'] }, /addresses/],
  [400, 'PUT', '/tls', { mode: 'ok', full: true }, /full/],
  [400, 'PUT', '/disk', undefined, /full/],
  [400, 'POST', '/nodes/1/stop', { cluster: 'third' }, /cluster/],
  [400, 'POST', '/nodes/1/stop', { now: true }, /now/],
  [400, 'GET', '/requests?since=-1', undefined, /since/],
  [400, 'GET', '/requests?since=x', undefined, /since/],
  [404, 'POST', '/nodes/5/stop', undefined, /no node 5/],
  [404, 'POST', '/nodes/0/stop', undefined, /nodes\/0/],
  [404, 'POST', '/nodes/one/stop', undefined, /nodes\/one/],
  [404, 'POST', '/nodes/1/pause', undefined, /pause/],
  [404, 'POST', '/clusters/replica/stop', undefined, /no replica/],
  [404, 'POST', '/clusters/third/stop', undefined, /third/],
  [404, 'PUT', '/replication', { lagMs: 5 }, /no second system/],
  [404, 'GET', '/fault', undefined, /fault/],
  [404, 'GET', '/nodes/%31/stop', undefined, /nodes/],
  [405, 'GET', '/faults', undefined, /POST, DELETE/],
  [405, 'POST', '/', undefined, /GET/],
  [405, 'GET', '/nodes/1/stop', undefined, /POST/],
  [405, 'POST', '/dns', { mode: 'ok' }, /PUT/],
  [405, 'PATCH', '/faults/1', undefined, /DELETE/],
  [413, 'POST', '/faults', ' '.repeat(1024 * 1024 + 1), /longer/],
  [500, 'PUT', '/tls', { mode: 'broken' }, /no certificate/],
])('%i for %s %s %j, with a reason', async (status, method, path, body, reason) => {
  const answer = await send(method, path, body)
  expect(answer.status).toBe(status)
  expect((answer.body as { error: string }).error).toMatch(reason)
  expect(answer.headers['allow'] !== undefined).toBe(status === 405)
  expect(surface.calls).toEqual([])
  expect(surface.faults.none).toBe(true)
})

describe('whom it serves', () => {
  test.each([
    ['127.0.0.1', 200],
    ['127.0.0.1:1234', 200],
    ['127.0.0.9:80', 200],
    ['localhost', 200],
    ['LOCALHOST:80', 200],
    ['[::1]:80', 200],
    ['evil.example', 403],
    ['localhost.evil.example', 403],
    ['127.0.0.1.evil.example', 403],
    ['192.0.2.1', 403],
    ['[2001:db8::1]', 403],
    ['not a host', 403],
  ])('Host %s: %i', async (host, status) => {
    expect((await send('GET', '/', undefined, { host })).status).toBe(status)
  })

  test.each([
    ['http://localhost:3000', 200],
    ['http://127.0.0.1', 200],
    ['https://evil.example', 403],
    ['null', 403],
  ])('Origin %s: %i', async (origin, status) => {
    expect((await send('POST', '/nodes/1/stop', undefined, { origin })).status).toBe(status)
    expect(surface.calls).toHaveLength(status === 200 ? 1 : 0)
  })

  test.each(['0.0.0.0', '192.0.2.1', '::', 'localhost', 'example.com'])('not on %s', async (address) => {
    await expect(startControlServer({ address, port: 0, surface })).rejects.toThrow(RangeError)
  })

  test.each([
    ['127.0.0.5', '127.0.0.5'],
    ['::1', '::1'],
    ['192.0.2.1', '127.0.0.1'],
    ['2001:db8::1', '127.0.0.1'],
  ])('with nodes on %s it is on %s', (address, expected) => {
    expect(controlAddress(address)).toBe(expected)
  })

  test('a port in use is an error with its code', async () => {
    const again = startControlServer({ address: '127.0.0.1', port: server.port, surface })
    await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})

test('close does not wait for connections that are open', async () => {
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write('GET / HT')
  await new Promise((resolve) => socket.once('connect', resolve))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await Promise.all([server.close(), closed])
  await server.close()
})
