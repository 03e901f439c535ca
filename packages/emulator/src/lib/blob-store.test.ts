import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer as collect } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { BlobStore, smallBlob } from './blob-store.ts'
import type { Blob, BlobStoreOptions, HashScheme } from './blob-store.ts'

const temporary = tmpdir()
let directory: string
let store: BlobStore

// Stores without a directory put their files there too, so that the tests see them.
beforeEach(async () => {
  directory = await mkdtemp(join(temporary, 'hcp-blobs-'))
  vi.stubEnv('TMPDIR', directory)
})

afterEach(async () => {
  await store?.close()
  await rm(directory, { recursive: true, force: true })
})

async function* chunks(data: Buffer, length = 16_384): AsyncGenerator<Buffer> {
  for (let from = 0; from < data.length; from += length) yield data.subarray(from, from + length)
}

function write(data: Buffer): Promise<Blob> {
  return store.write(chunks(data), 'SHA-256')
}

/** All files below the directory, those of unfinished writes too. */
function files(folder: string = directory): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

const kinds: readonly (readonly [string, (folder: string) => BlobStoreOptions])[] = [
  ['in memory', () => ({})],
  ['in memory that is full', () => ({ memory: 0 })],
  ['in a directory', (folder) => ({ directory: folder })],
  ['in a directory, without cache, synchronised', (folder) => ({ directory: folder, memory: 0, sync: true })],
]

describe.each(kinds)('%s', (_name, options) => {
  beforeEach(async () => {
    store = await BlobStore.open(options(directory))
  })

  test.each([0, 1, 1_000, smallBlob, smallBlob + 1, 3_000_000])(
    'keeps %i bytes as they came',
    async (size) => {
      const data = randomBytes(size)
      const blob = await write(data)
      expect(blob.size).toBe(size)
      expect(blob.md5).toBe(createHash('md5').update(data).digest('hex'))
      const sha256 = createHash('sha256').update(data).digest('hex').toUpperCase()
      expect(blob.hash).toBe(`SHA-256 ${sha256}`)
      expect((await collect(store.read(blob))).equals(data)).toBe(true)
      expect(store.buffer(blob)?.equals(data)).toBe(size <= smallBlob ? true : undefined)
    },
  )

  test.each([1_000, 700_000])('reads any part of %i bytes', async (size) => {
    const data = randomBytes(size)
    const blob = await write(data)
    for (const [start, end] of [
      [0, 0],
      [0, size - 1],
      [1, size - 2],
      [size - 1, size - 1],
      [size >> 1, (size >> 1) + 99],
      [5, 4],
      [size, size - 1],
    ] as const) {
      expect((await collect(store.read(blob, start, end))).equals(data.subarray(start, end + 1))).toBe(true)
    }
    for (const [start, end] of [
      [-1, 5],
      [0, size],
      [7, 5],
      [Number.NaN, 5],
    ] as const) {
      expect(() => store.read(blob, start, end)).toThrow(RangeError)
    }
  })

  test.each([1_000, 700_000])(
    'a deleted blob of %i bytes is gone, but a reader comes to its end',
    async (size) => {
      const data = randomBytes(size)
      const blob = await write(data)
      const reader = store.read(blob)
      await store.delete(blob)
      await store.delete(blob)
      expect(() => store.read(blob)).toThrow(expect.objectContaining({ code: 'BLOB_MISSING' }))
      expect((await collect(reader)).equals(data)).toBe(true)
      expect(files()).toEqual([])
    },
  )

  test.each([0, 1_000, 700_000])('a source that fails after %i bytes leaves nothing behind', async (size) => {
    const failure = new Error('connection reset')
    async function* failing(): AsyncGenerator<Buffer> {
      yield* chunks(randomBytes(size))
      throw failure
    }
    await expect(store.write(failing(), 'MD5')).rejects.toBe(failure)
    expect(files()).toEqual([])
  })

  test.each([1_000, 700_000])(
    'a disk that fills up at %i bytes is ENOSPC and leaves nothing behind',
    async (at) => {
      async function* filling(): AsyncGenerator<Buffer> {
        yield* chunks(randomBytes(at))
        store.setFull(true)
        yield randomBytes(100)
      }
      await expect(store.write(filling(), 'SHA-1')).rejects.toMatchObject({ code: 'ENOSPC' })
      await expect(write(Buffer.alloc(0))).rejects.toMatchObject({ code: 'ENOSPC' })
      expect(files()).toEqual([])
      store.setFull(false)
      expect((await write(randomBytes(at))).size).toBe(at)
    },
  )

  test('after close, writes are refused, also those under way', async () => {
    async function* closing(): AsyncGenerator<Buffer> {
      yield randomBytes(700_000)
      await store.close()
      yield randomBytes(100)
    }
    await expect(store.write(closing(), 'MD5')).rejects.toMatchObject({ code: 'BLOB_CLOSED' })
    await expect(write(randomBytes(10))).rejects.toMatchObject({ code: 'BLOB_CLOSED' })
    expect(files()).toEqual([])
  })
})

