import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from './database.ts'
import { whileHeld } from './leases.ts'
import { openDatabase } from './open-database.ts'
import { dialects, Stores } from './stores.testing.ts'

const stores = new Stores()
afterAll(() => stores[Symbol.asyncDispose]())

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Wants a lease, and tells what becomes of it. */
class Candidate {
  readonly #stopping = new AbortController()
  readonly done: Promise<void>
  readonly turns: AbortSignal[] = []
  #began = Promise.withResolvers<void>()

  constructor(database: Database, seconds: number, work = untilAborted) {
    this.done = whileHeld(
      database,
      'leader',
      { stopping: this.#stopping.signal, seconds },
      async (signal) => {
        this.turns.push(signal)
        this.#began.resolve()
        this.#began = Promise.withResolvers()
        await work(signal)
      },
    )
    onTestFinished(() => this.stop())
  }

  get turn(): Promise<void> {
    return this.#began.promise
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.done
  }
}

describe.each(dialects)('on %s', (dialect) => {
  async function open(): Promise<Database> {
    const database = await stores.open(dialect)
    onTestFinished(() => database.close())
    return database
  }

  test('a lease is held by one at a time, and goes on when it is given back', async () => {
    const database = await open()
    const first = new Candidate(database, 2)
    await first.turn
    const second = new Candidate(database, 2)
    const third = new Candidate(database, 2)
    // Longer than the lease: it has been renewed.
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect([first.turns.length, second.turns.length, third.turns.length]).toEqual([1, 0, 0])
    expect(first.turns[0]?.aborted).toBe(false)
    const next = Promise.race([second.turn, third.turn])
    await first.stop()
    await next
    expect(second.turns.length + third.turns.length).toBe(1)
  })

  test('who has lost the lease is told, and tries to get it again', async () => {
    const database = await open()
    const holder = new Candidate(database, 1)
    await holder.turn
    const again = holder.turn
    await database.write.updateTable('leases').set({ holder: 'thief', until: 0 }).execute()
    await again
    expect(holder.turns.map((signal) => signal.aborted)).toEqual([true, false])
  })

  test('work that fails is tried again, and the lease is free meanwhile', async () => {
    const database = await open()
    let failures = 0
    const holder = new Candidate(database, 1, async (signal) => {
      failures += 1
      if (failures < 3) throw new Error('no')
      await untilAborted(signal)
    })
    await expect.poll(() => failures, { timeout: 5000 }).toBe(3)
    await holder.stop()
    expect(await database.read.selectFrom('leases').selectAll().execute()).toEqual([])
  })

  test('while the store does not answer, the work ends before the lease does', async () => {
    const database = await open()
    let gone = false
    const away: Database = {
      ...database,
      get write() {
        if (gone) throw new Error('gone')
        return database.write
      },
    }
    const holder = new Candidate(away, 1)
    await holder.turn
    gone = true
    await untilAborted(holder.turns[0] as AbortSignal)
    const aborted = Date.now()
    const { until } = await database.read.selectFrom('leases').select('until').executeTakeFirstOrThrow()
    expect(until / 1000).toBeGreaterThan(aborted)
  })
})

test('when a process is killed, another one takes over within the time of the lease', async () => {
  const url = await stores.url('postgres')
  await using database = await openDatabase(url)
  const child = await holderProcess(url)
  const second = new Candidate(database, 3)
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(second.turns).toHaveLength(0)
  const killed = performance.now()
  child.kill('SIGKILL')
  await second.turn
  expect(performance.now() - killed).toBeLessThan(5000)
})

async function holderProcess(url: string): Promise<ChildProcess> {
  const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
  const program = `
    import { openDatabase } from ${JSON.stringify(here('open-database.ts'))}
    import { whileHeld } from ${JSON.stringify(here('leases.ts'))}
    const database = await openDatabase(process.argv[1])
    const stopping = new AbortController().signal
    await whileHeld(database, 'leader', { stopping, seconds: 3 }, () => {
      console.log('held')
      return new Promise(() => {})
    })`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
  await once(createInterface(child.stdout), 'line')
  return child
}
