import type { NewOperation, OperationChanges } from './operation.ts'

/** Where a recorder's operation logs go. Times are microseconds since 1970. */
export interface OperationSink {
  /**
   * Resolves when it is stored for good, also when it has been before.
   * @throws {OperationRefusedError} if it will never be taken. Any other error: it is tried again later.
   */
  add(operation: NewOperation & { readonly id: string }): Promise<void>
  /**
   * Resolves when it is stored for good.
   * @throws {OperationRefusedError} if it will never be taken. Any other error: it is tried again later.
   */
  change(id: string, changes: OperationChanges): Promise<void>
}

/** The operation log is not taken as it is: trying again would not help. */
export class OperationRefusedError extends Error {
  override name = 'OperationRefusedError'
}
