import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Fault } from '@hcp/emulator'
import { describe, expect, test } from 'vitest'
import { collectInChild } from './children.testing.ts'
import { emulate, type Emulated, hasty, untilState, week } from './emulated.testing.ts'
import { LogsAmbiguousError, LogsDamagedError, LogsDeadlineError, LogsInProgressError } from './errors.ts'
import { LogPackage } from './log-package.ts'
import { bytesOf, temporaryFolder } from './packages.testing.ts'

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(file)) hash.update(piece as Uint8Array)
  return hash.digest('hex')
}

/** How often HCP was asked for something. */
const asked = ({ hcp }: Emulated, query: string): number =>
  hcp.requests().filter(({ method, path }) => method === 'POST' && path.startsWith(query)).length

const onlyPackages = async (folder: string): Promise<string[]> => (await readdir(folder)).toSorted()

describe('in one step', () => {
  test('prepares, waits, downloads, and frees the job', async () => {
    await using folder = await temporaryFolder()
    await using system = await emulate({ preparation: 100, bytes: 2_000_000 })
    const phases: string[] = []
    const { file, cancelled, size } = await system.logs.collect({
      ...week,
      folder: folder.path,
      content: ['ACCESS'],
      interval: 20,
      onProgress: ({ phase }) => phases.push(phase),
    })
    expect(cancelled).toBe(true)
    expect(size).toBeGreaterThan(1_000_000)
    expect([...new Set(phases)]).toEqual(['preparing', 'downloading', 'checking', 'cancelling'])
    expect((await system.logs.status()).state).toBe('idle')
    await using content = await LogPackage.open(file)
    expect(content.nodes).toHaveLength(4)
  })

  test('leaves a job alone that somebody else has started, and takes it only to download', async () => {
    await using folder = await temporaryFolder()
    await using system = await emulate({ preparation: 80 })
    const { logs, others } = system
    await others.prepare()
    const refused = logs.collect({ folder: folder.path, interval: 10 })
    await expect(refused).rejects.toBeInstanceOf(LogsInProgressError)
    expect(asked(system, '/mapi/logs/prepare')).toBe(1)
    const { cancelled, file } = await logs.collect({ folder: folder.path, interval: 10, attach: true })
    expect(cancelled).toBe(false)
    expect((await logs.status()).state).toBe('ready')
    expect(asked(system, '/mapi/logs?cancel')).toBe(0)
    expect(await onlyPackages(folder.path)).toEqual([file.split('/').at(-1)])
    await others.cancel()
    const nothing = logs.collect({ folder: folder.path, attach: true })
    await expect(nothing).rejects.toMatchObject({ code: 'LOGS_NOT_READY' })
  })

  test('frees the job when the preparation fails, and when the time is up', async () => {
    await using folder = await temporaryFolder()
    await using system = await emulate({ preparation: 60_000 })
    const { hcp, logs } = system
    const late = logs.collect({ folder: folder.path, interval: 10, deadline: 150 })
    await expect(late).rejects.toBeInstanceOf(LogsDeadlineError)
    expect((await logs.status()).state).toBe('idle')
    await using other = await emulate({ preparation: 30 })
    other.hcp.failLogs()
    const failing = other.logs.collect({ folder: folder.path, interval: 10 })
    await expect(failing).rejects.toMatchObject({ code: 'LOGS_FAILED' })
    expect((await other.logs.status()).state).toBe('idle')
    expect(hcp.requests().length).toBeGreaterThan(0)
    expect(await onlyPackages(folder.path)).toEqual([])
  })

  test.each(['preparing', 'downloading', 'checking'])(
    'frees the job when it is aborted while %s, and leaves no file',
    async (moment) => {
      await using folder = await temporaryFolder()
      await using system = await emulate({ preparation: 50, bytes: 4_000_000 })
      const abort = new AbortController()
      const reason = new Error('enough')
      const collecting = system.logs.collect({
        ...week,
        folder: folder.path,
        interval: 10,
        signal: abort.signal,
        onProgress: ({ phase }) => {
          if (phase === moment) abort.abort(reason)
        },
      })
      await expect(collecting).rejects.toBe(reason)
      expect((await system.logs.status()).state).toBe('idle')
      expect(await onlyPackages(folder.path)).toEqual([])
    },
  )

  test('an abort while the prepare is on its way still frees the job', async () => {
    await using folder = await temporaryFolder()
    await using system = await emulate()
    system.hcp.addFault({ kind: 'delay', when: 'beforeHead', ms: 200, path: '/mapi/logs/prepare' })
    const signal = AbortSignal.timeout(100)
    const collecting = system.logs.collect({ folder: folder.path, signal })
    await expect(collecting).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(asked(system, '/mapi/logs/prepare')).toBe(1)
    expect((await system.logs.status()).state).toBe('idle')
  })

  test.concurrent.each(['a deadline', 'an abort'])(
    '%s while the answer to the prepare does not come says that it is open whose the job is',
    async (ending) => {
      await using folder = await temporaryFolder()
      await using system = await emulate()
      const { hcp, logs } = system
      hcp.addFault({ kind: 'hang', when: 'beforeHead', path: '/mapi/logs/prepare', count: 1 })
      const abort = new AbortController()
      const limit = ending === 'a deadline' ? { deadline: 100 } : { signal: abort.signal }
      const collecting = logs.collect({ folder: folder.path, ...limit })
      setTimeout(() => abort.abort(new RangeError('enough')), 100)
      await expect(collecting).rejects.toBeInstanceOf(LogsAmbiguousError)
      expect(asked(system, '/mapi/logs?cancel')).toBe(0)
    },
  )

  test('does not cancel what came after a job that somebody else has cancelled', async () => {
    await using folder = await temporaryFolder()
    await using system = await emulate({ preparation: 60_000 })
    const { logs, others } = system
    let taken = false
    const collecting = logs.collect({
      folder: folder.path,
      interval: 50,
      onProgress: () => {
        if (taken) return
        taken = true
        void others.cancel()
      },
    })
    await expect(collecting).rejects.toMatchObject({ code: 'LOGS_LOST' })
    expect(asked(system, '/mapi/logs?cancel')).toBe(1)
  })
})

