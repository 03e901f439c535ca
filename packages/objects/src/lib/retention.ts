/** What the retention setting of an object comes to: the part of {@link Retention} that HCP answers with. */
export type RetentionState =
  /** Deletable at any time. */
  | { readonly kind: 'allowed' }
  /** Never deletable, and never to be changed. */
  | { readonly kind: 'prohibited' }
  /** Not deletable for now; may be changed to anything. */
  | { readonly kind: 'unspecified' }
  /** Not deletable before this moment. HCP has whole seconds: a part of one counts as a whole, so nothing is deletable too early. */
  | { readonly kind: 'until'; readonly until: Date }

/** Parts of an offset: whole numbers from -9,999 to 9,999. Only the sum has to lie ahead. */
export interface RetentionPeriod {
  readonly years?: number
  readonly months?: number
  readonly weeks?: number
  readonly days?: number
  readonly hours?: number
  readonly minutes?: number
  readonly seconds?: number
}

/** A time relative to when the object was stored, to its present setting, or to now. */
export interface RetentionOffset extends RetentionPeriod {
  readonly kind: 'offset'
  readonly base: 'ingest' | 'current' | 'now'
}

/**
 * A retention setting as it is asked for (Using a Namespace, "Object retention settings"). A class belongs to a namespace and is
 * known by its name: 1 to 64 letters, digits, hyphens and underscores, in any case.
 */
export type Retention = RetentionState | RetentionOffset | { readonly kind: 'class'; readonly name: string }

export const deletionAllowed: RetentionState = Object.freeze({ kind: 'allowed' })
export const deletionProhibited: RetentionState = Object.freeze({ kind: 'prohibited' })
export const initialUnspecified: RetentionState = Object.freeze({ kind: 'unspecified' })

/** Not deletable before `until`, a moment after 1970. */
export const retainUntil = (until: Date): RetentionState => checked({ kind: 'until', until })

/** Not deletable for a time, for example `retainFor({ years: 7 })`. @param base From when on; default when the object was stored. */
export const retainFor = (
  period: RetentionPeriod,
  base: RetentionOffset['base'] = 'ingest',
): RetentionOffset => checked({ kind: 'offset', base, ...period })

/** As the retention class of this name says, now and whenever the class is changed. */
export const retentionClass = (name: string): Retention => checked({ kind: 'class', name })

/** In the order in which an offset has them. */
const units = [
  ['years', 'y'],
  ['months', 'M'],
  ['weeks', 'w'],
  ['days', 'd'],
  ['hours', 'h'],
  ['minutes', 'm'],
  ['seconds', 's'],
] as const

const bases = { ingest: 'A', current: 'R', now: 'N' } as const
const baseOf: Readonly<Record<string, RetentionOffset['base']>> = { A: 'ingest', R: 'current', N: 'now' }

const words: ReadonlyMap<string, RetentionState> = new Map<string, RetentionState>([
  ['0', deletionAllowed],
  ['-0', deletionAllowed],
  ['deletion allowed', deletionAllowed],
  ['-1', deletionProhibited],
  ['deletion prohibited', deletionProhibited],
  ['-2', initialUnspecified],
  ['initial unspecified', initialUnspecified],
])

const properties: Readonly<Record<Retention['kind'], ReadonlySet<string>>> = {
  allowed: new Set(['kind']),
  prohibited: new Set(['kind']),
  unspecified: new Set(['kind']),
  until: new Set(['kind', 'until']),
  offset: new Set(['kind', 'base', ...units.map(([name]) => name)]),
  class: new Set(['kind', 'name']),
}

const className = /^[A-Za-z0-9_-]{1,64}$/
const offsetForm = new RegExp(`^([RAN])?${units.map(([, letter]) => `([+-]\\d+${letter})?`).join('')}$`)
const dateForm = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:Z|([+-])(\d{2}):?(\d{2}))$/
const latestSecond = 8.64e12

/**
 * Reads a setting as HCP writes and takes it: `0`, `-1`, `-2` and their words in any case, epoch seconds,
 * `2035-12-31T23:59:59+0100` (days that a month has not roll over), offsets such as `A+7y-1d`, and `C+class`.
 *
 * @throws {TypeError} if `text` is no string. @throws {RangeError} if it is no retention setting.
 */
export function parseRetention(text: string): Retention {
  if (typeof text !== 'string') throw new TypeError(`retention must be a string, not ${typeof text}`)
  const word = words.get(text.toLowerCase())
  if (word !== undefined) return word
  if (/^\d+$/.test(text)) return until(Number(text), text)
  if (/^c\+/i.test(text)) return retentionClass(text.slice(2))
  const date = dateForm.exec(text)
  if (date !== null) return until(secondsOf(date), text)
  const parts = text === '' ? null : offsetForm.exec(text)
  if (parts === null) {
    throw new RangeError(
      `${JSON.stringify(text)} is no retention setting: it is 0, -1, -2, epoch seconds, 2035-12-31T23:59:59+0000, an offset such as A+7y, or C+class`,
    )
  }
  const period: { [name: string]: number } = {}
  // The number without its sign is made first: there is no -0 then.
  units.forEach(([name], index) => {
    const part = parts[index + 2]
    if (part !== undefined)
      period[name] = part.startsWith('-') ? 0 - parseInt(part.slice(1), 10) : parseInt(part, 10)
  })
  // A base by itself is that very moment.
  if (Object.keys(period).length === 0) period['seconds'] = 0
  return checked({ kind: 'offset', base: baseOf[parts[1] ?? 'R']!, ...period })
}

