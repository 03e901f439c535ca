import type { Hash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import {
  HcpError,
  HcpHashError,
  HcpProtocolError,
  type HcpResponse,
  HcpResponseError,
  HcpTimeoutError,
  HcpTruncatedError,
} from '@hcp/connection'
import { hasher, hashOf, namedHashes, RetryPolicy } from '@hcp/connection/support'
import { describe, factsOf, ObjectConditionError } from './errors.ts'
import { type ObjectMetadata, objectMetadata, sizeOf } from './metadata.ts'
import type { CallOptions, ObjectRequests } from './object-requests.ts'
import type { OnProgress } from './progress.ts'

/** Of the pauses between attempts to go on. */
const policy = new RetryPolicy({})
/** Content up to this size is taken in at once, and fetched anew if that fails. */
const small = 1024 * 1024
/** So often content is fetched anew that had another hash than HCP reports, if nobody has seen it yet. */
const freshStarts = 2

/** What a reader needs to know of the GET that it belongs to. @internal */
export interface Reading {
  readonly requests: ObjectRequests
  readonly path: string
  readonly options: CallOptions
  /** Query of the GET. */
  readonly params: Readonly<Record<string, string | undefined>> | undefined
  /** Milliseconds, by `performance.now()`. */
  readonly began: number
  readonly verifyHash: boolean
  readonly resumes: number
  readonly onProgress: OnProgress | undefined
  /** Was read off the answer before the content. */
  readonly annotation: Uint8Array | undefined
}

/** The content that an answer brings, by its head. */
interface Extent {
  /** Offset in the object of the first byte. */
  readonly start: number
  /** Bytes; `NaN` where HCP does not say. */
  readonly length: number
}

/**
 * An object's metadata and its content on the way. The content is read by one of `bytes`, `text`, `json`, `body`, `for await` or
 * given up by `dump`, once; until then it holds a connection.
 *
 * A transfer that breaks goes on from where it broke, if the object is still the same. At the end the content is compared with HCP's
 * hash: a reader that has not come to the end without an error does not have the object.
 */
export class ObjectReader implements AsyncIterable<Uint8Array>, AsyncDisposable {
  /** Bytes that this reader will give: the whole object, or the part that was asked for. */
  readonly size: number
  /** Offset in the object of the first byte. */
  readonly start: number
  readonly #first: HcpResponse
  readonly #reading: Reading
  #metadata: ObjectMetadata | undefined
  #verified = false
  #used = false
  #resumed = 0
  #whole: Promise<Uint8Array> | undefined

  /** @internal */
  constructor(response: HcpResponse, reading: Reading) {
    this.#first = response
    this.#reading = reading
    const { start, length } = extentOf(response)
    this.start = start
    this.size = length
  }

  get metadata(): ObjectMetadata {
    this.#metadata ??= objectMetadata(this.#first)
    return this.#metadata
  }

  /** The annotation that was asked for together with the object. */
  get annotation(): Uint8Array | undefined {
    return this.#reading.annotation
  }

  /** True once the whole content has been read and has the hash that HCP reports. Objects stored in parts have none to compare with. */
  get verified(): boolean {
    return this.#verified
  }

  /** How often the transfer broke and went on. */
  get resumed(): number {
    return this.#resumed
  }

  /** IP address of the node that answered first. */
  get address(): string {
    return this.#first.address
  }

  /** `X-HCP-ServicedBySystem`: the system that answered. */
  get servicedBy(): string | undefined {
    return this.#first.servicedBy
  }

  /** The whole content in memory. Content that does not have HCP's hash is fetched anew, twice at most. */
  bytes(): Promise<Uint8Array> {
    try {
      this.#use()
    } catch (error) {
      return Promise.reject(error)
    }
    this.#whole = this.#allBytes()
    return this.#whole
  }

  async #allBytes(): Promise<Uint8Array> {
    const first = this.#first
    const { onProgress, resumes, annotation } = this.#reading
    if (this.size > small || onProgress !== undefined || annotation !== undefined) return this.#collect(first)
    try {
      const content = await first.bytes()
      if (content.byteLength !== this.size) throw this.#truncated(first, content.byteLength)
      this.#verify(first, (scheme) => hashOf(scheme, content))
      return content
    } catch (error) {
      const again = isDamage(error) || (resumes > 0 && mayGoOn(error))
      if (!again) throw error
    }
    // Nothing is kept of so little.
    this.#resumed++
    return this.#collect(undefined)
  }

  /** @param response As for `#chunks`. */
  async #collect(response: HcpResponse | undefined): Promise<Uint8Array> {
    let from = response
    for (let fresh = 0; ; fresh++) {
      try {
        const pieces: Uint8Array[] = []
        for await (const chunk of this.#chunks(from)) pieces.push(chunk)
        return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces)
      } catch (error) {
        if (!isDamage(error) || fresh === freshStarts) throw error
        this.#resumed++
        from = undefined
      }
    }
  }

  /** The whole content as UTF-8 text. */
  async text(): Promise<string> {
    const content = await this.bytes()
    return Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('utf8')
  }

  /** The whole content, parsed as JSON. @throws {SyntaxError} if it is none. */
  async json(): Promise<unknown> {
    return JSON.parse(await this.text()) as unknown
  }

  /** The content as a stream with back-pressure. It ends with an error where the content is not whole or not right. */
  get body(): Readable {
    return Readable.from(this, { objectMode: false, highWaterMark: 256 * 1024 })
  }

  /** The content piece by piece; leaving the loop early gives the rest up. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, void> {
    this.#use()
    return this.#chunks(this.#first)
  }

  /** Gives the content up. */
  async dump(): Promise<void> {
    this.#used = true
    await this.#first.dump()
  }

  /** As `dump`, but lets `bytes`, `text` or `json` finish that were called and not awaited. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#whole === undefined) await this.dump()
    else await this.#whole.catch(() => undefined)
  }

  #use(): void {
    if (this.#used) throw new TypeError('The content of this object has been read already')
    this.#used = true
  }

  /** @param response An answer nobody has read from; without one the content is asked for anew. */
  async *#chunks(response: HcpResponse | undefined): AsyncGenerator<Uint8Array, void> {
    const { onProgress, resumes, verifyHash } = this.#reading
    const total = Number.isNaN(this.size) ? undefined : this.size
    const running = verifyHash ? runningHash(this.#first) : undefined
    let received = 0
    let failures = 0
    let current = response
    onProgress?.({ transferred: 0, total })
    try {
      for (;;) {
        try {
          // Nothing to ask for is left when the break came with the last byte.
          if (current === undefined && (total === undefined || received < total || total === 0))
            current = await this.#goOn(received)
          if (current === undefined) break
          const chunk = await current.read()
          if (chunk.length === 0) {
            if (total !== undefined && received < total) throw this.#truncated(current, received)
            break
          }
          if (total !== undefined && received + chunk.length > total) {
            throw new HcpProtocolError(
              describe(current, `more content came than the ${total} bytes that were announced`),
              factsOf(current),
            )
          }
          received += chunk.length
          failures = 0
          running?.hash.update(chunk)
          onProgress?.({ transferred: received, total })
          yield chunk
        } catch (error) {
          if (failures >= resumes || !mayGoOn(error)) throw error
          failures++
          this.#resumed++
          if (current !== undefined) await current.dump()
          current = undefined
          if (failures > 1) await this.#pause(policy.delay(failures - 1))
        }
      }
    } finally {
      if (current !== undefined) await current.dump()
    }
    if (running !== undefined) {
      const actual = running.hash.digest('hex')
      this.#verify(this.#first, (scheme) => (scheme === running.scheme ? actual : undefined))
    }
  }

  #truncated(response: HcpResponse, received: number): HcpTruncatedError {
    return new HcpTruncatedError(
      describe(response, `the content ended after ${received} of ${this.size} bytes`),
      this.size,
      received,
      factsOf(response),
    )
  }

  /** @param actualOf The hash of the content that was read, where it is known by this algorithm. */
  #verify(response: HcpResponse, actualOf: (scheme: string) => string | undefined): void {
    if (!this.#reading.verifyHash) return
    for (const { scheme, hex } of namedHashes(response.headers)) {
      const actual = actualOf(scheme)
      if (actual === undefined) continue
      if (actual !== hex) {
        throw new HcpHashError(
          `The content of ${response.url} has ${scheme} ${actual}, but HCP reports ${hex}: it was damaged on its way, or is damaged on HCP`,
          hex,
          actual,
          factsOf(response),
        )
      }
      this.#verified = true
      return
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    const { signal } = this.#reading.options
    try {
      await pause(milliseconds, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  }

  /** Asks for the content from this byte of it on, of the very same object. */
  async #goOn(received: number): Promise<HcpResponse> {
    const { requests, path, options, params, began } = this.#reading
    const { etag, versionId } = this.metadata
    const { deadline } = options
    const left = deadline === undefined ? undefined : Math.ceil(deadline - (performance.now() - began))
    if (deadline !== undefined && left !== undefined && left < 1) {
      throw new HcpTimeoutError(
        'deadline',
        deadline,
        `GET ${this.#first.url} was not done within its deadline of ${deadline} ms`,
        factsOf(this.#first),
      )
    }
    const from = this.start + received
    const whole = from === 0 && this.size === sizeOf(this.#first)
    const to = Number.isNaN(this.size) ? '' : String(this.start + this.size - 1)
    const headers: Record<string, string> = {}
    if (!whole && this.size !== 0) headers['Range'] = `bytes=${from}-${to}`
    if (etag !== undefined) headers['If-Match'] = `"${etag}"`
    const call = left === undefined ? options : { ...options, deadline: left }
    const ask = (version: string | undefined): Promise<HcpResponse> =>
      requests.send('GET', path, call, {
        params: { ...params, version: version ?? params?.['version'] },
        headers,
        verifyHash: false,
        accept: [404, 412],
      })
    let response = await ask(undefined)
    // Somebody has stored a newer version, or deleted the object: the version that was begun may still be there.
    if ((response.status === 404 || response.status === 412) && versionId !== undefined) {
      await response.dump()
      response = await ask(versionId)
    }
    const same =
      response.ok &&
      response.status !== 204 &&
      (etag === undefined ? response.header('x-hcp-versionid') === versionId : true) &&
      Object.is(sizeOf(response), sizeOf(this.#first))
    if (!same) {
      await response.dump()
      throw new ObjectConditionError(
        response.status,
        response.errorMessage,
        describe(response, 'the object was changed or deleted while it was being read: read it anew'),
        factsOf(response),
      )
    }
    const found = extentOf(response)
    if (found.start !== from || !Object.is(found.length, this.size - received)) {
      await response.dump()
      throw new HcpProtocolError(
        describe(response, `asked for the content from byte ${from} on, and got another part of it`),
        factsOf(response),
      )
    }
    return response
  }
}

/** Whether the transfer broke in a way that another GET may mend. */
function mayGoOn(error: unknown): boolean {
  if (!(error instanceof HcpError) || !error.retryable) return false
  if (error instanceof HcpResponseError || error instanceof HcpHashError) return false
  return !(error instanceof HcpTimeoutError && error.phase === 'deadline')
}

/** Whether the content came whole, but is not what it has to be. */
const isDamage = (error: unknown): boolean => error instanceof HcpHashError && error.retryable

/** A hash to be fed, of the first kind that HCP reports and this Node can compute. */
function runningHash(response: HcpResponse): { readonly scheme: string; readonly hash: Hash } | undefined {
  for (const { scheme } of namedHashes(response.headers)) {
    const hash = hasher(scheme)
    if (hash !== undefined) return { scheme, hash }
  }
  return undefined
}

function extentOf(response: HcpResponse): Extent {
  if (response.status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(?:\d+|\*)$/.exec(
      (response.header('content-range') ?? '').replace(/^(?=\d)/, 'bytes '),
    )
    if (range === null) {
      throw new HcpProtocolError(
        describe(response, 'the answer does not say which part of the object it is'),
        factsOf(response),
      )
    }
    return { start: Number(range[1]), length: Number(range[2]) - Number(range[1]) + 1 }
  }
  return { start: 0, length: sizeOf(response) }
}
