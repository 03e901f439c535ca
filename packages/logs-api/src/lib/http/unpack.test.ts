import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import type { FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import { unpacked } from './unpack.ts'

const request = (encoding?: string) =>
  ({ headers: encoding === undefined ? {} : { 'content-encoding': encoding } }) as unknown as FastifyRequest
const text = Buffer.from('a line of a log\n'.repeat(1000))
const packed = gzipSync(text)

describe('a body', () => {
  test.each([
    ['as it is', undefined, text],
    ['identity', 'identity', text],
    ['gzip', 'gzip', packed],
    ['GZIP', ' GZIP ', packed],
    ['x-gzip', 'x-gzip', packed],
    [
      'gzip of two members',
      'gzip',
      Buffer.concat([gzipSync(text.subarray(0, 99)), gzipSync(text.subarray(99))]),
    ],
  ])('is read: %s', async (_name, encoding, body) => {
    const pieces = Array.from({ length: Math.ceil(body.length / 7) }, (_, at) =>
      body.subarray(at * 7, at * 7 + 7),
    )
    const read = await buffer(unpacked(request(encoding), Readable.from(pieces), text.length))
    expect(read.equals(text)).toBe(true)
  })

  test.each([
    ['too large', undefined, text, 413],
    ['too large once unpacked', 'gzip', packed, 413],
    ['a bomb', 'gzip', gzipSync(Buffer.alloc(20_000_000)), 413],
    ['too large before it is unpacked', 'gzip', gzipSync(Buffer.alloc(0)).subarray(0, 10), 413, 5],
    ['not gzip', 'gzip', text, 400],
    ['cut off', 'gzip', packed.subarray(0, -9), 400],
    ['changed', 'gzip', Buffer.concat([packed.subarray(0, -8), Buffer.alloc(8)]), 400],
  ])('is refused: %s', async (_name, encoding, body, status, limit = text.length - 1) => {
    const size = status === 400 ? text.length * 2 : limit
    const reading = buffer(unpacked(request(encoding), Readable.from([body], { objectMode: false }), size))
    await expect(reading).rejects.toMatchObject({ name: 'Refusal', status })
  })

  test('that nobody reads ends no process, whatever is wrong with it', async () => {
    const errors: unknown[] = []
    const note = (error: unknown) => errors.push(error)
    process.on('uncaughtException', note)
    for (const body of [Buffer.alloc(0), text, packed.subarray(0, -9)]) {
      unpacked(request('gzip'), Readable.from([body], { objectMode: false }), 9_999_999)
      const broken = new Readable({ read: () => {} })
      unpacked(request('gzip'), broken, 9)
      unpacked(request(), broken, 9)
      broken.destroy(new Error('gone'))
    }
    await setTimeout(50)
    process.off('uncaughtException', note)
    expect(errors).toEqual([])
  })

  test.each(['br', 'deflate', 'gzip, gzip', 'zstd'])('is refused when packed by %s', (encoding) => {
    expect(() => unpacked(request(encoding), Readable.from([brotliCompressSync(text)]), 9)).toThrow(
      expect.objectContaining({ status: 415 }),
    )
  })
})
