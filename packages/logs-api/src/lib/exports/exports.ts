import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { randomUUID } from 'node:crypto'
import { Counter, type Registry } from 'prom-client'
import type { Caller, RequestIdentity, ServiceContext } from '../http/context.ts'
import type { BodyOptions, ExportOptions, SystemOptions } from '../http/options.ts'
import { whileHeld } from '../store/leases.ts'
import { nowMicroseconds } from '../time.ts'
import { Archives } from './archives.ts'
import { ExportRecords } from './export-records.ts'
import { ExportStore, type Lease } from './export-store.ts'
import { archiveOf, type ExportRequest, type ExportRow } from './export-task.ts'
import { ExportWorker } from './export-worker.ts'
import { Wakeup } from './wakeup.ts'

/** Milliseconds between looks for archives whose time is up, at most. */
const expiryInterval = 30_000
/** Microseconds until the removal of an archive under retention is tried again. */
const retentionPause = 3_600_000_000

/**
 * Exports of the internal logs of HCP systems: the queue in the store, and a worker for each system, of which one process at a time works.
 *
 * Archives are in the namespace of `bodies`, or in the folder `exports.directory`; several processes then need the same folder.
 */
export class Exports {
  readonly store: ExportStore
  /** Milliseconds. */
  readonly pollInterval: number
  readonly #context: ServiceContext
  readonly #systems: ReadonlyMap<string, SystemOptions>
  readonly #options: ExportOptions
  readonly #bodies: BodyOptions | undefined
  readonly #records: ExportRecords
  readonly #workers = new Map<string, ExportWorker>()
  readonly #stop = new AbortController()
  readonly #expiry = new Wakeup()
  #archives: Promise<Archives> | undefined
  #temporary: string | undefined
  #running: Promise<unknown> | undefined

  /** @throws {TypeError | RangeError} for ids that cannot be in paths or come twice, and for times that are none. */
  constructor(
    context: ServiceContext,
    systems: readonly SystemOptions[],
    options: ExportOptions = {},
    bodies?: BodyOptions,
  ) {
    for (const { id } of systems) {
      if (!/^[A-Za-z0-9._-]{1,255}$/.test(id) || id === '.' || id === '..')
        throw new RangeError(
          `the id of a system must be of letters, digits, ".", "_" and "-", not ${JSON.stringify(id)}`,
        )
    }
    this.#systems = new Map(systems.map((system) => [system.id, system]))
    if (this.#systems.size < systems.length) throw new RangeError('two systems have the same id')
    checkTimes(options)
    this.#context = context
    this.#options = options
    this.#bodies = bodies
    this.pollInterval = options.pollInterval ?? 5_000
    this.store = new ExportStore(context.database)
    this.#records = new ExportRecords(context, finishedCounter(context.metrics))
  }

  /** Begins to work, in the background. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends the work; jobs on HCP go on, and are taken up again by the next process. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('The service stops.'))
    await this.#running
    if (this.#temporary !== undefined) await rm(this.#temporary, { recursive: true, force: true })
  }

  async #run(): Promise<void> {
    const stopping = AbortSignal.any([this.#stop.signal, this.#context.stopping])
    const { database, log } = this.#context
    const archives = await this.#open()
    const { patience = 6 * 3_600_000, expiryDays = 7 } = this.#options
    const work = [...this.#systems.values()].map((system) => {
      const worker = new ExportWorker({
        context: this.#context,
        system,
        store: this.store,
        records: this.#records,
        archives,
        pollInterval: this.pollInterval,
        patience,
        expiryDays,
      })
      this.#workers.set(system.id, worker)
      const name = `export:${system.id}`
      return whileHeld(database, name, { stopping, log }, (signal, holder) =>
        worker.run({ name, holder }, signal),
      )
    })
    const expiring = whileHeld(database, 'exports', { stopping, log }, (signal, holder) =>
      this.#expire({ name: 'exports', holder }, signal),
    )
    await Promise.all([...work, expiring])
  }

  #open(): Promise<Archives> {
    this.#archives ??= (async () => {
      let { directory } = this.#options
      if (directory === undefined) {
        this.#temporary = await mkdtemp(join(tmpdir(), 'hcp-exports-'))
        directory = this.#temporary
      }
      return new Archives(resolve(directory), this.#bodies)
    })()
    return this.#archives
  }

  /** Undefined: there is none of this id. */
  system(id: string): SystemOptions | undefined {
    return this.#systems.get(id)
  }

  archives(): Promise<Archives> {
    return this.#open()
  }

  /** Puts an export into the queue. A repetition of a request, by its identity, gives the export that is there. */
  async create(
    system: SystemOptions,
    request: ExportRequest,
    caller: Caller,
    identity: RequestIdentity | undefined,
  ): Promise<ExportRow> {
    const now = identity?.claimedAt ?? nowMicroseconds()
    const { row, added } = await this.store.add({
      id: identity?.uuid('export') ?? randomUUID(),
      project_id: system.project,
      system_id: system.id,
      state: 'queued',
      percentage: 0,
      created_at: now,
      updated_at: now,
      request: JSON.stringify(request),
      caller: caller.subject,
      operation_id: identity?.uuid('operation') ?? randomUUID(),
    })
    await this.#records.open(row)
    if (added) {
      const { start_date, end_date, content } = request
      await this.#records.say(
        row,
        `Export of ${content.join(', ')} of ${start_date} to ${end_date}, ordered by ${caller.subject}.`,
      )
    }
    this.#workers.get(system.id)?.wake()
    return row
  }

