import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LogsFailedError } from '@hcp/mapi-logs'
import { describe, expect, test } from 'vitest'
import { startTestService } from '../http/service.testing.ts'
import type { ExportTask } from './export-task.ts'
import {
  base,
  type Bench,
  eventually,
  isOver,
  project,
  server,
  startBench,
  temporaryFolder,
  user,
} from './exports.testing.ts'

const cancels = (bench: Bench): number => bench.asked('/mapi/logs?cancel')
const prepares = (bench: Bench): number => bench.asked('/mapi/logs/prepare')
const downloads = (bench: Bench): number => bench.asked('/mapi/logs/download')

/** What was written about an export, and what its operation log says. */
async function told(bench: Bench, id: string): Promise<{ text: string; operation: unknown }> {
  const { entries, operations, database } = bench.service.context
  let text = ''
  const query = { datasets: [server], task: id }
  for await (const { data } of entries.read(query, { order: 'asc', data: true })) text += data
  const { operation_id } = await database.read
    .selectFrom('exports')
    .select('operation_id')
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return { text, operation: await operations.get(operation_id) }
}

async function untilFree(bench: Bench): Promise<void> {
  await eventually(async () => (await bench.others.status()).state === 'idle')
}

async function leftOnDisk(bench: Bench): Promise<string[]> {
  return readdir(join(bench.folder, 'packages', server))
}

describe('a folder for exports that cannot be used', () => {
  test('is told to those who wait; once it can be used, they go on', async () => {
    await using home = await temporaryFolder()
    const directory = join(home.path, 'exports')
    await writeFile(directory, 'a file where a folder should be')
    await using bench = await startBench({ exports: { directory } })
    const id = await bench.start()
    await eventually(async () => (await told(bench, id)).text.includes('cannot use its folder for exports'))
    expect(await bench.task(id)).toMatchObject({ status: 'processing', percentage: '0%' })
    await rm(directory)
    expect(await bench.until(id, isOver)).toMatchObject({ status: 'completed' })
  })

  test('is the end of an export after the patience', async () => {
    await using home = await temporaryFolder()
    const directory = join(home.path, 'exports')
    await writeFile(directory, 'a file where a folder should be')
    await using bench = await startBench({ exports: { directory, patience: 200 } })
    const id = await bench.start()
    const task = await bench.until(id, isOver)
    expect(task).toMatchObject({ status: 'failed', error: { error_code: 'HcpLogs.0508' } })
    expect((await told(bench, id)).operation).toMatchObject({
      status: 'fail',
      error_info: task.error?.error_msg,
    })
    expect(bench.asked('/mapi/logs')).toBe(0)
  })
})

describe("HCP's one log job", () => {
  test("somebody else's is waited for and never cancelled", async () => {
    await using bench = await startBench({ preparation: 600_000 })
    await bench.others.prepare()
    const id = await bench.start()
    await eventually(async () => (await told(bench, id)).text.includes('somebody else'))
    expect(await bench.task(id)).toMatchObject({ status: 'processing', percentage: '0%' })
    expect(cancels(bench)).toBe(0)
    expect(prepares(bench)).toBe(1)
    await bench.others.cancel()
    await bench.until(id, ({ progress }) => progress > 0)
    expect(prepares(bench)).toBe(2)
  })

  test('after the patience the export fails, says why, and has left the job alone', async () => {
    await using bench = await startBench({ preparation: 600_000, exports: { patience: 300 } })
    await bench.others.prepare()
    const id = await bench.start()
    const task = await bench.until(id, isOver)
    expect(task).toMatchObject({ status: 'failed', percentage: '0%', error: { error_code: 'HcpLogs.0503' } })
    expect(cancels(bench)).toBe(0)
    expect((await bench.others.status()).state).toBe('preparing')
    const content = await bench.ask('GET', `${base}/${id}/content`)
    expect(content.status).toBe(409)
    expect(content.json).toEqual({
      error_code: 'HcpLogs.0411',
      error_msg: expect.stringContaining('somebody else'),
    })
    expect((await told(bench, id)).operation).toMatchObject({
      status: 'fail',
      error_info: task.error!.error_msg,
    })
  })

  test('one that somebody cancels is ordered once more', async () => {
    await using bench = await startBench({ preparation: 400 })
    const id = await bench.start()
    await bench.until(id, ({ progress }) => progress > 0)
    await bench.others.cancel()
    expect(await bench.until(id, isOver)).toMatchObject({ status: 'completed' })
    expect(prepares(bench)).toBe(2)
  })

  test('one that comes in the place of ours is waited for, and not cancelled', async () => {
    await using bench = await startBench({ preparation: 1_000 })
    // Nobody can fetch: the package stays ready.
    bench.hcp.addFault({ kind: 'status', status: 503, path: '/mapi/logs/download' })
    const id = await bench.start()
    await bench.until(id, ({ progress }) => progress >= 50)
    await bench.others.cancel()
    await bench.others.prepare()
    await eventually(async () => (await told(bench, id)).text.includes('somebody else;'))
    expect(cancels(bench)).toBe(1)
    expect(prepares(bench)).toBe(2)
    expect((await bench.task(id)).status).toBe('processing')
  })

  test.each([
    { failures: 1, status: 'completed', prepared: 2 },
    { failures: 2, status: 'failed', prepared: 2 },
  ])('$failures failed preparations: $status', async ({ failures, status, prepared }) => {
    await using bench = await startBench()
    bench.hcp.failLogs({ count: failures })
    const id = await bench.start()
    expect(await bench.until(id, isOver)).toMatchObject({ status })
    expect(prepares(bench)).toBe(prepared)
    await untilFree(bench)
  })

  test('an order whose answer is lost is not sent again if HCP has carried it out', async () => {
    await using bench = await startBench({ preparation: 300 })
    bench.hcp.addFault({ kind: 'reset', when: 'beforeHead', path: '/mapi/logs/prepare', count: 1 })
    const id = await bench.start()
    expect(await bench.until(id, isOver)).toMatchObject({ status: 'completed' })
    expect(prepares(bench)).toBe(1)
    expect(cancels(bench)).toBe(1)
  })

  test('an order that HCP did not carry out is sent again', async () => {
    await using bench = await startBench()
    bench.hcp.addFault({ kind: 'status', status: 503, path: '/mapi/logs/prepare', count: 1 })
    const id = await bench.start()
    expect(await bench.until(id, isOver)).toMatchObject({ status: 'completed' })
    expect(prepares(bench)).toBe(2)
  })
})

