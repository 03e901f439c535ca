import { Refusal } from '../http/refusal.ts'
import type { NewOperation, OperationChanges, Operations } from './operation.ts'
import { OperationRefusedError, type OperationSink } from './operation-sink.ts'

/** For a recorder in the process of the service: `new StoreSink(service.context.operations)`. */
export class StoreSink implements OperationSink {
  readonly #operations: Pick<Operations, 'add' | 'change'>

  constructor(operations: Pick<Operations, 'add' | 'change'>) {
    this.#operations = operations
  }

  async add(operation: NewOperation & { readonly id: string }): Promise<void> {
    try {
      await this.#operations.add(operation)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      // Nobody else makes the same id: it is from a try that was stored and did not tell.
      if (error.status !== 409) throw new OperationRefusedError(error.message, { cause: error })
    }
  }

  async change(id: string, changes: OperationChanges): Promise<void> {
    let changed
    try {
      changed = await this.#operations.change(id, undefined, changes)
    } catch (error) {
      if (error instanceof Refusal) throw new OperationRefusedError(error.message, { cause: error })
      throw error
    }
    if (changed === undefined) throw new OperationRefusedError(`Operation log ${id} could not be found.`)
  }
}
