import {
  boolean,
  commaList,
  document,
  MapiClient,
  mapiPath,
  MapiRequestError,
  optional,
  record,
} from '@hcp/mapi'
import { calendarDate, checkOrder, type LogDate, wireDate } from './calendar-date.ts'
import { checkCall, checkProgress, checkText } from './checks.ts'
import { type CollectedLogs, collectLogs, type CollectOptions } from './collect.ts'
import { type DownloadedLogs, downloadLogs, type DownloadToOptions } from './download-to.ts'
import { LogsFailedError, LogsInProgressError, LogsNotReadyError } from './errors.ts'
import { LogDownload, type OnDownloadProgress } from './log-download.ts'
import { checkSnodes, downloadDocument, type LogSelection } from './log-selection.ts'
import { logStatus, type LogStatus } from './log-status.ts'
import { type LogType, logTypes } from './log-type.ts'

/** A `Target`, to which a connection is made that is closed with the `Logs`, or a `MapiClient` or `Connection` of the caller's. */
export type LogsSource = MapiClient | ConstructorParameters<typeof MapiClient>[0]

export interface CallOptions {
  readonly signal?: AbortSignal
}

export interface PrepareOptions extends CallOptions {
  /** The first day. Default: HCP's, which is today. */
  readonly startDate?: LogDate
  /** The last day, included. Default: HCP's, which is today. */
  readonly endDate?: LogDate
  /** S Series nodes whose logs to pack too, by name. Default: none. */
  readonly snodes?: readonly string[]
}

export interface DownloadOptions extends LogSelection, CallOptions {
  /** Called as content comes in. HCP does not tell how much will come. */
  readonly onProgress?: OnDownloadProgress
}

const here = mapiPath('logs')
const operators = { system: ['ADMINISTRATOR', 'SERVICE'] }
const readers = { system: ['MONITOR', 'ADMINISTRATOR', 'SERVICE'] }
const statusSchema = document(
  'logDownloadStatus',
  record({
    readyForStreaming: boolean(),
    streamingInProgress: boolean(),
    started: boolean(),
    error: boolean(),
    content: optional(commaList()),
  }),
)

/**
 * HCP's internal logs (HCP 7.2 and later): HCP packs those of some days in the background, and then hands out what is selected of the
 * package as a ZIP. There is one such job per system, for all its users and the System Management Console together.
 *
 * For accounts of the system with the role ADMINISTRATOR or SERVICE, at `admin.<domain>`, port 9090; MONITOR may ask for the status.
 *
 * @see HCP Management API Reference, "Log resources"
 */
export class Logs implements AsyncDisposable {
  static readonly L_ACCESS: 'ACCESS' = logTypes.L_ACCESS
  static readonly L_SYSTEM: 'SYSTEM' = logTypes.L_SYSTEM
  static readonly L_SERVICE: 'SERVICE' = logTypes.L_SERVICE
  static readonly L_APPLICATION: 'APPLICATION' = logTypes.L_APPLICATION
  static readonly L_ALL: readonly LogType[] = logTypes.L_ALL

  readonly client: MapiClient
  readonly #owned: boolean

  constructor(source: LogsSource, options?: ConstructorParameters<typeof MapiClient>[1]) {
    this.#owned = !(source instanceof MapiClient)
    this.client = source instanceof MapiClient ? source : new MapiClient(source, options)
  }

  /** What HCP's log job is at. */
  async status(options: CallOptions = {}): Promise<LogStatus> {
    checkCall('status', options)
    const { content = [], ...flags } = await this.client.read(here, statusSchema, {
      ...callOf(options),
      roles: readers,
    })
    return logStatus({ ...flags, content })
  }

  /**
   * Has HCP pack the logs of some days, all kinds of all General nodes. Returns at once; `status` tells when they are ready. Sent once:
   * if the answer is lost, HCP may be at it or not.
   *
   * @throws {LogsInProgressError} if there is a job already, anybody's.
   * @throws {RangeError} for days that are none or in the wrong order.
   */
  async prepare(options: PrepareOptions = {}): Promise<void> {
    checkCall('prepare', options, 'startDate', 'endDate', 'snodes')
    const start = options.startDate === undefined ? undefined : calendarDate('startDate', options.startDate)
    const end = options.endDate === undefined ? undefined : calendarDate('endDate', options.endDate)
    checkOrder(start, end)
    const snodes = checkSnodes(options.snodes ?? [])
    const value = {
      ...(start === undefined ? {} : { startDate: wireDate(start) }),
      ...(end === undefined ? {} : { endDate: wireDate(end) }),
      ...(snodes.length === 0 ? {} : { snodes: snodes.join(',') }),
    }
    try {
      await this.client.change(
        mapiPath('logs', 'prepare'),
        { root: 'logPrepare', value },
        { ...callOf(options), roles: operators },
      )
    } catch (error) {
      throw await this.#prepareError(error, options)
    }
  }