  /** Ends an export that is under way; HCP's job is freed then. Of one that is completed the archive goes, and it counts as expired. */
  async cancel(row: ExportRow, caller: Caller): Promise<void> {
    const [cancelled] = await this.store.change([row.id], { state: 'cancelled', cancel_asked: 1 })
    if (cancelled !== undefined) {
      this.#records.count(cancelled)
      await this.#records.close(cancelled, `cancelled by ${caller.subject}`)
      await this.#records.say(cancelled, `The export was cancelled by ${caller.subject}.`)
      this.#workers.get(row.system_id)?.wake()
      return
    }
    const [expired] = await this.store.change(
      [row.id],
      { state: 'expired', expires_at: nowMicroseconds(), cancel_asked: 1 },
      { states: ['completed'] },
    )
    if (expired === undefined) return
    await this.#records.say(expired, `The archive was removed by ${caller.subject}.`)
    await this.#remove(expired).catch((error: unknown) => this.#reportRemoval(error))
  }

  /** Resolves when the time for archives has come, and they are gone. */
  async #expire(lease: Lease, signal: AbortSignal): Promise<void> {
    const { expiryDays = 7 } = this.#options
    const pause = Math.min(expiryInterval, Math.max(500, expiryDays * 8_640_000))
    while (!signal.aborted) {
      try {
        for (const row of await this.store.due()) {
          const [expired] = await this.store.change(
            [row.id],
            { state: 'expired' },
            { lease, states: ['completed'] },
          )
          if (expired !== undefined) await this.#records.say(expired, 'The archive has expired.')
        }
        await this.#removeAll(signal)
      } catch (error) {
        this.#reportRemoval(error)
      }
      await this.#expiry.sleep(pause, signal)
    }
  }

  async #removeAll(signal: AbortSignal): Promise<void> {
    let after = ''
    for (;;) {
      const rows = await this.store.removable(after)
      const last = rows.at(-1)
      if (last === undefined || signal.aborted) return
      for (const row of rows) await this.#remove(row).catch((error: unknown) => this.#reportRemoval(error))
      after = last.id
    }
  }

  async #remove(row: ExportRow): Promise<void> {
    const archive = archiveOf(row)
    if (archive === undefined || (archive.retry_at ?? 0) > nowMicroseconds()) return
    const archives = await this.#open()
    const gone = await archives.remove(archive)
    const left = gone ? null : JSON.stringify({ ...archive, retry_at: nowMicroseconds() + retentionPause })
    await this.store.change([row.id], { archive: left }, { states: ['failed', 'cancelled', 'expired'] })
  }

  #reportRemoval(error: unknown): void {
    const name = error instanceof Error ? error.name : typeof error
    this.#context.log.warn({ error: name }, 'Archives of exports could not be removed; it is tried again.')
  }
}

function checkTimes({ expiryDays, patience, pollInterval }: ExportOptions): void {
  for (const [name, value] of Object.entries({ expiryDays, patience, pollInterval })) {
    if (value !== undefined && !(Number.isFinite(value) && value > 0))
      throw new RangeError(`exports.${name} must be a number above 0`)
  }
}

function finishedCounter(registry: Registry): Counter<'outcome'> {
  return new Counter({
    name: 'hcp_logs_exports_total',
    help: 'Exports of logs of HCP that came to their end: completed, failed or cancelled.',
    labelNames: ['outcome'],
    registers: [registry],
  })
}
