import { sql } from 'kysely'
import type { Database } from './database.ts'
import type { Tables } from './schema.ts'

/** How the tables lie on the nodes of Citus: by this column, or whole on each of them. */
export const distribution: Readonly<Record<keyof Tables, 'bucket' | 'project_id' | 'everywhere'>> = {
  entries: 'bucket',
  bodies: 'bucket',
  operation_logs: 'project_id',
  exports: 'everywhere',
  dataset_rights: 'everywhere',
  idempotency_keys: 'everywhere',
  leases: 'everywhere',
  settings: 'everywhere',
}

/** The statement that distributes a table, with the rows that are in it. */
export function distributionStatement(table: keyof Tables): string {
  const column = distribution[table]
  if (column === 'everywhere') return `select create_reference_table('${table}')`
  // Objects beside their entries: both go in one transaction.
  const beside = table === 'bodies' ? `, colocate_with => 'entries'` : ''
  return `select create_distributed_table('${table}', '${column}'${beside})`
}

/**
 * Distributes the tables over the nodes of Citus. To be called once, on the coordinator, before there is much in them and while no service
 * writes; again after a newer version made new tables. Tables that are distributed already stay as they are. Gives the names of the others.
 *
 * @throws {Error} The store is no PostgreSQL with the extension `citus`.
 */
export async function distributeTables(database: Database): Promise<(keyof Tables)[]> {
  if (database.dialect !== 'postgres')
    throw new Error(
      'Only a PostgreSQL store with the extension `citus` can be distributed. This one is SQLite.',
    )
  const { rows: extensions } = await sql`select 1 from pg_extension where extname = 'citus'`.execute(
    database.write,
  )
  if (extensions.length === 0)
    throw new Error(
      'This database has no extension `citus`. Install Citus on all nodes, let a superuser run `create extension citus` in this database, and try again.',
    )
  return database.write.connection().execute(async (connection) => {
    // To move the rows may take longer than a query may.
    await sql`set statement_timeout = 0`.execute(connection)
    try {
      const { rows } = await sql<{ name: string }>`
        select logicalrelid::text as name from pg_dist_partition`.execute(connection)
      const known = new Set(rows.map(({ name }) => name))
      const missing = (Object.keys(distribution) as (keyof Tables)[]).filter((table) => !known.has(table))
      for (const table of missing) await sql.raw(distributionStatement(table)).execute(connection)
      return missing
    } finally {
      await sql`reset statement_timeout`.execute(connection)
    }
  })
}
