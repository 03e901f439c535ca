import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Allowance, defaultLimits } from './archive-limits.ts'
import { bunzip2 } from './bzip2.ts'
import type { Bytes } from './bytes.ts'
import { samples } from './compressed.testing.ts'
import { LogPackageError } from './errors.ts'
import { bytesOf, inPieces } from './packages.testing.ts'
import { unpack } from './unpack.ts'
import { unxz } from './xz.ts'

const allowance = (): Allowance => new Allowance(defaultLimits)
const unpacked = async (source: Bytes): Promise<Buffer> =>
  bytesOf((await unpack(source, 'here', allowance())).content)

/** Whether content comes out whole; anything but an error that says so is a failure. */
async function outcome(source: Bytes, expected: Buffer): Promise<'whole' | 'refused' | 'other content'> {
  try {
    return (await unpacked(source)).equals(expected) ? 'whole' : 'other content'
  } catch (error) {
    if (error instanceof LogPackageError && error.problem === 'damaged' && error.place === 'here')
      return 'refused'
    throw error
  }
}

describe.each(samples)('$name', ({ content, bzip2, xz }) => {
  const forms = { none: content, gzip: gzipSync(content), bzip2, xz }
  test.each(Object.entries(forms))('%s is undone, whatever the pieces it comes in', async (form, bytes) => {
    for (const size of [1, 7, 1000, 1_000_000]) {
      const { compression, content: found } = await unpack(inPieces(bytes, size), 'here', allowance())
      expect(compression).toBe(form)
      expect((await bytesOf(found)).equals(content)).toBe(true)
    }
  })
})

const [text] = samples.filter(({ name }) => name === 'text')
const decoders = { bzip2: bunzip2, xz: unxz }

describe.each(['bzip2', 'xz'] as const)('damaged %s', (form) => {
  const { content = Buffer.alloc(0), [form]: bytes = Buffer.alloc(0) } = text ?? {}

  test('content that was cut is never taken for whole', async () => {
    const cuts = [0.1, 0.5, 0.9].map((part) => Math.floor(bytes.length * part))
    for (const length of [...cuts, bytes.length - 1, bytes.length - 4, bytes.length - 9])
      expect([length, await outcome(inPieces(bytes.subarray(0, length), 999), content)]).toEqual([
        length,
        'refused',
      ])
  })

  test('a changed byte never gives other content, and never hangs', async () => {
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }))
    await fc.assert(
      fc.asyncProperty(change, async ([at, difference]) => {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] as number) ^ difference
        // In the first bytes it may be no longer such content at all; then it is given as it is.
        fc.pre(at >= 10)
        expect(await outcome(inPieces(changed, 4096), content)).not.toBe('other content')
      }),
      { numRuns: 60 },
    )
  })

  test('what follows is not left out in silence', async () => {
    const junk = Buffer.concat([bytes, Buffer.from('something else')])
    expect(await outcome(inPieces(junk, 4096), content)).toBe('refused')
    const twice = await outcome(
      inPieces(Buffer.concat([bytes, bytes]), 4096),
      Buffer.concat([content, content]),
    )
    expect(twice).toBe(form === 'bzip2' ? 'whole' : 'refused')
  })

  test('no more is read than the reader has asked for', async () => {
    let read = 0
    async function* source(): AsyncGenerator<Uint8Array, void> {
      for (let count = 0; count < 50; count++) {
        for await (const piece of inPieces(bytes, 16_384)) {
          read += piece.length
          yield piece
        }
      }
    }
    const iterator = decoders[form](source())[Symbol.asyncIterator]()
    await iterator.next()
    await new Promise((resolve) => setTimeout(resolve, 20))
    // A block's worth for bzip2, a piece or two for xz.
    expect(read).toBeLessThanOrEqual(Math.max(200_000, 2 * bytes.length))
    await iterator.return?.()
  })

  test('what goes wrong in the source comes through as it is', async () => {
    const failure = new Error('the disk is gone')
    async function* source(): AsyncGenerator<Uint8Array, void> {
      yield bytes.subarray(0, 2000)
      throw await Promise.resolve(failure)
    }
    await expect(bytesOf(decoders[form](source()))).rejects.toBe(failure)
  })
})

test('xz in xz comes to an end', async () => {
  const { content = Buffer.alloc(0), xz = Buffer.alloc(0) } = text ?? {}
  // Two at a time, each waiting for the other's reader.
  const [one, two] = [unxz(inPieces(xz, 999)), unxz(inPieces(xz, 999))].map((each) =>
    each[Symbol.asyncIterator](),
  )
  const first = await Promise.all([one?.next(), two?.next()])
  expect(first.map((result) => result?.done)).toEqual([false, false])
  await one?.return?.()
  await two?.return?.()
  expect((await bytesOf(unxz(inPieces(xz, 999)))).equals(content)).toBe(true)
})

test('a run in bzip2 that is longer than any block is refused at once', async () => {
  // 40 symbols that double the run in a row: added up without a bound they overflow.
  const bits: string[] = []
  const put = (value: number, count: number): void => void bits.push(value.toString(2).padStart(count, '0'))
  for (const byte of Buffer.from('BZh11AY&SY')) put(byte, 8)
  put(0, 32)
  put(0, 1)
  put(0, 24)
  put(0x8000, 16)
  put(0x4000, 16)
  put(2, 3)
  put(1, 15)
  put(0, 1)
  // Three symbols of the lengths 1, 2, 2, in both codes.
  for (let code = 0; code < 2; code++) bits.push('00001', '0', '100', '0')
  for (let run = 0; run < 40; run++) put(0, 1)
  put(3, 2)
  while (bits.join('').length % 8 !== 0) bits.push('0')
  const bytes = Buffer.from((bits.join('').match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
  await expect(bytesOf(bunzip2(inPieces(bytes, 100)))).rejects.toThrow('a block is too large')
})

test('what unpacks to thousands of times its size is refused before it is unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  const strict = new Allowance({ ...defaultLimits, ratio: 100 })
  let seen = 0
  const reading = async (): Promise<void> => {
    for await (const piece of (await unpack(inPieces(bomb, 512), 'here', strict)).content)
      seen += piece.length
  }
  await expect(reading()).rejects.toMatchObject({ problem: 'limit', place: 'here' })
  expect(seen).toBeLessThan(20 * 1024 * 1024)
})
