import { utimesSync } from 'node:fs'
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HcpHashError, HcpResponseError } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { PathBuilder } from '@hcp/pathbuilder'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { transferInChild } from '../../test/child.ts'
import { clientOf } from '../../test/emulated.ts'
import { contentFor, sha256, treeOf, versionCount, writeTree } from '../../test/trees.ts'
import { ObjectConflictError } from './errors.ts'
import type { ObjectClient } from './object-client.ts'
import { JournalError, LocalFileError, TransferStoppedError } from './transfer-errors.ts'
import type { FileEvent, TransferProgress, TransferSummary } from './transfer-summary.ts'
import { uploadTree, type UploadTreeOptions } from './upload-tree.ts'

let hcp: Emulator
/** With versions, so that whatever is stored twice shows. */
let versioned: ObjectClient
let plain: ObjectClient
let folder: string
let tree: string
let journal: string
let number = 0
let path: string

beforeAll(async () => {
  hcp = await startEmulator()
  versioned = clientOf(hcp, 'n2')
  plain = clientOf(hcp, 'n1')
})
afterAll(async () => {
  await versioned.close()
  await plain.close()
  await hcp.close()
})
beforeEach(async () => {
  await hcp.clearFaults()
  folder = await mkdtemp(join(tmpdir(), 'hcp-upload-'))
  tree = join(folder, 'tree')
  await mkdir(tree)
  journal = join(folder, 'journal.jsonl')
  path = `/rest/upload/${number++}`
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

const counts = ({ files, stored, identical, resumed, failed, ignored }: TransferSummary): unknown => ({
  files,
  stored,
  identical,
  resumed,
  failed: failed.length,
  ignored,
})
const none = { stored: 0, identical: 0, resumed: 0, failed: 0, ignored: 0 }

/** The objects that files became, by the files' names. */
async function contents(client: ObjectClient, names: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const name of names) {
    const encoded = `${path}/${name.split('/').map(encodeURIComponent).join('/')}`
    found.set(name, sha256(await (await client.get(encoded, { encoded: true })).bytes()))
  }
  return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const puts = (since: number): number =>
  hcp.requests(since).filter(({ method, status }) => method === 'PUT' && status === 201).length
const lastRequest = (): number => hcp.requests().at(-1)?.sequence ?? 0

describe('a tree is mirrored', () => {
  test('every file is stored whole, under its own name, and counted', async () => {
    await writeTree(tree, files)
    const events: FileEvent[] = []
    const summary = await uploadTree(versioned, tree, path, { onFile: (event) => events.push(event) })
    expect(counts(summary)).toEqual({ ...none, files: count, stored: count })
    expect(summary.bytes).toBe(Object.values(files).reduce((sum, size) => sum + size))
    expect(summary.duration).toBeGreaterThan(0)
    expect(await contents(versioned, Object.keys(files))).toEqual(await treeOf(tree))
    expect(events.map(({ file }) => file).toSorted()).toEqual(Object.keys(files).toSorted())
    expect(events.find(({ file }) => file === 'b/d/line\nfeed')).toMatchObject({
      path: `${path}/b/d/line\nfeed`,
      outcome: 'stored',
      size: 5,
      error: undefined,
    })
  })

  test.each([[true], [false]])('a second run stores nothing, with a journal: %s', async (withJournal) => {
    await writeTree(tree, files)
    const options = withJournal ? { journal } : {}
    await uploadTree(versioned, tree, path, options)
    const before = await versionCount(versioned)
    const since = lastRequest()
    const again = await uploadTree(versioned, tree, path, options)
    expect(counts(again)).toEqual({ ...none, files: count, [withJournal ? 'resumed' : 'identical']: count })
    expect(again.bytes).toBe(0)
    expect(await versionCount(versioned)).toBe(before)
    const about = hcp.requests(since).filter((request) => request.path.startsWith(path))
    if (withJournal) expect(about).toEqual([])
    // The large file is not sent to be told that it is there.
    const sent = hcp.requests(since).filter(({ method }) => method === 'PUT')
    expect(Math.max(0, ...sent.map(({ bytes }) => bytes))).toBeLessThan(1_000_000)
  })

  test('empty folders are made, unless that is not wanted', async () => {
    await mkdir(join(tree, 'a/b'), { recursive: true })
    expect(counts(await uploadTree(plain, tree, path))).toEqual({ ...none, files: 0 })
    expect(await plain.exists(`${path}/a/b`)).toBe(true)
    expect(counts(await uploadTree(plain, tree, path))).toEqual({ ...none, files: 0 })
    await uploadTree(plain, tree, `${path}/other`, { emptyFolders: false })
    expect(await plain.exists(`${path}/other/a`)).toBe(false)
  })

  test('symbolic links are not followed, and the journal is no part of the tree', async () => {
    await writeTree(tree, { a: 1 })
    await writeFile(join(folder, 'outside'), 'secret')
    await symlink(join(folder, 'outside'), join(tree, 'link'))
    await symlink(folder, join(tree, 'linked-folder'))
    const summary = await uploadTree(plain, tree, path, { journal: join(tree, 'journal') })
    expect(counts(summary)).toEqual({ ...none, files: 1, stored: 1, ignored: 3 })
  })

  test.skipIf(process.platform !== 'linux')('a name that is not text is named as failed', async () => {
    await writeTree(tree, { a: 1 })
    await writeFile(Buffer.concat([Buffer.from(join(tree, 'bad')), Buffer.from([0xff])]), 'x')
    const summary = await uploadTree(plain, tree, path)
    expect(counts(summary)).toEqual({ ...none, files: 2, stored: 1, failed: 1 })
    expect(summary.failed[0]).toMatchObject({ file: 'bad\ufffd', error: { problem: 'name' } })
  })

  test.skipIf(process.getuid?.() === 0)('what cannot be read is named as failed', async () => {
    await writeTree(tree, { a: 1, b: 2, 'c/d': 3 })
    await chmod(join(tree, 'b'), 0)
    await chmod(join(tree, 'c'), 0)
    const summary = await uploadTree(plain, tree, path)
    await chmod(join(tree, 'c'), 0o700)
    expect(counts(summary)).toEqual({ ...none, files: 3, stored: 1, failed: 2 })
    expect(summary.failed.map(({ file }) => file).toSorted()).toEqual(['b', 'c/'])
  })

  test('each file is stored as `put` says', async () => {
    await writeTree(tree, { a: 1, b: 2 })
    await uploadTree(versioned, tree, path, {
      put: async ({ name, size, modified }) => ({
        index: name === 'a',
        annotation: { content: `<file size="${size}" year="${modified.getUTCFullYear()}"/>` },
      }),
    })
    expect((await versioned.head(`${path}/a`)).index).toBe(true)
    expect(await versioned.head(`${path}/b`)).toMatchObject({
      index: false,
      annotations: [{ name: 'default' }],
    })
  })

  test('what `put` must not give fails the file, by name', async () => {
    await writeTree(tree, { a: 1 })
    const put = (() => ({ ifNoneMatch: 'x' })) as unknown as NonNullable<UploadTreeOptions['put']>
    const summary = await uploadTree(plain, tree, path, { put })
    expect(summary.failed[0]?.error.message).toContain('"ifNoneMatch"')
  })
})

describe('what is there already', () => {
  test('other content fails the file and is left alone, small or large', async () => {
    await writeTree(tree, { small: 10, large: 3_000_000, fine: 1 })
    for (const name of ['small', 'large']) await versioned.put(`${path}/${name}`, 'older')
    const before = await versionCount(versioned)
    const summary = await uploadTree(versioned, tree, path)
    expect(counts(summary)).toEqual({ ...none, files: 3, stored: 1, failed: 2 })
    for (const { error } of summary.failed) {
      expect(error).toBeInstanceOf(ObjectConflictError)
      expect(error).toMatchObject({ conflict: 'different', existing: { size: 5 } })
    }
    expect(await versionCount(versioned)).toBe(before + 1)
  })

  test('other content gets a new version if that is wanted, once', async () => {
    await writeTree(tree, { small: 10, large: 3_000_000, same: 5 })
    for (const name of ['small', 'large']) await versioned.put(`${path}/${name}`, 'older')
    await versioned.put(`${path}/same`, contentFor('same', 5))
    const before = await versionCount(versioned)
    const run = (): Promise<TransferSummary> => uploadTree(versioned, tree, path, { existing: 'version' })
    expect(counts(await run())).toEqual({ ...none, files: 3, stored: 2, identical: 1 })
    expect(counts(await run())).toEqual({ ...none, files: 3, identical: 3 })
    expect(await versionCount(versioned)).toBe(before + 2)
    expect(await contents(versioned, ['small', 'large', 'same'])).toEqual(await treeOf(tree))
  })

  test('a new version where HCP keeps none fails the file', async () => {
    await writeTree(tree, { a: 10 })
    await plain.put(`${path}/a`, 'older')
    const summary = await uploadTree(plain, tree, path, { existing: 'version' })
    expect(summary.failed[0]?.error).toMatchObject({ conflict: 'different' })
  })

  test('a folder of that name fails the file', async () => {
    await writeTree(tree, { a: 10 })
    await plain.put(`${path}/a/b`, 'x')
    const summary = await uploadTree(plain, tree, path)
    expect(summary.failed[0]?.error).toMatchObject({ conflict: 'occupied' })
  })

  test('a name that somebody is writing is tried again', async () => {
    await writeTree(tree, { a: 10 })
    hcp.addFault({ kind: 'status', status: 409, method: 'PUT', count: 2 })
    expect(counts(await uploadTree(versioned, tree, path))).toEqual({ ...none, files: 1, stored: 1 })
  })

  test('a conflict that could not be looked into is looked into again', async () => {
    await writeTree(tree, { a: 10 })
    await versioned.put(`${path}/a`, contentFor('a', 10))
    hcp.addFault({ kind: 'status', status: 500, method: 'HEAD', count: 5 })
    expect(counts(await uploadTree(versioned, tree, path))).toEqual({ ...none, files: 1, identical: 1 })
  })

  test('a file that changed since the journal was written is sent again, by the same rule', async () => {
    await writeTree(tree, { a: 10, b: 10 })
    const run = (options?: UploadTreeOptions): Promise<TransferSummary> =>
      uploadTree(versioned, tree, path, { journal, ...options })
    await run()
    await appendFile(join(tree, 'a'), 'more')
    expect(counts(await run())).toEqual({ ...none, files: 2, resumed: 1, failed: 1 })
    expect(counts(await run({ existing: 'version' }))).toEqual({ ...none, files: 2, resumed: 1, stored: 1 })
    expect(counts(await run())).toEqual({ ...none, files: 2, resumed: 2 })
    // Of other content, with the size and the time of before, the journal knows nothing; touched only, it is compared.
    await utimes(join(tree, 'a'), 1, 1)
    expect(counts(await run())).toEqual({ ...none, files: 2, resumed: 1, identical: 1 })
  })
})

describe('names of one’s own', () => {
  const builder = (): PathBuilder => new PathBuilder({ initialPath: path })

  test('are asked for once and kept: no run stores a file under a second name', async () => {
    await writeTree(tree, files)
    const paths = builder()
    let asked = 0
    const events: FileEvent[] = []
    const options: UploadTreeOptions = {
      journal,
      name: ({ name }) => {
        asked++
        return paths.getUnique(name).objectPath
      },
      onFile: (event) => events.push(event),
    }
    const before = await versionCount(versioned)
    // Three answers are lost, and nobody may look what became of those files.
    hcp.addFault({ kind: 'reset', when: 'beforeHead', method: 'PUT', count: 3 })
    hcp.addFault({ kind: 'status', status: 403, method: 'HEAD' })
    const first = await uploadTree(versioned, tree, path, options)
    await hcp.clearFaults()
    for (const { error } of first.failed) expect(error).toMatchObject({ code: 'HCP_AMBIGUOUS' })
    expect(first.failed).toHaveLength(3)
    const second = await uploadTree(versioned, tree, path, options)
    expect(counts(second)).toEqual({ ...none, files: count, resumed: count - 3, identical: 3 })
    expect(asked).toBe(count)
    expect(await versionCount(versioned)).toBe(before + count)
    for (const { file, path: at, outcome } of events) {
      if (outcome === 'failed' || at === undefined) continue
      const size = files[file as keyof typeof files]
      expect(sha256(await (await versioned.get(at)).bytes())).toBe(sha256(contentFor(file, size)))
    }
  })

  test('need a journal', async () => {
    const options = { name: () => `${path}/x` }
    await expect(uploadTree(plain, tree, path, options)).rejects.toThrow(TypeError)
  })

  test('that are no paths below the upload’s fail the file, and nothing is sent', async () => {
    await writeTree(tree, { a: 1 })
    const since = lastRequest()
    for (const name of ['/rest/elsewhere', 'relative', '', `${path}/../x`]) {
      const summary = await uploadTree(plain, tree, path, { journal, name: () => name })
      expect(summary.failed[0]?.error).toBeInstanceOf(RangeError)
    }
    expect(hcp.requests(since)).toEqual([])
  })

  test('a journal of mirrored names is not one of own names', async () => {
    await uploadTree(plain, tree, path, { journal })
    const run = uploadTree(plain, tree, path, { journal, name: () => `${path}/x` })
    await expect(run).rejects.toThrow(JournalError)
    await expect(uploadTree(plain, tree, `${path}/x`, { journal })).rejects.toThrow(/another transfer/)
  })
})

describe('failures', () => {
  test('a file that changes while it is sent is not stored, and named', async () => {
    await writeTree(tree, { a: 5_000_000, b: 5 })
    let changed = false
    const summary = await uploadTree(plain, tree, path, {
      onProgress: ({ bytes }) => {
        if (bytes < 1_000_000 || changed) return
        changed = true
        // Done before the transfer goes on.
        utimesSync(join(tree, 'a'), 1, 1)
      },
    })
    expect(changed).toBe(true)
    expect(counts(summary)).toEqual({ ...none, files: 2, stored: 1, failed: 1 })
    expect(summary.failed[0]).toMatchObject({ file: 'a', path: `${path}/a`, error: { problem: 'changed' } })
    expect(summary.failed[0]?.error).toBeInstanceOf(LocalFileError)
    expect(await plain.exists(`${path}/a`)).toBe(false)
  })

  test('content that was damaged on the way is told', async () => {
    await writeTree(tree, { a: 100_000, b: 5 })
    hcp.addFault({ kind: 'garbage', when: 'body', method: 'PUT', path: `${path}/a` })
    const summary = await uploadTree(plain, tree, path)
    expect(summary.failed[0]?.error).toBeInstanceOf(HcpHashError)
    await hcp.clearFaults()
    const again = await uploadTree(plain, tree, path)
    expect(again.failed[0]?.error).toMatchObject({ conflict: 'different' })
  })

  test('one file that fails does not end the others', async () => {
    await writeTree(tree, files)
    hcp.addFault({ kind: 'status', status: 403, method: 'PUT', path: `${path}/b` })
    const summary = await uploadTree(plain, tree, path)
    expect(counts(summary)).toEqual({ ...none, files: count, stored: 2, failed: count - 2 })
    for (const { error } of summary.failed) expect(error).toBeInstanceOf(HcpResponseError)
  })

  test('`maxFailures` ends it, with the summary so far', async () => {
    await writeTree(tree, Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`f${index}`, 1])))
    hcp.addFault({ kind: 'status', status: 403, method: 'PUT' })
    const run = uploadTree(plain, tree, path, { maxFailures: 5, concurrency: 2 })
    const error = (await run.catch((error: unknown) => error)) as TransferStoppedError
    expect(error).toBeInstanceOf(TransferStoppedError)
    expect(error.cause).toMatchObject({ status: 403 })
    expect(error.summary.failed).toHaveLength(5)
    expect(error.summary.files).toBe(5)
  })

  test('a client that is closed ends it', async () => {
    await writeTree(tree, files)
    const client = clientOf(hcp)
    await client.close()
    await expect(uploadTree(client, tree, path)).rejects.toMatchObject({
      code: 'HCP_TRANSFER_STOPPED',
      cause: { code: 'HCP_CLOSED' },
    })
  })

  test('a journal that can no longer be written ends it', async () => {
    await writeTree(tree, Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`f${index}`, 1])))
    const work = { kind: 'upload', namespace: 'n1', local: tree, path, journal }
    const said = await transferInChild(hcp, work, { fileSize: 4 })
    expect(said?.['error']).toMatch(/TransferStoppedError: .*journal.*EFBIG/)
    // The last line may be torn; the next run does not mind.
    const summary = await uploadTree(plain, tree, path, { journal })
    expect(summary.failed).toEqual([])
    expect(summary.resumed).toBeGreaterThan(0)
    expect(summary.resumed + summary.identical + summary.stored).toBe(60)
  })

  test('a folder that is not there, or none, is refused before anything is sent', async () => {
    const since = lastRequest()
    await writeTree(tree, { a: 1 })
    await expect(uploadTree(plain, join(tree, 'none'), path)).rejects.toMatchObject({
      problem: 'system',
      cause: { code: 'ENOENT' },
    })
    await expect(uploadTree(plain, join(tree, 'a'), path)).rejects.toMatchObject({ problem: 'kind' })
    expect(hcp.requests(since)).toEqual([])
  })

  test.each([
    [{ concurrency: 0 }, RangeError, 'concurrency'],
    [{ concurrency: '8' }, TypeError, 'concurrency'],
    [{ maxFailures: 0 }, RangeError, 'maxFailures'],
    [{ existing: 'overwrite' }, RangeError, 'existing'],
    [{ name: 'x' }, TypeError, 'name'],
    [{ onFile: true }, TypeError, 'onFile'],
    [{ journal: 1 }, TypeError, 'journal'],
    [{ parallel: 8 }, TypeError, '"parallel"'],
  ])('wrong options are refused by name: %j', async (options, type, name) => {
    const run = uploadTree(plain, tree, path, options as UploadTreeOptions)
    await expect(run).rejects.toThrow(type)
    await expect(uploadTree(plain, tree, path, options as UploadTreeOptions)).rejects.toThrow(name)
  })
})

