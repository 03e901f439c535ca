import type { ChargebackRecord, Granularity, Long } from '@hcp/mapi'

const columns: readonly (readonly [title: string, cell: (record: ChargebackRecord) => string])[] = [
  ['objects', ({ objectCount }) => countOf(objectCount)],
  ['ingested', ({ ingestedVolume }) => sizeOf(ingestedVolume)],
  ['stored', ({ storageCapacityUsed }) => sizeOf(storageCapacityUsed)],
  ['in', ({ bytesIn }) => sizeOf(bytesIn)],
  ['out', ({ bytesOut }) => sizeOf(bytesOut)],
  ['reads', ({ reads }) => countOf(reads)],
  ['writes', ({ writes }) => countOf(writes)],
  ['deletes', ({ deletes }) => countOf(deletes)],
]

const widthOfName = 32
const width = 11

export const heading = (): string =>
  'tenant/namespace'.padEnd(widthOfName) + columns.map(([title]) => title.padStart(width)).join('')

/** One record as a line; where there are several intervals, with the beginning of its own. */
export function row(record: ChargebackRecord, granularity: Granularity = 'total'): string {
  const { scope, tenantName, namespaceName = '', startTime, valid, deleted } = record
  const name = scope === 'tenant' ? tenantName : `  ${namespaceName}`
  const when =
    granularity === 'total' ? '' : ` ${granularity === 'day' ? dayOf(startTime) : hourOf(startTime)}`
  const notes = [valid ? '' : ' incomplete', deleted === 'true' ? ' deleted' : ''].join('')
  return `${(name + when).padEnd(widthOfName)}${columns.map(([, cell]) => cell(record).padStart(width)).join('')}${notes}`
}

const hourOf = (start: Date): string => `${start.toISOString().slice(0, 16)}Z`

/** A day begins at midnight of the system's own zone, which a record does not tell: its noon has the same date nearly everywhere. */
const dayOf = (start: Date): string => new Date(start.getTime() + 12 * 3_600_000).toISOString().slice(0, 10)

export const countOf = (count: Long): string => count.toLocaleString('en-US')

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']

/** Bytes, in the largest unit of which there is one at least. */
export function sizeOf(bytes: Long): string {
  let value = Number(bytes)
  let unit = 0
  // What would be printed as 1024.0 belongs to the next unit.
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`
}
