import { Refusal } from '../http/refusal.ts'

// What the two encodings have in common once they are read: values of attributes and bodies are plain values of JSON. Integers beyond those that a
// number holds exactly are text, and so are bytes, in base64.

export interface OtlpResource {
  readonly attributes: OtlpAttributes
  readonly scopes: readonly OtlpScope[]
}

export interface OtlpScope {
  readonly name: string
  readonly version: string
  readonly attributes: OtlpAttributes
  readonly records: readonly OtlpRecord[]
}

export interface OtlpRecord {
  /** Microseconds since 1970; 0: not told. */
  readonly time: number
  readonly observedTime: number
  /** 0: not told. */
  readonly severityNumber: number
  readonly severityText: string
  readonly body: unknown
  readonly attributes: OtlpAttributes
  readonly flags: number
  /** Hexadecimal digits in lower case; empty: not told. */
  readonly traceId: string
  readonly spanId: string
  readonly eventName: string
}

export type OtlpAttributes = Readonly<Record<string, unknown>>

/** Levels of lists in values. */
const maxDepth = 100

export function checkDepth(depth: number): void {
  if (depth > maxDepth) throw new Refusal(400, `Values can be nested ${maxDepth} levels deep at most.`)
}

/** Of a request. */
const maxRecords = 200_000

export function checkRecords(count: number): void {
  if (count > maxRecords) {
    throw new Refusal(413, `Send ${maxRecords} log records at most in a request.`)
  }
}

/** A number where that is exact, else its digits. */
export function integerValue(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}

/** JSON has no words for the others. */
export function doubleValue(value: number): number | string {
  return Number.isFinite(value) ? value : String(value)
}

/** All zeros stand for none. */
export function identifier(hex: string): string {
  return /^0*$/.test(hex) ? '' : hex.toLowerCase()
}
