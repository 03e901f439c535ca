import { gzipSync } from 'node:zlib'
import { startPostgres, type Postgres } from '@hcp/postgres'
import * as fc from 'fast-check'
import protobuf from 'protobufjs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Entry } from '../entries/entry.ts'
import { Refusal } from '../http/refusal.ts'
import { startTestService, type TestService } from '../http/service.testing.ts'
import { bearer } from '../http/token.testing.ts'
import { readJsonLogs } from './otlp-json.ts'
import { readProtobufLogs } from './otlp-protobuf.ts'

// A second reading of opentelemetry-proto 1, by the library's own reflection.
const root = protobuf.parse(
  `syntax = "proto3";
  message ExportLogsServiceRequest { repeated ResourceLogs resource_logs = 1; }
  message ExportLogsServiceResponse { ExportLogsPartialSuccess partial_success = 1; }
  message ExportLogsPartialSuccess { int64 rejected_log_records = 1; string error_message = 2; }
  message Status { int32 code = 1; string message = 2; }
  message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3; }
  message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
  message ScopeLogs { InstrumentationScope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; }
  message InstrumentationScope { string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4; }
  message LogRecord {
    fixed64 time_unix_nano = 1; int32 severity_number = 2; string severity_text = 3; AnyValue body = 5;
    repeated KeyValue attributes = 6; uint32 dropped_attributes_count = 7; fixed32 flags = 8; bytes trace_id = 9;
    bytes span_id = 10; fixed64 observed_time_unix_nano = 11; string event_name = 12;
  }
  message AnyValue { oneof value {
    string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
    ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7;
  } }
  message ArrayValue { repeated AnyValue values = 1; }
  message KeyValueList { repeated KeyValue values = 1; }
  message KeyValue { string key = 1; AnyValue value = 2; }`,
).root

function encode(type: string, value: object): Buffer {
  const message = root.lookupType(type)
  return Buffer.from(message.encode(message.fromObject(value)).finish())
}

function decode(type: string, bytes: Uint8Array): Record<string, unknown> {
  const message = root.lookupType(type)
  return message.toObject(message.decode(bytes), { longs: String })
}

const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)
// Microseconds beyond are no numbers any more: such records are refused.
const nanoseconds = fc.bigInt({ min: 0n, max: 9_007_199_254_740_991_999n }).map(String)
const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array))
const identifier = (length: number): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.constant(Buffer.alloc(0)),
      fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array)),
    )
    .map((buffer) => buffer.toString('hex'))

const { value: anyValue } = fc.letrec<{ value: object; pair: object }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.record({ stringValue: text }),
    fc.record({ boolValue: fc.boolean() }),
    fc.record({ intValue: int64 }),
    fc.record({ doubleValue: fc.oneof(fc.double(), fc.constantFrom('NaN', 'Infinity', '-Infinity')) }),
    fc.record({ bytesValue: bytes.map((buffer) => buffer.toString('base64')) }),
    fc.constant({}),
    fc.record({ arrayValue: fc.record({ values: fc.array(tie('value'), { maxLength: 3 }) }) }),
    fc.record({ kvlistValue: fc.record({ values: fc.array(tie('pair'), { maxLength: 3 }) }) }),
  ),
  pair: fc.record({ key: text, value: tie('value') }, { requiredKeys: ['key'] }),
}))
const attributes = fc.array(fc.record({ key: text, value: anyValue }), { maxLength: 3 })

const logRecord = fc.record(
  {
    timeUnixNano: nanoseconds,
    observedTimeUnixNano: nanoseconds,
    severityNumber: fc.integer({ min: 0, max: 30 }),
    severityText: text,
    body: anyValue,
    attributes,
    flags: fc.nat(2 ** 32 - 1),
    traceId: identifier(16),
    spanId: identifier(8),
    eventName: text,
  },
  { requiredKeys: [] },
)
const request = fc.record({
  resourceLogs: fc.array(
    fc.record(
      {
        resource: fc.record({ attributes }),
        scopeLogs: fc.array(
          fc.record(
            {
              scope: fc.record({ name: text, version: text, attributes }, { requiredKeys: [] }),
              logRecords: fc.array(logRecord, { maxLength: 3 }),
            },
            { requiredKeys: [] },
          ),
          { maxLength: 3 },
        ),
      },
      { requiredKeys: [] },
    ),
    { maxLength: 3 },
  ),
})

