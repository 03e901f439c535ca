/** A property of a link that has another value than before. */
export interface LinkChange {
  /** For example `statusMessage`, `statistics.bytesPending`, `failoverSettings.local.autoFailover`. */
  readonly path: string
  /** `undefined` if there was none. */
  readonly before: unknown
  /** `undefined` if there is none any more. */
  readonly after: unknown
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)

/** What differs, field by field; lists and times are compared as a whole. */
export function changesBetween(before: unknown, after: unknown, path = ''): LinkChange[] {
  if (isRecord(before) && isRecord(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)])
    return [...names].flatMap((name) =>
      changesBetween(own(before, name), own(after, name), path === '' ? name : `${path}.${name}`),
    )
  }
  return isSame(before, after) ? [] : [{ path, before, after }]
}

const own = (record: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(record, name) ? record[name] : undefined

function isSame(one: unknown, other: unknown): boolean {
  if (one instanceof Date && other instanceof Date) return Object.is(one.getTime(), other.getTime())
  if (Array.isArray(one) && Array.isArray(other)) {
    return (
      one.length === other.length &&
      one.every((item, index) => changesBetween(item, other[index]).length === 0)
    )
  }
  return Object.is(one, other)
}
