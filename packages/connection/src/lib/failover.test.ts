import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { AnonymousAuthorization } from '@hcp/auth'
import { describe, expect, test } from 'vitest'
import { type FailoverEvent, ReplicaStrategy, Target } from '../index.ts'
import { checkFailover, Failover, type FailoverOptions } from './failover.ts'

let clock = 1_000
const now = (): number => clock

const target = (fqdn: string): Target => new Target(fqdn, { authorization: new AnonymousAuthorization() })
const onFailover = ReplicaStrategy.readOnFailover | ReplicaStrategy.writeOnFailover

function failover(options: FailoverOptions = {}, strategy: number = onFailover): Failover {
  return new Failover(target('n.t.hcp1.test'), target('n.t.hcp2.test'), strategy, checkFailover(options), now)
}

const wait = (milliseconds: number): void => {
  clock += milliseconds
}
const fail = (state: Failover): void => {
  state.failed('connect', now())
  wait(1)
}
const succeed = (state: Failover): void => {
  state.answered(now())
  wait(1)
}
const failOver = (state: Failover): void => {
  while (!state.down) fail(state)
}

describe('failing over', () => {
  test('takes three failures in a row', () => {
    const state = failover()
    fail(state)
    fail(state)
    succeed(state)
    fail(state)
    fail(state)
    expect(state.snapshot).toMatchObject({ state: 'primary', reason: 'start' })
    fail(state)
    expect(state.snapshot).toMatchObject({ state: 'failedOver', reason: 'connect' })
  })

  test('or two that are far apart', () => {
    const state = failover({ time: 5_000 })
    fail(state)
    wait(4_000)
    fail(state)
    expect(state.active).toBe(false)
    wait(2_000)
    fail(state)
    expect(state.active).toBe(true)
  })

  test('requests that run side by side fail once', () => {
    const state = failover()
    const began = now()
    wait(10)
    for (let request = 0; request < 100; request++) state.failed('silent', began)
    expect(state.active).toBe(false)
  })

  test.each(['addresses', 'servicedBy'] as const)(
    'takes one sign that the name leads elsewhere: %s',
    (reason) => {
      const state = failover()
      state.moved(reason)
      expect(state.snapshot).toMatchObject({ state: 'failedOver', reason })
    },
  )
})

describe('coming back', () => {
  test('takes three answers in a row, none of them given side by side', () => {
    const state = failover()
    failOver(state)
    const began = now()
    wait(1)
    for (let request = 0; request < 10; request++) state.answered(began)
    expect(state.snapshot).toMatchObject({ state: 'returning', reason: 'answered' })
    succeed(state)
    expect(state.active).toBe(true)
    succeed(state)
    expect(state.snapshot).toMatchObject({ state: 'primary', reason: 'answered' })
  })

  test('begins anew after a failure', () => {
    const state = failover()
    failOver(state)
    succeed(state)
    succeed(state)
    fail(state)
    expect(state.down).toBe(true)
    succeed(state)
    succeed(state)
    expect(state.snapshot.state).toBe('returning')
  })

  test('is probed after pauses that grow, one probe at a time', () => {
    const state = failover({ minProbe: 100, maxProbe: 350 })
    expect(state.probeDue).toBe(false)
    failOver(state)
    const pauses: number[] = []
    for (let probe = 0; probe < 4; probe++) {
      const began = now()
      while (!state.probeDue) wait(1)
      pauses.push(now() - began)
      state.probing = true
      expect(state.probeDue).toBe(false)
      state.probing = false
      state.probed(false)
    }
    // A millisecond had passed since the failure.
    expect(pauses).toEqual([99, 200, 350, 350])
  })

  test('is probed soon while the replica refuses what the primary may take', () => {
    const state = failover({ minProbe: 100, maxProbe: 10_000 })
    failOver(state)
    for (let probe = 0; probe < 6; probe++) state.probed(false)
    wait(100)
    expect(state.probeDue).toBe(false)
    state.doubted()
    wait(50)
    state.doubted()
    wait(50)
    expect(state.probeDue).toBe(true)
  })

  test('who fails over again soon is probed with the pauses of before', () => {
    const state = failover({ minProbe: 100, maxProbe: 1_000 })
    failOver(state)
    state.probed(false)
    state.probed(false)
    for (let answer = 0; answer < 3; answer++) succeed(state)
    failOver(state)
    wait(300)
    expect(state.probeDue).toBe(false)
    wait(100)
    expect(state.probeDue).toBe(true)
    for (let answer = 0; answer < 3; answer++) succeed(state)
    wait(2_001)
    failOver(state)
    wait(100)
    expect(state.probeDue).toBe(true)
  })
})

