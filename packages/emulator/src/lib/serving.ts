import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { permissionsOn } from './access-control-list.ts'
import type { Answer } from './answer.ts'
import { permissionsOf } from './authentication.ts'
import { BlobError } from './blob-store.ts'
import { drainedBytes, drainedTime, smallRemainder } from './choices.ts'
import { firstConditions } from './conditions.ts'
import type { ActiveFault, FaultTable } from './faults.ts'
import { readInformation } from './namespace-information.ts'
import { mapiHead } from './mapi/head.ts'
import { manage } from './mapi/router.ts'
import { ConnectionLost, reasonPhrase, Refusal } from './refusal.ts'
import { disturb, faultStatus, inverted, RequestBody } from './request-body.ts'
import type { OpenRecord, RequestLog } from './request-log.ts'
import { hostOf, parseTarget } from './request-target.ts'
import { handleRest } from './rest.ts'
import type { System } from './system.ts'
import type { Usage } from './usage.ts'

/** Bytes that are no HTTP. */
export const garbage: Buffer = Buffer.from(
  '\u0000\u0001\u0002 this is not HTTP \u00ff\u00fe\r\n\r\n'.repeat(4),
  'latin1',
)

/** The statuses that the documents name an `X-HCP-ErrorMessage` with. */
const messaged: ReadonlySet<number> = new Set([204, 400, 403, 503])

/** The node and port that a request came to. */
export interface Door {
  readonly cluster: 'primary' | 'replica'
  readonly node: number
  readonly port: 'http' | 'https' | 'mapi'
  /** The TCP socket under a request's socket. */
  transport(socket: Socket): Socket
}

/** Requests of one system: from the parsed head to the last byte of the answer. */
export class RequestServer {
  readonly #system: System
  readonly #faults: FaultTable
  readonly #log: RequestLog
  readonly #bodies = new WeakMap<Socket, RequestBody>()
  readonly #last = new WeakMap<Socket, ServerResponse>()
  /** Sockets on which something came that is no request. */
  readonly #refused = new WeakSet<Socket>()

  constructor(system: System, faults: FaultTable, log: RequestLog) {
    this.#system = system
    this.#faults = faults
    this.#log = log
  }

