import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ActionEvent } from './action-log.ts'
import { LinkAction, LinkType } from './constants.ts'
import * as constants from './constants.ts'
import { ReplicationError, ReplicationGuardError } from './errors.ts'
import { type Answer, type LinkFacts, linkXml, MapiServer } from './mapi-server.testing.ts'
import type { ReplicationClient } from './replication-client.ts'

let server: MapiServer
let replication: ReplicationClient
beforeAll(async () => {
  server = await MapiServer.start(() => '')
  replication = server.client()
})
afterAll(() => server[Symbol.asyncDispose]())

const failedOver = { status: 'WARNING', statusMessage: 'Failed over' }
const recovering = { status: 'WARNING', statusMessage: 'Recovering data' }
const completing = { status: 'WARNING', statusMessage: 'Completing recovery' }
const suspended = { status: 'WARNING', statusMessage: 'Suspended by user', suspended: true }
const storageFull = {
  status: 'WARNING',
  statusMessage: 'Local storage full, link suspended',
  suspended: true,
}
const inbound = { type: 'INBOUND', statusMessage: 'Receiving data' }
const outbound = { type: 'OUTBOUND', statusMessage: 'Sending data' }

/** A link that is as told until the first change, and then as told second; changes are answered by `reply`. */
function link(before: LinkFacts, after: LinkFacts = before, reply: Answer = () => ({})): Answer {
  let changed = false
  return (request) => {
    if (request.method === 'GET') return linkXml(changed ? after : before)
    changed = true
    return reply(request)
  }
}

test('the constants are those of the Python package', () => {
  const { R_ACTIVE_ACTIVE, R_OUTBOUND, R_INBOUND, R_SUSPEND, R_RESUME, R_RESTORE } = constants
  const { R_FAILOVER, R_FAILBACK, R_BEGINRECOVERY, R_COMPLETERECOVERY } = constants
  expect([R_ACTIVE_ACTIVE, R_OUTBOUND, R_INBOUND]).toEqual(['ACTIVE_ACTIVE', 'OUTBOUND', 'INBOUND'])
  expect([R_SUSPEND, R_RESUME, R_RESTORE]).toEqual(['suspend', 'resume', 'restore'])
  expect([R_FAILOVER, R_FAILBACK]).toEqual(['failOver', 'failBack'])
  expect([R_BEGINRECOVERY, R_COMPLETERECOVERY]).toEqual(['beginRecovery', 'completeRecovery'])
  expect(Object.values(LinkType)).toHaveLength(3)
  expect(Object.values(LinkAction)).toHaveLength(7)
})

describe('an action that does not fit is not sent', () => {
  test.each<[LinkAction, LinkFacts, string]>([
    ['failBack', { ...outbound, ...failedOver }, 'type'],
    ['failBack', { ...inbound, ...failedOver }, 'type'],
    ['beginRecovery', failedOver, 'type'],
    ['completeRecovery', recovering, 'type'],
    ['beginRecovery', { ...outbound, ...failedOver }, 'side'],
    ['completeRecovery', { type: 'OUTBOUND', status: 'WARNING', statusMessage: 'Receiving data' }, 'side'],
    ['failOver', outbound, 'side'],
    ['suspend', suspended, 'state'],
    ['resume', {}, 'state'],
    ['restore', {}, 'state'],
    ['completeRecovery', inbound, 'state'],
    ['failOver', failedOver, 'state'],
    ['failOver', { ...inbound, ...recovering }, 'state'],
    ['failBack', {}, 'state'],
    ['beginRecovery', inbound, 'state'],
    ['beginRecovery', { ...inbound, ...recovering }, 'state'],
    ['completeRecovery', { ...inbound, ...failedOver }, 'state'],
    ['completeRecovery', { ...inbound, ...completing }, 'state'],
  ])('%s to %j: %s', async (action, facts, rule) => {
    server.answer = link(facts)
    const since = server.changes.length
    const error: unknown = await replication[action]('north-south').catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ReplicationGuardError)
    expect(error).toMatchObject({ code: 'REPLICATION_GUARD', rule, action, link: 'north-south' })
    expect(ReplicationError.isInstance(error)).toBe(true)
    expect((error as Error).message).toContain('"north-south"')
    expect(server.changes).toHaveLength(since)
  })
  test.each<[LinkAction, LinkType]>([
    ['failBack', 'OUTBOUND'],
    ['failBack', 'INBOUND'],
    ['beginRecovery', 'ACTIVE_ACTIVE'],
    ['completeRecovery', 'ACTIVE_ACTIVE'],
    ['beginRecovery', 'OUTBOUND'],
  ])('%s with the type %s: HCP is not even asked', async (action, type) => {
    const since = server.seen.length
    const call = replication.setReplicationLinkState('x', action, type, { unchecked: true })
    await expect(call).rejects.toBeInstanceOf(ReplicationGuardError)
    expect(server.seen).toHaveLength(since)
  })
  test('a type that is not the link’s', async () => {
    server.answer = link(inbound)
    const call = replication.setReplicationLinkState('x', 'failOver', 'ACTIVE_ACTIVE')
    await expect(call).rejects.toMatchObject({ rule: 'expected' })
  })
  test('unchecked, one request is sent and HCP decides', async () => {
    server.answer = link({}, {}, () => ({ status: 409, headers: { 'X-HCP-ErrorMessage': 'not now' } }))
    const since = server.seen.length
    await expect(replication.resume('x', { unchecked: true })).rejects.toMatchObject({
      code: 'REPLICATION_REFUSED',
    })
    expect(server.seen).toHaveLength(since + 1)
  })
  test('a state that is in no manual is HCP’s to judge', async () => {
    server.answer = link({ ...inbound, status: 'WARNING', statusMessage: 'Something new' })
    await replication.completeRecovery('x')
    expect(server.changes.at(-1)).toBe('POST /links/x?completeRecovery=')
  })
})

