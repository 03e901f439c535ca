import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ReplicationPlanError } from './errors.ts'
import { planFailover, type FailoverQuestion } from './failover-plan.ts'
import { executeFailover, type FailoverEvent, type FailoverOptions } from './failover-run.ts'
import { linkXml, MapiServer, type Reply, type Seen } from './mapi-server.testing.ts'
import type { ReplicationClient } from './replication-client.ts'

type Kind = 'A/A' | 'A/P'
type World = 'normal' | 'broken' | 'failedOver' | 'recovering' | 'completing' | 'suspended' | 'pending'

/** Two systems with one link: hcp2 survives, hcp1 is the one that fails. */
class Pair {
  kind: Kind = 'A/A'
  world: World = 'normal'
  /** What hcp1 answers. */
  other: 'works' | 'silent' | 'refuses' | 'forgot' = 'works'
  lag = 0
  /** Called before each answer of the survivor to a GET. */
  onLook: () => void = () => undefined

  survivor(request: Seen): Reply | string {
    if (request.method === 'GET') {
      this.onLook()
      return this.#link('INBOUND')
    }
    const worlds: Record<string, World> = {
      'failOver=': 'failedOver',
      'failBack=': 'normal',
      'beginRecovery=': 'recovering',
      'completeRecovery=': 'completing',
      'restore=': 'failedOver',
    }
    if (request.query === 'restore=') this.other = 'works'
    this.world = worlds[request.query] ?? this.world
    return {}
  }

  failed(): Reply | string {
    if (this.other === 'silent') return { lost: true }
    if (this.other === 'refuses') return { status: 403 }
    return this.other === 'forgot' ? { status: 404 } : this.#link('OUTBOUND')
  }

  #link(side: 'INBOUND' | 'OUTBOUND'): string {
    const isActive = this.kind === 'A/A'
    const usual = isActive ? 'Synchronizing data' : side === 'INBOUND' ? 'Receiving data' : 'Sending data'
    const says: Record<World, readonly [string, string]> = {
      normal: ['GOOD', usual],
      broken: ['BAD', 'Broken link'],
      failedOver: ['WARNING', 'Failed over'],
      recovering: ['WARNING', side === 'INBOUND' ? 'Recovering data' : 'Receiving data'],
      completing: ['WARNING', side === 'INBOUND' ? 'Completing recovery' : 'Receiving data'],
      suspended: ['WARNING', 'Suspended by user'],
      pending: ['WARNING', 'Pending remote reply'],
    }
    const [status, statusMessage] = says[this.world]
    const statistics = { upToDateAsOfMillis: Date.now() - this.lag }
    return linkXml({
      type: isActive ? 'ACTIVE_ACTIVE' : side,
      status,
      statusMessage,
      suspended: this.world === 'suspended',
      statistics,
    })
  }
}

let servers: MapiServer[]
let survivor: ReplicationClient
let failed: ReplicationClient
let pair: Pair
beforeAll(async () => {
  servers = [await MapiServer.start(() => ''), await MapiServer.start(() => '')]
  survivor = servers[0]!.client({ retry: false }, 'admin.hcp2.test')
  failed = servers[1]!.client({ retry: false }, 'admin.hcp1.test')
})
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]()
})
beforeEach(() => {
  pair = new Pair()
  servers[0]!.answer = (request) => pair.survivor(request)
  servers[1]!.answer = () => pair.failed()
  for (const server of servers) server.seen.length = 0
})

const link = 'north-south'
const names = async (question: Partial<FailoverQuestion> = {}): Promise<string[]> =>
  (await planFailover({ survivor, failed, link, ...question })).steps.map(({ name }) => name)
const changes = (): string[] => servers.flatMap((server) => server.changes).map((each) => each.split('?')[1]!)
const quick = { interval: 10 }

