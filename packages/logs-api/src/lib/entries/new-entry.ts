import { isDeeper } from '../http/json-body.ts'
import { Refusal } from '../http/refusal.ts'
import { parseTime } from '../time.ts'
import type { NewEntry } from './entry.ts'
import { severityHint, severityNumber } from './severity.ts'

export interface NewEntryOptions {
  /** Of the path: it wins over the one in the body. */
  readonly dataset?: string | undefined
  /** The sender may set `timestamp`, and `severity` and `attributes` are held to what they mean (bulk). Default false. */
  readonly own?: boolean
  /** See `NewEntry.id`. */
  readonly id?: NewEntry['id']
}

/** 1 to 255 characters, whole ones, and no control characters. */
const namePattern = /^[^\p{Cc}\p{Cs}]{1,255}$/u

/** Levels. */
const deepest = 200

/** Makes an entry of what a client sent. @throws {Refusal} 400 that says which field is wrong. */
export function newEntry(sent: unknown, options: NewEntryOptions = {}): NewEntry {
  if (!isRecord(sent) || !Object.hasOwn(sent, 'data')) throw new Refusal(400, 'data field not in body')
  // What the service sets itself is dropped. (Quicker than to delete it from a copy.)
  const { log_id: _logId, timestamp: _time, _id, data_missing: _missing, ...others } = sent
  const { data, dataset_id, task_id, name, ...fields } = others
  if (typeof data !== 'string') throw new Refusal(400, 'data must be text.')
  if (!data.isWellFormed()) {
    throw new Refusal(400, 'data must be well-formed text: it holds one half of a surrogate pair alone.')
  }
  if (isDeeper(fields, deepest)) {
    throw new Refusal(400, `Fields can be nested ${deepest} levels deep at most.`)
  }
  return {
    dataset_id: checkName('dataset_id', options.dataset ?? dataset_id) ?? null,
    task_id: checkName('task_id', task_id) ?? null,
    name: checkName('name', name) ?? 'log',
    data,
    ...(options.own && ownValues(sent)),
    severity: severityNumber(fields['severity']) ?? null,
    fields,
    id: options.id,
  }
}

/** Whether it can be the name or id of something. */
export function isName(value: string): boolean {
  return namePattern.test(value)
}

function checkName(field: string, value: unknown): string | undefined {
  // As absent: the original's writers send null for what they do not have.
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string' && isName(value)) return value
  throw new Refusal(400, `${field} must be text of 1 to 255 characters, without control characters.`)
}

function ownValues(sent: Readonly<Record<string, unknown>>): { timestamp?: number } {
  const { timestamp, severity, attributes } = sent
  if (severity !== undefined && severity !== null && severityNumber(severity) === undefined) {
    throw new Refusal(400, `severity must be ${severityHint}.`)
  }
  if (attributes !== undefined && attributes !== null && !isRecord(attributes)) {
    throw new Refusal(400, 'attributes must be a JSON object.')
  }
  if (timestamp === undefined || timestamp === null) return {}
  const time = typeof timestamp === 'string' ? parseTime(timestamp)?.time : undefined
  if (time === undefined) {
    throw new Refusal(400, 'timestamp must be a time such as 2026-03-04T10:11:12.000345Z.')
  }
  return { timestamp: time }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
