import dns from 'node:dns'
import { Packet } from 'dns2'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  addresses,
  alias,
  closedPort,
  rcode,
  record,
  reply,
  scriptedNameServer,
  silence,
  zone,
  type Script,
} from '../../test/scripted-name-server.ts'
import { IpsError } from './errors.ts'
import { query, type QueryOptions } from './query.ts'

const NAME = 'n1.t1.hcp1.test'

describe('an answer', () => {
  test('has all addresses of both families, the least TTL, and no error', async () => {
    await using server = await scriptedNameServer(({ type }, request) => [
      reply(
        request,
        type === 'A'
          ? [record(NAME, '127.0.0.2', 60), record(NAME, '127.0.0.1', 30)]
          : [record(NAME, '::1', 90)],
      ),
    ])
    expect(await query(NAME, { nameServers: [server.address] })).toEqual({
      fqdn: NAME,
      ips: ['127.0.0.2', '127.0.0.1', '::1'],
      cache: false,
      raised: '',
      error: undefined,
      ttl: 30,
    })
    expect(server.asked.map(({ type }) => type).toSorted()).toEqual(['A', 'AAAA'])
  })

  test.each([
    [4, ['127.0.0.1'], ['A']],
    [6, ['::1'], ['AAAA']],
  ] as const)('of family %i only has that family and asks for no other', async (family, ips, types) => {
    await using server = await scriptedNameServer(addresses('127.0.0.1', '::1'))
    const result = await query(NAME, { nameServers: [server.address], family })
    expect(result.ips).toEqual(ips)
    expect(server.asked.map(({ type }) => type)).toEqual(types)
  })

  test('has each address once', async () => {
    await using server = await scriptedNameServer(addresses('127.0.0.1', '127.0.0.2', '127.0.0.1'))
    expect((await query(NAME, { nameServers: [server.address] })).ips).toEqual(['127.0.0.1', '127.0.0.2'])
  })

  test('comes from a name server on IPv6 too', async () => {
    await using server = await scriptedNameServer(addresses('::1'), '::1')
    expect((await query(NAME, { nameServers: [server.address] })).ips).toEqual(['::1'])
  })

  test('is fetched over TCP when it is too long for UDP', async () => {
    const many = Array.from({ length: 100 }, (_, index) => `127.0.1.${index + 1}`)
    const full = addresses(...many)
    await using server = await scriptedNameServer((question, request) => {
      if (question.transport === 'tcp') return full(question, request)
      const cut = reply(request, [record(NAME, '127.0.1.1')])
      cut.header.tc = 1
      return [cut]
    })
    expect((await query(NAME, { nameServers: [server.address], family: 4 })).ips).toEqual(many)
    expect(server.asked.map(({ transport }) => transport)).toEqual(['udp', 'tcp'])
  })

  test('of the name in other letter case counts', async () => {
    await using server = await scriptedNameServer((_, request) => {
      const shouting = reply(request, [record(NAME.toUpperCase(), '127.0.0.1')])
      for (const question of shouting.questions) question.name = NAME.toUpperCase()
      return [shouting]
    })
    expect((await query(NAME, { nameServers: [server.address], family: 4 })).ips).toEqual(['127.0.0.1'])
  })

  test('for a name in another alphabet is asked for in punycode', async () => {
    await using server = await scriptedNameServer(addresses('127.0.0.1'))
    const result = await query('bücher.example', { nameServers: [server.address] })
    expect(result).toMatchObject({ fqdn: 'bücher.example', ips: ['127.0.0.1'] })
    expect(server.asked[0]?.name).toBe('xn--bcher-kva.example')
  })

  test.each(['127.0.0.1', '::1', '2001:db8::7'])(
    'for the address %s is itself, without a question',
    async (ip) => {
      await using server = await scriptedNameServer(silence)
      for (const cache of [false, true]) {
        const result = await query(ip, { nameServers: [server.address], cache })
        expect(result).toMatchObject({ ips: [ip], raised: '', error: undefined, ttl: undefined, cache })
      }
      expect(server.asked).toEqual([])
    },
  )

  test('does not wait for a family whose questions are dropped', async () => {
    const both = addresses('127.0.0.1', '::1')
    await using server = await scriptedNameServer((question, request) =>
      question.type === 'A' ? both(question, request) : [],
    )
    const result = await query(NAME, { nameServers: [server.address], timeout: 60_000, deadline: 60_000 })
    expect(result.ips).toEqual(['127.0.0.1'])
  })

  test('of one family counts although the other failed', async () => {
    const both = addresses('127.0.0.1', '::1')
    await using server = await scriptedNameServer((question, request) =>
      question.type === 'A' ? rcode('SERVFAIL')(question, request) : both(question, request),
    )
    expect(await query(NAME, { nameServers: [server.address] })).toMatchObject({ ips: ['::1'], raised: '' })
  })

  test('of the system is used when caches are allowed, and only then', async () => {
    await using server = await scriptedNameServer(rcode('NXDOMAIN'))
    const options = { nameServers: [server.address], family: 4 } as const
    const cached = await query('localhost', { ...options, cache: true })
    expect(cached).toMatchObject({ ips: ['127.0.0.1'], cache: true, raised: '', ttl: undefined })
    expect(server.asked).toEqual([])
    expect(await query('localhost', options)).toMatchObject({ ips: [], cache: false })
    expect(server.asked).toHaveLength(1)
  })

  test('of the system that there is no such address is told', async () => {
    // The system reads 127.1 as 127.0.0.1 and asks nobody.
    expect(await query('127.1', { cache: true })).toMatchObject({ ips: ['127.0.0.1'], cache: true })
    const { ips, error } = await query('127.1', { cache: true, family: 6 })
    expect({ ips, code: error?.code }).toEqual({ ips: [], code: 'IPS_NO_DATA' })
  })
})

