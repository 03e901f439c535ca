import { checkOptions } from '@hcp/connection/support'
import { responseError } from './errors.ts'
import { headObject } from './head.ts'
import { type CallOptions, known, type ObjectRequests } from './object-requests.ts'
import { formatRetention, type Retention } from './retention.ts'
import { checkSettings, type ObjectSettings, settingOptions, settingParams } from './settings.ts'

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
  const response = await requests.send('POST', path, options, {
    body: new URLSearchParams(params),
    // All but an extension of what the object has now come to the same when they are carried out twice.
    idempotent: !(retention?.kind === 'offset' && retention.base === 'current'),
    buffered: true,
    accept: [400],
  })
  if (response.ok) return
  const refusal = responseError(response)
  // An earlier try, whose answer was lost, may have done it: some settings cannot be made a second time.
  const repeated = response.attempts > 1 && retention !== undefined
  if (!repeated || !(await hasRetention(requests, path, retention, options))) throw refusal
}

async function hasRetention(
  requests: ObjectRequests,
  path: string,
  retention: Retention,
  options: CallOptions,
): Promise<boolean> {
  const { retention: found, retentionClass } = await headObject(requests, path, options)
  if (retention.kind === 'class') return retentionClass?.toLowerCase() === retention.name.toLowerCase()
  if (retention.kind === 'until' && found.kind === 'until')
    return formatRetention(found) === formatRetention(retention)
  return found.kind === retention.kind
}
