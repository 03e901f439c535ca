import { setTimeout as sleep } from 'node:timers/promises'

/** Waits. Rejects with the signal's reason as soon as that is aborted. @param duration Milliseconds. */
export async function pause(duration: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(duration, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}
