import { document, type DocumentSchema, optional, record, repeated, text } from '@hcp/mapi'
import { checkObject } from './arguments.ts'
import type { Or } from './link.ts'

export type PerformanceLevel = 'LOW' | 'MEDIUM' | 'HIGH' | 'CUSTOM' | 'OFF'

/** From this hour on, until the next transition. */
export interface ScheduleTransition {
  /** Day and hour of the system's zone, `Mon:07`. */
  readonly time: string
  readonly performanceLevel: Or<PerformanceLevel>
}

export interface SideSchedule {
  /** A level for the whole week instead of the transitions, or `NONE`. */
  readonly scheduleOverride?: Or<'NONE' | 'LOW' | 'MEDIUM' | 'HIGH' | 'CUSTOM'>
  readonly transition: readonly ScheduleTransition[]
}

/**
 * When a link may send, and how fast: `local` from this system to the other, `remote` the other way. Active/passive links have the side
 * of their primary only.
 *
 * @see HCP Management API Reference, "schedule"
 */
export interface LinkSchedule {
  readonly local?: SideSchedule
  readonly remote?: SideSchedule
}

/** What of a schedule is to be changed. The transitions that are given replace all that the side had. */
export interface ScheduleChanges {
  readonly local?: Partial<SideSchedule>
  readonly remote?: Partial<SideSchedule>
}

const side = record({
  scheduleOverride: optional(text()),
  transition: repeated(record({ time: text(), performanceLevel: text() })),
})

export const scheduleSchema: DocumentSchema<LinkSchedule> = document(
  'schedule',
  record({ local: optional(side), remote: optional(side) }),
)

const hour = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun):(?:[01]\d|2[0-3])$/
const sides: ReadonlySet<string> = new Set(['local', 'remote'])

/** @throws {TypeError | RangeError} for what is no schedule. */
export function checkSchedule(changes: ScheduleChanges): void {
  checkObject('A schedule', changes)
  const given = Object.entries(changes as Readonly<Record<string, Partial<SideSchedule> | undefined>>)
  if (given.every(([, side]) => side === undefined))
    throw new TypeError('A schedule must name a side to change')
  for (const [name, side] of given) {
    if (!sides.has(name)) throw new TypeError(`A schedule has the sides local and remote, not "${name}"`)
    if (side === undefined) continue
    checkObject(`The schedule's side ${name}`, side)
    const { transition = [] } = side
    if (!Array.isArray(transition)) throw new TypeError(`The transitions of ${name} must be a list`)
    for (const { time, performanceLevel } of transition as readonly ScheduleTransition[]) {
      if (!hour.test(time)) {
        throw new RangeError(`The time of a transition is a day and an hour such as "Mon:07", not "${time}"`)
      }
      if (typeof performanceLevel !== 'string') throw new TypeError('performanceLevel must be a string')
    }
  }
}
