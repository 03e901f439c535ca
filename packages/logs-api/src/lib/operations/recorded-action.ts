/** As `ActionEvent` of `@hcp/mapi-replication`: something that changes a system is about to be sent, or has been. */
export interface RecordedAction {
  readonly phase: 'before' | 'after'
  /** An action on a link, such as `failOver`, or another name, such as `changeLink`. */
  readonly action: string
  /** The host that is asked. */
  readonly system: string
  readonly link: string | undefined
  readonly subject: string | undefined
  readonly outcome: 'done' | 'settled' | 'refused' | 'uncertain' | 'failed' | undefined
  readonly error: unknown
}

/** `error`: it could not be learned how it ended. */
export type OperationOutcome = 'success' | 'fail' | 'error'

const types: ReadonlyMap<string, string> = new Map([
  ['failOver', 'failover'],
  ['failBack', 'failback'],
  ['suspend', 'suspend'],
  ['resume', 'resume'],
  ['restore', 'link_restore'],
  ['beginRecovery', 'begin_recovery'],
  ['completeRecovery', 'complete_recovery'],
])

export const operationTypeOf = (action: string): string => types.get(action) ?? 'config_change'

export function outcomeOf(event: RecordedAction): OperationOutcome {
  switch (event.outcome) {
    case 'done':
    case 'settled':
      return 'success'
    case 'refused':
    case 'failed':
      return 'fail'
    default:
      return 'error'
  }
}

/** Of work that threw: `error` where a request may have been carried out and its answer is not known. */
export function outcomeOfError(error: unknown): OperationOutcome {
  if (codeOf(error) === 'REPLICATION_UNCERTAIN') return 'error'
  const status = statusOf(error)
  if (status !== undefined && status < 500) return 'fail'
  return error instanceof Error && 'sent' in error && error.sent === true ? 'error' : 'fail'
}

/**
 * What went wrong, in short: HTTP status and HCP's own words, else the error's code or kind. Never its message, which may hold anything.
 */
export function errorInfoOf(error: unknown): string {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    const status = statusOf(cause)
    if (status === undefined) continue
    const reason = 'reason' in cause && typeof cause.reason === 'string' ? cause.reason : ''
    return plain(reason === '' ? `${status}` : `${status} ${reason}`)
  }
  return plain(codeOf(error) ?? (error instanceof Error ? error.name : typeof error))
}

/** One line of well-formed text of at most 500 characters. */
export function plain(text: string): string {
  return text
    .slice(0, 500)
    .toWellFormed()
    .replaceAll(/\p{Cc}+/gu, ' ')
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

const statusOf = (error: unknown): number | undefined =>
  error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : undefined
