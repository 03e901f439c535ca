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

/** Collects the description of the routes that are added from here on, and gives it at `/openapi.json`. */
export async function addOpenApi(app: FastifyInstance): Promise<void> {
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
      const access = routeAccess[`${String(route.method)} ${route.url}`]
      if (access === undefined) return jsonSchemaTransform(document)
      const { type, schema: shape } = errors[access.group]
      return jsonSchemaTransform({
        ...document,
        schema: {
          ...schema,
          security: access.roles === 'open' ? [] : [{ bearer: [] }, { authToken: [] }],
          response: {
            ...(schema?.response as object | undefined),
            default: { description: 'An error', content: { [type]: { schema: shape } } },
          },
        },
      })
    },
  })
}

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
