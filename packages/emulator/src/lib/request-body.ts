import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import type { ActiveFault } from './faults.ts'
import { ConnectionLost, Refusal } from './refusal.ts'

/** A request's body as it comes in: chunks on demand, so that a slow store slows the client down. */
export class RequestBody {
  /** Bytes taken so far. */
  received = 0
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  #expectsContinue: boolean
  #failure: Error | undefined
  #wake: (() => void) | undefined
  readonly #disturb: ((source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>) | undefined

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
    disturb?: (source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>,
  ) {
    this.#request = request
    this.#response = response
    this.#expectsContinue = expectsContinue
    this.#disturb = disturb
  }

  /** `Content-Length`; nothing for a chunked body, 0 where there is none. */
  get announced(): number | undefined {
    const { 'content-length': length, 'transfer-encoding': coding } = this.#request.headers
    return coding === undefined ? Number(length ?? 0) : undefined
  }

  /** All of it has come in, whether it has been taken or not. */
  get complete(): boolean {
    return this.#request.complete
  }

  /** The client waits for a go-ahead that it has not got. */
  get expectsContinue(): boolean {
    return this.#expectsContinue
  }

  /** Lets the reading end with this. */
  fail(error: Error): void {
    this.#failure ??= error
    this.#wake?.()
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    const chunks = this.#chunks()
    return (this.#disturb?.(chunks) ?? chunks)[Symbol.asyncIterator]()
  }

  /** The whole body, refused with 413 above `maximum` bytes. */
  async buffer(maximum: number): Promise<Buffer> {
    if ((this.announced ?? 0) > maximum) throw new Refusal(413, 'The request body is too large.')
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of this) {
      size += chunk.length
      if (size > maximum) throw new Refusal(413, 'The request body is too large.')
      chunks.push(chunk)
    }
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
  }

  async *#chunks(): AsyncGenerator<Buffer> {
    const request = this.#request
    const wake = (): void => this.#wake?.()
    const lost = (): void => {
      if (!request.complete) this.fail(new ConnectionLost('the connection broke'))
      wake()
    }
    request.on('readable', wake).on('end', wake).on('error', lost).on('close', lost)
    if (this.#expectsContinue) {
      this.#expectsContinue = false
      this.#response.writeContinue()
    }
    for (;;) {
      const chunk = request.read() as Buffer | null
      if (chunk !== null) {
        this.received += chunk.length
        yield chunk
      } else if (request.readableEnded) return
      else if (this.#failure !== undefined) throw this.#failure
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}

/** A body of which no more than so many bytes are taken; 413 for one that has more. */
export async function* limited(source: AsyncIterable<Buffer>, room: number): AsyncGenerator<Buffer> {
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (size > room) throw new Refusal(413, 'The content is larger than what there is room for.')
    yield chunk
  }
}

/** How a fault ends a connection in the middle of a body, and how it learns that the connection has ended. */
export interface Interruption {
  /** Ends the connection as the fault says, and rejects. */
  cut(): Promise<never>
  /** Rejects when the connection is closed. */
  closed(): Promise<never>
  /** The body is the request's: a connection that is not read does not learn that its peer has gone. */
  readonly faultInRequest: boolean
}

/** A body, of a request or of an answer, under a fault of the moment `body`. */
export async function* disturb(
  source: AsyncIterable<Buffer>,
  fault: ActiveFault,
  interruption: Interruption,
): AsyncGenerator<Buffer> {
  if (fault.kind === 'throttle') {
    yield* throttled(source, fault.bytesPerSecond)
    return
  }
  let left = fault.afterBytes
  let damaged = false
  let swallowed = false
  const strike = async (): Promise<void> => {
    if (fault.kind === 'reset' || fault.kind === 'truncate') await interruption.cut()
    else if (fault.kind === 'hang' && interruption.faultInRequest) swallowed = true
    else if (fault.kind === 'hang') await interruption.closed()
    else if (fault.kind === 'status') throw faultStatus(fault)
    else if (fault.kind === 'delay') await wait(fault.ms, undefined, { ref: false })
    else damaged = true
  }
  let struck = left === 0
  if (struck) await strike()
  for await (const chunk of source) {
    let rest = chunk
    if (!struck) {
      if (chunk.length < left) {
        left -= chunk.length
        yield chunk
        continue
      }
      yield chunk.subarray(0, left)
      rest = chunk.subarray(left)
      struck = true
      await strike()
    }
    if (rest.length > 0 && !swallowed) yield damaged ? inverted(rest) : rest
  }
  if (swallowed) await interruption.closed()
}

export function faultStatus(fault: ActiveFault): Refusal {
  const headers = fault.retryAfter === undefined ? [] : ['Retry-After', String(fault.retryAfter)]
  return new Refusal(fault.status, 'A fault was asked for.', headers)
}

async function* throttled(source: AsyncIterable<Buffer>, bytesPerSecond: number): AsyncGenerator<Buffer> {
  const step = Math.max(1, Math.min(16_384, Math.floor(bytesPerSecond / 20)))
  for await (const chunk of source) {
    for (let from = 0; from < chunk.length; from += step) {
      const part = chunk.subarray(from, from + step)
      await wait((part.length / bytesPerSecond) * 1000, undefined, { ref: false })
      yield part
    }
  }
}

/** As many other bytes. */
export function inverted(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length)
  for (let at = 0; at < bytes.length; at++) out[at] = bytes[at]! ^ 0xff
  return out
}
