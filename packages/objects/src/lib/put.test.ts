import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type Body, FileBody, HcpBodyError, HcpHashError } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { answering } from '../../test/answering.ts'
import { clientOf } from '../../test/emulated.ts'
import { ObjectConditionError, ObjectConflictError, ObjectNotFoundError } from './errors.ts'
import type { ObjectClient } from './object-client.ts'
import { putObject, type PutOptions } from './put.ts'
import { retentionClass, retainUntil } from './retention.ts'

let hcp: Emulator
let objects: ObjectClient
let versioned: ObjectClient
let folder: string
let number = 0
const fresh = (): string => `/rest/put/${number++}`

beforeAll(async () => {
  hcp = await startEmulator({
    config: {
      tenants: [
        {
          name: 'm',
          namespaces: [
            { name: 'n1', retentionClasses: [{ name: 'TAX10', value: 'A+10y' }] },
            { name: 'n2', versioning: true },
          ],
          users: [{ user: 'n', password: 'n01' }],
        },
      ],
    },
  })
  objects = clientOf(hcp)
  versioned = clientOf(hcp, 'n2')
  folder = await mkdtemp(join(tmpdir(), 'hcp-put-'))
})
afterAll(async () => {
  await objects.close()
  await versioned.close()
  await hcp.close()
  await rm(folder, { recursive: true })
})
beforeEach(() => hcp.clearFaults())

const content = randomBytes(300_000)
const forms: readonly [string, () => Body, PutOptions?][] = [
  ['text', () => 'grüße'],
  ['bytes', () => content],
  ['a file', () => new FileBody(join(folder, 'file'))],
  ['a part of a file', () => new FileBody(join(folder, 'file'), { start: 10, end: 99 })],
  ['a Blob', () => new Blob([content])],
  ['a stream of unknown size', () => Readable.from([content])],
  ['a stream of known size', () => Readable.from([content]), { size: content.length }],
  ['a function that opens a stream', () => () => Readable.from([content])],
  ['an iterable', () => [content.subarray(0, 5), content.subarray(5)]],
  ['nothing', () => ''],
]

describe('every form of content is stored as it is', () => {
  beforeAll(() => writeFile(join(folder, 'file'), content))

  test.each(forms)('%s', async (form, body, options) => {
    const expected =
      form === 'text'
        ? Buffer.from('grüße')
        : form === 'nothing'
          ? Buffer.alloc(0)
          : form === 'a part of a file'
            ? content.subarray(10, 100)
            : content
    const sha = createHash('sha256').update(expected).digest('hex')
    for (const more of [{}, { onProgress: () => {} }] satisfies PutOptions[]) {
      const path = fresh()
      const stored = await objects.put(path, body(), { ...options, ...more })
      expect(stored).toMatchObject({
        path,
        created: true,
        settled: false,
        servicedBy: hcp.domain,
        requestId: expect.stringMatching(/^[0-9A-F]{16}$/) as string,
        hash: { scheme: 'SHA-256', hex: sha },
      })
      expect(Buffer.from(await (await objects.get(path)).bytes()).equals(expected)).toBe(true)
    }
  })

  test.each(forms.filter(([form]) => form !== 'nothing'))(
    '%s together with an annotation',
    async (form, body, options) => {
      const path = fresh()
      const size =
        form.includes('unknown') || form.includes('function') || form === 'an iterable'
          ? { size: content.length }
          : {}
      const seen: number[] = []
      await objects.put(path, body(), {
        ...options,
        ...size,
        annotation: { name: 'ticket', content: '<ticket/>' },
        onProgress: ({ transferred }) => seen.push(transferred),
      })
      const metadata = await objects.head(path)
      expect(metadata.annotations).toEqual([{ name: 'ticket', size: 9 }])
      expect(seen.at(-1)).toBe(metadata.size)
      expect((await objects.get(path).then((reader) => reader.bytes())).byteLength).toBe(metadata.size)
    },
  )
})

test('content of unknown size is not sent together with an annotation, since HCP could not tell them apart', async () => {
  const path = fresh()
  const put = objects.put(path, Readable.from(['abc']), { annotation: { content: '<a/>' } })
  await expect(put).rejects.toThrow(/size is needed/)
  expect(await objects.exists(path)).toBe(false)
})

test.each([2, 4])(
  'data of another size than announced (%i of 3 bytes) does not become a part of the annotation',
  async (size) => {
    const path = fresh()
    const put = objects.put(path, Readable.from(['abc']), { size, annotation: { content: '<a/>' } })
    await expect(put).rejects.toThrow(HcpBodyError)
    expect(await objects.exists(path)).toBe(false)
  },
)

