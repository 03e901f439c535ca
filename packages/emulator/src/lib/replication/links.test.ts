import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { EmulatorConfig } from '../config.ts'
import { validateConfig } from '../config.ts'
import type { EmulatorOptions } from '../emulator.ts'
import { MapiTester } from '../mapi/mapi.testing.ts'
import { replicaOf, TwoSystems } from './two-systems.testing.ts'

const root = '/services/replication'
const at = `${root}/links/hcp1-hcp2`
const minute = 60_000

/** Two linked systems with the management API of both, and a clock that the test moves. */
class Operators implements AsyncDisposable {
  readonly systems: TwoSystems
  readonly one: MapiTester
  readonly other: MapiTester
  readonly clock: { now: number }

  private constructor(systems: TwoSystems, clock: { now: number }) {
    this.systems = systems
    this.clock = clock
    this.one = new MapiTester(systems.hcp)
    this.other = new MapiTester(replicaOf(systems.hcp))
  }

  static async start(options: EmulatorOptions = {}): Promise<Operators> {
    // A Wednesday, noon by any zone's count of days.
    const clock = { now: Date.UTC(2026, 0, 7, 12) }
    return new Operators(await TwoSystems.start({ now: () => clock.now, ...options }), clock)
  }

  async status(name = 'hcp1-hcp2'): Promise<string[]> {
    const found: string[] = []
    for (const tester of [this.one, this.other]) {
      const link = await tester
        .read(`${root}/links/${name}?verbose=true`)
        .catch((error: Error) => ({ status: (error as NodeJS.ErrnoException).code, statusMessage: '' }))
      found.push(`${String(link['status'])} ${String(link['statusMessage'])}`.trim())
    }
    return found
  }

  async act(side: 'one' | 'other', action: string, name = 'hcp1-hcp2'): Promise<number> {
    return (await this[side].call({ method: 'POST', path: `${root}/links/${name}?${action}=` })).status
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.one[Symbol.asyncDispose]()
    await this.other[Symbol.asyncDispose]()
    await this.systems[Symbol.asyncDispose]()
  }
}

const passive: EmulatorOptions = {
  config: {
    tenants: [
      {
        name: 'm',
        namespaces: [{ name: 'n1' }, { name: 'n2', versioning: true }],
        users: [
          { user: 'n', password: 'n01' },
          { user: 'admin', password: 'a01', roles: ['ADMINISTRATOR'] },
        ],
      },
    ],
    systemUsers: [{ user: 'sysadmin', password: 's01' }],
    links: [{ name: 'one way', type: 'OUTBOUND', tenants: ['m'] }],
  },
}

