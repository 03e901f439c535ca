import { link, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HcpHashError, HcpResponseError } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { transferInChild } from '../../test/child.ts'
import { clientOf } from '../../test/emulated.ts'
import { contentFor, sha256 } from '../../test/trees.ts'
import { download, type DownloadedFile, type DownloadOptions } from './download.ts'
import { ObjectConditionError, ObjectNotFoundError } from './errors.ts'
import type { ObjectClient } from './object-client.ts'
import type { Progress } from './progress.ts'

let hcp: Emulator
let plain: ObjectClient
let versioned: ObjectClient
let folder: string
let file: string
let path: string
let number = 0

const partSize = 65_536
const size = 20 * partSize + 123
const content = contentFor('large', size)

beforeAll(async () => {
  hcp = await startEmulator()
  plain = clientOf(hcp, 'n1')
  versioned = clientOf(hcp, 'n2')
})
afterAll(async () => {
  await plain.close()
  await versioned.close()
  await hcp.close()
})
beforeEach(async () => {
  await hcp.clearFaults()
  folder = await mkdtemp(join(tmpdir(), 'hcp-download-'))
  file = join(folder, 'file.bin')
  path = `/rest/download/${number++}`
})
afterEach(() => rm(folder, { recursive: true }))

const lastRequest = (): number => hcp.requests().at(-1)?.sequence ?? 0
const gets = (since: number): ReturnType<Emulator['requests']> =>
  hcp.requests(since).filter(({ method }) => method === 'GET')
const bytesSent = (since: number): number => gets(since).reduce((sum, { bytes }) => sum + bytes, 0)

/** Fetches in parts and is ended when so many bytes are there. */
async function interrupted(client: ObjectClient, at: number, options: DownloadOptions = {}): Promise<void> {
  const stop = new AbortController()
  const reason = new Error('enough')
  const run = download(client, path, file, {
    partSize,
    concurrency: 1,
    signal: stop.signal,
    onProgress: ({ transferred }) => transferred >= at && stop.abort(reason),
    ...options,
  })
  await expect(run).rejects.toBe(reason)
}

describe('the file is the object', () => {
  test.each([
    [0, 1],
    [1, 1],
    [partSize, 1],
    [partSize + 1, 2],
    [size, 21],
  ])('of %i bytes, by %i GETs', async (length, requests) => {
    const bytes = content.subarray(0, length)
    const stored = await plain.put(path, bytes)
    const since = lastRequest()
    const done = await download(plain, path, file, { partSize })
    expect(done).toEqual<DownloadedFile>({
      path,
      file,
      size: length,
      hash: { scheme: 'SHA-256', hex: sha256(bytes) },
      versionId: stored.versionId,
      resumedBytes: 0,
    })
    expect((await readFile(file)).equals(bytes)).toBe(true)
    expect(gets(since)).toHaveLength(requests)
    expect(await readdir(folder)).toEqual(['file.bin'])
  })

  test('parts come from several nodes at a time', async () => {
    await plain.put(path, content)
    const since = lastRequest()
    await download(plain, path, file, { partSize, concurrency: 4 })
    expect(new Set(gets(since).map(({ node }) => node)).size).toBeGreaterThan(2)
  })

  test('an old version is fetched by its id', async () => {
    const { versionId = '' } = await versioned.put(path, content)
    await versioned.put(path, 'newer')
    const done = await download(versioned, path, file, { partSize, version: versionId })
    expect(done.versionId).toBe(versionId)
    expect(sha256(await readFile(file))).toBe(sha256(content))
  })

  test('progress goes from nothing to all', async () => {
    await plain.put(path, content)
    const seen: Progress[] = []
    await download(plain, path, file, { partSize, onProgress: (progress) => seen.push(progress) })
    expect(seen[0]).toEqual({ transferred: 0, total: size })
    expect(seen.at(-1)).toEqual({ transferred: size, total: size })
    expect(seen.every(({ transferred }, at) => transferred >= (seen[at - 1]?.transferred ?? 0))).toBe(true)
  })

  test('a name as long as the file system takes', async () => {
    await plain.put(path, content)
    await download(plain, path, join(folder, 'n'.repeat(255)), { partSize })
    expect(await readdir(folder)).toEqual(['n'.repeat(255)])
  })

  test('an object that changes on the way is still one version', async () => {
    await versioned.put(path, content)
    let changing: Promise<unknown> | undefined
    const done = await download(versioned, path, file, {
      partSize,
      concurrency: 2,
      onProgress: ({ transferred }) => {
        if (transferred > 0) changing ??= versioned.put(path, contentFor('other', size))
      },
    })
    await changing
    expect(sha256(await readFile(file))).toBe(sha256(content))
    expect(done.size).toBe(size)
  })

  test('an object that is replaced on the way where HCP keeps no versions is not fetched', async () => {
    await plain.put(path, content)
    let replaced = false
    const run = download(plain, path, file, {
      partSize,
      concurrency: 1,
      // The next request is served after this one.
      onProgress: ({ transferred }) => {
        if (transferred < 3 * partSize || replaced) return
        replaced = true
        hcp.addFault({ kind: 'status', status: 412, method: 'GET' })
      },
    })
    await expect(run).rejects.toBeInstanceOf(ObjectConditionError)
    expect(await readdir(folder)).toEqual([])
  })
})

