import { expect, test } from 'vitest'
import { inOrder, inParallel } from './parallel.ts'

const items = Array.from({ length: 30 }, (_, index) => index)

/** Work that ends when it is told to, and what is running of it. */
class Work {
  running = 0
  most = 0
  done: number[] = []

  async of(item: number): Promise<number> {
    this.running += 1
    this.most = Math.max(this.most, this.running)
    // Later ones are often done sooner.
    for (let turn = 0; turn <= (item * 7) % 5; turn++) await Promise.resolve()
    this.running -= 1
    this.done.push(item)
    return item
  }
}

test('so many at a time, and all of them', async () => {
  const work = new Work()
  await inParallel(items, 8, async (item) => void (await work.of(item)))
  expect(work.most).toBe(8)
  expect(work.done.toSorted((a, b) => a - b)).toEqual(items)
})

test('after a failure none is begun, and it waits for those that were', async () => {
  const work = new Work()
  const failing = inParallel(items, 4, async (item) => {
    await work.of(item)
    if (item === 6) throw new Error('six')
  })
  await expect(failing).rejects.toThrow('six')
  expect(work.running).toBe(0)
  expect(work.done.length).toBeLessThan(15)
})

test('results come in the order of the items, made ahead, so many at a time', async () => {
  const work = new Work()
  const results = await Array.fromAsync(inOrder(items, 8, (item) => work.of(item)))
  expect(results).toEqual(items)
  expect(work.most).toBeGreaterThan(1)
  expect(work.most).toBeLessThanOrEqual(8)
})

test('who leaves ends what was begun, and a failure comes at its place', async () => {
  const aborted: number[] = []
  const seen: number[] = []
  const results = inOrder(items, 4, async (item, signal) => {
    signal.addEventListener('abort', () => aborted.push(item))
    if (item === 2) throw new Error('two')
    return item
  })
  await expect(
    (async () => {
      for await (const result of results) seen.push(result)
    })(),
  ).rejects.toThrow('two')
  expect(seen).toEqual([0, 1])
  expect(aborted).toContain(5)
})
