import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type TestApp, testApp } from '../http/service.testing.ts'
import { token } from '../http/token.testing.ts'
import type { Database } from '../store/database.ts'
import { openDatabase } from '../store/open-database.ts'
import { HttpSink } from './http-sink.ts'
import { OperationRefusedError, type OperationSink } from './operation-sink.ts'
import { OperationStore } from './operation-store.ts'
import type { Operation } from './operation.ts'
import type { RecordedAction } from './recorded-action.ts'
import { OperationRecorder, type OperationRecorderOptions } from './recorder.ts'
import { StoreSink } from './store-sink.ts'
import { operationV2Routes } from './v2-routes.ts'

const secretToken = token({ roles: ['system'] })
let database: Database
let store: OperationStore
beforeAll(async () => {
  database = await openDatabase('sqlite::memory:')
  store = new OperationStore(database)
})
afterAll(() => database.close())

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'recorder-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function openRecorder(
  options: Partial<OperationRecorderOptions> & Pick<OperationRecorderOptions, 'sink'>,
): Promise<{ recorder: OperationRecorder; folder: string; warnings: string[] }> {
  const warnings: string[] = []
  const folder = options.folder ?? (await newFolder())
  const onWarning = (message: string): void => void warnings.push(message)
  const recorder = await OperationRecorder.open({ onWarning, firstPause: 10, ...options, folder })
  onTestFinished(() => recorder.close())
  return { recorder, folder, warnings }
}

/** The service, on the same port again when it is asked to. */
async function serve(port = 0): Promise<{ url: string; port: number; stop(): Promise<void> }> {
  const made: TestApp = await testApp([operationV2Routes], { database, operations: store })
  const url = await made.app.listen({ host: '127.0.0.1', port })
  onTestFinished(() => made.app.close())
  return { url, port: Number(new URL(url).port), stop: () => made.app.close() }
}

/** Takes what it is given, unless it is told to fail; tells of each try. */
class FakeSink implements OperationSink {
  readonly tries: string[] = []
  readonly taken: string[] = []
  fail: ((what: string) => Error | undefined | Promise<Error | undefined>) | undefined
  #arrived = Promise.withResolvers<void>()

  add(operation: { readonly id: string; readonly operation_type: string }): Promise<void> {
    return this.#take(`add ${operation.operation_type}`)
  }

  change(_id: string, changes: { readonly status?: string | null | undefined }): Promise<void> {
    return this.#take(`close ${changes.status}`)
  }

  async #take(what: string): Promise<void> {
    this.tries.push(what)
    this.#arrived.resolve()
    this.#arrived = Promise.withResolvers()
    const error = await this.fail?.(what)
    if (error) throw error
    this.taken.push(what)
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#arrived.promise
  }
}

const event = (facts: Partial<RecordedAction>): RecordedAction => ({
  phase: 'before',
  action: 'failOver',
  system: 'admin.hcp1.test',
  link: 'berlin',
  subject: undefined,
  outcome: undefined,
  error: undefined,
  ...facts,
})

async function logsOfType(type: string): Promise<Operation[]> {
  const { operations } = await store.list({
    project: undefined,
    equal: { operation_type: type },
    limit: 1000,
  })
  return operations
}

