import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Client, Reply } from './two-systems.testing.ts'
import { TwoSystems } from './two-systems.testing.ts'

let systems: TwoSystems
let clock = Date.UTC(2026, 0, 1)
beforeAll(async () => {
  systems = await TwoSystems.start({
    now: () => clock,
    config: {
      tenants: [
        {
          name: 'm',
          namespaces: [
            { name: 'n1', aclUsage: 'ENFORCED' },
            { name: 'n2', versioning: true, aclUsage: 'ENFORCED' },
            { name: 'md5', hashScheme: 'MD5' },
          ],
          users: [{ user: 'n', password: 'n01' }],
        },
      ],
    },
  })
})
afterAll(() => systems[Symbol.asyncDispose]())
beforeEach(() => {
  clock += 10_000
})

let counter = 0
const free = (): string => `made/${++counter}`

/** Lets both sides do something while they cannot reach each other. */
async function apart(...work: (() => Promise<unknown>)[]): Promise<void> {
  const { id } = systems.hcp.addLinkFault({ kind: 'broken' })
  for (const each of work) {
    await each()
    clock += 1000
  }
  systems.hcp.removeLinkFault(id)
  await systems.hcp.replicated()
}

async function equal(namespace = 'n1'): Promise<Map<string, string>> {
  const [one, other] = [await systems.one.everything(namespace), await systems.other.everything(namespace)]
  expect(other).toEqual(one)
  return one
}

const acl = '{"grant":[{"grantee":{"type":"user","name":"n"},"permissions":{"permission":["READ"]}}]}'
const json = { 'Content-Type': 'application/json' }

type Work = (client: Client, path: string, namespace: string) => Promise<Reply | undefined>
const post =
  (query: string): Work =>
  (client, path, namespace) =>
    client.ask('POST', `${path}?${query}`, { namespace })
const works: [string, Work][] = [
  ['an object', async () => undefined],
  ['an empty object', (client, path, namespace) => client.put(`${path}-empty`, '', namespace)],
  [
    'a large object',
    (client, path, namespace) => client.put(`${path}-large`, Buffer.alloc(3_000_000, 'large '), namespace),
  ],
  ['a name of any bytes', (client, path, namespace) => client.put(`${path}%FF%20%25x%0a`, 'odd', namespace)],
  ['a retention period', post('retention=A%2B1y')],
  ['a hold', post('hold=true')],
  ['a labeled hold', post('label_hold=%5B%7B%22id%22%3A%22case%22%2C%22hold%22%3Atrue%7D%5D')],
  ['shred and index', post('shred=true&index=false')],
  ['no owner', post('owner=')],
  [
    'an access control list',
    (client, path, namespace) =>
      client.ask('PUT', `${path}?type=acl`, { namespace, body: acl, headers: json }),
  ],
  [
    'an annotation',
    (client, path, namespace) =>
      client.ask('PUT', `${path}?type=custom-metadata&annotation=a`, { namespace, body: '<a/>' }),
  ],
  [
    'a large annotation',
    (client, path, namespace) =>
      client.ask('PUT', `${path}?type=custom-metadata&annotation=b`, {
        namespace,
        body: Buffer.alloc(800_000, 'y'),
      }),
  ],
  [
    'an object with its annotation',
    (client, path, namespace) =>
      client.ask('PUT', `${path}-whole?type=whole-object&annotation=w`, {
        namespace,
        body: 'data<w/>',
        headers: { 'X-HCP-Size': '4' },
      }),
  ],
  [
    'a copy',
    (client, path, namespace) =>
      client.ask('PUT', `${path}-copy`, {
        namespace,
        headers: { 'X-HCP-CopySource': `${namespace}.m/${path}` },
      }),
  ],
  [
    'an empty directory',
    (client, path, namespace) => client.ask('PUT', `${path}-d/e?type=directory`, { namespace }),
  ],
  ['a deletion', (client, path, namespace) => client.delete(path, namespace)],
  ['a purge', (client, path, namespace) => client.ask('DELETE', `${path}?purge=true`, { namespace })],
]

