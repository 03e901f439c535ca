import { expect, test } from 'vitest'
import { inBytes, nodeTable, percentile, PhaseFigures, type Served, table, timeTable } from './figures.ts'

const served = (address: string, connect: number, total: number, attempts = 1, settled = false): Served => ({
  address,
  attempts,
  settled,
  timing: { wait: 0, dns: 0, connect, tls: connect, firstByte: total / 2, total },
})

test.each([
  [[], 50, undefined],
  [[7], 50, 7],
  [[7], 99, 7],
  [[1, 2], 50, 1],
  [[1, 2, 3], 50, 2],
  [Array.from({ length: 100 }, (_, index) => index + 1), 99, 99],
  [Array.from({ length: 101 }, (_, index) => index + 1), 99, 100],
  [[1, 2, 3], 0, 1],
  [[1, 2, 3], 100, 3],
])('takes the nearest rank of %j at %d %%', (sorted, percent, expected) => {
  expect(percentile(sorted, percent)).toBe(expected)
})

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [32 * 1024 ** 2, '32.0 MiB'],
  [5 * 1024 ** 5, '5120.0 TiB'],
])('writes %d bytes as %s', (bytes, expected) => {
  expect(inBytes(bytes)).toBe(expected)
})

test('sets the first column to the left and the others to the right', () => {
  expect(
    table(
      ['', 'b'],
      [
        ['long name', '1'],
        ['x', '1000'],
      ],
    ),
  ).toBe('                b\n  ---------  ----\n  long name     1\n  x          1000\n')
})

test('counts requests and bytes by node, and times by phase, connects only where one was made', () => {
  const phase = new PhaseFigures('store')
  phase.add(served('127.0.0.1', 2, 30), 1000)
  phase.add(served('127.0.0.1', 0, 10), 24)
  phase.add(served('127.0.0.3', 5, 20, 2, true), 1)
  expect(phase).toMatchObject({ requests: 3, repeated: 1, settled: 1 })
  expect(phase.times).toEqual({ connect: [4, 10], firstByte: [5, 10, 15], total: [10, 20, 30] })
  const nodes = nodeTable([phase], ['127.0.0.1', '127.0.0.2', '127.0.0.3'])
  expect(nodes).toContain('  store  2,  1.0 KiB  0,      0 B  1,      1 B\n')
  expect(timeTable([phase, new PhaseFigures('idle')])).toMatch(
    /\n {2}store +3 +4\.0 +10\.0 +10\.0 +15\.0 +20\.0 +30\.0\n {2}idle +0 +- +- +- +- +- +-\n/,
  )
})
