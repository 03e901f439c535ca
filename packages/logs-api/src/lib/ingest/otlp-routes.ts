import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { NewEntry } from '../entries/entry.ts'
import type { ServiceContext } from '../http/context.ts'
import { parseJson } from '../http/json-body.ts'
import { Refusal } from '../http/refusal.ts'
import { unpacked } from '../http/unpack.ts'
import { otlpEntries } from './otlp-entries.ts'
import { readJsonLogs } from './otlp-json.ts'
import { readProtobufLogs } from './otlp-protobuf.ts'
import { mediaType, protobufType } from './media-type.ts'
import type { OtlpResource } from './otlp.ts'
import { newWriter } from './protobuf.ts'
import { WriteRights } from './write-rights.ts'

/** Bytes, packed and unpacked. */
const maxBody = 20 * 1024 * 1024

const answerSchema = z.object({
  partialSuccess: z
    .object({ rejectedLogRecords: z.string(), errorMessage: z.string() })
    .optional()
    .describe('There when records were refused: they are not to be sent again'),
})

/** `POST /v1/logs`: log records by OTLP/HTTP, in protobuf or JSON. */
export function otlpRoutes(context: ServiceContext): FastifyPluginAsync {
  return async (plain) => {
    const app = plain.withTypeProvider<ZodTypeProvider>()
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', async (request: FastifyRequest, payload: Readable) => {
      checkType(request)
      return await buffer(unpacked(request, payload, maxBody))
    })
    app.route({
      method: 'POST',
      url: '/v1/logs',
      schema: {
        summary: 'Store log records that come by OTLP/HTTP',
        description:
          'ExportLogsServiceRequest in application/x-protobuf or application/json, packed with gzip or not, 20 MiB at most. hcp.dataset_id or service.name of the resource becomes dataset_id, hcp.task_id or service.instance.id task_id, log.iostream or the name of the scope name, the body data.',
        tags: ['Entries'],
        response: { 200: answerSchema },
      },
      handler: async (request, reply) => {
        checkType(request)
        const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0)
        const isProtobuf = mediaType(request.headers['content-type']) === protobufType
        const resources = isProtobuf ? readProtobufLogs(body) : readJsonLogs(parseJson(body))
        const refused = await store(context, request, resources)
        // Not by the schema: protobuf is bytes.
        if (isProtobuf) return await reply.type(protobufType).send(protobufAnswer(refused) as never)
        return await reply.type('application/json').send(jsonAnswer(refused))
      },
    })
  }
}

/** The type of the request is that of the answer, so there is none for others. */
function checkType(request: FastifyRequest): void {
  const type = mediaType(request.headers['content-type'])
  if (type === protobufType || type === 'application/json') return
  throw new Refusal(415, `Send log records as ${protobufType} or application/json.`)
}

interface Refused {
  count: number
  readonly messages: Set<string>
}

/** Different messages of one answer. */
const maxMessages = 10

async function store(
  context: ServiceContext,
  request: FastifyRequest,
  resources: readonly OtlpResource[],
): Promise<Refused> {
  const { identity, caller } = request
  const rights = new WriteRights(context.rights, caller)
  const refused: Refused = { count: 0, messages: new Set() }
  const accepted: NewEntry[] = []
  for (const entry of otlpEntries(resources, (index) => identity?.entryId(index))) {
    const answer = entry instanceof Refusal ? entry.message : rights.refusal(entry.dataset_id)
    const refusal = answer instanceof Promise ? await answer : answer
    if (refusal === undefined) {
      accepted.push(entry as NewEntry)
    } else {
      refused.count++
      if (refused.messages.size < maxMessages) refused.messages.add(refusal)
    }
  }
  // In one transaction: who gets an error sends all of them again.
  if (accepted.length > 0) await context.entries.addAll(accepted)
  return refused
}

function jsonAnswer({ count, messages }: Refused): z.input<typeof answerSchema> {
  if (count === 0) return {}
  return { partialSuccess: { rejectedLogRecords: String(count), errorMessage: [...messages].join(' ') } }
}

/** ExportLogsServiceResponse: `partial_success` (1) with `rejected_log_records` (1) and `error_message` (2). */
function protobufAnswer({ count, messages }: Refused): Buffer {
  const writer = newWriter()
  if (count > 0) {
    writer
      .uint32(0x0a)
      .fork()
      .uint32(0x08)
      .int64(count)
      .uint32(0x12)
      .string([...messages].join(' '))
      .ldelim()
  }
  return Buffer.from(writer.finish())
}
