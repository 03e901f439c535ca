import { setTimeout as delay } from 'node:timers/promises'
import type { Link } from './link.ts'

/** One look at a link: what it is, or why that cannot be told at this moment. */
export type Look = { readonly at: Date; readonly link: Link } | { readonly at: Date; readonly error: Error }

/**
 * Looks at a link again and again, one look after the other: the next one `interval` after the last was begun, or as soon as it is wanted
 * after that. Ends with the signal.
 *
 * @throws what does not pass by itself: for example, that there is no such link, when nothing was ever seen of it.
 */
export async function* poll(
  read: () => Promise<Link>,
  interval: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Look, void> {
  let seen = false
  while (!isAborted(signal)) {
    const began = performance.now()
    let look: Look
    try {
      const link = await read()
      seen = true
      look = { at: new Date(), link }
    } catch (error) {
      if (isAborted(signal)) return
      if (!mayPass(error, seen)) throw error
      look = { at: new Date(), error }
    }
    yield look
    await pauseFor(began + interval - performance.now(), signal)
  }
}

/** Resolves after the milliseconds, or with the signal. */
export async function pauseFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  // Rejects with the signal only.
  await delay(Math.max(milliseconds, 0), undefined, signal && { signal }).catch(() => undefined)
}

/**
 * Whether a failed look may be followed by a good one. A system that was seen working may refuse (403 where another system answers in its
 * name), know no link (404 once it was rebuilt) or talk nonsense for a while; one that never was is asked wrongly.
 */
function mayPass(error: unknown, seen: boolean): error is Error {
  if (!(error instanceof Error) || !('code' in error) || !('retryable' in error)) return false
  return error.code !== 'HCP_CLOSED' && (seen || error.retryable === true)
}

/** A function, since a signal changes while the compiler does not look. */
export const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true
