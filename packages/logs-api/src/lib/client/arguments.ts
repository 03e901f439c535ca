/** Checks of arguments. They throw `TypeError` or `RangeError` before anything is sent. */

/** What every call takes. */
export interface CallOptions {
  /** Ends the call with its reason. */
  readonly signal?: AbortSignal | undefined
  /**
   * Milliseconds for all of it, repetitions included; of what comes as a stream, for its beginning. Default: the client's.
   */
  readonly deadline?: number | undefined
}

/** What calls that store something take. */
export interface WriteOptions extends CallOptions {
  /**
   * 1 to 255 printable ASCII characters. The service does what comes under one key once in 24 hours, and gives its first answer again.
   * Default: a new one for each call, so that the client's own repetitions store nothing twice.
   */
  readonly idempotencyKey?: string | undefined
}

/** Refuses options that nobody knows, by name, and a signal or deadline that is none. */
export function checkCall(where: string, options: CallOptions, ...known: readonly string[]): void {
  checkNames(where, options, ['signal', 'deadline', ...known])
  const { signal, deadline } = options
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new TypeError(`${where}: signal must be an AbortSignal`)
  if (deadline !== undefined) checkDuration('deadline', deadline)
}

export function checkWrite(where: string, options: WriteOptions, ...known: readonly string[]): void {
  checkCall(where, options, 'idempotencyKey', ...known)
  const { idempotencyKey } = options
  if (idempotencyKey === undefined) return
  checkText('idempotencyKey', idempotencyKey)
  if (!/^[\x21-\x7e]{1,255}$/.test(idempotencyKey))
    throw new RangeError('idempotencyKey must be 1 to 255 printable ASCII characters without blanks')
}

export function checkNames(where: string, options: unknown, known: readonly string[]): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options))
    throw new TypeError(`${where}: options must be an object`)
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw new TypeError(`${where}: unknown option "${name}"; known are ${known.join(', ')}`)
  }
}

export function checkText(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a text`)
  if (value === '') throw new RangeError(`${name} must not be empty`)
  return value
}

/** What goes into a path as one segment. */
export function segment(name: string, value: unknown): string {
  const text = checkText(name, value)
  if (!/^[A-Za-z0-9._-]{1,255}$/.test(text) || text === '.' || text === '..')
    throw new RangeError(`${name} must be 1 to 255 letters, digits, ".", "_" or "-"`)
  return text
}

export function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw new TypeError(`${name} must be true or false`)
}

export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw new TypeError(`${name} must be a function`)
}

export function checkOneOf(name: string, value: unknown, choices: readonly string[]): void {
  if (value === undefined) return
  if (typeof value !== 'string') throw new TypeError(`${name} must be a text`)
  if (!choices.includes(value))
    throw new RangeError(`${name} must be ${choices.map((choice) => `"${choice}"`).join(' or ')}`)
}

/** A whole number within bounds, both included. */
export function checkNumber(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number`)
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RangeError(`${name} must be a whole number from ${least} to ${most}, not ${value}`)
  return value
}

/** Node's timers hold at most 2^31 - 1 milliseconds. */
export const checkDuration = (name: string, value: unknown): number =>
  checkNumber(`${name} (milliseconds)`, value, 1, 2_147_483_647)

/** A time: a `Date`, or a text as the service reads it. */
export type Time = Date | string

export function timeText(name: string, value: Time | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  if (!(value instanceof Date)) throw new TypeError(`${name} must be a Date or a text`)
  if (Number.isNaN(value.getTime())) throw new RangeError(`${name} is not a time`)
  return value.toISOString()
}

/** What goes into a query; undefined is left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export function queryText(query: Query): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    if (!['string', 'number', 'boolean'].includes(typeof value))
      throw new TypeError(`${name} must be a text, a number, true or false`)
    params.append(name, String(value))
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}
