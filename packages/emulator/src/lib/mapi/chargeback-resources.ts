import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { Namespace } from '../namespace.ts'
import { Refusal } from '../refusal.ts'
import type { Tenant } from '../tenant.ts'
import { zonedTime } from '../times.ts'
import { keptHours } from '../usage.ts'
import { documentTypes, listPieces, negotiated } from './documents.ts'
import { textOf } from './fields.ts'
import type { DocumentFields, MapiAnswer, MapiExchange, Resource } from './resource.ts'
import { bothRead, namespaceOf, tenantOf, tenantReads } from './surroundings.ts'

const hour = 3_600_000

/** What one namespace, or all of a tenant, used in one interval. */
interface Sums {
  objectCount: number
  ingestedVolume: number
  storageCapacityUsed: number
  bytesIn: number
  bytesOut: number
  reads: number
  writes: number
  deletes: number
  valid: boolean
}

/** Hours since 1970, both included. */
interface Interval {
  readonly from: number
  readonly to: number
}

const columns = [
  'systemName',
  'tenantName',
  'namespaceName',
  'startTime',
  'endTime',
  'objectCount',
  'ingestedVolume',
  'storageCapacityUsed',
  'bytesIn',
  'bytesOut',
  'reads',
  'writes',
  'deletes',
  'multipartObjects',
  'multipartObjectParts',
  'multipartObjectBytes',
  'multipartUploads',
  'multipartUploadParts',
  'multipartUploadBytes',
  'deleted',
  'valid',
] as const
const systemColumns = [
  'tieredObjects',
  'tieredBytes',
  'metadataOnlyObjects',
  'metadataOnlyBytes',
  'erasureCodedObjects',
] as const

function sumsOf(namespace: Namespace, { from, to }: Interval): Sums {
  const { objectCount, ingested, capacity } = namespace.usage.at(to)
  const sums: Sums = {
    objectCount,
    ingestedVolume: ingested,
    storageCapacityUsed: capacity,
    bytesIn: 0,
    bytesOut: 0,
    reads: 0,
    writes: 0,
    deletes: 0,
    valid: true,
  }
  for (const each of namespace.usage.between(from, to)) {
    sums.bytesIn += each.bytesIn
    sums.bytesOut += each.bytesOut
    sums.reads += each.reads
    sums.writes += each.writes
    sums.deletes += each.deletes
    if (each.incomplete) sums.valid = false
  }
  return sums
}

function total(all: readonly Sums[]): Sums {
  const sum = (name: Exclude<keyof Sums, 'valid'>): number =>
    all.reduce((before, each) => before + each[name], 0)
  return {
    objectCount: sum('objectCount'),
    ingestedVolume: sum('ingestedVolume'),
    storageCapacityUsed: sum('storageCapacityUsed'),
    bytesIn: sum('bytesIn'),
    bytesOut: sum('bytesOut'),
    reads: sum('reads'),
    writes: sum('writes'),
    deletes: sum('deletes'),
    valid: all.every(({ valid }) => valid),
  }
}

/** Epoch milliseconds of `2021-05-01T00:00:00+0200`; the colon in the zone may be there. */
function timeOf(query: MapiExchange['query'], name: string): number | undefined {
  const text = query.get(name)
  if (text === undefined || text === '') return undefined
  // An unescaped plus has become a blank.
  const form = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})([ +-])(\d{2}):?(\d{2})$/.exec(text)
  const time =
    form === null ? NaN : Date.parse(`${form[1]}${form[2] === '-' ? '-' : '+'}${form[3]}:${form[4]}`)
  if (Number.isNaN(time)) throw new Refusal(400, `The value of the parameter '${name}' is invalid.`)
  return time
}

/** The intervals that a query asks for: within the time that is kept, and in full hours or days of the system. */
function intervalsOf({ query, system }: MapiExchange, namespaces: readonly Namespace[]): Interval[] {
  const granularity = (query.get('granularity') || 'total').toLowerCase()
  if (granularity !== 'hour' && granularity !== 'day' && granularity !== 'total')
    throw new Refusal(400, "The value of the parameter 'granularity' is invalid.")
  const [start, end] = [timeOf(query, 'start'), timeOf(query, 'end')]
  if (start !== undefined && end !== undefined && start >= end)
    throw new Refusal(400, "The value of the parameter 'start' is not before 'end'.")
  const now = Math.floor(system.now() / hour)
  const first = namespaces.reduce((least, { usage }) => Math.min(least, usage.first ?? now), now)
  const step = granularity === 'day' ? 24 : 1
  const last = Math.min(now, end === undefined ? now : Math.floor(end / hour))
  const begin = Math.max(now - keptHours, start === undefined ? first : Math.floor(start / hour))
  if (begin > last) return []
  const from = Math.floor(begin / step) * step
  const to = Math.floor(last / step) * step + step - 1
  if (granularity === 'total') return [{ from, to }]
  return Array.from({ length: (to - from + 1) / step }, (_, index) => {
    const at = from + index * step
    return { from: at, to: at + step - 1 }
  })
}

interface Entry {
  readonly namespace: Namespace | undefined
  readonly interval: Interval
  readonly sums: Sums
  readonly deleted: 'false' | 'included'
}

