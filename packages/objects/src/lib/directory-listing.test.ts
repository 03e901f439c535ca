import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { HcpProtocolError, HcpTruncatedError } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answering, answeringXml } from '../../test/answering.ts'
import { collect } from '../../test/collect.ts'
import { clientOf } from '../../test/emulated.ts'
import { listingHead, manyEntries } from '../../test/listing-document.ts'
import { listDirectory, type ListOptions } from './directory-listing.ts'
import { ObjectNotFoundError } from './errors.ts'
import type { DirectoryEntry, ObjectEntry } from './listing-entry.ts'
import type { ObjectClient } from './object-client.ts'
import { ObjectRequests } from './object-requests.ts'
import { deletionAllowed, retainUntil } from './retention.ts'

let hcp: Emulator
let objects: ObjectClient
let versioned: ObjectClient
let requests: ObjectRequests

beforeAll(async () => {
  hcp = await startEmulator()
  objects = clientOf(hcp)
  versioned = clientOf(hcp, 'n2')
  requests = new ObjectRequests(objects.connection)
})
afterAll(async () => {
  await objects.close()
  await versioned.close()
  await hcp.close()
})

const list = (
  path: string,
  options?: ListOptions,
  of: ObjectRequests = requests,
): Promise<DirectoryEntry[]> => collect(listDirectory(of, path, options))
const byName = (entries: readonly DirectoryEntry[]): Map<string, DirectoryEntry> =>
  new Map(entries.map((entry) => [entry.name, entry]))

