import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { NativeAuthorization } from '@hcp/auth'
import { type Emulator, type Fault, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type Body,
  Connection,
  type ConnectionOptions,
  FileBody,
  HcpError,
  type HcpResponse,
  Target,
} from '../index.ts'

// One table: what goes wrong, in which request, with which kind of body. Whatever happens, afterwards everything that was
// acknowledged is read back whole, nothing is stored twice (the namespace has versions, so a second PUT would show), and what
// failed is either not there or whole.

let hcp: Emulator
let folder: string
const authorization = new NativeAuthorization('n', 'n01')

beforeAll(async () => {
  hcp = await startEmulator()
  folder = await mkdtemp(join(tmpdir(), 'hcp-faults-'))
})
afterAll(async () => {
  await hcp.close()
  await rm(folder, { recursive: true })
})
beforeEach(() => hcp.clearFaults())

const newTarget = (): Target =>
  new Target('n2.m.hcp1.test', { port: hcp.ports.http, tls: false, nameServers: [hcp.dns], authorization })

async function withConnection<T>(
  options: ConnectionOptions,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const target = newTarget()
  const connection = new Connection(target, {
    connections: 4,
    connectTimeout: 1_000,
    headersTimeout: 300,
    bodyTimeout: 300,
    retry: { minDelay: 1, maxDelay: 20 },
    ...options,
  })
  try {
    return await use(connection)
  } finally {
    await connection.destroy()
    target.close()
  }
}

let number = 0
const newPath = (): string => `/rest/faults/${++number}`

/** Versions in the namespace, those of deleted objects included: an object stored twice counts twice. */
async function versions(): Promise<number> {
  await hcp.clearFaults()
  return withConnection({ headersTimeout: 5_000 }, async (connection) => {
    const statistics = await (await connection.get('/proc/statistics')).text()
    return Number(/objectCount="(\d+)"/.exec(statistics)?.[1])
  })
}

async function readBack(path: string): Promise<Uint8Array | undefined> {
  await hcp.clearFaults()
  return withConnection(
    { headersTimeout: 5_000, bodyTimeout: 5_000, connectTimeout: 5_000 },
    async (connection) => {
      const response = await connection.get(path, { verifyHash: true })
      if (response.status === 404) {
        await response.dump()
        return undefined
      }
      expect(response.status).toBe(200)
      return response.bytes()
    },
  )
}

const content = randomBytes(300_000)
const bodies: Record<string, () => Body | Promise<Body>> = {
  buffer: () => content,
  string: () => content.toString('latin1'),
  file: async () => {
    const path = join(folder, 'content')
    await writeFile(path, content)
    return new FileBody(path)
  },
  stream: () => Readable.from(pieces()),
  factory: () => () => Readable.from(pieces()),
}
const expected = (kind: string): Buffer =>
  kind === 'string' ? Buffer.from(content.toString('latin1')) : content

function* pieces(): Generator<Buffer> {
  for (let at = 0; at < content.length; at += 50_000) yield content.subarray(at, at + 50_000)
}

/** Takes its time, so that something can happen meanwhile. */
async function* dripping(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 200_000) {
    yield bytes.subarray(at, at + 200_000)
    await new Promise((resolve) => {
      setTimeout(resolve, 10)
    })
  }
}

/** Faults that hit one connection or request, wherever it goes. */
const passing: Record<string, Fault> = {
  'reset at connect': { kind: 'reset', when: 'connect', count: 1 },
  'silence at connect': { kind: 'hang', when: 'connect', count: 1 },
  'reset in the request body': { kind: 'reset', when: 'body', afterBytes: 100_000, count: 1 },
  'silence in the request body': { kind: 'hang', when: 'body', afterBytes: 100_000, count: 1 },
  'reset before the head': { kind: 'reset', when: 'beforeHead', count: 1 },
  'reset after the head': { kind: 'reset', when: 'afterHead', count: 1 },
  'silence before the head': { kind: 'hang', when: 'beforeHead', count: 1 },
  'silence after the head': { kind: 'hang', when: 'afterHead', count: 1 },
  'garbage for a head': { kind: 'garbage', when: 'beforeHead', count: 1 },
  '503 with Retry-After': { kind: 'status', status: 503, retryAfter: 0, count: 2 },
  '503 without': { kind: 'status', status: 503, count: 1 },
  '500': { kind: 'status', status: 500, count: 1 },
  'a slow answer': { kind: 'delay', ms: 20, count: 1 },
}

