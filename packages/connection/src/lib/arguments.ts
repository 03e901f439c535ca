/** Checks of arguments that every public entry shares. They throw `TypeError` or `RangeError` before anything is sent. */

const describe = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value

/** Refuses options that nobody knows, by name: a misspelt option must not be ignored in silence. */
export function checkOptions(where: string, options: object, known: ReadonlySet<string>): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw new TypeError(`${where}: options must be an object, not ${describe(options)}`)
  }
  for (const name in options) {
    if (!known.has(name)) {
      throw new TypeError(`${where}: unknown option "${name}"; known are ${[...known].join(', ')}`)
    }
  }
}

export function checkString(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, not ${describe(value)}`)
  if (value === '') throw new RangeError(`${name} must not be empty`)
  return value
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, not ${describe(value)}`)
  return value
}

export function checkSignal(value: unknown): AbortSignal | undefined {
  if (value !== undefined && !(value instanceof AbortSignal))
    throw new TypeError('signal must be an AbortSignal')
  return value
}

/** A whole number within bounds, both included. */
export function checkInteger(name: string, value: unknown, minimum: number, maximum: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${describe(value)}`)
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new RangeError(`${name} must be a whole number from ${minimum} to ${maximum}, not ${value}`)
  }
  return value
}

/** Node's timers hold at most 2^31 - 1 milliseconds, some 24 days. */
const longestTime = 2_147_483_647

/** A duration in milliseconds, at least 1. */
export function checkMilliseconds(name: string, value: unknown): number {
  return checkInteger(`${name} (milliseconds)`, value, 1, longestTime)
}
