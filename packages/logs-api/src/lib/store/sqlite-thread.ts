import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import type { SqliteAnswer, SqliteRequest, SqliteResult, SqliteSettings } from './sqlite-server.ts'

/** SQLite says no. */
export class SqliteError extends Error {
  override name = 'SqliteError'
  /** SQLite's extended result code, such as 1555 for a key that is there already. */
  readonly errcode: number | undefined

  constructor(message: string, errcode: number | undefined) {
    super(message)
    this.errcode = errcode
  }
}

/** The thread of a connection ended before it answered. */
export class SqliteThreadEnded extends Error {
  override name = 'SqliteThreadEnded'
}

type Without<Type, Key extends string> = Type extends unknown ? Omit<Type, Key> : never
/** A request, but for its number. */
export type SqliteQuery = Without<SqliteRequest, 'id'>

interface Waiting {
  resolve(result: SqliteResult): void
  reject(error: Error): void
}

/** A connection to an SQLite file in a thread of its own, so that long queries stop nobody. */
export class SqliteThread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  /** When it is open, or never will be. */
  readonly ready: Promise<void>
  readonly ended: Promise<void>
  #lastId = 0
  #failure: Error | undefined

  constructor(settings: Omit<SqliteSettings, 'kind'>) {
    // By the name of the package: the file is another one in the sources than in what is published.
    const file = createRequire(import.meta.url).resolve('@hcp/logs-api/sqlite-worker')
    const workerData: SqliteSettings = { kind: 'hcp-logs-sqlite', ...settings }
    this.#worker = new Worker(file, {
      workerData,
      name: 'sqlite',
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    this.#worker.on('message', (answer: SqliteAnswer) => this.#take(answer))
    this.#worker.on('error', (error) => this.#fail(error))
    this.ready = new Promise((resolve) =>
      this.#waiting.set(0, { resolve: () => resolve(), reject: () => resolve() }),
    )
    this.ended = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.#fail(new SqliteThreadEnded('The thread of the SQLite connection ended.'))
        resolve()
      })
    })
  }

  /** Set when it answers no more. */
  get failure(): Error | undefined {
    return this.#failure
  }

  async send(request: SqliteQuery): Promise<SqliteResult> {
    if (this.#failure !== undefined) throw this.#failure
    const id = ++this.#lastId
    const result = Promise.withResolvers<SqliteResult>()
    this.#waiting.set(id, result)
    try {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has no origin
      this.#worker.postMessage({ ...request, id })
    } catch (error) {
      this.#waiting.delete(id)
      throw error
    }
    return result.promise
  }

  /** Ends the thread without waiting for what it does. What waits for answers gets the reason. */
  kill(reason: Error): void {
    this.#fail(reason)
    void this.#worker.terminate()
  }

  /** Lets it finish what it was told to do. For one that was killed it does not wait. */
  async close(): Promise<void> {
    if (this.#failure !== undefined) return
    await this.send({ close: true })
    await this.ended
  }

  #take(answer: SqliteAnswer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('error' in answer) waiting?.reject(new SqliteError(answer.error, answer.errcode))
    else waiting?.resolve(answer)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure)
    this.#waiting.clear()
  }
}
