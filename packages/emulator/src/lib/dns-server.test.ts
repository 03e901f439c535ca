import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { createServer, connect } from 'node:net'
import { Packet } from 'dns2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkBehaviour, startDnsServer } from './dns-server.ts'
import type { DnsBehaviour, DnsServer, DnsZone } from './dns-server.ts'

const nodes = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
let zones: readonly DnsZone[]
let server: DnsServer

beforeEach(async () => {
  zones = [{ domain: 'hcp1.test', addresses: nodes }]
  server = await startDnsServer({ address: '127.0.0.1', port: 0, zones: () => zones })
})

afterEach(() => server.close())

function resolver(timeout = 2_000): Resolver {
  const result = new Resolver({ timeout, tries: 1 })
  result.setServers([`127.0.0.1:${server.port}`])
  return result
}

function query(name: string, type: number = Packet.TYPE.A): Buffer {
  const packet = new Packet()
  packet.header = new Packet.Header({ id: 4711, rd: 1 })
  packet.questions.push(new Packet.Question(name, type, Packet.CLASS.IN))
  return packet.toBuffer()
}

function askUdp(message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    socket.once('error', reject)
    socket.once('message', (answer) => socket.close(() => resolve(answer)))
    socket.send(message, server.port, '127.0.0.1')
  })
}

/** Sends several queries in one write over one connection; resolves to as many answers. */
function askTcp(...messages: Buffer[]): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const answers: Buffer[] = []
    let rest = Buffer.alloc(0)
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk])
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
        const end = 2 + rest.readUInt16BE(0)
        answers.push(rest.subarray(2, end))
        rest = rest.subarray(end)
      }
      if (answers.length === messages.length) {
        socket.destroy()
        resolve(answers)
      }
    })
    for (const message of messages) {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(message.length)
      socket.write(Buffer.concat([length, message]))
    }
  })
}

describe('answers for its zones', () => {
  test.each(['hcp1.test', 'admin.hcp1.test', 'm.hcp1.test', 'n1.m.hcp1.test', 'N1.M.Hcp1.TEST'])(
    'with all live nodes for %s, with a short time to live',
    async (name) => {
      const records = await resolver().resolve4(name, { ttl: true })
      expect(records.map(({ address }) => address).toSorted()).toEqual(nodes)
      expect(new Set(records.map(({ ttl }) => ttl))).toEqual(new Set([30]))
    },
  )

  test('rotated by one per query, whatever is asked for between', async () => {
    const firsts: unknown[] = []
    for (let turn = 0; turn < 4; turn += 1) {
      firsts.push((await resolver().resolve4('n1.m.hcp1.test'))[0])
      await resolver()
        .resolve6('n1.m.hcp1.test')
        .catch(() => undefined)
    }
    expect(firsts).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.1'])
  })

  test('without nodes that have left, with those that have come', async () => {
    zones = [{ domain: 'hcp1.test', addresses: ['127.0.0.2', '127.0.0.9'] }]
    expect((await resolver().resolve4('m.hcp1.test')).toSorted()).toEqual(['127.0.0.2', '127.0.0.9'])
  })

  test('each zone by its own nodes', async () => {
    zones = [...zones, { domain: 'hcp2.test', addresses: ['127.0.0.8'] }]
    expect(await resolver().resolve4('m.hcp2.test')).toEqual(['127.0.0.8'])
    expect(await resolver().resolve4('m.hcp1.test')).toHaveLength(3)
  })

  test('AAAA with the IPv6 addresses only', async () => {
    zones = [{ domain: 'hcp1.test', addresses: ['127.0.0.1', '::1', 'fd00::2'] }]
    expect((await resolver().resolve6('m.hcp1.test')).toSorted()).toEqual(['::1', 'fd00::2'])
    expect(await resolver().resolve4('m.hcp1.test')).toEqual(['127.0.0.1'])
  })

  test.each([
    ['AAAA', Packet.TYPE.AAAA],
    ['MX', Packet.TYPE.MX],
    ['TXT', Packet.TYPE.TXT],
    ['ANY', Packet.TYPE.ANY],
    ['type 65', 65],
  ])('%s with success and no records', async (_name, type) => {
    const answer = Packet.parse(await askUdp(query('m.hcp1.test', type)))
    expect(answer.header).toMatchObject({ id: 4711, qr: 1, rcode: Packet.RCODE.NOERROR, ancount: 0, aa: 1 })
  })

  test('and echoes the question in the letters it was asked in', async () => {
    const answer = Packet.parse(await askUdp(query('N1.m.HcP1.tEsT')))
    expect(answer.questions).toMatchObject([{ name: 'N1.m.HcP1.tEsT', type: Packet.TYPE.A }])
    expect(answer.answers).toHaveLength(3)
  })
})

test.each(['hcp2.test', 'nothcp1.test', 'test', 'hcp1.test.example', ''])(
  'refuses the name "%s" outside its zones',
  async (name) => {
    const answer = Packet.parse(await askUdp(query(name)))
    expect(answer.header).toMatchObject({ rcode: Packet.RCODE.REFUSED, ancount: 0, aa: 0 })
  },
)

