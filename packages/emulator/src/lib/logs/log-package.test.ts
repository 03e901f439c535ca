import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import { makeTemporaryFolder, removeTemporaryFolder } from '../temporary-folder.ts'
import { ask as askData } from '../wire.testing.ts'
import {
  ask,
  download,
  linesOf,
  managed,
  prepared,
  statusOf,
  toManagement,
  unpack,
  unzip,
} from './logs.testing.ts'
import type { Files } from './logs.testing.ts'

const form = /^(\S+) - (\S+) \[([^\]]+)\] "([^"]*)" (\d{3}) (\d+|-) (\S+) (\d+)$/
const start = Date.UTC(2026, 4, 3, 23, 30)
const hour = 3_600_000

/** Requests on two days of the clock; the third node is down when the package is made. */
let clock = start
let hcp: Emulator
let disposition = ''
let top = ''
let files: Files
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 3, now: () => clock, choices: { logPreparationMs: 0 } })
  await askData(hcp, { method: 'PUT', path: '/rest/first', body: 'hello' }, 1)
  await askData(hcp, { path: '/rest/first?version=1', authorization: null, host: 'n2.m.hcp1.test' }, 2)
  await ask(hcp, { method: 'POST', path: '?mark=Disk+17%20pulled' })
  clock += hour
  await askData(hcp, { path: '/rest/first' }, 1)
  await ask(hcp, { path: '/../../static/x' }, 2)
  hcp.addFault({ kind: 'reset', when: 'beforeHead', method: 'PUT', count: 1 })
  await askData(hcp, { method: 'PUT', path: '/rest/lost', body: 'x' }, 1).catch(() => undefined)
  hcp.addFault({ kind: 'truncate', when: 'body', afterBytes: 2, method: 'GET', count: 1 })
  await askData(hcp, { path: '/rest/first' }, 2).catch(() => undefined)
  await hcp.stopNode(3)
  await prepared(
    hcp,
    '<logPrepare><startDate>05/03/2026</startDate><endDate>05/04/2026</endDate><snodes>S10-1,S30-2</snodes></logPrepare>',
  )
  const answer = await download(hcp, '<snodes>S30-2</snodes>')
  expect(answer.status).toBe(200)
  disposition = answer.headers['content-disposition']!
  ;({ top, files } = await unpack(answer.body))
})
afterAll(() => hcp.close())
afterEach(() => hcp.clearFaults())

test('the head is as documented: no length, no ranges, a name without quotes', async () => {
  const { raw } = await download(hcp, '<nodes/>')
  const head = Object.fromEntries(raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1]!]] : [])))
  expect(head).toMatchObject({
    'Content-Type': 'application/zip',
    'Accept-Ranges': 'none',
    'Transfer-Encoding': 'chunked',
    'Content-Disposition': 'attachment; filename=HCPLogs-hcp1.test-n0-20260504-0030.zip',
  })
  expect(head).not.toHaveProperty('Content-Length')
})

test('the one folder at the top is named as the file', () => {
  expect(disposition).toBe(`attachment; filename=${top}.zip`)
  expect(top).toBe('HCPLogs-hcp1.test-20260504-0030')
})

test('the manifest names every archive there is, and no other', () => {
  const manifest = files.get('manifest.csv')!.toString()
  const blocks = manifest.split('\n\n')
  const [head, ...rows] = blocks.find((block) => block.startsWith('"Node IP"'))!.split('\n')
  expect(head).toMatch(/^"Node IP",/)
  const cells = rows.map((row) => row.split(','))
  expect(cells.map(([address]) => address)).toEqual([
    '172.21.150.101',
    '172.21.150.102',
    'not available',
    'S30-2',
  ])
  const named = cells.map(([, path]) => path!).filter((path) => path !== '')
  const there = [...files.keys()].filter((name) => !name.includes('/') && name !== 'manifest.csv')
  expect(named).toEqual(there.map((name) => `${top}/${name}`))
  expect(named).toEqual(['101', '102', 'S30-2'].map((name) => `${top}/${name}.tar.gz`))
})

test('each node has an archive for each hour with requests, with all three logs in it', () => {
  const logs = [...files.keys()].filter((name) => name.includes('request.log'))
  const expected = [
    ['101', '20260503-2300'],
    ['101', '20260504-0000'],
    ['102', '20260503-2300'],
    ['102', '20260504-0000'],
  ].flatMap(([node, time]) =>
    ['admin', 'http_gateway', 'mapi_gateway'].map(
      (log) =>
        `${node}.tar.gz/${node}/var/ris/retired/access-logs-${time}.tar.gz/${time}/${log}_request.log.0`,
    ),
  )
  expect(logs.toSorted()).toEqual(expected)
})

