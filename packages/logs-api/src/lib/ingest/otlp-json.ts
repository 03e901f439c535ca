import { Refusal } from '../http/refusal.ts'
import {
  checkDepth,
  checkRecords,
  doubleValue,
  identifier,
  integerValue,
  type OtlpAttributes,
  type OtlpRecord,
  type OtlpResource,
  type OtlpScope,
} from './otlp.ts'

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads an ExportLogsServiceRequest in OTLP's JSON: names in lowerCamelCase, ids in hexadecimal digits, enums as numbers, 64 bits as text or number.
 * Fields that it does not know are left out.
 * @throws {Refusal} 400 if a field has a wrong type, 413 if there are too many records.
 */
export function readJsonLogs(request: unknown): OtlpResource[] {
  let records = 0
  return list(fields(request, 'The body'), 'resourceLogs').map((logs): OtlpResource => ({
    attributes: attributes(optional(logs, 'resource'), 0),
    scopes: list(logs, 'scopeLogs').map((scopeLogs): OtlpScope => {
      const scope = optional(scopeLogs, 'scope')
      const logRecords = list(scopeLogs, 'logRecords')
      checkRecords((records += logRecords.length))
      return {
        name: text(scope, 'name'),
        version: text(scope, 'version'),
        attributes: attributes(scope, 0),
        records: logRecords.map(logRecord),
      }
    }),
  }))
}

function logRecord(record: Fields): OtlpRecord {
  return {
    time: nanoseconds(record, 'timeUnixNano'),
    observedTime: nanoseconds(record, 'observedTimeUnixNano'),
    severityNumber: small(record, 'severityNumber'),
    severityText: text(record, 'severityText'),
    body: record['body'] === undefined ? null : anyValue(record['body'], 0),
    attributes: attributes(record, 0),
    flags: small(record, 'flags') >>> 0,
    traceId: hexadecimal(record, 'traceId'),
    spanId: hexadecimal(record, 'spanId'),
    eventName: text(record, 'eventName'),
  }
}

function attributes(of: Fields, depth: number, name = 'attributes'): OtlpAttributes {
  return Object.fromEntries(
    list(of, name).map((pair) => [
      text(pair, 'key'),
      pair['value'] === undefined ? null : anyValue(pair['value'], depth),
    ]),
  )
}

function anyValue(value: unknown, depth: number): unknown {
  checkDepth(depth)
  if (value === null) return null
  const given = fields(value, 'A value')
  if (has(given, 'stringValue')) return text(given, 'stringValue')
  if (has(given, 'boolValue')) {
    if (typeof given['boolValue'] === 'boolean') return given['boolValue']
    throw wrong('boolValue', 'true or false')
  }
  if (has(given, 'intValue')) return integerValue(integer(given, 'intValue'))
  if (has(given, 'doubleValue')) return doubleValue(double(given['doubleValue']))
  if (has(given, 'arrayValue')) {
    const values = fields(given['arrayValue'], 'arrayValue')['values']
    if (values === undefined || values === null) return []
    if (!Array.isArray(values)) throw wrong('values', 'an array')
    return values.map((each) => anyValue(each, depth + 1))
  }
  if (has(given, 'kvlistValue')) {
    return attributes(fields(given['kvlistValue'], 'kvlistValue'), depth + 1, 'values')
  }
  if (has(given, 'bytesValue')) {
    const base64 = text(given, 'bytesValue')
    if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(base64)) throw wrong('bytesValue', 'base64')
    return Buffer.from(base64, 'base64').toString('base64')
  }
  return null
}

function has(value: Fields, name: string): boolean {
  return value[name] !== undefined && value[name] !== null
}

function fields(value: unknown, name: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw wrong(name, 'a JSON object')
}

function optional(of: Fields, name: string): Fields {
  return has(of, name) ? fields(of[name], name) : {}
}

function list(of: Fields, name: string): Fields[] {
  const value = of[name]
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw wrong(name, 'an array')
  return value.map((each: unknown) => fields(each, `Each of ${name}`))
}

function text(of: Fields, name: string): string {
  const value = of[name]
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw wrong(name, 'text')
  return value
}

/** Of 32 bits. */
function small(of: Fields, name: string): number {
  if (!has(of, name)) return 0
  const value = typeof of[name] === 'string' && /^-?\d{1,10}$/.test(of[name]) ? Number(of[name]) : of[name]
  if (typeof value === 'number' && Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 32)
    return value
  throw wrong(name, 'a whole number of 32 bits')
}

/** Of 64 bits. */
function integer(of: Fields, name: string): bigint {
  const value = of[name]
  const isInteger =
    typeof value === 'number'
      ? Number.isInteger(value)
      : typeof value === 'string' && /^-?\d{1,20}$/.test(value)
  if (isInteger) {
    const found = BigInt(value as number | string)
    if (found >= -(2n ** 63n) && found < 2n ** 64n) return found
  }
  throw wrong(name, 'a whole number of 64 bits, as text or number')
}

function double(value: unknown): number {
  if (typeof value === 'number') return value
  if (typeof value === 'string' && /^(?:NaN|-?Infinity|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(value)) {
    return Number(value)
  }
  throw wrong('doubleValue', 'a number')
}

/** As whole microseconds. */
function nanoseconds(of: Fields, name: string): number {
  if (!has(of, name)) return 0
  const value = integer(of, name)
  if (value < 0n) throw wrong(name, 'nanoseconds since 1970')
  return Number(value / 1000n)
}

function hexadecimal(of: Fields, name: string): string {
  const value = text(of, name)
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(value)) throw wrong(name, 'hexadecimal digits')
  return identifier(value)
}

function wrong(name: string, right: string): Refusal {
  return new Refusal(400, `${name} must be ${right}.`)
}
