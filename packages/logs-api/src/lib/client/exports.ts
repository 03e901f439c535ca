import { list, part, record, text } from './answers.ts'
import {
  type CallOptions,
  checkCall,
  checkDuration,
  checkFunction,
  checkNumber,
  checkOneOf,
  checkText,
  checkWrite,
  segment,
  type WriteOptions,
} from './arguments.ts'
import { LogsApiError } from './errors.ts'
import { type DownloadedExport, type DownloadToOptions, downloadTo } from './export-download-to.ts'
import { type ExportDownload, type ExportDownloadOptions, openDownload } from './export-download.ts'
import { type Paged, paged } from './paged.ts'
import { pause } from './pause.ts'
import { isRecord } from './refusal.ts'
import { nextOf } from './search.ts'
import type { Transport } from './transport.ts'

/** Which export. What `start` and `status` give is one. */
export interface ExportPlace {
  readonly project: string
  /** Id of the HCP system at the service. */
  readonly server: string
  readonly exportId: string
}

const statuses = ['processing', 'completed', 'failed', 'cancelled', 'expired'] as const
export type ExportStatus = (typeof statuses)[number]

/** An export as it is at this moment. */
export interface ExportTask extends ExportPlace {
  /** Ends as `completed`, `failed` or `cancelled`; what is completed expires some days later. */
  readonly status: ExportStatus
  /** 0 to 100; 100 only when it is completed. */
  readonly progress: number
  /** UTC, `2026-05-01T08:00:00Z`. */
  readonly createdAt: string
  /** Why it failed. */
  readonly error: { readonly code: string | undefined; readonly message: string } | undefined
}

export type ExportContent = 'ACCESS' | 'SYSTEM' | 'SERVICE' | 'APPLICATION'

export interface StartExportOptions extends WriteOptions {
  /** First day, `2026-05-01`. Default: six days before the last. */
  readonly startDate?: string | undefined
  /** Last day. Default: today. */
  readonly endDate?: string | undefined
  /** Default: all kinds. */
  readonly content?: readonly ExportContent[] | undefined
  /** Numbers of General nodes. Default: all. */
  readonly nodes?: readonly number[] | undefined
  /** Names of S Series nodes. Default: none. */
  readonly snodes?: readonly string[] | undefined
}

export interface ExportWaitOptions {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds to wait at most. Default: as long as it takes. */
  readonly deadline?: number | undefined
  /** Milliseconds between questions. Default 2,000. */
  readonly interval?: number | undefined
  /** Called with each answer. */
  readonly onProgress?: ((task: ExportTask) => void) | undefined
}

export interface ExportListOptions extends CallOptions {
  /** Exports of a page. Default: the service's. */
  readonly limit?: number | undefined
}

export interface ExportSearchOptions extends ExportListOptions {
  /** Default: that of the token; for admins and the system all. */
  readonly project?: string | undefined
  /** Of this HCP system. Default: all. */
  readonly server?: string | undefined
  readonly status?: ExportStatus | undefined
  /** Where an earlier page of the same search ended (`next`). */
  readonly cursor?: string | undefined
}

