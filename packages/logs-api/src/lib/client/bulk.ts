import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { record } from './answers.ts'
import { checkFlag, checkWrite, type WriteOptions } from './arguments.ts'
import { entryJson, type NewLogEntry } from './entry.ts'
import { LogsApiError } from './errors.ts'
import type { BodySource, Transport } from './transport.ts'

/** An entry for the bulk route, which keeps its time. */
export interface BulkEntry extends NewLogEntry {
  /** RFC 3339, or UTC without a zone. Default: when it arrives. */
  readonly timestamp?: string | undefined
  /** 1 to 24, or a name such as `error`. */
  readonly severity?: number | string | undefined
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
}

/**
 * Entries; or lines of JSON, one entry each, as bytes or text in pieces of any size (a stream of a file, for example). What is an array is
 * sent again if a try fails; what can be read once only is not, once it was begun with.
 */
export type BulkSource =
  | Iterable<BulkEntry>
  | AsyncIterable<BulkEntry>
  | AsyncIterable<Uint8Array | string>
  | Readable

export interface BulkOptions extends WriteOptions {
  /** Packs what is sent. Default false. */
  readonly gzip?: boolean | undefined
}

export interface BulkResult {
  readonly accepted: number
  readonly rejected: number
  /** The first of the lines that were not taken, from 1 on, and why. */
  readonly errors: readonly { readonly line: number; readonly error: string }[]
}

/** Sends entries as fast as the service stores them and no faster: what comes next is read when there is room for it. */
export async function sendBulk(
  transport: Transport,
  source: BulkSource,
  options: BulkOptions,
): Promise<BulkResult> {
  checkWrite('bulk', options, 'gzip')
  checkFlag('gzip', options.gzip)
  const body = new BulkBody(source, options.gzip ?? false)
  const answer = await transport.json({
    method: 'POST',
    path: '/v2/logs/bulk',
    headers: {
      'content-type': 'application/x-ndjson',
      ...(options.gzip === true ? { 'content-encoding': 'gzip' } : {}),
    },
    body,
    headersTimeout: 600_000,
    // How long it takes is for the source to say.
    call: { deadline: 2_147_483_647, ...options },
  })
  const { accepted, rejected, errors } = record('the answer', answer) as unknown as BulkResult
  return { accepted, rejected, errors }
}

const chunkSize = 65_536

class BulkBody implements BodySource {
  readonly #source: Iterable<unknown> | AsyncIterable<unknown>
  readonly #gzip: boolean
  #begun = false
  fault: Error | undefined

  constructor(source: unknown, gzip: boolean) {
    if (typeof source === 'string' || !isIterable(source))
      throw new TypeError('bulk: entries must be an iterable, an async iterable or a stream')
    this.#source = source
    this.#gzip = gzip
  }

  get fresh(): boolean {
    return !this.#begun || Array.isArray(this.#source)
  }

  open(): Readable {
    // Read when the connection is there, not before: until then another try can have it.
    return Readable.from(this.#gzip ? this.#packed() : this.#chunks(), { objectMode: false })
  }

  async *#packed(): AsyncGenerator<Uint8Array, void> {
    const lines = Readable.from(this.#chunks(), { objectMode: false })
    const gzip = createGzip()
    lines.on('error', (error) => gzip.destroy(error))
    try {
      for await (const chunk of lines.pipe(gzip)) yield chunk as Uint8Array
    } finally {
      lines.destroy()
      gzip.destroy()
    }
  }

  /** Lines, many of them in one chunk. */
  async *#chunks(): AsyncGenerator<Uint8Array, void> {
    this.#begun = true
    let chunk = ''
    let number = 0
    try {
      for await (const item of this.#source) {
        if (item instanceof Uint8Array) {
          if (chunk !== '') yield Buffer.from(chunk)
          chunk = ''
          yield item
          continue
        }
        chunk += typeof item === 'string' ? item : `${entryJson(`entry ${++number}`, item)}\n`
        // A text may come in pieces that part a pair of surrogates.
        if (chunk.length < chunkSize || /[\ud800-\udbff]$/.test(chunk)) continue
        yield Buffer.from(chunk)
        chunk = ''
      }
      if (chunk !== '') yield Buffer.from(chunk)
    } catch (cause) {
      this.fault = new LogsApiError(
        'LOGS_API_BODY',
        `The entries could not be read: ${cause instanceof Error ? cause.message : String(cause)}. Some of them may be stored.`,
        false,
        { method: 'POST', sent: true, cause },
      )
      throw this.fault
    }
  }
}

const isIterable = (value: unknown): value is Iterable<unknown> | AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value)
