import { bodySource, discardBody, type Body, type BodySource } from './body.ts'
import { Call } from './call.ts'
import { RunningHash } from './hash.ts'

/**
 * Reads a body once more to hash it.
 *
 * @param limit Only this many bytes of it.
 * @returns `undefined` where it cannot be read again or the algorithm is not known.
 * @throws what the source throws, or the reason of the call's end.
 */
export async function contentHash(
  source: BodySource | undefined,
  scheme: string,
  call: Call,
  limit: number = Number.POSITIVE_INFINITY,
): Promise<{ readonly hex: string; readonly size: number } | undefined> {
  if (source !== undefined && !source.replayable) return undefined
  const hash = new RunningHash([scheme])
  const add = (chunk: Uint8Array | string): void => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (hash.size < limit) hash.update(bytes.subarray(0, Math.min(bytes.byteLength, limit - hash.size)))
  }
  const opening = source?.open()
  const opened = opening instanceof Promise ? await call.orAborted(opening) : opening
  const content = opened?.content ?? null
  if (content instanceof Uint8Array) add(content)
  else if (content !== null) {
    const read = async (): Promise<void> => {
      for await (const chunk of content) {
        if (call.aborted) throw call.reason
        add(chunk as Uint8Array | string)
        // A source may linger after its last announced byte.
        if (hash.size >= Math.min(limit, opened?.size ?? Number.POSITIVE_INFINITY)) return
      }
    }
    try {
      await call.orAborted(read())
    } catch (error) {
      discardBody(source, opened)
      throw error
    }
  }
  const hex = hash.hex(scheme)
  return hex === undefined ? undefined : { hex, size: hash.size }
}

/**
 * Hashes a body as a request would send it.
 *
 * @param scheme HCP's name of the algorithm, for example `SHA-256`. @param size As in a request's options.
 * @returns Lower-case hex and bytes; `undefined` where the body can be read only once or the algorithm is not known.
 * @throws what the body's source throws, or the signal's reason.
 */
export async function bodyHash(
  body: Body | null | undefined,
  scheme: string,
  options: { readonly size?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly hex: string; readonly size: number } | undefined> {
  options.signal?.throwIfAborted()
  const call = new Call('PUT', '', options.signal, undefined, () => {})
  try {
    return await contentHash(bodySource(body, options.size), scheme, call)
  } finally {
    call.end()
  }
}