function* entriesOf(
  tenant: Tenant,
  shown: readonly Namespace[],
  intervals: readonly Interval[],
  withTotal: boolean,
): Generator<Entry> {
  const sorted = shown.toSorted((one, other) =>
    one.settings.name.toLowerCase() < other.settings.name.toLowerCase() ? -1 : 1,
  )
  for (const namespace of sorted) {
    for (const interval of intervals) {
      yield { namespace, interval, sums: sumsOf(namespace, interval), deleted: 'false' }
    }
  }
  if (!withTotal) return
  for (const interval of intervals) {
    const gone = tenant.deleted.filter(({ usage }) => usage.between(interval.from, interval.to).length > 0)
    const all = [...tenant.namespaces.values(), ...gone].map((namespace) => sumsOf(namespace, interval))
    yield {
      namespace: undefined,
      interval,
      sums: total(all),
      deleted: gone.length > 0 ? 'included' : 'false',
    }
  }
}

function recordOf({ system, bySystem }: MapiExchange, tenant: Tenant, entry: Entry): DocumentFields {
  const { namespace, interval, sums, deleted } = entry
  const { valid, ...numbers } = sums
  const early = Number(system.softwareVersion.split('.')[0]) < 8
  return {
    systemName: system.domain,
    tenantName: tenant.name,
    ...(namespace === undefined ? {} : { namespaceName: namespace.settings.name }),
    startTime: zonedTime(interval.from * hour),
    endTime: zonedTime((interval.to + 1) * hour - 1000),
    valid,
    deleted,
    ...numbers,
    // Nothing here comes in parts, and nothing goes elsewhere.
    ...(early ? {} : zeros(columns.slice(13, 19))),
    ...(bySystem ? zeros(systemColumns) : {}),
  }
}

function zeros(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, 0]))
}

function report(exchange: MapiExchange, shown: readonly Namespace[], withTotal: boolean): MapiAnswer {
  const { headers, query, bySystem, system } = exchange
  const type = negotiated(headers, [...documentTypes, 'text/csv'])
  const tenant = tenantOf(exchange)
  const intervals = intervalsOf(exchange, withTotal ? [...tenant.namespaces.values()] : shown)
  const records = recordsOf(exchange, tenant, entriesOf(tenant, shown, intervals, withTotal))
  const isLong = (shown.length + 1) * intervals.length > manyRecords
  if (type !== 'text/csv') {
    const [root, element] = ['chargebackReport', 'chargebackData']
    if (isLong)
      return {
        content: { type, body: streamed(listPieces(type, root, element, records, query.get('callback'))) },
      }
    return { document: { root, value: { [element]: [...records] } } }
  }
  const early = Number(system.softwareVersion.split('.')[0]) < 8
  const names = [
    ...columns.filter((name) => !early || !name.startsWith('multipart')),
    ...(bySystem ? systemColumns : []),
  ]
  const lines = linesOf(names, records)
  return { content: { type, body: isLong ? streamed(lines) : Buffer.from([...lines].join('')) } }
}

/** More than these are not all there at one time: a tenant may have thousands of namespaces, and 180 days thousands of hours. */
const manyRecords = 10_000

function* recordsOf(
  exchange: MapiExchange,
  tenant: Tenant,
  entries: Iterable<Entry>,
): Generator<DocumentFields> {
  for (const entry of entries) yield recordOf(exchange, tenant, entry)
}

function* linesOf(names: readonly string[], records: Iterable<DocumentFields>): Generator<string> {
  yield `${names.join(',')}\n`
  for (const record of records) yield `${names.map((name) => textOf(record[name] ?? '')).join(',')}\n`
}

function streamed(pieces: Iterable<string>): Readable {
  return Readable.from(chunks(pieces), { objectMode: false })
}

/** Pieces in such lengths that a connection is waited for, and others get their turn. */
async function* chunks(pieces: Iterable<string>): AsyncGenerator<Buffer> {
  let text = ''
  for (const piece of pieces) {
    text += piece
    if (text.length < 64 * 1024) continue
    yield Buffer.from(text)
    text = ''
    await setImmediate()
  }
  yield Buffer.from(text)
}

function statistics(namespaces: Iterable<Namespace>): MapiAnswer {
  const value = {
    objectCount: 0,
    ingestedVolume: 0,
    storageCapacityUsed: 0,
    customMetadataCount: 0,
    customMetadataSize: 0,
    shredCount: 0,
    shredSize: 0,
  }
  for (const namespace of namespaces) {
    const { objectCount, ingested, capacity } = namespace.usage.holdings
    value.objectCount += objectCount
    value.ingestedVolume += ingested
    value.storageCapacityUsed += capacity
    value.customMetadataCount += namespace.customMetadataObjectCount
    value.customMetadataSize += namespace.customMetadataObjectBytes
  }
  return { document: { root: 'statistics', value } }
}

export const chargebackResources: readonly Resource[] = [
  {
    path: '/tenants/:tenant/chargebackReport',
    operations: {
      GET: {
        allowed: bothRead,
        handle: (exchange) => {
          const { namespaces } = tenantOf(exchange)
          return report(exchange, exchange.byTenant ? [...namespaces.values()] : [], true)
        },
      },
    },
  },
  {
    path: '/tenants/:tenant/namespaces/:namespace/chargebackReport',
    operations: {
      GET: {
        allowed: tenantReads,
        handle: (exchange) => report(exchange, [namespaceOf(exchange)], false),
      },
    },
  },
  {
    path: '/tenants/:tenant/statistics',
    operations: {
      GET: { allowed: tenantReads, handle: (exchange) => statistics(tenantOf(exchange).namespaces.values()) },
    },
  },
  {
    path: '/tenants/:tenant/namespaces/:namespace/statistics',
    operations: {
      GET: { allowed: tenantReads, handle: (exchange) => statistics([namespaceOf(exchange)]) },
    },
  },
]