describe('what may go to the replica', () => {
  const { readAllowed, readOnFailover, writeAllowed, writeOnFailover } = ReplicaStrategy

  test.each([
    [readAllowed, [true, false], [true, false], [true, false]],
    [readOnFailover, [false, false], [true, false], [false, false]],
    [writeAllowed, [false, true], [false, true], [false, true]],
    [writeOnFailover, [false, false], [false, true], [false, false]],
    [onFailover, [false, false], [true, true], [false, false]],
    [readAllowed | writeOnFailover, [true, false], [true, true], [true, false]],
  ])(
    'by strategy %i: reads and writes, before, during, and just after a failover',
    (strategy, ...expected) => {
      const state = failover({ differFor: 1_000 }, strategy)
      const permitted = (): boolean[] => [state.permits(true), state.permits(false)]
      const seen = [permitted()]
      failOver(state)
      seen.push(permitted())
      for (let answer = 0; answer < 3; answer++) succeed(state)
      seen.push(permitted())
      expect(seen).toEqual(expected)
      // When the systems are equal again all is as before.
      wait(1_001)
      expect(permitted()).toEqual(expected[0])
    },
  )

  test.each([
    [readAllowed, [true, true, true, true]],
    [readOnFailover, [false, true, true, false]],
    [writeAllowed | writeOnFailover, [false, false, false, false]],
  ])(
    'by strategy %i: a look for what is missing, before, during, just after a failover, and later',
    (strategy, expected) => {
      const state = failover({ differFor: 1_000 }, strategy)
      const seen = [state.permitsLook]
      failOver(state)
      seen.push(state.permitsLook)
      for (let answer = 0; answer < 3; answer++) succeed(state)
      seen.push(state.permitsLook)
      wait(1_001)
      seen.push(state.permitsLook)
      expect(seen).toEqual(expected)
    },
  )

  test('the two are equal again after enough objects that neither has', () => {
    const state = failover({ differReads: 3 })
    state.wrote()
    state.missedByBoth()
    state.missedByBoth()
    state.differed()
    state.missedByBoth()
    state.missedByBoth()
    expect(state.differing).toBe(true)
    state.missedByBoth()
    expect(state.differing).toBe(false)
  })
})

test.each([
  [
    'n.t.hcp1.test',
    [
      ['HCP1.test', false],
      ['hcp2.test', true],
      ['hcp3.test', true],
      [undefined, false],
    ],
  ],
  // The name does not tell: the system is what it first calls itself, unless that is the replica's name.
  [
    'storage.example',
    [
      ['hcp2.test', true],
      ['hcp1.test', false],
      ['hcp3.test', true],
      ['hcp1.test', false],
    ],
  ],
  [
    '10.0.0.1',
    [
      ['hcp1.test', false],
      ['hcp2.test', true],
    ],
  ],
  // One system's domain may lie below the other's.
  [
    'n.t.dr.hcp2.test',
    [
      ['hcp2.test', true],
      ['dr.hcp2.test', false],
      ['hcp2.test', true],
    ],
  ],
] as const)('an answer to %s tells whose it is', (fqdn, answers) => {
  const state = new Failover(target(fqdn), target('n.t.hcp2.test'), onFailover, checkFailover({}))
  for (const [servicedBy, other] of answers)
    expect([servicedBy, state.isOther(servicedBy)]).toEqual([servicedBy, other])
})

test('each change of state is published', () => {
  const events: FailoverEvent[] = []
  const listen = (event: unknown): void => void events.push(event as FailoverEvent)
  subscribe('hcp:failover', listen)
  try {
    const state = failover()
    failOver(state)
    fail(state)
    for (let answer = 0; answer < 3; answer++) succeed(state)
  } finally {
    unsubscribe('hcp:failover', listen)
  }
  expect(events.map(({ previous, state, reason }) => [previous, state, reason])).toEqual([
    ['primary', 'failedOver', 'connect'],
    ['failedOver', 'returning', 'answered'],
    ['returning', 'primary', 'answered'],
  ])
  expect(events[0]).toMatchObject({
    fqdn: 'n.t.hcp1.test',
    replica: 'n.t.hcp2.test',
    since: expect.any(Date),
  })
})

test.each([
  [{ failures: 0 }, 'replica.failover.failures'],
  [{ time: 0.5 }, 'replica.failover.time'],
  [{ successes: '3' }, 'replica.failover.successes'],
  [{ minProbe: 10, maxProbe: 5 }, 'maxProbe'],
  [{ differFor: -1 }, 'differFor'],
  [{ differReads: 0 }, 'differReads'],
  [{ retries: 3 }, 'unknown option "retries"'],
])('options %j are refused by name', (options, name) => {
  expect(() => checkFailover(options as FailoverOptions)).toThrow(name)
})