describe('what was begun is gone on with', () => {
  test('after an abort: only what is missing is fetched', async () => {
    await plain.put(path, content)
    await interrupted(plain, 15 * partSize)
    expect(await readdir(folder)).toEqual(['file.bin.hcp-part', 'file.bin.hcp-part.jsonl'])
    const since = lastRequest()
    const done = await download(plain, path, file, { partSize })
    expect(done.resumedBytes).toBeGreaterThanOrEqual(14 * partSize)
    expect(bytesSent(since)).toBe(size - done.resumedBytes)
    expect((await readFile(file)).equals(content)).toBe(true)
    expect(await readdir(folder)).toEqual(['file.bin'])
  })

  const transferred =
    (bytes: number) =>
    (line: string): boolean =>
      ((JSON.parse(line) as Partial<Progress>).transferred ?? 0) >= bytes

  test('after kill -9', async () => {
    await plain.put(path, content)
    const work = { kind: 'one', namespace: 'n1', local: file, path }
    hcp.addFault({ kind: 'throttle', bytesPerSecond: 2_000_000, method: 'GET' })
    expect(await transferInChild(hcp, work, { killWhen: transferred(10 * partSize) })).toBeUndefined()
    await hcp.clearFaults()
    expect(await readdir(folder)).not.toContain('file.bin')
    const since = lastRequest()
    const { result } = (await transferInChild(hcp, work)) as { result: DownloadedFile }
    expect(result.resumedBytes).toBeGreaterThan(0)
    expect(bytesSent(since)).toBe(size - result.resumedBytes)
    expect((await readFile(file)).equals(content)).toBe(true)
    expect(await readdir(folder)).toEqual(['file.bin'])
  })

  test('not with another version: that is fetched from its beginning', async () => {
    await versioned.put(path, content)
    await interrupted(versioned, 15 * partSize)
    const newer = contentFor('newer', size)
    await versioned.put(path, newer)
    const done = await download(versioned, path, file, { partSize })
    expect(done.resumedBytes).toBe(0)
    expect(sha256(await readFile(file))).toBe(sha256(newer))
  })

  test('not if that is not wanted', async () => {
    await plain.put(path, content)
    await interrupted(plain, 15 * partSize)
    expect((await download(plain, path, file, { partSize, resume: false })).resumedBytes).toBe(0)
    await rm(file)
    await interrupted(plain, 15 * partSize, { resume: false })
    expect(await readdir(folder)).toEqual([])
  })

  test('if what was left is damaged, all is fetched anew', async () => {
    await plain.put(path, content)
    await interrupted(plain, 15 * partSize)
    const handle = await open(`${file}.hcp-part`, 'r+')
    await handle.write(Buffer.alloc(10, 1), 0, 10, 100)
    await handle.close()
    const done = await download(plain, path, file, { partSize })
    expect(done.resumedBytes).toBe(0)
    expect((await readFile(file)).equals(content)).toBe(true)
  })

  test.each([
    ['the content is gone', () => rm(`${file}.hcp-part`)],
    ['the content is cut', () => writeFile(`${file}.hcp-part`, 'x')],
    ['the journal is nonsense', () => writeFile(`${file}.hcp-part.jsonl`, 'nonsense\n')],
    ['the journal is gone', () => rm(`${file}.hcp-part.jsonl`)],
  ])('if %s, all is fetched anew', async (_, damage) => {
    await plain.put(path, content)
    await interrupted(plain, 15 * partSize)
    await damage()
    expect((await download(plain, path, file, { partSize })).resumedBytes).toBe(0)
    expect((await readFile(file)).equals(content)).toBe(true)
    expect(await readdir(folder)).toEqual(['file.bin'])
  })
})

