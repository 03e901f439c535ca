import { PassThrough, type Readable } from 'node:stream'
import type { ServiceLog } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import type { Deletion } from './entry.ts'

/** A deletion that is under way. */
export interface DeletionStream {
  /** One JSON document per line; may be left unread or destroyed. */
  readonly lines: Readable
  /** When the deletion has ended, well or not. Never rejects. */
  readonly ended: Promise<void>
}

/** Milliseconds. */
const longestSilence = 1000

/**
 * Tells of a deletion in lines: the first at 0 %, further ones at least every second or 1 %, and `complete` or `error` as the last. The deletion
 * goes on without readers, until `stopping` is aborted.
 *
 * Rejects if nothing could be begun; later failures become the last line.
 */
export async function deletionStream(
  steps: AsyncIterable<Deletion>,
  options: { readonly stopping: AbortSignal; readonly log: ServiceLog },
): Promise<DeletionStream> {
  const iterator = steps[Symbol.asyncIterator]()
  const first = await iterator.next()
  const lines = new PassThrough()
  // Readers may leave at any time.
  lines.on('error', () => {})
  const ended = pump(lines, iterator, first.done === true ? { removed: 0, total: 0 } : first.value, options)
  return { lines, ended }
}

async function pump(
  lines: PassThrough,
  steps: AsyncIterator<Deletion>,
  begin: Deletion,
  { stopping, log }: { readonly stopping: AbortSignal; readonly log: ServiceLog },
): Promise<void> {
  let state = begin
  let told = -1
  const tell = (): void => {
    // A reader that does not keep up misses lines, not the last.
    if (lines.destroyed || lines.writableNeedDrain) return
    told = percent(state)
    write(lines, { status: 'deleting', percent_complete: told, total: state.total })
    silence.refresh()
  }
  const silence = setInterval(tell, longestSilence)
  try {
    if (begin.total > 0) tell()
    while (!stopping.aborted) {
      const step = await steps.next()
      if (step.done === true) break
      state = step.value
      if (state.total > 0 && (percent(state) >= told + 1 || (percent(state) === 100 && told < 100))) tell()
    }
    if (stopping.aborted) {
      await steps.return?.()
      throw new Refusal(503, 'The service is stopping. Repeat the request to remove the rest.')
    }
    write(lines, { status: 'complete', percent_complete: 100, total: state.total })
  } catch (error) {
    log.error({ err: error, ...state }, 'a deletion ended before its end')
    write(lines, {
      status: 'error',
      percent_complete: percent(state),
      total: state.total,
      error:
        error instanceof Refusal ? error.message : 'The store failed. Repeat the request to remove the rest.',
    })
  } finally {
    clearInterval(silence)
    lines.end()
  }
}

function percent({ removed, total }: Deletion): number {
  return total === 0 ? 0 : Math.min(100, (100 * removed) / total)
}

function write(lines: PassThrough, line: object): void {
  if (!lines.destroyed) lines.write(`${JSON.stringify(line)}\n`)
}
