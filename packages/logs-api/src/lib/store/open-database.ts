import type { Database } from './database.ts'

/** Opens a store and brings its tables up to date. */
export async function openDatabase(_url: string): Promise<Database> {
  throw new Error('not written yet')
}