describe('nothing but the object ever has the name', () => {
  test.each([[partSize - 1], [size]])(
    'content that is damaged each time is refused: %i bytes',
    async (length) => {
      await plain.put(path, content.subarray(0, length))
      hcp.addFault({ kind: 'garbage', when: 'body', method: 'GET' })
      await expect(download(plain, path, file, { partSize })).rejects.toBeInstanceOf(HcpHashError)
      expect(await readdir(folder)).toEqual([])
    },
  )

  test.each([[partSize - 1], [size]])(
    'content that is damaged once is fetched anew: %i bytes',
    async (length) => {
      await plain.put(path, content.subarray(0, length))
      hcp.addFault({ kind: 'garbage', when: 'body', method: 'GET', count: 1 })
      await download(plain, path, file, { partSize })
      expect((await readFile(file)).equals(content.subarray(0, length))).toBe(true)
    },
  )

  test('a file that is there is left alone, and nothing is sent', async () => {
    await plain.put(path, content)
    await writeFile(file, 'mine')
    const since = lastRequest()
    const run = download(plain, path, file)
    await expect(run).rejects.toMatchObject({ code: 'HCP_LOCAL_FILE', problem: 'exists', file })
    expect(hcp.requests(since)).toEqual([])
    expect(await readFile(file, 'utf8')).toBe('mine')
  })

  test('a file that comes to be there meanwhile is left alone', async () => {
    await plain.put(path, content)
    let made: Promise<void> | undefined
    const run = download(plain, path, file, {
      partSize,
      onProgress: () => {
        made ??= writeFile(file, 'mine')
      },
    })
    await expect(run).rejects.toMatchObject({ problem: 'exists' })
    await made
    expect(await readFile(file, 'utf8')).toBe('mine')
  })

  test('`overwrite` replaces a file when the new one is whole', async () => {
    await plain.put(path, content)
    await writeFile(file, 'mine')
    hcp.addFault({ kind: 'status', status: 403, method: 'GET', count: 1 })
    const options = { partSize, overwrite: true }
    await expect(download(plain, path, file, options)).rejects.toBeInstanceOf(HcpResponseError)
    expect(await readFile(file, 'utf8')).toBe('mine')
    await download(plain, path, file, options)
    expect((await readFile(file)).equals(content)).toBe(true)
  })

  test('a process killed just before it would have removed the temporary name does no harm', async () => {
    // Both are names of one file then.
    for (const length of [partSize, size]) {
      const name = `${file}-${length}`
      await writeFile(name, 'whole')
      await link(name, `${name}.hcp-part`)
      await plain.put(path + length, content.subarray(0, length))
      const copy = join(folder, 'copy')
      await link(name, copy)
      await download(plain, path + length, name, { partSize, overwrite: true })
      expect(await readFile(copy, 'utf8')).toBe('whole')
      expect((await readFile(name)).equals(content.subarray(0, length))).toBe(true)
      await rm(copy)
    }
    expect((await readdir(folder)).filter((name) => name.includes('hcp-part'))).toEqual([])
  })

  test('two calls do not fetch into one file', async () => {
    await plain.put(path, content)
    hcp.addFault({ kind: 'delay', ms: 100 })
    const calls = await Promise.allSettled([1, 2].map(() => download(plain, path, file, { partSize })))
    const [done, refused] = calls.toSorted((a, b) => (a.status < b.status ? -1 : 1))
    expect(done?.status).toBe('fulfilled')
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'HCP_LOCAL_FILE', problem: 'busy' } })
    expect((await readFile(file)).equals(content)).toBe(true)
  })
})

describe('failures', () => {
  test('an object that is not there, or a folder', async () => {
    await plain.put(`${path}/a`, 'x')
    await expect(download(plain, `${path}/none`, file)).rejects.toBeInstanceOf(ObjectNotFoundError)
    await expect(download(plain, path, file)).rejects.toBeInstanceOf(ObjectNotFoundError)
    expect(await readdir(folder)).toEqual([])
  })

  test('a folder that is not there, or a folder in the place of the file', async () => {
    await plain.put(path, 'x')
    await expect(download(plain, path, join(folder, 'none/x'))).rejects.toMatchObject({
      problem: 'system',
      cause: { code: 'ENOENT' },
    })
    await mkdir(file)
    await expect(download(plain, path, file, { overwrite: true })).rejects.toMatchObject({ problem: 'kind' })
  })

  test.each([[partSize - 1], [size]])(
    'a disk that takes no more is told, and nothing useless is left: %i bytes',
    async (length) => {
      await plain.put(path, content.subarray(0, length))
      const work = { kind: 'one', namespace: 'n1', local: file, path }
      const said = await transferInChild(hcp, work, { fileSize: 64 })
      expect(said?.['error']).toMatch(/^LocalFileError: cannot write .*EFBIG/)
      expect(await readdir(folder)).toEqual([])
    },
  )

  test.each([
    [{ partSize: 10 }, RangeError, 'partSize'],
    [{ concurrency: 0 }, RangeError, 'concurrency'],
    [{ overwrite: 1 }, TypeError, 'overwrite'],
    [{ version: 'x' }, RangeError, 'version'],
    [{ parts: 3 }, TypeError, '"parts"'],
  ])('wrong options are refused by name: %j', async (options, type, name) => {
    const run = download(plain, path, file, options as DownloadOptions)
    await expect(run).rejects.toThrow(type)
    await expect(download(plain, path, file, options as DownloadOptions)).rejects.toThrow(name)
  })
})
