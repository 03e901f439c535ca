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

/** The three forms of a date in HTTP (RFC 9110, 5.6.7); the last one has no time zone, and means GMT. */
const httpDates = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]+day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
]

/** Epoch milliseconds of a date in a header; nothing for what is no date. */
export function parseHttpDate(text: string): number | undefined {
  if (!httpDates.some((form) => form.test(text))) return undefined
  const time = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(time) ? undefined : time
}

/** `yyyy-MM-ddThh:mm:ss+0000`: HCP prints its local time; the emulator's system lives in UTC. */
export function zonedTime(milliseconds: number): string {
  return new Date(milliseconds)
    .toISOString()
    .replace(/^\+0*(\d+)/, '$1')
    .replace(/\.\d+Z$/, '+0000')
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
