import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Connection } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { clientOf, quick, targetOf } from '../../test/emulated.ts'
import { allUsers } from './acl.ts'
import { ObjectClient } from './object-client.ts'
import type { CallOptions } from './object-requests.ts'

let hcp: Emulator
let objects: ObjectClient
let folder: string
beforeAll(async () => {
  hcp = await startEmulator()
  objects = clientOf(hcp)
  folder = await mkdtemp(join(tmpdir(), 'hcp-client-'))
  await writeFile(join(folder, 'a'), 'a')
})
afterAll(async () => {
  await objects.close()
  await hcp.close()
  await rm(folder, { recursive: true })
})
beforeEach(() => hcp.clearFaults())

/** Every method of the client, on a path, with options. */
const methods: readonly [keyof ObjectClient, (path: string, options: CallOptions) => Promise<unknown>][] = [
  ['put', (path, options) => objects.put(path, 'x', options)],
  ['get', (path, options) => objects.get(path, options)],
  ['head', (path, options) => objects.head(path, options)],
  ['exists', (path, options) => objects.exists(path, options)],
  ['changeMetadata', (path, options) => objects.changeMetadata(path, { index: true }, options)],
  ['delete', (path, options) => objects.delete(path, options)],
  ['copy', (path, options) => objects.copy('/rest/a', path, options)],
  ['list', async (path, options) => objects.list(path, options).next()],
  ['versions', async (path, options) => objects.versions(path, options).next()],
  ['walk', async (path, options) => objects.walk(path, options).next()],
  ['makeDirectory', (path, options) => objects.makeDirectory(path, options)],
  ['removeDirectory', (path, options) => objects.removeDirectory(path, options)],
  ['directory', (path, options) => objects.directory(path, options)],
  ['annotations', (path, options) => objects.annotations(path, options)],
  ['annotation', (path, options) => objects.annotation(path, options)],
  ['headAnnotation', (path, options) => objects.headAnnotation(path, options)],
  ['hasAnnotation', (path, options) => objects.hasAnnotation(path, options)],
  ['putAnnotation', (path, options) => objects.putAnnotation(path, '<a/>', options)],
  ['putAnnotations', (path, options) => objects.putAnnotations(path, { a: '<a/>' }, options)],
  ['deleteAnnotation', (path, options) => objects.deleteAnnotation(path, options)],
  ['acl', (path, options) => objects.acl(path, options)],
  [
    'putAcl',
    (path, options) => objects.putAcl(path, [{ grantee: allUsers, permissions: ['READ'] }], options),
  ],
  ['hasAcl', (path, options) => objects.hasAcl(path, options)],
  ['deleteAcl', (path, options) => objects.deleteAcl(path, options)],
  ['download', (path, options) => objects.download(path, join(folder, 'down'), options)],
  ['uploadTree', (path, options) => objects.uploadTree(folder, path, options)],
  ['downloadTree', (path, options) => objects.downloadTree(path, join(folder, 'tree'), options)],
]

test('the table below has every method', () => {
  const named = Object.getOwnPropertyNames(ObjectClient.prototype).filter(
    (name) => name !== 'constructor' && name !== 'close',
  )
  expect(methods.map(([name]) => name as string).toSorted()).toEqual(named.toSorted())
})

describe.each(methods)('%s', (_, call) => {
  test('is not begun with a signal that is aborted already, and rejects with its reason', async () => {
    const before = hcp.requests(0).length
    const reason = new Error('enough')
    await expect(call('/rest/x', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(hcp.requests(0).length).toBe(before)
  })

  test('ends with the reason of a signal while HCP is silent', async () => {
    const reason = new Error('enough')
    const controller = new AbortController()
    hcp.addFault({ kind: 'hang', when: 'beforeHead' })
    const waiting = call('/rest/x', { signal: controller.signal })
    setImmediate(() => controller.abort(reason))
    await expect(waiting).rejects.toBe(reason)
  })

  test('refuses options that nobody knows, paths outside of /rest, and dots in paths, before anything is sent', async () => {
    const before = hcp.requests(0).length
    const attempt = async (path: string, options: object): Promise<unknown> => call(path, options)
    await expect(attempt('/rest/x', { sgnal: 1 })).rejects.toThrow(/unknown option "sgnal"/)
    await expect(attempt('/proc/x', {})).rejects.toThrow(/must begin with "\/rest\/"/)
    await expect(attempt('/rest/../x', {})).rejects.toThrow(/"\.\."/)
    await expect(attempt('/rest/x', { signal: 'no' })).rejects.toThrow(/signal must be an AbortSignal/)
    expect(hcp.requests(0).length).toBe(before)
  })
})

test('a client closes the connection that it made, and leaves alone one that it was given', async () => {
  const connection = new Connection(targetOf(hcp), quick)
  {
    await using client = new ObjectClient(connection)
    expect(await client.exists('/rest')).toBe(true)
  }
  expect(connection.closed).toBe(false)
  await connection.close()
  const own = new ObjectClient(targetOf(hcp), quick)
  await own.close()
  expect(own.connection.closed).toBe(true)
  await expect(own.head('/rest/x')).rejects.toMatchObject({ code: 'HCP_CLOSED' })
})

test('requests in the loop of a listing never wait for the listing, however few sockets there are', async () => {
  await hcp.seed({ namespace: 'n1.m', directory: 'many', count: 5_000, size: 1 })
  const one = new ObjectClient(targetOf(hcp), { ...quick, connections: 1 })
  let seen = 0
  for await (const entry of one.list('/rest/many')) {
    if (seen++ % 1_000 === 0) expect((await one.head(entry.path)).size).toBe(1)
  }
  expect(seen).toBe(5_000)
  await one.close()
  await expect(one.list('/rest/many').next()).rejects.toMatchObject({ code: 'HCP_CLOSED' })
})

test('what is no target, and options for a connection that exists, are refused', async () => {
  expect(() => new ObjectClient('n1.m.hcp1.test' as never)).toThrow(/Target or a Connection/)
  const connection = new Connection(targetOf(hcp))
  expect(() => new ObjectClient(connection, {})).toThrow(/give a Target/)
  await connection.close()
})