describe('the link that is there from the start', () => {
  let operators: Operators
  beforeAll(async () => {
    operators = await Operators.start()
  })
  afterAll(() => operators[Symbol.asyncDispose]())

  test('is listed, and has what clients know of links', async () => {
    expect(operators.systems.hcp.ready.link).toBe('hcp1-hcp2')
    expect(await operators.one.read(`${root}/links`)).toEqual({ name: ['hcp1-hcp2'] })
    const link = await operators.one.read(`${at}?verbose=true`)
    expect(link).toMatchObject({
      compression: false,
      connection: {
        localHost: '127.0.0.1',
        localPort: 5748,
        remoteHost: '127.0.0.2',
        remotePort: 5748,
      },
      description: 'active/active link between hcp1.test and hcp2.test',
      encryption: false,
      failoverSettings: {
        local: { autoFailover: false, autoFailoverMinutes: 120 },
        remote: { autoFailover: false, autoFailoverMinutes: 120 },
      },
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'hcp1-hcp2',
      priority: 'OLDEST_FIRST',
      statistics: {
        upToDateAsOfMillis: operators.clock.now,
        bytesPending: 0,
        objectsPendingRemote: 0,
        bytesPerSecond: 0,
      },
      status: 'GOOD',
      statusMessage: 'Synchronizing data',
      suspended: false,
      type: 'ACTIVE_ACTIVE',
    })
    expect((await operators.other.read(`${at}?verbose=true`))['id']).toBe(link['id'])
    const xml = await operators.one.call({
      path: `${at}?verbose=true`,
      headers: { accept: 'application/xml' },
    })
    expect(xml.text).toContain('<bytesPerSecond>0.0</bytesPerSecond>')
    expect(await operators.one.read(at)).not.toHaveProperty('status')
    expect(await operators.one.read(`${at}/content`)).toEqual({ tenants: { name: ['m'] } })
  })

  test('counts what waits and what went', async () => {
    const { systems, one, other, clock } = operators
    const fault = systems.hcp.addLinkFault({ kind: 'broken' })
    const since = clock.now
    await systems.one.put('counted', 'four')
    clock.now += minute
    await systems.other.put('too', 'three')
    const of = async (tester: MapiTester): Promise<unknown> =>
      (await tester.read(`${at}?verbose=true`))['statistics']
    const waiting = { objectsPending: 1, objectsPendingRemote: 1, upToDateAsOfMillis: since }
    expect(await of(one)).toMatchObject({ ...waiting, bytesPending: 4, bytesPendingRemote: 5 })
    expect(await of(other)).toMatchObject({ ...waiting, bytesPending: 5, bytesPendingRemote: 4 })
    expect(await one.read(`${at}/content/tenants/M`)).toMatchObject({
      status: 'REPLICATING',
      objectsPending: 1,
      bytesPendingRemote: 5,
    })
    systems.hcp.removeLinkFault(fault.id)
    await systems.hcp.replicated()
    const done = { objectsPending: 0, objectsPendingRemote: 0, upToDateAsOfMillis: clock.now }
    expect(await of(one)).toMatchObject({ ...done, bytesReplicated: 4, objectsReplicated: 1 })
    expect(await of(other)).toMatchObject({ ...done, bytesReplicated: 5, objectsReplicated: 1 })
  })

  test('stops while it is suspended, from either side, and goes on after that', async () => {
    const { systems } = operators
    expect(await operators.act('other', 'suspend')).toBe(200)
    expect(await operators.act('one', 'suspend')).toBe(400)
    expect(await operators.status()).toEqual(['WARNING Suspended by user', 'WARNING Suspended by user'])
    await systems.one.put('late', 'late')
    await systems.hcp.replicated()
    expect(await systems.other.read('late')).toBe(404)
    expect((await systems.one.get('late')).headers['x-hcp-replicated']).toBe('false')
    expect(await operators.act('one', 'resume')).toBe(200)
    expect(await operators.act('one', 'resume')).toBe(400)
    await systems.hcp.replicated()
    expect(await systems.other.read('late')).toBe('late')
    expect((await systems.one.get('late')).headers['x-hcp-replicated']).toBe('true')
  })

  test('stops for one tenant that is paused', async () => {
    const { systems, one } = operators
    const member = `${at}/content/tenants/m`
    await one.change('POST', `${member}?pause`)
    expect(await one.read(member)).toMatchObject({ status: 'PAUSED' })
    await systems.other.put('paused', 'p')
    await systems.hcp.replicated()
    expect(await systems.one.read('paused')).toBe(404)
    expect((await one.call({ method: 'POST', path: `${member}?pause` })).status).toBe(400)
    await one.change('POST', `${member}?resume`)
    await systems.hcp.replicated()
    expect(await systems.one.read('paused')).toBe('p')
  })

  test('is broken when the other system cannot be reached, once that is noticed', async () => {
    const { systems, one, clock } = operators
    await one.change('POST', root, { connectivityTimeoutSeconds: 60 })
    await systems.other.stop()
    expect((await operators.status())[0]).toBe('GOOD Synchronizing data')
    clock.now += minute
    expect((await operators.status())[0]).toBe('BAD Broken link')
    await systems.other.start()
    expect(await operators.status()).toEqual(['GOOD Synchronizing data', 'GOOD Synchronizing data'])
    await one.change('POST', root, { connectivityTimeoutSeconds: 0 })
  })

  test('fails over to the system that is asked, and back', async () => {
    const { systems } = operators
    await systems.one.stop()
    expect(await operators.act('other', 'failOver')).toBe(200)
    expect((await operators.status())[1]).toBe('WARNING Failed over')
    expect(await operators.act('other', 'failBack')).toBe(400)
    await systems.one.start()
    await systems.other.put('away', 'w')
    await systems.hcp.replicated()
    expect(await systems.one.read('away')).toBe(404)
    expect(await operators.act('other', 'failBack')).toBe(200)
    await systems.hcp.replicated()
    expect(await systems.one.read('away')).toBe('w')
    expect(await operators.status()).toEqual(['GOOD Synchronizing data', 'GOOD Synchronizing data'])
  })

  test('fails over by itself after so many minutes of an outage', async () => {
    const { systems, one, clock } = operators
    await one.change('POST', at, {
      failoverSettings: { remote: { autoFailover: true, autoFailoverMinutes: 10 } },
    })
    await systems.one.stop()
    clock.now += 9 * minute
    expect((await operators.status())[1]).toBe('BAD Broken link')
    clock.now += minute
    expect((await operators.status())[1]).toBe('WARNING Failed over')
    await systems.one.start()
    expect(await operators.act('other', 'failBack')).toBe(200)
    await one.change('POST', at, { failoverSettings: { remote: { autoFailover: false } } })
  })

  test('does nothing in a period that is off', async () => {
    const { systems, one, clock } = operators
    const transition = [
      { time: 'Sun:00', performanceLevel: 'HIGH' },
      { time: 'Wed:00', performanceLevel: 'OFF' },
      { time: 'Fri:00', performanceLevel: 'LOW' },
    ]
    await one.change('POST', `${at}/schedule`, { local: { transition } })
    expect(await one.read(`${at}/schedule`)).toMatchObject({
      local: { scheduleOverride: 'NONE', transition },
    })
    expect(await operators.status()).toEqual(['WARNING Scheduled off period', 'GOOD Synchronizing data'])
    await systems.one.put('night', 'n')
    await systems.hcp.replicated()
    expect(await systems.other.read('night')).toBe(404)
    await one.change('POST', `${at}/schedule`, { local: { scheduleOverride: 'LOW' } })
    await systems.hcp.replicated()
    expect(await systems.other.read('night')).toBe('n')
    await one.change('POST', `${at}/schedule`, { local: { scheduleOverride: 'NONE' } })
    clock.now += 3 * 24 * 60 * minute
    expect(await operators.status()).toEqual(['GOOD Synchronizing data', 'GOOD Synchronizing data'])
  })

  test('stops with all others, and comes back as it was', async () => {
    const { systems, one, other } = operators
    await one.change('POST', `${root}?shutDownAllLinks=maintenance%20of%20the%20site`)
    expect(await one.read(`${root}?verbose=true`)).toMatchObject({ status: 'SHUTDOWN' })
    expect(await other.read(`${root}?verbose=true`)).toMatchObject({ status: 'ENABLED' })
    await systems.one.put('shut', 's')
    await systems.hcp.replicated()
    expect(await systems.other.read('shut')).toBe(404)
    expect((await one.call({ method: 'DELETE', path: `${at}/content/tenants/m` })).status).toBe(403)
    await one.change('POST', `${root}?reestablishAllLinks`)
    await systems.hcp.replicated()
    expect(await systems.other.read('shut')).toBe('s')
  })
})

