import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Emulator, type Fault, startEmulator } from '@hcp/emulator'
import { afterAll, describe, expect, test } from 'vitest'
import { startTestService } from '../http/service.testing.ts'
import { openDatabase } from '../store/open-database.ts'
import { Stores } from '../store/stores.testing.ts'
import { nowMicroseconds } from '../time.ts'
import type { ServiceWork } from './exports-child.testing.ts'
import { ExportStore } from './export-store.ts'
import type { ExportTask, OwnJob } from './export-task.ts'
import {
  base,
  eventually,
  isOver,
  logsOf,
  objectsOf,
  project,
  serial,
  server,
  temporaryFolder,
  user,
} from './exports.testing.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

interface Child extends AsyncDisposable {
  readonly process: ChildProcess
  readonly url: string
  kill(): Promise<void>
}

async function startChild(work: ServiceWork): Promise<Child> {
  const program = fileURLToPath(new URL('exports-child.testing.ts', import.meta.url))
  const child = spawn(process.execPath, ['--no-warnings', program, JSON.stringify(work)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  const { url } = JSON.parse(line) as { url: string }
  return { process: child, url, kill, [Symbol.asyncDispose]: kill }
}

async function post(url: string): Promise<string> {
  const answer = await fetch(url + base, { method: 'POST', headers: user })
  return ((await answer.json()) as ExportTask).export_id
}

async function show(url: string, id: string): Promise<ExportTask> {
  return (await (await fetch(`${url}${base}/${id}`, { headers: user })).json()) as ExportTask
}

const asked = (hcp: Emulator, path: string): number =>
  hcp.requests().filter((request) => request.path.startsWith(path)).length

interface Moment {
  readonly name: string
  readonly reached: (task: ExportTask) => boolean
  readonly fault?: Fault
  readonly bodies?: boolean
  readonly preparation?: number
}

const moments: readonly Moment[] = [
  { name: 'preparing', reached: ({ progress }) => progress > 0, preparation: 2_500 },
  {
    name: 'streaming',
    reached: ({ progress }) => progress >= 50,
    fault: { kind: 'throttle', when: 'body', bytesPerSecond: 20_000, path: '/mapi/logs/download' },
  },
  {
    name: 'storing',
    reached: ({ progress }) => progress >= 96,
    fault: { kind: 'hang', when: 'beforeHead', path: '/rest/logs/exports' },
    bodies: true,
  },
]

describe('a process that is killed', () => {
  test.each(moments)(
    'while $name: the next one ends the export with the same package of HCP, and frees HCP',
    async ({ reached, fault, bodies = false, preparation = 100 }) => {
      await using home = await temporaryFolder()
      const folder = home.path
      await using hcp = await startEmulator({ choices: { logPreparationMs: preparation } })
      hcp.seedLogs({ bytes: 200_000 })
      if (fault !== undefined) hcp.addFault(fault)
      const where = { ports: hcp.ports, dns: hcp.dns, ca: hcp.ca }
      const database = `sqlite:${join(folder, 'logs.db')}`
      await using child = await startChild({ where, database, directory: folder, bodies })
      const id = await post(child.url)
      await eventually(async () => reached(await show(child.url, id)))
      const before = await show(child.url, id)
      await child.kill()
      await hcp.clearFaults()
      // As if the time of its leases had passed.
      const store = await openDatabase(database)
      await store.write.deleteFrom('leases').execute()
      await store.close()

      await using logs = logsOf(where)
      await using objects = objectsOf(where)
      await using next = await startTestService({
        database,
        systems: [{ id: server, serial, project, logs }],
        exports: { directory: folder, pollInterval: 20 },
        ...(bodies ? { bodies: { objects } } : {}),
      })
      await eventually(async () => {
        const task = await show(next.url, id)
        expect(task.progress).toBeGreaterThanOrEqual(before.progress)
        return isOver(task)
      })
      expect((await show(next.url, id)).status).toBe('completed')
      expect(asked(hcp, '/mapi/logs/prepare')).toBe(1)
      expect(asked(hcp, '/mapi/logs?cancel')).toBe(1)
      expect((await logs.status()).state).toBe('idle')
      await eventually(async () => (await readdir(join(folder, 'packages', server))).length === 0)
      const row = await next.service.context.database.read
        .selectFrom('exports')
        .selectAll()
        .executeTakeFirstOrThrow()
      const operation = await next.service.context.operations.get(row.operation_id)
      expect(operation?.status).toBe('success')
    },
  )

  test.each([
    { name: 'just now: it is ours', minutes: 0, ours: true },
    { name: "long ago: it is somebody else's", minutes: 11, ours: false },
  ])('after an order whose answer nobody heard, given $name', async ({ minutes, ours }) => {
    await using home = await temporaryFolder()
    const folder = home.path
    await using hcp = await startEmulator({ choices: { logPreparationMs: 200 } })
    const where = { ports: hcp.ports, dns: hcp.dns, ca: hcp.ca }
    await using logs = logsOf(where)
    await logs.prepare({ startDate: '2026-11-20', endDate: '2026-11-21' })
    const sent_at = nowMicroseconds() - minutes * 60_000_000
    const own: OwnJob = {
      id: 'job',
      phase: 'intent',
      start_date: '2026-11-20',
      end_date: '2026-11-21',
      snodes: [],
      seen_free: sent_at - 10_000,
      sent_at,
    }
    await using next = await startTestService({
      database: 'sqlite::memory:',
      systems: [{ id: server, serial, project, logs }],
      exports: { directory: folder, pollInterval: 20 },
    })
    const id = '6fe944d2-6ca8-4e8f-ae89-4021778901a6'
    await new ExportStore(next.service.context.database).add({
      id,
      project_id: project,
      system_id: server,
      state: 'queued',
      percentage: 0,
      created_at: sent_at,
      updated_at: sent_at,
      request: JSON.stringify({ ...own, content: ['ACCESS'] }),
      caller: 'olga',
      operation_id: '6fe944d2-6ca8-4e8f-ae89-4021778901a7',
      job: JSON.stringify({ tries: 0, own }),
    })
    if (ours) {
      await eventually(async () => isOver(await show(next.url, id)))
      expect((await show(next.url, id)).status).toBe('completed')
      await eventually(async () => (await logs.status()).state === 'idle')
    } else {
      const before = asked(hcp, '/mapi/logs')
      await eventually(() => asked(hcp, '/mapi/logs') > before + 4)
      expect(await show(next.url, id)).toMatchObject({ status: 'processing', percentage: '0%' })
      expect(asked(hcp, '/mapi/logs?cancel')).toBe(0)
    }
    expect(asked(hcp, '/mapi/logs/prepare')).toBe(1)
  })

  test('while it waits for somebody else: the next one waits on, and cancels nothing', async () => {
    await using home = await temporaryFolder()
    const folder = home.path
    await using hcp = await startEmulator({ choices: { logPreparationMs: 600_000 } })
    const where = { ports: hcp.ports, dns: hcp.dns, ca: hcp.ca }
    const database = `sqlite:${join(folder, 'logs.db')}`
    await using logs = logsOf(where)
    await logs.prepare()
    await using child = await startChild({ where, database, directory: folder, bodies: false })
    const id = await post(child.url)
    const before = asked(hcp, '/mapi/logs')
    await eventually(() => asked(hcp, '/mapi/logs') > before + 2)
    await child.kill()
    await using next = await startTestService({
      database,
      systems: [{ id: server, serial, project, logs }],
      exports: { directory: folder, pollInterval: 20 },
    })
    expect(await show(next.url, id)).toMatchObject({ status: 'processing', percentage: '0%' })
    expect(asked(hcp, '/mapi/logs?cancel')).toBe(0)
  })
})

test('of two processes on one PostgreSQL one exports, and when it is killed the other goes on', async () => {
  await using home = await temporaryFolder()
  const folder = home.path
  await using hcp = await startEmulator({ choices: { logPreparationMs: 3_000 } })
  hcp.seedLogs({ bytes: 100_000 })
  const where = { ports: hcp.ports, dns: hcp.dns, ca: hcp.ca }
  const database = await stores.url('postgres')
  await using first = await startChild({ where, database, directory: folder, bodies: false })
  const id = await post(first.url)
  await using logs = logsOf(where)
  await using second = await startTestService({
    database,
    systems: [{ id: server, serial, project, logs }],
    exports: { directory: folder, pollInterval: 20 },
  })
  // Ordered at the one that does not do the work.
  const other = await post(second.url)
  await eventually(async () => (await show(second.url, id)).progress > 0)
  await first.kill()
  for (const each of [id, other]) await eventually(async () => isOver(await show(second.url, each)))
  for (const each of [id, other]) expect((await show(second.url, each)).status).toBe('completed')
  // The second export was ordered after the package of the first: it has one of its own.
  expect(asked(hcp, '/mapi/logs/prepare')).toBeLessThanOrEqual(2)
  expect(asked(hcp, '/mapi/logs?cancel')).toBe(asked(hcp, '/mapi/logs/prepare'))
  expect((await logs.status()).state).toBe('idle')
})
