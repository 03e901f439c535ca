import { ObjectNotFoundError, parseRetention } from '@hcp/objects'
import type { Expression, ExpressionBuilder, Kysely, SqlBool } from 'kysely'
import { Counter, type Registry } from 'prom-client'
import type { ServiceLog } from '../http/context.ts'
import type { BodyOptions } from '../http/options.ts'
import { Refusal } from '../http/refusal.ts'
import type { Database } from '../store/database.ts'
import type { Tables } from '../store/schema.ts'
import { nowMicroseconds } from '../time.ts'
import { inParallel } from './parallel.ts'

/** Requests for objects at a time, of one call. */
export const mostRequests = 8
/** Bytes of a text in the database: what either store takes is more. */
const storeLimit = 256 * 1024 * 1024
const second = 1_000_000
const day = 86_400 * second
/** Until the sweep takes up what a deletion has left, in case its process ended. */
const patience = 5 * 60 * second
/** Milliseconds for the deletion of an object while a caller waits; the sweep does the rest. */
const deletionDeadline = 10_000
/** Rows that a step of the sweep takes. */
const step = 200

/** The object of one entry. */
export interface Body {
  readonly bucket: number
  readonly log_id: string
  readonly path: string
}

/**
 * Texts in objects of a namespace. An object that no entry speaks for has a row in `bodies`, before it is made and until it is gone: so
 * the sweep finds all that a process left that ended.
 */
export class Bodies {
  readonly #database: Database
  readonly #options: BodyOptions | undefined
  readonly #log: ServiceLog
  readonly #missing: Counter
  readonly #stored: Counter
  readonly #failures: Counter<'operation'>
  /** False once HCP refused a purge and took a plain deletion: no permission, or a namespace that does not know it. */
  #purge = true

