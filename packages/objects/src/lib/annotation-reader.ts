import { HcpHashError, type HcpResponse } from '@hcp/connection'
import { RunningHash } from '@hcp/connection/support'
import type { AnnotationMetadata } from './annotations.ts'
import { factsOf } from './errors.ts'

/**
 * An annotation on its way. It is read by one of `bytes`, `text` or `for await`, once, or given up by `dump`; until then it holds a
 * connection. At the end it is compared with HCP's hash of it, where there is one.
 */
export class AnnotationReader implements AsyncIterable<Uint8Array>, AsyncDisposable {
  readonly metadata: AnnotationMetadata
  readonly #response: HcpResponse

  /** @internal */
  constructor(response: HcpResponse, metadata: AnnotationMetadata) {
    this.#response = response
    this.metadata = metadata
  }

  /** The whole annotation, in memory. @throws {HcpHashError} if it is not what HCP has the hash of. */
  async bytes(): Promise<Uint8Array> {
    const bytes = await this.#response.bytes()
    const hash = this.#hash()
    hash.update(bytes)
    this.#check(hash)
    return bytes
  }

  /** The whole annotation as text. @throws {HcpHashError} if it is not what HCP has the hash of. */
  async text(): Promise<string> {
    const bytes = await this.bytes()
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  }

  /** Gives the rest up. */
  dump(): Promise<void> {
    return this.#response.dump()
  }

  /** Piece by piece; who has not come to the end without an error does not have the annotation. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    const hash = this.#hash()
    for await (const chunk of this.#response) {
      hash.update(chunk)
      yield chunk
    }
    this.#check(hash)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#response[Symbol.asyncDispose]()
  }

  #hash(): RunningHash {
    const { hash } = this.metadata
    return new RunningHash(hash === undefined ? [] : [hash.scheme])
  }

  #check(running: RunningHash): void {
    const { hash, name } = this.metadata
    if (hash === undefined) return
    const actual = running.hex(hash.scheme)
    if (actual === undefined || actual === hash.hex) return
    throw new HcpHashError(
      `The annotation "${name}" of ${this.#response.url} is not what HCP has the hash of`,
      `${hash.scheme} ${hash.hex}`,
      `${hash.scheme} ${actual}`,
      factsOf(this.#response),
    )
  }
}