/** Takes all items, or until one fits. */
async function run(
  options: Partial<FailoverOptions> & { readonly question?: Partial<FailoverQuestion> } = {},
  until: (event: FailoverEvent) => boolean = () => false,
): Promise<string[]> {
  const { question, ...rest } = options
  const plan = await planFailover({ survivor, failed, link, ...question })
  // A plan is data: it may have been kept.
  const kept = JSON.parse(JSON.stringify(plan)) as typeof plan
  const events: string[] = []
  const parties = plan.failed === undefined ? { survivor } : { survivor, failed }
  for await (const event of executeFailover(kept, { ...parties, ...quick, ...rest })) {
    events.push(`${event.kind} ${event.step.name}${event.kind === 'done' && event.already ? ' already' : ''}`)
    if (until(event)) break
  }
  return events
}

const back = {
  'A/A': ['failBack', 'awaitGood'],
  'A/P': ['beginRecovery', 'awaitNearlyUpToDate', 'completeRecovery', 'awaitGood'],
}

describe('a plan', () => {
  test.each<[Kind, World, Pair['other'], Partial<FailoverQuestion>, string[]]>([
    ['A/A', 'broken', 'silent', {}, ['failOver', 'awaitFailedOver']],
    ['A/P', 'broken', 'silent', {}, ['failOver', 'awaitFailedOver']],
    ['A/A', 'normal', 'works', { force: true }, ['failOver', 'awaitFailedOver']],
    [
      'A/A',
      'normal',
      'works',
      { force: true, goal: 'roundTrip' },
      ['failOver', 'awaitFailedOver', 'awaitOtherSystem', ...back['A/A']],
    ],
    [
      'A/P',
      'broken',
      'silent',
      { goal: 'roundTrip' },
      ['failOver', 'awaitFailedOver', 'awaitOtherSystem', ...back['A/P']],
    ],
    ['A/A', 'failedOver', 'works', {}, back['A/A']],
    ['A/P', 'failedOver', 'works', {}, back['A/P']],
    ['A/P', 'failedOver', 'silent', {}, ['awaitOtherSystem', ...back['A/P']]],
    ['A/P', 'failedOver', 'refuses', {}, back['A/P']],
    ['A/P', 'failedOver', 'forgot', {}, ['restore', 'awaitRestored', ...back['A/P']]],
    ['A/P', 'recovering', 'works', {}, back['A/P'].slice(1)],
    ['A/P', 'completing', 'works', {}, ['awaitGood']],
    ['A/A', 'failedOver', 'works', { goal: 'failOver' }, []],
    ['A/A', 'normal', 'works', { goal: 'return' }, []],
    ['A/A', 'pending', 'works', { goal: 'return' }, ['awaitGood']],
  ])('%s link, %s, the other system %s, %j: %j', async (kind, world, other, question, steps) => {
    Object.assign(pair, { kind, world, other })
    expect(await names(question)).toEqual(steps)
    expect(changes()).toEqual([])
  })
  test.each<[Pair['other'], World, Partial<FailoverQuestion>, string]>([
    ['works', 'normal', {}, 'split'],
    ['works', 'broken', {}, 'split'],
    ['refuses', 'broken', {}, 'split'],
    ['silent', 'normal', { failed: undefined } as never, 'split'],
    ['forgot', 'normal', {}, 'split'],
    ['silent', 'normal', {}, 'split'],
    ['works', 'suspended', { goal: 'return' }, 'state'],
    ['works', 'recovering', { goal: 'failOver' }, 'state'],
  ])(
    'is refused where the other system %s and the link is %s, %j: %s',
    async (other, world, question, problem) => {
      Object.assign(pair, { kind: 'A/P', world, other })
      const parties = 'failed' in question ? { survivor, link } : { survivor, failed, link, ...question }
      const error: unknown = await planFailover(parties).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(ReplicationPlanError)
      expect(error).toMatchObject({ code: 'REPLICATION_PLAN', problem, link })
    },
  )
  test('is refused to the primary of an active/passive link', async () => {
    pair.kind = 'A/P'
    await expect(planFailover({ survivor: failed, link })).rejects.toMatchObject({ problem: 'side' })
  })
  test('warns where it cannot be told whether both systems will be written to', async () => {
    pair.world = 'broken'
    pair.other = 'silent'
    const alone = await planFailover({ survivor, link })
    expect(alone.warnings.join()).toContain('make sure that nobody writes there')
    expect(alone.failed).toBeUndefined()
    const both = await planFailover({ survivor, failed, link })
    expect(both.warnings.join()).toContain('admin.hcp1.test cannot be reached from here')
    pair.other = 'works'
    const forced = await planFailover({ survivor, failed, link, force: true })
    expect(forced.warnings.join()).toContain('clients may go on writing there')
  })
  test('fits its parties only, and refuses options that nobody knows', async () => {
    pair.world = 'failedOver'
    const plan = await planFailover({ survivor, failed, link })
    expect(() => executeFailover(plan, { survivor: failed })).toThrow(TypeError)
    expect(() => executeFailover(plan, { survivor })).toThrow(TypeError)
    expect(() => executeFailover(plan, { survivor, failed, yes: true } as never)).toThrow(
      'unknown option "yes"',
    )
    expect(() => executeFailover(plan, { survivor, failed, deadline: { failBack: 0 } })).toThrow(RangeError)
    await expect(planFailover({ survivor, link, goal: 'back' as never })).rejects.toThrow(RangeError)
    await expect(planFailover({ link } as never)).rejects.toThrow('survivor must be a ReplicationClient')
    await expect(planFailover({ survivor, failed: {} as never, link })).rejects.toThrow('failed must be')
    await expect(planFailover({ survivor, failed: survivor, link })).rejects.toThrow('the same system')
    await expect(planFailover(undefined as never)).rejects.toThrow('must be an object')
    for (const name of ['deleteLink', 'toString', 'awaitGood']) {
      const strange = { ...plan, steps: [{ ...plan.steps[0]!, name: name as never }] }
      expect(() => executeFailover(strange, { survivor, failed })).toThrow('a step that is in no plan')
    }
  })
})

