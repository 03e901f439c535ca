import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readlink } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Emulator } from './emulator.ts'

/** An answer as it was on the wire. */
export interface WireAnswer {
  readonly status: number
  readonly reason: string
  /** Name, value, name, value, as sent. */
  readonly raw: readonly string[]
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly text: string
}

export interface WireRequest {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer | undefined
  /** Default `n1.m.hcp1.test`. */
  readonly host?: string
  /** Default: that of the user `n`. */
  readonly authorization?: string | null
}

export function credentials(user: string, password: string): string {
  return `HCP ${Buffer.from(user).toString('base64')}:${createHash('md5').update(password).digest('hex')}`
}

const usual = credentials('n', 'n01')

/** The bytes of a request. */
export function requestBytes(request: WireRequest): Buffer {
  const {
    method = 'GET',
    path = '/rest/',
    host = 'n1.m.hcp1.test',
    authorization = usual,
    headers,
    body,
  } = request
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`]
  if (authorization !== null) lines.push(`Authorization: ${authorization}`)
  const framed = Object.keys(headers ?? {}).some((name) => /^(content-length|transfer-encoding)$/i.test(name))
  if (!framed && (body !== undefined || method === 'PUT')) {
    lines.push(`Content-Length: ${Buffer.byteLength(body ?? '')}`)
  }
  for (const [name, value] of Object.entries(headers ?? {})) lines.push(`${name}: ${value}`)
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body ?? '')])
}

/** A connection that sends what it is told and shows exactly what comes back. */
export class Wire implements Disposable {
  readonly socket: Socket
  #data: Buffer = Buffer.alloc(0)
  #wake: (() => void) | undefined
  /** How the other side ended: it closed, or it reset. */
  ended: 'end' | 'reset' | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#data = Buffer.concat([this.#data, chunk])
      this.#wake?.()
    })
    const end = (how: 'end' | 'reset'): void => {
      this.ended ??= how
      this.#wake?.()
    }
    socket.on('end', () => end('end'))
    socket.on('error', () => end('reset'))
    socket.on('close', () => end('end'))
  }

  static async to(hcp: Emulator, node = 1): Promise<Wire> {
    const socket = connect({ port: hcp.ports.http, host: hcp.nodes[node - 1]!, allowHalfOpen: true })
    const wire = new Wire(socket)
    await once(socket, 'connect')
    return wire
  }

  static async toTls(hcp: Emulator, node = 1, port: number = hcp.ports.https): Promise<Wire> {
    const socket = connectTls({ port, host: hcp.nodes[node - 1]!, ca: hcp.ca, servername: 'n1.m.hcp1.test' })
    const wire = new Wire(socket)
    await once(socket, 'secureConnect')
    return wire
  }

  send(request: WireRequest): this {
    this.socket.write(requestBytes(request))
    return this
  }

  /** Waits until this holds of the bytes that have come, or the connection has ended. */
  async until(holds: (data: Buffer) => boolean): Promise<Buffer> {
    while (!holds(this.#data) && this.ended === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#data
  }

  /** Takes the next answer; fails if the connection ends before it is complete. */
  async answer(method = 'GET'): Promise<WireAnswer> {
    const start = await this.until((data) => data.includes('\r\n\r\n'))
    const at = start.indexOf('\r\n\r\n')
    if (at === -1) throw new Error(`no answer: ${this.ended} after ${start.length} bytes`)
    const [first = '', ...lines] = start.subarray(0, at).toString('latin1').split('\r\n')
    const [, status = '', reason = ''] = /^HTTP\/1\.1 (\d{3}) (.*)$/.exec(first) ?? []
    const raw = lines.flatMap((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1).trim()]
    })
    const headers: Record<string, string> = {}
    for (let i = 0; i < raw.length; i += 2) headers[raw[i]!.toLowerCase()] = raw[i + 1]!
    this.#data = start.subarray(at + 4)
    const code = Number(status)
    const bodiless = method === 'HEAD' || code === 204 || code === 304 || code < 200
    const body = bodiless ? Buffer.alloc(0) : await this.#body(headers)
    return { status: code, reason, raw, headers, body, text: body.toString() }
  }

  async #body(headers: Readonly<Record<string, string>>): Promise<Buffer> {
    if (headers['transfer-encoding'] === 'chunked') {
      const parts: Buffer[] = []
      for (;;) {
        const data = await this.until((bytes) => bytes.includes('\r\n'))
        const end = data.indexOf('\r\n')
        if (end === -1) throw new Error(`the body is cut: ${this.ended}`)
        const size = parseInt(data.subarray(0, end).toString(), 16)
        const all = await this.until((bytes) => bytes.length >= end + 4 + size)
        if (all.length < end + 4 + size) throw new Error(`the body is cut: ${this.ended}`)
        parts.push(all.subarray(end + 2, end + 2 + size))
        this.#data = all.subarray(end + 4 + size)
        if (size === 0) return Buffer.concat(parts)
      }
    }
    const length = Number(headers['content-length'] ?? 0)
    const data = await this.until((bytes) => bytes.length >= length)
    if (data.length < length) throw new Error(`the body is cut at ${data.length} of ${length}: ${this.ended}`)
    this.#data = data.subarray(length)
    return data.subarray(0, length)
  }

  /** Everything that comes until the other side ends the connection. */
  async rest(): Promise<Buffer> {
    return this.until(() => false)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}

/** One request on a connection of its own. */
export async function ask(hcp: Emulator, request: WireRequest, node = 1): Promise<WireAnswer> {
  using wire = await Wire.to(hcp, node)
  return await wire.send(request).answer(request.method)
}

/** Asks and says the status only. */
export async function statusOf(hcp: Emulator, request: WireRequest, node = 1): Promise<number> {
  return (await ask(hcp, request, node)).status
}

/** Files of large objects that this process has open; always 0 where the system does not show them. */
export async function openBlobFiles(): Promise<number> {
  if (process.platform !== 'linux') return 0
  const names = await readdir('/proc/self/fd')
  const files = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')))
  return files.filter((file) => /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.test(file)).length
}
