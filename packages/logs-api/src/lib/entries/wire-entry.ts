import { z } from 'zod'
import { formatTime } from '../time.ts'
import type { Entry } from './entry.ts'

/**
 * An entry as it goes out: `log_id`, `data` (where it was read), `name`, `dataset_id` and `task_id` (where there are some), `timestamp`, then
 * the other fields as they were sent, and `data_missing` where the object with its text is lost.
 */
export function wireEntry(entry: Entry): Record<string, unknown> {
  const { log_id, data, name, dataset_id, task_id } = entry
  return {
    log_id,
    ...(data !== undefined && { data }),
    name,
    ...(dataset_id !== null && { dataset_id }),
    ...(task_id !== null && { task_id }),
    timestamp: formatTime(entry.timestamp),
    ...entry.fields,
    ...(entry.dataMissing && { data_missing: true }),
  }
}

/** For the description of the service. */
export const wireEntrySchema: z.ZodType<Record<string, unknown>> = z
  .looseObject({
    log_id: z.string().describe('32 hexadecimal digits'),
    data: z.string().optional().describe('The text'),
    name: z.string().optional().describe('Kind of log, such as stdlog, stdout or stderr'),
    dataset_id: z.string().optional(),
    task_id: z.string().optional(),
    timestamp: z.string().optional().describe('UTC: YYYY-MM-DDTHH:MM:SS.ffffff'),
    data_missing: z.literal(true).optional().describe('The text was in an object that is lost'),
  })
  .describe('An entry: these fields and whatever else was sent')
