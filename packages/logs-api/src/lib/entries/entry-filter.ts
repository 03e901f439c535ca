import { z } from 'zod'
import type { Caller } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import { parseBound } from '../time.ts'
import type { EntryQuery } from './entry.ts'
import { isName } from './new-entry.ts'
import type { Rights } from './rights.ts'
import { severityHint, severityRange, type SeverityRange } from './severity.ts'
import { parseWords } from './words.ts'

/** One value of a query parameter, which may be there once. */
function text(name: string): z.ZodString {
  return z.string({ error: `${name} can be given once only.` })
}

function id(name: string): z.ZodString {
  return text(name).refine(isName, {
    error: `${name} must be text of 1 to 255 characters, without control characters.`,
  })
}

const time = (name: string): z.ZodType<number, string> =>
  text(name).transform((value, context) => {
    const parsed = parseBound(value)
    if (parsed !== undefined) return parsed.time
    context.addIssue(
      `${name} must be a time such as 2026-03-04T10:11:12.000345Z, or a day such as 2026-03-04.`,
    )
    return z.NEVER
  })

const severities = text('severity').transform((value, context) => {
  const ranges = value.split(',').map((part) => severityRange(part.trim()))
  if (ranges.every((range) => range !== undefined)) {
    // Each once, so that a long list makes no long query.
    return [...new Map(ranges.map((range) => [`${range.least}-${range.most}`, range])).values()]
  }
  context.addIssue(`severity must be ${severityHint}, or several of these with commas between them.`)
  return z.NEVER
})

const leastSeverity = text('min_severity').transform((value, context) => {
  const range = severityRange(value.trim())
  if (range !== undefined) return range.least
  context.addIssue(`min_severity must be ${severityHint}.`)
  return z.NEVER
})

type Parameter<Value> = z.ZodOptional<z.ZodType<Value, string>>

export type EntryFilterShape = {
  dataset_id: Parameter<string>
  task_id: Parameter<string>
  name: Parameter<string>
  severity: Parameter<readonly SeverityRange[]>
  min_severity: Parameter<number>
  from: Parameter<number>
  to: Parameter<number>
  q: Parameter<string>
}

/** The parameters of `GET /v2/logs` and of the live tail that say which entries are meant. Others can be added with `extend`. */
export const entryFilterSchema: z.ZodObject<EntryFilterShape, z.core.$strict> = z.strictObject(
  {
    dataset_id: id('dataset_id').optional(),
    task_id: id('task_id').optional(),
    name: id('name').optional(),
    severity: severities.optional().describe('Numbers (1 to 24) or names, commas between them: any of these'),
    min_severity: leastSeverity.optional().describe('A number (1 to 24) or a name: this or worse'),
    from: time('from').optional().describe('RFC 3339, UTC without a zone, or a day; inclusive'),
    to: time('to').optional().describe('RFC 3339, UTC without a zone, or a day; exclusive'),
    q: text('q').optional().describe('Words, "phrases", and -words that must not be there'),
  },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `There is no parameter ${issue.keys.map((key) => JSON.stringify(key)).join(', ')} here.`
        : undefined,
  },
)

export type EntryFilter = z.output<typeof entryFilterSchema>

/**
 * What the filter means to a caller: admins and the system find entries of all datasets, a user those of datasets that they may read.
 *
 * @throws {Refusal} 403 if a user may not read the dataset that they ask for.
 */
export async function entryQuery(filter: EntryFilter, caller: Caller, rights: Rights): Promise<EntryQuery> {
  const { dataset_id: dataset, task_id: task, name, from, to: before, q } = filter
  return {
    datasets: await datasets(dataset, caller, rights),
    task,
    name,
    from,
    before,
    severities: wanted(filter.severity, filter.min_severity),
    words: q === undefined ? undefined : parseWords(q),
  }
}

async function datasets(
  dataset: string | undefined,
  caller: Caller,
  rights: Rights,
): Promise<readonly string[] | undefined> {
  const everywhere = caller.roles.has('admin') || caller.roles.has('system')
  if (!everywhere && !caller.roles.has('user')) throw new Refusal(403, 'authorization failed')
  if (dataset === undefined) return everywhere ? undefined : rights.readable(caller)
  if (!everywhere) await rights.check(caller, dataset, 'read')
  return [dataset]
}

function wanted(
  ranges: readonly SeverityRange[] | undefined,
  least: number | undefined,
): readonly SeverityRange[] | undefined {
  if (least === undefined) return ranges
  return (ranges ?? [{ least, most: 24 }])
    .map((range) => ({ least: Math.max(range.least, least), most: range.most }))
    .filter((range) => range.least <= range.most)
}
