import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { AnonymousAuthorization, NativeAuthorization } from '@hcp/auth'
import {
  Connection,
  HcpClosedError,
  HcpError,
  HcpProtocolError,
  HcpResponseError,
  HcpTimeoutError,
  HcpTruncatedError,
  Target,
  type TargetOptions,
} from '@hcp/connection'
import { type Emulator, type EmulatorConfig, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { maximumDocumentSize, NamespaceInfo } from './namespace-info.ts'

/** The system of the hcpsdk manual's chapter 6: namespaces n1 and n2; beside it a tenant of odd names. */
const config: EmulatorConfig = {
  tenants: [
    {
      name: 'm',
      namespaces: [
        {
          name: 'n2',
          description: 'replicated ° search ° versioning',
          versioning: true,
          searchEnabled: true,
          defaultIndex: true,
        },
        {
          name: 'n1',
          description: 'replicated ° search ° no versioning',
          searchEnabled: true,
          defaultIndex: true,
          retentionClasses: [
            { name: 'TAX_10', value: 'A+10y', autoDelete: true, description: ' ten years ' },
            { name: 'constructor', value: '-1' },
          ],
        },
      ],
      users: [
        { user: 'n', password: 'n01' },
        { user: 'reader', password: 'r01', permissions: { n1: ['read'] } },
        { user: 'admin', password: 'a01', roles: ['ADMINISTRATOR'] },
      ],
    },
    { name: 'single', namespaces: [{ name: '2015' }], users: [{ user: 'n', password: 'n01' }] },
  ],
}

let hcp: Emulator
const targets: Target[] = []

/** A target on the emulator; closed at the end. */
function targetOf(fqdn: string, options: Partial<TargetOptions> = {}): Target {
  const target = new Target(fqdn, {
    authorization: new NativeAuthorization('n', 'n01'),
    port: hcp.ports.https,
    tls: { ca: hcp.ca },
    nameServers: [hcp.dns],
    ...options,
  })
  targets.push(target)
  return target
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`it succeeded: ${inspect(value)}`)
    },
    (error: unknown) => error,
  )

beforeAll(async () => {
  hcp = await startEmulator({ config })
})

afterAll(async () => {
  for (const target of targets) target.close()
  await hcp.close()
})

const every = {
  browse: true,
  changeOwner: true,
  delete: true,
  privileged: true,
  purge: true,
  read: true,
  readAcl: true,
  search: true,
  write: true,
  writeAcl: true,
}

describe("the examples of the hcpsdk manual's chapter 6 come out, keys and types:", () => {
  test('statistics', async () => {
    const target = targetOf('n1.m.hcp1.test')
    await using connection = new Connection(target)
    await connection.put('/rest/a', 'content')
    await connection.put('/rest/a', '<a/>', { params: { type: 'custom-metadata', annotation: 'default' } })
    await using info = new NamespaceInfo(connection)
    expect(await info.statistics()).toEqual({
      customMetadataObjectBytes: expect.any(Number),
      customMetadataObjectCount: 1,
      namespaceName: 'n1',
      objectCount: 1,
      shredObjectBytes: 0,
      shredObjectCount: 0,
      softQuotaPercent: 85,
      totalCapacityBytes: 53687091200,
      usedCapacityBytes: expect.any(Number),
    })
    await connection.delete('/rest/a')
  })

  const n1 = {
    defaultIndexValue: true,
    defaultRetentionValue: 0,
    defaultShredValue: false,
    description: ['replicated', 'search', 'no versioning'],
    dpl: 2,
    hashScheme: 'SHA-256',
    name: 'n1',
    nameIDNA: 'n1',
    retentionMode: 'enterprise',
    searchEnabled: true,
    versioningEnabled: false,
  }
  const n2 = {
    ...n1,
    description: ['replicated', 'search', 'versioning'],
    name: 'n2',
    nameIDNA: 'n2',
    versioningEnabled: true,
  }

  test('namespaces, and the one of the target', async () => {
    await using info = new NamespaceInfo(targetOf('n1.m.hcp1.test'))
    expect(await info.namespaces()).toEqual({ n2, n1 })
    expect(await info.namespace()).toEqual(n1)
  })

  test('retention classes', async () => {
    await using info = new NamespaceInfo(targetOf('n1.m.hcp1.test'))
    const classes = await info.retentionClasses()
    expect(classes).toEqual({
      TAX_10: { name: 'TAX_10', value: 'A+10y', autoDelete: true, description: 'ten years' },
      constructor: { name: 'constructor', value: -1, autoDelete: false, description: '' },
    })
    expect(Object.keys(classes)).toEqual(['TAX_10', 'constructor'])
  })

  test('permissions', async () => {
    await using info = new NamespaceInfo(targetOf('n1.m.hcp1.test'))
    expect(await info.permissions()).toEqual({
      namespacePermissions: every,
      namespaceEffectivePermissions: every,
      userPermissions: every,
      userEffectivePermissions: every,
    })
  })
})

