import type { Expression, Insertable, SqlBool, Updateable } from 'kysely'
import type { Database } from '../store/database.ts'
import type { ExportsTable, ExportState } from '../store/schema.ts'
import { nowMicroseconds } from '../time.ts'
import { activeStates, type ExportRow } from './export-task.ts'

export interface ExportFilter {
  readonly project?: string | undefined
  readonly system?: string | undefined
  readonly states?: readonly ExportState[] | undefined
  /** Exports that come after this one, newest first. */
  readonly after?: { readonly created_at: number; readonly id: string } | undefined
  readonly limit: number
}

export interface Lease {
  readonly name: string
  readonly holder: string
}

export interface ChangeOptions {
  /** Only as long as the lease is held by whom it says. */
  readonly lease?: Lease | undefined
  /** Only exports in one of these states. Default: those that are not at their end. */
  readonly states?: readonly ExportState[] | 'any'
}

/** Exports in the store. */
export class ExportStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Stores an export, unless it is there: then what is there counts. */
  async add(row: Insertable<ExportsTable>): Promise<{ row: ExportRow; added: boolean }> {
    const added = await this.#database.write
      .insertInto('exports')
      .values(row)
      .onConflict((conflict) => conflict.column('id').doNothing())
      .returningAll()
      .executeTakeFirst()
    if (added !== undefined) return { row: added, added: true }
    const known = await this.#database.write
      .selectFrom('exports')
      .selectAll()
      .where('id', '=', row.id)
      .executeTakeFirstOrThrow()
    return { row: known, added: false }
  }

  get(id: string): Promise<ExportRow | undefined> {
    return this.#database.read.selectFrom('exports').selectAll().where('id', '=', id).executeTakeFirst()
  }

  /** Newest first. */
  list({ project, system, states, after, limit }: ExportFilter): Promise<ExportRow[]> {
    let query = this.#database.read.selectFrom('exports').selectAll()
    if (project !== undefined) query = query.where('project_id', '=', project)
    if (system !== undefined) query = query.where('system_id', '=', system)
    if (states !== undefined) query = query.where('state', 'in', states)
    if (after !== undefined) {
      const { created_at, id } = after
      query = query.where((of) =>
        of.or([of('created_at', '<', created_at), of('created_at', '=', created_at).and('id', '<', id)]),
      )
    }
    return query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute()
  }

  /** What a system has to do: exports that are not at their end, and those of which a job on HCP may be left. Oldest first. */
  open(system: string): Promise<ExportRow[]> {
    return this.#database.read
      .selectFrom('exports')
      .selectAll()
      .where('system_id', '=', system)
      .where((of) => of.or([of('state', 'in', activeStates), of('job', 'is not', null)]))
      .orderBy('created_at')
      .orderBy('id')
      .execute()
  }

  /** Of these, those that are not at their end. */
  async stillActive(ids: readonly string[]): Promise<string[]> {
    const rows = await this.#database.read
      .selectFrom('exports')
      .select('id')
      .where('id', 'in', ids)
      .where('state', 'in', activeStates)
      .execute()
    return rows.map(({ id }) => id)
  }

  /** Changes exports. The percentage only ever grows. Gives those that were changed. */
  async change(
    ids: readonly string[],
    values: Omit<Updateable<ExportsTable>, 'updated_at'>,
    { lease, states = activeStates }: ChangeOptions = {},
  ): Promise<ExportRow[]> {
    if (ids.length === 0) return []
    const { percentage, ...others } = values
    const now = nowMicroseconds()
    let query = this.#database.write
      .updateTable('exports')
      .set({ ...others, updated_at: now })
      .where('id', 'in', ids)
    if (typeof percentage === 'number') {
      query = query.set((of) => ({
        percentage: of
          .case()
          .when('percentage', '<', percentage)
          .then(percentage)
          .else(of.ref('percentage'))
          .end() as Expression<number>,
      }))
    }
    if (states !== 'any') query = query.where('state', 'in', states)
    if (lease !== undefined) {
      const { name, holder } = lease
      query = query.where((of): Expression<SqlBool> =>
        of.exists(
          of
            .selectFrom('leases')
            .select('leases.name')
            .where('leases.name', '=', name)
            .where('leases.holder', '=', holder),
        ),
      )
    }
    return query.returningAll().execute()
  }

  /** Bytes of the newest archive of a system. */
  async lastArchive(system: string): Promise<ExportRow | undefined> {
    return this.#database.read
      .selectFrom('exports')
      .selectAll()
      .where('system_id', '=', system)
      .where('archive', 'is not', null)
      .where('state', 'in', ['completed', 'expired'])
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirst()
  }

  /** Exports whose time is up. */
  due(): Promise<ExportRow[]> {
    return this.#database.read
      .selectFrom('exports')
      .selectAll()
      .where('state', '=', 'completed')
      .where('expires_at', '<=', nowMicroseconds())
      .limit(100)
      .execute()
  }

  /** Exports at their end whose archives are to be removed. */
  removable(after: string): Promise<ExportRow[]> {
    return this.#database.read
      .selectFrom('exports')
      .selectAll()
      .where('state', 'in', ['failed', 'cancelled', 'expired'])
      .where('archive', 'is not', null)
      .where('id', '>', after)
      .orderBy('id')
      .limit(100)
      .execute()
  }

  /** Exports at their end whose operation log says that they are not: the process ended between the two. */
  withOpenOperation(system: string): Promise<ExportRow[]> {
    return this.#database.read
      .selectFrom('exports')
      .innerJoin('operation_logs', (join) =>
        join
          .onRef('operation_logs.id', '=', 'exports.operation_id')
          .onRef('operation_logs.project_id', '=', 'exports.project_id'),
      )
      .selectAll('exports')
      .where('exports.system_id', '=', system)
      .where('exports.state', 'in', ['completed', 'failed', 'cancelled', 'expired'])
      .where('operation_logs.status', '=', 'in_progress')
      .execute()
  }
}
