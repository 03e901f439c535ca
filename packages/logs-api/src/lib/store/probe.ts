import type { Database } from './database.ts'
import { readSetting, writeSetting } from './settings.ts'

/** Writes to the store and reads from it. Rejects where one of them fails. */
export async function probe(database: Database): Promise<void> {
  await writeSetting(database, 'probe', database.holder)
  // Another process may have written in between, so its value says nothing.
  if ((await readSetting(database, 'probe')) === undefined)
    throw new Error('The store does not give what was written to it.')
}
