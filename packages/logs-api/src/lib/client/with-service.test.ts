import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { project, server, startBench } from '../exports/exports.testing.ts'
import { startTestService, type TestService } from '../http/service.testing.ts'
import { token } from '../http/token.testing.ts'
import type { LogEntry } from './entry.ts'
import { LogsClient } from './logs-client.ts'

const tokens = {
  admin: token({ sub: 'root', roles: ['admin'], project_id: 'p-one' }),
  system: token({ sub: 'job', roles: ['system'] }),
  olga: token({ sub: 'olga', user: 'olga', roles: ['user'], project_id: 'p-one' }),
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  return Array.fromAsync(items)
}

describe('against the service', () => {
  let service: TestService
  let admin: LogsClient
  let system: LogsClient
  let olga: LogsClient
  beforeAll(async () => {
    service = await startTestService({ database: 'sqlite::memory:' })
    admin = new LogsClient(service.url, { token: tokens.admin })
    system = new LogsClient(service.url, { token: tokens.system })
    olga = new LogsClient(service.url, { token: tokens.olga })
  })
  afterAll(async () => {
    await Promise.all([admin.close(), system.close(), olga.close()])
    await service[Symbol.asyncDispose]()
  })

  test('entries go in, are found in every way, and go out again', async () => {
    const id = await system.entries.add({
      data: 'reset\n',
      name: 'stdlog',
      dataset_id: 'd1',
      task_id: 't1',
      host: 'n3',
    })
    expect(await system.entries.get(id)).toMatchObject({ log_id: id, data: 'reset\n', host: 'n3' })
    const other = await admin.entries.addTo('d1', { data: 'first', name: 'stderr', task_id: 't1' })
    await admin.entries.addTo('d1', { data: 'second', name: 'stderr', task_id: 't1' })
    expect(await admin.entries.get(other, { dataset: 'd1' })).toMatchObject({ data: 'first' })
    await expect(admin.entries.get(other, { dataset: 'd2' })).rejects.toMatchObject({
      status: 404,
      apiText: 'Log not found',
    })
    const found = await system.entries.find({
      dataset: 'd1',
      from: new Date(Date.now() - 60_000),
      keys: ['name'],
    })
    expect(found.map(({ name }) => name)).toEqual(['stdlog', 'stderr', 'stderr'])
    const groups = await admin.entries.taskLogs('d1', 't1', { group: true })
    expect(groups.map(({ data }) => data)).toEqual(['second', 'reset\n'])
    expect(await admin.entries.taskLogs('d1', 't1', { num: 1, order: 'asc', keys: ['data'] })).toEqual([
      { data: 'reset\n' },
    ])
    expect(await admin.entries.taskLogs('d1', 'nobody')).toEqual([])
    await system.entries.remove(id)
    await admin.entries.removeTask('d1', 't1')
    expect(await system.entries.find({ dataset: 'd1' })).toEqual([])
  })

  test('one key stores an entry once', async () => {
    const entry = { data: 'once', dataset_id: 'keyed' }
    const ids = [
      await system.entries.add(entry, { idempotencyKey: 'key-1' }),
      await system.entries.add(entry, { idempotencyKey: 'key-1' }),
    ]
    expect(ids[1]).toBe(ids[0])
    await expect(
      system.entries.add({ ...entry, data: 'twice' }, { idempotencyKey: 'key-1' }),
    ).rejects.toMatchObject({ status: 422 })
    expect(await system.entries.find({ dataset: 'keyed' })).toHaveLength(1)
  })

  test('bulk, search over pages and the deletion of a dataset', async () => {
    const entries = Array.from({ length: 250 }, (_, at) => ({
      data: `line ${at} of the whole`,
      dataset_id: 'bulk',
      task_id: `t${at % 2}`,
      severity: at % 10 === 0 ? 'error' : 'info',
      timestamp: new Date(Date.UTC(2026, 2, 4, 0, 0, at)).toISOString(),
    }))
    const source = async function* (): AsyncGenerator<object, void> {
      yield* entries
      yield { data: 'x', dataset_id: 5 }
    }
    const sent = await system.bulk(source() as never, { gzip: true })
    expect(sent).toMatchObject({ accepted: 250, rejected: 1, errors: [{ line: 251 }] })
    const pages = await all(system.search({ dataset: 'bulk', order: 'asc', limit: 100 }).pages())
    expect(pages.map(({ items }) => items.length)).toEqual([100, 100, 50])
    expect(pages.flatMap(({ items }) => items.map(({ data }) => data))).toEqual(
      entries.map(({ data }) => data),
    )
    const rest = await all(
      system.search({ dataset: 'bulk', order: 'asc', limit: 100, cursor: pages[1]!.next }),
    )
    expect(rest).toHaveLength(50)
    expect(
      await all(system.search({ dataset: 'bulk', minSeverity: 'error', q: '"of the whole" -250' })),
    ).toHaveLength(25)
    await expect(all(system.search({ dataset: 'bulk', cursor: 'changed' }))).rejects.toMatchObject({
      status: 400,
    })
    const narrow = await all(admin.entries.removeDataset('bulk', { task: 't0' }))
    expect(narrow[0]).toEqual({ status: 'deleting', percent_complete: 0, total: 125 })
    expect(narrow.at(-1)).toEqual({ status: 'complete', percent_complete: 100, total: 125 })
    expect(await all(system.search({ dataset: 'bulk' }))).toHaveLength(125)
  })

  test('a user sees what the rights of a dataset allow', async () => {
    await expect(olga.entries.addTo('d3', { data: 'x' })).rejects.toMatchObject({
      status: 403,
      apiText: 'attr not found',
    })
    await admin.rights.set('d3', { write_users: ['olga'], read_groups: ['staff'] })
    expect(await admin.rights.get('d3')).toEqual({
      read_groups: ['staff'],
      write_groups: [],
      read_users: [],
      write_users: ['olga'],
    })
    await olga.entries.addTo('d3', { data: 'x', task_id: 't' })
    await expect(olga.entries.taskLogs('d3', 't')).rejects.toMatchObject({ status: 403 })
    await admin.rights.remove('d3')
    await admin.rights.remove('d3')
    await expect(admin.rights.get('d3')).rejects.toMatchObject({ status: 404 })
  })

  test('the live tail gives what arrives, and goes on where it was', async () => {
    const stop = new AbortController()
    const tail = system.tail({ dataset: 'live', name: 'stderr' }, { signal: stop.signal })
    const first = tail.next()
    // Listening begins some time after the call.
    let sent = 0
    const sending = setInterval(() => {
      sent++
      void system.entries.add({ data: `${sent}`, dataset_id: 'live', name: 'stderr' })
      void system.entries.add({ data: 'no', dataset_id: 'live', name: 'stdout' })
    }, 50)
    const { value } = (await first) as { value: { id: string; entry: LogEntry } }
    clearInterval(sending)
    expect(value.entry).toMatchObject({ name: 'stderr', dataset_id: 'live' })
    stop.abort()
    await tail.return()
    const next = await system.entries.add({ data: 'meanwhile', dataset_id: 'live', name: 'stderr' })
    for await (const item of system.tail({ dataset: 'live', name: 'stderr' }, { lastEventId: value.id })) {
      if (item.kind === 'entry' && item.entry.log_id === next) break
    }
  })

  test('operation logs are written, changed, listed and searched', async () => {
    for (let at = 0; at < 5; at++) {
      const added = await system.operations.add({
        project_id: 'p-one',
        operation_type: 'failover',
        status: 'in_progress',
      })
      if (at > 0)
        await system.operations.change(added.id, { status: 'success', ended_at: new Date().toISOString() })
    }
    await system.operations.add({ operation_type: 'config_change' })
    const pages = await all(olga.operations.list('p-one', { limit: 2 }).pages())
    expect(pages.map(({ items }) => items.length)).toEqual([2, 2, 1])
    const [running] = await all(olga.operations.list('p-one', { filter: { status: 'in_progress' } }))
    expect(await olga.operations.get('p-one', running!.id)).toEqual(running)
    expect(running).toMatchObject({ project_id: 'p-one', operation_type: 'failover', ended_at: null })
    expect(await all(admin.operations.list('p-one', { allTenants: true }))).toHaveLength(6)
    expect(
      await all(system.operations.search({ operationType: 'failover', status: 'success', limit: 3 })),
    ).toHaveLength(4)
    expect(await all(system.operations.search({ status: null }))).toMatchObject([{ project_id: 'system' }])
    expect(await all(olga.operations.search())).toHaveLength(5)
    await expect(all(olga.operations.list('p-two'))).rejects.toMatchObject({
      status: 400,
      apiCode: 'badRequest',
      apiText: 'Malformed request url',
    })
  })

  test('retention rules are read, tried, set and run', async () => {
    const { rules } = await admin.retention.get()
    expect(rules[0]).toEqual({ name: 'stdlog', dataset_id: null, days: 31 })
    const policy = { rules: [{ name: 'old*', dataset_id: null, days: 1 }, ...rules], operations_days: 10 }
    await system.bulk([{ data: 'x', name: 'old-one', timestamp: '2020-01-01T00:00:00Z' }])
    const preview = await admin.retention.preview(policy)
    expect(preview).toMatchObject({ dry_run: true, removed: { entries: 1 } })
    expect((await admin.retention.get()).rules).toEqual(rules)
    expect(await admin.retention.set(policy)).toMatchObject({ operations_days: 10 })
    expect(await admin.retention.run({ dryRun: true })).toMatchObject({ removed: { entries: 1 } })
    expect(await admin.retention.run()).toMatchObject({ dry_run: false, removed: { entries: 1 } })
    expect(await admin.retention.run()).toMatchObject({ removed: { entries: 0 } })
  })

  test('health and the description', async () => {
    expect(await olga.health.live()).toBe(true)
    expect(await olga.health.ready()).toBe(true)
    expect(await olga.health.description()).toMatchObject({ openapi: expect.stringMatching(/^3\.1/) })
    await using nobody = new LogsClient('http://127.0.0.1:1', { token: 'x' })
    expect(await nobody.health.live()).toBe(false)
  })
})