describe('an active/passive link', () => {
  let operators: Operators
  const name = 'one%20way'
  beforeAll(async () => {
    operators = await Operators.start(passive)
  })
  afterAll(() => operators[Symbol.asyncDispose]())
  const states = (): Promise<string[]> => operators.status(name)

  /** Whether clients may write, on both sides. */
  const writes = async (): Promise<number[]> => {
    const path = `w${Math.random()}`
    return [
      (await operators.systems.one.put(path, 'x')).status,
      (await operators.systems.other.put(`${path}o`, 'x')).status,
    ]
  }

  test('goes through failover and recovery, with one side read-only at a time', async () => {
    const { systems } = operators
    const { hcp } = systems
    expect(await states()).toEqual(['GOOD Sending data', 'GOOD Receiving data'])
    expect(await writes()).toEqual([201, 403])
    await systems.one.put('before', 'b')
    await hcp.replicated()
    expect(await systems.other.read('before')).toBe('b')
    await systems.one.stop()
    expect((await systems.other.delete('before')).status).toBe(403)
    expect(await operators.act('other', 'failOver', name)).toBe(200)
    expect((await systems.other.put('meanwhile', 'm')).status).toBe(201)
    await systems.one.start()
    expect(await writes()).toEqual([403, 201])
    expect(await states()).toEqual(['WARNING Failed over', 'WARNING Failed over'])
    hcp.setReplication({ recoveryMs: 5 * minute })
    expect(await operators.act('other', 'beginRecovery', name)).toBe(200)
    expect(await states()).toEqual(['WARNING Receiving data', 'WARNING Recovering data'])
    expect(await writes()).toEqual([403, 201])
    await hcp.replicated()
    expect(await systems.one.read('meanwhile')).toBe('m')
    expect(await operators.act('other', 'completeRecovery', name)).toBe(200)
    expect(await states()).toEqual(['WARNING Receiving data', 'WARNING Completing recovery'])
    expect(await writes()).toEqual([403, 403])
    operators.clock.now += 5 * minute
    expect(await states()).toEqual(['GOOD Sending data', 'GOOD Receiving data'])
    expect(await writes()).toEqual([201, 403])
  })

  test('completes its recovery by itself where that is set', async () => {
    const { systems, other } = operators
    systems.hcp.setReplication({ recoveryMs: 0 })
    await other.change('POST', `${root}/links/${name}`, {
      failoverSettings: { local: { autoCompleteRecovery: true, autoCompleteRecoveryMinutes: 5 } },
    })
    expect(await operators.act('other', 'failOver', name)).toBe(200)
    expect(await operators.act('other', 'beginRecover', name)).toBe(200)
    await systems.hcp.replicated()
    await expect.poll(states).toEqual(['GOOD Sending data', 'GOOD Receiving data'])
  })

  test('shows what each side may set', async () => {
    const { one, other } = operators
    const [here, there] = [await one.read(`${root}/links/${name}`), await other.read(`${root}/links/${name}`)]
    expect([here['type'], there['type']]).toEqual(['OUTBOUND', 'INBOUND'])
    expect(Object.keys(here['failoverSettings'] as object)).toEqual(['remote'])
    expect(Object.keys(there['failoverSettings'] as object)).toEqual(['local'])
    expect(Object.keys(await one.read(`${root}/links/${name}/schedule`))).toEqual(['local'])
    expect(await one.read(`${root}/links/${name}/content`)).toEqual({
      tenants: { name: ['m'] },
      chainedLinks: { name: [] },
    })
  })

  test('becomes an active/active one, suspended, and never goes back', async () => {
    const { one, other, systems } = operators
    const path = `${root}/links/${name}`
    const refused = await one.call({ method: 'POST', path, body: { type: 'INBOUND' } })
    expect(refused.status).toBe(400)
    await one.change('POST', path, { type: 'ACTIVE_ACTIVE' })
    expect(await other.read(`${path}?verbose=true`)).toMatchObject({ type: 'ACTIVE_ACTIVE', suspended: true })
    expect((await one.call({ method: 'POST', path, body: { type: 'OUTBOUND' } })).status).toBe(400)
    await other.change('POST', `${path}?resume`)
    expect((await systems.other.put('now', 'x')).status).toBe(201)
    await systems.hcp.replicated()
    expect(await systems.one.read('now')).toBe('x')
  })
})

