import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ServiceContext } from '../http/context.ts'
import { noSuchPath } from '../http/errors.ts'
import { Refusal } from '../http/refusal.ts'
import { deletionStream } from './deletion-stream.ts'
import type { Entry } from './entry.ts'
import { listParameters } from './list-parameters.ts'
import { isRecord, newEntry } from './new-entry.ts'
import { taskParameters } from './task-parameters.ts'
import { textStream } from './text-stream.ts'
import { wireEntry, wireEntrySchema } from './wire-entry.ts'

const tags = ['Logs of datasets and tasks']
const json = 'application/json; charset=UTF-8'

/** Of values that are there several times the last one counts; blanks around it do not. */
const parameter = (description: string): z.ZodOptional<z.ZodType<string>> =>
  z
    .preprocess((value) => (Array.isArray(value) ? value.at(-1) : value), z.string().trim())
    .optional()
    .describe(description)

/** The same where nothing would mean everything. */
const narrowing = (name: string, description: string): z.ZodOptional<z.ZodType<string>> =>
  z
    .preprocess(
      (value) => (Array.isArray(value) ? value.at(-1) : value),
      z
        .string()
        .trim()
        .min(1, { error: `${name} is empty. Leave it out to remove all.` }),
    )
    .optional()
    .describe(description)

const logParams = z.object({ log_id: z.string() })
const datasetParams = z.object({ dataset_id: z.string() })
const datasetLogParams = z.object({ dataset_id: z.string(), log_id: z.string() })
const taskParams = z.object({ dataset_id: z.string(), task_id: z.string() })

/** Described here, checked by `newEntry`, which has the original's texts. */
const newEntrySchema = z.unknown().meta({
  description: 'An entry. Other fields are kept as they are sent.',
  type: 'object',
  required: ['data'],
  properties: {
    data: { type: 'string', description: 'The text' },
    name: { type: 'string', default: 'log', description: 'Kind of log, such as stdlog, stdout or stderr' },
    dataset_id: { type: 'string', description: 'Where the path names none' },
    task_id: { type: 'string' },
  },
  additionalProperties: true,
})
const progress: z.ZodType = z.object({
  status: z.enum(['deleting', 'complete', 'error']),
  percent_complete: z.number(),
  total: z.number().describe('Entries to be removed'),
  error: z.string().optional(),
})
const result = z.object({ result: z.string().describe('log_id of the entry') })
const empty = z.object({})
/** These answers are streams of text. */
const streamed: { readonly byId: z.ZodType; readonly list: z.ZodType } = {
  byId: z.record(z.string(), wireEntrySchema),
  list: z.object({
    logs: z
      .array(z.record(z.string(), z.unknown()))
      .describe('Entries, in the fields that `keys` asks for; grouped ones have null for those they lack'),
  }),
}