  constructor(
    database: Database,
    options: BodyOptions | undefined,
    { metrics, log }: { metrics: Registry; log: ServiceLog },
  ) {
    this.#database = database
    this.#options = options
    this.#log = log
    if (options?.retention !== undefined) parseRetention(options.retention)
    const registers = [metrics]
    this.#missing = new Counter({
      name: 'hcp_logs_bodies_missing_total',
      help: 'Texts that were asked for and whose objects were gone.',
      registers,
    })
    this.#stored = new Counter({
      name: 'hcp_logs_bodies_stored_total',
      help: 'Texts that were stored as objects.',
      registers,
    })
    this.#failures = new Counter({
      name: 'hcp_logs_body_failures_total',
      help: 'Requests for objects that failed.',
      labelNames: ['operation'],
      registers,
    })
  }

  /** Whether a text is too long for the database. @throws {Refusal} 413 if it is and there is no namespace. */
  takes(data: string): boolean {
    if (this.#options !== undefined && moreCharacters(data, this.#options.threshold ?? 1_000_000)) return true
    if (data.length * 3 <= storeLimit || Buffer.byteLength(data) <= storeLimit) return false
    if (this.#options === undefined)
      throw new Refusal(
        413,
        'The text is too long for the store, and no namespace for long texts is configured',
      )
    return true
  }

  /** Last two bytes of the id as folders: HCP likes many, and they are random. */
  pathOf(logId: string): string {
    const folder = (this.#options?.path ?? '/rest/logs').replace(/\/+$/, '')
    return `${folder}/${logId.slice(30)}/${logId.slice(28, 30)}/${logId}`
  }

  /** Makes the objects of new entries. Their rows are `pending` until `claim`. @throws {Refusal} 503 */
  async put(texts: readonly (Body & { readonly data: string })[]): Promise<void> {
    const now = nowMicroseconds()
    const made = await this.#database.insertMany(this.#database.write, {
      table: 'bodies',
      columns: ['bucket', 'log_id', 'path', 'state', 'changed', 'retry_at'],
      rows: texts.map(({ bucket, log_id, path }) => [bucket, log_id, path, 'pending', now, now + day]),
      // A repeated request: the row of the first one.
      ignoreKnown: true,
    })
    if (made < texts.length) await this.#keepPending(texts, now)
    const { objects, retention } = this.#namespace()
    const settings = retention === undefined ? {} : { retention: parseRetention(retention) }
    await inParallel(texts, mostRequests, async ({ path, data }) => {
      try {
        await objects.put(path, Buffer.from(data), {
          ...settings,
          contentType: 'text/plain; charset=utf-8',
          acceptIdentical: true,
        })
        this.#stored.inc()
      } catch (error) {
        throw this.#failed('put', error, 'The text could not be stored in the namespace; try again later')
      }
    })
  }

  /** Keeps the sweep from rows that an earlier request left. What it has taken already must not be made: it would forget the object. */
  async #keepPending(bodies: readonly Body[], now: number): Promise<void> {
    for (const body of bodies) {
      const { numUpdatedRows } = await this.#database.write
        .updateTable('bodies')
        .set({ changed: now, retry_at: now + day })
        .where(is(body))
        .where('state', '=', 'pending')
        .executeTakeFirst()
      if (numUpdatedRows !== 1n) throw givenUp()
    }
  }

  /** Gives objects to their entries, in the transaction that makes these. @throws {Refusal} 503 if the sweep has taken one. */
  async claim(trx: Kysely<Tables>, bodies: readonly Body[]): Promise<void> {
    for (const body of bodies) {
      const { numDeletedRows } = await trx
        .deleteFrom('bodies')
        .where(is(body))
        .where('state', '=', 'pending')
        .executeTakeFirst()
      if (numDeletedRows !== 1n) throw givenUp()
    }
  }

  /** The text; undefined if its object is gone. @throws {Refusal} 503 */
  async text(path: string, signal?: AbortSignal): Promise<string | undefined> {
    const { objects } = this.#namespace()
    try {
      const object = await objects.get(path, signal === undefined ? {} : { signal })
      return await object.text()
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return undefined
      throw this.#failed('get', error, 'A text could not be read from the namespace; try again later')
    }
  }

  /** To be called when an entry is given without its text. */
  tellMissing(logId: string): void {
    this.#missing.inc()
    this.#log.warn({ log_id: logId }, 'The object with the text of an entry is gone.')
  }

  /** Puts objects down for deletion, in the transaction that removes their entries. */
  async orphan(trx: Kysely<Tables>, bodies: readonly Body[]): Promise<void> {
    const now = nowMicroseconds()
    await this.#database.insertMany(trx, {
      table: 'bodies',
      columns: ['bucket', 'log_id', 'path', 'state', 'changed', 'retry_at'],
      rows: bodies.map(({ bucket, log_id, path }) => [bucket, log_id, path, 'deleting', now, now + patience]),
      // One that is `pending` still, of a request that came twice: as good, only later.
      ignoreKnown: true,
    })
  }

  /** Deletes objects that were put down for it. What fails is left to the sweep. Gives the number of those that are gone. */
  async delete(bodies: readonly Body[], signal?: AbortSignal): Promise<number> {
    if (bodies.length === 0 || this.#options === undefined) return 0
    let gone = 0
    await inParallel(bodies, mostRequests, async (body) => {
      if (isAborted(signal)) return
      try {
        const kept = await this.#deleteObject(body.path, signal)
        if (kept === undefined) {
          await this.#database.write.deleteFrom('bodies').where(is(body)).execute()
          gone += 1
        } else {
          const change = { state: 'retained', retry_at: kept, changed: nowMicroseconds() } as const
          await this.#database.write.updateTable('bodies').set(change).where(is(body)).execute()
        }
      } catch (error) {
        if (!isAborted(signal)) this.#tellFailure('delete', error)
      }
    })
    return gone
  }

  /** Undefined: it is gone. Else when to try again. */
  async #deleteObject(path: string, signal: AbortSignal | undefined): Promise<number | undefined> {
    const { objects } = this.#namespace()
    const call = { deadline: deletionDeadline, ...(signal === undefined ? {} : { signal }) }
    try {
      if (this.#purge) {
        try {
          await objects.delete(path, { ...call, purge: true })
          return undefined
        } catch (error) {
          if (!refuses(error)) throw error
        }
      }
      await objects.delete(path, call)
      this.#purge = false
      return undefined
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return undefined
      if (statusOf(error) !== 403) throw error
    }
    return this.#retainedUntil(path, call)
  }

  async #retainedUntil(path: string, call: { deadline: number }): Promise<number> {
    const later = nowMicroseconds() + day
    try {
      const { retention, hold } = await this.#namespace().objects.head(path, call)
      return retention.kind === 'until' && !hold ? retention.until.getTime() * 1000 + second : later
    } catch {
      return later
    }
  }

  /** Deletes objects that are due: of entries that were removed, and of entries that never came to be. */
  async sweep(signal: AbortSignal): Promise<number> {
    if (this.#options === undefined) return 0
    const began = nowMicroseconds()
    let removed = 0
    while (!signal.aborted) {
      const due = await this.#database.read
        .selectFrom('bodies')
        .select(['bucket', 'log_id', 'path', 'state'])
        .where('state', 'in', ['pending', 'deleting', 'retained'])
        .where('retry_at', '<=', began)
        .orderBy('retry_at')
        .limit(step)
        .execute()
      if (due.length === 0) break
      const doomed: Body[] = []
      for (const { state, ...body } of due) if (await this.#take(body, state)) doomed.push(body)
      removed += await this.delete(doomed, signal)
    }
    return removed
  }

  /** Whether the object may be deleted; no other process tries for a while then. */
  async #take(body: Body, state: 'pending' | 'deleting' | 'retained'): Promise<boolean> {
    if (state === 'pending' && (await this.#hasEntry(body))) {
      await this.#database.write.deleteFrom('bodies').where(is(body)).where('state', '=', 'pending').execute()
      return false
    }
    const now = nowMicroseconds()
    const { numUpdatedRows } = await this.#database.write
      .updateTable('bodies')
      .set({ state: 'deleting', changed: now, retry_at: now + patience })
      .where(is(body))
      .where('state', '=', state)
      .executeTakeFirst()
    return numUpdatedRows === 1n
  }

  async #hasEntry({ bucket, log_id }: Body): Promise<boolean> {
    const found = await this.#database.write
      .selectFrom('entries')
      .select('log_id')
      .where('bucket', '=', bucket)
      .where('log_id', '=', log_id)
      .executeTakeFirst()
    return found !== undefined
  }

  #namespace(): BodyOptions {
    if (this.#options === undefined)
      throw new Refusal(503, 'The text is in a namespace, and none is configured: set "bodies" as it was')
    return this.#options
  }

  #failed(operation: 'get' | 'put', cause: unknown, message: string): Refusal {
    this.#tellFailure(operation, cause)
    return new Refusal(503, message, { cause })
  }

  #tellFailure(operation: 'get' | 'put' | 'delete', error: unknown): void {
    this.#failures.inc({ operation })
    const facts = { operation, error: error instanceof Error ? error.message : String(error) }
    this.#log.warn(facts, 'A request for the object of a text failed.')
  }
}

const givenUp = (): Refusal =>
  new Refusal(503, 'The entry took too long to be stored, and was given up; send it again')

/** Of the row in `bodies`. */
const is =
  ({ bucket, log_id }: Body) =>
  (row: ExpressionBuilder<Tables, 'bodies'>): Expression<SqlBool> =>
    row.and({ bucket, log_id })

/** Whether a text has more code points than this. */
export function moreCharacters(text: string, most: number): boolean {
  if (text.length <= most) return false
  if (text.length > 2 * most) return true
  let count = 0
  for (let index = 0; index < text.length; index++) {
    // The second half of a pair: the texts are well-formed.
    if ((text.charCodeAt(index) & 0xfc00) !== 0xdc00) count += 1
  }
  return count > most
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true

const statusOf = (error: unknown): unknown => (error as { readonly status?: unknown } | null)?.status

/** Whether HCP would not purge: the user may not, retention forbids it, or it knows no versions. */
const refuses = (error: unknown): boolean => {
  const status = statusOf(error)
  return status === 400 || status === 403
}
