import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { openCursor, sealCursor } from '../entries/cursor.ts'
import type { Caller, ServiceContext } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import { parseBound, parseTime } from '../time.ts'
import { absoluteUrl } from './links.ts'
import type { NewOperation, Operation } from './operation.ts'
import { wireOperation, wireOperationSchema } from './wire-operation.ts'

const tags = ['Operation logs']

/** For work that belongs to no tenant. */
const systemProject = 'system'

const once = (name: string): z.ZodString => z.string({ error: `${name} can be given once only.` })

const timeOf = (
  name: string,
  text: z.ZodType<string, string>,
  parse = parseTime,
): z.ZodType<number, string> =>
  text.transform((value, context) => {
    const parsed = parse(value)
    if (parsed !== undefined) return parsed.time
    context.addIssue(
      `${name} must be a time such as 2026-03-04T10:11:12.000345Z, or a day such as 2026-03-04.`,
    )
    return z.NEVER
  })

/** Names what is not known, whose mistakes would pass for a filter or a value that is not there. */
const unknownKeys =
  (kind: string) =>
  (issue: z.core.$ZodRawIssue): string | undefined =>
    issue.code === 'unrecognized_keys'
      ? `There is no ${kind} ${issue.keys.map((key) => JSON.stringify(key)).join(', ')} here.`
      : undefined

const filterFields = ['operation_type', 'status', 'plan_id', 'provider_id'] as const

const listQuery = z.strictObject(
  {
    project_id: once('project_id').optional().describe('Users: their own project only'),
    operation_type: once('operation_type').optional(),
    status: once('status').optional(),
    status_is: z
      .literal('null', { error: 'status_is can only be null: logs without a status.' })
      .optional()
      .describe('Logs without a status'),
    plan_id: once('plan_id').optional(),
    provider_id: once('provider_id').optional(),
    from: timeOf('from', once('from'), parseBound).optional().describe('When it was created; inclusive'),
    to: timeOf('to', once('to'), parseBound).optional().describe('When it was created; exclusive'),
    order: z
      .enum(['asc', 'desc'], { error: 'order must be asc or desc.' })
      .default('desc')
      .describe('By when it was created'),
    limit: once('limit')
      .regex(/^(1000|[1-9]\d{0,2})$/, { error: 'limit must be a whole number from 1 to 1000.' })
      .transform(Number)
      .default(100)
      .describe('1 to 1000, default 100'),
    cursor: once('cursor').optional().describe('next_cursor of the page before'),
  },
  { error: unknownKeys('parameter') },
)

const text = (field: string, most: number): z.ZodString =>
  z
    .string({ error: `${field} must be text.` })
    .max(most, { error: `${field} must have at most ${most} characters.` })

const needed = (field: string): z.ZodString =>
  text(field, 255).min(1, { error: `${field} must have 1 to 255 characters.` })

const time = (field: string): z.ZodOptional<z.ZodNullable<z.ZodType<number, string>>> =>
  timeOf(field, z.string({ error: `${field} must be text.` }))
    .nullable()
    .optional()

const optionalText = (field: string, most: number): z.ZodOptional<z.ZodNullable<z.ZodString>> =>
  text(field, most).nullable().optional()

const extraInfo = z
  .union([z.string(), z.record(z.string(), z.unknown())], { error: 'extra_info must be text or an object.' })
  .transform((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
  .nullable()
  .optional()
  .describe('Text, or an object, which is kept as JSON text')

const changeable = {
  checkpoint_id: optionalText('checkpoint_id', 255),
  plan_id: optionalText('plan_id', 255),
  provider_id: optionalText('provider_id', 255),
  restore_id: optionalText('restore_id', 255),
  scheduled_operation_id: optionalText('scheduled_operation_id', 255),
  status: optionalText('status', 64),
  started_at: time('started_at'),
  ended_at: time('ended_at'),
  error_info: optionalText('error_info', 65_535),
  extra_info: extraInfo,
}

const addBody = z.strictObject(
  {
    id: z
      .string({ error: 'id must be a UUID.' })
      .regex(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i, { error: 'id must be a UUID.' })
      .optional()
      .describe('Default: a new one'),
    project_id: needed('project_id').optional().describe('Default: that of the token, else system'),
    operation_type: z
      .string({
        error: ({ input }) =>
          input === undefined ? 'operation_type is missing.' : 'operation_type must be text.',
      })
      .min(1, { error: 'operation_type must have 1 to 255 characters.' })
      .max(255, { error: 'operation_type must have 1 to 255 characters.' }),
    ...changeable,
    created_at: timeOf('created_at', z.string({ error: 'created_at must be text.' })).optional(),
    updated_at: timeOf('updated_at', z.string({ error: 'updated_at must be text.' })).optional(),
  },
  { error: bodyError },
)

const changeBody = z.strictObject(
  { operation_type: needed('operation_type').optional(), ...changeable },
  { error: bodyError },
)

function bodyError(issue: z.core.$ZodRawIssue): string | undefined {
  return issue.code === 'invalid_type'
    ? 'The body must be a JSON object with the fields of an operation log.'
    : unknownKeys('field')(issue)
}

const idParams = z.object({ id: z.string() })
const oneAnswer = z.object({ operation_log: wireOperationSchema })

/** Operation logs with cursors, and writing them. */
export function operationV2Routes(context: ServiceContext): FastifyPluginAsync {
  const { operations } = context
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/v2/operations',
      schema: {
        tags,
        summary: 'Lists operation logs',
        querystring: listQuery,
        response: {
          200: z.object({
            operation_logs: z.array(wireOperationSchema),
            next_cursor: z.string().nullable(),
          }),
        },
      },
      handler: (request) => list(context, request),
    })
    app.route({
      method: 'GET',
      url: '/v2/operations/:id',
      schema: {
        tags,
        summary: 'Shows an operation log',
        params: idParams,
        response: { 200: oneAnswer },
      },
      handler: async (request) => {
        const { id } = request.params as z.infer<typeof idParams>
        const { caller } = request
        const project = seesAll(caller) ? undefined : caller.project
        const operation =
          seesAll(caller) || project !== undefined ? await operations.get(id, project) : undefined
        if (operation === undefined) throw notFound(id)
        return { operation_log: wireOperation(operation) }
      },
    })
    app.route({
      method: 'POST',
      url: '/v2/operations',
      schema: {
        tags,
        summary: 'Adds an operation log',
        body: addBody,
        response: { 201: oneAnswer },
      },
      handler: async (request, reply) => {
        const operation = await add(context, request)
        const path = `/v2/operations/${operation.id}`
        return reply
          .code(201)
          .header('Location', absoluteUrl(context, request, path))
          .send({ operation_log: wireOperation(operation) })
      },
    })
    app.route({
      method: 'PATCH',
      url: '/v2/operations/:id',
      schema: {
        tags,
        summary: 'Changes an operation log',
        description: 'Only the fields that are given, `null` to empty one. Sets when it was changed.',
        params: idParams,
        body: changeBody,
        response: { 200: oneAnswer },
      },
      handler: async (request) => {
        const { id } = request.params as z.infer<typeof idParams>
        const changes = request.body as z.output<typeof changeBody>
        const operation = await operations.change(id, undefined, changes)
        if (operation === undefined) throw notFound(id)
        return { operation_log: wireOperation(operation) }
      },
    })
  }
}

