import { Agent, type Dispatcher, request } from 'undici'
import { formatInstant } from '../time.ts'
import type { NewOperation, OperationChanges } from './operation.ts'
import { OperationRefusedError, type OperationSink } from './operation-sink.ts'

export interface HttpSinkOptions {
  /** Of the logs service, with the prefix if it has one: `https://logs.example.com/hcp`. */
  readonly url: string
  /** Of a caller with the role `admin` or `system`. A function is asked before each request. */
  readonly token: string | (() => string | Promise<string>)
  /** Milliseconds for a request. Default 10,000. */
  readonly timeout?: number
  /** Carries the requests, for an authority of one's own for example. Stays the caller's to close. Default: a new one. */
  readonly dispatcher?: Dispatcher
}

/** Answers that will be the same next time. 404 is one where a log is changed: it is gone. */
const finalStatuses: ReadonlySet<number> = new Set([400, 413, 422])

/** Operation logs go to a logs service over HTTP. */
export class HttpSink implements OperationSink, AsyncDisposable {
  readonly #url: string
  readonly #token: HttpSinkOptions['token']
  readonly #timeout: number
  readonly #dispatcher: Dispatcher
  readonly #own: Agent | undefined
  #closing: Promise<void> | undefined

  /** @throws {TypeError} if `url` is no URL of HTTP. */
  constructor({ url, token, timeout = 10_000, dispatcher }: HttpSinkOptions) {
    const parsed = URL.parse(url)
    if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password) {
      throw new TypeError(
        'url must be an http or https URL without a user name, such as https://logs.example.com',
      )
    }
    this.#url = `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}/v2/operations`
    this.#token = token
    this.#timeout = timeout
    this.#own = dispatcher ? undefined : new Agent({ connections: 2 })
    this.#dispatcher = dispatcher ?? this.#own!
  }

  async add(operation: NewOperation & { readonly id: string }): Promise<void> {
    const { status, said } = await this.#send('POST', this.#url, operation)
    // 409: it was stored at an earlier try, whose answer was lost. Nobody else makes the same id.
    if (isSuccess(status) || status === 409) return
    throw refused(finalStatuses.has(status), `POST ${this.#url}`, status, said)
  }

  async change(id: string, changes: OperationChanges): Promise<void> {
    const url = `${this.#url}/${encodeURIComponent(id)}`
    const { status, said } = await this.#send('PATCH', url, changes)
    if (isSuccess(status)) return
    throw refused(finalStatuses.has(status) || status === 404, `PATCH ${url}`, status, said)
  }

  async #send(
    method: 'POST' | 'PATCH',
    url: string,
    values: OperationChanges | NewOperation,
  ): Promise<{ status: number; said: string }> {
    const signal = AbortSignal.timeout(this.#timeout)
    const token = typeof this.#token === 'string' ? this.#token : await this.#token()
    const { statusCode, body } = await request(url, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(wireValues(values)),
      dispatcher: this.#dispatcher,
      signal,
    })
    if (isSuccess(statusCode) || statusCode === 409) {
      await body.dump()
      return { status: statusCode, said: '' }
    }
    let said = ''
    for await (const chunk of body.setEncoding('utf8')) {
      said += chunk
      if (said.length > 2000) break
    }
    return { status: statusCode, said: said.slice(0, 2000) }
  }

  /** Lets requests in flight finish. A dispatcher that was passed in is left alone. */
  close(): Promise<void> {
    this.#closing ??= this.#own ? this.#own.close() : Promise.resolve()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

const isSuccess = (status: number): boolean => status >= 200 && status < 300

function refused(final: boolean, what: string, status: number, said: string): Error {
  const message = `${what} was answered with ${status}`
  return final ? new OperationRefusedError(`${message}: ${said}`) : new Error(message)
}

const times: ReadonlySet<string> = new Set(['started_at', 'ended_at', 'created_at', 'updated_at'])

const wireValues = (values: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(values).map(([field, value]) => [
      field,
      times.has(field) && typeof value === 'number' ? formatInstant(value) : value,
    ]),
  )