describe('stopping and going on', () => {
  test('an abort rejects with its reason; the next run does the rest', async () => {
    await writeTree(tree, Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`f${index}`, 1_000])))
    const before = await versionCount(versioned)
    const stop = new AbortController()
    const reason = new Error('enough')
    let done = 0
    const onFile = (): void => {
      if (++done === 10) stop.abort(reason)
    }
    const run = uploadTree(versioned, tree, path, { journal, signal: stop.signal, onFile })
    await expect(run).rejects.toBe(reason)
    const second = await uploadTree(versioned, tree, path, { journal })
    expect(second.resumed).toBeGreaterThanOrEqual(10)
    expect(second.failed).toEqual([])
    expect(await versionCount(versioned)).toBe(before + 40)
  })

  test.each([
    ['mirrored', { named: false, withJournal: true }],
    ['mirrored without a journal', { named: false, withJournal: false }],
    ['own', { named: true, withJournal: true }],
  ])(
    'after kill -9 a second run completes it, nothing stored twice: names %s',
    async (_, { named, withJournal }) => {
      const names = Array.from({ length: 60 }, (_, index) => `d${index % 5}/f${index}`)
      await writeTree(
        tree,
        Object.fromEntries(names.map((name, index) => [name, index === 7 ? 2_000_000 : index * 300])),
      )
      const before = await versionCount(versioned)
      const since = lastRequest()
      const work = {
        kind: 'upload',
        namespace: 'n2',
        local: tree,
        path,
        named,
        ...(withJournal ? { journal } : {}),
      }
      expect(await transferInChild(hcp, work, { killWhen: (_, count) => count === 15 })).toBeUndefined()
      expect(await transferInChild(hcp, work, { killWhen: (_, count) => count === 20 })).toBeUndefined()
      const { result } = (await transferInChild(hcp, work)) as { result: TransferSummary }
      expect(result.failed).toEqual([])
      expect(result.files).toBe(60)
      expect(result.stored + result.identical + result.resumed).toBe(60)
      expect(result.stored).toBeLessThan(60)
      expect(await versionCount(versioned)).toBe(before + 60)
      expect(puts(since)).toBe(60)
      if (!named) expect(await contents(versioned, names)).toEqual(await treeOf(tree))
      else {
        const chosen = (await readFile(journal, 'utf8')).split('\n').slice(1, -1)
        const paths = new Map(
          chosen.map((line) => {
            const { file, path: at } = JSON.parse(line) as { file: string; path: string }
            return [file, at]
          }),
        )
        expect(paths.size).toBe(60)
        for (const [name, at] of paths) {
          const content = await (await versioned.get(at, { encoded: true })).bytes()
          expect(sha256(content)).toBe(sha256(await readFile(join(tree, name))))
        }
      }
    },
  )

  test('two transfers cannot share a journal', async () => {
    await writeTree(tree, { a: 1 })
    hcp.addFault({ kind: 'delay', ms: 100 })
    const calls = await Promise.allSettled([1, 2].map(() => uploadTree(plain, tree, path, { journal })))
    const [done, refused] = calls.toSorted((a, b) => (a.status < b.status ? -1 : 1))
    expect(done).toMatchObject({ status: 'fulfilled', value: { stored: 1 } })
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'HCP_JOURNAL', problem: 'busy' } })
  })
})

