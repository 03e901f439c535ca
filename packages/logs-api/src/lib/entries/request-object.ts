import type { FastifyRequest } from 'fastify'
import { parseJson } from '../http/json-body.ts'
import { Refusal } from '../http/refusal.ts'

/** Bytes; it holds a few parameters. */
const limit = 1_048_576

/**
 * The JSON object that came as the body of a GET, which Fastify does not read. Undefined: there was no body.
 *
 * @throws {Refusal} 400 if it is anything else than a JSON object in UTF-8, 413 if it is larger than 1 MiB.
 */
export async function requestObject(
  request: FastifyRequest,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge()
  for await (const chunk of request.raw.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk)
    length += chunk.length
    if (length > limit) throw tooLarge()
  }
  if (length === 0) return undefined
  const value = parseJson(Buffer.concat(chunks))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal(400, 'The body of this request must be a JSON object or left out.')
  }
  return value as Record<string, unknown>
}

function tooLarge(): Refusal {
  // The rest of the body is not read, so the connection cannot serve another request.
  return new Refusal(413, 'The body of this request is larger than 1 MiB.', {
    headers: { connection: 'close' },
  })
}
