import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ReadyLine } from '../emulator.ts'
import { Client } from './two-systems.testing.ts'

let data: string
let children: ChildProcess[] = []
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'hcp-emulator-test-'))
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  await rm(data, { recursive: true, force: true })
})

interface Running {
  readonly child: ChildProcess
  readonly clients: readonly [Client, Client]
  readonly control: (method: string, path: string, body?: object) => Promise<void>
}

async function start(): Promise<Running> {
  const cli = new URL('../../cli.ts', import.meta.url).pathname
  const options = ['--nodes', '1', '--replica-domain', 'hcp2.test', '--data', data, '--quiet']
  const child = spawn(process.execPath, [cli, ...options], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const ready = JSON.parse(line) as ReadyLine
  expect(ready.link).toBe('hcp1-hcp2')
  const control = async (method: string, path: string, body: object = {}): Promise<void> => {
    const url = `http://127.0.0.1:${ready.ports.control}${path}`
    const answer = await fetch(url, {
      method,
      ...(method === 'DELETE' ? {} : { body: JSON.stringify(body) }),
    })
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
  }
  await control('PUT', '/replication', { lagMs: 0 })
  return { child, control, clients: [new Client(ready, 'primary'), new Client(ready.replica!, 'replica')] }
}

/** Numbers from 0 to below the limit, the same for the same seed. */
function dice(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

test('a kill -9 while both sides change and tell each other: nothing is lost, doubled or different afterwards', async () => {
  /** Contents that were acknowledged, with their namespace. */
  const stored = new Map<string, string>()
  /** Names of one worker only, and whether there is something. */
  const own = new Map<string, string | undefined>()
  let number = 0
  for (const round of [1, 2, 3, 4]) {
    const { child, clients, control } = await start()
    // In every other round they cannot reach each other for a while.
    if (round % 2 === 0) await control('POST', '/replication/faults', { kind: 'broken' })
    let changes = 0
    const work = async (worker: number): Promise<void> => {
      const roll = dice(round * 100 + worker)
      const client = clients[worker % 2]!
      for (;;) {
        const namespace = ['n1', 'n2'][roll(2)]!
        if (roll(3) > 0) {
          const text = `${++number} `.repeat([1, 1_000, 80_000][roll(3)]!)
          const reply = await client.put(`shared/${roll(30)}`, text, namespace)
          if (reply.status === 201) stored.set(text, namespace)
        } else {
          const path = `own/${worker}/${roll(5)}`
          const before = own.get(path)
          // Until it is answered it may have happened or not.
          own.delete(path)
          if (before === undefined) {
            const text = `own ${++number}`
            const { status } = await client.put(path, text)
            if (status === 201) own.set(path, text)
          } else if ((await client.delete(path)).status === 200) own.set(path, undefined)
        }
        changes += 1
        if (changes === 60 && round % 2 === 0)
          void control('DELETE', '/replication/faults').catch(() => undefined)
        if (changes >= 120 && !child.killed) child.kill('SIGKILL')
      }
    }
    const working = Array.from({ length: 8 }, (_, worker) => work(worker).catch((error: unknown) => error))
    await once(child, 'exit')
    await Promise.all(clients.map((client) => client.close()))
    for (const error of await Promise.all(working)) expect(error).toHaveProperty('code')
  }

  const { child, clients, control } = await start()
  await control('POST', '/replication/wait')
  for (const namespace of ['n1', 'n2']) {
    const [one, other] = [await clients[0].everything(namespace), await clients[1].everything(namespace)]
    expect(other).toEqual(one)
    const contents: string[] = []
    for (const path of one.keys()) {
      if (path.endsWith('/')) continue
      if (namespace === 'n1') contents.push((await clients[0].get(path)).text)
      else {
        const list = await clients[0].ask('GET', `${path}?version=list`, { namespace })
        for (const [, id] of list.text.matchAll(/state="created" version="(\d+)"/g))
          contents.push((await clients[1].ask('GET', `${path}?version=${id}`, { namespace })).text)
      }
    }
    for (const [text, where] of stored) {
      if (where !== namespace) continue
      expect([text.slice(0, 20), contents.filter((each) => each === text).length]).toEqual([
        text.slice(0, 20),
        1,
      ])
    }
    expect(new Set(contents).size).toBe(contents.length)
  }
  for (const [path, text] of own) {
    for (const client of clients) expect([path, await client.read(path)]).toEqual([path, text ?? 404])
  }
  expect(stored.size).toBeGreaterThan(100)
  child.kill('SIGTERM')
  await once(child, 'exit')
  await Promise.all(clients.map((client) => client.close()))
}, 120_000)

test('what waits is there again after a kill -9, deletions too', async () => {
  const first = await start()
  await first.clients[0].put('gone', 'gone')
  await first.control('POST', '/replication/wait')
  expect(await first.clients[1].read('gone')).toBe('gone')
  await first.control('POST', '/replication/faults', { kind: 'broken' })
  await first.clients[0].put('kept', 'kept')
  await first.clients[1].delete('gone')
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  await Promise.all(first.clients.map((client) => client.close()))
  const { child, clients, control } = await start()
  await control('POST', '/replication/wait')
  expect(await clients[1].read('kept')).toBe('kept')
  expect((await clients[0].get('kept')).headers['x-hcp-replicated']).toBe('true')
  expect(await clients[0].read('gone')).toBe(404)
  child.kill('SIGTERM')
  await once(child, 'exit')
  await Promise.all(clients.map((client) => client.close()))
}, 60_000)
