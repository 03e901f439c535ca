import { pipeline, type Readable } from 'node:stream'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ServiceContext } from '../http/context.ts'
import type { SystemOptions } from '../http/options.ts'
import { Refusal } from '../http/refusal.ts'
import { nowMicroseconds } from '../time.ts'
import { exportOf, systemOf } from './access.ts'
import { ArchiveGoneError, fileName } from './archives.ts'
import { extentOf, Measure, namesEtag, wantsZip } from './content.ts'
import { exportBodySchema, exportRequest, invalid } from './export-request.ts'
import { archiveOf, errorOf, exportTask, type ExportRow, isActive } from './export-task.ts'
import type { Exports } from './exports.ts'

const base = '/v1/:project/physicalservers/:server/logs/exports'
const tags = ['Exports of logs']
const serverParams = z.object({ project: z.string(), server: z.string() })
const exportParams = serverParams.extend({ export_id: z.string() })

export const exportTaskSchema: z.ZodType = z.object({
  export_id: z.string(),
  status: z.enum(['processing', 'completed', 'failed', 'cancelled', 'expired']),
  percentage: z.string().describe('0% to 100%'),
  progress: z.int().describe('The same as a number'),
  created_at: z.string(),
  error: z.object({ error_code: z.string(), error_msg: z.string() }).optional(),
})

/** API C: exports of the internal logs of HCP systems, at the paths and with the shapes of Huawei Cloud's CloudDC. */
export function exportRoutes(context: ServiceContext, exports: Exports): FastifyPluginAsync {
  const { linkBase, maxPage } = context
  const retryAfter = String(Math.max(1, Math.ceil(exports.pollInterval / 1000)))
  const limitError = `limit must be a whole number from 1 to ${maxPage}`

  return async (instance) => {
    const app = instance.withTypeProvider<ZodTypeProvider>()

    app.route({
      method: 'POST',
      url: base,
      schema: {
        tags,
        summary: 'Starts an export',
        params: serverParams,
        body: exportBodySchema,
        response: { 202: exportTaskSchema },
      },
      handler: async (request, reply) => {
        const { params, caller, identity } = request
        const system = systemOf(exports, caller, params)
        const wanted = exportRequest(request.body, identity?.claimedAt ?? nowMicroseconds())
        const row = await exports.create(system, wanted, caller, identity)
        const path = [params.project, 'physicalservers', params.server, 'logs', 'exports', row.id]
        return reply
          .code(202)
          .header(
            'location',
            `${(linkBase ?? '').replace(/\/+$/, '')}/v1/${path.map((part) => encodeURIComponent(part)).join('/')}`,
          )
          .header('retry-after', retryAfter)
          .send(exportTask(row))
      },
    })

    app.route({
      method: 'GET',
      url: base,
      schema: {
        tags,
        summary: 'Lists exports, newest first',
        params: serverParams,
        querystring: z.object({
          limit: z
            .string({ error: limitError })
            .regex(/^\d{1,9}$/, { error: limitError })
            .transform(Number)
            .refine((limit) => limit > 0, { error: limitError })
            .optional()
            .describe(`At most this many; more than ${maxPage} are never given`),
          marker: z
            .string({ error: 'marker must be the id of an export' })
            .optional()
            .describe('The last export of the page before'),
        }),
        response: { 200: z.object({ exports: z.array(exportTaskSchema) }) as z.ZodType },
      },
      handler: async ({ params, query, caller }) => {
        const system = systemOf(exports, caller, params)
        const { limit = maxPage, marker } = query
        const rows = await exports.store.list({
          project: system.project,
          system: system.id,
          after: marker === undefined ? undefined : await markerOf(exports, system, marker),
          limit: Math.min(limit, maxPage),
        })
        return { exports: rows.map((row) => exportTask(row)) }
      },
    })

    app.route({
      method: 'GET',
      url: `${base}/:export_id`,
      schema: {
        tags,
        summary: 'Tells how far an export is',
        params: exportParams,
        response: { 200: exportTaskSchema },
      },
      handler: async ({ params, caller }, reply) => {
        const system = systemOf(exports, caller, params)
        const row = await exportOf(exports, system, params.export_id)
        if (isActive(row)) reply.header('retry-after', retryAfter)
        return exportTask(row)
      },
    })

    app.route({
      method: 'DELETE',
      url: `${base}/:export_id`,
      schema: {
        tags,
        summary: 'Cancels an export; of a completed one, removes the archive',
        params: exportParams,
        response: { 204: z.undefined() },
      },
      handler: async ({ params, caller }, reply) => {
        const system = systemOf(exports, caller, params)
        await exports.cancel(await exportOf(exports, system, params.export_id), caller)
        return reply.code(204).send()
      },
    })

    app.route({
      method: 'GET',
      url: `${base}/:export_id/content`,
      schema: {
        tags,
        summary: 'Downloads the archive: a tar.gz, or with Accept: application/zip a ZIP',
        params: exportParams,
        response: { 200: z.string().describe('The archive') },
      },
      handler: async (request, reply) => {
        const { params, caller } = request
        const system = systemOf(exports, caller, params)
        const row = await exportOf(exports, system, params.export_id)
        refuseUnfinished(row, retryAfter)
        return sendArchive(exports, row, system, request, reply)
      },
    })
  }
}

