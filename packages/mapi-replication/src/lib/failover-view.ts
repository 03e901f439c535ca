import { MapiNotFoundError } from '@hcp/mapi'
import { type LinkState, linkState } from './link-state.ts'
import type { Link } from './link.ts'
import type { ReplicationClient } from './replication-client.ts'

/** The link as both systems see it. */
export interface FailoverView {
  readonly survivor: SurvivorView
  /** `undefined` if the other system is not looked at. */
  readonly failed: OtherView | undefined
}

export interface SurvivorView {
  readonly system: string
  readonly link: Link
  readonly state: LinkState
}

/**
 * `missing`: the system answers and does not know the link. `unreachable`: it does not answer. `refuses`: something answers in its name, but
 * does not show the link; wrong credentials, or another system that serves its names. See `error`.
 */
export interface OtherView {
  readonly system: string
  readonly state: LinkState | 'missing' | 'refuses' | 'unreachable'
  readonly link: Link | undefined
  readonly error: Error | undefined
}

/** How long the other system gets to answer. It may well be dead, and then each try takes its time. Milliseconds. */
const patience = 5_000

/** Codes of errors without an answer. */
const silent: ReadonlySet<unknown> = new Set(['HCP_CONNECT', 'HCP_DNS', 'HCP_SOCKET', 'HCP_TIMEOUT'])

/**
 * Looks at both systems at the same time.
 *
 * @param failed May be silent, which is waited for 5 s at most, or refuse; the survivor has to answer.
 */
export async function viewLink(
  survivor: ReplicationClient,
  failed: ReplicationClient | undefined,
  name: string,
  signal?: AbortSignal,
): Promise<FailoverView> {
  const [here, there] = await Promise.all([
    survivor.link(name, { ...(signal && { signal }) }),
    failed && readOther(failed, name, signal),
  ])
  return { survivor: { system: survivor.system, link: here, state: linkState(here) }, failed: there }
}

export async function readOther(
  failed: ReplicationClient,
  name: string,
  signal: AbortSignal | undefined,
): Promise<OtherView> {
  const { system } = failed
  try {
    const link = await failed.link(name, { ...(signal && { signal }), deadline: patience })
    return { system, state: linkState(link), link, error: undefined }
  } catch (error) {
    signal?.throwIfAborted()
    if (!(error instanceof Error) || !('code' in error) || error.code === 'HCP_CLOSED') throw error
    const state =
      error instanceof MapiNotFoundError ? 'missing' : silent.has(error.code) ? 'unreachable' : 'refuses'
    return { system, state, link: undefined, error }
  }
}