describe('an action', () => {
  test.each<[LinkAction, LinkFacts, LinkFacts]>([
    ['suspend', {}, suspended],
    ['suspend', storageFull, suspended],
    ['resume', suspended, {}],
    ['resume', storageFull, {}],
    ['completeRecovery', { ...inbound, ...suspended }, { ...inbound, ...suspended }],
    ['restore', failedOver, failedOver],
    ['failOver', {}, failedOver],
    ['failOver', { status: 'BAD', statusMessage: 'Broken link' }, failedOver],
    ['failBack', failedOver, {}],
    ['beginRecovery', { ...inbound, ...failedOver }, { ...inbound, ...recovering }],
    ['completeRecovery', { ...inbound, ...recovering }, { ...inbound, ...completing }],
  ])('%s is sent once', async (action, before, after) => {
    server.answer = link(before, after)
    const since = server.changes.length
    const result = { link: 'north-south', action, sent: action, settled: false }
    expect(await replication.setReplicationLinkState('north-south', action)).toEqual(result)
    expect(server.changes.slice(since)).toEqual([`POST /links/north-south?${action}=`])
  })
  test.each([400, 403, 409])('refused with %d says what HCP says', async (status) => {
    server.answer = link({}, {}, () => ({ status, headers: { 'X-HCP-ErrorMessage': 'The link is busy' } }))
    const since = server.changes.length
    const error: unknown = await replication.suspend('north-south').catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'REPLICATION_REFUSED',
      status,
      reason: 'The link is busy',
      action: 'suspend',
    })
    expect((error as Error).message).toContain(
      `admin.hcp1.test refused suspend of the link "north-south" with status ${status} and said: The link is busy`,
    )
    expect(server.changes).toHaveLength(since + 1)
  })
  test('on a link that does not exist is that error', async () => {
    server.answer = () => ({ status: 404 })
    await expect(replication.suspend('x')).rejects.toMatchObject({ name: 'MapiNotFoundError' })
    await expect(replication.suspend('x', { unchecked: true })).rejects.toMatchObject({
      name: 'MapiNotFoundError',
    })
  })
})

describe('an action whose answer is lost', () => {
  test.each<[LinkAction, LinkFacts, LinkFacts]>([
    ['suspend', {}, suspended],
    ['resume', suspended, {}],
    ['failOver', {}, failedOver],
    ['failBack', failedOver, {}],
    ['beginRecovery', { ...inbound, ...failedOver }, { ...inbound, ...recovering }],
    ['completeRecovery', { ...inbound, ...recovering }, { ...inbound, ...completing }],
  ])('%s is done if the link says so, and is not sent again', async (action, before, after) => {
    for (const reply of [{ lost: true }, { status: 500 }, { status: 503 }]) {
      server.answer = link(before, after, () => reply)
      const since = server.changes.length
      expect(await replication[action]('x')).toMatchObject({ action, sent: action, settled: true })
      expect(server.changes).toHaveLength(since + 1)
    }
  })
  test('is uncertain where a link cannot tell, and not sent again', async () => {
    server.answer = link(failedOver, failedOver, () => ({ lost: true }))
    const since = server.changes.length
    const error: unknown = await replication.restore('x').catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'REPLICATION_UNCERTAIN', action: 'restore', link: 'x' })
    expect(error).toMatchObject({ found: { statusMessage: 'Failed over' } })
    expect(server.changes).toHaveLength(since + 1)
  })
  test(
    'is uncertain if the link does not show it for long, and not sent again',
    { timeout: 20_000 },
    async () => {
      server.answer = link({}, {}, () => ({ lost: true }))
      const since = server.changes.length
      await expect(replication.suspend('x', { patience: 500 })).rejects.toMatchObject({
        code: 'REPLICATION_UNCERTAIN',
        found: { suspended: false },
      })
      expect(server.changes).toHaveLength(since + 1)
    },
  )
})

