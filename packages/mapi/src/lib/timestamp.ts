const form = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:Z|([+-])(\d\d):?(\d\d))$/

/**
 * An instant as HCP writes it: `2021-05-03T14:07:09+0200`, the zone without a colon. With a colon, as `Z` and with parts of a second it
 * is read as well.
 *
 * @returns `undefined` for text that is no such instant.
 */
export function parseTimestamp(text: string): Date | undefined {
  const match = form.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const [, , , , , , , fraction = '', sign, zoneHours = '0', zoneMinutes = '0'] = match
  const milliseconds = Number(fraction.padEnd(3, '0').slice(0, 3))
  const local = new Date(0)
  // Date.UTC takes the year 1 for 1901.
  local.setUTCFullYear(year, month - 1, day)
  // And February 30 is taken for March 1 or 2.
  if (local.getUTCMonth() !== month - 1 || hour > 23 || minute > 59 || second > 59) return undefined
  local.setUTCHours(hour, minute, second, milliseconds)
  if (Number(zoneHours) > 23 || Number(zoneMinutes) > 59) return undefined
  const offset = (Number(zoneHours) * 60 + Number(zoneMinutes)) * (sign === '-' ? -1 : 1)
  return new Date(local.getTime() - offset * 60_000)
}

/**
 * An instant as HCP takes it, with an explicit zone: `2021-05-03T14:07:09+0200`. Parts of a second are cut off.
 *
 * @param zone `UTC` (the default), or `local` for the zone of this process at that very instant, daylight saving included.
 * @throws {TypeError | RangeError} for what is no valid date within the years 0 to 9999.
 */
export function formatTimestamp(date: Date, zone: 'UTC' | 'local' = 'UTC'): string {
  if (!(date instanceof Date)) throw new TypeError('date must be a Date')
  if (Number.isNaN(date.getTime())) throw new RangeError('date must be a valid Date')
  if (zone !== 'UTC' && zone !== 'local') throw new RangeError('zone must be "UTC" or "local"')
  const offset = zone === 'UTC' ? 0 : -date.getTimezoneOffset()
  const shifted = new Date(date.getTime() + offset * 60_000)
  const year = shifted.getUTCFullYear()
  if (year < 0 || year > 9999) throw new RangeError('date must be within the years 0 to 9999')
  const size = Math.abs(offset)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${shifted.toISOString().slice(0, 19)}${offset < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`
}
