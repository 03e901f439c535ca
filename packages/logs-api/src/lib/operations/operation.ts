/** An operation log, as it is on the wire save for its times: microseconds since 1970. */
export interface Operation {
  readonly id: string
  readonly project_id: string
  readonly operation_type: string
  readonly checkpoint_id: string | null
  readonly plan_id: string | null
  readonly provider_id: string | null
  readonly restore_id: string | null
  readonly scheduled_operation_id: string | null
  readonly status: string | null
  readonly started_at: number | null
  readonly ended_at: number | null
  readonly error_info: string | null
  readonly extra_info: string | null
  readonly created_at: number
  readonly updated_at: number
}

/** `id` is made, `started_at` and `created_at` are now, and the rest is null where it is left out. */
export type NewOperation = Pick<Operation, 'project_id' | 'operation_type'> & Partial<Operation>

/** Operation logs in the store. */
export interface Operations {
  /** Stored for good when it resolves. @throws {Refusal} 409 if the id is known. `holder`: set where this process has to close it. */
  add(operation: NewOperation, holder?: string): Promise<Operation>
  /** Changes what is given. Undefined: there is no such operation log (in that project). */
  change(
    id: string,
    project: string | undefined,
    changes: Partial<Omit<Operation, 'id' | 'project_id' | 'created_at' | 'updated_at'>>,
  ): Promise<Operation | undefined>
  get(id: string, project?: string): Promise<Operation | undefined>
}
