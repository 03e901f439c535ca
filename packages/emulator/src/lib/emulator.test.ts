import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Resolver } from 'node:dns/promises'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator, EmulatorOptions } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import { ask, credentials, statusOf, Wire } from './wire.testing.ts'

let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator({ replicaDomain: 'HCP2.test', nodes: 3 })
})
afterAll(() => hcp.close())

function resolver(): Resolver {
  const made = new Resolver({ timeout: 500, tries: 1 })
  made.setServers([hcp.dns])
  return made
}

describe('what is said at the start', () => {
  test('is the ready line', async () => {
    const { ready } = hcp
    expect(Object.keys(ready)).toEqual([
      'ready',
      'domain',
      'nodes',
      'ports',
      'dns',
      'caFile',
      'tenants',
      'replica',
      'link',
    ])
    expect(ready).toMatchObject({
      ready: true,
      domain: 'hcp1.test',
      nodes: ['127.0.0.1', '127.0.0.2', '127.0.0.3'],
      dns: `127.0.0.1:${hcp.ports.dns}`,
      tenants: [{ name: 'm', namespaces: ['n1', 'n2'], users: [{ user: 'n', password: 'n01' }] }],
      replica: { domain: 'hcp2.test', nodes: ['127.0.0.4', '127.0.0.5', '127.0.0.6'] },
    })
    expect(Object.keys(ready.ports)).toEqual(['http', 'https', 'mapi', 'dns', 'control'])
    expect(Object.keys(ready.replica!)).toEqual(['domain', 'nodes', 'ports', 'dns', 'caFile', 'tenants'])
    expect(JSON.parse(JSON.stringify(ready))).toEqual(ready)
    expect(await readFile(hcp.caFile, 'utf8')).toBe(hcp.ca)
  })

  test('without a replica says so', async () => {
    await using one = await startEmulator({ nodes: 1 })
    expect(one.ready.replica).toBeNull()
    await expect(one.stopNode(1, 'replica')).rejects.toThrow('there is no replica')
  })
})

describe('nodes', () => {
  test('serve one state', async () => {
    expect(await statusOf(hcp, { method: 'PUT', path: '/rest/shared', body: 'x' }, 1)).toBe(201)
    for (const node of [1, 2, 3]) expect((await ask(hcp, { path: '/rest/shared' }, node)).text).toBe('x')
  })

  test('that are stopped refuse connections, cut those they have, and leave the name server', async () => {
    using wire = await Wire.to(hcp, 2)
    await wire.send({}).answer()
    await hcp.stopNode(2)
    await wire.rest()
    expect(wire.ended).toBeDefined()
    await expect(Wire.to(hcp, 2)).rejects.toThrow('ECONNREFUSED')
    expect((await resolver().resolve4('n1.m.hcp1.test')).toSorted()).toEqual(['127.0.0.1', '127.0.0.3'])
    expect(hcp.state().clusters['primary']).toMatchObject([{ up: true }, { up: false }, { up: true }])
    await hcp.startNode(2)
    await hcp.startNode(2)
    expect((await ask(hcp, { path: '/rest/shared' }, 2)).text).toBe('x')
    expect(await resolver().resolve4('n1.m.hcp1.test')).toHaveLength(3)
  })

  test('all stop and start with their cluster, without touching the other', async () => {
    await hcp.stopCluster()
    for (const node of [1, 2, 3]) await expect(Wire.to(hcp, node)).rejects.toThrow('ECONNREFUSED')
    expect(await resolver().resolve4('n1.m.hcp2.test')).toHaveLength(3)
    await hcp.startCluster('primary')
    for (const node of [1, 2, 3]) expect(await statusOf(hcp, {}, node)).toBe(200)
  })

  test.each([0, 4, 1.5, NaN])('%d is no node', async (node) => {
    await expect(hcp.stopNode(node)).rejects.toThrow(RangeError)
    await expect(hcp.startNode(node)).rejects.toThrow(RangeError)
  })
})

describe('the replica', () => {
  const host = 'n1.m.hcp2.test'
  const get = (path: string, method = 'GET'): Promise<number> =>
    new Promise((resolve, reject) => {
      const { nodes, ports } = hcp.ready.replica!
      const socket = connect(ports.http, nodes[0])
      const authorization = credentials('n', 'n01')
      socket.write(
        `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: ${authorization}\r\nContent-Length: 0\r\n\r\n`,
      )
      socket.once('data', (data) => {
        socket.destroy()
        resolve(Number(data.toString().slice(9, 12)))
      })
      socket.once('error', reject)
    })

  test('is a system of its own', async () => {
    expect(await get('/rest/own', 'PUT')).toBe(201)
    expect(await get('/rest/own')).toBe(200)
    expect(await statusOf(hcp, { path: '/rest/own' })).toBe(404)
    expect(await statusOf(hcp, { host })).toBe(403)
  })

  test('has its own faults', async () => {
    const { id } = hcp.addFault({ cluster: 'replica', kind: 'status', status: 500 })
    expect(await get('/rest/own')).toBe(500)
    expect(await statusOf(hcp, {})).toBe(200)
    await hcp.removeFault(id)
  })
})

