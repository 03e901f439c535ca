import { LinkType } from './constants.ts'
import type { Link } from './link.ts'

/**
 * What a link does, as a word to branch on, from the sentence that HCP has for people (`statusMessage`):
 * - `replicating`: data flows as it should; `scheduledOff`: it does, but not at this hour
 * - `suspended`: by a user; `storageFull`: by HCP itself, since one side has no room
 * - `failedOver`: between `failOver` and `failBack` or `beginRecovery`
 * - `recovering`: data flows from the replica back to the primary; `completingRecovery`: the last of it, and nobody may write. The
 *   primary says `recovering` in both phases
 * - `pending`: the other system has not answered yet to the link, or to `restore`
 * - `unhealthy`: broken, stalled, or too many errors
 * - `unknown`: HCP says something that is in no manual
 */
export type LinkState =
  | 'replicating'
  | 'scheduledOff'
  | 'suspended'
  | 'storageFull'
  | 'failedOver'
  | 'recovering'
  | 'completingRecovery'
  | 'pending'
  | 'unhealthy'
  | 'unknown'

const states: ReadonlyMap<string, LinkState> = new Map(
  Object.entries<LinkState>({
    'synchronizing data': 'replicating',
    'sending data': 'replicating',
    'receiving data': 'replicating',
    'recovering data': 'recovering',
    'completing recovery': 'completingRecovery',
    'scheduled off period': 'scheduledOff',
    'suspended by user': 'suspended',
    'failed over': 'failedOver',
    pending: 'pending',
    'pending remote reply': 'pending',
    'remote storage full, link suspended': 'storageFull',
    'local storage full, link suspended': 'storageFull',
    'high error rate': 'unhealthy',
    'stalled link': 'unhealthy',
    'broken link': 'unhealthy',
    'unrecognized link': 'unhealthy',
  }),
)

/** @see HCP Management API Reference, "link": `status` and `statusMessage` */
export function linkState({
  statusMessage,
  status,
  suspended,
  type,
}: Pick<Link, 'status' | 'statusMessage' | 'suspended' | 'type'>): LinkState {
  const message = statusMessage.trim().toLowerCase()
  // The primary receives only while it gets its data back, which is no normal replication (WARNING).
  if (message === 'receiving data' && (type === LinkType.outbound || status === 'WARNING'))
    return 'recovering'
  const state = states.get(message)
  if (state !== undefined) return state
  if (suspended) return 'suspended'
  return status === 'BAD' ? 'unhealthy' : 'unknown'
}
