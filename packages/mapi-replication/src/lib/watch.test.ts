import { once } from 'node:events'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { changesBetween } from './changes.ts'
import { linkXml, MapiServer, type Reply } from './mapi-server.testing.ts'
import type { ReplicationClient } from './replication-client.ts'
import type { LinkEvent } from './watch.ts'

let server: MapiServer
let replication: ReplicationClient
beforeAll(async () => {
  server = await MapiServer.start(() => '')
  replication = server.client({ retry: false })
})
afterAll(() => server[Symbol.asyncDispose]())

/** One answer per look; the last one stays. */
function looks(...answers: (Reply | string)[]): void {
  let look = 0
  server.answer = () => answers[Math.min(look++, answers.length - 1)]!
}

/** So many items of a watch that looks as often as is allowed. */
async function items(count: number, options = {}): Promise<LinkEvent[]> {
  const events: LinkEvent[] = []
  for await (const event of replication.watch('north-south', { interval: 10, ...options }))
    if (events.push(event) === count) break
  return events
}

const still = { upToDateAsOfMillis: 1 }
const normal = linkXml({ statistics: still })

describe('a watch', () => {
  test('begins with the present state and then tells what changed, and nothing else', async () => {
    const busy = linkXml({ statistics: { ...still, objectsPending: 7 } })
    looks(
      normal,
      normal,
      busy,
      busy,
      linkXml({ status: 'WARNING', statusMessage: 'Failed over', statistics: still }),
    )
    const [first, second, third] = await items(3)
    expect(first).toMatchObject({ kind: 'state', state: 'replicating', changes: [] })
    expect(second).toMatchObject({
      kind: 'change',
      state: 'replicating',
      transition: undefined,
      changes: [{ path: 'statistics.objectsPending', before: 0, after: 7 }],
      before: { statistics: { objectsPending: 0 } },
      link: { statistics: { objectsPending: 7 } },
    })
    expect(third).toMatchObject({
      kind: 'change',
      transition: { from: 'replicating', to: 'failedOver' },
      changes: [
        { path: 'status', before: 'GOOD', after: 'WARNING' },
        { path: 'statusMessage', before: 'Synchronizing data', after: 'Failed over' },
        { path: 'statistics.objectsPending', before: 7, after: 0 },
      ],
    })
  })
  test('does not tell of what is of no interest', async () => {
    const busy = linkXml({ statistics: { ...still, objectsPending: 7 } })
    looks(normal, busy, normal, busy, linkXml({ suspended: true, statistics: still }))
    const [, second] = await items(2, { ignore: ['statistics'] })
    expect(second).toMatchObject({
      kind: 'change',
      changes: [{ path: 'suspended', before: false, after: true }],
    })
  })
  test('bears an outage, tells of it once for each reason, and of what changed meanwhile', async () => {
    const after = linkXml({ suspended: true, statistics: still })
    looks(
      normal,
      { lost: true },
      { lost: true },
      { status: 503 },
      { status: 403 },
      { status: 404 },
      '<link',
      after,
    )
    const events = await items(7)
    expect(events.map(({ kind }) => kind)).toEqual([
      'state',
      ...Array.from({ length: 5 }, () => 'unreachable'),
      'state',
    ])
    expect(events.map((event) => ('error' in event ? event.error.name : ''))).toEqual([
      '',
      'HcpSocketError',
      'MapiUnavailableError',
      'MapiForbiddenError',
      'MapiNotFoundError',
      'MapiDocumentError',
      '',
    ])
    expect(events[1]).toMatchObject({ before: { suspended: false } })
    expect(events[6]).toMatchObject({ changes: [{ path: 'suspended', before: false, after: true }] })
  })
  test('of a link that cannot be reached at first begins with that', async () => {
    looks({ status: 503 }, normal)
    expect((await items(2)).map(({ kind }) => kind)).toEqual(['unreachable', 'state'])
  })
  test.each([
    [404, 'MapiNotFoundError'],
    [403, 'MapiForbiddenError'],
  ])('that is asked wrongly from the start ends with that error: %d', async (status, name) => {
    looks({ status })
    await expect(items(1)).rejects.toMatchObject({ name })
  })
  test('ends with the signal, in a pause and in a look', async () => {
    looks(normal)
    const inPause = new AbortController()
    let seen = 0
    for await (const event of replication.watch('x', { interval: 100_000, signal: inPause.signal })) {
      seen += event.kind === 'state' ? 1 : 0
      setImmediate(() => inPause.abort())
    }
    expect(seen).toBe(1)

    const inLook = new AbortController()
    server.answer = () => new Promise(() => inLook.abort())
    for await (const event of replication.watch('x', { signal: inLook.signal })) throw new Error(event.kind)
    for await (const event of replication.watch('x', { signal: AbortSignal.abort() }))
      throw new Error(event.kind)
  })
  test('ends with an error when the client is closed', async () => {
    looks(normal)
    const own = server.client()
    const watch = own.watch('x', { interval: 10 })
    await watch.next()
    await own.close()
    await expect(watch.next()).rejects.toMatchObject({ code: 'HCP_CLOSED' })
  })
  test('makes one look at a time, and none while nobody waits for an item', async () => {
    let open = 0
    let most = 0
    server.answer = async () => {
      most = Math.max(most, ++open)
      await new Promise((resolve) => setTimeout(resolve, 30))
      open -= 1
      return linkXml({ statistics: { objectsPending: server.seen.length } })
    }
    const since = server.seen.length
    const watch = replication.watch('x', { interval: 10 })
    expect(server.seen).toHaveLength(since)
    for (let item = 0; item < 3; item++) await watch.next()
    expect(server.seen).toHaveLength(since + 3)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(server.seen).toHaveLength(since + 3)
    expect(most).toBe(1)
    await watch.return()
  })
  test('keeps its interval', async () => {
    looks(normal, linkXml({ suspended: true, statistics: still }))
    const began = performance.now()
    await items(2, { interval: 200 })
    expect(performance.now() - began).toBeGreaterThan(190)
  })
  test('leaves no listener behind on the signal', async () => {
    let looked = 0
    server.answer = () => linkXml({ statistics: { objectsPending: ++looked } })
    const warnings: Error[] = []
    const onWarning = (warning: Error): number => warnings.push(warning)
    process.on('warning', onWarning)
    const { signal } = new AbortController()
    await items(30, { signal })
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
  })
})

