import { bucketOf } from '../entries/log-id.ts'
import type { Arrival } from '../entries/entry.ts'
import type { Database } from '../store/database.ts'

export interface ArrivedId extends Arrival {
  readonly dataset_id: string | null
}

/**
 * Ids of what arrived after `from` and up to `to`, microseconds since 1970, in that order.
 * @param datasets Others may be among the answer.
 */
export async function arrivedIds(
  { dialect, read }: Database,
  datasets: readonly string[] | undefined,
  from: number,
  to: number,
): Promise<ArrivedId[]> {
  if (datasets?.length === 0) return []
  let query = read
    .selectFrom('entries')
    .select(['log_id', 'arrived', 'dataset_id'])
    .where('arrived', '>', from)
    .where('arrived', '<=', to)
  // SQLite would take the index of datasets for it, and read them whole.
  if (datasets !== undefined && dialect === 'postgres') {
    query = query
      .where('bucket', 'in', [...new Set(datasets.map(bucketOf))])
      .where('dataset_id', 'in', datasets)
  }
  return await query.orderBy('arrived').orderBy('log_id').execute()
}