/** API A: logs of datasets and tasks, at the paths and with the shapes of IceProd. */
export function entryRoutes(context: ServiceContext): FastifyPluginAsync {
  const { entries } = context
  return async (instance) => {
    const app = instance.withTypeProvider<ZodTypeProvider>()
    const deletions = new Set<Promise<void>>()
    app.addHook('onClose', () => Promise.all(deletions))

    app.route({
      method: 'GET',
      url: '/logs',
      schema: {
        tags,
        summary: 'Searches entries of all datasets',
        querystring: z.object({
          from: parameter('Not before this time'),
          to: parameter('Not after this time; a day is meant through its end'),
          name: parameter('Exactly this name'),
          dataset_id: parameter('Exactly this dataset'),
          task_id: parameter('Exactly this task'),
          keys: parameter('Fields to return, parted by |; log_id is always there'),
          limit: parameter('At most this many; 0 is no limit'),
        }),
        response: { 200: streamed.byId },
      },
      handler: async (request, reply) => {
        const { query, keys, limit } = listParameters(request.query, bodyObject(request.body))
        const found = entries.read(query, { order: 'asc', limit, data: keys.has('data') })
        return reply.type(json).send(await textStream(byId(found, keys)))
      },
    })

    app.route({
      method: 'POST',
      url: '/logs',
      schema: { tags, summary: 'Adds an entry', body: newEntrySchema, response: { 201: result } },
      handler: async ({ body, identity }, reply) => {
        const log_id = await entries.add(newEntry(body, { id: identity?.entryId(0) }))
        return reply.code(201).send({ result: log_id })
      },
    })

    app.route({
      method: 'GET',
      url: '/logs/:log_id',
      schema: { tags, summary: 'Reads an entry', params: logParams, response: { 200: wireEntrySchema } },
      handler: async ({ params }) => wireEntry((await entries.get(pathId(params.log_id))) ?? notFound()),
    })

    app.route({
      method: 'DELETE',
      url: '/logs/:log_id',
      schema: {
        tags,
        summary: 'Removes an entry, if it is there',
        params: logParams,
        response: { 200: empty },
      },
      handler: async ({ params }) => {
        await entries.remove(pathId(params.log_id))
        return {}
      },
    })

    app.route({
      method: 'POST',
      url: '/datasets/:dataset_id/logs',
      schema: {
        tags,
        summary: 'Adds an entry to a dataset',
        params: datasetParams,
        body: newEntrySchema,
        response: { 201: result },
      },
      handler: async ({ params, body, identity }, reply) => {
        const dataset = pathId(params.dataset_id)
        const log_id = await entries.add(newEntry(body, { dataset, id: identity?.entryId(0) }))
        return reply.code(201).send({ result: log_id })
      },
    })

    app.route({
      method: 'DELETE',
      url: '/datasets/:dataset_id/logs',
      schema: {
        tags,
        summary: 'Removes the entries of a dataset, and tells how far it is',
        description:
          'One JSON document per line with `status` (`deleting`, then `complete` or `error`), `percent_complete` and `total`. Goes on when the client leaves.',
        params: datasetParams,
        querystring: z.strictObject(
          {
            task_id: narrowing('task_id', 'Only entries of this task'),
            name: narrowing('name', 'Only entries of this name'),
          },
          { error: 'Only task_id and name can narrow what is removed.' },
        ),
        response: {
          200: {
            description: 'The first line at 0 %, further ones at least every second or 1 %',
            content: { 'application/x-ndjson': { schema: progress } },
          },
        },
      },
      handler: async ({ params, query }, reply) => {
        const { lines, ended } = await deletionStream(
          entries.removeAll({
            datasets: [pathId(params.dataset_id)],
            task: query.task_id,
            name: query.name,
          }),
          context,
        )
        deletions.add(ended)
        void ended.then(() => deletions.delete(ended))
        return reply.type('application/x-ndjson').send(lines)
      },
    })

    app.route({
      method: 'GET',
      url: '/datasets/:dataset_id/logs/:log_id',
      schema: {
        tags,
        summary: 'Reads an entry of a dataset',
        params: datasetLogParams,
        response: { 200: wireEntrySchema },
      },
      handler: async ({ params }) => {
        const of = { dataset: pathId(params.dataset_id) }
        return wireEntry((await entries.get(pathId(params.log_id), of)) ?? notFound())
      },
    })

    app.route({
      method: 'GET',
      url: '/datasets/:dataset_id/tasks/:task_id/logs',
      schema: {
        tags,
        summary: 'Lists the entries of a task',
        params: taskParams,
        querystring: z.object({
          num: parameter('At most this many; 0 is all'),
          group: parameter('true: only the first of each name, in the order asked for'),
          order: parameter('asc or desc (if left out), by timestamp'),
          keys: parameter('Only these fields, parted by |'),
        }),
        response: { 200: streamed.list },
      },
      handler: async ({ params, query }, reply) => {
        const { num, group, order, keys } = taskParameters(query)
        const [dataset, task] = [pathId(params.dataset_id), pathId(params.task_id)]
        const options = { order, limit: num, data: keys?.has('data') ?? true }
        const found = group
          ? entries.newestPerName(dataset, task, options)
          : entries.read({ datasets: [dataset], task }, options)
        return reply.type(json).send(await textStream(list(found, (entry) => shown(entry, keys, group))))
      },
    })

    app.route({
      method: 'DELETE',
      url: '/datasets/:dataset_id/tasks/:task_id/logs',
      schema: {
        tags,
        summary: 'Removes the entries of a task',
        params: taskParams,
        response: { 200: empty },
      },
      handler: async ({ params }) => {
        const query = { datasets: [pathId(params.dataset_id)], task: pathId(params.task_id) }
        for await (const _ of entries.removeAll(query));
        return {}
      },
    })
  }
}

/** The body of a GET, in which parameters may be. */
function bodyObject(body: unknown): Readonly<Record<string, unknown>> | undefined {
  if (body === undefined || isRecord(body)) return body
  throw new Refusal(400, 'The body of this request must be a JSON object, or left out.')
}

async function* byId(found: AsyncIterable<Entry>, keys: ReadonlySet<string>): AsyncGenerator<string, void> {
  let before = '{'
  for await (const entry of found) {
    yield `${before}"${entry.log_id}":${JSON.stringify(shown(entry, keys))}`
    before = ','
  }
  yield before === '{' ? '{}' : '}'
}

async function* list(
  found: AsyncIterable<Entry>,
  show: (entry: Entry) => object,
): AsyncGenerator<string, void> {
  let before = '{"logs":['
  for await (const entry of found) {
    yield before + JSON.stringify(show(entry))
    before = ','
  }
  if (before !== ',') notFound()
  yield ']}'
}

/** The fields that are asked for; `fill`: null for those that the entry does not have. */
function shown(
  entry: Entry,
  keys: ReadonlySet<string> | undefined,
  fill = false,
): Readonly<Record<string, unknown>> {
  const whole = wireEntry(entry)
  if (keys === undefined) return whole
  const fields = Object.entries(whole).filter(
    ([key]) => keys.has(key) || (key === 'data_missing' && keys.has('data')),
  )
  const absent = fill ? [...keys].filter((key) => !Object.hasOwn(whole, key)) : []
  return Object.fromEntries([...fields, ...absent.map((key) => [key, null])])
}

/** What may stand for an id in a path; there is nothing at other paths. */
function pathId(text: string): string {
  if (/^[A-Za-z0-9._-]{1,255}$/.test(text) && text !== '.' && text !== '..') return text
  throw noSuchPath('entries')
}

function notFound(): never {
  throw new Refusal(404, 'Log not found')
}
