import { list, part, record, text } from './answers.ts'
import {
  type CallOptions,
  checkCall,
  checkFlag,
  checkNumber,
  checkOneOf,
  checkText,
  checkWrite,
  segment,
  type Time,
  timeText,
  type WriteOptions,
} from './arguments.ts'
import { entryJson, type LogEntry, type NewLogEntry, type SelectedEntry } from './entry.ts'
import { LogsApiError } from './errors.ts'
import { jsonLines } from './lines.ts'
import type { Transport } from './transport.ts'

/** Where an entry is looked for. */
export interface EntryPlaceOptions extends CallOptions {
  /** Only if it belongs to this dataset: what users may ask, by their rights to it. Default: anywhere, for admins and the system. */
  readonly dataset?: string | undefined
}

/** What `GET /logs` selects by. */
export interface FindOptions extends CallOptions {
  /** Inclusive. */
  readonly from?: Time | undefined
  /** Inclusive; a day through its end. */
  readonly to?: Time | undefined
  readonly name?: string | undefined
  readonly dataset?: string | undefined
  readonly task?: string | undefined
  /** Fields to return; `log_id` always is. Default: name, data, timestamp, task_id, dataset_id. */
  readonly keys?: readonly string[] | undefined
  /** At most this many. Default: all, as far as `maxAnswer` reaches. */
  readonly limit?: number | undefined
}

export interface TaskLogOptions extends CallOptions {
  /** At most this many, after sorting. Default: all. */
  readonly num?: number | undefined
  /** One entry for each name: the newest, or with `order: 'asc'` the oldest. Default false. */
  readonly group?: boolean | undefined
  /** By time. Default `desc`. */
  readonly order?: 'asc' | 'desc' | undefined
  /** Fields to return, and no others. Default: all; grouped, those of the service itself. */
  readonly keys?: readonly string[] | undefined
}

export interface RemoveDatasetOptions extends CallOptions {
  /** Only the entries of this task. */
  readonly task?: string | undefined
  /** Only the entries of this name. */
  readonly name?: string | undefined
}

/** How far the deletion of a dataset's entries is. */
export interface DeletionProgress {
  readonly status: 'deleting' | 'complete'
  /** 0 to 100, not rounded. */
  readonly percent_complete: number
  /** Entries at the beginning. */
  readonly total: number
}

/** Entries of datasets and tasks: `/logs` and `/datasets/…`. */
export class EntriesApi {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Stores an entry, wherever it belongs. For admins and the system. Gives its `log_id`. */
  add(entry: NewLogEntry, options: WriteOptions = {}): Promise<string> {
    return this.#add('/logs', entry, options)
  }

  /** Stores an entry in a dataset, which wins over `dataset_id`. For admins, and users with the right to write. Gives its `log_id`. */
  addTo(dataset: string, entry: NewLogEntry, options: WriteOptions = {}): Promise<string> {
    return this.#add(`/datasets/${segment('dataset', dataset)}/logs`, entry, options)
  }

  /** @throws {LogsApiError} 404 if there is none. */
  async get(logId: string, options: EntryPlaceOptions = {}): Promise<LogEntry> {
    checkCall('get', options, 'dataset')
    const path = entryPath(logId, options.dataset)
    const answer = await this.#transport.json({ method: 'GET', path, call: options })
    return record('the entry', answer) as LogEntry
  }

  /** Does nothing if there is none. For admins and the system. */
  async remove(logId: string, options: CallOptions = {}): Promise<void> {
    checkCall('remove', options)
    await this.#transport.json({ method: 'DELETE', path: entryPath(logId, undefined), call: options })
  }

  /** All that match, by time, in one answer: for what is more than fits into memory there is `search`. For admins and the system. */
  async find(options: FindOptions = {}): Promise<SelectedEntry[]> {
    checkCall('find', options, 'from', 'to', 'name', 'dataset', 'task', 'keys', 'limit')
    const { from, to, name, dataset, task, keys, limit } = options
    if (limit !== undefined) checkNumber('limit', limit, 1, Number.MAX_SAFE_INTEGER)
    const query = {
      from: timeText('from', from),
      to: timeText('to', to),
      name,
      dataset_id: dataset,
      task_id: task,
      keys: keysText(keys),
      limit,
    }
    const answer = await this.#transport.json({ method: 'GET', path: '/logs', query, call: options })
    return list('the answer', Object.values(record('the answer', answer))) as SelectedEntry[]
  }

