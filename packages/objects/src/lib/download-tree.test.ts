import {
  appendFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HcpHashError } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { transferInChild } from '../../test/child.ts'
import { clientOf } from '../../test/emulated.ts'
import { contentFor, sha256, treeOf } from '../../test/trees.ts'
import { downloadTree, type DownloadTreeOptions } from './download-tree.ts'
import { ObjectNotFoundError } from './errors.ts'
import type { ObjectClient } from './object-client.ts'
import { TransferStoppedError } from './transfer-errors.ts'
import type { FileEvent, TransferProgress, TransferSummary } from './transfer-summary.ts'

let hcp: Emulator
let client: ObjectClient
let folder: string
let tree: string
let journal: string
let path: string
let number = 0

beforeAll(async () => {
  hcp = await startEmulator()
  client = clientOf(hcp, 'n2')
})
afterAll(async () => {
  await client.close()
  await hcp.close()
})
beforeEach(async () => {
  await hcp.clearFaults()
  folder = await mkdtemp(join(tmpdir(), 'hcp-download-'))
  tree = join(folder, 'tree')
  journal = join(folder, 'journal.jsonl')
  path = `/rest/tree/${number++}`
})
afterEach(() => rm(folder, { recursive: true }))

const files = {
  'a.txt': 10,
  empty: 0,
  'b/c.bin': 100_000,
  'b/d/größe+100%?#.txt': 1_000,
  'b/d/line\nfeed': 5,
  'b/large': 3_000_000,
}
const count = Object.keys(files).length

async function store(
  what: Readonly<Record<string, number>>,
  at: string = path,
): Promise<Map<string, string>> {
  const stored = new Map<string, string>()
  for (const [name, size] of Object.entries(what)) {
    const content = contentFor(name, size)
    const encoded = `${at}/${name.split('/').map(encodeURIComponent).join('/')}`
    // Of much content HCP's disks take their time, and this is not what is tested.
    await client.put(encoded, content, { encoded: true, headersTimeout: 60_000 })
    stored.set(name, sha256(content))
  }
  return new Map([...stored].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const counts = ({ files, stored, identical, resumed, failed, ignored }: TransferSummary): unknown => ({
  files,
  stored,
  identical,
  resumed,
  failed: failed.length,
  ignored,
})
const none = { stored: 0, identical: 0, resumed: 0, failed: 0, ignored: 0 }
const lastRequest = (): number => hcp.requests().at(-1)?.sequence ?? 0
const many = (length: number, size: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length }, (_, index) => [`d${index % 3}/f${index}`, size]))

describe('a tree is fetched', () => {
  test('every object becomes the file of its name, and nothing else is left', async () => {
    const stored = await store(files)
    await client.connection.put(`${path}/none/at/all`, null, { params: { type: 'directory' } })
    const events: FileEvent[] = []
    const summary = await downloadTree(client, path, tree, { onFile: (event) => events.push(event) })
    expect(counts(summary)).toEqual({ ...none, files: count, stored: count })
    expect(summary.bytes).toBe(Object.values(files).reduce((sum, size) => sum + size))
    expect(await treeOf(tree)).toEqual(stored)
    expect((await readdir(tree)).toSorted()).toEqual(['a.txt', 'b', 'empty', 'none'])
    expect((await stat(join(tree, 'none/at/all'))).isDirectory()).toBe(true)
    expect(events.find(({ file }) => file === 'b/d/line\nfeed')).toEqual({
      file: 'b/d/line\nfeed',
      path: `${path}/b/d/line\nfeed`,
      outcome: 'stored',
      size: 5,
      error: undefined,
    })
  })

  test('a client of one connection is enough', async () => {
    const stored = await store(many(20, 1_000))
    const narrow = clientOf(hcp, 'n2', { connections: 1 })
    await downloadTree(narrow, path, tree)
    await narrow.close()
    expect(await treeOf(tree)).toEqual(stored)
  })

  test('a directory of more entries than are kept in memory', async () => {
    await hcp.seed({
      namespace: 'n2.m',
      directory: `${path.slice('/rest'.length)}/many`,
      count: 2_500,
      size: 3,
    })
    const summary = await downloadTree(client, path, tree)
    expect(counts(summary)).toEqual({ ...none, files: 2_500, stored: 2_500 })
    expect(await readdir(join(tree, 'many'))).toHaveLength(2_500)
    expect(await readdir(tree)).toEqual(['many'])
  })

  test.each([[true], [false]])('a second run fetches nothing, with a journal: %s', async (withJournal) => {
    await store(files)
    const options = withJournal ? { journal } : {}
    await downloadTree(client, path, tree, options)
    const since = lastRequest()
    const again = await downloadTree(client, path, tree, options)
    expect(counts(again)).toEqual({ ...none, files: count, [withJournal ? 'resumed' : 'identical']: count })
    const gets = hcp.requests(since).filter(({ path: at }) => !/\/(?:\d+|b|b\/d)$/.test(at))
    expect(gets).toEqual([])
  })

  test.each([
    ['ingest', { modified: 'ingest' as const }],
    ['ingest', {}],
    ['change', { modified: 'change' as const }],
  ])('files have the time of %s', async (which, options) => {
    await store({ a: 1 })
    await client.changeMetadata(`${path}/a`, { index: true })
    const { ingestTime, changeTime } = await client.head(`${path}/a`)
    await downloadTree(client, path, tree, options)
    expect((await stat(join(tree, 'a'))).mtimeMs).toBe(
      (which === 'ingest' ? ingestTime : changeTime)?.getTime(),
    )
  })

  test('or of now', async () => {
    const began = Date.now()
    await store({ a: 1 })
    await downloadTree(client, path, tree, { modified: 'now' })
    expect((await stat(join(tree, 'a'))).mtimeMs).toBeGreaterThanOrEqual(began - 10)
  })
})