describe('work with a log', () => {
  test.each(['over HTTP', 'in process'])(
    'is there before the work begins and tells how it ended, %s',
    async (way) => {
      const { url } = await serve()
      const sink =
        way === 'in process' ? new StoreSink(store) : new HttpSink({ url, token: async () => secretToken })
      const { recorder, warnings } = await openRecorder({ sink, actor: 'olga' })
      const facts = {
        operation_type: 'copy',
        project_id: 'tenant',
        plan_id: 'plan',
        provider_id: 'hcp',
        checkpoint_id: 'c',
        restore_id: 'r',
        scheduled_operation_id: 's',
        extra_info: { link: 'berlin' },
      }
      let id = ''
      const result = await recorder.record(facts, async (log) => {
        id = log.id
        expect(await store.get(id)).toMatchObject({
          ...facts,
          extra_info: '{"actor":"olga","link":"berlin"}',
          status: 'in_progress',
          ended_at: null,
        })
        log.note({ after: 'ACTIVE' })
        return 42
      })
      expect(result).toBe(42)
      const log = await store.get(id)
      expect(log).toMatchObject({
        status: 'success',
        error_info: null,
        extra_info: '{"actor":"olga","link":"berlin","after":"ACTIVE"}',
      })
      expect(log?.created_at).toBe(log?.started_at)
      expect(log?.ended_at).toBeGreaterThan(log?.started_at ?? Infinity)
      expect(warnings).toEqual([])
    },
  )

  const answered = Object.assign(new Error('secret'), {
    status: 409,
    reason: 'Link\nis suspended',
    sent: true,
  })
  test.each([
    ['an answer that says no', answered, 'fail', '409 Link is suspended'],
    [
      'the cause of which is such an answer',
      new Error('secret', { cause: answered }),
      'fail',
      '409 Link is suspended',
    ],
    [
      'an answer that tells nothing',
      Object.assign(new Error('secret'), { status: 503, sent: true }),
      'error',
      '503',
    ],
    [
      'no answer',
      Object.assign(new Error('secret'), { code: 'HCP_SOCKET', sent: true }),
      'error',
      'HCP_SOCKET',
    ],
    [
      'nothing sent',
      Object.assign(new Error('secret'), { code: 'HCP_CONNECT', sent: false }),
      'fail',
      'HCP_CONNECT',
    ],
    [
      'doubt',
      Object.assign(new Error('secret'), { code: 'REPLICATION_UNCERTAIN' }),
      'error',
      'REPLICATION_UNCERTAIN',
    ],
    ['a mistake', new TypeError('secret'), 'fail', 'TypeError'],
    ['no error at all', 'secret', 'fail', 'string'],
  ])('work that throws passes that on, and its log tells of it: %s', async (name, thrown, status, info) => {
    const { recorder } = await openRecorder({ sink: new StoreSink(store) })
    const type = `thrown: ${name}`
    const work = recorder.record({ operation_type: type }, () => {
      throw thrown as Error
    })
    await expect(work).rejects.toBe(thrown)
    expect(await logsOfType(type)).toMatchObject([{ status, error_info: info, project_id: 'system' }])
  })

  test('work can say itself how it ended', async () => {
    const { recorder } = await openRecorder({ sink: new StoreSink(store) })
    await recorder.record({ operation_type: 'said' }, (log) => log.end('fail', 'two of three'))
    expect(await logsOfType('said')).toMatchObject([{ status: 'fail', error_info: 'two of three' }])
  })
})

describe('onAction', () => {
  test.each([
    ['failOver', 'failover'],
    ['failBack', 'failback'],
    ['suspend', 'suspend'],
    ['resume', 'resume'],
    ['restore', 'link_restore'],
    ['beginRecovery', 'begin_recovery'],
    ['completeRecovery', 'complete_recovery'],
    ['changeLink', 'config_change'],
    ['toString', 'config_change'],
  ])('writes %s as %s', async (action, type) => {
    const sink = new FakeSink()
    const { recorder } = await openRecorder({ sink })
    await recorder.onAction(event({ action }))
    expect(sink.taken).toEqual([`add ${type}`])
    await recorder.onAction(event({ action, phase: 'after', outcome: 'done' }))
    expect(sink.taken).toEqual([`add ${type}`, 'close success'])
  })

  test.each([
    ['done', 'success', null],
    ['settled', 'success', null],
    ['refused', 'fail', '403 no'],
    ['failed', 'fail', '403 no'],
    ['uncertain', 'error', '403 no'],
  ] as const)('%s ends as %s', async (outcome, status, info) => {
    const system = `admin.${outcome}.test`
    const { recorder } = await openRecorder({
      sink: new StoreSink(store),
      describe: ({ link }) => ({ plan_id: `uuid of ${link}`, extra_info: { by: 'plan' } }),
    })
    const error = Object.assign(new Error('secret'), { status: 403, reason: 'no' })
    await recorder.onAction(event({ system }))
    await recorder.onAction(event({ system, phase: 'after', outcome, error }))
    const logs = await logsOfType('failover')
    expect(logs.filter(({ extra_info: extra }) => extra?.includes(system))).toMatchObject([
      {
        status,
        error_info: info,
        plan_id: 'uuid of berlin',
        extra_info: JSON.stringify({ action: 'failOver', system, link: 'berlin', by: 'plan' }),
      },
    ])
  })

  test('the same action twice at the same time has two logs, and both are closed', async () => {
    const { recorder } = await openRecorder({ sink: new StoreSink(store) })
    const facts = { action: 'suspend', system: 'twice' }
    await Promise.all([recorder.onAction(event(facts)), recorder.onAction(event(facts))])
    for (const outcome of ['done', 'refused'] as const) {
      await recorder.onAction(event({ ...facts, phase: 'after', outcome }))
    }
    const logs = (await logsOfType('suspend')).filter(({ extra_info: extra }) => extra?.includes('twice'))
    expect(new Set(logs.map(({ status }) => status))).toEqual(new Set(['fail', 'success']))
    expect(logs).toHaveLength(2)
  })

  test('nothing that goes wrong here keeps an action from being sent', async () => {
    const sink = new FakeSink()
    sink.fail = () => new Error('down')
    const { recorder, warnings } = await openRecorder({
      sink,
      closeDeadline: 50,
      describe: () => {
        throw new Error('describe is broken')
      },
      onWarning: (message) => {
        warnings.push(message)
        throw new Error('so is onWarning')
      },
    })
    await recorder.onAction(event({}))
    await recorder.onAction(event({ phase: 'after', outcome: 'done' }))
    await recorder.record({ operation_type: 'x', extra_info: { big: 1n } }, () => {})
    await recorder.close()
    await recorder.onAction(event({}))
    expect(await recorder.record({ operation_type: 'x' }, () => 'done')).toBe('done')
    expect(warnings.join('\n')).toMatch(/describe is broken[^]*cannot be written[^]*no JSON[^]*is closed/)
  })
})

