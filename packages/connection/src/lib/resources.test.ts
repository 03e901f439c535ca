import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AnonymousAuthorization, NativeAuthorization } from '@hcp/auth'
import { startEmulator } from '@hcp/emulator'
import { expect, test } from 'vitest'
import { reply, scriptServer } from '../../test/script-server.ts'
import { Connection, type ConnectionOptions, Target } from '../index.ts'

const run = promisify(execFile)
const child = (name: string): string => fileURLToPath(new URL(`../../test/${name}`, import.meta.url))

test('sockets, and with them requests, are spread evenly over the nodes', async () => {
  await using hcp = await startEmulator()
  const target = new Target('n1.m.hcp1.test', {
    port: hcp.ports.http,
    tls: false,
    nameServers: [hcp.dns],
    authorization: new NativeAuthorization('n', 'n01'),
  })
  const connection = new Connection(target, { connections: 12 })
  const answers = await Promise.all(
    Array.from({ length: 600 }, () => connection.get('/rest', { buffered: true })),
  )
  expect([...connection.sockets.values()]).toEqual([3, 3, 3, 3])
  const served = new Map<string, number>()
  for (const { address } of answers) served.set(address, (served.get(address) ?? 0) + 1)
  for (const count of served.values()) expect(count).toBeGreaterThan(100)
  expect(served.size).toBe(4)
  await connection.close()
  target.close()
})

test.each([1, 3])(
  'no more than %s connections are opened, however many requests wait',
  async (connections) => {
    const server = await scriptServer()
    const connection = new Connection(server.target, { connections })
    await Promise.all(Array.from({ length: 50 }, (_, index) => connection.put(`/rest/${index}`, 'x')))
    expect(server.seen).toHaveLength(50)
    expect(server.connections).toBe(connections)
    expect(connection.sockets).toEqual(new Map([['127.0.0.1', connections]]))
    await connection.close()
    await server[Symbol.asyncDispose]()
  },
)

test.each(['GET', 'PUT', 'HEAD', 'POST', 'DELETE'])(
  'a connection that is idle after %s is closed in time',
  async (method) => {
    const server = await scriptServer(reply(200, {}, method === 'HEAD' ? '' : 'hello'))
    const connection = new Connection(server.target, { idleTimeout: 20 })
    const response = await connection.request(method, '/rest/a')
    await response.bytes()
    await expect.poll(() => connection.sockets.size, { timeout: 5_000 }).toBe(0)
    await connection.close()
    await server[Symbol.asyncDispose]()
  },
)

test('one connection serves request after request, also after HEAD and DELETE', async () => {
  const server = await scriptServer()
  const connection = new Connection(server.target, { connections: 1 })
  for (const method of ['PUT', 'HEAD', 'GET', 'DELETE', 'POST', 'HEAD', 'GET']) {
    await connection.request(method, '/rest/a', { buffered: true })
  }
  expect(server.connections).toBe(1)
  await connection.close()
  await server[Symbol.asyncDispose]()
})

test.each<ConnectionOptions>([{ tcpKeepAlive: 1_000 }, { tcpKeepAlive: false }])(
  '%j works on this system',
  async (options) => {
    const server = await scriptServer()
    const connection = new Connection(server.target, options)
    expect((await connection.put('/rest/a', 'x')).status).toBe(200)
    await connection.close()
    await server[Symbol.asyncDispose]()
  },
)

test('a process ends with its work, though nothing was closed', async () => {
  const server = await scriptServer(reply(200, {}, 'hello'))
  const { stdout } = await run(process.execPath, [child('idle-child.ts'), String(server.port)])
  // Far below the idle time of 30 s that a waiting timer or socket would hold it up.
  expect(Number(stdout)).toBeLessThan(5_000)
  await server[Symbol.asyncDispose]()
})

test('nor do probes of a primary that is gone keep it', async () => {
  const gone = await scriptServer()
  const replica = await scriptServer()
  const ports = [gone.port, replica.port]
  await gone[Symbol.asyncDispose]()
  const { stdout } = await run(process.execPath, [child('idle-child.ts'), ...ports.map(String)])
  expect(Number(stdout)).toBeLessThan(5_000)
  expect(replica.seen).toHaveLength(2)
  await replica[Symbol.asyncDispose]()
})

test('memory does not grow with the size of a body, up or down', async () => {
  const server = createServer((request, response) => {
    if (request.method === 'PUT') {
      request.resume().on('end', () => response.writeHead(201, { 'Content-Length': 0 }).end())
      return
    }
    let left = Number(request.url?.split('/').at(-1))
    const piece = Buffer.alloc(64 * 1024, 'y')
    response.writeHead(200, { 'Content-Length': left })
    const write = (): void => {
      while (left > 0) {
        left -= piece.length
        if (!response.write(piece)) {
          response.once('drain', write)
          return
        }
      }
      response.end()
    }
    write()
  })
  await listening(server)
  const { port } = server.address() as { port: number }
  const peak = async (megabytes: number): Promise<number> => {
    const { stdout } = await run(process.execPath, [
      child('stream-child.ts'),
      String(port),
      String(megabytes),
    ])
    const figures = JSON.parse(stdout) as { status: number; received: number; peak: number }
    expect(figures).toMatchObject({ status: 201, received: megabytes * 1024 * 1024 })
    return figures.peak
  }
  // What the collector has not fetched yet is in it; a body that is kept would add all of 350 MiB.
  const [small, large] = [await peak(50), await peak(400)]
  expect(large - small).toBeLessThan(100 * 1024 * 1024)
  server.closeAllConnections()
  server.close()
})

test('an address may stand in place of a name', async () => {
  const server = await scriptServer()
  const target = new Target('127.0.0.1', {
    port: server.port,
    tls: false,
    authorization: new AnonymousAuthorization(),
  })
  expect(await target.resolve()).toEqual(['127.0.0.1'])
  const connection = new Connection(target)
  expect((await connection.get('/rest/a', { buffered: true })).address).toBe('127.0.0.1')
  expect(server.seen[0]?.headers['host']).toBe('127.0.0.1')
  await connection.close()
  target.close()
  await server[Symbol.asyncDispose]()
})

async function listening(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
}