/** Exports of the internal logs of HCP systems. */
export class ExportsApi {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Has the service export logs. Returns at once; several for one system wait for each other. */
  async start(project: string, server: string, options: StartExportOptions = {}): Promise<ExportTask> {
    checkWrite('start', options, 'startDate', 'endDate', 'content', 'nodes', 'snodes')
    const { startDate, endDate, content, nodes, snodes } = options
    const day = (name: string, value: string | undefined): void => {
      if (value !== undefined && !/^\d{4}-\d{2}-\d{2}$/.test(checkText(name, value)))
        throw new RangeError(`${name} must be a day such as 2026-05-01`)
    }
    day('startDate', startDate)
    day('endDate', endDate)
    const body = JSON.stringify({ start_date: startDate, end_date: endDate, content, nodes, snodes })
    const path = exportsPath({ project, server })
    return taskOf(await this.#transport.json({ method: 'POST', path, body, call: options }), {
      project,
      server,
    })
  }

  /** @throws {LogsApiError} 404 if there is no such export. */
  async status(place: ExportPlace, options: CallOptions = {}): Promise<ExportTask> {
    checkCall('status', options)
    const path = exportPath(place)
    return taskOf(await this.#transport.json({ method: 'GET', path, call: options }), place)
  }

  /**
   * Asks until the export is completed. Lives through times when the service cannot be reached.
   *
   * @throws {LogsApiError} `LOGS_API_EXPORT` if it failed, was cancelled or has expired; `LOGS_API_TIMEOUT` after `deadline`. The export
   * goes on.
   */
  async waitFor(place: ExportPlace, options: ExportWaitOptions = {}): Promise<ExportTask> {
    checkCall('waitFor', options, 'interval', 'onProgress')
    const { signal, deadline, interval = 2_000, onProgress } = options
    checkDuration('interval', interval)
    checkFunction('onProgress', onProgress)
    const path = exportPath(place)
    const end = performance.now() + (deadline ?? Infinity)
    const stop =
      signal === undefined ? this.#transport.closing : AbortSignal.any([signal, this.#transport.closing])
    for (;;) {
      try {
        const left = Math.max(1, Math.ceil(Math.min(end - performance.now(), 60_000)))
        const task = await this.status(place, { signal: stop, deadline: left })
        onProgress?.(task)
        if (task.status === 'completed') return task
        if (task.status !== 'processing') throw ended(task)
      } catch (error) {
        stop.throwIfAborted()
        if (!(error instanceof LogsApiError) || !error.retryable || error.code === 'LOGS_API_EXPORT')
          throw error
      }
      const left = end - performance.now()
      if (left <= interval) {
        const message = `GET ${path}: the export is not completed within ${deadline} ms. It goes on.`
        throw new LogsApiError('LOGS_API_TIMEOUT', message, true, { method: 'GET', sent: true })
      }
      await pause(interval, stop)
    }
  }

  /** Those of a system, the newest first, over all pages. */
  list(project: string, server: string, options: ExportListOptions = {}): Paged<ExportTask> {
    checkCall('list', options, 'limit')
    const { limit } = options
    if (limit !== undefined) checkNumber('limit', limit, 1, 1_000)
    const path = exportsPath({ project, server })
    return paged(undefined, async (from) => {
      const query = { limit, marker: from }
      const answer = await this.#transport.json({ method: 'GET', path, query, call: options })
      const items = list('exports', part('the answer', answer, 'exports'))
      return {
        items: items.map((item) => taskOf(item, { project, server })),
        // The service may give less than was asked for, so only an empty page is surely the last.
        next: items.at(-1) === undefined ? undefined : taskOf(items.at(-1), { project, server }).exportId,
      }
    })
  }

  /** Those of all systems that the token may see, the newest first, over all pages. */
  search(options: ExportSearchOptions = {}): Paged<ExportTask> {
    checkCall('search', options, 'limit', 'project', 'server', 'status', 'cursor')
    const { limit, project, server, status, cursor } = options
    if (limit !== undefined) checkNumber('limit', limit, 1, 1_000)
    checkOneOf('status', status, statuses)
    if (cursor !== undefined) checkText('cursor', cursor)
    return paged(cursor, async (from) => {
      const query = { project, system: server, status, limit, cursor: from }
      const answer = await this.#transport.json({ method: 'GET', path: '/v2/exports', query, call: options })
      const items = list('exports', part('the answer', answer, 'exports'))
      return { items: items.map((item) => taskOf(item)), next: nextOf(answer) }
    })
  }

  /** Ends an export and removes its archive. */
  async cancel(place: ExportPlace, options: CallOptions = {}): Promise<void> {
    checkCall('cancel', options)
    await this.#transport.json({ method: 'DELETE', path: exportPath(place), call: options })
  }

  /**
   * Begins to fetch the archive of a completed export. If the connection breaks, it goes on where it was; what comes ends in an error unless it
   * is the whole archive. Nothing of it is kept in memory.
   *
   * @throws {LogsApiError} 409 if it is not completed, 410 if it has expired.
   */
  download(place: ExportPlace, options: ExportDownloadOptions = {}): Promise<ExportDownload> {
    return openDownload(this.#transport, `${exportPath(place)}/content`, options)
  }

  /**
   * Fetches the archive into a file, which has its name only once it is whole. Of a download that fails nothing is left.
   *
   * @param file A path, or a folder that is there, for a file named by the service.
   * @throws {LogsApiError} `LOGS_API_FILE` if the file is there already or cannot be written.
   */
  downloadTo(place: ExportPlace, file: string, options: DownloadToOptions = {}): Promise<DownloadedExport> {
    return downloadTo((given) => this.download(place, given), file, options)
  }
}

const exportsPath = ({ project, server }: { project: string; server: string }): string =>
  `/v1/${segment('project', project)}/physicalservers/${segment('server', server)}/logs/exports`

function exportPath(place: ExportPlace): string {
  if (!isRecord(place)) throw new TypeError('place must be an object with project, server and exportId')
  return `${exportsPath(place)}/${segment('exportId', place.exportId)}`
}

interface WireTask {
  readonly export_id?: unknown
  readonly status?: unknown
  readonly progress?: unknown
  readonly percentage?: unknown
  readonly created_at?: unknown
  readonly project_id?: unknown
  readonly system_id?: unknown
  readonly error?: unknown
}

/** @param place Where it was asked for; else the answer tells. */
function taskOf(answer: unknown, place?: { project: string; server: string }): ExportTask {
  const task = record('the export', answer) as WireTask
  const { error } = task
  const failure = isRecord(error) ? error : undefined
  const code = failure?.['error_code'] ?? failure?.['code']
  const message = failure?.['error_msg'] ?? failure?.['message']
  return {
    project: place?.project ?? text('project_id', task.project_id),
    server: place?.server ?? text('system_id', task.system_id),
    exportId: text('export_id', task.export_id),
    status: text('status', task.status) as ExportStatus,
    progress:
      typeof task.progress === 'number' ? task.progress : Number.parseInt(String(task.percentage), 10),
    createdAt: text('created_at', task.created_at),
    error:
      failure === undefined
        ? undefined
        : {
            code: typeof code === 'string' ? code : undefined,
            message: typeof message === 'string' ? message : 'The service does not say why.',
          },
  }
}

function ended({ exportId, status, error }: ExportTask): LogsApiError {
  const why = error === undefined ? '' : ` ${error.message}`
  const how = status === 'cancelled' ? 'was cancelled' : `has ${status}`
  const message = `The export ${exportId} ${how}.${why}${status === 'cancelled' ? '' : ' Start another one.'}`
  const facts = { apiCode: error?.code, apiText: error?.message, sent: true }
  return new LogsApiError('LOGS_API_EXPORT', message, false, facts)
}
