import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EmulatedPair } from './emulated.testing.ts'
import { planFailover } from './failover-plan.ts'
import { executeFailover } from './failover-run.ts'
import { viewLink } from './failover-view.ts'
import { linkState } from './link-state.ts'
import type { ReplicationClient } from './replication-client.ts'
import { when } from './when.ts'

let pair: EmulatedPair
let hcp1: ReplicationClient
let hcp2: ReplicationClient
beforeAll(async () => {
  pair = await EmulatedPair.start()
  hcp1 = pair.client('hcp1')
  hcp2 = pair.client('hcp2')
})
afterAll(() => pair[Symbol.asyncDispose]())

describe('an emulated system', () => {
  test('has its links, with all that the Python manual shows of one', async () => {
    expect(await hcp1.links()).toEqual(['a-a', 'a-p'])
    const link = await hcp1.link('A-A')
    expect(Object.keys(link).toSorted()).toEqual([
      'compression',
      'connection',
      'description',
      'encryption',
      'failoverSettings',
      'id',
      'name',
      'priority',
      'statistics',
      'status',
      'statusMessage',
      'suspended',
      'type',
    ])
    expect(link).toMatchObject({ type: 'ACTIVE_ACTIVE', status: 'GOOD', suspended: false, name: 'a-a' })
    expect(Object.keys(link.statistics ?? {})).toEqual(
      expect.arrayContaining(['bytesPending', 'errorsPerSecond', 'upToDateAsOfMillis']),
    )
    expect(link.failoverSettings?.remote).toMatchObject({ autoFailover: false, autoFailoverMinutes: 120 })
    expect((await hcp1.link('a-p')).type).toBe('OUTBOUND')
    expect((await hcp2.link('a-p')).type).toBe('INBOUND')
    expect(await hcp1.hasLink('a-p')).toBe(true)
    expect(await hcp1.hasLink('x')).toBe(false)
    await expect(hcp1.link('x')).rejects.toMatchObject({ name: 'MapiNotFoundError' })
    const json = pair.client('hcp1', { format: 'json' })
    const { statistics, ...rest } = await json.link('a-a')
    expect({ ...link, statistics: undefined }).toEqual({ ...rest, statistics: undefined })
    expect(Object.keys(statistics ?? {}).toSorted()).toEqual(Object.keys(link.statistics ?? {}).toSorted())
  })
  test('has settings that can be changed', async () => {
    expect(await hcp1.settings()).toMatchObject({ network: '[hcp_system]', status: 'ENABLED' })
    await hcp1.changeSettings({ allowTenantsToMonitorNamespaces: true })
    expect(await hcp1.settings()).toMatchObject({ allowTenantsToMonitorNamespaces: true })
  })
  test('makes, changes and deletes links; what was read without status can be given back', async () => {
    const connection = { remoteHost: 'replication.hcp2.test' }
    await hcp1.createLink({ name: 'neu & <alt>', type: 'OUTBOUND', connection, description: 'ä\n<b>' })
    const settings = await hcp1.linkSettings('neu & <alt>')
    expect(settings).toMatchObject({ name: 'neu & <alt>', type: 'OUTBOUND', description: 'ä\n<b>' })
    expect(settings).not.toHaveProperty('status')
    await hcp1.changeLink('neu & <alt>', { ...settings, priority: 'FAIR' })
    expect(await hcp2.link('neu & <alt>')).toMatchObject({ type: 'INBOUND', priority: 'FAIR' })
    await expect(hcp1.createLink({ name: 'A-A', type: 'OUTBOUND', connection })).rejects.toMatchObject({
      name: 'MapiConflictError',
    })
    await hcp2.suspend('neu & <alt>')
    await hcp1.deleteLink('neu & <alt>')
    expect(await hcp2.links()).toEqual(['a-a', 'a-p'])
  })
  test('says what is on a link, and takes more', async () => {
    expect((await hcp1.content('a-a')).tenants).toEqual(['m'])
    expect((await hcp1.localCandidates('a-a')).tenants).toContain('q')
    await hcp1.remoteCandidates('a-a')
    await hcp1.add('a-a', 'tenants', 'q')
    expect(await hcp2.members('a-a', 'tenants')).toEqual(['m', 'q'])
    expect(await hcp1.tenant('a-a', 'q')).toMatchObject({ status: 'REPLICATING' })
    await hcp1.pauseTenant('a-a', 'q')
    expect(await hcp1.tenant('a-a', 'q')).toMatchObject({ status: 'PAUSED' })
    await hcp1.resumeTenant('a-a', 'q')
    await hcp1.remove('a-a', 'tenants', 'q')
    await expect(hcp1.tenant('a-a', 'q')).rejects.toMatchObject({ name: 'MapiNotFoundError' })
  })
  test('has schedules and certificates', async () => {
    const transition = [{ time: 'Mon:07', performanceLevel: 'LOW' as const }]
    await hcp1.changeSchedule('a-a', { local: { scheduleOverride: 'HIGH', transition } })
    expect((await hcp1.schedule('a-a')).local).toEqual({ scheduleOverride: 'HIGH', transition })
    expect((await hcp2.schedule('a-a')).remote).toEqual({ scheduleOverride: 'HIGH', transition })
    const own = await hcp1.certificate()
    expect(own).toContain('-----BEGIN CERTIFICATE-----')
    expect((await hcp1.certificates()).map(({ id }) => id)).toContain('server')
    const foreign = (await hcp2.certificates()).filter(({ id }) => id !== 'server')
    expect(foreign[0]?.expiresOn).toBeInstanceOf(Date)
    for (const { id } of foreign) await hcp2.deleteCertificate(id)
    await hcp2.uploadCertificate(own)
    expect(await hcp2.certificates()).toHaveLength(2)
  })
  test('shuts down all links, and brings them back as they were', async () => {
    await hcp1.suspend('a-p')
    await hcp1.shutDownAllLinks('move of the rack, übermorgen')
    expect(await hcp1.settings()).toMatchObject({ status: 'SHUTDOWN' })
    await hcp1.reestablishAllLinks()
    expect(await hcp1.settings()).toMatchObject({ status: 'ENABLED' })
    expect((await hcp1.link('a-p')).suspended).toBe(true)
    expect((await hcp1.link('a-a')).suspended).toBe(false)
    await hcp1.resume('a-p')
  })
  test('lets a monitor read and change nothing', async () => {
    const monitor = pair.client('hcp1', {}, pair.target('hcp1', 'monitor', 'm01'))
    expect(await monitor.links()).toHaveLength(2)
    await expect(monitor.suspend('a-a')).rejects.toMatchObject({ code: 'REPLICATION_REFUSED', status: 403 })
    await expect(monitor.shutDownAllLinks('x')).rejects.toMatchObject({ name: 'MapiForbiddenError' })
    expect((await hcp1.link('a-a')).suspended).toBe(false)
  })
})