describe('entries', () => {
  test('objects have what a HEAD says of them, directories their times', async () => {
    const until = new Date(Date.UTC(2099, 0, 1))
    await objects.put('/rest/typed/a b.txt', 'hello', {
      retention: retainUntil(until),
      hold: true,
      index: true,
      annotation: { name: 'ticket', content: '<a/>' },
    })
    await objects.put('/rest/typed/empty', '')
    await objects.put('/rest/typed/sub/x', 'x')
    const entries = byName(await list('/rest/typed'))
    expect([...entries.keys()].toSorted()).toEqual(['a b.txt', 'empty', 'sub'])
    const { other, name, path, encodedPath, deleted, ...told } = entries.get('a b.txt') as ObjectEntry
    expect(await objects.head('/rest/typed/a b.txt')).toMatchObject(told)
    expect({ other, name, path, encodedPath, deleted }).toEqual({
      other: {},
      name: 'a b.txt',
      path: '/rest/typed/a b.txt',
      encodedPath: '/rest/typed/a%20b.txt',
      deleted: false,
    })
    expect(told).toMatchObject({
      retention: { kind: 'until', until },
      hold: true,
      index: true,
      annotations: [{ name: 'ticket', size: 4 }],
      owner: 'n',
      domain: undefined,
      hash: { scheme: 'SHA-256', hex: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824' },
      etag: '5d41402abc4b2a76b9719d911017c592',
    })
    expect(entries.get('empty')).toMatchObject({ size: 0, retention: deletionAllowed, annotations: [] })
    expect(entries.get('sub')).toEqual({
      type: 'directory',
      name: 'sub',
      path: '/rest/typed/sub',
      encodedPath: '/rest/typed/sub',
      deleted: false,
      changeTime: expect.any(Date),
      other: {},
    })
  })

  test.each(['/rest', '/rest/'])('those of the root are below %s', async (root) => {
    const entry = byName(await list(root)).get('typed')
    expect(entry).toMatchObject({ type: 'directory', path: '/rest/typed', encodedPath: '/rest/typed' })
  })

  test.each(['/rest/typed/', '/rest/typed//'])(
    'slashes at the end of %s do not get into paths',
    async (path) => {
      expect((await list(path)).map((entry) => entry.path)).toContain('/rest/typed/empty')
    },
  )

  test('an empty directory has none', async () => {
    await objects.connection.put('/rest/nothing', null, { params: { type: 'directory' } })
    expect(await list('/rest/nothing')).toEqual([])
  })

  test('a directory whose own name needs encoding lists paths that can be read', async () => {
    await objects.put('/rest/50% & more+/ü', 'x')
    const [entry] = await list('/rest/50% & more+')
    expect(entry).toMatchObject({ name: 'ü', path: '/rest/50% & more+/ü' })
    const again = await list('/rest/50%25%20%26%20more%2B', { encoded: true })
    expect(again).toEqual([entry])
    expect(await (await objects.get(entry!.path)).text()).toBe('x')
  })

  test('symbolic links have their target; one that leads to a directory lists it under the name of the link', async () => {
    await objects.put('/rest/links/real/x', 'x')
    await hcp.addSymlink({ namespace: 'n1.m', path: 'links/to real', target: 'real' })
    const entry = byName(await list('/rest/links')).get('to real')
    expect(entry).toMatchObject({
      type: 'symlink',
      symlinkTarget: 'real',
      encodedPath: '/rest/links/to%20real',
    })
    expect((await list('/rest/links/to real')).map(({ path }) => path)).toEqual(['/rest/links/to real/x'])
  })

  test('deleted ones are told only when asked for', async () => {
    const of = new ObjectRequests(versioned.connection)
    await versioned.put('/rest/del/gone', 'hello')
    await versioned.put('/rest/del/here', 'x')
    await versioned.delete('/rest/del/gone')
    expect((await list('/rest/del', {}, of)).map(({ name }) => name)).toEqual(['here'])
    const entries = byName(await list('/rest/del', { deleted: true }, of))
    expect(entries.get('gone')).toMatchObject({ type: 'object', deleted: true })
    expect(entries.get('here')).toMatchObject({ type: 'object', deleted: false, size: 1 })
  })

  test('times of directories are those of what happened in them when asked for', async () => {
    await objects.put('/rest/times/sub/a', 'x')
    const made = (await list('/rest/times'))[0]?.changeTime
    await objects.put('/rest/times/sub/b', 'x')
    expect((await list('/rest/times'))[0]?.changeTime).toEqual(made)
    const recent = (await list('/rest/times', { mostRecentDirTimes: true }))[0]?.changeTime
    expect(recent?.getTime()).toBeGreaterThan(made!.getTime())
  })
})

describe('names', () => {
  test('any name that HCP takes can be listed and read by its encoded path', async () => {
    const name = fc
      .oneof(
        fc.uint8Array({ minLength: 1, maxLength: 20 }),
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 }).map((text) => Buffer.from(text)),
        fc
          .constantFrom('%41', 'a+b', '...', '~', "!'()*", '?#&=;', '\\', '"<>&', '日本')
          .map((text) => Buffer.from(text)),
      )
      .map((bytes) => Buffer.from(bytes).toString('hex').replaceAll(/../g, '%$&'))
      .filter((encoded) => !/%2f|%00/.test(encoded) && !/^(?:%2e){1,2}$/.test(encoded))
    let number = 0
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(name, { minLength: 1, maxLength: 5 }), async (names) => {
        const directory = `/rest/names/${number++}`
        for (const one of names) await objects.put(`${directory}/${one}`, one, { encoded: true })
        const entries = await list(directory)
        const read = entries.map(async ({ encodedPath }) =>
          (await objects.get(encodedPath, { encoded: true })).text(),
        )
        expect((await Promise.all(read)).toSorted()).toEqual(names.toSorted())
        const text = names.map((one) => Buffer.from(one.replaceAll('%', ''), 'hex').toString())
        expect(entries.map((entry) => entry.name).toSorted()).toEqual(text.toSorted())
      }),
      { numRuns: 30 },
    )
  })

  test.each([
    ['a%20b', 'a b', 'a%20b'],
    ['a b', 'a b', 'a%20b'],
    ['ä', 'ä', '%C3%A4'],
    ['a+b&amp;c', 'a+b&c', 'a%2Bb%26c'],
    ['%ff', '\uFFFD', '%ff'],
    ['...', '...', '...'],
    ['.x', '.x', '.x'],
  ])('%s is %s', async (urlName, name, encoded) => {
    await using server = await answeringXml(
      `<directory><entry urlName="${urlName}" type="directory"/></directory>`,
    )
    const [entry] = await list('/rest/d', {}, server.requests)
    expect(entry).toMatchObject({ name, path: `/rest/d/${name}`, encodedPath: `/rest/d/${encoded}` })
  })

  test.each([
    '',
    '.',
    '..',
    '%2e%2E',
    '.%2e',
    'a/b',
    '/',
    '%2F',
    'a%2fb',
    '..%2F..',
    '%00',
    'a%',
    '%zz',
    '100%',
  ])('the name %j from a server is refused', async (urlName) => {
    await using server = await answeringXml(
      `<directory><entry urlName="${urlName}" type="directory"/></directory>`,
    )
    await expect(list('/rest/d', {}, server.requests)).rejects.toThrow(HcpProtocolError)
  })
})

