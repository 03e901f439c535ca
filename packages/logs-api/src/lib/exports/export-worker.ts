import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import {
  type LogStatus,
  LogsFailedError,
  LogsInProgressError,
  LogsLostError,
  LogsNotReadyError,
} from '@hcp/mapi-logs'
import type { ServiceContext } from '../http/context.ts'
import type { SystemOptions } from '../http/options.ts'
import { nowMicroseconds } from '../time.ts'
import type { Archives, Made } from './archives.ts'
import { busyError, exportError, isDiskError, isRetryable, mayHaveBeenDone } from './export-error.ts'
import { preparationPercentage, storagePercentage, transferPercentage } from './export-progress.ts'
import { dayOf } from './export-request.ts'
import type { ExportRecords } from './export-records.ts'
import type { ExportStore, Lease } from './export-store.ts'
import {
  archiveOf,
  type ExportError,
  type ExportJob,
  type ExportRow,
  isActive,
  jobOf,
  type OwnJob,
  requestOf,
} from './export-task.ts'
import { Wakeup } from './wakeup.ts'

export interface WorkerParts {
  readonly context: ServiceContext
  readonly system: SystemOptions
  readonly store: ExportStore
  readonly records: ExportRecords
  readonly archives: Archives
  /** Milliseconds. */
  readonly pollInterval: number
  /** Milliseconds. */
  readonly patience: number
  readonly expiryDays: number
}

/** `worked`: go on at once. `idle`: there is nothing to do. `waiting`: for HCP; the pauses grow. */
type Outcome = 'worked' | 'idle' | 'waiting'

/** Milliseconds between looks for what other processes have stored. */
const lookInterval = 1_000
/** Milliseconds that an order to HCP may still take for its answer at a stop, lest it be open whether HCP has a job of ours. */
const graceTime = 5_000
/** Milliseconds for freeing HCP's job. */
const freeTime = 15_000
/** Microseconds between HCP's word that it has no job and our order, and how long an order whose answer was lost can explain a job. */
const closeBy = 5_000_000
const explains = 600_000_000
/** Microseconds: HCP throws away what nobody fetches. */
const packageLife = 86_400_000_000
const mostTries = 2
const mostFetches = 5
const mostStores = 5

/** All of its exports are at their end: somebody cancelled them. */
class UnwantedError extends Error {
  override name = 'UnwantedError'
}

/**
 * Works off the exports of one HCP system while it holds the system's lease. Every step is found out anew from the store, the disk and HCP,
 * so that it does not matter whether the step before was made by this process.
 */
export class ExportWorker {
  readonly #parts: WorkerParts
  readonly #wakeup = new Wakeup()
  readonly #logs: SystemOptions['logs']
  #lease: Lease | undefined
  #pauses = 0
  /** Microseconds since 1970: since when HCP has been busy for others, or not to be reached. */
  #waitingSince: number | undefined
  /** Milliseconds that the last preparation took. */
  #usualPreparation: number | undefined
  readonly #shown = new Map<string, { percentage: number; at: number }>()

  constructor(parts: WorkerParts) {
    this.#parts = parts
    this.#logs = parts.system.logs
  }

  /** Something has been stored that concerns this system. */
  wake(): void {
    this.#wakeup.all()
  }

