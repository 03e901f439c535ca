import { isIP } from 'node:net'
import {
  Connection,
  type ErrorFacts,
  HcpError,
  HcpProtocolError,
  type HcpResponse,
  HcpResponseError,
  HcpTimeoutError,
  type Params,
  type RetryOptions,
  Target,
} from '@hcp/connection'
import { checkMilliseconds, checkOptions, RetryPolicy } from '@hcp/connection/support'
import {
  type NamespaceSettings,
  type NamespaceStatistics,
  type PermissionDomains,
  readNamespace,
  readNamespaces,
  readPermissions,
  readRetentionClasses,
  readStatistics,
  type RetentionClass,
} from './information.ts'
import { parseXml, type XmlElement } from './xml-document.ts'

/** Of each question. Times in milliseconds; their defaults are those of the connection. */
export interface InformationOptions {
  /** Ends the call: it rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** The whole call with all its tries. Default: none. */
  readonly deadline?: number
  /** Wait for the answer's head. Default 30,000. */
  readonly headersTimeout?: number
  /** Longest pause inside the answer. Default 30,000. */
  readonly bodyTimeout?: number
  /** Repetition: its bounds, the number of attempts, or `false` for never. Default: 5 attempts. */
  readonly retry?: RetryOptions | number | false
}

const known: ReadonlySet<string> = new Set(['signal', 'deadline', 'headersTimeout', 'bodyTimeout', 'retry'])

/**
 * A longer document is refused, in bytes: 16 MiB. So long are the settings of 10,000 namespaces, of which HCP allows no more, with
 * descriptions of 1,024 letters each.
 */
export const maximumDocumentSize: number = 16 * 1024 ** 2

/** A document to ask for, and what is made of it. */
interface Question<Result> {
  readonly method: string
  readonly path: string
  readonly params?: Params
  /** Name of the root element. */
  readonly root: string
  readonly read: (root: XmlElement) => Result
}

const statistics: Question<NamespaceStatistics> = {
  method: 'statistics',
  path: '/proc/statistics',
  root: 'statistics',
  read: readStatistics,
}
const namespaces: Question<Record<string, NamespaceSettings>> = {
  method: 'namespaces',
  path: '/proc',
  root: 'namespaces',
  read: readNamespaces,
}
const namespace: Question<NamespaceSettings | undefined> = {
  ...namespaces,
  method: 'namespace',
  params: { single: true },
  read: readNamespace,
}
const retentionClasses: Question<Record<string, RetentionClass>> = {
  method: 'retentionClasses',
  path: '/proc/retentionClasses',
  root: 'retentionClasses',
  read: readRetentionClasses,
}
const permissions: Question<PermissionDomains> = {
  method: 'permissions',
  path: '/proc/permissions',
  root: 'permissions',
  read: readPermissions,
}

/**
 * Asks HCP about a namespace, and about those beside it: statistics, settings, retention classes, permissions.
 *
 * All methods reject with
 * - `HcpResponseError` (`HCP_RESPONSE`) where HCP refuses: `status` 403 for wrong credentials as for a namespace that does not
 *   exist, which HCP does not tell apart; 401 for a user without any permission in the namespace;
 * - `HcpProtocolError` (`HCP_PROTOCOL`) where something else answers than the document asked for;
 * - what `Connection` rejects with; `TypeError` or `RangeError` for wrong options, before anything is sent.
 *
 * @see Using a Namespace, "Listing accessible namespaces" and the chapters after it: the URLs under `/proc`
 */
export class NamespaceInfo implements AsyncDisposable {
  readonly #connection: Connection
  readonly #owned: boolean

  /**
   * @param source A connection, which stays its owner's; or a target, to which a connection of its own is made. Its name is that of
   *   a namespace: `namespace.tenant.domain`.
   * @throws {TypeError} for anything else. @throws {RangeError} for a name that cannot be a namespace's.
   */
  constructor(source: Connection | Target) {
    if (!(source instanceof Connection) && !(source instanceof Target)) {
      throw new TypeError('NamespaceInfo: the argument must be a Connection or a Target')
    }
    const { fqdn } = source instanceof Target ? source : source.target
    // A domain may have one part or many, so no more than this can be told from the name.
    if (isIP(fqdn) !== 0 || fqdn.split('.').length < 3) {
      throw new RangeError(
        `NamespaceInfo: ${fqdn} names no namespace; expected namespace.tenant.domain, for example "ns1.ten1.hcp.example.com"`,
      )
    }
    this.#owned = source instanceof Target
    this.#connection = source instanceof Target ? new Connection(source) : source
  }

  /** How much the namespace holds and may hold. */
  async statistics(options: InformationOptions = {}): Promise<NamespaceStatistics> {
    return this.#ask(statistics, options)
  }

  /**
   * The settings of the namespace itself.
   *
   * @returns `undefined` if the user has no permission in it, which HCP answers with an empty list.
   */
  async namespace(options: InformationOptions = {}): Promise<NamespaceSettings | undefined> {
    return this.#ask(namespace, options)
  }

