import { Readable } from 'node:stream'
import { compressed } from './content-coding.ts'
import { expired } from './object-headers.ts'

/** The head of a listing, of a directory or of versions. */
export const documentHeaders = (gzip: boolean): string[] => [
  'Cache-Control',
  'no-cache',
  ...expired,
  'Content-Type',
  'text/xml',
  ...(gzip ? ['Content-Encoding', 'gzip'] : []),
]

/** A document that is made as it is sent: one piece ahead of the client, and no more. */
export function documentBody(
  pieces: Iterable<Buffer> | AsyncIterable<Buffer>,
  gzip: boolean,
): Buffer | Readable {
  const body = Readable.from(pieces, { objectMode: false, highWaterMark: 65_536 })
  return gzip ? compressed(body) : body
}
