import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MapiServer } from './mapi-server.testing.ts'

let server: MapiServer
beforeAll(async () => {
  server = await MapiServer.start(() => '')
})
afterAll(() => server[Symbol.asyncDispose]())

/** The values of the Python manual's example, where all of them are text. */
const manual = {
  compression: 'false',
  connection: {
    localHost: '192.168.0.52, 192.168.0.53, 192.168.0.54, 192.168.0.55',
    localPort: '5748',
    remoteHost: '192.168.0.56, 192.168.0.57, 192.168.0.58, 192.168.0.59',
    remotePort: '5748',
  },
  description: 'active/active link between HCP1 and HCP2',
  encryption: 'false',
  failoverSettings: {
    local: { autoFailover: 'false', autoFailoverMinutes: '120' },
    remote: { autoFailover: 'false', autoFailoverMinutes: '120' },
  },
  id: 'b9c488db-f641-486e-a8b4-56810faf23cd',
  name: 'hcp1-a-a-hcp2',
  priority: 'OLDEST_FIRST',
  statistics: {
    bytesPending: '0',
    bytesPendingRemote: '0',
    bytesPerSecond: '0.0',
    bytesReplicated: '0',
    errors: '0',
    errorsPerSecond: '0.0',
    objectsPending: '0',
    objectsPendingRemote: '0',
    objectsReplicated: '0',
    operationsPerSecond: '0.0',
    upToDateAsOfMillis: '1419975449113',
    upToDateAsOfString: '2014-12-30T22:37:29+0100',
  },
  status: 'GOOD',
  statusMessage: 'Synchronizing data',
  suspended: 'false',
  type: 'ACTIVE_ACTIVE',
}

const xmlOf = (name: string, value: unknown): string =>
  typeof value === 'object' && value !== null
    ? `<${name}>${Object.entries(value)
        .map(([key, part]) => xmlOf(key, part))
        .join('')}</${name}>`
    : `<${name}>${String(value)}</${name}>`