describe('when the answer to the prepare is lost', () => {
  const lose = ({ hcp }: Emulated, kind: 'reset' | 'truncate' | 'garbage'): void =>
    void hcp.addFault({ kind, when: 'beforeHead', path: '/mapi/logs/prepare', count: 1 })

  test.each(['reset', 'truncate', 'garbage'] as const)(
    'by %s, it is not said to be ours, and nothing is cancelled',
    async (kind) => {
      await using folder = await temporaryFolder()
      await using system = await emulate({ connection: hasty })
      lose(system, kind)
      const error = await system.logs.collect({ folder: folder.path }).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(LogsAmbiguousError)
      expect((error as Error).message).toContain('attach: true')
      expect(asked(system, '/mapi/logs?cancel')).toBe(0)
      expect(asked(system, '/mapi/logs/prepare')).toBe(1)
      expect((await system.logs.status()).state).not.toBe('idle')
    },
  )

  test('the caller may say that it is ours', async () => {
    await using folder = await temporaryFolder()
    await using system = await emulate({ connection: hasty })
    lose(system, 'reset')
    const { cancelled } = await system.logs.collect({
      folder: folder.path,
      takeUncertain: true,
      interval: 10,
    })
    expect(cancelled).toBe(true)
    expect((await system.logs.status()).state).toBe('idle')
  })

  test('what was never carried out is only the error that it was', async () => {
    await using folder = await temporaryFolder()
    await using system = await emulate({ connection: hasty })
    system.hcp.addFault({ kind: 'status', status: 503, path: '/mapi/logs/prepare' })
    await expect(system.logs.collect({ folder: folder.path })).rejects.toMatchObject({ status: 503 })
    expect((await system.logs.status()).state).toBe('idle')
  })
})