describe('while logs cannot be written', () => {
  test('work goes on, and they are delivered in order when the service is back', async () => {
    const first = await serve()
    const sink = new HttpSink({ url: first.url, token: secretToken })
    onTestFinished(() => sink.close())
    const { recorder, warnings } = await openRecorder({ sink, longestPause: 50 })
    await first.stop()
    const types = ['down 1', 'down 2', 'down 3']
    for (const type of types) await recorder.record({ operation_type: type }, () => {})
    expect(await logsOfType('down 1')).toEqual([])
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/^Operation logs cannot be written: .*They are kept in /)
    await serve(first.port)
    await recorder.close()
    const logs = (await Promise.all(types.map(logsOfType))).flat()
    expect(logs.map(({ status }) => status)).toEqual(['success', 'success', 'success'])
    expect(logs.map(({ created_at }) => created_at)).toEqual(
      logs.map(({ started_at }) => started_at).toSorted((a, b) => Number(a) - Number(b)),
    )
  })

  test('a sink that never answers holds up work once, for as long as patience lasts', async () => {
    const sink = new FakeSink()
    const hanging = Promise.withResolvers<undefined>()
    sink.fail = () => hanging.promise
    const { recorder, folder } = await openRecorder({ sink, patience: 300, closeDeadline: 20 })
    const begun = performance.now()
    for (let n = 0; n < 20; n++) await recorder.record({ operation_type: `${n}` }, () => {})
    const took = performance.now() - begun
    expect(took).toBeGreaterThan(250)
    expect(took).toBeLessThan(4000)
    expect(sink.tries).toEqual(['add 0'])
    hanging.resolve(undefined)
    await sink.until(() => sink.tries.length === 40)
    await recorder.close()
    expect(await readFile(join(folder, 'journal.jsonl'), 'utf8')).toBe('')
  })

  test('what is not delivered at close is delivered by the next start', async () => {
    const sink = new FakeSink()
    sink.fail = () => new Error('down')
    const { recorder, folder } = await openRecorder({ sink })
    await recorder.record({ operation_type: 'x' }, () => {})
    await recorder.close()
    expect(sink.taken).toEqual([])
    expect(await readdir(folder)).toEqual(['journal.jsonl'])
    sink.fail = undefined
    const next = await openRecorder({ sink, folder })
    await next.recorder.close()
    expect(sink.taken).toEqual(['add x', 'close success'])
    expect(await readFile(join(folder, 'journal.jsonl'), 'utf8')).toBe('')
  })

  test('what is refused for good is set aside and does not hold up the rest', async () => {
    const sink = new FakeSink()
    sink.fail = (what) => (what === 'add bad' ? new OperationRefusedError('no such type') : undefined)
    const { recorder, folder, warnings } = await openRecorder({ sink })
    await recorder.record({ operation_type: 'bad' }, () => {})
    await recorder.record({ operation_type: 'good' }, () => {})
    expect(sink.taken).toEqual(['close success', 'add good', 'close success'])
    expect(warnings).toEqual([expect.stringContaining('refused.jsonl: no such type')])
    const lines = (await readFile(join(folder, 'refused.jsonl'), 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { add: { operation_type: 'bad' }, reason: 'no such type' },
    ])
  })

  test('a folder that cannot be written to is told of, and holds up nothing', async () => {
    const sink = new FakeSink()
    sink.fail = (what) => (what === 'add bad' ? new OperationRefusedError('no such type') : undefined)
    const { recorder, folder, warnings } = await openRecorder({ sink })
    await mkdir(join(folder, 'refused.jsonl'))
    await recorder.record({ operation_type: 'bad' }, () => {})
    await recorder.record({ operation_type: 'good' }, () => {})
    expect(sink.taken).toEqual(['close success', 'add good', 'close success'])
    expect(warnings[1]).toMatch(/refused\.jsonl cannot be written to: EISDIR/)
  })

  test('a log that was stored by a try whose answer was lost is not stored twice', async () => {
    const sink = new StoreSink(store)
    const operation = { id: randomUUID(), project_id: 'p', operation_type: 'twice' }
    await sink.add(operation)
    await sink.add(operation)
    expect(await logsOfType('twice')).toHaveLength(1)
    await expect(sink.change(randomUUID(), {})).rejects.toThrow(OperationRefusedError)
    await expect(sink.add({ ...operation, id: randomUUID(), plan_id: '\0' })).rejects.toThrow(
      OperationRefusedError,
    )
  })

  test('nothing secret is in the folder', async () => {
    const first = await serve()
    const { recorder, folder } = await openRecorder({
      sink: new HttpSink({ url: first.url, token: secretToken }),
    })
    await first.stop()
    const work = recorder.record({ operation_type: 'x' }, () => {
      throw new Error('the password is hunter2')
    })
    await expect(work).rejects.toThrow('hunter2')
    await recorder.close()
    const text = await readFile(join(folder, 'journal.jsonl'), 'utf8')
    expect(text).toContain('"fail"')
    expect(text).not.toContain('hunter2')
    expect(text).not.toContain(secretToken)
  })
})

