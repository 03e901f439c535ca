/** Checks of arguments. They throw `TypeError` or `RangeError` before anything is sent. */

export function checkText(name: string, value: unknown, longest: number): string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string`)
  const { length } = Array.from(value)
  if (length === 0 || length > longest) {
    throw new RangeError(`${name} must have 1 to ${longest} characters, not ${length}`)
  }
  return value
}

export function checkObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${name} must be an object`)
}

/** The name of a link, as HCP allows it. */
export const checkLinkName = (value: unknown): string => checkText("The link's name", value, 64)

export function checkWhole(name: string, value: unknown, minimum: number, maximum: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number`)
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new RangeError(`${name} must be a whole number from ${minimum} to ${maximum}, not ${value}`)
  }
  return value
}

/** Node's timers hold at most this much, some 24 days. */
export const longestTime = 2_147_483_647

export const checkInterval = (value: unknown): number =>
  checkWhole('interval (milliseconds)', value, 10, longestTime)

export const checkDeadline = (value: unknown): number =>
  checkWhole('deadline (milliseconds)', value, 1, longestTime)

export function checkSignal(value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal))
    throw new TypeError('signal must be an AbortSignal')
}
