import { type RawBuilder, sql } from 'kysely'
import type { Position } from '../entries/entry.ts'
import type { EntryKey } from '../entries/entry-query.ts'
import { bucketOf } from '../entries/log-id.ts'
import type { Dialect } from '../store/database.ts'
import type { RetentionRule } from './policy.ts'

/** Entries that a rule decides on and that are older than `before`. */
export interface DueEntries {
  readonly dialect: Dialect
  readonly rule: RetentionRule
  /** They decide first. */
  readonly earlier: readonly RetentionRule[]
  /** Microseconds since 1970. */
  readonly before: number
}

/** The oldest of them behind a place. */
export function dueKeys(due: DueEntries, after: Position | undefined, limit: number): RawBuilder<EntryKey> {
  const behind =
    after === undefined ? sql`` : sql` and (timestamp, log_id) > (${after.timestamp}, ${after.log_id})`
  return sql`
    select bucket, log_id, timestamp, body from entries where ${where(due)}${behind}
    order by timestamp, log_id limit ${limit}`
}

export function countDue(due: DueEntries): RawBuilder<{ entries: number; bodies: number }> {
  return sql`select count(*) as entries, count(body) as bodies from entries where ${where(due)}`
}

function where({ dialect, rule, earlier, before }: DueEntries): RawBuilder<unknown> {
  const conditions = [sql`timestamp < ${before}`, named(dialect, rule.name)]
  const { dataset_id: dataset } = rule
  if (dataset !== null) conditions.push(sql`bucket = ${bucketOf(dataset)}`, sql`dataset_id = ${dataset}`)
  for (const { name, dataset_id } of earlier) {
    // Of a rule for another dataset this one needs to know nothing.
    if (dataset !== null && dataset_id !== null && dataset !== dataset_id) continue
    const ofDataset =
      dataset_id === null ? sql`` : sql` and dataset_id is not distinct from ${sql`${dataset_id}`}`
    conditions.push(sql`not (${named(dialect, name)}${ofDataset})`)
  }
  return sql.join(conditions, sql` and `)
}

function named(dialect: Dialect, pattern: string): RawBuilder<unknown> {
  if (!/[*?]/.test(pattern)) return sql`name = ${pattern}`
  if (/^\*+$/.test(pattern)) return sql`1 = 1`
  // SQLite's LIKE does not tell capitals from small letters.
  if (dialect === 'sqlite') return sql`name glob ${pattern.replaceAll('[', '[[]')}`
  const like = pattern
    .replaceAll(/[\\%_]/g, String.raw`\$&`)
    .replaceAll('*', '%')
    .replaceAll('?', '_')
  return sql`name like ${like}`
}
