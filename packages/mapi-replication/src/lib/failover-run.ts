import { checkDeadline, checkInterval, checkSignal, checkWhole, longestTime } from './arguments.ts'
import { ReplicationPlanError } from './errors.ts'
import { type FailoverPlan, type FailoverStep, type FailoverStepName, splitDanger } from './failover-plan.ts'
import { type FailoverView, type OtherView, readOther, viewLink } from './failover-view.ts'
import { isDone } from './guards.ts'
import { linkState } from './link-state.ts'
import type { Link } from './link.ts'
import type { ReplicationClient } from './replication-client.ts'
import { waitForLink, type WaitProgress } from './wait-for.ts'
import { type LinkCondition, when } from './when.ts'

export interface FailoverOptions {
  /** The system that the plan calls so. */
  readonly survivor: ReplicationClient
  /** The other one, if the plan was made with it. */
  readonly failed?: ReplicationClient
  /**
   * Asked before each action; false ends the run, with nothing done. Default: taking the next item of the iterable is all
   * the consent that is needed.
   */
  readonly confirm?: (step: FailoverStep, view: FailoverView) => boolean | Promise<boolean>
  /** From one look to the next while waiting. Milliseconds, default 5,000. */
  readonly interval?: number
  /** For each wait, or for the waits that are named. Milliseconds, default none. */
  readonly deadline?: number | Partial<Record<FailoverStepName, number>>
  /** A recovery is completed once the other system lacks no more than this. Milliseconds, default 60,000. */
  readonly nearly?: number
  /** Ends the run between two steps, and any wait: it rejects with the signal's reason. An action that was sent is not broken off. */
  readonly signal?: AbortSignal
  /** Called at each look while waiting. */
  readonly onProgress?: (progress: FailoverProgress) => void
}

export interface FailoverProgress extends WaitProgress {
  readonly step: FailoverStep
}

/**
 * `next`: this step comes, nothing of it has been done. Taking the next item carries it out; leaving the loop leaves it undone. `done`: it
 * was carried out, or was found done (`already`). `declined`: `confirm` said no; nothing follows.
 */
export type FailoverEvent =
  | { readonly kind: 'next'; readonly step: FailoverStep; readonly view: FailoverView }
  | { readonly kind: 'done'; readonly step: FailoverStep; readonly already: boolean; readonly link: Link }
  | { readonly kind: 'declined'; readonly step: FailoverStep }

/** A plan may have been kept as text: only these are carried out. */
const kinds: Readonly<Record<FailoverStepName, FailoverStep['kind']>> = {
  failOver: 'action',
  awaitFailedOver: 'wait',
  awaitOtherSystem: 'wait',
  restore: 'action',
  awaitRestored: 'wait',
  failBack: 'action',
  beginRecovery: 'action',
  awaitNearlyUpToDate: 'wait',
  completeRecovery: 'action',
  awaitGood: 'wait',
}

const known: ReadonlySet<string> = new Set([
  'survivor',
  'failed',
  'confirm',
  'interval',
  'deadline',
  'nearly',
  'signal',
  'onProgress',
])

/**
 * Takes the steps of a plan one by one, as the items are taken. Before each action the link is read again on both systems: what is done
 * already is not done again, and what does not fit any more is not done at all.
 *
 * @throws {ReplicationPlanError} if the link has left the plan; plan again. @throws {ReplicationTimeoutError} if a wait takes too long.
 * @throws {ReplicationRefusedError | ReplicationUncertainError} as the actions do.
 */
export function executeFailover(
  plan: FailoverPlan,
  options: FailoverOptions,
): AsyncGenerator<FailoverEvent, void> {
  for (const name in options)
    if (!known.has(name)) throw new TypeError(`executeFailover: unknown option "${name}"`)
  const { survivor, failed, interval = 5_000, deadline, nearly = 60_000, signal } = options
  checkInterval(interval)
  checkWhole('nearly (milliseconds)', nearly, 0, longestTime)
  checkSignal(signal)
  for (const each of typeof deadline === 'object' ? Object.values(deadline) : [deadline])
    if (each !== undefined) checkDeadline(each)
  for (const { name, kind } of plan.steps) {
    if (kinds[name] !== kind) throw new TypeError(`The plan has a step that is in no plan: ${name}`)
  }
  if (survivor.system !== plan.survivor) {
    throw new TypeError(`The plan is for ${plan.survivor} as survivor, not for ${survivor.system}`)
  }
  if (failed?.system !== plan.failed) {
    throw new TypeError(
      `The plan has ${plan.failed ?? 'nobody'} as failed system, not ${failed?.system ?? 'nobody'}`,
    )
  }
  return new FailoverRun(plan, options, interval, nearly).events()
}

class FailoverRun {
  readonly #plan: FailoverPlan
  readonly #options: FailoverOptions
  readonly #interval: number
  readonly #nearly: number

  constructor(plan: FailoverPlan, options: FailoverOptions, interval: number, nearly: number) {
    this.#plan = plan
    this.#options = options
    this.#interval = interval
    this.#nearly = nearly
  }

