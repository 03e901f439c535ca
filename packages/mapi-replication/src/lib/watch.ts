import { checkInterval, checkSignal } from './arguments.ts'
import { changesBetween, type LinkChange } from './changes.ts'
import { type LinkState, linkState } from './link-state.ts'
import type { Link } from './link.ts'
import { poll } from './poll.ts'

export interface WatchOptions {
  /** From one look to the next. Milliseconds, at least 10, default 10,000. */
  readonly interval?: number
  /** Ends the loop: it is then done, without an error. */
  readonly signal?: AbortSignal
  /** Fields whose changes are of no interest, with all that is in them: `['statistics']`. A change of nothing else is not told. */
  readonly ignore?: readonly string[]
}

/** The link as it is: the first item, and the first one after it could not be reached. */
export interface LinkSeen {
  readonly kind: 'state'
  readonly at: Date
  readonly link: Link
  readonly state: LinkState
  /** Since it was seen last, before it could not be reached; empty in the first item. */
  readonly changes: readonly LinkChange[]
}

export interface LinkChanged {
  readonly kind: 'change'
  readonly at: Date
  readonly link: Link
  readonly state: LinkState
  /** At the last look before this one. */
  readonly before: Link
  readonly changes: readonly LinkChange[]
  /** If it does something else now, in the words of `LinkState`. */
  readonly transition: { readonly from: LinkState; readonly to: LinkState } | undefined
}

/** The link cannot be read. Told once, and again when the reason is another one; the watch goes on. */
export interface LinkUnreachable {
  readonly kind: 'unreachable'
  readonly at: Date
  readonly error: Error
  /** As it was seen last, if it ever was. */
  readonly before: Link | undefined
}

export type LinkEvent = LinkSeen | LinkChanged | LinkUnreachable

/** Checks at once, looks when the first item is wanted. `read` gets the signal. */
export function watchLink(
  read: (signal: AbortSignal | undefined) => Promise<Link>,
  { interval = 10_000, signal, ignore = [] }: WatchOptions,
): AsyncGenerator<LinkEvent, void> {
  checkInterval(interval)
  checkSignal(signal)
  if (!Array.isArray(ignore) || !ignore.every((path) => typeof path === 'string' && path !== ''))
    throw new TypeError('ignore must be a list of names of fields, for example ["statistics"]')
  return events(() => read(signal), interval, signal, ignore)
}

async function* events(
  read: () => Promise<Link>,
  interval: number,
  signal: AbortSignal | undefined,
  ignore: readonly string[],
): AsyncGenerator<LinkEvent, void> {
  const ofInterest = ({ path }: LinkChange): boolean =>
    !ignore.some((ignored) => path === ignored || path.startsWith(`${ignored}.`))
  let before: Link | undefined
  let trouble: string | undefined
  let away = true
  for await (const look of poll(read, interval, signal)) {
    const { at } = look
    if ('error' in look) {
      const { error } = look
      const what = reasonOf(error)
      if (!away || trouble !== what) yield { kind: 'unreachable', at, error, before }
      trouble = what
      away = true
      continue
    }
    const { link } = look
    const state = linkState(link)
    const changes = before === undefined ? [] : changesBetween(before, link).filter(ofInterest)
    if (away) yield { kind: 'state', at, link, state, changes }
    else if (before !== undefined && changes.length > 0) {
      const from = linkState(before)
      const transition = from === state ? undefined : { from, to: state }
      yield { kind: 'change', at, link, state, before, changes, transition }
    }
    before = link
    away = false
    trouble = undefined
  }
}

/** Errors of the same kind differ in the node that was asked: that is no news. */
const reasonOf = (error: Error): string => {
  const { code, status } = error as Error & { readonly code?: unknown; readonly status?: unknown }
  return `${error.name} ${String(code)} ${String(status)}`
}
