import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { NativeAuthorization } from '@hcp/auth'
import { startEmulator } from '@hcp/emulator'
import { expect, test } from 'vitest'
import { hangUp, raw, scriptServer } from '../../test/script-server.ts'
import { Connection, type HcpError, Target } from '../index.ts'

const password = 'correct horse battery staple'
const token = 'dXNlci1vbmU=:9cc2ae8a1ba7a93da39b46fc1019c481'
const shapes = (value: unknown): string =>
  [
    inspect(value, { depth: 10, showHidden: true, getters: true }),
    JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? String(one) : one)),
    String(value),
    (value as Error).stack ?? '',
  ].join('\n')
const secrets = [
  password,
  token,
  token.split(':')[1] ?? '',
  token.split(':')[0] ?? '',
  'Authorization',
  'authorization:',
]

function expectClean(value: unknown): void {
  const text = shapes(value)
  for (const secret of secrets) expect(text).not.toContain(secret)
}

test('nothing secret is in an error, whatever its kind, nor in what hangs on it', async () => {
  const server = await scriptServer(
    hangUp(),
    raw('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx', 'end'),
    raw('nonsense\r\n\r\n'),
  )
  const target = new Target('127.0.0.1', {
    port: server.port,
    tls: false,
    authorization: new NativeAuthorization('user-one', password),
  })
  const connection = new Connection(target, { retry: false, headersTimeout: 200, connections: 1 })
  const errors: HcpError[] = []
  const keep = (error: HcpError): void => void errors.push(error)
  await connection.post('/rest/a', 'x', { params: { reason: 'q' } }).catch(keep)
  await (await connection.get('/rest/b')).bytes().catch(keep)
  await connection.get('/rest/c').catch(keep)
  expect(server.seen[0]?.headers['authorization']).toBe(`HCP ${token}`)
  await connection.close()
  await connection.get('/rest/e').catch(keep)
  expect(errors.map((error) => error.code)).toEqual([
    'HCP_SOCKET',
    'HCP_TRUNCATED',
    'HCP_PROTOCOL',
    'HCP_CLOSED',
  ])
  for (const error of errors) expectClean(error)
  expect(errors[0]?.url).toBe(`http://127.0.0.1:${server.port}/rest/a`)
  target.close()
  await server[Symbol.asyncDispose]()
})

test('nothing secret is in a target, a connection, a response or an event', async () => {
  await using hcp = await startEmulator({
    config: {
      tenants: [{ name: 'm', namespaces: [{ name: 'n1' }], users: [{ user: 'user-one', password }] }],
    },
  })
  const target = new Target('n1.m.hcp1.test', {
    port: hcp.ports.http,
    tls: false,
    nameServers: [hcp.dns],
    authorization: new NativeAuthorization('user-one', password),
  })
  const connection = new Connection(target)
  const events: unknown[] = []
  const listen = (event: unknown): void => void events.push(event)
  const names = ['hcp:request', 'hcp:retry', 'hcp:response', 'hcp:error']
  for (const name of names) subscribe(name, listen)
  hcp.addFault({ kind: 'status', status: 503, count: 1, retryAfter: 0 })
  const response = await connection.put('/rest/a', 'x', { params: { index: true } })
  await connection.get('/rest/none', { buffered: true })
  await hcp.stopCluster()
  await connection.get('/rest/a', { retry: { attempts: 20, minDelay: 1, maxDelay: 1 } }).catch(() => {})
  for (const name of names) unsubscribe(name, listen)

  expect(events.length).toBeGreaterThanOrEqual(7)
  expect(events).toContainEqual(
    expect.objectContaining({
      method: 'PUT',
      attempt: 2,
      status: 201,
      servicedBy: 'hcp1.test',
      address: response.address,
    }),
  )
  expect(events).toContainEqual(expect.objectContaining({ code: 'HTTP_503', delay: 0, attempt: 1 }))
  expect(events).toContainEqual(expect.objectContaining({ code: 'HCP_CONNECT', method: 'GET' }))
  for (const value of [...events, target, connection, response, connection.lastResponse]) {
    const text = shapes(value)
    for (const secret of [password, token, token.split(':')[1] as string]) expect(text).not.toContain(secret)
  }
  await connection.close()
  target.close()
})
