import { expect, test } from 'vitest'
import { inParallel } from './in-parallel.ts'

test('does each item once, and never more than the limit at a time', async () => {
  const seen: number[] = []
  let running = 0
  let most = 0
  await inParallel(
    Array.from({ length: 50 }, (_, index) => index),
    4,
    async (item) => {
      most = Math.max(most, ++running)
      await new Promise(setImmediate)
      seen.push(item)
      running--
    },
  )
  expect(seen.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 50 }, (_, index) => index))
  expect(most).toBe(4)
})

test('begins nothing after a failure, waits for what was begun, and rejects with the first error', async () => {
  const begun: number[] = []
  const ended: number[] = []
  const working = inParallel([0, 1, 2, 3, 4, 5], 2, async (item) => {
    begun.push(item)
    await new Promise(setImmediate)
    if (item === 0) throw new Error('the first')
    await new Promise(setImmediate)
    ended.push(item)
  })
  await expect(working).rejects.toThrow('the first')
  expect(begun).toEqual([0, 1])
  expect(ended).toEqual([1])
})

test('has nothing to do with an empty list', async () => {
  await expect(inParallel([], 3, () => Promise.reject(new Error('never')))).resolves.toBeUndefined()
})
