import { ReplicationRefusedError, ReplicationUncertainError } from './errors.ts'

/**
 * `done`: HCP accepted it. `settled`: its answer was lost, and the link shows that it was done. `refused`: HCP said no. `uncertain`: it may
 * have been done. `failed`: it was not sent.
 */
export type ActionOutcome = 'done' | 'settled' | 'refused' | 'uncertain' | 'failed'

/** Something that changes the system is about to be sent, or has been. */
export interface ActionEvent {
  readonly phase: 'before' | 'after'
  /** An action on a link, such as `failOver`, or the name of the method, such as `changeLink` or `pauseTenant`. */
  readonly action: string
  /** The host that is asked, `admin.<domain>`. */
  readonly system: string
  /** `undefined` where no single link is concerned. */
  readonly link: string | undefined
  /** The tenant, directory, chained link or certificate that is concerned, or the reason of a shut-down. */
  readonly subject: string | undefined
  /** `undefined` before. */
  readonly outcome: ActionOutcome | undefined
  readonly error: unknown
}

/**
 * Told of everything that changes the system, and awaited: before it is sent, where an error of this function keeps it from being sent, and
 * after it, where an error can change nothing any more and becomes a warning of the process.
 */
export type OnAction = (event: ActionEvent) => void | Promise<void>

/** Runs what changes something, with the caller's function before and after it. */
export async function logged<Result extends { readonly settled?: boolean } | void>(
  onAction: OnAction | undefined,
  facts: Pick<ActionEvent, 'action' | 'system' | 'link' | 'subject'>,
  run: () => Promise<Result>,
): Promise<Result> {
  if (onAction === undefined) return run()
  await onAction({ ...facts, phase: 'before', outcome: undefined, error: undefined })
  const after = async (outcome: ActionOutcome, error: unknown): Promise<void> => {
    try {
      await onAction({ ...facts, phase: 'after', outcome, error })
    } catch (cause) {
      const message = `onAction failed after ${facts.action} on ${facts.system} (${outcome}): ${String(cause)}`
      process.emitWarning(message, { code: 'REPLICATION_ON_ACTION' })
    }
  }
  try {
    const result = await run()
    await after(result?.settled === true ? 'settled' : 'done', undefined)
    return result
  } catch (error) {
    await after(outcomeOf(error), error)
    throw error
  }
}

function outcomeOf(error: unknown): ActionOutcome {
  if (error instanceof ReplicationRefusedError) return 'refused'
  if (error instanceof ReplicationUncertainError) return 'uncertain'
  const status = statusOf(error)
  if (status !== undefined && status < 500) return 'refused'
  return mayHaveBeenSent(error) ? 'uncertain' : 'failed'
}

/** Of an answer of HCP's. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'status' in error && typeof error.status === 'number'
    ? error.status
    : undefined
}

/** Errors of requests say so themselves; a request that the caller broke off may have been sent as well. */
export const mayHaveBeenSent = (error: unknown): boolean =>
  !(error instanceof Error && 'sent' in error) || error.sent !== false
