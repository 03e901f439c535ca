import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { Fault } from './faults.ts'
import { ask, openBlobFiles, requestBytes, statusOf, Wire } from './wire.testing.ts'

const data = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))

let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 2 })
  expect(await statusOf(hcp, { method: 'PUT', path: '/rest/data', body: data })).toBe(201)
})
afterAll(() => hcp.close())
afterEach(() => hcp.clearFaults())

/** Node 22 calls a reset an orderly end when there were bytes to read before it. */
const resetAfterBytes = Number(process.versions.node.split('.')[0]) < 24 ? 'end' : 'reset'

let counter = 0
const fresh = (): string => `/rest/fresh/${++counter}`
const stored = (path: string): Promise<number> => statusOf(hcp, { method: 'HEAD', path })

/** What a client sees: what comes until the connection ends, and how it ends. */
async function seen(wire: Wire): Promise<{ head: string; body: Buffer; ended: string | undefined }> {
  const all = await wire.rest()
  const at = all.indexOf('\r\n\r\n')
  const head = at === -1 ? all.toString('latin1') : all.subarray(0, at).toString('latin1')
  return { head, body: at === -1 ? Buffer.alloc(0) : all.subarray(at + 4), ended: wire.ended }
}

/** What is wrong with a body: said in a word, as a comparison of so many bytes takes minutes to print. */
function difference(body: Buffer, expected: Buffer): string | undefined {
  if (body.equals(expected)) return undefined
  const at = body.findIndex((byte, index) => byte !== expected[index])
  return `${body.length} bytes instead of ${expected.length}, the first wrong one is ${at}`
}

/** Whether a connection is still silent after the server has answered two others that came later. */
async function staysSilent(wire: Wire): Promise<void> {
  const before = wire.socket.bytesRead
  await statusOf(hcp, {}, 2)
  await statusOf(hcp, {}, 2)
  expect(wire.socket.bytesRead).toBe(before)
  expect(wire.ended).toBeUndefined()
}

function refused(node: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(hcp.ports.http, hcp.nodes[node - 1])
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
  })
}