type Refused = readonly [
  what: string,
  call: { method: 'PUT' | 'POST' | 'DELETE' | 'GET'; path: string; body?: object | string },
  status: number,
]

describe('what is refused', () => {
  let operators: Operators
  beforeAll(async () => {
    operators = await Operators.start({
      config: {
        tenants: ['m', 'p', 'free'].map((name) => ({
          name,
          namespaces: [{ name: 'n1' }],
          users: [{ user: 'n', password: 'n01' }],
        })),
        systemUsers: [
          { user: 'sysadmin', password: 's01' },
          { user: 'mon', password: 'm01', roles: ['MONITOR'] },
          { user: 'svc', password: 'v01', roles: ['SERVICE'] },
        ],
        links: [
          { name: 'hcp1-hcp2', tenants: ['m'] },
          { name: 'out', type: 'OUTBOUND', tenants: ['p'] },
          { name: 'in', type: 'INBOUND', tenants: [] },
        ],
      },
    })
  })
  afterAll(() => operators[Symbol.asyncDispose]())
  const link = (name: string, more = ''): string => `${root}/links/${name}${more}`
  const connection = { remoteHost: 'replication.hcp2.test' }

  test.each<Refused>([
    ['an action of the other type', { method: 'POST', path: link('out', '?failBack') }, 400],
    [
      'a recovery of an active/active link',
      { method: 'POST', path: link('hcp1-hcp2', '?beginRecovery') },
      400,
    ],
    ['a failover asked of the primary', { method: 'POST', path: link('out', '?failOver') }, 400],
    ['a recovery that is not due', { method: 'POST', path: link('in', '?beginRecovery') }, 400],
    ['to complete none', { method: 'POST', path: link('in', '?completeRecovery') }, 400],
    ['a failback without failover', { method: 'POST', path: link('hcp1-hcp2', '?failBack') }, 400],
    ['to restore what is there', { method: 'POST', path: link('hcp1-hcp2', '?restore') }, 400],
    ['two actions', { method: 'POST', path: link('hcp1-hcp2', '?suspend&resume') }, 400],
    ['an action with a body', { method: 'POST', path: link('hcp1-hcp2', '?suspend'), body: {} }, 400],
    ['a link that is not there', { method: 'GET', path: link('none') }, 404],
    ['to delete a link in use', { method: 'DELETE', path: link('hcp1-hcp2') }, 403],
    [
      'a name that is taken',
      { method: 'PUT', path: `${root}/links`, body: { name: 'OUT', type: 'OUTBOUND', connection } },
      409,
    ],
    ['a link without type', { method: 'PUT', path: `${root}/links`, body: { name: 'x', connection } }, 400],
    [
      'a link to nobody',
      {
        method: 'PUT',
        path: `${root}/links`,
        body: { name: 'x', type: 'OUTBOUND', connection: { remoteHost: '10.0.0.1' } },
      },
      400,
    ],
    ['an unknown property', { method: 'POST', path: link('out'), body: { id: 'x' } }, 400],
    [
      'the settings of a side that it does not have',
      { method: 'POST', path: link('out'), body: { failoverSettings: { local: { autoFailover: true } } } },
      400,
    ],
    [
      'too few minutes',
      {
        method: 'POST',
        path: link('hcp1-hcp2'),
        body: { failoverSettings: { local: { autoFailoverMinutes: 6 } } },
      },
      400,
    ],
    [
      'a recovery setting of an active/active link',
      {
        method: 'POST',
        path: link('hcp1-hcp2'),
        body: { failoverSettings: { local: { autoCompleteRecovery: true } } },
      },
      400,
    ],
    ['a tenant on two links', { method: 'PUT', path: link('hcp1-hcp2', '/content/tenants/p') }, 409],
    ['a tenant twice', { method: 'PUT', path: link('hcp1-hcp2', '/content/tenants/m') }, 409],
    ['an unknown tenant', { method: 'PUT', path: link('hcp1-hcp2', '/content/tenants/none') }, 404],
    [
      'a membership with a body',
      { method: 'PUT', path: link('hcp1-hcp2', '/content/tenants/free'), body: {} },
      400,
    ],
    [
      'to remove a tenant that is not on it',
      { method: 'DELETE', path: link('hcp1-hcp2', '/content/tenants/p') },
      404,
    ],
    [
      'to resume what is not paused',
      { method: 'POST', path: link('hcp1-hcp2', '/content/tenants/m?resume') },
      400,
    ],
    ['no action on a tenant', { method: 'POST', path: link('hcp1-hcp2', '/content/tenants/m') }, 400],
    [
      'chained links of an active/active link',
      { method: 'GET', path: link('hcp1-hcp2', '/content/chainedLinks') },
      400,
    ],
    [
      'to chain an active/active link',
      { method: 'PUT', path: link('out', '/content/chainedLinks/hcp1-hcp2') },
      400,
    ],
    [
      'directories without default tenant',
      { method: 'GET', path: link('out', '/content/defaultNamespaceDirectories') },
      404,
    ],
    [
      'a week that is off',
      {
        method: 'POST',
        path: link('hcp1-hcp2', '/schedule'),
        body: { local: { transition: [{ time: 'Mon:00', performanceLevel: 'OFF' }] } },
      },
      400,
    ],
    [
      'a time that is none',
      {
        method: 'POST',
        path: link('hcp1-hcp2', '/schedule'),
        body: { local: { transition: [{ time: 'mon:00', performanceLevel: 'LOW' }] } },
      },
      400,
    ],
    [
      "the other side's schedule",
      { method: 'POST', path: link('out', '/schedule'), body: { remote: { scheduleOverride: 'LOW' } } },
      400,
    ],
    ['a shutdown without reason', { method: 'POST', path: `${root}?shutDownAllLinks=` }, 400],
    ['another network', { method: 'POST', path: root, body: { network: '[hcp_backend]' } }, 400],
    ['no certificate', { method: 'PUT', path: `${root}/certificates`, body: '<x/>' }, 400],
    ['a certificate that is not there', { method: 'DELETE', path: `${root}/certificates/none` }, 404],
  ])('%s', async (_, call, status) => {
    const reply = await operators.one.call(call)
    expect([reply.status, reply.message === '' && reply.status !== 404]).toEqual([status, false])
  })

  test.each<[string, [string, string], number, number]>([
    ['a monitor reads only', ['mon', 'm01'], 200, 403],
    ['an account for services does neither', ['svc', 'v01'], 403, 403],
  ])('%s', async (_, as, reads, acts) => {
    const { one } = operators
    expect((await one.call({ path: link('out'), as })).status).toBe(reads)
    expect((await one.call({ method: 'POST', path: link('out', '?suspend'), as })).status).toBe(acts)
    expect((await one.call({ path: `${root}/certificates/server`, as })).status).toBe(acts)
  })

  test.each([400, 403, 409] as const)(
    'a wrong action is answered %i where that is chosen',
    async (refusedAction) => {
      await using chosen = await Operators.start({ choices: { refusedAction } })
      expect(await chosen.act('one', 'failBack')).toBe(refusedAction)
    },
  )
})

