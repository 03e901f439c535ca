import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  accessLog,
  type AccessRecord,
  formatAccessLine,
  type MalformedLine,
  parseAccessLine,
} from './access-log.ts'
import { LogPackage } from './log-package.ts'
import { inPieces, packageFiles, temporaryFolder, writeZip } from './packages.testing.ts'

const documented = [
  [
    '10.20.0.15 - ingest01 [03/May/2021:08:14:55 +0200] "PUT /rest/scans/2021/0412.tif HTTP/1.1" 201 0 images.sales 34',
    {
      client: '10.20.0.15',
      user: 'ingest01',
      time: new Date('2021-05-03T06:14:55Z'),
      zone: 120,
      method: 'PUT',
      target: '/rest/scans/2021/0412.tif',
      protocol: 'HTTP/1.1',
      status: 201,
      bytes: 0,
      place: 'images.sales',
      namespace: 'images',
      tenant: 'sales',
      latency: 34,
    },
  ],
  [
    '10.20.0.15 - - [03/May/2021:08:14:56 +0200] "GET /photos?list-type=2&max-keys=100 HTTP/1.1" 200 9120 sales@hs3 12',
    { user: undefined, target: '/photos?list-type=2&max-keys=100', namespace: undefined, tenant: 'sales' },
  ],
  [
    'fd00::15 - a user [who] has "blanks" [03/May/2021:08:14:56 -0330] "GET /mapi/tenants HTTP/1.1" 200 - admin 12',
    {
      client: 'fd00::15',
      user: 'a user [who] has "blanks"',
      zone: -210,
      bytes: undefined,
      tenant: undefined,
    },
  ],
  [
    '::1 - - [03/May/2021:08:14:56 +0000] "GET /rest/a "quoted" name HTTP/1.1" 404 12 - 3',
    {
      method: 'GET',
      target: '/rest/a "quoted" name',
      place: undefined,
      tenant: undefined,
      namespace: undefined,
    },
  ],
  [
    '10.0.0.1 - - [03/May/2021:08:14:56 +0000] "" 400 0 n.t 0',
    { method: undefined, target: '', protocol: undefined, status: 400 },
  ],
] as const

test.each(documented)('%s', (text, facts) => {
  expect(parseAccessLine(text)).toMatchObject(facts)
  expect(parseAccessLine(text)?.raw).toBe(text)
})

test.each([
  '',
  'GET / HTTP/1.1',
  '10.0.0.1 - - [31/Feb/2021:08:14:56 +0000] "GET / HTTP/1.1" 200 0 n.t 0',
  '10.0.0.1 - - [03/Mai/2021:08:14:56 +0000] "GET / HTTP/1.1" 200 0 n.t 0',
  '10.0.0.1 - - [03/May/2021:25:14:56 +0000] "GET / HTTP/1.1" 200 0 n.t 0',
  '10.0.0.1 - - [03/May/2021:08:14:56 +0000] "GET / HTTP/1.1" 200 0 n.t',
  '10.0.0.1 - - [03/May/2021:08:14:56 +0000] "GET / HTTP/1.1" 20 0 n.t 5',
])('%j is no record', (text) => {
  expect(parseAccessLine(text)).toBeUndefined()
})

const word = fc.stringMatching(/^[!-~]{1,12}$/)
const records = fc.record({
  client: fc.oneof(fc.ipV4(), fc.ipV6()),
  user: fc.option(
    fc.stringMatching(/^[!-~äö][ -~äö]{0,10}[!-~äö]$/).filter((user) => !user.includes(' [') && user !== '-'),
    { nil: undefined },
  ),
  time: fc
    .date({ min: new Date('1990-01-01'), max: new Date('2090-01-01'), noInvalidDate: true })
    .map((date) => new Date(Math.floor(date.getTime() / 1000) * 1000)),
  zone: fc.integer({ min: -14 * 60, max: 14 * 60 }),
  method: fc.constantFrom('GET', 'PUT', 'PROPFIND', 'M-SEARCH'),
  target: fc.stringMatching(/^\/[ -~é]{0,40}$/),
  protocol: fc.constantFrom('HTTP/1.1', 'HTTP/1.0'),
  status: fc.integer({ min: 100, max: 599 }),
  bytes: fc.option(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { nil: undefined }),
  place: fc.option(
    word.filter((place) => place !== '-'),
    { nil: undefined },
  ),
  latency: fc.nat(),
})