async function list(
  { operations, cursorSecret, maxPage }: ServiceContext,
  { query, caller }: FastifyRequest,
): Promise<{ operation_logs: unknown[]; next_cursor: string | null }> {
  const asked = query as z.output<typeof listQuery>
  const { cursor, limit, order, from, to, status_is: statusIs } = asked
  if (asked.status !== undefined && statusIs !== undefined) {
    throw new Refusal(400, 'status and status_is cannot be used together.')
  }
  const project = projectOf(asked.project_id, caller)
  const equal: Record<string, string | null> = {}
  for (const field of filterFields) {
    const value = asked[field]
    if (value !== undefined) equal[field] = value
  }
  if (statusIs !== undefined) equal['status'] = null
  // A page may be larger or smaller than the one before it.
  const scope = JSON.stringify(['operations', project ?? null, equal, from ?? null, to ?? null, order])
  const place =
    cursor === undefined ? undefined : (openCursor(cursorSecret, scope, cursor) as [number, string])
  const page = await operations.list({
    project,
    equal,
    from,
    before: to,
    sort: [{ field: 'created_at', direction: order }],
    after: place && { created_at: place[0], id: place[1] },
    limit: Math.min(limit, maxPage),
  })
  const last = page.operations.at(-1)
  return {
    operation_logs: page.operations.map(wireOperation),
    next_cursor: page.more && last ? sealCursor(cursorSecret, scope, [last.created_at, last.id]) : null,
  }
}

const seesAll = ({ roles }: Caller): boolean => roles.has('admin') || roles.has('system')

/** Undefined: all projects. */
function projectOf(asked: string | undefined, caller: Caller): string | undefined {
  if (seesAll(caller)) return asked
  if (caller.project === undefined) {
    throw new Refusal(403, 'The token names no project, so there are no operation logs to see with it.')
  }
  if (asked === undefined || asked === caller.project) return caller.project
  throw new Refusal(403, 'Only the operation logs of the project of the token can be seen with it.')
}

async function add(
  { operations }: ServiceContext,
  { body, caller, identity }: FastifyRequest,
): Promise<Operation> {
  const { id, project_id, started_at, created_at, ...rest } = body as z.output<typeof addBody>
  const operation: NewOperation = {
    ...rest,
    project_id: project_id ?? caller.project ?? systemProject,
    id: id ?? identity?.uuid('operation'),
    started_at: started_at === undefined ? identity?.claimedAt : started_at,
    created_at: created_at ?? identity?.claimedAt,
  }
  try {
    return await operations.add(operation)
  } catch (error) {
    // The same request may have come before, and its answer have been lost.
    const known = identity && operation.id !== undefined ? await operations.get(operation.id) : undefined
    if (!(error instanceof Refusal && error.status === 409) || known === undefined) throw error
    if (!isSame(operation, known)) throw error
    return known
  }
}

/** Whether adding the one gave the other. It may have been changed since then, but not these. */
const isSame = (added: NewOperation, known: Operation): boolean =>
  added.project_id === known.project_id &&
  added.operation_type === known.operation_type &&
  added.created_at === known.created_at

const notFound = (id: string): Refusal => new Refusal(404, `Operation log ${id} could not be found.`)
