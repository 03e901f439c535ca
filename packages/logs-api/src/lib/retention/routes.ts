import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ServiceContext } from '../http/context.ts'
import { formatTime } from '../time.ts'
import { policySchema, readPolicy, writePolicy } from './policy.ts'
import type { LastRun, Retention } from './retention.ts'

const tags = ['Retention']

const dryRunQuery = z.object({
  dry_run: z
    .enum(['true', 'false'], { error: 'dry_run must be true or false.' })
    .optional()
    .describe('true: only counts what would go'),
})

const dryRunInBody = z.boolean({ error: 'dry_run must be true or false.' }).optional()

const putBody = z.object(
  {
    ...policySchema.shape,
    operations_days: policySchema.shape.operations_days.optional().describe('Default: as it is'),
    dry_run: dryRunInBody,
  },
  { error: 'The body must be a JSON object with rules.' },
)

const runBody = z
  .object({ dry_run: dryRunInBody }, { error: 'The body must be a JSON object, or empty.' })
  .nullish()

const removed = z.object({ entries: z.number(), operations: z.number(), bodies: z.number() })

const runAnswer = z.object({
  removed,
  by_rule: z.array(
    z.object({
      name: z.string(),
      dataset_id: z.string().nullable(),
      days: z.number().nullable(),
      entries: z.number(),
    }),
  ),
  dry_run: z.boolean(),
})

const policyAnswer = z.object({
  ...policySchema.shape,
  interval_seconds: z.number(),
  next_run: z.string().nullable(),
  last_run: z
    .object({
      operation_id: z.string(),
      status: z.string().nullable(),
      started_at: z.string().nullable(),
      ended_at: z.string().nullable(),
      error_info: z.string().nullable(),
      removed: removed.nullable(),
    })
    .nullable(),
})

/** `/v2/retention`: what is kept for how long, and the clean-up by hand. */
export function retentionRoutes({ database }: ServiceContext, retention: Retention): FastifyPluginAsync {
  async function state(): Promise<z.infer<typeof policyAnswer>> {
    const { rules, operations_days } = await readPolicy(database)
    const [next, last] = await Promise.all([retention.nextRun(), retention.lastRun()])
    return {
      rules: [...rules],
      operations_days,
      interval_seconds: retention.intervalSeconds,
      next_run: next === undefined ? null : formatTime(next),
      last_run: last === undefined ? null : wireRun(last),
    }
  }

  return async (instance) => {
    const app = instance.withTypeProvider<ZodTypeProvider>()

    app.route({
      method: 'GET',
      url: '/v2/retention',
      schema: { tags, summary: 'Tells what is kept for how long', response: { 200: policyAnswer } },
      handler: state,
    })

    app.route({
      method: 'PUT',
      url: '/v2/retention',
      schema: {
        tags,
        summary: 'Sets what is kept for how long, or tells what would go',
        querystring: dryRunQuery,
        body: putBody,
        response: { 200: z.union([policyAnswer, runAnswer]) },
      },
      handler: async ({ query, body }) => {
        const present = await readPolicy(database)
        const policy = {
          rules: body.rules,
          operations_days:
            body.operations_days === undefined ? present.operations_days : body.operations_days,
        }
        if (query.dry_run === 'true' || body.dry_run === true) return retention.run({ dryRun: true, policy })
        await writePolicy(database, policy)
        return state()
      },
    })

    app.route({
      method: 'POST',
      url: '/v2/retention/run',
      schema: {
        tags,
        summary: 'Removes now what is old enough to go, or tells what would go',
        querystring: dryRunQuery,
        body: runBody,
        response: { 200: runAnswer },
      },
      handler: async ({ query, body }) =>
        retention.run({ dryRun: query.dry_run === 'true' || body?.dry_run === true }),
    })
  }
}

function wireRun({ started_at, ended_at, ...rest }: LastRun): {
  readonly operation_id: string
  readonly status: string | null
  readonly started_at: string | null
  readonly ended_at: string | null
  readonly error_info: string | null
  readonly removed: LastRun['removed']
} {
  return {
    ...rest,
    started_at: started_at === null ? null : formatTime(started_at),
    ended_at: ended_at === null ? null : formatTime(ended_at),
  }
}