/**
 * What goes on the wire: `0`, `-1`, `-2`, epoch seconds (rounded up), an offset with its base, or `C+class`.
 *
 * @throws {TypeError | RangeError} by the name of what is wrong.
 */
export function formatRetention(retention: Retention): string {
  checked(retention)
  switch (retention.kind) {
    case 'allowed':
      return '0'
    case 'prohibited':
      return '-1'
    case 'unspecified':
      return '-2'
    case 'until':
      return String(Math.ceil(retention.until.getTime() / 1000))
    case 'class':
      return `C+${retention.name}`
    default:
      return formatOffset(retention)
  }
}

function formatOffset(offset: RetentionOffset): string {
  const parts = units.map(([name, letter]) => {
    const amount = offset[name]
    return amount === undefined ? '' : `${amount < 0 ? '-' : '+'}${Math.abs(amount)}${letter}`
  })
  return bases[offset.base] + parts.join('')
}

/**
 * The state that a header `X-HCP-Retention`, or the attribute `retention` of a listing, tells. One that is missing or that nobody
 * understands counts as `unspecified`: it must never look as if the object could be deleted.
 */
export function retentionState(headerValue: string | undefined): RetentionState {
  if (headerValue === undefined) return initialUnspecified
  const word = words.get(headerValue)
  if (word !== undefined) return word
  const seconds = /^\d{1,13}$/.test(headerValue) ? Number(headerValue) : Number.NaN
  return seconds <= latestSecond ? { kind: 'until', until: new Date(seconds * 1000) } : initialUnspecified
}

function until(seconds: number, text: string): RetentionState {
  if (!(seconds > 0 && seconds <= latestSecond)) {
    throw new RangeError(`${JSON.stringify(text)} is no moment after 1970 that has a date`)
  }
  return { kind: 'until', until: new Date(seconds * 1000) }
}

function secondsOf(date: RegExpExecArray): number {
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map((group) => Number(date[group])) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  // Date.UTC takes the years 0 to 99 for those of the last century.
  if (year < 100) return Number.NaN
  const zone = (Number(date[8] ?? 0) * 60 + Number(date[9] ?? 0)) * (date[7] === '-' ? -60 : 60)
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - zone
}

function checked<Kind extends Retention>(retention: Kind): Kind {
  const given: unknown = retention
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(
      'retention must be an object such as { kind: "until", until: date }; parseRetention makes one of text',
    )
  }
  const kind: unknown = retention.kind
  if (typeof kind !== 'string' || !Object.hasOwn(properties, kind)) {
    throw new RangeError(
      `retention: kind must be one of ${Object.keys(properties).join(', ')}, not ${String(kind)}`,
    )
  }
  for (const name in retention) {
    if (!properties[retention.kind].has(name)) {
      throw new TypeError(
        `retention: unknown property "${name}"; of kind "${kind}" known are ${[...properties[retention.kind]].join(', ')}`,
      )
    }
  }
  if (retention.kind === 'until') checkDate(retention.until)
  if (retention.kind === 'class') checkClassName(retention.name)
  if (retention.kind === 'offset') checkOffset(retention)
  return retention
}

function checkDate(date: unknown): void {
  if (!(date instanceof Date)) throw new TypeError(`retention: until must be a Date, not ${typeof date}`)
  if (!(date.getTime() > 0)) {
    throw new RangeError('retention: until must be a moment after 1970; for none use deletionAllowed')
  }
}

function checkClassName(name: unknown): void {
  if (typeof name !== 'string') {
    throw new TypeError(`retention: the name of a class must be a string, not ${typeof name}`)
  }
  if (!className.test(name)) {
    throw new RangeError(
      `retention: the name of a class has 1 to 64 letters, digits, "-" and "_", not ${JSON.stringify(name)}`,
    )
  }
}

function checkOffset(offset: RetentionOffset): void {
  const base: unknown = offset.base
  if (typeof base !== 'string' || !Object.hasOwn(bases, base)) {
    throw new RangeError(`retention: base must be "ingest", "current" or "now", not ${String(base)}`)
  }
  let parts = 0
  for (const [name] of units) {
    const amount: unknown = offset[name]
    if (amount === undefined) continue
    if (typeof amount !== 'number')
      throw new TypeError(`retention: ${name} must be a number, not ${typeof amount}`)
    if (!Number.isInteger(amount) || Math.abs(amount) > 9_999) {
      throw new RangeError(`retention: ${name} must be a whole number from -9999 to 9999, not ${amount}`)
    }
    parts++
  }
  // Without one it would be over at once.
  if (parts === 0) throw new RangeError('retention: an offset needs a part, for example years: 7')
}