const bodyFaults: readonly Fault[] = [
  ...(['reset', 'truncate', 'garbage', 'hang'] as const).map((kind) => ({ kind, when: 'body' as const })),
  { kind: 'reset', when: 'afterHead' },
  { kind: 'truncate', when: 'beforeHead' },
  { kind: 'hang', when: 'afterHead' },
  { kind: 'garbage', when: 'afterHead' },
  { kind: 'garbage', when: 'beforeHead' },
  { kind: 'throttle', when: 'body', bytesPerSecond: 20_000_000 },
  { kind: 'delay', when: 'body', ms: 50 },
]

// All at once: those that hang do nothing but wait.
describe.each(bodyFaults)('a download with $kind $when', { concurrent: true }, (fault) => {
  test(
    'is whole or fails, and a whole one is that of an undisturbed download',
    { timeout: 60_000 },
    async () => {
      await using folder = await temporaryFolder()
      await using system = await emulate({ bytes: 600_000, connection: hasty })
      const { hcp, logs } = system
      await logs.prepare(week)
      await untilState(logs, 'ready')
      const { file, size } = await logs.downloadTo(join(folder.path, 'undisturbed.zip'))
      const expected = await hashOf(file)
      // At places that are spread over all of it, its last bytes included.
      const spread = fault.when === 'body' && fault.kind !== 'throttle' && fault.kind !== 'delay'
      const turns = spread ? (fault.kind === 'hang' ? 2 : 6) : 1
      for (let turn = 0; turn < turns; turn++) {
        const afterBytes = spread ? Math.max(0, Math.round((size * turn) / (turns - 1)) - 12) : 0
        const place = spread ? { afterBytes } : {}
        const disturbing = { ...fault, ...place, path: '/mapi/logs/download' }

        hcp.addFault({ ...disturbing, count: 1 })
        const mended = join(folder.path, `mended-${turn}.zip`)
        const outcome = await logs.downloadTo(mended, { attempts: 5 })
        expect([turn, await hashOf(outcome.file)]).toEqual([turn, expected])

        hcp.addFault({ ...disturbing, count: 10 })
        const broken = join(folder.path, 'broken.zip')
        const last = await logs.downloadTo(broken, { attempts: 2 }).catch((error: unknown) => error)
        await hcp.clearFaults()
        if (last instanceof Error) expect(await onlyPackages(folder.path)).not.toContain('broken.zip')
        else expect(await hashOf(broken)).toBe(expected)
        const harmless = fault.kind === 'throttle' || fault.kind === 'delay'
        expect(last instanceof Error).toBe(!harmless)

        hcp.addFault({ ...disturbing, count: 1 })
        const streamed = await logs
          .download()
          .then((download) => bytesOf(download))
          .catch((error: unknown) => error)
        await hcp.clearFaults()
        // A stream proves only the structure; wrong bytes within it are for the file's check.
        if (Buffer.isBuffer(streamed) && fault.kind !== 'garbage')
          expect(createHash('sha256').update(streamed).digest('hex')).toBe(expected)
        for (const name of await readdir(folder.path)) expect(name).not.toMatch(/part$/)
        await untilState(logs, 'ready')
        await rm(broken, { force: true })
      }
    },
  )
})

