import { spawn } from 'node:child_process'
import { appendFile, mkdtemp, open, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BlobStore } from './blob-store.ts'
import type { Blob } from './blob-store.ts'
import { Journal } from './journal.ts'

let directory: string
let file: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hcp-journal-'))
  file = join(directory, 'journal.jsonl')
})

afterEach(() => rm(directory, { recursive: true, force: true }))

async function records(): Promise<object[]> {
  await using journal = await Journal.open(directory)
  const found: object[] = []
  for await (const record of journal.replay()) found.push(record)
  return found
}

async function write(...entries: object[]): Promise<void> {
  await using journal = await Journal.open(directory)
  await Promise.all(entries.map((entry) => journal.append(entry)))
}

describe('replay gives back', () => {
  test('nothing of a new journal', async () => {
    expect(await records()).toEqual([])
    expect(await records()).toEqual([])
  })

  test('every record in the order of the calls, over several openings', async () => {
    await write({ number: 1 }, { number: 2 })
    await write({ number: 3 })
    expect(await records()).toEqual([{ number: 1 }, { number: 2 }, { number: 3 }])
  })

  test('records as they were when appended', async () => {
    const journal = await Journal.open(directory, { sync: true })
    const record = { name: 'before' }
    const written = journal.append(record)
    record.name = 'after'
    await written
    await journal.close()
    expect(await records()).toEqual([{ name: 'before' }])
  })

  test('any JSON whatever its characters', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue())),
        async (entries) => {
          await rm(file, { force: true })
          const plain = JSON.parse(JSON.stringify(entries)) as object[]
          await write(...plain)
          // Compared as text: `__proto__` is a key like any other in JSON.
          expect(JSON.stringify(await records())).toBe(JSON.stringify(plain))
        },
      ),
      { numRuns: 30 },
    )
  })

  test('long records and many', async () => {
    const long = 'ü'.repeat(3_000_000)
    const many = Array.from({ length: 20_000 }, (_, number) => ({ number }))
    await write({ long }, ...many, { long })
    expect(await records()).toEqual([{ long }, ...many, { long }])
  })
})

describe('a file that was cut off', () => {
  test('at any byte loses no complete record and takes new ones', async () => {
    await write({ text: 'ä1' }, { text: 'ö2' }, { text: 'ü3' })
    const whole = await readFile(file)
    const ends: number[] = []
    for (let at = whole.indexOf(10); at >= 0; at = whole.indexOf(10, at + 1)) ends.push(at + 1)
    const all = await records()
    for (let length = 0; length < whole.length; length += 1) {
      await writeFile(file, whole.subarray(0, length))
      const complete = Math.max(0, ends.filter((end) => end <= length).length - 1)
      await write({ text: 'new' })
      expect(await records()).toEqual([...all.slice(0, complete), { text: 'new' }])
    }
  })

  test('in a record longer than a block is cut back to the one before', async () => {
    await write({ number: 1 })
    await appendFile(file, `{"long":"${'x'.repeat(200_000)}`)
    expect(await records()).toEqual([{ number: 1 }])
  })
})

describe('refuses', () => {
  test.each([
    ['no JSON', '{"number":'],
    ['no record', '17'],
    ['an array', '[]'],
    ['null', 'null'],
    ['an empty line', ''],
    ['a line of zeros', '\0\0\0\0'],
  ])('%s in the middle, with the number of the line', async (_what, line) => {
    await write({ number: 1 })
    await appendFile(file, `${line}\n{"number":3}\n`)
    await using journal = await Journal.open(directory)
    const seen: object[] = []
    const reading = (async () => {
      for await (const record of journal.replay()) seen.push(record)
    })()
    await expect(reading).rejects.toMatchObject({
      name: 'JournalError',
      code: 'JOURNAL_CORRUPT',
      line: 3,
      message: expect.stringContaining('line 3') as string,
    })
    expect(seen).toEqual([{ number: 1 }])
  })

  test('bytes that are no UTF-8', async () => {
    await write({ number: 1 })
    await appendFile(file, Buffer.from('7b2261223a22ff227d0a', 'hex'))
    await expect(records()).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT', line: 3 })
  })

  test.each(['{"some":"other file"}\n', 'plain text\nmore\n'])(
    'a file that is no journal: %j',
    async (text) => {
      await writeFile(file, text)
      await expect(Journal.open(directory)).rejects.toMatchObject({ code: 'JOURNAL_FORMAT' })
      expect(await readFile(file, 'utf8')).toBe(text)
    },
  )

  test('a folder that is in use, until it is free', async () => {
    const first = await Journal.open(directory)
    await expect(Journal.open(directory)).rejects.toMatchObject({
      code: 'JOURNAL_LOCKED',
      message: expect.stringContaining('in use') as string,
    })
    await first.append({ number: 1 })
    await first.close()
    expect(await records()).toEqual([{ number: 1 }])
  })

  test('records after close, but writes those before', async () => {
    const journal = await Journal.open(directory)
    const waiting = [journal.append({ number: 1 }), journal.append({ number: 2 })]
    await Promise.all([journal.close(), journal.close(), ...waiting])
    await expect(journal.append({ number: 3 })).rejects.toMatchObject({ code: 'JOURNAL_CLOSED' })
    await expect(journal.compact(() => [])).rejects.toMatchObject({ code: 'JOURNAL_CLOSED' })
    expect(await records()).toEqual([{ number: 1 }, { number: 2 }])
  })
})

test('appends of one moment share a write', async () => {
  const journal = await Journal.open(directory)
  const sizes = new Set<number>()
  await Promise.all(
    Array.from({ length: 1_000 }, (_, number) =>
      journal.append({ number }).then(() => sizes.add(journal.size)),
    ),
  )
  await journal.close()
  expect(sizes.size).toBe(1)
})