async function markerOf(exports: Exports, system: SystemOptions, marker: string): Promise<ExportRow> {
  const row = await exports.store.get(marker)
  if (row === undefined || row.system_id !== system.id || row.project_id !== system.project)
    throw invalid('marker must be the id of an export of this server')
  return row
}

function refuseUnfinished(row: ExportRow, retryAfter: string): void {
  switch (row.state) {
    case 'completed':
      if ((row.expires_at ?? Infinity) > nowMicroseconds()) return
      throw expired()
    case 'expired':
      throw expired()
    case 'failed': {
      const cause = errorOf(row)?.error_msg ?? 'The cause is not known.'
      throw new Refusal(409, `The export failed, so there is no archive. ${cause}`, { code: 'HcpLogs.0411' })
    }
    case 'cancelled':
      throw new Refusal(409, 'The export was cancelled, so there is no archive. Start a new one.', {
        code: 'HcpLogs.0411',
      })
    default:
      throw new Refusal(409, `The archive is not ready yet (${row.percentage}%). Ask again later.`, {
        code: 'HcpLogs.0409',
        headers: { 'retry-after': retryAfter },
      })
  }
}

function expired(): Refusal {
  return new Refusal(410, 'The archive has expired or was removed. Start a new export.', {
    code: 'HcpLogs.0410',
  })
}

async function sendArchive(
  exports: Exports,
  row: ExportRow,
  { serial }: SystemOptions,
  { headers }: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const archive = archiveOf(row)
  if (archive === undefined) throw expired()
  const zip = wantsZip(headers.accept)
  const file = zip ? archive.zip : archive.tar
  const etag = `"${file.sha256}"`
  reply.headers({
    etag,
    'accept-ranges': 'bytes',
    'cache-control': 'private, no-transform',
    vary: 'Accept',
  })
  if (headers['if-match'] !== undefined && !namesEtag(headers['if-match'], etag))
    throw new Refusal(412, 'The archive is not the one that If-Match names.')
  if (namesEtag(headers['if-none-match'], etag)) return reply.code(304).send()
  const condition = headers['if-range']
  const range = condition === undefined || condition.toString() === etag ? headers.range : undefined
  const part = extentOf(range, file.size)
  if (part === 'unsatisfiable') {
    throw new Refusal(416, `The archive has ${file.size} bytes; the range begins behind them.`, {
      headers: { 'content-range': `bytes */${file.size}` },
    })
  }
  const extent = part ?? { start: 0, end: file.size - 1 }
  const length = extent.end - extent.start + 1
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  const source = await openArchive(exports, archive.place, file, extent, gone.signal)
  const measure = new Measure(length)
  pipeline(source, measure, () => {})
  if (part !== undefined)
    reply.code(206).header('content-range', `bytes ${extent.start}-${extent.end}/${file.size}`)
  return reply
    .headers({
      'content-type': 'application/octet-stream;charset=UTF-8',
      'content-disposition': `attachment; filename=${fileName(serial, zip ? 'zip' : 'tar.gz')}`,
      'content-transfer-encoding': 'binary',
      'content-length': length,
    })
    .send(measure)
}

async function openArchive(
  exports: Exports,
  ...[place, file, extent, signal]: Parameters<Awaited<ReturnType<Exports['archives']>>['open']>
): Promise<Readable> {
  try {
    return await (await exports.archives()).open(place, file, extent, signal)
  } catch (error) {
    if (error instanceof ArchiveGoneError)
      throw new Refusal(410, `${error.message} Start a new export.`, { code: 'HcpLogs.0410', cause: error })
    throw new Refusal(503, 'The archive cannot be read at the moment. Try again later.', {
      headers: { 'retry-after': '5' },
      cause: error,
    })
  }
}
