import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type Body, type BodyContent, FileBody, HcpBodyError } from '@hcp/connection'
import { bodySource } from '@hcp/connection/support'

/** Pieces handed on at a time of what is in memory as a whole. */
const pieceSize = 256 * 1024

/**
 * Bytes of a body, as far as that can be known before it is opened.
 *
 * @throws {TypeError | RangeError} for what cannot be a body, or has another size. @throws {HcpBodyError} if there is no such file.
 */
export async function bodySize(
  body: Body | null | undefined,
  size: number | undefined,
): Promise<number | undefined> {
  bodySource(body, size)
  if (size !== undefined) return size
  if (body === undefined || body === null) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  if (body instanceof Uint8Array || body instanceof ArrayBuffer) return body.byteLength
  if (body instanceof Blob) return body.size
  if (body instanceof URLSearchParams) return Buffer.byteLength(body.toString())
  if (body instanceof FileBody) {
    const { path, start, end } = body
    const { size: length } = await stat(path).catch((cause: unknown) => {
      throw new HcpBodyError(`The body could not be opened: ${(cause as Error).message}`, { cause })
    })
    return Math.max(0, (end === undefined ? length : end + 1) - start)
  }
  return undefined
}

/**
 * A body whose pieces pass through `through` on their way, each time that it is opened; as repeatable as the one given. Strings come
 * as their bytes.
 */
export function pipedBody(
  body: Body,
  through: (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): Body {
  if (bodySource(body, undefined)?.replayable === false) return through(chunksOf(body as BodyContent))
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
