import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Pool } from 'undici'
import type { Dispatcher } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { EmulatorConfig } from './config.ts'
import { validateConfig } from './config.ts'
import { administratorsOf, tenantsOf } from './content.ts'
import type { ReadyLine } from './emulator.ts'
import { System } from './system.ts'
import { credentials } from './wire.testing.ts'

const config: EmulatorConfig = {
  tenants: [
    {
      name: 'm',
      namespaces: [
        { name: 'plain', aclUsage: 'ENFORCED' },
        { name: 'versions', versioning: true, aclUsage: 'ENFORCED' },
        { name: 'pruned', versioning: true, pruneDays: 0, aclUsage: 'ENFORCED' },
      ],
      users: [
        { user: 'n', password: 'n01' },
        { user: 'bob', password: 'b01' },
      ],
    },
  ],
}
const namespaces = ['plain', 'versions', 'pruned'] as const
const acl = `{"grant":[{"grantee":{"type":"user","name":"bob"},"permissions":{"permission":["READ"]}}]}`

let data: string
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
  await writeFile(join(data, 'config.json'), JSON.stringify(config))
})
let children: ChildProcess[] = []
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  await rm(data, { recursive: true, force: true })
})

/** Numbers from 0 to below the limit, the same for the same seed. */
function dice(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

interface Running {
  readonly child: ChildProcess
  readonly pool: Pool
  readonly control: Pool
}

async function start(): Promise<Running> {
  const cli = new URL('../cli.ts', import.meta.url).pathname
  const options = [
    '--nodes',
    '1',
    '--data',
    join(data, 'kept'),
    '--config',
    join(data, 'config.json'),
    '--quiet',
  ]
  const child = spawn(process.execPath, [cli, ...options], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const { ports } = JSON.parse(line) as ReadyLine
  const pool = new Pool(`http://127.0.0.1:${ports.http}`, { connections: 12 })
  return { child, pool, control: new Pool(`http://127.0.0.1:${ports.control}`) }
}

interface Answered {
  readonly status: number
  readonly headers: Dispatcher.ResponseData['headers']
  readonly body: Buffer
}

async function send(
  pool: Pool,
  namespace: string,
  method: Dispatcher.HttpMethod,
  path: string,
  body: string | Buffer = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  const own = { host: `${namespace}.m.hcp1.test`, authorization: credentials('n', 'n01'), ...headers }
  const answer = await pool.request({ method, path, headers: own, body: method === 'GET' ? null : body })
  const bytes = Buffer.from(await answer.body.arrayBuffer())
  return { status: answer.statusCode, headers: answer.headers, body: bytes }
}

/** Everything that can be seen of a name; throws for a body that is not what its ETag says. */
async function seen(pool: Pool, namespace: string, path: string): Promise<string> {
  const found: string[] = []
  const look = async (query: string): Promise<Answered> => {
    const answer = await send(pool, namespace, 'GET', path + query)
    const { date: _, 'x-hcp-time': _t, 'x-requestid': _r, ...headers } = answer.headers
    found.push(
      `${query} ${answer.status} ${JSON.stringify(headers)} ${answer.body.toString('latin1').slice(0, 9_000)}`,
    )
    if (headers['x-hcp-type'] !== 'object' || answer.status !== 200) return answer
    const digest = createHash('md5').update(answer.body).digest('hex')
    if (headers['etag'] !== `"${digest}"`) throw new Error(`${path}${query}: the body is another one`)
    return answer
  }
  await look('')
  await look('?type=acl')
  await look('?type=custom-metadata-info')
  for (const name of ['a', 'b']) await look(`?type=custom-metadata&annotation=${name}`)
  const list = await look('?version=list&deleted=true')
  for (const [, id] of list.body.toString().matchAll(/state="created" version="(\d+)"/g)) {
    expect((await look(`?version=${id}`)).status).toBe(200)
  }
  return found.join('\n')
}

interface Change {
  /** What it changes, and nothing else. */
  readonly namespace: string
  readonly path: string
  readonly run: () => Promise<unknown>
}

/** A change of one of a worker's names, drawn by lot. */
function draw({ pool, control }: Running, roll: (limit: number) => number, worker: number): Change {
  const namespace = namespaces[roll(3)]!
  const path = `/rest/w${worker}/${roll(3)}`
  const to =
    (method: Dispatcher.HttpMethod, query = '', body: string | Buffer = '', headers = {}, name = path) =>
    (): Promise<unknown> =>
      send(pool, namespace, method, name + query, body, headers)
  const tell = (route: string, body: object) => async (): Promise<unknown> => {
    const answer = await control.request({ method: 'POST', path: route, body: JSON.stringify(body) })
    return answer.body.dump()
  }
  const content = Buffer.alloc([0, 10, 5_000, 300_000, 700_000][roll(5)]! + roll(9), `${roll(1e9)} `)
  const annotation = `?type=custom-metadata&annotation=${'ab'[roll(2)]}`
  const whole = Buffer.concat([content, Buffer.from('<a/>')])
  const source = `${namespaces[roll(3)]}.m/w${worker}/${roll(3)}`
  const copy = { 'X-HCP-CopySource': source, 'X-HCP-MetadataDirective': ['ALL', 'NONE'][roll(2)] }
  const json = { 'Content-Type': 'application/json' }
  const at = { namespace: `${namespace}.m` }
  const folder = `w${worker}/folder`
  const seeded = `/rest/${folder}/object-0000000${roll(9)}`
  const runs: readonly (readonly [name: string, run: () => Promise<unknown>])[] = [
    [path, to('PUT', ['', '?acl=all_read', '?hold=true', '?shred=true'][roll(4)], content)],
    [path, to('PUT', '', content)],
    [path, to('PUT', '', content)],
    [path, to('PUT', '?type=whole-object&annotation=a', whole, { 'X-HCP-Size': String(content.length) })],
    [path, to('PUT', annotation, `<x n="${roll(1e6)}"/>`)],
    [path, to('PUT', annotation, Buffer.alloc(400_000, 'x'))],
    [path, to('DELETE', annotation)],
    [path, to('POST', '', ['index=false', 'hold=true', 'owner=bob', 'shred=true'][roll(4)])],
    [path, to('POST', '', 'hold=false')],
    [path, to('PUT', '', '', copy)],
    [path, roll(2) === 0 ? to('PUT', '?type=acl', acl, json) : to('DELETE', '?type=acl')],
    [path, to('DELETE')],
    [path, to('DELETE', ['?purge=true', '?version=0-'][roll(2)])],
    [path, tell('/symlinks', { ...at, path: path.slice(6), target: 'fixed' })],
    [`/rest/${folder}`, tell('/seed', { ...at, directory: folder, count: 5 + roll(20), size: 9 })],
    [`/rest/${folder}`, to(roll(2) === 0 ? 'DELETE' : 'PUT', '', 'x', {}, seeded)],
  ]
  const [name, run] = runs[roll(runs.length)]!
  return { namespace, path: name, run }
}

/** The files of the data after a start, and those that the content refers to. */
async function files(): Promise<{ found: string[]; wanted: string[] }> {
  const folder = join(data, 'kept', 'primary')
  const list = async (): Promise<string[]> => {
    const entries = await readdir(join(folder, 'blobs'), { recursive: true, withFileTypes: true })
    return entries.flatMap((entry) => (entry.isFile() ? entry.name : [])).toSorted()
  }
  const checked = validateConfig(config)
  const tenants = tenantsOf(checked)
  const system = await System.open({
    domain: 'hcp1.test',
    tenants,
    administrators: administratorsOf(checked),
    choices: checked.choices,
    softwareVersion: '9.6.0.142',
    directory: folder,
    now: Date.now,
  })
  const found = await list()
  const wanted = new Set<string>()
  for (const namespace of tenants.get('m')!.namespaces.values()) {
    for (const record of namespace.snapshot()) {
      if (!('version' in record)) continue
      if (record.version.marker === undefined) wanted.add(record.version.data.id)
      for (const { blob } of record.version.annotations) wanted.add(blob.id)
    }
  }
  await system.close()
  return { found, wanted: [...wanted].toSorted() }
}

const workers = [0, 1, 2, 3, 4, 5, 6, 7]

test('a kill -9 amid changes of every kind: each name is as it was seen last, and all data has its file', async () => {
  let compared = 0
  for (const round of [1, 2]) {
    const running = await start()
    if (round === 1) {
      for (const namespace of namespaces)
        for (const worker of workers) await send(running.pool, namespace, 'PUT', `/rest/w${worker}/fixed/`)
    }
    const expected = new Map<string, string>()
    let changes = 0
    const work = async (worker: number): Promise<void> => {
      const roll = dice(round * 100 + worker)
      for (;;) {
        const { namespace, path, run } = draw(running, roll, worker)
        const key = `${namespace} ${path}`
        // A change that the kill comes into may have happened or not, and no other name may show it.
        expected.delete(key)
        await run()
        expected.set(key, await seen(running.pool, namespace, path))
        changes += 1
        if (changes >= 100 && !running.child.killed) running.child.kill('SIGKILL')
      }
    }
    const working = workers.map((worker) => work(worker).catch((error: unknown) => error))
    await once(running.child, 'exit')
    await Promise.all([running.pool.destroy(), running.control.destroy()])
    // A connection that breaks has a code; what is wrong with an answer has none.
    for (const error of await Promise.all(working)) expect(error).toHaveProperty('code')

    const { found, wanted } = await files()
    expect(found).toEqual(wanted)
    const next = await start()
    const names = workers.flatMap((worker) =>
      ['0', '1', '2', 'folder'].flatMap((name) =>
        namespaces.map((each) => `${each} /rest/w${worker}/${name}`),
      ),
    )
    for (const key of names) {
      const [namespace, path] = key.split(' ') as [string, string]
      const now = await seen(next.pool, namespace, path)
      const before = expected.get(key)
      if (before === undefined) continue
      compared += 1
      expect([key, now]).toEqual([key, before])
    }
    next.child.kill('SIGTERM')
    await once(next.child, 'exit')
    await Promise.all([next.pool.destroy(), next.control.destroy()])
  }
  expect(compared).toBeGreaterThan(100)
})
