import type { Readable } from 'node:stream'
import { pipeline, Readable as Source } from 'node:stream'
import { createGunzip, createGzip, gzipSync } from 'node:zlib'
import type { Exchange } from './answer.ts'
import type { Choices } from './choices.ts'
import { Refusal } from './refusal.ts'

/** Whether an answer is to be compressed; 406 where the client takes nothing that HCP has. */
export function acceptsGzip(header: string | undefined, choices: Choices): boolean {
  if (header === undefined || header.trim() === '') return false
  const accepted = header
    .toLowerCase()
    .split(',')
    .filter((item) => !/;\s*q\s*=\s*0(\.0*)?\s*$/.test(item))
    .map((item) => item.split(';')[0]!.trim())
  if (accepted.includes('gzip') || accepted.includes('*')) return true
  if (accepted.includes('identity') && choices.identityEncoding === 'plain') return false
  throw new Refusal(406, 'The only Accept-Encoding is gzip.')
}

export function compressed(body: Buffer | Readable): Buffer | Readable {
  if (Buffer.isBuffer(body)) return gzipSync(body)
  const gzip = createGzip()
  pipeline(body, gzip, () => {})
  return gzip
}

/** Whether a request's body is compressed; 415 where it is so in another way. */
export function isGzip({ headers }: Exchange): boolean {
  const encoding = headers['content-encoding']?.trim().toLowerCase()
  if (encoding === undefined || encoding === '' || encoding === 'identity') return false
  if (encoding !== 'gzip') throw new Refusal(415, 'The only Content-Encoding is gzip.')
  return true
}

/** A body as it is stored; 400 if it is not gzip, or not all of it. */
export async function* gunzipped(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip()
  pipeline(Source.from(source), gunzip, () => {})
  try {
    yield* gunzip
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    throw code.startsWith('Z_') ? new Refusal(400, 'The content is not gzip, as announced.') : error
  }
}
