import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { connect } from 'node:tls'
import { NativeAuthorization } from '@hcp/auth'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Connection, HcpCertificateError, HcpError, Target, type TlsOptions } from '../index.ts'

let hcp: Emulator
let fingerprint: string
const authorization = new NativeAuthorization('n', 'n01')

beforeAll(async () => {
  hcp = await startEmulator()
  const socket = connect({
    host: '127.0.0.1',
    port: hcp.ports.https,
    servername: 'n1.m.hcp1.test',
    ca: hcp.ca,
  })
  await once(socket, 'secureConnect')
  fingerprint = socket.getPeerCertificate().fingerprint256
  socket.destroy()
})
afterAll(() => hcp.close())

async function ask(tls: TlsOptions, fqdn = 'n1.m.hcp1.test'): Promise<unknown> {
  const target = new Target(fqdn, { port: hcp.ports.https, nameServers: [hcp.dns], authorization, tls })
  const connection = new Connection(target, { retry: false })
  try {
    const response = await connection.get('/rest')
    await response.dump()
    return response.status
  } catch (error) {
    return error
  } finally {
    await connection.close()
    target.close()
  }
}

const flipped = (pin: string): string => (pin.startsWith('0') ? `1${pin.slice(1)}` : `0${pin.slice(1)}`)

describe('who is believed', () => {
  test('the host name is checked, though the connection goes to a node’s address', async () => {
    expect(await ask({ ca: hcp.ca })).toBe(200)
  })
  test('a system with a certificate of its own is not believed without its authority', async () => {
    const since = hcp.requests().length
    expect(await ask({})).toBeInstanceOf(HcpCertificateError)
    expect(hcp.requests()).toHaveLength(since)
  })
  test('a pinned fingerprint is enough, with and without colons, in any case', async () => {
    expect(await ask({ fingerprint256: fingerprint })).toBe(200)
    expect(await ask({ fingerprint256: fingerprint.replaceAll(':', '').toLowerCase() })).toBe(200)
    expect(await ask({ fingerprint256: [flipped(fingerprint), fingerprint] })).toBe(200)
  })
  test('a pinned fingerprint holds for all connections to a node, also for those that resume a session', async () => {
    const tls = { fingerprint256: fingerprint }
    using target = new Target('n1.m.hcp1.test', {
      port: hcp.ports.https,
      addresses: ['127.0.0.1'],
      authorization,
      tls,
    })
    await using connection = new Connection(target, { retry: false })
    for (const count of [1, 4]) {
      const responses = await Promise.all(Array.from({ length: count }, () => connection.get('/rest')))
      for (const response of responses) expect([response.status, await response.bytes()]).toHaveLength(2)
    }
  })
  test('another fingerprint is refused, also where the authority is trusted', async () => {
    const since = hcp.requests().length
    expect(await ask({ fingerprint256: flipped(fingerprint) })).toMatchObject({ code: 'HCP_CERTIFICATE' })
    expect(await ask({ fingerprint256: flipped(fingerprint), ca: hcp.ca })).toMatchObject({
      code: 'HCP_CERTIFICATE',
    })
    expect(hcp.requests()).toHaveLength(since)
  })
  test('anybody is believed only when that is asked for, and then Node prints a warning', async () => {
    const warned = once(process, 'warning')
    expect(await ask({ dangerouslyAcceptAnyCertificate: true })).toBe(200)
    const [warning] = (await warned) as [Error & { code: string }]
    expect(warning).toMatchObject({ name: 'SecurityWarning', code: 'HCP_TLS_UNVERIFIED' })
    expect(warning.message).toContain('n1.m.hcp1.test')
  })
  test.each(['expired', 'wrong-name', 'other-ca'] as const)(
    'a certificate that is %s is refused before anything is sent, at any number of tries',
    async (mode) => {
      await hcp.setTls({ mode })
      const since = hcp.requests().length
      try {
        const error = await ask({ ca: hcp.ca })
        expect(error).toBeInstanceOf(HcpCertificateError)
        expect(error).toMatchObject({ sent: false, retryable: false, attempts: 1 })
        expect((error as Error).message).toContain('n1.m.hcp1.test')
        expect(hcp.requests()).toHaveLength(since)
      } finally {
        await hcp.setTls({ mode: 'ok' })
      }
    },
  )
  test('nodes that are given by address are believed by name as well', async () => {
    const target = new Target('n1.m.hcp1.test', {
      port: hcp.ports.https,
      addresses: hcp.nodes,
      authorization,
      tls: { ca: hcp.ca },
    })
    const connection = new Connection(target)
    expect((await connection.head('/rest')).status).toBe(200)
    await connection.close()
    target.close()
  })
  test('the certificate covers every namespace of the tenant', async () => {
    expect(await ask({ ca: hcp.ca }, 'n2.m.hcp1.test')).toBe(200)
    expect(new X509Certificate(hcp.ca).ca).toBe(true)
  })
})

describe('what is no certificate error', () => {
  test('a server that closes during the handshake', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.destroy()))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const target = new Target('127.0.0.1', { port, authorization })
    const connection = new Connection(target, { retry: false })
    const error: unknown = await connection.get('/rest').catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(HcpError)
    expect(error).toMatchObject({ code: 'HCP_CONNECT', sent: false, retryable: true })
    await connection.close()
    target.close()
    server.close()
  })

  test('a plain HTTP port that is asked for TLS', async () => {
    const target = new Target('n1.m.hcp1.test', {
      port: hcp.ports.http,
      nameServers: [hcp.dns],
      authorization,
    })
    const connection = new Connection(target, { retry: false })
    await expect(connection.get('/rest')).rejects.toMatchObject({ code: 'HCP_TLS' })
    await connection.close()
    target.close()
  })

  test('an idle connection that the server closed: the next request simply opens another', async () => {
    const target = new Target('n1.m.hcp1.test', {
      port: hcp.ports.https,
      nameServers: [hcp.dns],
      authorization,
      tls: { ca: hcp.ca },
    })
    const connection = new Connection(target, { connections: 1 })
    const first = await connection.put('/rest/tls/idle', 'x')
    const node = hcp.nodes.indexOf(first.address) + 1
    await hcp.stopNode(node)
    await hcp.startNode(node)
    const second = await connection.get('/rest/tls/idle', { buffered: true })
    expect(second.status).toBe(200)
    await connection.close()
    target.close()
  })
})

test('the time of a handshake is told apart, and only for the request that made it', async () => {
  const target = new Target('n1.m.hcp1.test', {
    port: hcp.ports.https,
    nameServers: [hcp.dns],
    authorization,
    tls: { ca: hcp.ca },
  })
  const connection = new Connection(target, { connections: 1 })
  const first = await connection.put('/rest/tls/timing', 'x')
  expect(first.timing.dns).toBeGreaterThan(0)
  expect(first.timing.connect).toBeGreaterThan(0)
  expect(first.timing.tls).toBeGreaterThan(0)
  expect(first.timing.firstByte).toBeGreaterThan(0)
  const { dns, connect: tcp, tls, firstByte, wait, total } = first.timing
  expect(dns + tcp + tls + firstByte + wait).toBeLessThanOrEqual(total + 1)
  const second = await connection.head('/rest/tls/timing')
  expect(second.timing).toMatchObject({ dns: 0, connect: 0, tls: 0 })
  expect(second).toMatchObject({ address: first.address, servicedBy: 'hcp1.test' })
  await connection.close()
  target.close()
})
