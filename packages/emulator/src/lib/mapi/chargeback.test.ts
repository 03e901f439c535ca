import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Emulator } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import { ask } from '../wire.testing.ts'
import { MapiTester } from './mapi.testing.ts'

const hour = 3_600_000
let now: number
let hcp: Emulator
let mapi: MapiTester
beforeEach(async () => {
  now = Date.parse('2026-03-28T22:59:59.999Z')
  hcp = await startEmulator({ nodes: 2, now: () => now })
  mapi = new MapiTester(hcp)
})
afterEach(async () => {
  await mapi[Symbol.asyncDispose]()
  await hcp.close()
})

const path = '/tenants/m/chargebackReport'
type Line = Readonly<Record<string, string | number | boolean>>

const report = async (query: string, host = 'm'): Promise<Line[]> =>
  (await mapi.read(`${path}?${query}`, host))['chargebackData'] as Line[]
const put = (name: string, body: string, host = 'n1'): Promise<unknown> =>
  ask(hcp, { method: 'PUT', path: `/rest/${name}`, body, host: `${host}.m.hcp1.test` })

/** What was done in an interval, and what there was at its end. */
const numbers = ({
  reads,
  writes,
  deletes,
  bytesIn,
  bytesOut,
  objectCount,
  ingestedVolume,
}: Line): unknown[] => [reads, writes, deletes, bytesIn, bytesOut, objectCount, ingestedVolume]

test('counts what was really served, and nothing that was refused', async () => {
  await put('a', 'x'.repeat(1_000))
  await put('a', 'refused, as it is there')
  await put('b?type=custom-metadata&annotation=x', 'refused, as there is no b')
  await ask(hcp, { path: '/rest/a' }, 2)
  await ask(hcp, { path: '/rest/a', headers: { Range: 'bytes=0-99' } })
  await ask(hcp, { method: 'HEAD', path: '/rest/a' })
  await ask(hcp, { path: '/rest/none' })
  await ask(hcp, { path: '/rest/a', authorization: null })
  await ask(hcp, { path: '/proc/statistics' })
  await ask(hcp, { method: 'POST', path: '/rest/a?index=false' })
  await put('c', 'y'.repeat(300_000))
  await ask(hcp, { path: '/rest/c' })
  await put('b', 'z')
  await ask(hcp, { method: 'DELETE', path: '/rest/b' })
  const [n1, n2, total, ...others] = await report('granularity=total')
  expect(others).toEqual([])
  expect(n1).toEqual({
    systemName: 'hcp1.test',
    tenantName: 'm',
    namespaceName: 'n1',
    startTime: '2026-03-28T22:00:00+0000',
    endTime: '2026-03-28T22:59:59+0000',
    valid: true,
    deleted: 'false',
    objectCount: 2,
    ingestedVolume: 301_000,
    storageCapacityUsed: 602_000,
    bytesIn: 301_001,
    bytesOut: 301_100,
    reads: 4,
    writes: 4,
    deletes: 1,
    multipartObjects: 0,
    multipartObjectParts: 0,
    multipartObjectBytes: 0,
    multipartUploads: 0,
    multipartUploadParts: 0,
    multipartUploadBytes: 0,
  })
  expect(numbers(n2!)).toEqual([0, 0, 0, 0, 0, 0, 0])
  expect(total).not.toHaveProperty('namespaceName')
  expect(numbers(total!)).toEqual(numbers(n1!))
  expect((await report('')).length).toBe(3)
  const one = await mapi.read('/tenants/m/namespaces/n1/chargebackReport', 'm')
  expect(one).toEqual({ chargebackData: [n1] })
})

test('a request belongs to the hour in which it is answered, and an hour keeps what there was at its end', async () => {
  await put('a', 'one')
  now += 1
  await put('b', 'four')
  now += 2 * hour
  await ask(hcp, { method: 'DELETE', path: '/rest/a' })
  const lines = await report('granularity=HOUR')
  const n1 = lines.filter(({ namespaceName }) => namespaceName === 'n1')
  expect(n1.map((line) => [line['startTime'], ...numbers(line)])).toEqual([
    ['2026-03-28T22:00:00+0000', 0, 1, 0, 3, 0, 1, 3],
    ['2026-03-28T23:00:00+0000', 0, 1, 0, 4, 0, 2, 7],
    ['2026-03-29T00:00:00+0000', 0, 0, 0, 0, 0, 2, 7],
    ['2026-03-29T01:00:00+0000', 0, 0, 1, 0, 0, 1, 4],
  ])
  // Namespaces by the alphabet, the tenant last, intervals ascending.
  expect(lines.map(({ namespaceName = '' }) => namespaceName)).toEqual(
    ['n1', 'n2', ''].flatMap((name) => [name, name, name, name]),
  )
  const days = (await report('granularity=day')).filter(({ namespaceName }) => namespaceName === 'n1')
  expect(days.map((line) => [line['startTime'], line['endTime'], ...numbers(line)])).toEqual([
    ['2026-03-28T00:00:00+0000', '2026-03-28T23:59:59+0000', 0, 2, 0, 7, 0, 2, 7],
    ['2026-03-29T00:00:00+0000', '2026-03-29T23:59:59+0000', 0, 0, 1, 0, 0, 1, 4],
  ])
})

