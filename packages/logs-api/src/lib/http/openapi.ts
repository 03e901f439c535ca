import swagger from '@fastify/swagger'
import type { FastifyInstance, FastifySchema } from 'fastify'
import { jsonSchemaTransform, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type Group, routeAccess } from './access.ts'

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
})

/** The shapes of errors, as errors.ts makes them. */
const errors: Readonly<Record<Group, { readonly type: string; readonly schema: z.ZodType }>> = {
  entries: { type: 'application/json', schema: z.object({ code: z.int(), error: z.string() }) },
  operations: {
    type: 'application/json',
    schema: z
      .record(z.string(), z.object({ code: z.int(), message: z.string(), title: z.string().optional() }))
      .describe('One member, named after the fault: `badRequest`, `forbidden`, `itemNotFound` and so on'),
  },
  exports: {
    type: 'application/json',
    schema: z.object({ error_code: z.string(), error_msg: z.string() }),
  },
  otlp: { type: 'application/json', schema: z.object({ message: z.string(), code: z.int().optional() }) },
  v2: { type: 'application/problem+json', schema: problem },
  open: { type: 'application/problem+json', schema: problem },
}

interface Description {
  readonly consumes?: readonly string[]
  readonly body?: z.ZodType
  readonly headers?: z.ZodType
  readonly response?: Readonly<Record<number, unknown>>
}

const stream = (description: string, ...types: readonly string[]): object => ({
  description,
  content: Object.fromEntries(types.map((type) => [type, { schema: z.string() }])),
})
const archive = stream('The archive, or the part that `Range` asks for', 'application/octet-stream')

/** What streams in and out is no value that a schema of its route could check. */
const streams: Readonly<Record<string, Description>> = {
  'POST /v2/logs/bulk': {
    consumes: ['application/x-ndjson', 'application/json'],
    body: z.unknown().describe('Entries, one per line or in an array'),
  },
  'POST /v1/logs': {
    consumes: ['application/x-protobuf', 'application/json'],
    body: z.unknown().describe('ExportLogsServiceRequest'),
  },
  'GET /v2/logs/tail': {
    response: { 200: stream('Events: log, dropped, ping', 'text/event-stream') },
  },
  'GET /v2/exports/:export_id/events': {
    response: { 200: stream('Events: progress, ping, end', 'text/event-stream') },
  },
  'GET /v1/:project/physicalservers/:server/logs/exports/:export_id/content': {
    response: { 200: archive, 206: archive },
  },
}

const idempotencyKey = z.object({
  'Idempotency-Key': z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('The same key with the same body within 24 hours gets the first answer again'),
})

/** Collects the description of the routes that are added from here on, and gives it at `/openapi.json`. */
export async function addOpenApi(app: FastifyInstance): Promise<void> {
  const bodyMayBeAbsent = new Set<string>()
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Logs of Hitachi Content Platform',
        description: 'Entries of datasets and tasks, operation logs, exports of internal logs',
        version: '2',
      },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          authToken: { type: 'apiKey', in: 'header', name: 'X-Auth-Token', description: 'The same JWT' },
        },
      },
    },
    transform: (document) => {
      const { route } = document
      // Not there for routes that have none, whatever its type says.
      const schema = document.schema as FastifySchema | undefined
      const name = `${String(route.method)} ${route.url}`
      const access = routeAccess[name]
      if (access === undefined) return jsonSchemaTransform(document)
      if (schema?.body instanceof z.ZodOptional) bodyMayBeAbsent.add(pathOfUrl(route.url))
      const { type, schema: shape } = errors[access.group]
      return jsonSchemaTransform({
        ...document,
        schema: {
          ...schema,
          ...(route.method === 'POST' && { headers: idempotencyKey }),
          ...streams[name],
          security: access.roles === 'open' ? [] : [{ bearer: [] }, { authToken: [] }],
          response: {
            ...(schema?.response as object | undefined),
            ...streams[name]?.response,
            default: { description: 'An error', content: { [type]: { schema: shape } } },
          },
        },
      })
    },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject
      const { paths = {} } = document.openapiObject
      for (const path of bodyMayBeAbsent) {
        const body = paths[path]?.post?.requestBody
        if (body !== undefined && 'content' in body) body.required = false
      }
      return document.openapiObject
    },
  })
}

const pathOfUrl = (url: string): string => url.replace(/:(\w+)/g, '{$1}')

/** The route that gives it. To be added last. */
export function addOpenApiRoute(app: FastifyInstance): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/openapi.json',
    schema: {
      summary: 'This description',
      tags: ['Service'],
      response: { 200: z.record(z.string(), z.unknown()) },
    },
    handler: async () => ({ ...app.swagger() }),
  })
}
