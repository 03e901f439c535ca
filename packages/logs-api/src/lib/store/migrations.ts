import { type Kysely, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import type { Dialect } from './database.ts'
import { makeFirstTables } from './first-tables.ts'
import type { Tables } from './schema.ts'

/**
 * Each version of the store by its name. Names are never changed and new ones come last in the order of the alphabet; what a published
 * version did is never changed.
 */
export function migrations(dialect: Dialect): Record<string, Migration> {
  return {
    '0001-first-tables': { up: (store) => makeFirstTables(store, dialect) },
  }
}

const migrationTableName = 'logs_migrations'

/**
 * Brings the tables up to date. Several processes may do it at the same time.
 *
 * @param versions Default: all.
 * @throws {Error} The store is newer than the program.
 */
export async function migrate(
  store: Kysely<Tables>,
  dialect: Dialect,
  versions: Record<string, Migration> = migrations(dialect),
): Promise<void> {
  const migrator = new Migrator({
    db: store,
    provider: { getMigrations: async () => versions },
    migrationTableName,
    migrationLockTableName: 'logs_migration_lock',
    nameComparator: (one, other) => (one < other ? -1 : 1),
  })
  const { error } = await migrator.migrateToLatest()
  if (error === undefined) return
  const unknown = (await versionNames(store)).filter((name) => !Object.hasOwn(versions, name))
  if (unknown.length > 0)
    throw new Error(
      `The store was made by a newer version of this program (${unknown.join(', ')}). Use that version or a later one.`,
    )
  throw error
}

async function versionNames(store: Kysely<Tables>): Promise<string[]> {
  try {
    const { rows } = await sql<{ name: string }>`select name from ${sql.table(migrationTableName)}`.execute(
      store,
    )
    return rows.map(({ name }) => name)
  } catch {
    return []
  }
}