describe('what is there already', () => {
  test('other content is left alone and named', async () => {
    await store({ a: 10, b: 10 })
    await mkdir(tree)
    await writeFile(join(tree, 'a'), 'mine')
    const summary = await downloadTree(client, path, tree)
    expect(counts(summary)).toEqual({ ...none, files: 2, stored: 1, failed: 1 })
    expect(summary.failed[0]).toMatchObject({ file: 'a', path: `${path}/a`, error: { problem: 'exists' } })
    expect(await readFile(join(tree, 'a'), 'utf8')).toBe('mine')
  })

  test('`overwrite` replaces it, and only it', async () => {
    const stored = await store({ a: 10, b: 10 })
    await downloadTree(client, path, tree)
    await writeFile(join(tree, 'a'), 'other text')
    const outside = join(folder, 'outside')
    await link(join(tree, 'a'), outside)
    const summary = await downloadTree(client, path, tree, { overwrite: true })
    expect(counts(summary)).toEqual({ ...none, files: 2, stored: 1, identical: 1 })
    expect(await treeOf(tree)).toEqual(stored)
    expect(await readFile(outside, 'utf8')).toBe('other text')
  })

  test('a file that changed since the journal was written is compared', async () => {
    await store({ a: 10, b: 10, c: 10 })
    await downloadTree(client, path, tree, { journal })
    await appendFile(join(tree, 'a'), 'more')
    await utimes(join(tree, 'b'), 1, 1)
    const again = await downloadTree(client, path, tree, { journal })
    expect(counts(again)).toEqual({ ...none, files: 3, resumed: 1, identical: 1, failed: 1 })
  })

  test('an object that has a newer version is fetched, if it may replace the older', async () => {
    await store({ a: 10, b: 10 })
    await downloadTree(client, path, tree, { journal })
    await client.put(`${path}/a`, 'newer')
    const again = await downloadTree(client, path, tree, { journal, overwrite: true })
    expect(counts(again)).toEqual({ ...none, files: 2, resumed: 1, stored: 1 })
    expect(await readFile(join(tree, 'a'), 'utf8')).toBe('newer')
  })

  test('a folder in the place of a file, and a file in that of a folder', async () => {
    await store({ a: 1, 'b/c': 1, 'b/d': 1 })
    await mkdir(join(tree, 'a'), { recursive: true })
    await writeFile(join(tree, 'b'), 'mine')
    const summary = await downloadTree(client, path, tree, { overwrite: true })
    expect(summary.stored).toBe(0)
    expect(summary.failed.map(({ file }) => file).toSorted()).toEqual(['a', 'b/', 'b/c', 'b/d'])
    for (const { error } of summary.failed) expect(error).toMatchObject({ problem: 'kind' })
    expect(await readFile(join(tree, 'b'), 'utf8')).toBe('mine')
  })
})

