import { checkOptions } from '@hcp/connection/support'
import { responseError } from './errors.ts'
import { type ObjectMetadata, objectMetadata } from './metadata.ts'
import { type CallOptions, known, type ObjectRequests } from './object-requests.ts'
import { formatRetention, type Retention } from './retention.ts'
import { checkSettings, type ObjectSettings, settingOptions, settingParams } from './settings.ts'
import { timeLeft } from './time-left.ts'

/** What to change of an object; what is not named stays as it is. */
export interface MetadataChanges extends ObjectSettings {
  /** Name of the user who is to own the object; `null`: nobody. Needs the permission `changeOwner`. */
  readonly owner?: string | null
  /** Active Directory domain of that user. */
  readonly domain?: string
}

const knownChanges: ReadonlySet<string> = new Set([...settingOptions, 'owner', 'domain'])

export async function changeMetadata(
  requests: ObjectRequests,
  path: string,
  changes: MetadataChanges,
  options: CallOptions = {},
): Promise<void> {
  checkOptions('changeMetadata', changes, knownChanges)
  checkOptions('changeMetadata', options, known())
  checkSettings(changes)
  const { retention, hold, owner, domain } = changes
  if (retention !== undefined && hold !== undefined) {
    throw new RangeError('retention and hold cannot be changed in one request: HCP refuses that; make two')
  }
  if (owner !== undefined && owner !== null && (typeof owner !== 'string' || owner === '')) {
    throw new TypeError('owner must be the name of a user, or null for nobody')
  }
  if (domain !== undefined && typeof domain !== 'string') throw new TypeError('domain must be a string')
  if (domain !== undefined && typeof owner !== 'string') throw new TypeError('domain goes with an owner only')
  const params = settingParams(changes)
  if (owner !== undefined) params['owner'] = owner ?? ''
  if (domain !== undefined) params['domain'] = domain
  if (Object.keys(params).length === 0)
    throw new TypeError('changeMetadata: nothing to change; known are ' + [...knownChanges].join(', '))
  const current = timeLeft(options)
  const response = await requests.send('POST', path, current(), {
    body: new URLSearchParams(params),
    // All but an extension of what the object has now come to the same when they are carried out twice.
    idempotent: !(retention?.kind === 'offset' && retention.base === 'current'),
    buffered: true,
    accept: [400],
  })
  if (response.ok) return
  const refusal = responseError(response)
  if (!response.doubtful) throw refusal
  // An earlier try, whose answer was lost, may have done it: some settings cannot be made a second time.
  const head = await requests.send('HEAD', path, { ...current(), system: response.system })
  if (!isChanged(objectMetadata(head), changes)) throw refusal
}

/** Whether an object is as the changes want it, all of them: HCP makes all or none. */
function isChanged(found: ObjectMetadata, changes: MetadataChanges): boolean {
  const { retention, labeledHolds = [], owner, domain } = changes
  const flags = (['hold', 'shred', 'index'] as const).every(
    (flag) => changes[flag] === undefined || changes[flag] === found[flag],
  )
  const labels = labeledHolds.every(
    ({ id, hold }) => hold === (found.labeledHolds.find((label) => label.id === id)?.hold ?? false),
  )
  const owned = owner === undefined || (owner ?? undefined) === found.owner
  return (
    flags &&
    labels &&
    owned &&
    (domain === undefined || domain === found.domain) &&
    (retention === undefined || hasRetention(found, retention))
  )
}

function hasRetention({ retention: found, retentionClass }: ObjectMetadata, wanted: Retention): boolean {
  if (wanted.kind === 'class') return retentionClass?.toLowerCase() === wanted.name.toLowerCase()
  if (wanted.kind === 'until' && found.kind === 'until')
    return formatRetention(found) === formatRetention(wanted)
  return found.kind === wanted.kind
}