/** Dotted paths of all that is in a record. */
const pathsOf = (value: unknown, path = ''): string[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
    ? Object.entries(value).flatMap(([key, part]) => pathsOf(part, `${path}.${key}`))
    : [path]

describe('a link', () => {
  test('has the keys of the Python manual’s example, and typed values', async () => {
    server.answer = () => xmlOf('link', manual)
    const link = await server.client().link('hcp1-a-a-hcp2')
    expect(pathsOf(link).toSorted()).toEqual(pathsOf(manual).toSorted())
    expect(link).toEqual({
      compression: false,
      connection: {
        localHost: ['192.168.0.52', '192.168.0.53', '192.168.0.54', '192.168.0.55'],
        localPort: 5748,
        remoteHost: ['192.168.0.56', '192.168.0.57', '192.168.0.58', '192.168.0.59'],
        remotePort: 5748,
      },
      description: 'active/active link between HCP1 and HCP2',
      encryption: false,
      failoverSettings: {
        local: { autoFailover: false, autoFailoverMinutes: 120 },
        remote: { autoFailover: false, autoFailoverMinutes: 120 },
      },
      id: 'b9c488db-f641-486e-a8b4-56810faf23cd',
      name: 'hcp1-a-a-hcp2',
      priority: 'OLDEST_FIRST',
      statistics: {
        bytesPending: 0,
        bytesPendingRemote: 0,
        bytesPerSecond: 0,
        bytesReplicated: 0,
        errors: 0,
        errorsPerSecond: 0,
        objectsPending: 0,
        objectsPendingRemote: 0,
        objectsReplicated: 0,
        operationsPerSecond: 0,
        upToDateAsOfMillis: new Date(1_419_975_449_113),
        upToDateAsOfString: new Date('2014-12-30T21:37:29Z'),
      },
      status: 'GOOD',
      statusMessage: 'Synchronizing data',
      suspended: false,
      type: 'ACTIVE_ACTIVE',
    })
    expect(server.seen.at(-1)).toMatchObject({ path: '/links/hcp1-a-a-hcp2', query: 'verbose=true' })
  })
  test('is the same in JSON, also where the element is printed as Connection', async () => {
    server.answer = () => xmlOf('link', manual)
    const fromXml = await server.client().link('hcp1-a-a-hcp2')
    const { connection, ...rest } = manual
    server.answer = () => JSON.stringify({ ...rest, Connection: connection })
    expect(await server.client({ format: 'json' }).link('hcp1-a-a-hcp2')).toEqual(fromXml)
  })
  test('keeps counts exact, and what nobody told us of', async () => {
    const statistics = {
      bytesReplicated: '9007199254740993',
      objectsReplicated: '9007199254740991',
      new: '7',
    }
    server.answer = () => xmlOf('link', { ...manual, statistics, later: { a: 'true', b: 'x' } })
    const link = await server.client().link('x')
    expect(link.statistics).toEqual({
      bytesReplicated: 9_007_199_254_740_993n,
      objectsReplicated: 9_007_199_254_740_991,
      new: 7,
    })
    expect(link).toMatchObject({ later: { a: true, b: 'x' } })
  })
  test('can be read although a time in its figures cannot: nobody is kept from failing over by that', async () => {
    const statistics = { upToDateAsOfString: 'never', upToDateAsOfMillis: 'NaN', errors: '1' }
    server.answer = () => xmlOf('link', { ...manual, statistics })
    expect((await server.client().link('x')).statistics).toEqual({ errors: 1 })
  })
  test.each([
    ['no link at all', '<links/>'],
    [
      'without a status',
      xmlOf('link', { ...manual, status: undefined }).replace('<status>undefined</status>', ''),
    ],
    ['with words for a port', xmlOf('link', { ...manual, connection: { remotePort: 'many' } })],
    ['with words for true or false', xmlOf('link', { ...manual, suspended: 'perhaps' })],
    ['cut off', xmlOf('link', manual).slice(0, -9)],
  ])('is refused as a document: %s', async (_what, body) => {
    server.answer = () => body
    await expect(server.client().link('x')).rejects.toMatchObject({ name: 'MapiDocumentError' })
  })
  test.each(['hcp1--<-->--hcp2', 'Nord ⇄ Süd', 'a/b?c#d%20', '..x'])(
    'of the name %s is asked for by just that name',
    async (name) => {
      server.answer = () => xmlOf('link', { ...manual, name: 'x' })
      await server.client().link(name)
      expect(decodeURIComponent(server.seen.at(-1)?.path ?? '')).toBe(`/links/${name}`)
      expect(server.seen.at(-1)?.path).toMatch(/^\/links\/[\w.%!~*'()-]+$/)
    },
  )
})

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\r', '&#13;')

test('whatever a link holds, both forms of its document give the same values', async () => {
  const word = fc
    .string({ unit: fc.constantFrom('a', 'ä', '<', '&', ' ', '⇄', '"', "'", '0') })
    .map((text) => text.trim())
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain())
  const count = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
  const link = fc.record(
    {
      name: word.filter((text) => text !== ''),
      type: fc.constantFrom('ACTIVE_ACTIVE', 'OUTBOUND', 'INBOUND'),
      status: fc.constantFrom('GOOD', 'WARNING', 'BAD'),
      statusMessage: word,
      suspended: fc.boolean(),
      description: word,
      connection: fc.record({
        remoteHost: fc.array(host).map((hosts) => hosts.join(', ')),
        remotePort: fc.nat(65_535),
      }),
      statistics: fc.record({
        bytesPending: count,
        objectsReplicated: count,
        bytesPerSecond: fc.double({ min: 0, max: 1e12, noNaN: true }).map((rate) => rate.toFixed(1)),
      }),
    },
    { requiredKeys: ['name', 'type', 'status', 'statusMessage', 'suspended'] },
  )
  const xml = server.client()
  const json = server.client({ format: 'json' })
  const texts = (value: unknown): unknown =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).map(([key, part]) => [key, texts(part)]))
      : String(value)
  await fc.assert(
    fc.asyncProperty(link, async (facts) => {
      const { connection, statistics } = facts
      server.answer = () =>
        xmlOf(
          'link',
          JSON.parse(JSON.stringify(texts(facts)), (_key, part: unknown) =>
            typeof part === 'string' ? escaped(part) : part,
          ),
        )
      const fromXml = await xml.link('x')
      server.answer = () => JSON.stringify(texts(facts))
      expect(await json.link('x')).toEqual(fromXml)
      expect(fromXml).toMatchObject({ name: facts.name, type: facts.type, suspended: facts.suspended })
      expect(BigInt(fromXml.statistics?.bytesPending ?? -1)).toBe(statistics?.bytesPending ?? -1n)
      expect(fromXml.connection?.remoteHost?.join(', ')).toBe(connection?.remoteHost)
    }),
    { numRuns: 100 },
  )
})
