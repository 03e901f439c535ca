/** What a link is to the system that is asked: the same active/passive link is `OUTBOUND` on its primary and `INBOUND` on its replica. */
export const LinkType = {
  /** Both systems take writes, and replicate to each other. */
  activeActive: 'ACTIVE_ACTIVE',
  /** Active/passive, and this system is the primary. */
  outbound: 'OUTBOUND',
  /** Active/passive, and this system is the replica. */
  inbound: 'INBOUND',
} as const
export type LinkType = (typeof LinkType)[keyof typeof LinkType]

/** What can be done to a link. The values are those of the wire. */
export const LinkAction = {
  /** Stops all sending, in both directions. */
  suspend: 'suspend',
  /** Goes on after `suspend`, from the last checkpoint. */
  resume: 'resume',
  /** Recreates the link on a system that was rebuilt, and sends everything anew. */
  restore: 'restore',
  /** The system that is asked takes over for the other one. */
  failOver: 'failOver',
  /** Active/active: back to replication in both directions. */
  failBack: 'failBack',
  /** Active/passive, sent to the replica: its data flows back to the primary. */
  beginRecovery: 'beginRecovery',
  /** Active/passive, sent to the replica: it becomes read-only, the rest is copied, then the link is as before. */
  completeRecovery: 'completeRecovery',
} as const
export type LinkAction = (typeof LinkAction)[keyof typeof LinkAction]

// Under the names that the Python package has.
export const R_ACTIVE_ACTIVE: 'ACTIVE_ACTIVE' = LinkType.activeActive
export const R_OUTBOUND: 'OUTBOUND' = LinkType.outbound
export const R_INBOUND: 'INBOUND' = LinkType.inbound
export const R_SUSPEND: 'suspend' = LinkAction.suspend
export const R_RESUME: 'resume' = LinkAction.resume
export const R_RESTORE: 'restore' = LinkAction.restore
export const R_FAILOVER: 'failOver' = LinkAction.failOver
export const R_FAILBACK: 'failBack' = LinkAction.failBack
export const R_BEGINRECOVERY: 'beginRecovery' = LinkAction.beginRecovery
export const R_COMPLETERECOVERY: 'completeRecovery' = LinkAction.completeRecovery

const types: ReadonlySet<unknown> = new Set(Object.values(LinkType))
const actions: ReadonlySet<unknown> = new Set(Object.values(LinkAction))

export const isLinkType = (value: unknown): value is LinkType => types.has(value)

/** @throws {TypeError | RangeError} for what is no action. */
export function checkAction(value: unknown): LinkAction {
  if (typeof value !== 'string') throw new TypeError('The action must be a string, one of LinkAction')
  if (!actions.has(value)) {
    throw new RangeError(`"${value}" is no action on a link; known are ${[...actions].join(', ')}`)
  }
  return value as LinkAction
}

/** @throws {TypeError | RangeError} for what is no type of a link. */
export function checkLinkType(value: unknown): LinkType {
  if (typeof value !== 'string') throw new TypeError('The type of a link must be a string, one of LinkType')
  if (!isLinkType(value)) {
    throw new RangeError(`"${value}" is no type of a link; known are ${[...types].join(', ')}`)
  }
  return value
}