describe('bounds', () => {
  test('never more PUTs at a time than asked for', async () => {
    await writeTree(tree, Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`f${index}`, 10])))
    const wide = clientOf(hcp, 'n1', { connections: 20 })
    let inFlight = 0
    let most = 0
    await uploadTree(wide, tree, path, {
      concurrency: 3,
      put: () => {
        most = Math.max(most, ++inFlight)
        return {}
      },
      onFile: () => {
        inFlight--
      },
    })
    await wide.close()
    expect(most).toBe(3)
  })

  test('memory does not grow with the files', async () => {
    for (const name of ['a', 'b']) {
      await writeFile(join(tree, name), '')
      await truncate(join(tree, name), 100_000_000)
    }
    const work = { kind: 'upload', namespace: 'n2', local: tree, path }
    const said = await transferInChild(hcp, work)
    expect(said).toMatchObject({ result: { stored: 2, failed: [] } })
    expect(said?.['peak']).toBeLessThan(250_000_000)
    const down = { ...work, kind: 'download', local: join(folder, 'down') }
    const fetched = await transferInChild(hcp, down)
    expect(fetched).toMatchObject({ result: { stored: 2, failed: [] } })
    expect(fetched?.['peak']).toBeLessThan(250_000_000)
  })

  test('progress is told from nothing to all', async () => {
    await writeTree(tree, files)
    const seen: TransferProgress[] = []
    const summary = await uploadTree(plain, tree, path, { onProgress: (progress) => seen.push(progress) })
    expect(seen.at(-1)).toEqual({ files: count, bytes: summary.bytes, totalFiles: count })
    // The large file is seen on its way.
    expect(seen.length).toBeGreaterThan(count + 5)
  })
})
