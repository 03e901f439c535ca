import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { openCursor, sealCursor } from '../entries/cursor.ts'
import type { Caller, ServiceContext } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import type { ExportState } from '../store/schema.ts'
import { formatTime } from '../time.ts'
import { hasAllProjects } from './access.ts'
import { activeStates, archiveOf, exportTask, type ExportRow, isActive, requestOf } from './export-task.ts'
import type { Exports } from './exports.ts'
import { exportTaskSchema } from './routes.ts'

const tags = ['Exports of logs']
const statuses = ['processing', 'completed', 'failed', 'cancelled', 'expired'] as const
/** Milliseconds between looks for changes, which any process may make. */
const lookInterval = 500
const pingInterval = 15_000

/** The answer is a stream. */
const eventStream: z.ZodType = z.string().describe('Events: progress, ping, end')
const exportParams = z.object({ export_id: z.string() })

/** `/v2/exports`: the exports of all servers, and their progress as events. */
export function exportV2Routes(context: ServiceContext, exports: Exports): FastifyPluginAsync {
  const { cursorSecret, maxPage, stopping } = context
  const most = Math.min(1000, maxPage)
  const limitError = `limit must be a whole number from 1 to ${most}.`
  const text = (name: string) =>
    z
      .string({ error: `${name} can be given once only.` })
      .min(1)
      .optional()

  return async (instance) => {
    const app = instance.withTypeProvider<ZodTypeProvider>()

    app.route({
      method: 'GET',
      url: '/v2/exports',
      schema: {
        tags,
        summary: 'Lists exports of all servers, newest first',
        querystring: z.object({
          project: text('project').describe('Of this project; for admin and system'),
          system: text('system').describe('Of this HCP system'),
          status: z.enum(statuses, { error: `status must be one of ${statuses.join(', ')}.` }).optional(),
          limit: z
            .string({ error: limitError })
            .regex(/^\d{1,4}$/, { error: limitError })
            .transform(Number)
            .refine((limit) => limit >= 1 && limit <= most, { error: limitError })
            .optional()
            .describe(`Exports of a page, 1 to ${most}; 100 if left out`),
          cursor: z
            .string({ error: 'cursor can be given once only.' })
            .optional()
            .describe('next_cursor of the page before; all parameters but limit must be the same again'),
        }),
        response: {
          200: z.object({
            exports: z.array(exportTaskSchema),
            next_cursor: z.string().nullable(),
          }) as z.ZodType,
        },
      },
      handler: async ({ query, caller }) => {
        const { project, system, status, limit = Math.min(100, most), cursor } = query
        const wanted = projectOf(caller, project)
        const scope = JSON.stringify(['/v2/exports', wanted, system, status])
        const after =
          cursor === undefined
            ? undefined
            : (openCursor(cursorSecret, scope, cursor) as { created_at: number; id: string })
        const rows = await exports.store.list({
          project: wanted,
          system,
          states: statesOf(status),
          after,
          limit: limit + 1,
        })
        const page = rows.slice(0, limit)
        const last = page.at(-1)
        return {
          exports: page.map((row) => wireExport(row)),
          next_cursor:
            rows.length > limit && last !== undefined
              ? sealCursor(cursorSecret, scope, { created_at: last.created_at, id: last.id })
              : null,
        }
      },
    })

    app.route({
      method: 'GET',
      url: '/v2/exports/:export_id',
      schema: { tags, summary: 'Shows an export', params: exportParams, response: { 200: exportTaskSchema } },
      handler: async ({ params, caller }) => wireExport(await exportFor(exports, caller, params.export_id)),
    })

    app.route({
      method: 'GET',
      url: '/v2/exports/:export_id/events',
      schema: {
        tags,
        summary: 'Tells the progress of an export as server-sent events: progress, ping, and end',
        params: exportParams,
        response: { 200: eventStream },
      },
      handler: async ({ params, caller }, reply) => {
        const row = await exportFor(exports, caller, params.export_id)
        const gone = new AbortController()
        reply.raw.once('close', () => gone.abort())
        const events = eventsOf(exports, row, AbortSignal.any([stopping, gone.signal]))
        return reply
          .headers({
            'content-type': 'text/event-stream; charset=utf-8',
            'cache-control': 'no-store, no-transform',
            'x-accel-buffering': 'no',
          })
          .send(Readable.from(events, { objectMode: false, highWaterMark: 0 }))
      },
    })
  }
}

/** Undefined: all projects. @throws {Refusal} 403 for another project than the token's. */
function projectOf(caller: Caller, wanted: string | undefined): string | undefined {
  if (hasAllProjects(caller)) return wanted
  if (caller.project === undefined)
    throw new Refusal(403, 'Your token names no project, and exports belong to projects.')
  if (wanted !== undefined && wanted !== caller.project)
    throw new Refusal(403, 'Your token allows the exports of its own project only.')
  return caller.project
}

function statesOf(status: (typeof statuses)[number] | undefined): readonly ExportState[] | undefined {
  if (status === undefined) return undefined
  return status === 'processing' ? activeStates : [status]
}

async function exportFor(exports: Exports, caller: Caller, id: string): Promise<ExportRow> {
  const row = await exports.store.get(id)
  if (row === undefined || !(hasAllProjects(caller) || row.project_id === caller.project))
    throw new Refusal(404, `There is no export ${id}.`)
  return row
}

/** The task, and what only /v2 tells. */
function wireExport(row: ExportRow): Record<string, unknown> {
  const archive = archiveOf(row)
  const { project_id, system_id, state, operation_id, updated_at, expires_at } = row
  return {
    ...exportTask(row),
    project_id,
    system_id,
    state,
    operation_id,
    request: requestOf(row),
    updated_at: formatTime(updated_at),
    expires_at: expires_at === null ? null : formatTime(expires_at),
    archive:
      state === 'completed' && archive !== undefined
        ? {
            tar: { size: archive.tar.size, sha256: archive.tar.sha256 },
            zip: { size: archive.zip.size, sha256: archive.zip.sha256 },
          }
        : null,
  }
}

/** The progress now and at each change, until the export is at its end. */
async function* eventsOf(
  exports: Exports,
  first: ExportRow,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  let row: ExportRow | undefined = first
  let told = ''
  let spoke = performance.now()
  while (row !== undefined) {
    const data = JSON.stringify(exportTask(row))
    if (data !== told) {
      yield `event: progress\nid: ${row.updated_at}\ndata: ${data}\n\n`
      told = data
      spoke = performance.now()
    }
    if (!isActive(row)) {
      yield `event: end\ndata: ${data}\n\n`
      return
    }
    if (performance.now() - spoke >= pingInterval) {
      yield 'event: ping\ndata: {}\n\n'
      spoke = performance.now()
    }
    await pause(lookInterval, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    row = await exports.store.get(first.id)
  }
}