describe('beginRecovery', () => {
  const before = { ...inbound, ...failedOver }
  const after = { ...inbound, ...recovering }
  /** Only one of the words has an effect. */
  const knowing =
    (word: string, otherwise: number): Answer =>
    (request) => {
      if (request.method === 'GET') return linkXml(begun ? after : before)
      if (request.query !== `${word}=`) return { status: otherwise }
      begun = true
      return {}
    }
  let begun = false
  const words = (since: number): string[] => server.changes.slice(since).map((each) => each.split('?')[1]!)

  test('is sent by that name to releases that know it, once', async () => {
    begun = false
    server.answer = knowing('beginRecovery', 400)
    const since = server.changes.length
    expect(await replication.beginRecovery('x')).toMatchObject({ sent: 'beginRecovery' })
    expect(words(since)).toEqual(['beginRecovery='])
  })
  test('is sent as beginRecover to releases that refuse the other word', async () => {
    begun = false
    server.answer = knowing('beginRecover', 400)
    const since = server.changes.length
    expect(await replication.beginRecovery('x')).toMatchObject({
      action: 'beginRecovery',
      sent: 'beginRecover',
    })
    expect(words(since)).toEqual(['beginRecovery=', 'beginRecover='])
  })
  test('is sent as beginRecover to releases that ignore the other word', async () => {
    begun = false
    server.answer = knowing('beginRecover', 200)
    const since = server.changes.length
    expect(await replication.beginRecovery('x', { patience: 500 })).toMatchObject({ sent: 'beginRecover' })
    expect(words(since)).toEqual(['beginRecovery=', 'beginRecover='])
  })
  test('that takes a moment to show is not sent twice', async () => {
    let looks = 0
    server.answer = ({ method }) => (method === 'GET' ? linkXml(++looks > 4 ? after : before) : {})
    const since = server.changes.length
    expect(await replication.beginRecovery('x')).toMatchObject({ sent: 'beginRecovery' })
    expect(words(since)).toEqual(['beginRecovery='])
  })
  test('of a link that says something else from then on is done', async () => {
    server.answer = link(before, { ...inbound, ...suspended })
    const since = server.changes.length
    expect(await replication.beginRecovery('x')).toMatchObject({ sent: 'beginRecovery' })
    expect(words(since)).toEqual(['beginRecovery='])
  })
  test('that HCP refuses by both names is refused with its first words', async () => {
    server.answer = ({ method, query }) =>
      method === 'GET'
        ? linkXml(before)
        : { status: 400, headers: { 'X-HCP-ErrorMessage': query === 'beginRecovery=' ? 'first' : 'second' } }
    await expect(replication.beginRecovery('x')).rejects.toMatchObject({ reason: 'first' })
  })
  test.each([403, 409])('that is refused with %d is not tried by another name', async (status) => {
    server.answer = link(before, before, () => ({ status }))
    const since = server.changes.length
    await expect(replication.beginRecovery('x')).rejects.toMatchObject({ status })
    expect(server.changes).toHaveLength(since + 1)
  })
})

describe('onAction', () => {
  async function told(answer: Answer, action: LinkAction): Promise<ActionEvent[]> {
    const events: ActionEvent[] = []
    const client = server.client({ onAction: (event) => void events.push(event) })
    server.answer = answer
    await client[action]('x').catch(() => undefined)
    return events
  }
  test.each<[string, Answer, LinkAction, string[]]>([
    ['done', link({}, suspended), 'suspend', ['before', 'after done']],
    ['settled', link({}, suspended, () => ({ lost: true })), 'suspend', ['before', 'after settled']],
    ['refused', link({}, {}, () => ({ status: 400 })), 'suspend', ['before', 'after refused']],
    [
      'uncertain',
      link(failedOver, failedOver, () => ({ lost: true })),
      'restore',
      ['before', 'after uncertain'],
    ],
    ['not sent', link(suspended), 'suspend', []],
  ])('is told of an action that is %s', async (_what, answer, action, expected) => {
    const events = await told(answer, action)
    expect(events.map(({ phase, outcome }) => `${phase} ${outcome ?? ''}`.trim())).toEqual(expected)
    for (const event of events) expect(event).toMatchObject({ action, link: 'x', system: 'admin.hcp1.test' })
  })
  test('is awaited before anything is sent, and can keep it from being sent', async () => {
    server.answer = link({}, suspended)
    const since = server.changes.length
    const client = server.client({
      onAction: async () => {
        await new Promise((resolve) => setImmediate(resolve))
        throw new Error('the log is full')
      },
    })
    await expect(client.suspend('x')).rejects.toThrow('the log is full')
    await expect(client.shutDownAllLinks('x')).rejects.toThrow('the log is full')
    await expect(client.pauseTenant('x', 't')).rejects.toThrow('the log is full')
    expect(server.changes).toHaveLength(since)
  })
  test('that fails afterwards does not make what was done look undone', async () => {
    server.answer = link({}, suspended)
    const warned = new Promise((resolve) => process.once('warning', resolve))
    const client = server.client({
      onAction: ({ phase }) => {
        if (phase === 'after') throw new Error('the log is full')
      },
    })
    expect(await client.suspend('x')).toMatchObject({ settled: false })
    expect(await warned).toMatchObject({ code: 'REPLICATION_ON_ACTION' })
  })
})
