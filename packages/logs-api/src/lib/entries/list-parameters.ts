import { Refusal } from '../http/refusal.ts'
import { parseBound } from '../time.ts'
import type { EntryQuery } from './entry.ts'

/** Which entries `GET /logs` is asked for, and what of them. */
export interface ListParameters {
  readonly query: EntryQuery
  readonly keys: ReadonlySet<string>
  /** Undefined: no limit. */
  readonly limit: number | undefined
}

/** Values of the query string, without blanks around them. */
export type QueryTexts = Readonly<Partial<Record<string, string>>>

const day = 86_400_000_000

/**
 * Reads the parameters of `GET /logs`: each from the query string if it is there, else from the body.
 *
 * @throws {Refusal} 400 for a limit that is no integer, a time that is none, or anything but text.
 */
export function listParameters(
  query: QueryTexts,
  body: Readonly<Record<string, unknown>> = {},
): ListParameters {
  const value = (name: string): unknown => query[name] ?? own(body, name) ?? undefined
  const text = (name: string): string | undefined => {
    const found = value(name)
    if (found === undefined) return undefined
    if (typeof found !== 'string') throw new Refusal(400, `${name} must be text.`)
    // PostgreSQL would not even look for it.
    if (found.includes('\0')) throw new Refusal(400, `${name} must not hold the character U+0000.`)
    return found
  }
  const filter = (name: string): string | undefined => text(name) || undefined
  const dataset = filter('dataset_id')
  return {
    query: {
      datasets: dataset === undefined ? undefined : [dataset],
      task: filter('task_id'),
      name: filter('name'),
      from: time('from', filter('from')),
      before: time('to', filter('to')),
    },
    keys: new Set(
      ['log_id', ...(text('keys') ?? 'name|data|timestamp|task_id|dataset_id').split('|')].filter(
        (key) => key !== '',
      ),
    ),
    limit: limitOf(value('limit')),
  }
}

/** An integer as text, or undefined. */
export function integer(text: string): number | undefined {
  return /^[+-]?\d+$/.test(text) ? Number(text) : undefined
}

function own(values: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(values, name) ? values[name] : undefined
}

/** `to` is meant with the moment, or the day, that it names. */
function time(name: 'from' | 'to', text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const parsed = parseBound(text)
  if (parsed === undefined) {
    throw new Refusal(
      400,
      `${name} must be a time such as 2026-03-04T10:11:12.000345, with or without a zone, or a day such as 2026-03-04.`,
    )
  }
  if (name === 'from') return parsed.time
  return parsed.time + (parsed.wholeDay ? day : 1)
}

function limitOf(value: unknown): number | undefined {
  if (value === undefined) return undefined
  const number = typeof value === 'string' ? integer(value.trim()) : value
  if (typeof number !== 'number' || !Number.isInteger(number)) throw new Refusal(400, 'non-integer limit')
  // Negative ones count without their sign, as in the original's database.
  return safe(Math.abs(number))
}

/** 0 is no limit, and so is what is beyond any store. */
function safe(limit: number): number | undefined {
  return limit === 0 || !Number.isSafeInteger(limit) ? undefined : limit
}
