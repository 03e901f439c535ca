import { checkLinkName, checkObject } from './arguments.ts'
import { LinkType } from './constants.ts'
import { ReplicationPlanError } from './errors.ts'
import { type FailoverView, type OtherView, viewLink } from './failover-view.ts'
import type { LinkState } from './link-state.ts'
import { ReplicationClient } from './replication-client.ts'

/**
 * Where the plan leads: `failOver`, to the link being failed over; `return`, from there back to normal replication; `roundTrip`, both.
 */
export type FailoverGoal = 'failOver' | 'return' | 'roundTrip'

export type FailoverStepName =
  | 'failOver'
  | 'awaitFailedOver'
  | 'awaitOtherSystem'
  | 'restore'
  | 'awaitRestored'
  | 'failBack'
  | 'beginRecovery'
  | 'awaitNearlyUpToDate'
  | 'completeRecovery'
  | 'awaitGood'

/** One step of a plan. An `action` changes something, a `wait` only looks. */
export interface FailoverStep {
  readonly name: FailoverStepName
  readonly kind: 'action' | 'wait'
  /** The system that is asked. */
  readonly system: string
  /** What is done, in a sentence. */
  readonly title: string
  /** What that means for those who use the systems, in a sentence; '' for a wait. */
  readonly consequence: string
}

/** What would be done, as data: it can be printed, kept as JSON, and handed to `executeFailover`. */
export interface FailoverPlan {
  readonly link: string
  readonly type: string
  readonly goal: FailoverGoal
  /** The system that takes over, or has taken over, and gets the actions. */
  readonly survivor: string
  /** The other one; `undefined` if only the survivor is looked at. */
  readonly failed: string | undefined
  /** What the survivor said of the link when the plan was made. */
  readonly state: LinkState
  /** The caller has decided that the other system may still be working. */
  readonly force: boolean
  /** In the order in which they are taken; none if the goal is reached already. */
  readonly steps: readonly FailoverStep[]
  /** What to think of before the first step, in sentences. */
  readonly warnings: readonly string[]
}

/** Who takes part, and what is wanted. */
export interface FailoverQuestion {
  /** The system that takes over. On an active/passive link it is the replica. */
  readonly survivor: ReplicationClient
  /** The other one, if it can be asked: then it is looked at, too. Give its target addresses where DNS failover is on. */
  readonly failed?: ReplicationClient
  readonly link: string
  /** Default: `return` for a link that has failed over or recovers, otherwise `failOver`. */
  readonly goal?: FailoverGoal
  /** Fail over although the other system is still at work, for example to move the work away from it. Default false. */
  readonly force?: boolean
  readonly signal?: AbortSignal
}

const goals: ReadonlySet<unknown> = new Set<FailoverGoal>(['failOver', 'return', 'roundTrip'])
const known: ReadonlySet<string> = new Set(['survivor', 'failed', 'link', 'goal', 'force', 'signal'])
const failedOver: ReadonlySet<LinkState> = new Set(['failedOver', 'recovering', 'completingRecovery'])

/**
 * Looks at the link on the surviving system, and on the other if it is given, and tells the steps from there to the goal. Changes nothing.
 * After a stop, ask again: the steps are always those from the present state.
 *
 * @throws {ReplicationPlanError} `split` if the other system still works, unless `force`: clients that go on writing there and clients of
 *   the survivor then change the same objects. `side` if the survivor is the primary of an active/passive link. `state` if the link is in
 *   a state that does not lead to the goal.
 * @see HCP System Management Help, "Failover and failback workflows"
 */
export async function planFailover(question: FailoverQuestion): Promise<FailoverPlan> {
  checkObject('The question', question)
  for (const name in question)
    if (!known.has(name)) throw new TypeError(`planFailover: unknown option "${name}"`)
  const { survivor, failed, link: name, goal, force = false, signal } = question
  if (!(survivor instanceof ReplicationClient)) throw new TypeError('survivor must be a ReplicationClient')
  if (failed !== undefined && !(failed instanceof ReplicationClient))
    throw new TypeError('failed must be a ReplicationClient, or be left out')
  if (failed?.system === survivor.system)
    throw new RangeError(`survivor and failed are the same system, ${survivor.system}`)
  checkLinkName(name)
  if (goal !== undefined && !goals.has(goal)) {
    throw new RangeError(`goal must be one of ${[...goals].join(', ')}`)
  }
  if (typeof force !== 'boolean') throw new TypeError('force must be true or false')
  const view = await viewLink(survivor, failed, name, signal)
  return planFrom(view, goal ?? (failedOver.has(view.survivor.state) ? 'return' : 'failOver'), force)
}