test('exports of the same days share a package, each with its own nodes and kinds, also when one is cancelled', async () => {
  await using bench = await startBench({ preparation: 600 })
  await bench.others.prepare()
  const access = await bench.start({ content: ['ACCESS'], nodes: [101] })
  const cancelled = await bench.start()
  const system = await bench.start({ content: ['SYSTEM'] })
  const otherDays = await bench.start({ start_date: '2026-01-01', end_date: '2026-01-02' })
  await bench.others.cancel()
  await bench.until(cancelled, ({ progress }) => progress > 0)
  expect((await bench.task(otherDays)).progress).toBe(0)
  expect((await bench.ask('DELETE', `${base}/${cancelled}`)).status).toBe(204)
  for (const id of [access, system, otherDays])
    expect(await bench.until(id, isOver)).toMatchObject({ status: 'completed' })
  // The first of each was somebody else's.
  expect(prepares(bench)).toBe(3)
  expect(cancels(bench)).toBe(3)
  expect(downloads(bench)).toBe(3)
  const sizes = new Set<number>()
  for (const id of [access, system]) {
    const row = await bench.service.context.database.read
      .selectFrom('exports')
      .select('archive')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    sizes.add((JSON.parse(row.archive!) as { zip: { size: number } }).zip.size)
  }
  expect(sizes.size).toBe(2)
  await untilFree(bench)
})

describe('a cancelled export', () => {
  const moments: readonly [
    name: string,
    reached: (task: ExportTask) => boolean,
    prepare: (bench: Bench) => void,
  ][] = [
    ['preparing', ({ progress }) => progress > 0, () => {}],
    [
      'streaming',
      ({ progress }) => progress >= 50,
      ({ hcp }) =>
        void hcp.addFault({
          kind: 'throttle',
          when: 'body',
          bytesPerSecond: 20_000,
          path: '/mapi/logs/download',
        }),
    ],
    [
      'storing',
      ({ progress }) => progress >= 96,
      ({ hcp }) =>
        void hcp.addFault({ kind: 'delay', when: 'beforeHead', ms: 900, path: '/rest/logs/exports' }),
    ],
  ]
  test.each(moments)('%s: leaves nothing on HCP and on the disk', async (name, reached, prepare) => {
    await using bench = await startBench({ preparation: 300, bodies: name === 'storing' })
    prepare(bench)
    const id = await bench.start()
    const before = await bench.until(id, reached)
    expect((await bench.ask('DELETE', `${base}/${id}`)).status).toBe(204)
    const task = await bench.task(id)
    expect(task.status).toBe('cancelled')
    expect(task.progress).toBeGreaterThanOrEqual(before.progress)
    expect(task.progress).toBeLessThan(100)
    await untilFree(bench)
    await eventually(async () => (await leftOnDisk(bench)).length === 0)
    const { operation } = await told(bench, id)
    expect(operation).toMatchObject({ status: 'fail', error_info: 'cancelled by olga' })
    expect((await bench.ask('GET', `${base}/${id}/content`)).status).toBe(409)
    expect((await bench.ask('DELETE', `${base}/${id}`)).status).toBe(204)
    if (name === 'storing') {
      const { database } = bench.service.context
      await eventually(async () => {
        const row = await database.read.selectFrom('exports').select('archive').executeTakeFirstOrThrow()
        return row.archive === null
      })
    }
  })

  test('queued: it never begins', async () => {
    await using bench = await startBench({ preparation: 600_000 })
    await bench.others.prepare()
    const id = await bench.start()
    await bench.ask('DELETE', `${base}/${id}`)
    expect(await bench.task(id)).toMatchObject({ status: 'cancelled', percentage: '0%' })
    await bench.others.cancel()
    const next = await bench.start()
    await bench.until(next, ({ progress }) => progress > 0)
    expect((await bench.task(id)).status).toBe('cancelled')
    expect(prepares(bench)).toBe(2)
  })
})

