import { setTimeout as sleep } from 'node:timers/promises'
import { type RawBuilder, sql } from 'kysely'
import { Counter } from 'prom-client'
import type { Position } from '../entries/entry.ts'
import type { EntryStore } from '../entries/entry-store.ts'
import type { ServiceContext } from '../http/context.ts'
import type { RetentionOptions } from '../http/options.ts'
import { Refusal } from '../http/refusal.ts'
import type { Operation } from '../operations/operation.ts'
import { IdempotencyKeys } from '../store/idempotency.ts'
import { ifFree, whileHeld } from '../store/leases.ts'
import { readSetting, writeSetting } from '../store/settings.ts'
import { nowMicroseconds } from '../time.ts'
import { countDue, type DueEntries, dueKeys } from './due-entries.ts'
import { readPolicy, type RetentionPolicy, type RetentionRule } from './policy.ts'

/** What a clean-up removed, or would remove. */
export interface RetentionRun {
  readonly dry_run: boolean
  readonly removed: {
    readonly entries: number
    readonly operations: number
    /** Objects of those entries, and objects that no entry spoke for. Of these a dry run knows nothing. */
    readonly bodies: number
  }
  readonly by_rule: (RetentionRule & { readonly entries: number })[]
}

/** The newest clean-up, from its operation log. Times are microseconds since 1970. */
export interface LastRun {
  readonly operation_id: string
  readonly status: string | null
  readonly started_at: number | null
  readonly ended_at: number | null
  readonly error_info: string | null
  /** Null where the run has not ended well. */
  readonly removed: RetentionRun['removed'] | null
}

interface Counts {
  readonly removed: { entries: number; operations: number; bodies: number }
  readonly by_rule: (RetentionRule & { entries: number })[]
}

const day = 86_400_000_000
/** Rows of a transaction. */
const step = 500
const project = 'system'
const operationType = 'retention_purge'
const nextRunKey = 'retention_next_run'
/** Held by the run itself, by hand or not. */
const runLease = 'retention'

/** Removes what is old enough to go: by itself now and then in one process of those that share the store, and when it is told to. */
export class Retention {
  readonly #context: ServiceContext
  readonly #entries: Pick<EntryStore, 'removeRows' | 'sweep'>
  readonly #removed: Counter<'kind'>
  readonly #stopped = new AbortController()
  readonly #stopping: AbortSignal
  readonly intervalSeconds: number
  #leading: Promise<void> = Promise.resolve()

