import { list, part } from './answers.ts'
import { type CallOptions, checkCall, checkNumber, checkOneOf, checkText } from './arguments.ts'
import { type EntryFilter, filterNames, filterQuery } from './entry-filter.ts'
import type { LogEntry } from './entry.ts'
import { type Paged, paged } from './paged.ts'
import type { Transport } from './transport.ts'

export interface SearchOptions extends EntryFilter, CallOptions {
  /** By time, then `log_id`. Default: the service's, the newest first. */
  readonly order?: 'asc' | 'desc' | undefined
  /** Entries of a page: 1 to 1,000. Default 100. */
  readonly limit?: number | undefined
  /** Where an earlier page of the same search ended (`next`). */
  readonly cursor?: string | undefined
}

/** Entries over all pages. What is stored meanwhile neither doubles nor hides any. */
export function searchEntries(transport: Transport, options: SearchOptions): Paged<LogEntry> {
  checkCall('search', options, ...filterNames, 'order', 'limit', 'cursor')
  const { order, limit, cursor } = options
  checkOneOf('order', order, ['asc', 'desc'])
  if (limit !== undefined) checkNumber('limit', limit, 1, 1_000)
  if (cursor !== undefined) checkText('cursor', cursor)
  const filter = filterQuery(options)
  return paged(cursor, async (from) => {
    const query = { ...filter, order, limit, cursor: from }
    const answer = await transport.json({ method: 'GET', path: '/v2/logs', query, call: options })
    return { items: list('logs', part('the answer', answer, 'logs')) as LogEntry[], next: nextOf(answer) }
  })
}

/** `next_cursor` of a page; the last page has null. */
export function nextOf(answer: unknown): string | undefined {
  const { next_cursor: next } = answer as { next_cursor?: unknown }
  return typeof next === 'string' && next !== '' ? next : undefined
}
