import { z } from 'zod'
import { formatTime } from '../time.ts'
import type { Operation } from './operation.ts'

/** An operation log as it is answered: the fields of API B, `project_id` among them. */
export type WireOperation = Omit<Operation, 'started_at' | 'ended_at' | 'created_at' | 'updated_at'> & {
  readonly started_at: string | null
  readonly ended_at: string | null
}

export const wireOperationSchema: z.ZodType<WireOperation> = z.object({
  id: z.string(),
  project_id: z.string(),
  operation_type: z.string(),
  checkpoint_id: z.string().nullable(),
  plan_id: z.string().nullable(),
  provider_id: z.string().nullable(),
  restore_id: z.string().nullable(),
  scheduled_operation_id: z.string().nullable(),
  status: z.string().nullable(),
  started_at: z.string().nullable().describe('UTC without a zone, such as 2026-03-04T10:11:12.000345'),
  ended_at: z.string().nullable().describe('UTC without a zone'),
  error_info: z.string().nullable(),
  extra_info: z.string().nullable().describe('Text, as a rule that of a JSON object'),
})

export function wireOperation(operation: Operation): WireOperation {
  const { created_at: _created, updated_at: _updated, started_at, ended_at, ...rest } = operation
  return { ...rest, started_at: timeText(started_at), ended_at: timeText(ended_at) }
}

const timeText = (time: number | null): string | null => (time === null ? null : formatTime(time))
