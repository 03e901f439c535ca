import { checkDeadline, checkInterval, checkSignal } from './arguments.ts'
import { ReplicationTimeoutError } from './errors.ts'
import { type LinkState, linkState } from './link-state.ts'
import type { Link } from './link.ts'
import { isAborted, poll } from './poll.ts'
import type { LinkCondition } from './when.ts'

export interface WaitOptions {
  /** Give up after this long, with a `ReplicationTimeoutError`. Milliseconds, default none. */
  readonly deadline?: number
  /** From one look to the next. Milliseconds, at least 10, default 5,000. */
  readonly interval?: number
  /** Ends the wait: it rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** Called at each look that was not yet the last. */
  readonly onProgress?: (progress: WaitProgress) => void
}

/** One look at the link that is waited for. */
export interface WaitProgress {
  /** As it was seen last; `undefined` if it never was. */
  readonly link: Link | undefined
  readonly state: LinkState | undefined
  /** Why this look failed, if it did. */
  readonly error: Error | undefined
  /** Since the wait began, in milliseconds. */
  readonly elapsed: number
}

/** Resolves with the link as it is when the condition holds. `read` gets a signal. */
export async function waitForLink(
  name: string,
  read: (signal: AbortSignal | undefined) => Promise<Link>,
  condition: LinkCondition,
  { deadline, interval = 5_000, signal, onProgress }: WaitOptions,
): Promise<Link> {
  if (typeof condition !== 'function') throw new TypeError('The condition must be a function of the link')
  checkInterval(interval)
  checkSignal(signal)
  if (deadline !== undefined) checkDeadline(deadline)
  signal?.throwIfAborted()
  const began = performance.now()
  const over = deadline === undefined ? undefined : AbortSignal.timeout(deadline)
  const parts = [signal, over].filter((each) => each !== undefined)
  const end = parts.length > 1 ? AbortSignal.any(parts) : parts[0]
  let lastSeen: Link | undefined
  let error: Error | undefined
  for await (const look of poll(() => read(end), interval, end)) {
    error = 'error' in look ? look.error : undefined
    if ('link' in look) {
      lastSeen = look.link
      if (condition(lastSeen)) return lastSeen
    }
    const state = lastSeen && linkState(lastSeen)
    onProgress?.({ link: lastSeen, state, error, elapsed: performance.now() - began })
  }
  if (isAborted(signal)) throw signal?.reason
  // Without a deadline and a signal, polling does not end.
  const { description = 'as wanted' } = condition
  throw new ReplicationTimeoutError(name, description, deadline ?? 0, lastSeen, error)
}
