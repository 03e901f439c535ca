import { execFile } from 'node:child_process'
import type { Socket } from 'node:net'
import { promisify } from 'node:util'
import { HcpTruncatedError } from '@hcp/connection'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ChargebackOptions, ChargebackRecord } from './chargeback.ts'
import { MapiDocumentError, MapiForbiddenError } from './errors.ts'
import { MapiClient } from './mapi-client.ts'
import { endless, raw, reply, type ScriptServer, scriptServer, type Step } from './script-server.testing.ts'
import { Tenant } from './tenants.ts'

const header =
  'systemName,tenantName,namespaceName,startTime,endTime,objectCount,ingestedVolume,storageCapacityUsed,bytesIn,bytesOut,reads,writes,deletes,multipartObjects,multipartObjectParts,multipartObjectBytes,multipartUploads,multipartUploadParts,multipartUploadBytes,deleted,valid'
const line = (namespace: string, count: string | number, deleted = 'false'): string =>
  `hcp.test,a,${namespace},2021-05-01T00:00:00+0200,2021-05-01T23:59:59+0200,${count},1240,8192,900,10,1,3,0,0,0,0,0,0,0,${deleted},true`
const report = (...lines: readonly string[]): Step =>
  reply(200, { 'Content-Type': 'text/csv' }, [header, ...lines, ''].join('\n'))

let server: ScriptServer
let mapi: MapiClient
let tenant: Tenant
beforeAll(async () => {
  server = await scriptServer(reply(200))
  mapi = new MapiClient(server.target(), { retry: false })
  tenant = new Tenant(mapi, 'a')
})
afterAll(async () => {
  await mapi.close()
  await server[Symbol.asyncDispose]()
})

const all = (options?: ChargebackOptions): Promise<ChargebackRecord[]> =>
  Array.fromAsync(tenant.chargeback(options))

const whole = {
  systemName: 'hcp.test',
  tenantName: 'a',
  startTime: new Date('2021-04-30T22:00:00Z'),
  endTime: new Date('2021-05-01T21:59:59Z'),
  objectCount: 6,
  ingestedVolume: 1240,
  storageCapacityUsed: 8192,
  bytesIn: 900,
  bytesOut: 10,
  reads: 1,
  writes: 3,
  deletes: 0,
  multipartObjects: 0,
  multipartObjectParts: 0,
  multipartObjectBytes: 0,
  multipartUploads: 0,
  multipartUploadParts: 0,
  multipartUploadBytes: 0,
  deleted: 'false',
  valid: true,
}

