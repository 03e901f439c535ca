import { open, type FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { checkInteger, checkOptions, checkString } from './arguments.ts'

/** Bodies that are whole in memory or can be opened again, and streams, which can be sent once only. */
export type BodyContent =
  | string
  | Uint8Array
  | ArrayBuffer
  | Blob
  | FileBody
  | URLSearchParams
  | Readable
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array | string>
  | Iterable<Uint8Array | string>

/**
 * What a request sends. Text goes out as UTF-8, `URLSearchParams` as a form. A function opens the body anew for every try, so that a request with a
 * stream can be repeated; a stream or iterable given directly is sent at most once.
 */
export type Body = BodyContent | (() => BodyContent | Promise<BodyContent>)

/** A file, or a part of one, as a body: opened for each try, read in large pieces, its length announced. */
export class FileBody {
  readonly path: string
  /** First byte to send. */
  readonly start: number
  /** Last byte to send, included; `undefined` for the end of the file. */
  readonly end: number | undefined

  /** @param options `start` and `end`, byte offsets, both included. Default: the whole file. */
  constructor(path: string, options: { readonly start?: number; readonly end?: number } = {}) {
    this.path = checkString('path', path)
    checkOptions('FileBody', options, new Set(['start', 'end']))
    this.start = checkInteger('start (bytes)', options.start ?? 0, 0, Number.MAX_SAFE_INTEGER)
    this.end =
      options.end === undefined
        ? undefined
        : checkInteger('end (bytes)', options.end, this.start, Number.MAX_SAFE_INTEGER)
  }
}

/** A body made ready for one try. */
export interface OpenBody {
  readonly content: Uint8Array | Readable | AsyncIterable<Uint8Array | string> | null
  /** Bytes to announce; `undefined` sends chunked. */
  readonly size: number | undefined
}

/** A body in the form that tries are made from. */
export interface BodySource {
  /** Whether `open` may be called again after its content was, or may have been, read. */
  readonly replayable: boolean
  /** The body, if it is whole in memory as it is. */
  readonly bytes?: Uint8Array
  /** Synchronous for bodies in memory: the usual small request waits for nothing. */
  open(): OpenBody | Promise<OpenBody>
  /** The source's own error in this try, if that is what failed. */
  fault(): Error | undefined
}

const isBytes = (value: unknown): value is Uint8Array | ArrayBuffer =>
  value instanceof Uint8Array || value instanceof ArrayBuffer

const asBytes = (value: string | Uint8Array | ArrayBuffer): Uint8Array =>
  typeof value === 'string' ? Buffer.from(value) : value instanceof Uint8Array ? value : new Uint8Array(value)

const isIterable = (
  value: unknown,
): value is AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string> =>
  typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)

/**
 * Makes a source of what the caller gave.
 *
 * @param size Bytes to announce for streams, iterables and functions; it must agree with bodies whose size is known.
 * @throws {TypeError | RangeError} for what cannot be a body.
 */
export function bodySource(body: unknown, size: number | undefined): BodySource | undefined {
  if (size !== undefined) checkInteger('size (bytes)', size, 0, Number.MAX_SAFE_INTEGER)
  if (body === undefined || body === null) {
    if (size !== undefined && size > 0) throw new TypeError(`size says ${size} bytes, but there is no body`)
    return undefined
  }
  if (typeof body === 'string' || isBytes(body)) {
    const bytes = asBytes(body)
    if (size !== undefined && size !== bytes.byteLength) {
      throw new RangeError(`size says ${size} bytes, but the body has ${bytes.byteLength}`)
    }
    const opened: OpenBody = { content: bytes, size: bytes.byteLength }
    return { replayable: true, bytes, open: () => opened, fault: () => undefined }
  }
  if (body instanceof URLSearchParams) return bodySource(body.toString(), size)
  if (typeof body === 'function') return new StreamSource(body as () => BodyContent, size, true)
  if (body instanceof Blob || body instanceof FileBody) return new StreamSource(() => body, size, true)
  if (body instanceof Readable) {
    if (body.destroyed || body.readableEnded || body.readableDidRead) {
      throw new TypeError(
        'body is a stream that was read or closed before; give a function that opens it anew',
      )
    }
    return new StreamSource(() => body, size, false)
  }
  if (body instanceof ReadableStream) {
    if (body.locked)
      throw new TypeError('body is a stream that somebody else reads; give a function that opens it anew')
    return new StreamSource(() => body, size, false)
  }
  if (isIterable(body)) return new StreamSource(() => body as BodyContent, size, false)
  throw new TypeError(
    'body must be a string, bytes, Blob, FileBody, stream, iterable of bytes, or a function that opens one of these',
  )
}

class StreamSource implements BodySource {
  readonly replayable: boolean
  readonly #make: () => BodyContent | Promise<BodyContent>
  readonly #size: number | undefined
  #fault: Error | undefined

