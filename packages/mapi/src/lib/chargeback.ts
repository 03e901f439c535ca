import { pipeline } from 'node:stream'
import type { HcpResponse } from '@hcp/connection'
import { checkOptions } from '@hcp/connection/support'
import { CsvError, parse } from 'csv-parse'
import { DocumentFault } from './document-node.ts'
import { factsOf, MapiDocumentError, requestOf } from './errors.ts'
import type { MapiCallOptions, MapiClient } from './mapi-client.ts'
import { mapiPath } from './mapi-path.ts'
import {
  boolean,
  type Long,
  long,
  mapped,
  nodeOfTexts,
  optional,
  record,
  type Schema,
  text,
  timestamp,
} from './schema.ts'
import { formatTimestamp } from './timestamp.ts'

/** How finely a report is cut: one record for the whole time, or one for each day or hour. */
export type Granularity = 'total' | 'day' | 'hour'

export type ChargebackFormat = 'csv' | 'json' | 'xml'

/** What to report. Times in milliseconds. */
export interface ChargebackOptions extends Omit<MapiCallOptions, 'params' | 'roles'> {
  /** From when on. HCP widens to full hours, or days, and keeps 180 days. Default: the earliest that it has. */
  readonly start?: Date
  /** Until when, included. Default: now; the hour that runs may be incomplete. */
  readonly end?: Date
  /** Default `total`. */
  readonly granularity?: Granularity
  /** Only this namespace of the tenant. Default: all of them, and the tenant. */
  readonly namespace?: string
  /**
   * The zone in which the times are told to HCP: `UTC`, or the zone of this process at those very instants. The instants are the same.
   * Default `UTC`.
   */
  readonly zone?: 'UTC' | 'local'
  /** Wait for the answer's head: HCP may take minutes to make a report. Default 600,000. */
  readonly headersTimeout?: number
  /** Longest pause inside the answer. Default 600,000. */
  readonly bodyTimeout?: number
}

/** Of a report as HCP wrote it. */
export interface ChargebackReportOptions extends ChargebackOptions {
  /** Default `csv`. */
  readonly format?: ChargebackFormat
}

/**
 * What one namespace, or the tenant with all of them, used in one interval. What a newer HCP reports beside this is kept under its name.
 *
 * @see HCP Management API Reference, "chargebackData"
 */
export interface ChargebackRecord {
  /** Whether it is about one namespace, or is the tenant's total. */
  readonly scope: 'namespace' | 'tenant'
  readonly systemName: string
  readonly tenantName: string
  /** Not in a tenant's total. */
  readonly namespaceName?: string
  /** Days begin at midnight of the system's own zone. */
  readonly startTime: Date
  readonly endTime: Date
  /** Objects, at the end of the interval, as all volumes and counts up to `bytesIn`. */
  readonly objectCount: Long
  /** Bytes that clients sent. */
  readonly ingestedVolume: Long
  /** Bytes in use, metadata and the copies of the data protection level included. */
  readonly storageCapacityUsed: Long
  /** Within the interval, as those up to `deletes`. */
  readonly bytesIn: Long
  readonly bytesOut: Long
  readonly reads: Long
  readonly writes: Long
  readonly deletes: Long
  /** Since HCP 8; at the end of the interval, as all that follow. */
  readonly multipartObjects?: Long
  readonly multipartObjectParts?: Long
  readonly multipartObjectBytes?: Long
  readonly multipartUploads?: Long
  readonly multipartUploadParts?: Long
  readonly multipartUploadBytes?: Long
  /** For system accounts only, as those that follow. */
  readonly tieredObjects?: Long
  readonly tieredBytes?: Long
  readonly metadataOnlyObjects?: Long
  readonly metadataOnlyBytes?: Long
  readonly erasureCodedObjects?: Long
  /** The namespace has been deleted since; `included`: the total includes some that were. */
  readonly deleted: 'true' | 'false' | 'included'
  /** False if some statistics could not be collected. */
  readonly valid: boolean
}

const deleted: Schema<ChargebackRecord['deleted']> = mapped(text(), 'true, false or included', (found) =>
  found === 'true' || found === 'false' || found === 'included' ? found : undefined,
)

const fields: Schema<Omit<ChargebackRecord, 'scope'>> = record({
  systemName: text(),
  tenantName: text(),
  namespaceName: optional(mapped(text(), 'a name', (found) => (found === '' ? undefined : found))),
  startTime: timestamp(),
  endTime: timestamp(),
  objectCount: long(),
  ingestedVolume: long(),
  storageCapacityUsed: long(),
  bytesIn: long(),
  bytesOut: long(),
  reads: long(),
  writes: long(),
  deletes: long(),
  multipartObjects: optional(long()),
  multipartObjectParts: optional(long()),
  multipartObjectBytes: optional(long()),
  multipartUploads: optional(long()),
  multipartUploadParts: optional(long()),
  multipartUploadBytes: optional(long()),
  tieredObjects: optional(long()),
  tieredBytes: optional(long()),
  metadataOnlyObjects: optional(long()),
  metadataOnlyBytes: optional(long()),
  erasureCodedObjects: optional(long()),
  deleted,
  valid: boolean(),
})

const mediaTypes: Readonly<Record<ChargebackFormat, string>> = {
  csv: 'text/csv',
  json: 'application/json',
  xml: 'application/xml',
}