test('a single namespace has the shape of many, and its name is text; no retention class is an empty record', async () => {
  await using info = new NamespaceInfo(targetOf('2015.single.hcp1.test'))
  expect(await info.namespaces()).toEqual({
    '2015': expect.objectContaining({ name: '2015', nameIDNA: '2015' }),
  })
  expect((await info.statistics()).namespaceName).toBe('2015')
  expect(await info.retentionClasses()).toEqual({})
})

describe('a user', () => {
  const reader = new NativeAuthorization('reader', 'r01')

  test('of one namespace sees that one, and what may be done in it', async () => {
    await using info = new NamespaceInfo(targetOf('n1.m.hcp1.test', { authorization: reader }))
    expect(Object.keys(await info.namespaces())).toEqual(['n1'])
    const { userEffectivePermissions: effective } = await info.permissions()
    expect(Object.entries(effective).filter(([, may]) => may)).toEqual([
      ['browse', true],
      ['read', true],
    ])
  })

  test('without permission in the namespace gets a 401 that says so, and no settings of it', async () => {
    await using info = new NamespaceInfo(targetOf('n2.m.hcp1.test', { authorization: reader }))
    expect(await info.namespace()).toBeUndefined()
    for (const ask of [() => info.statistics(), () => info.retentionClasses(), () => info.permissions()]) {
      const error = await failure(ask())
      expect(error).toBeInstanceOf(HcpResponseError)
      expect(error).toMatchObject({
        code: 'HCP_RESPONSE',
        status: 401,
        retryable: false,
        method: 'GET',
        attempts: 1,
      })
      expect((error as Error).message).toContain('The user has no permission in this namespace')
    }
  })

  test('without permission in any namespace sees none', async () => {
    const authorization = new NativeAuthorization('admin', 'a01')
    await using info = new NamespaceInfo(targetOf('n1.m.hcp1.test', { authorization }))
    expect(await info.namespaces()).toEqual({})
  })
})

describe('a 403 says what may be the reason, and no secret:', () => {
  test.each([
    ['a wrong password', 'n1.m.hcp1.test', new NativeAuthorization('n', 'a-wrong-one')],
    ['a namespace that does not exist', 'n9.m.hcp1.test', undefined],
    ["a tenant's name", 'm.hcp1.test', undefined],
    ["the system's name", 'admin.hcp1.test', undefined],
    ['a name with one part too many', 'a.n1.m.hcp1.test', undefined],
  ])('%s', async (_, fqdn, authorization) => {
    await using info = new NamespaceInfo(
      // The certificate does not cover all of these names.
      targetOf(fqdn, {
        port: hcp.ports.http,
        tls: false,
        ...(authorization === undefined ? {} : { authorization }),
      }),
    )
    const error = await failure(info.statistics())
    expect(error).toBeInstanceOf(HcpResponseError)
    expect(error).toMatchObject({ status: 403 })
    expect((error as Error).message).toContain(
      `Either user name or password is wrong, or ${fqdn} is not the name of a namespace (namespace.tenant.domain)`,
    )
    expect(inspect(error) + JSON.stringify(error)).not.toMatch(/a-wrong-one|HCP [A-Za-z0-9+/=]+:/)
  })

  test('the 400 that some systems answer has the same advice', async () => {
    await using other = await startEmulator({ choices: { unknownNamespace: 400 } })
    using target = new Target('n9.m.hcp1.test', {
      authorization: new NativeAuthorization('n', 'n01'),
      port: other.ports.http,
      tls: false,
      nameServers: [other.dns],
    })
    await using info = new NamespaceInfo(target)
    await expect(info.namespaces()).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('n9.m.hcp1.test is not the name of a namespace') as string,
    })
  })
})

