import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { linkState } from './link-state.ts'
import type { Link } from './link.ts'
import { linkXml, MapiServer, type Reply } from './mapi-server.testing.ts'
import type { ReplicationClient } from './replication-client.ts'
import { when } from './when.ts'

let server: MapiServer
let replication: ReplicationClient
beforeAll(async () => {
  server = await MapiServer.start(() => '')
  replication = server.client({ retry: false })
})
afterAll(() => server[Symbol.asyncDispose]())

function looks(...answers: (Reply | string)[]): void {
  let look = 0
  server.answer = () => answers[Math.min(look++, answers.length - 1)]!
}

const failedOver = linkXml({ status: 'WARNING', statusMessage: 'Failed over' })

describe('waiting', () => {
  test('ends with the link as it is when the condition holds', async () => {
    looks(linkXml(), linkXml(), failedOver)
    const since = server.seen.length
    const link = await replication.waitFor('x', when.failedOver, { interval: 10 })
    expect(link.statusMessage).toBe('Failed over')
    expect(server.seen).toHaveLength(since + 3)
  })
  test('bears errors that pass, and reports them', async () => {
    looks(linkXml(), { lost: true }, { status: 503 }, { status: 403 }, failedOver)
    const progress: string[] = []
    await replication.waitFor('x', when.failedOver, {
      interval: 10,
      onProgress: ({ state, error, link, elapsed }) => {
        progress.push(`${state} ${error?.name ?? '-'} ${link?.name}`)
        expect(elapsed).toBeGreaterThan(0)
      },
    })
    expect(progress).toEqual([
      'replicating - north-south',
      'replicating HcpSocketError north-south',
      'replicating MapiUnavailableError north-south',
      'replicating MapiForbiddenError north-south',
    ])
  })
  test('for a link that does not exist ends at once', async () => {
    looks({ status: 404 })
    await expect(replication.waitFor('x', when.good, { interval: 10 })).rejects.toMatchObject({
      name: 'MapiNotFoundError',
    })
  })
  test('has a deadline, and the error tells what was seen last', async () => {
    looks(linkXml())
    const error: unknown = await replication
      .waitFor('x', when.failedOver, { interval: 10, deadline: 100 })
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'REPLICATION_TIMEOUT',
      condition: 'failed over',
      deadline: 100,
      lastSeen: { statusMessage: 'Synchronizing data' },
    })
    expect((error as Error).message).toBe(
      'The link "x" was not failed over within 100 ms; it was last seen as GOOD: Synchronizing data',
    )
  })
  test('has a deadline also for a system that says nothing', async () => {
    server.answer = () => new Promise(() => undefined)
    const wait = replication.waitFor('x', when.good, { interval: 10, deadline: 100 })
    await expect(wait).rejects.toMatchObject({ code: 'REPLICATION_TIMEOUT', lastSeen: undefined })
  })
  test('ends with the signal’s reason, whatever the deadline', async () => {
    looks(linkXml())
    for (const deadline of [{}, { deadline: 60_000 }]) {
      const stop = new AbortController()
      const wait = replication.waitFor('x', when.failedOver, {
        interval: 10,
        signal: stop.signal,
        onProgress: () => stop.abort(new Error('enough')),
        ...deadline,
      })
      await expect(wait).rejects.toThrow('enough')
    }
    const { signal } = { signal: AbortSignal.abort(new Error('before')) }
    await expect(replication.waitFor('x', when.good, { signal })).rejects.toThrow('before')
  })
  test('takes any function of the link', async () => {
    looks(linkXml())
    expect((await replication.waitFor('x', ({ name }) => name === 'north-south')).name).toBe('north-south')
    const broken = replication.waitFor('x', () => {
      throw new Error('of mine')
    })
    await expect(broken).rejects.toThrow('of mine')
    const never = replication.waitFor('x', () => false, { interval: 10, deadline: 50 })
    await expect(never).rejects.toThrow('was not as wanted within 50 ms')
  })
})

const base: Link = {
  name: 'x',
  type: 'ACTIVE_ACTIVE',
  status: 'GOOD',
  statusMessage: 'Synchronizing data',
  suspended: false,
  statistics: { objectsPending: 0, objectsPendingRemote: 0, bytesPending: 0, bytesPendingRemote: 0 },
}
const huge = 2n ** 60n