describe('what other releases say', () => {
  const entryOf = async (attributes: string): Promise<DirectoryEntry> => {
    await using server = await answeringXml(`<directory><entry ${attributes}/></directory>`)
    const [entry] = await list('/rest/d', {}, server.requests)
    return entry!
  }

  test('little', async () => {
    expect(await entryOf('urlname="a" type="object" size="5"')).toEqual({
      type: 'object',
      name: 'a',
      path: '/rest/d/a',
      encodedPath: '/rest/d/a',
      deleted: false,
      size: 5,
      hash: undefined,
      etag: undefined,
      versionId: undefined,
      ingestTime: undefined,
      changeTime: undefined,
      retention: { kind: 'unspecified' },
      retentionClass: undefined,
      hold: false,
      shred: false,
      index: false,
      dpl: undefined,
      annotations: [],
      hasAcl: false,
      owner: undefined,
      domain: undefined,
      replicated: undefined,
      other: {},
    })
  })

  test('much: what nobody knows here is kept', async () => {
    const entry = await entryOf(
      'urlName="a" type="object" size="9007199254740991" labelHold="true" __proto__="x" ingestTime="1700000000" hash="AB" hashScheme="sha-512" dpl="2" replicated="true" owner="größe" retentionClass="TAX" unknown="&lt;"',
    )
    expect(entry).toMatchObject({
      size: Number.MAX_SAFE_INTEGER,
      ingestTime: new Date(1_700_000_000_000),
      hash: { scheme: 'SHA-512', hex: 'ab' },
      dpl: 2,
      replicated: true,
      owner: 'größe',
      retentionClass: 'TAX',
    })
    expect(Object.entries(entry.other)).toEqual([
      ['labelHold', 'true'],
      ['__proto__', 'x'],
      ['unknown', '<'],
    ])
  })

  test('symbolic links, with their targets', async () => {
    expect(
      await entryOf(
        'urlName="l" type="symlink" symlinkTarget="a%20b" utf8SymlinkTarget="a b" state="created"',
      ),
    ).toEqual({
      type: 'symlink',
      name: 'l',
      path: '/rest/d/l',
      encodedPath: '/rest/d/l',
      deleted: false,
      changeTime: undefined,
      symlinkTarget: 'a b',
      other: {},
    })
  })

  test.each([
    ['a type that nobody knows', 'urlName="a" type="socket"'],
    ['no type', 'urlName="a"'],
    ['an object without a size', 'urlName="a" type="object"'],
    ['a size that is none', 'urlName="a" type="object" size="-1"'],
    ['no name', 'type="directory"'],
  ])('%s is an error', async (_, attributes) => {
    await expect(entryOf(attributes)).rejects.toThrow(HcpProtocolError)
  })
})

describe('what is no directory', () => {
  test('nothing is not found', async () => {
    await expect(list('/rest/no/such')).rejects.toThrow(ObjectNotFoundError)
  })

  test('an object is said to be one, and its content is not taken in', async () => {
    await objects.put('/rest/large', Buffer.alloc(8 * 1024 * 1024))
    await expect(list('/rest/large')).rejects.toThrow(/an object, not a directory/)
    const sent = hcp.requests().findLast(({ path }) => path === '/rest/large')
    expect(sent?.bytes).toBeLessThan(4 * 1024 * 1024)
  })

  test('a page of a proxy is an error', async () => {
    await using server = await answering((_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<directory/>')
    })
    await expect(list('/rest/d', {}, server.requests)).rejects.toThrow(/text\/html/)
  })

  test('a listing that was cut short, or just ends, is an error after what came', async () => {
    const part = `${listingHead}${manyEntries(0, 10)}`
    await using server = await answering((request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/xml' })
      if (request.url === '/rest/ends') response.end(part)
      else response.write(part, () => response.destroy())
    })
    for (const [path, kind] of [
      ['/rest/ends', HcpProtocolError],
      ['/rest/cut', HcpTruncatedError],
    ] as const) {
      const entries: DirectoryEntry[] = []
      const reading = (async () => {
        for await (const entry of listDirectory(server.requests, path)) entries.push(entry)
      })()
      await expect(reading).rejects.toThrow(kind)
      expect(entries).toHaveLength(10)
    }
  })
})

