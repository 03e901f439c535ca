import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, isIP, type AddressInfo } from 'node:net'
import { Packet } from 'dns2'

/** A question as it arrived. */
export interface Question {
  readonly name: string
  readonly type: 'A' | 'AAAA'
  readonly transport: 'udp' | 'tcp'
  readonly id: number
  /** The asker's port. */
  readonly port: number
}

/**
 * What to send back, one message after the other: packets, or bytes as they are. None: silence over UDP; over
 * TCP the connection is ended within a message.
 */
export type Script = (question: Question, request: Packet) => readonly (Packet | Buffer)[]

/** A name server on loopback that says what its script says, over UDP and TCP on one port. */
export interface ScriptedNameServer extends AsyncDisposable {
  /** `address:port`. */
  readonly address: string
  /** All questions so far, in order. */
  readonly asked: Question[]
  script: Script
  /** Waits until so many questions have arrived in all. */
  seen(count: number): Promise<void>
  /** Sends bytes from another port of the same machine to an asker. */
  forge(message: Buffer, port: number): Promise<void>
}

export async function scriptedNameServer(
  script: Script,
  host = '127.0.0.1',
  at = 0,
): Promise<ScriptedNameServer> {
  const asked: Question[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  const family = isIP(host) === 6 ? 'udp6' : 'udp4'
  const answer = (message: Buffer, transport: 'udp' | 'tcp', port: number): Buffer[] => {
    const request = Packet.parse(message)
    const [asking] = request.questions
    if (asking === undefined) throw new Error('a question without a question')
    const type = asking.type === Packet.TYPE.A ? 'A' : 'AAAA'
    const question: Question = { name: asking.name, type, transport, id: request.header.id, port }
    asked.push(question)
    for (const { resolve } of waiting.filter(({ count }) => count <= asked.length)) resolve()
    return server
      .script(question, request)
      .map((reply) => (reply instanceof Packet ? reply.toBuffer() : reply))
  }

  const tcp = createServer((socket) => {
    const reply = async (): Promise<void> => {
      const message = await Packet.readStream(socket)
      const answers = answer(message, 'tcp', socket.remotePort ?? 0)
      if (answers.length === 0) socket.end(Buffer.from([0, 100, 1, 2, 3]))
      for (const bytes of answers) {
        const length = Buffer.alloc(2)
        length.writeUInt16BE(bytes.length)
        socket.write(Buffer.concat([length, bytes]))
      }
    }
    socket.on('error', () => {})
    reply().catch(() => socket.destroy())
  })
  tcp.listen(at, host)
  await once(tcp, 'listening')
  const { port } = tcp.address() as AddressInfo

  const udp = createSocket(family)
  udp.on('message', (message: Buffer, from: RemoteInfo) => {
    for (const bytes of answer(message, 'udp', from.port)) udp.send(bytes, from.port, from.address)
  })
  udp.bind(port, host)
  await once(udp, 'listening')

  const server: ScriptedNameServer = {
    address: family === 'udp6' ? `[${host}]:${port}` : `${host}:${port}`,
    asked,
    script,
    seen: async (count) => {
      if (asked.length >= count) return
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push({ count, resolve })
      await promise
    },
    forge: async (message, to) => {
      const other: Socket = createSocket(family)
      const { promise, resolve } = Promise.withResolvers<void>()
      other.send(message, to, host, () => resolve())
      await promise
      other.close()
    },
    async [Symbol.asyncDispose]() {
      udp.close()
      tcp.close()
      await Promise.all([once(udp, 'close'), once(tcp, 'close')])
    },
  }
  return server
}

/** A port on loopback where nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export type Rcode = keyof typeof Packet.RCODE

/** An answer to the request, with an RCODE or with records. */
export function reply(request: Packet, content: Rcode | readonly Packet['answers'][number][]): Packet {
  const packet = Packet.createResponseFromRequest(request)
  packet.questions = request.questions.map((question) => new Packet.Question(question))
  packet.header.aa = 1
  if (typeof content === 'string') packet.header.rcode = Packet.RCODE[content]
  else packet.answers.push(...content)
  return packet
}

/** An A or AAAA record, whichever the address is. */
export function record(name: string, address: string, ttl = 60): Packet['answers'][number] {
  const type = isIP(address) === 6 ? Packet.TYPE.AAAA : Packet.TYPE.A
  return Object.assign(new Packet.Resource({ name, type, class: Packet.CLASS.IN, ttl }), { address })
}

export function alias(name: string, target: string, ttl = 60): Packet['answers'][number] {
  const type = Packet.TYPE.CNAME
  return Object.assign(new Packet.Resource({ name, type, class: Packet.CLASS.IN, ttl }), { domain: target })
}

/** A script that answers every name with those of the addresses that are of the type asked for. */
export function addresses(...list: readonly string[]): Script {
  return ({ name, type }, request) => {
    const own = list.filter((address) => isIP(address) === (type === 'A' ? 4 : 6))
    return [
      reply(
        request,
        own.map((address) => record(name, address)),
      ),
    ]
  }
}

/** A script that looks records up by name; what is not there does not exist. */
export function zone(names: Readonly<Record<string, readonly Packet['answers'][number][]>>): Script {
  return ({ name, type }, request) => {
    const records = names[name]
    if (records === undefined) return [reply(request, 'NXDOMAIN')]
    const wanted = [Packet.TYPE[type], Packet.TYPE.CNAME] as number[]
    return [
      reply(
        request,
        records.filter((entry) => wanted.includes(entry.type)),
      ),
    ]
  }
}

export const silence: Script = () => []

export function rcode(code: Rcode): Script {
  return (_, request) => [reply(request, code)]
}
