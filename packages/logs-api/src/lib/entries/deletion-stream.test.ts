import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { ServiceLog } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import { deletionStream } from './deletion-stream.ts'
import type { Deletion } from './entry.ts'

const log: ServiceLog = { info() {}, warn() {}, error() {} }
const stopping = new AbortController().signal

async function* steps(total: number, size: number): AsyncGenerator<Deletion, void> {
  for (let removed = 0; removed < total; removed += size) yield { removed, total }
  yield { removed: total, total }
}

const parse = (lines: string): unknown[] =>
  lines
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line))

afterEach(() => {
  vi.useRealTimers()
})

describe('A-1: the lines of a deletion', () => {
  test('are one for each entry where there are few', async () => {
    const { lines } = await deletionStream(steps(6, 1), { stopping, log })
    const deleting = [0, 1, 2, 3, 4, 5, 6].map((removed) => ({
      status: 'deleting',
      percent_complete: (100 * removed) / 6,
      total: 6,
    }))
    expect(parse(await text(lines))).toEqual([
      ...deleting,
      { status: 'complete', percent_complete: 100, total: 6 },
    ])
  })

  test('are at least one for each percent where there are many, and no more', async () => {
    const { lines } = await deletionStream(steps(100_000, 100), { stopping, log })
    expect(parse(await text(lines))).toHaveLength(102)
  })

  test('are just the last where there is nothing', async () => {
    const { lines } = await deletionStream(steps(0, 1), { stopping, log })
    expect(await text(lines)).toBe('{"status":"complete","percent_complete":100,"total":0}\n')
  })

  test('come every second while nothing moves', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const go = Promise.withResolvers<void>()
    async function* slow(): AsyncGenerator<Deletion, void> {
      yield { removed: 0, total: 1000 }
      yield { removed: 5, total: 1000 }
      await go.promise
    }
    const { lines } = await deletionStream(slow(), { stopping, log })
    await new Promise(setImmediate)
    vi.advanceTimersByTime(2000)
    go.resolve()
    const all = parse(await text(lines)) as { percent_complete: number }[]
    expect(all.map((line) => line.percent_complete)).toEqual([0, 0.5, 0.5, 100])
  })

  test('end with an error when it fails midway, and tell nothing of its cause', async () => {
    async function* failing(): AsyncGenerator<Deletion, void> {
      yield { removed: 0, total: 4 }
      yield { removed: 1, total: 4 }
      throw new Error('password of the database')
    }
    const { lines } = await deletionStream(failing(), { stopping, log })
    expect(parse(await text(lines)).at(-1)).toEqual({
      status: 'error',
      percent_complete: 25,
      total: 4,
      error: 'The store failed. Repeat the request to remove the rest.',
    })
  })

  test('end with an error when the service stops', async () => {
    const stop = new AbortController()
    async function* endless(): AsyncGenerator<Deletion, void> {
      yield { removed: 0, total: 4 }
      stop.abort()
      for (;;) yield { removed: 1, total: 4 }
    }
    const { lines } = await deletionStream(endless(), { stopping: stop.signal, log })
    expect(parse(await text(lines)).at(-1)).toMatchObject({ status: 'error', percent_complete: 25 })
  })

  test('rejects when it cannot begin, so that the answer can have a status', async () => {
    const failing: AsyncIterable<Deletion> = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Refusal(503, 'busy')) }),
    }
    await expect(deletionStream(failing, { stopping, log })).rejects.toMatchObject({ status: 503 })
  })

  test('goes on when the reader leaves', async () => {
    let removed = 0
    const go = Promise.withResolvers<void>()
    async function* counted(): AsyncGenerator<Deletion, void> {
      for (; removed < 100; removed++) {
        if (removed === 10) await go.promise
        yield { removed, total: 100 }
      }
    }
    const { lines, ended } = await deletionStream(counted(), { stopping, log })
    lines.destroy()
    go.resolve()
    await ended
    expect(removed).toBe(100)
  })

  test('goes on when nobody reads', async () => {
    const { ended } = await deletionStream(steps(1_000_000, 100), { stopping, log })
    await ended
  })
})
