import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Connection } from '@hcp/connection'
import { MapiClient, MapiForbiddenError, MapiRequestError } from '@hcp/mapi'
import { describe, expect, test } from 'vitest'
import { accessLog } from './access-log.ts'
import { emulate, hasty, targetOf, untilState, week } from './emulated.testing.ts'
import {
  LogsError,
  LogsFailedError,
  LogsFileError,
  LogsInProgressError,
  LogsNotReadyError,
} from './errors.ts'
import { LogPackage } from './log-package.ts'
import { Logs } from './logs.ts'
import { bytesOf, temporaryFolder } from './packages.testing.ts'

test('the constants are those of hcpsdk', () => {
  expect([Logs.L_ACCESS, Logs.L_SYSTEM, Logs.L_SERVICE, Logs.L_APPLICATION]).toEqual(Logs.L_ALL)
  expect(Logs.L_ALL).toEqual(['ACCESS', 'SYSTEM', 'SERVICE', 'APPLICATION'])
})

test('step by step: prepare, status, download, cancel', async () => {
  await using folder = await temporaryFolder()
  await using system = await emulate()
  const { logs } = system
  expect(await logs.status()).toMatchObject({ state: 'idle', started: false, error: false })
  await logs.prepare(week)
  expect((await logs.status()).content).toEqual(Logs.L_ALL)
  await untilState(logs, 'ready')
  expect(await logs.status()).toMatchObject({ started: true, readyForStreaming: true })

  const download = await logs.download({ content: ['ACCESS'] })
  expect(download.fileName).toMatch(/^HCPLogs-hcp1\.test-acc-\d{8}-\d{4}\.zip$/)
  const bytes = await bytesOf(download)
  expect(bytes.length).toBe(download.received)

  const progress: string[] = []
  const { file, size, fileName, attempts } = await logs.downloadTo(folder.path, {
    content: ['ACCESS'],
    onProgress: ({ phase }) => progress.push(phase),
  })
  expect({ file, attempts }).toEqual({ file: join(folder.path, fileName), attempts: 1 })
  expect((await readFile(file)).equals(bytes)).toBe(true)
  expect(size).toBe(bytes.length)
  expect(new Set(progress)).toEqual(new Set(['downloading', 'checking']))
  expect(await readdir(folder.path)).toEqual([fileName])

  await logs.cancel()
  await logs.cancel()
  expect((await logs.status()).state).toBe('idle')
})

test('what was served is in the package, by node', async () => {
  await using folder = await temporaryFolder()
  await using system = await emulate()
  const { logs } = system
  await logs.mark('here & <now> +1 100%')
  await logs.prepare()
  await untilState(logs, 'ready')
  const { file } = await logs.downloadTo(folder.path)
  await using content = await LogPackage.open(file)
  expect(content.nodes).toHaveLength(4)
  const targets: string[] = []
  for await (const { target, user, tenant, place, node } of accessLog(content)) {
    expect(content.nodes.map(({ number }) => number)).toContain(node)
    expect([user, tenant, place]).toEqual(['sysadmin', undefined, 'admin'])
    targets.push(target)
  }
  expect(targets.some((target) => target.startsWith('/mapi/logs/prepare'))).toBe(true)
  let marked = 0
  for await (const entry of content.files({ filter: (path) => !path.includes('request.log') }))
    marked += (await bytesOf(entry)).includes('here & <now> +1 100%') ? 1 : 0
  expect(marked).toBeGreaterThan(0)
})

test('nodes, S Series nodes and kinds are selected', async () => {
  await using folder = await temporaryFolder()
  await using system = await emulate()
  const { logs } = system
  await logs.prepare({ snodes: ['S10-1'] })
  await untilState(logs, 'ready')
  const all = await logs.downloadTo(join(folder.path, 'all.zip'), { snodes: ['S10-1'] })
  await using whole = await LogPackage.open(all.file)
  const [first] = whole.nodes
  const number = first?.number ?? 0
  const one = await logs.downloadTo(join(folder.path, 'one.zip'), { nodes: [number], content: ['SERVICE'] })
  await using part = await LogPackage.open(one.file)
  expect(part.nodes.map((node) => node.number)).toEqual([number])
  const none = await logs.downloadTo(join(folder.path, 'none.zip'), { nodes: [], snodes: ['S10-1'] })
  await using onlyS = await LogPackage.open(none.file)
  expect(onlyS.nodes).toEqual([])
  // A number that no node has is HCP's to refuse.
  await expect(logs.download({ nodes: [9999] })).rejects.toBeInstanceOf(MapiRequestError)
  expect((await logs.status()).state).toBe('ready')
})

