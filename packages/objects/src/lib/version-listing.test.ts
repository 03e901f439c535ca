import { HcpProtocolError, HcpResponseError } from '@hcp/connection'
import { type Emulator, startEmulator } from '@hcp/emulator'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { answeringXml } from '../../test/answering.ts'
import { collect } from '../../test/collect.ts'
import { clientOf } from '../../test/emulated.ts'
import { ObjectNotFoundError } from './errors.ts'
import type { VersionEntry } from './listing-entry.ts'
import type { ObjectClient } from './object-client.ts'
import { ObjectRequests } from './object-requests.ts'
import { listVersions, type VersionListOptions } from './version-listing.ts'

let hcp: Emulator
let objects: ObjectClient
let requests: ObjectRequests

beforeAll(async () => {
  hcp = await startEmulator()
  objects = clientOf(hcp, 'n2')
  requests = new ObjectRequests(objects.connection)
})
afterAll(async () => {
  await objects.close()
  await hcp.close()
})

const list = (
  path: string,
  options?: VersionListOptions,
  of: ObjectRequests = requests,
): Promise<VersionEntry[]> => collect(listVersions(of, path, options))

test('every version has its id, by which it can be read, and its own size, hash and time', async () => {
  const path = '/rest/a b/ü'
  const stored = [await objects.put(path, 'one'), await objects.put(path, 'three')]
  const versions = await list(path)
  expect(new Set(versions.map(({ versionId }) => versionId))).toEqual(
    new Set(stored.map(({ versionId }) => versionId)),
  )
  expect(versions).toHaveLength(2)
  for (const { versionId, size, hash, etag, ingestTime, name, encodedPath, ...rest } of versions) {
    expect(rest).toMatchObject({ type: 'object', path, deleted: false, other: {} })
    expect({ name, encodedPath }).toEqual({ name: 'ü', encodedPath: '/rest/a%20b/%C3%BC' })
    const head = await objects.head(path, { version: versionId })
    expect(head).toMatchObject({ versionId, size, hash, etag })
    // The list has whole seconds.
    expect(Math.abs(ingestTime!.getTime() - head.ingestTime!.getTime())).toBeLessThan(1_000)
  }
  expect(await list('/rest/a%20b/%c3%bc', { encoded: true })).toEqual(
    versions.map((version) => ({ ...version, encodedPath: '/rest/a%20b/%c3%bc' })),
  )
})

test('what says that the object was deleted is told only when asked for', async () => {
  await objects.put('/rest/gone', 'one')
  await objects.delete('/rest/gone')
  await objects.put('/rest/gone', 'two')
  expect(await list('/rest/gone')).toHaveLength(2)
  const versions = await list('/rest/gone', { deleted: true })
  expect(versions).toHaveLength(3)
  expect(versions.filter(({ deleted }) => deleted)).toHaveLength(1)
})

test('where versioning is off the error says so', async () => {
  await using unversioned = clientOf(hcp)
  await unversioned.put('/rest/plain', 'x')
  const listing = list('/rest/plain', {}, new ObjectRequests(unversioned.connection))
  await expect(listing).rejects.toThrow(HcpResponseError)
  await expect(listing).rejects.toThrow(/while the namespace has versioning on/)
  await expect(listing).rejects.toMatchObject({ status: 400 })
})

test('nothing and a directory have no versions', async () => {
  await objects.put('/rest/folder/x', 'x')
  await expect(list('/rest/nothing')).rejects.toThrow(ObjectNotFoundError)
  await expect(list('/rest/folder')).rejects.toThrow(ObjectNotFoundError)
})

test('a release that answers with the directory is understood', async () => {
  await using server = await answeringXml('<directory/>', { 'X-HCP-Type': 'directory' })
  await expect(list('/rest/d', {}, server.requests)).rejects.toThrow(/directories have no versions/)
})

test('attributes as the documents of release 7 spell them are read', async () => {
  await using server = await answeringXml(
    '<versions path="/rest/a"><entry urlname="a" type="object" size="1" state="deleted" version="108800000007873" ingestTime="1700000000"/></versions>',
  )
  expect(await list('/rest/a', {}, server.requests)).toMatchObject([
    { name: 'a', versionId: '108800000007873', deleted: true, ingestTime: new Date(1_700_000_000_000) },
  ])
})

test.each([
  ['no id', '<versions><entry type="object" size="1"/></versions>'],
  ['an id that is none', '<versions><entry type="object" size="1" version="x"/></versions>'],
  ['another document', '<directory/>'],
  ['no end', '<versions>'],
])('%s is an error', async (_, document) => {
  await using server = await answeringXml(document)
  await expect(list('/rest/a', {}, server.requests)).rejects.toThrow(HcpProtocolError)
})

test.each<[unknown, unknown, typeof TypeError | typeof RangeError]>([
  ['/rest/a', { mostRecentDirTimes: true }, TypeError],
  ['/rest/a', { deleted: 1 }, TypeError],
  ['rest/a', {}, RangeError],
])('wrong arguments are refused at once: %j, %j', (path, options, type) => {
  expect(() => listVersions(requests, path as string, options as VersionListOptions)).toThrow(type)
})