/** The steps for what was seen. */
export function planFrom(view: FailoverView, goal: FailoverGoal, force: boolean): FailoverPlan {
  const { link, state, system } = view.survivor
  const { name, type } = link
  if (type === LinkType.outbound) {
    const why =
      `${system} is the primary of the active/passive link "${name}" and cannot take over for its replica. ` +
      'If the replica failed, suspend the link, repair the replica, and resume; if the primary shall be relieved, its replica is the survivor'
    throw new ReplicationPlanError('side', name, why)
  }
  const isOver = failedOver.has(state)
  const warnings: string[] = []
  const steps: FailoverStep[] = []
  if (goal !== 'return' && !isOver) {
    const split = splitDanger(view)
    if (split !== undefined && !force) {
      const why = `The link "${name}" should not be failed over to ${system}: ${split}. Give force to do it nevertheless`
      throw new ReplicationPlanError('split', name, why)
    }
    if (split !== undefined) warnings.push(`${split}.`)
    if (view.failed === undefined && split === undefined) {
      warnings.push(
        'The other system is not looked at: make sure that nobody writes there, or both will be written to.',
      )
    }
    if (view.failed?.state === 'unreachable') {
      const why = view.failed.error?.message ?? 'no answer'
      warnings.push(
        `${view.failed.system} cannot be reached from here (${why}): make sure that its clients cannot either.`,
      )
    }
    steps.push(stepOf('failOver', view), stepOf('awaitFailedOver', view))
  }
  if (goal === 'failOver') {
    if (state === 'recovering' || state === 'completingRecovery') {
      const why = `The link "${name}" is on its way back (${state}): let it be completed (goal "return") before it fails over again`
      throw new ReplicationPlanError('state', name, why)
    }
  } else steps.push(...stepsBack(view, isOver || goal === 'roundTrip', warnings))
  return {
    link: name,
    type,
    goal,
    survivor: system,
    failed: view.failed?.system,
    state,
    force,
    steps,
    warnings,
  }
}

/** States in which the other system itself does not tell whether it works. */
const silent: ReadonlySet<OtherView['state']> = new Set(['missing', 'unreachable'])

/** Why a failover could make both systems be written to, if the other one is known, or has to be taken, to be at work. */
export function splitDanger({ survivor, failed }: FailoverView): string | undefined {
  const other = failed?.system ?? 'the other system'
  const split = `clients may go on writing there while others write to ${survivor.system}`
  if (failed !== undefined && !silent.has(failed.state))
    return failed.state === 'failedOver' ? undefined : `${other} still answers (${failed.state}), so ${split}`
  // The survivor is nearer to it than we are.
  if (survivor.link.status !== 'GOOD') return undefined
  const works = `the link works (${survivor.link.statusMessage})`
  if (failed === undefined) return `${works}, so ${other} does too, and ${split}`
  return failed.state === 'missing'
    ? `${works}, and ${other} does not know it, so another system is at its other end and works, and ${split}`
    : `${works} although ${other} cannot be reached from here, so ${split}. If it has just failed, wait until the link shows it`
}

function stepsBack(view: FailoverView, isOver: boolean, warnings: string[]): FailoverStep[] {
  const { state, link } = view.survivor
  if (!isOver) {
    if (state === 'replicating' || state === 'scheduledOff') return []
    if (state === 'pending') return [stepOf('awaitGood', view)]
    const why = `The link "${link.name}" has not failed over (${state}): there is nothing to return from`
    throw new ReplicationPlanError('state', link.name, why)
  }
  const names: FailoverStepName[] = []
  if (state !== 'recovering' && state !== 'completingRecovery') {
    if (view.failed === undefined) {
      warnings.push(
        'Before it goes back, the other system must work and be reachable for this one; HCP refuses otherwise.',
      )
    } else if (view.failed.state === 'refuses') {
      warnings.push(
        `${view.failed.system} does not show the link (${view.failed.error?.message ?? 'no reason'}): it cannot be told from here whether it works.`,
      )
    } else if (view.failed.state === 'unreachable' || state !== 'failedOver') names.push('awaitOtherSystem')
    if (view.failed?.state === 'missing') {
      warnings.push(
        `${view.failed.system} does not know the link: exchange the replication certificates before it is restored there.`,
      )
      names.push('restore', 'awaitRestored')
    }
    names.push(link.type === LinkType.activeActive ? 'failBack' : 'beginRecovery')
  }
  if (link.type !== LinkType.activeActive && state !== 'completingRecovery')
    names.push('awaitNearlyUpToDate', 'completeRecovery')
  return [...names, 'awaitGood' as const].map((name) => stepOf(name, view))
}

function stepOf(name: FailoverStepName, { survivor, failed }: FailoverView): FailoverStep {
  const here = survivor.system
  const other = failed?.system ?? 'the other system'
  const isActive = survivor.link.type === LinkType.activeActive
  const action = (title: string, consequence: string): FailoverStep => ({
    name,
    kind: 'action',
    system: here,
    title,
    consequence,
  })
  const wait = (title: string, system: string = here): FailoverStep => ({
    name,
    kind: 'wait',
    system,
    title,
    consequence: '',
  })
  switch (name) {
    case 'failOver':
      return action(
        `Fail over to ${here}`,
        isActive
          ? `Replication stops. Both systems stay writable: only ${here} should be used until it fails back.`
          : `Replication stops, ${here} becomes writable, and ${other} read-only if it can be reached. The only way back is a recovery.`,
      )
    case 'awaitFailedOver':
      return wait(`Wait until ${here} says that the link has failed over`)
    case 'awaitOtherSystem':
      return wait(`Wait until ${other} answers`, other)
    case 'restore':
      return action(
        `Restore the link on ${other}`,
        'The link is made anew there, and everything is sent again.',
      )
    case 'awaitRestored':
      return wait(`Wait until ${other} knows the link`, other)
    case 'failBack':
      return action(
        'Fail back',
        `Replication goes on in both directions, and ${other} gets its clients back where DNS failover is on.`,
      )
    case 'beginRecovery':
      return action(
        'Begin recovery',
        `${other} becomes read-only and gets what was written to ${here}, which stays writable.`,
      )
    case 'awaitNearlyUpToDate':
      return wait(`Wait until ${other} has nearly all of it`)
    case 'completeRecovery':
      return action(
        'Complete recovery',
        `Both systems are read-only until the rest is copied; then ${other} is the primary again.`,
      )
    default:
      return wait('Wait until the link replicates as before')
  }
}
