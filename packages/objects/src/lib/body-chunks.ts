import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type Body, type BodyContent, FileBody } from '@hcp/connection'

/** Pieces handed on at a time of what is in memory as a whole. */
const pieceSize = 256 * 1024

/** Bytes of a body, as far as that can be known before it is opened. */
export async function bodySize(
  body: Body | null | undefined,
  size: number | undefined,
): Promise<number | undefined> {
  if (size !== undefined) return size
  if (body === undefined || body === null) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  if (body instanceof Uint8Array || body instanceof ArrayBuffer) return body.byteLength
  if (body instanceof Blob) return body.size
  if (body instanceof URLSearchParams) return Buffer.byteLength(body.toString())
  if (body instanceof FileBody) {
    const length = (await stat(body.path)).size
    return (body.end === undefined ? length : body.end + 1) - body.start
  }
  return undefined
}

/** Whether a body can be sent only once. */
const isOnce = (body: Body): boolean =>
  typeof body === 'object' &&
  !(
    body instanceof Uint8Array ||
    body instanceof ArrayBuffer ||
    body instanceof Blob ||
    body instanceof URLSearchParams ||
    body instanceof FileBody
  )

/**
 * A body whose pieces pass through `through` on their way, each time that it is opened; as repeatable as the one given. Strings come
 * as their bytes.
 */
export function pipedBody(
  body: Body,
  through: (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): Body {
  if (isOnce(body)) return through(chunksOf(body as BodyContent))
  return async () => through(chunksOf(typeof body === 'function' ? await body() : body))
}

function inMemory(content: BodyContent): Uint8Array | undefined {
  if (typeof content === 'string') return Buffer.from(content)
  if (content instanceof URLSearchParams) return Buffer.from(content.toString())
  if (content instanceof ArrayBuffer) return new Uint8Array(content)
  return content instanceof Uint8Array ? content : undefined
}

async function* chunksOf(content: BodyContent): AsyncGenerator<Uint8Array, void> {
  const whole = inMemory(content)
  if (whole !== undefined) {
    for (let at = 0; at < whole.byteLength; at += pieceSize) yield whole.subarray(at, at + pieceSize)
    return
  }
  const { start, end, path } = content instanceof FileBody ? content : ({} as Partial<FileBody>)
  const source: unknown =
    path !== undefined
      ? createReadStream(path, {
          ...(end === undefined ? {} : { end }),
          start: start ?? 0,
          highWaterMark: pieceSize,
        })
      : content instanceof Blob
        ? content.stream()
        : content
  for await (const chunk of source as AsyncIterable<Uint8Array | string>)
    yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
}
