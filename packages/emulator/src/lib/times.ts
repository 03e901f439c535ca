let second = NaN
let secondText = ''

/** RFC 1123 form of a time, for `Date`; the last second's text is kept. */
export function httpDate(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000)
  if (seconds !== second) {
    second = seconds
    secondText = new Date(seconds * 1000).toUTCString()
  }
  return secondText
}

/** `yyyy-MM-ddThh:mm:ss+0000`: HCP prints its local time; the emulator's system lives in UTC. */
export function zonedTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}+0000`
}

/** `M/dd/yyyy h:mmAM`, as listings print the ingest time. */
export function listingTime(milliseconds: number): string {
  const date = new Date(milliseconds)
  const hour = date.getUTCHours()
  const two = (value: number): string => String(value).padStart(2, '0')
  return (
    `${date.getUTCMonth() + 1}/${two(date.getUTCDate())}/${date.getUTCFullYear()} ` +
    `${hour % 12 || 12}:${two(date.getUTCMinutes())}${hour < 12 ? 'AM' : 'PM'}`
  )
}
