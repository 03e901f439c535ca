import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Emulator } from '../emulator.ts'
import { startEmulator } from '../emulator.ts'
import { MapiTester } from './mapi.testing.ts'

let hcp: Emulator
let mapi: MapiTester
beforeAll(async () => {
  hcp = await startEmulator({ nodes: 2, choices: { logPreparationMs: 1 }, now: () => 1_770_000_000_000 })
  mapi = new MapiTester(hcp)
})
afterAll(async () => {
  await mapi[Symbol.asyncDispose]()
  await hcp.close()
})

test('statistics of nodes have one entry each, with its address', async () => {
  const { requestTime, nodes } = (await mapi.read('/nodes/statistics')) as {
    requestTime: number
    nodes: { node: Record<string, unknown>[] }
  }
  expect(requestTime).toBe(1_770_000_000_000)
  expect(nodes.node.map(({ nodeNumber, frontendIpAddresses }) => [nodeNumber, frontendIpAddresses])).toEqual([
    [101, { ipAddress: [hcp.nodes[0]] }],
    [102, { ipAddress: [hcp.nodes[1]] }],
  ])
  expect(nodes.node[0]).toMatchObject({ volumes: { volume: [{ id: 'example01' }] }, maxHttpConnections: 255 })
})

test('statistics of services say that none has run', async () => {
  const { services } = (await mapi.read('/services/statistics')) as {
    services: { service: Record<string, unknown>[] }
  }
  expect(services.service.length).toBe(15)
  expect(services.service[0]).toMatchObject({ state: 'READY', startTime: -1, formattedStartTime: '-1' })
})

test('licences: the last one, or all with verbose', async () => {
  const headers = { 'content-type': 'text/html' }
  expect(await mapi.read('/storage/licenses')).toMatchObject({ license: [{ feature: 'Premium' }] })
  const put = { method: 'PUT' as const, path: '/storage/licenses', headers }
  expect((await mapi.call({ ...put, body: 'a key' })).status).toBe(200)
  expect((await mapi.call(put)).status).toBe(400)
  expect((await mapi.call({ ...put, body: 'x'.repeat(300_000) })).status).toBe(400)
  expect((await mapi.call({ ...put, body: 'x', headers: { 'content-type': '' } })).status).toBe(415)
  expect(((await mapi.read('/storage/licenses'))['license'] as unknown[]).length).toBe(1)
  const { license } = (await mapi.read('/storage/licenses?verbose=true')) as { license: unknown[] }
  expect(license).toMatchObject([{ uploadDate: 'Feb 2, 2026' }, { serialNumber: '00001' }])
})

test('the network setting, by document and by parameter', async () => {
  expect(await mapi.read('/network')).toEqual({ downstreamDNSMode: 'BASIC' })
  await mapi.change('POST', '/network', { downstreamDNSMode: 'advanced' })
  expect(await mapi.read('/network')).toEqual({ downstreamDNSMode: 'ADVANCED' })
  await mapi.change('POST', '/network?downstreamDNSMode=BASIC')
  expect(await mapi.read('/network')).toEqual({ downstreamDNSMode: 'BASIC' })
  expect((await mapi.call({ method: 'POST', path: '/network', body: {} })).status).toBe(400)
  expect((await mapi.call({ method: 'POST', path: '/network?downstreamDNSMode=x' })).status).toBe(400)
})

test('credentials for support', async () => {
  expect(await mapi.read('/supportaccesscredentials')).toEqual({ type: 'Default', defaultKeyType: 'Default' })
  const path = '/supportaccesscredentials'
  const headers = { 'content-type': 'application/octet-stream' }
  expect((await mapi.call({ method: 'PUT', path, body: 'keys', headers })).status).toBe(200)
  expect(await mapi.read(path)).toMatchObject({ type: 'Exclusive', applyTimeStamp: 1_770_000_000 })
})

describe('a health check report', () => {
  const status = (): Promise<Record<string, unknown>> => mapi.read('/healthCheckReport')
  const post = async (path: string, body?: object): Promise<number> =>
    (await mapi.call({ method: 'POST', path: `/healthCheckReport${path}`, ...(body && { body }) })).status

  test('is prepared, downloaded, and forgotten', async () => {
    const nothing = { readyForStreaming: false, streamingInProgress: false, error: false, started: false }
    expect(await status()).toEqual({ ...nothing, content: 'HCR' })
    expect(await post('/download', {})).toBe(400)
    expect(await post('/prepare', { startDate: '13/01/2026' })).toBe(400)
    expect(await post('/prepare', { startDate: '02/01/2026', endDate: '12/31/2025' })).toBe(400)
    expect(await post('/prepare', { exactTime: '24:00' })).toBe(400)
    expect(await post('/prepare', { startDate: '12/31/2025', endDate: '02/01/2026' })).toBe(200)
    expect(await post('/prepare', {})).toBe(400)
    while ((await status())['readyForStreaming'] !== true) await wait(1)
    expect(await post('/download', { nodes: '101,103' })).toBe(400)
    const call = { method: 'POST' as const, path: '/healthCheckReport/download', body: { nodes: '102' } }
    const zip = await mapi.call(call)
    expect(zip.headers).toMatchObject({
      'content-type': 'application/zip',
      'content-disposition': 'attachment; filename=HCPHealthCheckReport_hcp1.test_20260202.zip',
    })
    expect(zip.text.startsWith('PK')).toBe(true)
    expect([zip.text.includes('node-102'), zip.text.includes('node-101')]).toEqual([true, false])
    expect(await status()).toMatchObject({ readyForStreaming: true, started: true })
    expect(await post('')).toBe(400)
    expect(await post('?cancel')).toBe(200)
    expect(await status()).toEqual({ ...nothing, content: 'HCR' })
    expect(await post('/prepare', {})).toBe(200)
    expect(await post('/cancel')).toBe(200)
    expect(await status()).toEqual({ ...nothing, content: 'HCR' })
  })
})