test.each<[HashScheme, string]>([
  ['MD5', '900150983CD24FB0D6963F7D28E17F72'],
  ['SHA-1', 'A9993E364706816ABA3E25717850C26C9CD0D89D'],
  ['SHA-256', 'BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD'],
  [
    'SHA-384',
    'CB00753F45A35E8BB5A03D699AC65007272C32AB0EDED1631A8B605A43FF5BED8086072BA1E7CC2358BAECA134C825A7',
  ],
  [
    'SHA-512',
    'DDAF35A193617ABACC417349AE20413112E6FA4E89A97EA20A9EEEE64B55D39A2192992A274FC1A836BA3C23A3FEEBBD454D4423643CE80E2A9AC94FA54CA49F',
  ],
  ['RIPEMD-160', '8EB208F7E05D987A9B044A8E98C6B087F15A0BFC'],
])('%s of "abc" is as published, in one piece and streamed', async (hashScheme, expected) => {
  store = await BlobStore.open()
  const blob = await store.write(chunks(Buffer.from('abc')), hashScheme)
  expect(blob.hash).toBe(`${hashScheme} ${expected}`)
  expect(blob.md5).toBe('900150983cd24fb0d6963f7d28e17f72')
  const large = randomBytes(smallBlob + 1)
  const name = hashScheme.toLowerCase().replace('sha-', 'sha').replace('-160', '160')
  const streamed = await store.write(chunks(large), hashScheme)
  expect(streamed.hash).toBe(`${hashScheme} ${createHash(name).update(large).digest('hex').toUpperCase()}`)
})

test('an unknown hash scheme is a TypeError', async () => {
  store = await BlobStore.open()
  const hashScheme = 'CRC-32' as HashScheme
  await expect(store.write(chunks(Buffer.from('abc')), hashScheme)).rejects.toThrow(TypeError)
})

test('a long body is never more than some chunks ahead of the file', async () => {
  store = await BlobStore.open({ directory })
  const chunk = randomBytes(65_536)
  let sent = 0
  let ahead = 0
  async function* long(): AsyncGenerator<Buffer> {
    for (let turn = 0; turn < 1_000; turn += 1) {
      sent += chunk.length
      yield chunk
      const stored = files().reduce((sum, file) => sum + statSync(file).size, 0)
      ahead = Math.max(ahead, sent - stored)
    }
  }
  const blob = await store.write(long(), 'SHA-256')
  expect(blob.size).toBe(65_536_000)
  expect(ahead).toBeLessThan(2 * 1024 * 1024)
})

test('memory of small blobs stays within its bound, cached or not', async () => {
  const data = randomBytes(10_000)
  store = await BlobStore.open({ directory, memory: 25_000 })
  const blobs: Blob[] = []
  for (let turn = 0; turn < 6; turn += 1) blobs.push(await write(data))
  const held = blobs.map((blob) => store.buffer(blob))
  expect(held.every((buffer) => buffer?.equals(data))).toBe(true)
  // Two fit: of the six, only the two read last are still the same buffers.
  const [first, , , , fifth, last] = blobs
  expect(store.buffer(last!)).toBe(held[5])
  expect(store.buffer(fifth!)).toBe(held[4])
  expect(store.buffer(first!)).not.toBe(held[0])
})

test('a file that cannot be removed harms nobody', async () => {
  store = await BlobStore.open({ directory })
  const blob = await store.write(chunks(Buffer.from('abc')), 'MD5')
  const [file] = files()
  await rm(file!)
  await mkdir(join(file!, 'in the way'), { recursive: true })
  await expect(store.delete(blob)).resolves.toBeUndefined()
})

test('without a directory, large blobs lie in a private folder that close removes', async () => {
  store = await BlobStore.open()
  await write(randomBytes(1_000))
  expect(await readdir(directory)).toEqual([])
  await write(randomBytes(smallBlob + 1))
  const [spool] = await readdir(directory)
  expect(spool).toMatch(/^hcp-emulator-/)
  expect(statSync(join(directory, spool!)).mode & 0o777).toBe(0o700)
  await store.close()
  await store.close()
  expect(await readdir(directory)).toEqual([])
})

test('a process that ends without closing removes the folder too', async () => {
  const script = `
    import { BlobStore } from ${JSON.stringify(join(import.meta.dirname, 'blob-store.ts'))}
    const store = await BlobStore.open()
    await store.write((async function* () { yield Buffer.alloc(1_000_000) })(), 'MD5')
    process.exit(3)`
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  await expect(run).rejects.toMatchObject({ code: 3 })
  expect(await readdir(directory)).toEqual([])
})

describe('opened again', () => {
  test('has its blobs, and keep removes what nobody refers to', async () => {
    store = await BlobStore.open({ directory })
    const small = await write(randomBytes(1_000))
    const large = await write(randomBytes(700_000))
    const orphan = await write(randomBytes(2_000))
    await store.close()
    await writeFile(`${files()[0]}.new`, 'cut off')

    store = await BlobStore.open({ directory })
    const absent = 'ffffffff-0000-4000-8000-000000000000'
    const kept = await store.keep(new Set([small.id, large.id, absent]))
    expect(kept).toEqual({ removed: 2, missing: [absent] })
    expect(files()).toHaveLength(2)
    expect((await collect(store.read(large))).length).toBe(700_000)
    expect(store.buffer(small)).toHaveLength(1_000)
    expect(() => store.buffer(orphan)).toThrow(expect.objectContaining({ code: 'BLOB_MISSING' }))
  })

  test('says when a file is not as long as it was', async () => {
    store = await BlobStore.open({ directory })
    const blobs = [await write(randomBytes(1_000)), await write(randomBytes(700_000))]
    await store.close()
    for (const file of files()) await truncate(file, 999)
    store = await BlobStore.open({ directory })
    for (const blob of blobs) {
      expect(() => store.read(blob)).toThrow(expect.objectContaining({ code: 'BLOB_DAMAGED' }))
    }
  })

  test('keep after a write is refused, since it would remove it', async () => {
    store = await BlobStore.open({ directory })
    await write(randomBytes(10))
    await expect(store.keep(new Set())).rejects.toThrow(/before the first write/)
    expect(files().every((file) => existsSync(file))).toBe(true)
    expect(files()).toHaveLength(1)
  })
})
