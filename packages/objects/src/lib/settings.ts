import type { LabeledHold } from './metadata.ts'
import { formatRetention, type Retention } from './retention.ts'

/** System metadata that can be given to an object when it is stored, and changed later. */
export interface ObjectSettings {
  /** Until when it cannot be deleted. */
  readonly retention?: Retention
  /** Keeps it from being deleted or changed, whatever its retention, until it is released. Needs the permission `privileged`. */
  readonly hold?: boolean
  /** Holds by label, each set or released for itself (release 9 and later). A label has up to 64 characters. */
  readonly labeledHolds?: readonly LabeledHold[]
  /** Overwrite its place on disk when it is deleted. Cannot be taken back. */
  readonly shred?: boolean
  /** Index it for searches. */
  readonly index?: boolean
}

export const settingOptions = ['retention', 'hold', 'labeledHolds', 'shred', 'index'] as const

/** @throws {TypeError | RangeError} by the name of what is wrong. */
export function checkSettings({ hold, labeledHolds, shred, index }: ObjectSettings): void {
  for (const [name, value] of Object.entries({ hold, shred, index })) {
    if (value !== undefined && typeof value !== 'boolean')
      throw new TypeError(`${name} must be true or false`)
  }
  if (labeledHolds === undefined) return
  if (!Array.isArray(labeledHolds) || labeledHolds.length === 0)
    throw new TypeError('labeledHolds must be a list of { id, hold } with at least one in it')
  const seen = new Set<string>()
  for (const label of labeledHolds as readonly (Partial<LabeledHold> | null)[]) {
    const { id, hold: held } = label ?? {}
    if (typeof id !== 'string' || id === '' || id.length > 64)
      throw new RangeError('labeledHolds: an id must be text of 1 to 64 characters')
    if (typeof held !== 'boolean') throw new TypeError(`labeledHolds: hold of "${id}" must be true or false`)
    if (seen.has(id)) throw new RangeError(`labeledHolds: "${id}" is named twice`)
    seen.add(id)
  }
}

/** The parameters that say so, for the query of a PUT or the form of a POST. */
export function settingParams(settings: ObjectSettings): Record<string, string> {
  const { retention, hold, labeledHolds, shred, index } = settings
  const params: Record<string, string> = {}
  if (retention !== undefined) params['retention'] = formatRetention(retention)
  if (hold !== undefined) params['hold'] = String(hold)
  if (labeledHolds !== undefined)
    params['label_hold'] = JSON.stringify(labeledHolds.map(({ id, hold: held }) => ({ id, hold: held })))
  if (shred !== undefined) params['shred'] = String(shred)
  if (index !== undefined) params['index'] = String(index)
  return params
}
