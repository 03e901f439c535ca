/** An entry to be stored. Checked already: texts are well-formed, ids and names have 1 to 255 characters. */
export interface NewEntry {
  readonly dataset_id: string | null
  readonly task_id: string | null
  readonly name: string
  readonly data: string
  /** Microseconds since 1970. Default: now. */
  readonly timestamp?: number | undefined
  /** 1 to 24. */
  readonly severity?: number | null | undefined
  /** Everything else that was sent, as it was sent; `severity`, `attributes`, `trace_id` and `span_id` among it. */
  readonly fields?: Readonly<Record<string, unknown>> | undefined
  /**
   * Where ids come from when the same request may come again (`Idempotency-Key`): then an entry of this id that is there already is left
   * as it is. Default: a new id.
   */
  readonly id?: ((bucket: number) => string) | undefined
}

/** An entry as it is stored. */
export interface Entry {
  readonly log_id: string
  readonly dataset_id: string | null
  readonly task_id: string | null
  readonly name: string
  /** Microseconds since 1970. */
  readonly timestamp: number
  /** Microseconds since 1970. */
  readonly arrived: number
  readonly severity: number | null
  /** Undefined where it was not asked for. */
  readonly data: string | undefined
  /** The object that held the text is gone; `data` is empty. */
  readonly dataMissing: boolean
  readonly fields: Readonly<Record<string, unknown>>
}

/** Which entries; all conditions hold together. */
export interface EntryQuery {
  /** Any of these, of an empty list: none; undefined: all datasets and entries without one. */
  readonly datasets?: readonly string[] | undefined
  readonly task?: string | undefined
  readonly name?: string | undefined
  /** Microseconds, inclusive. */
  readonly from?: number | undefined
  /** Microseconds, exclusive. */
  readonly before?: number | undefined
  /** In any of these ranges, both ends inclusive, 1 to 24; of an empty list: none. */
  readonly severities?: readonly { readonly least: number; readonly most: number }[] | undefined
  readonly words?: WordQuery | undefined
}

/** Parts of a query in words: all of `all`, in any order, and none of `none`. A part of several words is a phrase. Made by words.ts. */
export interface WordQuery {
  readonly all: readonly (readonly string[])[]
  readonly none: readonly (readonly string[])[]
}

/** A place in the order (`timestamp`, `log_id`). */
export interface Position {
  readonly timestamp: number
  readonly log_id: string
}

/** A place in the order of arrival (`arrived`, `log_id`). */
export interface Arrival {
  readonly arrived: number
  readonly log_id: string
}

export interface ReadOptions {
  readonly order: 'asc' | 'desc'
  /** Entries behind this place in the order. */
  readonly after?: Position | undefined
  /** At most this many. Undefined: all. */
  readonly limit?: number | undefined
  /** Whether texts are wanted; those in objects cost a request each. */
  readonly data: boolean
}

export interface Deletion {
  readonly removed: number
  readonly total: number
}

/** Entries in the store, their texts included, wherever those are. */
export interface Entries {
  /** Called after each commit of this process from now on. There is one listener. */
  onWritten?(listener: () => void): void
  /** Stored for good when it resolves. Calls that come together share a transaction. Gives the `log_id`. */
  add(entry: NewEntry): Promise<string>
  /** All of them in one transaction, stored for good when it resolves. Gives the `log_id`s in the order given. */
  addAll(entries: readonly NewEntry[]): Promise<string[]>
  /** With its text. */
  get(logId: string, of?: { readonly dataset: string }): Promise<Entry | undefined>
  /** In the order (`timestamp`, `log_id`), fetched page by page as it is read. */
  read(query: EntryQuery, options: ReadOptions): AsyncIterable<Entry>
  /** The newest (`desc`) or oldest (`asc`) entry of each name in a task, in the order of their times. Long texts are fetched as they are read. */
  newestPerName(dataset: string, task: string, options: Omit<ReadOptions, 'after'>): AsyncIterable<Entry>
  /** In the order of arrival, behind a place in it. */
  arrivals(query: EntryQuery, after: Arrival, limit: number): Promise<Entry[]>
  /** Whether there was one. */
  remove(logId: string, of?: { readonly dataset: string }): Promise<boolean>
  /**
   * Removes what the query finds, at the time of the call, in bounded steps; yields after each step, at first with `removed: 0`. Goes on only
   * while it is iterated.
   */
  removeAll(query: EntryQuery): AsyncIterable<Deletion>
}
