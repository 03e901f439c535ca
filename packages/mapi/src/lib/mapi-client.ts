import { isIP } from 'node:net'
import {
  type Body,
  Connection,
  type ConnectionOptions,
  HcpError,
  type HcpResponse,
  HcpTimeoutError,
  type ParamValue,
  type RetryOptions,
  Target,
} from '@hcp/connection'
import {
  checkBoolean,
  checkInteger,
  checkMilliseconds,
  checkOptions,
  checkString,
  RetryPolicy,
} from '@hcp/connection/support'
import { readDocument } from './document-reader.ts'
import { type Document, type DocumentFormat, mediaTypes, writeDocument } from './document-writer.ts'
import { factsOf, MapiDocumentError, mapiError, type MapiRoles, requestOf } from './errors.ts'
import { checkPath, type MapiPath } from './mapi-path.ts'
import { type NameList, type Names, namesOf, type PageOptions } from './names.ts'
import type { DocumentSchema } from './schema.ts'

/**
 * Of a client. All but `format`, `maximumDocumentSize`, `deadline`, `headersTimeout` and `bodyTimeout` belong to the connection that it
 * makes for a target.
 */
export interface MapiClientOptions extends Omit<ConnectionOptions, 'hedge' | 'verifyHash'> {
  /** The form in which documents are asked for and sent. Both are read to the same values. Default `xml`, HCP's own default. */
  readonly format?: DocumentFormat
  /** A longer document is refused. Bytes, default 4 MiB. */
  readonly maximumDocumentSize?: number
  /** A whole call with all its tries. Not for `open`. Milliseconds, default 600,000: some answers take HCP minutes. */
  readonly deadline?: number
  /** Wait for an answer's head. Milliseconds, default 60,000. */
  readonly headersTimeout?: number
}

/** Of every call. Times in milliseconds; their defaults are those of the client. */
export interface MapiCallOptions {
  /** Ends the call: it rejects with the signal's reason. */
  readonly signal?: AbortSignal
  readonly deadline?: number
  readonly headersTimeout?: number
  readonly bodyTimeout?: number
  /** Query parameters. */
  readonly params?: Readonly<Record<string, ParamValue | undefined>>
  /** Who may do this, for the message of a {@link MapiForbiddenError}. */
  readonly roles?: MapiRoles
}

/** Of calls that send a document. */
export interface WriteOptions extends MapiCallOptions {
  readonly format?: DocumentFormat
}

/** Of calls that read. */
export interface ReadOptions extends MapiCallOptions {
  readonly format?: DocumentFormat
  /** Ask for what can only be read, too: ids, times, status, statistics. Default false. */
  readonly verbose?: boolean
  /** Repetition: its bounds, the number of attempts, or `false` for never. Default: that of the connection, 5 attempts. */
  readonly retry?: RetryOptions | number | false
}

/** Of actions. */
export interface ActOptions extends WriteOptions {
  /** Name of the root of an empty document to send with it; most resources want one, those of replication and logs refuse it. */
  readonly emptyDocument?: string
}

/** Of answers that are taken as they are. */
export interface OpenOptions extends MapiCallOptions {
  /** Media type to ask for. Default: any. */
  readonly accept?: string
  /** Media type of `body`. */
  readonly contentType?: string
  readonly body?: Body
  /** Bytes of a body that is a stream. */
  readonly size?: number
  /** As for reading; of effect on GET only. */
  readonly retry?: RetryOptions | number | false
}

const ofEveryCall = ['signal', 'deadline', 'headersTimeout', 'bodyTimeout', 'params', 'roles'] as const
const known: Readonly<
  Record<'act' | 'change' | 'create' | 'exists' | 'open' | 'read' | 'remove', ReadonlySet<string>>
> = {
  act: new Set([...ofEveryCall, 'format', 'emptyDocument']),
  change: new Set([...ofEveryCall, 'format']),
  create: new Set([...ofEveryCall, 'format']),
  exists: new Set([...ofEveryCall, 'retry']),
  open: new Set([...ofEveryCall, 'accept', 'contentType', 'body', 'size', 'retry']),
  read: new Set([...ofEveryCall, 'format', 'verbose', 'retry']),
  remove: new Set(ofEveryCall),
}

/** Settings that work with a caller's connection, too. */
const ownSettings: ReadonlySet<string> = new Set([
  'format',
  'maximumDocumentSize',
  'deadline',
  'headersTimeout',
  'bodyTimeout',
])
const settings: ReadonlySet<string> = new Set([
  ...ownSettings,
  'connections',
  'socketLifetime',
  'idleTimeout',
  'connectTimeout',
  'tcpKeepAlive',
  'retry',
])

/** Ports of HCP that are not the management API's: HTTP, HTTPS, the console, search. */
const foreignPorts: ReadonlySet<number> = new Set([80, 443, 8000, 8888])

