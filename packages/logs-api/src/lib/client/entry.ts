/** An entry as the service gives it out. */
export interface LogEntry {
  /** 32 hexadecimal digits; later ones are greater. */
  readonly log_id: string
  readonly data: string
  /** Kind of log: `log`, `stdlog`, `stdout`, `stderr` and the like. */
  readonly name: string
  readonly dataset_id?: string
  readonly task_id?: string
  /** UTC, `2026-03-04T10:11:12.000345`, without a zone. */
  readonly timestamp: string
  /** The object that held the text is gone; `data` is empty. */
  readonly data_missing?: boolean
  /** What else was sent; `severity`, `attributes`, `trace_id` and `span_id` have a meaning. */
  readonly [field: string]: unknown
}

/** The fields that were asked for with `keys`. Grouped task logs have null where an entry lacks one. */
export type SelectedEntry = { readonly [Field in keyof LogEntry]?: LogEntry[Field] | null }

/** An entry to be stored. */
export interface NewLogEntry {
  readonly data: string
  /** Default `log`. */
  readonly name?: string | undefined
  readonly dataset_id?: string | undefined
  readonly task_id?: string | undefined
  /** Kept as it is; `timestamp` and `log_id` are the service's own, save in bulk, where `timestamp` is kept. */
  readonly [field: string]: unknown
}

/** JSON of an entry. @throws {TypeError} if it has no text, or something that JSON cannot hold. */
export function entryJson(name: string, entry: unknown): string {
  if (entry === null || typeof entry !== 'object' || Array.isArray(entry))
    throw new TypeError(`${name} must be an object`)
  const { data } = entry as { data?: unknown }
  if (typeof data !== 'string') throw new TypeError(`${name}.data must be a text`)
  if (!data.isWellFormed())
    throw new TypeError(`${name}.data must be well-formed: it holds one half of a surrogate pair alone`)
  return JSON.stringify(entry)
}
