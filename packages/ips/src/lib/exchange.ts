import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import { Packet } from 'dns2'
import { formatNameServer, type NameServer } from './name-server.ts'
import { abortable } from './waiting.ts'

/** One question of class IN (RFC 1035 section 4.1.2). */
export interface Question {
  readonly name: string
  readonly type: 'A' | 'AAAA'
}

/**
 * Why there was no answer: the time passed (`silent`, `lies`), or it failed before (`broken`, `unreachable`).
 */
export type ExchangeFailure = 'silent' | 'lies' | 'broken' | 'unreachable'

export class ExchangeError extends Error {
  override name = 'ExchangeError'
  readonly failure: ExchangeFailure

  constructor(failure: ExchangeFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.failure = failure
  }
}

/** Sends the question by one transport and answers with the first packet that `accept` takes. */
type Transport = (server: NameServer, query: Buffer, accept: Accept, signal: AbortSignal) => Promise<Packet>
type Accept = (message: Buffer) => Packet | undefined

/**
 * Asks one name server one question: over UDP, then over TCP when the answer was cut (RFC 1035 section
 * 4.2.1).
 *
 * Whatever is not the answer to this question is ignored and waiting goes on, so that a forged or stray
 * packet cannot end the exchange (RFC 5452 section 9.1): another id, another question, another sender, bytes
 * that do not decode. Each exchange has its own id and, from the system, its own source port. Nothing here
 * keeps the process alive.
 *
 * @param timeout Milliseconds for all of it.
 * @throws {ExchangeError} if there was no answer
 * @throws the signal's reason if it fires
 */
export async function ask(
  server: NameServer,
  question: Question,
  timeout: number,
  signal: AbortSignal,
): Promise<Packet> {
  signal.throwIfAborted()
  const attempt = new AbortController()
  let ignored = 0
  const stop = (): void => attempt.abort(signal.reason)
  const onTimeout = (): void => {
    const where = `${formatNameServer(server)} did not answer within ${timeout} ms`
    attempt.abort(
      ignored === 0
        ? new ExchangeError('silent', where)
        : new ExchangeError('lies', `${where}; ${ignored} packets that were no answer were ignored`),
    )
  }
  const timer = setTimeout(onTimeout, timeout).unref()
  signal.addEventListener('abort', stop, { once: true })

  const exchange = async (transport: Transport): Promise<Packet> => {
    const query = new Packet()
    query.header = new Packet.Header({ id: Packet.uuid(), rd: 1 })
    query.questions.push(new Packet.Question(question.name, Packet.TYPE[question.type], Packet.CLASS.IN))
    const accept: Accept = (message) => {
      const answer = decode(message)
      if (answer !== undefined && answers(query, answer)) return answer
      ignored += 1
      return undefined
    }
    return await transport(server, query.toBuffer(), accept, attempt.signal)
  }

  try {
    const answer = await exchange(overUdp)
    return answer.header.tc === 1 ? await exchange(overTcp) : answer
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

function decode(message: Buffer): Packet | undefined {
  try {
    const packet = Packet.parse(message)
    // A record that does not decode is left out by the codec; an answer with holes is no answer. What stands
    // after the answers does not concern us.
    const holes = packet.errors.some(({ section }) => section === 'questions' || section === 'answers')
    return holes ? undefined : packet
  } catch {
    return undefined
  }
}

/**
 * Whether the packet answers the query: same id and question, and no answers that are all about other names.
 */
function answers(query: Packet, packet: Packet): boolean {
  const asked = query.questions[0]
  const echoed = packet.questions[0]
  return (
    packet.header.qr === 1 &&
    packet.header.opcode === 0 &&
    packet.header.id === query.header.id &&
    packet.questions.length === 1 &&
    asked !== undefined &&
    echoed !== undefined &&
    sameName(echoed.name, asked.name) &&
    echoed.type === asked.type &&
    echoed.class === asked.class &&
    (packet.answers.length === 0 || packet.answers.some(({ name }) => sameName(name, asked.name)))
  )
}

/** RFC 1035 section 2.3.3: names are compared without regard to case. */
export function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}

const overUdp: Transport = (server, query, accept, signal) =>
  new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.address) ? 'udp6' : 'udp4')
    socket.unref()
    let ended = false
    const end = (): void => {
      if (ended) return
      ended = true
      signal.removeEventListener('abort', onAbort)
      socket.close()
    }
    const onAbort = (): void => {
      end()
      reject(signal.reason as Error)
    }
    const onError = (error: Error): void => {
      end()
      reject(exchangeError('unreachable', server, error))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', onError)
    socket.on('message', (message) => {
      const answer = accept(message)
      if (answer === undefined) return
      end()
      resolve(answer)
    })
    // A connected socket lets the kernel drop other senders' packets, and reports a closed port at once.
    socket.connect(server.port, server.address, (error?: Error) => {
      if (error) onError(error)
      else if (!ended) socket.send(query)
    })
  })

const overTcp: Transport = async (server, query, accept, signal) => {
  signal.throwIfAborted()
  const socket = connect({ host: server.address, port: server.port, noDelay: true })
  socket.unref()
  // readStream() listens only while it reads, and does not end with a socket that is destroyed.
  socket.on('error', () => {})
  try {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.length)
    socket.write(Buffer.concat([length, query]))
    for (;;) {
      const answer = accept(await abortable(Packet.readStream(socket), signal))
      if (answer !== undefined) return answer
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (error instanceof Packet.DecodeError) throw exchangeError('broken', server, error)
    throw exchangeError('unreachable', server, error)
  } finally {
    socket.destroy()
  }
}

function exchangeError(failure: ExchangeFailure, server: NameServer, cause: unknown): ExchangeError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new ExchangeError(failure, `${formatNameServer(server)}: ${message}`, { cause })
}
