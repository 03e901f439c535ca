/** Microseconds since 1970 of this moment, later than any given before by this process. */
export function nowMicroseconds(): number {
  const now = Math.floor((performance.timeOrigin + performance.now()) * 1000)
  // The monotonic clock drifts away from the one that the machine sets right.
  const wall = Date.now() * 1000
  const time = Math.abs(now - wall) < 50_000 ? now : wall
  last = time > last ? time : last + 1
  return last
}
let last = 0

/** `2026-03-04T10:11:12.000345`: UTC, six digits, no zone. */
export function formatTime(microseconds: number): string {
  const milliseconds = Math.floor(microseconds / 1000)
  const rest = microseconds - milliseconds * 1000
  return new Date(milliseconds).toISOString().slice(0, -1) + String(rest).padStart(3, '0')
}

/** `2026-03-04T10:11:12.000345Z`. */
export function formatInstant(microseconds: number): string {
  return `${formatTime(microseconds)}Z`
}

/** A time as text: an instant, or a whole day. */
export interface ParsedTime {
  /** Microseconds since 1970. Of a day: its beginning. */
  readonly time: number
  /** The text named a day alone. */
  readonly wholeDay: boolean
  /** The text told its zone. */
  readonly zoned: boolean
}

const pattern =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$/

/** Reads ISO 8601 as RFC 3339 has it; without a zone it is UTC. Digits beyond microseconds are cut off. Undefined: it is no such text, or outside the years 1685 to 2254. */
export function parseTime(text: string): ParsedTime | undefined {
  const parsed = parseAny(text)
  return parsed !== undefined && Number.isSafeInteger(parsed.time) ? parsed : undefined
}

/** The same for an end of a range of times: years before 1685 and after 2254 are before and after whatever there is. */
export function parseBound(text: string): ParsedTime | undefined {
  const parsed = parseAny(text)
  return parsed && { ...parsed, time: Math.max(-furthest, Math.min(furthest, parsed.time)) }
}
/** A day may still be added to it. */
const furthest = Number.MAX_SAFE_INTEGER - 86_400_000_000

function parseAny(text: string): ParsedTime | undefined {
  const found = pattern.exec(text)
  if (found === null) return undefined
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone] = found
  const date = new Date(0)
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined
  // 60 is a leap second: the first moment after it.
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined
  const offset = zoneMinutes(zone)
  if (offset === undefined) return undefined
  const minutes = Number(hour) * 60 + Number(minute) - offset
  const milliseconds = date.getTime() + minutes * 60_000 + Number(second) * 1000
  const time = milliseconds * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6))
  return { time, wholeDay: found[4] === undefined, zoned: zone !== undefined }
}

function zoneMinutes(zone: string | undefined): number | undefined {
  if (zone === undefined || zone === 'Z' || zone === 'z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(3).replace(':', '') || '0')
  if (hours > 23 || minutes > 59) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes)
}