  /** Works until the signal is aborted. */
  async run(lease: Lease, signal: AbortSignal): Promise<void> {
    this.#lease = lease
    this.#pauses = 0
    this.#waitingSince = undefined
    this.#shown.clear()
    let clean = false
    let tidy = true
    while (!signal.aborted) {
      let outcome: Outcome = 'waiting'
      try {
        if (!clean) await this.#cleanUp()
        clean = true
        outcome = await this.#step(signal)
        if (outcome === 'idle' && !tidy) await this.#tidy()
        tidy = outcome === 'idle'
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof UnwantedError) outcome = 'worked'
        else {
          this.#report(error, 'Exporting logs failed in a way that was not foreseen, and goes on.')
          if (isDiskError(error)) await this.#waitForDisk(error)
        }
      }
      if (outcome === 'worked') this.#pauses = 0
      else if (outcome === 'idle') await this.#wakeup.sleep(lookInterval, signal)
      else await this.#wakeup.sleep(this.#nextPause(), signal)
    }
  }

  /** The folder cannot be used: that is told to those who wait, and not for ever. */
  async #waitForDisk(error: unknown): Promise<void> {
    try {
      await this.#wait((await this.#parts.store.open(this.#parts.system.id)).filter(isActive), error)
    } catch (failure) {
      this.#report(failure, 'Exports that wait could not be told why.')
    }
  }

  #nextPause(): number {
    const { pollInterval, patience } = this.#parts
    const pause = pollInterval * 2 ** Math.min(this.#pauses, 4)
    this.#pauses += 1
    return Math.min(pause, Math.max(10, patience / 4))
  }

  /** Of exports that are at their end: removes files, and closes operation logs that whoever ended them could not close. */
  async #tidy(): Promise<ExportRow[]> {
    const { archives, records, store, system } = this.#parts
    for (const row of await store.withOpenOperation(system.id)) await records.close(row)
    const rows = (await store.open(system.id)).filter(isActive)
    await archives.prepare(system.id, new Set(rows.map(({ id }) => id)))
    return rows
  }

  /** After the end of another process. */
  async #cleanUp(): Promise<void> {
    const { archives } = this.#parts
    for (const row of await this.#tidy()) {
      const half = archiveOf(row)
      if (half === undefined) continue
      await archives.remove(half)
      await this.#change([row], { archive: null })
    }
  }

  async #step(signal: AbortSignal): Promise<Outcome> {
    const { store, system } = this.#parts
    const rows = await store.open(system.id)
    // Of what is at its end only a job that is to be freed counts.
    const over = rows.filter((row) => !isActive(row) && jobOf(row).own === undefined)
    if (over.length > 0) await this.#change(over, { job: null }, 'any')
    const own = newest(rows.flatMap((row) => jobOf(row).own ?? []))
    const fetched = rows.filter((row) => isActive(row) && this.#isFetched(row))
    if (own !== undefined) {
      const mine = rows.filter((row) => jobOf(row).own !== undefined)
      const users = mine.filter(
        (row) => isActive(row) && jobOf(row).own?.id === own.id && !this.#isFetched(row),
      )
      if (own.phase !== 'done' && users.length > 0)
        return this.#whileWanted(users, signal, (wanted) => this.#collect(own, users, wanted))
      const outcome = await this.#free(own, mine, signal)
      if (outcome === 'worked') return outcome
    }
    const [next] = fetched
    if (next !== undefined) {
      await this.#whileWanted([next], signal, (wanted) => this.#storeAway(next, wanted))
      return 'worked'
    }
    if (own !== undefined) return 'waiting'
    const active = rows.filter((row) => isActive(row))
    const restarted = active.filter(({ state }) => state !== 'queued')
    await this.#change(restarted, { state: 'queued' })
    for (const row of restarted)
      await this.#say(row, 'The service was started anew, or the package was lost; the export begins again.')
    return this.#begin(active, signal)
  }

  #isFetched({ id, state }: ExportRow): boolean {
    return (
      (state === 'streaming' || state === 'storing') &&
      existsSync(this.#parts.archives.packageFile(this.#parts.system.id, id))
    )
  }

  /** Has HCP make a package for the export that waits longest, and for those that can share it. */
  async #begin(active: readonly ExportRow[], signal: AbortSignal): Promise<Outcome> {
    const [head] = active
    if (head === undefined) {
      this.#waitingSince = undefined
      return 'idle'
    }
    const { start_date, end_date, snodes } = requestOf(head)
    const batch = active.filter((row) => sharesWith(requestOf(row), { start_date, end_date, snodes }))
    let status: LogStatus
    try {
      status = await this.#logs.status({ signal })
    } catch (error) {
      signal.throwIfAborted()
      if (isRetryable(error)) return this.#wait(active, error)
      await this.#failAll(batch, exportError(error, 'prepare'), error)
      return 'worked'
    }
    if (!isFree(status)) return this.#wait(active)
    const seenFree = nowMicroseconds()
    for (const row of batch) await this.#parts.records.open(row)
    const own: OwnJob = {
      id: randomUUID(),
      phase: 'intent',
      start_date,
      end_date,
      snodes,
      seen_free: seenFree,
      sent_at: nowMicroseconds(),
    }
    // Too late: somebody else may have begun by now.
    if (own.sent_at - seenFree > closeBy) return 'worked'
    const users = await this.#note(batch, (job) => ({ tries: job.tries, own }))
    signal.throwIfAborted()
    if (users.length === 0) return 'worked'
    try {
      await this.#prepare(own, signal)
    } catch (error) {
      if (!(error instanceof LogsInProgressError) && mayHaveBeenDone(error)) {
        this.#report(error, "The answer to HCP's order to prepare logs was lost.")
        return 'waiting'
      }
      await this.#note(users, ({ tries }) => ({ tries }))
      if (error instanceof LogsInProgressError || isRetryable(error)) return this.#wait(users, error)
      await this.#failAll(users, exportError(error, 'prepare'), error)
      return 'worked'
    }
    await this.#started(own, users)
    return 'worked'
  }

  #prepare({ start_date, end_date, snodes }: OwnJob, signal: AbortSignal): Promise<unknown> {
    return withGrace(signal, (grace) =>
      this.#logs.prepare({ startDate: start_date, endDate: end_date, snodes, signal: grace }),
    )
  }

  async #started(own: OwnJob, users: readonly ExportRow[]): Promise<OwnJob> {
    this.#waitingSince = undefined
    const started: OwnJob = { ...own, phase: 'started' }
    await this.#note(users, ({ tries }) => ({ tries, own: started }))
    await this.#change(users, { state: 'preparing', percentage: 1 })
    for (const row of users)
      await this.#say(row, `HCP prepares its logs of ${own.start_date} to ${own.end_date}.`)
    return started
  }

  /** HCP's job is somebody else's, or HCP cannot be reached, or the disk not used. Exports that have waited too long fail. */
  async #wait(rows: readonly ExportRow[], error?: unknown): Promise<Outcome> {
    const { patience } = this.#parts
    const now = nowMicroseconds()
    const known = rows.flatMap((row) => jobOf(row).waiting_since ?? [])
    this.#waitingSince ??= Math.min(now, ...known)
    const since = this.#waitingSince
    const busy = error === undefined || error instanceof LogsInProgressError
    for (const row of rows) {
      if (now - Math.max(since, row.created_at) >= patience * 1000) {
        await this.#failAll([row], busy ? busyError(patience) : exportError(error, 'prepare'), error)
      } else if (jobOf(row).waiting_since === undefined) {
        await this.#note([row], (job) => ({ ...job, waiting_since: since }))
        await this.#say(row, waitingText(busy, error))
      }
    }
    return 'waiting'
  }

  /** Waits for our own package, and fetches it for each that shares it. */
  async #collect(job: OwnJob, users: readonly ExportRow[], signal: AbortSignal): Promise<Outcome> {
    let own = job
    if (own.phase === 'intent') {
      let status: LogStatus
      try {
        status = await this.#logs.status({ signal })
      } catch (error) {
        signal.throwIfAborted()
        if (isRetryable(error)) return this.#wait(users, error)
        await this.#failAll(users, exportError(error, 'prepare'), error)
        return 'worked'
      }
      const sinceSent = nowMicroseconds() - own.sent_at
      if (isFree(status)) {
        // It may be on its way yet.
        if (sinceSent < Math.max(2_000 * this.#parts.pollInterval, 200_000)) return 'waiting'
        const free = await this.#note(users, ({ tries }) => ({ tries }))
        return this.#wait(free, new LogsNotReadyError('HCP did not begin to prepare the logs.', true))
      }
      if (!isOurs(own, status)) {
        await this.#note(users, ({ tries }) => ({ tries }))
        return this.#wait(users)
      }
      own = await this.#started(own, users)
    }
    const ready = await this.#untilReady(own, users, signal)
    if (ready === undefined) return 'worked'
    return this.#fetchAll(ready, signal)
  }

  /** @returns Undefined if it came to nothing; what follows from that is done. */
  async #untilReady(
    job: OwnJob,
    users: readonly ExportRow[],
    signal: AbortSignal,
  ): Promise<OwnJob | undefined> {
    const { pollInterval, patience } = this.#parts
    let own = job
    let heard = performance.now()
    for (;;) {
      let status: LogStatus | undefined
      try {
        status = await this.#logs.status({ signal })
        heard = performance.now()
      } catch (error) {
        signal.throwIfAborted()
        if (!isRetryable(error) || performance.now() - heard > patience) {
          await this.#failAll(users, exportError(error, 'prepare'), error)
          return undefined
        }
      }
      if (status?.state === 'failed') {
        await this.#cancel(own, status, signal)
        await this.#again(users, new LogsFailedError('HCP says that preparing the logs failed.'))
        return undefined
      }
      if (status !== undefined && !isOurs(own, status)) {
        await this.#again(users, new LogsLostError("HCP's package of logs is gone: somebody cancelled it."))
        return undefined
      }
      const elapsed = (nowMicroseconds() - own.sent_at) / 1000
      if (status?.state === 'ready') {
        if (own.phase !== 'ready') {
          this.#usualPreparation = elapsed
          own = { ...own, phase: 'ready' }
          await this.#note(users, ({ tries }) => ({ tries, own }))
          for (const row of users) await this.#say(row, 'HCP has prepared the logs.')
        }
        if (!status.streamingInProgress) return own
      } else {
        this.#show(users, preparationPercentage(elapsed, this.#usualPreparation))
      }
      await this.#wakeup.sleep(pollInterval, signal)
      signal.throwIfAborted()
    }
  }

  /** Each export fetches its own nodes and kinds. Those that came meanwhile and can do with the same package share it. */
  async #fetchAll(own: OwnJob, signal: AbortSignal): Promise<Outcome> {
    const { store, system } = this.#parts
    for (;;) {
      const rows = (await store.open(system.id)).filter(isActive)
      await this.#join(own, rows)
      const row = rows.find((each) => jobOf(each).own?.id === own.id && !this.#isFetched(each))
      if (row === undefined) break
      try {
        const lost = await this.#whileWanted([row], signal, (wanted) => this.#fetch(row, wanted))
        if (lost !== undefined) {
          const users = rows.filter((each) => jobOf(each).own?.id === own.id && !this.#isFetched(each))
          await this.#again(users, lost)
          break
        }
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof UnwantedError)) throw error
      }
    }
    const rows = await store.open(system.id)
    const users = rows.filter((row) => jobOf(row).own?.id === own.id)
    await this.#note(users, ({ tries }) => ({ tries, own: { ...own, phase: 'done' } }))
    return 'worked'
  }

  async #join(own: OwnJob, rows: readonly ExportRow[]): Promise<void> {
    for (const row of rows) {
      if (jobOf(row).own !== undefined || row.state !== 'queued') continue
      const request = requestOf(row)
      // What was logged after the package was made would be missing.
      const inTime = own.sent_at >= (dayOf(request.end_date) ?? 0) + 1.5 * packageLife
      if (inTime && sharesWith(request, own)) {
        await this.#note([row], ({ tries }) => ({ tries, own }))
        await this.#parts.records.open(row)
      }
    }
  }

  /** @returns Why the package has to be made again, if it is gone. What else fails is the end of this export. */
  async #fetch(row: ExportRow, signal: AbortSignal): Promise<LogsLostError | undefined> {
    const { archives, pollInterval, store, system } = this.#parts
    const { content, nodes, snodes } = requestOf(row)
    const [current] = await this.#change([row], { state: 'streaming', percentage: 50 })
    if (current === undefined) return undefined
    const last = await store.lastArchive(system.id)
    const usual = last === undefined ? undefined : archiveOf(last)?.zip.size
    for (let tries = 1; ; tries++) {
      try {
        const { size } = await this.#logs.downloadTo(archives.packageFile(system.id, row.id), {
          content,
          ...(nodes === undefined ? {} : { nodes }),
          snodes,
          overwrite: true,
          signal,
          onProgress: ({ bytes, phase }) => {
            if (phase === 'downloading') this.#show([row], transferPercentage(bytes, usual))
          },
        })
        await this.#change([row], { percentage: 95 })
        await this.#say(row, `The package was fetched and checked: ${size} bytes.`)
        return undefined
      } catch (error) {
        signal.throwIfAborted()
        const state = await this.#stateNow(signal)
        if (
          state === 'idle' ||
          state === 'preparing' ||
          (error instanceof LogsNotReadyError && !error.retryable)
        )
          return new LogsLostError("HCP's package of logs is gone: somebody cancelled it.", error)
        const others = error instanceof LogsInProgressError
        if (!others && (!isRetryable(error) || tries >= mostFetches)) {
          await this.#failAll([row], exportError(error, 'fetch'), error)
          return undefined
        }
        await this.#wakeup.sleep(pollInterval * 2 ** Math.min(tries, 4), signal)
        signal.throwIfAborted()
      }
    }
  }

  async #stateNow(signal: AbortSignal): Promise<LogStatus['state'] | undefined> {
    try {
      return (await this.#logs.status({ signal })).state
    } catch {
      signal.throwIfAborted()
      return undefined
    }
  }

  /** Our package came to nothing: once more, then no more. */
  async #again(rows: readonly ExportRow[], error: LogsFailedError | LogsLostError): Promise<void> {
    for (const row of rows) {
      const tries = jobOf(row).tries + 1
      await this.#note([row], () => ({ tries }))
      if (tries >= mostTries) await this.#failAll([row], exportError(error, 'fetch'), error)
      else {
        await this.#change([row], { state: 'queued' })
        await this.#say(row, `${error.message} It is prepared once more.`)
      }
    }
  }

  /** Nobody needs our job on HCP any more. */
  async #free(own: OwnJob, rows: readonly ExportRow[], signal: AbortSignal): Promise<Outcome> {
    try {
      const status = await this.#logs.status({ signal })
      // An order on its way yet, see above.
      const early =
        own.phase === 'intent' && nowMicroseconds() - own.sent_at < 2_000 * this.#parts.pollInterval
      if (early && isFree(status)) return 'waiting'
      await this.#cancel(own, status, signal)
    } catch (error) {
      signal.throwIfAborted()
      this.#report(error, "HCP's log job that was started here could not be freed; it is tried again.")
      if (nowMicroseconds() - own.sent_at < packageLife) return 'waiting'
    }
    await this.#note(rows, ({ tries }) => ({ tries }))
    return 'worked'
  }

  /** Cancels HCP's job if, by all that is known, it is ours. */
  async #cancel(own: OwnJob, status: LogStatus, signal: AbortSignal): Promise<void> {
    // A failed one stands in nobody's way, and an order whose answer was lost may not have made it.
    const failed = status.state === 'failed' && own.phase !== 'intent'
    if (!failed && !isOurs(own, status)) return
    await withGrace(signal, (grace) =>
      this.#logs.cancel({ signal: AbortSignal.any([grace, AbortSignal.timeout(freeTime)]) }),
    )
  }

  /** Packs the other form and brings both to where archives are kept. */
  async #storeAway(row: ExportRow, signal: AbortSignal): Promise<void> {
    const { archives, expiryDays, system } = this.#parts
    const [current] = await this.#change([row], { state: 'storing', percentage: 96 })
    if (current === undefined) return
    const half = archiveOf(current)
    if (half !== undefined) await archives.remove(half)
    let made: Made
    try {
      made = await archives.make(system.id, row.id, system.serial, signal)
    } catch (error) {
      signal.throwIfAborted()
      await this.#failAll([row], exportError(error, 'store'), error)
      return
    }
    const { archive } = made
    // Noted first, so that it is found and removed whatever happens.
    const [noted] = await this.#change([row], { archive: JSON.stringify(archive), percentage: 97 })
    if (noted === undefined) return
    try {
      await this.#keep(row, made, signal)
    } catch (error) {
      signal.throwIfAborted()
      await this.#failAll([row], exportError(error, 'store'), error)
      return
    }
    const { tar, zip } = archive
    await this.#say(
      row,
      `The archive is stored: tar.gz of ${tar.size} bytes (SHA-256 ${tar.sha256}), ZIP of ${zip.size} bytes (SHA-256 ${zip.sha256}).`,
    )
    const expires_at = nowMicroseconds() + Math.round(expiryDays * 86_400_000_000)
    await this.#finish(row, { state: 'completed', percentage: 100, expires_at })
  }

  /** Tries again where that may help. */
  async #keep(row: ExportRow, made: Made, signal: AbortSignal): Promise<void> {
    const { archives, pollInterval } = this.#parts
    const total = made.archive.zip.size + made.archive.tar.size
    for (let tries = 1; ; tries++) {
      let bytes = 0
      try {
        return await archives.keep(made, signal, (more) => {
          bytes += more
          this.#show([row], storagePercentage(bytes, total))
        })
      } catch (error) {
        signal.throwIfAborted()
        if (!isRetryable(error) || tries >= mostStores) throw error
        await this.#wakeup.sleep(pollInterval * 2 ** Math.min(tries, 4), signal)
      }
    }
  }

  async #failAll(rows: readonly ExportRow[], error: ExportError, cause: unknown): Promise<void> {
    if (cause !== undefined) this.#report(cause, 'An export of logs failed.')
    for (const row of rows) {
      const failed = await this.#finish(row, { state: 'failed', error: JSON.stringify(error) })
      if (failed) await this.#say(row, `The export failed: ${error.error_msg}`)
    }
  }

  /** Brings an export to its end. Whoever sees that sees the end of its operation log too. */
  async #finish(row: ExportRow, values: Partial<ExportRow> & Pick<ExportRow, 'state'>): Promise<boolean> {
    const { archives, records, store, system } = this.#parts
    await records.close({ ...row, ...values })
    const [done] = await this.#change([row], values)
    this.#shown.delete(row.id)
    if (done !== undefined) await archives.removePackage(system.id, row.id)
    if (done !== undefined) records.count(done)
    else {
      // It came to another end meanwhile.
      const now = await store.get(row.id)
      if (now !== undefined && !isActive(now)) await records.close(now)
    }
    return done !== undefined
  }

  /** Does work until all of the exports are at their end; then its signal is aborted. */
  async #whileWanted<Result>(
    rows: readonly ExportRow[],
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const over = new AbortController()
    const unwanted = new AbortController()
    const ids = rows.map(({ id }) => id)
    const watching = (async () => {
      while (!over.signal.aborted && !unwanted.signal.aborted) {
        await this.#wakeup.sleep(lookInterval, over.signal)
        if (over.signal.aborted) return
        const left = await this.#parts.store.stillActive(ids).catch(() => ids)
        if (left.length === 0) unwanted.abort(new UnwantedError('The export was cancelled.'))
      }
    })()
    try {
      return await work(AbortSignal.any([signal, unwanted.signal]))
    } finally {
      over.abort()
      await watching
    }
  }

  /** Writes what is known of HCP's job, at exports in whatever state. Gives the exports that are still to be done, as they are now. */
  async #note(rows: readonly ExportRow[], change: (job: ExportJob) => ExportJob): Promise<ExportRow[]> {
    const changed: ExportRow[] = []
    for (const row of rows) {
      const job = change(jobOf(row))
      // At its end there is nothing to remember but a job that is to be freed.
      const text = JSON.stringify(job)
      const [active] = await this.#change([row], { job: text })
      if (active !== undefined) changed.push(active)
      else await this.#change([row], { job: job.own === undefined ? null : text }, 'any')
    }
    return changed
  }

  /** Undone if the lease is lost, or the exports are at their end. */
  #change(
    rows: readonly ExportRow[],
    values: Parameters<ExportStore['change']>[1],
    states?: 'any',
  ): Promise<ExportRow[]> {
    const ids = rows.map(({ id }) => id)
    return this.#parts.store.change(ids, values, {
      lease: this.#lease,
      ...(states === undefined ? {} : { states }),
    })
  }

  /** Stores how far it is, not more often than anybody could want to know. */
  #show(rows: readonly ExportRow[], percentage: number): void {
    const now = performance.now()
    const behind = rows.filter(({ id }) => {
      const shown = this.#shown.get(id)
      return shown === undefined || (shown.percentage < percentage && now - shown.at >= 200)
    })
    for (const { id } of behind) this.#shown.set(id, { percentage, at: now })
    if (behind.length > 0) void this.#change(behind, { percentage }).catch(() => undefined)
  }

  #say(row: ExportRow, text: string): Promise<void> {
    return this.#parts.records.say(row, text)
  }

  #report(error: unknown, message: string): void {
    const { context, system } = this.#parts
    const { name, message: text } = error instanceof Error ? error : { name: typeof error, message: '' }
    context.log.warn({ system: system.id, error: name, reason: text }, message)
  }
}