describe.each(['n1', 'n2'])('in the namespace %s', (namespace) => {
  test.each(works)('%s is the same on the other side, and later too', async (_, work) => {
    for (const [client, other] of [
      [systems.one, systems.other],
      [systems.other, systems.one],
    ] as const) {
      const path = free()
      expect((await client.put(path, `content of ${path}`, namespace)).status).toBe(201)
      await systems.hcp.replicated()
      expect(await other.read(path, namespace)).toBe(`content of ${path}`)
      const reply = await work(client, path, namespace)
      if (reply !== undefined) expect(reply.status).toBeLessThan(300)
      await systems.hcp.replicated()
      await equal(namespace)
    }
  })
})

test('versions keep their ids, their order and their deletions', async () => {
  const path = free()
  const ids: unknown[] = []
  for (const body of ['1', '2', '3'])
    ids.push((await systems.one.put(path, body, 'n2')).headers['x-hcp-versionid'])
  await systems.one.delete(path, 'n2')
  await systems.other.put(path, 'not after that', 'n2')
  await systems.hcp.replicated()
  for (const [index, id] of ids.entries())
    expect(await systems.other.read(`${path}?version=${String(id)}`, 'n2')).toBe(String(index + 1))
  await systems.other.ask('DELETE', `${path}?version=${String(ids[1])}`, { namespace: 'n2' })
  await systems.hcp.replicated()
  expect(await systems.one.read(`${path}?version=${String(ids[1])}`, 'n2')).toBe(404)
  await equal('n2')
})

test('hashes are those of the namespace, and the content is whole', async () => {
  const content = Buffer.alloc(2_500_000, 'some content ')
  await systems.one.put('hashed', content, 'md5')
  await systems.hcp.replicated()
  const { body, headers } = await systems.other.get('hashed', 'md5')
  expect(body.equals(content)).toBe(true)
  expect(headers['x-hcp-hash']).toBe(`MD5 ${createHash('md5').update(content).digest('hex').toUpperCase()}`)
})

test('the header says when an object is across, on both sides and in listings', async () => {
  const path = free()
  systems.hcp.setReplication({ paused: true })
  await systems.one.put(path, 'x')
  const seen = async (client: Client): Promise<unknown> =>
    (await client.get(path)).headers['x-hcp-replicated']
  expect(await seen(systems.one)).toBe('false')
  expect((await systems.one.get('made')).text).toMatch(/replicated="false"/)
  systems.hcp.setReplication({ paused: false })
  await systems.hcp.replicated()
  expect([await seen(systems.one), await seen(systems.other)]).toEqual(['true', 'true'])
  expect((await systems.one.get('made')).text).not.toMatch(/replicated="false"/)
  expect(
    (await systems.one.ask('GET', path, { headers: { 'X-HCP-Get-Replicated': 'false' } })).headers,
  ).not.toHaveProperty('x-hcp-replicated')
})

