import { linkState } from './link-state.ts'
import type { Link, LinkStatistics } from './link.ts'

/** What a link is waited for. `description` goes into the error when it does not come true: "was not … within". */
export interface LinkCondition {
  (link: Link): boolean
  readonly description?: string
}

const condition = (description: string, holds: (link: Link) => boolean): LinkCondition =>
  Object.assign((link: Link) => holds(link), { description })

const pending = [
  'objectsPending',
  'objectsPendingRemote',
  'bytesPending',
  'bytesPendingRemote',
] as const satisfies readonly (keyof LinkStatistics)[]

/** Conditions to wait for: `replication.waitFor('north-south', when.failedOver)`. */
export const when: {
  /** Replicating, and nothing is pending in either direction. The replica of an active/passive link always says so: ask the primary. */
  readonly synchronized: LinkCondition
  readonly failedOver: LinkCondition
  readonly suspended: LinkCondition
  /** `status` is `GOOD`. */
  readonly good: LinkCondition
  /** The data of the replica of an active/passive link flows back to the primary. */
  readonly recovering: LinkCondition
  /** Fewer objects than this are pending, both directions together. */
  readonly pendingBelow: (objects: number) => LinkCondition
  /** What was changed longer ago than this is across. Milliseconds, by this machine's clock against HCP's. */
  readonly upToDateWithin: (milliseconds: number) => LinkCondition
} = {
  synchronized: condition(
    'synchronized',
    (link) =>
      linkState(link) === 'replicating' &&
      link.statistics !== undefined &&
      pending.every((name) => (link.statistics?.[name] ?? 0) === 0),
  ),
  failedOver: condition('failed over', (link) => linkState(link) === 'failedOver'),
  suspended: condition('suspended', ({ suspended }) => suspended),
  good: condition('good', ({ status }) => status === 'GOOD'),
  recovering: condition('recovering', (link) => linkState(link) === 'recovering'),
  pendingBelow: (objects) => {
    checkAmount('objects', objects)
    return condition(
      `below ${objects} pending objects`,
      ({ statistics }) =>
        statistics?.objectsPending !== undefined &&
        // One of them may be a bigint: then it is larger than any number that is waited for.
        Number(statistics.objectsPending) + Number(statistics.objectsPendingRemote ?? 0) < objects,
    )
  },
  upToDateWithin: (milliseconds) => {
    checkAmount('milliseconds', milliseconds)
    return condition(`up to date within ${milliseconds} ms`, ({ statistics }) => {
      const upTo = statistics?.upToDateAsOfMillis
      return upTo !== undefined && Date.now() - upTo.getTime() <= milliseconds
    })
  },
}

function checkAmount(name: string, value: unknown): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number`)
  if (!(value >= 0)) throw new RangeError(`${name} must be 0 or more, not ${value}`)
}
