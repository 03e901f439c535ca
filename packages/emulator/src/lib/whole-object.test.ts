import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Emulator } from './emulator.ts'
import { startEmulator } from './emulator.ts'
import type { WireRequest } from './wire.testing.ts'
import { ask, openBlobFiles, statusOf, Wire } from './wire.testing.ts'

const query = '?type=whole-object&annotation=ticket'
const data = 'hello hcp\n'
const annotation = '<ticket id="7"/>'
const [n2, xml] = ['n2.m.hcp1.test', 'xml.m.hcp1.test']

let hcp: Emulator
beforeAll(async () => {
  const namespaces = [{ name: 'n1' }, { name: 'n2', versioning: true }, { name: 'xml', checkXml: true }]
  const users = [{ user: 'n', password: 'n01' }]
  hcp = await startEmulator({ nodes: 1, config: { tenants: [{ name: 'm', namespaces, users }] } })
})
afterAll(() => hcp.close())

let counter = 0
function put(body: string | Buffer, request: WireRequest = {}): WireRequest {
  const path = `/rest/whole/${++counter}.txt${query}`
  return { method: 'PUT', path, body, ...request, headers: { 'X-HCP-Size': '10', ...request.headers } }
}

const chunked = (body: Buffer): Buffer =>
  Buffer.concat([
    ...[body.subarray(0, 7), body.subarray(7)].flatMap((part) => [
      Buffer.from(`${part.length.toString(16)}\r\n`),
      part,
      Buffer.from('\r\n'),
    ]),
    Buffer.from('0\r\n\r\n'),
  ])
const both = Buffer.from(data + annotation)
const gzip = { 'Content-Encoding': 'gzip' }
const pieces = { 'Transfer-Encoding': 'chunked' }

test.each<[string, Buffer, Record<string, string>]>([
  ['with its length', both, {}],
  ['in chunks', chunked(both), pieces],
  ['compressed: the size is that before compression', gzipSync(both), gzip],
  ['compressed, in chunks', chunked(gzipSync(both)), { ...gzip, ...pieces }],
])('data and annotation come in %s', async (_, body, headers) => {
  const request = put(body, { headers })
  expect(await ask(hcp, request)).toMatchObject({
    status: 201,
    headers: {
      etag: '"1deda6a3fe1cdde8832d2b6c8f71e3ef"',
      'x-hcp-custommetadatahash': expect.stringMatching(/^SHA-256 [0-9A-F]{64}$/),
    },
  })
  const path = request.path!.split('?')[0]!
  expect((await ask(hcp, { path })).text).toBe(data)
  expect((await ask(hcp, { path: `${path}?type=custom-metadata&annotation=ticket` })).text).toBe(annotation)
})

test.each([
  [undefined, 'false', data + annotation],
  ['false', 'false', data + annotation],
  ['true', 'true', annotation + data],
])('X-HCP-CustomMetadataFirst: %s', async (first, said, text) => {
  const { path } = put('')
  await ask(hcp, put(both, { path: path! }))
  const order: Record<string, string> = first === undefined ? {} : { 'X-HCP-CustomMetadataFirst': first }
  for (const method of ['GET', 'HEAD']) {
    const got = await ask(hcp, { method, path: path!, headers: order })
    expect(got.text).toBe(method === 'GET' ? text : '')
    expect(got.headers).toMatchObject({
      'content-length': '26',
      'content-type': 'application/octet-stream',
      'x-hcp-size': '10',
      'x-hcp-datacontenttype': 'text/plain',
      'x-hcp-custommetadatacontenttype': 'unknown',
      'x-hcp-custommetadatafirst': said,
      'x-hcp-custommetadataannotations': 'ticket;16',
    })
  }
  const small = await ask(hcp, { path: path!, headers: { ...order, 'Accept-Encoding': 'gzip' } })
  expect(small.headers).toMatchObject({ 'content-encoding': 'gzip', 'x-hcp-contentlength': '26' })
  expect(small.headers).not.toHaveProperty('content-length')
  expect(gunzipSync(small.body).toString()).toBe(text)
})