describe('what both sides did while apart', () => {
  const collision = async (client: Client, path: string): Promise<unknown> =>
    (await client.get(path)).headers['x-hcp-replicationcollision']
  const lost = async (path: string): Promise<string> => {
    const { text } = await systems.one.get('.lost+found/replication')
    return `.lost+found/replication/${/urlName="([^"]+)"/.exec(text)![1]}/${path}`
  }

  test('two contents of one name: the later has it, the other is moved and marked', async () => {
    const path = free()
    await apart(
      () => systems.other.put(path, 'earlier'),
      () => systems.one.put(path, 'later'),
    )
    const moved = await lost(path)
    for (const client of [systems.one, systems.other]) {
      expect([await client.read(path), await collision(client, path)]).toEqual(['later', 'false'])
      expect([await client.read(moved), await collision(client, moved)]).toEqual(['earlier', 'true'])
    }
    // Whoever changes it has seen it, and a copy is none.
    await systems.one.ask('PUT', `${path}-copy`, { headers: { 'X-HCP-CopySource': `n1.m/${moved}` } })
    expect(await collision(systems.one, `${path}-copy`)).toBe('false')
    await systems.other.ask('POST', `${moved}?index=false`)
    await systems.hcp.replicated()
    expect(await collision(systems.one, moved)).toBe('false')
    // The next one that collides with this name finds another.
    await systems.one.delete(path)
    await systems.hcp.replicated()
    await apart(
      () => systems.one.put(path, 'again'),
      () => systems.other.put(path, 'again later'),
    )
    expect(await systems.one.read(`${moved}.1`)).toBe('again')
    await equal()
  })

  test('at the same time: the name stays where the link was made', async () => {
    const path = free()
    const now = clock
    await apart(
      () => systems.other.put(path, 'other'),
      async () => {
        clock = now
        await systems.one.put(path, 'one')
      },
    )
    expect(await systems.other.read(path)).toBe('one')
    expect(await systems.other.read(await lost(path))).toBe('other')
  })

  test('the same content is no collision, and protected as much as either was', async () => {
    const path = free()
    const annotate = (client: Client, name: string): Promise<Reply> =>
      client.ask('PUT', `${path}?type=custom-metadata&annotation=${name}`, { body: `<${name}/>` })
    await apart(
      () => systems.one.ask('PUT', `${path}?retention=-1`, { body: 'same' }),
      () => annotate(systems.one, 'a'),
      () => systems.other.ask('PUT', `${path}?hold=true`, { body: 'same' }),
      () => annotate(systems.other, 'b'),
    )
    const { headers } = await systems.one.get(path)
    expect(headers).toMatchObject({
      'x-hcp-retention': '-1',
      'x-hcp-retentionhold': 'true',
      'x-hcp-replicationcollision': 'false',
    })
    expect(headers['x-hcp-custommetadataannotations']).toMatch(/a;4/)
    expect(headers['x-hcp-custommetadataannotations']).toMatch(/b;4/)
    expect((await systems.one.get(await lost(path))).status).toBe(404)
    await equal()
  })

  test('two versions of one name are both in its history, the later on top', async () => {
    const path = free()
    await apart(
      () => systems.other.put(path, 'one', 'n2'),
      () => systems.one.put(path, 'two', 'n2'),
      () => systems.other.put(path, 'three', 'n2'),
    )
    expect(await systems.one.read(path, 'n2')).toBe('three')
    const list = (await systems.one.ask('GET', `${path}?version=list`, { namespace: 'n2' })).text
    expect(list.match(/<entry /g)).toHaveLength(3)
    await equal('n2')
  })

  test.each<[string, string, boolean]>([
    ['a version that is written', 'n2', true],
    ['a version that is written, before', 'n2', false],
    ['metadata that changes', 'n1', true],
    ['metadata that changes, before', 'n1', false],
  ])('%s is not deleted by the other side (%s)', async (_, namespace, after) => {
    const path = free()
    await systems.one.put(path, 'first', namespace)
    await systems.hcp.replicated()
    const remove = (): Promise<unknown> => systems.one.delete(path, namespace)
    const write = (): Promise<unknown> =>
      namespace === 'n2'
        ? systems.other.put(path, 'second', namespace)
        : systems.other.ask('POST', `${path}?index=false`, { namespace })
    await apart(...(after ? [remove, write] : [write, remove]))
    expect(await systems.one.read(path, namespace)).toBe(namespace === 'n2' ? 'second' : 'first')
    await equal(namespace)
  })

  test('a deletion of what the other side did not touch is one', async () => {
    const path = free()
    await systems.one.put(path, 'x')
    await systems.hcp.replicated()
    await apart(
      () => systems.other.delete(path),
      () => systems.one.put(free(), 'another'),
    )
    expect(await systems.one.read(path)).toBe(404)
    await equal()
  })

  test('changes of metadata: the later wins, but retention is never shorter and a hold stays', async () => {
    const path = free()
    const end = Math.floor(clock / 1000) + 1_000_000
    await systems.one.put(path, 'x')
    await systems.hcp.replicated()
    await apart(
      () => systems.one.ask('POST', `${path}?retention=${end + 100}&shred=true`),
      () => systems.one.ask('POST', `${path}?hold=true`),
      () => systems.other.ask('POST', `${path}?retention=${end}&index=false`),
    )
    expect((await systems.one.get(path)).headers).toMatchObject({
      'x-hcp-retention': String(end + 100),
      'x-hcp-retentionhold': 'true',
      // One piece, of which the other side's is the later.
      'x-hcp-shred': 'false',
      'x-hcp-index': 'false',
    })
    await equal()
  })

  test('annotations are merged by their names', async () => {
    const path = free()
    const put =
      (client: Client, name: string, body: string): (() => Promise<Reply>) =>
      () =>
        client.ask('PUT', `${path}?type=custom-metadata&annotation=${name}`, { body })
    const remove =
      (client: Client, name: string): (() => Promise<Reply>) =>
      () =>
        client.ask('DELETE', `${path}?type=custom-metadata&annotation=${name}`)
    await systems.one.put(path, 'x')
    for (const name of ['both', 'gone', 'kept']) await put(systems.one, name, 'before')()
    await systems.hcp.replicated()
    await apart(
      put(systems.one, 'both', 'earlier'),
      put(systems.other, 'both', 'later'),
      put(systems.one, 'one', '1'),
      put(systems.other, 'two', '2'),
      remove(systems.one, 'gone'),
    )
    const { headers } = await systems.one.get(path)
    expect(String(headers['x-hcp-custommetadataannotations']).split(', ').toSorted()).toEqual([
      'both;5',
      'kept;6',
      'one;1',
      'two;1',
    ])
    await equal()
  })

  test('an object and a directory of one name: the object is moved', async () => {
    const path = free()
    await apart(
      () => systems.one.put(path, 'object'),
      () => systems.other.put(`${path}/inside`, 'inside'),
    )
    for (const client of [systems.one, systems.other]) {
      expect(await client.read(`${path}/inside`)).toBe('inside')
      expect(await client.read(await lost(path))).toBe('object')
    }
    await equal()
  })

  test('directories that are removed and used', async () => {
    const path = free()
    for (const name of ['used', 'unused']) await systems.one.ask('PUT', `${path}/${name}?type=directory`)
    await systems.hcp.replicated()
    await apart(
      () => systems.one.delete(`${path}/used`),
      () => systems.one.delete(`${path}/unused`),
      () => systems.other.put(`${path}/used/inside`, 'inside'),
    )
    expect(await systems.one.read(`${path}/used/inside`)).toBe('inside')
    expect(await systems.other.read(`${path}/unused`)).toBe(404)
    await equal()
  })

  test('symbolic links', async () => {
    const path = free()
    await systems.one.put(`${path}-target`, 'target')
    const target = `${path.split('/')[1]}-target`
    await systems.hcp.addSymlink({ namespace: 'n1.m', path, target })
    await systems.hcp.replicated()
    expect(await systems.other.read(path)).toBe('target')
    await systems.other.delete(path)
    await systems.hcp.replicated()
    expect(await systems.one.read(path)).toBe(404)
    await apart(
      () => systems.hcp.addSymlink({ namespace: 'n1.m', path, target }),
      () => systems.other.put(path, 'object'),
    )
    expect(await systems.one.read(path)).toBe('object')
    expect(await systems.other.read(await lost(path))).toBe(404)
    await equal()
  })
})

