import type { Caller } from '../http/context.ts'

export interface DatasetRights {
  readonly read_groups: readonly string[]
  readonly write_groups: readonly string[]
  readonly read_users: readonly string[]
  readonly write_users: readonly string[]
}

/** Who may do what with the entries of which dataset. */
export interface Rights {
  get(dataset: string): Promise<DatasetRights | undefined>
  set(dataset: string, rights: DatasetRights): Promise<void>
  remove(dataset: string): Promise<boolean>
  /** Throws the Refusal (403 `attr not found` or `authorization failed`) if the caller lacks it. Admins have all. */
  check(caller: Caller, dataset: string, right: 'read' | 'write'): Promise<void>
  /** Of all that have a record, those that the caller may read. */
  readable(caller: Caller): Promise<string[]>
}