test('either part may be empty', async () => {
  for (const [size, body] of [
    ['0', annotation],
    ['10', data],
  ] as const) {
    const request = put(body, { headers: { 'X-HCP-Size': size } })
    expect(await statusOf(hcp, request)).toBe(201)
    const got = await ask(hcp, { path: request.path! })
    expect(got).toMatchObject({ text: body, headers: { 'x-hcp-size': size } })
  }
})

test('a version has its own annotation', async () => {
  const { path } = put('')
  const old = (await ask(hcp, put(both, { path: path!, host: n2 }))).headers['x-hcp-versionid']
  await ask(hcp, put(`${data}<b/>`, { path: path!, host: n2 }))
  expect((await ask(hcp, { path: path!, host: n2 })).text).toBe(`${data}<b/>`)
  expect((await ask(hcp, { path: `${path}&version=${old}`, host: n2 })).text).toBe(data + annotation)
  const headers = { 'If-None-Match': '"1deda6a3fe1cdde8832d2b6c8f71e3ef"' }
  expect(await statusOf(hcp, { path: path!, host: n2, headers })).toBe(304)
})

test('what is checked says so', async () => {
  const request = put(both, { host: xml })
  await ask(hcp, request)
  const { headers } = await ask(hcp, { path: request.path!, host: xml })
  expect(headers['x-hcp-custommetadatacontenttype']).toBe('text/xml')
})

test.each<[string, Buffer, Record<string, string>]>([
  ['with its length', Buffer.from(`${data}<a>`), {}],
  ['compressed', gzipSync(`${data}<a>`), gzip],
  ['in chunks', chunked(Buffer.from(`${data}<a>`)), pieces],
])(
  'an annotation that is refused (%s) leaves an empty object, which may be replaced once',
  async (_, body, headers) => {
    const request = put(body, { host: xml, headers })
    expect(await statusOf(hcp, request)).toBe(400)
    const path = request.path!.split('?')[0]!
    const left = await ask(hcp, { path, host: xml })
    expect(left.headers).toMatchObject({ 'x-hcp-size': '0', 'x-hcp-custommetadataannotations': '' })
    expect(await statusOf(hcp, put(both, { path: request.path!, host: xml }))).toBe(201)
    expect(await statusOf(hcp, put(both, { path: request.path!, host: xml }))).toBe(409)
    expect((await ask(hcp, { path: request.path!, host: xml })).text).toBe(data + annotation)
  },
)

test('the empty object that a refused annotation leaves is not replaced while it is on hold', async () => {
  const request = put(`${data}<a>`, { host: xml })
  expect(await statusOf(hcp, request)).toBe(400)
  const path = request.path!.split('?')[0]!
  const again = put(both, { path: request.path!, host: xml })
  expect(await statusOf(hcp, { method: 'POST', path, host: xml, body: 'hold=true' })).toBe(200)
  expect(await statusOf(hcp, again)).toBe(409)
  expect(await statusOf(hcp, { method: 'POST', path, host: xml, body: 'hold=false' })).toBe(200)
  expect(await statusOf(hcp, again)).toBe(201)
})

test('an answer goes to its end though the object is deleted meanwhile, or its client goes', async () => {
  const large = 'x'.repeat(8 * 1024 * 1024)
  for (const goes of [false, true]) {
    const request = put(large + large, { headers: { 'X-HCP-Size': String(large.length) } })
    expect(await statusOf(hcp, request)).toBe(201)
    using wire = await Wire.to(hcp)
    wire.send({ path: request.path! })
    await wire.until((bytes) => bytes.length > 100_000)
    expect(await statusOf(hcp, { method: 'DELETE', path: request.path!.split('?')[0]! })).toBe(200)
    if (goes) wire.socket.destroy()
    else expect((await wire.answer()).body.length).toBe(2 * large.length)
    await expect.poll(openBlobFiles).toBe(0)
  }
})
