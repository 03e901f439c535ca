import type { Readable } from 'node:stream'
import type { Choices } from '../choices.ts'
import { Refusal } from '../refusal.ts'
import type { RequestLog } from '../request-log.ts'
import { inventHistory } from './invented-history.ts'
import type { InventedLog, LogSeed } from './invented-history.ts'
import { dayLength, LogPackage } from './log-package.ts'
import { logNodeNumber, logTypes } from './log-types.ts'
import type { LogMark, LogNode, LogSelection, LogType } from './log-types.ts'

/** Where the logs come from: set when the nodes are there. */
export interface LogSource {
  readonly log: RequestLog
  readonly cluster: 'primary' | 'replica'
  readonly nodes: () => readonly LogNode[]
}

/** What the service needs of its system. */
export interface LogSystem {
  readonly domain: string
  readonly softwareVersion: string
  readonly choices: Choices
  now(): number
}

/** How the one job of the system stands, as MAPI says it. */
export interface LogStatus {
  readonly readyForStreaming: boolean
  readonly streamingInProgress: boolean
  readonly started: boolean
  readonly error: boolean
  /** Comma list of the types of logs; never empty. */
  readonly content: string
}

/** Which logs a package is to have: days since 1970, both included; the clock's day where there is none. */
export interface LogRequest {
  readonly firstDay?: number
  readonly lastDay?: number
  readonly sNodes: readonly string[]
}

/** What is to be downloaded; all General nodes, no S Series nodes and all types where nothing is said. */
export interface LogDownload {
  readonly nodes?: readonly number[]
  readonly sNodes?: readonly string[]
  readonly content?: readonly LogType[]
}

type Job =
  | { readonly state: 'preparing'; readonly timer: NodeJS.Timeout }
  /** `since` when nobody has fetched it, epoch milliseconds. */
  | { readonly state: 'prepared'; readonly logs: LogPackage; readonly since: number }
  | { readonly state: 'streaming'; readonly logs: LogPackage; readonly body: Readable }
  | { readonly state: 'failed' }

const keptMarks = 10_000

/** The logs of one system, and the one job that makes packages of them. Nothing of it survives the process. */
export class LogService {
  readonly #system: LogSystem
  #source: LogSource | undefined
  #marks: LogMark[] = []
  #invented: readonly InventedLog[] = []
  /** None: nothing is prepared. */
  #job: Job | undefined
  #content: readonly LogType[] = logTypes
  /** So many preparations to come fail. */
  #failures = 0

  constructor(system: LogSystem) {
    this.#system = system
  }

  serveFrom(source: LogSource): void {
    this.#source = source
  }

  status(): LogStatus {
    const state = this.#current()?.state
    return {
      readyForStreaming: state === 'prepared' || state === 'streaming',
      streamingInProgress: state === 'streaming',
      started: state === 'preparing' || state === 'prepared' || state === 'streaming',
      error: state === 'failed',
      content: this.#content.join(','),
    }
  }

  /** Begins to prepare a package, which is ready a while later. */
  prepare({ firstDay = this.#today(), lastDay = this.#today(), sNodes }: LogRequest): void {
    if (firstDay > lastDay) throw new Refusal(400, "The parameter 'startDate' is after 'endDate'.")
    const job = this.#current()
    if (job !== undefined && job.state !== 'failed')
      throw new Refusal(400, 'A log download is already in progress. Cancel it to start another.')
    this.#content = logTypes
    const timer = setTimeout(() => {
      if (this.#failures > 0) {
        this.#failures--
        this.#job = { state: 'failed' }
      } else {
        const logs = this.#package(firstDay, lastDay, sNodes)
        this.#job = { state: 'prepared', logs, since: this.#system.now() }
      }
    }, this.#system.choices.logPreparationMs).unref()
    this.#job = { state: 'preparing', timer }
  }

  /** Opens what has been prepared. It can be opened again when the stream has ended, in whatever way. */
  download({ nodes, sNodes = [], content = logTypes }: LogDownload): { fileName: string; body: Readable } {
    const known = this.#nodes().map(({ node }) => logNodeNumber(node))
    for (const number of nodes ?? []) {
      if (!known.includes(number))
        throw new Refusal(400, `The parameter 'nodes' names ${number}, which is no node.`)
    }
    if (content.length === 0) throw new Refusal(400, "The parameter 'content' is empty.")
    const job = this.#current()
    if (job?.state === 'streaming') throw new Refusal(400, 'A log download is streaming at the moment.')
    if (job?.state !== 'prepared')
      throw new Refusal(400, 'No logs are ready for download: prepare them first.')
    const { logs } = job
    for (const name of sNodes) {
      if (!logs.sNodes.includes(name))
        throw new Refusal(400, `The parameter 'snodes' names ${name}, which has not been prepared.`)
    }
    const selection: LogSelection = {
      nodes: known.filter((number) => nodes === undefined || nodes.includes(number)),
      sNodes: logs.sNodes.filter((name) => sNodes.includes(name)),
      content: logTypes.filter((type) => content.includes(type)),
    }
    const body = logs.open(selection)
    this.#content = selection.content
    this.#job = { state: 'streaming', logs, body }
    body.once('close', () => {
      if (this.#job?.state === 'streaming' && this.#job.body === body)
        this.#job = { state: 'prepared', logs, since: this.#system.now() }
    })
    return { fileName: logs.fileName(selection), body }
  }

  /** Forgets the job, whatever it is at; what is on its way is cut. */
  cancel(): void {
    const job = this.#current()
    this.#forget()
    if (job?.state === 'preparing') clearTimeout(job.timer)
    if (job?.state === 'streaming') job.body.destroy(new Error('the download was cancelled'))
  }

  mark(user: string, text: string): void {
    this.#marks.push({ time: this.#system.now(), user, text })
    if (this.#marks.length >= 2 * keptMarks) this.#marks = this.#marks.slice(-keptMarks)
  }

  /** Lets there be more access logs than were ever made, instead of those that an earlier call let there be. */
  seed(seed: LogSeed): void {
    this.#invented = inventHistory(seed, this.#nodes().length, this.#system.now())
  }

  /** Lets so many preparations to come fail, also one that is under way. */
  fail(count: number): void {
    if (typeof count !== 'number') throw new TypeError('count: must be a number')
    if (!Number.isInteger(count) || count < 0)
      throw new RangeError('count: must be a whole number, 0 or more')
    this.#failures = count
  }

  /** Packages that nobody fetches are there for a day. */
  #current(): Job | undefined {
    const job = this.#job
    if (job?.state === 'prepared' && this.#system.now() - job.since >= dayLength) this.#forget()
    return this.#job
  }

  #forget(): void {
    this.#job = undefined
    this.#content = logTypes
  }

  #package(firstDay: number, lastDay: number, sNodes: readonly string[]): LogPackage {
    const { domain, softwareVersion, choices } = this.#system
    const { log, cluster } = this.#source!
    return new LogPackage({
      domain,
      softwareVersion,
      kind: choices.logArchives,
      created: this.#system.now(),
      firstDay,
      lastDay,
      nodes: this.#nodes(),
      sNodes,
      records: log.finished().filter((record) => record.cluster === cluster),
      marks: [...this.#marks],
      invented: this.#invented,
    })
  }

  #nodes(): readonly LogNode[] {
    return this.#source?.nodes() ?? []
  }

  #today(): number {
    return Math.floor(this.#system.now() / dayLength)
  }
}
