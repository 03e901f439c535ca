/** How much a link may do: `OFF` is nothing; the others make no difference here. */
export type PerformanceLevel = 'LOW' | 'MEDIUM' | 'HIGH' | 'CUSTOM' | 'OFF'

export interface Transition {
  /** Day and hour, such as `Mon:07`. */
  readonly time: string
  readonly performanceLevel: PerformanceLevel
}

/** When one side of a link sends, week by week. */
export interface SideSchedule {
  readonly scheduleOverride: 'NONE' | 'LOW' | 'MEDIUM' | 'HIGH' | 'CUSTOM'
  readonly transition: readonly Transition[]
}

export const always: SideSchedule = {
  scheduleOverride: 'NONE',
  transition: [{ time: 'Sun:00', performanceLevel: 'HIGH' }],
}

export const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const

/** Hours since the week began, from 0; nothing for what is no time of a schedule. */
export function hourOfWeek(time: string): number | undefined {
  const [, day = '', hour = ''] = /^(Sun|Mon|Tue|Wed|Thu|Fri|Sat):([01]\d|2[0-3])$/.exec(time) ?? []
  return day === '' ? undefined : days.indexOf(day as (typeof days)[number]) * 24 + Number(hour)
}

/** Whether a side's schedule is off at a moment, in the system's own time zone. */
export function isOff({ scheduleOverride, transition }: SideSchedule, now: number): boolean {
  if (scheduleOverride !== 'NONE' || transition.length === 0) return false
  const date = new Date(now)
  const hour = date.getDay() * 24 + date.getHours()
  const sorted = transition.toSorted((one, other) => hourOfWeek(one.time)! - hourOfWeek(other.time)!)
  // Before the first of the week that of the end of the last one holds.
  const current = sorted.findLast(({ time }) => hourOfWeek(time)! <= hour) ?? sorted.at(-1)!
  return current.performanceLevel === 'OFF'
}