  constructor(make: () => BodyContent | Promise<BodyContent>, size: number | undefined, replayable: boolean) {
    this.#make = make
    this.#size = size
    this.replayable = replayable
  }

  fault(): Error | undefined {
    return this.#fault
  }

  async open(): Promise<OpenBody> {
    this.#fault = undefined
    try {
      return await this.#open(await this.#make())
    } catch (error) {
      this.#fault = error instanceof Error ? error : new Error(String(error))
      throw this.#fault
    }
  }

  async #open(content: BodyContent): Promise<OpenBody> {
    const announced = this.#size
    const agreed = (size: number): number => {
      if (announced !== undefined && announced !== size) {
        throw new RangeError(`size says ${announced} bytes, but the body has ${size}`)
      }
      return size
    }
    if (typeof content === 'string' || isBytes(content)) {
      const bytes = asBytes(content)
      return { content: bytes, size: agreed(bytes.byteLength) }
    }
    if (content instanceof URLSearchParams) return this.#open(content.toString())
    if (content instanceof FileBody) {
      const file = await open(content.path)
      let length: number
      try {
        length = agreed(await fileLength(file, content))
      } catch (error) {
        await file.close()
        throw error
      }
      if (length === 0) {
        await file.close()
        return { content: new Uint8Array(), size: 0 }
      }
      const stream = file.createReadStream({
        start: content.start,
        end: content.start + length - 1,
        highWaterMark: 256 * 1024,
      })
      return { content: this.#watch(stream), size: length }
    }
    if (content instanceof Blob) {
      const size = agreed(content.size)
      return { content: this.#each(content.stream() as AsyncIterable<Uint8Array>), size }
    }
    if (content instanceof Readable) return { content: this.#watch(content), size: announced }
    if (isIterable(content)) return { content: this.#each(content), size: announced }
    throw new TypeError(
      'the function given as body must return a string, bytes, Blob, FileBody, stream or iterable',
    )
  }

  /** Remembers an error of the caller's stream, to tell it from one of the network. */
  #watch(stream: Readable): Readable {
    stream.once('error', (error: Error) => {
      this.#fault ??= error
    })
    return stream
  }

  /** The caller's iterable, with its errors remembered and its pieces checked. Little between it and the socket: it may be large. */
  #each(chunks: AsyncIterable<unknown> | Iterable<unknown>): AsyncIterable<Uint8Array | string> {
    // Taken with the first piece: until then the source is untouched, and may be sent by another try.
    let iterator: AsyncIterator<unknown> | Iterator<unknown> | undefined
    const failed = (error: unknown): never => {
      this.#fault = error instanceof Error ? error : new Error(String(error))
      throw this.#fault
    }
    const checked = (result: IteratorResult<unknown>): IteratorResult<Uint8Array | string> => {
      if (result.done === true) return { done: true, value: undefined }
      const { value } = result
      if (value instanceof Uint8Array || typeof value === 'string') return { done: false, value }
      return failed(new TypeError(`a piece of the body must be bytes or a string, not ${typeof value}`))
    }
    const next = (): Promise<IteratorResult<Uint8Array | string>> => {
      try {
        iterator ??=
          Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]()
        const result = iterator.next()
        return result instanceof Promise
          ? result.then(checked, failed)
          : Promise.resolve(result).then(checked)
      } catch (error) {
        return Promise.reject(error).catch(failed)
      }
    }
    return {
      [Symbol.asyncIterator]: () => ({
        next,
        return: async () => {
          if (iterator !== undefined) await iterator.return?.()
          else if (this.replayable && chunks instanceof ReadableStream) await chunks.cancel()
          return { done: true, value: undefined }
        },
      }),
    }
  }
}

async function fileLength(file: FileHandle, { path, start, end }: FileBody): Promise<number> {
  const facts = await file.stat()
  if (!facts.isFile())
    throw new TypeError(`${path} is not a regular file; open it as a stream to send what it gives`)
  const { size } = facts
  const last = end ?? Math.max(size - 1, start - 1)
  if (last >= size && last >= start) {
    throw new RangeError(`${path} has ${size} bytes; the part from ${start} to ${last} is not all there`)
  }
  if (start > size) throw new RangeError(`${path} has ${size} bytes; there is nothing from ${start} on`)
  return last - start + 1
}

/** Closes what was opened for a try and was not sent. The caller's own stream, which another try may send, is left alone. */
export function discardBody(source: BodySource | undefined, opened: OpenBody | undefined): void {
  const content = opened?.content
  if (
    source?.replayable !== true ||
    content === null ||
    content === undefined ||
    content instanceof Uint8Array
  )
    return
  if (content instanceof Readable) content.destroy()
  // An error on the way out is nobody's concern any more.
  else
    content[Symbol.asyncIterator]()
      .return?.()
      .then(undefined, () => {})
}