describe('the name server', () => {
  test('gives all addresses, rotated', async () => {
    const dns = resolver()
    const firsts = new Set<string>()
    for (let i = 0; i < 3; i++) firsts.add((await dns.resolve4('any.name.hcp1.test'))[0]!)
    expect(firsts.size).toBe(3)
  })

  test('answers as it is told', async () => {
    hcp.setDns({ mode: 'nxdomain' })
    await expect(resolver().resolve4('n1.m.hcp1.test')).rejects.toThrow('ENOTFOUND')
    hcp.setDns({ mode: 'fixed', addresses: ['192.0.2.1'], ttl: 7 })
    expect(await resolver().resolve4('n1.m.hcp1.test', { ttl: true })).toEqual([
      { address: '192.0.2.1', ttl: 7 },
    ])
    expect(hcp.state().dnsBehaviour.mode).toBe('fixed')
    hcp.setDns({ mode: 'ok' })
    expect(() => hcp.setDns({ mode: 'odd' as 'ok' })).toThrow(/mode/)
  })
})

describe('certificates', () => {
  const handshake = (servername: string | undefined): Promise<string> =>
    new Promise((resolve) => {
      const socket = connectTls({
        port: hcp.ports.https,
        host: hcp.nodes[0]!,
        ca: hcp.ca,
        ...(servername === undefined ? {} : { servername }),
      })
      socket.once('secureConnect', () => {
        socket.destroy()
        resolve('ok')
      })
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    })

  test.each([
    ['n1.m.hcp1.test', 'ok'],
    ['m.hcp1.test', 'ok'],
    ['admin.hcp1.test', 'ok'],
    ['a.n1.m.hcp1.test', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['n1.m.hcp2.test', 'ok'],
    ['n1.m.hcp3.test', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('for %s: %s', async (name, result) => {
    expect(await handshake(name)).toBe(result)
  })

  test.each([
    ['expired', 'CERT_HAS_EXPIRED'],
    ['wrong-name', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['other-ca', /UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|SELF_SIGNED/],
  ] as const)('can be %s, and well again', async (mode, result) => {
    await hcp.setTls({ mode })
    expect(await handshake('n1.m.hcp1.test')).toMatch(result)
    await hcp.setTls({ mode: 'ok' })
    expect(await handshake('n1.m.hcp1.test')).toBe('ok')
  })

  test('no other mode is known', async () => {
    await expect(hcp.setTls({ mode: 'odd' as 'ok' })).rejects.toThrow(RangeError)
  })
})

test('a full disk refuses what is stored, in the middle of it too, and takes it again when there is room', async () => {
  hcp.setDisk({ full: true })
  const put = { method: 'PUT', path: '/rest/disk', body: 'x' }
  expect(await statusOf(hcp, put)).toBe(503)
  expect(await statusOf(hcp, { path: '/rest/disk' })).toBe(404)
  hcp.setDisk({ full: false })
  expect(await statusOf(hcp, put)).toBe(201)
})

test('what was served can be asked for, from any point on', async () => {
  const since = hcp.requests().at(-1)!.sequence
  await ask(hcp, { method: 'PUT', path: '/rest/logged?index=true', body: 'four' }, 2)
  await ask(hcp, { path: '/rest/logged' }, 3)
  const records = hcp.requests(since)
  expect(records).toMatchObject([
    { sequence: since + 1, node: 2, method: 'PUT', path: '/rest/logged?index=true', status: 201, bytes: 4 },
    {
      sequence: since + 2,
      node: 3,
      method: 'GET',
      path: '/rest/logged',
      status: 200,
      bytes: 4,
      port: 'http',
    },
  ])
  expect(hcp.requests(since + 1)).toEqual(records.slice(1))
  expect(hcp.requests(since + 2)).toEqual([])
})

test('it ends with connections open, its folder goes with it, and ending it twice is no harm', async () => {
  const one = await startEmulator({ nodes: 1 })
  using wire = await Wire.to(one)
  await wire.send({}).answer()
  const { caFile } = one
  await Promise.all([one.close(), one.close()])
  await wire.rest()
  expect(wire.ended).toBeDefined()
  expect(existsSync(caFile)).toBe(false)
  const socket = connect(one.ports.http, '127.0.0.1')
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  expect(error.code).toBe('ECONNREFUSED')
})

test('the ports asked for are the ports used, and a port that is taken is said so', async () => {
  await using first = await startEmulator({ nodes: 1 })
  const { http, https, mapi } = first.ports
  const options = { nodes: 1, httpPort: http, httpsPort: https, mapiPort: mapi }
  await expect(startEmulator(options)).rejects.toThrow('EADDRINUSE')
  await first.close()
  await using second = await startEmulator(options)
  expect(second.ports).toMatchObject({ http, https, mapi })
})

test.each<[string, object, typeof TypeError | typeof RangeError]>([
  ['unknown option: node', { node: 3 }, TypeError],
  ['nodes must be a whole number from 1', { nodes: 0 }, RangeError],
  ['nodes must be a number', { nodes: '4' }, TypeError],
  ['httpPort must be a whole number', { httpPort: 65_536 }, RangeError],
  ['domain must be a domain name', { domain: 'a b' }, RangeError],
  ['replicaDomain is the domain itself', { replicaDomain: 'HCP1.test' }, RangeError],
  ['address must be an IPv4 address', { address: 'localhost' }, RangeError],
  ['unknown choice: colour', { choices: { colour: 'red' } }, TypeError],
  ['tenants', { config: {} }, TypeError],
])('bad options: %s', async (message, options, type) => {
  await expect(startEmulator(options as EmulatorOptions)).rejects.toThrow(type)
  await expect(startEmulator(options as EmulatorOptions)).rejects.toThrow(message)
})
