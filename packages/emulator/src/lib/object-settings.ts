import type { Grant } from './access-control-list.ts'
import type { Answer, Exchange } from './answer.ts'
import { need } from './answer.ts'
import type { Choices } from './choices.ts'
import { hasConditions } from './conditions.ts'
import type { LabelChanges } from './labeled-holds.ts'
import { changedLabels, readLabels } from './labeled-holds.ts'
import type { Version } from './namespace.ts'
import { Refusal } from './refusal.ts'
import type { Query } from './request-target.ts'
import { booleanParameter, decodeText } from './request-target.ts'
import { readForm } from './request-form.ts'
import type { Retention } from './retention.ts'
import { checkRetentionChange, isOnHold, isUnderRetention, parseRetention } from './retention.ts'
import { updateOf } from './shared-metadata.ts'

/** System metadata as a request sets it; what is missing stays or comes from the namespace. */
export interface Settings {
  readonly retention: Retention | undefined
  readonly hold: boolean | undefined
  readonly labels: LabelChanges | undefined
  readonly shred: boolean | undefined
  readonly index: boolean | undefined
  readonly acl?: readonly Grant[] | undefined
}

/** Reads the settings that a PUT or POST names. */
export function readSettings(
  { namespace }: Exchange,
  query: Query,
  now: number,
  current?: Version,
): Settings {
  const retention = query.get('retention')
  return {
    retention:
      retention === undefined
        ? undefined
        : parseRetention(decodeText(retention, 'plus'), namespace.settings, now, current),
    hold: booleanParameter(query, 'hold'),
    labels: readLabels(query),
    shred: booleanParameter(query, 'shred'),
    index: booleanParameter(query, 'index'),
  }
}

/** The parameters of a POST, by their names in query and form. */
export const changeable: readonly string[] = [
  'retention',
  'hold',
  'label_hold',
  'label-hold',
  'index',
  'shred',
  'owner',
  'domain',
]

/** POST: changes an object's system metadata; parameters come as form body or as query. */
export async function postObject(exchange: Exchange): Promise<Answer> {
  const { namespace, target, system, headers } = exchange
  need(exchange, 'write')
  if (system.choices.postConditions === 'refused' && hasConditions(headers))
    throw new Refusal(400, 'POST takes no conditional headers.')
  const query = new Map([...target.query, ...(await readForm(exchange))])
  for (const name of query.keys()) {
    if (!changeable.includes(name))
      throw new Refusal(400, `The parameter ${name} is not valid for this request.`)
  }
  const now = system.now()
  const before = namespace.current(target.path)
  if (before === undefined) throw new Refusal(404)
  const settings = readSettings(exchange, query, now, before)
  const { retention, hold, labels, shred, index } = settings
  if ((hold !== undefined || labels !== undefined) && retention !== undefined) {
    throw new Refusal(400, 'Retention and hold cannot be changed in one request.')
  }
  if (hold !== undefined || labels !== undefined) need(exchange, 'privileged')
  if (before.labels !== undefined) checkLabeled(query, system.choices)
  if (retention !== undefined)
    checkRetentionChange(before, retention, now, namespace.settings, system.choices)
  if (shred === false && before.shred) throw new Refusal(400, 'shred cannot be changed from true to false.')
  const owner = newOwner(exchange, query, before, now)
  const version: Version = {
    ...before,
    change: now,
    retention: retention?.retention ?? before.retention,
    retentionClass: retention?.retentionClass ?? before.retentionClass,
    hold: hold ?? before.hold,
    labels: changedLabels(before.labels, labels),
    shred: shred ?? before.shred,
    index: index ?? before.index,
    owner: owner ?? before.owner,
  }
  await system.commit(namespace, updateOf(namespace, target.path, before, version))
  return { status: 200, headers: [] }
}

/** Until all labels are released, nothing else changes but another hold. */
function checkLabeled(query: Query, choices: Choices): void {
  for (const name of query.keys()) {
    if (name === 'hold' || name.startsWith('label')) continue
    throw new Refusal(choices.refusedChange, 'The object has labeled holds: its metadata cannot be changed.')
  }
}

function newOwner(
  { namespace, tenant, permissions }: Exchange,
  query: Query,
  before: Version,
  now: number,
): string | undefined {
  const owner = query.get('owner')
  const domain = query.get('domain')
  if (owner === undefined && domain === undefined) return undefined
  if (!permissions.has('changeOwner')) throw new Refusal(403, 'The permission changeOwner is missing.')
  if (owner === undefined) throw new Refusal(400, 'domain goes with owner.')
  if (domain !== undefined && domain !== '') throw new Refusal(400, 'The namespace has no Active Directory.')
  if ((isOnHold(before) || isUnderRetention(before, now)) && !namespace.settings.ownerChangeUnderRetention) {
    throw new Refusal(403, 'The owner of an object under retention cannot be changed.')
  }
  const name = decodeText(owner)
  const known = name === '' || tenant.accounts.has(name)
  if (!known) throw new Refusal(400, 'The owner is unknown.')
  return name
}