test('access logs tell what was really asked, of each node what it served', () => {
  const data = (node: string): string[][] => linesOf(files, 'http_gateway_request.log', node).map(parts)
  expect(data('101')).toEqual([
    ['127.0.0.1', 'n', '03/May/2026:23:30:00 +0000', 'PUT /rest/first HTTP/1.1', '201', '0', 'n1.m'],
    ['127.0.0.1', 'n', '04/May/2026:00:30:00 +0000', 'GET /rest/first HTTP/1.1', '200', '5', 'n1.m'],
    ['127.0.0.1', 'n', '04/May/2026:00:30:00 +0000', 'PUT /rest/lost HTTP/1.1', '201', '0', 'n1.m'],
  ])
  expect(data('102')).toEqual([
    [
      '127.0.0.1',
      '-',
      '03/May/2026:23:30:00 +0000',
      'GET /rest/first?version=1 HTTP/1.1',
      '403',
      '0',
      'n2.m',
    ],
    ['127.0.0.1', 'n', '04/May/2026:00:30:00 +0000', 'GET /rest/first HTTP/1.1', '200', '2', 'n1.m'],
  ])
  const management = linesOf(files, 'mapi_gateway_request.log').map(parts)
  expect(management).toContainEqual([
    '127.0.0.1',
    'sysadmin',
    '03/May/2026:23:30:00 +0000',
    'POST /mapi/logs?mark=Disk+17%20pulled HTTP/1.1',
    '200',
    '0',
    'admin',
  ])
  expect(management.map(([, , , request]) => request)).toContain('POST /mapi/logs/prepare HTTP/1.1')
})

/** The fields of a line but for its last, which is a time that was measured. */
function parts(line: string): string[] {
  const fields = form.exec(line)
  expect(fields, line).not.toBeNull()
  return fields!.slice(1, 8)
}

test('a mark is in the internal log of every node', () => {
  for (const node of ['101', '102']) {
    const log = files.get(`${node}.tar.gz/${node}/var/ris/log/internal.log`)!.toString()
    expect(log).toMatch(/^2026-05-03 23:30:00,000 .* Log mark by sysadmin: Disk 17 pulled$/m)
  }
})

/** Files by what they are part of. */
const kinds = {
  ACCESS: /_request\.log\.0$/,
  SYSTEM: /^10\d.*(?:\/log\/messages$|\/ris\/system\/)/,
  SERVICE: /\/ris\/service\//,
  APPLICATION: /\/ris\/log\//,
  snode: /^S/,
}
type Kind = keyof typeof kinds
const every: readonly Kind[] = ['ACCESS', 'SYSTEM', 'SERVICE', 'APPLICATION']

test.each<[string, readonly string[], readonly Kind[], string]>([
  ['', ['101', '102'], every, ''],
  ['<nodes>102</nodes>', ['102'], every, '-n102'],
  ['<nodes>102,101</nodes>', ['101', '102'], every, '-n101_102'],
  ['<nodes></nodes>', [], [], '-n0'],
  ['<nodes>103</nodes>', [], [], '-n103'],
  ['<content>ACCESS</content>', ['101', '102'], ['ACCESS'], '-acc'],
  ['<content>SYSTEM</content>', ['101', '102'], ['SYSTEM'], '-sys'],
  ['<content>SERVICE</content>', ['101', '102'], ['SERVICE'], '-svc'],
  ['<content>APPLICATION</content>', ['101', '102'], ['APPLICATION'], '-app'],
  ['<content>service, ACCESS</content>', ['101', '102'], ['ACCESS', 'SERVICE'], '-acc-svc'],
  ['<nodes/><snodes>S10-1</snodes><content>ACCESS</content>', ['S10-1'], ['snode'], '-n0-acc'],
])('%s: only what was selected', async (selection, archives, expected, tag) => {
  const { status, headers, body } = await download(hcp, selection)
  expect(status).toBe(200)
  const fileName = `HCPLogs-hcp1.test${tag}-20260504-0030.zip`
  expect(headers['content-disposition']).toBe(`attachment; filename=${fileName}`)
  const names = [...(await unpack(body)).files.keys()]
  expect(names.filter((name) => !name.includes('/'))).toEqual([
    'manifest.csv',
    ...archives.map((name) => `${name}.tar.gz`),
  ])
  const leaves = names.filter((name) => name.includes('/') && !/\.tar(\.gz)?$/.test(name))
  const found = leaves.map((name) => Object.entries(kinds).find(([, form]) => form.test(name))?.[0])
  expect(new Set(found)).toEqual(new Set(expected))
})

test('two downloads of a package are the same bytes, also when more has been served between them', async () => {
  const [first, , second] = [await download(hcp), await askData(hcp, {}), await download(hcp, '', 2)]
  expect(first.body.equals(second.body)).toBe(true)
})

describe('days', () => {
  test.each([
    ['<startDate>05/03/2026</startDate><endDate>05/03/2026</endDate>', ['20260503-2300'], true],
    ['<startDate>05/04/2026</startDate>', ['20260504-0000'], false],
    ['', ['20260504-0000'], false],
    ['<startDate>01/01/1970</startDate>', ['20260503-2300', '20260504-0000'], true],
    ['<endDate>12/31/2030</endDate>', ['20260504-0000'], false],
    ['<startDate>01/01/1970</startDate><endDate>05/02/2026</endDate>', [], false],
  ])('%s: %j', async (range, times, marked) => {
    await ask(hcp, { method: 'POST', path: '?cancel' })
    await prepared(hcp, `<logPrepare>${range}</logPrepare>`)
    const { body } = await download(hcp, '<nodes>101</nodes>')
    const unpacked = await unpack(body)
    const found = [...unpacked.files.keys()].flatMap(
      (name) => /access-logs-([\d-]+)\.tar\.gz$/.exec(name)?.[1] ?? [],
    )
    expect(found).toEqual(times)
    expect(unpacked.files.get('101.tar.gz/101/var/ris/log/internal.log')!.includes('Disk 17')).toBe(marked)
  })
})

