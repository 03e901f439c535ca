import { createHash } from 'node:crypto'

/** A line of a log as jobs write them, with what the service is told of it. */
export interface SampleEntry {
  readonly dataset_id: string
  readonly task_id: string
  readonly name: string
  readonly data: string
  /** ISO 8601, UTC. */
  readonly timestamp: string
}

const names = ['stdlog', 'stdout', 'stderr']
const verbs = 'copied verified skipped opened closed listed stored deleted renamed hashed'.split(' ')
const things = 'object folder version annotation retention hold quota link node tenant'.split(' ')
export const datasets = 10
/** Entries of each task. */
export const perTask = 20
const began = Date.UTC(2026, 0, 1)

/** The entry of this number: about 120 characters, always the same. */
export function sampleEntry(number: number): SampleEntry {
  const task = Math.floor(number / perTask)
  const verb = verbs[(number * 7) % verbs.length]
  const thing = things[(number * 3 + task) % things.length]
  const time = began + number * 10
  return {
    dataset_id: `dataset${task % datasets}`,
    task_id: `task${task}`,
    name: names[number % names.length] as string,
    data: `${verb} ${thing} /rest/batch/${task}/file${number}.bin of ${(number * 7919) % 1e6} bytes in ${number % 997} ms on node ${number % 16}, attempt ${number % 3}\n`,
    timestamp: `${new Date(time).toISOString().slice(0, -1)}000`,
  }
}

/** As lines of JSON, in pieces of many lines. */
export function* sampleLines(first: number, count: number): Generator<Buffer> {
  const atOnce = 500
  for (let at = first; at < first + count; at += atOnce) {
    let text = ''
    for (let number = at; number < Math.min(at + atOnce, first + count); number++)
      text += `${JSON.stringify(sampleEntry(number))}\n`
    yield Buffer.from(text)
  }
}

/** 0 to 4,095, as the service spreads datasets. */
export const bucketOf = (dataset: string): number =>
  Number.parseInt(createHash('sha256').update(dataset).digest('hex').slice(0, 3), 16)

const buckets = new Map(
  Array.from({ length: datasets }, (_, index) => [`dataset${index}`, bucketOf(`dataset${index}`)]),
)

/** The columns that a row of `sampleRow` fills. */
export const columns = [
  'bucket',
  'log_id',
  'dataset_id',
  'task_id',
  'name',
  'timestamp',
  'arrived',
  'data',
] as const
export type SampleRow = [number, string, string, string, string, number, number, string]

/** The same entry as a row that is ready to be stored, with an id as the service makes them. */
export function sampleRow(number: number): SampleRow {
  const { dataset_id, task_id, name, data } = sampleEntry(number)
  const bucket = buckets.get(dataset_id) as number
  const milliseconds = began + number * 10
  const time = milliseconds.toString(16).padStart(12, '0')
  const middle = (0x8000 | (bucket << 2)).toString(16)
  const rest = number.toString(16).padStart(12, '0')
  const microseconds = milliseconds * 1000
  return [bucket, `${time}7000${middle}${rest}`, dataset_id, task_id, name, microseconds, microseconds, data]
}
