import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ServiceContext } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import { isName } from './new-entry.ts'
import type { DatasetRights } from './rights.ts'

const message = (field: string): string => `${field} must be a list of texts.`

const list = (field: string): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z.array(z.string({ error: message(field) }), { error: message(field) }).default([])

const rightsSchema = z.strictObject(
  {
    read_groups: list('read_groups'),
    write_groups: list('write_groups'),
    read_users: list('read_users'),
    write_users: list('write_users'),
  },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `There is no field ${issue.keys.map((key) => JSON.stringify(key)).join(', ')} in dataset rights.`
        : 'The body must be a JSON object with read_groups, write_groups, read_users and write_users.',
  },
)

const recordSchema: z.ZodType<DatasetRights> = rightsSchema

const params = z.object({
  dataset_id: z
    .string()
    .refine(isName, 'dataset_id must be text of 1 to 255 characters, without control characters.'),
})

const tags = ['Dataset rights']

/** `/v2/datasets/:dataset_id/rights`: who may read and write the entries of a dataset. */
export function rightsRoutes({ rights }: ServiceContext): FastifyPluginAsync {
  return async (instance) => {
    const app = instance.withTypeProvider<ZodTypeProvider>()
    const url = '/v2/datasets/:dataset_id/rights'

    app.route({
      method: 'PUT',
      url,
      schema: {
        tags,
        summary: 'Sets who may read and write a dataset; a list that is left out becomes empty',
        params,
        body: rightsSchema,
        response: { 200: recordSchema },
      },
      handler: async ({ params, body }) => {
        await rights.set(params.dataset_id, body)
        return body
      },
    })

    app.route({
      method: 'GET',
      url,
      schema: {
        tags,
        summary: 'Tells who may read and write a dataset',
        params,
        response: { 200: recordSchema },
      },
      handler: async ({ params }) => (await rights.get(params.dataset_id)) ?? unknown(),
    })

    app.route({
      method: 'DELETE',
      url,
      schema: {
        tags,
        summary: 'Takes away the rights of all but admins and the system',
        params,
        response: { 204: z.undefined() },
      },
      handler: async ({ params }, reply) => {
        if (!(await rights.remove(params.dataset_id))) unknown()
        return reply.code(204).send()
      },
    })
  }
}

function unknown(): never {
  throw new Refusal(404, 'This dataset has no rights. PUT them first.')
}
