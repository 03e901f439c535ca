import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { HcpError } from '@hcp/connection'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MapiDocumentError, MapiError } from './errors.ts'
import { MapiClient } from './mapi-client.ts'
import { mapiPath } from './mapi-path.ts'
import { namespaceDocument } from './namespace-settings.ts'
import { type DocumentSchema, nameList } from './schema.ts'
import {
  endless,
  json,
  raw,
  reply,
  type ScriptServer,
  scriptServer,
  type Step,
  xml,
} from './script-server.testing.ts'
import { statisticsDocument } from './statistics.ts'
import { tenantDocument } from './tenant-settings.ts'
import { Tenant } from './tenants.ts'

let server: ScriptServer
let mapi: MapiClient
beforeAll(async () => {
  server = await scriptServer(reply(200))
  mapi = new MapiClient(server.target(), { retry: false, maximumDocumentSize: 1_000_000, deadline: 10_000 })
})
afterAll(async () => {
  await mapi.close()
  await server[Symbol.asyncDispose]()
})

const path = mapiPath('tenants', 'a')
const readTenant = (): Promise<unknown> => mapi.read(path, tenantDocument)

/** Everything that is called a proper failure: one of our errors, in words. */
async function failure(call: Promise<unknown>): Promise<HcpError> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if (!('error' in outcome)) return expect.unreachable(`it was read as ${JSON.stringify(outcome.value)}`)
  const { error } = outcome
  if (!HcpError.isInstance(error))
    throw new Error('it failed with an error of another kind', { cause: error })
  expect(error.message.length).toBeLessThan(3000)
  return error
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n'
const some = '<tenant><name>a</name>'

