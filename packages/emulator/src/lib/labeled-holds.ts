import { maximumLabelLength, maximumLabels } from './choices.ts'
import { Refusal } from './refusal.ts'
import type { Query } from './request-target.ts'
import { decodeText } from './request-target.ts'

/** A labeled hold as a request sets or releases it, by its label. */
export type LabelChanges = ReadonlyMap<string, boolean>

/** Reads `label_hold`, which one page of the documents spells `label-hold`: `[{"id":"…","hold":true}, …]`. */
export function readLabels(query: Query): LabelChanges | undefined {
  const texts = ['label_hold', 'label-hold'].flatMap((name) => query.get(name) ?? [])
  const [text] = texts
  if (text === undefined) return undefined
  if (texts.length > 1) throw new Refusal(400, 'label_hold is given twice.')
  const list = parsed(decodeText(text))
  if (!Array.isArray(list)) throw new Refusal(400, 'label_hold must be a JSON array.')
  const changes = new Map<string, boolean>()
  for (const entry of list as unknown[]) {
    const { id, hold, ...more } = Object(entry) as { id?: unknown; hold?: unknown }
    if (typeof id !== 'string' || typeof hold !== 'boolean' || Object.keys(more).length > 0) {
      throw new Refusal(400, 'label_hold: each entry has an id and a hold that is true or false.')
    }
    const length = Array.from(id).length
    if (length < 1 || length > maximumLabelLength) {
      throw new Refusal(400, `label_hold: an id has 1 to ${maximumLabelLength} characters.`)
    }
    if (changes.has(id)) throw new Refusal(400, 'label_hold: an id is given twice.')
    changes.set(id, hold)
  }
  if ([...changes.values()].filter(Boolean).length > maximumLabels) throw tooMany()
  return changes
}

function tooMany(): Refusal {
  return new Refusal(400, `An object has at most ${maximumLabels} labeled holds.`)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal(400, 'label_hold must be a JSON array.')
  }
}

/** The labels that are set after a change; nothing where none is. */
export function changedLabels(
  before: readonly string[] | undefined,
  changes: LabelChanges | undefined,
): readonly string[] | undefined {
  if (changes === undefined) return before
  const labels = new Set(before)
  for (const [id, hold] of changes) {
    if (hold) labels.add(id)
    else labels.delete(id)
  }
  if (labels.size > maximumLabels) throw tooMany()
  return labels.size === 0 ? undefined : [...labels]
}

/** For `X-HCP-LabelRetentionHold-Labels`: JSON in ASCII. */
export function labelList(labels: readonly string[] = []): string {
  return JSON.stringify(labels.map((id) => ({ id, hold: true }))).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
