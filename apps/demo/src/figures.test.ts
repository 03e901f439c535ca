import type { RequestRecord } from '@hcp/emulator'
import { expect, test } from 'vitest'
import { inBytes, percentile, Phase, phaseTable, table } from './figures.ts'

const record = (facts: Partial<RequestRecord>): RequestRecord => ({
  sequence: 1,
  time: 0,
  cluster: 'primary',
  node: 1,
  port: 'https',
  method: 'PUT',
  path: '/rest/a',
  status: 201,
  found: 201,
  bytes: 0,
  sent: 0,
  host: 'n1.m.hcp1.test',
  client: '127.0.0.1',
  user: 'n',
  httpVersion: '1.1',
  milliseconds: 1,
  ...facts,
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

test('counts answers and bytes by node, and times by operation; what had no answer was not served', async () => {
  const phase = new Phase('store')
  phase.served([
    record({ node: 1, bytes: 1000 }),
    record({ node: 1, bytes: 24, status: 404 }),
    record({ node: 1, bytes: 9, status: 0 }),
    record({ node: 3, bytes: 1 }),
  ])
  await expect(phase.timed(() => Promise.resolve('done'))).resolves.toBe('done')
  await expect(phase.timed(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  expect(phase.times).toHaveLength(1)
  const text = phaseTable([phase, new Phase('idle')], 3)
  expect(text).toMatch(/\n {2}store +2, +1\.0 KiB +0, +0 B +1, +1 B +\d+\.\d +\d+\.\d\n/)
  expect(text).toMatch(/\n {2}idle +0, +0 B +0, +0 B +0, +0 B +- +-\n$/)
})