describe('at connect', () => {
  test('refuse: connections are refused as long as it lives, and those that are there go on', async () => {
    using wire = await Wire.to(hcp)
    const { id } = hcp.addFault({ kind: 'refuse', node: 1 })
    expect(await refused(1)).toBe('ECONNREFUSED')
    expect(await refused(2)).toBeUndefined()
    expect((await wire.send({}).answer()).status).toBe(200)
    expect(await hcp.removeFault(id)).toBe(true)
    expect(await refused(1)).toBeUndefined()
    expect(await hcp.removeFault(id)).toBe(false)
  })

  test('a node whose port was taken while it refused is down, and who ends the fault is told', async () => {
    const { id } = hcp.addFault({ kind: 'refuse', node: 2 })
    const other = createServer().listen(hcp.ports.http, hcp.nodes[1])
    await once(other, 'listening')
    await expect(hcp.removeFault(id)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect(hcp.state().clusters['primary']![1]!.up).toBe(false)
    other.close()
    await once(other, 'close')
    await hcp.startNode(2)
    expect(await refused(2)).toBeUndefined()
  })

  test('hang: the connection is accepted, and that is all', async () => {
    hcp.addFault({ kind: 'hang', when: 'connect', node: 1 })
    using wire = await Wire.to(hcp)
    wire.send({})
    await staysSilent(wire)
  })

  test('reset: the connection is reset', async () => {
    hcp.addFault({ kind: 'reset', when: 'connect' })
    const socket = connect(hcp.ports.http, hcp.nodes[0])
    using wire = new Wire(socket)
    await wire.rest()
    expect(wire.ended).toBe('reset')
  })

  test('truncate: the connection is closed', async () => {
    hcp.addFault({ kind: 'truncate', when: 'connect' })
    using wire = await Wire.to(hcp)
    expect(await seen(wire)).toMatchObject({ head: '', ended: 'end' })
  })

  test('garbage: bytes come that are no HTTP, and the connection is closed', async () => {
    hcp.addFault({ kind: 'garbage', when: 'connect' })
    using wire = await Wire.to(hcp)
    const { head, ended } = await seen(wire.send({}))
    expect(head).toContain('this is not HTTP')
    expect(ended).toBe('end')
  })

  test('delay: the connection is served later', async () => {
    hcp.addFault({ kind: 'delay', when: 'connect', ms: 60, count: 1 })
    using wire = await Wire.to(hcp)
    const start = performance.now()
    expect((await wire.send({}).answer()).status).toBe(200)
    expect(performance.now() - start).toBeGreaterThan(40)
  })

  test('a hit over TLS comes before the handshake', async () => {
    hcp.addFault({ kind: 'reset', when: 'connect' })
    await expect(Wire.toTls(hcp)).rejects.toThrow(/ECONNRESET|socket/)
  })
})

describe.each(['http', 'https'] as const)('before the head (%s)', (port) => {
  const to = (): Promise<Wire> => (port === 'http' ? Wire.to(hcp) : Wire.toTls(hcp))

  test.each<[Fault['kind'], string, string]>([
    ['reset', '', port === 'http' ? 'reset' : resetAfterBytes],
    ['truncate', '', 'end'],
    ['garbage', 'this is not HTTP', 'end'],
  ])('%s: the object is stored, and the answer is lost', async (kind, head, ended) => {
    const path = fresh()
    hcp.addFault({ kind, when: 'beforeHead', method: 'PUT' })
    using wire = await to()
    const got = await seen(wire.send({ method: 'PUT', path, body: 'x' }))
    expect(got.ended).toBe(ended)
    expect(got.head.includes('HTTP/1.1')).toBe(false)
    expect(got.head).toContain(head)
    expect(await stored(path)).toBe(200)
  })

  test('hang: the object is stored, and nothing is answered', async () => {
    const path = fresh()
    hcp.addFault({ kind: 'hang', method: 'PUT', node: 1 })
    using wire = await to()
    wire.send({ method: 'PUT', path, body: 'x' })
    await expect.poll(() => stored(path)).toBe(200)
    await staysSilent(wire)
  })

  test('delay: the object is stored, and the answer comes later', async () => {
    const path = fresh()
    hcp.addFault({ kind: 'delay', ms: 200, method: 'PUT' })
    using wire = await to()
    wire.send({ method: 'PUT', path, body: 'x' })
    await expect.poll(() => stored(path)).toBe(200)
    expect(wire.ended).toBeUndefined()
    expect((await wire.answer()).status).toBe(201)
  })
})

describe('status', () => {
  test('is answered instead of anything that was asked for', async () => {
    const path = fresh()
    hcp.addFault({ kind: 'status', retryAfter: 3, count: 1 })
    using wire = await Wire.to(hcp)
    const answer = await wire.send({ method: 'PUT', path, body: 'x' }).answer()
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '3' } })
    expect(answer.headers['x-hcp-errormessage']).toBeDefined()
    expect((await wire.send({ path }).answer()).status).toBe(404)
  })

  test('in the body of a PUT: is answered while the client sends, and nothing is stored', async () => {
    const path = fresh()
    hcp.addFault({ kind: 'status', when: 'body', afterBytes: 50_000, status: 500, method: 'PUT' })
    using wire = await Wire.to(hcp)
    wire.socket.write(
      requestBytes({ method: 'PUT', path, headers: { 'Content-Length': '200000' }, body: data }),
    )
    expect((await wire.answer()).status).toBe(500)
    expect(await stored(path)).toBe(404)
  })

  test.each(['GET', 'HEAD', 'POST', 'DELETE'])('fits a %s', async (method) => {
    hcp.addFault({ kind: 'status', status: 500, count: 1 })
    expect(await statusOf(hcp, { method, path: '/rest/data' })).toBe(500)
    expect(await stored('/rest/data')).toBe(200)
  })
})

describe('after the head of a GET', () => {
  test.each<[Fault['kind'], string]>([
    ['reset', resetAfterBytes],
    ['truncate', 'end'],
  ])('%s: the head comes, and no body', async (kind, ended) => {
    hcp.addFault({ kind, when: 'afterHead' })
    using wire = await Wire.to(hcp)
    const got = await seen(wire.send({ path: '/rest/data' }))
    expect(got).toMatchObject({ ended })
    expect(got.head).toContain('Content-Length: 100000')
    expect(got.body).toHaveLength(0)
  })

  test('hang: the head comes, then nothing', async () => {
    hcp.addFault({ kind: 'hang', when: 'afterHead', node: 1 })
    using wire = await Wire.to(hcp)
    const head = await wire.send({ path: '/rest/data' }).until((bytes) => bytes.includes('\r\n\r\n'))
    expect(head.subarray(-4).toString()).toBe('\r\n\r\n')
    await staysSilent(wire)
  })

  test('delay: the body comes later', async () => {
    hcp.addFault({ kind: 'delay', when: 'afterHead', ms: 60 })
    using wire = await Wire.to(hcp)
    await wire.send({ path: '/rest/data' }).until((bytes) => bytes.includes('\r\n\r\n'))
    const start = performance.now()
    expect(difference((await wire.answer()).body, data)).toBeUndefined()
    expect(performance.now() - start).toBeGreaterThan(40)
  })

  test('garbage: as many bytes come, all of them wrong', async () => {
    hcp.addFault({ kind: 'garbage', when: 'afterHead' })
    const { body } = await ask(hcp, { path: '/rest/data' })
    expect(body).toHaveLength(data.length)
    expect(body.every((byte, index) => byte !== data[index])).toBe(true)
  })
})