describe('arguments are checked before anything is sent:', () => {
  const authorization = new AnonymousAuthorization()

  test.each(['hcp', 'm.local', '127.0.0.1', '::1'])('%s names no namespace', (fqdn) => {
    using target = new Target(fqdn, { authorization })
    expect(() => new NamespaceInfo(target)).toThrow(RangeError)
    expect(() => new NamespaceInfo(target)).toThrow(
      `${fqdn} names no namespace; expected namespace.tenant.domain`,
    )
    expect(() => new NamespaceInfo(new Connection(target))).toThrow(RangeError)
  })

  test.each([[undefined], [null], ['n1.m.hcp1.test'], [{ fqdn: 'n1.m.hcp1.test' }]])(
    '%j is no source',
    (source) => {
      expect(() => new NamespaceInfo(source as unknown as Target)).toThrow(TypeError)
    },
  )

  test.each(['statistics', 'namespace', 'namespaces', 'retentionClasses', 'permissions'] as const)(
    '%s refuses options that it does not know, by name, and bad values',
    async (method) => {
      await using info = new NamespaceInfo(targetOf('n1.m.hcp1.test'))
      const since = hcp.requests().length
      for (const [options, kind, message] of [
        [{ all: true }, TypeError, `NamespaceInfo.${method}: unknown option "all"`],
        [{ params: {} }, TypeError, 'unknown option "params"'],
        [null, TypeError, 'options must be an object'],
        [{ deadline: 0 }, RangeError, 'deadline'],
        [{ headersTimeout: '1' }, TypeError, 'headersTimeout'],
        [{ bodyTimeout: -1 }, RangeError, 'bodyTimeout'],
        [{ retry: 0 }, RangeError, 'retry.attempts'],
        [{ signal: 'stop' }, TypeError, 'signal must be an AbortSignal'],
      ] as const) {
        const error = await failure(info[method](options as object))
        expect(error).toBeInstanceOf(kind)
        expect((error as Error).message).toContain(message)
      }
      expect(hcp.requests()).toHaveLength(since)
    },
  )

  test('a signal that is aborted already, with its reason', async () => {
    await using info = new NamespaceInfo(targetOf('n1.m.hcp1.test'))
    await expect(info.statistics({ signal: AbortSignal.abort('enough') })).rejects.toBe('enough')
  })
})

describe('its connection', () => {
  test('is closed with it if it was made for it; the target is not', async () => {
    const target = targetOf('n1.m.hcp1.test')
    const info = new NamespaceInfo(target)
    await info.statistics()
    await Promise.all([info.close(), info.close()])
    expect(await failure(info.statistics())).toBeInstanceOf(HcpClosedError)
    await using again = new NamespaceInfo(target)
    expect((await again.statistics()).namespaceName).toBe('n1')
  })

  test("stays its owner's if it was passed in", async () => {
    await using connection = new Connection(targetOf('n1.m.hcp1.test'))
    {
      await using info = new NamespaceInfo(connection)
      await info.statistics()
    }
    expect(connection.closed).toBe(false)
    expect((await connection.get('/proc/statistics')).status).toBe(200)
  })

  test('repeats a question that HCP was too busy for, unless told not to', async () => {
    await using info = new NamespaceInfo(targetOf('n1.m.hcp1.test'))
    hcp.addFault({ kind: 'status', status: 503, path: '/proc', count: 1 })
    expect((await info.statistics({ retry: { minDelay: 1 } })).namespaceName).toBe('n1')
    hcp.addFault({ kind: 'status', status: 503, path: '/proc', count: 1 })
    expect(await failure(info.statistics({ retry: false }))).toMatchObject({ status: 503, retryable: true })
    await hcp.clearFaults()
  })
})

