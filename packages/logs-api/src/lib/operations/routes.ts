import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Caller, ServiceContext } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import { absoluteUrl } from './links.ts'
import { readListParameters } from './list-parameters.ts'
import { wireOperation, wireOperationSchema } from './wire-operation.ts'

const tags = ['Operation logs']

/** Read by hand (list-parameters.ts): of a parameter that comes several times, the last one counts. */
const parameter = (meaning: string): z.ZodOptional<z.ZodType> =>
  z
    .preprocess((value) => (Array.isArray(value) ? value.at(-1) : value), z.string())
    .optional()
    .meta({ description: meaning })

const listQuery = z.looseObject({
  limit: parameter('Logs of a page: 1 to 1000, default 1000'),
  marker: parameter('Id of the last log that was seen; the page begins behind it'),
  offset: parameter('Logs to leave out, counted behind the marker: 0 to 2147483647, default 0'),
  sort: parameter('key[:direction], parted by commas; the direction is asc or desc. Default created_at:desc'),
  sort_key: parameter('One key, default created_at. Not together with sort'),
  sort_dir: parameter('asc or desc, default desc. Not together with sort'),
  checkpoint_id: parameter('Exactly this'),
  plan_id: parameter('Exactly this'),
  restore_id: parameter('Exactly this'),
  status: parameter('Exactly this'),
  all_tenants: parameter('For admins: true, yes, y or 1 for the logs of all projects'),
})

const listAnswer = z.object({
  operation_logs: z.array(wireOperationSchema),
  operation_logs_links: z
    .array(z.object({ rel: z.literal('next'), href: z.string() }))
    .optional()
    .describe('Only where there is a next page'),
})

const listParams = z.object({ project: z.string() })
const showParams = z.object({ project: z.string(), operation_log_id: z.string() })

/** API B: operation logs are read. */
export function operationRoutes(context: ServiceContext): FastifyPluginAsync {
  const { operations } = context

  const list = async (request: FastifyRequest): Promise<z.infer<typeof listAnswer>> => {
    const { project } = request.params as z.infer<typeof listParams>
    checkProject(project, request.caller)
    const asked = new URLSearchParams(queryOf(request.url))
    const parameters = readListParameters(asked, request.caller, context.maxPage)
    const { limit, marker, offset, sort, allProjects, filters } = parameters
    const after = marker === undefined ? undefined : await operations.get(marker)
    if (marker !== undefined && after === undefined) throw notFound(marker)
    const { project_id: wanted, ...equal } = filters
    const page = await operations.list({
      project: allProjects ? wanted : project,
      equal,
      sort,
      after,
      offset,
      limit,
    })
    const last = page.operations.at(-1)
    return {
      operation_logs: page.operations.map(wireOperation),
      ...(page.more && last && { operation_logs_links: [nextLink(context, request, asked, last.id)] }),
    }
  }

  return async (app) => {
    app.route({
      method: 'GET',
      url: '/v1/:project/operation_logs',
      schema: {
        tags,
        summary: 'Lists the operation logs of a project',
        description:
          'Admins may filter by any other field that is shown as well. Everybody else’s are ignored.',
        params: listParams,
        querystring: listQuery,
        response: { 200: listAnswer },
      },
      handler: list,
    })
    app.route({
      method: 'GET',
      url: '/v1/:project/operation_logs/:operation_log_id',
      schema: {
        tags,
        summary: 'Shows an operation log',
        params: showParams,
        response: { 200: z.object({ operation_log: wireOperationSchema }) },
      },
      handler: async (request) => {
        const { project, operation_log_id: id } = request.params as z.infer<typeof showParams>
        checkProject(project, request.caller)
        if (!isUuidLike(id)) throw new Refusal(400, 'Invalid operation log id provided.')
        const operation = await operations.get(id, project)
        if (operation === undefined) throw notFound(id)
        return { operation_log: wireOperation(operation) }
      },
    })
  }
}

function checkProject(project: string, caller: Caller): void {
  if (caller.project !== project) throw new Refusal(400, 'Malformed request url')
}

const notFound = (id: string): Refusal => new Refusal(404, `Operation log ${id} could not be found.`)

/** In any spelling: with a prefix, in braces, in capitals, without dashes. */
const isUuidLike = (id: string): boolean =>
  /^[\da-f]{32}$/i.test(
    id
      .replace('urn:', '')
      .replace('uuid:', '')
      .replaceAll(/^[{}]+|[{}]+$/g, '')
      .replaceAll('-', ''),
  )

/** Without the question mark. */
function queryOf(url: string): string {
  const mark = url.indexOf('?')
  return mark === -1 ? '' : url.slice(mark + 1)
}

function nextLink(
  context: ServiceContext,
  request: FastifyRequest,
  asked: URLSearchParams,
  marker: string,
): { rel: 'next'; href: string } {
  const parameters = new URLSearchParams(asked)
  parameters.delete('offset')
  parameters.set('marker', marker)
  const project = encodeURIComponent(request.caller.project ?? '')
  const path = `/v1/${project}/operation_logs?${parameters.toString()}`
  return { rel: 'next', href: absoluteUrl(context, request, path) }
}
