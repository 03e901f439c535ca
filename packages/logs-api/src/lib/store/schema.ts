import type { Generated } from 'kysely'

/**
 * The tables, alike on SQLite and PostgreSQL. Times are microseconds since 1970 (UTC) in whole numbers; JSON is text, so that it comes back as
 * it was written.
 *
 * On Citus `entries` and `bodies` are distributed by `bucket`, `operation_logs` by `project_id`; the others are reference tables.
 */
export interface Tables {
  entries: EntriesTable
  bodies: BodiesTable
  operation_logs: OperationLogsTable
  exports: ExportsTable
  dataset_rights: DatasetRightsTable
  idempotency_keys: IdempotencyKeysTable
  leases: LeasesTable
  settings: SettingsTable
}

export interface EntriesTable {
  /** 0 to 4,095, a hash of the dataset; it stands in the id as well (log-id.ts), so that an id alone leads to its rows. */
  bucket: number
  /** 32 hexadecimal digits, ordered by the time of arrival. Primary key with `bucket`. */
  log_id: string
  dataset_id: string | null
  task_id: string | null
  name: string
  timestamp: number
  /** When it was written. */
  arrived: number
  /** 1 to 24, as OpenTelemetry's SeverityNumber. */
  severity: number | null
  /** Null where the text is in an object. */
  data: string | null
  /** 1: `data` is a JSON string, since PostgreSQL's text cannot hold U+0000. 0: as it is. */
  data_json: Generated<number>
  /** Path of the object that holds the text. */
  body: string | null
  /** The other fields, as JSON. */
  fields: string | null
}

/** Objects that no entry speaks for: not yet (`pending`), or no longer (`deleting`, `retained`). */
export interface BodiesTable {
  bucket: number
  log_id: string
  path: string
  state: 'pending' | 'deleting' | 'retained'
  changed: number
  /** Not to be tried before. */
  retry_at: number
}

export interface OperationLogsTable {
  id: string
  project_id: string
  operation_type: string
  checkpoint_id: string | null
  plan_id: string | null
  provider_id: string | null
  restore_id: string | null
  scheduled_operation_id: string | null
  status: string | null
  started_at: number | null
  ended_at: number | null
  error_info: string | null
  extra_info: string | null
  created_at: number
  updated_at: number
  /** The process of the service that has to close it, null for those written from outside. */
  holder: string | null
}

export interface ExportsTable {
  id: string
  project_id: string
  system_id: string
  state: ExportState
  /** 0 to 100, never falling. */
  percentage: number
  created_at: number
  updated_at: number
  /** JSON: start_date, end_date, content, nodes, snodes as they were asked for. */
  request: string
  /** Subject of the caller's token. */
  caller: string
  /** Of the operation log that tells of it. */
  operation_id: string
  /** JSON: what is known of our own job on HCP. */
  job: string | null
  /** JSON: where the archives are, their sizes and hashes. */
  archive: string | null
  /** JSON: error_code and error_msg. */
  error: string | null
  expires_at: number | null
  cancel_asked: Generated<number>
}

export type ExportState =
  | 'queued'
  | 'preparing'
  | 'streaming'
  | 'storing'
  | 'completed'
  | 'failed'
  | 'cancelled'
  | 'expired'

/** Lists are JSON arrays of text. */
export interface DatasetRightsTable {
  dataset_id: string
  read_groups: string
  write_groups: string
  read_users: string
  write_users: string
}

export interface IdempotencyKeysTable {
  /** Subject of the caller's token. Primary key with `key`. */
  caller: string
  key: string
  /** Method and path. */
  route: string
  claimed_at: number
  /** Null while the first request is running. */
  status: number | null
  /** SHA-256 of the body that came with it, null until it has been read. */
  body_hash: string | null
  /** JSON. */
  headers: string | null
  answer: string | null
  /** Of the process that works on it. */
  holder: string
  /** While running: when the process counts as dead. Then: when the answer is forgotten. */
  expires_at: number
}

export interface LeasesTable {
  name: string
  holder: string
  until: number
}

/** Single documents: `retention`, `cursor_secret` and the like. */
export interface SettingsTable {
  key: string
  value: string
}
