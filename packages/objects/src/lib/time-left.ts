import { checkMilliseconds } from '@hcp/connection/support'
import type { CallOptions } from './object-requests.ts'

/**
 * For calls of several requests: the options of each, with what is left of the deadline that all have together.
 *
 * @throws {TypeError | RangeError} for a deadline that is none.
 */
export function timeLeft<Options extends CallOptions>(options: Options): () => Options {
  const { deadline } = options
  if (deadline === undefined) return () => options
  const end = performance.now() + checkMilliseconds('deadline', deadline)
  // A request without any time left says so itself.
  return () => ({ ...options, deadline: Math.max(1, Math.ceil(end - performance.now())) })
}
