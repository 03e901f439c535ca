import type { Hash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import {
  HcpClosedError,
  HcpHashError,
  HcpProtocolError,
  type HcpResponse,
  HcpTimeoutError,
  HcpTruncatedError,
  type SystemName,
} from '@hcp/connection'
import { hasher, hashOf, namedHashes, RetryPolicy } from '@hcp/connection/support'
import { checkIsPlain, describe, factsOf, isDamage, mayGoOn, ObjectConditionError } from './errors.ts'
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
  /** The answer that is being read. */
  #current: HcpResponse | undefined
  readonly #reading: Reading
  #metadata: ObjectMetadata | undefined
  #verified = false
  #used = false
  #resumed = 0
  #whole: Promise<Uint8Array> | undefined
  #body: Readable | undefined
  /** Ends attempts to go on when the content is given up. */
  #stopping: AbortController | undefined
  #dumped = false

  /** @internal */
  constructor(response: HcpResponse, reading: Reading) {
    this.#first = response
    this.#current = response
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

  /** The system that was asked first: the target's own, or its replica. */
  get system(): SystemName {
    return this.#first.system
  }

  /** `X-HCP-ServicedBySystem`: the system that answered. */
  get servicedBy(): string | undefined {
    return this.#first.servicedBy
  }

  /** `X-RequestId` of the first answer, to name the request to whoever runs the system. */
  get requestId(): string | undefined {
    return this.#first.requestId
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
    // Also where HCP does not say how much it is.
    if (!(this.size <= small) || onProgress !== undefined || annotation !== undefined)
      return this.#collect(first)
    try {
      const content = await first.bytes()
      this.#checkEnd(first, content.byteLength)
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
    this.#body ??= Readable.from(this, { objectMode: false, highWaterMark: 256 * 1024 })
    return this.#body
  }

  /** The content piece by piece; leaving the loop early gives the rest up. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, void> {
    this.#use()
    const chunks = this.#chunks(this.#first)
    return {
      next: () => chunks.next(),
      // A generator that waits for a piece, or was never begun, gives nothing up by itself.
      return: async () => {
        await this.dump()
        return chunks.return()
      },
    }
  }

  /** Gives the content up; who is reading it gets an error. */
  async dump(): Promise<void> {
    this.#used = true
    this.#dumped = true
    this.#stopping?.abort(this.#givenUp())
    await this.#current?.dump()
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
    try {
      onProgress?.({ transferred: 0, total })
      for (;;) {
        try {
          // Nothing to ask for is left when the break came with the last byte.
          if (current === undefined && (total === undefined || received < total || total === 0))
            current = await this.#goOn(received)
          if (current === undefined) break
          const chunk = await current.read()
          if (chunk.length === 0) {
            this.#checkEnd(current, received)
            break
          }
          this.#checkNotMore(current, received + chunk.length)
          received += chunk.length
          failures = 0
          running?.hash.update(chunk)
          onProgress?.({ transferred: received, total })
          yield chunk
        } catch (error) {
          if (failures >= resumes || !mayGoOn(error)) throw error
          // Of content without a known end nobody can tell what is missing.
          if (total === undefined && received > 0) throw error
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

  /** Content of unknown size may end anywhere. */
  #checkEnd(response: HcpResponse, received: number): void {
    if (received < this.size) {
      throw new HcpTruncatedError(
        describe(response, `the content ended after ${received} of ${this.size} bytes`),
        this.size,
        received,
        factsOf(response),
      )
    }
    this.#checkNotMore(response, received)
  }

  #checkNotMore(response: HcpResponse, received: number): void {
    if (received > this.size) {
      throw new HcpProtocolError(
        describe(response, `more content came than the ${this.size} bytes that were announced`),
        factsOf(response),
      )
    }
  }

  /** @param actualOf The hash of the content that was read, where it is known by this algorithm. */
  #verify(response: HcpResponse, actualOf: (scheme: string) => string | undefined): void {
    if (!this.#reading.verifyHash) return
    for (const { scheme, hex } of namedHashes(response.headers)) {
      const actual = actualOf(scheme)
      if (actual === undefined) continue
      if (actual !== hex) {
        // Whoever fetches it anew should not get it from where it was damaged.
        this.#reading.requests.connection.avoid((this.#current ?? response).address)
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

  #givenUp(): HcpClosedError {
    const { url } = this.#first
    return new HcpClosedError(
      `The content of ${url} was given up while it was being read`,
      factsOf(this.#first),
    )
  }

  /** Ends with the caller's signal, and when the content is given up. */
  get #signal(): AbortSignal {
    this.#stopping ??= new AbortController()
    if (this.#dumped) this.#stopping.abort(this.#givenUp())
    const { signal } = this.#reading.options
    const own = this.#stopping.signal
    return signal === undefined ? own : AbortSignal.any([signal, own])
  }

  /** Milliseconds until the deadline. */
  get #left(): number {
    const { options, began } = this.#reading
    const { deadline = Number.POSITIVE_INFINITY } = options
    return deadline - (performance.now() - began)
  }

  async #pause(milliseconds: number): Promise<void> {
    const signal = this.#signal
    try {
      await pause(Math.max(1, Math.min(milliseconds, this.#left)), undefined, { signal })
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  }

  /** Asks for the content from this byte of it on, of the very same object. */
  async #goOn(received: number): Promise<HcpResponse> {
    const { requests, path, options, params } = this.#reading
    const { etag, versionId } = this.metadata
    const { deadline } = options
    const left = Math.ceil(this.#left)
    if (deadline !== undefined && left < 1) {
      throw new HcpTimeoutError(
        'deadline',
        deadline,
        `GET ${this.#first.url} was not done within its deadline of ${deadline} ms`,
        factsOf(this.#first),
      )
    }
    const from = this.start + received
    const headers: Record<string, string> = {}
    if (received > 0 || this.#first.status === 206)
      headers['Range'] = `bytes=${from}-${this.start + this.size - 1}`
    if (etag !== undefined) headers['If-Match'] = `"${etag}"`
    const call = { ...options, signal: this.#signal, ...(deadline === undefined ? {} : { deadline: left }) }
    const ask = async (version: string | undefined): Promise<HcpResponse> => {
      this.#current = await requests.send('GET', path, call, {
        params: { ...params, version: version ?? params?.['version'] },
        headers,
        verifyHash: false,
        accept: [404, 412],
      })
      return this.#current
    }
    let response = await ask(undefined)
    // Somebody has stored a newer version, or deleted the object: the version that was begun may still be there.
    if ((response.status === 404 || response.status === 412) && versionId !== undefined) {
      await response.dump()
      response = await ask(versionId)
    }
    try {
      this.#checkGoesOn(response, received)
    } catch (error) {
      await response.dump()
      throw error
    }
    return response
  }

  /** Conditions are not heeded everywhere, for example not through symbolic links: what counts is what the answer is. */
  #checkGoesOn(response: HcpResponse, received: number): void {
    if (!response.ok || response.status === 204 || !isSame(this.metadata, objectMetadata(response))) {
      throw new ObjectConditionError(
        response.status,
        response.errorMessage,
        describe(
          response,
          response.system === this.#first.system
            ? 'the object was changed or deleted while it was being read: read it anew'
            : `the ${response.system}, which had to stand in while the object was being read, does not have this very object`,
        ),
        factsOf(response),
      )
    }
    checkIsPlain(response)
    const { start, length } = extentOf(response)
    if (start !== this.start + received || !Object.is(length, this.size - received)) {
      throw new HcpProtocolError(
        describe(
          response,
          `asked for the content from byte ${this.start + received} on, and got another part of it`,
        ),
        factsOf(response),
      )
    }
  }
}

/** Whether two answers have the same content: at least one thing that tells has to be in both, and nothing may differ. */
function isSame(first: ObjectMetadata, later: ObjectMetadata): boolean {
  const etags = first.etag !== undefined && later.etag !== undefined
  const hashes = first.hash !== undefined && first.hash.scheme === later.hash?.scheme
  if (!Object.is(first.size, later.size)) return false
  if (etags && first.etag !== later.etag) return false
  if (hashes && first.hash?.hex !== later.hash?.hex) return false
  return etags || hashes || (first.versionId !== undefined && first.versionId === later.versionId)
}

/** A hash to be fed, of the first kind that HCP reports and this Node can compute. */
function runningHash(response: HcpResponse): { readonly scheme: string; readonly hash: Hash } | undefined {
  for (const { scheme } of namedHashes(response.headers)) {
    const hash = hasher(scheme)
    if (hash !== undefined) return { scheme, hash }
  }
  return undefined
}

/** @throws {HcpProtocolError} if the answer is a part, and does not say which, or not always the same. */
export function extentOf(response: HcpResponse): Extent {
  const size = sizeOf(response)
  if (response.status !== 206) return { start: 0, length: size }
  const given = (response.header('content-range') ?? '').replace(/^(?=\d)/, 'bytes ')
  const [, start, end, total] = (/^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(given) ?? []).map(Number)
  if (
    start === undefined ||
    end === undefined ||
    end < start ||
    end >= size ||
    (Number.isInteger(total) && total !== size)
  ) {
    throw new HcpProtocolError(
      describe(response, 'the answer does not say which part of the object it is'),
      factsOf(response),
    )
  }
  return { start, length: end - start + 1 }
}