describe('over TCP', () => {
  test('serves the same port and several queries on one connection', async () => {
    const answers = await askTcp(query('a.hcp1.test'), query('b.hcp1.test'), query('x.example'))
    const packets = answers.map((answer) => Packet.parse(answer))
    expect(packets.map(({ questions }) => questions[0]?.name)).toEqual([
      'a.hcp1.test',
      'b.hcp1.test',
      'x.example',
    ])
    expect(packets.map(({ header }) => header.ancount)).toEqual([3, 3, 0])
  })

  test('answers whole what does not fit a datagram', async () => {
    const many = Array.from({ length: 60 }, (_, index) => `127.0.1.${index + 1}`)
    zones = [{ domain: 'hcp1.test', addresses: many }]
    const short = Packet.parse(await askUdp(query('m.hcp1.test')))
    expect(short.header).toMatchObject({ tc: 1, ancount: 0 })
    const [whole] = await askTcp(query('m.hcp1.test'))
    expect(Packet.parse(whole!).answers).toHaveLength(60)
    expect((await resolver().resolve4('m.hcp1.test')).toSorted()).toEqual(many.toSorted())
  })

  test('close ends connections that are open', async () => {
    const socket = connect(server.port, '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => undefined)
    await Promise.all([server.close(), closed])
    await server.close()
  })
})

describe('behaves', () => {
  test.each<[DnsBehaviour, string]>([
    [{ mode: 'empty' }, 'ENODATA'],
    [{ mode: 'nxdomain' }, 'ENOTFOUND'],
    [{ mode: 'servfail' }, 'ESERVFAIL'],
    [{ mode: 'silent' }, 'ETIMEOUT'],
    [{ mode: 'garbage' }, 'EBADRESP'],
  ])('as told: %j is %s to a resolver', async (behaviour, code) => {
    server.setBehaviour(behaviour)
    await expect(resolver(300).resolve4('m.hcp1.test')).rejects.toMatchObject({ code })
    server.setBehaviour({ mode: 'ok' })
    expect(await resolver().resolve4('m.hcp1.test')).toHaveLength(3)
  })

  test('as told: fixed addresses in their order, with the given time to live', async () => {
    server.setBehaviour({ mode: 'fixed', addresses: ['192.0.2.7', '192.0.2.5', '2001:db8::1'], ttl: 0 })
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await resolver().resolve4('m.hcp1.test', { ttl: true })).toEqual([
        { address: '192.0.2.7', ttl: 0 },
        { address: '192.0.2.5', ttl: 0 },
      ])
    }
    expect(await resolver().resolve6('m.hcp1.test')).toEqual(['2001:db8::1'])
  })

  test.each([
    [{ mode: 'sometimes' }, TypeError, /mode/],
    [{ mode: 'fixed' }, TypeError, /addresses/],
    [{ mode: 'fixed', addresses: ['300.0.0.1'] }, TypeError, /300\.0\.0\.1/],
    [{ mode: 'ok', ttl: -1 }, RangeError, /ttl/],
    [{ mode: 'ok', ttl: 1.5 }, RangeError, /ttl/],
  ])('refuses to play %j', (behaviour, type, message) => {
    expect(() => checkBehaviour(behaviour as DnsBehaviour)).toThrow(type)
    expect(() => server.setBehaviour(behaviour as DnsBehaviour)).toThrow(message)
  })
})

test('counts queries and survives what is none', async () => {
  const before = server.queries
  const sender = createSocket('udp4')
  const junk = [Buffer.from('junk'), Buffer.alloc(0), Buffer.alloc(40, 0xff)]
  for (const message of junk) {
    await new Promise((resolve) => sender.send(message, server.port, '127.0.0.1', resolve))
  }
  await new Promise<void>((resolve) => sender.close(() => resolve()))
  await resolver().resolve4('m.hcp1.test')
  expect(server.queries - before).toBe(1)
  const twoQuestions = Packet.parse(query('a.hcp1.test'))
  twoQuestions.questions.push(new Packet.Question('b.hcp1.test', Packet.TYPE.A, Packet.CLASS.IN))
  expect(Packet.parse(await askUdp(twoQuestions.toBuffer())).header.rcode).toBe(Packet.RCODE.FORMERR)
})

test('a port in use is an error with its code, and leaves nothing open', async () => {
  await expect(
    startDnsServer({ address: '127.0.0.1', port: server.port, zones: () => zones }),
  ).rejects.toMatchObject({ code: 'EADDRINUSE' })

  const tcp = createServer()
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve))
  const { port } = tcp.address() as { port: number }
  await expect(startDnsServer({ address: '127.0.0.1', port, zones: () => zones })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  })
  await new Promise((resolve) => tcp.close(resolve))
  const later = await startDnsServer({ address: '127.0.0.1', port, zones: () => zones })
  expect(later.port).toBe(port)
  await later.close()
})

test('listens on the given address only', async () => {
  const other = await startDnsServer({ address: '127.0.0.2', port: 0, zones: () => zones })
  const code = await new Promise((resolve) => {
    const socket = connect(other.port, '127.0.0.1')
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    socket.on('connect', () => resolve('connected'))
  })
  await other.close()
  expect(code).toBe('ECONNREFUSED')
})