const statistics =
  '<statistics namespaceName="n1" totalCapacityBytes="9223372036854775808" usedCapacityBytes="9007199254740992" ' +
  'softQuotaPercent="85" objectCount="9007199254740991" shredObjectCount="0" shredObjectBytes="0" ' +
  'customMetadataObjectCount="0" customMetadataObjectBytes="9007199254740991"/>'

/** Asks a server for statistics that answers each request alike. */
async function ask<Result>(
  listener: RequestListener,
  question: (info: NamespaceInfo) => Promise<Result>,
): Promise<Result> {
  const server = createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  try {
    using target = new Target('n1.m.hcp1.test', {
      authorization: new AnonymousAuthorization(),
      addresses: ['127.0.0.1'],
      port: (server.address() as AddressInfo).port,
      tls: false,
    })
    const connection = new Connection(target)
    try {
      return await question(new NamespaceInfo(connection))
    } finally {
      await connection.destroy()
    }
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test('byte counts of 2^53 and more come exactly, as bigint', async () => {
  const found = await ask(
    (_, response) => response.end(statistics),
    (info) => info.statistics(),
  )
  expect(found).toMatchObject({
    totalCapacityBytes: 9223372036854775808n,
    usedCapacityBytes: 9007199254740992n,
    customMetadataObjectBytes: 9007199254740991,
    objectCount: 9007199254740991,
  })
})

describe('an answer that is not the document is an error with its reason:', () => {
  const send =
    (status: number, body: string, headers: Record<string, string> = {}): RequestListener =>
    (_, response) => {
      response.writeHead(status, headers).end(body)
    }

  test.each<[string, RequestListener, string]>([
    [
      'a sign-in page',
      send(200, '<html><body>Sign in</body></html>', { 'content-type': 'text/html' }),
      'text/html: its root element is <html>',
    ],
    ['a page with DOCTYPE', send(200, '<!DOCTYPE html><html></html>'), 'it has a DOCTYPE'],
    ['entities', send(200, `<!DOCTYPE a [<!ENTITY b "c">]>${statistics}`), 'it has a DOCTYPE'],
    ['nothing', send(200, ''), 'Start tag expected'],
    ['another document', send(200, '<namespaces/>'), 'its root element is <namespaces>'],
    ['half a document', send(200, statistics.slice(0, -2)), "Unclosed tag 'statistics'"],
    ['two documents', send(200, statistics + statistics), 'no single root element'],
    ['an attribute given twice', send(200, '<statistics a="1" a="2"/>'), "'a' is repeated"],
    ['a missing number', send(200, '<statistics namespaceName="n1"/>'), 'has no totalCapacityBytes'],
    ['another status', send(204, ''), 'was answered with 204 No Content and no document'],
    ['the way for web browsers', send(302, '', { location: '/browser' }), '302 Found, a redirection'],
  ])('%s', async (_, listener, message) => {
    const error = await failure(ask(listener, (info) => info.statistics()))
    expect(error).toBeInstanceOf(HcpProtocolError)
    expect(error).toMatchObject({
      code: 'HCP_PROTOCOL',
      method: 'GET',
      url: expect.stringMatching(/^http:\/\/n1\.m\.hcp1\.test:\d+\/proc\/statistics$/) as string,
      address: '127.0.0.1',
      attempts: 1,
      sent: true,
    })
    expect((error as Error).message).toContain(message)
  })

  test('more namespaces than one where one was asked for', async () => {
    const entry = (name: string): string =>
      `<namespace name="${name}" nameIDNA="${name}" versioningEnabled="true" searchEnabled="true" retentionMode="enterprise" ` +
      'defaultShredValue="false" defaultIndexValue="true" defaultRetentionValue="0" hashScheme="MD5" dpl="1"/>'
    let asked: string | undefined
    const listener: RequestListener = (request, response) => {
      asked = request.url
      response.end(`<namespaces>${entry('a')}${entry('b')}</namespaces>`)
    }
    expect(Object.keys(await ask(listener, (info) => info.namespaces()))).toEqual(['a', 'b'])
    expect(asked).toBe('/proc')
    const error = await failure(ask(listener, (info) => info.namespace()))
    expect(error).toBeInstanceOf(HcpProtocolError)
    expect((error as Error).message).toContain('it has 2 namespaces where one was asked for')
    expect(asked).toBe('/proc?single=true')
  })

  test('a document without end is given up at the bound', async () => {
    let sent = 0
    const piece = Buffer.alloc(256 * 1024, '<statistics>')
    const flood = (response: ServerResponse): void => {
      while (!response.destroyed && response.write(piece)) sent += piece.length
      sent += piece.length
      response.once('drain', () => flood(response))
    }
    const error = await failure(
      ask(
        (_, response) => flood(response),
        (info) => info.statistics(),
      ),
    )
    expect(error).toBeInstanceOf(HcpProtocolError)
    expect((error as Error).message).toContain(`it has more than ${maximumDocumentSize} bytes`)
    // What the sockets hold comes on top.
    expect(sent).toBeLessThan(maximumDocumentSize * 2)
  })

  test.each([
    [{ retry: false }, 1],
    [{}, 5],
  ] as const)(
    'a document that breaks off each time is truncated, and no shorter one (%j)',
    async (options, tries) => {
      let asked = 0
      const listener: RequestListener = (_, response) => {
        asked++
        response.writeHead(200, { 'content-length': statistics.length + 10 })
        response.write(statistics, () => response.destroy())
      }
      expect(await failure(ask(listener, (info) => info.statistics(options)))).toBeInstanceOf(
        HcpTruncatedError,
      )
      expect(asked).toBe(tries)
    },
  )

  test('a document that breaks off once is fetched anew', async () => {
    let asked = 0
    const listener: RequestListener = (_, response) => {
      response.writeHead(200, { 'content-length': statistics.length })
      if (asked++ > 0) response.end(statistics)
      else response.write(statistics.slice(0, 9), () => response.destroy())
    }
    expect(await ask(listener, (info) => info.statistics())).toMatchObject({
      objectCount: expect.any(Number),
    })
  })

  test('a document that does not come on ends with the time limit', async () => {
    const listener: RequestListener = (_, response) => response.write('<statistics ')
    const late = await failure(ask(listener, (info) => info.statistics({ deadline: 300, retry: false })))
    expect(late).toBeInstanceOf(HcpTimeoutError)
  })

  test('a refusal is told at once, though its page does not come to an end', async () => {
    const listener: RequestListener = (_, response) => response.writeHead(403).write('<html>')
    expect(await failure(ask(listener, (info) => info.statistics()))).toMatchObject({ status: 403 })
  })

  test("HCP's own words are in the error", async () => {
    const listener = send(400, '', { 'X-HCP-ErrorMessage': 'Unknown parameter' })
    const error = await failure(ask(listener, (info) => info.statistics()))
    expect(HcpError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ status: 400, reason: 'Unknown parameter' })
    expect((error as Error).message).toContain('400 Bad Request (Unknown parameter). Either')
  })

  test('a signal ends the reading with its reason', async () => {
    const controller = new AbortController()
    const listener: RequestListener = (_, response) => {
      response.write('<statistics ', () => controller.abort(new Error('enough')))
    }
    const { signal } = controller
    await expect(ask(listener, (info) => info.statistics({ signal }))).rejects.toThrow('enough')
  })
})
