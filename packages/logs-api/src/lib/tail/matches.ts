import type { Entry, EntryQuery } from '../entries/entry.ts'
import { holdsWords } from '../entries/words.ts'

/** Whether the store would find the entry by the query. */
export function matches(query: EntryQuery, entry: Entry): boolean {
  const { datasets, task, name, from, before, severities, words } = query
  const { dataset_id: dataset, severity } = entry
  if (datasets !== undefined && (dataset === null || !datasets.includes(dataset))) return false
  if (task !== undefined && entry.task_id !== task) return false
  if (name !== undefined && entry.name !== name) return false
  if (from !== undefined && entry.timestamp < from) return false
  if (before !== undefined && entry.timestamp >= before) return false
  if (
    severities !== undefined &&
    !severities.some(({ least, most }) => severity !== null && severity >= least && severity <= most)
  ) {
    return false
  }
  return words === undefined || holdsWords(entry.data ?? '', words)
}
