import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { type Dispatcher, Pool } from 'undici'
import {
  type CallOptions,
  checkDuration,
  checkNames,
  checkNumber,
  type Query,
  queryText,
} from './arguments.ts'
import { LogsApiError, type LogsApiErrorFacts } from './errors.ts'
import { pause } from './pause.ts'
import { refusal, said } from './refusal.ts'
import { retryAfter, type RetryOptions, RetryPolicy } from './retry.ts'

/** A token of the service, or a function that gives it: asked for each request, so that one that expires can be renewed. */
export type Token = string | (() => string | Promise<string>)

export interface LogsClientOptions {
  readonly token: Token
  /** Certificates to trust, PEM, for an `https` service. Default: Node's own. */
  readonly ca?: string | readonly string[]
  /** Connections at most; live tails take one each. Default 16. */
  readonly connections?: number
  /** Milliseconds for making a connection. Default 5,000. */
  readonly connectTimeout?: number
  /** Milliseconds to wait for the beginning of an answer. Default 60,000. */
  readonly headersTimeout?: number
  /** Milliseconds without a byte in the middle of an answer. Default 60,000. */
  readonly bodyTimeout?: number
  /** Milliseconds for a whole call, repetitions included. Default 120,000. */
  readonly deadline?: number
  /** `false` repeats nothing; a number is the number of attempts. */
  readonly retry?: RetryOptions | number | false
  /** Bytes of an answer that is read into memory, at most. Default 128 MiB. */
  readonly maxAnswer?: number
  /** Ends all calls of this client with its reason. */
  readonly signal?: AbortSignal
}

/** A body that is not there as a text. */
export interface BodySource {
  /** Whether nothing has been taken from it, or it can be opened from its beginning again. */
  readonly fresh: boolean
  open(): Readable
  /** What the caller's own data threw. */
  readonly fault: Error | undefined
}

/** What is asked for. */
export interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** From `/` on, encoded, without query. */
  readonly path: string
  readonly query?: Query
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | BodySource
  readonly call: CallOptions & { readonly idempotencyKey?: string | undefined }
  /** What is sent again: all that may pass, or only what the service has not begun with. Default: by the method. */
  readonly repeat?: 'always' | 'unsent'
  /** Never sent again. */
  readonly once?: boolean
  /** Default: the client's. */
  readonly headersTimeout?: number
  /** Default: the client's. */
  readonly bodyTimeout?: number
}

/** The beginning of an answer that is 2xx. */
export interface Answer {
  readonly status: number
  readonly headers: Dispatcher.ResponseData['headers']
  readonly body: Dispatcher.ResponseData['body']
  /** Makes what breaks the body an error of this package, or the reason of the abort. */
  readonly fault: (cause: unknown) => unknown
}

const known = [
  'token',
  'ca',
  'connections',
  'connectTimeout',
  'headersTimeout',
  'bodyTimeout',
  'deadline',
  'retry',
  'maxAnswer',
  'signal',
]
const longestRefusal = 65_536

/** Sends requests, and again where that can do no harm. */
export class Transport {
  readonly origin: string
  readonly #prefix: string
  readonly #pool: Pool
  readonly #token: Token
  readonly #retry: RetryPolicy
  readonly #deadline: number
  readonly #headersTimeout: number
  readonly #bodyTimeout: number
  readonly #maxAnswer: number
  readonly #closing = new AbortController()
  readonly #signal: AbortSignal | undefined
  #closed: Promise<void> | undefined

