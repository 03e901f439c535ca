import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { LogsClient } from '@hcp/logs-api/client'
import { HttpSink, OperationRecorder } from '@hcp/logs-api/operations'
import { executeFailover, planFailover, ReplicationClient } from '@hcp/mapi-replication'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startLogsService } from './logs-process.ts'

// A link is failed over and back with the real client, and the service that keeps the logs of it is away.

vi.setConfig({ testTimeout: 60_000 })

const patience = 500
/** Milliseconds for what is not the recorder's: two requests and a busy machine. */
const slack = 1_500

let hcp: Emulator
let folder: string
beforeEach(async () => {
  hcp = await startEmulator({ nodes: 2, replicaDomain: 'hcp2.test' })
  folder = await mkdtemp(join(tmpdir(), 'logs-recorder-'))
})
afterEach(async () => {
  await hcp.close()
  await rm(folder, { recursive: true })
})

function managementOf(which: 'primary' | 'replica'): Target {
  const { domain, nodes, ports } = which === 'primary' ? hcp.ready : hcp.ready.replica!
  return new Target(`admin.${domain}`, {
    authorization: new NativeAuthorization('sysadmin', 's01'),
    port: ports.mapi,
    tls: { ca: hcp.ca },
    // Not by name: after a DNS failover the other system answers to this one's names.
    addresses: [...new Set(nodes)],
  })
}

/** A port at which nobody answers: it takes connections and says nothing. */
async function silence(): Promise<{
  readonly server: Server
  readonly sockets: Set<Socket>
  readonly port: number
}> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => void sockets.add(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, sockets, port: (server.address() as AddressInfo).port }
}

async function recorderAt(url: string, token: string): Promise<OperationRecorder> {
  return OperationRecorder.open({
    sink: new HttpSink({ url, token, timeout: 20_000 }),
    folder: join(folder, 'spool'),
    actor: 'olga',
    patience,
    closeDeadline: 100,
    onWarning: () => {},
  })
}

/** Fails the link over and back. Gives the longest that one action took, in milliseconds. */
async function thereAndBack(recorder: OperationRecorder): Promise<number> {
  const { link } = hcp.ready
  using firstTarget = managementOf('primary')
  using secondTarget = managementOf('replica')
  const took: number[] = []
  const onAction: OperationRecorder['onAction'] = async (event) => {
    const begun = performance.now()
    await recorder.onAction(event)
    took.push(performance.now() - begun)
  }
  await using failed = new ReplicationClient(firstTarget, { retry: false, onAction })
  await using survivor = new ReplicationClient(secondTarget, { onAction })
  const run = async (): Promise<void> => {
    const plan = await planFailover({ survivor, failed, link: link! })
    const options = { survivor, failed, interval: 50, deadline: 30_000, confirm: (): boolean => true }
    for await (const _ of executeFailover(plan, options));
  }
  await hcp.stopCluster('primary')
  await run()
  await hcp.startCluster('primary')
  await run()
  expect(took.length).toBeGreaterThanOrEqual(4)
  return Math.max(...took)
}

test.each(['refuses connections', 'takes connections and never answers'])(
  'a failover goes on when the logs service %s, no later than the patience for it, and its log is delivered by the next start',
  async (how) => {
    const { server, sockets, port } = await silence()
    if (how === 'refuses connections') server.close()
    {
      await using recorder = await recorderAt(`http://127.0.0.1:${port}`, 'a.b.c')
      expect(await thereAndBack(recorder)).toBeLessThan(patience + slack)
    }
    for (const socket of sockets) socket.destroy()
    server.close()
    const kept = await readFile(join(folder, 'spool', 'journal.jsonl'), 'utf8')
    expect(kept).toContain('failover')
    expect(kept).not.toMatch(/s01|a\.b\.c/)

    await using service = await startLogsService({ database: 'sqlite::memory:', folder })
    await using client = new LogsClient(service.url, { token: service.tokens['admin']! })
    await using _next = await recorderAt(service.url, service.tokens['system']!)
    const logs = () => Array.fromAsync(client.operations.search({ project: 'system', order: 'asc' }))
    await expect
      .poll(async () => (await logs()).map(({ operation_type, status }) => `${operation_type} ${status}`), {
        timeout: 20_000,
      })
      .toEqual(expect.arrayContaining(['failover success', 'failback success']))
    await expect.poll(async () => (await logs()).filter(({ status }) => status === 'in_progress')).toEqual([])
    for (const { started_at, ended_at, extra_info } of await logs()) {
      expect(Date.parse(`${ended_at}Z`)).toBeGreaterThanOrEqual(Date.parse(`${started_at}Z`))
      // The times are those of the actions, not of the delivery.
      expect(JSON.parse(extra_info ?? '{}')).toMatchObject({ actor: 'olga' })
    }
    expect(await readdir(join(folder, 'spool'))).not.toContain('refused.jsonl')
  },
)

test('a service that comes back while the recorder runs gets all that was kept, in order and once', async () => {
  const away = await silence()
  away.server.close()
  await once(away.server, 'close')
  await using service = await startLogsService({ database: 'sqlite::memory:', folder })
  const token = service.tokens['system']!
  await using there = new HttpSink({ url: service.url, token })
  await using nowhere = new HttpSink({ url: `http://127.0.0.1:${away.port}`, token })
  let sink = nowhere
  await using recorder = await OperationRecorder.open({
    sink: {
      add: (operation) => sink.add(operation),
      change: (id, changes) => sink.change(id, changes),
    },
    folder: join(folder, 'spool'),
    patience,
    firstPause: 20,
    longestPause: 100,
    onWarning: () => {},
  })
  await thereAndBack(recorder)
  sink = there
  await using client = new LogsClient(service.url, { token: service.tokens['admin']! })
  const logs = () => Array.fromAsync(client.operations.search({ project: 'system', order: 'asc' }))
  await expect
    .poll(async () => (await logs()).filter(({ operation_type }) => operation_type === 'failback').length, {
      timeout: 20_000,
    })
    .toBe(1)
  await expect.poll(async () => (await logs()).every(({ status }) => status === 'success')).toBe(true)
  const types = (await logs()).map(({ operation_type }) => operation_type)
  expect(types.indexOf('failover')).toBeLessThan(types.indexOf('failback'))
  expect(types.filter((type) => type === 'failover')).toHaveLength(1)
})
