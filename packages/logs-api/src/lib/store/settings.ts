import { randomBytes } from 'node:crypto'
import type { Database } from './database.ts'

/** Undefined: it was never written. */
export async function readSetting(database: Database, key: string): Promise<string | undefined> {
  const row = await database.read
    .selectFrom('settings')
    .select('value')
    .where('key', '=', key)
    .executeTakeFirst()
  return row?.value
}

export async function writeSetting(database: Database, key: string, value: string): Promise<void> {
  await database.write
    .insertInto('settings')
    .values({ key, value })
    .onConflict((known) => known.column('key').doUpdateSet({ value }))
    .execute()
}

/** 32 random bytes, made when they are first asked for and then the same for all processes that share the store. */
export async function secretSetting(database: Database, key: string): Promise<Buffer> {
  await database.write
    .insertInto('settings')
    .values({ key, value: randomBytes(32).toString('base64') })
    .onConflict((known) => known.column('key').doNothing())
    .execute()
  const { value } = await database.write
    .selectFrom('settings')
    .select('value')
    .where('key', '=', key)
    .executeTakeFirstOrThrow()
  return Buffer.from(value, 'base64')
}
