import { randomUUID } from 'node:crypto'
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import type { PoolConfig } from 'pg'
import type { ServiceLog } from '../http/context.ts'
import type { Database, RowBatch } from './database.ts'
import { migrate } from './migrations.ts'
import type { Tables } from './schema.ts'

export interface PostgresOptions {
  readonly connections: number
  /** Milliseconds that a query may take. */
  readonly readTimeout: number
  readonly log?: ServiceLog | undefined
}

export async function openPostgres(
  url: string,
  { connections, readTimeout, log }: PostgresOptions,
): Promise<Database> {
  // Who has an SQLite store does not load it.
  const { default: pg } = await import('pg')

  function connect(config: PoolConfig): Kysely<Tables> {
    const pool = new pg.Pool({
      connectionString: url,
      application_name: 'hcp-logs',
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
      types: {
        getTypeParser: (id, format) =>
          id === pg.types.builtins.INT8 ? parseInt8 : pg.types.getTypeParser(id, format),
      },
      ...config,
    })
    // Connections that nobody uses break when the server goes. The next query finds out by itself.
    pool.on('error', (error) => log?.warn({ error: error.message }, 'A connection to PostgreSQL was lost.'))
    // Those in use tell their queries; the event alone, without a listener, would end the process.
    pool.on('connect', (client) => client.on('error', () => {}))
    return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  }

  // A new index may take longer than a query may.
  const migrating = connect({ max: 1 })
  try {
    await migrate(migrating, 'postgres')
  } finally {
    await migrating.destroy()
  }
  const write = connect({ max: connections, statement_timeout: readTimeout })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= write.destroy())
  return {
    dialect: 'postgres',
    read: write,
    write,
    holder: randomUUID(),
    insertMany: insertManyOnPostgres,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** All our whole numbers fit into a JavaScript number. */
function parseInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value))
    throw new RangeError(`The store gave the number ${text}, which is too large.`)
  return value
}

async function insertManyOnPostgres(
  trx: Kysely<Tables>,
  { table, columns, rows, ignoreKnown = false }: RowBatch,
): Promise<number> {
  if (rows.length === 0) return 0
  // A parameter for each column, so that the text of the query is the same for any number of rows.
  const parameters: unknown[] = []
  const given: string[] = []
  const selected = columns.map((column, index) => {
    const values = rows.map((row) => row[index] ?? null)
    const sample = values.find((value) => value !== null)
    if (sample === undefined) return 'null'
    parameters.push(values)
    given.push(`$${parameters.length}::${typeof sample === 'number' ? 'bigint' : 'text'}[]`)
    const name = `given.c${parameters.length}`
    return table === 'entries' && column === 'words' ? `${name}::tsvector` : name
  })
  const names = columns.map((column) => `"${column}"`).join(', ')
  const aliases = given.map((_, index) => `c${index + 1}`).join(', ')
  const text = `insert into "${table}" (${names}) select ${selected.join(', ')} from unnest(${given.join(', ')}) as given(${aliases})${
    ignoreKnown ? ' on conflict do nothing' : ''
  }`
  const { numAffectedRows } = await trx.executeQuery(CompiledQuery.raw(text, parameters))
  return Number(numAffectedRows)
}