describe.each(Object.entries(passing))('%s', (_name, fault) => {
  test.each(Object.keys(bodies))(
    'PUT of a %s is stored once and whole, or fails and says so',
    async (kind) => {
      const path = newPath()
      const before = await versions()
      const body = await bodies[kind]?.()
      hcp.addFault(fault.when === 'connect' ? fault : { ...fault, method: 'PUT' })
      const outcome = await withConnection({}, (connection) =>
        connection
          .put(path, body, kind === 'stream' ? { size: content.length } : {})
          .catch((error: unknown) => error),
      )
      const acknowledged = (outcome as HcpResponse).status === 201
      if (!acknowledged && kind !== 'stream') {
        // While the silent node holds the name open for writing nobody else can store it, and we cannot know better.
        expect(fault).toBe(passing['silence in the request body'])
        expect(outcome).toMatchObject({ code: 'HCP_AMBIGUOUS', sent: true })
      } else if (!acknowledged) {
        // A stream cannot be sent twice: it fails with an error of ours, or with the answer of HCP.
        expect(outcome instanceof HcpError || [500, 503].includes((outcome as HcpResponse).status)).toBe(true)
      }
      const stored = await readBack(path)
      if (acknowledged || stored !== undefined)
        expect(Buffer.compare(stored ?? Buffer.alloc(0), expected(kind))).toBe(0)
      expect((await versions()) - before).toBe(stored === undefined ? 0 : 1)
    },
  )

  test('GET, HEAD and DELETE succeed in the end; POST does or says whether it was sent', async () => {
    const path = newPath()
    await withConnection({ headersTimeout: 5_000 }, (connection) => connection.put(path, content))
    await withConnection({}, async (connection) => {
      for (const method of ['HEAD', 'GET', 'POST', 'DELETE'] as const) {
        await hcp.clearFaults()
        hcp.addFault(fault)
        const options =
          method === 'POST' ? { params: { index: false } } : method === 'GET' ? { buffered: true } : {}
        const outcome: unknown = await connection
          .request(method, path, options)
          .catch((error: unknown) => error)
        if (method === 'POST' && !(outcome as HcpResponse).ok) {
          if (outcome instanceof HcpError) expect(outcome.sent).toBe(true)
          else expect([500, 503]).toContain((outcome as HcpResponse).status)
          continue
        }
        const { status, attempts } = outcome as HcpResponse
        // A DELETE whose answer was lost has been carried out: its repetition finds nothing.
        if (method === 'DELETE' && attempts > 1) expect([200, 404]).toContain(status)
        else expect({ method, status }).toEqual({ method, status: 200 })
        if (method === 'GET') expect(Buffer.compare(await (outcome as HcpResponse).bytes(), content)).toBe(0)
      }
    })
    expect(await readBack(path)).toBeUndefined()
  })
})

describe.each([
  [
    'truncated',
    { kind: 'truncate', when: 'body', afterBytes: 100_000, count: 1, method: 'GET' },
    'HCP_TRUNCATED',
  ],
  ['reset', { kind: 'reset', when: 'body', afterBytes: 100_000, count: 1, method: 'GET' }, 'HCP_TRUNCATED'],
  ['stalled', { kind: 'hang', when: 'body', afterBytes: 100_000, count: 1, method: 'GET' }, 'HCP_TIMEOUT'],
] as const)('an answer %s in its body', (_name, fault, code) => {
  let path: string
  beforeAll(async () => {
    path = newPath()
    await hcp.clearFaults()
    await withConnection({ headersTimeout: 5_000 }, (connection) => connection.put(path, content))
  })

  test.each([
    ['bytes', (response: HcpResponse) => response.bytes()],
    ['text', (response: HcpResponse) => response.text()],
    ['body', (response: HcpResponse) => response.body.toArray()],
    [
      'for await',
      async (response: HcpResponse) => {
        for await (const _ of response);
      },
    ],
    [
      'read',
      async (response: HcpResponse) => {
        while ((await response.read(1_000)).length > 0);
      },
    ],
  ] as const)('is an error for a reader by %s, never an end', async (_how, read) => {
    await withConnection({}, async (connection) => {
      hcp.addFault(fault)
      const response = await connection.get(path)
      await expect(read(response)).rejects.toMatchObject({ code, method: 'GET', attempts: 1 })
      expect(response.status).toBe(200)
    })
  })

  test('is fetched again when the answer is buffered', async () => {
    await withConnection({}, async (connection) => {
      hcp.addFault(fault)
      const response = await connection.get(path, { buffered: true })
      expect(response.attempts).toBe(2)
      expect(Buffer.compare(await response.bytes(), content)).toBe(0)
    })
  })
})

