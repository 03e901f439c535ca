import { HcpHashError, HcpProtocolError, type HcpResponse, HcpTruncatedError } from '@hcp/connection'
import { RunningHash } from '@hcp/connection/support'
import type { AnnotationMetadata } from './annotations.ts'
import { describe, factsOf, isDamage, mayGoOn } from './errors.ts'

/** An answer that has an annotation as its content. */
interface AnnotationAnswer {
  readonly response: HcpResponse
  readonly metadata: AnnotationMetadata
}

/**
 * An annotation on its way. It is read by one of `bytes`, `text` or `for await`, once, or given up by `dump`; until then it holds a
 * connection. At the end it is compared with HCP's hash of it, where there is one.
 */
export class AnnotationReader implements AsyncIterable<Uint8Array>, AsyncDisposable {
  #answer: AnnotationAnswer
  readonly #fetch: () => Promise<AnnotationAnswer>
  readonly #freshStarts: number

  /** @internal @param freshStarts So often an annotation is fetched anew that came broken or damaged. */
  constructor(answer: AnnotationAnswer, fetch: () => Promise<AnnotationAnswer>, freshStarts: number) {
    this.#answer = answer
    this.#fetch = fetch
    this.#freshStarts = freshStarts
  }

  get metadata(): AnnotationMetadata {
    return this.#answer.metadata
  }

  /**
   * The whole annotation, in memory. One that comes broken or damaged is fetched anew, twice at most, unless `retry` forbids it.
   *
   * @throws {HcpHashError} if it is not what HCP has the hash of.
   */
  async bytes(): Promise<Uint8Array> {
    for (let fresh = 0; ; fresh++) {
      try {
        const bytes = await this.#answer.response.bytes()
        const hash = this.#hash()
        hash.update(bytes)
        this.#check(hash)
        return bytes
      } catch (error) {
        if (fresh >= this.#freshStarts || !(mayGoOn(error) || isDamage(error))) throw error
      }
      this.#answer = await this.#fetch()
    }
  }

  /** The whole annotation as text, as `bytes` reads it. @throws {HcpHashError} if it is not what HCP has the hash of. */
  async text(): Promise<string> {
    const bytes = await this.bytes()
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  }

  /** Gives the rest up. */
  dump(): Promise<void> {
    return this.#answer.response.dump()
  }

  /** Piece by piece; who has not come to the end without an error does not have the annotation. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    const hash = this.#hash()
    for await (const chunk of this.#answer.response) {
      hash.update(chunk)
      yield chunk
    }
    this.#check(hash)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#answer.response[Symbol.asyncDispose]()
  }

  #hash(): RunningHash {
    const { hash } = this.metadata
    return new RunningHash(hash === undefined ? [] : [hash.scheme])
  }

  /** Compares what came with what the head of the answer says of it. */
  #check(running: RunningHash): void {
    const { response, metadata } = this.#answer
    const { hash, name, size } = metadata
    if (running.size < size) {
      const message = describe(response, `the annotation ended after ${running.size} of ${size} bytes`)
      throw new HcpTruncatedError(message, size, running.size, factsOf(response))
    }
    if (running.size > size) {
      const message = describe(response, `more came than the ${size} bytes of the annotation`)
      throw new HcpProtocolError(message, factsOf(response))
    }
    if (hash === undefined) return
    const actual = running.hex(hash.scheme)
    if (actual === undefined || actual === hash.hex) return
    throw new HcpHashError(
      `The annotation "${name}" of ${response.url} has ${hash.scheme} ${actual}, but HCP reports ${hash.hex}`,
      hash.hex,
      actual,
      factsOf(response),
    )
  }
}
