import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { type Emulator, type EmulatorOptions, startEmulator } from '@hcp/emulator'
import { Logs } from '@hcp/mapi-logs'
import { ObjectClient } from '@hcp/objects'
import type { ExportOptions, LogsServiceOptions } from '../http/options.ts'
import { type LogsService } from '../http/service.ts'
import { startTestService } from '../http/service.testing.ts'
import { bearer } from '../http/token.testing.ts'
import type { ExportTask } from './export-task.ts'

export const project = 'p-one'
export const server = 'srv-01'
export const serial = '2102312QXA'
export const base: string = `/v1/${project}/physicalservers/${server}/logs/exports`
export const user: { readonly authorization: string } = bearer({
  roles: ['user'],
  project_id: project,
  sub: 'olga',
})

/** What tells a client of the emulator where it is. */
export interface Where {
  readonly ports: { readonly mapi: number; readonly https: number }
  readonly dns: string
  readonly ca: string
}

export function logsOf(hcp: Where): Logs {
  return new Logs(
    new Target('admin.hcp1.test', {
      authorization: new NativeAuthorization('sysadmin', 's01'),
      port: hcp.ports.mapi,
      nameServers: [hcp.dns],
      tls: { ca: hcp.ca },
    }),
    {
      connectTimeout: 1_000,
      headersTimeout: 1_000,
      bodyTimeout: 2_000,
      retry: { attempts: 2, minDelay: 5, maxDelay: 20 },
    },
  )
}

export function objectsOf(hcp: Where): ObjectClient {
  return new ObjectClient(
    new Target('n1.m.hcp1.test', {
      authorization: new NativeAuthorization('n', 'n01'),
      port: hcp.ports.https,
      nameServers: [hcp.dns],
      tls: { ca: hcp.ca },
    }),
    { headersTimeout: 1_000, retry: { attempts: 2, minDelay: 5, maxDelay: 20 } },
  )
}

/** Milliseconds that a test waits for anything. */
const longest = 25_000

export interface Bench extends AsyncDisposable {
  readonly hcp: Emulator
  /** Somebody else at the same HCP. */
  readonly others: Logs
  readonly folder: string
  readonly service: LogsService
  readonly url: string
  /** A JSON request to the service. */
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>
  /** Starts an export, and gives its id. */
  start(body?: object): Promise<string>
  task(id: string): Promise<ExportTask>
  /** Resolves when an export is so far. */
  until(id: string, what: (task: ExportTask) => boolean): Promise<ExportTask>
  /** Requests that came to HCP of this beginning. */
  asked(path: string): number
}

export interface AskOptions {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly json: never
}

export interface BenchOptions {
  readonly database?: string
  readonly preparation?: number
  readonly bytes?: number
  /** Archives go to a namespace. */
  readonly bodies?: boolean
  /** Of what is stored there. */
  readonly retention?: string
  readonly exports?: ExportOptions
  readonly options?: Partial<LogsServiceOptions>
  readonly emulator?: EmulatorOptions
}

/** An HCP, and a service that exports its logs. */
export async function startBench({
  database = 'sqlite::memory:',
  preparation = 30,
  bytes = 200_000,
  bodies = false,
  retention,
  exports = {},
  options = {},
  emulator = {},
}: BenchOptions = {}): Promise<Bench> {
  const hcp = await startEmulator({ ...emulator, choices: { logPreparationMs: preparation } })
  hcp.seedLogs({ bytes })
  const folder = await mkdtemp(join(tmpdir(), 'exports-'))
  const logs = logsOf(hcp)
  const others = logsOf(hcp)
  const objects = bodies ? objectsOf(hcp) : undefined
  const { service, url } = await startTestService({
    database,
    systems: [{ id: server, serial, project, logs }],
    exports: { directory: folder, pollInterval: 20, patience: 20_000, ...exports },
    ...(objects === undefined
      ? {}
      : { bodies: { objects, ...(retention === undefined ? {} : { retention }) } }),
    ...options,
  })
  const bench: Bench = {
    hcp,
    others,
    folder,
    service,
    url,
    ask: async (method, path, { body, headers = {} } = {}) => {
      const answer = await fetch(url + path, {
        method,
        headers: { ...user, ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await answer.text()
      const json = (text === '' ? undefined : JSON.parse(text)) as never
      return { status: answer.status, headers: answer.headers, json }
    },
    start: async (body) => {
      const { status, json } = await bench.ask('POST', base, body === undefined ? {} : { body })
      if (status !== 202) throw new Error(`the export was refused: ${JSON.stringify(json)}`)
      return (json as ExportTask).export_id
    },
    task: async (id) => (await bench.ask('GET', `${base}/${id}`)).json,
    until: async (id, what) => {
      const end = performance.now() + longest
      for (;;) {
        const task = await bench.task(id)
        if (what(task)) return task
        if (performance.now() > end) throw new Error(`the export never came so far: ${JSON.stringify(task)}`)
        await pause(10)
      }
    },
    asked: (path) => hcp.requests().filter((request) => request.path.startsWith(path)).length,
    [Symbol.asyncDispose]: async () => {
      await service.close()
      await logs.close()
      await others.close()
      await objects?.close()
      await hcp[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return bench
}

export const isOver = ({ status }: ExportTask): boolean => status !== 'processing'

/** Waits until something holds. */
export async function eventually(what: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = performance.now() + longest; !(await what());) {
    if (performance.now() > end) throw new Error('it never came to that')
    await pause(10)
  }
}

/** A folder that goes last, when it is declared first: after all that writes into it. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'exports-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