test('an export is started, waited for, listed, downloaded in both forms and cancelled', async () => {
  await using bench = await startBench({ preparation: 300 })
  await using client = new LogsClient(bench.url, { token: tokens.olga })
  const folder = await mkdtemp(join(tmpdir(), 'logs-client-'))
  try {
    const started = await client.exports.start(project, server, {
      content: ['ACCESS'],
      idempotencyKey: 'e-1',
    })
    const again = await client.exports.start(project, server, { content: ['ACCESS'], idempotencyKey: 'e-1' })
    expect(again.exportId).toBe(started.exportId)
    await expect(client.exports.download(started)).rejects.toMatchObject({
      status: 409,
      apiCode: 'HcpLogs.0409',
    })
    const seen: number[] = []
    const task = await client.exports.waitFor(started, {
      interval: 20,
      deadline: 20_000,
      onProgress: ({ progress }) => void seen.push(progress),
    })
    expect(task).toMatchObject({ project, server, status: 'completed', progress: 100, error: undefined })
    expect(seen).toEqual(seen.toSorted((one, other) => one - other))
    const { file, size } = await client.exports.downloadTo(task, folder)
    expect(file).toBe(join(folder, '2102312QXA-dump.tar.gz'))
    expect((await stat(file)).size).toBe(size)
    const zip = await client.exports.downloadTo(task, folder, { format: 'zip' })
    expect(zip.file).toBe(join(folder, '2102312QXA-dump.zip'))
    const second = await client.exports.start(project, server)
    expect(
      (await all(client.exports.list(project, server, { limit: 1 }))).map(({ exportId }) => exportId),
    ).toEqual([second.exportId, started.exportId])
    await client.exports.cancel(second)
    await expect(client.exports.waitFor(second)).rejects.toMatchObject({ code: 'LOGS_API_EXPORT' })
    expect(await all(client.exports.search({ status: 'completed', limit: 1 }))).toEqual([
      expect.objectContaining({ exportId: started.exportId, project, server }),
    ])
  } finally {
    await rm(folder, { recursive: true })
  }
})