  serve(door: Door, request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const serving = new Serving(this.#system, this.#log, door, request, response, expectsContinue)
    const { method = '', url = '' } = request
    const fault = this.#faults.none
      ? undefined
      : this.#faults.onRequest(door.cluster, door.node, method, url.split('?', 1)[0]!)
    const { socket } = request
    const run = (): void => {
      if (serving.hasBody) this.#bodies.set(socket, serving.body)
      serving.run(fault)
    }
    // Requests that come before the one before them is answered have to wait for that.
    const before = this.#last.get(socket)
    this.#last.set(socket, response)
    if (before === undefined || before.writableFinished) run()
    else before.once('close', run)
  }

  /** Nothing can be reached through a node. */
  tunnel(door: Door, socket: Socket): void {
    socket.end(this.#refusal(door, 405))
  }

  /** The answer to what is no request. */
  #refusal({ port }: Door, status: number): Buffer {
    const system = this.#system
    const head = port === 'mapi' ? mapiHead(system, [], status) : system.head(false, [], status)
    return rawHead(status, [...head, 'Connection', 'close'])
  }

  /** What arrives on a socket is no request, or ends in the middle of one. */
  broken(door: Door, error: NodeJS.ErrnoException, socket: Socket): void {
    const body = this.#bodies.get(socket)
    const last = this.#last.get(socket)
    if (!error.code?.startsWith('HPE_') || !socket.writable) socket.destroy()
    else if (body !== undefined && !body.complete) {
      const cut = error.code === 'HPE_INVALID_EOF_STATE'
      if (last?.writableEnded) socket.destroy()
      else if (cut) body.fail(new Refusal(503, 'The body is shorter than announced.'))
      else body.fail(new Refusal(400, 'The body is malformed.'))
    } else if (!this.#refused.has(socket)) {
      this.#refused.add(socket)
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? 414 : 400
      const refuse = (): void => {
        socket.end(this.#refusal(door, status))
        socket.destroySoon()
      }
      if (last === undefined || last.writableFinished) refuse()
      else last.once('close', refuse)
    }
  }
}

/** The one POST of which the answer's body is what matters. */
const downloadsLogs = (door: Door, { url = '' }: IncomingMessage): boolean =>
  door.port === 'mapi' && /\/mapi\/logs\/download(?:\?|$)/.test(url)

/** One request and its answer. */
class Serving {
  readonly #system: System
  readonly #log: RequestLog
  readonly #door: Door
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #time: number
  readonly #started = performance.now()
  /** A socket that is closed does not know it any more. */
  readonly #client: string
  #user: string | null = null
  readonly hasBody: boolean
  readonly body: RequestBody
  #fault: ActiveFault | undefined
  /** Where the request is counted, if it is served. */
  #usage: Usage | undefined
  /** The fault is one of the request's body, not of the answer's. */
  faultInRequest = false
  #entry: OpenRecord | undefined
  /** Status of the answer that was found, whatever becomes of it. */
  #found = 0

  constructor(
    system: System,
    log: RequestLog,
    door: Door,
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ) {
    this.#system = system
    this.#log = log
    this.#door = door
    this.#request = request
    this.#response = response
    this.#time = system.now()
    this.#client = request.socket.remoteAddress ?? ''
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers
    this.hasBody = coding !== undefined || (length !== undefined && Number(length) > 0)
    this.body = new RequestBody(request, response, expectsContinue, (source) =>
      this.faultInRequest ? disturb(source, this.#fault!, this) : source,
    )
  }

  run(fault: ActiveFault | undefined): void {
    // It may have had to wait for its turn.
    if (this.#request.socket.destroyed) {
      this.#record(0)
      return
    }
    this.#fault = fault
    const { method = '' } = this.#request
    const uploads = method === 'PUT' || (method === 'POST' && !downloadsLogs(this.#door, this.#request))
    this.faultInRequest = fault?.when === 'body' && uploads
    if (fault?.kind === 'status' && !(this.faultInRequest && fault.afterBytes > 0)) {
      this.#send(this.#refusal(faultStatus(fault)))
      return
    }
    let answer: Answer | Promise<Answer>
    try {
      answer = this.#answer()
    } catch (error) {
      this.#failed(error)
      return
    }
    if (answer instanceof Promise) {
      answer.then(
        (found) => this.#send(found),
        (error: unknown) => this.#failed(error),
      )
    } else this.#send(answer)
  }

  /** Ends the connection as the fault says. */
  async cut(): Promise<never> {
    await this.#flushed()
    this.#record(0)
    if (this.#fault?.kind === 'reset') this.#door.transport(this.#request.socket).resetAndDestroy()
    else {
      this.#request.socket.end()
      this.#drain()
    }
    throw new ConnectionLost('a fault ended the connection')
  }

  /** Rejects when the connection is closed. */
  closed(): Promise<never> {
    const { socket } = this.#request
    this.#record(0)
    return new Promise((_, reject) => {
      const lost = (): void => reject(new ConnectionLost('the connection is closed'))
      if (socket.destroyed) lost()
      // A socket that is not written to learns only from the end of what it reads that its peer has gone.
      else socket.once('close', lost).once('end', () => socket.destroy())
    })
  }

  #answer(): Answer | Promise<Answer> {
    const { headers, method = '', url = '' } = this.#request
    const system = this.#system
    if (this.#door.port === 'mapi') return this.#manage()
    system.replication?.pair.settle()
    const site = system.site(hostOf(url, headers.host))
    if (site === undefined)
      throw new Refusal(system.choices.unknownNamespace, 'The namespace does not exist.')
    firstConditions(this.#request)
    const { tenant, namespace, redirected } = site
    if (system.choices.browserRedirect && isBrowser(this.#request)) return toBrowser(url)
    const caller = system.authenticator(tenant).caller(headers)
    if (typeof caller !== 'string') this.#user = caller.user
    if (caller === 'refused') throw new Refusal(403, 'The credentials are wrong.')
    if (!namespace.settings[this.#door.port]) throw new Refusal(403, 'The protocol is not enabled.')
    const target = parseTarget(url)
    const anonymous = caller === 'anonymous'
    if (anonymous && namespace.settings.authenticationRequired)
      throw new Refusal(403, 'Credentials are missing.')
    const permissions =
      target.root === 'rest'
        ? permissionsOn(caller, namespace, target.path)
        : permissionsOf(caller, namespace)
    const body = this.body
    const exchange = {
      request: this.#request,
      method,
      headers,
      target,
      body,
      tenant,
      namespace,
      caller,
      permissions,
      system,
    }
    if (target.root === 'rest') {
      this.#usage = namespace.usage
      if (permissions.size === 0) throw new Refusal(403, 'Access to the namespace is denied.')
      if (namespace.readOnly && method !== 'GET' && method !== 'HEAD')
        throw new Refusal(403, 'The namespace is read-only on this system.')
      return handleRest(exchange)
    }
    if (redirected) throw new Refusal(403, 'This is not served for another system.')
    if (target.root === 'proc') return readInformation(exchange)
    throw new Refusal(404)
  }

  #manage(): Promise<Answer> {
    const { headers, method = '', url = '' } = this.#request
    const { body, hasBody } = this
    return manage({
      system: this.#system,
      method,
      url,
      headers,
      body,
      hasBody,
      known: (user) => {
        this.#user = user
      },
    })
  }

  #refusal(refusal: Refusal): Answer {
    const { status, message, headers } = refusal
    const always = this.#system.choices.errorMessages === 'always' || this.#door.port === 'mapi'
    const said = always || messaged.has(status)
    const list = message === '' || !said ? [...headers] : [...headers, 'X-HCP-ErrorMessage', message]
    return { status, headers: list }
  }

  #failed(error: unknown): void {
    if (error instanceof Refusal) this.#send(this.#refusal(error))
    else if (error instanceof ConnectionLost) this.#record(0)
    else if (this.#request.socket.destroyed) this.#record(0)
    else if (error instanceof BlobError && error.code !== 'ENOSPC') {
      this.#send(this.#refusal(new Refusal(503, 'The data cannot be read now.')))
    } else if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
      this.#send(this.#refusal(new Refusal(503, 'The system has no space left.')))
    } else {
      process.emitWarning(error instanceof Error ? error : String(error))
      this.#send(this.#refusal(new Refusal(500, 'Internal error of the emulator.')))
    }
  }

  /** Notes the answer, once; whatever comes after that can only be its end. */
  #record(status: number, bytes = 0, ended = true): void {
    const milliseconds = ended ? performance.now() - this.#started : null
    if (this.#entry !== undefined) {
      this.#entry.milliseconds ??= milliseconds
      return
    }
    const { method = '', url = '', headers, httpVersion } = this.#request
    if (status < 200 || status >= 300) this.#usage = undefined
    else this.#usage?.count(this.#system.now(), method, this.body.received, bytes)
    const { cluster, node, port } = this.#door
    this.#entry = this.#log.add({
      time: this.#time,
      cluster,
      node,
      port,
      method,
      path: url,
      status,
      found: this.#found,
      bytes: method === 'PUT' || method === 'POST' ? this.body.received : bytes,
      sent: bytes,
      host: headers.host ?? '',
      client: this.#client,
      user: this.#user,
      httpVersion,
      milliseconds,
    })
  }

  #count({ length }: Buffer): void {
    const { method } = this.#request
    this.#entry!.sent += length
    this.#usage?.sent(length)
    if (method !== 'PUT' && method !== 'POST') this.#entry!.bytes += length
  }

  #send(answer: Answer): void {
    const { method = '', socket, httpVersion } = this.#request
    const { status } = answer
    this.#found = status
    if (socket.destroyed) {
      if (answer.body instanceof Readable) answer.body.destroy()
      this.#record(0)
      return
    }
    const reads = method !== 'PUT' && method !== 'POST' && method !== 'DELETE'
    let body = answer.body
    let headers = answer.headers
    const managing = this.#door.port === 'mapi'
    if (managing) {
      // Its errors have no body, and its head says so.
    } else if (status >= 400 && body === undefined) {
      if (this.#system.choices.errorBody === 'html' && reads) {
        body = Buffer.from(`<html><body><h1>${status} ${reasonPhrase(status)}</h1></body></html>\n`)
        headers = [...headers, 'Content-Type', 'text/html']
      }
      if (reads) headers = [...headers, 'Content-Length', String(body instanceof Buffer ? body.length : 0)]
      if (method === 'HEAD') body = undefined
    } else if (Buffer.isBuffer(body) && headers.includes('Content-Encoding') && httpVersion !== '1.0') {
      headers = [...headers, 'Transfer-Encoding', 'chunked']
    }
    const head = managing
      ? mapiHead(this.#system, headers, status)
      : this.#system.head(reads, headers, status)
    const fault = this.faultInRequest || this.#fault?.kind === 'status' ? undefined : this.#fault
    if (fault !== undefined) {
      this.#sendUnder(fault, status, head, body).catch((error: unknown) => {
        this.#record(0)
        if (body instanceof Readable) body.destroy()
        if (!(error instanceof ConnectionLost)) socket.destroy()
      })
    } else if (this.hasBody && !this.#request.complete && !this.#isSmallRemainder())
      this.#sendEarly(status, head)
    else this.#sendPlainly(status, head, body)
  }

  /** What is still to come of a refused upload is so little that it is better read than cut off. */
  #isSmallRemainder(): boolean {
    const { announced, received, expectsContinue } = this.body
    return !expectsContinue && announced !== undefined && announced - received <= smallRemainder
  }

  #sendPlainly(status: number, head: string[], body: Buffer | Readable | undefined): void {
    this.#writeHead(status, head)
    const response = this.#response
    if (body === undefined) {
      this.#record(status)
      response.end()
    } else if (Buffer.isBuffer(body)) {
      this.#record(status, body.length)
      // As a string it goes out in one piece with the head, which is cheaper than two buffers.
      if (body.length <= 16_384) response.end(body.toString('latin1'), 'latin1')
      else response.end(body)
    } else {
      this.#record(status, 0, false)
      body.on('data', (chunk: Buffer) => this.#count(chunk))
      pipeline(body, response, (error) => {
        this.#record(status)
        // An answer that cannot be completed must not look complete.
        if (error !== undefined && error !== null) this.#request.socket.destroy()
      })
    }
  }

  /**
   * An answer to an upload that is still coming in. The connection is closed half, and what comes is dropped for a
   * while: cut at once, the client's kernel would throw the answer away.
   */
  #sendEarly(status: number, head: string[]): void {
    this.#record(status)
    this.#request.socket.end(rawHead(status, [...head, 'Connection', 'close']))
    this.#drain()
  }

  #drain(): void {
    const { socket } = this.#request
    let left = drainedBytes
    const cut = (): void => void socket.destroy()
    const timer = setTimeout(cut, drainedTime).unref()
    socket.once('close', () => clearTimeout(timer))
    this.#request.once('end', cut).on('error', cut)
    this.#request.on('data', (chunk: Buffer) => {
      left -= chunk.length
      if (left < 0) cut()
    })
    this.#request.resume()
    if (!this.hasBody) socket.destroySoon()
  }

  #writeHead(status: number, head: string[]): void {
    const response = this.#response
    response.sendDate = false
    // Says that no Connection and Keep-Alive headers are to be made up.
    response.removeHeader('Connection')
    // To a client of HTTP/1.0 a connection that stays would have to be announced, and a body without length cannot.
    if (!response.shouldKeepAlive || this.#request.httpVersion === '1.0') head.push('Connection', 'close')
    response.writeHead(status, reasonPhrase(status), head)
  }

  /** Resolves when everything written so far is with the kernel. */
  async #flushed(): Promise<void> {
    const { socket } = this.#request
    if (socket.destroyed || socket.writableEnded) return
    await new Promise<void>((resolve) => {
      socket.write('', () => resolve())
    })
  }

  async #sendUnder(
    fault: ActiveFault,
    status: number,
    head: string[],
    body: Buffer | Readable | undefined,
  ): Promise<void> {
    const { kind, when } = fault
    const { socket } = this.#request
    if (when === 'beforeHead') {
      if (kind === 'hang') await this.closed()
      if (kind === 'reset' || kind === 'truncate') await this.cut()
      if (kind === 'garbage') {
        socket.end(garbage)
        this.#drain()
        throw new ConnectionLost('a fault answered')
      }
      await wait(fault.ms, undefined, { ref: false })
      if (socket.destroyed) throw new ConnectionLost('the connection is closed')
      if (this.hasBody && !this.#request.complete && !this.#isSmallRemainder()) this.#sendEarly(status, head)
      else this.#sendPlainly(status, head, body)
      return
    }
    this.#record(status, 0, false)
    const response = this.#response
    this.#writeHead(status, head)
    response.flushHeaders()
    let source = Buffer.isBuffer(body) ? Readable.from([body]) : (body ?? Readable.from([]))
    if (when === 'afterHead') {
      await this.#flushed()
      if (kind === 'hang') await this.closed()
      if (kind === 'reset' || kind === 'truncate') await this.cut()
      if (kind === 'delay') await wait(fault.ms, undefined, { ref: false })
      if (kind === 'garbage') source = Readable.from(invertedAll(source as AsyncIterable<Buffer>))
    } else source = Readable.from(disturb(source as AsyncIterable<Buffer>, fault, this), { highWaterMark: 1 })
    for await (const chunk of source as AsyncIterable<Buffer>) {
      if (status !== 304) this.#count(chunk)
      if (response.destroyed) throw new ConnectionLost('the connection is closed')
      if (!response.write(chunk)) await drained(response)
    }
    this.#record(status)
    response.end()
  }
}

/** Somebody at a web browser, by all signs there are. */
function isBrowser({ method, url = '', headers }: IncomingMessage): boolean {
  const { authorization, cookie, accept = '', 'user-agent': agent = '' } = headers
  return (
    method === 'GET' &&
    /^\/rest([/?]|$)/.test(url) &&
    authorization === undefined &&
    !cookie?.includes('hcp-ns-auth') &&
    accept.includes('text/html') &&
    agent.startsWith('Mozilla/')
  )
}

function toBrowser(url: string): Answer {
  return { status: 302, headers: ['Location', url.replace('/rest', '/browser'), 'Content-Length', '0'] }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

async function* invertedAll(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of source) yield inverted(chunk)
}

function rawHead(status: number, headers: readonly string[]): Buffer {
  let text = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`
  for (let at = 0; at < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`
  return Buffer.from(`${text}\r\n`, 'latin1')
}
