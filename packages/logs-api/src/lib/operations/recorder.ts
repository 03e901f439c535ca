import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { nowMicroseconds } from '../time.ts'
import type { NewOperation } from './operation.ts'
import { OperationRefusedError, type OperationSink } from './operation-sink.ts'
import {
  errorInfoOf,
  operationTypeOf,
  type OperationOutcome,
  outcomeOf,
  outcomeOfError,
  plain,
  type RecordedAction,
} from './recorded-action.ts'
import { Spool, type SpoolContent, type SpoolRecord } from './spool.ts'

export interface OperationRecorderOptions {
  readonly sink: OperationSink
  /** A local folder of the program's own, for what cannot be delivered yet. It is made if there is none. */
  readonly folder: string
  /** `project_id` of logs that name none: a tenant, or a fixed name for the system. Default `system`. */
  readonly project?: string
  /** Who does it, for `extra_info`. */
  readonly actor?: string
  /** More about an action: `plan_id`, the UUID of its link, and `provider_id`, that of its system, for example. */
  readonly describe?: (event: RecordedAction) => Partial<RecordedOperation>
  /** Milliseconds that an action waits at most, before and after it, for its log to be written. Default 2,000. */
  readonly patience?: number
  /** Milliseconds before the second try; each further pause is twice as long, up to `longestPause`. Default 1,000. */
  readonly firstPause?: number
  /** Milliseconds. Default 60,000. */
  readonly longestPause?: number
  /** Milliseconds that `close` tries to deliver what is left. Default 5,000. */
  readonly closeDeadline?: number
  /** Told when logs cannot be written, once until they can again. Default: a warning of the process. */
  readonly onWarning?: (message: string) => void
}

/** What a log tells of an operation. */
export interface RecordedOperation {
  /** `failover`, `retention_purge`, `config_change` and the like. */
  readonly operation_type: string
  readonly project_id?: string | undefined
  readonly plan_id?: string | undefined
  readonly provider_id?: string | undefined
  readonly checkpoint_id?: string | undefined
  readonly restore_id?: string | undefined
  readonly scheduled_operation_id?: string | undefined
  /** Written as JSON. For everybody's eyes: nothing secret. */
  readonly extra_info?: Readonly<Record<string, unknown>> | undefined
}

/** The log of an operation that is running. */
export interface OperationLog {
  readonly id: string
  /** Adds to `extra_info`, which is written when the operation ends. */
  note(facts: Readonly<Record<string, unknown>>): void
  /** How it ends, where returning or throwing does not tell. `errorInfo` is for everybody's eyes. */
  end(outcome: OperationOutcome, errorInfo?: string): void
}

interface Queued {
  readonly record: SpoolRecord
  readonly stored: Promise<void>
  /** Resolved at the first try, however it ends. */
  readonly tried: PromiseWithResolvers<void>
}

/**
 * Writes operation logs of a program: before an operation begins and when it has ended. It never keeps an operation from being carried out: what
 * cannot be written at once is kept in a folder and delivered later, also by the next start of the program, which closes what a process
 * that died has left open.
 */
export class OperationRecorder implements AsyncDisposable {
  readonly #options: Required<Omit<OperationRecorderOptions, 'actor' | 'describe'>>
  readonly #actor: string | undefined
  readonly #describe: OperationRecorderOptions['describe']
  readonly #spool: Spool
  readonly #queue: Queued[] = []
  /** Logs of actions that have begun, oldest first. */
  readonly #actions: Map<string, RunningLog[]> = new Map()
  /** The last try failed or takes too long: nobody waits for the next. */
  #down = false
  /** The warning that it failed was given. */
  #warned = false
  #delivering: Promise<void> | undefined
  #resting: AbortController | undefined
  #closed = false
  #stopped = false
  #closing: Promise<void> | undefined

