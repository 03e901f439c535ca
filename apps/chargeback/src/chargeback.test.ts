import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { countOf, row, sizeOf } from './table.ts'

const run = promisify(execFile)
const main = fileURLToPath(new URL('main.ts', import.meta.url))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function program(...options: readonly string[]): Promise<Ended> {
  try {
    const { stdout, stderr } = await run(process.execPath, [main, ...options], { timeout: 30_000 })
    return { code: 0, stdout, stderr }
  } catch (error) {
    return error as Ended
  }
}

test('without a system it reports what was used on an emulated one', async () => {
  const { code, stdout, stderr } = await program()
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^tenant\/namespace +objects +ingested +stored +in +out +reads +writes +deletes$/m)
  expect(stdout).toMatch(/^m {20,}4 +390\.6 KiB .* 4 +4 +0$/m)
  expect(code).toBe(0)
})

test('a tenant that does not exist is told of, and the others are reported', async () => {
  const { code, stdout } = await program('--granularity', 'day', 'nobody', 'm')
  expect(stdout).toMatch(/^nobody: GET .* was answered with 404/m)
  expect(stdout).toMatch(/^m \d{4}-\d\d-\d\d +4 /m)
  expect(code).toBe(1)
})

test.each([
  [['--granularity', 'week'], "--granularity is total, day or hour, not 'week'."],
  [['--days', '400'], "--days takes a whole number from 1 to 180, not '400'."],
  [['--system', 'admin.hcp.test'], 'A real system needs --user'],
  [['--colour'], "Unknown option '--colour'"],
])('the command line %j is refused with the usage', async (options, message) => {
  const { code, stderr } = await program(...options)
  expect(stderr).toContain(message)
  expect(stderr).toContain('usage:')
  expect(code).toBe(2)
})

describe('a line', () => {
  test.each<[number | bigint, string]>([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1048575, '1.0 MiB'],
    [9223372036854775807n, '8.0 EiB'],
  ])('tells %s bytes as %s', (bytes, text) => {
    expect(sizeOf(bytes)).toBe(text)
  })

  test('tells counts whole, whatever their size', () => {
    expect(countOf(9223372036854775807n)).toBe('9,223,372,036,854,775,807')
  })

  const record = {
    scope: 'namespace' as const,
    systemName: 'hcp.test',
    tenantName: 'm',
    namespaceName: 'n1',
    startTime: new Date('2021-05-01T10:00:00Z'),
    endTime: new Date('2021-05-01T10:59:59Z'),
    objectCount: 1,
    ingestedVolume: 2,
    storageCapacityUsed: 3,
    bytesIn: 4,
    bytesOut: 5,
    reads: 6,
    writes: 7,
    deletes: 8,
    deleted: 'true' as const,
    valid: false,
  }

  test('tells what is not whole, what is deleted, and of which interval it is', () => {
    expect(row(record, 'hour')).toMatch(/^ {2}n1 2021-05-01T10:00Z +1 .* 8 incomplete deleted$/)
    expect(row(record, 'day')).toMatch(/^ {2}n1 2021-05-01 +1 /)
    for (const midnight of [
      '2021-05-01T00:00:00+02:00',
      '2021-05-01T00:00:00-08:00',
      '2021-05-01T00:00:00+11:00',
    ])
      expect(row({ ...record, startTime: new Date(midnight) }, 'day')).toMatch(/^ {2}n1 2021-05-01 +1 /)
    expect(row({ ...record, scope: 'tenant', deleted: 'included', valid: true })).toMatch(/^m {20,}1 .* 8$/)
  })
})