test('archives are not compressed where that is chosen, and named so', async () => {
  await using plain = await startEmulator({ nodes: 1, choices: { logPreparationMs: 0, logArchives: 'tar' } })
  await askData(plain, {})
  await prepared(plain)
  const { body } = await download(plain)
  const unpacked = await unpack(body)
  const zip = await unzip(body)
  const archive = zip.get(`${unpacked.top}/101.tar`)!
  expect(archive.subarray(257, 262).toString()).toBe('ustar')
  expect(unpacked.files.get('manifest.csv')!.toString()).toContain(`${unpacked.top}/101.tar,`)
  expect(linesOf(unpacked.files, 'http_gateway_request.log')).toHaveLength(1)
})

test('a restart loses the job, the marks and the access logs, whatever folder there is', async () => {
  const data = makeTemporaryFolder()
  const options = { nodes: 1, data, choices: { logPreparationMs: 0 } } as const
  await using before = await startEmulator(options)
  await askData(before, {})
  await ask(before, { method: 'POST', path: '?mark=before' })
  await prepared(before)
  await before.close()
  await using after = await startEmulator(options)
  expect((await statusOf(after))['started']).toBe('false')
  await prepared(after)
  const unpacked = await unpack((await download(after)).body)
  expect(linesOf(unpacked.files, 'http_gateway_request.log')).toEqual([])
  expect([...unpacked.files.values()].some((content) => content.includes('before'))).toBe(false)
  await after.close()
  await removeTemporaryFolder(data)
})

describe('faults act on a download, and the package stays', () => {
  const path = '/mapi/logs/download'
  test.each([
    [{ kind: 'truncate', when: 'body', afterBytes: 1_000 }, 'end'],
    [{ kind: 'reset', when: 'body', afterBytes: 1_000 }, 'reset'],
    [{ kind: 'truncate', when: 'afterHead' }, 'end'],
    [{ kind: 'reset', when: 'beforeHead' }, 'reset'],
  ] as const)('%j', async (fault, how) => {
    await ask(hcp, { method: 'POST', path: '?cancel' })
    await prepared(hcp)
    const whole = await download(hcp)
    hcp.addFault({ ...fault, path, count: 1 })
    using wire = await toManagement(hcp)
    wire.send(managed({ method: 'POST', path: '/download', body: '<logDownload/>' }))
    const got = await wire.rest()
    if (how === 'end') expect(wire.ended).toBe('end')
    expect(got.length).toBeLessThan(whole.body.length)
    expect(got.subarray(-5).toString('latin1')).not.toBe('0\r\n\r\n')
    expect(await statusOf(hcp)).toMatchObject({ readyForStreaming: 'true', streamingInProgress: 'false' })
    expect((await download(hcp)).body.equals(whole.body)).toBe(true)
  })

  test('garbage: as many bytes, others', async () => {
    const whole = await download(hcp)
    hcp.addFault({ kind: 'garbage', when: 'body', afterBytes: 1_000, path, count: 1 })
    const bad = await download(hcp)
    expect(bad.body.length).toBe(whole.body.length)
    expect(bad.body.subarray(0, 1_000).equals(whole.body.subarray(0, 1_000))).toBe(true)
    expect(bad.body.equals(whole.body)).toBe(false)
  })

  test('throttle: slower, and the same', async () => {
    const whole = await download(hcp)
    hcp.addFault({ kind: 'throttle', bytesPerSecond: 5 * whole.body.length, path, count: 1 })
    const begun = performance.now()
    const slow = await download(hcp)
    expect(performance.now() - begun).toBeGreaterThan(100)
    expect(slow.body.equals(whole.body)).toBe(true)
  })

  test('hang in the body: streaming until the client goes', async () => {
    hcp.addFault({ kind: 'hang', when: 'body', afterBytes: 500, path, count: 1 })
    using wire = await toManagement(hcp)
    wire.send(managed({ method: 'POST', path: '/download', body: '<logDownload/>' }))
    await wire.until((data) => data.includes('HCPLogs-'))
    expect((await statusOf(hcp))['streamingInProgress']).toBe('true')
    wire.socket.destroy()
    while ((await statusOf(hcp))['streamingInProgress'] === 'true');
    expect((await download(hcp)).status).toBe(200)
  })

  test('a status instead of the package: nothing is begun', async () => {
    hcp.addFault({ kind: 'status', status: 503, path, count: 1 })
    expect((await download(hcp)).status).toBe(503)
    expect((await statusOf(hcp))['streamingInProgress']).toBe('false')
  })
})
