import { assert, integer, property, string, uint8Array } from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import { bucketInId, bucketOf, derivedLogId, mayBelong, newLogId } from './log-id.ts'

afterEach(() => void vi.useRealTimers())

const buckets = integer({ min: 0, max: 4095 })

test('an id is a UUID of version 7 in 32 hexadecimal digits, with the time and the bucket in it', () => {
  assert(
    property(buckets, (bucket) => {
      const before = Date.now()
      const id = newLogId(bucket)
      expect(id).toMatch(/^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/)
      // The counter may have run over into milliseconds to come.
      expect(Number.parseInt(id.slice(0, 12), 16)).toBeGreaterThanOrEqual(before)
      expect(bucketInId(id)).toBe(bucket)
    }),
  )
})

test('each id is above all before it, also beyond 4,096 in a millisecond', () => {
  vi.useFakeTimers({ now: 1_800_000_000_000 })
  let last = newLogId(4095)
  for (let count = 0; count < 20_000; count++) {
    const next = newLogId(count % 4096)
    expect(next > last).toBe(true)
    last = next
  }
})

test('each id is above all before it when the clock is set back', () => {
  vi.useFakeTimers({ now: 1_900_000_000_000 })
  const before = newLogId(1)
  vi.setSystemTime(1_700_000_000_000)
  const after = newLogId(1)
  expect(after > before).toBe(true)
})

test('the last two bytes are spread, so that folders fill evenly', () => {
  const folders = new Set(Array.from({ length: 2_000 }, () => newLogId(7).slice(30)))
  expect(folders.size).toBeGreaterThan(250)
})

test('a derived id is the same for the same arguments, and differs with each of them', () => {
  const milliseconds = integer({ min: 0, max: 2 ** 48 - 1 })
  const digests = uint8Array({ minLength: 9, maxLength: 32 })
  assert(
    property(milliseconds, digests, buckets, (time, digest, bucket) => {
      const id = derivedLogId(time, digest, bucket)
      expect(derivedLogId(time, Uint8Array.from(digest), bucket)).toBe(id)
      expect(bucketInId(id)).toBe(bucket)
      expect(Number.parseInt(id.slice(0, 12), 16)).toBe(time)
      const other = Uint8Array.from(digest)
      other[4] = (other[4] as number) ^ 1
      expect(derivedLogId(time, other, bucket)).not.toBe(id)
    }),
  )
})

test('the bucket of a dataset never changes: ids that are out there name it', () => {
  expect(bucketOf(null)).toBe(0xe3b)
  expect(bucketOf('')).toBe(0xe3b)
  expect(bucketOf('hcp1finance')).toBe(0x66d)
  expect(bucketOf('größe')).toBe(0xd35)
  assert(property(string(), (dataset) => bucketOf(dataset) === bucketOf(dataset) && bucketOf(dataset) < 4096))
})

test('an id tells whether it may be of a dataset', () => {
  const id = newLogId(bucketOf('hcp1finance'))
  expect(mayBelong(id, 'hcp1finance')).toBe(true)
  expect(mayBelong(id, 'other')).toBe(false)
})

test.each([
  '',
  'x',
  'logs',
  '5f0c2d7ae49b11ef9c3e0242ac120002',
  newLogId(1).toUpperCase(),
  `${newLogId(1)}0`,
])('%j is no id', (text) => {
  expect(bucketInId(text)).toBeUndefined()
})