/** The library takes base64 and numbers where OTLP's JSON has hexadecimal digits and words. */
function forLibrary(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(forLibrary)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]: [string, unknown]) => {
      if (key === 'traceId' || key === 'spanId') return [key, Buffer.from(inner as string, 'hex')]
      if (key === 'bytesValue') return [key, Buffer.from(inner as string, 'base64')]
      if (key === 'doubleValue') return [key, Number(inner)]
      return [key, forLibrary(inner)]
    }),
  )
}

/** JSON has no negative zero, nor has what is stored. */
const comparable = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

test('any request means the same in protobuf and in JSON', () => {
  fc.assert(
    fc.property(request, (sent) => {
      const json = comparable(sent)
      const fromJson = readJsonLogs(json)
      const fromProtobuf = readProtobufLogs(encode('ExportLogsServiceRequest', forLibrary(json) as object))
      expect(comparable(fromProtobuf)).toEqual(comparable(fromJson))
    }),
    { numRuns: 200 },
  )
})

const small = {
  resourceLogs: [
    {
      resource: { attributes: [{ key: 'k', value: { stringValue: 'v' } }] },
      scopeLogs: [
        {
          scope: { name: 's' },
          logRecords: [
            {
              body: {
                kvlistValue: { values: [{ key: 'a', value: { arrayValue: { values: [{ intValue: 7 }] } } }] },
              },
            },
          ],
        },
      ],
    },
  ],
}

test('whatever bytes come are read, or refused with 400', () => {
  const valid = encode('ExportLogsServiceRequest', small)
  const read = (body: Buffer): void => {
    try {
      readProtobufLogs(body)
    } catch (error) {
      expect(error).toBeInstanceOf(Refusal)
      expect((error as Refusal).status).toBe(400)
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (array) => read(Buffer.from(array))))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (changes) => {
        const body = Buffer.from(valid)
        for (const [place, byte] of changes) body[place] = byte
        read(body)
      },
    ),
  )
  for (let end = 0; end < valid.length; end++) read(valid.subarray(0, end))
})

function wrap(tag: number, inner: Buffer): Buffer {
  return Buffer.from(protobuf.Writer.create().uint32(tag).bytes(inner).finish())
}

test('values without end are refused in both encodings', () => {
  let bottom: object = { stringValue: 'x' }
  for (let depth = 0; depth < 150; depth++) bottom = { arrayValue: { values: [bottom] } }
  const sent = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: bottom }] }] }] }
  const message = 'Values can be nested 100 levels deep at most.'
  expect(() => readJsonLogs(sent)).toThrow(message)
  // Groups, which the format had once, nest without lengths.
  expect(() => readProtobufLogs(Buffer.alloc(1_000_000, 0x1b))).toThrow('no ExportLogsServiceRequest')
  let nested: Buffer = Buffer.of(0x0a, 0x01, 0x78)
  for (let depth = 0; depth < 150; depth++) nested = wrap(0x2a, wrap(0x0a, nested))
  for (const tag of [0x2a, 0x12, 0x12, 0x0a]) nested = wrap(tag, nested)
  expect(() => readProtobufLogs(nested)).toThrow(message)
})

test('records beyond 200,000 are refused', () => {
  const many = {
    resourceLogs: [{ scopeLogs: [{ logRecords: Array.from({ length: 200_001 }, () => ({})) }] }],
  }
  expect(() => readJsonLogs(many)).toThrow('Send 200000 log records at most')
  const empty = Buffer.alloc(2 * 200_001, Buffer.of(0x12, 0))
  expect(() => readProtobufLogs(wrap(0x0a, wrap(0x12, empty)))).toThrow('200000')
})

test.each([
  [{ severityNumber: 'SEVERITY_NUMBER_INFO' }, 'severityNumber must be a whole number of 32 bits.'],
  [{ severityNumber: 1.5 }, 'severityNumber must be a whole number of 32 bits.'],
  [{ timeUnixNano: 'now' }, 'timeUnixNano must be a whole number of 64 bits, as text or number.'],
  [{ timeUnixNano: -1 }, 'timeUnixNano must be nanoseconds since 1970.'],
  [{ traceId: 'xyz' }, 'traceId must be hexadecimal digits.'],
  [{ body: 'text' }, 'A value must be a JSON object.'],
  [{ body: { intValue: '1e3' } }, 'intValue must be a whole number of 64 bits, as text or number.'],
  [{ body: { bytesValue: '***' } }, 'bytesValue must be base64.'],
  [{ attributes: {} }, 'attributes must be an array.'],
])('in JSON the record %j is refused: %s', (record, message) => {
  expect(() => readJsonLogs({ resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] })).toThrow(message)
})