/** Lists come by pages, and nothing else is large. Parsing what is hostile takes a second or so for each of these megabytes at worst. */
const defaultDocumentSize = 4 * 1024 ** 2

/** What a request is made of, apart from the caller's options, and wins over those. */
interface Parts {
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly params?: MapiCallOptions['params']
  readonly body?: Body | undefined
  readonly size?: number | undefined
  readonly idempotent?: boolean | undefined
  readonly deadline?: number
  /** Without the client's deadline. */
  readonly endless?: boolean
  /** Statuses that are no failure, besides 200 to 299. */
  readonly accepted?: readonly number[]
}

/**
 * Requests to the management API (MAPI) of one system or tenant: typed documents in either form, actions, lists by pages, and answers as
 * they are. The ground of packages for single parts of it.
 *
 * All methods reject with
 * - a {@link MapiError} or one of its subclasses where HCP refuses; `status`, and HCP's own words in `reason`;
 * - {@link MapiDocumentError} where the answer is not the document asked for;
 * - what `Connection` rejects with; the signal's reason; `TypeError` or `RangeError` for wrong arguments, before anything is sent.
 *
 * Reading is repeated as `Connection` does it. What changes something is sent once: HCP's MAPI tells of no way to find out whether a
 * request whose answer was lost has been carried out.
 *
 * @example
 *   const target = new Target('admin.hcp.example.com', { port: Port.mapi, authorization, tls: { ca } })
 *   await using mapi = new MapiClient(target)
 * @see HCP Management API Reference
 */
export class MapiClient implements AsyncDisposable {
  readonly connection: Connection
  readonly #owned: boolean
  readonly #format: DocumentFormat
  readonly #maximumDocumentSize: number
  readonly #deadline: number
  readonly #timeouts: { readonly headersTimeout: number; readonly bodyTimeout?: number }
  readonly #retry: RetryPolicy
  /** HCP has taken the credentials. */
  #accepted = false

