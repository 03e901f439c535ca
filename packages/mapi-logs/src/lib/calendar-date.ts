/** A day in HCP's calendar. */
export interface CalendarDate {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  /** 1 to 31. */
  readonly day: number
}

/** A day: as numbers, as `2026-11-20`, or as a `Date`, of which the day in this machine's time zone is taken. */
export type LogDate = CalendarDate | string | Date

const isoDate = /^(\d{4})-(\d{2})-(\d{2})$/

/** @throws {TypeError | RangeError} if it is no day. */
export function calendarDate(name: string, value: LogDate): CalendarDate {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new RangeError(`${name} is an invalid Date`)
    return checkDate(name, { year: value.getFullYear(), month: value.getMonth() + 1, day: value.getDate() })
  }
  if (typeof value === 'string') {
    const [, year, month, day] = isoDate.exec(value) ?? []
    if (day === undefined) throw new RangeError(`${name} must be a day like 2026-11-20, not "${value}"`)
    return checkDate(name, { year: Number(year), month: Number(month), day: Number(day) })
  }
  if (typeof value !== 'object' || value === null)
    throw new TypeError(`${name} must be a Date, a text like 2026-11-20, or { year, month, day }`)
  return checkDate(name, value)
}

function checkDate(name: string, { year, month, day }: CalendarDate): CalendarDate {
  const there =
    [year, month, day].every(Number.isInteger) &&
    year >= 1970 &&
    year <= 9999 &&
    new Date(Date.UTC(year, month - 1, day)).getUTCMonth() === month - 1 &&
    day >= 1
  if (!there) throw new RangeError(`${name} must be a day from 1970 on, not ${year}-${month}-${day}`)
  return { year, month, day }
}

/** @throws {RangeError} if the first day is after the last. */
export function checkOrder(start: CalendarDate | undefined, end: CalendarDate | undefined): void {
  if (start === undefined || end === undefined || serial(start) <= serial(end)) return
  throw new RangeError(`startDate ${wireDate(start)} is after endDate ${wireDate(end)} (month/day/year)`)
}

const serial = ({ year, month, day }: CalendarDate): number => year * 10_000 + month * 100 + day

/** As HCP wants it: MM/DD/YYYY. */
export function wireDate({ year, month, day }: CalendarDate): string {
  return `${String(month).padStart(2, '0')}/${String(day).padStart(2, '0')}/${year}`
}