test('what is written as a line is read as the same record', async () => {
  fc.assert(
    fc.property(records, (record) => {
      expect(parseAccessLine(formatAccessLine(record))).toMatchObject(record)
    }),
    { numRuns: 500 },
  )
  // Also in a stream, cut anywhere, and with either end of line.
  const lists = fc.array(records, { maxLength: 8 })
  const cut = fc.integer({ min: 1, max: 50 })
  await fc.assert(
    fc.asyncProperty(
      lists,
      cut,
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      async (list, size, end, closed) => {
        const text = list.map(formatAccessLine).join(end) + (closed ? end : '')
        const found: AccessRecord[] = []
        for await (const record of accessLog(inPieces(Buffer.from(text), size))) found.push(record)
        expect(found).toHaveLength(list.length)
        for (const [index, record] of list.entries()) expect(found[index]).toMatchObject(record)
      },
    ),
    { numRuns: 100 },
  )
})

test('lines that are no records are told of, with their numbers, and the others are given', async () => {
  const [first] = documented[0]
  const text = [first, 'rubbish', '', first, 'x'.repeat(5_000_000), first, 'y'.repeat(70_000)].join('\n')
  const malformed: MalformedLine[] = []
  let count = 0
  for await (const record of accessLog(inPieces(Buffer.from(text), 65_536), {
    onMalformed: (line) => malformed.push(line),
  }))
    count += record.status === 201 ? 1 : 0
  expect(count).toBe(3)
  expect(malformed.map(({ line, raw }) => [line, raw.length])).toEqual([
    [2, 7],
    [5, 4096],
    [7, 4096],
  ])
})

test('a line made to keep a reader busy does not', () => {
  const time = '[03/May/2021:08:14:56 +0000] "'
  const started = performance.now()
  for (const part of [' ', '" 200 1 a ', time, ` ${time}`])
    expect(parseAccessLine(`10.0.0.1 - - ${time}${part.repeat(32_000 / part.length)}`)).toBeUndefined()
  expect(performance.now() - started).toBeLessThan(5_000)
})

test('the requests of a package know their node and file', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'p.zip')
  await writeZip(file, await packageFiles())
  await using logs = await LogPackage.open(file)
  const perNode = new Map<number | undefined, number>()
  const malformed: MalformedLine[] = []
  for await (const { node, file: path } of accessLog(logs, { onMalformed: (line) => malformed.push(line) })) {
    perNode.set(node, (perNode.get(node) ?? 0) + 1)
    expect(path).toMatch(/_request\.log\.0$/)
  }
  expect([...perNode]).toEqual([
    [101, 202],
    [103, 101],
  ])
  expect(malformed).toEqual([])
  let only = 0
  for await (const { place } of accessLog(logs, {
    nodes: [103],
    files: (path) => path.includes('mapi_gateway'),
  }))
    only += place === 'images.sales' ? 1 : 0
  expect(only).toBe(1)
})

test('a damaged archive costs its own requests, and is told of once', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'p.zip')
  const files = await packageFiles()
  const name = Object.keys(files).find((each) => each.endsWith('101.tar.gz')) ?? ''
  await writeZip(file, { ...files, [name]: (files[name] as Buffer).subarray(0, -100) })
  await using logs = await LogPackage.open(file)
  const errors: string[] = []
  let whole = 0
  for await (const { node } of accessLog(logs, { onError: ({ place }) => errors.push(place) }))
    whole += node === 103 ? 1 : 0
  expect(whole).toBe(101)
  expect(errors).toEqual([name])
  const strict = async (): Promise<void> => {
    for await (const record of accessLog(logs)) expect(record.status).toBe(200)
  }
  await expect(strict()).rejects.toMatchObject({ code: 'LOGS_PACKAGE', place: name })
})
