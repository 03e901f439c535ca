import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { record } from './answers.ts'
import { checkDuration, checkNames, checkText } from './arguments.ts'
import { type EntryFilter, filterNames, filterQuery } from './entry-filter.ts'
import type { LogEntry } from './entry.ts'
import { LogsApiError } from './errors.ts'
import { chunksOf } from './lines.ts'
import { pause } from './pause.ts'
import type { Answer, Transport } from './transport.ts'

export interface TailOptions {
  /** Ends the loop without an error. */
  readonly signal?: AbortSignal | undefined
  /** `id` of the last item seen: what came after it is sent first. Default: from now on. */
  readonly lastEventId?: string | undefined
  /**
   * Milliseconds to go on trying while the service cannot be reached; then the loop throws what the last try said. Default: as long as the
   * loop runs.
   */
  readonly patience?: number | undefined
}

/** An entry, or how many were left out because they came faster than they were read. */
export type TailItem =
  | { readonly kind: 'entry'; readonly id: string; readonly entry: LogEntry }
  | { readonly kind: 'dropped'; readonly count: number }

/** The service sends something every 15 s: a silence of three times that is a dead connection. */
const longestSilence = 45_000
/** Milliseconds for the beginning of an answer. */
const beginning = 30_000
/** Entries whose ids are remembered, to see doubles. */
const remembered = 10_000

/**
 * New entries as they arrive. A connection that breaks is made again where it was, so that nothing is lost, and nothing comes twice.
 *
 * Left by `break`, or by `signal` without an error. What a repetition cannot mend (a wrong token or filter) is thrown.
 */
export async function* tailEntries(
  transport: Transport,
  filter: EntryFilter,
  options: TailOptions,
): AsyncGenerator<TailItem, void> {
  const { signal, patience = Infinity } = options
  const query = filterQuery(filter)
  const seen = new Seen()
  const stop = signal === undefined ? transport.closing : AbortSignal.any([signal, transport.closing])
  let lastEventId = options.lastEventId
  let failures = 0
  let reachedAt = performance.now()
  while (!stop.aborted) {
    let failure: unknown
    try {
      const answer = await transport.open({
        method: 'GET',
        path: '/v2/logs/tail',
        query,
        headers: {
          accept: 'text/event-stream',
          ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
        },
        call: { signal: stop, deadline: beginning },
        bodyTimeout: longestSilence,
      })
      for await (const { event, id, data } of eventsOf(answer)) {
        failures = 0
        reachedAt = performance.now()
        if (id !== undefined && id !== '') lastEventId = id
        const item = itemOf(event, lastEventId, data)
        if (item !== undefined && (item.kind === 'dropped' || seen.isNew(item.entry.log_id))) yield item
        if (stop.aborted) break
      }
    } catch (error) {
      if (!stop.aborted && !(error instanceof LogsApiError && error.retryable)) throw error
      failure = error
    }
    if (stop.aborted) break
    failures++
    const wait = transport.retry.delay(
      failures,
      failure instanceof LogsApiError ? failure.retryAfter : undefined,
    )
    if (performance.now() + wait - reachedAt > patience) throw failure ?? ended()
    await pause(wait, stop).catch(() => {})
  }
  // Of the caller's signal it is an end; a client that was closed under the loop is a fault.
  if (signal?.aborted !== true) stop.throwIfAborted()
}

export function checkTail(filter: EntryFilter, options: TailOptions): void {
  checkNames('tail', filter, filterNames)
  checkNames('tail', options, ['signal', 'lastEventId', 'patience'])
  const { signal, lastEventId, patience } = options
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new TypeError('tail: signal must be an AbortSignal')
  if (lastEventId !== undefined && !/^[\x21-\x7e]+$/.test(checkText('lastEventId', lastEventId)))
    throw new RangeError('lastEventId must be the id of an item')
  if (patience !== undefined) checkDuration('patience', patience)
  filterQuery(filter)
}

const ended = (): LogsApiError =>
  new LogsApiError('LOGS_API_SOCKET', 'The service ended the live tail.', true, { sent: true })

async function* eventsOf({ body, fault }: Answer): AsyncGenerator<EventSourceMessage, void> {
  const decoder = new TextDecoder()
  const events: EventSourceMessage[] = []
  const parser = createParser({ onEvent: (event) => void events.push(event) })
  try {
    for await (const chunk of chunksOf(body, fault)) {
      parser.feed(decoder.decode(chunk, { stream: true }))
      yield* events.splice(0)
    }
  } finally {
    body.destroy()
  }
}

function itemOf(event: string | undefined, id: string | undefined, data: string): TailItem | undefined {
  if (event !== 'log' && event !== 'dropped') return undefined
  let content: unknown
  try {
    content = JSON.parse(data)
  } catch (cause) {
    throw new LogsApiError('LOGS_API_PROTOCOL', 'An event of the live tail is not JSON.', false, {
      sent: true,
      cause,
    })
  }
  if (event === 'log') return { kind: 'entry', id: id ?? '', entry: record('an event', content) as LogEntry }
  const { count } =
    typeof content === 'number' ? { count: content } : (record('an event', content) as { count: number })
  return { kind: 'dropped', count }
}

/** The ids that came last. */
class Seen {
  readonly #ids = new Set<string>()

  isNew(id: string): boolean {
    if (this.#ids.has(id)) return false
    this.#ids.add(id)
    if (this.#ids.size > remembered) for (const oldest of this.#ids) return this.#ids.delete(oldest)
    return true
  }
}
