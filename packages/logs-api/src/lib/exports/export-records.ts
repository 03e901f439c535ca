import type { Counter } from 'prom-client'
import type { ServiceContext } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import { nowMicroseconds } from '../time.ts'
import { errorOf, type ExportRow, requestOf } from './export-task.ts'

/** What is told of exports elsewhere: an operation log of each, and its progress in words as entries. */
export class ExportRecords {
  readonly #context: ServiceContext
  readonly #finished: Counter<'outcome'>

  /** @param finished Counts exports at their end. */
  constructor(context: ServiceContext, finished: Counter<'outcome'>) {
    this.#context = context
    this.#finished = finished
  }

  /** Opens the operation log of an export, unless it is there. A failure is no reason not to export. */
  async open(row: ExportRow): Promise<void> {
    const { id, project_id, system_id, operation_id, created_at, caller } = row
    const { start_date, end_date } = requestOf(row)
    await this.#attempt('open the operation log of an export', async () => {
      try {
        await this.#context.operations.add({
          id: operation_id,
          project_id,
          operation_type: 'log_export',
          status: 'in_progress',
          scheduled_operation_id: id,
          started_at: created_at,
          extra_info: JSON.stringify({ system: system_id, start_date, end_date, actor: caller }),
        })
      } catch (error) {
        if (!(error instanceof Refusal && error.status === 409)) throw error
      }
    })
  }

  /** Closes the operation log of an export that is at its end. @param reason Of an end without an error of its own. */
  async close(row: ExportRow, reason = 'cancelled'): Promise<void> {
    const { operation_id, project_id, state } = row
    await this.#attempt('close the operation log of an export', async () => {
      const good = state === 'completed' || state === 'expired'
      const error = errorOf(row)
      await this.#context.operations.change(operation_id, project_id, {
        status: good ? 'success' : 'fail',
        ended_at: nowMicroseconds(),
        error_info: good ? null : (error?.error_msg ?? reason),
      })
    })
  }

  /** Counts an export that is at its end. */
  count({ state }: ExportRow): void {
    this.#finished.inc({ outcome: state })
  }

  /** Writes an entry about an export. */
  async say({ id, system_id }: ExportRow, text: string): Promise<void> {
    await this.#attempt('write about an export', () =>
      this.#context.entries.add({ dataset_id: system_id, task_id: id, name: 'stdlog', data: `${text}\n` }),
    )
  }

  async #attempt(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const name = error instanceof Error ? error.name : typeof error
      this.#context.log.warn({ error: name }, `The service could not ${what}.`)
    }
  }
}