test('appends made as others are acknowledged are all written', async () => {
  const journal = await Journal.open(directory)
  const worker = async (name: number): Promise<void> => {
    for (let number = 0; number < 50; number += 1) {
      await journal.append({ name, number })
      for (let turn = 0; turn < name; turn += 1) await Promise.resolve()
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, name) => worker(name)))
  await journal.close()
  expect(await records()).toHaveLength(400)
})

describe('compact', () => {
  test('leaves the given records and those appended after', async () => {
    const journal = await Journal.open(directory)
    await Promise.all(Array.from({ length: 100 }, (_, number) => journal.append({ number })))
    const before = journal.size
    await journal.compact(() => [{ total: 100 }])
    expect(journal.size).toBeLessThan(before)
    await journal.append({ number: 100 })
    await journal.close()
    expect(await records()).toEqual([{ total: 100 }, { number: 100 }])
  })

  test('loses nothing that is appended meanwhile, whether applied before or after the append', async () => {
    const journal = await Journal.open(directory)
    const state = new Map<string, number>()
    function* snapshot(): Generator<object> {
      for (const [key, value] of state) yield { key, value }
    }
    const before = async (key: string): Promise<void> => {
      state.set(key, 1)
      await journal.append({ key, value: 1 })
    }
    const after = async (key: string): Promise<void> => {
      await journal.append({ key, value: 1 })
      state.set(key, 1)
    }
    const compactions: Promise<void>[] = []
    const worker = async (name: number): Promise<void> => {
      for (let number = 0; number < 60; number += 1) {
        if (number % 20 === name) compactions.push(journal.compact(snapshot))
        await (number % 2 === 0 ? before : after)(`${name}/${number}`)
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, name) => worker(name)))
    await Promise.all(compactions)
    await journal.close()
    const replayed = new Set((await records()).map((record) => (record as { key: string }).key))
    expect([...replayed].toSorted()).toEqual([...state.keys()].toSorted())
    expect(replayed.size).toBe(480)
  })

  test('that fails leaves the old records, and no second file', async () => {
    const journal = await Journal.open(directory)
    await journal.append({ number: 1 })
    const failure = new Error('no snapshot')
    await expect(
      journal.compact(function* () {
        yield { number: 2 }
        throw failure
      }),
    ).rejects.toBe(failure)
    await journal.append({ number: 3 })
    await journal.close()
    expect(await readdir(directory)).toEqual(['journal.jsonl'])
    expect(await records()).toEqual([{ number: 1 }, { number: 3 }])
  })

  test('that a kill cut off leaves the old records', async () => {
    await write({ number: 1 })
    const half = await open(`${file}.new`, 'w')
    await half.write('{"format":"hcp-emul')
    await half.close()
    expect(await records()).toEqual([{ number: 1 }])
    expect(await readdir(directory)).toEqual(['journal.jsonl'])
  })
})

/**
 * Stores blobs and journals them from several workers without end, compacts now and then, and prints each blob's id
 * once the journal has acknowledged it.
 */
const writer = (folder: string): string => `
  import { randomBytes } from 'node:crypto'
  import { writeSync } from 'node:fs'
  import { BlobStore } from ${JSON.stringify(join(import.meta.dirname, 'blob-store.ts'))}
  import { Journal } from ${JSON.stringify(join(import.meta.dirname, 'journal.ts'))}
  const journal = await Journal.open(${JSON.stringify(folder)})
  const store = await BlobStore.open({ directory: ${JSON.stringify(join(folder, 'blobs'))} })
  const blobs = new Map()
  for await (const { blob } of journal.replay()) blobs.set(blob.id, blob)
  await store.keep(new Set(blobs.keys()))
  let count = 0
  async function work(size) {
    for (;;) {
      const data = randomBytes(size)
      const source = (async function* () { yield data.subarray(0, 100); yield data.subarray(100) })()
      const blob = await store.write(source, 'SHA-256')
      await journal.append({ blob })
      blobs.set(blob.id, blob)
      writeSync(1, blob.id + '\\n')
      count += 1
      if (count % 40 === 0) void journal.compact(function* () { for (const blob of blobs.values()) yield { blob } })
    }
  }
  await Promise.all([100, 1_000, 5_000, 300_000, 100, 1_000].map(work))`

test('every blob acknowledged before kill -9 is there and whole after it', async () => {
  const acknowledged = new Set<string>()
  for (const killAfter of [1, 60, 170]) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', writer(directory)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = new Promise<NodeJS.Signals | null>((resolve) => {
      child.once('exit', (_code, signal) => resolve(signal))
    })
    let seen = 0
    for await (const id of createInterface({ input: child.stdout })) {
      if (id.length === 36) acknowledged.add(id)
      seen += 1
      if (seen === killAfter) child.kill('SIGKILL')
    }
    expect(await exited).toBe('SIGKILL')

    const journal = await Journal.open(directory)
    const store = await BlobStore.open({ directory: join(directory, 'blobs') })
    const blobs = new Map<string, Blob>()
    for await (const record of journal.replay())
      blobs.set((record['blob'] as Blob).id, record['blob'] as Blob)
    expect((await store.keep(new Set(blobs.keys()))).missing).toEqual([])
    expect([...acknowledged].filter((id) => !blobs.has(id))).toEqual([])
    for (const blob of blobs.values()) {
      const again = await store.write(store.read(blob), 'SHA-256')
      expect(again).toEqual({ ...blob, id: again.id })
      await store.delete(again)
    }
    await store.close()
    await journal.close()
  }
})