describe('nothing is written outside the folder', () => {
  test('not through links to folders, nor to files', async () => {
    await store({ 'a/file': 5, b: 5, c: 5 })
    const outside = join(folder, 'outside')
    await mkdir(outside)
    await mkdir(tree)
    await symlink(outside, join(tree, 'a'))
    await symlink(join(outside, 'b'), join(tree, 'b'))
    const summary = await downloadTree(client, path, tree)
    expect(summary.failed.map(({ file }) => file).toSorted()).toEqual(['a/', 'a/file', 'b'])
    await downloadTree(client, path, tree, { overwrite: true })
    expect(await readdir(outside)).toEqual([])
    // With `overwrite` the link itself was replaced.
    expect(sha256(await readFile(join(tree, 'b')))).toBe(sha256(contentFor('b', 5)))
  })

  test('names that cannot be files are named as failed', async () => {
    await store({ a: 1 })
    for (const encoded of ['%FF', 'bad%C3/x']) await client.put(`${path}/${encoded}`, 'x', { encoded: true })
    const summary = await downloadTree(client, path, tree)
    expect(summary.stored).toBe(1)
    expect(summary.failed.map(({ file }) => file).toSorted()).toEqual(['%FF', 'bad%C3/', 'bad%C3/x'])
    for (const { error } of summary.failed) expect(error).toMatchObject({ problem: 'name' })
  })

  test('the names that the transfer needs itself are not overwritten', async () => {
    await store({ '.hcp-transfer/0.part': 5, j: 5 })
    const summary = await downloadTree(client, path, tree, { journal: join(tree, 'j') })
    expect(summary.failed.map(({ file }) => file).toSorted()).toEqual([
      '.hcp-transfer/',
      '.hcp-transfer/0.part',
      'j',
    ])
    expect(await readdir(tree)).toEqual(['j'])
  })
})