describe('a run', () => {
  test('of an active/active link goes over and back', async () => {
    Object.assign(pair, { world: 'broken', other: 'silent' })
    expect(await run()).toEqual([
      'next failOver',
      'done failOver',
      'next awaitFailedOver',
      'done awaitFailedOver',
    ])
    pair.other = 'works'
    expect(await run()).toEqual(['next failBack', 'done failBack', 'next awaitGood', 'done awaitGood'])
    expect(changes()).toEqual(['failOver=', 'failBack='])
    expect(await run({ question: { goal: 'return' } })).toEqual([])
  })
  test('of an active/passive link waits for the data before it completes the recovery', async () => {
    Object.assign(pair, { kind: 'A/P', world: 'failedOver', lag: 3_600_000 })
    const progress: string[] = []
    const events = await run(
      {
        nearly: 30_000,
        onProgress: ({ step, state, elapsed }) => {
          progress.push(`${step.name} ${state}`)
          expect(elapsed).toBeGreaterThan(0)
          expect(changes()).not.toContain('completeRecovery=')
          pair.lag = progress.length < 3 ? 3_600_000 : 10_000
        },
      },
      ({ kind, step }) => kind === 'done' && step.name === 'completeRecovery',
    )
    expect(events.filter((event) => event.startsWith('done'))).toEqual([
      'done beginRecovery',
      'done awaitNearlyUpToDate',
      'done completeRecovery',
    ])
    expect(progress).toEqual(Array.from({ length: 3 }, () => 'awaitNearlyUpToDate recovering'))
    expect(changes()).toEqual(['beginRecovery=', 'completeRecovery='])
    // Taken up again later, the rest is done.
    setTimeout(() => (pair.world = 'normal'), 50)
    expect(await run()).toEqual(['next awaitGood', 'done awaitGood'])
  })
  test('does nothing that was not taken: leaving the loop before a step leaves it undone', async () => {
    Object.assign(pair, { kind: 'A/P', world: 'failedOver' })
    expect(await run({}, ({ kind }) => kind === 'next')).toEqual(['next beginRecovery'])
    expect(changes()).toEqual([])
    expect(await run({}, ({ step }) => step.name === 'awaitNearlyUpToDate')).toHaveLength(3)
    expect(changes()).toEqual(['beginRecovery='])
  })
  test('asks before each action, and ends where the answer is no', async () => {
    Object.assign(pair, { kind: 'A/P', world: 'failedOver' })
    const asked: string[] = []
    const events = await run({
      confirm: (step, view) => {
        asked.push(`${step.name}: ${view.survivor.state}, ${view.failed?.state}`)
        return step.name !== 'completeRecovery'
      },
    })
    expect(asked).toEqual([
      'beginRecovery: failedOver, failedOver',
      'completeRecovery: recovering, recovering',
    ])
    expect(events.at(-1)).toBe('declined completeRecovery')
    expect(changes()).toEqual(['beginRecovery='])
  })
  test('ends with the signal between two steps and in a wait', async () => {
    for (const inWait of [false, true]) {
      Object.assign(pair, { kind: 'A/P', world: 'failedOver', lag: 3_600_000 })
      servers[0]!.seen.length = 0
      const stop = new AbortController()
      const stopping = inWait ? { onProgress: () => stop.abort(new Error('enough')) } : {}
      const call = run({ signal: stop.signal, ...stopping }, ({ kind }) => {
        if (kind === 'done' && !inWait) stop.abort(new Error('enough'))
        return false
      })
      await expect(call).rejects.toThrow('enough')
      expect(changes()).toEqual(['beginRecovery='])
    }
  })
  test('takes what was done meanwhile for done', async () => {
    Object.assign(pair, { kind: 'A/P', world: 'failedOver' })
    const events = await run({
      confirm: () => {
        // HCP, or somebody else, was faster.
        if (pair.world === 'failedOver') pair.world = 'recovering'
        else pair.world = 'normal'
        return true
      },
    })
    expect(events).toContain('done beginRecovery already')
    expect(events).toContain('done completeRecovery already')
    expect(changes()).toEqual([])
  })
  test('does not fail over after all if the other system came back meanwhile', async () => {
    Object.assign(pair, { world: 'broken', other: 'silent' })
    const call = run({ confirm: () => (pair.other = 'works') === 'works' })
    await expect(call).rejects.toMatchObject({ code: 'REPLICATION_PLAN', problem: 'split' })
    expect(changes()).toEqual([])
  })
  test('waits until the other system answers, as long as its deadline', async () => {
    Object.assign(pair, { world: 'failedOver', other: 'silent' })
    let looks = 0
    const events = await run({ onProgress: () => (pair.other = ++looks === 2 ? 'works' : 'silent') })
    expect(events).toContain('done awaitOtherSystem')
    expect(events.at(-1)).toBe('done awaitGood')
    Object.assign(pair, { world: 'failedOver', other: 'silent' })
    await expect(run({ deadline: { awaitOtherSystem: 60 } })).rejects.toMatchObject({
      code: 'REPLICATION_TIMEOUT',
      lastSeen: { statusMessage: 'Failed over' },
    })
  })
  test('restores the link on a system that was rebuilt', async () => {
    Object.assign(pair, { world: 'failedOver', other: 'silent' })
    const call = run({ onProgress: () => (pair.other = 'forgot') })
    await expect(call).rejects.toMatchObject({ problem: 'state' })
    expect(changes()).toEqual([])
    expect((await run()).filter((event) => event.startsWith('done'))).toEqual([
      'done restore',
      'done awaitRestored',
      'done failBack',
      'done awaitGood',
    ])
    expect(changes()).toEqual(['restore=', 'failBack='])
  })
  test('ends when the link fails over again in the middle of its recovery', async () => {
    Object.assign(pair, { kind: 'A/P', world: 'failedOver', lag: 3_600_000 })
    const call = run({ onProgress: () => (pair.world = 'failedOver') })
    await expect(call).rejects.toMatchObject({ problem: 'state' })
  })
  test('has a deadline for its waits', async () => {
    Object.assign(pair, { kind: 'A/P', world: 'recovering', lag: 3_600_000 })
    await expect(run({ deadline: 60 })).rejects.toMatchObject({ code: 'REPLICATION_TIMEOUT' })
  })
})