describe('nodes', () => {
  test.each([1, 2, 3])(
    'with %s of four nodes refusing every request succeeds, without a pause',
    async (dead) => {
      for (let node = 1; node <= dead; node++) hcp.addFault({ kind: 'refuse', node })
      const paths = Array.from({ length: 40 }, newPath)
      await withConnection({ connections: 8 }, async (connection) => {
        const answers = await Promise.all(paths.map((path) => connection.put(path, Readable.from([path]))))
        expect(answers.map((answer) => answer.status)).toEqual(paths.map(() => 201))
        expect(new Set(answers.map((answer) => answer.address)).size).toBe(4 - dead)
        expect(answers.every((answer) => answer.attempts === 1)).toBe(true)
      })
      for (const path of paths) expect(Buffer.from((await readBack(path)) ?? []).toString()).toBe(path)
    },
  )

  test('a silent node costs a fraction of the connect timeout, and later connections pass it over', async () => {
    hcp.addFault({ kind: 'hang', when: 'connect', node: 1 })
    await withConnection({ connections: 16, headersTimeout: 400 }, async (connection) => {
      const answers = await Promise.all(Array.from({ length: 60 }, () => connection.put(newPath(), 'x')))
      expect(answers.every((answer) => answer.status === 201)).toBe(true)
      expect(new Set(answers.map((answer) => answer.address))).not.toContain(hcp.nodes[0])
    })
  })

  test('after a node is to be avoided the next request goes to another, though the node counts as healthy', async () => {
    await withConnection({ connections: 1, headersTimeout: 5_000 }, async (connection) => {
      const path = newPath()
      const { address } = await connection.put(path, 'x')
      connection.avoid(address)
      await new Promise(setImmediate)
      expect((await connection.get(path, { buffered: true })).address).not.toBe(address)
      expect(connection.target.circle.health().every(({ state }) => state === 'healthy')).toBe(true)
    })
  })

  test('a node that dies under load loses nothing, and one that comes back gets work again', async () => {
    const paths = Array.from({ length: 300 }, newPath)
    const target = new Target('n2.m.hcp1.test', {
      port: hcp.ports.http,
      tls: false,
      nameServers: [hcp.dns],
      authorization,
    })
    const connection = new Connection(target, { connections: 8, retry: { minDelay: 1, maxDelay: 20 } })
    const stored = paths.map(async (path, index) => {
      if (index === 100) await hcp.stopNode(2)
      return connection.put(path, path)
    })
    const answers = await Promise.all(stored)
    expect(answers.map((answer) => answer.status)).toEqual(paths.map(() => 201))
    await connection.close()
    await hcp.startNode(2)
    target.circle.succeeded(hcp.nodes[1] as string)
    await target.circle.refresh()
    const second = new Connection(target, { connections: 8 })
    const reads = await Promise.all(paths.map((path) => second.get(path, { buffered: true })))
    expect(await Promise.all(reads.map((answer) => answer.text()))).toEqual(paths)
    expect(new Set(reads.map((answer) => answer.address))).toContain(hcp.nodes[1])
    await second.close()
    target.close()
  })

  test('a node that comes back gets its share of a busy connection again', async () => {
    await withConnection(
      { connections: 8, headersTimeout: 5_000, socketLifetime: 50 },
      async (connection) => {
        await connection.target.resolve()
        await hcp.stopNode(3)
        const served = new Set<string>()
        const work = async (): Promise<void> => {
          const answers = await Promise.all(Array.from({ length: 32 }, () => connection.put(newPath(), 'x')))
          for (const { address } of answers) served.add(address)
        }
        await work()
        await hcp.startNode(3)
        served.clear()
        // Its first skip lasts a second.
        for (let round = 0; round < 2_000 && !served.has(hcp.nodes[2] ?? ''); round++) await work()
        expect(served).toContain(hcp.nodes[2])
      },
    )
  })

  test('an upload that was cut off by its node’s death is stored by another, though its name was still being written', async () => {
    const paths = Array.from({ length: 8 }, newPath)
    const large = randomBytes(4_000_000)
    await withConnection(
      { connections: 8, headersTimeout: 5_000, retry: { attempts: 20, minDelay: 5 } },
      async (connection) => {
        const storing = paths.map((path) =>
          connection.put(path, () => Readable.from(dripping(large)), { size: large.length }),
        )
        // However busy the machine is, something must be on its way to the node.
        do {
          await new Promise((resolve) => {
            setTimeout(resolve, 40)
          })
        } while (!connection.sockets.has(hcp.nodes[0] as string))
        await hcp.stopNode(1)
        const answers = await Promise.all(storing)
        await hcp.startNode(1)
        expect(answers.map((answer) => answer.status)).toEqual(paths.map(() => 201))
        expect(Math.max(...answers.map((answer) => answer.attempts))).toBeGreaterThan(1)
      },
    )
    for (const path of paths) expect(Buffer.compare((await readBack(path)) ?? Buffer.alloc(0), large)).toBe(0)
  })

  test('with all nodes gone a request fails with what each said; when they are back the same connection works', async () => {
    const path = newPath()
    await withConnection({ retry: { attempts: 2, minDelay: 1, maxDelay: 2 } }, async (connection) => {
      await connection.put(path, 'here')
      await hcp.stopCluster()
      const error = await connection.get(path).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'HCP_CONNECT', retryable: true, sent: false, attempts: 2 })
      expect((error as HcpError).failures.map((failure) => failure.address)).toEqual(
        expect.arrayContaining([...hcp.nodes]),
      )
      await hcp.startCluster()
      expect(await (await connection.get(path)).text()).toBe('here')
    })
  })

  test('a request that began while all nodes were gone succeeds when they come back in time', async () => {
    const path = newPath()
    await withConnection({ retry: { attempts: 50, minDelay: 50, maxDelay: 100 } }, async (connection) => {
      await connection.put(path, 'here')
      await hcp.stopCluster()
      const reading = connection.get(path, { buffered: true })
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
      await hcp.startCluster()
      const response = await reading
      expect(await response.text()).toBe('here')
    })
  })
})