describe('failures', () => {
  test('an object that fails does not end the others', async () => {
    await store(files)
    hcp.addFault({ kind: 'status', status: 403, method: 'GET', path: `${path}/b/large` })
    const summary = await downloadTree(client, path, tree)
    expect(counts(summary)).toEqual({ ...none, files: count, stored: count - 1, failed: 1 })
    expect(summary.failed[0]).toMatchObject({ file: 'b/large', error: { status: 403 } })
  })

  test('content that is damaged each time never gets its name', async () => {
    await store({ a: 100_000, b: 10 })
    hcp.addFault({ kind: 'garbage', when: 'body', method: 'GET', path: `${path}/a` })
    const summary = await downloadTree(client, path, tree)
    expect(summary.failed[0]?.error).toBeInstanceOf(HcpHashError)
    expect(await readdir(tree)).toEqual(['b'])
  })

  test('a listing that breaks off is read anew', async () => {
    const stored = await store(many(30, 10))
    hcp.addFault({ kind: 'truncate', when: 'body', afterBytes: 3_000, method: 'GET', path, count: 3 })
    const summary = await downloadTree(client, path, tree)
    expect(counts(summary)).toEqual({ ...none, files: 30, stored: 30 })
    expect(await treeOf(tree)).toEqual(stored)
  })

  test('a directory that cannot be listed is named', async () => {
    await store({ a: 1, 'b/c': 1 })
    hcp.addFault({ kind: 'status', status: 403, method: 'GET', path: `${path}/b` })
    const summary = await downloadTree(client, path, tree)
    expect(counts(summary)).toEqual({ ...none, files: 2, stored: 1, failed: 1 })
    expect(summary.failed[0]).toMatchObject({ file: 'b/', path: `${path}/b`, error: { status: 403 } })
  })

  test('a directory that is not there', async () => {
    await expect(downloadTree(client, `${path}/none`, tree)).rejects.toBeInstanceOf(ObjectNotFoundError)
  })

  test('`maxFailures` ends it, with the summary so far', async () => {
    await store(many(30, 1))
    hcp.addFault({ kind: 'status', status: 403, method: 'GET', path: `${path}/d0/` })
    hcp.addFault({ kind: 'status', status: 403, method: 'GET', path: `${path}/d1/` })
    const run = downloadTree(client, path, tree, { maxFailures: 3 })
    const error = (await run.catch((error: unknown) => error)) as TransferStoppedError
    expect(error).toBeInstanceOf(TransferStoppedError)
    expect(error.summary.failed).toHaveLength(3)
  })

  test('two transfers do not write one folder', async () => {
    await store({ a: 1 })
    hcp.addFault({ kind: 'delay', ms: 100 })
    const calls = await Promise.allSettled([1, 2].map(() => downloadTree(client, path, tree)))
    const [done, refused] = calls.toSorted((a, b) => (a.status < b.status ? -1 : 1))
    expect(done).toMatchObject({ status: 'fulfilled', value: { stored: 1 } })
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'HCP_LOCAL_FILE', problem: 'busy' } })
  })

  test.each([
    [{ concurrency: 0 }, RangeError, 'concurrency'],
    [{ overwrite: 1 }, TypeError, 'overwrite'],
    [{ modified: 'never' }, RangeError, 'modified'],
    [{ existing: 'fail' }, TypeError, '"existing"'],
  ])('wrong options are refused by name: %j', async (options, type, name) => {
    const run = downloadTree(client, path, tree, options as DownloadTreeOptions)
    await expect(run).rejects.toThrow(type)
    await expect(downloadTree(client, path, tree, options as DownloadTreeOptions)).rejects.toThrow(name)
    await expect(stat(tree)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('stopping and going on', () => {
  test('an abort rejects with its reason; the next run does the rest', async () => {
    const stored = await store(many(40, 1_000))
    const stop = new AbortController()
    const reason = new Error('enough')
    let done = 0
    const onFile = (): void => {
      if (++done === 10) stop.abort(reason)
    }
    const run = downloadTree(client, path, tree, { journal, signal: stop.signal, onFile })
    await expect(run).rejects.toBe(reason)
    const since = lastRequest()
    const second = await downloadTree(client, path, tree, { journal })
    expect(second.resumed).toBeGreaterThanOrEqual(10)
    expect(second.resumed + second.stored + second.identical).toBe(40)
    const gets = hcp.requests(since).filter(({ path: at }) => /\/f\d+$/.test(at))
    expect(gets).toHaveLength(second.stored)
    expect(await treeOf(tree)).toEqual(stored)
  })

  test.each([[true], [false]])(
    'after kill -9 a second run completes it, with a journal: %s',
    async (withJournal) => {
      const stored = await store(many(60, 20_000))
      const work = {
        kind: 'download',
        namespace: 'n2',
        local: tree,
        path,
        ...(withJournal ? { journal } : {}),
      }
      expect(await transferInChild(hcp, work, { killWhen: (_, lines) => lines === 15 })).toBeUndefined()
      expect((await treeOf(tree)).size).toBeLessThan(60)
      const { result } = (await transferInChild(hcp, work)) as { result: TransferSummary }
      expect(result.failed).toEqual([])
      expect(result.stored + result.identical + result.resumed).toBe(60)
      expect(withJournal ? result.resumed : result.identical).toBeGreaterThan(0)
      expect(await treeOf(tree)).toEqual(stored)
      expect(await readdir(tree)).not.toContain('.hcp-transfer')
    },
  )

  test('a large file goes on from what is there after kill -9', { timeout: 60_000 }, async () => {
    const size = 70 * 1024 * 1024
    const stored = await store({ large: size })
    const work = { kind: 'download', namespace: 'n2', local: tree, path }
    // The first part does not come on, so what comes after the next three is a fifth, which begins when one of them is done.
    hcp.addFault({
      kind: 'hang',
      when: 'body',
      afterBytes: 1_000_000,
      method: 'GET',
      path: `${path}/large`,
      count: 1,
    })
    const far = (line: string): boolean => {
      const { bytes = 0 } = JSON.parse(line) as Partial<TransferProgress>
      return bytes > 50 * 1024 * 1024
    }
    expect(await transferInChild(hcp, work, { killWhen: far })).toBeUndefined()
    const since = lastRequest()
    const { result } = (await transferInChild(hcp, work)) as { result: TransferSummary }
    expect(result).toMatchObject({ files: 1, stored: 1 })
    const sent = hcp
      .requests(since)
      .filter(({ path: at, method }) => method === 'GET' && at === `${path}/large`)
    expect(sent.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(size)
    expect(await treeOf(tree)).toEqual(stored)
  })
})

test('progress is told from nothing to all', async () => {
  await store(files)
  const seen: TransferProgress[] = []
  const summary = await downloadTree(client, path, tree, { onProgress: (progress) => seen.push(progress) })
  expect(seen.at(-1)).toEqual({ files: count, bytes: summary.bytes, totalFiles: count })
})