test('damage that only the content shows is found by the file’s check', async () => {
  await using folder = await temporaryFolder()
  await using system = await emulate({ bytes: 600_000 })
  const { hcp, logs } = system
  await logs.prepare(week)
  await untilState(logs, 'ready')
  hcp.addFault({ kind: 'garbage', when: 'body', afterBytes: 300_000, path: '/mapi/logs/download' })
  const error = await logs.downloadTo(folder.path, { attempts: 2 }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(LogsDamagedError)
  expect(await onlyPackages(folder.path)).toEqual([])
})

test('a job that is gone in the middle of a download ends it as lost', async () => {
  await using folder = await temporaryFolder()
  await using system = await emulate({ bytes: 8_000_000, connection: hasty })
  const { logs, others } = system
  let cancelled: Promise<void> | undefined
  const collecting = logs.collect({
    ...week,
    folder: folder.path,
    interval: 10,
    onProgress: (progress) => {
      if (progress.phase === 'downloading' && progress.bytes > 1_000_000) cancelled ??= others.cancel()
    },
  })
  await expect(collecting).rejects.toMatchObject({ code: 'LOGS_LOST' })
  await cancelled
  expect(asked(system, '/mapi/logs?cancel')).toBe(1)
  expect(await onlyPackages(folder.path)).toEqual([])
})

test('a disk that is full ends it with the system’s error, frees the job and leaves nothing', async ({
  skip,
}) => {
  await using folder = await temporaryFolder()
  const small = join(folder.path, 'small')
  await mkdir(small)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', small], { stdio: 'ignore' })
  } catch {
    skip('no small file system can be made here')
  }
  try {
    await using system = await emulate({ bytes: 2_000_000 })
    const collecting = system.logs.collect({ ...week, folder: small, interval: 10 })
    await expect(collecting).rejects.toMatchObject({
      code: 'LOGS_FILE',
      problem: 'system',
      cause: { code: 'ENOSPC' },
    })
    expect((await system.logs.status()).state).toBe('idle')
    expect(await onlyPackages(small)).toEqual([])
  } finally {
    execFileSync('umount', [small])
  }
})

// HCP_LOGS_BYTES=1073741824 makes the package as large as real ones.
describe('large packages', () => {
  const large = Number(process.env['HCP_LOGS_BYTES'] ?? 96 * 1024 * 1024)

  test(
    `${Math.round(large / 1024 ** 2)} MiB are collected in less than 150 MB of memory`,
    { timeout: 600_000 },
    async () => {
      await using folder = await temporaryFolder()
      await using system = await emulate({ bytes: large })
      for (const name of ['first', 'second']) await mkdir(join(folder.path, name))
      const first = await collectInChild(system.hcp, join(folder.path, 'first'), 0)
      expect(first?.error).toBeUndefined()
      const outcome = await collectInChild(system.hcp, join(folder.path, 'second'), 8)
      expect(outcome?.error).toBeUndefined()
      expect(outcome?.result?.size).toBeGreaterThan(large * 0.9)
      expect(outcome?.result?.cancelled).toBe(true)
      expect(outcome?.peak).toBeLessThan(150 * 1000 * 1000)
      expect((await system.logs.status()).state).toBe('idle')
    },
  )

  test(
    'a process that is killed at any moment leaves no package that is not whole',
    { timeout: 120_000 },
    async () => {
      await using folder = await temporaryFolder()
      await using system = await emulate({ bytes: 3_000_000 })
      const { logs } = system
      await logs.prepare(week)
      await untilState(logs, 'ready')
      const { size } = await logs.downloadTo(join(folder.path, 'undisturbed.zip'))
      await logs.cancel()
      for (let turn = 0; turn < 4; turn++) {
        const target = join(folder.path, `turn-${turn}`)
        await mkdir(target)
        const at = Math.round((size * turn) / 4)
        const outcome = await collectInChild(
          system.hcp,
          target,
          8,
          ({ phase, bytes }) =>
            (phase === 'downloading' && bytes >= at) || (turn === 3 && phase === 'checking'),
        )
        expect(outcome).toBeUndefined()
        expect((await onlyPackages(target)).filter((name) => name.endsWith('.zip'))).toEqual([])
        // Whoever was killed could not free the job.
        await untilState(logs, 'ready')
        await logs.cancel()
      }
      const { file } = await logs.collect({ ...week, folder: folder.path, interval: 10 })
      expect((await readFile(file)).subarray(0, 2).toString()).toBe('PK')
    },
  )
})