describe('an answer that is no document', () => {
  test.each<[string, Step]>([
    ['a login page', reply(200, { 'Content-Type': 'text/html' }, '<html></html>')],
    ['a login page that calls itself XML', xml('<html><body>Login</body></html>')],
    ['an archive', reply(200, { 'Content-Type': 'application/zip' }, 'PK')],
    ['nothing', xml('')],
    ['nothing at all', reply(204)],
    ['another document', xml('<tenants><name>a</name></tenants>')],
    ['XML that is JSON', xml('{"name":"a"}')],
    ['JSON that is XML', json('<tenant/>')],
    ['a JSON list', json('["a"]')],
    ['a DOCTYPE', xml('<!DOCTYPE tenant [<!ENTITY a "b">]><tenant><name>&a;</name></tenant>')],
    [
      'no UTF-8',
      xml(Buffer.from([...Buffer.from('<tenant><name>'), 0xff, ...Buffer.from('</name></tenant>')])),
    ],
    ['nesting', xml(`<tenant>${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}</tenant>`)],
    ['nesting in JSON', json(`{"name":${'['.repeat(400_000)}`)],
    ['a value of another kind', xml('<tenant><softQuota>many</softQuota></tenant>')],
    ['a megabyte and more', xml(`<tenant>${`<a>${'x'.repeat(1000)}</a>`.repeat(1000)}</tenant>`)],
    [
      'an endless document',
      endless(`${ok}Transfer-Encoding: chunked\r\n\r\n`, `400\r\n${'<a/>'.repeat(256)}\r\n`),
    ],
    ['an endless text', endless(`${ok}\r\n<tenant><name>`, 'x'.repeat(65_536))],
    ['terabytes announced', endless(`${ok}Content-Length: 1099511627776\r\n\r\n`, ' '.repeat(65_536))],
    ['partial content', reply(206, { 'Content-Type': 'application/xml' }, '<tenant><name>a</name></tenant>')],
  ])('%s is a MapiDocumentError', { timeout: 10_000 }, async (_, step) => {
    server.play(step)
    const error = await failure(readTenant())
    expect(error).toBeInstanceOf(MapiDocumentError)
    expect(error).toMatchObject({ code: 'HCP_PROTOCOL', method: 'GET' })
    expect(error.message).toMatch(
      /^The answer to GET https:\/\/admin\.hcp\.test:\d+\/mapi\/tenants\/a is not HCP's <tenant> document: .*\.$/,
    )
  })

  test.each<[string, Step]>([
    ['breaks within its head', raw('HTTP/1.1 200 OK\r\nContent-Ty')],
    ['breaks within its body', raw(`${ok}Content-Length: 99\r\n\r\n${some}`)],
    ['is reset within its body', raw(`${ok}Content-Length: 99\r\n\r\n${some}`, 'reset')],
    ['breaks within a chunk', raw(`${ok}Transfer-Encoding: chunked\r\n\r\n99\r\n${some}`)],
    ['ends without the last chunk', raw(`${ok}Transfer-Encoding: chunked\r\n\r\n16\r\n${some}\r\n`)],
    ['has chunks without a size', raw(`${ok}Transfer-Encoding: chunked\r\n\r\nzz\r\n${some}\r\n0\r\n\r\n`)],
    ['has two lengths', raw(`${ok}Content-Length: 5\r\nContent-Length: 9\r\n\r\n${some}`)],
    ['is no HTTP', raw('220 mail.test ESMTP\r\n')],
    ['has a head without end', endless('HTTP/1.1 200 OK\r\n', `X-Header: ${'x'.repeat(1000)}\r\n`)],
    ['has one header without end', endless('HTTP/1.1 200 OK\r\nX-Header: ', 'x'.repeat(1000))],
    ['has a hundred thousand headers', raw(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(100_000)}\r\n`)],
  ])('one that %s is an error, never a shorter document', { timeout: 10_000 }, async (_, step) => {
    server.play(step)
    await failure(readTenant())
  })

  test('silence, and a trickle, end with the deadline', async () => {
    server.play(() => {})
    expect(await failure(mapi.read(path, tenantDocument, { deadline: 200 }))).toMatchObject({
      code: 'HCP_TIMEOUT',
    })
    const trickle = async (socket: Socket): Promise<void> => {
      socket.write(`${ok}\r\n<tenant>`)
      while (!socket.destroyed) {
        socket.write(' ')
        // oxlint-disable-next-line no-await-in-loop -- one byte after the other
        await delay(5)
      }
    }
    server.play((socket) => void trickle(socket))
    expect(await failure(mapi.read(path, tenantDocument, { deadline: 200 }))).toMatchObject({
      code: 'HCP_TIMEOUT',
    })
  })

  test('redirections in a circle are not followed', async () => {
    server.play(reply(302, { Location: '/mapi/tenants/a' }))
    expect(await failure(readTenant())).toMatchObject({ status: 302 })
    expect(server.seen).toHaveLength(1)
  })

  test('an endless body of a refusal is not waited for', async () => {
    server.play(endless('HTTP/1.1 403 Forbidden\r\n\r\n', 'x'.repeat(65_536)))
    expect(await failure(readTenant())).toBeInstanceOf(MapiError)
    server.play(endless('HTTP/1.1 200 OK\r\n\r\n', 'x'.repeat(65_536)))
    await mapi.act(path, 'x')
  })

  test('a long message of HCP is cut', async () => {
    server.play(reply(400, { 'X-HCP-ErrorMessage': 'x'.repeat(10_000) }))
    expect((await failure(readTenant())).message.length).toBeLessThan(1500)
  })

  test('memory stays within bounds while an endless answer comes', async () => {
    const before = process.memoryUsage().rss
    server.play(endless(`${ok}\r\n<tenant><name>`, 'x'.repeat(65_536)))
    for (let round = 0; round < 20; round++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await failure(readTenant())
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 ** 2)
  })
})

/** A whole document of each kind, as HCP sends it, in both forms. */
const valid: readonly [DocumentSchema<unknown>, string, string][] = [
  [
    tenantDocument,
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<tenant><name>a</name><softQuota>85</softQuota><hardQuota>400.00 GB</hardQuota><namespaceQuota>None</namespaceQuota><authenticationTypes><authenticationType>LOCAL</authenticationType></authenticationTypes><tags/><searchConfigurationEnabled>true</searchConfigurationEnabled><creationTime>2021-05-03T14:07:09+0200</creationTime><id>1</id></tenant>',
    '{"name":"a","softQuota":85,"hardQuota":"400.00 GB","namespaceQuota":"None","authenticationTypes":{"authenticationType":["LOCAL"]},"tags":{"tag":[]},"searchConfigurationEnabled":true,"creationTime":"2021-05-03T14:07:09+0200"}',
  ],
  [
    namespaceDocument,
    '<namespace><name>n</name><description>a &amp; b</description><softQuota>85</softQuota><enterpriseMode>true</enterpriseMode><authMinimumPermissions><permission>READ</permission></authMinimumPermissions><multipartUploadAutoAbortDays>30</multipartUploadAutoAbortDays></namespace>',
    '{"name":"n","description":"a & b","softQuota":85,"enterpriseMode":true,"authMinimumPermissions":{"permission":["READ"]}}',
  ],
  [
    statisticsDocument,
    '<statistics><objectCount>1</objectCount><ingestedVolume>9007199254740993</ingestedVolume><storageCapacityUsed>3</storageCapacityUsed><customMetadataCount>4</customMetadataCount><customMetadataSize>5</customMetadataSize><shredCount>6</shredCount><shredSize>7</shredSize></statistics>',
    '{"objectCount":1,"ingestedVolume":9007199254740993,"storageCapacityUsed":3,"customMetadataCount":4,"customMetadataSize":5,"shredCount":6,"shredSize":7}',
  ],
  [nameList('links', 'name'), '<links><name>a</name><name>b</name></links>', '{"name":["a","b"]}'],
]

/** A document with one piece lost, doubled, moved or exchanged, or a few of its bytes. */
function mutated(text: string): fc.Arbitrary<Uint8Array> {
  const pieces = text.split(/(?=[<{"[,])/)
  const place = fc.nat(pieces.length - 1)
  const piece = fc.oneof(
    fc.constantFrom(...pieces),
    fc.constantFrom(
      '<',
      '>',
      '&',
      '&amp;',
      '&#x0;',
      '<![CDATA[',
      ']]>',
      '<!--',
      '<?x',
      '</',
      '/>',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
    ),
    fc.constantFrom(
      'null',
      '1e999',
      '-0',
      '""',
      '\\u0000',
      '"__proto__":',
      '<__proto__>',
      '<!DOCTYPE a>',
      '\uFEFF',
      '\0',
    ),
    fc.string({ maxLength: 8 }),
  )
  return fc.oneof(
    fc.tuple(place, piece).map(([at, put]) => Buffer.from(pieces.toSpliced(at, 0, put).join(''))),
    fc.tuple(place, piece).map(([at, put]) => Buffer.from(pieces.toSpliced(at, 1, put).join(''))),
    fc.tuple(place, fc.nat(5)).map(([at, count]) => Buffer.from(pieces.toSpliced(at, count).join(''))),
    fc
      .tuple(place, place)
      .map(([from, to]) => Buffer.from(pieces.toSpliced(to, 0, ...pieces.slice(from, from + 3)).join(''))),
    fc.nat(text.length).map((length) => Buffer.from(text.slice(0, length))),
    fc
      .array(fc.tuple(fc.nat(text.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const bytes = Buffer.from(text)
        for (const [at, byte] of changes) bytes[at] = byte
        return bytes
      }),
    fc.uint8Array({ maxLength: 300 }),
  )
}

test.each(valid)(
  '%# whatever a document is turned into, it is read or refused in words',
  { timeout: 60_000 },
  async (schema, inXml, inJson) => {
    for (const [text, step] of [
      [inXml, xml],
      [inJson, json],
    ] as const) {
      server.play(step(text))
      // oxlint-disable-next-line no-await-in-loop -- one server
      await mapi.read(path, schema)
      // oxlint-disable-next-line no-await-in-loop
      await fc.assert(
        fc.asyncProperty(mutated(text), async (bytes) => {
          server.play(step(bytes))
          try {
            await mapi.read(path, schema)
          } catch (error) {
            expect(error).toBeInstanceOf(MapiDocumentError)
          }
        }),
        { numRuns: 150 },
      )
    }
  },
)

test('whatever bytes come instead of an answer, they are an error of ours', { timeout: 60_000 }, async () => {
  const heads = fc.constantFrom(
    'HTTP/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n',
    'HTTP/1.1 999 \r\n',
    'HTTP/1.1 100 Continue\r\n\r\n',
    '',
  )
  await fc.assert(
    fc.asyncProperty(heads, fc.uint8Array({ maxLength: 100 }), async (head, rest) => {
      server.play(raw(Buffer.concat([Buffer.from(head), rest])))
      await failure(readTenant())
    }),
    { numRuns: 100 },
  )
})

test(
  'whatever a chargeback report is turned into, it is read or refused in words',
  { timeout: 60_000 },
  async () => {
    const report =
      'systemName,tenantName,namespaceName,startTime,endTime,objectCount,ingestedVolume,storageCapacityUsed,bytesIn,bytesOut,reads,writes,deletes,deleted,valid\n' +
      'hcp.test,a,n,2021-05-01T00:00:00+0200,2021-05-01T23:59:59+0200,6,1240,8192,900,10,1,3,0,false,true\n' +
      'hcp.test,a,,2021-05-01T00:00:00+0200,2021-05-01T23:59:59+0200,6,1240,8192,900,10,1,3,0,included,true\n'
    const tenant = new Tenant(mapi, 'a')
    await fc.assert(
      fc.asyncProperty(mutated(report), async (bytes) => {
        server.play(reply(200, { 'Content-Type': 'text/csv' }, bytes))
        try {
          for await (const { objectCount, valid: isValid } of tenant.chargeback()) {
            expect(typeof objectCount === 'number' || typeof objectCount === 'bigint').toBe(true)
            expect(isValid).toBeTypeOf('boolean')
          }
        } catch (error) {
          expect(error).toBeInstanceOf(MapiDocumentError)
        }
      }),
      { numRuns: 300 },
    )
  },
)
