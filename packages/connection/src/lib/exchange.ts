import { performance } from 'node:perf_hooks'
import type { Dispatcher } from 'undici'
import { AnswerBody } from './answer-body.ts'
import type { Call } from './call.ts'
import {
  HcpBodyError,
  HcpClosedError,
  HcpError,
  HcpHashError,
  HcpProtocolError,
  HcpSocketError,
  HcpTimeoutError,
  HcpTruncatedError,
} from './errors.ts'
import { type ContentHash, namedHashes, RunningHash } from './hash.ts'
import type { Dialled } from './dialer.ts'
import type { NodeClient, NodeHandler } from './node-pool.ts'
import { HcpResponse, type ResponseHeaders, type Timing } from './response.ts'

/** What a try is told. */
export interface ExchangeOptions {
  readonly call: Call
  readonly headersTimeout: number
  readonly bodyTimeout: number
  /** Compare a whole object's content with the hash in the answer's head. */
  readonly verifyHash: boolean
  /** Algorithms to hash the request's body with as it is sent. */
  readonly sendHash: readonly string[]
  /** Bytes of the answer to take in without a reader. */
  readonly collectLimit: number
  /** Bytes announced for the body, if any. */
  readonly bodySize: number | undefined
  /** The caller's body failed, not the network. */
  readonly bodyFault: () => Error | undefined
  readonly onEnd: (exchange: Exchange, error: HcpError | undefined) => void
}

const none: Dialled['times'] = { dns: 0, connect: 0, tls: 0 }

/** One try of a request: undici's handler for it, from the wait for a socket to the last byte of the answer. */
export class Exchange implements NodeHandler {
  readonly call: Call
  client: NodeClient | undefined
  /** The head of the request was about to be written: from here on HCP may have seen the request. */
  started = false
  readonly dispatchedAt: number = performance.now()
  #sent = 0
  #sourceEnded = false
  /** Hash of the body as it was sent. */
  readonly sendHash: RunningHash | undefined
  readonly #options: ExchangeOptions
  #address: string | undefined
  /** What the connection took that was opened for this try; nothing if an open one was used. */
  #times: Dialled['times'] = none
  #startedAt = 0
  #headAt = 0
  #endedAt = 0
  #controller: Dispatcher.DispatchController | undefined
  #body: AnswerBody | undefined
  #status = 0
  #headers: ResponseHeaders = {}
  /** What the answer's content has to hash to. */
  #check: ContentHash | undefined
  #received: RunningHash | undefined
  #stopped: { readonly reason: unknown } | undefined
  readonly #resolve: (response: HcpResponse) => void
  readonly #reject: (error: unknown) => void
  /** The answer, as soon as its head is there. Rejects with an `HcpError`, or with the reason of an abort. */
  readonly response: Promise<HcpResponse>

  constructor(options: ExchangeOptions) {
    this.#options = options
    this.call = options.call
    const { promise, resolve, reject } = Promise.withResolvers<HcpResponse>()
    this.response = promise
    this.#resolve = resolve
    this.#reject = reject
    if (options.sendHash.length > 0) this.sendHash = new RunningHash(options.sendHash)
  }

  /** The request went out whole. Before that HCP stores nothing (Using a Namespace, "Failed HTTP write operations"). */
  get bodySent(): boolean {
    return this.#sourceEnded || this.#sent >= (this.#options.bodySize ?? Number.POSITIVE_INFINITY)
  }

  /** The last byte of the answer has come, or the try has failed. */
  get ended(): boolean {
    return this.#endedAt !== 0
  }

  /** The node, once known. */
  get address(): string | undefined {
    return this.#address
  }

  /** Resolves when the answer's body is all there; rejects with what cut it short. */
  async whole(): Promise<void> {
    await this.#body?.whole()
  }

