import { checkCall, checkDuration, checkFlag, checkNumber, checkProgress, checkText } from './checks.ts'
import { type DownloadedLogs, downloadLogs, type Source, type TransferProgress } from './download-to.ts'
import {
  LogsAmbiguousError,
  LogsDeadlineError,
  LogsError,
  LogsFailedError,
  LogsInProgressError,
  LogsLostError,
  LogsNotReadyError,
} from './errors.ts'
import { downloadDocument } from './log-selection.ts'
import type { LogSelection } from './log-selection.ts'
import type { LogStatus } from './log-status.ts'
import type { CallOptions, PrepareOptions } from './logs.ts'
import { pause } from './pause.ts'

/** How far a collection is. */
export type CollectProgress =
  | {
      readonly phase: 'preparing'
      /** Milliseconds since the beginning. */
      readonly elapsed: number
      readonly status: LogStatus
    }
  | TransferProgress
  | { readonly phase: 'cancelling' }

export interface CollectOptions extends Omit<PrepareOptions, 'signal'>, LogSelection, CallOptions {
  /** Where the package goes: a folder that is there, or the path of a file. */
  readonly folder: string
  /** Milliseconds for all of it, freeing HCP's job apart. Default: no limit. */
  readonly deadline?: number
  /** Milliseconds between questions for the status. Default 5,000. */
  readonly interval?: number
  /** Downloads at most. Default 3. */
  readonly attempts?: number
  /** Replace a file that is there. Default false. */
  readonly overwrite?: boolean
  /** Take the job that HCP has, anybody's, wait for it, and leave it there. Nothing is prepared. Default false. */
  readonly attach?: boolean
  /** Take a job for ours, and cancel it in the end, that HCP has after the answer to our prepare was lost. Default false. */
  readonly takeUncertain?: boolean
  readonly onProgress?: (progress: CollectProgress) => void
}

export interface CollectedLogs extends DownloadedLogs {
  /** Whether HCP's job was freed: not with `attach`, nor if that failed. */
  readonly cancelled: boolean
  /** Why the job could not be freed, though the file is whole. */
  readonly cancelError: unknown
}

/** What collecting needs of `Logs`. */
interface Collecting extends Source {
  prepare(options?: PrepareOptions): Promise<void>
  cancel(options?: CallOptions): Promise<void>
}

const known =
  'startDate endDate snodes nodes content folder deadline interval attempts overwrite attach takeUncertain onProgress'.split(
    ' ',
  )
/** Questions for the status that may fail in a row. */
const mostFailures = 5
/** Milliseconds for freeing the job, each of the tries. */
const cancelTime = 15_000
const cancelTries = 3
/** Milliseconds that a prepare may still take for its answer after an abort. */
const graceTime = 5_000

/** The job that the collection is of. */
interface Job {
  /** It was started here, and is there as far as is known: it is ours to cancel. */
  ours: boolean
}

export async function collectLogs(logs: Collecting, options: CollectOptions): Promise<CollectedLogs> {
  const { deadline, onProgress } = options
  check(options)
  const limit = new AbortController()
  const timer =
    deadline === undefined
      ? undefined
      : setTimeout(() => {
          const message = `Collecting the logs took longer than its deadline of ${deadline} ms.`
          limit.abort(new LogsDeadlineError(deadline, message))
        }, deadline)
  const signal = options.signal === undefined ? limit.signal : AbortSignal.any([options.signal, limit.signal])
  const job: Job = { ours: false }
  try {
    const downloaded = await work(logs, options, signal, job)
    clearTimeout(timer)
    if (!job.ours) return { ...downloaded, cancelled: false, cancelError: undefined }
    onProgress?.({ phase: 'cancelling' })
    const cancelError = await free(logs)
    return { ...downloaded, cancelled: cancelError === undefined, cancelError }
  } catch (error) {
    clearTimeout(timer)
    if (job.ours) await free(logs)
    throw error
  } finally {
    clearTimeout(timer)
  }
}

function check(options: CollectOptions): void {
  checkCall('collect', options, ...known)
  checkText('folder', options.folder)
  checkDuration('deadline', options.deadline)
  checkDuration('interval', options.interval)
  checkNumber('attempts', options.attempts, 100)
  for (const name of ['attach', 'overwrite', 'takeUncertain'] as const) checkFlag(name, options[name])
  checkProgress(options.onProgress)
  // What cannot be selected is refused before anything is prepared.
  downloadDocument(options)
}

async function work(
  logs: Collecting,
  options: CollectOptions,
  signal: AbortSignal,
  job: Job,
): Promise<DownloadedLogs> {
  if (options.attach !== true) await begin(logs, options, signal, job)
  await untilReady(logs, options, signal, job)
  const { nodes, snodes, content, attempts, overwrite, onProgress } = options
  for (;;) {
    try {
      return await downloadLogs(logs, options.folder, {
        ...(nodes === undefined ? {} : { nodes }),
        ...(snodes === undefined ? {} : { snodes }),
        ...(content === undefined ? {} : { content }),
        ...(attempts === undefined ? {} : { attempts }),
        ...(overwrite === undefined ? {} : { overwrite }),
        ...(onProgress === undefined ? {} : { onProgress }),
        signal,
      })
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof LogsNotReadyError && !error.retryable) throw lost(job, error)
      if (!(error instanceof LogsInProgressError)) {
        if (await isGone(logs, signal)) throw lost(job, error)
        throw error
      }
      // Somebody else downloads from the same package: after that it is our turn.
      await untilReady(logs, options, signal, job)
    }
  }
}

