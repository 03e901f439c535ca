import { Refusal } from '../http/refusal.ts'
import { integer, type QueryTexts } from './list-parameters.ts'

/** How the entries of a task are wanted. */
export interface TaskParameters {
  /** Undefined: all. */
  readonly num: number | undefined
  readonly group: boolean
  readonly order: 'asc' | 'desc'
  /** Undefined: all fields. */
  readonly keys: ReadonlySet<string> | undefined
}

const groupKeys = 'log_id|name|task_id|dataset_id|data|timestamp'

/** Reads the query of `GET /datasets/{dataset_id}/tasks/{task_id}/logs`. @throws {Refusal} 400 with the original's texts. */
export function taskParameters(query: QueryTexts): TaskParameters {
  const group = query['group']?.toLowerCase() === 'true'
  const keys = query['keys'] || (group ? groupKeys : '')
  return {
    num: numOf(query['num'] || '0'),
    group,
    order: orderOf(query['order'] ?? 'desc'),
    keys: keys === '' ? undefined : new Set(keys.split('|')),
  }
}

function numOf(text: string): number | undefined {
  const num = integer(text)
  if (num === undefined) throw new Refusal(400, 'bad num param. must be int')
  if (num < 0) throw new Refusal(400, 'bad num param. must not be negative')
  return num === 0 || !Number.isSafeInteger(num) ? undefined : num
}

function orderOf(text: string): 'asc' | 'desc' {
  const order = text.toLowerCase()
  if (order === 'asc' || order === 'desc') return order
  throw new Refusal(400, 'bad order param. should be "asc" or "desc".')
}
