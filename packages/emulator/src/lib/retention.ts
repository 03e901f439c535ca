import type { Choices } from './choices.ts'
import type { CheckedNamespace } from './config.ts'
import type { Version } from './namespace.ts'
import { Refusal } from './refusal.ts'
import { zonedTime } from './times.ts'

/** A retention setting: `0` deletable, `-1` never, `-2` initial unspecified, else epoch seconds; and its class. */
export interface Retention {
  readonly retention: number
  readonly retentionClass: string
}

export function retentionString(retention: number): string {
  if (retention === 0) return 'Deletion Allowed'
  if (retention === -1) return 'Deletion Prohibited'
  if (retention === -2) return 'Initial Unspecified'
  return zonedTime(retention * 1000)
}

/** Not deletable because of its retention (a hold is another thing). */
export function isUnderRetention(version: Version, now: number): boolean {
  return version.retention < 0 || version.retention * 1000 > now
}

/** Not deletable whatever the retention: a hold of either kind is set. */
export function isOnHold({ hold, labels }: Version): boolean {
  return hold || labels !== undefined
}

/** The last moment that has a date, in epoch milliseconds. */
const latest = 8.64e15

const words: Readonly<Record<string, number>> = {
  '-0': 0,
  '0': 0,
  '-1': -1,
  '-2': -2,
  'deletion allowed': 0,
  'deletion prohibited': -1,
  'initial unspecified': -2,
}

const offsetForm =
  /^([RAN])?([+-]\d{1,4}y)?([+-]\d{1,4}M)?([+-]\d{1,4}w)?([+-]\d{1,4}d)?([+-]\d{1,4}h)?([+-]\d{1,4}m)?([+-]\d{1,4}s)?$/
const dateForm = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})([+-])(\d{2}):?(\d{2})$/

/**
 * Reads a retention setting as `retention=` takes it.
 *
 * @param current The version whose setting is changed; none when an object is stored.
 */
export function parseRetention(
  text: string,
  settings: CheckedNamespace,
  now: number,
  current?: Version,
): Retention {
  const explicit = (retention: number): Retention => ({ retention, retentionClass: '' })
  // A form writes a blank as a plus.
  const word = text.toLowerCase().replaceAll('+', ' ')
  if (Object.hasOwn(words, word)) return explicit(words[word]!)
  // Before 1970 is past like any other; below zero it would be taken for one of the words.
  const until = (milliseconds: number): Retention => {
    if (!(milliseconds <= latest)) throw new Refusal(400, 'The retention setting is too far away.')
    return explicit(Math.max(0, Math.floor(milliseconds / 1000)))
  }
  if (/^\d{1,12}$/.test(text)) return until(Number(text) * 1000)
  if (/^C\+/i.test(text)) {
    const found = classOf(settings, text.slice(2))
    if (found === undefined) throw new Refusal(400, 'The retention class does not exist.')
    return { ...parseRetention(found.value, settings, now, current), retentionClass: found.name }
  }
  const date = dateForm.exec(text)
  if (date !== null) {
    const [year, month, day, hour, minute, second, zoneHours, zoneMinutes] = [1, 2, 3, 4, 5, 6, 8, 9].map(
      (group) => Number(date[group]),
    ) as [number, number, number, number, number, number, number, number]
    // Impossible dates roll over, as Date.UTC does.
    const local = Date.UTC(year, month - 1, day, hour, minute, second)
    const zone = (zoneHours * 60 + zoneMinutes) * 60_000 * (date[7] === '-' ? -1 : 1)
    return until(local - zone)
  }
  const offset = text === '' ? null : offsetForm.exec(text)
  if (offset === null) throw new Refusal(400, 'The retention setting is invalid.')
  const letter = offset[1] ?? 'R'
  if (letter === 'R' && current?.retention === -1) return explicit(-1)
  const base = offsetBase(letter, now, current)
  const end = addOffset(base, offset)
  if (letter === 'R' && current !== undefined && isUnderRetention(current, now) && end <= base) {
    throw new Refusal(400, 'The offset does not lengthen the retention period.')
  }
  return until(end)
}

function classOf(
  settings: CheckedNamespace,
  name: string,
): CheckedNamespace['retentionClasses'][number] | undefined {
  const wanted = name.toLowerCase()
  return settings.retentionClasses.find((entry) => entry.name.toLowerCase() === wanted)
}

/** The setting of a new object that names none; one that has passed is none. */
export function defaultRetention(settings: CheckedNamespace, now: number): Retention {
  const found = parseRetention(settings.defaultRetention, settings, now)
  return found.retention > 0 && found.retention * 1000 <= now ? { ...found, retention: 0 } : found
}

function offsetBase(letter: string, now: number, current: Version | undefined): number {
  if (letter === 'A') return current?.ingest ?? now
  if (letter === 'R' && current !== undefined && current.retention > 0) return current.retention * 1000
  return now
}

function addOffset(base: number, parts: RegExpExecArray): number {
  const amount = (group: number): number => (parts[group] === undefined ? 0 : parseInt(parts[group], 10))
  const date = new Date(base)
  date.setUTCFullYear(date.getUTCFullYear() + amount(2))
  date.setUTCMonth(date.getUTCMonth() + amount(3))
  const days = amount(4) * 7 + amount(5)
  return date.getTime() + (((days * 24 + amount(6)) * 60 + amount(7)) * 60 + amount(8)) * 1000
}

/** Refuses what HCP does not let happen to a retention setting. */
export function checkRetentionChange(
  before: Version,
  after: Retention,
  now: number,
  settings: CheckedNamespace,
  choices: Choices,
): void {
  if (isOnHold(before))
    throw new Refusal(400, 'The object is on hold: its retention setting cannot be changed.')
  const leavesClass = before.retentionClass !== '' && after.retentionClass === ''
  if (leavesClass && (isUnderRetention(before, now) || !choices.leaveClassAfterRetention)) {
    throw new Refusal(400, 'The object has a retention class: an explicit setting is not allowed.')
  }
  if (before.retention === -2) checkMinimum(before, after, now, settings)
  if (before.retention === -2 || !isUnderRetention(before, now)) return
  if (after.retention === -2 || endOf(after) < endOf(before)) {
    throw new Refusal(choices.refusedChange, 'The retention period cannot be shortened.')
  }
}

/** What leaves `-2` must get as much as the namespace says. */
function checkMinimum(before: Version, after: Retention, now: number, settings: CheckedNamespace): void {
  const text = settings.minimumRetentionAfterInitialUnspecified
  if (text === null || after.retention === -2) return
  if (endOf(after) < endOf(parseRetention(text, settings, now, before))) {
    throw new Refusal(400, 'The retention period is shorter than the minimum of the namespace.')
  }
}

function endOf({ retention }: Retention): number {
  return retention === -1 ? Infinity : retention
}

/** The setting that a new version has of the one before; a class counts from its own ingest time. */
export function inheritedRetention(
  { retention, retentionClass }: Version,
  settings: CheckedNamespace,
  now: number,
): Retention {
  const found = classOf(settings, retentionClass)
  return found === undefined
    ? { retention, retentionClass }
    : parseRetention(`C+${found.name}`, settings, now)
}