/** What else is wrong counts, if that cannot be found out. */
async function isGone(logs: Collecting, signal: AbortSignal): Promise<boolean> {
  const status = await logs.status({ signal }).catch(() => undefined)
  return status?.state === 'idle'
}

/** Prepares, and makes sure whose the job is. */
async function begin(
  logs: Collecting,
  options: CollectOptions,
  signal: AbortSignal,
  job: Job,
): Promise<void> {
  const { startDate, endDate, snodes, takeUncertain = false } = options
  const before = await logs.status({ signal })
  if (before.state !== 'idle' && before.state !== 'failed')
    throw new LogsInProgressError(
      `HCP has a log job already (${before.state}), which was not started here. It was left alone; attach: true downloads from it.`,
    )
  const grace = new AbortController()
  // Cutting the request short would leave it open whether HCP has a job of ours now. Its error then is not the caller's reason, which may
  // be any error, one that says that nothing was sent too.
  const late = (): void => void setTimeout(() => grace.abort(), graceTime).unref()
  signal.addEventListener('abort', late, { once: true })
  try {
    await logs.prepare({
      ...(startDate === undefined ? {} : { startDate }),
      ...(endDate === undefined ? {} : { endDate }),
      ...(snodes === undefined ? {} : { snodes }),
      signal: grace.signal,
    })
    job.ours = true
  } catch (error) {
    if (!mayHaveBeenDone(error)) throw error
    await settle(logs, job, takeUncertain, error)
    if (!job.ours) {
      signal.throwIfAborted()
      throw error
    }
  } finally {
    signal.removeEventListener('abort', late)
  }
  signal.throwIfAborted()
}

/** The answer to a prepare was lost. What HCP is at tells whether it was carried out, but not whose a job is. */
async function settle(logs: Collecting, job: Job, takeUncertain: boolean, error: unknown): Promise<void> {
  let after: LogStatus
  try {
    after = await logs.status({ signal: AbortSignal.timeout(cancelTime) })
  } catch (cause) {
    const message =
      'The answer to the prepare was lost, and HCP does not tell whether it has a job. Nothing was cancelled.'
    throw new LogsAmbiguousError(message, new AggregateError([error, cause], message))
  }
  if (after.state === 'idle' || after.state === 'failed') return
  if (!takeUncertain)
    throw new LogsAmbiguousError(
      `The answer to the prepare was lost. There was no job before, and there is one now (${after.state}): ours, or somebody's who was quicker. It was left alone; attach: true downloads from it, cancel() ends it.`,
      error,
    )
  job.ours = true
}

/** Whether HCP may have carried out a request that failed. */
function mayHaveBeenDone(error: unknown): boolean {
  if (error instanceof LogsError || error instanceof TypeError || error instanceof RangeError) return false
  const { sent, status } = error as { sent?: unknown; status?: unknown }
  if (typeof status === 'number') return status >= 500
  return sent !== false
}

async function untilReady(
  logs: Collecting,
  { interval = 5_000, onProgress }: CollectOptions,
  signal: AbortSignal,
  job: Job,
): Promise<void> {
  const start = performance.now()
  let failures = 0
  for (;;) {
    let status: LogStatus | undefined
    try {
      status = await logs.status({ signal })
      failures = 0
    } catch (error) {
      signal.throwIfAborted()
      failures += 1
      if (failures > mostFailures || (error as { retryable?: unknown }).retryable !== true) throw error
    }
    if (status !== undefined) {
      onProgress?.({ phase: 'preparing', elapsed: performance.now() - start, status })
      if (status.state === 'failed')
        throw new LogsFailedError('HCP says that preparing the logs failed; it does not say why.')
      if (status.state === 'idle') throw lost(job)
      if (status.state === 'ready' && !status.streamingInProgress) return
    }
    await pause(interval, signal)
  }
}

/** The job is gone, and whatever comes after it is not ours. */
function lost(job: Job, cause?: unknown): LogsError {
  if (!job.ours) return new LogsNotReadyError('HCP has no log job to attach to.', false, cause)
  job.ours = false
  return new LogsLostError(
    'The log job is gone: somebody else cancelled it, or it was a day old. Nothing was kept.',
    cause,
  )
}

/** Frees HCP's job, whatever became of the caller's signal. @returns What went wrong. */
async function free(logs: Collecting): Promise<unknown> {
  let failure: unknown
  for (let attempt = 0; attempt < cancelTries; attempt++) {
    try {
      await logs.cancel({ signal: AbortSignal.timeout(cancelTime) })
      return undefined
    } catch (error) {
      failure = error
    }
  }
  return failure
}
