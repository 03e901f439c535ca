import { createHash, randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { HcpHashError, HcpTimeoutError, HcpTruncatedError } from '@hcp/connection'
import { type Emulator, type Fault, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { clientOf, quick } from '../../test/emulated.ts'
import { ObjectConditionError, ObjectNotFoundError } from './errors.ts'
import type { GetOptions } from './get.ts'
import type { ObjectClient } from './object-client.ts'
import type { ObjectReader } from './object-reader.ts'

let hcp: Emulator
let objects: ObjectClient
let versioned: ObjectClient
const large = randomBytes(3_000_000)
const little = Buffer.from('hello hcp')
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

beforeAll(async () => {
  hcp = await startEmulator()
  objects = clientOf(hcp)
  versioned = clientOf(hcp, 'n2')
  await objects.put('/rest/large', large)
  await objects.put('/rest/little', little)
  await objects.put('/rest/empty', '')
})
afterAll(async () => {
  await objects.close()
  await versioned.close()
  await hcp.close()
})
beforeEach(() => hcp.clearFaults())

const ways: readonly [string, (reader: ObjectReader) => Promise<Uint8Array>][] = [
  ['bytes', (reader) => reader.bytes()],
  ['for await', (reader) => buffer(reader)],
  ['a stream', async (reader) => Buffer.concat((await reader.body.toArray()) as Buffer[])],
]

describe.each(ways)('read by %s', (_, read) => {
  test.each([
    ['large', large],
    ['little', little],
    ['empty', Buffer.alloc(0)],
  ])('a %s object comes whole and verified', async (name, expected) => {
    const reader = await objects.get(`/rest/${name}`)
    expect(reader.verified).toBe(false)
    expect(digest(await read(reader))).toBe(digest(expected))
    expect(reader).toMatchObject({ size: expected.length, start: 0, verified: true, resumed: 0 })
    expect(reader.requestId).toMatch(/^[0-9A-F]{16}$/)
  })

  test.each<[string, Omit<Fault, 'node' | 'count'>]>([
    ['reset', { kind: 'reset', when: 'body', afterBytes: 1_000_000 }],
    ['cut off', { kind: 'truncate', when: 'body', afterBytes: 1_000_000 }],
    ['silent', { kind: 'hang', when: 'body', afterBytes: 1_000_000 }],
    ['reset before the first byte', { kind: 'reset', when: 'afterHead' }],
  ])('a transfer that is %s twice goes on from where it broke', async (_name, fault) => {
    hcp.addFault({ ...fault, method: 'GET', path: '/rest/large', count: 2 })
    const since = hcp.requests(0).at(-1)!.sequence
    const reader = await objects.get('/rest/large', { bodyTimeout: 300 })
    expect(digest(await read(reader))).toBe(digest(large))
    expect(reader).toMatchObject({ verified: true, resumed: 2 })
    const sent = hcp.requests(since).filter(({ method }) => method === 'GET')
    expect(sent).toHaveLength(3)
    // What has come is not fetched again; what was lost in sockets is. From its beginning each time it would be 5,000,000.
    expect(sent.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(4_500_000)
  })

  test('a transfer that breaks for ever ends with an error', async () => {
    hcp.addFault({ kind: 'truncate', when: 'body', afterBytes: 0, method: 'GET' })
    const reader = await objects.get('/rest/large', { resumes: 2 })
    await expect(read(reader)).rejects.toThrow(HcpTruncatedError)
  })
})

test('content that was damaged on its way is fetched anew while nobody has seen it', async () => {
  for (const path of ['/rest/little', '/rest/large']) {
    hcp.addFault({ kind: 'garbage', when: 'body', method: 'GET', afterBytes: 4, count: 1 })
    const reader = await objects.get(path)
    expect(digest(await reader.bytes())).toBe(digest(path === '/rest/little' ? little : large))
    expect(reader).toMatchObject({ verified: true, resumed: 1 })
  }
})

test('content that one node damages each time is fetched from another', async () => {
  const lucky = clientOf(hcp, 'n1', { ...quick, connections: 1 })
  const { address } = await lucky.get('/rest/little')
  const node = hcp.nodes.indexOf(address) + 1
  hcp.addFault({ kind: 'garbage', when: 'body', method: 'GET', afterBytes: 4, node })
  const reader = await lucky.get('/rest/little')
  expect(reader.address).toBe(address)
  expect(await reader.text()).toBe('hello hcp')
  await lucky.close()
})

test('content that stays damaged is never handed over as good', async () => {
  hcp.addFault({ kind: 'garbage', when: 'body', method: 'GET', afterBytes: 4 })
  await expect(objects.get('/rest/little').then((reader) => reader.bytes())).rejects.toThrow(HcpHashError)
  const reader = await objects.get('/rest/large')
  await expect(buffer(reader)).rejects.toThrow(HcpHashError)
  expect(reader.verified).toBe(false)
  const unchecked = await objects.get('/rest/little', { verifyHash: false })
  expect(Buffer.from(await unchecked.bytes()).equals(little)).toBe(false)
  expect(unchecked.verified).toBe(false)
})

const ranges: readonly [GetOptions['range'], number, number][] = [
  [{ start: 0, end: 0 }, 0, 1],
  [{ start: 100, end: 1_999_999 }, 100, 2_000_000],
  [{ start: 2_999_999 }, 2_999_999, 3_000_000],
  [{ start: 5, end: 9_999_999 }, 5, 3_000_000],
  [{ last: 10 }, 2_999_990, 3_000_000],
]
test.each(ranges)(
  'of the range %j just these bytes come, broken transfer or not',
  async (range, from, to) => {
    for (const count of [0, 1]) {
      if (count > 0) hcp.addFault({ kind: 'reset', when: 'body', afterBytes: 50_000, method: 'GET', count })
      const reader = await objects.get('/rest/large', { range: range! })
      expect(reader).toMatchObject({ start: from, size: to - from })
      expect(Buffer.from(await reader.bytes()).equals(large.subarray(from, to))).toBe(true)
      expect(reader.metadata.size).toBe(large.length)
      await hcp.clearFaults()
    }
  },
)

test('a range beyond the end is refused by HCP, one that is none before anything is sent', async () => {
  await expect(objects.get('/rest/little', { range: { start: 9 } })).rejects.toMatchObject({ status: 416 })
  for (const range of [
    {},
    { start: 5, end: 4 },
    { last: 0 },
    { start: -1 },
    { start: 0, last: 5 },
    { start: 0, ende: 5 },
    'bytes=0-1',
  ])
    await expect(objects.get('/rest/little', { range: range as never })).rejects.toThrow(/range/)
})

test('an object that is changed while it is read goes on as the version that was begun', async () => {
  await versioned.put('/rest/changing', large)
  hcp.addFault({ kind: 'reset', when: 'body', afterBytes: 1_000_000, method: 'GET', count: 1 })
  const reader = await versioned.get('/rest/changing')
  const pieces: Uint8Array[] = []
  for await (const piece of reader) {
    if (pieces.length === 0) await versioned.put('/rest/changing', 'new content')
    pieces.push(piece)
  }
  expect(digest(Buffer.concat(pieces))).toBe(digest(large))
  expect(reader).toMatchObject({ resumed: 1, verified: true })
})

test('an object that is replaced while it is read is never mixed with its successor', async () => {
  await objects.put('/rest/replaced', large)
  hcp.addFault({ kind: 'reset', when: 'body', afterBytes: 1_000_000, method: 'GET', count: 1 })
  const reader = await objects.get('/rest/replaced')
  const read = async (): Promise<void> => {
    let first = true
    for await (const piece of reader) {
      if (first) {
        await objects.delete('/rest/replaced')
        await objects.put('/rest/replaced', randomBytes(large.length))
      }
      first = false
      expect(piece.length).toBeGreaterThan(0)
    }
  }
  await expect(read()).rejects.toThrow(ObjectConditionError)
  await objects.delete('/rest/replaced')
})

test('what is not there, or no object, is not found', async () => {
  await expect(objects.get('/rest/nothing')).rejects.toThrow(ObjectNotFoundError)
  await expect(objects.get('/rest')).rejects.toThrow(/is a directory/)
  await expect(objects.head('/rest')).rejects.toThrow(/is a directory/)
  const { versionId } = await versioned.put('/rest/deleted', 'x')
  await versioned.delete('/rest/deleted')
  await expect(versioned.get('/rest/deleted')).rejects.toMatchObject({
    status: 404,
    name: 'ObjectNotFoundError',
  })
  expect(await (await versioned.get('/rest/deleted', { version: versionId! })).text()).toBe('x')
  expect(await versioned.exists('/rest/deleted')).toBe(false)
})

test('through a symbolic link comes its target, which says so', async () => {
  await hcp.addSymlink({ namespace: 'n1.m', path: 'latest', target: 'little' })
  const reader = await objects.get('/rest/latest')
  expect(await reader.text()).toBe('hello hcp')
  expect(reader.metadata.symlinkTarget).toBe('little')
  expect((await objects.head('/rest/latest')).symlinkTarget).toBe('little')
  await expect(objects.put('/rest/latest', 'x')).rejects.toMatchObject({ conflict: 'occupied' })
  await objects.delete('/rest/latest')
  expect(await objects.exists('/rest/little')).toBe(true)
})

test('conditions decide whether anything comes', async () => {
  const { etag, changeTime } = await objects.head('/rest/little')
  const later = new Date(changeTime!.getTime() + 60_000)
  const earlier = new Date(changeTime!.getTime() - 60_000)
  for (const options of [
    { ifMatch: etag! },
    { ifMatch: ['0'.repeat(32), `"${etag}"`] },
    { ifNoneMatch: '0'.repeat(32) },
    { ifModifiedSince: earlier },
    { ifUnmodifiedSince: later },
  ])
    expect(await (await objects.get('/rest/little', options)).text()).toBe('hello hcp')
  await expect(objects.get('/rest/little', { ifNoneMatch: etag! })).rejects.toMatchObject({ status: 304 })
  await expect(objects.get('/rest/little', { ifMatch: 'x' })).rejects.toMatchObject({ status: 412 })
  await expect(objects.head('/rest/little', { ifModifiedSince: later })).rejects.toThrow(ObjectConditionError)
  await expect(objects.head('/rest/little', { ifUnmodifiedSince: earlier })).rejects.toThrow(
    ObjectConditionError,
  )
})

test('an answer that breaks within the annotation before the data is asked for anew', async () => {
  const annotation = { name: 'long', content: `<long>${'x'.repeat(400_000)}</long>` }
  await versioned.put('/rest/broken', 'data', { annotation })
  hcp.addFault({ kind: 'truncate', when: 'body', afterBytes: 200_000, method: 'GET', count: 2 })
  const reader = await versioned.get('/rest/broken', { annotation: 'long' })
  expect(Buffer.from(reader.annotation!).toString()).toBe(annotation.content)
  expect(await reader.text()).toBe('data')
  hcp.addFault({ kind: 'truncate', when: 'body', afterBytes: 200_000, method: 'GET' })
  await expect(versioned.get('/rest/broken', { annotation: 'long', resumes: 1 })).rejects.toThrow(
    HcpTruncatedError,
  )
})

test('an annotation comes in the same answer as the data, which go on by themselves where they break', async () => {
  const annotation = { name: 'ticket', content: `<ticket>${'x'.repeat(70_000)}</ticket>` }
  for (const content of [large, little, Buffer.alloc(0)]) {
    await versioned.put('/rest/both', content, { annotation })
    hcp.addFault({ kind: 'reset', when: 'body', afterBytes: 1_000_000, method: 'GET', count: 1 })
    const reader = await versioned.get('/rest/both', { annotation: 'ticket' })
    expect(Buffer.from(reader.annotation!).toString()).toBe(annotation.content)
    expect(digest(await reader.bytes())).toBe(digest(content))
    expect(reader).toMatchObject({ size: content.length, verified: true, resumed: content === large ? 1 : 0 })
    await hcp.clearFaults()
  }
  await expect(objects.get('/rest/little', { annotation: 'ticket' })).rejects.toThrow(ObjectNotFoundError)
  await expect(objects.get('/rest/little', { annotation: '' })).rejects.toThrow(/name of an annotation/)
  await expect(objects.get('/rest/little', { annotation: 'a', range: { last: 1 } })).rejects.toThrow(
    /one request/,
  )
  expect((await objects.get('/rest/little')).annotation).toBeUndefined()
})

test('what HCP is to do besides goes with the request', async () => {
  const since = hcp.requests(0).at(-1)!.sequence
  await (await objects.get('/rest/little', { nowait: true, forceEtag: true })).dump()
  expect(hcp.requests(since)[0]?.path).toBe('/rest/little?nowait=&forceEtag=true')
  expect((await objects.head('/rest/little', { replicated: true })).replicated).toBe(false)
})

test('progress is told, from nothing to all', async () => {
  const seen: number[] = []
  const reader = await objects.get('/rest/large', { onProgress: ({ transferred }) => seen.push(transferred) })
  await reader.bytes()
  expect(seen[0]).toBe(0)
  expect(seen.at(-1)).toBe(large.length)
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
})

test('an abort ends a call with its reason, while waiting and while reading', async () => {
  const reason = new Error('enough')
  await expect(objects.get('/rest/large', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  const controller = new AbortController()
  hcp.addFault({ kind: 'hang', when: 'body', afterBytes: 100_000, method: 'GET' })
  const reader = await objects.get('/rest/large', { signal: controller.signal })
  const reading = reader.bytes()
  controller.abort(reason)
  await expect(reading).rejects.toBe(reason)
})

test('the deadline is that of the whole call, resumptions included', async () => {
  hcp.addFault({ kind: 'hang', when: 'body', afterBytes: 0, method: 'GET' })
  const reader = await objects.get('/rest/large', { deadline: 400, bodyTimeout: 100, resumes: 1_000 })
  await expect(reader.bytes()).rejects.toThrow(HcpTimeoutError)
})

test('a reader that was given up, or left, leaves its connection to others', async () => {
  const one = clientOf(hcp, 'n1', { connections: 1 })
  await (await one.get('/rest/large')).dump()
  for await (const piece of await one.get('/rest/large')) {
    expect(piece.length).toBeGreaterThan(0)
    break
  }
  {
    await using reader = await one.get('/rest/large')
    expect(reader.size).toBe(large.length)
  }
  {
    await using reader = await one.get('/rest/large')
    reader[Symbol.asyncIterator]()
  }
  await using reader = await one.get('/rest/little')
  const text = reader.text()
  expect(await text).toBe('hello hcp')
  await expect(reader.bytes()).rejects.toThrow(/read already/)
  await one.close()
})
