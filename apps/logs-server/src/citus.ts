import { distributeTables, openDatabase } from '@hcp/logs-api'
import type { Logger } from 'pino'
import type { Config } from './config.ts'
import { UsageError } from './usage.ts'

/** Makes the tables, if they are not there, and distributes them over the workers of Citus. */
export async function distribute({ database: url }: Config, log: Logger): Promise<void> {
  if (url.startsWith('sqlite:')) throw new UsageError('--citus needs a PostgreSQL database with Citus.')
  const database = await openDatabase(url, { log })
  try {
    const tables = await distributeTables(database)
    log.info({ tables }, 'The tables are distributed.')
  } finally {
    await database.close()
  }
}
