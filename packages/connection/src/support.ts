/** What packages built on the connection share with it: checks of arguments and bodies, HCP's hashes. Not needed to use a connection. */
export {
  checkBoolean,
  checkInteger,
  checkMilliseconds,
  checkOptions,
  checkSignal,
  checkString,
  longestTime,
} from './lib/arguments.ts'
export { bodySource } from './lib/body.ts'
export { bodyHash } from './lib/content-hash.ts'
export { type ContentHash, hasher, hashOf, namedHashes, RunningHash } from './lib/hash.ts'
export { RetryPolicy } from './lib/retry.ts'
export { requestPath } from './lib/url.ts'