describe('streaming', () => {
  test('nothing is sent before the first entry is asked for', async () => {
    const before = hcp.requests().length
    const entries = listDirectory(requests, '/rest/typed')
    await objects.exists('/rest/typed')
    expect(
      hcp
        .requests()
        .slice(before)
        .map(({ method }) => method),
    ).toEqual(['HEAD'])
    await entries.next()
    expect(
      hcp
        .requests()
        .slice(before)
        .map(({ method }) => method),
    ).toEqual(['HEAD', 'GET'])
    await entries.return()
  })

  test.each<[unknown, unknown, typeof TypeError | typeof RangeError]>([
    ['/rest/a', { delete: true }, TypeError],
    ['/rest/a', { deleted: 'true' }, TypeError],
    ['/rest/a', { mostRecentDirTimes: 1 }, TypeError],
    ['/rest/a', { encoded: 'no' }, TypeError],
    ['/rest/a', null, TypeError],
    [7, {}, TypeError],
    ['/other', {}, RangeError],
    ['/rest/../a', {}, RangeError],
    ['/rest/%', { encoded: true }, RangeError],
  ])('wrong arguments are refused at once: %j, %j', (path, options, type) => {
    expect(() => listDirectory(requests, path as string, options as ListOptions)).toThrow(type)
  })

  test('the first entry is given before the last is sent', async () => {
    const first = Promise.withResolvers<void>()
    await using server = await answering((_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/xml' }).write(`${listingHead}${manyEntries(0, 1)}`)
      void first.promise.then(() => response.end(`${manyEntries(1, 2)}</directory>`))
    })
    const names: string[] = []
    for await (const { name } of listDirectory(server.requests, '/rest/d')) {
      names.push(name)
      first.resolve()
    }
    expect(names).toEqual(['object-0', 'object-1'])
  })

  /** A listing without end; tells how much of it was taken, and when the client has gone. */
  async function endless(): Promise<{
    server: Awaited<ReturnType<typeof answering>>
    sent: () => number
    gone: Promise<void>
  }> {
    let sent = 0
    const gone = Promise.withResolvers<void>()
    const server = await answering((request, response) => {
      if (request.url === '/rest/other') {
        response.writeHead(200, { 'Content-Type': 'text/xml' }).end('<directory/>')
        return
      }
      response.on('close', () => gone.resolve())
      response.writeHead(200, { 'Content-Type': 'text/xml' }).write(listingHead)
      const more = (): void => {
        let flows = true
        while (flows && !response.destroyed) {
          const text = manyEntries(sent, sent + 100)
          sent += 100
          flows = response.write(text)
        }
        response.once('drain', more)
      }
      more()
    })
    return { server, sent: () => sent, gone: gone.promise }
  }

  test('a loop that is left gives the listing up, and the connection goes on', async () => {
    const { server, sent, gone } = await endless()
    await using _ = server
    let seen = 0
    for await (const entry of listDirectory(server.requests, '/rest/d')) {
      expect(entry.name).toBe(`object-${seen}`)
      if (++seen === 1_000) break
    }
    await gone
    // What lay in the buffers of two sockets and one reader, and no more: the reader sets the pace.
    expect(sent()).toBeLessThan(60_000)
    expect(await list('/rest/other', {}, server.requests)).toEqual([])
  })

  test('an abort ends it with its reason, also between entries that are there already', async () => {
    const { server, gone } = await endless()
    await using _ = server
    const reason = new Error('enough')
    const controller = new AbortController()
    let seen = 0
    const reading = (async () => {
      for await (const _entry of listDirectory(server.requests, '/rest/d', { signal: controller.signal })) {
        if (++seen === 10) controller.abort(reason)
      }
    })()
    await expect(reading).rejects.toBe(reason)
    expect(seen).toBe(10)
    await gone
  })

  test('an abort ends the wait for a server that has stopped', async () => {
    await using server = await answering((_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/xml' }).write(`${listingHead}${manyEntries(0, 1)}`)
    })
    const controller = new AbortController()
    const entries = listDirectory(server.requests, '/rest/d', { signal: controller.signal })
    await entries.next()
    const waiting = entries.next()
    controller.abort()
    await expect(waiting).rejects.toBe(controller.signal.reason)
  })

  test('memory depends neither on the number of entries nor on names that are kept', async () => {
    const server = await answering((request, response) => {
      const count = Number(request.url?.split('/').at(-1))
      response.writeHead(200, { 'Content-Type': 'text/xml' }).write(listingHead)
      let sent = 0
      const more = (): void => {
        while (sent < count) {
          sent += 100
          if (!response.write(manyEntries(sent - 100, sent))) {
            response.once('drain', more)
            return
          }
        }
        response.end('</directory>')
      }
      more()
    })
    await using _ = server
    const child = fileURLToPath(new URL('../../test/listing-child.ts', import.meta.url))
    const measure = async (count: number): Promise<{ entries: number; most: number; kept: number }> => {
      const { stdout } = await promisify(execFile)(process.execPath, [
        '--expose-gc',
        child,
        String(server.port),
        String(count),
      ])
      return JSON.parse(stdout) as { entries: number; most: number; kept: number }
    }
    const some = await measure(5_000)
    const many = await measure(150_000)
    expect([some.entries, many.entries]).toEqual([5_000, 150_000])
    // The document has 105 MB.
    expect(many.most - many.kept).toBeLessThan(some.most - some.kept + 10_000_000)
    expect(many.kept).toBeLessThan(30_000_000)
  })
})
