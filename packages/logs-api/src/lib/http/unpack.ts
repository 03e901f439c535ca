import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { FastifyRequest } from 'fastify'
import { Refusal } from './refusal.ts'

/**
 * The body of a request as it was before it was packed with gzip.
 *
 * @param payload As a content type parser gets it.
 * @param limit Bytes at most, packed and unpacked; beyond them the stream fails with a Refusal of 413.
 * @throws {Refusal} 415 if it is packed otherwise. The stream fails with a Refusal of 400 if it cannot be unpacked.
 */
export function unpacked(request: FastifyRequest, payload: Readable, limit: number): Readable {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  // The request outlives its body: it still has to be answered.
  const packed = limited(payload.iterator({ destroyOnReturn: false }), limit)
  if (encoding === 'identity' || encoding === '') return streamed(packed)
  if (encoding !== 'gzip' && encoding !== 'x-gzip') {
    throw new Refusal(415, 'Pack the body with gzip, or not at all.', {
      headers: { 'accept-encoding': 'gzip' },
    })
  }
  const gunzip = createGunzip()
  gunzip.on('error', () => {})
  pipeline(packed, gunzip, () => {})
  return streamed(limited(gunzip, limit))
}

/** Fails for whoever reads it; when nobody does (any more), its errors end no process. */
export function streamed(pieces: AsyncIterable<Uint8Array>): Readable {
  return Readable.from(pieces, { objectMode: false }).on('error', () => {})
}

async function* limited(pieces: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Uint8Array> {
  let size = 0
  try {
    for await (const piece of pieces) {
      size += piece.length
      if (size > limit) throw new Refusal(413, `The body is larger than ${limit} bytes.`)
      yield piece
    }
  } catch (error) {
    if (!isZlibError(error)) throw error
    throw new Refusal(400, 'The body is not packed by gzip, or not whole.', { cause: error })
  }
}

function isZlibError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')
}
