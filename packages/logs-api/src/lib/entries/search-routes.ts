import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ServiceContext } from '../http/context.ts'
import { openCursor, sealCursor } from './cursor.ts'
import { entryFilterSchema, entryQuery } from './entry-filter.ts'
import type { Entry, Position } from './entry.ts'
import { textStream } from './text-stream.ts'
import { wireEntry, wireEntrySchema } from './wire-entry.ts'

/** The answer is a stream of text. */
const pageSchema: z.ZodType = z.object({ logs: z.array(wireEntrySchema), next_cursor: z.string().nullable() })

/** `GET /v2/logs`: search page by page. */
export function searchRoutes({ entries, rights, maxPage, cursorSecret }: ServiceContext): FastifyPluginAsync {
  const most = Math.min(1000, maxPage)
  const limitMessage = `limit must be a whole number from 1 to ${most}.`
  const querystring = entryFilterSchema.extend({
    order: z
      .enum(['asc', 'desc'], { error: 'order must be asc or desc.' })
      .default('desc')
      .describe('By timestamp and log_id: oldest (asc) or newest (desc) first'),
    limit: z
      .string({ error: limitMessage })
      .regex(/^\d{1,4}$/, { error: limitMessage })
      .transform(Number)
      .refine((limit) => limit >= 1 && limit <= most, { error: limitMessage })
      .optional()
      .describe(`Entries of a page, 1 to ${most}; 100 if left out`),
    cursor: z
      .string({ error: 'cursor can be given once only.' })
      .optional()
      .describe('next_cursor of the page before; all parameters but limit must be the same again'),
  })

  return async (instance) => {
    instance.withTypeProvider<ZodTypeProvider>().route({
      method: 'GET',
      url: '/v2/logs',
      schema: {
        tags: ['Entries'],
        summary: 'Searches entries, page by page',
        querystring,
        response: {
          200: pageSchema,
        },
      },
      handler: async (request, reply) => {
        const { limit = Math.min(100, most), cursor, order, ...filter } = request.query
        const scope = JSON.stringify(['/v2/logs', order, filter])
        const seal = (entry: Entry): string =>
          sealCursor(cursorSecret, scope, [entry.timestamp, entry.log_id])
        const after = cursor === undefined ? undefined : position(openCursor(cursorSecret, scope, cursor))
        const query = await entryQuery(filter, request.caller, rights)
        // One more, to know whether there is a next page.
        const found = entries.read(query, { order, after, limit: limit + 1, data: true })
        return reply.type('application/json; charset=UTF-8').send(await textStream(page(found, limit, seal)))
      },
    })
  }
}

async function* page(
  found: AsyncIterable<Entry>,
  limit: number,
  seal: (last: Entry) => string,
): AsyncGenerator<string, void> {
  yield '{"logs":['
  let count = 0
  let last: Entry | undefined
  let next: string | null = null
  for await (const entry of found) {
    if (count === limit) {
      next = last === undefined ? null : seal(last)
      break
    }
    yield (count === 0 ? '' : ',') + JSON.stringify(wireEntry(entry))
    count++
    last = entry
  }
  yield `],"next_cursor":${JSON.stringify(next)}}`
}

function position(value: unknown): Position {
  const [timestamp, log_id] = value as [number, string]
  return { timestamp, log_id }
}
