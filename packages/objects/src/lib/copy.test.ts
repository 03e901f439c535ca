import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { clientOf } from '../../test/emulated.ts'
import type { CopyOptions, CopySource } from './copy.ts'
import { ObjectConditionError, ObjectConflictError, ObjectNotFoundError } from './errors.ts'
import type { ObjectClient } from './object-client.ts'
import { retainUntil } from './retention.ts'

let hcp: Emulator
let objects: ObjectClient
let versioned: ObjectClient
beforeAll(async () => {
  hcp = await startEmulator()
  objects = clientOf(hcp)
  versioned = clientOf(hcp, 'n2')
})
afterAll(async () => {
  await objects.close()
  await versioned.close()
  await hcp.close()
})
beforeEach(() => hcp.clearFaults())

test('a copy has the content, and the annotations where that is asked for', async () => {
  const source = await objects.put('/rest/from/ä +%.txt', 'content', {
    annotation: { name: 'ticket', content: '<ticket/>' },
    index: false,
  })
  const copied = await objects.copy('/rest/from/ä +%.txt', '/rest/to/1')
  expect(copied).toMatchObject({ path: '/rest/to/1', hash: source.hash, created: true })
  expect(await (await objects.get('/rest/to/1')).text()).toBe('content')
  expect(await objects.head('/rest/to/1')).toMatchObject({ annotations: [], index: true })
  await objects.copy('/rest/from/ä +%.txt', '/rest/to/2', { annotations: true, index: false })
  expect(await objects.head('/rest/to/2')).toMatchObject({
    annotations: [{ name: 'ticket', size: 9 }],
    index: false,
  })
  await objects.delete('/rest/from/ä +%.txt')
  expect(await (await objects.get('/rest/to/2')).text()).toBe('content')
})

test('a copy can be of a version, from another namespace, with settings of its own', async () => {
  const { versionId } = await versioned.put('/rest/a', 'one')
  await versioned.put('/rest/a', 'two')
  const until = new Date('2035-01-01T00:00:00Z')
  await objects.copy({ path: '/rest/a', namespace: 'n2.m', version: versionId! }, '/rest/copied', {
    retention: retainUntil(until),
  })
  expect(await (await objects.get('/rest/copied')).text()).toBe('one')
  expect((await objects.head('/rest/copied')).retention).toEqual({ kind: 'until', until })
  await versioned.copy({ path: '/rest/a', version: versionId! }, '/rest/a')
  expect(await (await versioned.get('/rest/a')).text()).toBe('one')
})

test('conditions on source and target are kept apart', async () => {
  const { etag } = await objects.put('/rest/source', 'x')
  const no = '0'.repeat(32)
  const attempt = (conditions: CopySource['conditions'], options?: CopyOptions): Promise<unknown> =>
    objects.copy({ path: '/rest/source', conditions: conditions ?? {} }, '/rest/target', options)
  await expect(attempt({ ifMatch: no })).rejects.toMatchObject({ name: 'ObjectConditionError', status: 412 })
  await expect(attempt({ ifNoneMatch: etag! })).rejects.toMatchObject({ status: 304 })
  await expect(attempt({}, { ifMatch: no })).rejects.toThrow(ObjectConditionError)
  await attempt({ ifMatch: etag! }, { ifNoneMatch: '*' })
  expect(await objects.exists('/rest/target')).toBe(true)
})

test('what stands in the way of a copy is told', async () => {
  await objects.put('/rest/s', 'same')
  await objects.put('/rest/t', 'same')
  await objects.put('/rest/u', 'other')
  const conflict = (target: string): Promise<unknown> => objects.copy('/rest/s', target)
  await expect(conflict('/rest/t')).rejects.toMatchObject({
    name: 'ObjectConflictError',
    conflict: 'identical',
  })
  await expect(conflict('/rest/u')).rejects.toMatchObject({ conflict: 'different' })
  await expect(objects.copy({ path: '/rest/a', namespace: 'n2.m' }, '/rest/u')).rejects.toThrow(
    ObjectConflictError,
  )
  await expect(objects.copy('/rest/missing', '/rest/v')).rejects.toThrow(ObjectNotFoundError)
  await versioned.put('/rest/gone', 'x')
  await versioned.delete('/rest/gone')
  await expect(versioned.copy('/rest/gone', '/rest/v')).rejects.toThrow(ObjectNotFoundError)
})

test('a copy whose answer is lost is not made twice, and not called done', async () => {
  await versioned.put('/rest/b', 'x')
  hcp.addFault({ kind: 'reset', when: 'beforeHead', method: 'PUT', count: 1 })
  const since = hcp.requests(0).at(-1)!.sequence
  await expect(versioned.copy('/rest/b', '/rest/c')).rejects.toMatchObject({
    code: 'HCP_AMBIGUOUS',
    message: expect.stringContaining('look at the target') as string,
  })
  expect(hcp.requests(since).filter(({ method }) => method === 'PUT')).toHaveLength(1)
})

test.each([
  [500, true],
  [504, true],
  [503, false],
])(
  'after a %i that says nothing of the copy it is not known whether it was made: %s',
  async (status, unknown) => {
    await versioned.put('/rest/d', 'x')
    hcp.addFault({ kind: 'status', status, method: 'PUT' })
    await expect(versioned.copy('/rest/d', '/rest/e')).rejects.toMatchObject(
      unknown ? { code: 'HCP_AMBIGUOUS', attempts: 1, cause: { status } } : { code: 'HCP_RESPONSE', status },
    )
  },
)

test('the empty directory that HCP makes of a directory is no copy', async () => {
  await objects.put('/rest/full/x', 'x')
  await expect(objects.copy('/rest/full', '/rest/empty')).rejects.toThrow(
    /directory, of which HCP copies nothing/,
  )
})

test.each<[string, unknown, unknown, RegExp]>([
  ['a source that is no path', 'docs/a', {}, /path must begin/],
  ['a namespace without its tenant', { path: '/rest/a', namespace: 'n2' }, {}, /namespace.tenant/],
  ['a version that is none', { path: '/rest/a', version: 'list' }, {}, /version id in digits/],
  ['a misspelt condition', { path: '/rest/a', conditions: { ifmatch: 'x' } }, {}, /unknown option "ifmatch"/],
  ['a flag that is none', '/rest/a', { forceEtag: 'yes' }, /forceEtag must be true or false/],
  ['a misspelt option', '/rest/a', { annotation: true }, /unknown option "annotation"/],
])('%s is refused before anything is sent', async (_, source, options, message) => {
  const before = hcp.requests(0).length
  await expect(objects.copy(source as CopySource, '/rest/x', options as CopyOptions)).rejects.toThrow(message)
  expect(hcp.requests(0).length).toBe(before)
})
