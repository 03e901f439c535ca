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
import { ProtobufReader, readMessage, wire } from './protobuf.ts'

/**
 * Reads an ExportLogsServiceRequest (opentelemetry-proto 1: collector/logs, logs, resource, common).
 * @throws {Refusal} 400 if it is none, 413 if there are too many records.
 */
export function readProtobufLogs(bytes: Buffer): OtlpResource[] {
  try {
    return new Reading(bytes).request()
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(400, 'The body is no ExportLogsServiceRequest in protobuf.', { cause: error })
  }
}

class Reading {
  readonly #reader: ProtobufReader
  #records = 0

  constructor(bytes: Buffer) {
    this.#reader = new ProtobufReader(bytes)
  }

  request(): OtlpResource[] {
    const resources: OtlpResource[] = []
    readMessage(this.#reader, this.#reader.end, (field, type) => {
      if (field !== 1 || type !== wire.bytes) return false
      return this.#nested((end) => resources.push(this.#resourceLogs(end)))
    })
    return resources
  }

  #nested(read: (end: number) => void): true {
    return this.#reader.nested(read)
  }

  #resourceLogs(end: number): OtlpResource {
    let attributes: OtlpAttributes = {}
    const scopes: OtlpScope[] = []
    readMessage(this.#reader, end, (field, type) => {
      if (type !== wire.bytes) return false
      if (field === 1) return this.#nested((inner) => (attributes = this.#resource(inner)))
      if (field === 2) return this.#nested((inner) => scopes.push(this.#scopeLogs(inner)))
      return false
    })
    return { attributes, scopes }
  }

  #resource(end: number): OtlpAttributes {
    const attributes: [string, unknown][] = []
    readMessage(this.#reader, end, (field, type) => {
      if (field !== 1 || type !== wire.bytes) return false
      return this.#nested((inner) => attributes.push(this.#keyValue(inner, 0)))
    })
    return Object.fromEntries(attributes)
  }

  #scopeLogs(end: number): OtlpScope {
    let scope = { name: '', version: '', attributes: {} as OtlpAttributes }
    const records: OtlpRecord[] = []
    readMessage(this.#reader, end, (field, type) => {
      if (type !== wire.bytes) return false
      if (field === 1) return this.#nested((inner) => (scope = this.#scope(inner)))
      if (field !== 2) return false
      checkRecords(++this.#records)
      return this.#nested((inner) => records.push(this.#logRecord(inner)))
    })
    return { ...scope, records }
  }

  #scope(end: number): { name: string; version: string; attributes: OtlpAttributes } {
    let name = ''
    let version = ''
    const attributes: [string, unknown][] = []
    readMessage(this.#reader, end, (field, type) => {
      if (type !== wire.bytes) return false
      if (field === 1) name = this.#reader.text()
      else if (field === 2) version = this.#reader.text()
      else if (field === 3) this.#nested((inner) => attributes.push(this.#keyValue(inner, 0)))
      else return false
      return true
    })
    return { name, version, attributes: Object.fromEntries(attributes) }
  }

  #logRecord(end: number): OtlpRecord {
    const reader = this.#reader
    let time = 0
    let observedTime = 0
    let severityNumber = 0
    let severityText = ''
    let body: unknown = null
    let flags = 0
    let traceId = ''
    let spanId = ''
    let eventName = ''
    const attributes: [string, unknown][] = []
    readMessage(reader, end, (field, type) => {
      if (field === 1 && type === wire.fixed64) time = reader.nanoseconds()
      else if (field === 2 && type === wire.varint) severityNumber = reader.int32()
      else if (field === 3 && type === wire.bytes) severityText = reader.text()
      else if (field === 5 && type === wire.bytes) this.#nested((inner) => (body = this.#anyValue(inner, 0)))
      else if (field === 6 && type === wire.bytes) {
        this.#nested((inner) => attributes.push(this.#keyValue(inner, 0)))
      } else if (field === 8 && type === wire.fixed32) flags = reader.fixed32()
      else if (field === 9 && type === wire.bytes) traceId = reader.bytes().toString('hex')
      else if (field === 10 && type === wire.bytes) spanId = reader.bytes().toString('hex')
      else if (field === 11 && type === wire.fixed64) observedTime = reader.nanoseconds()
      else if (field === 12 && type === wire.bytes) eventName = reader.text()
      else return false
      return true
    })
    return {
      time,
      observedTime,
      severityNumber,
      severityText,
      body,
      attributes: Object.fromEntries(attributes),
      flags,
      traceId: identifier(traceId),
      spanId: identifier(spanId),
      eventName,
    }
  }

  #keyValue(end: number, depth: number): [string, unknown] {
    let key = ''
    let value: unknown = null
    readMessage(this.#reader, end, (field, type) => {
      if (type !== wire.bytes) return false
      if (field === 1) key = this.#reader.text()
      else if (field === 2) this.#nested((inner) => (value = this.#anyValue(inner, depth)))
      else return false
      return true
    })
    return [key, value]
  }

  #anyValue(end: number, depth: number): unknown {
    checkDepth(depth)
    const reader = this.#reader
    let value: unknown = null
    readMessage(reader, end, (field, type) => {
      if (field === 1 && type === wire.bytes) value = reader.text()
      else if (field === 2 && type === wire.varint) value = reader.bool()
      else if (field === 3 && type === wire.varint) value = integerValue(reader.int64())
      else if (field === 4 && type === wire.fixed64) value = doubleValue(reader.double())
      else if (field === 5 && type === wire.bytes)
        this.#nested((inner) => (value = this.#array(inner, depth + 1)))
      else if (field === 6 && type === wire.bytes)
        this.#nested((inner) => (value = this.#list(inner, depth + 1)))
      else if (field === 7 && type === wire.bytes) value = reader.bytes().toString('base64')
      else return false
      return true
    })
    return value
  }

  #array(end: number, depth: number): unknown[] {
    const values: unknown[] = []
    readMessage(this.#reader, end, (field, type) => {
      if (field !== 1 || type !== wire.bytes) return false
      return this.#nested((inner) => values.push(this.#anyValue(inner, depth)))
    })
    return values
  }

  #list(end: number, depth: number): OtlpAttributes {
    const pairs: [string, unknown][] = []
    readMessage(this.#reader, end, (field, type) => {
      if (field !== 1 || type !== wire.bytes) return false
      return this.#nested((inner) => pairs.push(this.#keyValue(inner, depth)))
    })
    return Object.fromEntries(pairs)
  }
}
