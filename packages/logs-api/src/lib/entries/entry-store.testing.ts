import { Registry } from 'prom-client'
import type { ServiceLog } from '../http/context.ts'
import type { Database } from '../store/database.ts'
import type { BodyOptions } from '../http/options.ts'
import type { Entry, NewEntry } from './entry.ts'
import { EntryStore } from './entry-store.ts'

export const quiet: ServiceLog = { info() {}, warn() {}, error() {} }

/** An entry store on a database, and its metrics. */
export function entryStore(
  database: Database,
  bodies?: BodyOptions,
): { entries: EntryStore; metrics: Registry } {
  const metrics = new Registry()
  return { entries: new EntryStore({ database, bodies, metrics, log: quiet }), metrics }
}

export function entry(entry: Partial<NewEntry> = {}): NewEntry {
  return { dataset_id: 'd', task_id: 't', name: 'log', data: 'text', ...entry }
}

export async function texts(entries: AsyncIterable<Entry>): Promise<(string | undefined)[]> {
  return Array.fromAsync(entries, ({ data }) => data)
}
