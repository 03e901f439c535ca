import { type Kysely, sql } from 'kysely'
import type { Dialect } from './database.ts'

/**
 * The tables of schema.ts. Ids and names are compared by their bytes on both stores.
 *
 * For the words of a text:
 * - SQLite: `entry_words`, an FTS5 table without content whose `rowid` is `seq` of the entry. A trigger removes the words with the entry.
 *   entries/words.ts makes the words: `ascii` parts them at blanks and lets all beyond ASCII be.
 * - PostgreSQL: the column `words` of the entry.
 */
export async function makeFirstTables(store: Kysely<unknown>, dialect: Dialect): Promise<void> {
  for (const statement of dialect === 'sqlite' ? onSqlite : onPostgres)
    await sql.raw(statement).execute(store)
}

interface Types {
  readonly text: string
  /** For ids and names, in the order of their bytes. */
  readonly id: string
  /** Microseconds. */
  readonly time: string
  readonly small: string
  readonly tableEnd: string
}

function otherTables({ text, id, time, small, tableEnd }: Types): string[] {
  return [
    `create table bodies (
      bucket ${small} not null check (bucket between 0 and 4095),
      log_id ${id} not null,
      path ${text} not null,
      state ${text} not null check (state in ('pending', 'deleting', 'retained')),
      changed ${time} not null,
      retry_at ${time} not null,
      primary key (bucket, log_id)
    )${tableEnd}`,
    'create index bodies_due on bodies (state, retry_at)',
    `create table operation_logs (
      id ${id} not null,
      project_id ${id} not null,
      operation_type ${id} not null,
      checkpoint_id ${id},
      plan_id ${id},
      provider_id ${id},
      restore_id ${id},
      scheduled_operation_id ${id},
      status ${id},
      started_at ${time},
      ended_at ${time},
      error_info ${id},
      extra_info ${id},
      created_at ${time} not null,
      updated_at ${time} not null,
      holder ${text},
      primary key (project_id, id)
    )${tableEnd}`,
    'create index operation_logs_of_project on operation_logs (project_id, created_at, id)',
    'create index operation_logs_by_id on operation_logs (id)',
    'create index operation_logs_by_time on operation_logs (created_at, id)',
    `create table exports (
      id ${id} not null primary key,
      project_id ${id} not null,
      system_id ${id} not null,
      state ${text} not null check (state in
        ('queued', 'preparing', 'streaming', 'storing', 'completed', 'failed', 'cancelled', 'expired')),
      percentage ${small} not null check (percentage between 0 and 100),
      created_at ${time} not null,
      updated_at ${time} not null,
      request ${text} not null,
      caller ${text} not null,
      operation_id ${id} not null,
      job ${text},
      archive ${text},
      error ${text},
      expires_at ${time},
      cancel_asked ${small} not null default 0
    )${tableEnd}`,
    'create index exports_of_system on exports (project_id, system_id, created_at)',
    'create index exports_by_state on exports (state)',
    `create table dataset_rights (
      dataset_id ${id} not null primary key,
      read_groups ${text} not null,
      write_groups ${text} not null,
      read_users ${text} not null,
      write_users ${text} not null
    )${tableEnd}`,
    `create table idempotency_keys (
      caller ${id} not null,
      key ${id} not null,
      route ${text} not null,
      claimed_at ${time} not null,
      status ${small},
      body_hash ${text},
      headers ${text},
      answer ${text},
      holder ${text} not null,
      expires_at ${time} not null,
      primary key (caller, key)
    )${tableEnd}`,
    'create index idempotency_keys_due on idempotency_keys (expires_at)',
    `create table leases (
      name ${id} not null primary key,
      holder ${text} not null,
      until ${time} not null
    )${tableEnd}`,
    `create table settings (
      key ${id} not null primary key,
      value ${text} not null
    )${tableEnd}`,
  ]
}

function entryColumns({ text, id, time, small }: Types): string {
  return `bucket ${small} not null check (bucket between 0 and 4095),
      log_id ${id} not null,
      dataset_id ${id},
      task_id ${id},
      name ${id} not null,
      timestamp ${time} not null,
      arrived ${time} not null,
      severity ${small} check (severity between 1 and 24),
      data ${text},
      data_json ${small} not null default 0,
      body ${text},
      fields ${text}`
}

const entryIndexes = [
  'create index entries_of_task on entries (bucket, dataset_id, task_id, timestamp, log_id)',
  'create index entries_of_dataset on entries (bucket, dataset_id, timestamp, log_id)',
  'create index entries_by_time on entries (timestamp, log_id)',
  'create index entries_by_name on entries (name, timestamp, log_id)',
  'create index entries_by_arrival on entries (arrived, log_id)',
]

const sqlite: Types = { text: 'text', id: 'text', time: 'integer', small: 'integer', tableEnd: ' strict' }
const postgres: Types = {
  text: 'text',
  id: 'text collate "C"',
  time: 'bigint',
  small: 'integer',
  tableEnd: '',
}

const onSqlite = [
  `create table entries (
      seq integer primary key,
      ${entryColumns(sqlite)},
      unique (bucket, log_id)
    ) strict`,
  ...entryIndexes,
  `create virtual table entry_words using fts5 (
      words, content = '', contentless_delete = 1, tokenize = 'ascii'
    )`,
  `create trigger entries_words_gone after delete on entries begin
      delete from entry_words where rowid = old.seq;
    end`,
  ...otherTables(sqlite),
]

const onPostgres = [
  `create table entries (
      ${entryColumns(postgres)},
      words tsvector,
      primary key (bucket, log_id)
    )`,
  ...entryIndexes,
  'create index entries_by_words on entries using gin (words)',
  ...otherTables(postgres),
]
