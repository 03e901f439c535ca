import { type BulkOptions, type BulkResult, type BulkSource, sendBulk } from './bulk.ts'
import { EntriesApi } from './entries.ts'
import type { EntryFilter } from './entry-filter.ts'
import type { LogEntry } from './entry.ts'
import { ExportsApi } from './exports.ts'
import { HealthApi } from './health.ts'
import { OperationsApi } from './operations.ts'
import type { Paged } from './paged.ts'
import { RetentionApi } from './retention.ts'
import { RightsApi } from './rights.ts'
import { searchEntries, type SearchOptions } from './search.ts'
import { checkTail, tailEntries, type TailItem, type TailOptions } from './tail.ts'
import { type LogsClientOptions, Transport } from './transport.ts'

/**
 * The logs service, from the outside. One for a program: it keeps connections open, and `close` gives them up.
 *
 * Requests that can do no harm twice are sent again where that may help: after 429 and 503 (as long as `Retry-After` says), and when no
 * connection could be made or one was lost. What stores something has an `Idempotency-Key`, so the service does it once. All of it
 * ends at the deadline.
 */
export class LogsClient implements AsyncDisposable {
  readonly entries: EntriesApi
  readonly operations: OperationsApi
  readonly exports: ExportsApi
  readonly rights: RightsApi
  readonly retention: RetentionApi
  readonly health: HealthApi
  readonly #transport: Transport

  /** @param url Of the service, such as `https://logs.example.com`; a path in it is the prefix of all paths. */
  constructor(url: string | URL, options: LogsClientOptions) {
    const transport = new Transport(url, options)
    this.#transport = transport
    this.entries = new EntriesApi(transport)
    this.operations = new OperationsApi(transport)
    this.exports = new ExportsApi(transport)
    this.rights = new RightsApi(transport)
    this.retention = new RetentionApi(transport)
    this.health = new HealthApi(transport)
  }

  /** Entries of all datasets that the token may read, over all pages. */
  search(options: SearchOptions = {}): Paged<LogEntry> {
    return searchEntries(this.#transport, options)
  }

  /**
   * New entries as they arrive. A connection that breaks is made again where it was, so that nothing is lost, and nothing comes twice.
   *
   * Left by `break`, or by `signal` without an error. What a repetition cannot mend (a wrong token or filter) is thrown.
   */
  tail(filter: EntryFilter = {}, options: TailOptions = {}): AsyncGenerator<TailItem, void> {
    checkTail(filter, options)
    return tailEntries(this.#transport, filter, options)
  }

  /**
   * Stores many entries, read as fast as the service takes them. Lines that it does not take are told in the result and do not spoil the
   * rest. If it fails, entries may be stored: with the same `idempotencyKey` and the same entries it can be called again, and stores none
   * twice.
   */
  bulk(entries: BulkSource, options: BulkOptions = {}): Promise<BulkResult> {
    return sendBulk(this.#transport, entries, options)
  }

  /** Lets calls in flight finish; live tails end. */
  close(): Promise<void> {
    return this.#transport.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