describe('what HCP refuses is told apart by what it is at', () => {
  test('a second prepare, while one is under way and when it is done', async () => {
    await using system = await emulate({ preparation: 150 })
    const { logs, others } = system
    await others.prepare()
    const refused = await logs.prepare().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(LogsInProgressError)
    expect(refused).toMatchObject({ code: 'LOGS_IN_PROGRESS', retryable: true, cause: { status: 400 } })
    await untilState(logs, 'ready')
    await expect(logs.prepare()).rejects.toBeInstanceOf(LogsInProgressError)
  })

  test('a download before there is a package', async () => {
    await using system = await emulate({ preparation: 200 })
    const { logs } = system
    await expect(logs.download()).rejects.toMatchObject({ code: 'LOGS_NOT_READY', retryable: false })
    await logs.prepare()
    const early = await logs.download().catch((error: unknown) => error)
    expect(early).toBeInstanceOf(LogsNotReadyError)
    expect(early).toMatchObject({ retryable: true })
    expect(LogsNotReadyError.prototype).toBeInstanceOf(LogsError)
  })

  test('a second download while one is running', async () => {
    await using system = await emulate({ bytes: 5_000_000 })
    const { logs, others } = system
    await logs.prepare(week)
    await untilState(logs, 'ready')
    const running = await others.download()
    const iterator = running[Symbol.asyncIterator]()
    await iterator.next()
    await expect(logs.download()).rejects.toBeInstanceOf(LogsInProgressError)
    await running.dump()
  })

  test('a preparation that failed', async () => {
    await using system = await emulate()
    const { hcp, logs } = system
    hcp.failLogs()
    await logs.prepare()
    await untilState(logs, 'failed')
    await expect(logs.download()).rejects.toBeInstanceOf(LogsFailedError)
    // It is in nobody's way.
    await logs.prepare()
    await untilState(logs, 'ready')
  })

  test('an account of a tenant, or without the role', async () => {
    const users = [{ user: 'mon', password: 'm01', roles: ['MONITOR' as const] }]
    await using system = await emulate({
      options: { config: { tenants: [{ name: 'm', namespaces: [] }], systemUsers: users } },
    })
    await using monitor = new Logs(targetOf(system.hcp, 'mon', 'm01'))
    expect((await monitor.status()).state).toBe('idle')
    const refused = await monitor.prepare().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(MapiForbiddenError)
    expect((refused as Error).message).toContain('ADMINISTRATOR or SERVICE of a system account')
  })
})

test('wrong arguments are refused before anything is sent', async () => {
  await using system = await emulate()
  const { hcp, logs } = system
  const before = hcp.requests().length
  const wrong: (() => Promise<unknown>)[] = [
    () => logs.prepare({ startDate: '2026-02-30' }),
    () => logs.prepare({ startDate: '2026-02-02', endDate: '2026-02-01' }),
    () => logs.prepare({ start: '2026-02-02' } as never),
    () => logs.prepare({ snodes: ['a,b'] }),
    () => logs.download({ content: [] }),
    () => logs.download({ content: ['ALL' as never] }),
    () => logs.download({ onProgress: 5 as never }),
    () => logs.downloadTo(''),
    () => logs.downloadTo('/tmp', { attempts: 0 }),
    () => logs.mark(' '),
    () => logs.mark(5 as never),
    () => logs.collect({} as never),
    () => logs.collect({ folder: '/tmp', deadline: -1 }),
    () => logs.collect({ folder: '/tmp', content: ['x' as never] }),
    () => logs.status({ signal: 5 as never }),
  ]
  for (const call of wrong) {
    const error = await call().catch((reason: unknown) => reason)
    expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true)
  }
  const reason = new Error('no more')
  await expect(logs.status({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  expect(hcp.requests().length).toBe(before)
})

test('a client or connection of the caller stays open', async () => {
  await using system = await emulate()
  await using client = new MapiClient(targetOf(system.hcp))
  await new Logs(client).close()
  expect((await new Logs(client).status()).state).toBe('idle')
  await using connection = new Connection(targetOf(system.hcp))
  await using logs = new Logs(connection)
  await logs.close()
  expect((await new Logs(connection).status()).state).toBe('idle')
})

describe('where the package goes', () => {
  test('nothing that is there is replaced unasked, and nothing is sent for it', async () => {
    await using folder = await temporaryFolder()
    await using system = await emulate()
    const { hcp, logs } = system
    await logs.prepare()
    await untilState(logs, 'ready')
    const file = join(folder.path, 'mine.zip')
    await writeFile(file, 'mine')
    const sent = hcp.requests().length
    await expect(logs.downloadTo(file)).rejects.toMatchObject({ code: 'LOGS_FILE', problem: 'exists' })
    await expect(logs.downloadTo(join(folder.path, 'no', 'such', 'folder'))).rejects.toMatchObject({
      code: 'LOGS_FILE',
      problem: 'system',
      cause: { code: 'ENOENT' },
    })
    expect(hcp.requests().length).toBe(sent)
    expect(await readFile(file, 'utf8')).toBe('mine')
    await logs.downloadTo(file, { overwrite: true })
    expect((await readFile(file)).subarray(0, 2).toString()).toBe('PK')

    const { fileName } = await logs.downloadTo(folder.path)
    await expect(logs.downloadTo(folder.path)).rejects.toMatchObject({ problem: 'exists' })
    expect((await readdir(folder.path)).toSorted()).toEqual([fileName, 'mine.zip'])
    // The connection and the job are free again.
    expect((await logs.status()).streamingInProgress).toBe(false)
  })

  test('a disk that is full ends it with the system’s error, and leaves nothing', async () => {
    // The only file system of this kind that is everywhere: a device that is always full.
    if (process.platform !== 'linux') return
    await using folder = await temporaryFolder()
    await using system = await emulate()
    const { logs } = system
    await logs.prepare()
    await untilState(logs, 'ready')
    await expect(logs.downloadTo('/dev/full')).rejects.toMatchObject({ code: 'LOGS_FILE', problem: 'kind' })
    const closed = join(folder.path, 'closed')
    await mkdir(closed, { mode: 0o500 })
    if (process.getuid?.() !== 0)
      await expect(logs.downloadTo(closed)).rejects.toMatchObject({
        problem: 'system',
        cause: { code: 'EACCES' },
      })
    expect(await readdir(closed)).toEqual([])
    const refused = await logs.downloadTo('/proc/nothing.zip').catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(LogsFileError)
    expect((await logs.status()).state).toBe('ready')
  })
})

test('hasty connections still get through', async () => {
  await using system = await emulate({ connection: hasty })
  expect((await system.logs.status()).state).toBe('idle')
})