  async *events(): AsyncGenerator<FailoverEvent, void> {
    const { survivor, failed, confirm, signal } = this.#options
    const { link: name, steps } = this.#plan
    for (const step of steps) {
      signal?.throwIfAborted()
      const view = await viewLink(survivor, failed, name, signal)
      yield { kind: 'next', step, view }
      signal?.throwIfAborted()
      if (step.kind === 'wait') {
        yield { kind: 'done', step, already: false, link: await this.#wait(step) }
        continue
      }
      if (confirm !== undefined && !(await confirm(step, view))) {
        yield { kind: 'declined', step }
        return
      }
      signal?.throwIfAborted()
      yield await this.#act(step)
    }
  }

  async #act(step: FailoverStep): Promise<FailoverEvent> {
    const { survivor, failed, signal } = this.#options
    const { link: name, force } = this.#plan
    const view = await viewLink(survivor, failed, name, signal)
    const { link } = view.survivor
    const action = step.name as 'failOver' | 'restore' | 'failBack' | 'beginRecovery' | 'completeRecovery'
    const already = action === 'restore' ? view.failed?.link !== undefined : isDone(action, link) === true
    if (already) return { kind: 'done', step, already, link }
    if (action === 'failOver' && !force) {
      const split = splitDanger(view)
      if (split !== undefined) {
        throw new ReplicationPlanError('split', name, `The link "${name}" was not failed over: ${split}`)
      }
    }
    // Without the signal: once sent, it is to be known what became of it.
    await survivor[action](name)
    // It was done, whether or not the link can be read just now.
    return { kind: 'done', step, already, link: await survivor.link(name).catch(() => link) }
  }

  #wait(step: FailoverStep): Promise<Link> {
    switch (step.name) {
      case 'awaitFailedOver':
        return this.#until(step, when.failedOver)
      case 'awaitNearlyUpToDate':
        return this.#until(step, this.#nearlyUpToDate())
      case 'awaitGood':
        return this.#until(step, inOrder)
      default:
        return this.#untilOther(step)
    }
  }

  #nearlyUpToDate(): LinkCondition {
    const { link: name } = this.#plan
    const upToDate = when.upToDateWithin(this.#nearly)
    const condition = (link: Link): boolean => {
      const state = linkState(link)
      if (state === 'failedOver') {
        const why = `The link "${name}" has failed over again while it was recovering: plan again`
        throw new ReplicationPlanError('state', name, why)
      }
      // HCP may complete it by itself.
      return state === 'completingRecovery' || inOrder(link) || (state === 'recovering' && upToDate(link))
    }
    return Object.assign(condition, { description: upToDate.description ?? '' })
  }

  #until(step: FailoverStep, condition: LinkCondition): Promise<Link> {
    const { survivor, onProgress } = this.#options
    return survivor.waitFor(this.#plan.link, condition, {
      ...this.#limits(step),
      ...(onProgress && { onProgress: (progress) => onProgress({ ...progress, step }) }),
    })
  }

  /** Until the other system answers, or, once the link was restored there, knows it. */
  #untilOther(step: FailoverStep): Promise<Link> {
    const { survivor, failed, onProgress } = this.#options
    const { link: name } = this.#plan
    const isFirst = step.name === 'awaitOtherSystem'
    let other: OtherView | undefined
    const read = async (signal: AbortSignal | undefined): Promise<Link> => {
      other = failed && (await readOther(failed, name, signal))
      return survivor.link(name, signal && { signal })
    }
    const condition = (link: Link): boolean => {
      if (isFirst && other?.state === 'missing') {
        const why = `${other.system} answers, but does not know the link "${name}": exchange certificates and plan again, to restore it`
        throw new ReplicationPlanError('state', name, why)
      }
      const wanted = isFirst ? other?.state !== 'unreachable' : other?.link !== undefined
      return wanted && linkState(link) !== 'pending'
    }
    return waitForLink(
      name,
      read,
      Object.assign(condition, { description: `known to ${step.system} again` }),
      {
        ...this.#limits(step),
        ...(onProgress && {
          onProgress: (progress) => onProgress({ ...progress, error: progress.error ?? other?.error, step }),
        }),
      },
    )
  }

  #limits({
    name,
  }: FailoverStep): Pick<FailoverOptions, 'signal' | 'interval'> & { readonly deadline?: number } {
    const { signal, deadline } = this.#options
    const own = typeof deadline === 'object' ? deadline[name] : deadline
    return {
      interval: this.#interval,
      ...(own === undefined ? {} : { deadline: own }),
      ...(signal && { signal }),
    }
  }
}

/** As it should be; at this hour it may be scheduled to rest. */
const inOrder: LinkCondition = Object.assign(
  (link: Link) => {
    const state = linkState(link)
    return state === 'scheduledOff' || (state === 'replicating' && link.status === 'GOOD')
  },
  { description: 'good' },
)