/** Does work whose signal is aborted some time after the other. */
async function withGrace<Result>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const grace = new AbortController()
  const late = (): void => void setTimeout(() => grace.abort(signal.reason), graceTime).unref()
  if (signal.aborted) late()
  else signal.addEventListener('abort', late, { once: true })
  try {
    return await work(grace.signal)
  } finally {
    signal.removeEventListener('abort', late)
  }
}

const isFree = ({ state }: LogStatus): boolean => state === 'idle' || state === 'failed'

/** Whether HCP's job is the one that was ordered here. It has no id: only the times and its state can tell. */
function isOurs({ phase, seen_free, sent_at }: OwnJob, { state }: LogStatus): boolean {
  if (state === 'idle' || state === 'failed') return false
  const age = nowMicroseconds() - sent_at
  if (phase === 'intent') return sent_at - seen_free <= closeBy && age <= explains
  // It was ready before: this is another one.
  if (phase !== 'started' && state === 'preparing') return false
  return age <= packageLife
}

function waitingText(busy: boolean, error: unknown): string {
  if (busy) return "HCP is making a package of logs for somebody else; the export waits for that one's end."
  return isDiskError(error)
    ? 'The service cannot use its folder for exports; the export waits.'
    : 'HCP cannot be reached or does not answer as it should; the export waits.'
}

function newest(jobs: readonly OwnJob[]): OwnJob | undefined {
  return jobs.toSorted((one, other) => other.sent_at - one.sent_at)[0]
}

interface Days {
  readonly start_date: string
  readonly end_date: string
  readonly snodes: readonly string[]
}

function sharesWith(one: Days, other: Days): boolean {
  return (
    one.start_date === other.start_date &&
    one.end_date === other.end_date &&
    one.snodes.toSorted().join(',') === other.snodes.toSorted().join(',')
  )
}
