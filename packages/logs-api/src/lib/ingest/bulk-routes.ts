import { Readable } from 'node:stream'
import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ServiceContext } from '../http/context.ts'
import { unpacked } from '../http/unpack.ts'
import { storeAll } from './bulk.ts'
import { BodySplitter } from './split-body.ts'
import { WriteRights } from './write-rights.ts'

const resultSchema = z.object({
  accepted: z.number().describe('Entries that are stored'),
  rejected: z.number().describe('Lines that are not'),
  errors: z
    .array(z.object({ line: z.number(), error: z.string() }))
    .readonly()
    .describe('Of the first 1,000 rejected lines, counted from 1; in an array: elements'),
})

/** `POST /v2/logs/bulk`: entries in lines of JSON or a JSON array, stored as they come in. */
export function bulkRoutes(context: ServiceContext): FastifyPluginAsync {
  return async (plain) => {
    const app = plain.withTypeProvider<ZodTypeProvider>()
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (request, payload, done) => {
      try {
        done(null, unpacked(request, payload, Infinity))
      } catch (error) {
        done(error as Error)
      }
    })
    app.route({
      method: 'POST',
      url: '/v2/logs/bulk',
      schema: {
        summary: 'Store many entries',
        description:
          'NDJSON (application/x-ndjson) or a JSON array (application/json), packed with gzip or not. A line that is wrong does not spoil the others. Beyond what POST /logs takes an entry may have timestamp, severity, attributes, trace_id and span_id.',
        tags: ['Entries'],
        response: { 200: resultSchema },
      },
      handler: async (request) => {
        const { identity, caller } = request
        const body = request.body instanceof Readable ? request.body : Readable.from([])
        return await storeAll(body as AsyncIterable<Buffer>, {
          splitter: new BodySplitter(request.headers['content-type']),
          entries: context.entries,
          rights: new WriteRights(context.rights, caller),
          entryId: identity && ((index) => identity.entryId(index)),
        })
      },
    })
  }
}