  /**
   * @param target Where the management API is: `admin.<domain>` for the system, `<tenant>.<domain>` for a tenant, with `port: 9090`; the
   *   client makes a connection and closes it. Or a connection, which stays the caller's.
   * @throws {RangeError} for a target that cannot be a management API: without TLS, or on the port of another service.
   */
  constructor(target: Target | Connection, options: MapiClientOptions = {}) {
    if (!(target instanceof Target) && !(target instanceof Connection)) {
      throw new TypeError('MapiClient: the first argument must be a Target or a Connection')
    }
    this.#owned = target instanceof Target
    checkOptions('MapiClient', options, this.#owned ? settings : ownSettings)
    checkManagementTarget(target instanceof Target ? target : target.target)
    const { format, maximumDocumentSize, deadline, headersTimeout, bodyTimeout, ...connectionOptions } =
      options
    this.#format = checkFormat(format ?? 'xml')
    this.#maximumDocumentSize = checkInteger(
      'maximumDocumentSize (bytes)',
      maximumDocumentSize ?? defaultDocumentSize,
      1,
      256 * 1024 ** 2,
    )
    this.#deadline = checkMilliseconds('deadline', deadline ?? 600_000)
    this.#timeouts = {
      headersTimeout: checkMilliseconds('headersTimeout', headersTimeout ?? 60_000),
      ...(bodyTimeout === undefined ? {} : { bodyTimeout: checkMilliseconds('bodyTimeout', bodyTimeout) }),
    }
    this.#retry = new RetryPolicy(options.retry ?? {})
    this.connection = target instanceof Target ? new Connection(target, connectionOptions) : target
  }

  get target(): Target {
    return this.connection.target
  }

  /**
   * Whose management API this is, by the name of its host: the system's (`admin.<domain>`) or a tenant's. `undefined` for an IP address.
   */
  get level(): 'system' | 'tenant' | undefined {
    const { fqdn } = this.target
    return isIP(fqdn) !== 0 ? undefined : fqdn.startsWith('admin.') ? 'system' : 'tenant'
  }

  /** One resource, read by its schema. */
  async read<T>(path: MapiPath, schema: DocumentSchema<T>, options: ReadOptions = {}): Promise<T> {
    checkOptions('MapiClient.read', options, known.read)
    if (
      typeof (schema as DocumentSchema<T> | undefined)?.read !== 'function' ||
      typeof schema.root !== 'string'
    )
      throw new TypeError('MapiClient.read: a schema made by document() is required')
    const { format = this.#format, verbose, params, retry } = options
    const accept = mediaTypes[checkFormat(format)]
    const query = verbose === undefined ? params : { verbose: checkBoolean('verbose', verbose), ...params }
    const deadline = checkMilliseconds('deadline', options.deadline ?? this.#deadline)
    const end = performance.now() + deadline
    const { attempts } = retry === undefined ? this.#retry : new RetryPolicy(retry, this.#retry)
    for (let attempt = 1; ; attempt++) {
      const left = attempt === 1 ? deadline : Math.max(1, Math.ceil(end - performance.now()))
      const response = await this.#send('GET', path, options, {
        headers: { accept },
        params: query,
        deadline: left,
      })
      try {
        return await this.#documentOf(response, schema, format)
      } catch (error) {
        // A transfer that broke may come whole the next time; a document that is wrong would be wrong again.
        if (attempt >= attempts || error instanceof MapiDocumentError || !isBroken(error)) throw error
      }
    }
  }

  /**
   * Whether there is such a resource that the account may see.
   *
   * HCP answers 302 or 404 where not; redirections are not followed.
   */
  async exists(path: MapiPath, options: MapiCallOptions & Pick<ReadOptions, 'retry'> = {}): Promise<boolean> {
    checkOptions('MapiClient.exists', options, known.exists)
    const response = await this.#send('HEAD', path, options, { accepted: [302, 404] })
    void response.dump()
    return response.ok
  }

  /** Creates a resource: PUT to the collection, with its name in the document; or without document to what is made by its path alone. */
  async create(path: MapiPath, document: Document | undefined, options: WriteOptions = {}): Promise<void> {
    checkOptions('MapiClient.create', options, known.create)
    await this.#write('PUT', path, document, options)
  }

  /** Changes what the document names, and nothing else. */
  async change(path: MapiPath, document: Document, options: WriteOptions = {}): Promise<void> {
    checkOptions('MapiClient.change', options, known.change)
    if (document === undefined)
      throw new TypeError('MapiClient.change: a document is required, { root, value }')
    await this.#write('POST', path, document, options)
  }

  /**
   * Runs an action: POST with a query parameter and no document. Never repeated.
   *
   * @param action Its name, for example `suspend`. @param value Of the parameter. Default: empty.
   */
  async act(path: MapiPath, action: string, value: string = '', options: ActOptions = {}): Promise<void> {
    checkOptions('MapiClient.act', options, known.act)
    checkString('action', action)
    if (typeof value !== 'string') throw new TypeError('value must be a string')
    const { emptyDocument, params, ...rest } = options
    const document = emptyDocument === undefined ? undefined : { root: emptyDocument, value: {} }
    await this.#write('POST', path, document, { ...rest, params: { ...params, [action]: value } })
  }

  /** Deletes a resource. Never repeated. @throws {MapiNotFoundError} if there is none. */
  async remove(path: MapiPath, options: MapiCallOptions = {}): Promise<void> {
    checkOptions('MapiClient.remove', options, known.remove)
    await noPage(await this.#send('DELETE', path, options, { idempotent: false }))
  }

  /**
   * The names in a collection, in order, fetched page by page as they are asked for. A collection that changes meanwhile gives each name
   * at most once, and each one that was there all the time.
   *
   * @param list How the collection is called and what its items: `{ root: 'namespaces', element: 'name' }`.
   */
  names(path: MapiPath, list: NameList, options: PageOptions = {}): Names {
    return namesOf(this, checkPath(path), list, options)
  }

  /**
   * The answer as it is, for text, CSV or archives; its status has been checked, its body streams and is to be read or dumped. `deadline`
   * covers the body, too; by default there is none.
   */
  async open(
    method: 'GET' | 'POST' | 'PUT',
    path: MapiPath,
    options: OpenOptions = {},
  ): Promise<HcpResponse> {
    checkOptions('MapiClient.open', options, known.open)
    if (method !== 'GET' && method !== 'POST' && method !== 'PUT') {
      throw new RangeError('MapiClient.open: method must be GET, POST or PUT')
    }
    const { accept = '*/*', contentType, body, size } = options
    return this.#send(method, path, options, {
      endless: true,
      headers: contentType === undefined ? { accept } : { accept, 'content-type': contentType },
      body,
      size,
      idempotent: method === 'GET' ? undefined : false,
    })
  }

  /** Closes the connection that was made for a target, not the target; a connection that was passed in is left alone. */
  async close(): Promise<void> {
    if (this.#owned) await this.connection.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #write(
    method: 'PUT' | 'POST',
    path: MapiPath,
    document: Document | undefined,
    options: WriteOptions,
  ): Promise<void> {
    const format = checkFormat(options.format ?? this.#format)
    if (document === null || (document !== undefined && typeof document !== 'object'))
      throw new TypeError('document must be an object { root, value }')
    const body = document === undefined ? undefined : writeDocument(document, format)
    const response = await this.#send(method, path, options, {
      body,
      headers: body === undefined ? undefined : { 'content-type': mediaTypes[format] },
      idempotent: false,
    })
    await noPage(response)
  }

  /** One request, whose answer is 2xx or among `accepted`; else an error, and the body is given up. */
  async #send(
    method: string,
    path: MapiPath,
    options: MapiCallOptions & Pick<ReadOptions, 'retry'>,
    { endless = false, accepted = [], ...parts }: Parts = {},
  ): Promise<HcpResponse> {
    const { signal, deadline = endless ? undefined : this.#deadline, roles, ...others } = options
    const { retry, headersTimeout, bodyTimeout, params } = others
    const given = { signal, deadline, retry, headersTimeout, bodyTimeout, params, ...parts }
    const response = await this.connection.request(method, checkPath(path), {
      ...this.#timeouts,
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
      encoded: true,
    })
    if (response.ok) this.#accepted = true
    if (response.ok || accepted.includes(response.status)) return response
    // Nobody waits for the rest of it.
    void response.dump()
    throw mapiError(response, {
      fqdn: this.target.fqdn,
      level: this.level,
      roles,
      accepted: this.#accepted,
      secrets: secretsIn(params),
    })
  }

  async #documentOf<T>(response: HcpResponse, schema: DocumentSchema<T>, asked: DocumentFormat): Promise<T> {
    const type = response.header('content-type')?.slice(0, 80)
    const format = formatOf(type, asked)
    const fault = (why: string, cause?: unknown): MapiDocumentError =>
      new MapiDocumentError(`The answer to ${requestOf(response)} is not ${schema.kind}: ${why}.`, {
        ...factsOf(response),
        cause,
      })
    if (response.status !== 200 || format === undefined) {
      void response.dump()
      throw fault(`it has the status ${response.status} and the type ${type}`)
    }
    const bytes = await this.#bytesOf(response)
    if (bytes === undefined) throw fault(`it has more than ${this.#maximumDocumentSize} bytes`)
    try {
      return readDocument(bytes, format, schema)
    } catch (cause) {
      throw fault((cause as Error).message.slice(0, 300).replaceAll(/\s+/g, ' '), cause)
    }
  }

  /** `undefined` as soon as it is too long; the rest is given up. */
  async #bytesOf(response: HcpResponse): Promise<Uint8Array | undefined> {
    const pieces: Uint8Array[] = []
    let size = 0
    for await (const piece of response) {
      size += piece.length
      if (size > this.#maximumDocumentSize) return undefined
      pieces.push(piece)
    }
    return Buffer.concat(pieces, size)
  }
}