describe('programs that die', () => {
  async function startChild(folder: string, url: string): Promise<{ child: ChildProcess; id: string }> {
    const program = fileURLToPath(new URL('recorder-child.testing.ts', import.meta.url))
    const child = spawn(process.execPath, ['--no-warnings', program, folder, url, secretToken], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    return { child, id: line.toString().trim() }
  }

  async function kill(child: ChildProcess): Promise<void> {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  test.each(['there', 'down'])('the next start closes what they left open, service %s', async (state) => {
    const folder = await newFolder()
    const service = await serve()
    const { url, port } = service
    if (state === 'down') await service.stop()
    const { child, id } = await startChild(folder, url)
    const found = await store.get(id)
    if (state === 'down') expect(found).toBeUndefined()
    else expect(found).toMatchObject({ status: 'in_progress', ended_at: null })
    await kill(child)
    // As a crash in the middle of a write leaves it.
    await appendFile(join(folder, 'journal.jsonl'), '{"n":9,"close":"')
    if (state === 'down') await serve(port)
    const { recorder } = await openRecorder({ sink: new HttpSink({ url, token: secretToken }), folder })
    await recorder.record({ operation_type: 'the next' }, () => {})
    expect(await store.get(id)).toMatchObject({
      operation_type: 'failover',
      plan_id: 'plan',
      status: 'error',
      error_info: 'process ended',
      ended_at: expect.any(Number) as number,
    })
    await recorder.close()
    expect(await readFile(join(folder, 'journal.jsonl'), 'utf8')).toBe('')
  })

  test('a folder has one program at a time', async () => {
    const folder = await newFolder()
    const { url } = await serve()
    const { child, id } = await startChild(folder, url)
    const sink = new HttpSink({ url, token: secretToken })
    await expect(OperationRecorder.open({ sink, folder })).rejects.toThrow(
      `The folder ${folder} is in use by process ${child.pid}. Give each program a folder of its own, or end that process.`,
    )
    expect(await store.get(id)).toMatchObject({ status: 'in_progress' })
    await kill(child)
    const { recorder } = await openRecorder({ sink, folder })
    await expect(OperationRecorder.open({ sink, folder })).rejects.toThrow(`in use by process ${process.pid}`)
    await recorder.close()
    const again = await openRecorder({ sink, folder })
    await again.recorder.close()
  })

  test('of several that begin at the same time, one gets the folder', async () => {
    const folder = await newFolder()
    const sink = new FakeSink()
    const tries = await Promise.allSettled(
      Array.from({ length: 4 }, () => OperationRecorder.open({ sink, folder })),
    )
    const opened = tries.filter((one) => one.status === 'fulfilled')
    expect(opened).toHaveLength(1)
    await opened[0]?.value.close()
  })
})

test('of a service that takes longer than the patience and then fails it is told too, once until it works', async () => {
  const sink = new FakeSink()
  const late = Promise.withResolvers<Error>()
  sink.fail = () => late.promise
  const { recorder, warnings } = await openRecorder({ sink, patience: 20, longestPause: 20 })
  await recorder.record({ operation_type: 'slow' }, () => {})
  expect(warnings).toEqual([])
  late.resolve(new Error('no answer in time'))
  await sink.until(() => sink.tries.length > 3)
  expect(warnings).toEqual([expect.stringContaining('cannot be written: no answer in time')])
  sink.fail = undefined
  await sink.until(() => sink.tries.length > 5)
  await recorder.close()
  expect(sink.taken).toEqual(['add slow', 'close success'])
})
