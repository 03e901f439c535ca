import type { Readable } from 'node:stream'
import { checkInteger } from './arguments.ts'
import type { AnswerBody } from './answer-body.ts'
import type { SystemName } from './replica-strategy.ts'

/** Header names in lower case; a header that came more than once is a list. */
export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Where the time of a call went, in milliseconds. `dns`, `connect` and `tls` are 0 when an open connection was used. */
export interface Timing {
  /** Waiting for a free connection, in the last try. */
  readonly wait: number
  /** Asking for addresses, when this request opened a connection. */
  readonly dns: number
  /** TCP handshake. */
  readonly connect: number
  /** TLS handshake. */
  readonly tls: number
  /** From the start of sending to the head of the answer, in the last try. */
  readonly firstByte: number
  /** From the call to the end of the answer's body, all tries and pauses included; while the body comes in, up to now. */
  readonly total: number
}

/** What an answer is made from. For `Connection` only. */
export interface ResponseFacts {
  readonly status: number
  readonly statusText: string
  readonly headers: ResponseHeaders
  readonly method: string
  readonly url: string
  readonly address: string
  readonly system: SystemName
  readonly attempts: number
  readonly settled: boolean
  readonly doubtful: boolean
  readonly timing: () => Timing
}

/**
 * One answer. Every status is an answer, 404 and 503 too: look at `status` or `ok`.
 *
 * A GET's body is read by one of `bytes`, `text`, `json`, `read`, `body` or `for await`, once. Until it has been read, or given up
 * by `dump`, it holds a connection. A body that ends too early is an error (`HCP_TRUNCATED`), never just an end.
 */
export class HcpResponse implements AsyncIterable<Uint8Array>, AsyncDisposable {
  readonly status: number
  /** The reason phrase. */
  readonly statusText: string
  readonly headers: ResponseHeaders
  readonly method: string
  /** Scheme, host, port and path, without query. */
  readonly url: string
  /** IP address of the node that answered. */
  readonly address: string
  /** The system that was asked: the target's own, or its replica. Which one served is `servicedBy`: after a DNS failover another. */
  readonly system: SystemName
  /** How often the request was tried, this answer included. */
  readonly attempts: number
  /**
   * True if the answer to a PUT was lost and a HEAD then proved that this request had stored the object: `status` is 201 and the
   * headers are those of the HEAD.
   */
  readonly settled: boolean
  /**
   * True if an earlier try of this request may have been carried out: its answer was lost, or said 500 and the like. Then a 404 to a
   * DELETE, for example, may be that try's doing.
   */
  readonly doubtful: boolean
  readonly #timing: () => Timing
  readonly #body: AnswerBody

  /** @internal */
  constructor(facts: ResponseFacts, body: AnswerBody) {
    this.status = facts.status
    this.statusText = facts.statusText
    this.headers = facts.headers
    this.method = facts.method
    this.url = facts.url
    this.address = facts.address
    this.system = facts.system
    this.attempts = facts.attempts
    this.settled = facts.settled
    this.doubtful = facts.doubtful
    this.#timing = facts.timing
    this.#body = body
  }

  /** Status 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300
  }

  /** One header's value, whatever the case of its name; the first if there are several. */
  header(name: string): string | undefined {
    const value = this.headers[name.toLowerCase()]
    return Array.isArray(value) ? value[0] : value
  }

  /** `X-HCP-ServicedBySystem`: the HCP system that answered, which after a failover is not the one addressed. */
  get servicedBy(): string | undefined {
    return this.header('x-hcp-servicedbysystem')
  }

  /** `X-RequestId`, to name a request to whoever runs the system. */
  get requestId(): string | undefined {
    return this.header('x-requestid')
  }

  /** `X-HCP-ErrorMessage`: HCP's own words about a 400, 403 or 503. Not for parsing. */
  get errorMessage(): string | undefined {
    return this.header('x-hcp-errormessage')
  }

  get timing(): Timing {
    return this.#timing()
  }

  get bodyUsed(): boolean {
    return this.#body.used
  }

  /** The body as a stream with back-pressure. Destroying it early closes the connection to the node. */
  get body(): Readable {
    return this.#body.stream()
  }

  /** The whole body, in memory. */
  bytes(): Promise<Uint8Array> {
    return this.#body.bytes()
  }

  /** The whole body as UTF-8 text. */
  async text(): Promise<string> {
    return (await this.#body.bytes()).toString('utf8')
  }

  /** The whole body, parsed as JSON. @throws {SyntaxError} if it is none. */
  async json(): Promise<unknown> {
    return JSON.parse(await this.text()) as unknown
  }

  /**
   * The next piece of the body.
   *
   * @param size At most this many bytes. Default: what is there, at most 128 KiB.
   * @returns At least one byte; an empty array is the end.
   */
  read(size: number = 131_072): Promise<Uint8Array> {
    return this.#body.read(checkInteger('size (bytes)', size, 1, Number.MAX_SAFE_INTEGER))
  }

  /** Gives the body up; who is reading it gets an error. Always do one or the other: read it, or dump it. */
  async dump(): Promise<void> {
    this.#body.drop()
    // Whatever happens to a rest that nobody wants is no news.
    await this.#body.whole().catch(() => undefined)
  }

  /** The body piece by piece; leaving the loop early gives the rest up. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, void> {
    return this.#body[Symbol.asyncIterator]()
  }

  /** As `dump`, but lets `bytes`, `text` or `json` finish that were called and not awaited. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#body.collecting) await this.#body.whole().catch(() => undefined)
    else await this.dump()
  }
}
