import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RequestRecord } from '../request-log.ts'
import { accessLine, accessLogOf } from './access-log.ts'

const usual: RequestRecord = {
  sequence: 1,
  time: Date.UTC(2021, 4, 3, 8, 14, 55, 999),
  cluster: 'primary',
  node: 1,
  port: 'http',
  method: 'PUT',
  path: '/rest/scans/2021/0412.tif?a=b',
  status: 201,
  found: 201,
  bytes: 77,
  sent: 0,
  host: 'images.sales.hcp1.test:8080',
  client: '10.20.0.15',
  user: 'ingest01',
  httpVersion: '1.1',
  milliseconds: 33.6,
}
const form = /^(\S+) - (.+?) \[([^\]]+)\] "([^"]*)" (\d{3}) (\d+|-) (\S+) (\d+)$/

test.each<[string, Partial<RequestRecord>, string]>([
  [
    'client, user, time, request, status, bytes sent, namespace and tenant, milliseconds',
    {},
    '10.20.0.15 - ingest01 [03/May/2021:08:14:55 +0000] "PUT /rest/scans/2021/0412.tif?a=b HTTP/1.1" 201 0 images.sales 34',
  ],
  [
    'nobody in particular, from IPv6 and by HTTP/1.0',
    { client: '::1', user: null, method: 'GET', path: '/', status: 404, sent: 12, httpVersion: '1.0' },
    '::1 - - [03/May/2021:08:14:55 +0000] "GET / HTTP/1.0" 404 12 images.sales 34',
  ],
  [
    'the management API: the first part of the host',
    { port: 'mapi', path: '/mapi/logs?cancel', host: 'ADMIN.hcp1.test:9090' },
    '10.20.0.15 - ingest01 [03/May/2021:08:14:55 +0000] "PUT /mapi/logs?cancel HTTP/1.1" 201 0 admin 34',
  ],
  [
    'an answer that a fault kept back: the status that it had',
    { status: 0 },
    '10.20.0.15 - ingest01 [03/May/2021:08:14:55 +0000] "PUT /rest/scans/2021/0412.tif?a=b HTTP/1.1" 201 0 images.sales 34',
  ],
  [
    'no answer at all',
    { status: 0, found: 0 },
    '10.20.0.15 - ingest01 [03/May/2021:08:14:55 +0000] "PUT /rest/scans/2021/0412.tif?a=b HTTP/1.1" 500 0 images.sales 34',
  ],
  [
    'another host, and none',
    { host: 'elsewhere.example', path: '/' },
    '10.20.0.15 - ingest01 [03/May/2021:08:14:55 +0000] "PUT / HTTP/1.1" 201 0 elsewhere.example 34',
  ],
  [
    'a host in the request line',
    { path: 'http://n1.m.hcp1.test/rest/', host: '' },
    '10.20.0.15 - ingest01 [03/May/2021:08:14:55 +0000] "PUT http://n1.m.hcp1.test/rest/ HTTP/1.1" 201 0 n1.m 34',
  ],
  [
    'no host',
    { host: '', path: '/a"b' },
    '10.20.0.15 - ingest01 [03/May/2021:08:14:55 +0000] "PUT /a%22b HTTP/1.1" 201 0 - 34',
  ],
  [
    'a user with a blank, as bytes of UTF-8',
    { user: 'käthe k', path: '/' },
    '10.20.0.15 - k\u00c3\u00a4the k [03/May/2021:08:14:55 +0000] "PUT / HTTP/1.1" 201 0 images.sales 34',
  ],
])('%s', (_, changes, line) => {
  expect(accessLine({ ...usual, ...changes }, 'hcp1.test')).toBe(line)
  expect(line).toMatch(form)
})

test('a line is one line of its form, whatever the request', () => {
  const record = fc.record({
    user: fc.option(fc.string({ unit: 'binary' })),
    host: fc.string(),
    // What the parser of requests lets through.
    path: fc.string().map((path) => `/${path.replaceAll(' ', '')}"`),
    status: fc.constantFrom(0, 200, 503),
    found: fc.constantFrom(0, 200, 503),
  })
  fc.assert(
    fc.property(record, (changes) => {
      const line = accessLine({ ...usual, ...changes }, 'hcp1.test')
      expect(line).not.toMatch(/[\r\n]/)
      expect(line).toMatch(form)
    }),
  )
})

test.each([
  ['http', '/mapi/tenants', 'http_gateway_request.log'],
  ['https', '/rest/a', 'http_gateway_request.log'],
  ['mapi', '/mapi/tenants', 'mapi_gateway_request.log'],
  ['mapi', '/mapi?a', 'mapi_gateway_request.log'],
  ['mapi', 'https://admin.hcp1.test:9090/mapi/logs', 'mapi_gateway_request.log'],
  ['mapi', '/mapis', 'admin_request.log'],
  ['mapi', '/static/mapi-9_3_0.xsd', 'admin_request.log'],
] as const)('%s %s is in %s', (port, path, log) => {
  expect(accessLogOf({ ...usual, port, path })).toBe(log)
})
