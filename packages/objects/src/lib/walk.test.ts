import { HcpProtocolError, HcpTimeoutError } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answering, answering } from '../../test/answering.ts'
import { collect } from '../../test/collect.ts'
import { clientOf, quick } from '../../test/emulated.ts'
import { listingHead, manyEntries } from '../../test/listing-document.ts'
import { ObjectNotFoundError } from './errors.ts'
import { ObjectRequests } from './object-requests.ts'
import { walk, type WalkOptions } from './walk.ts'

let hcp: Emulator
beforeAll(async () => {
  hcp = await startEmulator()
  await using objects = clientOf(hcp)
  await Promise.all(files.map((path) => objects.put(`/rest/tree/${path}`, path)))
  await hcp.seed({ namespace: 'n1.m', directory: 'large/one', count: 2_000 })
  await hcp.seed({ namespace: 'n1.m', directory: 'large/two', count: 2_000 })
})
afterAll(() => hcp.close())

const files = ['a', 'x/b', 'x/y/c', 'x/y/d', 'x/y/z/e', 'ü & %/f', 'w/1', 'w/2', 'w/v/3']
const directories = ['x', 'x/y', 'x/y/z', 'ü & %', 'w', 'w/v']
const below = (paths: readonly string[]): string[] =>
  paths.map((path) => `/rest/tree/${path}`).toSorted(compare)
const compare = (a: string, b: string): number => (a < b ? -1 : 1)

async function pathsOf(path: string, options?: WalkOptions, given?: ObjectRequests): Promise<string[]> {
  await using objects = clientOf(hcp)
  const entries = await collect(walk(given ?? new ObjectRequests(objects.connection), path, options))
  return entries.map((entry) => entry.path)
}

/** Answers with listings; what `contents` has nothing for is 404. */
const tree = (contents: (path: string) => string | undefined): Promise<Answering> =>
  answering((request, response) => {
    const found = contents(request.url ?? '')
    if (found === undefined) response.writeHead(404).end()
    else response.writeHead(200, { 'Content-Type': 'text/xml' }).end(found)
  })
const listing = (...entries: string[]): string => `<directory>${entries.join('')}</directory>`
const directory = (name: string): string => `<entry urlName="${name}" type="directory"/>`
const object = (name: string): string => `<entry urlName="${name}" type="object" size="1"/>`

describe('what is given', () => {
  test.each([1, 2, 16])(
    'everything below, once, each directory before what is in it (%i at a time)',
    async (concurrency) => {
      const paths = await pathsOf('/rest/tree', { concurrency })
      expect(paths.toSorted(compare)).toEqual(below([...files, ...directories]))
      for (const path of paths) {
        const parent = path.slice(0, path.lastIndexOf('/'))
        if (parent !== '/rest/tree') expect(paths.indexOf(parent)).toBeLessThan(paths.indexOf(path))
      }
    },
  )

  test('as many levels as asked for', async () => {
    expect((await pathsOf('/rest/tree', { maxDepth: 1 })).toSorted(compare)).toEqual(
      below(['a', 'x', 'ü & %', 'w']),
    )
    expect((await pathsOf('/rest/tree', { maxDepth: 2 })).toSorted(compare)).toEqual(
      below(['a', 'x', 'ü & %', 'w', 'x/b', 'x/y', 'ü & %/f', 'w/1', 'w/2', 'w/v']),
    )
  })

  test('nothing of the directories that are left out, but they themselves', async () => {
    const paths = await pathsOf('/rest/tree', { into: ({ name }) => name !== 'x' })
    expect(paths.toSorted(compare)).toEqual(
      below(['a', 'x', 'ü & %', 'ü & %/f', 'w', 'w/1', 'w/2', 'w/v', 'w/v/3']),
    )
  })

  test('deleted ones when asked for, also in deleted directories', async () => {
    await using objects = clientOf(hcp, 'n2')
    await objects.put('/rest/tree/x/a', 'x')
    await objects.delete('/rest/tree/x/a')
    await objects.delete('/rest/tree/x')
    const requests = new ObjectRequests(objects.connection)
    expect(await pathsOf('/rest/tree', {}, requests)).toEqual([])
    expect(await pathsOf('/rest/tree', { deleted: true }, requests)).toEqual([
      '/rest/tree/x',
      '/rest/tree/x/a',
    ])
  })

  test('symbolic links, which are not followed', async () => {
    await using server = await tree((path) =>
      path === '/rest/t' ? listing('<entry urlName="up" type="symlink" symlinkTarget=".."/>') : undefined,
    )
    expect(await collect(walk(server.requests, '/rest/t'))).toMatchObject([
      { type: 'symlink', symlinkTarget: '..' },
    ])
  })

  test('a directory that is gone when its turn comes has nothing', async () => {
    await using server = await tree((path) =>
      path === '/rest/t' ? listing(directory('gone'), object('a')) : undefined,
    )
    expect((await collect(walk(server.requests, '/rest/t'))).map(({ name }) => name)).toEqual(['gone', 'a'])
  })

  test('more directories than may wait to be listed', async () => {
    const wide = listing(...Array.from({ length: 10_500 }, (_, index) => directory(`d${index}`)))
    await using server = await tree((path) => (path === '/rest/t' ? wide : listing()))
    let count = 0
    for await (const _entry of walk(server.requests, '/rest/t', { concurrency: 2 })) count++
    expect(count).toBe(10_500)
  })
})

