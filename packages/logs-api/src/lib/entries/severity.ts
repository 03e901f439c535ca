export interface SeverityRange {
  readonly least: number
  readonly most: number
}

/** Names that people use for OpenTelemetry's SeverityNumber: a name stands for a range, an entry that has it gets the least. */
const ranges: Readonly<Record<string, SeverityRange>> = {
  trace: { least: 1, most: 4 },
  debug: { least: 5, most: 8 },
  info: { least: 9, most: 12 },
  notice: { least: 10, most: 10 },
  warn: { least: 13, most: 16 },
  warning: { least: 13, most: 16 },
  error: { least: 17, most: 20 },
  err: { least: 17, most: 20 },
  critical: { least: 21, most: 24 },
  fatal: { least: 21, most: 24 },
  alert: { least: 21, most: 24 },
  emergency: { least: 21, most: 24 },
}

export const severityHint: string = `a number from 1 to 24 or one of ${Object.keys(ranges).join(', ')}`

/** 1 to 24 for a number, the same as text, or a name in any case. Undefined: it is none of these. */
export function severityNumber(value: unknown): number | undefined {
  if (typeof value === 'string') return severityRange(value)?.least
  return typeof value === 'number' && isSeverity(value) ? value : undefined
}

/** What a name or a number stands for in a filter. */
export function severityRange(text: string): SeverityRange | undefined {
  if (/^\d{1,2}$/.test(text)) {
    const number = Number(text)
    return isSeverity(number) ? { least: number, most: number } : undefined
  }
  const name = text.toLowerCase()
  return Object.hasOwn(ranges, name) ? ranges[name] : undefined
}

function isSeverity(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 24
}
