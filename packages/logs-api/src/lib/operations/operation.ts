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
export type NewOperation = Pick<Operation, 'project_id' | 'operation_type'> & {
  readonly [Field in keyof Operation]?: Operation[Field] | undefined
}

export type OperationField = keyof Operation

/** All of them. In the store there is also `holder`, which is the service's own affair. */
export const operationFields: readonly OperationField[] = [
  'id',
  'project_id',
  'operation_type',
  'checkpoint_id',
  'plan_id',
  'provider_id',
  'restore_id',
  'scheduled_operation_id',
  'status',
  'error_info',
  'extra_info',
  'started_at',
  'ended_at',
  'created_at',
  'updated_at',
]

/** What may be changed in an operation log. */
export type OperationChanges = {
  readonly [Field in Exclude<keyof Operation, 'id' | 'project_id' | 'created_at' | 'updated_at'>]?:
    | Operation[Field]
    | undefined
}

export interface OperationSort {
  readonly field: OperationField
  readonly direction: 'asc' | 'desc'
}

/** Which operation logs, in which order; all conditions hold together. */
export interface OperationQuery {
  /** Undefined: all projects. */
  readonly project: string | undefined
  /** Fields that have this value, or none (`null`). Times in microseconds. */
  readonly equal?: Partial<Operation> | undefined
  /** Of `created_at`: microseconds, inclusive. */
  readonly from?: number | undefined
  /** Of `created_at`: microseconds, exclusive. */
  readonly before?: number | undefined
  /**
   * The first counts most. `created_at` and `id` follow in the direction of the first where they are missing, so that the order is total.
   * What has no value comes last in either direction. Default: `created_at`, newest first.
   */
  readonly sort?: readonly OperationSort[] | undefined
  /** Only what comes behind this place in the order: the fields that are sorted by, of a log that need not match the rest. */
  readonly after?: Partial<Operation> | undefined
  /** Leaves out this many of those. */
  readonly offset?: number | undefined
  readonly limit: number
}

export interface OperationPage {
  readonly operations: Operation[]
  /** There are others behind them. */
  readonly more: boolean
}

/** Operation logs in the store. */
export interface Operations {
  /** Stored for good when it resolves. @throws {Refusal} 409 if the id is known. `holder`: set where this process has to close it. */
  add(operation: NewOperation, holder?: string): Promise<Operation>
  /** Changes what is given. Undefined: there is no such operation log (in that project). */
  change(id: string, project: string | undefined, changes: OperationChanges): Promise<Operation | undefined>
  get(id: string, project?: string): Promise<Operation | undefined>
  list(query: OperationQuery): Promise<OperationPage>
}