describe('side by side', () => {
  test('never more listings than asked for, and as many where there is work', async () => {
    const waiting: (() => void)[] = []
    let most = 0
    await using server = await answering(
      (request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/xml' })
        if (request.url === '/rest/t') {
          response.end(listing(...'abcdefghijkl'.split('').map(directory)))
          return
        }
        waiting.push(() => response.end(listing(object('x'))))
        most = Math.max(most, waiting.length)
        // Answered when there are three, and not before others would have had the time to come.
        if (waiting.length === 3) setTimeout(() => waiting.splice(0).forEach((answer) => answer()), 5)
      },
      { ...quick, connections: 16 },
    )
    expect(await collect(walk(server.requests, '/rest/t', { concurrency: 3 }))).toHaveLength(24)
    expect(most).toBe(3)
  })

  test.each([
    [2, 1],
    [8, 4],
    [5, 4],
  ])(
    'with %i connections and %i listings the loop can read every object',
    async (connections, concurrency) => {
      await using objects = clientOf(hcp, 'n1', { ...quick, connections })
      let read = 0
      for await (const entry of walk(new ObjectRequests(objects.connection), '/rest/large', {
        concurrency,
      })) {
        if (entry.type !== 'object' || ++read % 50 !== 0) continue
        await Promise.all([1, 2, 3].map(async () => (await objects.get(entry.path)).bytes()))
      }
      expect(read).toBe(4_000)
    },
  )
})

describe('what ends it', () => {
  test('nothing there', async () => {
    await expect(pathsOf('/rest/nothing')).rejects.toThrow(ObjectNotFoundError)
  })

  /** One directory fails, the others do not end. */
  const failing = async (document: string): Promise<{ server: Answering; gone: Promise<unknown> }> => {
    const gone = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const server = await answering((request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/xml' })
      if (request.url === '/rest/t') response.end(listing(...['end0', 'end1', 'bad'].map(directory)))
      else if (request.url === '/rest/t/bad') response.end(document)
      else {
        response.write(`${listingHead}${manyEntries(0, 100)}`)
        response.on('close', () => gone[Number(request.url?.at(-1))]?.resolve())
      }
    })
    return { server, gone: Promise.all(gone.map(({ promise }) => promise)) }
  }

  test('a listing that fails: the others are given up', async () => {
    const { server, gone } = await failing('<directory>')
    await using _ = server
    await expect(collect(walk(server.requests, '/rest/t'))).rejects.toThrow(HcpProtocolError)
    await gone
  })

  test('leaving the loop: all listings are given up, and nothing more is sent', async () => {
    const { server, gone } = await failing(listing())
    await using _ = server
    let seen = 0
    for await (const _entry of walk(server.requests, '/rest/t')) if (++seen === 100) break
    await gone
  })

  test('an abort, by its reason', async () => {
    const { server, gone } = await failing(listing())
    await using _ = server
    const controller = new AbortController()
    const reason = new Error('enough')
    let seen = 0
    const walking = (async () => {
      for await (const _entry of walk(server.requests, '/rest/t', { signal: controller.signal })) {
        if (++seen === 203) setImmediate(() => controller.abort(reason))
      }
    })()
    await expect(walking).rejects.toBe(reason)
    expect(seen).toBe(203)
    await gone
  })

  test('an abort before it began: nothing is sent', async () => {
    const before = hcp.requests().length
    await expect(pathsOf('/rest/tree', { signal: AbortSignal.abort('no') })).rejects.toBe('no')
    expect(hcp.requests()).toHaveLength(before)
  })

  test('the deadline, which is that of all listings together', async () => {
    const { server } = await failing(listing())
    await using _ = server
    await expect(collect(walk(server.requests, '/rest/t', { deadline: 300 }))).rejects.toThrow(
      HcpTimeoutError,
    )
  })

  test('an error of `into`', async () => {
    const fault = new Error('mine')
    const into = (): boolean => {
      throw fault
    }
    await expect(pathsOf('/rest/tree', { into })).rejects.toBe(fault)
  })
})

test.each<[unknown, typeof TypeError | typeof RangeError]>([
  [{ concurrency: 0 }, RangeError],
  [{ concurrency: 65 }, RangeError],
  [{ concurrency: '4' }, TypeError],
  [{ maxDepth: 0 }, RangeError],
  [{ into: 'x' }, TypeError],
  [{ deleted: 1 }, TypeError],
  [{ deadline: 0 }, RangeError],
  [{ signal: {} }, TypeError],
  [{ depth: 1 }, TypeError],
])('wrong options are refused at once: %j', async (options, type) => {
  await using server = await tree(() => undefined)
  expect(() => walk(server.requests, '/rest/t', options as WalkOptions)).toThrow(type)
})