test('links, settings and states survive the end of the emulator', async () => {
  const data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  try {
    let before: unknown
    {
      await using operators = await Operators.start({ ...passive, data })
      const { one, other, systems } = operators
      await systems.one.put('a', 'x')
      await systems.hcp.replicated()
      await one.change('POST', root, { connectivityTimeoutSeconds: 7 })
      await one.change('POST', `${root}/links/one%20way`, { description: 'kept', name: 'renamed' })
      expect(await operators.act('other', 'failOver', 'renamed')).toBe(200)
      await systems.other.put('b', 'y')
      before = await other.read(`${root}/links/renamed?verbose=true`)
      expect(before).toMatchObject({ statistics: { objectsPending: 1 } })
    }
    await using operators = await Operators.start({ ...passive, data })
    const { one, other, systems } = operators
    expect(await one.read(root)).toMatchObject({ connectivityTimeoutSeconds: 7 })
    expect(await other.read(`${root}/links/renamed?verbose=true`)).toEqual(before)
    expect((await systems.one.put('c', 'z')).status).toBe(403)
    expect(await operators.act('other', 'beginRecovery', 'renamed')).toBe(200)
    await systems.hcp.replicated()
    expect(await systems.one.read('b')).toBe('y')
  } finally {
    await rm(data, { recursive: true, force: true })
  }
})