describe('records', () => {
  test('are typed, and those of the tenant are marked', async () => {
    server.play(report(line('n1', 6), line('', 6, 'included')))
    expect(await all()).toEqual([
      { ...whole, scope: 'namespace', namespaceName: 'n1' },
      { ...whole, scope: 'tenant', deleted: 'included' },
    ])
  })

  test('have counts that are exact beyond 2^53', async () => {
    server.play(report(line('', '9223372036854775807')))
    expect(await all()).toMatchObject([{ objectCount: 9223372036854775807n }])
  })

  test('are read by the names of the columns, wherever they are; unknown ones are kept', async () => {
    const names = header.split(',').filter((name) => !name.startsWith('multipart'))
    const columns = ['somethingNew', 'erasureCodedObjects', ...names.toReversed()]
    const cells = Object.fromEntries(
      header.split(',').map((name, index) => [name, line('', 6).split(',')[index]]),
    )
    const given: Record<string, string | undefined> = {
      ...cells,
      somethingNew: '9007199254740993',
      erasureCodedObjects: '',
    }
    server.play(
      reply(
        200,
        { 'Content-Type': 'text/csv; charset=UTF-8' },
        `\uFEFF${columns.join(',')}\r\n${columns.map((name) => given[name]).join(',')}\r\n`,
      ),
    )
    const [found] = await all()
    expect(found).toMatchObject({ objectCount: 6, somethingNew: 9007199254740993n, scope: 'tenant' })
    expect(found).not.toHaveProperty('multipartObjects')
    expect(found).not.toHaveProperty('erasureCodedObjects')
  })

  test('keep their scope, whatever columns there are', async () => {
    const text = [`${header},scope`, `${line('n1', 6)},x`, `${line('', 6)},namespace`, ''].join('\n')
    server.play(reply(200, { 'Content-Type': 'text/csv' }, text))
    expect(await all()).toMatchObject([{ scope: 'namespace' }, { scope: 'tenant' }])
  })

  test('are not waited for where no line comes', { timeout: 20_000 }, async () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n'
    for (const piece of [',', '\n', 'x,', '"",', '\r\n']) {
      const text = piece.repeat(4096)
      server.play(endless(head, `${text.length.toString(16)}\r\n${text}\r\n`))
      // oxlint-disable-next-line no-await-in-loop -- one server
      await expect(all({ deadline: 10_000 })).rejects.toBeInstanceOf(MapiDocumentError)
    }
  })

  test('may come in any pieces', async () => {
    const text = [header, ...Array.from({ length: 2000 }, () => line('n1', 6)), line('', 6)].join('\n')
    const chunks = text.split(/(?=\n)/).map((each) => `${each.length.toString(16)}\r\n${each}\r\n`)
    server.play(
      raw(
        `HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`,
        'stay',
      ),
    )
    expect(await all()).toHaveLength(2001)
  })

  test('may be none', async () => {
    server.play(report())
    expect(await all()).toEqual([])
  })

  test('of one namespace need no total', async () => {
    server.play(report(line('n1', 6)))
    expect(await all({ namespace: 'n1' })).toHaveLength(1)
    expect(server.seen[0]?.path).toMatch(/^\/mapi\/tenants\/a\/namespaces\/n1\/chargebackReport\?/)
  })

  test('come while the report comes in, and leaving the loop ends it', async () => {
    let closed = new Promise<void>(() => {})
    server.play((socket: Socket) => {
      closed = new Promise((resolve) => {
        socket.on('close', () => resolve())
      })
      // The parser keeps a line until it sees what follows it.
      const text = `${[header, line('n1', 6), line('n2', 6), line('n3', 6)].join('\n')}\n`
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n')
      socket.write(`${text.length.toString(16)}\r\n${text}\r\n`)
      // And no more.
    })
    for await (const { namespaceName } of tenant.chargeback()) {
      if (namespaceName === 'n2') break
    }
    await closed
  })

  test('come in any number without filling the memory', { timeout: 30_000 }, async () => {
    const some = `${line('n1', 6)}\n`.repeat(500)
    const piece = `${some.length.toString(16)}\r\n${some}\r\n`
    server.play(
      endless(
        `HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n${(header.length + 1).toString(16)}\r\n${header}\n\r\n`,
        piece,
      ),
    )
    let count = 0
    let before = 0
    for await (const record of tenant.chargeback()) {
      expect(record.objectCount === 6).toBe(true)
      count++
      if (count === 20_000) before = process.memoryUsage().rss
      if (count === 100_000) break
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 ** 2)
  })
})

describe('a report that', () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n'
  const body = `${[header, line('n1', 6), line('', 6)].join('\n')}\n`
  test.each<[string, Step]>([
    ['breaks off', raw(`${head}Content-Length: ${body.length + 1}\r\n\r\n${body}`)],
    [
      'breaks off in chunks',
      raw(`${head}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`),
    ],
    ['is reset', raw(`${head}Content-Length: ${body.length + 1}\r\n\r\n${body}`, 'reset')],
  ])('%s is an error after its records', async (_, step) => {
    server.play(step)
    const got: ChargebackRecord[] = []
    const reading = (async () => {
      for await (const record of tenant.chargeback()) got.push(record)
    })()
    await expect(reading).rejects.toBeInstanceOf(HcpTruncatedError)
    expect(got.length).toBeLessThan(3)
  })

  test.each<[string, Step, RegExp]>([
    ['is empty', reply(200, { 'Content-Type': 'text/csv' }), /it is empty/],
    ['ends before the total', report(line('n1', 6)), /ends before the tenant's total/],
    ['ends within a line', report(line('', 6).slice(0, 60)), /Invalid Record Length/],
    ['ends within the last value', report(line('', 6).slice(0, -1)), /record\.valid is "tru"/],
    ['has a word for a count', report(line('', 'many')), /record\.objectCount is "many"/],
    ['has a word for deleted', report(line('', 6, 'perhaps')), /record\.deleted is "perhaps"/],
    [
      'lacks a column',
      reply(200, { 'Content-Type': 'text/csv' }, 'systemName\nhcp.test\n'),
      /record\.tenantName is missing/,
    ],
    [
      'has a column twice',
      reply(200, { 'Content-Type': 'text/csv' }, 'a,a\n1,2\n'),
      /two columns have the same name/,
    ],
    [
      'has a line without end',
      reply(200, { 'Content-Type': 'text/csv' }, 'x'.repeat(1_000_000)),
      /maximum|Max/,
    ],
    [
      'is no UTF-8',
      reply(200, { 'Content-Type': 'text/csv' }, Buffer.from([0x61, 0xff, 0x0a])),
      /UTF-8|utf-8|encoded/,
    ],
    ['is a login page', reply(200, { 'Content-Type': 'text/html' }, '<html>'), /it is text\/html/],
    ['has no length', raw(`${head}\r\n${body}`), /without a length/],
  ])('%s is refused', async (_, step, message) => {
    server.play(step)
    const reading = all()
    await expect(reading).rejects.toBeInstanceOf(MapiDocumentError)
    await expect(reading).rejects.toThrow(message)
  })

  test('HCP does not give is its error', async () => {
    server.play(reply(403))
    await expect(all()).rejects.toBeInstanceOf(MapiForbiddenError)
  })
})