test('a loser is renamed where that is set', async () => {
  await using renaming = await TwoSystems.start({ choices: { collisions: 'RENAME' } })
  const { hcp, one, other } = renaming
  hcp.addLinkFault({ kind: 'broken' })
  await one.put('a.txt', 'one')
  await other.put('a.txt', 'other')
  hcp.clearLinkFaults()
  await hcp.replicated()
  const found = [await one.read('a.txt'), await one.read('a.txt.collision')]
  expect(new Set(found)).toEqual(new Set(['one', 'other']))
  expect(await other.read('a.txt.collision')).toBe(found[1])
})

test('many objects that share their data are across in a moment', async () => {
  await systems.hcp.seed({ namespace: 'n1.m', directory: 'seeded', count: 3_000, size: 1_000 })
  await systems.hcp.replicated()
  const { text } = await systems.other.get('seeded')
  expect(text.match(/<entry /g)).toHaveLength(3_000)
  expect((await systems.other.get('seeded/object-00002999')).body).toHaveLength(1_000)
})

describe('faults of the link', () => {
  test('what fails is tried again, and counted', async () => {
    const path = free()
    const { id } = systems.hcp.addLinkFault({ kind: 'error', count: 3 })
    await systems.one.put(path, 'x')
    await systems.hcp.replicated()
    expect(await systems.other.read(path)).toBe('x')
    expect(systems.hcp.removeLinkFault(id)).toBe(false)
  })

  test('what is slow takes its time, and is cut off in the middle without a trace', async () => {
    const path = free()
    const { id } = systems.hcp.addLinkFault({ kind: 'slow', bytesPerSecond: 200_000 })
    await systems.one.put(path, Buffer.alloc(1_000_000))
    await expect.poll(() => systems.hcp.state().replication!.links[0]!.primary.pending).toBe(1)
    await systems.other.stop()
    await systems.hcp.replicated()
    await systems.other.start()
    expect(await systems.other.read(path)).toBe(404)
    expect(systems.hcp.state().replication!.faults).toMatchObject([
      { id, kind: 'slow', bytesPerSecond: 200_000 },
    ])
    systems.hcp.removeLinkFault(id)
    await systems.hcp.replicated()
    expect((await systems.other.get(path)).body).toHaveLength(1_000_000)
  })

  test('a full disk suspends the link until there is room', async () => {
    const path = free()
    systems.hcp.setReplication({ paused: true })
    await systems.one.put(path, 'x')
    systems.hcp.setDisk({ full: true })
    systems.hcp.setReplication({ paused: false })
    const messages = (): unknown =>
      Object.values(systems.hcp.state().replication!.links[0]!).flatMap((each) =>
        typeof each === 'string' ? [] : each.statusMessage,
      )
    await expect.poll(messages).toContain('Local storage full, link suspended')
    systems.hcp.setDisk({ full: false })
    await systems.hcp.replicated()
    expect(await systems.other.read(path)).toBe('x')
  })

  test.each<[string, unknown, RegExp]>([
    ['an unknown kind', { kind: 'odd' }, /kind/],
    ['an unknown field', { kind: 'slow', ms: 1 }, /ms: unknown/],
    ['a rate of nothing', { kind: 'slow', bytesPerSecond: 0 }, /bytesPerSecond/],
    ['no fault', null, /object/],
  ])('%s is refused', (_, fault, message) => {
    expect(() => systems.hcp.addLinkFault(fault as never)).toThrow(message)
  })

  test('the control port does the same', async () => {
    const { control } = systems.hcp.ports
    const call = async (method: string, path: string, body?: object): Promise<[number, unknown]> => {
      const answer = await fetch(`http://127.0.0.1:${control}${path}`, {
        method,
        ...(body && { body: JSON.stringify(body) }),
      })
      return [answer.status, await answer.json()]
    }
    const [status, made] = await call('POST', '/replication/faults', { kind: 'broken' })
    expect(status).toBe(201)
    const path = `/replication/faults/${(made as { id: number }).id}`
    expect((await call('GET', '/'))[1]).toMatchObject({
      replication: { connected: false, lagMs: 0, paused: false },
    })
    expect(await call('DELETE', path)).toEqual([200, {}])
    expect((await call('DELETE', path))[0]).toBe(404)
    expect((await call('POST', '/replication/faults', { kind: 'odd' }))[0]).toBe(400)
    expect(await call('DELETE', '/replication/faults')).toEqual([200, {}])
    expect(await call('POST', '/replication/wait')).toEqual([200, {}])
    expect(await call('PUT', '/replication', { lagMs: 5, recoveryMs: 7 })).toEqual([200, {}])
    expect((await call('GET', '/'))[1]).toMatchObject({ replication: { lagMs: 5, recoveryMs: 7 } })
    expect((await call('PUT', '/replication', { lagMs: -1 }))[0]).toBe(400)
    expect((await call('PUT', '/replication', { lagMs: 0 }))[0]).toBe(200)
  })
})

test('a change is across after the lag, and not before', async () => {
  const path = free()
  systems.hcp.setReplication({ lagMs: 300 })
  const start = performance.now()
  await systems.one.put(path, 'x')
  await systems.hcp.replicated()
  expect(performance.now() - start).toBeGreaterThanOrEqual(295)
  systems.hcp.setReplication({ lagMs: 0 })
})