describe('aliases', () => {
  test('within one answer are followed, and the least TTL on the way holds', async () => {
    await using server = await scriptedNameServer((_, request) => [
      reply(request, [
        record('c.test', '127.0.0.1', 50),
        alias('b.test', 'c.test', 5),
        alias(NAME, 'b.test', 20),
        record('stranger.test', '127.6.6.6'),
      ]),
    ])
    const result = await query(NAME, { nameServers: [server.address], family: 4 })
    expect(result).toMatchObject({ ips: ['127.0.0.1'], ttl: 5 })
    expect(server.asked).toHaveLength(1)
  })

  test('without addresses are asked for', async () => {
    const names = { [NAME]: [alias(NAME, 'b.test', 7)], 'b.test': [record('b.test', '127.0.0.1')] }
    await using server = await scriptedNameServer(zone(names))
    const result = await query(NAME, { nameServers: [server.address], family: 4 })
    expect(result).toMatchObject({ ips: ['127.0.0.1'], ttl: 7 })
    expect(server.asked.map(({ name }) => name)).toEqual([NAME, 'b.test'])
  })

  const endless: Script = ({ name }, request) => [reply(request, [alias(name, `x.${name}`)])]
  test.each<[string, Script]>([
    ['to themselves', (_, request) => [reply(request, [alias(NAME, NAME)])]],
    [
      'in a loop within one answer',
      (_, request) => [reply(request, [alias(NAME, 'b.test'), alias('b.test', NAME)])],
    ],
    [
      'in a loop over several answers',
      zone({ [NAME]: [alias(NAME, 'b.test')], 'b.test': [alias('b.test', NAME)] }),
    ],
    ['without end', endless],
    ['of what is no host name', (_, request) => [reply(request, [alias(NAME, 'a b')])]],
  ])('%s are an error', async (_, script) => {
    await using server = await scriptedNameServer(script)
    const result = await query(NAME, { nameServers: [server.address], family: 4 })
    expect(result.error?.code).toBe('IPS_BAD_ANSWER')
    expect(server.asked.length).toBeLessThan(20)
  })

  test('of a name that does not exist are told as not found', async () => {
    await using server = await scriptedNameServer(zone({ [NAME]: [alias(NAME, 'gone.test')] }))
    const result = await query(NAME, { nameServers: [server.address] })
    expect(result.error?.code).toBe('IPS_NOT_FOUND')
    expect(result.raised).toContain('gone.test')
  })
})