describe('storing', () => {
  test('goes on when the namespace takes objects again', async () => {
    await using bench = await startBench({ bodies: true })
    bench.hcp.addFault({ kind: 'status', status: 503, path: '/rest/logs/exports', count: 4 })
    const id = await bench.start()
    expect(await bench.until(id, isOver)).toMatchObject({ status: 'completed' })
  })

  test('a namespace that takes nothing is the end of the export, which says so', async () => {
    await using bench = await startBench({ bodies: true })
    bench.hcp.setDisk({ full: true })
    const id = await bench.start()
    expect(await bench.until(id, isOver)).toMatchObject({
      status: 'failed',
      error: { error_code: 'HcpLogs.0509', error_msg: expect.stringContaining('namespace') },
    })
    await untilFree(bench)
    await eventually(async () => (await leftOnDisk(bench)).length === 0)
  })

  test('nodes that HCP does not know are told as HCP tells it', async () => {
    await using bench = await startBench()
    const id = await bench.start({ nodes: [999] })
    const { status, error } = await bench.until(id, isOver)
    expect(status).toBe('failed')
    expect(error).toEqual({ error_code: 'HcpLogs.0502', error_msg: expect.stringContaining('999') })
    await untilFree(bench)
  })
})

describe('an archive', () => {
  test('is gone when its time is up', async () => {
    await using bench = await startBench({ exports: { expiryDays: 1 / 86_400 } })
    const id = await bench.start()
    await bench.until(id, ({ status }) => status === 'expired')
    expect((await bench.ask('GET', `${base}/${id}/content`)).json).toMatchObject({
      error_code: 'HcpLogs.0410',
    })
    await eventually(() => !existsSync(join(bench.folder, 'archives', server, `${id}.zip`)))
    expect((await told(bench, id)).operation).toMatchObject({ status: 'success' })
  })

  test('is removed by DELETE, and the export counts as expired', async () => {
    await using bench = await startBench()
    const id = await bench.start()
    await bench.until(id, isOver)
    expect((await bench.ask('DELETE', `${base}/${id}`)).status).toBe(204)
    expect(await bench.task(id)).toMatchObject({ status: 'expired', percentage: '100%' })
    expect(await readdir(join(bench.folder, 'archives', server))).toEqual([])
    expect((await bench.ask('GET', `${base}/${id}/content`)).status).toBe(410)
  })
})

test('under retention an archive stays where it is, though the export has expired', async () => {
  await using bench = await startBench({ bodies: true, retention: 'A+1d' })
  const id = await bench.start()
  await bench.until(id, isOver)
  expect((await bench.ask('DELETE', `${base}/${id}`)).status).toBe(204)
  expect((await bench.task(id)).status).toBe('expired')
  const { archive } = await bench.service.context.database.read
    .selectFrom('exports')
    .select('archive')
    .executeTakeFirstOrThrow()
  expect(JSON.parse(archive!)).toMatchObject({ place: 'namespace', retry_at: expect.any(Number) })
})

test('an operation log that could not be closed at the end of its export is closed later', async () => {
  await using bench = await startBench()
  const id = await bench.start()
  await bench.until(id, isOver)
  const { database, operations } = bench.service.context
  const { operation_id } = await database.read
    .selectFrom('exports')
    .select('operation_id')
    .executeTakeFirstOrThrow()
  await operations.change(operation_id, project, { status: 'in_progress', ended_at: null })
  await bench.start()
  await eventually(async () => (await operations.get(operation_id))?.status === 'success')
})

test('an HCP that does not answer that its job is freed holds up the end of the service for some seconds only', async () => {
  const asked = Promise.withResolvers<void>()
  let state = 'idle'
  const logs = {
    status: async () => ({ state, streamingInProgress: false }),
    prepare: async () => void (state = 'ready'),
    downloadTo: async () => {
      throw new LogsFailedError('it is of no use')
    },
    cancel: ({ signal }: { signal: AbortSignal }) => {
      asked.resolve()
      return once(signal, 'abort').then(() => signal.throwIfAborted())
    },
  }
  const system = { id: server, serial: 'SN1', project, logs: logs as never }
  const { service, url } = await startTestService({
    database: 'sqlite::memory:',
    systems: [system],
    exports: { pollInterval: 20 },
  })
  expect((await fetch(url + base, { method: 'POST', headers: user })).status).toBe(202)
  await asked.promise
  const begun = performance.now()
  await service.close()
  expect(performance.now() - begun).toBeLessThan(9_000)
}, 30_000)