test('waiting for the signal in a watch keeps no timer', async () => {
  looks(normal)
  const stop = new AbortController()
  const watch = replication.watch('x', { interval: 1_000_000, signal: stop.signal })
  await watch.next()
  const next = watch.next()
  const aborted = once(stop.signal, 'abort')
  stop.abort()
  await aborted
  expect(await next).toEqual({ done: true, value: undefined })
})

test.each<[unknown, unknown, string[]]>([
  [{ a: 1 }, { a: 1 }, []],
  [{ a: 1 }, { b: 1 }, ['a', 'b']],
  [{ a: { b: { c: 1 } } }, { a: { b: { c: 2 } } }, ['a.b.c']],
  [{ a: new Date(1) }, { a: new Date(1) }, []],
  [{ a: new Date(1) }, { a: new Date(2) }, ['a']],
  [{ a: ['x', 'y'] }, { a: ['x', 'y'] }, []],
  [{ a: ['x', 'y'] }, { a: ['y', 'x'] }, ['a']],
  [{ a: [{ b: 1 }] }, { a: [{ b: 2 }] }, ['a']],
  [{ a: { b: 1 } }, { a: 1 }, ['a']],
  [{ a: Number.NaN }, { a: Number.NaN }, []],
  [{}, { constructor: 1 }, ['constructor']],
])('what differs between %j and %j: %j', (before, after, paths) => {
  expect(changesBetween(before, after).map(({ path }) => path)).toEqual(paths)
})

describe('changes', () => {
  const value = fc.oneof(
    fc.integer(),
    fc.string(),
    fc.boolean(),
    fc.date({ noInvalidDate: true }),
    fc.array(fc.string(), { maxLength: 3 }),
  )
  const { record } = fc.letrec<{ record: unknown; part: unknown }>((tie) => ({
    record: fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), tie('part'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
    part: fc.oneof({ maxDepth: 3 }, value, tie('record')),
  }))

  test('are none between a record and its copy', () => {
    fc.assert(
      fc.property(record, (one) => {
        expect(changesBetween(one, structuredClone(one))).toEqual([])
      }),
    )
  })
  test('made to the one give the other: none is missing, and none too many', () => {
    fc.assert(
      fc.property(record, record, (before, after) => {
        const result = structuredClone(before)
        for (const change of changesBetween(before, after)) {
          expect(change.before).not.toEqual(change.after)
          apply(result as Record<string, unknown>, change.path.split('.'), change.after)
        }
        expect(result).toEqual(after)
      }),
    )
  })
})

function apply(
  record: Record<string, unknown>,
  [name = '', ...rest]: readonly string[],
  value: unknown,
): void {
  if (rest.length > 0) apply(record[name] as Record<string, unknown>, rest, value)
  else if (value === undefined) delete record[name]
  else record[name] = value
}