describe('failures', () => {
  const referral: Script = (_, request) => {
    const packet = reply(request, [])
    packet.header.aa = 0
    const entry = { name: 'test', type: Packet.TYPE.NS, class: Packet.CLASS.IN, ttl: 60 }
    packet.authorities.push(Object.assign(new Packet.Resource(entry), { ns: 'ns.test' }))
    return [packet]
  }
  test.each<[string, Script, string]>([
    ['NXDOMAIN', rcode('NXDOMAIN'), 'IPS_NOT_FOUND'],
    ['no data', (_, request) => [reply(request, [])], 'IPS_NO_DATA'],
    ['SERVFAIL', rcode('SERVFAIL'), 'IPS_SERVER_FAILURE'],
    ['FORMERR', rcode('FORMERR'), 'IPS_SERVER_FAILURE'],
    ['REFUSED', rcode('REFUSED'), 'IPS_REFUSED'],
    ['a hint to another server', referral, 'IPS_SERVER_FAILURE'],
    ['silence', silence, 'IPS_TIMEOUT'],
    ['garbage', () => [Buffer.from('garbage'), Buffer.alloc(0), Buffer.alloc(600, 0xff)], 'IPS_BAD_ANSWER'],
  ])('%s is told by its code, in words, and without throwing', async (_, script, code) => {
    await using server = await scriptedNameServer(script)
    const result = await query(NAME, { nameServers: [server.address], timeout: 100, deadline: 301 })
    expect(result).toMatchObject({ fqdn: NAME, ips: [], cache: false, ttl: undefined })
    expect(result.error).toBeInstanceOf(IpsError)
    expect(result.error).toMatchObject({ code, fqdn: NAME, name: 'IpsError', message: result.raised })
    expect(result.raised).toContain(NAME)
  })

  test('a name server that is not there is told at once', async () => {
    const nameServers = [`127.0.0.1:${await closedPort()}`]
    const result = await query(NAME, { nameServers, timeout: 60_000, deadline: 60_000 })
    expect(result.error?.code).toBe('IPS_NO_SERVERS')
  })

  test('TCP that ends within an answer is told at once, not taken', async () => {
    await using server = await scriptedNameServer(({ transport }, request) => {
      const cut = reply(request, [])
      cut.header.tc = 1
      return transport === 'udp' ? [cut] : []
    })
    const options = { nameServers: [server.address], family: 4, timeout: 60_000, deadline: 60_000 } as const
    expect(await query(NAME, options)).toMatchObject({ ips: [], error: { code: 'IPS_BAD_ANSWER' } })
    expect(server.asked.map(({ transport }) => transport)).toEqual(['udp', 'tcp'])
  })

  test('a silent name server is asked again until the deadline', async () => {
    const answer = addresses('127.0.0.1')
    await using server = await scriptedNameServer((question, request) =>
      server.asked.length < 3 ? [] : answer(question, request),
    )
    const options = { nameServers: [server.address], family: 4, timeout: 250, deadline: 20_000 } as const
    expect((await query(NAME, options)).ips).toEqual(['127.0.0.1'])
    expect(server.asked).toHaveLength(3)
  })

  test('an abort ends it at once, with the reason as cause', async () => {
    await using server = await scriptedNameServer(silence)
    const abort = new AbortController()
    const nameServers = [server.address]
    const result = query(NAME, { nameServers, timeout: 60_000, deadline: 60_000, signal: abort.signal })
    await server.seen(2)
    const reason = new Error('enough')
    abort.abort(reason)
    expect((await result).error).toMatchObject({ code: 'IPS_ABORTED', cause: reason })
    expect((await query(NAME, { nameServers, signal: abort.signal })).error?.code).toBe('IPS_ABORTED')
    expect(server.asked).toHaveLength(2)
  })

  test.each([new Error('enough'), 'enough', null])(
    'an abort with %j ends TCP at once too',
    async (reason) => {
      await using server = await scriptedNameServer(({ transport }, request) => {
        const cut = reply(request, [])
        cut.header.tc = 1
        return [transport === 'udp' ? cut : Buffer.from('no answer')]
      })
      const abort = new AbortController()
      const options = { nameServers: [server.address], timeout: 60_000, deadline: 60_000 }
      const result = query(NAME, { ...options, signal: abort.signal, family: 4 })
      await server.seen(2)
      abort.abort(reason)
      expect((await result).error).toMatchObject({ code: 'IPS_ABORTED', cause: reason })
    },
  )

  test('that no argument is to blame for are not put down to one', async () => {
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
      throw new TypeError('no clock')
    })
    const { error } = await query(NAME, { nameServers: ['127.0.0.1:1'] })
    clock.mockRestore()
    expect(error).toMatchObject({ code: 'IPS_SERVER_FAILURE', message: 'no clock' })
  })
})