describe('in the body of a GET', () => {
  test.each<[Fault['kind'], number, string]>([
    ['reset', 0, resetAfterBytes],
    ['reset', 70_000, resetAfterBytes],
    ['truncate', 1, 'end'],
    ['truncate', 99_999, 'end'],
  ])('%s after %i bytes', async (kind, afterBytes, ended) => {
    hcp.addFault({ kind, when: 'body', afterBytes })
    using wire = await Wire.to(hcp)
    const got = await seen(wire.send({ path: '/rest/data' }))
    expect(got.ended).toBe(ended)
    expect(difference(got.body, data.subarray(0, afterBytes))).toBeUndefined()
  })

  test('truncate of a compressed answer leaves out its end', async () => {
    hcp.addFault({ kind: 'truncate', afterBytes: 100 })
    using wire = await Wire.to(hcp)
    wire.send({ path: '/rest/data', headers: { 'Accept-Encoding': 'gzip' } })
    await expect(wire.answer()).rejects.toThrow('the body is cut')
  })

  test('hang: so many bytes come, then nothing', async () => {
    hcp.addFault({ kind: 'hang', when: 'body', afterBytes: 40_000, node: 1 })
    using wire = await Wire.to(hcp)
    const got = await wire.send({ path: '/rest/data' }).until((bytes) => bytes.length > 40_000)
    expect(difference(got.subarray(got.indexOf('\r\n\r\n') + 4), data.subarray(0, 40_000))).toBeUndefined()
    await staysSilent(wire)
  })

  test('garbage: the bytes from there on are wrong', async () => {
    hcp.addFault({ kind: 'garbage', when: 'body', afterBytes: 60_000 })
    const { body } = await ask(hcp, { path: '/rest/data' })
    expect(body).toHaveLength(data.length)
    expect(difference(body.subarray(0, 60_000), data.subarray(0, 60_000))).toBeUndefined()
    expect(body.subarray(60_000).every((byte, index) => byte !== data[60_000 + index])).toBe(true)
  })

  test('throttle: the bytes come at that rate', async () => {
    hcp.addFault({ kind: 'throttle', bytesPerSecond: 1_000_000 })
    const start = performance.now()
    expect(difference((await ask(hcp, { path: '/rest/data' })).body, data)).toBeUndefined()
    expect(performance.now() - start).toBeGreaterThan(75)
  })

  test('more bytes than there are: nothing happens', async () => {
    hcp.addFault({ kind: 'reset', when: 'body', afterBytes: 100_001 })
    expect(difference((await ask(hcp, { path: '/rest/data' })).body, data)).toBeUndefined()
  })
})

describe('in the body of a PUT', () => {
  test.each<[Fault['kind'], number, string]>([
    ['reset', 0, 'reset'],
    ['reset', 50_000, 'reset'],
    ['truncate', 50_000, 'end'],
  ])('%s after %i bytes: nothing is stored, and the name is free', async (kind, afterBytes, ended) => {
    const path = fresh()
    hcp.addFault({ kind, when: 'body', afterBytes, method: 'PUT', count: 1 })
    using wire = await Wire.to(hcp)
    expect(await seen(wire.send({ method: 'PUT', path, body: data }))).toMatchObject({ head: '', ended })
    expect(await stored(path)).toBe(404)
    expect(await statusOf(hcp, { method: 'PUT', path, body: data })).toBe(201)
  })

  test('hang: the server takes no more, and stores nothing when the client gives up', async () => {
    const path = fresh()
    hcp.addFault({ kind: 'hang', when: 'body', afterBytes: 10, method: 'PUT', count: 1 })
    const wire = await Wire.to(hcp)
    wire.send({ method: 'PUT', path, body: data })
    await staysSilent(wire)
    expect(await stored(path)).toBe(404)
    wire.socket.resetAndDestroy()
    await expect.poll(() => statusOf(hcp, { method: 'PUT', path, body: 'x' })).toBe(201)
  })

  test('delay and throttle: everything is stored all the same', async () => {
    for (const fault of [
      { kind: 'delay', when: 'body', ms: 30, afterBytes: 10 },
      { kind: 'throttle', bytesPerSecond: 2_000_000 },
    ] as const) {
      const path = fresh()
      hcp.addFault({ ...fault, method: 'PUT', count: 1 })
      const start = performance.now()
      expect(await statusOf(hcp, { method: 'PUT', path, body: data })).toBe(201)
      expect(performance.now() - start).toBeGreaterThan(25)
      expect(difference((await ask(hcp, { path })).body, data)).toBeUndefined()
    }
  })

  test('garbage: what is stored is not what was sent, and the hashes say so', async () => {
    const [good, bad] = [fresh(), fresh()]
    const put = await ask(hcp, { method: 'PUT', path: good, body: data })
    hcp.addFault({ kind: 'garbage', when: 'body', afterBytes: 99_999, method: 'PUT' })
    const damaged = await ask(hcp, { method: 'PUT', path: bad, body: data })
    expect(damaged.status).toBe(201)
    expect(damaged.headers['x-hcp-hash']).not.toBe(put.headers['x-hcp-hash'])
    expect((await ask(hcp, { path: bad })).body).toHaveLength(data.length)
  })
})