  constructor(
    context: ServiceContext,
    entries: Pick<EntryStore, 'removeRows' | 'sweep'>,
    { intervalSeconds = 3600 }: RetentionOptions = {},
  ) {
    if (!(intervalSeconds > 0) || intervalSeconds > 366 * 86_400)
      throw new RangeError('`retention.intervalSeconds` must be more than 0, and a year at most.')
    this.#context = context
    this.#entries = entries
    this.intervalSeconds = intervalSeconds
    this.#stopping = AbortSignal.any([context.stopping, this.#stopped.signal])
    this.#removed = new Counter({
      name: 'hcp_logs_retention_removed_total',
      help: 'What the clean-up has removed.',
      labelNames: ['kind'],
      registers: [context.metrics],
    })
  }

  /** Lets it run by itself, here or in another process. */
  start(): void {
    const { database, log } = this.#context
    this.#leading = whileHeld(database, 'leader', { stopping: this.#stopping, log }, (signal) =>
      this.#lead(signal),
    )
  }

  /** Resolves when nothing is running any more. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error('The service is stopping.'))
    await this.#leading
  }

  /**
   * @param options.policy Default: the one that is set.
   * @throws {Refusal} 409 while another run is going on, in any process.
   */
  async run({
    dryRun = false,
    policy,
    signal = this.#stopping,
  }: {
    readonly dryRun?: boolean
    readonly policy?: RetentionPolicy
    readonly signal?: AbortSignal
  } = {}): Promise<RetentionRun> {
    const { database } = this.#context
    const rules = policy ?? (await readPolicy(database))
    if (dryRun) return this.#wouldRemove(rules)
    const run = await ifFree(database, runLease, { stopping: signal }, async (held) => {
      await this.#closeLeftOpen()
      return this.#runLogged(rules, held)
    })
    if (run === undefined)
      throw new Refusal(409, 'A clean-up is running already. Try again when it has ended.', {
        headers: { 'retry-after': '10' },
      })
    return run.result
  }

  /** Microseconds since 1970. Undefined: no process has planned one yet. */
  async nextRun(): Promise<number | undefined> {
    const setting = await readSetting(this.#context.database, nextRunKey)
    return setting === undefined ? undefined : Number(setting)
  }

  async lastRun(): Promise<LastRun | undefined> {
    const [newest] = await this.#runs({}, 1)
    if (newest === undefined) return undefined
    const { id, status, started_at, ended_at, error_info, extra_info } = newest
    const removed =
      status === 'success' ? (JSON.parse(extra_info ?? '{}') as Partial<RetentionRun>).removed : undefined
    return { operation_id: id, status, started_at, ended_at, error_info, removed: removed ?? null }
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const { database, log } = this.#context
    // A run of a process that died counts as running until its lease ends.
    while (!signal.aborted) {
      if (await ifFree(database, runLease, { stopping: signal }, () => this.#closeLeftOpen())) break
      await pause(1000, signal)
    }
    const interval = this.intervalSeconds * 1_000_000
    let next = await this.nextRun()
    // Soon at first, and never much later than the interval of today.
    if (next === undefined || !(next <= nowMicroseconds() + interval * 1.1))
      next = await this.#plan(nowMicroseconds() + interval * 0.1 * Math.random())
    while (!signal.aborted) {
      const left = (next - nowMicroseconds()) / 1000
      if (left > 0) {
        // Timers have a longest time.
        await pause(Math.min(left, 3_600_000), signal)
        continue
      }
      try {
        await this.run({ signal })
      } catch (error) {
        if (signal.aborted) return
        log.warn({ error: brief(error) }, 'The clean-up failed, and is tried again at its next time.')
      }
      // Not all services of the world at the full hour.
      next = await this.#plan(nowMicroseconds() + interval * (0.9 + 0.2 * Math.random()))
    }
  }

  async #plan(time: number): Promise<number> {
    await writeSetting(this.#context.database, nextRunKey, `${Math.round(time)}`)
    return Math.round(time)
  }

  async #runs(equal: Partial<Operation>, limit: number): Promise<readonly Operation[]> {
    const page = await this.#context.operations.list({
      project,
      equal: { operation_type: operationType, ...equal },
      limit,
    })
    return page.operations
  }

  /** Of runs whose process ended. Only while no run can be going on. */
  async #closeLeftOpen(): Promise<void> {
    for (const { id } of await this.#runs({ status: 'in_progress' }, 1000))
      await this.#context.operations.change(id, project, {
        status: 'error',
        error_info: 'process ended',
        ended_at: nowMicroseconds(),
      })
  }

  async #runLogged(policy: RetentionPolicy, signal: AbortSignal): Promise<RetentionRun> {
    const { database, operations } = this.#context
    const { id } = await operations.add(
      { project_id: project, operation_type: operationType, status: 'in_progress' },
      database.holder,
    )
    const counts: Counts = { removed: { entries: 0, operations: 0, bodies: 0 }, by_rule: [] }
    let failure: { readonly error: unknown } | undefined
    try {
      await this.#remove(policy, counts, signal)
    } catch (error) {
      failure = { error }
    }
    for (const [kind, count] of Object.entries(counts.removed)) this.#removed.inc({ kind }, count)
    await operations.change(id, project, {
      status: failure === undefined ? 'success' : 'fail',
      error_info: failure === undefined ? null : brief(failure.error),
      ended_at: nowMicroseconds(),
      extra_info: JSON.stringify(counts),
    })
    if (failure !== undefined) throw failure.error
    return { dry_run: false, ...counts }
  }

  /** @param counts Is right also when it fails on its way. */
  async #remove(policy: RetentionPolicy, { removed, by_rule }: Counts, signal: AbortSignal): Promise<void> {
    for (const { rule, due } of this.#due(policy)) {
      const count = { ...rule, entries: 0 }
      by_rule.push(count)
      if (due === undefined) continue
      for await (const { entries, bodies } of this.#removeEntries(due, signal)) {
        count.entries += entries
        removed.entries += entries
        removed.bodies += bodies
      }
    }
    const { operations_days: days } = policy
    if (days !== null)
      for await (const count of this.#removeOperations(nowMicroseconds() - days * day, signal))
        removed.operations += count
    mayGoOn(signal)
    removed.bodies += (await this.#entries.sweep(signal)).removed
    mayGoOn(signal)
    await new IdempotencyKeys(this.#context.database).purge()
  }

  async #wouldRemove(policy: RetentionPolicy): Promise<RetentionRun> {
    const { read } = this.#context.database
    const counts: Counts = { removed: { entries: 0, operations: 0, bodies: 0 }, by_rule: [] }
    for (const { rule, due } of this.#due(policy)) {
      const [found] = due === undefined ? [] : (await countDue(due).execute(read)).rows
      counts.by_rule.push({ ...rule, entries: found?.entries ?? 0 })
      counts.removed.entries += found?.entries ?? 0
      counts.removed.bodies += found?.bodies ?? 0
    }
    if (policy.operations_days !== null) {
      const before = nowMicroseconds() - policy.operations_days * day
      const { rows } = await sql<{ count: number }>`
        select count(*) as count from operation_logs where ${oldOperations(before)}`.execute(read)
      counts.removed.operations = rows[0]?.count ?? 0
    }
    return { dry_run: true, ...counts }
  }

  /** The entries that go by each rule; undefined where it keeps them. */
  #due({ rules }: RetentionPolicy): { rule: RetentionRule; due: DueEntries | undefined }[] {
    const now = nowMicroseconds()
    const { dialect } = this.#context.database
    return rules.map((rule, index) => {
      if (rule.days === null) return { rule, due: undefined }
      const before = Math.round(now - rule.days * day)
      return { rule, due: { dialect, rule, earlier: rules.slice(0, index), before } }
    })
  }

  async *#removeEntries(
    due: DueEntries,
    signal: AbortSignal,
  ): AsyncGenerator<{ entries: number; bodies: number }, void> {
    let after: Position | undefined
    for (;;) {
      mayGoOn(signal)
      const { rows } = await dueKeys(due, after, step).execute(this.#context.database.read)
      if (rows.length === 0) return
      const entries = await this.#entries.removeRows(rows)
      yield { entries, bodies: rows.filter(({ body }) => body !== null).length }
      if (rows.length < step) return
      after = rows.at(-1)
    }
  }

  async *#removeOperations(before: number, signal: AbortSignal): AsyncGenerator<number, void> {
    const { read, write } = this.#context.database
    for (;;) {
      mayGoOn(signal)
      const { rows } = await sql<{ project_id: string; id: string }>`
        select project_id, id from operation_logs where ${oldOperations(before)}
        order by created_at, id limit ${step}`.execute(read)
      for (const [own, found] of Map.groupBy(rows, (row) => row.project_id)) {
        const { numDeletedRows } = await write
          .deleteFrom('operation_logs')
          .where('project_id', '=', own)
          .where(
            'id',
            'in',
            found.map(({ id }) => id),
          )
          // It may have been opened again meanwhile.
          .where(sql<boolean>`${oldOperations(before)}`)
          .executeTakeFirst()
        yield Number(numDeletedRows)
      }
      if (rows.length < step) return
    }
  }
}

const oldOperations = (before: number): RawBuilder<unknown> =>
  sql`created_at < ${Math.round(before)} and (status is null or status <> 'in_progress')`

function mayGoOn(signal: AbortSignal): void {
  if (signal.aborted)
    throw new Refusal(503, 'The clean-up was stopped before its end. The next one does the rest.', {
      headers: { 'retry-after': '10' },
    })
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined)
}

/** Without the texts of unknown errors, which may hold values of queries. */
function brief(error: unknown): string {
  if (error instanceof Refusal) return error.message
  if (!(error instanceof Error)) return 'unknown error'
  const { code } = error as Error & { code?: unknown }
  return typeof code === 'string' ? `${error.name} ${code}` : error.name
}
