import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { Kysely } from 'kysely'
import type { Database, RowBatch } from './database.ts'
import { migrate } from './migrations.ts'
import type { Tables } from './schema.ts'
import { manyRows, sqliteDialect } from './sqlite-dialect.ts'

export interface SqliteOptions {
  readonly readers: number
  readonly readTimeout: number
}

/** @param file A path, or `:memory:` for a new store that is gone when it is closed. */
export async function openSqlite(file: string, { readers, readTimeout }: SqliteOptions): Promise<Database> {
  // Threads share no memory, so this is a file too.
  const folder = file === ':memory:' ? await mkdtemp(join(tmpdir(), 'hcp-logs-')) : undefined
  const path = folder === undefined ? resolve(file) : join(folder, 'logs.db')
  if (!existsSync(dirname(path)))
    throw new Error(`The folder of the SQLite file ${path} is not there. Make it first.`)
  const write = new Kysely<Tables>({ dialect: sqliteDialect({ file: path, readOnly: false, threads: 1 }) })
  const read = new Kysely<Tables>({
    dialect: sqliteDialect({ file: path, readOnly: true, threads: readers, timeout: readTimeout }),
  })
  let closing: Promise<void> | undefined

  async function end(): Promise<void> {
    // The last one to go tidies up, which readers cannot.
    await Promise.allSettled([read.destroy()])
    await Promise.allSettled([write.destroy()])
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }

  try {
    await migrate(write, 'sqlite')
  } catch (error) {
    await end()
    throw error
  }
  const close = (): Promise<void> => (closing ??= end())
  return {
    dialect: 'sqlite',
    read,
    write,
    holder: randomUUID(),
    insertMany: insertManyOnSqlite,
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function insertManyOnSqlite(
  trx: Kysely<Tables>,
  { table, columns, rows, ignoreKnown = false }: RowBatch,
): Promise<number> {
  if (rows.length === 0) return 0
  const names = columns.map((column) => `"${column}"`).join(', ')
  const places = columns.map(() => '?').join(', ')
  const text = `insert into "${table}" (${names}) values (${places})${ignoreKnown ? ' on conflict do nothing' : ''}`
  const { numAffectedRows } = await trx.executeQuery(manyRows(text, rows))
  return Number(numAffectedRows)
}