describe('what is asked for', () => {
  const query = (): URLSearchParams => new URL(server.seen[0]?.path ?? '', 'https://hcp.test').searchParams

  test('has instants in UTC, escaped, and the granularity', async () => {
    server.play(report(line('', 6)))
    await all({
      start: new Date('2021-05-01T00:00:00.900Z'),
      end: new Date('2021-06-01T00:00:00Z'),
      granularity: 'day',
    })
    expect(server.seen[0]?.path).toBe(
      '/mapi/tenants/a/chargebackReport?start=2021-05-01T00%3A00%3A00%2B0000&end=2021-06-01T00%3A00%3A00%2B0000&granularity=day',
    )
    expect(server.seen[0]?.headers.accept).toBe('text/csv')
  })

  test('has nothing but the granularity by default', async () => {
    server.play(report(line('', 6)))
    await all()
    expect(Object.fromEntries(query())).toEqual({ granularity: 'total' })
  })

  test.each<[string, object]>([
    ['an unknown granularity', { granularity: 'week' }],
    ['a start that is no date', { start: '2021-05-01' }],
    ['a start that is no valid date', { start: new Date('x') }],
    ['a start after the end', { start: new Date(2), end: new Date(1) }],
    ['an unknown zone', { start: new Date(), zone: 'Europe/Berlin' }],
    ['an unknown option', { fmt: 'csv' }],
  ])('is never %s', async (_, options) => {
    server.play(report())
    await expect(all(options as ChargebackOptions)).rejects.toThrow(/must|unknown option/)
    expect(server.seen).toHaveLength(0)
  })

  test('nothing, before the first record is asked for', async () => {
    server.play(report(line('', 6)))
    const records = tenant.chargeback()
    expect(server.seen).toHaveLength(0)
    expect(await Array.fromAsync(records)).toHaveLength(1)
    expect(await Array.fromAsync(records)).toHaveLength(1)
  })

  test.each([
    ['csv', 'text/csv'],
    ['json', 'application/json'],
    ['xml', 'application/xml'],
  ] as const)('may be the report itself, in %s', async (format, type) => {
    server.play(reply(200, { 'Content-Type': type }, 'as it is'))
    const response = await tenant.chargebackReport({ format })
    expect(await response.text()).toBe('as it is')
    expect(server.seen[0]?.headers.accept).toBe(type)
  })
})

// The zone is that of a process, so each case has one of its own.
test.each([
  // Winter and summer of a zone with daylight saving, whatever the season is now; the hour that comes twice; half hours; west.
  ['Europe/Berlin', '2021-01-15T12:00:00Z', '2021-01-15T13:00:00+0100'],
  ['Europe/Berlin', '2021-07-15T12:00:00Z', '2021-07-15T14:00:00+0200'],
  ['Europe/Berlin', '2021-10-31T00:30:00Z', '2021-10-31T02:30:00+0200'],
  ['Europe/Berlin', '2021-10-31T01:30:00Z', '2021-10-31T02:30:00+0100'],
  ['Asia/Kolkata', '2021-10-31T01:30:00Z', '2021-10-31T07:00:00+0530'],
  ['America/St_Johns', '2021-01-01T00:00:00Z', '2020-12-31T20:30:00-0330'],
  ['America/New_York', '2021-03-14T06:59:59Z', '2021-03-14T01:59:59-0500'],
  ['America/New_York', '2021-03-14T07:00:00Z', '2021-03-14T03:00:00-0400'],
  ['Australia/Lord_Howe', '2021-04-03T14:59:59Z', '2021-04-04T01:59:59+1100'],
  ['Australia/Lord_Howe', '2021-04-03T15:00:00Z', '2021-04-04T01:30:00+1030'],
  ['UTC', '2021-01-01T00:00:00Z', '2021-01-01T00:00:00+0000'],
])('in %s the instant %s is told as %s', async (zone, instant, told) => {
  const program = `
    import { formatTimestamp, parseTimestamp } from ${JSON.stringify(new URL('timestamp.ts', import.meta.url).href)}
    const told = formatTimestamp(new Date(${JSON.stringify(instant)}), 'local')
    console.log(told, parseTimestamp(told).getTime() === Date.parse(${JSON.stringify(instant)}))`
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module-typescript', '-e', program],
    {
      env: { ...process.env, TZ: zone },
    },
  )
  expect(stdout.trim()).toBe(`${told} true`)
})