  /**
   * Begins to download what is selected of the prepared package, which stays until it is cancelled or a day old. What comes is checked
   * as far as a stream can be: it ends in an error unless it is a whole ZIP by its structure. `downloadTo` checks every byte.
   *
   * @throws {LogsNotReadyError} if there is no finished package.
   * @throws {LogsInProgressError} if a download is running, anybody's.
   */
  async download(options: DownloadOptions = {}): Promise<LogDownload> {
    checkCall('download', options, 'nodes', 'snodes', 'content', 'onProgress')
    checkProgress(options.onProgress)
    const body = downloadDocument(options)
    try {
      const response = await this.client.open('POST', mapiPath('logs', 'download'), {
        ...callOf(options),
        roles: operators,
        accept: '*/*',
        contentType: 'application/xml',
        body,
      })
      return await LogDownload.of(response, options)
    } catch (error) {
      throw await this.#downloadError(error, options)
    }
  }

  /**
   * Downloads into a file, which has its name only once it is a whole ZIP in which every entry has its size and checksum. A download that
   * breaks begins anew, as HCP cannot go on where it broke, for as long as the package is there; at last nothing is left of it.
   *
   * @param place A folder that is there, for a file named by HCP, or the path of a file.
   * @throws {LogsDamagedError} if no download was whole.
   * @throws {LogsFileError} if the file is there already or cannot be written.
   */
  downloadTo(place: string, options: DownloadToOptions = {}): Promise<DownloadedLogs> {
    return downloadLogs(this, place, options)
  }

  /** Ends HCP's log job, whoever's it is, and throws its package away, so that another can be prepared. Without a job it does nothing. */
  async cancel(options: CallOptions = {}): Promise<void> {
    checkCall('cancel', options)
    await this.client.act(here, 'cancel', '', { ...callOf(options), roles: operators })
  }

  /** Writes a text into HCP's internal logs, to find the place again. */
  async mark(message: string, options: CallOptions = {}): Promise<void> {
    checkCall('mark', options)
    await this.client.act(here, 'mark', checkText('message', message), {
      ...callOf(options),
      roles: operators,
    })
  }

  /**
   * All in one step: prepares, waits, downloads to a file as `downloadTo` does, and cancels, also if it fails or is aborted, so that HCP's
   * one job is free again.
   *
   * A job that this call did not start is never cancelled. If there is one at first, that is a {@link LogsInProgressError}, and with
   * `attach` it is waited for and downloaded from, and left there. If the answer to the prepare is lost and HCP then has a job, nobody can
   * tell whose it is: that is a {@link LogsAmbiguousError} and nothing is cancelled, unless `takeUncertain` says that it is ours.
   *
   * @throws {LogsDeadlineError} when the time is up.
   * @throws {LogsLostError} if somebody else cancels the job.
   */
  collect(options: CollectOptions): Promise<CollectedLogs> {
    return collectLogs(this, options)
  }

  /** Closes the connection, unless it is the caller's. A job of HCP's goes on. */
  async close(): Promise<void> {
    if (this.#owned) await this.client.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** HCP answers 400 to whatever is wrong; what it is at tells what that was. */
  async #prepareError(error: unknown, options: CallOptions): Promise<unknown> {
    if (!isRefusal(error)) return error
    if (/^A log download/i.test(error.reason ?? '')) return inProgress(error)
    const status = await this.#statusNow(options)
    const free = status === undefined || status.state === 'idle' || status.state === 'failed'
    return free ? error : inProgress(error)
  }

  async #downloadError(error: unknown, options: CallOptions): Promise<unknown> {
    if (!isRefusal(error)) return error
    const status = await this.#statusNow(options)
    if (status === undefined) return error
    const { state, streamingInProgress } = status
    if (state === 'failed') return new LogsFailedError('HCP says that preparing the logs failed.', error)
    if (streamingInProgress)
      return new LogsInProgressError('Somebody is downloading logs from HCP at this moment.', error)
    if (state === 'preparing')
      return new LogsNotReadyError(
        'HCP is still preparing the logs; wait until the status is ready.',
        true,
        error,
      )
    if (state === 'idle')
      return new LogsNotReadyError('HCP has no logs prepared; call prepare first.', false, error)
    return error
  }

  /** `undefined` if that cannot be found out: then the refusal itself is all that is known. */
  async #statusNow(options: CallOptions): Promise<LogStatus | undefined> {
    try {
      return await this.status(callOf(options))
    } catch {
      options.signal?.throwIfAborted()
      return undefined
    }
  }
}

function isRefusal(error: unknown): error is MapiRequestError {
  return error instanceof MapiRequestError && error.status === 400
}

function inProgress(error: MapiRequestError): LogsInProgressError {
  const said = error.reason === undefined ? '' : ` HCP says: ${error.reason}`
  return new LogsInProgressError(
    `HCP has a log job already, perhaps somebody else's, and takes one at a time.${said}`,
    error,
  )
}

/** What of the options a request takes. */
export function callOf({ signal }: CallOptions): CallOptions {
  return signal === undefined ? {} : { signal }
}