  /** Ends the try at once with this reason, whatever it is doing. */
  stop(reason: unknown): void {
    if (this.#stopped !== undefined) return
    this.#stopped = { reason }
    if (this.#body === undefined) this.#reject(reason)
    else this.#body.fail(reason as Error)
    // Before the request has a socket nothing can be cut off; `onRequestStart` refuses it then.
    this.#controller?.abort(reason instanceof Error ? reason : new Error('aborted'))
    this.#end(undefined)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Thrown, not aborted: nothing was written, so the socket stays good for others.
    if (this.#stopped !== undefined) throw new HcpClosedError('stopped before it was sent')
    const client = this.client as NodeClient
    this.#controller = controller
    this.#address = client.dialled?.address
    if (client.requests++ === 0 && client.dialled !== undefined) this.#times = client.dialled.times
    this.started = true
    this.#options.call.sends()
    this.#startedAt = performance.now()
    this.call.wroteAt = this.#startedAt
    this.call.connectedAt = client.openedAt
  }

  onBodySent(chunk: Uint8Array | string): void {
    this.#sent += typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength
    this.sendHash?.update(chunk)
    // Only where there are two systems does anybody ask.
    if (this.call.whole !== undefined) this.call.wroteAt = performance.now()
  }

  onRequestSent(): void {
    this.#sourceEnded = true
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: ResponseHeaders,
    statusText = '',
  ): void {
    if (status < 200) return
    this.#headAt = performance.now()
    const client = this.client as NodeClient
    const requestId = headers['x-requestid']
    if (typeof requestId === 'string') {
      if (requestId === client.lastRequestId) {
        throw new HcpProtocolError(
          `The answer has the X-RequestId of the answer before it: it is not this request's`,
        )
      }
      client.lastRequestId = requestId
    }
    const { call, collectLimit } = this.#options
    this.#status = status
    this.#headers = headers
    if (this.#hashed()) {
      this.#check = namedHashes(headers)[0]
      if (headers['content-encoding'] === undefined && this.#check !== undefined) {
        this.#received = new RunningHash([this.#check.scheme])
      }
    }
    const body = new AnswerBody(
      {
        pause: () => this.#controller?.pause(),
        resume: () => this.#controller?.resume(),
        abandon: () => this.#controller?.abort(new HcpClosedError('The answer was given up')),
        givenUp: () => {
          const what = `The answer to ${call.method} ${call.url} was given up while it was being read`
          return new HcpClosedError(what, call.facts(this.address))
        },
      },
      collectLimit,
    )
    this.#body = body
    this.#resolve(
      new HcpResponse(
        {
          status,
          statusText,
          headers,
          method: call.method,
          url: call.url,
          address: this.address ?? '',
          system: call.system,
          attempts: call.attempts,
          settled: false,
          doubtful: call.doubtful,
          timing: () => this.#timing(),
        },
        body,
      ),
    )
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#received?.update(chunk)
    this.#body?.push(chunk)
  }

  onResponseEnd(): void {
    const error = this.#wholeness()
    if (error !== undefined) this.#body?.fail(error)
    else this.#body?.finish()
    this.#end(error)
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#stopped !== undefined) return
    const translated = this.#translate(error)
    if (this.#body === undefined) this.#reject(translated)
    else this.#body.fail(translated)
    this.#end(translated)
  }

  #end(error: HcpError | undefined): void {
    if (this.#endedAt !== 0) return
    this.#endedAt = performance.now()
    // An answer that somebody keeps must not keep the socket and the request with it.
    this.#controller = undefined
    this.client = undefined
    this.#options.onEnd(this, error)
  }

  /** Whether the answer is a whole object's content, to be compared with its hash. */
  #hashed(): boolean {
    const { call, verifyHash } = this.#options
    return (
      verifyHash &&
      call.method === 'GET' &&
      this.#status === 200 &&
      this.#headers['x-hcp-type'] !== 'directory'
    )
  }

  /** What undici cannot check: a body without a length of its own, and the content's hash. */
  #wholeness(): HcpError | undefined {
    const { call } = this.#options
    const headers = this.#headers
    const received = this.#body?.received ?? 0
    const bodyless = call.method === 'HEAD' || this.#status === 204 || this.#status === 304
    if (
      !bodyless &&
      this.#status < 300 &&
      headers['content-length'] === undefined &&
      headers['transfer-encoding'] === undefined
    ) {
      // The end of such a body is the end of the connection, whatever the reason for that was.
      const size =
        headers['content-encoding'] === undefined ? Number(headers['x-hcp-size'] ?? Number.NaN) : Number.NaN
      if (received !== size || this.#status !== 200) {
        return new HcpTruncatedError(
          `The answer to ${call.method} ${call.url} did not say how long it is: whether ${received} bytes are all cannot be known`,
          undefined,
          received,
          call.facts(this.address),
        )
      }
    }
    if (!this.#hashed()) return undefined
    const check = this.#check
    const actual = check === undefined ? undefined : this.#received?.hex(check.scheme)
    if (check === undefined || actual === undefined) {
      return new HcpHashError(
        `The answer to GET ${call.url} has no hash to compare its content with, or is compressed`,
        check?.hex,
        undefined,
        call.facts(this.address),
      )
    }
    if (actual === check.hex) return undefined
    return new HcpHashError(
      `The content of ${call.url} has ${check.scheme} ${actual}, but HCP says ${check.hex}`,
      check.hex,
      actual,
      call.facts(this.address),
    )
  }

  #timing(): Timing {
    const { call } = this.#options
    const { dns, connect, tls } = this.#times
    return {
      wait: Math.max(0, this.#startedAt - this.dispatchedAt - dns - connect - tls),
      dns,
      connect,
      tls,
      firstByte: this.#headAt - this.#startedAt,
      total: (this.#endedAt === 0 ? performance.now() : this.#endedAt) - call.began,
    }
  }

  #translate(error: Error): HcpError {
    const { call, headersTimeout, bodyTimeout, bodyFault } = this.#options
    const facts = call.facts(this.address, error)
    const what = `${call.method} ${call.url}`
    if (error instanceof HcpError) return error
    const fault = bodyFault()
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (fault !== undefined && this.#body === undefined) {
      return new HcpBodyError(`The body of ${what} could not be read: ${fault.message}`, {
        ...facts,
        cause: fault,
      })
    }
    switch (code) {
      case 'UND_ERR_HEADERS_TIMEOUT':
        return new HcpTimeoutError(
          'headers',
          headersTimeout,
          `Node ${this.address} did not answer ${what} within ${headersTimeout} ms`,
          facts,
        )
      case 'UND_ERR_BODY_TIMEOUT':
        return new HcpTimeoutError(
          'body',
          bodyTimeout,
          `Node ${this.address} sent nothing more of the answer to ${what} for ${bodyTimeout} ms`,
          facts,
        )
      case 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH':
        return new HcpBodyError(`The body of ${what} has more or fewer bytes than its announced size`, facts)
      case 'UND_ERR_ABORTED':
        return new HcpBodyError(`The body of ${what} was closed before its end`, facts)
      case 'UND_ERR_DESTROYED':
      case 'UND_ERR_CLOSED':
        return new HcpClosedError(`The connection was closed before ${what} was done`, facts)
      case 'UND_ERR_HEADERS_OVERFLOW':
        return new HcpProtocolError(
          `Node ${this.address} sent a larger head than allowed in answer to ${what}`,
          facts,
        )
    }
    if (
      // Lengths in the head that contradict each other; in the body it would be a body cut short.
      (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' && this.#body === undefined) ||
      error.name === 'HTTPParserError' ||
      error.message === 'bad response' ||
      error.message === 'bad upgrade'
    ) {
      return new HcpProtocolError(
        `Node ${this.address} did not answer ${what} in HTTP: ${error.message}`,
        facts,
      )
    }
    if (this.#body !== undefined) {
      const announced = this.#headers['content-length']
      const expected = announced === undefined ? undefined : Number(announced)
      const { received } = this.#body
      return new HcpTruncatedError(
        `The answer to ${what} ended after ${received} of ${expected ?? 'an unknown number of'} bytes (${error.message})`,
        expected,
        received,
        facts,
      )
    }
    return new HcpSocketError(
      `The connection to node ${this.address ?? '(none)'} was lost during ${what} (${error.message})`,
      facts,
    )
  }
}