describe('several name servers', () => {
  test.each<[string, Script, string[]]>([
    ['that fails', rcode('SERVFAIL'), ['127.0.0.1']],
    ['that refuses', rcode('REFUSED'), ['127.0.0.1']],
    ['that is silent', silence, ['127.0.0.1']],
    ['that lies', () => [Buffer.from('lie')], ['127.0.0.1']],
    ['that knows there is no such name', rcode('NXDOMAIN'), []],
  ])('after a first one %s', async (_, script, ips) => {
    await using first = await scriptedNameServer(script)
    await using second = await scriptedNameServer(addresses('127.0.0.1'))
    const nameServers = [`127.0.0.1:${await closedPort()}`, first.address, second.address]
    const result = await query(NAME, { nameServers, family: 4, timeout: 250, deadline: 20_000 })
    expect(result.ips).toEqual(ips)
    expect(first.asked).toHaveLength(1)
    expect(second.asked).toHaveLength(ips.length)
  })

  test('a silent one costs its time once, not again for each alias and each search domain', async () => {
    await using first = await scriptedNameServer(silence)
    const names = {
      [`${NAME}.b.test`]: [alias(`${NAME}.b.test`, 'c.test')],
      'c.test': [record('c.test', '127.0.0.1')],
    }
    await using second = await scriptedNameServer(zone(names))
    const nameServers = [first.address, second.address]
    const options = {
      nameServers,
      search: ['a.test', 'b.test'],
      family: 4,
      timeout: 250,
      deadline: 20_000,
    } as const
    expect((await query(NAME, options)).ips).toEqual(['127.0.0.1'])
    expect(second.asked).toHaveLength(4)
    expect(first.asked).toHaveLength(1)
  })

  test('if all fail, the most telling failure is reported and all are in its cause', async () => {
    await using first = await scriptedNameServer(rcode('REFUSED'))
    await using second = await scriptedNameServer(rcode('SERVFAIL'))
    const nameServers = [`127.0.0.1:${await closedPort()}`, first.address, second.address]
    const { error } = await query(NAME, { nameServers, family: 4 })
    const all = ['IPS_NO_SERVERS', 'IPS_REFUSED', 'IPS_SERVER_FAILURE'].map((code) => ({ code }))
    expect(error).toMatchObject({ code: 'IPS_SERVER_FAILURE', cause: { errors: all } })
  })
})

