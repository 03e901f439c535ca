import { createHash } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { connect } from 'node:tls'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startEmulator } from './emulator.ts'
import type { Emulator } from './emulator.ts'
import type { RequestRecord } from './request-log.ts'

// A running emulator, touched from outside only: by the control port, as a test in any language would.

let hcp: Emulator
let agent: Agent
let serial = 0

beforeAll(async () => {
  hcp = await startEmulator({ nodes: 3 })
})

afterAll(async () => {
  await agent.close()
  await hcp.close()
})

// A new connection for each test, so that faults of connections are met.
beforeEach(async () => {
  await agent?.close()
  agent = new Agent()
})

async function control<T>(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
): Promise<T> {
  const url = `http://127.0.0.1:${hcp.ports.control}${path}`
  const answer = await request(url, { method, body: body === undefined ? null : JSON.stringify(body) })
  expect([200, 201]).toContain(answer.statusCode)
  return (await answer.body.json()) as T
}

const authorization = `HCP ${Buffer.from('n').toString('base64')}:${createHash('md5').update('n01').digest('hex')}`

/** The status of one request to a node (counted from 1), or the code of the failure. */
async function send(node: number, method: 'GET' | 'PUT' = 'PUT', path?: string): Promise<number | string> {
  const host = hcp.nodes[node - 1]!
  const url = `http://${host}:${hcp.ports.http}${path ?? `/rest/control/${(serial += 1)}`}`
  const headers = { host: `n1.m.${hcp.domain}`, authorization }
  try {
    const options = { method, headers, body: method === 'PUT' ? 'text' : null, dispatcher: agent }
    const answer = await request(url, options)
    await answer.body.dump()
    return answer.statusCode
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

async function addresses(): Promise<readonly string[] | string> {
  const resolver = new Resolver({ timeout: 1_000, tries: 1 })
  resolver.setServers([hcp.dns])
  try {
    return (await resolver.resolve4(`n1.m.${hcp.domain}`)).toSorted()
  } catch (error) {
    return (error as NodeJS.ErrnoException).code!
  }
}

function certificateCheck(): Promise<string> {
  return new Promise((resolve) => {
    const options = {
      host: hcp.nodes[0]!,
      port: hcp.ports.https,
      ca: hcp.ca,
      servername: `n1.m.${hcp.domain}`,
    }
    const socket = connect(options, () => {
      socket.destroy()
      resolve('ok')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code!))
  })
}

test('a stopped node refuses and leaves the DNS; started again it serves and is back', async () => {
  expect(await send(2)).toBe(201)
  await control('POST', '/nodes/2/stop')
  expect(await send(2)).toBe('ECONNREFUSED')
  expect(await send(1)).toBe(201)
  expect(await addresses()).toEqual(['127.0.0.1', '127.0.0.3'])
  await control('POST', '/nodes/2/start')
  expect(await send(2)).toBe(201)
  expect(await addresses()).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.3'])
})

test('a stopped cluster refuses on all nodes until it is started', async () => {
  await control('POST', '/clusters/primary/stop')
  for (const node of [1, 2, 3]) expect(await send(node)).toBe('ECONNREFUSED')
  expect(await addresses()).toBe('ENODATA')
  await control('POST', '/clusters/primary/start')
  for (const node of [1, 2, 3]) expect(await send(node)).toBe(201)
})

test('a fault hits as often as it says, on its node, and goes when it is deleted', async () => {
  const once = { kind: 'status', node: 1, status: 503, method: 'PUT', path: '/rest/control', count: 1 }
  await control('POST', '/faults', once)
  expect(await send(2)).toBe(201)
  expect(await send(1, 'GET', '/rest/control/none')).toBe(404)
  expect(await send(1)).toBe(503)
  expect(await send(1)).toBe(201)

  const { id } = await control<{ id: number }>('POST', '/faults', { kind: 'refuse', node: 3 })
  expect(await send(3)).toBe('ECONNREFUSED')
  expect(await control('GET', '/')).toMatchObject({ faults: [{ id, kind: 'refuse', node: 3 }] })
  await control('DELETE', `/faults/${id}`)
  expect(await send(3)).toBe(201)

  await control('POST', '/faults', { kind: 'reset', node: 'all', cluster: 'primary', when: 'beforeHead' })
  expect(await send(1)).toMatch(/ECONNRESET|UND_ERR_SOCKET/)
  await control('DELETE', '/faults')
  expect(await send(1)).toBe(201)
})

test('DNS answers as told', async () => {
  await control('PUT', '/dns', { mode: 'fixed', addresses: ['192.0.2.1'] })
  expect(await addresses()).toEqual(['192.0.2.1'])
  await control('PUT', '/dns', { mode: 'servfail' })
  expect(await addresses()).toBe('ESERVFAIL')
  await control('PUT', '/dns', { mode: 'ok' })
  expect(await addresses()).toHaveLength(3)
})

test.each([
  ['expired', 'CERT_HAS_EXPIRED'],
  ['wrong-name', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['other-ca', /CERT|SIGNATURE|ISSUER|VERIFY/],
])('a certificate that is %s is shown, and the right one again', async (mode, code) => {
  await control('PUT', '/tls', { mode })
  expect(await certificateCheck()).toMatch(code)
  await control('PUT', '/tls', { mode: 'ok' })
  expect(await certificateCheck()).toBe('ok')
})

test('on a full disk writes fail, reads do not', async () => {
  const path = '/rest/control/before'
  expect(await send(1, 'PUT', path)).toBe(201)
  await control('PUT', '/disk', { full: true })
  expect(await send(1)).toBeGreaterThanOrEqual(500)
  expect(await send(1, 'GET', path)).toBe(200)
  await control('PUT', '/disk', { full: false })
  expect(await send(1)).toBe(201)
})

test('tells which node served what', async () => {
  const before = (await control<RequestRecord[]>('GET', '/requests')).at(-1)?.sequence ?? 0
  await send(3, 'PUT', '/rest/control/told')
  await send(1, 'GET', '/rest/control/told')
  expect(await control('GET', `/requests?since=${before}`)).toMatchObject([
    { node: 3, method: 'PUT', path: '/rest/control/told', status: 201, bytes: 4 },
    { node: 1, method: 'GET', path: '/rest/control/told', status: 200, bytes: 4 },
  ])
})
