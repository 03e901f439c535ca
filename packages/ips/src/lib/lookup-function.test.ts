import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo, type LookupFunction } from 'node:net'
import { Agent, request } from 'undici'
import { describe, expect, test } from 'vitest'
import { addresses, rcode, scriptedNameServer, silence } from '../../test/scripted-name-server.ts'
import { Circle } from './circle.ts'
import { IpsError } from './errors.ts'

const NAME = 'n1.t1.hcp1.test'
const FOUR = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']

interface Answer {
  readonly error: unknown
  readonly found: string | LookupAddress[] | undefined
  readonly family: number | undefined
}

function ask(lookup: LookupFunction, hostname: string, options: object): Promise<Answer> {
  return new Promise((resolve) => {
    lookup(hostname, options, (error, found, family) => resolve({ error, found, family }))
  })
}

/** A web server on all of 127.0.0.0/8 that answers with the address it was reached at. */
async function echoServer(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((request, response) => {
    response.end(`${request.socket.localAddress} ${request.headers.host}`)
  })
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

describe('as the lookup of other clients, the circle spreads connections over all addresses:', () => {
  const circleOf = (nameServer: string): Circle => new Circle(NAME, { nameServers: [nameServer], family: 4 })

  test('http.request', async () => {
    await using names = await scriptedNameServer(addresses(...FOUR))
    await using web = await echoServer()
    using circle = circleOf(names.address)
    const reached: string[] = []
    for (let round = 0; round < 8; round += 1) {
      const call = httpRequest({ host: NAME, port: web.port, agent: false, lookup: circle.lookup }).end()
      const [response] = (await once(call, 'response')) as [IncomingMessage]
      const text = (await response.toArray()).join('')
      expect(text).toContain(` ${NAME}:${web.port}`)
      reached.push(text.replace(/ .*/, ''))
    }
    expect(reached.slice(0, 4).toSorted()).toEqual(FOUR)
    expect(reached.slice(4)).toEqual(reached.slice(0, 4))
    expect(names.asked).toHaveLength(1)
  })

  test("undici's Agent", async () => {
    await using names = await scriptedNameServer(addresses(...FOUR))
    await using web = await echoServer()
    using circle = circleOf(names.address)
    const reached: string[] = []
    for (let round = 0; round < 4; round += 1) {
      const dispatcher = new Agent({ connect: { lookup: circle.lookup } })
      const { body } = await request(`http://${NAME}:${web.port}/`, { dispatcher })
      reached.push((await body.text()).replace(/ .*/, ''))
      await dispatcher.close()
    }
    expect(reached.toSorted()).toEqual(FOUR)
  })

  test('net.connect, which goes on to the next address when one refuses', async () => {
    await using names = await scriptedNameServer(addresses('127.0.0.2', '127.0.0.3'))
    const web = createServer().listen(0, '127.0.0.3')
    await once(web, 'listening')
    const { port } = web.address() as AddressInfo
    using circle = circleOf(names.address)
    for (let round = 0; round < 4; round += 1) {
      const socket = connect({ host: NAME, port, lookup: circle.lookup, autoSelectFamily: true })
      await once(socket, 'connect')
      expect(socket.remoteAddress).toBe('127.0.0.3')
      socket.destroy()
    }
    web.close()
  })
})

describe("Node's forms of calling it:", () => {
  test('one address with its family, the next one at each call', async () => {
    await using names = await scriptedNameServer(addresses('127.0.0.1', '127.0.0.2'))
    using circle = new Circle(NAME, { nameServers: [names.address] })
    const { lookup } = circle
    const answers = [await ask(lookup, NAME, {}), await ask(lookup, NAME, { all: false })]
    expect(answers.flatMap(({ found }) => (typeof found === 'string' ? [found] : [])).toSorted()).toEqual([
      '127.0.0.1',
      '127.0.0.2',
    ])
    expect(answers[0]).toMatchObject({ error: null, family: 4 })
  })

  test('all addresses, the one whose turn it is first and failed ones last', async () => {
    await using names = await scriptedNameServer(addresses('127.0.0.1', '127.0.0.2', '::1'))
    using circle = new Circle(NAME, { nameServers: [names.address] })
    await circle.next()
    circle.failed('127.0.0.1')
    const one = (await ask(circle.lookup, NAME, { all: true })).found as LookupAddress[]
    const two = (await ask(circle.lookup, NAME, { all: true })).found as LookupAddress[]
    expect(one).toContainEqual({ address: '::1', family: 6 })
    for (const list of [one, two]) expect(list[2]).toEqual({ address: '127.0.0.1', family: 4 })
    expect([one[0], one[1]]).toEqual([two[1], two[0]])
  })

  test.each([
    [4, '127.0.0.1'],
    ['IPv4', '127.0.0.1'],
    [6, '::1'],
    ['IPv6', '::1'],
  ])('family %s', async (family, address) => {
    await using names = await scriptedNameServer(addresses('127.0.0.1', '::1'))
    using circle = new Circle(NAME, { nameServers: [names.address] })
    for (let round = 0; round < 3; round += 1) {
      expect((await ask(circle.lookup, NAME, { family })).found).toBe(address)
    }
  })

  test('a number instead of options, or no options', async () => {
    using circle = new Circle('127.0.0.1')
    const lookup = circle.lookup as (...values: unknown[]) => void
    for (const before of [[4], [0], []]) {
      const found = await new Promise((resolve) => {
        lookup('127.0.0.1', ...before, (_: unknown, address: string, family: number) =>
          resolve([address, family]),
        )
      })
      expect(found).toEqual(['127.0.0.1', 4])
    }
  })

  test('the name in other letter case and with a dot at its end', async () => {
    await using names = await scriptedNameServer(addresses('127.0.0.1'))
    using circle = new Circle(`${NAME}.`, { nameServers: [names.address] })
    expect((await ask(circle.lookup, NAME.toUpperCase(), {})).found).toBe('127.0.0.1')
    expect((await ask(circle.lookup, `${NAME}.`, {})).found).toBe('127.0.0.1')
  })
})

test('it knows its name in another alphabet, as it was given and in punycode', async () => {
  await using names = await scriptedNameServer(addresses('127.0.0.1'))
  using circle = new Circle('bücher.test', { nameServers: [names.address] })
  for (const name of ['bücher.test', 'BÜCHER.test.', 'xn--bcher-kva.test']) {
    expect((await ask(circle.lookup, name, {})).found).toBe('127.0.0.1')
  }
})

describe('it answers with an error', () => {
  test.each(['other.test', '', 'n1..test'])(
    'for another host name (%j), whose addresses these are not',
    async (name) => {
      await using names = await scriptedNameServer(silence)
      using circle = new Circle(NAME, { nameServers: [names.address] })
      const { error } = await ask(circle.lookup, name, { all: true })
      expect(error).toMatchObject({ code: 'IPS_INVALID_NAME', fqdn: name })
      expect(names.asked).toEqual([])
    },
  )

  test('when there is no address of the family', async () => {
    await using names = await scriptedNameServer(addresses('127.0.0.1'))
    using circle = new Circle(NAME, { nameServers: [names.address] })
    expect((await ask(circle.lookup, NAME, { family: 6 })).error).toMatchObject({ code: 'IPS_NO_DATA' })
  })

  test('when the name cannot be looked up, and when the circle is closed', async () => {
    await using names = await scriptedNameServer(rcode('NXDOMAIN'))
    using circle = new Circle(NAME, { nameServers: [names.address] })
    expect((await ask(circle.lookup, NAME, {})).error).toBeInstanceOf(IpsError)
    circle.close()
    expect((await ask(circle.lookup, NAME, {})).error).toMatchObject({ code: 'IPS_CLOSED' })
  })
})