describe('selection', () => {
  test('by node, method, path and count', async () => {
    hcp.addFault({ kind: 'status', node: 2, method: 'get', path: '/rest/da', count: 2 })
    const get = { path: '/rest/data' }
    expect(await statusOf(hcp, get, 1)).toBe(200)
    expect(await statusOf(hcp, { ...get, method: 'HEAD' }, 2)).toBe(200)
    expect(await statusOf(hcp, { path: '/rest/other' }, 2)).toBe(404)
    expect(await statusOf(hcp, get, 2)).toBe(503)
    expect(await statusOf(hcp, { path: '/rest/data?version=1' }, 2)).toBe(503)
    expect(await statusOf(hcp, get, 2)).toBe(200)
    expect(hcp.state().faults).toEqual([])
  })

  test('the first that fits is the one', async () => {
    hcp.addFault({ kind: 'status', status: 500, count: 1 })
    hcp.addFault({ kind: 'status', status: 503, count: 1 })
    const statuses = [await statusOf(hcp, {}), await statusOf(hcp, {}), await statusOf(hcp, {})]
    expect(statuses).toEqual([500, 503, 200])
  })

  test.each<[string, object, typeof TypeError | typeof RangeError]>([
    ['unknown field of a fault: foo', { kind: 'hang', foo: 1 }, TypeError],
    ['kind must be one of', { kind: 'explode' }, RangeError],
    ['kind must be one of', {}, RangeError],
    ['when of throttle must be one of body', { kind: 'throttle', when: 'connect' }, RangeError],
    ['when of status must be one of', { kind: 'status', when: 'afterHead' }, RangeError],
    ['node must be a whole number from 1 to 2', { kind: 'hang', node: 3 }, RangeError],
    ['node must be a number', { kind: 'hang', node: '1' }, TypeError],
    ['there is no replica', { kind: 'hang', cluster: 'replica' }, RangeError],
    ['afterBytes goes with', { kind: 'hang', afterBytes: 1 }, RangeError],
    ['ms must be a whole number', { kind: 'delay', ms: -1 }, RangeError],
    ['ms must be a whole number', { kind: 'delay', ms: 2 ** 31 }, RangeError],
    ['count must be a whole number', { kind: 'hang', count: 0 }, RangeError],
    ['refuse has no count', { kind: 'refuse', count: 1 }, RangeError],
    ['method does not go with', { kind: 'reset', when: 'connect', method: 'GET' }, RangeError],
    ['path must be a string', { kind: 'reset', path: 1 }, TypeError],
  ])('%s', (message, fault, type) => {
    expect(() => hcp.addFault(fault as Fault)).toThrow(type)
    expect(() => hcp.addFault(fault as Fault)).toThrow(message)
  })
})

test('requests that no answer was sent to are noted with status 0', async () => {
  const since = hcp.requests().at(-1)!.sequence
  hcp.addFault({ kind: 'reset', count: 1 })
  using wire = await Wire.to(hcp, 2)
  await wire.send({ path: '/rest/data' }).rest()
  expect(hcp.requests(since)).toMatchObject([
    { node: 2, method: 'GET', path: '/rest/data', status: 0, bytes: 0 },
  ])
  await once(wire.socket, 'close').catch(() => {})
})

test.each<Fault>([
  { kind: 'reset' },
  { kind: 'truncate' },
  { kind: 'garbage' },
  { kind: 'hang', when: 'afterHead' },
  { kind: 'reset', when: 'afterHead' },
  { kind: 'reset', when: 'body', afterBytes: 10 },
])('%j leaves no file open of what it kept from the client', async (fault) => {
  const path = fresh()
  expect(await statusOf(hcp, { method: 'PUT', path, body: Buffer.alloc(1_000_000) })).toBe(201)
  hcp.addFault(fault)
  using wire = await Wire.to(hcp)
  wire.send({ path })
  if (fault.kind === 'hang') await wire.until((bytes) => bytes.includes('\r\n\r\n'))
  else await wire.rest()
  wire.socket.destroy()
  await expect.poll(openBlobFiles).toBe(0)
})