describe('answers that lie are ignored until the real one comes:', () => {
  const changed = (request: Packet, change: (packet: Packet) => void): Packet => {
    const lie = reply(request, [record(NAME, '127.6.6.6')])
    change(lie)
    return lie
  }
  const lies: Record<string, (request: Packet) => Packet | Buffer> = {
    'another id': (request) => changed(request, (lie) => (lie.header.id = (lie.header.id + 1) % 65_536)),
    'another name asked for': (request) => changed(request, (lie) => (lie.questions[0]!.name = 'other.test')),
    'another type asked for': (request) =>
      changed(request, (lie) => (lie.questions[0]!.type = Packet.TYPE.MX)),
    'another class asked for': (request) =>
      changed(request, (lie) => (lie.questions[0]!.class = Packet.CLASS.CH)),
    'no question': (request) => changed(request, (lie) => (lie.questions = [])),
    'two questions': (request) => changed(request, (lie) => lie.questions.push(lie.questions[0]!)),
    'a question instead of an answer': (request) => changed(request, (lie) => (lie.header.qr = 0)),
    'another operation': (request) => changed(request, (lie) => (lie.header.opcode = 2)),
    'records of other names only': (request) =>
      changed(request, (lie) => (lie.answers[0]!.name = 'other.test')),
    'no such name, with another id': (request) => {
      const lie = reply(request, 'NXDOMAIN')
      lie.header.id = (lie.header.id + 1) % 65_536
      return lie
    },
    'no bytes': () => Buffer.alloc(0),
    garbage: () => Buffer.from('this is no DNS message, however long it is'),
    'a header alone': (request) =>
      reply(request, [record(NAME, '127.6.6.6')])
        .toBuffer()
        .subarray(0, 12),
    'an answer cut in its records': (request) =>
      reply(request, [record(NAME, '127.6.6.6')])
        .toBuffer()
        .subarray(0, -2),
    'a name that points to itself': (request) => {
      const bytes = reply(request, []).toBuffer()
      bytes.writeUInt16BE(0xc00c, 12)
      return bytes
    },
  }

  test.each(Object.entries(lies))('%s', async (_, lie) => {
    const honest = addresses('127.0.0.1')
    const script: Script = (question, request) => [lie(request), ...honest(question, request)]
    await using server = await scriptedNameServer(script)
    const options = { nameServers: [server.address], family: 4, timeout: 20_000, deadline: 20_000 } as const
    expect(await query(NAME, options)).toMatchObject({ ips: ['127.0.0.1'], raised: '' })
    expect(server.asked).toHaveLength(1)
  })

  test('another sender', async () => {
    const { promise: honest, resolve: release } = Promise.withResolvers<void>()
    await using server = await scriptedNameServer(({ port }, request) => {
      const forgery = reply(request, [record(NAME, '127.6.6.6')]).toBuffer()
      void server.forge(forgery, port).then(release)
      return []
    })
    const options = { nameServers: [server.address], family: 4, timeout: 200, deadline: 20_000 } as const
    const result = query(NAME, options)
    await honest
    server.script = addresses('127.0.0.1')
    expect((await result).ips).toEqual(['127.0.0.1'])
  })

  test('over TCP as well', async () => {
    const honest = addresses('127.0.0.1')
    await using server = await scriptedNameServer((question, request) => {
      const cut = reply(request, [])
      cut.header.tc = 1
      if (question.transport === 'udp') return [cut]
      return [...Object.values(lies).map((lie) => lie(request)), ...honest(question, request)]
    })
    const options = { nameServers: [server.address], family: 4, timeout: 20_000, deadline: 20_000 } as const
    expect((await query(NAME, options)).ips).toEqual(['127.0.0.1'])
  })

  test('and guessing is hard: each question has its own random id and port', async () => {
    await using server = await scriptedNameServer(addresses('127.0.0.1'))
    for (let round = 0; round < 50; round += 1)
      await query(NAME, { nameServers: [server.address], family: 4 })
    // Two of 50 may coincide; all 50 in a row never do.
    expect(new Set(server.asked.map(({ id }) => id)).size).toBeGreaterThan(45)
    expect(new Set(server.asked.map(({ port }) => port)).size).toBeGreaterThan(45)
    const steps = server.asked.slice(1).map(({ id }, index) => id - (server.asked[index]?.id ?? 0))
    expect(new Set(steps).size).toBeGreaterThan(45)
  })
})

describe('the search list', () => {
  const names = {
    'n1.b.test': [record('n1.b.test', '127.0.0.1')],
    'n2.t.b.test': [record('n2.t.b.test', '127.0.0.2')],
  }

  test.each([
    ['n1', ['127.0.0.1'], ['n1.a.test', 'n1.b.test']],
    ['n2.t', ['127.0.0.2'], ['n2.t', 'n2.t.a.test', 'n2.t.b.test']],
    ['n1.', [], ['n1']],
  ])('is tried for %s', async (name, ips, asked) => {
    await using server = await scriptedNameServer(zone(names))
    const options: QueryOptions = { nameServers: [server.address], search: ['a.test', 'b.test.'], family: 4 }
    expect((await query(name, options)).ips).toEqual(ips)
    expect(server.asked.map((question) => question.name)).toEqual(asked)
  })

  test("is not the system's when name servers are given", async () => {
    await using server = await scriptedNameServer(zone(names))
    const result = await query('n1', { nameServers: [server.address], family: 4 })
    expect(result.error).toMatchObject({ code: 'IPS_NOT_FOUND', fqdn: 'n1' })
    expect(server.asked.map((question) => question.name)).toEqual(['n1'])
  })

  test('in vain is told as a failure of the name that was asked for first', async () => {
    await using server = await scriptedNameServer(zone(names))
    const { error } = await query('n3.t', { nameServers: [server.address], search: ['a.test'], family: 4 })
    expect(error).toMatchObject({ code: 'IPS_NOT_FOUND', fqdn: 'n3.t', message: 'n3.t: no such name' })
  })

  test('is not gone through for a failure that says nothing about the name', async () => {
    await using server = await scriptedNameServer(rcode('SERVFAIL'))
    await query(NAME, { nameServers: [server.address], search: ['a.test'], family: 4 })
    expect(server.asked).toHaveLength(1)
  })
})