  /** Entries of a task by time, the newest first; an empty list if there are none. */
  async taskLogs(dataset: string, task: string, options: TaskLogOptions = {}): Promise<SelectedEntry[]> {
    checkCall('taskLogs', options, 'num', 'group', 'order', 'keys')
    const { num, group, order, keys } = options
    if (num !== undefined) checkNumber('num', num, 1, Number.MAX_SAFE_INTEGER)
    checkFlag('group', group)
    checkOneOf('order', order, ['asc', 'desc'])
    const query = { num, group, order, keys: keysText(keys) }
    try {
      const path = taskPath(dataset, task)
      const answer = await this.#transport.json({ method: 'GET', path, query, call: options })
      return list('logs', part('the answer', answer, 'logs')) as SelectedEntry[]
    } catch (error) {
      if (error instanceof LogsApiError && error.status === 404 && error.apiText === 'Log not found')
        return []
      throw error
    }
  }

  /** Removes all entries of a task, if there are any. */
  async removeTask(dataset: string, task: string, options: CallOptions = {}): Promise<void> {
    checkCall('removeTask', options)
    await this.#transport.json({ method: 'DELETE', path: taskPath(dataset, task), call: options })
  }

  /**
   * Removes the entries of a dataset and tells how far it is; the last item is `complete`. The service goes on with it when the loop is left.
   * It is asked when the loop begins.
   *
   * @throws {LogsApiError} `LOGS_API_DELETION` if it stops in the middle: what is removed is gone, the rest can be removed by another call.
   */
  async *removeDataset(
    dataset: string,
    options: RemoveDatasetOptions = {},
  ): AsyncGenerator<DeletionProgress, void> {
    checkCall('removeDataset', options, 'task', 'name')
    const path = `/datasets/${segment('dataset', dataset)}/logs`
    const query = { task_id: options.task, name: options.name }
    const answer = await this.#transport.open({ method: 'DELETE', path, query, call: options })
    for await (const line of jsonLines(answer)) {
      const { status, percent_complete, total, error } = record('a line', line) as unknown as DeletionLine
      if (status === 'complete' || status === 'deleting') yield { status, percent_complete, total }
      if (status === 'complete') return
      if (status === 'error') {
        const message = `The entries of ${dataset} were removed up to ${percent_complete} %: ${error}. Call it again for the rest.`
        const facts = { method: 'DELETE', status: answer.status, apiText: error, sent: true }
        throw new LogsApiError('LOGS_API_DELETION', message, true, facts)
      }
    }
    const message = `What the service told of the entries of ${dataset} ended before it was complete.`
    throw new LogsApiError('LOGS_API_DELETION', message, true, { method: 'DELETE', sent: true })
  }

  async #add(path: string, entry: NewLogEntry, options: WriteOptions): Promise<string> {
    checkWrite('add', options)
    const body = entryJson('entry', entry)
    const answer = await this.#transport.json({ method: 'POST', path, body, call: options })
    return text('result', part('the answer', answer, 'result'))
  }
}

interface DeletionLine {
  readonly status: 'deleting' | 'complete' | 'error'
  readonly percent_complete: number
  readonly total: number
  readonly error?: string
}

function entryPath(logId: string, dataset: string | undefined): string {
  const entry = `/logs/${segment('logId', logId)}`
  return dataset === undefined ? entry : `/datasets/${segment('dataset', dataset)}${entry}`
}

const taskPath = (dataset: string, task: string): string =>
  `/datasets/${segment('dataset', dataset)}/tasks/${segment('task', task)}/logs`

function keysText(keys: readonly string[] | undefined): string | undefined {
  if (keys === undefined) return undefined
  if (!Array.isArray(keys)) throw new TypeError('keys must be a list of names')
  for (const key of keys as readonly string[]) {
    if (checkText('keys', key).includes('|')) throw new RangeError('a name in keys must not contain "|"')
  }
  return keys.join('|')
}