test('times are widened to full hours and days, and a zone is one of an instant: 29 March has 23 hours in Berlin', async () => {
  for (let at = 0; at < 26; at++) {
    await put(`h${at}`, 'x')
    now += hour
  }
  const berlin = 'start=2026-03-29T00%3A00%3A00%2B0100&end=2026-03-29T23%3A59%3A59%2B0200'
  const hours = (await report(`${berlin}&granularity=hour`)).filter(
    ({ namespaceName }) => namespaceName === 'n1',
  )
  expect(hours.length).toBe(23)
  expect(hours[0]!['startTime']).toBe('2026-03-28T23:00:00+0000')
  expect(hours.at(-1)!['endTime']).toBe('2026-03-29T21:59:59+0000')
  expect(hours.every(({ writes }) => writes === 1)).toBe(true)
  const starts: [string, string, string][] = [
    // A full hour as the end is in it; an unescaped plus came as a blank; the colon may be there.
    ['start=2026-03-29T09:30:00+0000&end=2026-03-29T10:00:00+0000', '09:00:00', '10:59:59'],
    ['start=2026-03-29T09:30:00%2B00:00&end=2026-03-29T09:30:01%2B00:00', '09:00:00', '09:59:59'],
    ['start=2026-03-29T04:30:00-0530&end=2026-03-29T05:30:00-0530', '10:00:00', '11:59:59'],
  ]
  for (const [query, start, end] of starts) {
    const [line] = await report(query)
    expect([query, line!['startTime'], line!['endTime']]).toEqual([
      query,
      `2026-03-29T${start}+0000`,
      `2026-03-29T${end}+0000`,
    ])
  }
  const days = await report(`${berlin}&granularity=day`)
  expect(days.slice(0, 2).map(({ startTime }) => startTime)).toEqual([
    '2026-03-28T00:00:00+0000',
    '2026-03-29T00:00:00+0000',
  ])
})

test('180 days are kept, by the clock of the emulator', async () => {
  await put('a', 'x')
  now += 180 * 24 * hour
  await put('b', 'x')
  expect((await report('start=2020-01-01T00:00:00%2B0000'))[0]).toMatchObject({
    startTime: '2026-03-28T22:00:00+0000',
    writes: 2,
  })
  now += hour
  await put('c', 'x')
  expect((await report('start=2020-01-01T00:00:00%2B0000'))[0]).toMatchObject({
    startTime: '2026-03-28T23:00:00+0000',
    writes: 2,
    objectCount: 3,
  })
  const future = 'start=2027-01-01T00:00:00%2B0000'
  expect(await report(future)).toEqual([])
})

test.each([
  ['start=yesterday'],
  ['end=2026-03-28'],
  ['start=2026-03-28T00:00:00'],
  ['start=2026-13-28T00:00:00%2B0000'],
  ['start=2026-03-28T00:00:00%2B0000&end=2026-03-28T00:00:00%2B0000'],
  ['granularity=week'],
])('400 for %s', async (query) => {
  expect((await mapi.call({ path: `${path}?${query}`, host: 'm' })).status).toBe(400)
})

test('a system account without leave gets the total, with columns of its own', async () => {
  await put('a', 'x')
  const [total, ...others] = await report('', 'admin')
  expect(others).toEqual([])
  expect(total).toMatchObject({
    writes: 1,
    tieredObjects: 0,
    tieredBytes: 0,
    metadataOnlyObjects: 0,
    metadataOnlyBytes: 0,
    erasureCodedObjects: 0,
  })
  expect(total).not.toHaveProperty('namespaceName')
  expect((await mapi.call({ path: '/tenants/m/namespaces/n1/chargebackReport' })).status).toBe(403)
  await mapi.change('POST', '/tenants/m', { administrationAllowed: true }, 'm')
  expect((await report('', 'admin')).map(({ namespaceName }) => namespaceName)).toEqual([
    'n1',
    'n2',
    undefined,
  ])
})