describe('without name servers given', () => {
  const system = dns.getServers()
  afterEach(() => dns.setServers(system))

  test("the system's are asked", async () => {
    await using server = await scriptedNameServer(addresses('127.0.0.1'))
    dns.setServers([server.address])
    expect((await query(NAME, { search: [] })).ips).toEqual(['127.0.0.1'])
  })

  test('and none in the system, nobody is asked', async () => {
    dns.setServers([])
    expect((await query(NAME)).error?.code).toBe('IPS_NO_SERVERS')
  })
})

describe('wrong arguments are told without throwing and before anything is asked:', () => {
  test.each<[string, unknown, object | null, RegExp]>([
    ['IPS_INVALID_NAME', 1, {}, /string/],
    ['IPS_INVALID_NAME', undefined, {}, /string/],
    ['IPS_INVALID_NAME', Object.create(null), {}, /string/],
    ['IPS_INVALID_NAME', Symbol('x'), {}, /string/],
    ['IPS_INVALID_NAME', 'a..b', {}, /empty label/],
    ['IPS_INVALID_ARGUMENT', NAME, null, /object/],
    ['IPS_INVALID_ARGUMENT', NAME, { nameserver: [] }, /"nameserver"/],
    ['IPS_INVALID_ARGUMENT', NAME, { cache: 1 }, /cache/],
    ['IPS_INVALID_ARGUMENT', NAME, { family: 5 }, /family/],
    ['IPS_INVALID_ARGUMENT', NAME, { timeout: 0 }, /timeout/],
    ['IPS_INVALID_ARGUMENT', NAME, { timeout: '1' }, /timeout/],
    ['IPS_INVALID_ARGUMENT', NAME, { deadline: -1 }, /deadline/],
    ['IPS_INVALID_ARGUMENT', NAME, { deadline: NaN }, /deadline/],
    ['IPS_INVALID_ARGUMENT', NAME, { deadline: 2 ** 31 }, /deadline/],
    ['IPS_INVALID_ARGUMENT', NAME, { nameServers: '127.0.0.1' }, /nameServers/],
    ['IPS_INVALID_ARGUMENT', NAME, { nameServers: [] }, /nameServers/],
    ['IPS_INVALID_ARGUMENT', NAME, { nameServers: ['dns.test'] }, /dns\.test/],
    ['IPS_INVALID_ARGUMENT', NAME, { search: ['a b'] }, /a b/],
    ['IPS_INVALID_ARGUMENT', NAME, { signal: {} }, /signal/],
  ])('%s', async (code, fqdn, options, message) => {
    await using server = await scriptedNameServer(silence)
    const given = options && { nameServers: [server.address], ...options }
    const result = await query(fqdn as string, given as QueryOptions)
    expect(result.error?.code).toBe(code)
    expect(result.raised).toMatch(message)
    expect(result.ips).toEqual([])
    expect(server.asked).toEqual([])
  })
})

test('errors of another installed copy are recognised', () => {
  class IpsErrorOfAnotherCopy extends Error {
    override name = 'IpsError'
    code = 'IPS_TIMEOUT'
  }
  expect(IpsError.isInstance(new IpsErrorOfAnotherCopy())).toBe(true)
  expect(IpsError.isInstance(new IpsError('IPS_CLOSED', 'a', 'b'))).toBe(true)
  expect(IpsError.isInstance(Object.assign(new Error('no'), { code: 'IPS_TIMEOUT' }))).toBe(false)
  expect(IpsError.isInstance({ name: 'IpsError', code: 'IPS_TIMEOUT' })).toBe(false)
  expect(IpsError.isInstance(undefined)).toBe(false)
})
