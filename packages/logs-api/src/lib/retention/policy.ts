import { z } from 'zod'
import type { Database } from '../store/database.ts'
import { readSetting, writeSetting } from '../store/settings.ts'
import { isStorable } from '../store/storable-text.ts'

/** What is kept for how long. Of the rules, the first that fits an entry decides; an entry that none fits is kept. */
export interface RetentionPolicy {
  readonly rules: readonly RetentionRule[]
  /** Operation logs go this many days after they were made, never while they are `in_progress`. Null: they are kept. */
  readonly operations_days: number | null
}

export interface RetentionRule {
  /** Of entries; `*` stands for any text, `?` for any one character. */
  readonly name: string
  /** Null: entries of any dataset and of none. */
  readonly dataset_id: string | null
  /** An entry goes when its `timestamp` is this many days ago. Null: it is kept. */
  readonly days: number | null
}

export const defaultPolicy: RetentionPolicy = {
  rules: [
    { name: 'stdlog', dataset_id: null, days: 31 },
    { name: 'stdout', dataset_id: null, days: 365 },
    { name: 'stderr', dataset_id: null, days: 365 },
    { name: '*', dataset_id: null, days: 365 },
  ],
  operations_days: 3 * 365,
}

/** A hundred years. */
const mostDays = 36_525
const mostRules = 100

const daysMessage = (field: string): string =>
  `${field} must be a number of days from 0 to ${mostDays}, or null for what is to be kept.`

const days = (field: string): z.ZodNullable<z.ZodNumber> =>
  z
    .number({ error: daysMessage(field) })
    .min(0, { error: daysMessage(field) })
    .max(mostDays, { error: daysMessage(field) })
    .nullable()

const text = (field: string): z.ZodString =>
  z
    .string({ error: `${field} must be text of 1 to 255 characters.` })
    .min(1, { error: `${field} must be text of 1 to 255 characters.` })
    .max(255, { error: `${field} must be text of 1 to 255 characters.` })
    .refine(isStorable, {
      error: `${field} must be well-formed text.`,
    })

const ruleSchema: z.ZodObject<
  {
    name: z.ZodString
    dataset_id: z.ZodDefault<z.ZodNullable<z.ZodString>>
    days: z.ZodNullable<z.ZodNumber>
  },
  z.core.$strict
> = z.strictObject(
  {
    name: text('name of a rule').describe('`*` stands for any text, `?` for any one character'),
    dataset_id: text('dataset_id of a rule').nullable().default(null).describe('Null: any'),
    days: days('days of a rule').describe('Null: kept'),
  },
  {
    // A condition that was mistyped would let the rule fit everything.
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `A rule has no field ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}.`
        : 'A rule must be a JSON object with name, days and perhaps dataset_id.',
  },
)

export const policySchema: z.ZodObject<{
  rules: z.ZodArray<typeof ruleSchema>
  operations_days: z.ZodNullable<z.ZodNumber>
}> = z.object(
  {
    rules: z
      .array(ruleSchema, { error: 'rules must be a list of rules.' })
      .max(mostRules, { error: `There can be ${mostRules} rules at most.` })
      .describe('The first that fits an entry decides'),
    operations_days: days('operations_days').describe('Null: kept'),
  },
  { error: 'The body must be a JSON object with rules.' },
)

const key = 'retention'

/** The default where none was written. */
export async function readPolicy(database: Database): Promise<RetentionPolicy> {
  const setting = await readSetting(database, key)
  return setting === undefined ? defaultPolicy : (JSON.parse(setting) as RetentionPolicy)
}

export async function writePolicy(database: Database, policy: RetentionPolicy): Promise<void> {
  await writeSetting(database, key, JSON.stringify(policy))
}
