import type { LogType } from '@hcp/mapi-logs'
import type { Selectable } from 'kysely'
import type { ExportsTable, ExportState } from '../store/schema.ts'
import { formatTime } from '../time.ts'

export type ExportRow = Selectable<ExportsTable>

/** What is to be exported, every default filled in. */
export interface ExportRequest {
  /** Days as `2026-11-20`, both included. */
  readonly start_date: string
  readonly end_date: string
  readonly content: readonly LogType[]
  /** General nodes; absent: all, empty: none. */
  readonly nodes?: readonly number[]
  /** S Series nodes. */
  readonly snodes: readonly string[]
}

/** A log job on HCP that this service has asked for. Times in microseconds since 1970. */
export interface OwnJob {
  readonly id: string
  /**
   * `intent`: written before HCP is asked, so that the answer may be lost. `started`: HCP has taken it. `ready`: its package was seen. `done`:
   * all is fetched, the job is to be cancelled.
   */
  readonly phase: 'intent' | 'started' | 'ready' | 'done'
  readonly start_date: string
  readonly end_date: string
  readonly snodes: readonly string[]
  /** When HCP said last, before it was asked, that it has no job. */
  readonly seen_free: number
  readonly sent_at: number
}

/** The column `job`. */
export interface ExportJob {
  /** Preparations that came to nothing. */
  readonly tries: number
  /** Since when HCP has been busy for others. */
  readonly waiting_since?: number
  readonly own?: OwnJob
}

export interface ArchiveFile {
  /** In the namespace, or in the folder of the exports. */
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** In lower-case hexadecimal digits. */
  readonly sha256: string
}

/** The column `archive`. */
export interface ExportArchive {
  readonly place: 'namespace' | 'directory'
  readonly zip: ArchiveFile
  readonly tar: ArchiveFile
  /** Not to be removed before, microseconds since 1970: it was tried, and is under retention. */
  readonly retry_at?: number
}

/** As errors are in API C. */
export interface ExportError {
  readonly error_code: string
  readonly error_msg: string
}

/** Before the end. */
export const activeStates: readonly ExportState[] = ['queued', 'preparing', 'streaming', 'storing']

export function isActive({ state }: Pick<ExportRow, 'state'>): boolean {
  return activeStates.includes(state)
}

export const requestOf = ({ request }: ExportRow): ExportRequest => JSON.parse(request) as ExportRequest
export const jobOf = ({ job }: ExportRow): ExportJob =>
  job === null ? { tries: 0 } : (JSON.parse(job) as ExportJob)
export const archiveOf = ({ archive }: ExportRow): ExportArchive | undefined =>
  archive === null ? undefined : (JSON.parse(archive) as ExportArchive)
export const errorOf = ({ error }: ExportRow): ExportError | undefined =>
  error === null ? undefined : (JSON.parse(error) as ExportError)

/** What clients of API C see of an export. */
export interface ExportTask {
  readonly export_id: string
  readonly status: 'processing' | 'completed' | 'failed' | 'cancelled' | 'expired'
  /** `0%` to `100%`. */
  readonly percentage: string
  /** The same as a number. */
  readonly progress: number
  /** `2026-03-04T10:11:12Z`. */
  readonly created_at: string
  readonly error?: ExportError
}

export function exportTask(row: ExportRow): ExportTask {
  const { id, state, percentage, created_at } = row
  const error = errorOf(row)
  return {
    export_id: id,
    status: wireStatus(state),
    percentage: `${percentage}%`,
    progress: percentage,
    created_at: `${formatTime(created_at).slice(0, 19)}Z`,
    ...(error === undefined ? {} : { error }),
  }
}

export function wireStatus(state: ExportState): ExportTask['status'] {
  switch (state) {
    case 'completed':
    case 'failed':
    case 'cancelled':
    case 'expired':
      return state
    default:
      return 'processing'
  }
}