test('an action whose answer is lost is done once, and known to be done', async () => {
  const posts = (): number => pair.hcp.requests().filter(({ method }) => method === 'POST').length
  for (const kind of ['reset', 'truncate'] as const) {
    for (const action of ['suspend', 'resume'] as const) {
      pair.hcp.addFault({
        kind,
        when: 'beforeHead',
        method: 'POST',
        path: '/mapi/services/replication',
        count: 1,
      })
      const since = posts()
      expect(await hcp1[action]('a-a')).toMatchObject({ settled: true })
      expect(posts()).toBe(since + 1)
    }
  }
})

test('a watch sees what others do, and lives through the death of its system', async () => {
  const kinds: string[] = []
  for await (const event of hcp1.watch('a-a', { interval: 20, ignore: ['statistics'] })) {
    const transition = event.kind === 'change' ? ` ${event.transition?.from} ${event.transition?.to}` : ''
    kinds.push(`${event.kind}${transition}`)
    if (kinds.length === 1) await hcp2.suspend('a-a')
    if (kinds.length === 2) await pair.hcp.stopCluster('primary')
    if (kinds.length === 3) await pair.hcp.startCluster('primary')
    if (event.kind === 'state' && kinds.length > 3) break
  }
  expect(kinds.slice(0, 3)).toEqual(['state', 'change replicating suspended', 'unreachable'])
  expect(kinds.at(-1)).toBe('state')
  await hcp2.resume('a-a')
  await hcp2.waitFor('a-a', when.good, { interval: 20, deadline: 10_000 })
})

test.each(['a-a', 'a-p'])(
  'the link %s is failed over when its system dies, and goes back when it lives again',
  async (link) => {
    const parties = { survivor: hcp2, failed: hcp1 }
    await expect(planFailover({ ...parties, link })).rejects.toMatchObject({ problem: 'split' })
    await pair.hcp.stopCluster('primary')
    const over = await planFailover({ ...parties, link })
    for await (const event of executeFailover(over, { ...parties, interval: 20, deadline: 10_000 }))
      void event
    expect(linkState(await hcp2.link(link))).toBe('failedOver')

    await pair.hcp.startCluster('primary')
    const back = await planFailover({ ...parties, link })
    const done: string[] = []
    for await (const { kind, step } of executeFailover(back, { ...parties, interval: 20, deadline: 10_000 }))
      if (kind === 'done') done.push(step.name)
    expect(done).toEqual(
      link === 'a-a'
        ? ['failBack', 'awaitGood']
        : ['beginRecovery', 'awaitNearlyUpToDate', 'completeRecovery', 'awaitGood'],
    )
    for (const system of [hcp1, hcp2]) expect((await system.link(link)).status).toBe('GOOD')
    expect((await planFailover({ ...parties, link, goal: 'return' })).steps).toEqual([])
  },
)

test('where the survivor serves the names of the failed system, that is not taken for its being back', async () => {
  const named = pair.client('hcp1', {}, pair.namedTarget('hcp1'))
  const parties = { survivor: hcp2, failed: named, link: 'a-a' }
  expect((await viewLink(hcp2, named, 'a-a')).failed).toMatchObject({ state: 'replicating' })
  await pair.hcp.stopCluster('primary')
  await hcp2.failOver('a-a')
  const fresh = pair.client('hcp1', {}, pair.namedTarget('hcp1'))
  expect((await viewLink(hcp2, fresh, 'a-a')).failed).toMatchObject({ state: 'refuses' })
  const plan = await planFailover({ ...parties, failed: fresh })
  expect(plan.warnings.join()).toContain('it cannot be told from here whether it works')
  await expect(hcp2.failBack('a-a')).rejects.toMatchObject({ code: 'REPLICATION_REFUSED' })

  await pair.hcp.startCluster('primary')
  const events = executeFailover(plan, { survivor: hcp2, failed: fresh, interval: 20, deadline: 10_000 })
  for await (const event of events) void event
  expect((await hcp2.link('a-a')).status).toBe('GOOD')
})
