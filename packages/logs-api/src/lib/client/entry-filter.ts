import { type Time, timeText, type Query } from './arguments.ts'

/** Which entries; all conditions hold together. */
export interface EntryFilter {
  readonly dataset?: string | undefined
  readonly task?: string | undefined
  readonly name?: string | undefined
  /** A number from 1 to 24, a name such as `error`, or several of these: any of them. */
  readonly severity?: Severity | readonly Severity[] | undefined
  /** This or worse. */
  readonly minSeverity?: Severity | undefined
  /** Inclusive. */
  readonly from?: Time | undefined
  /** Exclusive. */
  readonly to?: Time | undefined
  /** Words, `"phrases"` and `-words` that must not be there. */
  readonly q?: string | undefined
}

/** 1 to 24 as in OpenTelemetry, or a name of a range of these: `trace`, `debug`, `info`, `warn`, `error`, `fatal` and others. */
export type Severity = number | string

export const filterNames: readonly string[] = [
  'dataset',
  'task',
  'name',
  'severity',
  'minSeverity',
  'from',
  'to',
  'q',
]

export function filterQuery({ dataset, task, name, severity, minSeverity, from, to, q }: EntryFilter): Query {
  return {
    dataset_id: dataset,
    task_id: task,
    name,
    severity: Array.isArray(severity) ? severity.join(',') : (severity as Severity | undefined),
    min_severity: minSeverity,
    from: timeText('from', from),
    to: timeText('to', to),
    q,
  }
}