  constructor(url: string | URL, options: LogsClientOptions) {
    checkNames('LogsClient', options, known)
    const { token, ca, signal } = options
    const base = checkUrl(url)
    if (typeof token !== 'string' && typeof token !== 'function')
      throw new TypeError('token must be a text, or a function that gives one')
    if (typeof token === 'string') checkToken(token)
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw new TypeError('signal must be an AbortSignal')
    this.#token = token
    this.#retry = new RetryPolicy(options.retry ?? {})
    this.#deadline = checkDuration('deadline', options.deadline ?? 120_000)
    this.#headersTimeout = checkDuration('headersTimeout', options.headersTimeout ?? 60_000)
    this.#bodyTimeout = checkDuration('bodyTimeout', options.bodyTimeout ?? 60_000)
    this.#maxAnswer = checkNumber('maxAnswer (bytes)', options.maxAnswer ?? 128 * 1024 * 1024, 1, 2 ** 29)
    this.origin = base.origin
    this.#prefix = base.pathname.replace(/\/+$/, '')
    this.#signal = signal
    this.#pool = new Pool(base.origin, {
      connections: checkNumber('connections', options.connections ?? 16, 1, 10_000),
      connect: {
        timeout: checkDuration('connectTimeout', options.connectTimeout ?? 5_000),
        ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] }),
      },
    })
  }

  /** Aborted when the client is closed: ends what has no end of its own. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** The pauses between tries. */
  get retry(): RetryPolicy {
    return this.#retry
  }

  /** Lets calls in flight finish; tails end. */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closing.abort(new LogsApiError('LOGS_API_CLOSED', 'The client was closed.', false))
      this.#closed = this.#pool.close()
    }
    return this.#closed
  }

  /** The answer as JSON; `undefined` where there is none (204). */
  async json(ask: Ask): Promise<unknown> {
    return this.#run(ask, async (answer, request) => {
      const text = await this.#text(answer, request)
      if (text === '') return undefined
      try {
        return JSON.parse(text) as unknown
      } catch (cause) {
        throw new LogsApiError('LOGS_API_PROTOCOL', `${request.name}: the answer is not JSON.`, false, {
          ...request.facts(),
          status: answer.status,
          cause,
        })
      }
    })
  }

  /** An answer whose body the caller reads to its end, or destroys. The deadline is over when this resolves. */
  open(ask: Ask): Promise<Answer> {
    return this.#run(ask, (answer) => Promise.resolve(answer))
  }

  async #run<Result>(
    ask: Ask,
    read: (answer: Answer, request: SentRequest) => Promise<Result>,
  ): Promise<Result> {
    const { signal, deadline = this.#deadline, idempotencyKey } = ask.call
    const late = new AbortController()
    const stop = AbortSignal.any([late.signal, this.#signal, signal].filter((given) => given !== undefined))
    const path = `${this.#prefix}${ask.path}`
    const query = queryText(ask.query ?? {})
    const request = new SentRequest(ask.method, `${this.origin}${path}`, `${path}${query}`, stop)
    const timer = setTimeout(() => {
      const message = `${request.name}: no success within ${deadline} ms.`
      late.abort(new LogsApiError('LOGS_API_TIMEOUT', message, true, request.facts(request.last)))
    }, deadline)
    const end = performance.now() + deadline
    const key = ask.method === 'POST' ? (idempotencyKey ?? randomUUID()) : undefined
    try {
      for (;;) {
        stop.throwIfAborted()
        this.closing.throwIfAborted()
        try {
          return await read(await this.#once(ask, key, request), request)
        } catch (error) {
          stop.throwIfAborted()
          const wait = this.#pauseFor(ask, error, request)
          if (wait === undefined || performance.now() + wait >= end) throw error
          request.last = error
          await pause(wait, AbortSignal.any([stop, this.closing]))
        }
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Milliseconds until the request may be sent again; `undefined`: not at all. */
  #pauseFor(ask: Ask, error: unknown, request: SentRequest): number | undefined {
    if (!(error instanceof LogsApiError) || ask.once === true || request.attempts >= this.#retry.attempts)
      return undefined
    if (typeof ask.body === 'object' && (!ask.body.fresh || ask.body.fault !== undefined)) return undefined
    const { code, status, retryable } = error
    const unsent = !error.sent && retryable && code !== 'LOGS_API_TOKEN'
    const notBegun = status === 429 || status === 503
    // 500 is a fault of the service: it would come again.
    if (status === 500) return undefined
    const { repeat = ask.method === 'PATCH' ? 'unsent' : 'always' } = ask
    // The same request, sent before, is still at work: its answer is what is wanted.
    const stillAtWork = status === 409 && ask.method === 'POST' && error.retryAfter !== undefined
    if (!unsent && !notBegun && (repeat === 'unsent' || !(retryable || stillAtWork))) return undefined
    return this.#retry.delay(request.attempts, error.retryAfter)
  }

  async #once(ask: Ask, key: string | undefined, request: SentRequest): Promise<Answer> {
    const token = await this.#currentToken(request)
    const { body } = ask
    request.attempts++
    let response: Dispatcher.ResponseData
    try {
      response = await this.#pool.request({
        method: ask.method,
        path: request.path,
        headers: {
          accept: 'application/json',
          ...(typeof body === 'string' ? { 'content-type': 'application/json' } : {}),
          ...(key === undefined ? {} : { 'idempotency-key': key }),
          ...ask.headers,
          authorization: `Bearer ${token}`,
        },
        body: typeof body === 'object' ? body.open() : (body ?? null),
        signal: request.stop,
        headersTimeout: ask.headersTimeout ?? this.#headersTimeout,
        bodyTimeout: ask.bodyTimeout ?? this.#bodyTimeout,
      })
    } catch (error) {
      const fault = typeof body === 'object' ? body.fault : undefined
      throw fault ?? request.fault(error)
    }
    const { statusCode: status, headers } = response
    const answer: Answer = { status, headers, body: response.body, fault: (cause) => request.fault(cause) }
    if (status >= 200 && status < 300) return answer
    const words = said(await this.#refusalText(answer))
    const after = headers['retry-after']
    throw refusal(status, {
      ...request.facts(),
      ...words,
      // A service may repeat what it was sent.
      ...(words.apiText === undefined ? {} : { apiText: words.apiText.replaceAll(token, '***') }),
      retryAfter: retryAfter(typeof after === 'string' ? after : undefined),
    })
  }

  async #currentToken(request: SentRequest): Promise<string> {
    if (typeof this.#token === 'string') return this.#token
    try {
      return checkToken(await orStopped(this.#token(), request.stop))
    } catch (cause) {
      request.stop.throwIfAborted()
      const message = `${request.name}: the token could not be got, so nothing was sent.`
      throw new LogsApiError('LOGS_API_TOKEN', message, false, { ...request.facts(cause), sent: false })
    }
  }

  async #text({ body, status, fault }: Answer, request: SentRequest): Promise<string> {
    const chunks: Uint8Array[] = []
    let size = 0
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        size += chunk.length
        if (size > this.#maxAnswer) break
        chunks.push(chunk)
      }
    } catch (cause) {
      throw fault(cause)
    }
    if (size <= this.#maxAnswer) return Buffer.concat(chunks).toString('utf8')
    const message = `${request.name}: the answer has more than ${this.#maxAnswer} bytes (maxAnswer). Ask for less at a time, or use search.`
    throw new LogsApiError('LOGS_API_SIZE', message, false, { ...request.facts(), status })
  }

  /** What cannot be read of it does not matter: the status says enough. */
  async #refusalText({ body }: Answer): Promise<string> {
    const chunks: Uint8Array[] = []
    let size = 0
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        size += chunk.length
        if (size > longestRefusal) return ''
        chunks.push(chunk)
      }
      return Buffer.concat(chunks).toString('utf8')
    } catch {
      return ''
    }
  }
}

/** A request with all its tries. */
class SentRequest {
  readonly method: string
  /** Without query. */
  readonly url: string
  /** With query. */
  readonly path: string
  readonly stop: AbortSignal
  attempts = 0
  /** What the last try failed with. */
  last: unknown

  constructor(method: string, url: string, path: string, stop: AbortSignal) {
    this.method = method
    this.url = url
    this.path = path
    this.stop = stop
  }

  get name(): string {
    return `${this.method} ${this.url}`
  }

  facts(cause?: unknown): LogsApiErrorFacts {
    const { method, url, attempts } = this
    return { method, url, attempts, sent: attempts > 0, cause }
  }

  /** An error of ours for one of the network's. */
  fault(cause: unknown): unknown {
    if (this.stop.aborted) return this.stop.reason
    if (cause instanceof LogsApiError) return cause
    const { code = '', message } = (cause instanceof Error ? cause : new Error(String(cause))) as Error & {
      code?: string
    }
    const facts = this.facts(cause)
    if (isUnsent(cause)) {
      const text = `${this.name}: no connection (${code === '' ? message : code}). Nothing was sent.`
      return new LogsApiError('LOGS_API_CONNECT', text, !isCertificate(code), { ...facts, sent: false })
    }
    if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
      const what = code === 'UND_ERR_HEADERS_TIMEOUT' ? 'no answer' : 'no further part of the answer'
      return new LogsApiError('LOGS_API_TIMEOUT', `${this.name}: ${what} in time.`, true, facts)
    }
    if (code.startsWith('HPE_')) {
      const text = `${this.name}: the answer is not HTTP (${code}).`
      return new LogsApiError('LOGS_API_PROTOCOL', text, false, facts)
    }
    const text = `${this.name}: the connection was lost before the answer was whole (${code === '' ? message : code}).`
    return new LogsApiError('LOGS_API_SOCKET', text, true, facts)
  }
}

const connectCodes: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])

function isUnsent(cause: unknown): boolean {
  const { code = '', syscall } = cause as NodeJS.ErrnoException
  return syscall === 'connect' || connectCodes.has(code) || isCertificate(code)
}

const isCertificate = (code: string): boolean =>
  /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH)/.test(code)

function checkUrl(url: string | URL): URL {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    // Node's own message repeats it, and it may hold a password.
    throw new TypeError('url must be an http or https URL')
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    throw new TypeError('url must be an http or https URL')
  if (parsed.username !== '' || parsed.password !== '')
    throw new TypeError('url must not hold a user name or password: the service takes tokens')
  if (parsed.search !== '' || parsed.hash !== '')
    throw new TypeError('url must have no query and no fragment')
  return parsed
}

function checkToken(token: unknown): string {
  if (typeof token !== 'string') throw new TypeError('token must be a text')
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new RangeError('token must be printable ASCII characters without blanks, at least one')
  return token
}

async function orStopped<Value>(value: Value | Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([value, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
