import { randomUUID } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import { Refusal } from '../http/refusal.ts'
import type { Database } from '../store/database.ts'
import { isStorable } from '../store/storable-text.ts'
import { nowMicroseconds } from '../time.ts'
import {
  type NewOperation,
  type Operation,
  type OperationChanges,
  type OperationField,
  operationFields,
  type OperationPage,
  type OperationQuery,
  type Operations,
  type OperationSort,
} from './operation.ts'

const alwaysSet: ReadonlySet<OperationField> = new Set([
  'id',
  'project_id',
  'operation_type',
  'created_at',
  'updated_at',
])

/** Operation logs in SQLite or PostgreSQL. */
export class OperationStore implements Operations {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async add(operation: NewOperation, holder?: string): Promise<Operation> {
    const now = nowMicroseconds()
    const row: Operation = {
      id: operation.id ?? randomUUID(),
      project_id: operation.project_id,
      operation_type: operation.operation_type,
      checkpoint_id: operation.checkpoint_id ?? null,
      plan_id: operation.plan_id ?? null,
      provider_id: operation.provider_id ?? null,
      restore_id: operation.restore_id ?? null,
      scheduled_operation_id: operation.scheduled_operation_id ?? null,
      status: operation.status ?? null,
      started_at: operation.started_at === undefined ? now : operation.started_at,
      ended_at: operation.ended_at ?? null,
      error_info: operation.error_info ?? null,
      extra_info: operation.extra_info ?? null,
      created_at: operation.created_at ?? now,
      updated_at: operation.updated_at ?? operation.created_at ?? now,
    }
    checkTexts(row)
    if (!(await this.#insert(row, holder, operation.id !== undefined))) {
      throw new Refusal(409, `There is an operation log with the id ${row.id} already.`)
    }
    return row
  }

  /** Tells whether the id was free. An id that we made ourselves is. */
  #insert(row: Operation, holder: string | undefined, named: boolean): Promise<boolean> {
    const values = { ...row, holder: holder ?? null }
    const { dialect, write } = this.#database
    return write.transaction().execute(async (transaction) => {
      if (named) {
        // The primary key has the project in it, so it does not keep two projects from using the same id at the same time.
        if (dialect === 'postgres') {
          await sql`select pg_advisory_xact_lock(hashtextextended(${row.id}, 0))`.execute(transaction)
        }
        const known = await transaction
          .selectFrom('operation_logs')
          .select('id')
          .where('id', '=', row.id)
          .executeTakeFirst()
        if (known !== undefined) return false
      }
      await transaction.insertInto('operation_logs').values(values).execute()
      return true
    })
  }

  async change(
    id: string,
    project: string | undefined,
    changes: OperationChanges,
  ): Promise<Operation | undefined> {
    if (!isStorable(id)) return undefined
    checkTexts(changes)
    let update = this.#database.write
      .updateTable('operation_logs')
      .set({ ...changes, updated_at: nowMicroseconds() })
      .where('id', '=', id)
    if (project !== undefined) update = update.where('project_id', '=', project)
    return update.returning(operationFields).executeTakeFirst()
  }

  async get(id: string, project?: string): Promise<Operation | undefined> {
    if (!isStorable(id) || (project !== undefined && !isStorable(project))) return undefined
    let query = this.#database.read.selectFrom('operation_logs').select(operationFields).where('id', '=', id)
    if (project !== undefined) query = query.where('project_id', '=', project)
    return query.executeTakeFirst()
  }

  async list(asked: OperationQuery): Promise<OperationPage> {
    const { project, equal = {}, from, before, after, offset = 0, limit } = asked
    const sort = totalOrder(asked.sort)
    checkTexts(equal)
    let query = this.#database.read.selectFrom('operation_logs').select(operationFields)
    if (project !== undefined) query = query.where('project_id', '=', project)
    for (const [field, value] of Object.entries(equal)) {
      query = query.where(isEqual(field as OperationField, value))
    }
    if (from !== undefined) query = query.where('created_at', '>=', from)
    if (before !== undefined) query = query.where('created_at', '<', before)
    if (after !== undefined) query = query.where(isBehind(sort, after))
    for (const { field, direction } of sort) {
      // Saying where nulls go where there are none would keep PostgreSQL from using its index.
      query = query.orderBy(field, (by) => {
        const directed = direction === 'asc' ? by.asc() : by.desc()
        return alwaysSet.has(field) ? directed : directed.nullsLast()
      })
    }
    // One more tells whether there are others.
    const rows: Operation[] = await query
      .limit(limit + 1)
      .offset(offset)
      .execute()
    return { operations: rows.slice(0, limit), more: rows.length > limit }
  }
}

function totalOrder(sort: readonly OperationSort[] = []): OperationSort[] {
  const direction = sort[0]?.direction ?? 'desc'
  const order = new Map<OperationField, OperationSort>()
  for (const part of [
    ...sort,
    { field: 'created_at', direction } as const,
    { field: 'id', direction } as const,
  ]) {
    // Among those of equal values, sorting by the same field again changes nothing.
    if (!order.has(part.field)) order.set(part.field, part)
  }
  return [...order.values()]
}

const isEqual = (field: OperationField, value: string | number | null): RawBuilder<boolean> =>
  value === null ? sql`${sql.ref(field)} is null` : sql`${sql.ref(field)} = ${value}`

/** Behind a place: like it in the first fields, behind it in the next one. Nulls are behind all values. */
function isBehind(sort: readonly OperationSort[], place: Partial<Operation>): RawBuilder<boolean> {
  const alike: RawBuilder<boolean>[] = []
  const ways: RawBuilder<boolean>[] = []
  for (const { field, direction } of sort) {
    const value = place[field] ?? null
    if (value !== null) {
      const beyond = sql<boolean>`${sql.ref(field)} ${sql.raw(direction === 'asc' ? '>' : '<')} ${value}`
      const behind = alwaysSet.has(field) ? beyond : sql<boolean>`(${beyond} or ${sql.ref(field)} is null)`
      ways.push(sql`(${sql.join([...alike, behind], sql` and `)})`)
    }
    alike.push(isEqual(field, value))
  }
  const behind = sql<boolean>`(${sql.join(ways, sql` or `)})`
  const [first] = sort
  const value = first && alwaysSet.has(first.field) ? place[first.field] : undefined
  if (first === undefined || value === undefined || value === null) return behind
  // Follows from the rest, and lets the store begin in the middle of its index.
  return sql`${sql.ref(first.field)} ${sql.raw(first.direction === 'asc' ? '>=' : '<=')} ${value} and ${behind}`
}

function checkTexts(values: object): void {
  for (const [field, value] of Object.entries(values)) {
    if (typeof value === 'string' && !isStorable(value)) {
      throw new Refusal(
        400,
        `${field} must be well-formed Unicode text without the character U+0000. Leave such characters out.`,
      )
    }
  }
}