test('CSV has a line of names in the documented order; XML has the same records', async () => {
  await put('a', 'x')
  const csv = await mapi.call({ path, host: 'm', headers: { accept: 'text/csv' } })
  expect(csv.headers['content-type']).toBe('text/csv')
  expect(csv.text.split('\n')).toEqual([
    'systemName,tenantName,namespaceName,startTime,endTime,objectCount,ingestedVolume,storageCapacityUsed,bytesIn,bytesOut,reads,writes,deletes,multipartObjects,multipartObjectParts,multipartObjectBytes,multipartUploads,multipartUploadParts,multipartUploadBytes,deleted,valid',
    'hcp1.test,m,n1,2026-03-28T22:00:00+0000,2026-03-28T22:59:59+0000,1,1,2,1,0,0,1,0,0,0,0,0,0,0,false,true',
    'hcp1.test,m,n2,2026-03-28T22:00:00+0000,2026-03-28T22:59:59+0000,0,0,0,0,0,0,0,0,0,0,0,0,0,0,false,true',
    'hcp1.test,m,,2026-03-28T22:00:00+0000,2026-03-28T22:59:59+0000,1,1,2,1,0,0,1,0,0,0,0,0,0,0,false,true',
    '',
  ])
  const system = await mapi.call({ path, headers: { accept: 'text/csv' } })
  expect(system.text.split('\n')[0]).toMatch(
    /,deleted,valid,tieredObjects,tieredBytes,metadataOnlyObjects,metadataOnlyBytes,erasureCodedObjects$/,
  )
  const xml = await mapi.call({ path, host: 'm', headers: { accept: 'application/xml' } })
  expect(xml.text).toContain('<chargebackReport><chargebackData><systemName>hcp1.test</systemName>')
  expect(xml.text.match(/<chargebackData>/g)).toHaveLength(3)
  expect((await mapi.call({ path: '/tenants', headers: { accept: 'text/csv' } })).status).toBe(415)
})

test('what a deleted namespace used is in the total, which says so; it has no report any more', async () => {
  await mapi.change('PUT', '/tenants/m/namespaces', { name: 'gone' }, 'm')
  await mapi.change('POST', '/tenants/m/namespaces/gone/protocols/http', { httpEnabled: true }, 'm')
  const permissions = { permission: ['WRITE', 'DELETE'] }
  const grant = { namespacePermission: [{ namespaceName: 'gone', permissions }] }
  await mapi.change('POST', '/tenants/m/userAccounts/n/dataAccessPermissions', grant, 'm')
  await put('a', 'x', 'gone')
  await ask(hcp, { method: 'DELETE', path: '/rest/a', host: 'gone.m.hcp1.test' })
  await mapi.change('DELETE', '/tenants/m/namespaces/gone', undefined, 'm')
  const lines = await report('')
  expect(lines.map(({ namespaceName }) => namespaceName)).toEqual(['n1', 'n2', undefined])
  expect(lines[2]).toMatchObject({ writes: 1, deletes: 1, objectCount: 0, deleted: 'included' })
  const none = { path: '/tenants/m/namespaces/gone/chargebackReport', host: 'm' }
  expect((await mapi.call(none)).status).toBe(404)
})

test('statistics of a namespace, and of all of a tenant', async () => {
  await put('a', 'x'.repeat(100))
  await put('a?type=custom-metadata&annotation=x', '<a/>')
  await put('b', 'x'.repeat(10), 'n2')
  const n1 = {
    objectCount: 1,
    ingestedVolume: 104,
    storageCapacityUsed: 208,
    customMetadataCount: 1,
    customMetadataSize: 4,
    shredCount: 0,
    shredSize: 0,
  }
  expect(await mapi.read('/tenants/m/namespaces/n1/statistics', 'm')).toEqual(n1)
  expect(await mapi.read('/tenants/m/statistics', 'm')).toEqual({
    ...n1,
    objectCount: 2,
    ingestedVolume: 114,
    storageCapacityUsed: 228,
  })
})

test('a report of very many lines is sent while it is made, in every form, and has the same lines', async () => {
  await put('a', 'x'.repeat(100))
  const query = 'granularity=hour&start=1970-01-01T00:00:00%2B0000'
  const short = await mapi.call({ path: `/tenants/m/namespaces/n1/chargebackReport?${query}`, host: 'm' })
  expect(short.headers['content-length']).toBeDefined()
  const expected = short.json['chargebackData'] as Line[]
  expect(expected).toHaveLength(180 * 24 + 1)
  const long = async (accept: string, more = ''): Promise<string> => {
    const reply = await mapi.call({ path: `${path}?${query}${more}`, host: 'm', headers: { accept } })
    expect([reply.status, reply.headers['content-length']]).toEqual([200, undefined])
    return reply.text
  }
  const lines = (JSON.parse(await long('application/json')) as { chargebackData: Line[] }).chargebackData
  expect(lines).toHaveLength(3 * expected.length)
  expect(lines.slice(0, expected.length)).toEqual(expected)
  const padded = await long('application/javascript', '&callback=read')
  expect([padded.slice(0, 24), padded.slice(-4)]).toEqual(['read({"chargebackData":[', '}]})'])
  const xml = await long('application/xml')
  expect(xml.startsWith('<?xml version="1.0" encoding="UTF-8"?><chargebackReport><chargebackData>')).toBe(
    true,
  )
  expect(xml.endsWith('</chargebackData></chargebackReport>')).toBe(true)
  expect(xml.match(/<objectCount>/g)).toHaveLength(lines.length)
  const csv = (await long('text/csv')).trimEnd().split('\n')
  expect(csv).toHaveLength(lines.length + 1)
  expect(csv.filter((line) => line.includes(',n1,'))).toHaveLength(expected.length)
  const bad = {
    path: `${path}?${query}&callback=1;2`,
    host: 'm',
    headers: { accept: 'application/javascript' },
  }
  expect((await mapi.call(bad)).status).toBe(400)
})