/** A line of a report has some 25 columns. */
const longestLine = 65_536

const known: ReadonlySet<string> = new Set([
  'signal',
  'deadline',
  'headersTimeout',
  'bodyTimeout',
  'start',
  'end',
  'granularity',
  'namespace',
  'zone',
])
const knownOfReport: ReadonlySet<string> = new Set([...known, 'format'])

/** The report as HCP wrote it; its body streams, and is to be read or dumped. */
export async function chargebackReport(
  client: MapiClient,
  tenant: string,
  options: ChargebackReportOptions,
): Promise<HcpResponse> {
  checkOptions('Tenant.chargebackReport', options, knownOfReport)
  const { format = 'csv', start, end, granularity = 'total', namespace, zone = 'UTC', ...call } = options
  if (!Object.hasOwn(mediaTypes, format)) throw new RangeError('format must be "csv", "json" or "xml"')
  if (granularity !== 'total' && granularity !== 'day' && granularity !== 'hour') {
    throw new RangeError('granularity must be "total", "day" or "hour"')
  }
  for (const [name, date] of Object.entries({ start, end }))
    if (date !== undefined && !(date instanceof Date)) throw new TypeError(`${name} must be a Date`)
  const params = {
    start: start === undefined ? undefined : formatTimestamp(start, zone),
    end: end === undefined ? undefined : formatTimestamp(end, zone),
    granularity,
  }
  if (start !== undefined && end !== undefined && start.getTime() >= end.getTime()) {
    throw new RangeError('start must be before end')
  }
  const path =
    namespace === undefined
      ? mapiPath('tenants', tenant, 'chargebackReport')
      : mapiPath('tenants', tenant, 'namespaces', namespace, 'chargebackReport')
  return client.open('GET', path, {
    headersTimeout: 600_000,
    bodyTimeout: 600_000,
    ...call,
    params,
    accept: mediaTypes[format],
    roles: {
      system: ['MONITOR', 'ADMINISTRATOR'],
      tenant: ['MONITOR', 'ADMINISTRATOR'],
    },
  })
}

/** The report's records as they come in. A report that ends too early is an error, never an end. */
export async function* chargeback(
  client: MapiClient,
  tenant: string,
  options: ChargebackOptions,
): AsyncGenerator<ChargebackRecord, void> {
  checkOptions('Tenant.chargeback', options, known)
  const response = await chargebackReport(client, tenant, { ...options, format: 'csv' })
  const fault = (why: string, cause?: unknown): MapiDocumentError =>
    new MapiDocumentError(
      `The answer to ${requestOf(response)} is not HCP's chargeback report: ${why.slice(0, 300).replaceAll(/\s+/g, ' ')}.`,
      { ...factsOf(response), cause },
    )
  const type = response.header('content-type')
  if (type !== undefined && !/^text\/csv\b/i.test(type)) {
    void response.dump()
    throw fault(`it is ${type.slice(0, 80)}`)
  }
  if (response.header('content-length') === undefined && response.header('transfer-encoding') === undefined) {
    void response.dump()
    throw fault('it comes without a length, so nobody could tell whether it is whole')
  }
  const lines = parse({ bom: true, max_record_size: longestLine, skip_empty_lines: true })
  // What goes wrong here, or with the answer, is thrown to who reads the lines.
  const { body } = response
  pipeline(body, decoded, lines, () => {})
  let columns: readonly string[] | undefined
  let last: ChargebackRecord | undefined
  try {
    for await (const cells of lines as AsyncIterable<readonly string[]>) {
      if (columns === undefined) {
        columns = checkColumns(cells)
        continue
      }
      const found = fields.read(
        [nodeOfTexts(columns.map((name, index) => [name, cells[index] ?? '']))],
        'record',
      )
      last = { ...found, scope: found.namespaceName === undefined ? 'tenant' : 'namespace' }
      yield last
    }
  } catch (error) {
    if (error instanceof DocumentFault || error instanceof CsvError || isDecodingError(error)) {
      throw fault((error as Error).message, error)
    }
    throw error
  } finally {
    lines.destroy()
    body.destroy()
  }
  if (columns === undefined) throw fault('it is empty')
  if (last?.scope === 'namespace' && options.namespace === undefined) {
    throw fault("it ends before the tenant's total")
  }
}

async function* decoded(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let last = ''
  let unended = 0
  for await (const chunk of chunks) {
    const piece = decoder.decode(chunk, { stream: true })
    const text = last + piece
    const end = endOfLine(text)
    // The parser bounds what is in a line, but neither the number of its columns nor that of lines with nothing in them.
    unended = end === undefined ? unended + piece.length : text.length - end
    if (unended > 2 * longestLine) {
      throw new DocumentFault(
        `it goes on for more than ${2 * longestLine} characters without a line of a report`,
      )
    }
    last = text.slice(-1)
    yield piece
  }
  yield decoder.decode()
}

/** Where the last line with something in it ends. */
function endOfLine(text: string): number | undefined {
  let end = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r'))
  while (end > 0 && (text[end - 1] === '\n' || text[end - 1] === '\r')) end--
  return end > 0 ? end : undefined
}

function checkColumns(cells: readonly string[]): readonly string[] {
  const columns = cells.map((name) => name.trim())
  if (new Set(columns).size < columns.length) throw new DocumentFault('two columns have the same name')
  return columns
}

const isDecodingError = (error: unknown): boolean =>
  error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