describe('DNS', () => {
  test.each(['silent', 'servfail', 'nxdomain', 'empty', 'garbage'] as const)(
    'once the nodes are known a name server that is %s does no harm',
    async (mode) => {
      const target = new Target('n2.m.hcp1.test', {
        port: hcp.ports.http,
        tls: false,
        nameServers: [hcp.dns],
        authorization,
      })
      await target.resolve()
      const known = [...target.addresses].toSorted()
      hcp.setDns({ mode })
      const connection = new Connection(target, { connections: 4, deadline: 20_000 })
      try {
        expect((await connection.put(newPath(), 'x')).status).toBe(201)
        expect([...target.addresses].toSorted()).toEqual(known)
      } finally {
        hcp.setDns({ mode: 'ok' })
        await connection.destroy()
        target.close()
      }
    },
  )

  test('a name that does not exist is a typed error, and nothing is sent', async () => {
    const since = hcp.requests().length
    const target = new Target('n2.m.elsewhere.test', {
      port: hcp.ports.http,
      nameServers: [hcp.dns],
      authorization,
    })
    const connection = new Connection(target, { retry: false })
    await expect(connection.put('/rest/a', 'x')).rejects.toMatchObject({ code: 'HCP_DNS', sent: false })
    expect(hcp.requests()).toHaveLength(since)
    await connection.close()
    target.close()
  })

  test('nodes that DNS names anew are used after all known ones failed', async () => {
    hcp.setDns({ mode: 'fixed', addresses: ['127.0.0.77'], ttl: 1 })
    const target = newTarget()
    await target.resolve()
    expect(target.addresses).toEqual(['127.0.0.77'])
    hcp.setDns({ mode: 'ok' })
    const connection = new Connection(target, { retry: false })
    expect((await connection.put(newPath(), 'x')).status).toBe(201)
    expect([...target.addresses].toSorted()).toEqual([...hcp.nodes].toSorted())
    await connection.close()
    target.close()
  })
})