/** Gives up the body of an answer in which nothing is expected; a web page is no answer of HCP's. */
async function noPage(response: HcpResponse): Promise<void> {
  if (!/^text\/html\b/i.test(response.header('content-type') ?? '')) {
    void response.dump()
    return
  }
  for await (const piece of response) {
    if (piece.every((byte) => byte <= 0x20)) continue
    throw new MapiDocumentError(
      `${requestOf(response)} was answered with ${response.status} and a web page, as gateways and login pages do. Whether HCP has carried it out is not known.`,
      factsOf(response),
    )
  }
}

/** What HCP wants in a query, and must not come back in a message: passwords. */
const secretsIn = (params: MapiCallOptions['params']): readonly string[] =>
  Object.entries(params ?? {}).flatMap(([name, value]) =>
    /passwords?$/i.test(name) && typeof value === 'string' && value !== '' ? [value] : [],
  )

/** Whether the transfer broke in a way that another GET may mend. */
function isBroken(error: unknown): boolean {
  if (!HcpError.isInstance(error) || !error.retryable) return false
  return !(error instanceof HcpTimeoutError && error.phase === 'deadline')
}

/** How to read an answer of that type; `undefined` for what is no document. */
function formatOf(type: string | undefined, asked: DocumentFormat): DocumentFormat | undefined {
  const plain = type?.split(';')[0]?.trim().toLowerCase()
  if (plain === undefined || plain === '') return asked
  if (plain === 'application/json') return 'json'
  return plain === 'application/xml' || plain === 'text/xml' ? 'xml' : undefined
}

export function checkFormat(format: unknown): DocumentFormat {
  if (format !== 'xml' && format !== 'json') throw new RangeError('format must be "xml" or "json"')
  return format
}

/** @throws {RangeError} for a target that cannot be a management API. */
function checkManagementTarget({ fqdn, port, tls }: Target): void {
  if (foreignPorts.has(port)) {
    throw new RangeError(
      `The management API of ${fqdn} is not on port ${port}: make the Target with port: 9090 (Port.mapi)`,
    )
  }
  if (!tls) {
    throw new RangeError(
      `The management API of ${fqdn} speaks TLS only: make the Target with port: 9090 (Port.mapi) and without tls: false`,
    )
  }
}
