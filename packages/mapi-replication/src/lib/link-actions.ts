import { type MapiCallOptions, type MapiClient, MapiNotFoundError, type MapiPath } from '@hcp/mapi'
import { mayHaveBeenSent, statusOf } from './action-log.ts'
import { LinkAction, type LinkType } from './constants.ts'
import { ReplicationRefusedError, ReplicationUncertainError } from './errors.ts'
import { guardLink, guardType, isDone } from './guards.ts'
import { linkState } from './link-state.ts'
import type { Link } from './link.ts'
import { pauseFor } from './poll.ts'

/** What was sent, and how it is known that it was done. */
export interface ActionResult {
  readonly link: string
  readonly action: LinkAction
  /** The word that was sent: `beginRecover` where a release of HCP does not know `beginRecovery`. */
  readonly sent: string
  /** The answer was lost, and the link shows that the action was carried out. */
  readonly settled: boolean
}

/** Where an action is carried out. */
export interface ActionPlace {
  readonly mapi: MapiClient
  readonly system: string
  readonly path: MapiPath
  readonly name: string
  readonly options: MapiCallOptions
  /** Reads the link. */
  readonly read: (deadline?: number) => Promise<Link>
  /** How long the link may take to show what was done. Milliseconds. */
  readonly patience: number
}

export interface Guarding {
  /** The type that the caller takes the link to have. */
  readonly expected: LinkType | undefined
  readonly unchecked: boolean
}

/** From one look to the next, while the link is to show what was done. Milliseconds. */
const interval = 250

/** 400, 403 and 409: which of them HCP answers when an action does not fit is in no document. */
const refusals: ReadonlySet<unknown> = new Set([400, 403, 409])

/** Checks, sends once, and finds out what became of it. */
export async function actOn(
  place: ActionPlace,
  action: LinkAction,
  { expected, unchecked }: Guarding,
  logged: (run: () => Promise<ActionResult>) => Promise<ActionResult>,
): Promise<ActionResult> {
  if (expected !== undefined) guardType(action, place.name, expected)
  if (!unchecked) guardLink(action, await place.read(), expected)
  return logged(() =>
    action === LinkAction.beginRecovery ? beginRecovery(place) : send(place, action, action),
  )
}

async function send(place: ActionPlace, action: LinkAction, word: string): Promise<ActionResult> {
  const { mapi, path, name, system, options } = place
  const result = { link: name, action, sent: word }
  try {
    await mapi.act(path, word, '', options)
    return { ...result, settled: false }
  } catch (error) {
    const status = statusOf(error)
    if (refusals.has(status)) {
      const reason = (error as { readonly reason?: string }).reason
      throw new ReplicationRefusedError(action, name, system, status ?? 0, reason, error)
    }
    if ((status !== undefined && status < 500) || !mayHaveBeenSent(error)) throw error
    options.signal?.throwIfAborted()
    const found = await settle(place, (link) => isDone(action, link) !== false)
    if (found !== undefined && isDone(action, found) === true) return { ...result, settled: true }
    const what =
      found === undefined
        ? 'the link could not be read afterwards'
        : `the link says ${found.status}: ${found.statusMessage}`
    throw new ReplicationUncertainError(
      action,
      name,
      found,
      `The answer of ${system} to ${action} of the link "${name}" was lost or is a failure of its own, and ${what}. It was not sent again: read the link before you do`,
      error,
    )
  }
}

/** Reads the link until it shows what is waited for, or for a while. The last look, `undefined` if there was none. */
async function settle(
  { read, options, patience }: ActionPlace,
  isSettled: (link: Link) => boolean,
): Promise<Link | undefined> {
  const end = performance.now() + patience
  let found: Link | undefined
  for (let left = patience; left > 0; left = end - performance.now()) {
    try {
      found = await read(Math.max(1, Math.ceil(left)))
      if (isSettled(found)) return found
    } catch (error) {
      options.signal?.throwIfAborted()
      if (error instanceof MapiNotFoundError) return undefined
    }
    await pauseFor(Math.min(interval, end - performance.now()), options.signal)
    options.signal?.throwIfAborted()
  }
  return found
}

/**
 * Releases differ in the word: documents of 7.x have `beginRecovery`, those of 9.x `beginRecover`, and a word that HCP does not know is
 * ignored or refused. So the link must show it, and only a link that goes on being failed over is sent the other word.
 */
async function beginRecovery(place: ActionPlace): Promise<ActionResult> {
  const action = LinkAction.beginRecovery
  let first: ActionResult | undefined
  let refused: ReplicationRefusedError | undefined
  try {
    first = await send(place, action, 'beginRecovery')
    if (first.settled) return first
  } catch (error) {
    if (!(error instanceof ReplicationRefusedError) || error.status !== 400) throw error
    refused = error
  }
  // Accepted by HCP and not failed over any more: whatever it says now, perhaps that it is suspended, the word was known.
  const hasBegun = (link: Link): boolean => linkState(link) !== 'failedOver'
  const found = refused === undefined ? await settle(place, hasBegun) : await place.read()
  if (first !== undefined && found !== undefined && hasBegun(found)) return first
  if (found === undefined || hasBegun(found)) throw refused ?? unseen(place, found)
  let second: ActionResult
  try {
    second = await send(place, action, 'beginRecover')
  } catch (error) {
    // HCP's first answer is the one that tells what is wrong, if it knows both words.
    if (!(error instanceof ReplicationRefusedError)) throw error
    if (refused !== undefined) throw refused
    // It may have begun meanwhile.
    const now = await place.read()
    if (first !== undefined && hasBegun(now)) return first
    throw error
  }
  if (second.settled) return second
  const now = await settle(place, hasBegun)
  if (now !== undefined && hasBegun(now)) return second
  throw unseen(place, now)
}

function unseen({ system, name }: ActionPlace, found: Link | undefined): ReplicationUncertainError {
  const what = found === undefined ? 'could not be read' : `says ${found.status}: ${found.statusMessage}`
  return new ReplicationUncertainError(
    LinkAction.beginRecovery,
    name,
    found,
    `${system} accepted beginRecovery of the link "${name}", which then ${what}. Look again before you repeat it`,
  )
}