  private constructor(options: OperationRecorderOptions, spool: Spool) {
    this.#options = {
      sink: options.sink,
      folder: options.folder,
      project: options.project ?? 'system',
      patience: options.patience ?? 2000,
      firstPause: options.firstPause ?? 1000,
      longestPause: options.longestPause ?? 60_000,
      closeDeadline: options.closeDeadline ?? 5000,
      onWarning: options.onWarning ?? warnOfProcess,
    }
    this.#actor = options.actor
    this.#describe = options.describe
    this.#spool = spool
  }

  /**
   * Takes the folder, and begins to deliver what an earlier process has left in it.
   * @throws {Error} if another program uses the folder, or it cannot be written to.
   */
  static async open(options: OperationRecorderOptions): Promise<OperationRecorder> {
    const spool = await Spool.open(options.folder)
    const recorder = new OperationRecorder(options, spool)
    for (const record of spool.waiting) recorder.#enqueue(record, Promise.resolve())
    for (const id of spool.open) {
      const changes = { status: 'error', ended_at: nowMicroseconds(), error_info: 'process ended' }
      void recorder.#write({ close: id, changes })
    }
    recorder.#deliverSoon()
    return recorder
  }

  /** Runs the work with a log of it. Gives what the work gives; its errors are passed on. */
  async record<Result>(
    operation: RecordedOperation,
    work: (log: OperationLog) => Result | Promise<Result>,
  ): Promise<Result> {
    const log = new RunningLog(operation)
    await this.#begin(log)
    try {
      const result = await work(log)
      log.suggest('success', undefined)
      return result
    } catch (error) {
      log.suggest(outcomeOfError(error), errorInfoOf(error))
      throw error
    } finally {
      await this.#finish(log)
    }
  }

  /** For `onAction` of a `ReplicationClient` of `@hcp/mapi-replication`: a log for each action. Never throws. */
  readonly onAction = async (event: RecordedAction): Promise<void> => {
    const { action, system, link, subject } = event
    const key = JSON.stringify([action, system, link, subject])
    const running = this.#actions.get(key) ?? []
    if (event.phase === 'before') {
      const log = new RunningLog(this.#operationOf(event))
      this.#actions.set(key, [...running, log])
      await this.#begin(log)
      return
    }
    const [log = new RunningLog(this.#operationOf(event)), ...rest] = running
    if (rest.length === 0) this.#actions.delete(key)
    else this.#actions.set(key, rest)
    const outcome = outcomeOf(event)
    log.suggest(outcome, outcome === 'success' ? undefined : errorInfoOf(event.error))
    await this.#finish(log)
  }

  /**
   * Tries to deliver what is left, and leaves the rest to the next start. Operations that are still running are closed as `error` by that: let them
   * end first.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#closed = true
    // One more try at once, then no other.
    this.#resting?.abort()
    this.#deliverSoon()
    if (this.#delivering) await within(this.#options.closeDeadline, this.#delivering)
    this.#stopped = true
    this.#resting?.abort()
    try {
      await this.#spool.close()
    } catch (error) {
      this.#warn(`The folder ${this.#options.folder} could not be left in order: ${messageOf(error)}`)
    }
  }

  #operationOf(event: RecordedAction): RecordedOperation {
    const { action, system, link, subject } = event
    let described: Partial<RecordedOperation> = {}
    try {
      described = this.#describe?.(event) ?? {}
    } catch (error) {
      this.#warn(`describe failed for the action ${action}: ${messageOf(error)}`)
    }
    return {
      operation_type: operationTypeOf(action),
      ...described,
      extra_info: { action, system, link, subject, ...described.extra_info },
    }
  }

  async #begin(log: RunningLog): Promise<void> {
    const { extra_info: _, ...facts } = log.operation
    const now = nowMicroseconds()
    const add = {
      project_id: this.#options.project,
      ...definedOf(facts),
      operation_type: facts.operation_type,
      id: log.id,
      status: 'in_progress',
      started_at: now,
      created_at: now,
      extra_info: this.#extraInfo(log),
    }
    await this.#write({ add })
  }

  async #finish(log: RunningLog): Promise<void> {
    const { outcome, errorInfo } = log
    const changes = {
      status: outcome,
      ended_at: nowMicroseconds(),
      error_info: errorInfo === undefined ? null : plain(errorInfo),
      extra_info: this.#extraInfo(log),
    }
    await this.#write({ close: log.id, changes })
  }

  #extraInfo(log: RunningLog): string | null {
    const facts = { ...(this.#actor !== undefined && { actor: this.#actor }), ...log.facts }
    try {
      return Object.keys(facts).length === 0 ? null : JSON.stringify(facts)
    } catch (error) {
      this.#warn(`extra_info of the operation log ${log.id} is no JSON: ${messageOf(error)}`)
      return null
    }
  }

  /** Resolves when it is in the spool and has been tried, or patience ends. Never throws. */
  async #write(content: SpoolContent): Promise<void> {
    try {
      if (this.#closed) {
        this.#warn('The recorder is closed: what happens from now on is not logged.')
        return
      }
      const { record, stored } = this.#spool.append(content)
      const kept = stored.catch((error: unknown) => {
        this.#warn(`The folder ${this.#options.folder} cannot be written to: ${messageOf(error)}`)
      })
      const queued = this.#enqueue(record, kept)
      this.#deliverSoon()
      const wait = this.#down ? kept : Promise.all([kept, queued.tried.promise])
      if (!(await within(this.#options.patience, wait))) this.#down = true
    } catch (error) {
      this.#warn(`An operation log could not be written: ${messageOf(error)}`)
    }
  }

  #enqueue(record: SpoolRecord, stored: Promise<void>): Queued {
    const queued = { record, stored, tried: Promise.withResolvers<void>() }
    this.#queue.push(queued)
    return queued
  }

  #deliverSoon(): void {
    if (this.#delivering !== undefined || this.#stopped || this.#queue.length === 0) return
    this.#delivering = this.#deliver()
  }

  /** One at a time, in order, until there are no more. Never throws. */
  async #deliver(): Promise<void> {
    let rest = this.#options.firstPause
    for (let next = this.#queue[0]; next !== undefined && !this.#stopped; next = this.#queue[0]) {
      // First on the disk: should we die after it has been sent, it has to be known here that the log is open.
      await within(this.#options.patience, next.stored)
      const error = await this.#send(next.record)
      if (error === undefined || error instanceof OperationRefusedError) {
        this.#queue.shift()
        next.tried.resolve()
        if (error === undefined) this.#down = this.#warned = false
        else await this.#setAside(next.record, error)
        rest = this.#options.firstPause
        // Should this fail, the sink gets it once more, at the next start.
        void this.#spool.done(next.record.n).catch(() => {})
        continue
      }
      if (!this.#warned) {
        this.#warned = true
        this.#warn(
          `Operation logs cannot be written: ${messageOf(error)}. They are kept in ${this.#options.folder} and tried again.`,
        )
      }
      this.#down = true
      for (const waiting of this.#queue) waiting.tried.resolve()
      if (this.#closed) break
      await this.#rest(rest)
      rest = Math.min(rest * 2, this.#options.longestPause)
    }
    this.#delivering = undefined
  }

  async #send(record: SpoolRecord): Promise<Error | undefined> {
    const { sink } = this.#options
    try {
      await ('add' in record ? sink.add(record.add) : sink.change(record.close, record.changes))
      return undefined
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  async #setAside(record: SpoolRecord, error: OperationRefusedError): Promise<void> {
    const where = `${this.#options.folder}/refused.jsonl`
    this.#warn(`An operation log was refused for good, it is in ${where}: ${error.message}`)
    try {
      await this.#spool.setAside(record, error.message)
    } catch (cause) {
      this.#warn(`${where} cannot be written to: ${messageOf(cause)}`)
    }
  }

  /** Keeps no process from ending: what is left is in the spool. */
  async #rest(milliseconds: number): Promise<void> {
    this.#resting = new AbortController()
    await pause(milliseconds, undefined, { signal: this.#resting.signal, ref: false }).catch(() => {})
    this.#resting = undefined
  }

  #warn(message: string): void {
    try {
      this.#options.onWarning(message)
    } catch {
      // Nothing keeps an operation from being carried out.
    }
  }
}

class RunningLog implements OperationLog {
  readonly id: string = randomUUID()
  readonly operation: RecordedOperation
  facts: Readonly<Record<string, unknown>>
  outcome: OperationOutcome = 'error'
  errorInfo: string | undefined
  #decided = false

  constructor(operation: RecordedOperation) {
    this.operation = operation
    this.facts = operation.extra_info ?? {}
  }

  note(facts: Readonly<Record<string, unknown>>): void {
    this.facts = { ...this.facts, ...facts }
  }

  end(outcome: OperationOutcome, errorInfo?: string): void {
    this.outcome = outcome
    this.errorInfo = errorInfo
    this.#decided = true
  }

  /** Holds where the work has not said otherwise. */
  suggest(outcome: OperationOutcome, errorInfo: string | undefined): void {
    if (this.#decided) return
    this.outcome = outcome
    this.errorInfo = errorInfo
  }
}

const warnOfProcess = (message: string): void => {
  process.emitWarning(message, { code: 'OPERATION_RECORDER' })
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const definedOf = (values: object): Partial<NewOperation> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))

/** Whether it came to its end in time. */
async function within(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds)
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
