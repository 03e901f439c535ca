/** What packages built on the connection share with it: checks of arguments and bodies, HCP's hashes. Not needed to use a connection. */
export {
  checkBoolean,
  checkInteger,
  checkMilliseconds,
  checkOptions,
  checkSignal,
  checkString,
} from './lib/arguments.ts'
export { bodySource } from './lib/body.ts'
export { bodyHash } from './lib/content-hash.ts'
export {
  bareEtag,
  type ContentHash,
  hasher,
  hashOf,
  namedHashes,
  parseHash,
  RunningHash,
} from './lib/hash.ts'
export { RetryPolicy } from './lib/retry.ts'
export { requestPath } from './lib/url.ts'
export { decodeXmlReferences, isXmlCharacter } from './lib/xml-references.ts'
