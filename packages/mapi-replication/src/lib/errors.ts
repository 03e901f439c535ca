import type { LinkAction } from './constants.ts'
import type { LinkState } from './link-state.ts'
import type { Link } from './link.ts'

/** What went wrong, as a word to branch on. Stable within a major version. */
export type ReplicationErrorCode =
  | 'REPLICATION_GUARD'
  | 'REPLICATION_PLAN'
  | 'REPLICATION_REFUSED'
  | 'REPLICATION_TIMEOUT'
  | 'REPLICATION_UNCERTAIN'

const codes: ReadonlySet<unknown> = new Set<ReplicationErrorCode>([
  'REPLICATION_GUARD',
  'REPLICATION_PLAN',
  'REPLICATION_REFUSED',
  'REPLICATION_TIMEOUT',
  'REPLICATION_UNCERTAIN',
])

/** The base of this package's own errors. Beside them there are those of `@hcp/mapi`, for example where a link does not exist. */
export class ReplicationError extends Error {
  override name = 'ReplicationError'
  readonly code: ReplicationErrorCode
  /** The link's name; `undefined` where all links are concerned. */
  readonly link: string | undefined
  constructor(code: ReplicationErrorCode, link: string | undefined, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.link = link
  }

  /** True for errors of this family, also when another installed copy of the package made them. */
  static isInstance(value: unknown): value is ReplicationError {
    return value instanceof Error && 'code' in value && codes.has(value.code)
  }
}

/**
 * Why an action was not sent: it does not exist for this `type` of link, it belongs to the other `side`, the link is not in the `state`
 * for it, or the caller's `expected` type is not the link's.
 */
export type GuardRule = 'type' | 'side' | 'state' | 'expected'

/** The action does not fit the link: nothing was sent. */
export class ReplicationGuardError extends ReplicationError {
  override name = 'ReplicationGuardError'
  readonly rule: GuardRule
  /** An action on a link, or `deleteLink`. */
  readonly action: LinkAction | 'deleteLink'
  /** The state that the link was found in, where the link was read. */
  readonly state: LinkState | undefined
  constructor(
    rule: GuardRule,
    action: LinkAction | 'deleteLink',
    link: string,
    state: LinkState | undefined,
    message: string,
  ) {
    super('REPLICATION_GUARD', link, message)
    this.rule = rule
    this.action = action
    this.state = state
  }
}

/** HCP refused the action: status 400, 403 or 409, which its documents do not tell apart. `cause` is the error of `@hcp/mapi`. */
export class ReplicationRefusedError extends ReplicationError {
  override name = 'ReplicationRefusedError'
  readonly action: LinkAction
  readonly status: number
  /** `X-HCP-ErrorMessage`, when HCP sent one. */
  readonly reason: string | undefined
  constructor(
    action: LinkAction,
    link: string,
    system: string,
    status: number,
    reason: string | undefined,
    cause?: unknown,
  ) {
    const said = reason === undefined ? 'and gave no reason' : `and said: ${reason}`
    const needs = status === 403 ? '. The account needs the role ADMINISTRATOR of the system' : ''
    super(
      'REPLICATION_REFUSED',
      link,
      `${system} refused ${action} of the link "${link}" with status ${status} ${said}${needs}`,
      cause,
    )
    this.action = action
    this.status = status
    this.reason = reason
  }
}

/**
 * The answer to an action was lost, or HCP accepted it and the link does not show it. The link was read afterwards, if that was
 * possible (`found`), and does not tell that the action was carried out. It was not sent again. Read the link before you do.
 */
export class ReplicationUncertainError extends ReplicationError {
  override name = 'ReplicationUncertainError'
  readonly action: LinkAction
  /** The link as it was found afterwards; `undefined` if it could not be read either. */
  readonly found: Link | undefined
  constructor(action: LinkAction, link: string, found: Link | undefined, message: string, cause?: unknown) {
    super('REPLICATION_UNCERTAIN', link, message, cause)
    this.action = action
    this.found = found
  }
}

/** A condition did not come true in time. `cause` is the error of the last look at the link, if that failed. */
export class ReplicationTimeoutError extends ReplicationError {
  override name = 'ReplicationTimeoutError'
  /** What was waited for, in words. */
  readonly condition: string
  /** In milliseconds. */
  readonly deadline: number
  /** The link as it was seen last; `undefined` if it never was. */
  readonly lastSeen: Link | undefined
  constructor(
    link: string,
    condition: string,
    deadline: number,
    lastSeen: Link | undefined,
    cause?: unknown,
  ) {
    const state =
      lastSeen === undefined
        ? 'it could not be read'
        : `it was last seen as ${lastSeen.status}: ${lastSeen.statusMessage}`
    super(
      'REPLICATION_TIMEOUT',
      link,
      `The link "${link}" was not ${condition} within ${deadline} ms; ${state}`,
      cause,
    )
    this.condition = condition
    this.deadline = deadline
    this.lastSeen = lastSeen
  }
}

/**
 * Why a plan is refused: the other system still works (`split`: clients would write on both), the plan does not fit the `state` that
 * the link is in, the survivor is the wrong `side` of the link, or what was asked for is `impossible` for the link.
 */
export type PlanProblem = 'split' | 'state' | 'side' | 'impossible'

/** There is no such plan for the link as it is, or the link has left the plan. Nothing was done. */
export class ReplicationPlanError extends ReplicationError {
  override name = 'ReplicationPlanError'
  readonly problem: PlanProblem
  constructor(problem: PlanProblem, link: string, message: string) {
    super('REPLICATION_PLAN', link, message)
    this.problem = problem
  }
}