test('settings go with the object', async () => {
  const path = fresh()
  const until = new Date('2031-02-03T04:05:06Z')
  await objects.put(path, 'x', {
    retention: retainUntil(until),
    index: false,
    shred: true,
    contentType: 'text/plain',
  })
  expect(await objects.head(path)).toMatchObject({
    retention: { kind: 'until', until },
    index: false,
    shred: true,
    hold: false,
    size: 1,
    owner: 'n',
    type: 'object',
  })
  const inClass = fresh()
  await objects.put(inClass, 'x', { retention: retentionClass('TAX10') })
  const { retention, ingestTime, ...more } = await objects.head(inClass)
  expect(more.retentionClass).toBe('TAX10')
  expect(retention.kind === 'until' && retention.until.getFullYear() - ingestTime!.getFullYear()).toBe(10)
})

describe('what a conflict means is told apart', () => {
  const conflict = async (promise: Promise<unknown>): Promise<ObjectConflictError> => {
    const error: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(ObjectConflictError)
    return error as ObjectConflictError
  }

  test.each(forms)('with %s', async (_, body, options) => {
    const path = fresh()
    await objects.put(path, body(), options)
    const again = await conflict(objects.put(path, body(), options))
    const once = body() instanceof Readable || Array.isArray(body())
    expect(again.conflict).toBe(once ? 'unknown' : 'identical')
    expect(again).toMatchObject({ status: 409, code: 'HCP_RESPONSE', retryable: false })
    expect(again.existing?.size).toBe((await objects.head(path)).size)
    const other = await conflict(objects.put(path, 'other content'))
    expect(other.conflict).toBe('different')
    expect(other.message).toContain('take another name')
  })

  test('a directory has the name', async () => {
    const path = fresh()
    await objects.put(`${path}/inside`, '')
    expect((await conflict(objects.put(path, 'x'))).conflict).toBe('occupied')
  })

  test('somebody is writing it', async () => {
    const path = fresh()
    let finish = (): void => {}
    const begun = Promise.withResolvers<void>()
    const slow = objects.put(path, async function* () {
      // More than fits between us and HCP: when the next piece is asked for, HCP is at it.
      yield new Uint8Array(16 * 1024 * 1024)
      begun.resolve()
      await new Promise<void>((resolve) => {
        finish = resolve
      })
    })
    await begun.promise
    const busy = await conflict(objects.put(path, 'second', { retry: false }))
    finish()
    await slow
    expect(busy.conflict).toBe('busy')
  })

  test('identical content is accepted where that is asked for', async () => {
    const path = fresh()
    const first = await objects.put(path, 'same', { acceptIdentical: true })
    const second = await objects.put(path, 'same', { acceptIdentical: true })
    expect(first.created).toBe(true)
    expect(second).toMatchObject({ created: false, hash: first.hash, versionId: first.versionId })
    await expect(objects.put(path, 'else', { acceptIdentical: true })).rejects.toThrow(ObjectConflictError)
  })

  test('identical content is not accepted without the annotation that was to come with it', async () => {
    const path = fresh()
    const options = { acceptIdentical: true, annotation: { content: '<a/>' } }
    await objects.put(path, 'same')
    const missing = await conflict(objects.put(path, 'same', options))
    expect(missing).toMatchObject({ conflict: 'identical', existing: { annotations: [] } })
    await objects.putAnnotation(path, '<b/>')
    await conflict(objects.put(path, 'same', options))
    await objects.putAnnotation(path, '<a/>')
    expect((await objects.put(path, 'same', options)).created).toBe(false)
  })

  test('an ETag that is no hash tells nothing, as of objects that were stored in parts', async () => {
    await using server = await answering((request, response) => {
      request.resume()
      response.writeHead(request.method === 'PUT' ? 409 : 200, { ETag: `"${'0'.repeat(32)}-5"` }).end()
    })
    const error = await conflict(putObject(server.requests, '/rest/a', 'x'))
    expect(error.conflict).toBe('unknown')
  })

  test('within the deadline of the call, whatever takes long', async () => {
    await using server = await answering((request, response) => {
      request.resume()
      const headers = { 'X-HCP-Hash': `SHA-256 ${'0'.repeat(64)}` }
      response.writeHead(request.method === 'PUT' ? 409 : 200, headers).end()
    })
    let opened = 0
    // Comparing it would take for ever.
    const body = async function* (): AsyncGenerator<string> {
      if (++opened > 1) await new Promise(() => {})
      yield 'x'
    }
    const began = performance.now()
    const error = await conflict(putObject(server.requests, '/rest/a', body, { deadline: 300 }))
    expect(error.conflict).toBe('unknown')
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  test('create only, where versions would be made', async () => {
    const path = fresh()
    await versioned.put(path, 'one', { ifNoneMatch: '*' })
    const error = await conflict(versioned.put(path, 'two', { ifNoneMatch: '*' }))
    expect(error).toMatchObject({ conflict: 'different', status: 412 })
    expect((await conflict(versioned.put(path, 'one', { ifNoneMatch: '*' }))).conflict).toBe('identical')
  })
})

test('a new version is stored only over the content that the caller knows', async () => {
  const path = fresh()
  const first = await versioned.put(path, 'one')
  const second = await versioned.put(path, 'two', { ifMatch: first.etag! })
  expect(second.versionId).not.toBe(first.versionId)
  await expect(versioned.put(path, 'three', { ifMatch: first.etag! })).rejects.toThrow(ObjectConditionError)
  expect(await (await versioned.get(path)).text()).toBe('two')
  expect(await (await versioned.get(path, { version: first.versionId! })).text()).toBe('one')
})

test('content that HCP stored otherwise than it was sent is noticed', async () => {
  for (const annotation of [undefined, { content: '<a/>' }]) {
    const id = hcp.addFault({ kind: 'garbage', when: 'body', method: 'PUT', afterBytes: 10, count: 1 })
    const put = objects.put(
      fresh(),
      'content that is damaged',
      annotation === undefined ? {} : { annotation },
    )
    await expect(put).rejects.toThrow(HcpHashError)
    expect(id).toBeDefined()
  }
})

test('a file that is not there is a fault of the body, with progress as without', async () => {
  const body = new FileBody(join(folder, 'missing'))
  for (const options of [{}, { onProgress: () => {} }, { annotation: { content: '' } }])
    await expect(objects.put(fresh(), body, options)).rejects.toThrow(HcpBodyError)
})

test('what HCP names no hash of is not verified, alone or with an annotation', async () => {
  await using server = await answering((request, response) => {
    request.resume().on('end', () => response.writeHead(201, { 'X-HCP-VersionId': '1' }).end())
  })
  for (const options of [{}, { annotation: { content: '' } }]) {
    await expect(putObject(server.requests, '/rest/a', 'x', options)).rejects.toThrow(HcpHashError)
    expect(await putObject(server.requests, '/rest/a', 'x', { ...options, verifyHash: false })).toMatchObject(
      {
        created: true,
      },
    )
  }
})

test.each<[string, Body, unknown, RegExp]>([
  ['a misspelt option', 'x', { retension: 1 }, /unknown option "retension"/],
  ['a retention that is none', 'x', { retention: 'A+1y' }, /retention/],
  ['an unknown ACL', 'x', { acl: 'all_write' }, /acl must be/],
  ['a label that is too long', 'x', { labeledHolds: [{ id: 'x'.repeat(65), hold: true }] }, /64 characters/],
  ['a label that is none', 'x', { labeledHolds: [null] }, /an id must be text/],
  [
    'a label given twice',
    'x',
    {
      labeledHolds: [
        { id: 'a', hold: true },
        { id: 'a', hold: false },
      ],
    },
    /twice/,
  ],
  ['a hold that is no flag', 'x', { hold: 'yes' }, /hold must be true or false/],
  ['an ETag that is none', 'x', { ifMatch: 'a b' }, /no ETag/],
  ['a date that is none', 'x', { ifModifiedSince: new Date(Number.NaN) }, /valid Date/],
  ['a bad annotation name', 'x', { annotation: { name: '-', content: '' } }, /name of an annotation/],
  ['a body that is none', 5 as unknown as Body, {}, /body must be/],
  ['a body that is none, with progress', 5 as unknown as Body, { onProgress: () => {} }, /body must be/],
  [
    'a stream that was read before, with progress',
    Readable.from([]).destroy(),
    { onProgress: () => {} },
    /read or closed before/,
  ],
  [
    'a stream that was read before, with an annotation',
    Readable.from([]).destroy(),
    { annotation: { content: '' }, size: 0 },
    /read or closed before/,
  ],
  ['another size than that of the body', 'x', { size: 2, onProgress: () => {} }, /the body has 1/],
  [
    'a misspelt part of an annotation',
    'x',
    { annotation: { nam: 'a', content: '' } },
    /unknown option "nam"/,
  ],
  ['options that are none', 'x', null, /options must be an object, not null/],
])('%s is refused before anything is sent', async (_, body, options, message) => {
  const before = hcp.requests(0).length
  await expect(objects.put('/rest/refused', body, options as PutOptions)).rejects.toThrow(message)
  await expect(objects.put('/rest/refused', body, options as PutOptions)).rejects.toThrow(/./)
  expect(hcp.requests(0).length).toBe(before)
})

test.each(['docs/a', '/docs/a', '/restful/a', ''])(
  'the path %j is refused, since it is not below /rest',
  async (path) => {
    await expect(objects.put(path, 'x')).rejects.toThrow(/path must/)
    await expect(objects.head(path)).rejects.toThrow(RangeError)
  },
)

test('a namespace that the user may not write to says so', async () => {
  const stranger = clientOf(hcp, 'n1', {}, ['n', 'wrong'])
  await expect(stranger.put(fresh(), 'x')).rejects.toMatchObject({
    code: 'HCP_RESPONSE',
    status: 403,
    message: expect.stringContaining('check host name, credentials and permissions') as string,
  })
  await stranger.close()
  await expect(objects.head(fresh())).rejects.toThrow(ObjectNotFoundError)
})