test.each<[string, EmulatorConfig['links'], RegExp]>([
  [
    'a tenant that is not there',
    [{ name: 'a', tenants: ['none'] }],
    /links\[0\]\.tenants: there is no tenant "none"/,
  ],
  [
    'a tenant on two links',
    [{ name: 'a' }, { name: 'b', tenants: ['M'] }],
    /links\[1\]\.tenants: "M" is on another/,
  ],
  [
    'a name twice',
    [
      { name: 'a', tenants: [] },
      { name: 'A', tenants: [] },
    ],
    /links\[1\]\.name/,
  ],
  ['an unknown type', [{ name: 'a', type: 'BOTH' as 'INBOUND' }], /links\[0\]\.type/],
])('a configuration with %s is refused', (_, links, message) => {
  expect(() => validateConfig({ tenants: [{ name: 'm' }], links })).toThrow(message)
})

describe('links that are made', () => {
  let operators: Operators
  beforeEach(async () => {
    operators = await Operators.start({
      config: {
        tenants: [...passive.config!.tenants],
        systemUsers: [...passive.config!.systemUsers!],
        links: [],
      },
    })
    return () => operators[Symbol.asyncDispose]()
  })

  test('exist on both sides, mirrored, and send what was there before', async () => {
    const { systems, one, other } = operators
    expect(systems.hcp.ready).not.toHaveProperty('link')
    await systems.one.put('old', 'o')
    await systems.one.put('versions', '1', 'n2')
    await systems.one.put('versions', '2', 'n2')
    await one.change('PUT', `${root}/links`, {
      name: 'A to B',
      type: 'OUTBOUND',
      connection: { remoteHost: 'replication.hcp2.test' },
    })
    const path = `${root}/links/a%20TO%20b`
    expect(await other.read(path)).toMatchObject({ name: 'A to B', type: 'INBOUND' })
    expect(await one.read(`${path}/localCandidates`)).toMatchObject({ tenants: { name: ['m'] } })
    expect(await other.read(`${path}/remoteCandidates/tenants`)).toEqual({ name: ['m'] })
    expect(await other.read(`${path}/localCandidates/tenants`)).toEqual({ name: [] })
    await other.change('PUT', `${path}/content/tenants/M`)
    await systems.hcp.replicated()
    expect(await systems.other.read('old')).toBe('o')
    expect(await systems.other.read('versions', 'n2')).toBe('2')
    expect(await systems.other.everything('n2')).toEqual(await systems.one.everything('n2'))
    expect((await systems.other.put('x', 'x')).status).toBe(403)
    // Deleted, which needs that it is suspended, both sides are as they were before.
    await one.change('POST', `${path}?suspend`)
    await other.change('DELETE', path)
    expect(await one.read(`${root}/links`)).toEqual({ name: [] })
    expect((await systems.other.put('x', 'x')).status).toBe(201)
    await systems.hcp.replicated()
    expect(await systems.one.read('x')).toBe(404)
  })

  test('need the certificates of both', async () => {
    const { one, other } = operators
    const create = (): Promise<{ status: number }> =>
      one.call({
        method: 'PUT',
        path: `${root}/links`,
        body: { name: 'new', type: 'ACTIVE_ACTIVE', connection: { remoteHost: '127.0.0.2' } },
      })
    const { certificate } = await one.read(`${root}/certificates`)
    const [own, peer] = certificate as { id: string; subjectDN: string; expiresOn: string }[]
    expect(own).toMatchObject({ id: 'server', subjectDN: 'CN=replication.hcp1.test' })
    expect(own!.expiresOn).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}$/)
    await one.change('DELETE', `${root}/certificates/${peer!.id}`)
    expect((await create()).status).toBe(400)
    const text = await other.call({ path: `${root}/certificates/server` })
    expect(text.text).toContain('BEGIN CERTIFICATE')
    await one.change('PUT', `${root}/certificates`, text.text as never)
    expect((await one.call({ method: 'PUT', path: `${root}/certificates`, body: text.text })).status).toBe(
      409,
    )
    expect((await create()).status).toBe(200)
  })
})
