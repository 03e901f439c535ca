/** Checks of arguments. They throw `TypeError` or `RangeError` before anything is sent. */

/** Refuses options that nobody knows, and a `signal` that is none. */
export function checkCall(where: string, options: object, ...known: readonly string[]): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options))
    throw new TypeError(`${where}: options must be an object`)
  for (const name of Object.keys(options)) {
    if (name !== 'signal' && !known.includes(name))
      throw new TypeError(`${where}: unknown option "${name}"; known are ${['signal', ...known].join(', ')}`)
  }
  const { signal } = options as { signal?: unknown }
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new TypeError('signal must be an AbortSignal')
  signal?.throwIfAborted()
}

export function checkProgress(onProgress: unknown): void {
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new TypeError('onProgress must be a function')
}

export function checkText(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a text`)
  if (value.trim() === '') throw new RangeError(`${name} must not be empty`)
  return value
}

export function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw new TypeError(`${name} must be true or false`)
}

/** Node's timers hold at most 2^31 - 1 milliseconds. */
export function checkDuration(name: string, value: unknown): void {
  checkNumber(`${name} (milliseconds)`, value, 2_147_483_647)
}

/** A whole number from 1 on. */
export function checkNumber(name: string, value: unknown, largest: number): void {
  if (value === undefined) return
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number`)
  if (!Number.isInteger(value) || value < 1 || value > largest)
    throw new RangeError(`${name} must be a whole number from 1 to ${largest}, not ${value}`)
}
