import { createHash, randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { HcpHashError, HcpProtocolError, HcpResponseError, HcpTruncatedError } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { answering, answeringXml } from '../../test/answering.ts'
import { clientOf } from '../../test/emulated.ts'
import {
  AnnotationsError,
  deleteAnnotation,
  getAnnotation,
  hasAnnotation,
  headAnnotation,
  listAnnotations,
  putAnnotation,
  putAnnotations,
} from './annotations.ts'
import { ObjectNotFoundError } from './errors.ts'
import type { ObjectClient } from './object-client.ts'
import { ObjectRequests } from './object-requests.ts'
import { retainFor } from './retention.ts'

let hcp: Emulator
let objects: ObjectClient
let requests: ObjectRequests
let number = 0

beforeAll(async () => {
  hcp = await startEmulator()
  objects = clientOf(hcp)
  requests = new ObjectRequests(objects.connection)
})
afterAll(async () => {
  await objects.close()
  await hcp.close()
})
beforeEach(() => hcp.clearFaults())

/** A new object. */
async function stored(): Promise<string> {
  const path = `/rest/annotations/${number++}`
  await objects.put(path, 'data')
  return path
}
const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('one annotation', () => {
  test.each<[string, string | Uint8Array]>([
    ['text', '<größe>1</größe>'],
    ['bytes', randomBytes(500_000)],
    ['nothing', ''],
  ])('of %s comes back as it was stored, in each way of reading', async (_, content) => {
    const path = await stored()
    await putAnnotation(requests, path, content, { name: 'ticket' })
    const wanted = Buffer.from(content as string)
    const annotation = await getAnnotation(requests, path, { name: 'ticket' })
    expect(annotation.metadata).toEqual(await headAnnotation(requests, path, { name: 'ticket' }))
    expect(annotation.metadata).toEqual({
      name: 'ticket',
      size: wanted.length,
      hash: { scheme: 'SHA-256', hex: sha256(content) },
      changeTime: expect.any(Date),
      contentType: 'text/xml',
    })
    expect(Buffer.from(await annotation.bytes()).equals(wanted)).toBe(true)
    expect(await (await getAnnotation(requests, path, { name: 'ticket' })).text()).toBe(wanted.toString())
    const chunks: Uint8Array[] = []
    for await (const chunk of await getAnnotation(requests, path, { name: 'ticket' })) chunks.push(chunk)
    expect(Buffer.concat(chunks).equals(wanted)).toBe(true)
  })

  test('without a name is the one called default, and is replaced as a whole', async () => {
    const path = await stored()
    await putAnnotation(requests, path, '<longer/>')
    await putAnnotation(requests, path, '<a/>')
    expect(await (await getAnnotation(requests, path, { name: 'default' })).text()).toBe('<a/>')
    expect(await (await getAnnotation(requests, path)).text()).toBe('<a/>')
  })

  test('is never another one than was named', async () => {
    const path = await stored()
    await putAnnotation(requests, path, '<a/>')
    const options = { name: null } as unknown as { name: string }
    for (const call of [deleteAnnotation, getAnnotation, headAnnotation, hasAnnotation])
      await expect(call(requests, path, options)).rejects.toThrow(TypeError)
    await expect(putAnnotation(requests, path, '<b/>', options)).rejects.toThrow(TypeError)
    expect(await (await getAnnotation(requests, path)).text()).toBe('<a/>')
  })

  test('that is not there is told from an object that is not there', async () => {
    const path = await stored()
    for (const read of [getAnnotation, headAnnotation]) {
      await expect(read(requests, path)).rejects.toThrow(ObjectNotFoundError)
      await expect(read(requests, path)).rejects.toMatchObject({ status: 204 })
      await expect(read(requests, '/rest/nothing')).rejects.toMatchObject({ status: 404 })
    }
    expect(await hasAnnotation(requests, path)).toBe(false)
    await putAnnotation(requests, path, '<a/>')
    expect(await hasAnnotation(requests, path)).toBe(true)
    expect(await hasAnnotation(requests, path, { name: 'other' })).toBe(false)
    await expect(hasAnnotation(requests, '/rest/nothing')).rejects.toThrow(ObjectNotFoundError)
    await expect(putAnnotation(requests, '/rest/nothing', '')).rejects.toThrow(ObjectNotFoundError)
  })

  test('is deleted, which tells whether there was one', async () => {
    const path = await stored()
    await putAnnotation(requests, path, '<a/>', { name: 'a' })
    expect(await deleteAnnotation(requests, path)).toBe(false)
    expect(await deleteAnnotation(requests, path, { name: 'a' })).toBe(true)
    expect(await deleteAnnotation(requests, path, { name: 'a' })).toBe(false)
    await expect(deleteAnnotation(requests, '/rest/nothing')).rejects.toThrow(ObjectNotFoundError)
  })

  test('whose deletion was answered by nobody was deleted', async () => {
    const path = await stored()
    await putAnnotation(requests, path, '<a/>')
    hcp.addFault({ kind: 'reset', method: 'DELETE', path, count: 1 })
    expect(await deleteAnnotation(requests, path)).toBe(true)
  })

  test('of an old version is read by the id of the version', async () => {
    await using versioned = clientOf(hcp, 'n2')
    const of = new ObjectRequests(versioned.connection)
    const { versionId: version } = await versioned.put('/rest/a', 'one')
    await putAnnotation(of, '/rest/a', '<old/>')
    await versioned.put('/rest/a', 'two')
    await putAnnotation(of, '/rest/a', '<new/>')
    await putAnnotation(of, '/rest/a', '<more/>', { name: 'more' })
    expect(await (await getAnnotation(of, '/rest/a', { version: version! })).text()).toBe('<old/>')
    expect(await hasAnnotation(of, '/rest/a', { name: 'more', version: version! })).toBe(false)
    expect(await listAnnotations(of, '/rest/a', { version: version! })).toHaveLength(1)
  })

  test('that cannot be stored says why', async () => {
    const path = await stored()
    await expect(putAnnotation(requests, '/rest/annotations', '<a/>')).rejects.toThrow(/none for a directory/)
    const held = '/rest/annotations/held'
    await objects.put(held, 'x', { retention: retainFor({ days: 1 }) })
    await putAnnotation(requests, held, '<a/>')
    const replacing = putAnnotation(requests, held, '<b/>')
    await expect(replacing).rejects.toThrow(HcpResponseError)
    await expect(replacing).rejects.toThrow(/only be added/)
    await expect(deleteAnnotation(requests, held)).rejects.toThrow(/only be added/)
    for (let each = 0; each < 10; each++) await putAnnotation(requests, path, '', { name: `a${each}` })
    await expect(putAnnotation(requests, path, '')).rejects.toThrow(/at most 10/)
  })

  test('that was damaged on the way is an error, in each way of reading', async () => {
    const headers = { 'X-HCP-Type': 'annotation', 'X-HCP-Hash': `SHA-256 ${sha256('<a/>').toUpperCase()}` }
    await using server = await answeringXml('<b/>', headers)
    const read = (): ReturnType<typeof getAnnotation> => getAnnotation(server.requests, '/rest/a')
    await expect((await read()).bytes()).rejects.toThrow(HcpHashError)
    await expect((await read()).text()).rejects.toMatchObject({
      expected: sha256('<a/>'),
      actual: sha256('<b/>'),
    })
    const looping = (async () => {
      for await (const _chunk of await read());
    })()
    await expect(looping).rejects.toThrow(HcpHashError)
  })

  test.each(['X-HCP-Other', 'X-HCP-Hash'])(
    'without a hash that is known here is given as it is (%s)',
    async (header) => {
      await using server = await answeringXml('<b/>', {
        [header]: 'BLAKE3 00',
        ETag: '"00000000000000000000000000000000"',
        'X-HCP-Type': 'annotation',
      })
      expect(await (await getAnnotation(server.requests, '/rest/a')).text()).toBe('<b/>')
    },
  )

  test('cut short is fetched anew, and in the end an error', async () => {
    let gets = 0
    await using server = await answering((_, response) => {
      gets++
      response.writeHead(200, { 'Content-Length': '100' }).write('<b', () => response.destroy())
    })
    const annotation = await getAnnotation(server.requests, '/rest/a')
    await expect(annotation.bytes()).rejects.toThrow(HcpTruncatedError)
    expect(gets).toBe(3)
    const once = await getAnnotation(server.requests, '/rest/a', { retry: false })
    await expect(once.bytes()).rejects.toThrow(HcpTruncatedError)
    expect(gets).toBe(4)
    const path = await stored()
    await putAnnotation(requests, path, '<whole/>')
    for (const kind of ['truncate', 'garbage'] as const) {
      hcp.addFault({ kind, when: 'body', afterBytes: 2, method: 'GET', count: 2 })
      expect(await (await getAnnotation(requests, path)).text()).toBe('<whole/>')
    }
  })

  test.each([
    ['shorter than HCP says', { 'X-HCP-Size': '9' }, HcpTruncatedError],
    ['longer than HCP says', { 'X-HCP-Size': '2' }, HcpProtocolError],
    ['compressed', { 'Content-Encoding': 'gzip' }, HcpProtocolError],
  ])('that is %s is an error, in each way of reading, and holds no socket', async (_, headers, error) => {
    await using server = await answeringXml('<b/>', headers)
    const ways = [
      async (): Promise<unknown> => (await getAnnotation(server.requests, '/rest/a')).bytes(),
      async (): Promise<unknown> => buffer(await getAnnotation(server.requests, '/rest/a')),
    ]
    for (const read of ways)
      for (let times = 0; times < 9; times++) await expect(read()).rejects.toThrow(error)
  })

  test('whose storing was answered by nobody was stored, though it cannot be stored again', async () => {
    const path = '/rest/annotations/kept'
    await objects.put(path, 'x', { retention: retainFor({ days: 1 }) })
    hcp.addFault({ kind: 'reset', when: 'beforeHead', method: 'PUT', path, count: 1 })
    await putAnnotation(requests, path, '<a/>')
    hcp.addFault({ kind: 'status', status: 503, method: 'PUT', path, count: 1 })
    await expect(putAnnotation(requests, path, '<b/>')).rejects.toMatchObject({ status: 403 })
    expect(await (await getAnnotation(requests, path)).text()).toBe('<a/>')
  })
})

describe('the list', () => {
  test('is empty, or has what a HEAD says of each', async () => {
    const path = await stored()
    expect(await listAnnotations(requests, path)).toEqual([])
    await putAnnotation(requests, path, '<a/>', { name: 'a-1' })
    await putAnnotation(requests, path, '', { name: 'B.2_' })
    const list = await listAnnotations(requests, path)
    expect(list.map(({ name }) => name).toSorted()).toEqual(['B.2_', 'a-1'])
    for (const { contentType, ...each } of list) {
      expect(await headAnnotation(requests, path, { name: each.name })).toMatchObject(each)
      expect(contentType).toBe('unknown')
    }
    await expect(listAnnotations(requests, '/rest/nothing')).rejects.toThrow(ObjectNotFoundError)
  })

  test.each([
    ['an annotation without a name', '<annotations><annotation><size>1</size></annotation></annotations>'],
    ['an annotation without a size', '<annotations><annotation><name>a</name></annotation></annotations>'],
    ['another document', '<directory/>'],
    ['no end', '<annotations><annotation><name>a</name><size>1</size></annotation>'],
    [
      'far too many',
      `<annotations>${'<annotation><name>a</name><size>1</size></annotation>'.repeat(2_000)}</annotations>`,
    ],
  ])('with %s is an error', async (_, document) => {
    await using server = await answeringXml(document)
    await expect(listAnnotations(server.requests, '/rest/a')).rejects.toThrow(HcpProtocolError)
  })

  test('with little in it is read', async () => {
    await using server = await answeringXml(
      '<annotations><annotation><size> 1 </size><name>a</name></annotation></annotations>',
    )
    expect(await listAnnotations(server.requests, '/rest/a')).toEqual([
      { name: 'a', size: 1, hash: undefined, changeTime: undefined, contentType: undefined },
    ])
  })
})

describe('several', () => {
  test('are all stored, never more at a time than asked for', async () => {
    const contents = Object.fromEntries(
      Array.from({ length: 10 }, (_, index) => [`a${index}`, `<a${index}/>`]),
    )
    const path = await stored()
    await putAnnotations(requests, path, contents)
    expect(await listAnnotations(requests, path)).toHaveLength(10)
    for (const [name, content] of Object.entries(contents)) {
      expect(await (await getAnnotation(requests, path, { name })).text()).toBe(content)
    }
    let open = 0
    let most = 0
    await using server = await answering((request, response) => {
      most = Math.max(most, ++open)
      request.resume().on('end', () => {
        setImmediate(() => {
          open--
          response.writeHead(201).end()
        })
      })
    })
    await putAnnotations(server.requests, '/rest/a', contents, { concurrency: 2 })
    expect(most).toBe(2)
  })

  test('of which one fails: the error tells which are stored, and no further one is begun', async () => {
    const sent: string[] = []
    await using server = await answering((request, response) => {
      const name = new URL(request.url!, 'http://x').searchParams.get('annotation')!
      sent.push(name)
      request.resume()
      response.writeHead(name === 'bad' ? 400 : 201).end()
    })
    const contents = { a: '', b: '', bad: '', c: '', d: '' }
    const storing = putAnnotations(server.requests, '/rest/a', contents, { concurrency: 1 })
    await expect(storing).rejects.toThrow(AnnotationsError)
    await expect(storing).rejects.toMatchObject({
      code: 'HCP_ANNOTATIONS',
      stored: ['a', 'b'],
      failed: [{ name: 'bad', error: { status: 400 } }],
      cause: { status: 400 },
      message: 'Annotations that could not be stored: bad; stored: a, b',
    })
    expect(sent).toEqual(['a', 'b', 'bad'])
  })

  test('none at all need no request', async () => {
    const before = hcp.requests().length
    await putAnnotations(requests, '/rest/nothing', {})
    expect(hcp.requests()).toHaveLength(before)
  })

  test('end with the reason of an abort', async () => {
    const path = await stored()
    const storing = putAnnotations(requests, path, { a: '' }, { signal: AbortSignal.abort('enough') })
    await expect(storing).rejects.toBe('enough')
  })
})

type Method = (requests: ObjectRequests, path: string, ...rest: never[]) => Promise<unknown>

test.each<[string, Method, unknown[], typeof TypeError | typeof RangeError]>([
  ['a name with a blank', getAnnotation, [{ name: 'a b' }], RangeError],
  ['a name that is too long', headAnnotation, [{ name: 'a'.repeat(33) }], RangeError],
  ['an empty name', hasAnnotation, [{ name: '' }], RangeError],
  ['a name without letters', deleteAnnotation, [{ name: '.-_' }], RangeError],
  ['a name that is none', putAnnotation, ['', { name: 5 }], TypeError],
  ['a version that is none', getAnnotation, [{ version: 'list' }], RangeError],
  ['a version to write', putAnnotation, ['', { version: '1' }], TypeError],
  ['an unknown option', listAnnotations, [{ name: 'a' }], TypeError],
  ['content that is none', putAnnotation, [{}], TypeError],
  ['no content', putAnnotation, [], TypeError],
  ['content of several that is none', putAnnotations, [{ a: 1 }], TypeError],
  ['a wrong name among several', putAnnotations, [{ a: '', 'b c': '' }], RangeError],
  ['a list for several', putAnnotations, [['a']], TypeError],
  [
    'more than ten',
    putAnnotations,
    [Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`a${index}`, '']))],
    RangeError,
  ],
  ['no concurrency', putAnnotations, [{}, { concurrency: 0 }], RangeError],
  ['a path elsewhere', putAnnotations, [{ a: '' }, { encoded: 1 }], TypeError],
])('%s is refused before anything is sent', async (_, method, rest, type) => {
  const before = hcp.requests().length
  await expect(method(requests, '/rest/a', ...(rest as never[]))).rejects.toThrow(type)
  expect(hcp.requests()).toHaveLength(before)
})
