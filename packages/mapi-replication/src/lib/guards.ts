import { LinkAction, LinkType } from './constants.ts'
import { type GuardRule, ReplicationGuardError } from './errors.ts'
import { type LinkState, linkState } from './link-state.ts'
import type { Link } from './link.ts'

/** Why an action does not fit; `undefined` if it does, as far as can be told from here. */
type Objection = { readonly rule: GuardRule; readonly why: string } | undefined

const recovery: ReadonlySet<LinkAction> = new Set([LinkAction.beginRecovery, LinkAction.completeRecovery])

/** Of the type alone, as the Python package has it, and of the side, which that lets through. */
function objectionToType(action: LinkAction, type: string): Objection {
  if (action === LinkAction.failBack && (type === LinkType.outbound || type === LinkType.inbound)) {
    return {
      rule: 'type',
      why: `an active/passive link (${type}) has no failBack: use beginRecovery and completeRecovery on its replica`,
    }
  }
  if (recovery.has(action) && type === LinkType.activeActive) {
    return { rule: 'type', why: 'an active/active link has no recovery: use failBack' }
  }
  const ofReplica = recovery.has(action) || action === LinkAction.failOver
  if (ofReplica && type === LinkType.outbound) {
    return {
      rule: 'side',
      why: 'this system is its primary (OUTBOUND): send it to the replica, where the link is INBOUND',
    }
  }
  return undefined
}

const failedOverOrAfter: ReadonlySet<LinkState> = new Set(['failedOver', 'recovering', 'completingRecovery'])

/** States that may stand in front of a recovery, since HCP says one thing at a time: what is behind them is HCP's to judge. */
const hiding: ReadonlySet<LinkState> = new Set([
  'suspended',
  'storageFull',
  'unhealthy',
  'pending',
  'unknown',
])

/** Of the state: HCP's own rules, as far as its documents tell them and the link shows what they need. */
function objectionToState(action: LinkAction, { suspended }: Link, state: LinkState): Objection {
  const refuse = (why: string): Objection => ({ rule: 'state', why })
  switch (action) {
    case LinkAction.suspend:
      return suspended && state !== 'storageFull' ? refuse('it is suspended already') : undefined
    case LinkAction.resume:
      return suspended || state === 'storageFull' ? undefined : refuse('it is not suspended')
    case LinkAction.failOver:
      return failedOverOrAfter.has(state) ? refuse('it has failed over already') : undefined
    case LinkAction.failBack:
    case LinkAction.beginRecovery:
      return state === 'failedOver' || state === 'unknown' ? undefined : refuse('it has not failed over')
    case LinkAction.completeRecovery:
      if (state === 'recovering' || hiding.has(state)) return undefined
      return refuse('its recovery has not begun, or is being completed already')
    default:
      return !suspended && (state === 'replicating' || state === 'scheduledOff')
        ? refuse('the other system has it, since it replicates')
        : undefined
  }
}

/** @throws {ReplicationGuardError} if the action can only fail on a link of this type. */
export function guardType(action: LinkAction, name: string, type: string): void {
  check(action, name, undefined, objectionToType(action, type))
}

/** @throws {ReplicationGuardError} if the action can only fail on the link as it is. */
export function guardLink(action: LinkAction, link: Link, expected?: LinkType): void {
  const state = linkState(link)
  if (expected !== undefined && expected !== link.type) {
    check(action, link.name, state, { rule: 'expected', why: `it is ${link.type}, not ${expected}` })
  }
  check(action, link.name, state, objectionToType(action, link.type) ?? objectionToState(action, link, state))
}

/** Whether the link shows that the action was carried out; `undefined` where a link cannot tell. */
export function isDone(action: LinkAction, link: Link): boolean | undefined {
  const state = linkState(link)
  switch (action) {
    case LinkAction.suspend:
      return link.suspended
    case LinkAction.resume:
      return !link.suspended
    case LinkAction.failOver:
      return state === 'failedOver'
    case LinkAction.failBack:
      return state !== 'failedOver' && state !== 'unhealthy'
    case LinkAction.beginRecovery:
      return state === 'recovering' || state === 'completingRecovery'
    case LinkAction.completeRecovery:
      return state === 'completingRecovery' || state === 'replicating' || state === 'scheduledOff'
    // A link does not tell whether the other system still has it.
    default:
      return undefined
  }
}

function check(action: LinkAction, name: string, state: LinkState | undefined, objection: Objection): void {
  if (objection === undefined) return
  const seen = state === undefined ? '' : ` (found ${state})`
  const message = `${action} was not sent to the link "${name}"${seen}: ${objection.why}`
  throw new ReplicationGuardError(objection.rule, action, name, state, message)
}