let postgres: Postgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(async () => {
  await postgres[Symbol.asyncDispose]()
})

const admin = bearer({ roles: ['admin'] })
const json = { 'content-type': 'application/json' }
const binary = { 'content-type': 'application/x-protobuf' }

function records(...logRecords: object[]): { resourceLogs: object[] } {
  return { resourceLogs: [{ scopeLogs: [{ logRecords }] }] }
}

describe.each(['sqlite', 'postgres'] as const)('OTLP on %s', (store) => {
  let started: TestService
  beforeAll(async () => {
    const database = store === 'sqlite' ? 'sqlite::memory:' : await postgres.database()
    started = await startTestService({ database })
  })
  afterAll(async () => {
    await started[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    for await (const _ of started.service.context.entries.removeAll({}));
  })

  function send(body: string | Buffer, headers: Record<string, string>): Promise<Response> {
    return fetch(`${started.url}/v1/logs`, { method: 'POST', headers: { ...admin, ...headers }, body })
  }
  function stored(): Promise<Entry[]> {
    return Array.fromAsync(started.service.context.entries.read({}, { order: 'asc', data: true }))
  }

  test.each(['JSON', 'protobuf'])('a record in %s becomes an entry, field by field', async (encoding) => {
    const sent = {
      resourceLogs: [
        {
          resource: {
            attributes: [
              { key: 'service.name', value: { stringValue: 'shop' } },
              { key: 'service.instance.id', value: { stringValue: 'shop-1' } },
            ],
          },
          scopeLogs: [
            {
              scope: { name: 'checkout', version: '1.2' },
              logRecords: [
                {
                  timeUnixNano: '1772619072000345678',
                  severityNumber: 17,
                  severityText: 'Error',
                  body: { stringValue: 'no money' },
                  traceId: '0AF7651916CD43DD8448EB211C80319C',
                  spanId: 'b7ad6b7169203331',
                  flags: 1,
                  attributes: [
                    { key: 'n', value: { intValue: '9007199254740993' } },
                    {
                      key: 'list',
                      value: { arrayValue: { values: [{ boolValue: true }, { doubleValue: 1.5 }] } },
                    },
                    { key: 'bytes', value: { bytesValue: 'AQID' } },
                  ],
                  unknownField: 1,
                },
                {
                  observedTimeUnixNano: 1772619073000000000,
                  body: { kvlistValue: { values: [{ key: 'a', value: { intValue: 1 } }] } },
                },
                {
                  body: { stringValue: 'at once' },
                  attributes: [{ key: 'log.iostream', value: { stringValue: 'stderr' } }],
                },
              ],
            },
          ],
        },
      ],
    }
    const before = Date.now() * 1000
    const response =
      encoding === 'JSON'
        ? await send(gzipSync(JSON.stringify(sent)), { ...json, 'content-encoding': 'gzip' })
        : await send(encode('ExportLogsServiceRequest', forLibrary(sent) as object), binary)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(
      encoding === 'JSON' ? /^application\/json/ : /^application\/x-protobuf$/,
    )
    expect(await response.text()).toBe(encoding === 'JSON' ? '{}' : '')
    const [first, second, third] = await stored()
    expect(first).toMatchObject({
      dataset_id: 'shop',
      task_id: 'shop-1',
      name: 'checkout',
      data: 'no money',
      timestamp: 1772619072000345,
      severity: 17,
      fields: {
        severity: 17,
        severity_text: 'Error',
        trace_id: '0af7651916cd43dd8448eb211c80319c',
        span_id: 'b7ad6b7169203331',
        flags: 1,
        attributes: { n: '9007199254740993', list: [true, 1.5], bytes: 'AQID' },
        resource: { 'service.name': 'shop', 'service.instance.id': 'shop-1' },
        scope: { name: 'checkout', version: '1.2' },
      },
    })
    expect(second).toMatchObject({ data: '{"a":1}', timestamp: 1772619073000000, severity: null })
    expect(third).toMatchObject({ data: 'at once', name: 'stderr' })
    expect(third!.timestamp).toBeGreaterThanOrEqual(before)
  })

  test('the attributes of ours come before those of OpenTelemetry', async () => {
    const attribute = (key: string, value: string): object => ({ key, value: { stringValue: value } })
    const attributes = [
      attribute('service.name', 'shop'),
      attribute('hcp.dataset_id', 'd1'),
      attribute('hcp.task_id', 't1'),
      attribute('service.instance.id', 'i'),
    ]
    const sent = { resourceLogs: [{ resource: { attributes }, scopeLogs: [{ logRecords: [{}] }] }] }
    expect((await send(JSON.stringify(sent), json)).status).toBe(200)
    expect(await stored()).toMatchObject([{ dataset_id: 'd1', task_id: 't1', name: 'log', data: '' }])
  })

  test('what cannot be stored is refused by number and reason, the rest is stored', async () => {
    const sent = records({ body: { stringValue: 'good' } }, { severityNumber: 99 }, { severityNumber: -4 })
    const response = await send(JSON.stringify(sent), json)
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        partialSuccess: {
          rejectedLogRecords: '2',
          errorMessage: expect.stringContaining('severity must be a number from 1 to 24') as string,
        },
      },
    ])
    const inProtobuf = await send(encode('ExportLogsServiceRequest', sent), binary)
    expect(decode('ExportLogsServiceResponse', new Uint8Array(await inProtobuf.arrayBuffer()))).toMatchObject(
      {
        partialSuccess: { rejectedLogRecords: '2' },
      },
    )
    expect((await stored()).map(({ data }) => data)).toEqual(['good', 'good'])
  })

  test('a user gets stored what goes to datasets that they may write to', async () => {
    const { rights } = started.service.context
    await rights.set('mine', { read_groups: [], write_groups: [], read_users: [], write_users: ['ann'] })
    const of = (dataset: string): object => ({
      resource: { attributes: [{ key: 'hcp.dataset_id', value: { stringValue: dataset } }] },
      scopeLogs: [{ logRecords: [{ body: { stringValue: dataset } }] }],
    })
    const response = await send(JSON.stringify({ resourceLogs: [of('mine'), of('theirs'), of('')] }), {
      ...json,
      ...bearer({ roles: ['user'], user: 'ann' }),
    })
    expect(await response.json()).toMatchObject({ partialSuccess: { rejectedLogRecords: '2' } })
    expect((await stored()).map(({ data }) => data)).toEqual(['mine'])
  })

  test('the same request under the same key stores nothing twice', async () => {
    const sent = encode('ExportLogsServiceRequest', records({}, {}))
    for (let time = 0; time < 2; time++) {
      const response = await send(sent, { ...binary, 'idempotency-key': 'otlp-1' })
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-protobuf'])
    }
    expect(await stored()).toHaveLength(2)
  })

  test.each([
    ['no JSON', '{', json, 400],
    ['no protobuf', Buffer.from([0x0a]), binary, 400],
    ['an unknown type', 'x', { 'content-type': 'text/plain' }, 415],
    ['an unknown packing', '{}', { ...json, 'content-encoding': 'br' }, 415],
    ['more than 20 MiB', Buffer.alloc(20 * 1024 * 1024 + 1, 0x20), json, 413],
    [
      'more than 20 MiB, unpacked',
      gzipSync(Buffer.alloc(20 * 1024 * 1024 + 1)),
      { ...binary, 'content-encoding': 'gzip' },
      413,
    ],
    ['no token, in JSON', '{}', { ...json, authorization: '' }, 401],
    ['no token, in protobuf', Buffer.alloc(0), { ...binary, authorization: '' }, 401],
  ])('%s is refused with a status message of the same type', async (_name, body, headers, status) => {
    const response = await send(body, headers)
    expect(response.status).toBe(status)
    const isProtobuf = headers['content-type'] === 'application/x-protobuf'
    const answer = Buffer.from(await response.arrayBuffer())
    const { message } = isProtobuf
      ? decode('Status', answer)
      : (JSON.parse(answer.toString()) as { message: string })
    expect(message).toMatch(/\.$/)
  })
})