describe('conditions', () => {
  test.each<[string, (link: Link) => boolean, Partial<Link>, boolean]>([
    ['synchronized', when.synchronized, {}, true],
    ['synchronized, pending', when.synchronized, { statistics: { objectsPending: 1 } }, false],
    ['synchronized, pending there', when.synchronized, { statistics: { bytesPendingRemote: huge } }, false],
    ['synchronized, no figures', when.synchronized, { statistics: {} }, true],
    ['synchronized, suspended', when.synchronized, { statusMessage: 'Suspended by user' }, false],
    ['failedOver', when.failedOver, { statusMessage: 'Failed over' }, true],
    ['failedOver, not', when.failedOver, {}, false],
    ['suspended', when.suspended, { suspended: true }, true],
    ['suspended, not', when.suspended, {}, false],
    ['good', when.good, {}, true],
    ['good, not', when.good, { status: 'BAD' }, false],
    ['recovering', when.recovering, { statusMessage: 'Recovering data' }, true],
    [
      'pendingBelow',
      when.pendingBelow(3),
      { statistics: { objectsPending: 1, objectsPendingRemote: 1 } },
      true,
    ],
    [
      'pendingBelow, not',
      when.pendingBelow(2),
      { statistics: { objectsPending: 1, objectsPendingRemote: 1 } },
      false,
    ],
    ['pendingBelow, many', when.pendingBelow(2), { statistics: { objectsPending: huge } }, false],
    ['pendingBelow, unknown', when.pendingBelow(2), { statistics: {} }, false],
    ['upToDateWithin', when.upToDateWithin(60_000), { statistics: { upToDateAsOfMillis: new Date() } }, true],
    [
      'upToDateWithin, not',
      when.upToDateWithin(1),
      { statistics: { upToDateAsOfMillis: new Date(0) } },
      false,
    ],
    ['upToDateWithin, unknown', when.upToDateWithin(1), { statistics: {} }, false],
  ])('%s', (_what, condition, facts, holds) => {
    expect(condition({ ...base, ...facts })).toBe(holds)
  })
  test.each([
    () => when.pendingBelow(-1),
    () => when.pendingBelow('1' as never),
    () => when.upToDateWithin(Number.NaN),
  ])('refuse amounts that are none', (call) => {
    expect(call).toThrow(/must be/)
  })
})

test.each<[string, Partial<Link>, string]>([
  ['Synchronizing data', {}, 'replicating'],
  ['Sending data', { type: 'OUTBOUND' }, 'replicating'],
  ['Receiving data', { type: 'INBOUND' }, 'replicating'],
  ['Receiving data', { type: 'OUTBOUND', status: 'WARNING' }, 'recovering'],
  ['Recovering data', { type: 'INBOUND', status: 'WARNING' }, 'recovering'],
  ['Completing recovery', { type: 'INBOUND', status: 'WARNING' }, 'completingRecovery'],
  ['Scheduled off period', { status: 'WARNING' }, 'scheduledOff'],
  ['Suspended by user', { status: 'WARNING', suspended: true }, 'suspended'],
  ['Failed over', { status: 'WARNING' }, 'failedOver'],
  [' failed OVER ', { status: 'WARNING' }, 'failedOver'],
  ['Pending', { status: 'WARNING' }, 'pending'],
  ['Pending remote reply', { status: 'WARNING' }, 'pending'],
  ['Remote storage full, link suspended', { status: 'WARNING' }, 'storageFull'],
  ['Local storage full, link suspended', { status: 'WARNING' }, 'storageFull'],
  ['High error rate', { status: 'BAD' }, 'unhealthy'],
  ['Stalled link', { status: 'BAD' }, 'unhealthy'],
  ['Broken link', { status: 'BAD' }, 'unhealthy'],
  ['Something else', { status: 'BAD' }, 'unhealthy'],
  ['Something else', { status: 'WARNING' }, 'unknown'],
  ['Something else', { status: 'WARNING', suspended: true }, 'suspended'],
  ['constructor', { status: 'WARNING' }, 'unknown'],
])('"%s" %j is the state %s', (statusMessage, facts, state) => {
  expect(linkState({ ...base, ...facts, statusMessage })).toBe(state)
})