  /**
   * The settings of all namespaces of the tenant in which the user has a permission, by name.
   *
   * @returns Empty if there is none. Ask `Object.hasOwn` of a name that may be `constructor` or the like.
   */
  async namespaces(options: InformationOptions = {}): Promise<Readonly<Record<string, NamespaceSettings>>> {
    return this.#ask(namespaces, options)
  }

  /**
   * The namespace's retention classes, by name.
   *
   * @returns Empty if there is none. Ask `Object.hasOwn` of a name that may be `constructor` or the like.
   */
  async retentionClasses(
    options: InformationOptions = {},
  ): Promise<Readonly<Record<string, RetentionClass>>> {
    return this.#ask(retentionClasses, options)
  }

  /** What the namespace allows, and what the user may do in it. */
  async permissions(options: InformationOptions = {}): Promise<PermissionDomains> {
    return this.#ask(permissions, options)
  }

  /** Closes the connection that was made for a target, not the target; a connection that was passed in is left alone. */
  async close(): Promise<void> {
    if (this.#owned) await this.#connection.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #ask<Result>(
    { method, path, params = {}, root, read }: Question<Result>,
    options: InformationOptions,
  ): Promise<Result> {
    checkOptions(`NamespaceInfo.${method}`, options, known)
    const { response, body } = await this.#fetch(path, params, options)
    try {
      if (body === undefined) throw new RangeError(`it has more than ${maximumDocumentSize} bytes`)
      const document = parseXml(body)
      if (document.name !== root) throw new Error(`its root element is <${document.name}>`)
      return read(document)
    } catch (cause) {
      const why = (cause as Error).message.slice(0, 200).replaceAll(/\s+/g, ' ')
      const type = response.header('content-type') ?? 'text/xml'
      const instead = type.includes('xml') ? '' : ` but ${type.slice(0, 80)}`
      const message = `The answer to ${requestOf(response)} is not HCP's <${root}> document${instead}: ${why}`
      throw new HcpProtocolError(message, { ...factsOf(response), cause })
    }
  }

  /** The document, in memory. One whose transfer breaks is fetched anew. @throws {HcpResponseError} for an answer that is none. */
  async #fetch(
    path: string,
    params: Params,
    options: InformationOptions,
  ): Promise<{ readonly response: HcpResponse; readonly body: Uint8Array | undefined }> {
    const { deadline, retry = {} } = options
    const end =
      deadline === undefined ? undefined : performance.now() + checkMilliseconds('deadline', deadline)
    const { attempts } = new RetryPolicy(retry)
    for (let attempt = 1; ; attempt++) {
      const left = end === undefined ? {} : { deadline: Math.max(1, Math.ceil(end - performance.now())) }
      const response = await this.#connection.get(path, { ...options, ...left, params })
      if (response.status !== 200) {
        // Nobody waits for the rest of it.
        void response.dump()
        throw refusal(response, this.#connection.target.fqdn)
      }
      try {
        return { response, body: await bodyOf(response) }
      } catch (error) {
        if (attempt === attempts || !isBroken(error)) throw error
      }
    }
  }
}

/** Whether the transfer broke in a way that another GET may mend. */
function isBroken(error: unknown): boolean {
  if (!HcpError.isInstance(error) || !error.retryable) return false
  return !(error instanceof HcpTimeoutError && error.phase === 'deadline')
}

/** `undefined` as soon as it is too long; the rest is given up. */
async function bodyOf(response: HcpResponse): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of response) {
    size += piece.length
    if (size > maximumDocumentSize) return undefined
    pieces.push(piece)
  }
  return Buffer.concat(pieces, size)
}

const requestOf = ({ method, url }: HcpResponse): string => `${method} ${url}`

const factsOf = ({ method, url, address, attempts }: HcpResponse): ErrorFacts => ({
  method,
  url,
  address,
  attempts,
  sent: true,
})

/** The error for an answer that is no document. */
function refusal(response: HcpResponse, fqdn: string): HcpProtocolError | HcpResponseError {
  const { status, statusText, errorMessage } = response
  const answer = `${status} ${statusText}`.trim()
  if (status < 400) {
    const why =
      status < 300
        ? ' and no document'
        : `, a redirection: HCP does that to web browsers, and ${fqdn} may be no namespace at all`
    return new HcpProtocolError(`${requestOf(response)} was answered with ${answer}${why}`, factsOf(response))
  }
  const said = errorMessage === undefined ? '' : ` (${errorMessage})`
  const message = `${requestOf(response)} was answered with ${answer}${said}${adviceFor(status, fqdn)}`
  return new HcpResponseError(status, errorMessage, message, factsOf(response))
}

function adviceFor(status: number, fqdn: string): string {
  if (status === 401) {
    return '. The user has no permission in this namespace: an administrator of the tenant can give data access permissions'
  }
  // HCP documents no way to tell these apart; 400 is what some of its pages have for a namespace that does not exist.
  if (status === 403 || status === 400) {
    return (
      `. Either user name or password is wrong, or ${fqdn} is not the name of a namespace (namespace.tenant.domain), ` +
      'or the namespace is closed to this protocol: HCP does not say which'
    )
  }
  return ''
}
